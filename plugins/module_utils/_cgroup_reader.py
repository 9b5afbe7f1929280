# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroup of a running container: where it is, what its files say, which limits the kernel holds.

All files are read below a root that tests can replace.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup_files as files
from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup_mounts, _cgroup_text

# Those of which something is read, and those that have limits of ours.
CONTROLLERS = frozenset({"blkio", "cpu", "cpuacct", "io", "memory", "pids"})
LIMITING = frozenset({"cpu", "memory"})

_Kind = t.TypeVar("_Kind", bound="CgroupReader")


class CgroupReader:
    """One running container's cgroup in all hierarchies. Made by ``of``; ``name`` is the container's, for messages."""

    def __init__(self, name: str, directories: t.Mapping[str, str], unified: str | None) -> None:
        """``directories``: by v1 controller. ``unified``: the directory of all other controllers, if it is visible."""
        self.name = name
        self._directories = dict(directories)
        self._unified = unified
        self.version: int = self.generation("memory")

    @classmethod
    def of(
        cls: type[_Kind],
        init_pid: int,
        container_name: str,
        cgroup_dir: str | None = None,
        root: str = "/",
        wanted: frozenset[str] = CONTROLLERS,
    ) -> _Kind | None:
        """The cgroup of the container whose first process is ``init_pid``; None if that is gone.

        ``cgroup_dir`` is the container's ``lxc.cgroup.dir`` or ``lxc.cgroup.dir.container``. ``wanted``: the controllers whose
        v1 hierarchies are looked for.
        """
        text = files.read_file(os.path.join(root, "proc", str(init_pid), "cgroup"))
        if text is None:
            return None
        mounts = _cgroup_mounts.read_hierarchies(root)
        directories: dict[str, str] = {}
        unified: str | None = None
        own: dict[str, str] = {}  # the paths are mostly the same in all hierarchies
        for controllers, path in _cgroup_text.parse_membership(text):
            if controllers and controllers.isdisjoint(wanted):
                continue
            if path not in own:
                own[path] = _cgroup_text.container_path(path, container_name, cgroup_dir)
            directory = files.visible_directory(own[path], controllers, mounts, root)
            if directory is None:
                continue
            if not controllers:
                unified = directory
            for controller in controllers:
                directories[controller] = directory
        # A process that is ending is shown in the root of its hierarchies, which is no container's.
        if unified is None and not directories:
            return None
        return cls(container_name, directories, unified)

    @classmethod
    def of_container(
        cls: type[_Kind],
        init_pid: int,
        name: str,
        lines: t.Iterable[tuple[str, str]],
        wanted: frozenset[str] = CONTROLLERS,
    ) -> _Kind | None:
        """The same for a container with these lines of configuration."""
        keys = dict(lines)
        place = keys.get("lxc.cgroup.dir.container") or keys.get("lxc.cgroup.dir")
        return cls.of(init_pid, name, place, wanted=wanted)

    def generation(self, controller: str) -> int:
        """Which generation of this controller the container has; V2 where no v1 hierarchy of it is."""
        return _cgroup_mounts.V1 if controller in self._directories else _cgroup_mounts.V2

    def directory(self, controller: str) -> str | None:
        """The container's directory in this controller's hierarchy; None where none is visible."""
        return self._directories.get(controller, self._unified)

    def read(self, controller: str, file: str) -> str | None:
        """The text of a file of this controller; None where the kernel lacks it, or where it vanished."""
        directory = self.directory(controller)
        return None if directory is None else files.read_file(directory + "/" + file)

    def read_tree(self, controller: str, file: str) -> list[str]:
        """The text of this file in the container's cgroup and in all cgroups below it; for what v1 counts in each alone."""
        directory = self.directory(controller)
        if directory is None:
            return []
        texts = [files.read_file(directory + "/" + file)]
        # A link count of two tells that a directory has no children (kernfs), which is nearly always so.
        if files.links(directory) != 2:
            texts += [
                files.read_file(f"{below}/{file}") for below, _dirs, _files in os.walk(directory) if below != directory
            ]
        return [text for text in texts if text is not None]

    def identity(self, *controllers: str) -> tuple[int, ...] | None:
        """What tells this cgroup from a later one of the same name, for these controllers; None if it is gone."""
        directories = [directory for directory in map(self.directory, controllers) if directory is not None]
        try:
            return tuple(os.stat(directory).st_ino for directory in directories) or None
        except OSError:
            return None

    def limits(self) -> _cgroup_text.Limits:
        """The limits that the kernel holds now."""
        return _cgroup_text.Limits(memory=self.memory_limit(), cpu_shares=self._cpu_shares())

    def memory_usage(self) -> int | None:
        """Bytes charged to the container and all below it; None where the kernel does not tell."""
        file = "memory.usage_in_bytes" if self.version == _cgroup_mounts.V1 else "memory.current"
        return _cgroup_text.parse_number(self.read("memory", file))

    def memory_limit(self) -> int | None:
        """Bytes; None for no limit, or where the kernel does not tell."""
        file = "memory.limit_in_bytes" if self.version == _cgroup_mounts.V1 else "memory.max"
        limit = _cgroup_text.parse_number(self.read("memory", file))
        return _cgroup_text.NO_LIMIT if _cgroup_text.whole_pages(limit) is None else limit

    def _cpu_shares(self) -> int | None:
        if self.generation("cpu") == _cgroup_mounts.V1:
            return _cgroup_text.parse_number(self.read("cpu", "cpu.shares"))
        weight = _cgroup_text.parse_number(self.read("cpu", "cpu.weight"))
        return None if weight is None else _cgroup_text.weight_to_shares(weight)
