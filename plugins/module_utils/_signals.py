# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that end a module: turned into an exception, so that what was done is undone; or held until something is done."""

from __future__ import annotations

# What signal makes of a mask takes three times as long as to set it.
import _signal
import contextlib
import signal
import typing as t

# Also what comes of a lost connection.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Those, and what a terminal sends to end a process at once.
_HELD = (*ENDING, signal.SIGQUIT)


class Interrupted(BaseException):
    """A signal asked the module to end; what it did is undone first."""


# Those that came.
_came: list[int] = []


def _interrupt(number: int, _frame: t.Any) -> t.NoReturn:
    # A terminal, or a caller, may send several: who ends already has nothing to gain by a second, and an undo to lose.
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    _came.append(number)
    raise _interrupted()


def _interrupted() -> Interrupted:
    return Interrupted(f"the module was ended by signal {_came[0]}")


def over() -> None:
    """Say that all is done that was asked for by those that came."""
    _came.clear()


def check() -> None:
    """Raise Interrupted where that has come already, and what was done for it was only a part of all that is done."""
    if _came:
        raise _interrupted()


@contextlib.contextmanager
def interruptible() -> t.Iterator[None]:
    """Have the first SIGTERM, SIGINT or SIGHUP raise Interrupted, and no other be heard. Where a caller has done so, it stays so."""
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        yield
        return
    before = [signal.signal(number, _interrupt) for number in ENDING]
    try:
        yield
    finally:
        for number, handler in zip(ENDING, before):
            signal.signal(number, handler)
        over()


@contextlib.contextmanager
def _masked(how: int) -> t.Iterator[None]:
    former = _signal.pthread_sigmask(how, _HELD)
    try:
        yield
    finally:
        _signal.pthread_sigmask(signal.SIG_SETMASK, former)


def held() -> t.ContextManager[None]:
    """Have signals that end a module wait; they come at the end."""
    return _masked(signal.SIG_BLOCK)


def heard() -> t.ContextManager[None]:
    """Have those that wait come, in a process that was forked while they were held: to end it, or what it does here."""
    return _masked(signal.SIG_UNBLOCK)


def forget() -> None:
    """Drop those that wait: what they ask for was done."""
    while (info := signal.sigtimedwait(ENDING, 0)) is not None:
        _came.append(info.si_signo)
