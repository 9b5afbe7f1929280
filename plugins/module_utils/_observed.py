# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was observed of a task: plain data, for the plan and the report."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_text,
    _network,
    _proc,
    _record,
    _states,
    _volumes,
)


class Template(t.NamedTuple):
    """``known``: the long options that it knows, None where only itself knows."""

    path: str
    exists: bool
    known: t.AbstractSet[str] | None


class Image(t.NamedTuple):
    """The image that a task with an overlay shall stand on. ``build``: which one is there; None where no sound one is."""

    id: str
    build: str | None


# Stands for the mode of an alloc's directory that another user owns.
NOT_ROOTS = -1


class Closed(t.NamedTuple):
    """A directory that leads to something, and that not everybody can pass."""

    path: str
    uid: int
    gid: int
    mode: int


class Observed(t.NamedTuple):
    """``state``: absent, stopped, running or frozen. ``half_made``: a run that made it was cut off. ``stray``: a directory
    of that name which is neither a container nor ours. ``aside``: a recreation was cut off, and the former container is
    there; ``restorable``: it is the one that counts, and everything else here is said of it.
    """

    state: str = _states.ABSENT
    record: _record.Record | None = None
    half_made: bool = False
    stray: bool = False
    aside: bool = False
    restorable: bool = False
    snapshots: bool = False
    init: _proc.InitId | None = None
    elsewhere: _proc.InitId | None = None
    ended: _states.Exit | None = None
    config: str = ""
    unloadable: str | None = None  # why liblxc can't load the configuration
    cgroup_version: int | None = None
    cpu_generation: int | None = None  # another one than the memory's on some hosts
    limits: _cgroup_text.Limits | None = None
    controllers: t.AbstractSet[str] | None = None  # that containers get on this host; None is not known
    bridge: str | None = _network.UP  # of the interface that the task's network is on: see _network.bridge
    directories: t.Mapping[str, int | None] = {}  # mode, or NOT_ROOTS; None where there is none
    blocked: str | None = None  # something that is no directory stands where one must be
    secrets_mounted: bool = False
    secrets_exist: bool = False
    former_secrets: str | None = None  # where they are by the record, if that is elsewhere
    purgeable: tuple[str, ...] = ()
    kept_mounts: tuple[str, ...] = ()
    container_mounts: tuple[str, ...] = ()
    host: t.Mapping[str, _volumes.Source] = {}
    task_dir: str = ""
    template: Template | None = None
    image: Image | None = None  # None for a task without an overlay
    default_config_exists: bool = True
    # For an unprivileged task.
    subuid: str = ""
    subgid: str = ""
    idmappable: bool = False  # the kernel can map the ids of the root file system
    directory_ids: int | None = None  # the first of the ids that the task's directories have; 0 is the host's own
    directory_ids_mixed: bool = False  # only some have, since a run was cut off
    shared_owner: int | None = None  # of the directory that the alloc's tasks share
    other_tasks: t.Mapping[str, int] = {}  # of the alloc: directory_ids of each
    closed: t.Mapping[str, tuple[Closed, ...]] = {}  # by path: what not everybody can pass

    @property
    def runs(self) -> bool:
        """Whether an init is there, frozen or not."""
        return self.state in (_states.RUNNING, _states.FROZEN)
