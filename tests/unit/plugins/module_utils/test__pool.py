# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs in worker processes: how many at a time, what becomes of those that fail, and of all when a signal comes."""

from __future__ import annotations

import os
import signal
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _jobs, _pool, _signals, _waits
from ansible_collections.nomadic.lxc.plugins.module_utils._signals import Interrupted, interruptible
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import children, linger, until


def results(count: int, job: _jobs.Job, parallel: int = 2) -> list[t.Any]:
    found: dict[int, t.Any] = {}

    def done(number: int, result: t.Any) -> None:
        assert number not in found
        found[number] = result

    _jobs.run(count, job, parallel, done)
    assert sorted(found) == list(range(count))
    return [found[number] for number in range(count)]


@pytest.fixture(autouse=True)
def no_child_is_left() -> t.Iterator[None]:
    before = children()
    yield
    assert children() == before


class Most:
    """How many jobs were inside at the same time, counted by files."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __call__(self, number: int, seconds: float = 0.1) -> int:
        mine = self.place / str(number)
        mine.touch()
        most = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            most = max(most, len(list(self.place.iterdir())))
            time.sleep(0.005)
        mine.unlink()
        return most


def test_every_job_is_done_once_and_in_another_process() -> None:
    found = results(50, lambda number, _idle: [number, os.getpid(), "x" * 100000])
    assert [it[0] for it in found] == list(range(50))
    pids = {it[1] for it in found}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


def test_nothing_to_do() -> None:
    assert results(0, lambda number, _idle: number) == []


@pytest.mark.parametrize("parallel", [1, 3])
def test_only_so_many_at_a_time(tmp_path: Path, parallel: int) -> None:
    inside = Most(tmp_path)
    found = results(6, lambda number, _idle: inside(number), parallel)
    assert max(found) <= parallel


def test_those_that_wait_do_not_count(tmp_path: Path) -> None:
    """All are waiting at the same time, however long it takes until they are."""

    def job(number: int, waits: _waits.Waits) -> int:
        with waits.idle():
            (tmp_path / str(number)).touch()
            end = time.monotonic() + 60
            while len(list(tmp_path.iterdir())) < 8 and time.monotonic() < end:
                time.sleep(0.01)
            return len(list(tmp_path.iterdir()))

    assert results(8, job, 1) == [8] * 8


def test_there_are_only_so_many_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "_WAITING", 2)

    def job(_number: int, waits: _waits.Waits) -> int:
        with waits.idle():
            time.sleep(0.1)
        return os.getpid()

    assert len(set(results(6, job, 1))) == 2


class Awaited:
    """Jobs of which the first makes what all wait for: a file."""

    def __init__(self, place: Path) -> None:
        self.made, self.begun = place / "made", place / "begun"
        self.begun.mkdir()

    def wait(self, number: int, waits: _waits.Waits) -> None:
        """Begin, and wait for it."""
        (self.begun / str(number)).touch()
        while not self.made.exists():
            waits.pause(0.01)

    def make(self, many: int) -> list[int]:
        """Make it once so many have begun; returns their numbers."""
        (self.begun / "0").touch()
        until(lambda: len(self.numbers) >= many)
        # In which more could.
        time.sleep(0.3)
        numbers = sorted(self.numbers)
        self.made.touch()
        return numbers

    @property
    def numbers(self) -> list[int]:
        """Those that have begun."""
        return [int(path.name) for path in self.begun.iterdir()]


def test_while_a_job_waits_its_worker_does_others(tmp_path: Path) -> None:
    """Each once; and it has no more of them than is its share, since the others can't take them from it."""
    awaited = Awaited(tmp_path)

    def job(number: int, waits: _waits.Waits) -> tuple[int, list[int]]:
        if number == 0:
            return os.getpid(), awaited.make(1 + 5)
        if not awaited.made.exists():
            awaited.wait(number, waits)
        return os.getpid(), [number]

    found = results(10, job)
    assert found[0][1] == [0, 1, 2, 3, 4, 5]
    assert [numbers for _pid, numbers in found[1:]] == [[number] for number in range(1, 10)]
    assert len({pid for pid, _numbers in found[1:6]}) == 1


def test_for_a_moment_no_other_job_is_begun(tmp_path: Path) -> None:
    def job(number: int, waits: _waits.Waits) -> int:
        (tmp_path / str(number)).touch()
        for _turn in range(3):
            waits.pause(0.001)
        return len(os.listdir(tmp_path)) - number

    assert results(5, job, 1) == [1] * 5


def test_only_so_many_are_within_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "_DEEPEST", 3)
    awaited = Awaited(tmp_path)

    def job(number: int, waits: _waits.Waits) -> list[int]:
        if number == 0:
            return awaited.make(1 + 3)
        awaited.wait(number, waits)
        return []

    assert results(10, job)[0] == [0, 1, 2, 3]


def test_a_job_within_another_waits_for_nobody_else(tmp_path: Path) -> None:
    """It is done in its turn, when nothing waits for it."""
    awaited = Awaited(tmp_path)

    def job(number: int, waits: _waits.Waits) -> list[t.Any]:
        if number == 0:
            awaited.make(3)
            return [os.getpid()]
        if number == 2 and waits.turn is not None:
            (awaited.begun / "2").touch()
            raise _jobs.Later
        if number == 1:
            awaited.wait(number, waits)
        return [number, waits.turn]

    found = results(4, job)
    assert found[1:] == [[1, None], [2, None], [3, None]]


def test_a_job_within_another_that_fails_is_lost_alone(tmp_path: Path) -> None:
    awaited = Awaited(tmp_path)

    def job(number: int, waits: _waits.Waits) -> int:
        if number == 0:
            awaited.make(3)
        elif number == 2:
            (awaited.begun / "2").touch()
            raise ValueError("wrong")
        else:
            awaited.wait(number, waits)
        return number

    found = results(6, job)
    assert [found[number] for number in (0, 1, 3, 4, 5)] == [0, 1, 3, 4, 5]
    assert str(found[2]) == "ValueError: wrong"


def test_with_a_worker_all_its_jobs_are_lost(tmp_path: Path) -> None:
    awaited = Awaited(tmp_path)

    def job(number: int, waits: _waits.Waits) -> int:
        if number == 0:
            awaited.make(3)
            return 0
        if number == 2:
            (awaited.begun / "2").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        awaited.wait(number, waits)
        return number

    found = results(6, job)
    assert [found[number] for number in (0, 3, 4, 5)] == [0, 3, 4, 5]
    assert {str(found[number]) for number in (1, 2)} == {"the process that worked on it ended with signal 9"}


@pytest.mark.parametrize("undoing", [False, True])
def test_a_signal_lets_those_around_a_job_undo_too(tmp_path: Path, undoing: bool) -> None:
    """Also where the innermost drops it, since it is undoing what it did already."""
    awaited = Awaited(tmp_path)

    def job(number: int, waits: _waits.Waits) -> str:
        try:
            with interruptible():
                if number == 0:
                    awaited.make(99)
                if number < 3:
                    awaited.wait(number, waits)
                elif undoing:
                    with _signals.held():
                        os.kill(os.getppid(), signal.SIGTERM)
                        until(lambda: signal.SIGTERM in signal.sigpending())
                        _signals.forget()
                else:
                    os.kill(os.getppid(), signal.SIGTERM)
                    linger(tmp_path / "never")
        except Interrupted:
            return f"{number} is undone"
        return f"{number} is done"

    found = results(8, job)
    assert found[:3] == ["0 is undone", "1 is undone", "2 is undone"]
    assert found[3] == ("3 is done" if undoing else "3 is undone")
    assert {str(it) for it in found[4:]} == {"the module was ended by signal 15 before it began"}
    assert not awaited.made.exists()


def test_a_job_that_fails_is_lost_and_the_others_are_not() -> None:
    def job(number: int, _waits: _waits.Waits) -> int:
        if number == 1:
            raise ValueError("wrong")
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 3:
            os._exit(7)
        return number

    found = results(6, job, 1)
    assert [found[number] for number in (0, 4, 5)] == [0, 4, 5]
    assert str(found[1]) == "ValueError: wrong"
    assert "test__pool.py" in found[1].fault
    assert [str(found[number]) for number in (2, 3)] == [
        "the process that worked on it ended with signal 9",
        "the process that worked on it ended with status 7",
    ]
    assert found[2].fault is None


def test_a_signal_lets_the_jobs_undo(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    begun.mkdir()

    def job(number: int, _waits: _waits.Waits) -> str:
        try:
            with interruptible():
                (begun / str(number)).touch()
                linger(ended)
        except Interrupted:
            time.sleep(0.2)
            return f"{number} is undone"
        return "in vain"

    def kill_us() -> None:
        until(lambda: len(os.listdir(begun)) == 2)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    killing = threading.Thread(target=kill_us)
    killing.start()
    found = results(4, job)
    killing.join()
    assert not ended.exists()
    assert found[:2] == ["0 is undone", "1 is undone"]
    assert [str(it) for it in found[2:]] == ["the module was ended by signal 15 before it began"] * 2


def test_a_worker_ends_its_job_when_its_caller_is_gone(tmp_path: Path) -> None:
    def job(number: int, _waits: _waits.Waits) -> None:
        (tmp_path / f"begun-{number}").touch()
        time.sleep(0.5)
        (tmp_path / f"done-{number}").touch()

    child = os.fork()
    if child == 0:
        _jobs.run(10, job, 2, lambda _number, _result: None)
        os._exit(0)
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while len(list(tmp_path.iterdir())) < 4:
        time.sleep(0.05)
    time.sleep(1)  # in which another job would begin
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["begun-0", "begun-1", "done-0", "done-1"]


def test_a_job_that_was_given_and_not_begun_is_told_so(tmp_path: Path) -> None:
    """A signal that comes while a worker waits for its next job, or tells of the last, is heard by a job alone."""

    def job(number: int, _waits: _waits.Waits) -> int:
        try:
            (tmp_path / str(number)).touch()
            os.kill(os.getppid(), signal.SIGTERM)
        except Interrupted:
            (tmp_path / str(number)).unlink(missing_ok=True)
            raise
        return number

    found = results(40, job)
    done = {number for number in range(40) if found[number] == number}
    never = {
        number for number in range(40) if str(found[number]) == "the module was ended by signal 15 before it began"
    }
    assert never
    assert {str(found[number]) for number in range(40) if number not in done | never} <= {
        "the module was ended by signal 15, when no step was under way: nothing is half done",
    }
    begun = {int(path.name) for path in tmp_path.iterdir()}
    assert done <= begun
    assert not never & begun
