# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes back: the one serializer of a task, for all modules."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _config_lines,
    _duration,
    _entries,
    _handle,
    _idmap,
    _network,
    _proc,
    _view,
)

_MODES = {"none": "host", "veth": "bridge", "empty": "empty"}


def task_dict(view: _view.TaskView) -> dict[str, t.Any]:
    """The dict that the contract calls ``task``."""
    place, init = view.layout, view.init
    idmap = _idmap.idmap_in(view.lines)
    interfaces = _network.interfaces(init.pid) if init is not None else []
    return {
        "name": view.name,
        "alloc_id": view.alloc_id,
        "container_name": view.container_name,
        "lxc_path": view.lxc_path,
        "state": view.state,
        "init_pid": init.pid if init is not None else _handle.NOT_RUNNING,
        "handle": view.handle,
        "log_file": place.log_file if place is not None else None,
        "dirs": {
            "task": place.task if place is not None else None,
            "local": place.local if place is not None else None,
            "alloc": place.alloc if place is not None else None,
            "secrets": place.secrets if place is not None else None,
        },
        "mounts": mounts_in(view.lines),
        "network_mode": network_mode_in(view.lines),
        "idmap": None if idmap is None else idmap._asdict(),
        "memory_mb": view.memory_mb,
        "cpu_shares": view.cpu_shares,
        "kill_timeout": _duration.seconds(view.kill_timeout),
        "cgroup_version": view.cgroup_version,
        "interfaces": interfaces,
        "ips": _network.ips(init.pid, interfaces) if init is not None else [],
        "created_at": view.created_at,
        "started_at": _proc.started_at(init) if init is not None else None,
        "exit": None if view.ended is None else view.ended._asdict(),
    }


def mounts_in(lines: t.Sequence[_config_lines.Pair]) -> list[dict[str, t.Any]]:
    """The bind mounts of a configuration that options made, in the form of the option ``mounts``."""
    found = [_entries.parse_entry(value) for key, value in lines if key == "lxc.mount.entry"]
    return [
        {"source": it.source, "target": f"/{it.target}", "read_only": it.read_only, "create": it.create}
        for it in found
        if it is not None
    ]


def network_mode_in(lines: t.Sequence[_config_lines.Pair]) -> str | None:
    """The network mode of a configuration; None for a kind of network that the option does not have."""
    return _MODES.get(_config_lines.last(lines, "lxc.net.0.type") or "")
