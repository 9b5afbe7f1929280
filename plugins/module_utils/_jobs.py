# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that one call does: each is no more than a look, or the work of a worker process."""

from __future__ import annotations

import collections
import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _looks, _signals, _waits

Job = t.Callable[[int, _waits.Waits], t.Any]
Done = t.Callable[[int, t.Any], None]


class Lost(Exception):
    """A job that came to no end. ``fault``: the traceback, where the job's code has one."""

    def __init__(self, msg: str, fault: str | None = None) -> None:
        super().__init__(msg)
        self.fault = fault


class Later(Exception):
    """A job that was begun while another one waits, and would wait for what others do: two such could wait for each other."""


def run(
    count: int,
    job: Job,
    parallel: int,
    done: Done,
    look: _looks.Look = lambda _number: None,
    before: t.Callable[[], None] = lambda: None,
) -> None:
    """Do the jobs 0 to count-1; ``done`` gets each one's number and result. ``look``: does a job that needs no more than that, see
    _looks. ``before``: is done before the first worker is there; all share what it leaves in memory.

    A result is what json takes, or Lost. A signal that ends the module ends the jobs first, which undo what they did; those
    that had not begun are Lost.
    """
    # What has no result, and no worker has.
    waiting = collections.deque(range(count))
    at_first = min(parallel, len(os.sched_getaffinity(0)))
    pool = None
    with _signals.interruptible():
        try:
            _look(waiting, look, at_first, done)
            if waiting:
                before()
                # Loaded where somebody works.
                from ansible_collections.nomadic.lxc.plugins.module_utils import _pool

                pool = _pool.Pool(waiting, job, at_first, parallel, done)
                pool.work()
        except _signals.Interrupted as interrupted:
            with _signals.held():
                if pool is not None:
                    pool.end()
                for number in waiting:
                    done(number, Lost(f"{interrupted} before it began"))
        finally:
            if pool is not None:
                pool.close()


def _look(waiting: collections.deque[int], look: _looks.Look, processes: int, done: Done) -> None:
    """Do what needs only a look."""

    def found(number: int, result: t.Any) -> None:
        # Neither lost nor told twice where a signal comes.
        with _signals.held():
            waiting.remove(number)
            done(number, result)

    _looks.run(len(waiting), look, processes, found)
