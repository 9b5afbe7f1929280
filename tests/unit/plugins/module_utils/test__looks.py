# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that need no more than a look: who looks at which, what is left, and what becomes of the helpers."""

from __future__ import annotations

import os
import signal
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _fork, _jobs, _looks, _waits
from ansible_collections.nomadic.lxc.plugins.module_utils._signals import Interrupted, interruptible
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import children, linger, until


@pytest.fixture(autouse=True)
def nothing_is_left() -> t.Iterator[None]:
    before, files = children(), len(os.listdir("/proc/self/fd"))
    yield
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == files


def looked(count: int, look: _looks.Look, processes: int = 2) -> dict[int, t.Any]:
    found: dict[int, t.Any] = {}

    def done(number: int, result: t.Any) -> None:
        assert number not in found
        found[number] = result

    _looks.run(count, look, processes, done)
    return found


@pytest.mark.parametrize(
    ("count", "processes", "lookers"),
    [(0, 2, 0), (1, 2, 1), (7, 2, 1), (8, 2, 2), (9, 8, 2), (50, 1, 1), (50, 2, 2), (50, 3, 3)],
)
def test_each_process_looks_at_a_share_that_is_worth_it(count: int, processes: int, lookers: int) -> None:
    found = looked(count, lambda number: [number, os.getpid(), "x" * 20000], processes)
    assert [found[number][0] for number in range(count)] == list(range(count))
    assert len({it[1] for it in found.values()}) == lookers
    assert count == 0 or found[0][1] == os.getpid()


def test_where_all_need_more_each_looks_at_one(tmp_path: Path) -> None:
    def look(number: int) -> None:
        (tmp_path / str(number)).touch()

    assert looked(50, look) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_a_share_ends_where_one_needs_more() -> None:
    """They are dealt out in turn."""
    assert sorted(looked(11, lambda number: None if number == 4 else number)) == [0, 1, 2, 3, 5, 7, 9]


@pytest.mark.parametrize("end", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os._exit(0)])
def test_of_a_helper_that_dies_all_is_left(end: t.Callable[[], None]) -> None:
    caller = os.getpid()

    def look(number: int) -> int:
        if os.getpid() != caller and number == 7:
            end()
        return number

    assert sorted(looked(11, look)) == [0, 2, 4, 6, 8, 10]


def test_without_a_process_for_a_helper_its_share_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    assert sorted(looked(11, lambda number: number)) == [0, 2, 4, 6, 8, 10]


def test_a_signal_at_a_fork_leaves_no_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a descriptor, though it has more to say than a pipe holds."""
    fork = os.fork

    def forked() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return fork()

    monkeypatch.setattr(os, "fork", forked)
    with interruptible(), pytest.raises(Interrupted):
        looked(50, lambda _number: "x" * 20000)


def test_a_helper_ends_when_its_caller_is_killed(tmp_path: Path) -> None:
    """It has more to say than a pipe holds, and holds nothing that anybody waits for."""
    ours, theirs = os.pipe()
    caller = os.fork()
    if caller == 0:
        os.close(ours)
        os.dup2(theirs, 1)

        def look(number: int) -> str:
            if number == 2:
                (tmp_path / "looks").touch()
                time.sleep(60)
            return "x" * 100000

        _looks.run(50, look, 2, lambda _number, _result: None)
        os._exit(0)
    os.close(theirs)
    while not (tmp_path / "looks").exists():
        time.sleep(0.01)
    (helper,) = children(caller)
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    assert os.read(ours, 1) == b""
    os.close(ours)
    end = time.monotonic() + 10
    while Path(f"/proc/{helper}").exists() and "Z" not in Path(f"/proc/{helper}/stat").read_text(encoding="ascii"):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_signal_ends_helpers_too(tmp_path: Path) -> None:
    """What was found is told, and all else is not begun any more."""
    begun, ended = tmp_path / "begun", tmp_path / "ended"

    def look(number: int) -> int:
        if number == 1:
            begun.touch()
            linger(ended)
        if number == 2:
            until(begun.exists)
            # From a thread it could come between the opening of a file and its closing, and before a wait that it would end.
            os.kill(os.getpid(), signal.SIGTERM)
        return number

    found: dict[int, t.Any] = {}
    _jobs.run(9, lambda number, _idle: number, 2, found.__setitem__, look)
    assert not ended.exists()
    assert found[0] == 0
    assert [str(found[number]) for number in range(1, 9)] == ["the module was ended by signal 15 before it began"] * 8


def test_what_is_left_is_done_as_a_job() -> None:
    found: dict[int, t.Any] = {}
    prepared: list[int] = []

    def look(number: int) -> str | None:
        return None if number == 7 else f"{number} was looked at"

    def job(number: int, _waits: _waits.Waits) -> str:
        return f"{number} was done {len(prepared)}"

    _jobs.run(11, job, 2, found.__setitem__, look, lambda: prepared.append(1))
    assert [found[number] for number in range(11)] == [
        *(f"{number} was looked at" for number in range(7)),
        "7 was done 1",
        "8 was looked at",
        "9 was done 1",
        "10 was looked at",
    ]
    assert prepared == [1]
    _jobs.run(11, job, 2, found.__setitem__, lambda number: number, lambda: prepared.append(1))
    assert prepared == [1]


def test_a_child_that_fails_does_not_go_on_as_its_caller() -> None:
    def fail() -> None:
        raise ValueError("wrong")

    assert os.waitstatus_to_exitcode(os.waitpid(_fork.start(fail, []), 0)[1]) == 1
    assert os.waitstatus_to_exitcode(os.waitpid(_fork.start(lambda: None, []), 0)[1]) == 0
