# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option table of a task: one row per option. Adding an option is adding a row.

A row says how Ansible reads the option, when a change of it takes effect, and which lines it has in the container's
LXC configuration. The rows stand in the order of their lines: the network's first, for liblxc forgets a network's addresses
when it reads its type; then the user's own keys, so that all else of ours is last.
"""

from __future__ import annotations

import functools
import hashlib
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_text,
    _config_lines,
    _entries,
    _hooks,
    _idmap,
    _names,
    _policy,
    _template,
    _text,
    _volumes,
)

_NETWORK_TYPE = re.compile(r"(lxc\.net\.[0-9]+)\.type")

# When a change of an option takes effect on a task that exists.
NOTHING = "nothing"  # it is not of the task, but of the call
CREATE = "create"  # it only steers how the template works
ROOTFS = "rootfs"  # a new root file system is needed
RESTART = "restart"  # at the next start, which this call may bring about
START = "start"  # at the next start, whenever that is
WRITE = "write"  # as soon as it is written
LIVE = "live"  # on the running task


@dataclass(frozen=True)
class Declared:
    """A task as it shall be. ``directory``: the container's own. ``options``: by name, normalized (see _spec).
    ``resolved``: mounts and devices on this host. ``idmap``: whose ids an unprivileged task's users have on this host;
    ``root_mapped``: the kernel shows its root file system with them, so that the files need not have them.
    """

    container_name: str
    directory: str
    layout: _names.Layout
    options: t.Mapping[str, t.Any]
    resolved: _volumes.Resolved
    idmap: _idmap.Idmap | None = None
    root_mapped: bool = False

    # Each is made once, and asked for several times.

    @functools.cached_property
    def lines(self) -> t.Mapping[str, list[_config_lines.Pair]]:
        """Each option's lines of the configuration, of those that have any."""
        return {option.name: option.lines(self) for option in OPTIONS if option.lines is not None}

    @functools.cached_property
    def block(self) -> tuple[_config_lines.Pair, ...]:
        """All lines of the configuration that the options own."""
        return tuple(pair for lines in self.lines.values() for pair in lines)

    @functools.cached_property
    def recorded_options(self) -> dict[str, t.Any]:
        """What the record keeps of the options."""
        return {option.name: option.record(self.options[option.name]) for option in RECORDED}

    @functools.cached_property
    def recorded_lines(self) -> dict[str, list[list[str]]]:
        """What the record keeps of the configuration: of the environment nothing that could be read."""
        return {
            name: [[key, _digest(value) if name == "environment" else value] for key, value in lines]
            for name, lines in self.lines.items()
        }


@dataclass(frozen=True)
class Option:
    """``argument``: Ansible's argument spec. ``configures``: given with a command it is an error. ``lines``: its part of the
    configuration, of the keys ``keys``, for which it also needs the options ``reads``. ``record``: what the record keeps of
    a value. ``show``: what a user is shown of it.
    """

    name: str
    argument: t.Mapping[str, t.Any]
    effect: str = NOTHING
    configures: bool = False
    lines: t.Callable[[Declared], list[_config_lines.Pair]] | None = None
    keys: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    record: t.Callable[[t.Any], t.Any] = field(default=lambda value: value)
    show: t.Callable[[t.Any], t.Any] = field(default=lambda value: value)

    @functools.cached_property
    def default(self) -> t.Any:
        """What the option is when it is not given: lists and dicts are empty then."""
        empty: dict[t.Any, t.Any] = {"list": [], "dict": {}}
        return self.argument.get("default", empty.get(self.argument.get("type")))


def _string(**more: t.Any) -> dict[str, t.Any]:
    return {"type": "str", **more}


def _flag(default: bool) -> dict[str, t.Any]:
    return {"type": "bool", "default": default}


def _user_lines(task: Declared) -> list[_config_lines.Pair]:
    config = dict(task.options["lxc_config"])
    lines: list[_config_lines.Pair] = []
    if "lxc.cap.keep" in config:
        kept = kept_capabilities(config)
        # Beside a drop, the template's say, liblxc refuses to load a keep, also one that is cleared again: it stands instead.
        lines += [("lxc.cap.drop", "")] if kept else []
        cleared = any(not value.strip() for value in config["lxc.cap.keep"])
        config["lxc.cap.keep"] = [*([""] if cleared else []), *kept]
    # In an order of its own, for a dict's says nothing; but a network's type stands before what else is said of it.
    return lines + [(key, value) for key in sorted(config, key=_place) for value in config[key]]


def _place(key: str) -> str:
    return _NETWORK_TYPE.sub(r"\1.", key)


def kept_capabilities(lxc_config: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """What the user lists to be kept, instead of what is dropped: an empty value clears the list, as liblxc reads it, and an
    empty list keeps everything.
    """
    return listed(lxc_config.get("lxc.cap.keep", ()))


def listed(values: t.Iterable[str]) -> list[str]:
    """What a key holds that may stand more than once: an empty value clears what was before it."""
    held: list[str] = []
    for value in values:
        held = [*held, value] if value.strip() else []
    return held


def joins_network(options: t.Mapping[str, t.Any]) -> bool:
    """Whether the container shares a network: the host's, or another process's, which may be the host's."""
    return options["network_mode"] == "host" or bool(listed(options["lxc_config"].get("lxc.namespace.share.net", ())))


def _network_lines(task: Declared) -> list[_config_lines.Pair]:
    kind = {"host": "none", "bridge": "veth", "empty": "empty"}[task.options["network_mode"]]
    return [("lxc.net.0.type", kind), *([("lxc.net.0.flags", "up")] if kind == "veth" else [])]


def _link_lines(task: Declared) -> list[_config_lines.Pair]:
    link = task.options["network_link"]
    return [] if link is None else [("lxc.net.0.link", link)]


def _capability_lines(task: Declared) -> list[_config_lines.Pair]:
    """On host networking the container could take the host's network down by accident (busybox's udhcpc does)."""
    options = task.options
    if not joins_network(options) or options["host_network_admin"] or kept_capabilities(options["lxc_config"]):
        return []
    return [("lxc.cap.drop", "net_admin")]


def _idmap_lines(task: Declared) -> list[_config_lines.Pair]:
    if task.idmap is None:
        return []
    return [*_idmap.lines(task.idmap), *([("lxc.rootfs.options", "idmap=container")] if task.root_mapped else [])]


def _mount_lines(task: Declared) -> list[_config_lines.Pair]:
    own = _volumes.own_mounts(task.layout.local, task.layout.alloc, task.layout.secrets)
    return [("lxc.mount.entry", _entries.render_entry(mount)) for mount in (*own, *task.resolved.mounts)]


def _device_lines(task: Declared) -> list[_config_lines.Pair]:
    allowed = (*_volumes.STANDARD_DEVICES, *task.resolved.devices)
    lines: list[_config_lines.Pair] = []
    for generation in ("lxc.cgroup.devices", "lxc.cgroup2.devices"):
        lines.append((f"{generation}.deny", "a"))
        lines += [(f"{generation}.allow", rule) for rule in allowed]
    return lines


def _hook_lines(task: Declared) -> list[_config_lines.Pair]:
    return [
        ("lxc.hook.pre-start", _hooks.secrets_hook(task.layout.secrets, 0 if task.idmap is None else task.idmap.base)),
        ("lxc.hook.start-host", _hooks.run_hook(task.directory)),
        ("lxc.hook.stop", _hooks.exit_hook(task.directory)),
    ]


def _value(name: str, key: str) -> t.Callable[[Declared], list[_config_lines.Pair]]:
    def lines(task: Declared) -> list[_config_lines.Pair]:
        value = task.options[name]
        return [] if value is None else [(key, value)]

    return lines


_LIMIT_KEYS = ("lxc.cgroup.memory.limit_in_bytes", "lxc.cgroup2.memory.max")
_SHARE_KEYS = ("lxc.cgroup.cpu.shares", "lxc.cgroup2.cpu.weight")
_DEVICE_KEYS = tuple(
    f"lxc.{generation}.devices.{verb}" for generation in ("cgroup", "cgroup2") for verb in ("deny", "allow")
)

_IDS = ("idmap_base", "idmap_size")

OPTIONS: tuple[Option, ...] = (
    Option("name", _policy.IDENTITY["name"]),
    Option("alloc_id", _policy.IDENTITY["alloc_id"]),
    Option("handle", _policy.IDENTITY["handle"]),
    Option(
        "state",
        _string(default="started", choices=["started", "present", "stopped", "restarted", "frozen", "absent"]),
    ),
    Option("template", _string(), ROOTFS, configures=True, record=_template.path_of, show=_template.shown),
    Option("distro", _string(), ROOTFS, configures=True),
    Option("release", _string(), ROOTFS, configures=True),
    Option("arch", _string(), ROOTFS, configures=True),
    Option("image_variant", _string(), ROOTFS, configures=True),
    Option("image_server", _string(), ROOTFS, configures=True),
    Option("gpg_key_id", _string(no_log=False), CREATE, configures=True),
    Option("gpg_key_server", _string(no_log=False), CREATE, configures=True),
    Option("disable_gpg", _flag(False), CREATE, configures=True),
    Option("flush_cache", _flag(False), CREATE, configures=True),
    Option("force_cache", _flag(False), CREATE, configures=True),
    Option("template_args", {"type": "list", "elements": "str"}, ROOTFS, configures=True),
    Option("default_config", _policy.POLICY["default_config"], ROOTFS),
    Option("backing_store", _string(default="dir", choices=["dir", "overlay"]), ROOTFS, configures=True),
    Option(
        "log_level",
        _string(default="error", choices=["trace", "debug", "info", "warn", "error"]),
        START,
        configures=True,
    ),
    Option("verbosity", _string(default="quiet", choices=["quiet", "verbose"])),
    Option(
        "network_mode",
        _policy.POLICY["network_mode"],
        RESTART,
        lines=_network_lines,
        keys=("lxc.net.0.type", "lxc.net.0.flags"),
    ),
    Option("network_link", _policy.POLICY["network_link"], RESTART, lines=_link_lines, keys=("lxc.net.0.link",)),
    Option("lxc_config", {"type": "dict"}, RESTART, configures=True, lines=_user_lines),
    Option(
        "host_network_admin",
        _policy.POLICY["host_network_admin"],
        RESTART,
        lines=_capability_lines,
        keys=("lxc.cap.drop",),
        reads=("network_mode", "lxc_config"),
    ),
    Option(
        "unprivileged",
        _flag(False),
        RESTART,
        configures=True,
        lines=_idmap_lines,
        keys=(_idmap.KEY, "lxc.rootfs.options"),
        reads=_IDS,
    ),
    Option("idmap_base", {"type": "int"}, RESTART, configures=True),
    Option("idmap_size", {"type": "int", "default": _idmap.DEFAULT_SIZE}, RESTART, configures=True),
    Option(
        "hostname",
        _string(),
        RESTART,
        configures=True,
        lines=_value("hostname", "lxc.uts.name"),
        keys=("lxc.uts.name",),
    ),
    Option("init", _string(), RESTART, configures=True, lines=_value("init", "lxc.init.cmd"), keys=("lxc.init.cmd",)),
    Option(
        "environment",
        {"type": "dict", "no_log": True},
        RESTART,
        configures=True,
        # In an order of its own: a dict's says nothing.
        lines=lambda task: [
            ("lxc.environment", f"{key}={value}") for key, value in sorted(task.options["environment"].items())
        ],
        keys=("lxc.environment",),
        record=sorted,
        show=lambda names: {name: _text.HIDDEN for name in names},
    ),
    Option("volumes", {"type": "list", "elements": "str"}, RESTART, configures=True),
    Option(
        "mounts",
        {
            "type": "list",
            "elements": "dict",
            "options": {
                "source": _string(required=True),
                "target": _string(required=True),
                "read_only": _flag(False),
                "create": _string(default="auto", choices=["auto", "dir", "file"]),
            },
        },
        RESTART,
        configures=True,
        lines=_mount_lines,
        keys=("lxc.mount.entry",),
        reads=("volumes", "devices", "alloc_dir"),
    ),
    Option(
        "devices",
        {
            "type": "list",
            "elements": "dict",
            "options": {"path": _string(required=True), "target": _string(), "permissions": _string(default="rwm")},
        },
        RESTART,
        configures=True,
        lines=_device_lines,
        keys=_DEVICE_KEYS,
    ),
    Option("alloc_dir", _policy.POLICY["alloc_dir"], RESTART, lines=_hook_lines, reads=("unprivileged", *_IDS)),
    Option(
        "memory_mb",
        {"type": "int"},
        LIVE,
        configures=True,
        lines=lambda task: _cgroup_text.memory_lines(task.options["memory_mb"]),
        keys=_LIMIT_KEYS,
    ),
    Option(
        "cpu_shares",
        {"type": "int"},
        LIVE,
        configures=True,
        lines=lambda task: _cgroup_text.cpu_lines(task.options["cpu_shares"]),
        keys=_SHARE_KEYS,
    ),
    Option(
        "autostart",
        _flag(False),
        WRITE,
        configures=True,
        lines=lambda task: [("lxc.start.auto", "1")] if task.options["autostart"] else [],
        keys=("lxc.start.auto",),
    ),
    Option("kill_timeout", _string(), WRITE),
    Option("max_kill_timeout", _policy.POLICY["max_kill_timeout"]),
    Option("volumes_enabled", _policy.POLICY["volumes_enabled"]),
    Option("recreate", _string(default="never", choices=["never", "on_change", "always"])),
    Option("restart_on_change", _flag(True)),
    Option("purge", _flag(False)),
    Option("lxc_path", _policy.POLICY["lxc_path"]),
)
BY_NAME = {option.name: option for option in OPTIONS}
# What a later call compares with its own.
RECORDED = tuple(option for option in OPTIONS if option.effect not in (NOTHING, CREATE))


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
