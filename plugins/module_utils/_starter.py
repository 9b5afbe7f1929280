# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small process that starts containers for this one.

For a start liblxc forks four times, and one of these lives as long as the container: its monitor. Each copies the page tables of
all that a module has loaded; and as long as another process has a page, too, writing to it is to copy it. Of a small process that
is next to nothing, and the monitors are small. lxc-start would be one, but where there is AppArmor, it has a profile that keeps
the hooks from most mounts.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _child,
    _errors,
    _signals,
    _starter_program,
    _tree,
)

# Bytes of an answer, which is a number.
_LONGEST = 64


class _Starter:
    """One that runs. ``output``: what it and the starts print."""

    def __init__(self) -> None:
        import _lxc

        self.output = os.memfd_create("output")
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = os.memfd_create("starter")
        try:
            _tree.write_all(program, _source())
            # Nobody waits for its end: that comes with this process's.
            subprocess.Popen(  # pylint: disable=consider-using-with
                [sys.executable, "-I", "-S", f"/proc/self/fd/{program}", os.path.dirname(_lxc.__file__)],
                stdin=theirs.fileno(),
                stdout=self.output,
                stderr=self.output,
                pass_fds=[program],
            )
        finally:
            os.close(program)
            theirs.close()

    def close(self) -> None:
        """Let it end."""
        self._channel.close()
        os.close(self.output)

    def begin(self, fields: t.Iterable[str], kept: t.Sequence[int]) -> int:
        """Begin a start; returns its pid."""
        os.truncate(self.output, 0)
        os.lseek(self.output, 0, os.SEEK_SET)
        socket.send_fds(self._channel, [b"\0".join(os.fsencode(field) for field in fields)], kept)
        return self._number()

    def end(self) -> int:
        """The wait status of the start, which is over by now, or by this."""
        self._channel.send(b"over")
        return self._number()

    def _number(self) -> int:
        answer = self._channel.recv(_LONGEST)
        if not answer:
            raise ConnectionResetError
        return int(answer)

    def printed(self) -> str:
        """What the start has printed."""
        os.lseek(self.output, 0, os.SEEK_SET)
        return _tree.read_all(self.output)


@functools.cache
def _of(_process: int) -> _Starter:
    """A process's own, which is there as long as it is."""
    return _Starter()


def expect() -> None:
    """Have it load what it needs while this process does something else before a start."""
    _of(os.getpid())


def _source() -> str:
    loader: t.Any = _starter_program.__loader__
    return t.cast(str, loader.get_source(_starter_program.__name__))


def start(
    lxc_path: str,
    name: str,
    log_file: str | None,
    log_level: str,
    spared: str | None,
    kept: t.Sequence[int],
    timeout: float,
    hangs: t.Callable[[], bool],
) -> _child.Finished:
    """Start a container, see _starter_program.start_container. ``kept``, ``timeout`` and ``hangs``: as of _child.call."""
    starter = _of(os.getpid())
    pid: int | None = None
    try:
        with _signals.held():
            pid = starter.begin((lxc_path, name, log_file or "", log_level, spared or ""), kept)
        try:
            in_time = _child.wait(pid, timeout, hangs)
        finally:
            # Also when a signal ends our waiting: what the child has started must not go on behind the undo.
            with _signals.held():
                status = starter.end()
        return _child.Finished(ok=in_time and status == 0, output=starter.printed(), timed_out=not in_time)
    except (BrokenPipeError, ConnectionResetError) as error:
        words = starter.printed().strip().rpartition("\n")[2]
        _of.cache_clear()
        starter.close()
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                os.killpg(pid, signal.SIGKILL)
        why = f": {words}" if words else ""
        raise _errors.LxcTaskError(
            f"the process that starts container {name} has ended{why}", hint="call again"
        ) from error
