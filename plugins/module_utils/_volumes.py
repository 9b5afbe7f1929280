# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes, mounts and devices: their strings, and the policy on their sources. Pure.

A volume is the ``source:target`` of Nomad's driver, with its messages.
"""

from __future__ import annotations

import os.path
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _entries, _errors, _names

ENABLED = "lxc.volumes.enabled"
HINT = "the option mounts takes a source with a colon and a target with a slash in front"
# Where the task's own directories appear inside, and their options' names.
OWN = ("local", "alloc", "secrets")

# LXC's standard set (common.conf of liblxc): may be made by mknod, and the ones every program needs may be used.
STANDARD_DEVICES = (
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",  # null
    "c 1:5 rwm",  # zero
    "c 1:7 rwm",  # full
    "c 1:8 rwm",  # random
    "c 1:9 rwm",  # urandom
    "c 5:0 rwm",  # tty
    "c 5:1 rwm",  # console
    "c 5:2 rwm",  # ptmx
    "c 136:* rwm",  # pts
    "c 10:229 rwm",  # fuse
)


class Source(t.NamedTuple):
    """What the host has at a source. ``real``: its path with all links resolved; ``number``: major:minor of a device;
    ``passed``: every place on the way to it, links and what they lead through too, each with its parents' links resolved.
    """

    real: str
    kind: str  # dir, file, char, block or missing
    number: str = ""
    passed: tuple[str, ...] = ()


class Wanted(t.NamedTuple):
    """A source that a task names, before the host was asked. ``option``: where it was named; ``given``: as it was written."""

    option: str
    given: str
    path: str
    target: str
    read_only: bool = False
    create: str = "auto"
    permissions: str = ""


class Resolved(t.NamedTuple):
    """The mounts and device rules of a task, in the order of its options."""

    mounts: tuple[_entries.Mount, ...]
    devices: tuple[str, ...]  # "c 10:229 rwm"


def parse_volume(entry: str) -> tuple[str, str]:
    """Source and target of ``source:target``. Raises LxcTaskError with the driver's messages."""
    halves = entry.split(":")
    if len(halves) != 2 or not halves[0] or not halves[1]:
        raise _errors.LxcTaskError(
            f"invalid volume bind mount entry: '{entry}'", hint=f"source:target is wanted; {HINT}"
        )
    source, target = halves
    if target.startswith("/"):
        raise _errors.LxcTaskError(f"unsupported absolute container mount point: '{target}'", hint=HINT)
    return source, target


def target_fault(target: str) -> str | None:
    """What is wrong with the place of a mount inside the container; None if nothing is."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    if ".." in parts:
        return f"the target '{target}' has '..' in it: name the place inside the container plainly"
    if not parts:
        return f"the target '{target}' is the container's root: name a place below it"
    return None


def inside(target: str) -> str:
    """A target relative to the container's root, without slashes around it."""
    return "/".join(part for part in target.split("/") if part not in ("", "."))


def tidy(path: str) -> str:
    """A source without slashes and dots that say nothing. ``..`` stays: behind a link it leads elsewhere."""
    return ("/" if path.startswith("/") else "") + (inside(path) or ("" if path.startswith("/") else "."))


def wanted(options: t.Mapping[str, t.Any], task_dir: str) -> list[Wanted]:
    """Every source that the options name; a relative one is relative to the task's directory, as in Nomad's driver."""
    found: list[Wanted] = []
    for entry in options["volumes"]:
        source, target = parse_volume(entry)
        found.append(Wanted("volumes", source, os.path.join(task_dir, source), inside(target)))
    for mount in options["mounts"]:
        source = mount["source"]
        path = os.path.join(task_dir, source)
        found.append(Wanted("mounts", source, path, inside(mount["target"]), mount["read_only"], mount["create"]))
    for device in options["devices"]:
        path = os.path.join(task_dir, device["path"])
        place = inside(device["target"] or device["path"])
        found.append(Wanted("devices", device["path"], path, place, permissions=device["permissions"]))
    return found


def own_mounts(local: str, alloc: str, secrets: str) -> list[_entries.Mount]:
    """The three that every task has, as in Nomad's driver."""
    return [_entries.Mount(source, target) for source, target in zip((local, alloc, secrets), OWN)]


def resolve(
    sources: t.Sequence[Wanted],
    host: t.Mapping[str, Source],
    own: t.Sequence[str],
    task_dir: str,
    volumes_enabled: bool,
) -> tuple[Resolved, list[str]]:
    """Mounts and device rules, and every fault in them as a sentence.

    ``host``: what is at each path. ``own``: local, alloc and secrets, resolved. ``task_dir``: resolved. Where the
    operator has disabled volumes, nothing outside the task's directory is taken, and nothing that a container could
    swap for a link to the host: what lies beneath a directory that it can write. It can't write what is refused.
    """
    faults: list[str] = []
    mounts: list[_entries.Mount] = []
    devices: list[str] = []
    taken = set(OWN)
    outside = {} if volumes_enabled else {it: _outside_fault(it, host[it.path], task_dir) for it in sources}
    written = [it for it in sources if not it.read_only and it.option != "devices" and outside.get(it) is None]
    writable = [] if volumes_enabled else [*own, *(host[it.path].real for it in written)]
    for it in sources:
        source = host[it.path]
        fault = outside.get(it) or _swap_fault(it, source, writable) or _kind_fault(it, source)
        if fault is None and it.target in taken:
            fault = f"two mounts have the target '/{it.target}': give each its own"
        if fault is not None:
            faults.append(f"{it.option}: {fault}")
            continue
        taken.add(it.target)
        create = it.create if it.create != "auto" else "dir" if source.kind == "dir" else "file"
        mounts.append(_entries.Mount(it.path, it.target, it.read_only, create))
        if it.option == "devices":
            devices.append(f"{source.kind[0]} {source.number} {it.permissions}")
    return Resolved(tuple(mounts), tuple(devices)), faults


def _outside_fault(it: Wanted, source: Source, task_dir: str) -> str | None:
    """Why a source is not of the task's directory, or more of it than may be written."""
    if it.given.startswith("/"):
        return f"absolute bind-mount volume in config but '{ENABLED}' is false: '{it.given}'"
    if source.real != task_dir and not _names.beneath(source.real, task_dir):
        return f"bind-mount path escapes task directory but '{ENABLED}' is false: '{it.given}'"
    if source.real == task_dir and not it.read_only:
        return (
            f"'{it.given}' is the task's directory, where the container could then swap local or secrets for a link to the"
            f" host, but '{ENABLED}' is false: make it read_only"
        )
    return None


def _swap_fault(it: Wanted, source: Source, writable: t.Sequence[str]) -> str | None:
    """Why a source is not safe from the container. ``writable``: the directories that it can write."""
    for directory in writable:
        if any(_names.beneath(place, directory) for place in (*source.passed, source.real)):
            return (
                f"'{it.given}' lies in '{directory}', or leads through it, where the container can swap it for a link to the host,"
                f" but '{ENABLED}' is false: bind the whole directory instead"
            )
    return None


def _kind_fault(it: Wanted, source: Source) -> str | None:
    if source.kind == "missing":
        return f"the source '{it.given}' does not exist ('{it.path}'): make it first, or correct the path"
    if it.option == "devices" and source.kind not in ("char", "block"):
        return f"'{it.given}' is not a device: name one, or use mounts"
    if it.option != "devices" and it.create == "file" and source.kind == "dir":
        return f"'{it.given}' is a directory and can't be mounted on a file: leave create out"
    if it.option != "devices" and it.create == "dir" and source.kind != "dir":
        return f"'{it.given}' is not a directory and can't be mounted on one: leave create out"
    return None
