# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small process that starts containers for this one.

For a start liblxc forks four times, and one of these lives as long as the container: its monitor. Each copies the page tables of
all that a module has loaded; and as long as another process has a page, too, writing to it is to copy it. Of a small process that
is next to nothing, and the monitors are small. lxc-start would be one, but where there is AppArmor, it has a profile that keeps
the hooks from most mounts.

A start that hangs, or that nobody wants any more, is killed with it; the next one is another's.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import socket
import subprocess
import sys
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_files,
    _child,
    _signals,
    _starter_program,
    _tree,
)

# What is told of a start where it was killed, or could not load what it needs.
ENDED = "the process that starts containers has ended"
# Bytes of an answer, which is a digit.
_LONGEST = 64


class _Starter:
    """One that runs."""

    def __init__(self) -> None:
        import _lxc

        # What it and the starts print.
        self._output = os.memfd_create("output")
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = os.memfd_create("starter")
        try:
            _tree.write_all(program, _source())
            # Ansible's run_command waits for what it runs.
            self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [
                    *(sys.executable, "-I", "-S", "-B", f"/proc/self/fd/{program}"),
                    os.path.dirname(_lxc.__file__),
                    *(os.path.join(directory, "cgroup.procs") for directory in _cgroup_files.own_directories()),
                ],
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

    def kill(self) -> None:
        """End it, with the start that it does, or of which it has left something behind."""
        # Once it was waited for, its number may be another's.
        if self._process.returncode is None:
            _child.kill_all(self._process.pid)
            self._process.wait()

    def begin(self, fields: t.Iterable[str], kept: t.Sequence[int]) -> None:
        """Begin a start."""
        os.truncate(self._output, 0)
        os.lseek(self._output, 0, os.SEEK_SET)
        with contextlib.suppress(OSError):  # one that has ended gives no answer
            socket.send_fds(self._channel, [b"\0".join(os.fsencode(field) for field in fields)], kept)

    def is_over(self, seconds: float) -> bool:
        """Whether the start is; waits so long for it."""
        return bool(select.select([self._channel], (), (), seconds)[0])

    def answer(self) -> bool | None:
        """Whether the container runs; None if the starter has ended."""
        try:
            return bool(int(self._channel.recv(_LONGEST)))
        except (OSError, ValueError):
            return None

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
    in_time = False
    ok: bool | None = None
    try:
        with _signals.held():
            starter.begin((lxc_path, name, log_file or "", log_level, spared or ""), kept)
        in_time = _child.wait(starter.is_over, timeout, hangs)
        if in_time:
            ok = starter.answer()
    finally:
        with _signals.held():
            if ok is None:
                # Also when a signal ends our waiting: what was begun must not go on behind the undo.
                starter.kill()
            words = starter.printed()
            if ok is None:
                _drop(starter)
    if in_time and ok is None:
        words = f"{words}\n{ENDED}"
    return _child.Finished(ok=bool(ok), output=words, timed_out=not in_time)
