# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps on a task's directories: made, mounted, purged. Those of an alloc are shared, and change under its lock."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _errors,
    _ids,
    _lock,
    _mounts,
    _names,
    _observe_directories,
    _steps,
    _tree,
    _work,
)


def make_directories(work: _work.Work, step: _steps.MakeDirectories) -> None:
    """Make the task's and the alloc's directories; the alloc's own is always given its mode."""
    with alloc_lock(work):
        refuse_mixed(work, step.owner != 0)
        for path, mode in step.directories:
            make_directory(work, path, mode, step.owner, always=path == step.directories[0][0])


def refuse_mixed(work: _work.Work, unprivileged: bool) -> None:
    """Raise LxcTaskError where tasks with which this one can't share the alloc have come since the plan was made."""
    place = t.cast(_names.Layout, work.spec.layout)
    fault = _ids.mixed_fault(
        place.root, unprivileged, _observe_directories.ids_of_others(place, unprivileged, _tree.Paths())
    )
    if fault is not None:
        raise _errors.LxcTaskError(fault)


def make_directory(work: _work.Work, path: str, mode: int, owner: int, always: bool) -> None:
    """Make a directory, and those that lead to it; ``always``: give one that is there its mode too.

    What the task sees is its root's, who is ``owner`` on the host. The task's directory, which it does not see, is the
    host's root's, and its group tells whose ids are in it.
    """
    place = t.cast(_names.Layout, work.spec.layout)
    made: list[str] = []

    def note(parent: str) -> None:
        made.append(parent)
        work.then(f"remove {parent}", lambda: remove_made(work, parent))

    _work.make_directories(path, note)
    if path in made:
        owners = (-1, -1) if path == place.root else (0 if path == place.task else owner, owner)
        _tree.own_directory(path, mode, *owners)
    elif always:
        former = os.lstat(path)
        back = (stat.S_IMODE(former.st_mode), former.st_uid)
        work.then(f"give {path} its owner and mode back", lambda: _tree.own_directory(path, *back))
        _tree.own_directory(path, mode, 0)


def remove_made(work: _work.Work, path: str) -> None:
    """Remove a directory that this run made, with what its container put there; a mount in it is not ours."""
    place = t.cast(_names.Layout, work.spec.layout)
    if path == place.root or _names.beneath(place.root, path):
        # Other allocs, or other tasks of this one, may be there by now.
        _work.remove_if_empty(path)
        return
    with alloc_lock(work):
        shared = path == place.alloc or _names.beneath(path, place.alloc)
        if shared and _observe_directories.other_tasks(place):
            return
        kept = _tree.remove(path, _mounts.read_mount_points())
    if kept:
        raise _errors.LxcTaskError(f"{', '.join(kept)} is mounted there")


def alloc_lock(work: _work.Work) -> t.ContextManager[int]:
    """Held while directories of an alloc are made or removed: its tasks share some."""
    return _lock.held(*_alloc(t.cast(_names.Layout, work.spec.layout)))


def _alloc(place: _names.Layout) -> tuple[str, str]:
    root = place.root
    return _lock.lock_file("alloc", os.path.basename(root), root), f"the directories in {root}"


def mount_secrets(work: _work.Work, step: _steps.MountSecrets) -> None:
    """Mount the tmpfs."""
    _mounts.mount_secrets(step.path, step.owner)
    work.then("unmount secrets", lambda: _unmount(step.path))


def remove_secrets(work: _work.Work, step: _steps.RemoveSecrets) -> None:
    """Unmount the tmpfs, with what is in it, and remove its directory."""
    _unmount(step.path)
    _tree.remove(step.path, _mounts.read_mount_points())


def purge(work: _work.Work, step: _steps.Purge) -> None:
    """Remove the task's directories, and the alloc's if it was the last: others may have come or gone since the plan."""
    points = _mounts.read_mount_points()
    place = t.cast(_names.Layout, work.spec.layout)
    task = os.path.join(os.path.realpath(place.root), os.path.basename(place.task))
    with alloc_lock(work):
        for path in step.paths:
            if path == task:
                _tree.remove(path, points)
        if not _observe_directories.other_tasks(place):
            _tree.remove(place.alloc, points)
            _work.remove_if_empty(place.root)


def remove_empty_alloc(place: _names.Layout) -> None:
    """Remove an alloc that a call has made, if no task is left in it: who made it may have failed before others did."""
    with _lock.held(*_alloc(place)):
        if os.path.isdir(place.root) and set(os.listdir(place.root)) <= {os.path.basename(place.alloc)}:
            _tree.remove(place.alloc, _mounts.read_mount_points())
            _work.remove_if_empty(place.root)


def _unmount(path: str) -> None:
    """Unmount a path, as often as the kernel's list has it: others may have mounted something above."""
    for _mount in range(_mounts.read_mount_points().count(os.path.realpath(path))):
        _mounts.unmount(path)
