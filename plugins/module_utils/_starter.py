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

import functools
import os
import socket
import subprocess
import sys
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _child,
    _signals,
    _starter_program,
    _tree,
)

# What is told of a start where it was killed, or could not fork.
ENDED = "the process that starts containers has ended"
# Seconds for an answer, which comes at once: a process may have been stopped.
_PATIENCE = 60.0
# Bytes of an answer, which is a number.
_LONGEST = 64


class _Gone(Exception):
    """It answers no more."""


class _Starter:
    """One that runs."""

    def __init__(self) -> None:
        import _lxc

        # What it and the starts print.
        self._output = os.memfd_create("output")
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(_PATIENCE)
        # The one that was not ended yet; and whether there was any.
        self._pid: int | None = None
        self._used = False
        program = os.memfd_create("starter")
        try:
            _tree.write_all(program, _source())
            # Ansible's run_command waits for what it runs.
            self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [sys.executable, "-I", "-S", "-B", f"/proc/self/fd/{program}", os.path.dirname(_lxc.__file__)],
                stdin=theirs.fileno(),
                stdout=self._output,
                stderr=self._output,
                pass_fds=[program],
            )
        finally:
            os.close(program)
            theirs.close()

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def close(self) -> None:
        """Let it end."""
        self._channel.close()
        os.close(self._output)

    def begin(self, fields: t.Iterable[str], kept: t.Sequence[int]) -> int:
        """Begin a start; returns its pid. Raises _Gone."""
        if self._pid is not None:
            self.end()
        if self._used:
            os.truncate(self._output, 0)
            os.lseek(self._output, 0, os.SEEK_SET)
        self._used = True
        self._pid = self._ask(b"\0".join(os.fsencode(field) for field in fields), kept)
        return self._pid

    def end(self) -> int:
        """The wait status of the start, which is over by now, or by this. Raises _Gone."""
        self._pid = None
        return self._ask(b"over")

    def _ask(self, message: bytes, kept: t.Sequence[int] = ()) -> int:
        try:
            socket.send_fds(self._channel, [message], kept)
            return int(self._channel.recv(_LONGEST))
        except (OSError, ValueError):
            raise _Gone from None

    def printed(self) -> str:
        """What the last start has printed."""
        return os.pread(self._output, os.fstat(self._output).st_size, 0).decode("utf-8", "replace")


@functools.cache
def _of(_process: int) -> _Starter:
    """A process's own."""
    # It hears no signal that ends this process: an undo may have to start something again.
    with _signals.held():
        return _Starter()


def expect() -> None:
    """Have it load what it needs while this process does something else before a start."""
    _of(os.getpid())


def _ready() -> _Starter:
    starter = _of(os.getpid())
    if not starter.lives:
        _drop(starter)
        starter = _of(os.getpid())
    return starter


def _drop(starter: _Starter) -> None:
    _of.cache_clear()
    starter.close()


def _source() -> str:
    loader = t.cast(t.Any, _starter_program.__spec__).loader
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
    starter = _ready()
    pid: int | None = None
    in_time = False
    status = 1
    try:
        try:
            with _signals.held():
                pid = starter.begin((lxc_path, name, log_file or "", log_level, spared or ""), kept)
            in_time = _child.wait(pid, timeout, hangs)
        finally:
            # Also when a signal ends our waiting: what was begun must not go on behind the undo.
            with _signals.held():
                if pid is not None:
                    status = starter.end()
    except _Gone:
        words = starter.printed()
        _drop(starter)
        if pid is not None and not in_time:
            _starter_program.kill_all(pid)
        return _child.Finished(ok=False, output=f"{words}\n{ENDED}")
    return _child.Finished(ok=in_time and status == 0, output=starter.printed(), timed_out=not in_time)
