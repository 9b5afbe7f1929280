# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts of this host: which there are, and the tmpfs for a task's secrets."""

from __future__ import annotations

import functools
import os
import re
import select
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _tree

# <sys/mount.h>
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8


class _MountInfo:
    """``/proc/self/mountinfo`` kept open: who looks at a hundred tasks reads it once, since poll(2) tells whether it has changed
    (proc(5), ``/proc/pid/mounts``).
    """

    def __init__(self) -> None:
        self._owner = 0
        self._file = -1
        self._poll = select.poll()
        self._text = ""

    def read(self) -> str:
        if self._owner != os.getpid():
            # What a fork has inherited would be told of a change together with its parent: only one of them hears of it.
            self._file = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            self._poll = select.poll()
            self._poll.register(self._file, select.POLLPRI)
            self._owner, self._text = os.getpid(), ""
        if self._poll.poll(0) or not self._text:
            os.lseek(self._file, 0, os.SEEK_SET)
            self._text = _tree.read_all(self._file)
        return self._text


_mountinfo = _MountInfo()


def read_mountinfo() -> str:
    """The mounts that this process sees, as the kernel writes them."""
    return _mountinfo.read()


@functools.lru_cache(maxsize=1)
def mount_points(text: str) -> tuple[str, ...]:
    """The mount points in ``/proc/self/mountinfo``, see proc(5): the fifth field, with octal escapes. Sorted, so that what is
    below a path stands together.
    """
    found = []
    for line in text.split("\n"):
        fields = line.split(" ", 5)
        if len(fields) > 5:
            found.append(unescape(fields[4]))
    return tuple(sorted(found))


def unescape(field: str) -> str:
    """A field of mountinfo: blank, tab, newline and backslash are written as three octal digits. See proc(5)."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda match: chr(int(match[1], 8)), field) if "\\" in field else field


def read_mount_points() -> tuple[str, ...]:
    """The mount points that this process sees."""
    return mount_points(read_mountinfo())


def below(path: str, points: t.Sequence[str]) -> list[str]:
    """The mount points at or below a path; the path's links are resolved as the kernel's list has them."""
    return _tree.within(os.path.realpath(path), points)


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
        raise _errors.LxcTaskError(f"can't {function.rstrip('2')} the tmpfs of the task's secrets: {error}")
