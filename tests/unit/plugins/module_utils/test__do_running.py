# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may help against a start that failed, what is kept of one that did not, and what a stop that failed leaves in the record."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _kept, _proc, _states, _steps
from ansible_collections.nomadic.lxc.plugins.module_utils._do_running import note_init, start_hint, stop
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


ME = _proc.identify(os.getpid())


class Started:
    """A task that was started, with what the hook has kept of that. liblxc says that its init is this process."""

    def __init__(self, place: Path, kept: str | None, **record: t.Any) -> None:
        asked = task(lxc_path=str(place))
        former = made(asked).record
        assert former is not None
        self.directory = place / asked.container_name
        self.directory.mkdir()
        self.file = _kept.record_file(asked.lxc_path, asked.container_name)
        Path(self.file).write_text(render_record(former._replace(**record)), encoding="utf-8")
        if kept is not None:
            (self.directory / _kept.RUN_FILE).write_text(kept, encoding="ascii")
        runtime: t.Any = SimpleNamespace(state=lambda _name: (_states.RUNNING, os.getpid()), directory=place.joinpath)
        written = os.stat(self.file).st_ino
        note_init(Work(asked, made(asked), runtime, _kept.read_record(self.file)))
        self.rewritten = os.stat(self.file).st_ino != written
        self.record = _kept.own_record(asked.lxc_path, asked.container_name)


def words(init: _proc.InitId | None) -> str:
    assert init is not None
    return f"{init.pid} {init.start_ticks} {init.boot_id}\n0::/lxc.payload.web\n"


GONE = _proc.InitId(1, 1, "another boot")


def test_an_init_that_the_hook_has_kept_is_told_to_be_ours(tmp_path: Path) -> None:
    """The record stays as it is: what it has of a former start counts no more."""
    started = Started(tmp_path, words(ME), init=GONE)
    assert started.record is not None
    assert started.record.init == ME
    assert not started.rewritten


def test_of_an_init_that_the_hook_has_not_kept_the_record_tells(tmp_path: Path) -> None:
    former = words(GONE)
    for place, kept in (("none", None), ("former", former), ("ours", former + _kept.OURS), ("cut", "4242")):
        (tmp_path / place).mkdir()
        started = Started(tmp_path / place, kept)
        assert started.record is not None
        assert started.record.init == ME


def test_after_a_start_nothing_waits_for_it(tmp_path: Path) -> None:
    started = Started(
        tmp_path, words(ME), pending=("init",), pending_init=GONE, pending_monitor=GONE, running={"init": None}
    )
    assert started.record is not None
    assert (started.record.pending, started.record.running) == ((), {})
    assert started.record.pending_init is started.record.pending_monitor is None
    assert started.record.init == ME


def test_a_start_of_others_is_not_ours(tmp_path: Path) -> None:
    """The hook writes its file anew."""
    started = Started(tmp_path, words(ME), init=GONE)
    (started.directory / _kept.RUN_FILE).write_text(words(ME), encoding="ascii")
    record = _kept.own_record(str(tmp_path), started.directory.name)
    assert record is not None
    assert record.init == GONE
    assert _kept.runs_elsewhere(str(started.directory), record) == ME
