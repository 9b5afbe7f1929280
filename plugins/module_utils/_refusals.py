# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, whatever was asked: containers of others, ones that can't be seen from here, and losing what is not ours."""

from __future__ import annotations

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _names, _observed, _record, _spec, _states


def refuse(spec: _spec.TaskSpec, seen: _observed.Observed) -> None:
    """Raise LxcTaskError for a container that this call must not touch."""
    name = spec.container_name
    if not spec.by_handle and seen.record is not None and not _is_mine(spec, seen.record):
        other = seen.record
        alloc = "without alloc_id" if other.alloc_id is None else f"of alloc {other.alloc_id!r}"
        raise _errors.ForeignContainerError(
            f"container {name} belongs to another task, {other.name!r} {alloc}: both make the same container name",
            hint="choose another name or alloc_id; by its handle the container can be commanded",
        )
    if seen.stray and seen.record is not None and (spec.state != "absent" or seen.elsewhere is not None):
        lives = "" if seen.elsewhere is None else f", and its init, process {seen.elsewhere.pid}, lives"
        raise _errors.LxcTaskError(
            f"container {name} has lost its configuration, {spec.lxc_path}/{name}/config{lives}",
            hint="put it back; once nothing of it runs, state absent removes what is left",
        )
    if seen.elsewhere is not None:
        raise _errors.LxcTaskError(
            f"container {name} runs in another network namespace (its init is process {seen.elsewhere.pid}),"
            " where liblxc can't see it from here",
            hint="call from the network namespace, and with the spelling of lxc_path, with which it was started; nothing was done",
        )
    if not spec.by_handle and seen.record is None and (seen.stray or (seen.state != _states.ABSENT)):
        what = "container" if seen.state != _states.ABSENT else "directory"
        raise _errors.ForeignContainerError(
            f"a {what} {name} is in {spec.lxc_path} which this collection did not make, so it is not touched by name",
            hint="command it by its handle, or choose another name"
            if seen.state != _states.ABSENT
            else "move it away, or choose another name",
        )
    if spec.by_handle and spec.declares and seen.state == _states.ABSENT and seen.record is None:
        faults = _names.name_faults(spec.name, None)
        if faults:
            raise _errors.OptionsError(faults, hint="the handle's container would become the task of that name")
    if seen.stray and seen.record is None:
        raise _errors.ForeignContainerError(f"{name} in {spec.lxc_path} is not a container: it has no configuration")
    if spec.declares and seen.record is None and seen.state != _states.ABSENT:
        raise _errors.ForeignContainerError(
            f"container {name} has no record of this collection, so it can only be commanded, and a template declares",
            hint="leave out template and what else describes the task",
        )


def _is_mine(spec: _spec.TaskSpec, record: _record.Record) -> bool:
    return (record.name, record.alloc_id) == (spec.name, spec.alloc_id)


def refuse_destruction(spec: _spec.TaskSpec, seen: _observed.Observed) -> None:
    """Raise LxcTaskError where more would be lost with a container than the container."""
    if seen.snapshots:
        raise _errors.LxcTaskError(
            f"container {spec.container_name} has snapshots, which would be lost with it",
            hint="remove them first: with lxc-snapshot -d, or containers that lxc-copy -s has made with lxc-destroy",
        )
    if seen.container_mounts:
        raise _errors.LxcTaskError(
            f"{', '.join(seen.container_mounts)} is mounted in the directory of container {spec.container_name}",
            hint="unmount it first: it would be emptied with the container",
        )
