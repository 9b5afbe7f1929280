# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes as proc(5) shows them: which one a pid is, whether it lives, when it began, and its network."""

from __future__ import annotations

import functools
import os
import select
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _tree

_POLL = 0.02
_LONGEST_POLL = 2**31 - 1  # milliseconds, poll(2)


class InitId(t.NamedTuple):
    """A process that no other can be taken for: pid, start time in clock ticks since boot, and the boot."""

    pid: int
    start_ticks: int
    boot_id: str


@functools.cache
def boot_id(root: str = "/") -> str:
    """The kernel's name for this boot; empty where it has none."""
    try:
        return _tree.read(os.path.join(root, "proc/sys/kernel/random/boot_id")).strip()
    except OSError:
        return ""


def _stat(pid: int, root: str) -> list[str]:
    """The fields of a process's ``stat`` from the third on; none if it is gone, or a zombie."""
    try:
        # The second field, the name, is in brackets and may hold anything, brackets too.
        fields = _tree.read(os.path.join(root, "proc", str(pid), "stat")).rpartition(")")[2].split()
    except OSError:
        return []
    return [] if len(fields) < 20 or fields[0] in ("Z", "X") else fields


def identify(pid: int, root: str = "/") -> InitId | None:
    """The process that has this pid now; None if none has, or it is a zombie."""
    fields = _stat(pid, root)
    return InitId(pid, int(fields[19]), boot_id(root)) if fields else None


def sleeps(pid: int, root: str = "/") -> bool:
    """Whether a process waits for something that may never come, and neither works nor waits for the kernel's own work."""
    return _stat(pid, root)[:1] == ["S"]


def parent(pid: int, root: str = "/") -> InitId | None:
    """A process's parent; None if the process is gone."""
    fields = _stat(pid, root)
    return identify(int(fields[1]), root) if fields else None


def alive(init: InitId | None, root: str = "/") -> bool:
    """Whether exactly this process lives."""
    return init is not None and init.pid > 0 and identify(init.pid, root) == init


def iso(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds)))


def started_at(init: InitId) -> str:
    """When a process began, ISO 8601 in UTC."""
    return iso(_booted_at() + init.start_ticks / os.sysconf("SC_CLK_TCK"))


@functools.cache
def _booted_at() -> float:
    """Seconds since 1970; the kernel's own ``btime`` has lost its fraction, and a task would begin before it was made."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def wait_for_exit(pid: int, timeout: float) -> bool:
    """Wait until a process is gone, at most so many seconds; whether it is. By pidfd, or a poll where there is none."""
    opening: t.Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    descriptor = -1
    if opening is not None:
        try:
            descriptor = opening(pid)
        except ProcessLookupError:
            return True
        except OSError:
            descriptor = -1
    deadline = time.monotonic() + timeout
    if descriptor >= 0:
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while not poll.poll(min(_LONGEST_POLL, max(0, round((deadline - time.monotonic()) * 1000)))):
                if time.monotonic() >= deadline:
                    return False
            return True
        finally:
            os.close(descriptor)
    first = identify(pid)
    while first is not None and identify(pid) == first:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True
