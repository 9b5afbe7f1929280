# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that end a module: turned into an exception, so that what was done is undone; or held until something is done."""

from __future__ import annotations

import contextlib
import signal
import typing as t

# Also what comes of a lost connection.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the module to end; what it did is undone first."""


def _interrupt(number: int, _frame: t.Any) -> t.NoReturn:
    raise Interrupted(f"the module was ended by signal {number}")


@contextlib.contextmanager
def interruptible() -> t.Iterator[None]:
    """Turn the signals into an exception."""
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        # A caller has done so.
        yield
        return
    before = [signal.signal(number, _interrupt) for number in ENDING]
    try:
        yield
    finally:
        for number, handler in zip(ENDING, before):
            signal.signal(number, handler)


@contextlib.contextmanager
def held() -> t.Iterator[None]:
    """Have the signals wait."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def release() -> None:
    """Have them wait no more, in a process that was forked while they did."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
