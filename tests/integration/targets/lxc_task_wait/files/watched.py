# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""watched.py PID COUNT: waits until so many processes, beside liblxc's monitor, have a pidfd of a process. See pidfd_open(2)."""

from __future__ import annotations

import sys
import time
from pathlib import Path

PATIENCE = 60.0  # seconds


def watches(process: Path, pid: int) -> bool:
    """Whether a process waits for another one's end, and is not what liblxc runs for each container."""
    try:
        if (process / "cmdline").read_bytes().startswith(b"[lxc monitor]"):
            return False
        return any(f"\nPid:\t{pid}\n" in file.read_text(encoding="ascii") for file in (process / "fdinfo").iterdir())
    except OSError:
        return False  # it has ended


def main() -> None:
    """Wait."""
    pid, count = int(sys.argv[1]), int(sys.argv[2])
    deadline = time.monotonic() + PATIENCE
    while (found := sum(watches(process, pid) for process in Path("/proc").glob("[0-9]*"))) < count:
        if time.monotonic() >= deadline:
            sys.exit(f"{found} processes wait for the end of {pid}, and it should be {count}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
