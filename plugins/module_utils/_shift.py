# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose ids files on the host have: a tree is shifted from root's own ids to an unprivileged task's, or back.

A shift that was cut off is finished by another one: what has its new id already is left as it is. What belongs to an id is
kept with it: modes that chown(2) drops, capabilities of files, and access lists.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _idmap, _tree

Shift = t.Callable[[int], int]

_LISTS = ("system.posix_acl_access", "system.posix_acl_default")
_CAPABILITY = "security.capability"
# linux/posix_acl_xattr.h, posix_acl.h: a version, then entries of tag, permissions and id; these tags have an id.
_ACL_HEADER, _ACL_ENTRY, _ACL_NAMED = 4, struct.Struct("<HHI"), (0x02, 0x08)
# linux/capability.h: revision 3 has the id of the user namespace's root behind the two sets.
_CAP_2, _CAP_3, _CAP_MASK = 0x02000000, 0x03000000, 0xFF000000
_CAP_SIZE_2, _CAP_SIZE_3 = 20, 24


def inwards(idmap: _idmap.Idmap) -> Shift:
    """From root's own ids to the task's."""
    return lambda number: number + idmap.base if number < idmap.size else number


def outwards(idmap: _idmap.Idmap) -> Shift:
    """From the task's ids to root's own."""
    return lambda number: number - idmap.base if idmap.covers(number) else number


def shift_tree(path: str, shift: Shift) -> None:
    """Shift a directory with all that is in it; follows no link, and crosses no mount. Raises LxcTaskError."""
    try:
        _shift_below(path, shift)
    except OSError as error:
        where = f"{error.strerror or error}: {error.filename or path}"
        raise _errors.LxcTaskError(f"can't give {path} its owner: {where}") from error


class _Walk:
    """A way through a tree: the open directory where it is, ``here``, and the ``names`` in it that are left."""

    def __init__(self, top: int) -> None:
        self.here, self.names = top, _names_in(top)
        # The directories above, the top first: what is left in each, which it is, and its descriptor where that is open.
        self._above: list[tuple[list[str], os.stat_result, int | None]] = []

    def enter(self, below: int) -> None:
        """Go on in an open directory, which is closed from here."""
        former, held = self.here, len(self._above) < _tree.MOST_OPEN
        self._above.append((self.names, os.fstat(former), former if held else None))
        self.here = below
        if not held:
            os.close(former)
        self.names = _names_in(below)

    def leave(self) -> bool:
        """Go back to the directory above; False at the top. Raises OSError."""
        if not self._above:
            return False
        names, found, parent = self._above.pop()
        below, self.here = self.here, _parent(self.here, found) if parent is None else parent
        self.names = names
        os.close(below)
        return True

    def close(self) -> None:
        """Close what is open."""
        for descriptor in (self.here, *(it[2] for it in self._above)):
            if descriptor is not None:
                os.close(descriptor)


def _names_in(directory: int) -> list[str]:
    # One that was removed meanwhile can't be listed.
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(directory)
    return []


def _parent(directory: int, known: os.stat_result) -> int:
    """Open the directory above, which must be the known one: another task may move what it can write. Raises OSError."""
    parent = os.open("..", _tree.DIRECTORY, dir_fd=directory)
    if not os.path.samestat(os.fstat(parent), known):
        os.close(parent)
        raise OSError(errno.ESTALE, "a directory in it was moved meanwhile")
    return parent


def _shift_below(path: str, shift: Shift) -> None:
    try:
        top = os.open(path, _tree.DIRECTORY)
    except FileNotFoundError:
        return
    with contextlib.closing(_Walk(top)) as walk:
        device = os.fstat(top).st_dev
        while walk.names or walk.leave():
            below = _shift_entry(walk.names.pop(), walk.here, device, shift) if walk.names else None
            if below is not None:
                walk.enter(below)
        _shift_one(f"/proc/self/fd/{top}", os.fstat(top), shift)


def _shift_entry(name: str, here: int, device: int, shift: Shift) -> int | None:
    """Shift what a directory holds under a name, unless it is gone, or on another file system; opens it if it is a directory.

    By a descriptor that opens nothing: another task may swap a name for a link meanwhile.
    """
    try:
        entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    except FileNotFoundError:
        # A socket, say; it needs no other id.
        return None
    try:
        found = os.fstat(entry)
        if found.st_dev != device:
            return None
        if stat.S_ISLNK(found.st_mode):
            os.chown(name, shift(found.st_uid), shift(found.st_gid), dir_fd=here, follow_symlinks=False)
            return None
        _shift_one(f"/proc/self/fd/{entry}", found, shift)
        return os.open(".", _tree.DIRECTORY, dir_fd=entry) if stat.S_ISDIR(found.st_mode) else None
    finally:
        os.close(entry)


def _shift_one(path: str, found: os.stat_result, shift: Shift) -> None:
    uid, gid = shift(found.st_uid), shift(found.st_gid)
    kept = _attributes(path)
    if (uid, gid) != (found.st_uid, found.st_gid):
        os.chown(path, uid, gid)
        if found.st_mode & (stat.S_ISUID | stat.S_ISGID):
            os.chmod(path, stat.S_IMODE(found.st_mode))
    for attribute, value in kept.items():
        changed = _capability(value, shift) if attribute == _CAPABILITY else _access_list(value, shift)
        if changed != value or attribute == _CAPABILITY:
            # chown(2) has taken the capabilities away.
            os.setxattr(path, attribute, changed)


def _attributes(path: str) -> dict[str, bytes]:
    try:
        names = os.listxattr(path)
    except OSError:
        return {}
    return {name: os.getxattr(path, name) for name in names if name in (*_LISTS, _CAPABILITY)}


def _access_list(value: bytes, shift: Shift) -> bytes:
    entries = [_ACL_ENTRY.unpack_from(value, at) for at in range(_ACL_HEADER, len(value), _ACL_ENTRY.size)]
    return value[:_ACL_HEADER] + b"".join(
        _ACL_ENTRY.pack(tag, permissions, shift(number) if tag in _ACL_NAMED else number)
        for tag, permissions, number in entries
    )


def _capability(value: bytes, shift: Shift) -> bytes:
    """File capabilities name the root for whom they count, where that is not the host's."""
    (magic,) = struct.unpack_from("<I", value)
    if len(value) not in (_CAP_SIZE_2, _CAP_SIZE_3):
        return value
    root = struct.unpack_from("<I", value, _CAP_SIZE_2)[0] if len(value) == _CAP_SIZE_3 else 0
    root, flags, sets = shift(root), magic & ~_CAP_MASK & 0xFFFFFFFF, value[4:_CAP_SIZE_2]
    if root == 0:
        return struct.pack("<I", _CAP_2 | flags) + sets
    return struct.pack("<I", _CAP_3 | flags) + sets + struct.pack("<I", root)
