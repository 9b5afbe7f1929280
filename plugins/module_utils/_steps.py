# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan and its steps: what is to be done to a task, as data. Each step has the words by which a user is told of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.nomadic.lxc.plugins.module_utils import _config_lines, _idmap, _image


class Step(t.Protocol):
    """``action``: for the user; empty for bookkeeping that belongs to another step."""

    @property
    def action(self) -> str:
        """The words."""


class RestoreFormer(t.NamedTuple):
    """Put back the container that a recreation which was cut off had set aside."""

    action: str


class RemoveHalfMade(t.NamedTuple):
    """Remove what is left of a creation that was cut off."""

    action: str


class MakeDirectories(t.NamedTuple):
    """Make what is missing, and give the alloc's its mode, which is the first: (path, mode), parents first.

    ``owner``: the id of the task's root on the host, to whom those belong that it sees.
    """

    action: str
    directories: tuple[tuple[str, int], ...]
    owner: int = 0


class MountSecrets(t.NamedTuple):
    """Mount the tmpfs for the task's secrets."""

    action: str
    path: str
    owner: int = 0


class ShiftDirectories(t.NamedTuple):
    """Give what is in the task's directories to other ids: from ``former`` to ``wanted``, where None is the host's own."""

    action: str
    former: _idmap.Idmap | None
    wanted: _idmap.Idmap | None


class ShiftShared(t.NamedTuple):
    """Give the directory that the alloc's tasks share to the task's ids, which its own directories have already."""

    action: str
    wanted: _idmap.Idmap


class ShiftRootfs(t.NamedTuple):
    """Give the files of the root file system to other ids, likewise."""

    action: str
    former: _idmap.Idmap | None
    wanted: _idmap.Idmap | None


class Create(t.NamedTuple):
    """Make the container by its template."""

    action: str
    template: str
    arguments: tuple[str, ...]
    default_config: str | None
    unprivileged: bool = False


class BuildImage(t.NamedTuple):
    """Have the template make an image that tasks share, unless somebody else has done so by then.

    ``back``: the task's container stands on it already, and it was removed, or damaged.
    """

    action: str
    recipe: _image.Recipe
    back: bool = False


class Clone(t.NamedTuple):
    """Make the container on an image, with the options' lines in its configuration: see Configure."""

    action: str
    recipe: _image.Recipe
    block: tuple[_config_lines.Pair, ...]


class Configure(t.NamedTuple):
    """Write the options' lines into the configuration; see _config.converge for ``former``."""

    action: str
    block: tuple[_config_lines.Pair, ...]
    former: tuple[_config_lines.Pair, ...] = ()


class SetMemory(t.NamedTuple):
    """Change the running task's memory limit: bytes, None for none."""

    action: str
    limit: int | None


class SetShares(t.NamedTuple):
    """Change the running task's CPU shares; None for the kernel's default."""

    action: str
    shares: int | None


class Remember(t.NamedTuple):
    """Write the record: the declaration as it is applied now, and which options wait for the next start. ``running``: the
    lines that the running task has of them.
    """

    action: str
    options: t.Mapping[str, t.Any]
    lines: t.Mapping[str, t.Any]
    pending: tuple[str, ...] = ()
    running: t.Mapping[str, t.Any] = {}
    ready: bool = True


class Commit(t.NamedTuple):
    """Say in the record that the container is whole."""

    action: str


class Start(t.NamedTuple):
    """Start the task; its log is set for this start alone."""

    action: str
    log_file: str | None
    log_level: str


class Stop(t.NamedTuple):
    """Ask the task to end, and kill it after ``kill_timeout`` nanoseconds. ``former_*``: how it is started again on undo."""

    action: str
    kill_timeout: int
    frozen: bool
    former_log_file: str | None
    former_log_level: str


class Freeze(t.NamedTuple):
    """Freeze the running task."""

    action: str


class Thaw(t.NamedTuple):
    """Thaw the frozen task."""

    action: str


class SetAside(t.NamedTuple):
    """Keep the container out of sight while another is made in its place."""

    action: str


class DropAside(t.NamedTuple):
    """Remove the container that was set aside, with its root file system."""

    action: str


class Destroy(t.NamedTuple):
    """Remove the container with its root file system."""

    action: str


class RemoveSecrets(t.NamedTuple):
    """Unmount and remove a task's secrets."""

    action: str
    path: str


class Purge(t.NamedTuple):
    """Remove directories with all that is in them, but for mounts: the task's, and what of the alloc's is left to go."""

    action: str
    paths: tuple[str, ...]


class Plan(t.NamedTuple):
    """``state``: what the task is in afterwards. ``starts``: whether it gets a new init. ``before``, ``after``: the options
    that differ. ``lines``: the configuration of a declared task.
    """

    steps: tuple[Step, ...]
    state: str
    before: t.Mapping[str, t.Any] = {}
    after: t.Mapping[str, t.Any] = {}
    warnings: tuple[str, ...] = ()
    lines: tuple[_config_lines.Pair, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    @property
    def actions(self) -> list[str]:
        """The steps in words."""
        return [step.action for step in self.steps if step.action]

    @property
    def starts(self) -> bool:
        """Whether the task gets a new init."""
        return any(isinstance(step, Start) for step in self.steps)

    @property
    def stops(self) -> bool:
        """Whether a running task is stopped."""
        return any(isinstance(step, Stop) for step in self.steps)

    @property
    def stays(self) -> bool:
        """Whether the task has the same init afterwards, or none as before: its limits change, and what is written of it."""
        return all(isinstance(step, (SetMemory, SetShares, Configure, Remember)) for step in self.steps)


@dataclass
class Outcome:
    """What only the doing tells. ``forced``: None unless a stop happened, then whether it took a kill. ``spared``: steps that
    somebody else had taken by then. ``took``: seconds, by action, in order.
    """

    forced: bool | None = None
    template_output: str = ""
    spared: list[Step] = field(default_factory=list)
    took: list[tuple[str, float]] = field(default_factory=list)
