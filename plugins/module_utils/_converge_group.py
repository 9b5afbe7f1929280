# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of lxc_task_group: each row is a look or, where there is something to do, a call of converge in a worker process."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _converge,
    _driver,
    _errors,
    _group,
    _images,
    _jobs,
    _kept,
    _liblxc,
    _lock,
    _names,
    _notes,
    _tree,
    _waits,
)

# A host's log is told how far a call is, at most so often: seconds.
_PROGRESS = 2.0


def converge_group(params: _group.Params, check_mode: bool, log: t.Callable[[str], None]) -> dict[str, t.Any]:
    """The result of the module. Raises LxcTaskError; GroupError, with the result, if a task failed."""
    # The libraries are loaded before the workers are: they share what is loaded.
    rows, faults = _group.expand(params, _liblxc.default_lxc_path())
    if faults:
        raise _errors.OptionsError(faults)
    warnings: list[str] = []
    rows += _strangers(rows, params, warnings) if params["exclusive"] else []
    allocs = _new_allocs(rows)
    progress = _Progress(len(rows), log)
    results: list[dict[str, t.Any]] = [{} for _row in rows]
    notes = _notes.Notes()

    def job(number: int, waits: _waits.Waits) -> dict[str, t.Any]:
        return _one(rows[number], check_mode, waits, notes)

    def done(number: int, result: t.Any) -> None:
        if isinstance(result, _jobs.Lost):
            result = _lost(result)
        results[number] = {**_identity(rows[number]), **result}
        progress.tell(results[number])

    # Looks take a moment, and tasks of an alloc have directories in common.
    paths = _tree.Paths()

    def look(number: int) -> dict[str, t.Any] | None:
        return _look(rows[number], check_mode, notes, paths)

    def before() -> None:
        if not check_mode:
            # Each worker would load it.
            from ansible_collections.nomadic.lxc.plugins.module_utils import _apply  # noqa: F401

    # Of the rows that would build an image the first one says so: that calls tell the same, they are looked at one by one.
    parallel = 1 if check_mode else params["parallel"] or 2 * len(os.sched_getaffinity(0))
    with contextlib.nullcontext() if check_mode else _lock.staying():
        _jobs.run(len(rows), job, parallel, done, look, before)
    pruned: list[str] = []
    troubles: list[str] = []
    # The tasks are done: what became of them is told all the same.
    try:
        if not check_mode:
            _remove_empty(allocs)
    except (_errors.LxcTaskError, OSError) as error:
        troubles.append(f"alloc_id: {error}")
    try:
        pruned = _prune(params, notes if check_mode else None)
    except (_errors.LxcTaskError, OSError) as error:
        troubles.append(f"prune_images: {error}")
    return _collected(params, results, pruned, troubles, warnings)


def _look(row: _group.Row, check_mode: bool, notes: _notes.Notes, paths: _tree.Paths) -> dict[str, t.Any] | None:
    """What _one returns, where that takes no more than a look; None for all else, errors too: its turn comes."""
    try:
        result = _converge.look(row.params, check_mode, notes, paths)
    except Exception:  # noqa: BLE001 # pylint: disable=broad-except # it is told in its turn
        return None
    return None if result is None else _row_of(result)


def _one(row: _group.Row, check_mode: bool, waits: _waits.Waits, notes: _notes.Notes) -> dict[str, t.Any]:
    """What a call of lxc_task returns, or its error."""
    try:
        return _row_of(_converge.converge(row.params, check_mode, waits, notes))
    except _errors.LockTimeoutError as error:
        if waits.turn == 0:
            raise _jobs.Later from error
        return _failed(error)
    except _errors.LxcTaskError as error:
        return _failed(error)


def _failed(error: _errors.LxcTaskError) -> dict[str, t.Any]:
    return {"error": str(error), "errors": [str(it) for it in error.errors]}


def _row_of(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The row of a result."""
    row = {key: value for key, value in result.items() if key != "ansible_facts"}
    return {**row, "state": row["task"]["state"]}


def _lost(lost: _jobs.Lost) -> dict[str, t.Any]:
    if lost.fault is None:
        return {"error": str(lost), "errors": [str(lost)]}
    told = f"nomadic.lxc has a fault of its own, please report it: {lost}"
    return {"error": told, "errors": [told], "exception": lost.fault}


def _identity(row: _group.Row) -> dict[str, t.Any]:
    """What every row of the result has, whatever became of it."""
    return {
        "name": row.params["name"],
        "alloc_id": row.params["alloc_id"],
        "container_name": row.container,
        "index": row.index,
        "named": row.named,
        "changed": False,
        "actions": [],
        "diff": {"before": {}, "after": {}},
        "steps": [],
        "error": None,
        "state": None,
    }


def _strangers(rows: t.Sequence[_group.Row], params: _group.Params, warnings: list[str]) -> list[_group.Row]:
    """The removal of every task in the group's alloc that has a record, and that no row means. ``warnings`` gets whose can't be read.

    A recreation that was cut off has left its task aside.
    """
    path = _lxc_path(params)
    meant = {row.container for row in rows}
    found: dict[str, _group.Row] = {}
    for place in (path, os.path.join(path, _names.ASIDE)):
        for name in _names_in(place):
            # No container's name begins with "+".
            if name in meant or name in found or name.startswith("+") or not name.endswith(f"-{params['alloc_id']}"):
                continue
            try:
                record = _kept.read_record(_kept.record_file(place, name))
            except _errors.LxcTaskError as error:
                warnings.append(f"exclusive: whether {name} is of this alloc is not known, and it stays: {error}")
                continue
            if record is None or record.alloc_id != params["alloc_id"]:
                continue
            row = _group.removal(record.name, params)
            if row.container == name:
                found[name] = row
    return list(found.values())


def _lxc_path(params: _group.Params) -> str:
    return os.path.normpath(params["lxc_path"] or _liblxc.default_lxc_path())


def _names_in(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _new_allocs(rows: t.Sequence[_group.Row]) -> list[t.Any]:
    """The directories of allocs that are not there yet: should all of their tasks fail, they are taken back."""
    places = {}
    for row in rows:
        params = row.params
        if params["alloc_id"] is not None and row.clear and params["name"] is not None:
            place = _names.layout(params["alloc_dir"], params["name"], params["alloc_id"])
            if not os.path.lexists(place.root):
                places[place.root] = place
    return list(places.values())


def _remove_empty(allocs: t.Sequence[t.Any]) -> None:
    """Take back the allocs that the call made for tasks of which all failed."""
    if allocs:
        from ansible_collections.nomadic.lxc.plugins.module_utils import _do_directories

        for place in allocs:
            _do_directories.remove_empty_alloc(place)


def _prune(params: _group.Params, foreseen: _notes.Notes | None) -> list[str]:
    """The images that were removed; in check mode, those that would be after what is ``foreseen``."""
    if not params["prune_images"]:
        return []
    from ansible_collections.nomadic.lxc.plugins.module_utils import _do_image

    path = _lxc_path(params)
    if foreseen is None:
        return _do_image.prune(path)
    leaving = [os.path.split(directory) for directory in foreseen.all_of(_converge.LEAVES)]
    return _do_image.unused(
        path, {name for place, name in leaving if place == path}, set(foreseen.all_of(_converge.CLONES))
    )


def _collected(
    params: _group.Params,
    results: list[dict[str, t.Any]],
    pruned: list[str],
    troubles: list[str],
    warnings: list[str],
) -> dict[str, t.Any]:
    failed = [row for row in results if row["error"] is not None]
    changed = [row for row in results if row["changed"]]
    warnings = [*warnings, *(f"{row['container_name']}: {it}" for row in results for it in row.pop("warnings", []))]
    path = _lxc_path(params)
    driver = _driver.fingerprint(_liblxc.version(), True, params["volumes_enabled"])
    # What a task is, the facts tell: Ansible looks several times at each value that a module returns.
    tasks = [row.pop("task") for row in results if "task" in row]
    told = _driver.result(tasks, driver, _images.told(path))
    result = {
        "changed": bool(changed or pruned),
        "tasks": results,
        "summary": {
            "tasks": len(results),
            "changed": len(changed),
            "unchanged": len(results) - len(changed) - len(failed),
            "failed": len(failed),
        },
        "pruned_images": pruned,
        "diff": [
            {"before_header": row["container_name"], "after_header": row["container_name"], **row["diff"]}
            for row in changed
        ],
        "ansible_facts": told["ansible_facts"],
        "warnings": warnings,
    }
    errors = [f"{row['container_name'] or 'a task without a name'}: {row['error']}" for row in failed]
    told_of_failed = [f"{len(failed)} of {len(results)} tasks failed: {'; '.join(errors)}"] if failed else []
    if failed or troubles:
        raise _errors.GroupError("; ".join(told_of_failed + troubles), errors + troubles, result)
    return result


class _Progress:
    """How far a call is, for the host's log."""

    def __init__(self, count: int, log: t.Callable[[str], None]) -> None:
        self._count, self._log = count, log
        self._done = self._failed = 0
        self._told_at = time.monotonic()
        log(f"0 of {count} tasks")

    def tell(self, row: t.Mapping[str, t.Any]) -> None:
        self._done += 1
        self._failed += row["error"] is not None
        now = time.monotonic()
        if self._done < self._count and now - self._told_at < _PROGRESS:
            return
        self._told_at = now
        failed = f", {self._failed} failed" if self._failed else ""
        self._log(f"{self._done} of {self._count} tasks{failed}; the last was {row['container_name']}")
