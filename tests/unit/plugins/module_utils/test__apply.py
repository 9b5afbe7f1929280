# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failure tells of the undo; most of it is seen with containers."""

from __future__ import annotations

import os
import signal
import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _apply, _errors, _observed, _signals, _steps
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import task


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (_errors.LxcTaskError("no."), "could not freeze: no; the undo could not thaw the task (still)"),
        (TypeError("odd"), "TypeError: odd; the undo could not thaw the task (still)"),
    ],
)
def test_what_could_not_be_undone_is_told_whatever_failed(error: Exception, told: str) -> None:
    def fail(error: Exception) -> t.Callable[[str], None]:
        def work(_name: str) -> None:
            raise error

        return work

    still = _errors.LxcTaskError("still")
    runtime: t.Any = SimpleNamespace(sweep=lambda _name: None, freeze=fail(error), thaw=fail(still))
    with pytest.raises(Exception, match="still") as failed:
        _apply.apply([_steps.Freeze("freeze")], task(), _observed.Observed(), runtime)
    assert str(failed.value) == told
    assert failed.value.__cause__ is error


def test_a_second_signal_does_not_hide_what_the_first_has_left() -> None:
    """A terminal signals a whole group of processes, and a caller its workers once more."""

    def hit(_name: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def thaw(name: str) -> None:
        hit(name)
        raise _errors.LxcTaskError("still")

    runtime: t.Any = SimpleNamespace(sweep=lambda _name: None, freeze=hit, thaw=thaw)
    with _signals.interruptible(), pytest.raises(_errors.StepError) as failed:
        _apply.apply([_steps.Freeze("freeze")], task(), _observed.Observed(), runtime)
    told = "could not freeze: the module was ended by signal 15; the undo could not thaw the task (still)"
    assert str(failed.value) == told
