# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's monitor, liblxc's process beside the init: found by its title, told from one that hangs, ended."""

from __future__ import annotations

import contextlib
import os
import signal

from ansible_collections.nomadic.lxc.plugins.module_utils._proc import identify, wait_for_exit


def find(lxc_path: str, name: str) -> int | None:
    """The pid of a container's monitor, by the title that liblxc gives it."""
    title = f"[lxc monitor] {lxc_path} {name}".encode("utf-8", "surrogateescape")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    found = file.read().rstrip(b"\0")
            except OSError:
                continue
            if found == title:
                return int(entry)
    return None


def hangs(lxc_path: str, name: str) -> bool:
    """Whether the monitor waits for a child that is dead (killed for the memory limit, say): liblxc does so for ever."""
    monitor = find(lxc_path, name)
    if monitor is None:
        return False
    try:
        with open(f"/proc/{monitor}/task/{monitor}/children", encoding="ascii") as file:
            return all(identify(int(child)) is None for child in file.read().split())
    except OSError:
        return False


def end(lxc_path: str, name: str, timeout: float) -> None:
    """Kill the monitor of a start that hangs; its children go with it. ``timeout``: seconds."""
    monitor = find(lxc_path, name)
    if monitor is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(monitor, signal.SIGKILL)
        wait_for_exit(monitor, timeout)
