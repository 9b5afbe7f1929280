# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what is done for a task waits: alone, or among others that need not wait with it."""

from __future__ import annotations

import contextlib
import time
import typing as t


class Waits(t.NamedTuple):
    """``idle``: entered while nothing is done but wait for long, so that others work. ``pause``: waits so many seconds, or does
    all that is to be done for another task. ``turn``: how long another call's work on the task may be waited for, seconds; None is
    as long as a lock's wait.
    """

    idle: t.Callable[[], t.ContextManager[None]]
    pause: t.Callable[[float], None]
    turn: float | None = None


ALONE = Waits(contextlib.nullcontext, time.sleep)
