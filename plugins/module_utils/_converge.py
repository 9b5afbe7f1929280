# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call on one task: spec, observe, plan, apply, report. Check mode skips apply, and nothing else asks for it."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _config_lines,
    _declare,
    _errors,
    _liblxc,
    _loading,
    _lock,
    _notes,
    _observe,
    _observed,
    _plan,
    _report,
    _signals,
    _spec,
    _states,
    _steps,
    _tree,
    _view,
    _waits,
)

# What a call in check mode notes of images: the directory of a container that would not stand on its image any more, and the
# id of an image that a container would be made on.
LEAVES = "leaves its image"
CLONES = "clones an image"


class _Planned(t.NamedTuple):
    """``seen``: what was there; ``plan``: what is to be done about it."""

    spec: _spec.TaskSpec
    seen: _observed.Observed
    plan: _steps.Plan


def converge(
    params: t.Mapping[str, t.Any],
    check_mode: bool,
    waits: _waits.Waits = _waits.ALONE,
    notes: _notes.Notes | None = None,
) -> dict[str, t.Any]:
    """One call on one task, from its parameters to its result. ``waits``, ``notes``: see Runtime. Raises LxcTaskError;
    LockTimeoutError where another call works on the task for too long.
    """
    try:
        with _signals.interruptible(), _in_turn(params, check_mode, waits.turn) as (it, lock):
            found = _looked(it, check_mode, notes)
            return _applied(it, lock, waits, notes) if found is None else found
    except _signals.Interrupted as error:
        raise _errors.LxcTaskError(f"{error}, when no step was under way: nothing is half done") from error
    except OSError as error:
        raise _errors.of_system(error) from error


def look(
    params: t.Mapping[str, t.Any], check_mode: bool, notes: _notes.Notes, paths: _tree.Paths
) -> dict[str, t.Any] | None:
    """What converge returns, in check mode or where there is nothing to do. None where there is something to do, or where another
    call works on the task. ``paths``: what other looks have found. Raises LxcTaskError, OSError and Interrupted.
    """
    try:
        with _in_turn(params, check_mode, 0.0, paths) as (it, _lock):
            return _looked(it, check_mode, notes)
    except _errors.LockTimeoutError:
        return None


@contextlib.contextmanager
def _in_turn(
    params: t.Mapping[str, t.Any], check_mode: bool, turn: float | None, paths: _tree.Paths | None = None
) -> t.Iterator[tuple[_Planned, int | None]]:
    """What is to be done, with the descriptor of the lock under which it may be; in check mode there is none. ``turn``:
    see Waits. ``paths``: of a look.
    """
    spec, faults = _spec.parse_task(params, _liblxc.default_lxc_path())
    if spec is None:
        raise _errors.OptionsError(faults)
    lock: t.ContextManager[int | None] = contextlib.nullcontext()
    if not check_mode and not faults:
        file = _lock.lock_file("task", spec.container_name, spec.lxc_path)
        # A look has no children.
        lock = _lock.held(file, f"container {spec.container_name}", turn, inherited=paths is None)
    with lock as descriptor:
        spec, seen = _observe.observe(spec, _loading.Loading(spec.lxc_path), paths or _tree.Paths())
        declared = None
        if spec.declares:
            declared, more = _declare.declare(spec, seen)
            # liblxc judges the lines of options that are right by themselves.
            faults = [*faults, *more] or [_refused(pair) for pair in _loading.refused_lines(declared.block)]
        if faults:
            raise _errors.OptionsError(faults)
        yield _Planned(spec, seen, _plan.make_plan(spec, seen, declared)), descriptor


def _looked(it: _Planned, check_mode: bool, notes: _notes.Notes | None) -> dict[str, t.Any] | None:
    """The result where nothing is done, or in check mode would be; None where something is to be done."""
    outcome = _steps.Outcome()
    if check_mode:
        _foresee(it)
        if notes is not None:
            outcome.spared += _images_foreseen(it, notes)
    elif it.plan.changed:
        return None
    return _result(it, it.seen, outcome, check_mode)


def _applied(it: _Planned, lock: int | None, waits: _waits.Waits, notes: _notes.Notes | None) -> dict[str, t.Any]:
    """The result of the doing."""
    # Loaded where there is something to do: a call that changes nothing is as quick as a look.
    from ansible_collections.nomadic.lxc.plugins.module_utils import _apply, _runtime

    spec, seen, plan = it
    runtime = _runtime.Runtime(spec.lxc_path, lock, spec.options["environment"].values(), waits, notes)
    if plan.starts:
        runtime.expect_start()
    outcome = _apply.apply(plan.steps, spec, seen, runtime)
    started = plan.starts and plan.state == _states.RUNNING
    return _result(it, _observe.observe_again(spec, seen, runtime, plan.stays, started), outcome)


def _result(
    it: _Planned, after: _observed.Observed, outcome: _steps.Outcome, check_mode: bool = False
) -> dict[str, t.Any]:
    spec, seen, plan = it
    warnings = list(plan.warnings)
    if not check_mode and plan.starts and after.state == _states.STOPPED:
        warnings.append(f"container {spec.container_name} started, but its init has ended already: see its log")
    task = _report.task_dict(view(spec, seen, after, plan, check_mode))
    result = {
        "changed": plan.changed,
        "actions": [step.action for step in plan.steps if step.action and step not in outcome.spared],
        "diff": diff(plan, task["state"]),
        "handle": task["handle"],
        "task": task,
        "forced": outcome.forced,
        "steps": [{"action": action, "seconds": round(took, 6)} for action, took in outcome.took],
        "warnings": warnings,
        "ansible_facts": {"lxc_task": task},
    }
    if spec.verbose:
        result["template_output"] = outcome.template_output
    return result


def _foresee(it: _Planned) -> None:
    """What only the doing would tell: that the running task can't keep a memory limit. Raises LxcTaskError."""
    spec, seen, plan = it
    lines = _config_lines.parse(seen.config)
    for step in plan.steps:
        if isinstance(step, _steps.SetMemory) and seen.init is not None:
            from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup import Cgroup

            group = Cgroup.of_container(seen.init.pid, spec.container_name, lines)
            if group is not None:
                group.foresee_memory(step.limit)


def _images_foreseen(it: _Planned, notes: _notes.Notes) -> list[_steps.Step]:
    """The builds that another task of the call would have done by then. Notes which container leaves its image, and who needs one."""
    spared: list[_steps.Step] = []
    container = os.path.join(it.spec.lxc_path, it.spec.container_name)
    for step in it.plan.steps:
        if isinstance(step, (_steps.Destroy, _steps.SetAside, _steps.RemoveHalfMade)):
            notes.note(LEAVES, container)
        elif isinstance(step, _steps.Clone) and step.recipe.id not in notes.all_of(CLONES):
            notes.note(CLONES, step.recipe.id)
        elif isinstance(step, _steps.BuildImage) and not notes.first(f"build {step.recipe.id}", container):
            spared.append(step)
    return spared


def _refused(pair: tuple[str, str]) -> str:
    key, value = pair
    if key == "lxc.environment":
        return f"environment: liblxc does not take the variable {value.partition('=')[0]!r}"
    return f"liblxc does not take {key} = {value}: see lxc.container.conf(5)"


def diff(plan: _steps.Plan, state: str) -> dict[str, t.Any]:
    """What a user is shown of the differences, with the state that the task came into: its init may have ended at once."""
    before, after = dict(plan.before), dict(plan.after)
    if state != plan.state:
        former = before.setdefault("state", plan.state)
        after["state"] = state
        if former == state:
            del before["state"], after["state"]
    return {"before": before, "after": after}


def view(
    spec: _spec.TaskSpec, seen: _observed.Observed, after: _observed.Observed, plan: _steps.Plan, check_mode: bool
) -> _view.TaskView:
    """The task as it is now, or in check mode as it would be. ``seen``: as it was before; ``after``: as it is."""
    state = plan.state if check_mode else after.state
    recorded = after.record.options if after.record is not None and state != _states.ABSENT else {}
    options = spec.options if spec.declares else recorded
    init = None if check_mode and (plan.starts or plan.stops) else after.init
    kill_timeout = spec.options["kill_timeout"]
    if not spec.declares:
        # Also of a task that is gone now: by it this call had to stop it.
        kill_timeout = spec.effective_kill_timeout(
            None if seen.record is None else seen.record.options.get("kill_timeout")
        )
    lines: t.Sequence[tuple[str, str]] = _config_lines.parse(after.config)
    if check_mode and plan.lines:
        lines = plan.lines
    return _view.TaskView(
        name=spec.name,
        alloc_id=spec.alloc_id,
        container_name=spec.container_name,
        lxc_path=spec.lxc_path,
        state=state,
        init=init,
        layout=spec.layout,
        lines=lines if state != _states.ABSENT else (),
        memory_mb=options.get("memory_mb"),
        cpu_shares=options.get("cpu_shares"),
        kill_timeout=kill_timeout,
        cgroup_version=after.cgroup_version,
        created_at=after.record.created_at if after.record is not None and state != _states.ABSENT else None,
        ended=None if state == _states.ABSENT or (check_mode and (plan.starts or plan.stops)) else after.ended,
    )
