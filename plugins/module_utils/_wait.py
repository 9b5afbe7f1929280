# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for tasks to end or to run: predicates over a monotonic clock, and the kernel's own notice of a death."""

from __future__ import annotations

import os
import select
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils._observed import FROZEN, RUNNING
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId, identify
from ansible_collections.nomadic.lxc.plugins.module_utils._report import TaskView

# Seconds. How often liblxc is asked whether a dead init was an end or a reboot, and whether a task runs yet.
_SETTLE_PAUSE = 0.002
_PAUSE = 0.03
# How often a process is looked at where the kernel has no pidfd (before Linux 5.3).
_POLL = 0.01

Look = t.Callable[[], t.List[TaskView]]


class Deaths:
    """Waits for the first death among processes: by pidfd, which no reused pid can deceive, or by looking at /proc."""

    def __init__(self) -> None:
        self._watched: dict[str, InitId] = {}
        self._descriptors: dict[int, str] = {}

    def __enter__(self) -> Deaths:
        return self

    def __exit__(self, *_error: object) -> None:
        for name in list(self._watched):
            self.forget(name)

    def watch(self, name: str, init: InitId) -> None:
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
        if identify(init.pid) == init:
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
            dead = {name for name in unwatched if identify(self._watched[name].pid) != self._watched[name]}
            left = max(0.0, deadline - time.monotonic())
            pause = 0.0 if dead else min(left, _POLL) if unwatched else min(left, 86400.0)
            dead.update(self._descriptors[descriptor] for descriptor, _event in poll.poll(pause * 1000))
            if dead or time.monotonic() >= deadline:
                return dead


def for_exit(look: Look, timeout: float) -> tuple[list[TaskView], dict[str, int], bool]:
    """Wait until no selected task runs. Returns them, when each death was noticed (UTC nanoseconds), and whether in time.

    A reboot from inside kills the init too, but liblxc goes on calling the container running, with another init then.
    """
    deadline = time.monotonic() + timeout
    noticed: dict[str, int] = {}
    with Deaths() as deaths:
        while True:
            views = look()
            running = {view.container_name: view for view in views if view.state in (RUNNING, FROZEN)}
            if not running:
                return views, noticed, True
            if time.monotonic() >= deadline:
                return views, noticed, False
            settling = False
            for name, view in running.items():
                if view.init is not None and name not in noticed:
                    deaths.watch(name, view.init)
                elif view.init is not None and identify(view.init.pid) == view.init:
                    # Another init: it was a reboot.
                    noticed.pop(name, None)
                    deaths.watch(name, view.init)
                else:
                    settling = True
            if settling:
                time.sleep(_SETTLE_PAUSE)
                continue
            dead = deaths.wait(max(0.0, deadline - time.monotonic()))
            now = time.time_ns()
            for name in dead:
                noticed[name] = now
                deaths.forget(name)


def for_running(look: Look, timeout: float) -> tuple[list[TaskView], bool]:
    """Wait until there are selected tasks and all run. Returns them, and whether in time."""
    deadline = time.monotonic() + timeout
    while True:
        views = look()
        if views and all(view.state == RUNNING for view in views):
            return views, True
        if time.monotonic() >= deadline:
            return views, False
        time.sleep(min(_PAUSE, max(0.0, deadline - time.monotonic())))
