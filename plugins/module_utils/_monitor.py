# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's monitor, liblxc's process beside the init: found by its title, told from one that hangs, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _proc

_TITLE = b"[lxc monitor] "


def _titles(root: str = "/") -> t.Iterator[tuple[int, bytes]]:
    """The pids of all monitors, and what follows in the title that liblxc gives one: the LXC path, a blank, the name."""
    for entry in os.listdir(os.path.join(root, "proc")):
        if entry.isdigit():
            try:
                with open(os.path.join(root, "proc", entry, "cmdline"), "rb") as file:
                    title = file.read().rstrip(b"\0")
            except OSError:
                continue
            if title.startswith(_TITLE):
                yield int(entry), title[len(_TITLE) :]


def find(lxc_path: str, name: str, root: str = "/") -> int | None:
    """The pid of a container's monitor."""
    wanted = os.fsencode(f"{lxc_path} {name}")
    return next((pid for pid, title in _titles(root) if title == wanted), None)


def init_of(lxc_path: str, name: str, root: str = "/") -> _proc.InitId | None:
    """The init beside a container's monitor, whichever network namespace and spelling of the LXC path it was started with."""
    end = os.fsencode(f" {name}")
    place = os.path.realpath(os.fsencode(lxc_path))
    for monitor, title in _titles(root):
        if title.endswith(end) and os.path.realpath(title[: -len(end)]) == place:
            for child in _children(monitor, root):
                if _is_init(child, root):
                    return _proc.identify(child, root)
    return None


def _children(pid: int, root: str = "/") -> list[int]:
    try:
        with open(os.path.join(root, f"proc/{pid}/task/{pid}/children"), encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def _is_init(pid: int, root: str) -> bool:
    """Whether a process is the first of a pid namespace below its parent's: a hook of the monitor's is not. See proc(5)."""
    try:
        with open(os.path.join(root, f"proc/{pid}/status"), encoding="utf-8", errors="replace") as file:
            numbers = next((line.split()[1:] for line in file if line.startswith("NSpid:")), [])
    except OSError:
        return False
    return len(numbers) > 1 and numbers[-1] == "1"


def hangs(lxc_path: str, name: str, root: str = "/") -> bool:
    """Whether the monitor sleeps though no child of it lives (it was killed for the memory limit, say): liblxc waits for ever.

    One that a busy host keeps from working does not sleep: it has not come so far yet.
    """
    monitor = find(lxc_path, name, root)
    if monitor is None or not _proc.sleeps(monitor, root):
        return False
    return all(_proc.identify(child, root) is None for child in _children(monitor, root))


def end(lxc_path: str, name: str, timeout: float) -> None:
    """Kill the monitor of a start that hangs; its children go with it. ``timeout``: seconds."""
    monitor = find(lxc_path, name)
    if monitor is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(monitor, signal.SIGKILL)
        _proc.wait_for_exit(monitor, timeout)
