# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts of this host: which there are, and the tmpfs for a task's secrets."""

from __future__ import annotations

import os
import re

from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._tree import read

# <sys/mount.h>
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8


def mount_points(text: str) -> list[str]:
    """The mount points in ``/proc/self/mountinfo``, see proc(5): the fifth field, with octal escapes."""
    found = []
    for line in text.split("\n"):
        fields = line.split(" ", 5)
        if len(fields) > 5:
            found.append(_unescape(fields[4]) if "\\" in fields[4] else fields[4])
    return found


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-3][0-7]{2})", lambda match: chr(int(match[1], 8)), field)


def read_mount_points() -> list[str]:
    """The mount points that this process sees."""
    return mount_points(read("/proc/self/mountinfo"))


def below(path: str, points: list[str]) -> list[str]:
    """The mount points at or below a path; the path's links are resolved as the kernel's list has them."""
    real = os.path.realpath(path)
    return [point for point in points if point == real or point.startswith(real.rstrip("/") + "/")]


def secrets_options(owner: int) -> str:
    """Nomad's: one MiB, nothing can be executed from it (see mount_secrets). ``owner``: the id of the task's root on the host."""
    return "size=1m,mode=0700" + (f",uid={owner},gid={owner}" if owner else "")


def mount_secrets(path: str, owner: int = 0) -> None:
    """Mount a tmpfs of Nomad's size, for the task's root alone."""
    options = secrets_options(owner).encode()
    _call("mount", b"tmpfs", os.fsencode(path), b"tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, options)


def unmount(path: str) -> None:
    """Unmount, also where a process still uses it; follows no link."""
    _call("umount2", os.fsencode(path), _MNT_DETACH | _UMOUNT_NOFOLLOW)


def _call(function: str, *arguments: object) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        error = os.strerror(ctypes.get_errno())
        raise LxcTaskError(f"can't {function.rstrip('2')} the tmpfs of the task's secrets: {error}")
