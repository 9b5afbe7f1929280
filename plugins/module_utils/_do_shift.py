# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that give an unprivileged task's files to its users, or back to the host's root.

Each goes by way of the host's own ids, so that a file has always one of two: what a run that was cut off has left can be
finished, or taken back, whichever of both it was.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _config_lines,
    _do_directories,
    _errors,
    _idmap,
    _names,
    _observe_directories,
    _shift,
    _steps,
    _tree,
    _work,
)

Turn = t.Callable[[_idmap.Idmap, bool], None]


def _in_turns(work: _work.Work, step: _steps.ShiftDirectories | _steps.ShiftRootfs, turn: Turn) -> None:
    """Out of the former ids, into the wanted ones; each turn is taken back by its opposite."""
    for idmap, inward in ((step.former, False), (step.wanted, True)):
        if idmap is not None:
            back = (idmap, not inward)
            work.then(f"take back to {step.action}", lambda back=back: turn(*back))  # type: ignore[misc] # mypy can't infer a lambda's default
            turn(idmap, inward)


def shift_directories(work: _work.Work, step: _steps.ShiftDirectories) -> None:
    """Shift what is in the task's directories; the alloc's shared one, too, where it is the host's or this task's alone."""
    place = t.cast(_names.Layout, work.spec.layout)

    def turn(idmap: _idmap.Idmap, inward: bool) -> None:
        with _do_directories.alloc_lock(work):
            # On the way back nothing is refused.
            if inward == (idmap is step.wanted):
                _do_directories.refuse_mixed(work, step.wanted is not None)
            # Nobody else on the host may come by a program that is the host's root's meanwhile.
            os.chmod(place.root, 0o700)
            if os.path.isdir(place.task):
                os.chmod(place.task, _names.SHIFTING)
                os.chown(place.task, 0, idmap.base)
            shift = _shift.inwards(idmap) if inward else _shift.outwards(idmap)
            for path in (*place.owned(), *_shared(place, inward)):
                _shift.shift_tree(path, shift)
            modes = dict(place.directories(inward))
            if os.path.isdir(place.task):
                os.chown(place.task, 0, idmap.base if inward else 0)
                os.chmod(place.task, modes[place.task])
            os.chmod(place.root, modes[place.root])

    _in_turns(work, step, turn)


def shift_shared(work: _work.Work, step: _steps.ShiftShared) -> None:
    """Shift the alloc's shared directory alone.

    It is not taken back. The task as it was has these ids too, and may have written there; and nothing becomes the host's
    root's, programs say, where others of the host can come by.
    """
    place, idmap = t.cast(_names.Layout, work.spec.layout), step.wanted
    with _do_directories.alloc_lock(work):
        _do_directories.refuse_mixed(work, True)
        for path in _shared(place, True):
            work.lasting.append(f"{path} stays user {idmap.base}'s")
            _shift.shift_tree(path, _shift.inwards(idmap))
        mode = dict(place.directories(True))[place.root]
        _do_directories.make_directory(work, place.root, mode, idmap.base, always=True)


def _shared(place: _names.Layout, inward: bool) -> list[str]:
    if not _observe_directories.other_tasks(place):
        return [place.alloc]
    with contextlib.suppress(FileNotFoundError):
        if inward and os.stat(place.alloc).st_uid == 0:
            return [place.alloc]
    return []


def shift_rootfs(work: _work.Work, step: _steps.ShiftRootfs) -> None:
    """Shift the root file system, where it is a directory; the record knows how far it came."""

    def turn(idmap: _idmap.Idmap, inward: bool) -> None:
        path = _rootfs(work)
        work.write_record(work.record_with(shifted=idmap.base, shifting=True))
        _shift.shift_tree(path, _shift.inwards(idmap) if inward else _shift.outwards(idmap))
        shifted = idmap.base if inward else 0
        work.write_record(work.record_with(shifted=shifted, shifting=False))

    _in_turns(work, step, turn)


def _rootfs(work: _work.Work) -> str:
    """The directory of the root file system, as the configuration says."""
    lines = _config_lines.parse(_tree.read_text(work.runtime.config_file(work.name)) or "")
    path = (_config_lines.last(lines, "lxc.rootfs.path") or "").removeprefix("dir:")
    if not os.path.isdir(path):
        raise _errors.LxcTaskError(
            f"the root file system {path!r} is not a directory, so its files can't get other owners",
            hint="the kernel can't map its ids either: use a file system that can be mounted with ids mapped, ext4 or xfs say",
        )
    return path
