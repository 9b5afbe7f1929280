# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose ids files on the host have: a tree is shifted from root's own ids to an unprivileged task's, or back.

A shift that was cut off is finished by another one: what has its new id already is left as it is. What belongs to an id is
kept with it: modes that chown(2) drops, capabilities of files, and access lists.
"""

from __future__ import annotations

import os
import stat
import struct
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _idmap

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


def _shift_below(path: str, shift: Shift) -> None:
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        device = os.fstat(top).st_dev
        for _root, directories, files, here in os.fwalk(".", topdown=True, follow_symlinks=False, dir_fd=top):
            # What goes meanwhile, a socket say, needs no other id.
            done = {name for name in [*directories, *files] if _shift_entry(name, here, device, shift)}
            directories[:] = [name for name in directories if name in done]
        _shift_one(f"/proc/self/fd/{top}", os.fstat(top), shift)
    finally:
        os.close(top)


def _shift_entry(name: str, here: int, device: int, shift: Shift) -> bool:
    """Shift what a directory holds under a name; False for what is gone, or on another file system.

    By a descriptor that opens nothing: another task may swap a name for a link meanwhile.
    """
    try:
        entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    except FileNotFoundError:
        return False
    try:
        found = os.fstat(entry)
        if found.st_dev != device:
            return False
        if not stat.S_ISLNK(found.st_mode):
            _shift_one(f"/proc/self/fd/{entry}", found, shift)
        else:
            os.chown(name, shift(found.st_uid), shift(found.st_gid), dir_fd=here, follow_symlinks=False)
        return True
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
