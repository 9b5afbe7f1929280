# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""with-syslog.py FILE COMMAND...: runs the command, and writes what the system's log got meanwhile to the file.

Where no daemon listens at /dev/log, this does. Where the journal does, it is asked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

LOG = "/dev/log"


def listen(server: socket.socket, path: str) -> None:
    """Write every message as a line."""
    with open(path, "w", encoding="utf-8") as file:
        while True:
            message = server.recv(1 << 20)
            if message == b"the end":
                return
            file.write(message.decode("utf-8", "replace") + "\n")
            file.flush()


def main() -> int:
    """Return what the command returned."""
    path, command = sys.argv[1], sys.argv[2:]
    if os.path.exists(LOG):
        start = time.time()
        done = subprocess.run(command, check=False)
        with open(path, "wb") as file:
            subprocess.run(["journalctl", "--sync"], check=True)
            subprocess.run(["journalctl", "--no-pager", f"--since=@{start:.6f}"], stdout=file, check=True)
        return done.returncode
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(LOG)
    try:
        thread = threading.Thread(target=listen, args=(server, path))
        thread.start()
        done = subprocess.run(command, check=False)
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"the end", LOG)
        thread.join()
    finally:
        os.unlink(LOG)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
