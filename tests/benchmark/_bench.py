# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks share: commands, what they cost, and a ratio beside its goal."""

from __future__ import annotations

import resource
import subprocess
import time
import typing as t

Call = t.Callable[[], t.Any]


class Failed(Exception):
    """A command failed; the message says which, and the end of what it printed."""


class Cost(t.NamedTuple):
    """Seconds: of time, and of CPU time of child processes."""

    time: float
    cpu: float


def quiet(*command: str) -> None:
    """Run a command, which must succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}")


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cost(call: Call, failures: int = 0) -> Cost:
    """What a call costs. It may fail so many times before, which does not count."""
    while True:
        start, before = time.perf_counter(), _used()
        try:
            call()
            return Cost(time.perf_counter() - start, _used() - before)
        except Failed:
            if failures == 0:
                raise
            failures -= 1


def interleaved(
    calls: t.Mapping[str, Call],
    rounds: int,
    after: t.Callable[[str], None] = lambda name: None,
    failures: t.Mapping[str, int] | None = None,
) -> dict[str, list[Cost]]:
    """What each costs, so many times, taken in turns, so that a busy moment of the host meets all; the first turn warms up.

    ``after``: is called after each, by its name. ``failures``: see cost.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            taken = cost(call, (failures or {}).get(name, 0))
            if turn > 0:
                costs[name].append(taken)
            after(name)
    return costs


def judge(what: str, ratio: float, goal: float) -> bool:
    """Print a number beside its goal; whether it is met."""
    met = ratio <= goal
    print(f"{what:<62} {ratio:8.3f}   goal: at most {goal:g}   {'met' if met else 'MISSED'}")
    return met
