# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a child process: liblxc moves its caller between cgroups, prints where it likes, and may never come back."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
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
                    _live(function, output.fileno(), inherit)
            in_time = wait(functools.partial(_proc.wait_for_exit, child), timeout, hangs)
        finally:
            # Also when a signal ends our waiting: what the child has started must not go on behind the undo.
            if child:
                status = _reap(child)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return Finished(ok=in_time and status == 0, output=text, timed_out=not in_time)


def wait(over: t.Callable[[float], bool], timeout: float, hangs: t.Callable[[], bool]) -> bool:
    """Wait for what is ``over`` (asked with the seconds that it may wait for it); whether it is. See call."""
    deadline = time.monotonic() + timeout
    seen = 0
    while not over(min(1.0, max(0.0, deadline - time.monotonic()))):
        seen = seen + 1 if hangs() else 0
        if time.monotonic() >= deadline or seen == HANGING:
            return False
    return True


def kill_all(child: int) -> None:
    """Kill a child with its session, also where it has not begun that yet. One that is not ours any more may be another by now."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(child, signal.SIGKILL)


def _reap(child: int) -> int:
    """The wait status of a child that is over: by now, or by this."""
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    # One that somebody killed has left behind what it started. Until it is waited for, its number is nobody else's.
    if ended is None or ended.si_code != os.CLD_EXITED:
        kill_all(child)
    return os.waitpid(child, 0)[1]


def _live(function: t.Callable[[], bool], output: int, inherit: t.Sequence[int]) -> t.NoReturn:
    """Be a process that does this, in a session of its own, and hears all signals."""
    code = 2
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        _starter_program.begin_anew((1, 2, *inherit))
        _starter_program.heed(True)
        for descriptor in inherit:
            os.set_inheritable(descriptor, True)
        code = 0 if function() else 1
    except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's code
        os.write(2, f"{error}\n".encode(errors="replace"))
    finally:
        os._exit(code)
