# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where cgroup hierarchies are mounted, and of which generation they are."""

from __future__ import annotations

import functools
import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _mounts, _tree

V1 = 1
V2 = 2


class Hierarchy(t.NamedTuple):
    """One mounted cgroup hierarchy: ``root`` is the part of it that is mounted at ``mount_point``."""

    version: int
    controllers: frozenset[str]
    root: str
    mount_point: str

    def has(self, controllers: frozenset[str]) -> bool:
        """Whether it is the hierarchy of these, or of no controller, as /proc/PID/cgroup has them."""
        if self.version == V2:
            return not controllers
        return bool(controllers) and controllers <= self.controllers


def parse_mountinfo(text: str) -> tuple[Hierarchy, ...]:
    """The cgroup mounts in ``/proc/self/mountinfo``. See proc(5): the optional fields end at a single hyphen."""
    hierarchies: list[Hierarchy] = []
    for line in text.split("\n"):
        if " - cgroup" not in line:
            continue
        before, hyphen, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if not hyphen or len(fields) < 6 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        hierarchies.append(
            Hierarchy(
                version=V2 if kind[0] == "cgroup2" else V1,
                # A v1 mount names its controllers among the file system's options.
                controllers=frozenset(kind[2].split(",")) if kind[0] == "cgroup" and len(kind) > 2 else frozenset(),
                root=_mounts.unescape(fields[3]),
                mount_point=_mounts.unescape(fields[4]),
            )
        )
    return tuple(hierarchies)


def memory_generation(hierarchies: t.Sequence[Hierarchy]) -> int | None:
    """Which generation of the memory controller a host has; None where no cgroup is mounted."""
    if not hierarchies:
        return None
    return V1 if any(mount.version == V1 and "memory" in mount.controllers for mount in hierarchies) else V2


def read_hierarchies(root: str = "/") -> tuple[Hierarchy, ...]:
    """The cgroup mounts that this process sees. ``root``: of a tree that stands for the host's, in tests."""
    if root == "/":
        return _own_hierarchies()
    try:
        return parse_mountinfo(_tree.read(os.path.join(root, "proc/self/mountinfo")))
    except FileNotFoundError:
        return ()


@functools.cache
def _own_hierarchies() -> tuple[Hierarchy, ...]:
    """Other mounts come with each task that a call makes; these stay."""
    return parse_mountinfo(_mounts.read_mountinfo())


def read_controllers(hierarchies: t.Sequence[Hierarchy]) -> frozenset[str] | None:
    """The controllers that a container can get: those that are mounted as v1, and what v2's ``cgroup.controllers`` has at
    the top, where liblxc makes its cgroups (cgroup-v2.rst). None where that can't be read.
    """
    found: set[str] = set()
    for mount in hierarchies:
        found |= mount.controllers
        if mount.version == V2:
            try:
                found |= set(_tree.read(os.path.join(mount.mount_point, "cgroup.controllers")).split())
            except OSError:
                return None
    return frozenset(found) if hierarchies else None
