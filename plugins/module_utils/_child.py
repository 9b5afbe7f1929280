# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a child process: liblxc moves its caller between cgroups, prints where it likes, and may never come back."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _proc, _signals, _starter_program

FOREVER = 10.0**8
# How many times in a row a child must be seen to hang.
HANGING = 4


class Finished(t.NamedTuple):
    """``ok``: what the function returned. ``output``: all that it and its own children printed meanwhile."""

    ok: bool
    output: str
    timed_out: bool = False


def call(
    function: t.Callable[[], bool],
    inherit: t.Sequence[int] = (),
    timeout: float = FOREVER,
    hangs: t.Callable[[], bool] = lambda: False,
) -> Finished:
    """Run a function in a child of its own session, without our files: no pipe of Ansible's is held by what it starts.

    ``inherit``: descriptors that it and the programs it runs keep. After ``timeout`` seconds, or when ``hangs`` (asked
    once a second) has said so for a while, its session is killed.
    """
    with os.fdopen(os.memfd_create("output"), "w+b") as output:
        child = status = 0
        try:
            with _signals.held():
                child = os.fork()
                if child == 0:
                    _run(function, output.fileno(), inherit)
            in_time = wait(child, timeout, hangs)
        finally:
            # Also when a signal ends our waiting: what the child has started must not go on behind the undo.
            if child:
                status = _starter_program.reap(child)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return Finished(ok=in_time and status == 0, output=text, timed_out=not in_time)


def wait(child: int, timeout: float, hangs: t.Callable[[], bool]) -> bool:
    """Wait for the end of a child, or of a process that somebody else reaps later; whether it has come. See call."""
    deadline = time.monotonic() + timeout
    seen = 0
    while not _proc.wait_for_exit(child, min(1.0, max(0.0, deadline - time.monotonic()))):
        seen = seen + 1 if hangs() else 0
        if time.monotonic() >= deadline or seen == HANGING:
            return False
    return True


def _run(function: t.Callable[[], bool], output: int, inherit: t.Sequence[int]) -> t.NoReturn:
    def alone() -> bool:
        os.dup2(output, 1)
        os.dup2(output, 2)
        _starter_program.begin_anew((1, 2, *inherit))
        return function()

    _starter_program.live(alone, (), inherit)
