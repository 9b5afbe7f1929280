# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group's parameters become rows, each the parameters of one call of lxc_task. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _handle, _names, _options, _spec

Params = t.Mapping[str, t.Any]

# More would be a slip of the finger: a host has about four thousand terminals.
MOST = 10000

# Which task it is can't be the same for all.
_OWN = ("name", "handle")


def _without_default(argument: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What is not given in a task comes from the group, which has the defaults."""
    return {key: value for key, value in argument.items() if key != "default"}


GROUP_SPEC: dict[str, dict[str, t.Any]] = {
    "tasks": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            **{name: _without_default(argument) for name, argument in _spec.ARGUMENT_SPEC.items()},
            "count": {"type": "int"},
        },
    },
    "parallel": {"type": "int"},
    "exclusive": {"type": "bool", "default": False},
    "prune_images": {"type": "bool", "default": False},
    **{name: argument for name, argument in _spec.ARGUMENT_SPEC.items() if name not in _OWN},
}


@dataclass(frozen=True)
class Row:
    """One task of a group. ``params``: of a call of lxc_task. ``index``: its number among those that ``count`` made.
    ``named``: whether the list names it; ``exclusive`` removes those that it does not.
    """

    params: Params
    index: int | None = None
    named: bool = True

    @property
    def container(self) -> str:
        """The container's name; what was given for it where that is none."""
        params = self.params
        if params["handle"] is not None:
            handle = self._parsed
            return str(params["handle"]) if handle is None else handle.container_name
        return "" if params["name"] is None else _names.container_name(params["name"], params["alloc_id"])

    @property
    def clear(self) -> bool:
        """Whether it says which container it means."""
        name, alloc_id = self.params["name"], self.params["alloc_id"]
        named = name is not None and not _names.name_faults(name, alloc_id)
        if self.params["handle"] is None:
            return named
        handle = self._parsed
        if handle is None or name is None:
            return handle is not None
        return named and _names.container_name(name, alloc_id) == handle.container_name

    @property
    def handle_path(self) -> str | None:
        """Where the container is, by a handle; None without one that can be read."""
        handle = self._parsed
        return None if handle is None else handle.lxc_path

    @property
    def _parsed(self) -> _handle.Handle | None:
        if self.params["handle"] is None:
            return None
        try:
            return _handle.parse_handle(self.params["handle"])
        except _errors.LxcTaskError:
            return None


def expand(params: Params, default_lxc_path: str) -> tuple[list[Row], list[str]]:
    """The rows of a group, and what is wrong with it as a whole; faults of one task are found when its turn comes."""
    rows: list[Row] = []
    faults: list[str] = []
    for number, task in enumerate(params["tasks"], 1):
        found, fault = _rows_of(task, params)
        rows += found
        faults += [] if fault is None else [f"tasks: number {number}: {fault}"]
    if len(rows) > MOST:
        faults.append(f"tasks: {len(rows)} are too many for one call: at most {MOST}")
    faults += _conflicts(rows, default_lxc_path) + _mixed(rows)
    if params["parallel"] is not None and (isinstance(params["parallel"], bool) or params["parallel"] < 1):
        faults.append(f"parallel {params['parallel']} is less than 1")
    if params["exclusive"]:
        faults += _exclusive_faults(rows, params)
    return rows, faults


def _rows_of(task: Params, group: Params) -> tuple[list[Row], str | None]:
    count = task.get("count")
    params = _merged(task, group)
    if count is None:
        return [Row(params)], None
    if params["handle"] is not None:
        return [], "count is given with a handle, which names one container: give a name"
    if params["name"] is None:
        return [], "count is given without a name"
    if isinstance(count, bool) or not 0 <= count <= MOST:
        return [], f"count {count} is not between 0 and {MOST}"
    return [Row({**params, "name": f"{params['name']}-{index}"}, index) for index in range(count)], None


def _merged(task: Params, group: Params) -> dict[str, t.Any]:
    """A task's own options, and where it has none the group's.

    A call that only changes the state takes no configuration: the group's is meant for others then.
    """
    given = {name: value for name, value in task.items() if value is not None}
    state = given.get("state", group["state"])
    merged: dict[str, t.Any] = {}
    for option in _options.OPTIONS:
        name = option.name
        if name in given:
            merged[name] = given[name]
        elif name in _OWN or (name == "alloc_id" and "handle" in given):
            merged[name] = None
        elif option.configures and state not in _spec.DECLARING:
            merged[name] = option.argument.get("default")
        else:
            merged[name] = group[name]
    return merged


def _conflicts(rows: t.Sequence[Row], default_lxc_path: str) -> list[str]:
    """Rows that mean the same container."""
    seen: dict[tuple[str, str], Row] = {}
    faults: list[str] = []
    for row in rows:
        if not row.container:
            continue
        path = row.handle_path or row.params["lxc_path"] or default_lxc_path
        other = seen.setdefault((row.container, _names.normal_path(path)), row)
        if other is not row:
            faults.append(f"tasks: {_told(other)} and {_told(row)} are both container {row.container}")
    return faults


def _mixed(rows: t.Sequence[Row]) -> list[str]:
    """Allocs that privileged and unprivileged tasks would share; those that are there are found when a task's turn comes."""
    seen: dict[tuple[str, str], Row] = {}
    faults: dict[str, str] = {}
    for row in rows:
        params, alloc = row.params, row.params["alloc_id"]
        if alloc is None or params["template"] is None or params["state"] not in _spec.DECLARING:
            continue
        other = seen.setdefault((params["alloc_dir"], alloc), row)
        if bool(other.params["unprivileged"]) != bool(params["unprivileged"]):
            one, two = (row, other) if params["unprivileged"] else (other, row)
            told = f"tasks: {_told(one)} is unprivileged and {_told(two)} is not: give one of both another alloc_id"
            faults.setdefault(alloc, told)
    return list(faults.values())


def _told(row: Row) -> str:
    if row.params["handle"] is not None:
        return f"the handle of {row.container}"
    if row.params["name"] is None:
        return "the task without a name"
    alloc = row.params["alloc_id"]
    return f"{row.params['name']!r}" + ("" if alloc is None else f" of alloc {alloc!r}")


def _exclusive_faults(rows: t.Sequence[Row], params: Params) -> list[str]:
    if params["alloc_id"] is None:
        return ["exclusive needs alloc_id: it removes the tasks of that alloc which are not in the list"]
    unclear = [
        f"exclusive: {_told(row)} does not name one container, and all of the alloc that are not named would be removed: correct it"
        for row in rows
        if not row.clear
    ]
    return unclear + [
        f"exclusive: {_told(row)} is not of alloc {params['alloc_id']!r}"
        for row in rows
        if row.params["handle"] is None and row.params["alloc_id"] != params["alloc_id"]
    ]


def removal(name: str, params: Params) -> Row:
    """The row that removes a task of the group's alloc which the list does not name."""
    gone = {"name": name, "alloc_id": params["alloc_id"], "state": "absent"}
    return Row(_merged(gone, params), named=False)
