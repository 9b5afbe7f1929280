# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that end a module, as an exception: what it did is undone first."""

from __future__ import annotations

import contextlib
import signal
import typing as t


class Interrupted(BaseException):
    """A signal asked the module to end; what it did is undone first."""


def _interrupt(number: int, _frame: t.Any) -> t.NoReturn:
    raise Interrupted(f"the module was ended by signal {number}")


@contextlib.contextmanager
def interruptible() -> t.Iterator[None]:
    """Turn the signals that end a module (a lost connection's, say) into an exception, so that the undo runs."""
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        # A caller has done so.
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, _interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
