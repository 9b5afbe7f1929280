# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of cgroups: reading and writing them, finding the mounts, removing what a start left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup_mounts, _cgroup_text, _errors, _tree

# What a read or write says when the container, and its cgroup with it, is gone.
GONE = (errno.ENOENT, errno.ENODEV, errno.ESRCH)
# ... or when the kernel was built or started without that file's feature.
_LACKING = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTDIR, errno.EIO)


def read_file(path: str) -> str | None:
    """A kernel file's text; None where the kernel lacks it or it vanished."""
    try:
        return _tree.read(path)
    except OSError as error:
        if error.errno in GONE or error.errno in _LACKING:
            return None
        raise _errors.LxcTaskError(f"Can't read {path}: {error.strerror}") from error


def write_file(path: str, text: str) -> None:
    """Write a kernel file in one call, as the kernel wants it. Raises OSError. Never makes a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def links(directory: str) -> int:
    try:
        return os.stat(directory).st_nlink
    except OSError:
        return 0


def visible_directory(
    path: str, controllers: frozenset[str], mounts: t.Sequence[_cgroup_mounts.Hierarchy], root: str
) -> str | None:
    """The directory that shows this path of the hierarchy with these controllers; None where no mount does."""
    for mount in mounts:
        below = _cgroup_text.below_root(path, mount.root)
        if below is None or not mount.has(controllers):
            continue
        directory = os.path.join(root, mount.mount_point.lstrip("/"), below)
        if os.path.isdir(directory):
            return directory
    return None


def own_directories(root: str = "/") -> list[str]:
    """The directories of this process's own cgroups, in each hierarchy that shows it; that may be the hierarchy's own."""
    mounts = _cgroup_mounts.read_hierarchies(root)
    found: list[str] = []
    for controllers, path in _cgroup_text.parse_membership(read_file(os.path.join(root, "proc/self/cgroup")) or ""):
        tops = [mount.mount_point for mount in mounts if mount.root == path and mount.has(controllers)]
        directory = visible_directory(path, controllers, mounts, root)
        found += [directory] if directory is not None else [os.path.join(root, top.lstrip("/")) for top in tops[:1]]
    return found


def remove_monitor_cgroups(
    container_name: str,
    taken: t.Callable[[str], bool],
    root: str = "/",
    cgroup_dir: str | None = None,
    payload: bool = False,
) -> list[str]:
    """Remove the empty ``lxc.monitor.NAME`` cgroups that a failed start, or one by a caller that ended, left behind.

    ``payload``: also ``lxc.payload.NAME``, which only a killed monitor leaves. Also the names with ``-N`` behind, unless
    ``taken`` says that a container ``NAME-N`` exists: they may be that one's. Looks at the top of every mounted hierarchy,
    and in ``cgroup_dir`` (the container's ``lxc.cgroup.dir``). Never removes anything else; a cgroup that holds processes
    or children can't be removed, and stays. Returns the removed directories.
    """
    removed: list[str] = []
    # One may be mounted over another.
    for point in sorted({mount.mount_point for mount in _cgroup_mounts.read_hierarchies(root)}):
        top = os.path.join(root, point.lstrip("/"))
        for directory in sorted({top, os.path.join(top, *_cgroup_text.components(cgroup_dir or ""))}):
            for name in _leftovers(directory, container_name, payload):
                other = name.split(".", 2)[2]
                if other != container_name and taken(other):
                    continue
                with contextlib.suppress(OSError):
                    group = os.path.join(directory, name)
                    # Where lxc-attach put its processes on v2: it may outlive them, and keeps its parent.
                    for leaf in _leaves_of_attach(group):
                        os.rmdir(leaf)
                    os.rmdir(group)
                    removed.append(group)
    return sorted(removed)


def _leaves_of_attach(group: str) -> list[str]:
    return [entry.path for entry in os.scandir(group) if entry.name.split("-")[0] == ".lxc" and entry.is_dir()]


def _leftovers(directory: str, container_name: str, payload: bool) -> list[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    prefixes = ("lxc.monitor.", "lxc.payload.") if payload else ("lxc.monitor.",)
    # A host has some for each of its containers, in each hierarchy, and mostly none of them is meant.
    together = "/".join(names)
    mine = [prefix for prefix in prefixes if prefix + container_name in together]
    return [name for prefix in mine for name in names if _cgroup_text.made_by_liblxc(name, prefix, container_name)]
