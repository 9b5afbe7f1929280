# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs done by worker processes: a few at a time, and more while some only wait.

Processes and not threads: liblxc forks, and what it inherits must be what its own job holds. They are forked, so that nothing
is imported twice.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import select
import signal
import socket
import time
import traceback
import typing as t
from dataclasses import dataclass, field

from ansible_collections.nomadic.lxc.plugins.module_utils import _fork, _jobs, _signals, _waits

# How many workers there may be for each that works, since the others wait.
_WAITING = 16
# Seconds. As many workers begin as there are CPUs; more come where none of them has told anything for so long. What the first
# ones do first takes longer, since they begin with copies of pages.
_LONG = 0.01
_FIRST = 0.05
# Seconds: by the pause before its next look, who waits has waited for as long.
_REAL = 0.002
# How many jobs a worker has at most, each within one that waits: Python bounds how deep calls go.
_DEEPEST = 32
# What is told a worker for which there is no other job.
_NONE = "none"


@dataclass
class _Worker:
    """``jobs``: the numbers of those that it does: one that waits, and others meanwhile. ``told``: whether it has told anything yet.
    ``buffer``: a message of which the end is due.
    """

    pid: int
    channel: socket.socket
    jobs: list[int] = field(default_factory=list)
    idle: bool = False
    told: bool = False
    buffer: bytearray = field(default_factory=bytearray)


class Pool:
    """Does the jobs that wait. ``at_first``: how many workers begin; ``parallel``: how many may work."""

    def __init__(
        self, waiting: collections.deque[int], job: _jobs.Job, at_first: int, parallel: int, done: _jobs.Done
    ) -> None:
        self._waiting, self._job, self._parallel, self._done = waiting, job, parallel, done
        self._workers: dict[int, _Worker] = {}
        self._poll = select.poll()
        self._first = self._at_once = at_first
        # Those that a worker has are its own: each gets a share.
        self._most = min(_DEEPEST, len(waiting) // parallel)
        self._ends = False

    def work(self) -> None:
        """Do what is due. A signal is heard while nothing is known that has not been told."""
        ready: list[int] = []
        while True:
            with _signals.held():
                self._read(ready)
                while self._waiting and self._busy() < self._at_once and self._give(self._waiting[0]):
                    self._waiting.popleft()
                if not self._waiting and not self._working():
                    return
            ready = self._wait()

    def _working(self) -> bool:
        return any(worker.jobs for worker in self._workers.values())

    def _busy(self) -> int:
        return sum(bool(worker.jobs) and not worker.idle for worker in self._workers.values())

    def _give(self, number: int) -> bool:
        worker = next((worker for worker in self._workers.values() if not worker.jobs), None)
        if worker is None:
            if len(self._workers) >= _WAITING * self._parallel:
                return False
            worker = self._fork()
        worker.jobs.append(number)
        self._send(worker, str(number))
        return True

    def _send(self, worker: _Worker, word: str) -> None:
        with contextlib.suppress(OSError):  # one that has died is found when it is read
            worker.channel.sendall(f"{word}\n".encode())

    def _answer(self, worker: _Worker) -> None:
        """Give another job to one whose job waits for something."""
        if self._waiting and not self._ends and len(worker.jobs) < self._most:
            worker.jobs.append(self._waiting.popleft())
            self._send(worker, str(worker.jobs[-1]))
        else:
            self._send(worker, _NONE)

    def _fork(self) -> _Worker:
        ours, theirs = socket.socketpair()
        others = [worker.channel.fileno() for worker in self._workers.values()]
        pid = _fork.start(lambda: _Serving(theirs, self._job).serve(), [ours.fileno(), *others])
        theirs.close()
        worker = _Worker(pid, ours)
        self._workers[ours.fileno()] = worker
        self._poll.register(ours, select.POLLIN)
        return worker

    def _wait(self) -> list[int]:
        """Wait for a word; the descriptors of the workers that told something."""
        more = self._at_once < self._parallel
        begins = len(self._workers) <= self._first and not all(worker.told for worker in self._workers.values())
        patience = _FIRST if begins else _LONG
        ready = [descriptor for descriptor, _event in self._poll.poll(patience * 1000 if more else None)]
        if not ready:
            self._at_once += 1
        return ready

    def _read(self, ready: list[int]) -> None:
        for descriptor in ready:
            worker = self._workers[descriptor]
            try:
                got = worker.channel.recv(1 << 16)
            except OSError:
                got = b""
            if not got:
                self._lose(descriptor)
                continue
            worker.buffer += got
            *messages, rest = bytes(worker.buffer).split(b"\n")
            worker.buffer = bytearray(rest)
            for message in messages:
                self._hear(worker, json.loads(message))

    def _hear(self, worker: _Worker, message: dict[str, t.Any]) -> None:
        worker.told = True
        if "idle" in message:
            worker.idle = message["idle"]
            return
        if "waits" in message:
            self._answer(worker)
            return
        number, worker.idle = message["number"], False
        worker.jobs.remove(number)
        if "later" in message:
            self._waiting.append(number)
            return
        lost = message.get("lost")
        self._done(number, message["result"] if lost is None else _jobs.Lost(*lost))

    def _lose(self, descriptor: int) -> None:
        worker = self._workers.pop(descriptor)
        self._poll.unregister(descriptor)
        worker.channel.close()
        status = os.waitpid(worker.pid, 0)[1]
        for number in worker.jobs:
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
            self._done(number, _jobs.Lost(f"the process that worked on it ended with {how}"))

    def end(self) -> None:
        """Have the jobs that were begun undone, and wait for that."""
        self._ends = True
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
        while self._working():
            self._read(self._wait())

    def close(self) -> None:
        """Let the workers go: without a channel they end."""
        for worker in self._workers.values():
            worker.channel.close()
        for worker in self._workers.values():
            os.waitpid(worker.pid, 0)
        self._workers.clear()


class _Serving:
    """A worker's life: a number, a job, a message. It ends when its caller does, but not before its job.

    A signal interrupts its job, which undoes what it did; the worker itself ends without a channel.
    """

    def __init__(self, channel: socket.socket, job: _jobs.Job) -> None:
        self._channel, self._job = channel, job
        self._numbers = channel.makefile("rb")
        self._waits = _waits.Waits(self._idle, self._pause)
        # Whether one that waits may have another.
        self._more = True

    def serve(self) -> None:
        """Do what is told."""
        for line in self._numbers:
            self._more = True
            _signals.over()
            self._do(int(line), self._waits)

    def _do(self, number: int, waits: _waits.Waits) -> bool:
        """Do a job; whether it has come to an end."""
        message = _done(self._job, number, waits)
        self._tell(number=number, **message)
        return "later" not in message

    def _tell(self, **message: t.Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), _signals.held():
            self._channel.sendall(json.dumps(message).encode() + b"\n")

    @contextlib.contextmanager
    def _idle(self) -> t.Iterator[None]:
        self._tell(idle=True)
        try:
            yield
        finally:
            self._tell(idle=False)

    def _pause(self, seconds: float) -> None:
        """Do another job, within the one that waits; wait for what is over in a moment, or where there is none."""
        if seconds < _REAL or not self._more:
            time.sleep(seconds)
            return
        with _signals.held():
            self._tell(waits=True)
            word = self._numbers.readline().decode().strip()
            self._more = word.isdecimal() and self._do(int(word), self._waits._replace(turn=0.0))
        # The one within has done what a signal asked of it.
        _signals.check()


def _done(job: _jobs.Job, number: int, waits: _waits.Waits) -> dict[str, t.Any]:
    """A job's message."""
    message: dict[str, t.Any] | None = None
    try:
        with _signals.heard():
            message = {"result": job(number, waits)}
    except _signals.Interrupted as interrupted:
        # Jobs undo what they did. It came before it began, or when it was done.
        return message or {"lost": [f"{interrupted}, when no step was under way: nothing is half done", None]}
    except _jobs.Later:
        return {"later": True}
    except Exception as error:  # noqa: BLE001  # pylint: disable=broad-except # it is told, as that job's
        return {"lost": [f"{type(error).__name__}: {error}", traceback.format_exc()]}
    return message
