# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may help against a start that failed, and what a stop that failed leaves in the record."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _kept, _states, _steps
from ansible_collections.nomadic.lxc.plugins.module_utils._do_running import start_hint, stop
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._record import render_record
from ansible_collections.nomadic.lxc.plugins.module_utils._starter import ENDED
from ansible_collections.nomadic.lxc.plugins.module_utils._work import Work
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import made, task


@pytest.mark.parametrize(
    ("words", "memory_mb", "pty_max", "says"),
    [
        # liblxc 5.0.2's, where the kernel has a few terminals left, and where it has none.
        ("Failed to create tty 0 | Failed to allocate ttys | Failed to create ttys", None, "4096\n", "is 4096"),
        ("No space left on device - Failed to allocate console | Failed to allocate terminal", None, "1", "is 1"),
        ("Failed to allocate ttys", 64, "", "is unknown"),
        ("Failed to exec /sbin/init", 64, "4096\n", "memory_mb, 64"),
        ("Failed to exec /sbin/init", None, "4096\n", ""),
        ("Cannot allocate memory - Failed to exec /sbin/init", 1, "4096\n", "memory_mb, 1"),
        ('No such file or directory - Failed to exec "/nope"', 64, "4096\n", ""),
        (f"no words | {ENDED}", 64, "4096\n", "call again"),
    ],
)
def test_what_may_help(words: str, memory_mb: int | None, pty_max: str, says: str) -> None:
    hint = start_hint(words, memory_mb, pty_max)
    assert (hint is None) is (says == "")
    assert says in (hint or "")
    assert ("kernel.pty.max" in (hint or "")) is ("tty" in words or "terminal" in words)


def test_a_stop_that_failed_was_not_asked_for(tmp_path: Path) -> None:
    """If the memory limit kills the task that runs on, its end is told as that."""
    asked = task(lxc_path=str(tmp_path))
    seen = made(asked)
    file = _kept.record_file(asked.lxc_path, asked.container_name)
    during: list[t.Any] = []

    def refuse(_name: str, _timeout: float) -> bool:
        during.append(_kept.read_record(file))
        raise LxcTaskError("it can't be killed")

    runtime: t.Any = SimpleNamespace(
        shutdown=refuse, sweep=lambda _name: None, state=lambda _name: (_states.RUNNING, 1), directory=tmp_path.joinpath
    )
    work = Work(asked, seen, runtime, seen.record)
    assert work.record is not None
    Path(file).parent.mkdir()
    Path(file).write_text(render_record(work.record), encoding="utf-8")
    with pytest.raises(LxcTaskError, match="it can't be killed"):
        stop(work, _steps.Stop("stop", 1, False, None, "error"))
    assert during[0].stop_asked == seen.init
    assert work.unwind() == []
    assert _kept.read_record(file) == seen.record
