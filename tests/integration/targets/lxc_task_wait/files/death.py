# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""death.py PID: kills a process, and prints between which two moments it died, in nanoseconds since 1970 and UTC."""

from __future__ import annotations

import os
import select
import signal
import sys
import time

pid = int(sys.argv[1])
descriptor = os.pidfd_open(pid)
before = time.time_ns()
os.kill(pid, signal.SIGKILL)
poll = select.poll()
poll.register(descriptor, select.POLLIN)
poll.poll()
print(before, time.time_ns())
