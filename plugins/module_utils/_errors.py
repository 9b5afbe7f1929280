# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception root: whatever the collection refuses or fails at is told to the user by its message alone."""

from __future__ import annotations

import typing as t


class LxcTaskError(Exception):
    """Something the user can be told in a sentence.

    ``hint`` says what to do about it. ``errors`` holds every fault where there may be several (a task's options).
    """

    def __init__(self, msg: str, hint: str | None = None, errors: t.Sequence[str] | None = None) -> None:
        super().__init__(msg)
        self.msg = msg
        self.hint = hint
        self.errors = list(errors) if errors else [msg]

    def __str__(self) -> str:
        return f"{self.msg} ({self.hint})" if self.hint else self.msg


def of_system(error: OSError) -> LxcTaskError:
    """What the kernel refused, and of which file."""
    named = isinstance(error.filename, str) and error.filename2 is None
    return LxcTaskError(f"{error.strerror or error}: {error.filename}" if named else str(error))


class OptionsError(LxcTaskError):
    """The options of a call are not what they may be; all faults are named at once."""

    def __init__(self, errors: t.Sequence[str], hint: str | None = None) -> None:
        super().__init__("; ".join(errors), hint=hint, errors=errors)


class ForeignContainerError(LxcTaskError):
    """A container of the asked name exists which this collection did not make for this task."""


class ContainerGoneError(LxcTaskError):
    """The container of a handle does not exist."""


class LockTimeoutError(LxcTaskError):
    """Another call worked on the same container for longer than this one may wait."""


class GroupError(LxcTaskError):
    """Tasks of a group failed. ``result``: that of the call, with all tasks."""

    def __init__(self, msg: str, errors: t.Sequence[str], result: t.Mapping[str, t.Any]) -> None:
        super().__init__(msg, errors=errors)
        self.result = dict(result)


class StepError(LxcTaskError):
    """A step of the plan failed; what the run had made is undone."""
