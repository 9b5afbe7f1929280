# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at tasks for tests: views, and a host of containers whose states are a table's."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.nomadic.lxc.plugins.module_utils import _record, _select
from ansible_collections.nomadic.lxc.plugins.module_utils._liblxc import Containers
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId
from ansible_collections.nomadic.lxc.plugins.module_utils._record import Record, render_record
from ansible_collections.nomadic.lxc.plugins.module_utils._view import TaskView

# What AnsibleModule hands over of the options that the modules share.
PARAMS: dict[str, t.Any] = {
    **{name: argument.get("default") for name, argument in _select.ARGUMENTS.items()},
    "alloc_dir": "/srv/alloc",
}


def view(name: str = "web", state: str = "stopped", init: InitId | None = None, **other: t.Any) -> TaskView:
    """A look at a task."""
    values: dict[str, t.Any] = {
        "name": name,
        "alloc_id": None,
        "container_name": name,
        "lxc_path": "/var/lib/lxc",
        "state": state,
        "init": init,
        "layout": None,
        "lines": [],
        "memory_mb": None,
        "cpu_shares": None,
        "kill_timeout": 5_000_000_000,
        "cgroup_version": 2,
        "created_at": None,
    }
    return TaskView(**{**values, **other})


class Told(Containers):
    """Containers of which liblxc tells what a table says: by name, the state and the pid of the init."""

    def __init__(self, lxc_path: Path) -> None:
        super().__init__(str(lxc_path))
        self.states: dict[str, tuple[str, int]] = {}
        self.asked: list[str] = []

    def state(self, name: str, known_pid: int | None = None) -> tuple[str, int]:
        self.asked.append(name)
        state, pid = self.states.get(name, ("stopped", -1))
        return state, pid if known_pid is None else known_pid

    def make(
        self,
        name: str,
        alloc_id: str | None = None,
        config: str | None = "",
        phase: str = _record.READY,
        container: str | None = None,
        **values: t.Any,
    ) -> Path:
        """A container's directory with a record and a configuration; without one if that is None."""
        directory = Path(self.lxc_path) / (container or (name if alloc_id is None else f"{name}-{alloc_id}"))
        directory.mkdir(parents=True)
        record = Record(name=name, alloc_id=alloc_id, phase=phase, created_at="2026-11-24T10:00:00Z", **values)
        (directory / _record.FILE).write_text(render_record(record), encoding="utf-8")
        if config is not None:
            (directory / "config").write_text(config, encoding="utf-8")
        return directory
