# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tasks a call that only looks is about, and each as it is now. Nothing is changed, and no lock is needed."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup_mounts, _config_lines, _kept, _record, _tree
from ansible_collections.nomadic.lxc.plugins.module_utils._duration import (
    DEFAULT_KILL_TIMEOUT,
    effective_kill_timeout,
    parse_duration,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import ContainerGoneError, LxcTaskError, OptionsError
from ansible_collections.nomadic.lxc.plugins.module_utils._handle import Handle, parse_handle
from ansible_collections.nomadic.lxc.plugins.module_utils._liblxc import Containers, default_lxc_path
from ansible_collections.nomadic.lxc.plugins.module_utils._names import (
    container_name,
    layout,
    name_faults,
    normal_path,
    path_fault,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._policy import IDENTITY, POLICY
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import identify
from ansible_collections.nomadic.lxc.plugins.module_utils._record import Record
from ansible_collections.nomadic.lxc.plugins.module_utils._states import ABSENT, RUNNING, STOPPED
from ansible_collections.nomadic.lxc.plugins.module_utils._text import unprintable
from ansible_collections.nomadic.lxc.plugins.module_utils._view import TaskView

Params = t.Mapping[str, t.Any]

# What the modules that only look have in common.
ARGUMENTS: dict[str, dict[str, t.Any]] = {**IDENTITY, **POLICY}


# The lines of a configuration that a look needs: mounts, network, ids, our hook at the end, where the cgroups are.
_LINES = re.compile(r"lxc\.(mount\.entry|net\.|idmap|hook\.stop|cgroup\.dir)")


@dataclass(frozen=True)
class Selection:
    """Which tasks: by handle, by name and alloc, or all that have a record. ``max_kill_timeout``: nanoseconds."""

    lxc_path: str
    handle: Handle | None
    name: str | None
    alloc_id: str | None
    max_kill_timeout: int

    @property
    def named(self) -> bool:
        """Whether the call says which tasks it means."""
        return self.handle is not None or self.name is not None


def duration(params: Params, name: str) -> int:
    """An option that is a duration of zero or more, in nanoseconds. Raises LxcTaskError."""
    try:
        found = parse_duration(params[name])
    except LxcTaskError as error:
        raise OptionsError([f"{name}: {error}"]) from error
    if found < 0:
        raise OptionsError([f"{name} {params[name]!r} is negative"])
    return found


def parse_selection(params: Params) -> Selection:
    """Read the options. Raises LxcTaskError."""
    faults = unprintable(params)
    ceiling = 0
    name, alloc_id = params["name"], params["alloc_id"]
    if not faults:
        faults += name_faults(name, alloc_id)
        for option in ("lxc_path", "alloc_dir", "default_config"):
            fault = path_fault(params[option]) if params[option] is not None else None
            faults += [f"{option}: {fault}"] if fault is not None else []
        try:
            ceiling = parse_duration(params["max_kill_timeout"])
        except LxcTaskError as error:
            faults.append(f"max_kill_timeout: {error}")
    if faults:
        raise OptionsError(faults)
    handle = parse_handle(params["handle"]) if params["handle"] is not None else None
    if handle is not None and name is not None and container_name(name, alloc_id) != handle.container_name:
        raise OptionsError(
            [f"name and alloc_id say another container than the handle, {handle.container_name!r}: give one of both"]
        )
    path = handle.lxc_path if handle is not None else normal_path(params["lxc_path"] or default_lxc_path())
    return Selection(path, handle, name, alloc_id, ceiling)


def select(wanted: Selection, containers: Containers, ask: bool = True) -> tuple[list[TaskView], list[str]]:
    """The selected tasks by container name, and warnings. Raises LxcTaskError for a handle whose container is gone.
    ``ask``: see look.

    A container whose record can't be read is an error where it was asked for, and a warning where others were too.
    """
    if wanted.handle is not None:
        name = wanted.handle.container_name
        if not os.path.isfile(containers.config_file(name)):
            raise ContainerGoneError(f"container {name} not found")
        return [look(name, record_of(name, wanted), wanted, containers, ask)], []
    views: list[TaskView] = []
    warnings: list[str] = []
    for name in _candidates(wanted):
        try:
            record = record_of(name, wanted)
            if record is not None and _matches(wanted, record) and record.phase == _record.READY:
                views.append(look(name, record, wanted, containers, ask))
        except LxcTaskError as error:
            if not os.path.isfile(containers.config_file(name)):
                continue  # it was removed meanwhile
            if wanted.name is not None and name == container_name(wanted.name, wanted.alloc_id):
                raise
            warnings.append(f"container {name} is left out: {error}")
    return views, warnings


def record_of(name: str, wanted: Selection) -> Record | None:
    return _kept.own_record(wanted.lxc_path, name)


def _candidates(wanted: Selection) -> list[str]:
    """The containers that may match, by the names of their directories."""
    if wanted.name is not None and wanted.alloc_id is not None:
        return [container_name(wanted.name, wanted.alloc_id)]
    try:
        names = os.listdir(wanted.lxc_path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise LxcTaskError(f"can't look for containers in {wanted.lxc_path}: {error.strerror}") from error
    return sorted(
        name for name in names if wanted.name is None or name == wanted.name or name.startswith(f"{wanted.name}-")
    )


def _matches(wanted: Selection, record: Record) -> bool:
    return wanted.name in (None, record.name) and wanted.alloc_id in (None, record.alloc_id)


def look(name: str, record: Record | None, wanted: Selection, containers: Containers, ask: bool = True) -> TaskView:
    """One container as it is. ``ask``: whether liblxc is asked even if the init of the last start is known to live: it
    tells a frozen task from a running one.
    """
    config = _tree.read_text(containers.config_file(name))
    # A hook has kept it, or the record: it lives also if liblxc, in another network namespace, calls the container stopped.
    init = (
        _kept.runs_elsewhere(containers.directory(name), record) if record is not None and config is not None else None
    )
    if config is None:
        state = ABSENT
    elif init is None:
        state, pid = containers.state(name)
        init = identify(pid) if pid > 0 else None
        if state == STOPPED and record is None:
            # Of one that others made no record tells where liblxc can't see it: its monitor does.
            from ansible_collections.nomadic.lxc.plugins.module_utils import _monitor

            init = _monitor.init_of(wanted.lxc_path, name)
            state = STOPPED if init is None else RUNNING
    else:
        state = containers.state(name, init.pid)[0] if ask else RUNNING
        state = RUNNING if state == STOPPED else state
    options = record.options if record is not None else {}
    kill_timeout = wanted.handle.kill_timeout if wanted.handle is not None else None
    if kill_timeout is None:
        kill_timeout = options.get("kill_timeout", DEFAULT_KILL_TIMEOUT)
    place = None
    if record is not None:
        place = layout(options.get("alloc_dir", POLICY["alloc_dir"]["default"]), record.name, record.alloc_id)
    return TaskView(
        name=record.name if record is not None else None,
        alloc_id=record.alloc_id if record is not None else None,
        container_name=name,
        lxc_path=wanted.lxc_path,
        state=state,
        init=init,
        layout=place,
        lines=_config_lines.parse(config or "", _LINES),
        memory_mb=options.get("memory_mb"),
        cpu_shares=options.get("cpu_shares"),
        kill_timeout=effective_kill_timeout(kill_timeout, wanted.max_kill_timeout),
        cgroup_version=_cgroup_mounts.memory_generation(_cgroup_mounts.read_hierarchies()),
        created_at=record.created_at if record is not None else None,
        ended=_kept.read_exit(containers.directory(name), record) if state == STOPPED else None,
    )
