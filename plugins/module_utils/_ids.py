# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an unprivileged task needs beside its configuration: its files with its users' ids, and a way to them. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _errors,
    _idmap,
    _observed,
    _options,
    _record,
    _spec,
    _steps,
)

# The bits of a mode by which a directory is passed.
_OWNER, _GROUP, _OTHERS = 0o100, 0o010, 0o001


def recorded_idmap(record: _record.Record | None) -> _idmap.Idmap | None:
    """The ids with which a task was declared last; None if it was privileged, or never declared."""
    return None if record is None else _idmap.idmap_in(record.lines.get("unprivileged", ()))


def mixed_fault(root: str, unprivileged: bool, tasks: t.Mapping[str, int]) -> str | None:
    """Whether a task can't share its alloc, ``root``, with those that are there: privileged tasks' directories are root's alone.
    ``tasks``: see Observed.other_tasks.
    """
    others = sorted(name for name, ids in tasks.items() if (ids != 0) != unprivileged)
    if not others:
        return None
    which = "privileged" if unprivileged else "unprivileged"
    return (
        f"unprivileged: {root} holds the directories of {which} tasks ({', '.join(others)}), and nobody but root may enter"
        " an alloc that has a privileged task: give this one an alloc_id of its own, or purge those"
    )


def way_faults(what: str, path: str, idmap: _idmap.Idmap, seen: _observed.Observed) -> list[str]:
    """What bars the task's root from a path of the host, a sentence each."""
    return [
        f"{what}: the root of an unprivileged task, on this host user {idmap.base}, can't pass {it.path} on the way to"
        f" '{path}': run `chmod o+x {it.path}`, or choose another place"
        for it in seen.closed.get(path, ())
        if not _passes(it, idmap)
    ]


def _passes(it: _observed.Closed, idmap: _idmap.Idmap) -> bool:
    if it.uid == idmap.base:
        bit = _OWNER
    elif it.gid == idmap.base:
        bit = _GROUP
    else:
        bit = _OTHERS
    # Over files of users and groups inside, the root inside has a root's powers.
    return bool(it.mode & bit) or (idmap.covers(it.uid) and idmap.covers(it.gid))


def directory_shift(
    seen: _observed.Observed, wanted: _idmap.Idmap | None, record: _record.Record | None
) -> list[_steps.Step]:
    """The step that gives what is in the task's directories, or in the alloc's shared one, to the right users; none if it is theirs."""
    base = 0 if wanted is None else wanted.base
    ids = base if seen.directory_ids is None else seen.directory_ids
    theirs = ids == base and not seen.directory_ids_mixed
    if theirs and not (base and seen.shared_owner == 0):
        return []
    if theirs and wanted is not None and seen.directory_ids is not None:
        return [_steps.ShiftShared(_words("the directory that the alloc's tasks share", wanted), wanted)]
    former = _of_size(ids, wanted, record) if ids and not theirs else None
    return [_steps.ShiftDirectories(_words("the task's directories", wanted), former, wanted)]


def rootfs_shift(record: _record.Record | None, declared: _options.Declared) -> list[_steps.Step]:
    """The step that gives the root file system to the right users. ``record``: None for one that is new."""
    wanted = None if declared.root_mapped else declared.idmap
    base = 0 if wanted is None else wanted.base
    shifted, shifting = (0, False) if record is None else (record.shifted, record.shifting)
    if shifted == base and not shifting:
        return []
    former = _of_size(shifted, declared.idmap, record) if shifted else None
    return [_steps.ShiftRootfs(_words("the root file system", wanted), former, wanted)]


def _words(what: str, wanted: _idmap.Idmap | None) -> str:
    return f"give {what} to {'root' if wanted is None else f'user {wanted.base} and those that follow'}"


def _of_size(base: int, wanted: _idmap.Idmap | None, record: _record.Record | None) -> _idmap.Idmap:
    """The range that begins there: as large as any that the task is known to have had."""
    sizes = [it.size for it in (recorded_idmap(record), wanted) if it is not None]
    return _idmap.Idmap(base, min(base, max([_idmap.DEFAULT_SIZE, *sizes])))


def refuse_while_running(spec: _spec.TaskSpec, shifts: t.Sequence[_steps.Step]) -> None:
    """Raise LxcTaskError for files that would get other owners under a running task."""
    if shifts:
        raise _errors.LxcTaskError(
            f"the ids of the running task {spec.container_name} can't change, since its files get other owners with them,"
            " and restart_on_change is false",
            hint="allow the restart, or stop the task first",
        )
