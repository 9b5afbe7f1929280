# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel can show a file system with other ids than it has: mount_setattr(2), MOUNT_ATTR_IDMAP."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

# Both numbers are the same on every architecture that Linux has had since 5.1, but alpha.
_OPEN_TREE, _MOUNT_SETATTR = 428, 442
_AT_FDCWD, _AT_EMPTY_PATH, _OPEN_TREE_CLONE = -100, 0x1000, 1
_CLONE_NEWUSER = 0x10000000
_MOUNT_ATTR_IDMAP = 0x00100000


def can_idmap(path: str, base: int) -> bool:
    """Whether the file system of a directory can be mounted with its ids mapped. Tried on a copy of the mount that nobody sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    with contextlib.ExitStack() as stack:
        tree = libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(path), _OPEN_TREE_CLONE | os.O_CLOEXEC)
        if tree < 0:
            return False
        stack.callback(os.close, tree)
        namespace = _user_namespace(libc, base)
        if namespace is None:
            return False
        stack.callback(os.close, namespace)
        # struct mount_attr: to set, to clear, propagation, user namespace.
        attributes = struct.pack("=QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
        return bool(libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, len(attributes)) == 0)


def _user_namespace(libc: ctypes.CDLL, base: int) -> int | None:
    """A user namespace whose root is an id of the host; None where the kernel makes none."""
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    hold_read, hold_write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            os.close(hold_write)
            if libc.unshare(_CLONE_NEWUSER) == 0:
                os.write(ready_write, b"!")
                os.read(hold_read, 1)
        finally:
            os._exit(0)
    try:
        os.close(ready_write)
        if not os.read(ready_read, 1):
            return None
        for kind in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{kind}", "w", encoding="ascii") as file:
                file.write(f"0 {base} 1")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    finally:
        for descriptor in (ready_read, hold_read, hold_write):
            os.close(descriptor)
        os.waitpid(child, 0)
