# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans that only command: the state changes, and nothing else. Also the steps that any plan may need for that."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _errors,
    _idmap,
    _ids,
    _names,
    _observed,
    _refusals,
    _spec,
    _states,
    _steps,
)

Options = t.Mapping[str, t.Any]


def _recorded(seen: _observed.Observed) -> Options:
    return seen.record.options if seen.record is not None else {}


def stop(spec: _spec.TaskSpec, seen: _observed.Observed) -> _steps.Stop:
    kill_timeout = (
        spec.options["kill_timeout"]
        if spec.declares
        else spec.effective_kill_timeout(_recorded(seen).get("kill_timeout"))
    )
    log_file = spec.layout.log_file if spec.layout is not None and seen.record is not None else None
    level = effective_log_level(_recorded(seen).get("log_level", "error"), _recorded(seen).get("environment"))
    return _steps.Stop("stop", kill_timeout, seen.state == _states.FROZEN, log_file, level)


def absent(spec: _spec.TaskSpec, seen: _observed.Observed, repair: list[_steps.Step]) -> _steps.Plan:
    steps = list(repair)
    if seen.state != _states.ABSENT or seen.stray:
        _refusals.refuse_destruction(spec, seen)
    if seen.runs:
        steps.append(stop(spec, seen))
    if seen.state != _states.ABSENT:
        steps.append(_steps.Destroy("destroy"))
    elif seen.stray:
        steps.append(_steps.RemoveHalfMade("remove what is left of the container"))
    place = spec.layout
    if place is not None and seen.secrets_exist:
        steps.append(_steps.RemoveSecrets("remove secrets", place.secrets))
    warnings: list[str] = []
    if place is not None and spec.purge:
        if seen.purgeable:
            steps.append(_steps.Purge("purge " + " and ".join(seen.purgeable), seen.purgeable))
        warnings += [
            f"{point} is a mount: it was left, with the directories that lead to it" for point in seen.kept_mounts
        ]
    before, after = ({}, {}) if seen.state == _states.ABSENT else ({"state": seen.state}, {"state": _states.ABSENT})
    return _steps.Plan(tuple(steps), _states.ABSENT, before, after, tuple(warnings))


def command(spec: _spec.TaskSpec, seen: _observed.Observed, repair: list[_steps.Step]) -> _steps.Plan:
    if seen.state == _states.ABSENT:
        if spec.state == "stopped":
            return _steps.Plan(tuple(repair), _states.ABSENT)
        raise _errors.LxcTaskError(
            f"container {spec.container_name} does not exist", hint="give a template to make it: that declares the task"
        )
    steps = list(repair)
    if spec.state == "stopped":
        if seen.runs:
            steps.append(stop(spec, seen))
        return _with_state(steps, seen, _states.STOPPED)
    if spec.state == "present":
        return _with_state(steps, seen, seen.state)
    if spec.state == "restarted" and seen.runs:
        steps.append(stop(spec, seen))
    if not seen.runs or spec.state == "restarted":
        steps += secrets(spec, seen, _ids.recorded_idmap(seen.record)) if seen.record is not None else []
        steps.append(start(spec, _recorded(seen).get("log_level", "error"), _recorded(seen).get("environment")))
    elif seen.state == _states.FROZEN and spec.state == "started":
        steps.append(_steps.Thaw("thaw"))
    if spec.state == "frozen" and seen.state != _states.FROZEN:
        steps.append(_steps.Freeze("freeze"))
    return _with_state(steps, seen, _states.FROZEN if spec.state == "frozen" else _states.RUNNING)


def _with_state(steps: list[_steps.Step], seen: _observed.Observed, state: str) -> _steps.Plan:
    if state == seen.state:
        return _steps.Plan(tuple(steps), state)
    return _steps.Plan(tuple(steps), state, {"state": seen.state}, {"state": state})


def start(spec: _spec.TaskSpec, log_level: str, environment: t.Any) -> _steps.Start:
    level = effective_log_level(log_level, environment)
    return _steps.Start("start", spec.layout.log_file if spec.layout is not None else None, level)


def effective_log_level(log_level: str, environment: t.Any) -> str:
    """At level trace liblxc writes every variable of the environment into its log, and those are nobody's to read."""
    return "debug" if environment and log_level == "trace" else log_level


def secrets(spec: _spec.TaskSpec, seen: _observed.Observed, idmap: _idmap.Idmap | None) -> list[_steps.Step]:
    place = t.cast(_names.Layout, spec.layout)
    steps: list[_steps.Step] = []
    wanted = place.directories(idmap is not None)
    owner = 0 if idmap is None else idmap.base
    if any(
        seen.directories.get(path) is None or (path == place.root and seen.directories[path] != mode)
        for path, mode in wanted
    ):
        steps.append(_steps.MakeDirectories("make the task's directories", tuple(wanted), owner))
    if not seen.secrets_mounted:
        steps.append(_steps.MountSecrets("mount secrets", place.secrets, owner))
    return steps


def old_secrets(seen: _observed.Observed) -> list[_steps.Step]:
    """Secrets never stay behind: with another alloc_dir they are elsewhere."""
    former = seen.former_secrets
    return [] if former is None else [_steps.RemoveSecrets("remove the former secrets", former)]
