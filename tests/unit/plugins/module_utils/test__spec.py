# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call's parameters: the contract's table of options, their good and bad values, and all faults at once."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _policy
from ansible_collections.nomadic.lxc.plugins.module_utils._config import render
from ansible_collections.nomadic.lxc.plugins.module_utils._config_lines import parse
from ansible_collections.nomadic.lxc.plugins.module_utils._declare import declare
from ansible_collections.nomadic.lxc.plugins.module_utils._rules import schema
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import ARGUMENT_SPEC, parse_task, validate
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import (
    LXC_PATH,
    nothing,
    params,
    spec,
    task,
)
from hypothesis import given
from hypothesis import strategies as st

S = 10**9
NONE = None

# Name: type, default, choices; and for lists, what is in them. It is the public interface.
TABLE: dict[str, tuple[t.Any, ...]] = {
    "name": ("str", NONE),
    "alloc_id": ("str", NONE),
    "handle": ("json", NONE),
    "state": ("str", "started", ["started", "present", "stopped", "restarted", "frozen", "absent"]),
    "template": ("str", NONE),
    "distro": ("str", NONE),
    "release": ("str", NONE),
    "arch": ("str", NONE),
    "image_variant": ("str", NONE),
    "image_server": ("str", NONE),
    "gpg_key_id": ("str", NONE),
    "gpg_key_server": ("str", NONE),
    "disable_gpg": ("bool", False),
    "flush_cache": ("bool", False),
    "force_cache": ("bool", False),
    "template_args": ("list", NONE, NONE, "str"),
    "backing_store": ("str", "dir", ["dir", "overlay"]),
    "log_level": ("str", "error", ["trace", "debug", "info", "warn", "error"]),
    "verbosity": ("str", "quiet", ["quiet", "verbose"]),
    "volumes": ("list", NONE, NONE, "str"),
    "mounts": ("list", NONE, NONE, "dict"),
    "devices": ("list", NONE, NONE, "dict"),
    "memory_mb": ("int", NONE),
    "cpu_shares": ("int", NONE),
    "kill_timeout": ("str", NONE),
    "max_kill_timeout": ("str", "30s"),
    "network_mode": ("str", "host", ["host", "bridge", "empty"]),
    "network_link": ("str", "lxcbr0"),
    "host_network_admin": ("bool", False),
    "volumes_enabled": ("bool", True),
    "default_config": ("path", NONE),
    "hostname": ("str", NONE),
    "init": ("str", NONE),
    "environment": ("dict", NONE),
    "autostart": ("bool", False),
    "unprivileged": ("bool", False),
    "idmap_base": ("int", NONE),
    "idmap_size": ("int", 65536),
    "lxc_config": ("dict", NONE),
    "recreate": ("str", "never", ["never", "on_change", "always"]),
    "restart_on_change": ("bool", True),
    "purge": ("bool", False),
    "lxc_path": ("path", NONE),
    "alloc_dir": ("path", "/var/lib/nomadic-lxc/alloc"),
}
SUBOPTIONS = {
    "mounts": {
        "source": ("str", NONE, NONE, True),
        "target": ("str", NONE, NONE, True),
        "read_only": ("bool", False, NONE, False),
        "create": ("str", "auto", ["auto", "dir", "file"], False),
    },
    "devices": {
        "path": ("str", NONE, NONE, True),
        "target": ("str", NONE, NONE, False),
        "permissions": ("str", "rwm", NONE, False),
    },
}
POLICY = {
    "lxc_path",
    "alloc_dir",
    "volumes_enabled",
    "max_kill_timeout",
    "network_mode",
    "network_link",
    "host_network_admin",
    "default_config",
}


def test_the_argument_spec_is_the_public_interface() -> None:
    found = {
        name: (row["type"], row.get("default"), row.get("choices"), row.get("elements"))[: len(TABLE.get(name, "1234"))]
        for name, row in ARGUMENT_SPEC.items()
    }
    assert found == TABLE
    assert not any(row.get("required") for row in ARGUMENT_SPEC.values())


@pytest.mark.parametrize("option", sorted(SUBOPTIONS))
def test_the_suboptions_are_the_public_interface(option: str) -> None:
    rows = ARGUMENT_SPEC[option]["options"]
    found = {
        name: (row["type"], row.get("default"), row.get("choices"), row.get("required", False))
        for name, row in rows.items()
    }
    assert found == SUBOPTIONS[option]


def test_the_policy_options() -> None:
    assert set(_policy.POLICY) == POLICY


def test_the_schema_has_the_keys_of_the_argument_spec() -> None:
    assert set(schema().schema) == set(ARGUMENT_SPEC)


def test_only_the_environment_is_kept_from_logs() -> None:
    """A key's id and its server are public; Ansible would warn of a name with "key" in it that does not say so."""
    assert [name for name, row in ARGUMENT_SPEC.items() if row.get("no_log")] == ["environment"]
    assert ARGUMENT_SPEC["gpg_key_id"]["no_log"] is ARGUMENT_SPEC["gpg_key_server"]["no_log"] is False


# ---- values


@pytest.mark.parametrize(
    ("option", "value", "normalized"),
    [
        ("template", "busybox", "busybox"),
        ("template", "/srv/lxc-mine", "/srv/lxc-mine"),
        ("distro", "alpine", "alpine"),
        ("release", "3.20", "3.20"),
        ("arch", "amd64", "amd64"),
        ("image_variant", "cloud", "cloud"),
        ("image_server", "images.example.org", "images.example.org"),
        ("gpg_key_id", "0xBAEF", "0xBAEF"),
        ("gpg_key_server", "keys.example.org", "keys.example.org"),
        ("disable_gpg", True, True),
        ("flush_cache", True, True),
        ("force_cache", True, True),
        ("template_args", ["--busybox-path", "/bin/busy box"], ["--busybox-path", "/bin/busy box"]),
        ("template_args", None, []),
        ("volumes", ["/tmp/x:mnt/tmp", "a b:c#d"], ["/tmp/x:mnt/tmp", "a b:c#d"]),
        ("volumes", None, []),
        (
            "mounts",
            [{"source": "/x:y", "target": "/z"}],
            [{"source": "/x:y", "target": "/z", "read_only": False, "create": "auto"}],
        ),
        ("mounts", None, []),
        ("devices", [{"path": "/dev/fuse"}], [{"path": "/dev/fuse", "target": None, "permissions": "rwm"}]),
        # the letters in the kernel's order
        (
            "devices",
            [{"path": "/dev/x", "target": "/dev/y", "permissions": "mr"}],
            [{"path": "/dev/x", "target": "/dev/y", "permissions": "rm"}],
        ),
        ("devices", None, []),
        ("memory_mb", 1, 1),
        ("memory_mb", 1048576, 1048576),
        ("memory_mb", None, None),
        ("cpu_shares", 2, 2),
        ("cpu_shares", 262144, 262144),
        ("cpu_shares", None, None),
        # nanoseconds, below the ceiling
        ("kill_timeout", "10", 10 * S),
        ("kill_timeout", "0.5", S // 2),
        ("kill_timeout", "500ms", S // 2),
        ("kill_timeout", "1m30s", 30 * S),
        ("kill_timeout", "0", 1 * S),
        ("kill_timeout", None, 5 * S),
        ("max_kill_timeout", "2s", "2s"),
        ("network_mode", "host", "host"),
        ("network_mode", "empty", "empty"),
        ("default_config", "/etc/lxc/default.conf", "/etc/lxc/default.conf"),
        ("default_config", "/etc//lxc/", "/etc/lxc"),
        ("hostname", "web", "web"),
        ("hostname", "web-1.example.org", "web-1.example.org"),
        ("hostname", "x" * 64, "x" * 64),
        # the container's name
        ("hostname", None, "web"),
        ("init", "/sbin/init --x 'a b'", "/sbin/init --x 'a b'"),
        ("init", None, None),
        (
            "environment",
            {"A": "b", "B": 1, "C": "", "D": None, "E": "x=y # \"'"},
            {"A": "b", "B": "1", "C": "", "D": "", "E": "x=y # \"'"},
        ),
        ("environment", None, {}),
        ("autostart", True, True),
        ("lxc_config", {"lxc.tty.max": 4}, {"lxc.tty.max": ["4"]}),
        # booleans become 0 or 1
        ("lxc_config", {"lxc.autodev": True, "lxc.ephemeral": False}, {"lxc.autodev": ["1"], "lxc.ephemeral": ["0"]}),
        ("lxc_config", {"lxc.cap.drop": ["a", True]}, {"lxc.cap.drop": ["a", "1"]}),
        ("lxc_config", {"lxc.net.0.ipv4.address": "10.0.3.7/24"}, {"lxc.net.0.ipv4.address": ["10.0.3.7/24"]}),
        ("lxc_config", {"lxc.net.0.hwaddr": "00:16:3e:00:00:01"}, {"lxc.net.0.hwaddr": ["00:16:3e:00:00:01"]}),
        ("lxc_config", {"lxc.hook.start": "/x"}, {"lxc.hook.start": ["/x"]}),
        ("lxc_config", None, {}),
        ("alloc_dir", "/srv//allocs/", "/srv/allocs"),
    ],
)
def test_good_values(option: str, value: t.Any, normalized: t.Any) -> None:
    given = {"name": "web", "template": "busybox", option: value}
    found, faults = parse_task(params(**given), LXC_PATH)
    assert faults == []
    assert found is not None
    if option == "max_kill_timeout":
        assert found.max_kill_timeout == 2 * S
        assert found.options["kill_timeout"] == 2 * S
    else:
        assert found.options[option] == normalized


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("name", "", "name"),
        ("name", "..", "name"),
        ("name", "a/b", "name"),
        ("name", "alloc", "name"),
        ("name", "x" * 65, "64"),
        ("alloc_id", "", "alloc_id"),
        ("alloc_id", "..", "alloc_id"),
        ("alloc_id", "x" * 61, "64"),
        ("template", "", "template"),
        ("template", " ", "template"),
        ("template", "../busybox", "template"),
        ("template", "a/b", "template"),
        ("template_args", ["x", " "], "template_args"),
        ("volumes", ["foo:/var"], "unsupported absolute container mount point: '/var'"),
        ("volumes", [":"], "invalid volume bind mount entry: ':'"),
        ("volumes", ["abc:"], "invalid volume bind mount entry: 'abc:'"),
        ("volumes", [":def"], "invalid volume bind mount entry: ':def'"),
        ("volumes", ["abc:def:ghi"], "invalid volume bind mount entry: 'abc:def:ghi'"),
        ("volumes", ["a:b/../../c"], "'..'"),
        ("volumes", ["a:."], "root"),
        ("mounts", [{"source": "/x", "target": "/a/../../b"}], "'..'"),
        ("mounts", [{"source": "/x", "target": ".."}], "'..'"),
        ("mounts", [{"source": "/x", "target": ""}], "root"),
        ("mounts", [{"source": "/x", "target": "/"}], "root"),
        ("mounts", [{"source": "", "target": "/x"}], "source"),
        ("devices", [{"path": ""}], "path"),
        ("devices", [{"path": "/dev/../x"}], "'..'"),
        ("devices", [{"path": "/dev/x", "target": "/../y"}], "'..'"),
        ("devices", [{"path": "/dev/x", "permissions": ""}], "permissions"),
        ("devices", [{"path": "/dev/x", "permissions": "x"}], "permissions"),
        ("devices", [{"path": "/dev/x", "permissions": "rr"}], "permissions"),
        ("devices", [{"path": "/dev/x", "permissions": "rw "}], "permissions"),
        ("memory_mb", 0, "memory_mb"),
        ("memory_mb", -1, "memory_mb"),
        ("memory_mb", True, "memory_mb"),  # to Ansible, a truth value is a whole number
        ("memory_mb", 2**63, "memory_mb"),
        ("cpu_shares", 1, "cpu_shares"),
        ("cpu_shares", 0, "cpu_shares"),
        ("cpu_shares", 262145, "cpu_shares"),
        ("kill_timeout", "soon", "kill_timeout"),
        ("kill_timeout", "1d", "kill_timeout"),
        ("kill_timeout", "", "kill_timeout"),
        ("max_kill_timeout", "30 s", "max_kill_timeout"),
        ("network_link", "", "network_link"),
        ("network_link", "a/b", "network_link"),
        ("network_link", "x" * 16, "network_link"),
        ("network_link", "a b", "network_link"),
        ("default_config", "lxc.conf", "default_config"),
        ("default_config", "/a/../b", "default_config"),
        ("hostname", "", "hostname"),
        ("hostname", "a b", "hostname"),
        ("hostname", "-a", "hostname"),
        ("hostname", "x" * 65, "hostname"),
        ("init", "", "init"),
        ("init", "  ", "init"),
        ("environment", {"": "x"}, "environment"),
        ("environment", {"A=B": "x"}, "environment"),
        ("environment", {"A": ["x"]}, "environment"),
        ("environment", {"A": {"B": "x"}}, "environment"),
        ("lxc_config", {"": "x"}, "lxc_config"),
        ("lxc_config", {"lxc": "x"}, "lxc_config"),
        ("lxc_config", {"tty.max": 4}, "lxc_config"),
        ("lxc_config", {"lxc.tty max": 4}, "lxc_config"),
        ("lxc_config", {"lxc.a = b\rlxc.b": 4}, "lxc_config"),
        ("lxc_config", {"lxc.tty.max=1": 4}, "lxc_config"),
        ("lxc_config", {"lxc.tty.max": {"a": 1}}, "lxc.tty.max"),
        ("lxc_config", {"lxc.tty.max": [["a"]]}, "lxc.tty.max"),
        ("lxc_config", {7: "x"}, "lxc_config"),
        ("lxc_path", "lxc", "lxc_path"),
        ("lxc_path", "", "lxc_path"),
        ("lxc_path", "/a/../b", "lxc_path"),
        ("alloc_dir", "allocs", "alloc_dir"),
        ("alloc_dir", "/a/..", "alloc_dir"),
    ],
)
def test_bad_values(option: str, value: t.Any, said: str) -> None:
    _found, faults = parse_task(params(**{"name": "web", "template": "busybox", option: value}), LXC_PATH)
    assert len(faults) == 1
    assert said in faults[0]


# By name, each of these.
OWNED = (
    ["lxc.net.0.type", "lxc.net.0.link", "lxc.net.0.flags", "lxc.net.00.type"]
    + ["lxc.mount.entry", "lxc.mount.fstab", "lxc.mount.auto"]
    + ["lxc.cgroup.memory.limit_in_bytes", "lxc.cgroup2.memory.max", "lxc.cgroup.cpu.shares", "lxc.cgroup2.cpu.weight"]
    + ["lxc.cgroup.devices.allow", "lxc.cgroup.devices.deny", "lxc.cgroup2.devices.allow", "lxc.cgroup2.devices.deny"]
    + ["lxc.log.file", "lxc.log.level", "lxc.log.syslog", "lxc.rootfs.path", "lxc.rootfs.mount", "lxc.rootfs.options"]
    + ["lxc.uts.name", "lxc.init.cmd", "lxc.environment", "lxc.start.auto", "lxc.include"]
)


@pytest.mark.parametrize("key", OWNED)
def test_owned_keys_are_refused_by_name(key: str) -> None:
    _found, faults = parse_task(
        params(name="web", template="busybox", lxc_config={"lxc.tty.max": 1, key: "1"}), LXC_PATH
    )
    assert len(faults) == 1
    assert key in faults[0]
    assert "lxc.tty.max" not in faults[0]


def test_all_owned_keys_are_named() -> None:
    _found, faults = parse_task(params(name="web", template="busybox", lxc_config=dict.fromkeys(OWNED, "1")), LXC_PATH)
    assert all(any(key in fault for fault in faults) for key in OWNED)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        # kept beside a drop, liblxc can't load it
        ({"lxc_config": {"lxc.cap.keep": "chown", "lxc.cap.drop": "mknod"}, "network_mode": "empty"}, "lxc.cap.drop"),
        # on host networking, in any spelling that liblxc takes
        ({"lxc_config": {"lxc.cap.keep": "net_admin"}}, "net_admin"),
        (
            {"network_mode": "empty", "lxc_config": {"lxc.cap.keep": "net_admin", "lxc.namespace.share.net": "1"}},
            "net_admin",
        ),
        ({"lxc_config": {"lxc.cap.keep": "chown net_admin"}}, "net_admin"),
        ({"lxc_config": {"lxc.cap.keep": ["chown", "net_admin mknod"]}}, "net_admin"),
        ({"lxc_config": {"lxc.cap.keep": 12}}, "net_admin"),
        ({"lxc_config": {"lxc.cap.keep": "0xc"}}, "net_admin"),
        ({"lxc_config": {"lxc.cap.keep": "0X0C"}}, "net_admin"),
        ({"lxc_config": {"lxc.cap.keep": "014"}}, "net_admin"),
        ({"lxc_config": {"lxc.cap.keep": "+12"}}, "net_admin"),
        ({"lxc_config": {"lxc.cap.keep": "chown\tnet_admin"}}, "net_admin"),
        # the operator's switch
        ({"lxc_config": {"lxc.hook.start": "/x"}, "volumes_enabled": False}, "lxc.hook.start"),
        ({"lxc_config": {"lxc.hook.pre-start": "/x"}, "volumes_enabled": False}, "lxc.hook.pre-start"),
        ({"lxc_config": {"lxc.console.logfile": "/etc/x"}, "volumes_enabled": False}, "lxc.console.logfile has a file"),
        ({"lxc_config": {"lxc.hook.version": "1"}, "volumes_enabled": False}, "lxc.hook.version"),
        ({"lxc_config": {"lxc.net.1.script.up": "/x"}, "volumes_enabled": False}, "lxc.net.1.script.up"),
        # an alloc of no task
        ({"name": None, "alloc_id": "a", "handle": '{"ContainerName":"db","LxcPath":"/l"}'}, "alloc_id"),
        # the download template would ask at a terminal
        ({"template": "download"}, "distro, release, arch"),
        ({"template": "download", "distro": "alpine", "arch": "amd64"}, "release"),
        # a name that makes a container of another name than the handle
        ({"handle": '{"ContainerName":"db","LxcPath":"/l"}'}, "handle"),
    ],
)
def test_what_does_not_go_together(given: dict[str, t.Any], said: str) -> None:
    _found, faults = parse_task(params(**{"name": "web", "template": "busybox", **given}), LXC_PATH)
    assert len(faults) == 1
    assert said in faults[0]


@pytest.mark.parametrize(
    "given",
    [
        {"lxc_config": {"lxc.cap.keep": "net_admin"}, "host_network_admin": True},
        {"lxc_config": {"lxc.cap.keep": "net_admin"}, "network_mode": "bridge"},
        {"lxc_config": {"lxc.cap.keep": "chown 13 0xd 013 112"}},
        {"lxc_config": {"lxc.cap.drop": "net_admin"}},
        {"lxc_config": {"lxc.hook.start": "/x"}},
        {"volumes_enabled": False, "lxc_config": {"lxc.tty.max": 1}},
        {"handle": '{"ContainerName":"web","LxcPath":"/l"}'},
        {"template": "download", "distro": "alpine", "release": "3.20", "arch": "amd64"},
    ],
)
def test_what_goes_together(given: dict[str, t.Any]) -> None:
    assert parse_task(params(**{"name": "web", "template": "busybox", **given}), LXC_PATH)[1] == []


# ---- declaration and command


@pytest.mark.parametrize(
    ("given", "declares"),
    [
        ({"template": "busybox"}, True),
        ({"template": "busybox", "state": "present"}, True),
        ({"template": "busybox", "state": "restarted"}, True),
        ({"template": "busybox", "state": "frozen"}, True),
        ({}, False),
        ({"state": "present"}, False),
        ({"state": "restarted"}, False),
        ({"state": "frozen"}, False),
        ({"state": "stopped"}, False),
        ({"state": "absent"}, False),
    ],
)
def test_a_template_declares(given: dict[str, t.Any], declares: bool) -> None:
    assert spec(**given).declares is declares


CONFIGURATION: dict[str, t.Any] = {
    "distro": "alpine",
    "release": "3.20",
    "arch": "amd64",
    "image_variant": "cloud",
    "image_server": "images.example.org",
    "gpg_key_id": "0xBAEF",
    "gpg_key_server": "keys.example.org",
    "disable_gpg": True,
    "flush_cache": True,
    "force_cache": True,
    "template_args": ["x"],
    "backing_store": "overlay",
    "log_level": "debug",
    "volumes": ["a:b"],
    "mounts": [{"source": "/a", "target": "/b"}],
    "devices": [{"path": "/dev/fuse"}],
    "memory_mb": 64,
    "cpu_shares": 512,
    "hostname": "w",
    "init": "/bin/sh",
    "environment": {"A": "b"},
    "autostart": True,
    "lxc_config": {"lxc.tty.max": "1"},
    "unprivileged": True,
    "idmap_base": 1000000,
    "idmap_size": 1000,
}
POLICY_VALUES: dict[str, t.Any] = {
    "lxc_path": "/srv/lxc",
    "alloc_dir": "/srv/allocs",
    "volumes_enabled": False,
    "max_kill_timeout": "1m",
    "network_mode": "bridge",
    "network_link": "br0",
    "host_network_admin": True,
    "default_config": "/etc/lxc/default.conf",
}
COMMANDS = ["started", "present", "stopped", "restarted", "frozen", "absent"]


@pytest.mark.parametrize("option", sorted(CONFIGURATION))
@pytest.mark.parametrize("state", COMMANDS)
def test_a_configuration_option_with_a_command_is_an_error(state: str, option: str) -> None:
    _found, faults = parse_task(params(name="web", state=state, **{option: CONFIGURATION[option]}), LXC_PATH)
    assert len(faults) == 1
    assert option in faults[0]
    assert "command" in faults[0]


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_a_template_with_these_is_an_error_too(state: str) -> None:
    _found, faults = parse_task(params(name="web", state=state, template="busybox"), LXC_PATH)
    assert len(faults) == 1
    assert "template" in faults[0]


@pytest.mark.parametrize("state", COMMANDS)
def test_policy_and_kill_timeout_go_with_a_command(state: str) -> None:
    given = {**POLICY_VALUES, "kill_timeout": "2s", "purge": True, "recreate": "always", "restart_on_change": False}
    assert parse_task(params(name="web", state=state, **given), LXC_PATH)[1] == []


def test_every_option_is_one_or_the_other() -> None:
    others = {
        "name",
        "alloc_id",
        "handle",
        "state",
        "template",
        "verbosity",
        "kill_timeout",
        "recreate",
        "restart_on_change",
        "purge",
    }
    assert set(CONFIGURATION) | set(POLICY_VALUES) | others == set(ARGUMENT_SPEC)
    assert set(POLICY_VALUES) == POLICY


# ---- who it is

HANDLE = '{"ContainerName":"my box","InitPid":4242,"LxcPath":"/srv/lxc/","KillTimeout":7000000000}'


def test_by_name() -> None:
    found = spec(name="web", alloc_id="5e1d", alloc_dir="/a")
    assert (found.container_name, found.lxc_path, found.by_handle) == ("web-5e1d", LXC_PATH, False)
    assert found.layout is not None
    assert found.layout.task == "/a/5e1d/web"


def test_by_handle() -> None:
    found = spec(handle=HANDLE, state="stopped", lxc_path="/elsewhere")
    # To the letter: by another spelling of the path liblxc would not find that the container runs.
    assert (found.container_name, found.lxc_path, found.by_handle) == ("my box", "/srv/lxc/", True)
    assert (found.name, found.layout) == (None, None)


def test_where_containers_live() -> None:
    for spelling in ("/srv//lxc/", "//srv/lxc", "///srv/./lxc"):
        assert spec(lxc_path=spelling).lxc_path == "/srv/lxc"
    assert spec().lxc_path == LXC_PATH


@pytest.mark.parametrize("given", [{}, {"alloc_id": "5e1d"}, {"template": "busybox"}])
def test_a_name_or_a_handle_is_needed(given: dict[str, t.Any]) -> None:
    found, faults = parse_task(params(**given), LXC_PATH)
    assert found is None
    assert len(faults) == 1
    assert "name" in faults[0] and "handle" in faults[0]


@pytest.mark.parametrize(
    ("given", "recorded", "effective"),
    [
        # unset: the handle's, else the record's in a command, else 5s
        ({"handle": HANDLE}, None, 7 * S),
        ({"handle": HANDLE}, 9 * S, 7 * S),
        ({"name": "web"}, 9 * S, 9 * S),
        ({"name": "web"}, None, 5 * S),
        ({"handle": '{"ContainerName":"x","LxcPath":"/l"}'}, 9 * S, 9 * S),
        ({"handle": '{"ContainerName":"x","LxcPath":"/l"}'}, None, 5 * S),
        # given
        ({"handle": HANDLE, "kill_timeout": "2"}, 9 * S, 2 * S),
        ({"name": "web", "kill_timeout": "250ms"}, 9 * S, S // 4),
        # the operator's ceiling
        ({"handle": HANDLE, "max_kill_timeout": "3s"}, None, 3 * S),
        ({"name": "web", "max_kill_timeout": "3s"}, 9 * S, 3 * S),
        ({"name": "web", "kill_timeout": "1h"}, None, 30 * S),
        ({"name": "web", "kill_timeout": "1h", "max_kill_timeout": "0"}, None, 10 * S),
        ({"name": "web", "kill_timeout": "1h", "max_kill_timeout": "2h"}, None, 3600 * S),
        # zero or less
        ({"name": "web", "kill_timeout": "0"}, 9 * S, 1 * S),
        ({"name": "web", "kill_timeout": "-5s"}, 9 * S, 1 * S),
        ({"handle": '{"ContainerName":"x","LxcPath":"/l","KillTimeout":0}'}, None, 1 * S),
    ],
)
def test_kill_timeout_of_a_command(given: dict[str, t.Any], recorded: int | None, effective: int) -> None:
    assert spec(state="stopped", **given).effective_kill_timeout(recorded) == effective


def test_what_has_no_effect_is_not_of_the_task() -> None:
    """Otherwise the same task by another default of the operator's would be another one."""
    assert (
        task(network_mode="host", network_link="br1").options == task(network_mode="host", network_link="br2").options
    )
    assert task(network_mode="empty", host_network_admin=True).options == task(network_mode="empty").options
    assert (
        task(network_mode="bridge", network_link="br1").options
        != task(network_mode="bridge", network_link="br2").options
    )
    assert task(network_mode="host", host_network_admin=True).options != task(network_mode="host").options


# ---- newlines


def holding(option: str, text: str) -> t.Iterator[t.Any]:
    """Every value of an option that holds a text somewhere; none if it can hold no text."""
    row = ARGUMENT_SPEC[option]
    if row["type"] in ("str", "path"):
        yield text
    elif row["type"] == "dict":
        yield from ({"lxc.tty.max": text}, {"lxc.tty.max": ["1", text]}, {text: "1"}, {"A": "b", "C": {"D": [text]}})
    elif row.get("elements") == "str":
        yield from ([text], ["a:b", text])
    elif row.get("elements") == "dict":
        good = {"source": "/a", "target": "/b", "path": "/dev/x", "permissions": "r", "create": "auto"}
        right = {name: good[name] for name in row["options"] if name in good}
        for name, inner in row["options"].items():
            if inner["type"] == "str":
                yield [right, {**right, name: text}]


TEXTUAL = [option for option, row in ARGUMENT_SPEC.items() if row["type"] not in ("int", "bool", "json")]
CASES = [(option, number) for option in TEXTUAL for number, _value in enumerate(holding(option, ""))]


def test_all_options_that_hold_text_are_tried() -> None:
    assert {option for option, _number in CASES} == set(TEXTUAL)
    assert {"name", "environment", "lxc_config", "mounts", "devices", "volumes", "alloc_dir", "gpg_key_id"} <= set(
        TEXTUAL
    )


# To liblxc a carriage return ends a line as a newline does.
@pytest.mark.parametrize(
    "text",
    [
        "a\nb",
        "\n",
        "a\n",
        "a\0b",
        "\0",
        "/a\nlxc.hook.start = /x",
        "a\r\nb",
        "/a\rlxc.hook.start = /x",
        "a\r",
        "a\ud800",
    ],
)
@pytest.mark.parametrize(("option", "number"), CASES)
def test_a_newline_or_nul_in_any_value_of_any_option_is_refused(option: str, number: int, text: str) -> None:
    value = list(holding(option, text))[number]
    found, faults = parse_task(params(**{"name": "web", "template": "busybox", option: value}), LXC_PATH)
    assert found is None or option not in ("name", "alloc_id", "lxc_path")
    assert len(faults) == 1
    assert faults[0].startswith(f"{option}: ")
    if option == "environment":
        assert "hook" not in faults[0]


@pytest.mark.parametrize(
    "handle",
    [
        '{"ContainerName":"a\\nb","LxcPath":"/l"}',
        '{"ContainerName":"a\nb","LxcPath":"/l"}',
        '{"ContainerName":"a\\u0000","LxcPath":"/l"}',
        '{"ContainerName":"a","LxcPath":"/l\\nlxc.hook.start = /x"}',
        '{"ContainerName":"a","LxcPath":"/l\nlxc.hook.start = /x"}',
        '{"ContainerName":"a","LxcPath":"/l\\u0000"}',
        '{"ContainerName":"a\\rb","LxcPath":"/l"}',
        '{"ContainerName":"a","LxcPath":"/l\\rlxc.hook.start = /x"}',
    ],
)
def test_a_newline_or_nul_in_a_handle_is_refused(handle: str) -> None:
    found, faults = parse_task(params(handle=handle, state="stopped"), LXC_PATH)
    assert found is None
    assert len(faults) == 1
    assert "Failed to parse handle" in faults[0]


# ---- all faults at once


def test_all_faults_are_told_at_once() -> None:
    _found, faults = parse_task(
        params(
            name="..",
            alloc_id="a/b",
            template="a/b",
            template_args=[""],
            volumes=[":", "foo:/var", "a:b/.."],
            mounts=[{"source": "", "target": "/x"}, {"source": "/x", "target": ".."}],
            devices=[{"path": "", "target": "x"}, {"path": "/x", "permissions": "q"}],
            memory_mb=0,
            cpu_shares=1,
            kill_timeout="x",
            max_kill_timeout="y",
            network_link="/",
            default_config="x",
            hostname="-",
            init="",
            environment={"=": "x"},
            lxc_config={"lxc.uts.name": "x"},
            lxc_path="x",
            alloc_dir="x",
        ),
        LXC_PATH,
    )
    for option in (
        ["name", "alloc_id", "template", "template_args", "volumes", "mounts", "devices", "memory_mb", "cpu_shares"]
        + ["kill_timeout", "max_kill_timeout", "network_link", "default_config", "hostname", "init", "environment"]
        + ["lxc_config", "lxc_path", "alloc_dir"]
    ):
        assert any(fault.startswith((f"{option}: ", f"{option} ", f"invalid {option} ")) for fault in faults), option
    for message in (
        "invalid volume bind mount entry: ':'",
        "unsupported absolute container mount point: '/var'",
        "the target 'b/..' has '..' in it",
        "the target '..' has '..' in it",
        "the source of the target '/x' is empty",
        "the path of a device is empty",
        "the permissions 'q' of '/x'",
    ):
        assert sum(message in fault for fault in faults) == 1, message
    assert len(faults) == len(set(faults)) == 23


def test_what_a_newline_spoils_does_not_hide_the_other_faults() -> None:
    given = params(name="web", template="busybox", init="a\nb", volumes=["foo:/var"], memory_mb=0)
    found, faults = parse_task(given, LXC_PATH)
    assert found is not None
    assert found.declares
    assert [fault.partition(" ")[0] for fault in faults] == ["init:", "volumes:", "memory_mb"]


def test_what_a_newline_spoils_does_not_hide_what_is_wrong_with_the_name() -> None:
    _found, faults = parse_task(params(name="-a", template="busybox", hostname="x\ny"), LXC_PATH)
    assert [fault.partition(" ")[0] for fault in faults] == ["hostname:", "invalid"]


@pytest.mark.parametrize(
    ("option", "given", "count", "left"),
    [
        ("volumes", ["/srv:x", "z", "/nope:y"], 1, ["/srv:x", "/nope:y"]),
        ("volumes", ["z", ":", "/srv:x"], 2, ["/srv:x"]),
        ("template_args", ["", "-x"], 1, ["-x"]),
        ("environment", {"A": [1], "B": "b", "=": "c"}, 2, {"B": "b"}),
        ("lxc_config", {"tty": 1, "lxc.net.0.type": "x", "foo": 2, "lxc.tty.max": 4}, 3, {"lxc.tty.max": ["4"]}),
    ],
)
def test_one_wrong_value_hides_no_other(option: str, given: t.Any, count: int, left: t.Any) -> None:
    values, faults = validate({option: given})
    assert len(faults) == count
    assert all(fault.startswith(f"{option}: ") for fault in faults)
    assert values[option] == left


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lxc.ephemeral": 1}, "lxc.ephemeral"),
        ({"lxc.namespace.keep": "user net"}, "use network_mode host"),
        ({"lxc.namespace.clone": ["pid", "mnt"]}, "use network_mode host"),
        ({"lxc.namespace.clone": ["net", "", "pid mnt"]}, "use network_mode host"),
    ],
)
def test_keys_that_no_task_can_have(given: dict[str, t.Any], said: str) -> None:
    (fault,) = validate({"lxc_config": given})[1]
    assert said in fault


def test_keys_that_only_look_like_those() -> None:
    given = {"lxc.ephemeral": "00", "lxc.namespace.keep": ["net", "", "user"], "lxc.namespace.clone": ["pid", "net"]}
    assert validate({"lxc_config": given})[1] == []


@pytest.mark.parametrize(
    ("option", "given", "read"),
    [
        ("distro", "", None),
        ("image_server", "", None),
        ("gpg_key_id", "", None),
        ("template", "/usr/share/lxc//templates/./lxc-busybox", "/usr/share/lxc/templates/lxc-busybox"),
        ("template", "/a/../b", "/a/../b"),
    ],
)
def test_the_same_said_otherwise(option: str, given: str, read: str | None) -> None:
    assert validate({option: given}) == validate({option: read})


@pytest.mark.parametrize("given", [{"memory_mb": 0}, {"lxc_config": {"x": 1}}, {"init": "a\nb"}])
def test_a_wrong_option_of_a_command_is_one_too_many_all_the_same(given: dict[str, t.Any]) -> None:
    _found, faults = parse_task(params(name="web", state="stopped", **given), LXC_PATH)
    assert any("the call is a command" in fault for fault in faults)


def test_a_task_with_faults_can_still_be_judged_by_its_host() -> None:
    found, faults = parse_task(params(name="web", template="busybox", memory_mb=0, volumes=["/a:b", ":"]), LXC_PATH)
    assert len(faults) == 2
    assert found is not None
    assert found.declares


def test_a_secret_is_named_in_no_fault() -> None:
    given = {"A": ["hunter2"], "=": "hunter2", "B\n": "hunter2", "C": "hunter2\n"}
    for environment in ({key: value} for key, value in given.items()):
        _found, faults = parse_task(params(name="web", template="busybox", environment=environment), LXC_PATH)
        assert faults
        assert "hunter2" not in "".join(faults)


# ---- any input

ODD = st.text(st.one_of(st.sampled_from("./:=, \t\"'#\\\r-lxc0"), st.characters()), max_size=12)
WORDS = st.one_of(
    ODD, ODD.map(lambda text: f"/{text}"), st.sampled_from(["busybox", "a:b", "5s", "web", "lxc.tty.max"])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(WORDS, inner, max_size=2)),
    max_leaves=3,
)


def any_of(row: t.Mapping[str, t.Any]) -> st.SearchStrategy[t.Any]:
    """Whatever Ansible's argument spec lets through for an option."""
    if row.get("choices"):
        return st.sampled_from(row["choices"])
    if row.get("options"):
        inner = {
            name: any_of(it) if it.get("required") or "default" in it else st.one_of(st.none(), any_of(it))
            for name, it in row["options"].items()
        }
        return st.lists(st.fixed_dictionaries(inner), max_size=2)
    return {
        "str": WORDS,
        "path": WORDS,
        "json": st.one_of(WORDS, st.just(HANDLE)),
        "bool": st.booleans(),
        "int": st.integers(),
        "list": st.lists(WORDS, max_size=2),
        "dict": st.dictionaries(
            st.one_of(WORDS, WORDS.map(lambda word: f"lxc.{word}"), st.integers()), VALUES, max_size=2
        ),
    }[row["type"]]


CALLS = st.fixed_dictionaries({}, optional={name: any_of(row) for name, row in ARGUMENT_SPEC.items()})


@given(CALLS)
def test_any_call_is_a_task_or_has_faults(call: dict[str, t.Any]) -> None:
    found, faults = parse_task(params(**call), LXC_PATH)
    assert found is not None or faults
    assert all(isinstance(fault, str) and fault for fault in faults)


# Whatever may stand in a path or a value: all but a line end, NUL and half a character.
LINES = st.text(
    st.one_of(
        st.sampled_from(" \t\"'#=\\\\:\x0b"), st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"])
    ),
    max_size=12,
)
PLACES = LINES.map(lambda text: f"x{text}").filter(lambda text: ".." not in text.split("/"))
RIGHT = st.fixed_dictionaries(
    {
        "environment": st.dictionaries(
            LINES.map(lambda text: f"A{text}").filter(lambda text: "=" not in text), LINES, max_size=3
        ),
        "lxc_config": st.dictionaries(
            st.sampled_from(["lxc.cap.drop", "lxc.tty.max", "lxc.net.0.name"]), st.lists(LINES, max_size=2), max_size=3
        ),
        "volumes": st.lists(
            st.tuples(PLACES, PLACES)
            .map(lambda pair: (pair[0].replace(":", ""), pair[1].replace(":", "")))
            .map(":".join),
            max_size=2,
        ),
        "mounts": st.lists(
            st.fixed_dictionaries({"source": PLACES, "target": PLACES, "read_only": st.booleans()}), max_size=2
        ),
        "devices": st.lists(
            st.fixed_dictionaries({"path": PLACES, "target": st.one_of(st.none(), PLACES)}), max_size=2
        ),
        "init": PLACES,
        "network_mode": st.sampled_from(["host", "bridge", "empty"]),
        "alloc_dir": PLACES.map(lambda text: f"/{text}"),
    }
)


@given(RIGHT)
def test_the_configuration_of_a_right_task_reads_back(call: dict[str, t.Any]) -> None:
    asked = task(**call)
    found, faults = declare(asked, nothing(asked))
    # Two mounts on one target are the only fault that these can have.
    assert all("have the target" in fault for fault in faults)
    lines = render(found.block)
    assert not any("\n" in line for line in lines)
    assert tuple(parse("\n".join(lines))) == found.block
