# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of lxc_task_facts: Fingerprint, Abilities and Open of Nomad's driver, and waiting for an end or a start."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _driver,
    _duration,
    _errors,
    _images,
    _liblxc,
    _report,
    _select,
    _view,
    _wait,
    _watcher,
)

Params = t.Mapping[str, t.Any]

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    **_select.ARGUMENTS,
    "driver_enabled": {"type": "bool", "default": True},
    "wait": {"type": "str", "choices": ["exited", "running"]},
    "timeout": {"type": "str", "default": "60s"},
}


def facts(params: Params, _check_mode: bool) -> dict[str, t.Any]:
    """The result of the module. Raises LxcTaskError."""
    wanted, timeout = _asked(params)
    containers = _liblxc.Containers(wanted.lxc_path)
    waited: dict[str, t.Any] = {}
    if params["wait"] is None:
        views, warnings = _select.select(wanted, containers)
    else:
        views, warnings, waited = _wait_for(params["wait"], wanted, containers, timeout)
    driver = _driver.fingerprint(_liblxc.version(), params["driver_enabled"], params["volumes_enabled"])
    images = _images.told(wanted.lxc_path)
    return {
        **_driver.result([_report.task_dict(view) for view in views], driver, images),
        **waited,
        "warnings": warnings,
    }


def _asked(params: Params) -> tuple[_select.Selection, float]:
    """Which tasks are meant, and how many seconds a wait may take. Raises LxcTaskError."""
    timeout = _select.duration(params, "timeout") / _duration.SECOND
    wanted = _select.parse_selection(params)
    if params["wait"] is not None and not wanted.named:
        raise _errors.LxcTaskError("wait needs a name or a handle: it waits for all tasks that these select")
    return wanted, timeout


def _waited(seconds: float, noticed: t.Mapping[str, int]) -> dict[str, t.Any]:
    return {"seconds": round(seconds, 6), "noticed_at": dict(noticed)}


def _wait_for(
    what: str, wanted: _select.Selection, containers: _liblxc.Containers, timeout: float
) -> tuple[list[_view.TaskView], list[str], dict[str, t.Any]]:
    """Wait, at most so many seconds: tasks, warnings and the module's ``waited``. Raises LxcTaskError."""
    began = time.monotonic()
    warnings: list[str] = []
    missing = "there is no such task"
    noticed: dict[str, int] = {}

    def look() -> list[_view.TaskView]:
        nonlocal warnings, missing
        try:
            views, warnings = _select.select(wanted, containers)
        except _errors.ContainerGoneError as error:
            # It may appear yet.
            missing, views = str(error), []
        return views

    if what == "exited":
        views, warnings = _select.select(wanted, containers)
        views, noticed, in_time = _wait.for_exit(views, _watcher.Watcher(wanted, containers), timeout)
    else:
        views, in_time = _wait.for_running(look, timeout)
    waited = _waited(time.monotonic() - began, noticed)
    if not in_time:
        states = ", ".join(f"{view.container_name} is {view.state}" for view in views) or missing
        raise _errors.LxcTaskError(f"waited {waited['seconds']:.1f} seconds for {what}, but {states}")
    return views, warnings, {"waited": waited}


def without_lxc(params: Params, _check_mode: bool) -> dict[str, t.Any]:
    """The result on a host that has no LXC: nothing is there. Raises LxcTaskError for a wait that can't end, and for options
    that nothing can mean.
    """
    # There is no liblxc to name its own path.
    _asked({**params, "lxc_path": "/" if params["lxc_path"] is None else params["lxc_path"]})
    if params["wait"] == "running":
        raise _errors.LxcTaskError("no task will run on this host: LXC is not installed")
    waited: dict[str, t.Any] = {} if params["wait"] is None else {"waited": _waited(0.0, {})}
    return {**_driver.result([], {}, []), **waited}
