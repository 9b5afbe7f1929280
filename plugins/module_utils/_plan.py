# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: from what is asked and what is, to the steps between. Pure: no host, no liblxc, no Ansible."""

from __future__ import annotations

import os.path
import typing as t
from dataclasses import dataclass, field

from ansible_collections.nomadic.lxc.plugins.module_utils import _options, _steps, _template, _volumes
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup import MIB, V1, V2, same_memory, same_shares
from ansible_collections.nomadic.lxc.plugins.module_utils._config import Pair, converge, parse
from ansible_collections.nomadic.lxc.plugins.module_utils._duration import seconds
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import ForeignContainerError, LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._names import Layout
from ansible_collections.nomadic.lxc.plugins.module_utils._observed import ABSENT, FROZEN, RUNNING, STOPPED, Observed
from ansible_collections.nomadic.lxc.plugins.module_utils._options import Declared
from ansible_collections.nomadic.lxc.plugins.module_utils._record import Record
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import TaskSpec

Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Plan:
    """``state``: what the task is in afterwards. ``starts``: whether it gets a new init. ``before``, ``after``: the options
    that differ. ``lines``: the configuration of a declared task.
    """

    steps: tuple[_steps.Step, ...]
    state: str
    before: Options = field(default_factory=dict)
    after: Options = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    lines: tuple[Pair, ...] = ()

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
        return any(isinstance(step, _steps.Start) for step in self.steps)

    @property
    def stops(self) -> bool:
        """Whether a running task is stopped."""
        return any(isinstance(step, _steps.Stop) for step in self.steps)


def declare(spec: TaskSpec, seen: Observed) -> tuple[Declared, list[str]]:
    """The task as it shall be on this host, and every fault in its sources."""
    place = t.cast(Layout, spec.layout)
    own = [seen.host[path].real for path in (place.local, place.alloc, place.secrets)]
    resolved, faults = _volumes.resolve(
        _volumes.wanted(spec.options, place.task), seen.host, own, seen.task_dir, spec.volumes_enabled
    )
    directory = os.path.join(spec.lxc_path, spec.container_name)
    return Declared(spec.container_name, directory, place, spec.options, resolved), faults


def make_plan(spec: TaskSpec, seen: Observed, declared: Declared | None) -> Plan:
    """The steps from what is to what is asked. ``declared`` is given for a declaration. Raises LxcTaskError."""
    _refuse(spec, seen)
    repair = _repair(seen)
    if spec.state == "absent":
        return _absent(spec, seen, repair)
    if declared is None or not spec.declares:
        return _command(spec, seen, repair)
    if seen.blocked is not None:
        raise LxcTaskError(f"{seen.blocked} is not a directory, and one of the task's has to be there: move it away")
    if seen.state == ABSENT:
        return _create(spec, seen, declared, repair)
    return _converge(spec, seen, declared, t.cast(Record, seen.record), repair)


def _repair(seen: Observed) -> list[_steps.Step]:
    """What a run that was cut off has left to do."""
    if seen.restorable:
        return [_steps.RestoreFormer("restore the former container")]
    if seen.half_made:
        return [_steps.RemoveHalfMade("remove a half-made container")]
    return [_steps.DropAside("remove the former container")] if seen.aside else []


# ---- refusals -----------------------------------------------------------------------------------------------------


def _refuse(spec: TaskSpec, seen: Observed) -> None:
    name = spec.container_name
    if seen.elsewhere is not None:
        raise LxcTaskError(
            f"container {name} runs in another network namespace (its init is process {seen.elsewhere.pid}),"
            " where liblxc can't see it from here",
            hint="call from the network namespace in which it was started; nothing was done",
        )
    if not spec.by_handle and seen.record is not None and not _is_mine(spec, seen.record):
        other = seen.record
        alloc = "without alloc_id" if other.alloc_id is None else f"of alloc {other.alloc_id!r}"
        raise ForeignContainerError(
            f"container {name} belongs to another task, {other.name!r} {alloc}: both make the same container name",
            hint="choose another name or alloc_id; by its handle the container can be commanded",
        )
    if not spec.by_handle and seen.record is None and (seen.stray or (seen.state != ABSENT)):
        what = "container" if seen.state != ABSENT else "directory"
        raise ForeignContainerError(
            f"a {what} {name} is in {spec.lxc_path} which this collection did not make, so it is not touched by name",
            hint="command it by its handle, or choose another name" if seen.state != ABSENT else "move it away, or choose another name",
        )
    if seen.stray:
        raise ForeignContainerError(f"{name} in {spec.lxc_path} is not a container: it has no configuration")
    if spec.declares and seen.record is None and seen.state != ABSENT:
        raise ForeignContainerError(
            f"container {name} has no record of this collection, so it can only be commanded, and a template declares",
            hint="leave out template and what else describes the task",
        )


def _is_mine(spec: TaskSpec, record: Record) -> bool:
    return (record.name, record.alloc_id) == (spec.name, spec.alloc_id)


def _refuse_destruction(spec: TaskSpec, seen: Observed) -> None:
    if seen.snapshots:
        raise LxcTaskError(
            f"container {spec.container_name} has snapshots, which would be lost with it",
            hint="remove them first with lxc-snapshot -d",
        )
    if seen.container_mounts:
        raise LxcTaskError(
            f"{', '.join(seen.container_mounts)} is mounted in the directory of container {spec.container_name}",
            hint="unmount it first: it would be emptied with the container",
        )


# ---- the states that only command ---------------------------------------------------------------------------------------


def _recorded(seen: Observed) -> Options:
    return seen.record.options if seen.record is not None else {}


def _stop(spec: TaskSpec, seen: Observed) -> _steps.Stop:
    kill_timeout = spec.options["kill_timeout"] if spec.declares else spec.effective_kill_timeout(_recorded(seen).get("kill_timeout"))
    log_file = spec.layout.log_file if spec.layout is not None and seen.record is not None else None
    level = _log_level(_recorded(seen).get("log_level", "error"), _recorded(seen).get("environment"))
    return _steps.Stop("stop", kill_timeout, seen.state == FROZEN, log_file, level)


def _absent(spec: TaskSpec, seen: Observed, repair: list[_steps.Step]) -> Plan:
    steps = list(repair)
    if seen.state != ABSENT:
        _refuse_destruction(spec, seen)
    if seen.runs:
        steps.append(_stop(spec, seen))
    if seen.state != ABSENT:
        steps.append(_steps.Destroy("destroy"))
    place = spec.layout
    if place is not None and seen.secrets_exist:
        steps.append(_steps.RemoveSecrets("remove secrets", place.secrets))
    warnings: list[str] = []
    if place is not None and spec.purge:
        if seen.purgeable:
            steps.append(_steps.Purge("purge " + " and ".join(seen.purgeable), seen.purgeable))
        warnings += [f"{point} is a mount: it was left, with the directories that lead to it" for point in seen.kept_mounts]
    before, after = ({}, {}) if seen.state == ABSENT else ({"state": seen.state}, {"state": ABSENT})
    return Plan(tuple(steps), ABSENT, before, after, tuple(warnings))


def _command(spec: TaskSpec, seen: Observed, repair: list[_steps.Step]) -> Plan:
    if seen.state == ABSENT:
        if spec.state == "stopped":
            return Plan(tuple(repair), ABSENT)
        raise LxcTaskError(
            f"container {spec.container_name} does not exist", hint="give a template to make it: that declares the task"
        )
    steps = list(repair)
    if spec.state == "stopped":
        if seen.runs:
            steps.append(_stop(spec, seen))
        return _with_state(steps, seen, STOPPED)
    if spec.state == "present":
        return _with_state(steps, seen, seen.state)
    if spec.state == "restarted" and seen.runs:
        steps.append(_stop(spec, seen))
    if not seen.runs or spec.state == "restarted":
        steps += _secrets(spec, seen) if seen.record is not None else []
        steps.append(_start(spec, _recorded(seen).get("log_level", "error"), _recorded(seen).get("environment")))
    elif seen.state == FROZEN and spec.state == "started":
        steps.append(_steps.Thaw("thaw"))
    if spec.state == "frozen" and seen.state != FROZEN:
        steps.append(_steps.Freeze("freeze"))
    return _with_state(steps, seen, FROZEN if spec.state == "frozen" else RUNNING)


def _with_state(steps: list[_steps.Step], seen: Observed, state: str) -> Plan:
    if state == seen.state:
        return Plan(tuple(steps), state)
    return Plan(tuple(steps), state, {"state": seen.state}, {"state": state})


def _start(spec: TaskSpec, log_level: str, environment: t.Any) -> _steps.Start:
    level = _log_level(log_level, environment)
    return _steps.Start("start", spec.layout.log_file if spec.layout is not None else None, level)


def _log_level(log_level: str, environment: t.Any) -> str:
    """At level trace liblxc writes every variable of the environment into its log, and those are nobody's to read."""
    return "debug" if environment and log_level == "trace" else log_level


# ---- declarations -------------------------------------------------------------------------------------------------------


def _secrets(spec: TaskSpec, seen: Observed) -> list[_steps.Step]:
    place = t.cast(Layout, spec.layout)
    steps: list[_steps.Step] = []
    wanted = place.directories()
    if any(seen.directories.get(path) is None or (path == place.root and seen.directories[path] != mode) for path, mode in wanted):
        steps.append(_steps.MakeDirectories("make the task's directories", tuple(wanted)))
    if not seen.secrets_mounted:
        steps.append(_steps.MountSecrets("mount secrets", place.secrets))
    return steps


def _advice(spec: TaskSpec) -> list[str]:
    """What is taken, but not as its author may think."""
    advice: list[str] = []
    init = spec.options["init"]
    if init is not None and ("'" in init or '"' in init):
        advice.append("init: LXC splits the command at its blanks and knows no quotes; put it into a script in the container instead")
    if spec.options["log_level"] != _log_level(spec.options["log_level"], spec.options["environment"]):
        advice.append("log_level: at trace LXC would write the environment's values into the log, so debug is used")
    return advice


def _making(spec: TaskSpec, seen: Observed, declared: Declared, ready: bool) -> tuple[list[_steps.Step], list[str]]:
    """The steps that make and configure a container, and warnings."""
    template = seen.template
    if template is None or not template.exists:
        path = _template.path_of(spec.options["template"])
        raise LxcTaskError(
            f"there is no LXC template {spec.options['template']!r}: {path} is not an executable file",
            hint="install lxc-templates, or correct the name",
        )
    if not seen.default_config_exists:
        raise LxcTaskError(f"default_config {spec.options['default_config']!r} is not a file: correct the path")
    known = None if template.known is None else set(template.known)
    arguments, unknown = _template.arguments(spec.options, known)
    warnings = _advice(spec)
    warnings += [f"the template {template.path} does not know the option for {option}: it was left out" for option in unknown]
    name = _template.name_of(template.path)
    steps: list[_steps.Step] = [
        _steps.Create(f"create from template {name}", template.path, tuple(arguments), spec.options["default_config"]),
        _steps.Configure("write configuration", tuple(_options.block(declared))),
        _steps.Remember("", _options.recorded(spec.options), _options.recorded_lines(declared), ready=ready),
    ]
    return steps, warnings


def _create(spec: TaskSpec, seen: Observed, declared: Declared, repair: list[_steps.Step]) -> Plan:
    making, warnings = _making(spec, seen, declared, ready=True)
    steps = [*repair, *_secrets(spec, seen), *making]
    state = STOPPED
    if spec.state != "present":
        steps.append(_start(spec, spec.options["log_level"], spec.options["environment"]))
        state = RUNNING
    if spec.state == "frozen":
        steps.append(_steps.Freeze("freeze"))
        state = FROZEN
    after = {
        option.name: show(option.name, option.record(spec.options[option.name]))
        for option in _options.OPTIONS
        if option.effect not in (_options.NOTHING, _options.CREATE) and spec.options[option.name] not in (None, option.default)
    }
    lines = tuple(_options.block(declared))
    return Plan(tuple(steps), state, {"state": ABSENT}, {**after, "state": state}, tuple(warnings), lines)


def show(name: str, value: t.Any) -> t.Any:
    """A recorded value as a user is shown it."""
    if name == "kill_timeout" and value is not None:
        return seconds(value)
    return None if value is None else _options.BY_NAME[name].show(value)


def _converge(spec: TaskSpec, seen: Observed, declared: Declared, record: Record, repair: list[_steps.Step]) -> Plan:
    changes = _changes(spec, record)
    rootfs = [name for name in changes if _options.BY_NAME[name].effect == _options.ROOTFS]
    if spec.recreate == "always" or (rootfs and spec.recreate == "on_change"):
        return _recreate(spec, seen, declared, repair, changes)
    if rootfs:
        told = "; ".join(f"{name} from {changes[name][0]!r} to {changes[name][1]!r}" for name in rootfs)
        raise LxcTaskError(
            f"container {spec.container_name} would need a new root file system to change {told}",
            hint="recreate: on_change allows that, and what is in the old one is lost",
        )
    block = _options.block(declared)
    former = [(key, value) for key, values in record.options.get("lxc_config", {}).items() for value in values]
    text = converge(seen.config, record.base, block, former)
    drifted = _drifted(seen.config, record, declared, changes) if text != seen.config else {}
    shown = {**_shown(changes), **drifted}
    live = _live(spec, seen, shown)
    waiting = _waiting(seen, record, changes, declared, drifted)
    restart = seen.runs and (spec.state == "restarted" or (bool(waiting) and spec.restart_on_change))
    warnings = _advice(spec)
    steps = [*repair, *_secrets(spec, seen)]
    if restart:
        steps.append(_stop(spec, seen))
    else:
        steps += live
    if text != seen.config:
        steps.append(_steps.Configure("write configuration", tuple(block), tuple(former)))
    pending = tuple(waiting) if seen.runs and not restart else ()
    options, lines = _options.recorded(spec.options), _options.recorded_lines(declared)
    if options != record.options or lines != record.lines or pending != record.waits(seen.init) or (restart and record.pending):
        only = [name for name in changes if _options.BY_NAME[name].effect in (_options.WRITE, _options.START)]
        alone = text == seen.config and not live and not restart
        steps.append(_steps.Remember(f"record {', '.join(only or ['options'])}" if alone else "", options, lines, pending))
    if pending:
        warnings.append(f"{', '.join(pending)}: the running task gets this at its next start; restart_on_change is false")
    if restart and record.waits(seen.init):
        shown.setdefault("waits_for_start", (list(record.waits(seen.init)), []))
    state = {"present": seen.state, "frozen": FROZEN}.get(spec.state, RUNNING)
    if restart or (not seen.runs and spec.state != "present"):
        steps.append(_start(spec, spec.options["log_level"], spec.options["environment"]))
        running = RUNNING
    else:
        running = seen.state
    if running == FROZEN and state == RUNNING:
        steps.append(_steps.Thaw("thaw"))
    if running == RUNNING and state == FROZEN:
        steps.append(_steps.Freeze("freeze"))
    steps += _old_secrets(spec, seen, record)
    if state != seen.state:
        shown["state"] = (seen.state, state)
    return Plan(
        tuple(steps),
        state,
        {name: pair[0] for name, pair in shown.items()},
        {name: pair[1] for name, pair in shown.items()},
        tuple(warnings),
        tuple(block),
    )


def _recreate(
    spec: TaskSpec,
    seen: Observed,
    declared: Declared,
    repair: list[_steps.Step],
    changes: t.Mapping[str, tuple[t.Any, t.Any]],
) -> Plan:
    _refuse_destruction(spec, seen)
    making, warnings = _making(spec, seen, declared, ready=False)
    steps = [*repair, *_secrets(spec, seen)]
    if seen.runs:
        steps.append(_stop(spec, seen))
    steps += [_steps.SetAside("set the former container aside"), *making]
    state = {"present": seen.state, "frozen": FROZEN}.get(spec.state, RUNNING)
    if state != STOPPED:
        steps.append(_start(spec, spec.options["log_level"], spec.options["environment"]))
    if state == FROZEN:
        steps.append(_steps.Freeze("freeze"))
    steps += [_steps.Commit(""), *_old_secrets(spec, seen, t.cast(Record, seen.record))]
    steps.append(_steps.DropAside("remove the former container"))
    shown = _shown(changes)
    if state != seen.state:
        shown["state"] = (seen.state, state)
    return Plan(
        tuple(steps),
        state,
        {name: pair[0] for name, pair in shown.items()},
        {name: pair[1] for name, pair in shown.items()},
        tuple(warnings),
        tuple(_options.block(declared)),
    )


def _changes(spec: TaskSpec, record: Record) -> dict[str, tuple[t.Any, t.Any]]:
    """What the declaration says otherwise than the record: old and new, as the record keeps them."""
    new = _options.recorded(spec.options)
    old = {name: record.options.get(name, _options.BY_NAME[name].default) for name in new}
    return {name: (old[name], value) for name, value in new.items() if old[name] != value}


def _shown(changes: t.Mapping[str, tuple[t.Any, t.Any]]) -> dict[str, tuple[t.Any, t.Any]]:
    return {name: (show(name, old), show(name, new)) for name, (old, new) in changes.items()}


def _drifted(
    config: str, record: Record, declared: Declared, changes: t.Mapping[str, t.Any]
) -> dict[str, tuple[t.Any, t.Any]]:
    """The options whose lines are not as they must be, though they did not change: the file's lines, and those that are due.

    Somebody changed the file by hand; or a variable has another value, or a source became another kind of thing.
    """
    found = parse(config)
    for pair in (*record.base, *((key, value) for key, value in record.lines.get("lxc_config", ()))):
        if pair in found:
            found.remove(pair)
    drifted: dict[str, tuple[t.Any, t.Any]] = {}
    for option in _options.OPTIONS:
        if option.lines is None or not option.keys or changes.keys() & {option.name, *option.reads}:
            continue
        due = option.lines(declared)
        have = [pair for pair in found if pair[0] in option.keys]
        if have != due:
            drifted[option.name] = _environment(have, due) if option.name == "environment" else (_told(have), _told(due))
    if not drifted and not changes:
        drifted["lxc_config"] = ("changed in the file", declared.options["lxc_config"])
    return drifted


def _told(lines: t.Sequence[Pair]) -> list[str]:
    return [f"{key} = {value}" for key, value in lines]


def _environment(have: t.Sequence[Pair], due: t.Sequence[Pair]) -> tuple[dict[str, str], dict[str, str]]:
    """Which variables differ; their values are nobody's to see."""
    before, after = ({value.partition("=")[0]: value for _key, value in lines} for lines in (have, due))
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return (
        {name: _options.HIDDEN for name in names if name in before},
        {name: f"{_options.HIDDEN} (another)" if name in before else _options.HIDDEN for name in names if name in after},
    )


def _live(spec: TaskSpec, seen: Observed, shown: dict[str, tuple[t.Any, t.Any]]) -> list[_steps.Step]:
    """What the kernel holds for the running task otherwise than declared; adds it to what is shown."""
    if seen.limits is None:
        return []
    steps: list[_steps.Step] = []
    wanted = None if spec.options["memory_mb"] is None else spec.options["memory_mb"] * MIB
    if not same_memory(seen.limits.memory, wanted):
        told = "lift the memory limit" if wanted is None else f"set the memory limit to {spec.options['memory_mb']} MiB"
        steps.append(_steps.SetMemory(told, wanted))
        held = None if seen.limits.memory is None else seen.limits.memory / MIB
        shown["memory_mb"] = (int(held) if held is not None and held == int(held) else held, spec.options["memory_mb"])
    shares = spec.options["cpu_shares"]
    version = V1 if seen.cgroup_version == V1 else V2
    if seen.limits.cpu_shares is not None and not same_shares(seen.limits.cpu_shares, shares, version):
        told = "give the default CPU shares" if shares is None else f"set CPU shares to {shares}"
        steps.append(_steps.SetShares(told, shares))
        shown["cpu_shares"] = (seen.limits.cpu_shares, shares)
    return steps


def _waiting(
    seen: Observed,
    record: Record,
    changes: t.Mapping[str, t.Any],
    declared: Declared,
    drifted: t.Mapping[str, t.Any],
) -> list[str]:
    """What a running task has only after its next start.

    A file that was changed by hand behind a start of ours was never read: put back, it is what the task runs with.
    """
    if not seen.runs:
        return []
    restart = {option.name for option in _options.OPTIONS if option.effect == _options.RESTART}
    lines = _options.recorded_lines(declared)
    names = {*changes, *(name for name in lines if lines[name] != record.lines.get(name))}
    if record.init != seen.init:
        names.update(drifted)
    names &= restart
    names.update(record.waits(seen.init))
    if not seen.secrets_mounted:
        names.add("secrets")
    return sorted(names)


def _old_secrets(spec: TaskSpec, seen: Observed, record: Record) -> list[_steps.Step]:
    """Secrets never stay behind: with another alloc_dir they are elsewhere."""
    from ansible_collections.nomadic.lxc.plugins.module_utils._names import layout

    former = record.options.get("alloc_dir", spec.options["alloc_dir"])
    if former == spec.options["alloc_dir"]:
        return []
    return [_steps.RemoveSecrets("remove the former secrets", layout(former, record.name, record.alloc_id).secrets)]
