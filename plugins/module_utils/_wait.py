# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for tasks to end or to run: predicates over a monotonic clock, and the kernel's own notice of a death."""

from __future__ import annotations

import os
import select
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _proc, _states, _view

# Seconds. How often it is asked what became of a task whose init died: a reboot kills the init too.
_SETTLE_PAUSE = 0.001
# ... how long a hook may take to tell before liblxc is asked, whose answer waits until its monitor has cleaned up,
_TELLING = 0.15
# ... and how long a task that rebooted may be down.
_REBOOTING = 3.0
# How often it is looked whether a task runs yet.
_PAUSE = 0.03
# How often a process is looked at where the kernel has no pidfd (before Linux 5.3).
_POLL = 0.01
_LONGEST = 86400.0

_RUNS = (_states.RUNNING, _states.FROZEN)


class Host(t.Protocol):
    """What waiting asks of the host."""

    def look(self, name: str) -> _view.TaskView:
        """A task as it is now; absent, if it was removed."""

    def tells(self, view: _view.TaskView) -> bool:
        """Whether a hook of the task's will tell of its end."""

    def told(self, view: _view.TaskView) -> _view.TaskView | None:
        """What the hook told of the end of this run: the task stopped, or unchanged if it reboots; None before that."""


class Deaths:
    """Waits for the first death among processes: by pidfd, which no reused pid can deceive, or by looking at /proc."""

    def __init__(self) -> None:
        self._watched: dict[str, _proc.InitId] = {}
        self._descriptors: dict[int, str] = {}

    def __enter__(self) -> Deaths:
        return self

    def __exit__(self, *_error: object) -> None:
        for name in list(self._watched):
            self.forget(name)

    def watch(self, name: str, init: _proc.InitId) -> None:
        """Watch a process under a name; one that is watched under it already stays."""
        if self._watched.get(name) == init:
            return
        self.forget(name)
        self._watched[name] = init
        opening: t.Callable[[int], int] | None = getattr(os, "pidfd_open", None)
        if opening is None:
            return
        try:
            descriptor = opening(init.pid)
        except OSError:
            return  # it is gone, or this kernel has none: the look at /proc tells
        if _proc.identify(init.pid) == init:
            self._descriptors[descriptor] = name
        else:
            os.close(descriptor)

    def forget(self, name: str) -> None:
        """Watch it no more."""
        self._watched.pop(name, None)
        for descriptor in [key for key, value in self._descriptors.items() if value == name]:
            os.close(descriptor)
            del self._descriptors[descriptor]

    def wait(self, timeout: float) -> set[str]:
        """The names of those that died, after at most so many seconds."""
        unwatched = set(self._watched) - set(self._descriptors.values())
        deadline = time.monotonic() + timeout
        poll = select.poll()
        for descriptor in self._descriptors:
            poll.register(descriptor, select.POLLIN)
        while True:
            dead = {name for name in unwatched if _proc.identify(self._watched[name].pid) != self._watched[name]}
            left = max(0.0, deadline - time.monotonic())
            pause = 0.0 if dead else min(left, _POLL) if unwatched else min(left, _LONGEST)
            dead.update(self._descriptors[descriptor] for descriptor, _event in poll.poll(pause * 1000))
            if dead or time.monotonic() >= deadline:
                return dead


def for_exit(
    views: t.Sequence[_view.TaskView], host: Host, timeout: float
) -> tuple[list[_view.TaskView], dict[str, int], bool]:
    """Wait until none of these tasks runs any more, in seconds. Returns them as they are then, when the death of each init
    was noticed (UTC nanoseconds), and whether in time.
    """
    deadline = time.monotonic() + timeout
    with Deaths() as deaths:
        waiting = _Waiting(views, host, deaths)
        while waiting.runs and time.monotonic() < deadline:
            waiting.step(max(0.0, deadline - time.monotonic()))
        in_time = not waiting.runs
        return waiting.views(), waiting.noticed, in_time


class _Waiting:
    """The tasks of one wait: which run still, which are dying (since when, monotonic seconds), and what became of each."""

    def __init__(self, views: t.Sequence[_view.TaskView], host: Host, deaths: Deaths) -> None:
        self._host = host
        self._deaths = deaths
        self._ends = {view.container_name: view for view in views}
        self.runs = {name: view for name, view in self._ends.items() if view.state in _RUNS}
        self._monitors: dict[str, _proc.InitId | None] = {}
        self._dying: dict[str, float] = {}
        self.noticed: dict[str, int] = {}
        for name, view in self.runs.items():
            self._watch(name, view)

    def _watch(self, name: str, view: _view.TaskView) -> None:
        self.runs[name] = view
        if view.init is None:
            self._note(name)
            return
        self._monitors[name] = _proc.parent(view.init.pid)
        self._deaths.watch(name, view.init)

    def _note(self, name: str) -> None:
        self.noticed[name], self._dying[name] = time.time_ns(), time.monotonic()

    def step(self, left: float) -> None:
        """Wait for the next death, or a moment where one is not judged yet; then judge."""
        for name in self._deaths.wait(min(left, _SETTLE_PAUSE) if self._dying else left):
            self._deaths.forget(name)
            self._note(name)
        for name in list(self._dying):
            view = self._judge(name)
            if view is None:
                continue
            del self._dying[name]
            if view.state in _RUNS and self._rebooted(name, view):
                del self.noticed[name]
                self._watch(name, view)
            else:
                self._ends[name] = view
                del self.runs[name]

    def _judge(self, name: str) -> _view.TaskView | None:
        """The task after its init died, None while nobody knows."""
        former, age = self.runs[name], time.monotonic() - self._dying[name]
        told = self._host.told(former)
        if told is not None and told.state not in _RUNS:
            return told
        untold = told is None and self._host.tells(former) and _proc.alive(self._monitors.get(name))
        if untold and age < _TELLING:
            return None
        now = self._host.look(name)
        if now.state not in _RUNS:
            # From another network namespace a task that reboots looks stopped, until it has its new init.
            return None if (untold or told is not None) and age < _REBOOTING else now
        if now.init is None or now.init == former.init:
            return None
        # A pid that was given away again is not the container's.
        same_pid = former.init is not None and now.init.pid == former.init.pid
        return None if same_pid and not self._rebooted(name, now) else now

    def _rebooted(self, name: str, view: _view.TaskView) -> bool:
        """Whether the new init is the former monitor's child: it rebooted. Else somebody has started the task again.

        One that is gone again is watched as well: what became of it is asked next. So is one whose former monitor was gone
        before it could be looked at.
        """
        if view.init is None:
            return False
        monitor = _proc.parent(view.init.pid)
        return monitor is None or self._monitors.get(name) in (None, monitor)

    def views(self) -> list[_view.TaskView]:
        """All tasks, those that run on as they are now."""
        return [self._host.look(name) if name in self.runs else view for name, view in self._ends.items()]


def for_running(look: t.Callable[[], list[_view.TaskView]], timeout: float) -> tuple[list[_view.TaskView], bool]:
    """Wait until there are selected tasks and all run. Returns them, and whether in time."""
    deadline = time.monotonic() + timeout
    while True:
        views = look()
        if views and all(view.state == _states.RUNNING for view in views):
            return views, True
        if time.monotonic() >= deadline:
            return views, False
        time.sleep(min(_PAUSE, max(0.0, deadline - time.monotonic())))
