# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""end-when-read.py FILE READY PID...: kills processes as soon as somebody has read a file, a kernel's too. See inotify(7).

The file READY is made when it watches. Fails if nobody reads the file for a while.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys

IN_CLOSE_NOWRITE = 0x10
PATIENCE = 100_000  # milliseconds


def main() -> None:
    """Watch, and kill."""
    file, ready, pids = sys.argv[1], sys.argv[2], [int(pid) for pid in sys.argv[3:]]
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(file), IN_CLOSE_NOWRITE) < 0:
        sys.exit(f"can't watch {file}: {os.strerror(ctypes.get_errno())}")
    os.close(os.open(ready, os.O_WRONLY | os.O_CREAT, 0o600))
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(PATIENCE):
        sys.exit(f"nobody read {file}")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
