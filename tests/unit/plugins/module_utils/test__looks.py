# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that need no more than a look: who looks at which, what is left, and what becomes of the helpers."""

from __future__ import annotations

import os
import signal
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _looks, _pool


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()


@pytest.fixture(autouse=True)
def no_child_is_left() -> t.Iterator[None]:
    before = children()
    yield
    assert children() == before


def looked(count: int, look: _looks.Look, processes: int = 2) -> tuple[dict[int, t.Any], list[int]]:
    """What was found, and what is left."""
    found: dict[int, t.Any] = {}

    def done(number: int, result: t.Any) -> None:
        assert number not in found
        found[number] = result

    left = _looks.run(count, look, processes, done)
    assert sorted([*found, *left]) == list(range(count))
    return found, left


@pytest.mark.parametrize(("count", "processes"), [(0, 2), (1, 2), (2, 2), (3, 8), (50, 1), (50, 2), (50, 3)])
def test_each_process_looks_at_a_share(count: int, processes: int) -> None:
    found, left = looked(count, lambda number: [number, os.getpid(), "x" * 20000], processes)
    assert left == []
    assert [found[number][0] for number in range(count)] == list(range(count))
    pids = {it[1] for it in found.values()}
    assert len(pids) == min(processes, max(count - 1, min(count, 1)))
    assert count == 0 or found[0][1] == os.getpid()


def test_where_the_first_needs_more_no_other_is_looked_at() -> None:
    asked: list[int] = []

    def look(number: int) -> None:
        asked.append(number)

    assert looked(5, look) == ({}, [0, 1, 2, 3, 4])
    assert asked == [0]


def test_a_share_ends_where_one_needs_more() -> None:
    """The first is nobody's share; the others are dealt out in turn."""
    found, left = looked(9, lambda number: None if number == 4 else number)
    assert sorted(found) == [0, 1, 2, 3, 5, 7]
    assert left == [4, 6, 8]


@pytest.mark.parametrize("end", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os._exit(0)])
def test_of_a_helper_that_dies_all_is_left(end: t.Callable[[], None]) -> None:
    caller = os.getpid()

    def look(number: int) -> int:
        if os.getpid() != caller and number == 6:
            end()
        return number

    found, left = looked(9, look)
    assert sorted(found) == [0, 1, 3, 5, 7]
    assert left == [2, 4, 6, 8]


def test_a_signal_ends_helpers_too(tmp_path: Path) -> None:
    """What was found is told, and all else is not begun any more."""

    def look(number: int) -> int:
        if number:
            (tmp_path / str(number)).touch()
            time.sleep(60)
        return number

    def kill_us() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=kill_us).start()
    found: dict[int, t.Any] = {}
    began = time.monotonic()
    _pool.run(5, lambda number, _idle: number, 2, found.__setitem__, look)
    assert time.monotonic() - began < 30
    assert found[0] == 0
    assert [str(found[number]) for number in range(1, 5)] == ["the module was ended by signal 15 before it began"] * 4


def test_what_is_left_is_done_as_a_job() -> None:
    found: dict[int, t.Any] = {}

    def look(number: int) -> str | None:
        return None if number == 3 else f"{number} was looked at"

    _pool.run(6, lambda number, _idle: f"{number} was done", 2, found.__setitem__, look)
    assert [found[number] for number in range(5)] == [
        "0 was looked at",
        "1 was looked at",
        "2 was looked at",
        "3 was done",
        "4 was looked at",
    ]
    assert found[5] == "5 was done"
