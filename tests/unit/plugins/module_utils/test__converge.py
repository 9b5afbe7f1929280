# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _liblxc, _lock, _waits
from ansible_collections.nomadic.lxc.plugins.module_utils._converge import converge, diff, look, view
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LockTimeoutError, LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._notes import Notes
from ansible_collections.nomadic.lxc.plugins.module_utils._states import Exit
from ansible_collections.nomadic.lxc.plugins.module_utils._steps import Plan
from ansible_collections.nomadic.lxc.plugins.module_utils._tree import Paths
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import (
    made,
    nothing,
    params,
    plan,
    spec,
    task,
)

S = 1_000_000_000
ENDED = Exit("2026-11-24T10:00:00Z", False)


@pytest.mark.parametrize("is_", ["running", "stopped"])
def test_check_mode_shows_a_removed_task_as_it_would_be(is_: str) -> None:
    former = task(memory_mb=64, cpu_shares=512, kill_timeout="2s")
    asked = spec(state="absent")
    seen = made(former, former, state=is_, ended=ENDED if is_ == "stopped" else None)
    steps = plan(asked, seen)
    would = view(asked, seen, seen, steps, check_mode=True)
    assert (would.state, would.memory_mb, would.cpu_shares, would.ended, would.created_at) == ("absent",) + (None,) * 4
    assert would.kill_timeout == 2 * S
    gone = nothing(former)._replace(cgroup_version=seen.cgroup_version)
    assert view(asked, seen, gone, steps, check_mode=False) == would


def test_the_end_of_a_stopped_task_is_shown() -> None:
    former = task()
    asked = spec(state="stopped")
    seen = made(former, state="stopped", ended=ENDED)
    for check_mode in (True, False):
        assert view(asked, seen, seen, plan(asked, seen), check_mode).ended == ENDED


@pytest.mark.parametrize(
    ("before", "after", "became", "shown"),
    [
        # as it was planned
        ({"state": "stopped"}, {"state": "running"}, "running", ({"state": "stopped"}, {"state": "running"})),
        ({"hostname": "a"}, {"hostname": "b"}, "running", ({"hostname": "a"}, {"hostname": "b"})),
        # its init ended at once
        ({"state": "absent"}, {"state": "running"}, "stopped", ({"state": "absent"}, {"state": "stopped"})),
        ({"state": "stopped"}, {"state": "running"}, "stopped", ({}, {})),
        ({"a": 1}, {"a": 2}, "stopped", ({"a": 1, "state": "running"}, {"a": 2, "state": "stopped"})),
    ],
)
def test_the_diff_tells_the_state_that_it_came_into(
    before: dict[str, t.Any], after: dict[str, t.Any], became: str, shown: tuple[t.Any, t.Any]
) -> None:
    found = diff(Plan((), "running", before, after), became)
    assert (found["before"], found["after"]) == shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_ends_the_wait_for_a_turn_is_told(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    @contextlib.contextmanager
    def waiting(_path: str, _what: str, _wait: float | None, inherited: bool) -> t.Iterator[int]:
        assert inherited
        os.kill(os.getpid(), number)
        time.sleep(10)
        yield -1

    monkeypatch.setattr(_liblxc, "default_lxc_path", lambda: "/var/lib/lxc")
    monkeypatch.setattr(_lock, "held", waiting)
    former = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.raises(LxcTaskError, match=f"signal {int(number)}, when no step was under way"):
            converge(params(name="web", state="stopped"), check_mode=False)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, former)


@pytest.mark.parametrize("turn", [None, 0.0])
def test_how_long_another_call_is_waited_for(monkeypatch: pytest.MonkeyPatch, turn: float | None) -> None:
    def busy(_path: str, _what: str, wait: float | None, inherited: bool) -> t.NoReturn:
        assert inherited
        raise LockTimeoutError(f"for {wait} seconds")

    monkeypatch.setattr(_liblxc, "default_lxc_path", lambda: "/var/lib/lxc")
    monkeypatch.setattr(_lock, "held", busy)
    with pytest.raises(LockTimeoutError, match=f"for {turn} seconds"):
        converge(params(name="web", state="stopped"), False, _waits.ALONE._replace(turn=turn))


def test_a_look_waits_for_no_other_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_path: str, _what: str, wait: float | None, inherited: bool) -> t.NoReturn:
        assert (wait, inherited) == (0.0, False)
        raise LockTimeoutError("another call works on it")

    monkeypatch.setattr(_liblxc, "default_lxc_path", lambda: "/var/lib/lxc")
    monkeypatch.setattr(_lock, "held", busy)
    assert look(params(name="web", state="stopped"), False, Notes(), Paths()) is None
