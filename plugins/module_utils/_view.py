# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task as it is looked at: what the serializer and the modules that only look work on."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _config_lines, _handle, _names, _proc, _states


class TaskView(t.NamedTuple):
    """A task as it is, or as it would be. ``lines``: its LXC configuration; ``kill_timeout``: nanoseconds."""

    name: str | None
    alloc_id: str | None
    container_name: str
    lxc_path: str
    state: str
    init: _proc.InitId | None
    layout: _names.Layout | None
    lines: t.Sequence[_config_lines.Pair]
    memory_mb: int | None
    cpu_shares: int | None
    kill_timeout: int
    cgroup_version: int | None
    created_at: str | None
    ended: _states.Exit | None = None

    @property
    def handle(self) -> str | None:
        """The handle; None where no container is."""
        if self.state == _states.ABSENT:
            return None
        pid = self.init.pid if self.init is not None else _handle.NOT_RUNNING
        return _handle.render_handle(_handle.Handle(self.container_name, self.lxc_path, pid, self.kill_timeout))
