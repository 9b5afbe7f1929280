# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of which a look may be all: done by this process and by helpers, each a share of them, without a word until they are done."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _signals

# The job's result, which json takes; None where a look is not all.
Look = t.Callable[[int], t.Any]


def run(count: int, look: Look, processes: int, done: t.Callable[[int, t.Any], None]) -> list[int]:
    """Look at the jobs 0 to count-1 until one needs more; ``done`` gets each result. Returns the numbers of those that are left.

    Mostly all are alike: where the first needs more, none of the others is looked at, and in a share none that follows.
    """
    left = list(range(count))

    def told(number: int, result: t.Any) -> None:
        left.remove(number)
        done(number, result)

    for number, result in _looked(left[:1], look):
        told(number, result)
    if left[:1] == [0] or not left:
        return left
    shares = [left[first::processes] for first in range(processes)]
    with contextlib.ExitStack() as stack:
        helpers = [stack.enter_context(_helper(share, look)) for share in shares[1:] if share]
        for number, result in _looked(shares[0], look):
            told(number, result)
        for helper in helpers:
            for number, result in _read(helper):
                told(number, result)
    return left


def _looked(share: t.Iterable[int], look: Look) -> t.Iterator[tuple[int, t.Any]]:
    for number in share:
        result = look(number)
        if result is None:
            return
        yield number, result


@contextlib.contextmanager
def _helper(share: list[int], look: Look) -> t.Iterator[int]:
    """A process that looks at a share; what it found can be read from the descriptor."""
    ours, theirs = os.pipe()
    # An interrupted helper must not find itself where its caller would go on.
    with _signals.held():
        pid = os.fork()
        if pid == 0:
            _help(theirs, share, look)
    os.close(theirs)
    try:
        yield ours
    finally:
        os.close(ours)
        # Of one that is not done nobody wants to hear any more.
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def _help(channel: int, share: list[int], look: Look) -> t.NoReturn:
    try:
        _signals.release()
        found = json.dumps(list(_looked(share, look))).encode()
        with os.fdopen(channel, "wb") as file:
            file.write(found)
    finally:
        os._exit(0)


def _read(channel: int) -> list[tuple[int, t.Any]]:
    """What a helper found: nothing of one that came to no end."""
    chunks: list[bytes] = []
    while chunk := os.read(channel, 1 << 16):
        chunks.append(chunk)
    try:
        return [(number, result) for number, result in json.loads(b"".join(chunks))]
    except ValueError:
        return []
