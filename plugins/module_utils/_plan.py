# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: from what is asked and what is, to the steps between. Pure: no host, no liblxc, no Ansible."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _command,
    _declare,
    _errors,
    _needs,
    _observed,
    _options,
    _record,
    _refusals,
    _spec,
    _states,
    _steps,
)


def make_plan(spec: _spec.TaskSpec, seen: _observed.Observed, declared: _options.Declared | None) -> _steps.Plan:
    """The steps from what is to what is asked. ``declared`` is given for a declaration. Raises LxcTaskError."""
    _refusals.refuse(spec, seen)
    plan = _drops_last(_planned(spec, seen, declared))
    _needs.refuse_lacking(spec, seen, plan)
    return plan


def _planned(spec: _spec.TaskSpec, seen: _observed.Observed, declared: _options.Declared | None) -> _steps.Plan:
    repair = _repair(seen)
    if spec.state == "absent":
        return _command.absent(spec, seen, repair)
    if declared is None or not spec.declares:
        return _command.command(spec, seen, repair)
    if seen.blocked is not None:
        raise _errors.LxcTaskError(
            f"{seen.blocked} is not a directory, and one of the task's has to be there: move it away"
        )
    if seen.state == _states.ABSENT:
        return _declare.create(spec, seen, declared, repair)
    return _declare.converge_task(spec, seen, declared, t.cast(_record.Record, seen.record), repair)


def _drops_last(plan: _steps.Plan) -> _steps.Plan:
    """What is left of a former container goes when all else is done, which it must not keep from being done; but before another
    takes its place, and before the one goes for which it would be taken.
    """
    drops = tuple(step for step in plan.steps if isinstance(step, _steps.DropAside))
    if not drops or any(isinstance(step, (_steps.SetAside, _steps.Destroy)) for step in plan.steps):
        return plan
    return plan._replace(steps=(*(step for step in plan.steps if step not in drops), *drops))


def _repair(seen: _observed.Observed) -> list[_steps.Step]:
    """What a run that was cut off has left to do."""
    if seen.restorable:
        return [_steps.RestoreFormer("restore the former container")]
    if seen.half_made:
        return [_steps.RemoveHalfMade("remove a half-made container")]
    return [_steps.DropAside("remove the former container")] if seen.aside else []
