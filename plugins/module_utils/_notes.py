# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of one call tell each other: what failed for one task, and would for others; what one task does for all."""

from __future__ import annotations

import fcntl
import json
import os


class Notes:
    """Words, by what they are about. The processes that are forked after it was made share it; it is gone with the last of them."""

    def __init__(self) -> None:
        self._file = os.memfd_create("notes")
        # What two processes write at a time comes one behind the other.
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)
        self._read = 0
        self._told: dict[str, list[str]] = {}

    def note(self, what: str, words: str) -> None:
        """Tell all."""
        os.write(self._file, json.dumps([what, words]).encode() + b"\n")

    def of(self, what: str) -> str | None:
        """What was told of this last; None if nobody has told anything."""
        found = self.all_of(what)
        return found[-1] if found else None

    def all_of(self, what: str) -> list[str]:
        """All that was told of this, in order."""
        text = os.pread(self._file, os.fstat(self._file).st_size - self._read, self._read)
        # Another may be in the middle of a line.
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            about, words = json.loads(line)
            self._told.setdefault(about, []).append(words)
        return self._told.get(what, [])

    def first(self, what: str, who: str) -> bool:
        """Whether nobody else has asked for this before. Who was the first is so when it asks again."""
        self.note(what, who)
        return self.all_of(what)[0] == who
