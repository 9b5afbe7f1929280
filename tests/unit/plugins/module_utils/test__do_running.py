# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may help against a start that failed."""

from __future__ import annotations

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._do_running import start_hint


@pytest.mark.parametrize(
    ("words", "memory_mb", "pty_max", "says"),
    [
        # liblxc 5.0.2's, where the kernel has a few terminals left, and where it has none.
        ("Failed to create tty 0 | Failed to allocate ttys | Failed to create ttys", None, "4096\n", "is 4096"),
        ("No space left on device - Failed to allocate console | Failed to allocate terminal", None, "1", "is 1"),
        ("Failed to allocate ttys", 64, "", "is unknown"),
        ("Failed to exec /sbin/init", 64, "4096\n", "memory_mb, 64"),
        ("Failed to exec /sbin/init", None, "4096\n", ""),
        ("Cannot allocate memory - Failed to exec /sbin/init", 1, "4096\n", "memory_mb, 1"),
        ('No such file or directory - Failed to exec "/nope"', 64, "4096\n", ""),
    ],
)
def test_what_may_help(words: str, memory_mb: int | None, pty_max: str, says: str) -> None:
    hint = start_hint(words, memory_mb, pty_max)
    assert (hint is None) is (says == "")
    assert says in (hint or "")
    assert ("kernel.pty.max" in (hint or "")) is ("tty" in words or "terminal" in words)
