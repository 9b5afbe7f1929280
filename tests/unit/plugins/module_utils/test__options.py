# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option table: each option's lines in the configuration, and what the record keeps of it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _config, _options
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import declared, nothing, place_of, task
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import with_own_mounts

Given = dict[str, t.Any]
EFFECTS = {
    _options.NOTHING: (
        "name alloc_id handle state verbosity max_kill_timeout volumes_enabled recreate restart_on_change purge"
        " lxc_path"
    ),
    _options.CREATE: "gpg_key_id gpg_key_server disable_gpg flush_cache force_cache",
    _options.ROOTFS: (
        "template distro release arch image_variant image_server template_args default_config backing_store"
    ),
    _options.RESTART: (
        "volumes mounts devices network_mode network_link host_network_admin hostname init environment lxc_config"
        " alloc_dir unprivileged idmap_base idmap_size"
    ),
    _options.START: "log_level",
    _options.WRITE: "autostart kill_timeout",
    _options.LIVE: "memory_mb cpu_shares",
}


def test_when_a_change_takes_effect() -> None:
    found = {effect: {option.name for option in _options.OPTIONS if option.effect == effect} for effect in EFFECTS}
    assert found == {effect: set(names.split()) for effect, names in EFFECTS.items()}


def lines_of(key: str, **options: t.Any) -> list[str]:
    asked = task(**options)
    return [value for name, value in declared(asked, nothing(asked)).block if name == key]


KEPT = {"lxc_config": {"lxc.cap.keep": "chown"}}


@pytest.mark.parametrize(
    ("options", "key", "values"),
    [
        ({"network_mode": "host"}, "lxc.net.0.type", ["none"]),
        ({"network_mode": "bridge"}, "lxc.net.0.type", ["veth"]),
        ({"network_mode": "empty"}, "lxc.net.0.type", ["empty"]),
        ({"network_mode": "bridge"}, "lxc.net.0.link", ["lxcbr0"]),
        ({"network_mode": "bridge", "network_link": "br1"}, "lxc.net.0.link", ["br1"]),
        ({"network_mode": "bridge"}, "lxc.net.0.flags", ["up"]),
        ({"network_mode": "empty"}, "lxc.net.0.link", []),
        ({"network_mode": "host"}, "lxc.net.0.flags", []),
        # host networking drops net_admin; ours are last, so that a cleared list does not take it away
        ({"network_mode": "host"}, "lxc.cap.drop", ["net_admin"]),
        ({"network_mode": "host", "host_network_admin": True}, "lxc.cap.drop", []),
        ({"network_mode": "bridge"}, "lxc.cap.drop", []),
        (
            {"network_mode": "host", "lxc_config": {"lxc.cap.drop": ["mknod", ""]}},
            "lxc.cap.drop",
            ["mknod", "", "net_admin"],
        ),
        # a keep stands instead of a drop, the template's too
        ({"network_mode": "host", **KEPT}, "lxc.cap.drop", [""]),
        ({"network_mode": "host", **KEPT}, "lxc.cap.keep", ["chown"]),
        # a cleared keep keeps everything, and no drop may go for it
        ({"network_mode": "host", "lxc_config": {"lxc.cap.keep": ""}}, "lxc.cap.drop", ["net_admin"]),
        ({"network_mode": "host", "lxc_config": {"lxc.cap.keep": []}}, "lxc.cap.drop", ["net_admin"]),
        ({"network_mode": "host", "lxc_config": {"lxc.cap.keep": None}}, "lxc.cap.drop", ["net_admin"]),
        ({"network_mode": "host", "lxc_config": {"lxc.cap.keep": ["chown", " "]}}, "lxc.cap.drop", ["net_admin"]),
        ({"network_mode": "host", "lxc_config": {"lxc.cap.keep": ["chown", ""]}}, "lxc.cap.keep", [""]),
        ({"network_mode": "host", "lxc_config": {"lxc.cap.keep": ["", "chown"]}}, "lxc.cap.drop", [""]),
        (
            {"network_mode": "host", "lxc_config": {"lxc.cap.keep": ["kill", "", "chown"]}},
            "lxc.cap.keep",
            ["", "chown"],
        ),
        # a network that is another process's may be the host's
        ({"network_mode": "empty", "lxc_config": {"lxc.namespace.share.net": "1"}}, "lxc.cap.drop", ["net_admin"]),
        ({"network_mode": "empty", "lxc_config": {"lxc.namespace.share.net": ["1", ""]}}, "lxc.cap.drop", []),
        (
            {"lxc_config": {"lxc.namespace.share.net": "other"}, "network_mode": "empty", "host_network_admin": True},
            "lxc.cap.drop",
            [],
        ),
        ({}, "lxc.uts.name", ["web"]),
        ({"alloc_id": "1"}, "lxc.uts.name", ["web-1"]),
        ({"hostname": "w"}, "lxc.uts.name", ["w"]),
        ({}, "lxc.init.cmd", []),
        ({"init": "/sbin/init -x"}, "lxc.init.cmd", ["/sbin/init -x"]),
        ({"environment": {"A": "b", "C": ""}}, "lxc.environment", ["A=b", "C="]),
        ({"environment": {"C": "", "A": "b"}}, "lxc.environment", ["A=b", "C="]),
        ({"autostart": True}, "lxc.start.auto", ["1"]),
        ({}, "lxc.start.auto", []),
        # for both generations of cgroups: the other one's is ignored
        ({"memory_mb": 64}, "lxc.cgroup.memory.limit_in_bytes", ["67108864"]),
        ({"memory_mb": 64}, "lxc.cgroup2.memory.max", ["67108864"]),
        ({}, "lxc.cgroup.memory.limit_in_bytes", []),
        ({"cpu_shares": 512}, "lxc.cgroup.cpu.shares", ["512"]),
        ({"cpu_shares": 512}, "lxc.cgroup2.cpu.weight", ["50"]),
        ({}, "lxc.cgroup2.cpu.weight", []),
        # the log is set at each start and saved nowhere
        ({"log_level": "trace"}, "lxc.log.level", []),
        ({"log_level": "trace"}, "lxc.log.file", []),
        ({"lxc_config": {"lxc.tty.max": 4, "lxc.autodev": True}}, "lxc.autodev", ["1"]),
    ],
)
def test_lines(options: Given, key: str, values: list[str]) -> None:
    assert lines_of(key, **options) == values


def test_a_network_has_its_type_before_all_else() -> None:
    given = {
        "lxc.net.1.name": "eth7",
        "lxc.net.10.type": "empty",
        "lxc.net.1.type": "empty",
        "lxc.apparmor.profile": "x",
    }
    asked = task(lxc_config=given)
    lines = declared(asked, nothing(asked)).lines["lxc_config"]
    assert [key for key, _value in lines] == [
        "lxc.apparmor.profile",
        "lxc.net.1.type",
        "lxc.net.1.name",
        "lxc.net.10.type",
    ]


def test_mounts() -> None:
    place = place_of(task(alloc_id="1"))
    assert lines_of(
        "lxc.mount.entry",
        alloc_id="1",
        volumes=["/tmp/x y:mnt/tmp", "data:srv"],
        mounts=[{"source": "/c", "target": "/d", "read_only": True}],
        devices=[{"path": "/dev/fuse", "target": "/dev/f"}],
    ) == [
        f"{place.local} local none rw,bind,create=dir 0 0",
        f"{place.alloc} alloc none rw,bind,create=dir 0 0",
        f"{place.secrets} secrets none rw,bind,create=dir 0 0",
        "/tmp/x\\040y mnt/tmp none rw,bind,create=dir 0 0",
        f"{place.task}/data srv none rw,bind,create=dir 0 0",
        "/c d none ro,bind,create=dir 0 0",
        "/dev/fuse dev/f none rw,bind,create=file 0 0",
    ]


@pytest.mark.parametrize("generation", ["lxc.cgroup.devices", "lxc.cgroup2.devices"])
def test_all_devices_are_denied_but_the_standard_and_the_named_ones(generation: str) -> None:
    """Deny, then allow: the busybox template's configuration denies none."""
    asked = task(devices=[{"path": "/dev/sda", "permissions": "r"}])
    block = declared(asked, nothing(asked)).block
    rules = [(key[len(generation) + 1 :], value) for key, value in block if key.startswith(f"{generation}.")]
    assert rules[0] == ("deny", "a")
    assert {kind for kind, _rule in rules[1:]} == {"allow"}
    assert rules[-1] == ("allow", "c 10:229 r")
    allowed = [rule for _kind, rule in rules[1:]]
    # null, zero, full, random, urandom, tty, console, ptmx, pts
    for number in ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "136:*"):
        assert f"c {number} rwm" in allowed
    assert not {"a", "a *:* rwm", "c *:* rwm", "b *:* rwm", "b *:* r", "c *:* rw"} & set(allowed)


def test_the_users_own_keys_come_behind_the_networks_type_and_before_all_else() -> None:
    asked = task(network_mode="host", lxc_config={"lxc.tty.max": 4, "lxc.cap.drop": "mknod", "lxc.hook.pre-start": ""})
    block = declared(asked, nothing(asked)).block
    assert block[0] == ("lxc.net.0.type", "none")
    assert block[1:4] == (("lxc.cap.drop", "mknod"), ("lxc.hook.pre-start", ""), ("lxc.tty.max", "4"))
    assert ("lxc.tty.max", "4") not in block[4:]


def test_every_line_is_of_a_key_that_options_own_or_a_hook() -> None:
    asked = task(network_mode="bridge", memory_mb=1, cpu_shares=2, init="x", environment={"A": "b"}, autostart=True)
    for key, _value in declared(asked, nothing(asked)).block:
        assert _config.owner_refuses(key) or key.startswith("lxc.hook."), key


def test_the_record_can_be_written_and_holds_no_variable() -> None:
    asked = task(environment={"TOKEN": "hunter2"}, template="busybox")
    made = declared(asked, nothing(asked))
    text = json.dumps([made.recorded_options, made.recorded_lines])
    assert "hunter2" not in text
    assert "TOKEN" in text
    asked = task(environment={"TOKEN": "hunter3"}, template="busybox")
    other = declared(asked, nothing(asked))
    assert other.recorded_options == made.recorded_options
    # Another value is another digest.
    assert other.recorded_lines != made.recorded_lines


def test_the_record_keeps_a_template_by_its_path() -> None:
    asked = task()
    kept = declared(asked, nothing(asked)).recorded_options
    assert kept["template"] == "/usr/share/lxc/templates/lxc-busybox"
    assert not {"state", "purge", "gpg_key_id", "disable_gpg", "lxc_path"} & set(kept)


HOOK = """
import subprocess
hook, place = args
mounts = module("_mounts")

def run():
    return subprocess.run(f"{hook} web lxc pre-start", shell=True, stderr=subprocess.DEVNULL).returncode

codes = [run(), run()]
flags = os.statvfs(place).f_flag
found = {
    "codes": codes,
    "mounts": mounts.read_mount_points().count(place),
    "mode": os.stat(place).st_mode & 0o777,
    "flags": [name for name in ("ST_NOSUID", "ST_NODEV", "ST_NOEXEC", "ST_RDONLY") if flags & getattr(os, name)],
    "bytes": os.statvfs(place).f_blocks * os.statvfs(place).f_frsize,
}
mounts.unmount(place)
os.rmdir(place)
print(json.dumps({**found, "fails without its directory": run() != 0}))
"""


@pytest.mark.parametrize("name", ["plain", "with blank", "with 'quotes' and \"more\"", "$(reboot) `x` \\ # ;&|*"])
def test_the_hook_mounts_secrets_whoever_starts_the_container(tmp_path: Path, name: str) -> None:
    """As liblxc runs it: by a shell, with words of its own behind. Twice is once."""
    asked = task(alloc_dir=str(tmp_path / name))
    place = Path(place_of(asked).secrets)
    place.mkdir(parents=True)
    block = declared(asked, nothing(asked)).block
    (command,) = [value for key, value in block if key == "lxc.hook.pre-start"]
    assert with_own_mounts(HOOK, command, str(place)) == {
        "codes": [0, 0],
        "mounts": 1,
        "mode": 0o700,
        "flags": ["ST_NOSUID", "ST_NODEV", "ST_NOEXEC"],
        "bytes": 1024 * 1024,
        "fails without its directory": True,
    }
