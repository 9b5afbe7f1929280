# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run over one task: what it works on, the record as it is now, and how to take back each step that was taken."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _kept,
    _observed,
    _record,
    _runtime,
    _signals,
    _spec,
    _steps,
    _tree,
)


@dataclass
class Work:
    """``seen`` is what was before the first step; ``record`` follows the steps. ``undo``: words and deed, newest last.
    ``stands``: what was done last, and can't be taken back, in words. ``lasting``: what is not taken back beside it, for reasons
    of its own.
    """

    spec: _spec.TaskSpec
    seen: _observed.Observed
    runtime: _runtime.Runtime
    record: _record.Record | None
    outcome: _steps.Outcome = field(default_factory=_steps.Outcome)
    undo: list[tuple[str, t.Callable[[], None]]] = field(default_factory=list)
    stands: str | None = None
    lasting: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The container's name."""
        return self.spec.container_name

    @property
    def directory(self) -> str:
        """The container's own directory."""
        return self.runtime.directory(self.name)

    def then(self, words: str, undo: t.Callable[[], None]) -> None:
        """Know how to take back what is about to be done, or was."""
        self.undo.append((words, undo))
        self.stands = None

    def keep(self, words: str) -> None:
        """Take back nothing of what was done until now."""
        self.undo.clear()
        self.stands = words

    def record_with(self, **changes: t.Any) -> _record.Record:
        """The record with other values; of a task that has one by now."""
        return t.cast(_record.Record, self.record)._replace(**changes)

    def write_record(self, record: _record.Record) -> None:
        """Write the record; from now on it is the one that counts."""
        _tree.write_atomically(_kept.record_file(self.spec.lxc_path, self.name), _record.render_record(record))
        self.record = record

    def change_record(self, record: _record.Record) -> None:
        """Write the record, and know how to put the former one back."""
        former = self.record
        if former is not None:
            self.then("put the record back", lambda: self.write_record(former))
        self.write_record(record)

    def unwind(self) -> list[str]:
        """Take everything back; returns what could not be, in words. Signals wait until it is done."""
        left: list[str] = []
        with _signals.held():
            while self.undo:
                words, undo = self.undo.pop()
                try:
                    undo()
                except Exception as error:  # noqa: BLE001 # pylint: disable=broad-except # the others are taken back none the less
                    left.append(f"{words} ({str(error) or repr(error)})")
            with contextlib.suppress(Exception):
                self.runtime.sweep(self.name)
            # Nothing is left to be undone.
            _signals.forget()
        return left


def missing_parents(path: str) -> list[str]:
    """The directories to make so that a path exists, parents first; the path itself is the last of them."""
    missing: list[str] = []
    while not os.path.isdir(path):
        missing.insert(0, path)
        path = os.path.dirname(path)
    return missing


def make_directories(path: str, made: t.Callable[[str], None], mode: int = 0o755) -> None:
    """Make a directory, and those that lead to it; each is told to ``made``. Calls beside this one may make, and take back, the
    same. Raises OSError.
    """
    for _attempt in range(100):
        try:
            for missing in missing_parents(path):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(missing, mode)
                    made(missing)
                    # Whatever umask the caller has: an unprivileged task's root is one of the others.
                    _tree.own_directory(missing, mode)
        except FileNotFoundError:
            continue
        if os.path.isdir(path):
            return
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)


def remove_if_empty(path: str) -> None:
    """Remove a directory that others may use too."""
    with contextlib.suppress(OSError):
        os.rmdir(path)


def unlink(path: str) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
