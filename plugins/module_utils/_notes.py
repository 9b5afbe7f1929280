# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed for one task of a call, and would for its others: told to all processes of the call, and to no later one."""

from __future__ import annotations

import fcntl
import json
import os


class Failures:
    """Words, by what failed. The processes that are forked after it was made share it; it is gone with the last of them."""

    def __init__(self) -> None:
        self._file = os.memfd_create("failures")
        # What two processes write at a time comes one behind the other.
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)

    def note(self, what: str, words: str) -> None:
        """Tell all that this failed."""
        os.write(self._file, json.dumps([what, words]).encode() + b"\n")

    def of(self, what: str) -> str | None:
        """How it failed; None if nobody has told that it did."""
        text = os.pread(self._file, os.fstat(self._file).st_size, 0)
        # Another may be in the middle of a line.
        whole = text[: text.rfind(b"\n") + 1]
        return dict(json.loads(line) for line in whole.splitlines()).get(what)
