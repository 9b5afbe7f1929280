# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tasks a call that only looks is about, and each as it is now. Nothing is changed, and no lock is needed."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_mounts,
    _config_lines,
    _duration,
    _errors,
    _handle,
    _kept,
    _liblxc,
    _names,
    _policy,
    _proc,
    _record,
    _states,
    _text,
    _tree,
    _view,
)

Params = t.Mapping[str, t.Any]

# What the modules that only look have in common.
ARGUMENTS: dict[str, dict[str, t.Any]] = {**_policy.IDENTITY, **_policy.POLICY}
# What they take since all modules do, and don't look at.
_PASSED_OVER = _policy.POLICY.keys() - {"lxc_path", "max_kill_timeout"}


# The lines of a configuration that a look needs: mounts, network, ids, our hook at the end, where the cgroups are.
_LINES = re.compile(r"lxc\.(mount\.entry|net\.|idmap|hook\.stop|cgroup\.dir)")


@dataclass(frozen=True)
class Selection:
    """Which tasks: by handle, by name and alloc, or all that have a record. ``max_kill_timeout``: nanoseconds."""

    lxc_path: str
    handle: _handle.Handle | None
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
        found = _duration.parse_duration(params[name])
    except _errors.LxcTaskError as error:
        raise _errors.OptionsError([f"{name}: {error}"]) from error
    if found < 0:
        raise _errors.OptionsError([f"{name} {params[name]!r} is negative"])
    return found


def parse_selection(params: Params) -> Selection:
    """Read the options. Raises LxcTaskError."""
    faults = _text.unprintable({name: value for name, value in params.items() if name not in _PASSED_OVER})
    ceiling = 0
    name, alloc_id = params["name"], params["alloc_id"]
    if not faults:
        faults += _names.name_faults(name, alloc_id)
        fault = _names.path_fault(params["lxc_path"]) if params["lxc_path"] is not None else None
        faults += [f"lxc_path: {fault}"] if fault is not None else []
        try:
            ceiling = _duration.parse_duration(params["max_kill_timeout"])
        except _errors.LxcTaskError as error:
            faults.append(f"max_kill_timeout: {error}")
    if faults:
        raise _errors.OptionsError(faults)
    handle = _handle.parse_handle(params["handle"]) if params["handle"] is not None else None
    fault = None if handle is None else _handle.fault_beside(handle, name, alloc_id)
    if fault is not None:
        raise _errors.OptionsError([fault])
    path = (
        handle.lxc_path if handle is not None else _names.normal_path(params["lxc_path"] or _liblxc.default_lxc_path())
    )
    return Selection(path, handle, name, alloc_id, ceiling)


def select(
    wanted: Selection, containers: _liblxc.Containers, ask: bool = True
) -> tuple[list[_view.TaskView], list[str]]:
    """The selected tasks by container name, and warnings. Raises LxcTaskError for a handle whose container is gone.
    ``ask``: see look.

    A container whose record can't be read is an error where it was asked for, and a warning where others were too.
    """
    if wanted.handle is not None:
        name = wanted.handle.container_name
        if not os.path.isfile(containers.config_file(name)):
            raise _errors.ContainerGoneError(f"container {name} not found")
        return [look(name, record_of(name, wanted), wanted, containers, ask)], []
    views: list[_view.TaskView] = []
    warnings: list[str] = []
    for name in _candidates(wanted):
        try:
            record = record_of(name, wanted)
            if record is not None and _matches(wanted, record) and record.phase == _record.READY:
                views.append(look(name, record, wanted, containers, ask))
        except _errors.LxcTaskError as error:
            if not os.path.isfile(containers.config_file(name)):
                continue  # it was removed meanwhile
            if wanted.name is not None and name == _names.container_name(wanted.name, wanted.alloc_id):
                raise
            warnings.append(f"container {name} is left out: {error}")
    return views, warnings


def record_of(name: str, wanted: Selection) -> _record.Record | None:
    return _kept.own_record(wanted.lxc_path, name)


def _candidates(wanted: Selection) -> list[str]:
    """The containers that may match, by the names of their directories."""
    if wanted.name is not None and wanted.alloc_id is not None:
        return [_names.container_name(wanted.name, wanted.alloc_id)]
    try:
        names = os.listdir(wanted.lxc_path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _errors.LxcTaskError(f"can't look for containers in {wanted.lxc_path}: {error.strerror}") from error
    return sorted(
        name for name in names if wanted.name is None or name == wanted.name or name.startswith(f"{wanted.name}-")
    )


def _matches(wanted: Selection, record: _record.Record) -> bool:
    return wanted.name in (None, record.name) and wanted.alloc_id in (None, record.alloc_id)


def look(
    name: str, record: _record.Record | None, wanted: Selection, containers: _liblxc.Containers, ask: bool = True
) -> _view.TaskView:
    """One container as it is. ``ask``: whether liblxc is asked even if the init of the last start is known to live: it
    tells a frozen task from a running one.
    """
    config = _tree.read_text(containers.config_file(name))
    # A hook has kept it, or the record: it lives also if liblxc, in another network namespace, calls the container stopped.
    init = (
        _kept.runs_elsewhere(containers.directory(name), record) if record is not None and config is not None else None
    )
    if config is None:
        state = _states.ABSENT
    elif init is None:
        state, pid = containers.state(name)
        init = _proc.identify(pid) if pid > 0 else None
        if state == _states.STOPPED and record is None:
            # Of one that others made no record tells where liblxc can't see it: its monitor does.
            from ansible_collections.nomadic.lxc.plugins.module_utils import _monitor

            init = _monitor.init_of(wanted.lxc_path, name)
            state = _states.STOPPED if init is None else _states.RUNNING
    else:
        state = containers.state(name, init.pid)[0] if ask else _states.RUNNING
        state = _states.RUNNING if state == _states.STOPPED else state
    options = record.options if record is not None else {}
    kill_timeout = wanted.handle.kill_timeout if wanted.handle is not None else None
    if kill_timeout is None:
        kill_timeout = options.get("kill_timeout", _duration.DEFAULT_KILL_TIMEOUT)
    place = None
    if record is not None:
        place = _names.layout(
            options.get("alloc_dir", _policy.POLICY["alloc_dir"]["default"]), record.name, record.alloc_id
        )
    return _view.TaskView(
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
        kill_timeout=_duration.effective_kill_timeout(kill_timeout, wanted.max_kill_timeout),
        cgroup_version=_cgroup_mounts.memory_generation(_cgroup_mounts.read_hierarchies()),
        created_at=record.created_at if record is not None else None,
        ended=_kept.read_exit(containers.directory(name), record) if state == _states.STOPPED else None,
    )
