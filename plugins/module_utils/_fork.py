# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that are forked to work for this one."""

from __future__ import annotations

import gc
import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _signals


def start(work: t.Callable[[], None], closing: t.Iterable[int]) -> int:
    """Fork; returns the pid. In the child these descriptors are closed, the work is done, and nothing of the caller's code.

    Signals are held in it but where the work has them heard. So the caller holds them, too: it must know of the child before it
    hears one. Raises OSError.
    """
    # To look for garbage in what both have would be to copy it.
    gc.freeze()
    with _signals.held():
        pid = os.fork()
        if pid == 0:
            _live(work, closing)
    return pid


def _live(work: t.Callable[[], None], closing: t.Iterable[int]) -> t.NoReturn:
    code = 1
    try:
        for descriptor in closing:
            os.close(descriptor)
        # Whoever waits for the end of the module's output waits for the module alone.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)
        work()
        code = 0
    finally:
        os._exit(code)
