# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories of ours on the host: written atomically, removed without following a link or crossing a mount."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import typing as t
from bisect import bisect_left, bisect_right

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors

# How a directory is opened that another task may swap for a link meanwhile.
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# So many directories of one way are kept open: a task may have made more levels than a process can open files.
MOST_OPEN = 32
_FS_IOC_GETVERSION = 0x80087601


def identity(directory: str) -> str:
    """What tells a directory from others, also from a later one that has its inode number: that and, where the file system has
    one, the inode's generation (linux/fs.h, FS_IOC_GETVERSION). Raises OSError.
    """
    import fcntl

    descriptor = os.open(directory, DIRECTORY)
    try:
        generation = b""
        with contextlib.suppress(OSError):
            generation = fcntl.ioctl(descriptor, _FS_IOC_GETVERSION, bytes(8))
        return f"{os.fstat(descriptor).st_ino} {generation.hex()}"
    finally:
        os.close(descriptor)


def write_atomically(path: str, text: str, mode: int = 0o600, draft: str | None = None) -> None:
    """Replace a file by one with this text; whoever reads it sees the old or the new one, whole.

    ``draft``: where it is written first, in the same directory; one of the caller's own where no lock keeps others away.
    """
    draft = draft or f"{path}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(descriptor, mode)
            write_all(descriptor, text)
        finally:
            os.close(descriptor)
        os.rename(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def append(path: str, text: str) -> None:
    """Write behind what a file has. Raises OSError, where there is none, too."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        write_all(descriptor, text)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, text: str) -> None:
    """Write a text to an open file. Raises OSError."""
    left = memoryview(text.encode("utf-8", "surrogateescape"))
    while left:
        left = left[os.write(descriptor, left) :]


def read(path: str) -> str:
    """A file's text, a kernel's too. Raises OSError. Plain calls: looking at many tasks reads a thousand files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_all(descriptor)
    finally:
        os.close(descriptor)


def read_all(descriptor: int) -> str:
    """The text of an open file, from where it stands. Raises OSError."""
    chunks: list[bytes] = []
    while True:
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return b"".join(chunks).decode("utf-8", "surrogateescape")
        chunks.append(chunk)


def read_text(path: str) -> str | None:
    """A file's text; None if there is no such file. Raises LxcTaskError for one that can't be read."""
    try:
        # Every character as it is: a carriage return begins no line here.
        return read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _errors.LxcTaskError(f"can't read {path}: {error.strerror}") from error


def own_directory(path: str, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Give a directory its owner (-1: the one it has) and its mode; never what a link in its place points to. Raises OSError."""
    directory = os.open(path, DIRECTORY)
    try:
        os.fchown(directory, uid, gid)
        os.fchmod(directory, mode)
    finally:
        os.close(directory)


class Paths:
    """What is at paths, and where they lead; many have their parents in common, and each is looked at once."""

    def __init__(self) -> None:
        self._found: dict[str, os.stat_result | None] = {}
        self._real: dict[str, str] = {"/": "/"}

    def lstat(self, path: str) -> os.stat_result | None:
        """What is there, a link where it is one; None if nothing is. Raises OSError where that can't be told."""
        if path not in self._found:
            try:
                self._found[path] = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                self._found[path] = None
        return self._found[path]

    def real(self, path: str) -> str:
        """realpath(3)."""
        found = self._real.get(path)
        if found is None:
            parent, _slash, name = path.rpartition("/")
            if not path.startswith("/") or name in ("", ".", ".."):
                return os.path.realpath(path)
            found = f"{self.real(parent or '/').rstrip('/')}/{name}"
            self._real[path] = found = os.path.realpath(found) if self._is_link(found) else found
        return found

    def _is_link(self, path: str) -> bool:
        try:
            found = self.lstat(path)
        except OSError:
            return False
        return found is not None and stat.S_ISLNK(found.st_mode)


def _resolved(path: str) -> str:
    """A path whose parents' links are resolved, as the kernel names mount points; if it is a link itself, it stays one."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def within(path: str, sorted_paths: t.Sequence[str]) -> list[str]:
    """Of sorted paths those that are this one or lie below it; none of them has a link in it."""
    if path == "/":
        return list(sorted_paths)
    at = sorted_paths[bisect_left(sorted_paths, path) : bisect_right(sorted_paths, path)]
    # The character after the slash is the digit 0.
    lower = sorted_paths[bisect_left(sorted_paths, f"{path}/") : bisect_left(sorted_paths, f"{path}0")]
    return [*at, *lower]


def remove(path: str, mount_points: t.Sequence[str]) -> list[str]:
    """Remove a file or a whole directory; mount points in it stay with what leads to them, and are returned.

    Nothing follows a link, or crosses a mount that was made meanwhile. What is too deep for us, or can't be removed, is rm(1)'s.
    """
    path = _resolved(path)
    kept = within(path, mount_points)
    if path in kept:
        return [path]
    if not kept:
        if os.path.lexists(path) and not _removed(path):
            # It inherits the call's locks: it may outlive us, and the next call has to wait for it. AnsibleModule's run_command,
            # which pylint asks for, would close them.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                ["rm", "-rf", "--one-file-system", "--", path],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                close_fds=False,
                check=False,
            )
            if done.returncode != 0:
                raise _errors.LxcTaskError(f"can't remove {path}: {done.stderr.decode(errors='replace').strip()}")
        return []
    for entry in os.listdir(path):
        remove(os.path.join(path, entry), mount_points)
    return kept


def _removed(path: str) -> bool:
    """Remove what is small, without a program; whether all of it is gone."""
    try:
        if os.path.islink(path) or not os.path.isdir(path):
            os.unlink(path)
            return True
        descriptor = os.open(path, DIRECTORY)
        try:
            emptied = _emptied(descriptor, os.fstat(descriptor).st_dev, MOST_OPEN)
        finally:
            os.close(descriptor)
        if emptied:
            os.rmdir(path)
    except OSError:
        return False
    return emptied


def _emptied(directory: int, device: int, depth: int) -> bool:
    """Empty an open directory, so many levels deep, on this device; whether it is empty now. Raises OSError."""
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
            continue
        below = os.open(name, DIRECTORY, dir_fd=directory)
        try:
            if depth == 0 or os.fstat(below).st_dev != device or not _emptied(below, device, depth - 1):
                return False
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=directory)
    return True


def removable(path: str, mount_points: t.Sequence[str]) -> bool:
    """Whether remove would remove anything."""
    path = _resolved(path)
    kept = within(path, mount_points)
    if path in kept or not os.path.lexists(path):
        return False
    if not kept:
        return True
    return any(removable(os.path.join(path, entry), mount_points) for entry in os.listdir(path))
