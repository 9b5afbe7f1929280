# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of which a look may be all: done by this process and by helpers, each a share of them, without a word until they are done."""

from __future__ import annotations

import json
import os
import signal
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _fork, _signals, _tree

# The job's result, which json takes; None where a look is not all.
Look = t.Callable[[int], t.Any]

# A helper costs as much as a few looks.
_LEAST = 4


class _Helper(t.NamedTuple):
    """``channel``: from which can be read what it found, once it is done."""

    pid: int
    channel: int


def run(count: int, look: Look, processes: int, done: t.Callable[[int, t.Any], None]) -> None:
    """Look at the jobs 0 to count-1; ``done`` gets each result. In a share those are left that follow on one that needs more, to be
    done as jobs: mostly all are alike.
    """
    processes = max(1, min(processes, count // _LEAST))
    helpers: list[_Helper] = []
    try:
        for first in range(1, processes):
            with _signals.held():
                helpers += _started(range(first, count, processes), look, helpers)
        for number, result in _looked(range(0, count, processes), look):
            done(number, result)
        for helper in helpers:
            for number, result in _read(helper.channel):
                done(number, result)
    finally:
        with _signals.held():
            for helper in helpers:
                os.close(helper.channel)
                # Of one that is not done nobody wants to hear any more.
                os.kill(helper.pid, signal.SIGTERM)
                os.waitpid(helper.pid, 0)


def _looked(share: t.Iterable[int], look: Look) -> t.Iterator[tuple[int, t.Any]]:
    for number in share:
        result = look(number)
        if result is None:
            return
        yield number, result


def _started(share: t.Sequence[int], look: Look, others: t.Iterable[_Helper]) -> list[_Helper]:
    """A helper that looks at a share; none where the host has no process or descriptor left."""
    ours = theirs = -1
    try:
        ours, theirs = os.pipe()
        # With an end of ours it would not notice that nobody reads any more.
        pid = _fork.start(lambda: _help(theirs, share, look), [ours, *(it.channel for it in others)])
        return [_Helper(pid, ours)]
    except OSError:
        if ours >= 0:
            os.close(ours)
        return []
    finally:
        if theirs >= 0:
            os.close(theirs)


def _help(channel: int, share: t.Sequence[int], look: Look) -> None:
    with _signals.heard():
        found = json.dumps(list(_looked(share, look)))
    _tree.write_all(channel, found)


def _read(channel: int) -> list[tuple[int, t.Any]]:
    """What a helper found: nothing of one that came to no end."""
    try:
        return t.cast("list[tuple[int, t.Any]]", json.loads(_tree.read_all(channel)))
    except ValueError:
        return []
