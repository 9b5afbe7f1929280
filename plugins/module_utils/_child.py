# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a child process: liblxc moves its caller between cgroups, prints where it likes, and may never come back."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _proc, _signals

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)
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
            in_time = _wait(child, timeout, hangs)
        finally:
            # Also when a signal ends our waiting: what the child has started must not go on behind the undo.
            if child:
                status = _reap(child)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return Finished(ok=in_time and status == 0, output=text, timed_out=not in_time)


def _wait(child: int, timeout: float, hangs: t.Callable[[], bool]) -> bool:
    deadline = time.monotonic() + timeout
    seen = 0
    while not _proc.wait_for_exit(child, min(1.0, max(0.0, deadline - time.monotonic()))):
        seen = seen + 1 if hangs() else 0
        if time.monotonic() >= deadline or seen == HANGING:
            return False
    return True


def _reap(child: int) -> int:
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    # One that somebody killed has left behind what it started. Until it is waited for, its number is nobody else's.
    if ended is None or ended.si_code != os.CLD_EXITED:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _run(function: t.Callable[[], bool], output: int, inherit: t.Sequence[int]) -> t.NoReturn:
    code = 2
    try:
        # What Python, Ansible or an undo has set for this process is not meant for what runs for years.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.umask(0o022)
        os.chdir("/")
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        kept = {0, 1, 2, *inherit}
        for descriptor in [int(name) for name in os.listdir("/proc/self/fd")]:
            if descriptor not in kept:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        for descriptor in inherit:
            os.set_inheritable(descriptor, True)
        code = 0 if function() else 1
    except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's code
        os.write(2, f"{error}\n".encode(errors="replace"))
    finally:
        os._exit(code)
