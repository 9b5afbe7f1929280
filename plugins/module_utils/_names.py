# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a task is and where it lives: names, the container's name, the directories of its alloc, where what is not whole is kept."""

from __future__ import annotations

import functools
import os.path
import re
import typing as t

# What liblxc takes: a name of 65 characters can't be created.
LONGEST_CONTAINER_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# The directory that the tasks of an alloc share has this name; a task's directory stands beside it.
SHARED = "alloc"
# Where a recreation keeps the former container: out of liblxc's sight, on the same file system.
ASIDE = ".nomadic-lxc"
# The mode of a task's directory while what is in it gets other owners.
SHIFTING = 0o700


def name_faults(name: str | None, alloc_id: str | None) -> list[str]:
    """What is wrong with a task's name and alloc, each a sentence; empty if nothing is."""
    faults = []
    for option, value in (("name", name), ("alloc_id", alloc_id)):
        if value is not None and not _NAME.fullmatch(value):
            faults.append(
                f"invalid {option} {value!r}: it begins with a letter or digit, and only letters, digits, '_', '.' and '-' follow"
            )
    if name == SHARED:
        faults.append(
            f"invalid name {SHARED!r}: the directory that the tasks of an alloc share is called so; choose another"
        )
    if name is not None and not faults:
        container = container_name(name, alloc_id)
        if len(container) > LONGEST_CONTAINER_NAME:
            faults.append(
                f"the container name {container!r} has {len(container)} characters, and LXC takes at most"
                f" {LONGEST_CONTAINER_NAME}: shorten name or alloc_id"
            )
    return faults


def container_name(name: str, alloc_id: str | None) -> str:
    """``<name>-<alloc_id>`` as in Nomad's driver, or just ``<name>`` for a task that is alone."""
    return name if alloc_id is None else f"{name}-{alloc_id}"


def plain(text: str) -> bool:
    """Whether a text can be a name on a file system: without control characters, and of characters that have an encoding."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return not any(ord(char) < 32 for char in text)


def container_name_fault(name: str) -> str | None:
    """What is wrong with the name of a container that somebody else may have made; None if nothing is."""
    if name in ("", ".", "..") or "/" in name or not plain(name):
        return f"{name!r} can't be a container's name"
    if len(name) > LONGEST_CONTAINER_NAME:
        return f"the container name {name!r} has more than {LONGEST_CONTAINER_NAME} characters"
    return None


def path_fault(path: str) -> str | None:
    """What is wrong with a directory that an operator names; None if nothing is."""
    if not path.startswith("/"):
        return f"{path!r} is not an absolute path"
    if ".." in path.split("/"):
        return f"{path!r} has '..' in it"
    return None


def normal_path(path: str) -> str:
    """An absolute path without needless slashes and dots. POSIX leaves two in front a meaning of their own; Linux has none."""
    return "/" + os.path.normpath(path).lstrip("/")


def beneath(path: str, directory: str) -> bool:
    """Whether a path lies in a directory; both resolved. A directory does not lie in itself."""
    return path.startswith(directory.rstrip("/") + "/") and path != directory


class Layout(t.NamedTuple):
    """The directories of one task, laid out as Nomad's: absolute paths."""

    root: str  # the alloc's
    task: str
    local: str
    secrets: str
    tmp: str
    alloc: str  # shared by the alloc's tasks
    log_file: str

    def directories(self, unprivileged: bool = False) -> list[tuple[str, int]]:
        """Every directory and its mode, parents first; ``secrets`` is the mount point of a tmpfs.

        An unprivileged task's root is another user, who has to get through: to the alloc's directory as anybody, to the
        task's as its group.
        """
        shared = [(f"{self.alloc}/{name}", 0o777) for name in ("logs", "tmp", "data")]
        return [
            (self.root, 0o711 if unprivileged else 0o700),
            (self.alloc, 0o777),
            *shared,
            (self.task, 0o750 if unprivileged else 0o755),
            (self.local, 0o777),
            (self.secrets, 0o700),
            (self.tmp, 0o1777),
        ]

    def owned(self) -> tuple[str, ...]:
        """The directories of the task's own, which belong to its root."""
        return (self.local, self.secrets, self.tmp)


@functools.lru_cache(maxsize=64)
def layout(alloc_dir: str, name: str, alloc_id: str | None) -> Layout:
    """Where a task's directories are. An alloc without id is ``_<name>``, which no alloc_id can be."""
    root = os.path.join(normal_path(alloc_dir), f"_{name}" if alloc_id is None else alloc_id)
    task = f"{root}/{name}"
    return Layout(
        root=root,
        task=task,
        local=f"{task}/local",
        secrets=f"{task}/secrets",
        tmp=f"{task}/tmp",
        alloc=f"{root}/{SHARED}",
        log_file=f"{task}/{name}-lxc.log",
    )


def aside_directory(lxc_path: str, name: str) -> str:
    """Where a container stands while another is made in its place."""
    return os.path.join(lxc_path, ASIDE, name)


def making_mark(lxc_path: str, name: str) -> str:
    """Where it stands that a container is being made or removed: liblxc removes what it failed to make, our record first
    perhaps, and may be killed at that. It holds the identity of the container's directory. No name begins with ``+``.
    """
    return os.path.join(lxc_path, ASIDE, f"+{name}")
