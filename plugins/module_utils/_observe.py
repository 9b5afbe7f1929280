# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is: a task's container, its limits, and by way of _observe_directories all that is around it, read and never changed."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_mounts,
    _cgroup_reader,
    _config_lines,
    _kept,
    _liblxc,
    _loading,
    _monitor,
    _mounts,
    _names,
    _needs,
    _network,
    _observe_directories,
    _observed,
    _proc,
    _record,
    _spec,
    _states,
    _tree,
)


def _is_marked(lxc_path: str, name: str, directory: str) -> bool:
    mark = _tree.read_text(_names.making_mark(lxc_path, name))
    if mark is None:
        return False
    try:
        return mark == _tree.identity(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # no directory


def adopt(spec: _spec.TaskSpec, record: _record.Record | None) -> _spec.TaskSpec:
    """The spec with what only the record knows: whose container a handle's is, and where a command's task lives."""
    if record is None:
        # A foreign container has no directories of ours; a new one that a handle declares is a task alone.
        return spec._replace(layout=None) if spec.by_handle and not spec.declares else _named(spec)
    if spec.by_handle:
        spec = spec._replace(name=record.name, alloc_id=record.alloc_id)
    alloc_dir = spec.options["alloc_dir"]
    if not spec.declares:
        alloc_dir = record.options.get("alloc_dir", alloc_dir)
    return spec._replace(layout=_names.layout(alloc_dir, spec.name or record.name, spec.alloc_id))


def _named(spec: _spec.TaskSpec) -> _spec.TaskSpec:
    if spec.layout is not None:
        return spec
    return spec._replace(
        name=spec.container_name, layout=_names.layout(spec.options["alloc_dir"], spec.container_name, None)
    )


def observe(
    spec: _spec.TaskSpec, containers: _loading.Loading, paths: _tree.Paths
) -> tuple[_spec.TaskSpec, _observed.Observed]:
    """Look at a task's host. Returns the spec as adopt makes it, and what is."""
    spec, seen = _of_container(spec, containers)
    name = spec.container_name
    directory = _names.aside_directory(spec.lxc_path, name) if seen["restorable"] else containers.directory(name)
    destroys = spec.state == _states.ABSENT or spec.recreate != "never"
    return spec, _observed.Observed(
        **seen,
        snapshots=destroys and _has_snapshots(directory),
        container_mounts=_mounts_in(directory) if destroys else (),
        bridge=_bridge(spec, seen["record"]),
        former_secrets=_former_secrets(spec, seen["record"]),
        **_of_cgroup(seen["init"], seen["config"], name),
        **_observe_directories.of_directories(spec, seen["state"], paths),
    )


def _mounts_in(directory: str) -> tuple[str, ...]:
    return tuple(_mounts.below(directory, _mounts.read_mount_points())) if os.path.isdir(directory) else ()


def observe_again(
    spec: _spec.TaskSpec, seen: _observed.Observed, containers: _loading.Loading, stays: bool, started: bool
) -> _observed.Observed:
    """The container as a run has left it; all else, which only a plan asks for, as it was seen before. ``stays``: see Plan.
    ``started``: the run has started it, and has done no more to it.
    """
    directory = containers.directory(spec.container_name)
    if stays and seen.unloadable is None and (seen.init is None or _proc.alive(seen.init)):
        return seen._replace(config=_config(directory))
    if started:
        record = _kept.own_record(spec.lxc_path, spec.container_name)
        init = None if record is None else _kept.runs_elsewhere(directory, record)
        if init is not None:
            # liblxc has just said that it runs.
            return seen._replace(
                state=_states.RUNNING,
                record=record,
                init=init,
                ended=None,
                unloadable=None,
                config=_config(directory),
            )
    return seen._replace(**_of_container(spec, containers)[1])


def _of_container(spec: _spec.TaskSpec, containers: _loading.Loading) -> tuple[_spec.TaskSpec, dict[str, t.Any]]:
    """The spec as adopt makes it, and what the container is: fields of Observed."""
    name, path = spec.container_name, spec.lxc_path
    directory, aside = containers.directory(name), _names.aside_directory(path, name)
    record = _kept.own_record(path, name)
    defined = os.path.isfile(containers.config_file(name))
    kept = os.path.isdir(aside)
    former = _kept.read_record(os.path.join(aside, _record.FILE)) if kept else None
    half_made = record is not None and record.phase == _record.MAKING
    if record is None and not defined and os.path.isdir(directory):
        half_made = set(os.listdir(directory)) <= {f"{_record.FILE}.new"}
    if record is None and _is_marked(path, name, directory):
        half_made = True
    restored = former is not None and (half_made or not os.path.lexists(directory))
    if restored:
        # What the next run puts back counts: the former container, which does not run.
        directory, record, defined, half_made = aside, former, True, False
    stray = not defined and not half_made and os.path.lexists(directory)
    spec = adopt(spec, record)
    state, init, unloadable = _states.ABSENT, None, None
    config = _config(directory) if defined else ""
    if restored:
        state = _states.STOPPED
    elif defined and not half_made:
        state, init, unloadable = _state(spec, containers, config, record)
    if record is not None and record.pending and init is not None:
        record = record.followed(init, _proc.parent(init.pid))
    asleep = state in (_states.STOPPED, _states.ABSENT) and unloadable is None
    elsewhere = None
    if asleep and record is not None:
        elsewhere = _kept.runs_elsewhere(directory, record)
    elif asleep and defined and spec.by_handle:
        # Of one that others made no record tells: its monitor does.
        elsewhere = _monitor.init_of(path, name)
    return spec, {
        "state": state,
        "record": record,
        "half_made": half_made,
        "stray": stray,
        "aside": kept,
        "restorable": restored,
        "init": init,
        "elsewhere": elsewhere,
        "ended": _kept.read_exit(directory, record) if state == _states.STOPPED else None,
        "unloadable": unloadable,
        "config": config,
    }


def _config(directory: str) -> str:
    return _tree.read_text(os.path.join(directory, "config")) or ""


def _state(
    spec: _spec.TaskSpec, containers: _loading.Loading, config: str, record: _record.Record | None
) -> tuple[str, _proc.InitId | None, str | None]:
    """A container's state, its init, and why liblxc can't load it: a declaration of ours may put that right."""
    # Whom the record or a hook knows, liblxc need not be asked for.
    name = spec.container_name
    init = None if record is None else _kept.runs_elsewhere(containers.directory(name), record)
    try:
        state, pid = containers.state(name, None if init is None else init.pid, config)
    except _liblxc.RuntimeFailure as failure:
        if record is None or not spec.declares:
            raise
        return (_states.STOPPED if init is None else _states.RUNNING), init, str(failure)
    if init is None or init.pid != pid:
        init = _proc.identify(pid) if pid > 0 else None
    return state, init, None


def _has_snapshots(directory: str) -> bool:
    """Whether lxc-snapshot keeps something in the container's directory, or containers stand on it that lxc-copy -s has made,
    which liblxc counts in a file (lxccontainer.c, has_fs_snapshots).
    """
    if (_tree.read_text(os.path.join(directory, "lxc_snapshots")) or "0").strip() != "0":
        return True
    try:
        return bool(os.listdir(os.path.join(directory, "snaps")))
    except OSError:
        return False


def _of_cgroup(init: _proc.InitId | None, config: str, name: str) -> dict[str, t.Any]:
    """What the task's cgroup says, or where none is what the host's do: fields of Observed."""
    group = None
    if init is not None:
        lines = _config_lines.parse(config)
        group = _cgroup_reader.CgroupReader.of_container(init.pid, name, lines, _cgroup_reader.LIMITING)
    if group is not None:
        return {
            "cgroup_version": group.version,
            "cpu_generation": group.generation("cpu"),
            "limits": group.limits(),
        }
    hierarchies = _cgroup_mounts.read_hierarchies()
    return {
        "cgroup_version": _cgroup_mounts.memory_generation(hierarchies),
        "controllers": _cgroup_mounts.read_controllers(hierarchies),
    }


def _former_secrets(spec: _spec.TaskSpec, record: _record.Record | None) -> str | None:
    """Where a task's secrets are by the record, if another alloc_dir is declared; the same place may have another name by now."""
    place = spec.layout
    if record is None or place is None or not spec.declares:
        return None
    former = record.options.get("alloc_dir", spec.options["alloc_dir"])
    if former == spec.options["alloc_dir"]:
        return None
    secrets = _names.layout(former, record.name, record.alloc_id).secrets
    return None if os.path.realpath(secrets) == os.path.realpath(place.secrets) else secrets


def _bridge(spec: _spec.TaskSpec, record: _record.Record | None) -> str | None:
    """What the interface is that the task's network is on."""
    options = _needs.options_of(spec, {} if record is None else record.options)
    link = options.get("network_link")
    return _network.UP if link is None else _network.bridge(link)
