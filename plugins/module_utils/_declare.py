# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for a declaration: make the task, converge it, or make its container again."""

from __future__ import annotations

import os.path
import typing as t
from dataclasses import replace

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _command,
    _config,
    _drift,
    _errors,
    _idmap,
    _ids,
    _image,
    _names,
    _observed,
    _options,
    _record,
    _refusals,
    _spec,
    _states,
    _steps,
    _template,
    _volumes,
)


def declare(spec: _spec.TaskSpec, seen: _observed.Observed) -> tuple[_options.Declared, list[str]]:
    """The task as it shall be on this host, and every fault in its sources."""
    place = t.cast(_names.Layout, spec.layout)
    own = [seen.host[path].real for path in (place.local, place.alloc, place.secrets)]
    resolved, faults = _volumes.resolve(
        _volumes.wanted(spec.options, place.task), seen.host, own, seen.task_dir, spec.volumes_enabled
    )
    unfit = _image.path_fault(spec.lxc_path) if spec.options["backing_store"] == _image.OVERLAY else None
    faults += [] if unfit is None else [unfit]
    if spec.options["backing_store"] == _image.OVERLAY and spec.options["unprivileged"]:
        faults.append(
            "backing_store: an unprivileged task can't have an overlay, whose files are the host root's: use dir"
        )
    directory = os.path.join(spec.lxc_path, spec.container_name)
    declared = _options.Declared(spec.container_name, directory, place, spec.options, resolved)
    fault = _ids.mixed_fault(place.root, bool(spec.options["unprivileged"]), seen.other_tasks)
    faults += [fault] if fault is not None else []
    if not spec.options["unprivileged"]:
        return declared, faults
    try:
        idmap = _idmap.choose(spec.options["idmap_base"], spec.options["idmap_size"], seen.subuid, seen.subgid)
    except _errors.LxcTaskError as error:
        return declared, [*faults, f"unprivileged: {error}"]
    for what, path in (("lxc_path", spec.lxc_path), ("alloc_dir", spec.options["alloc_dir"])):
        faults += _ids.way_faults(what, path, idmap, seen)
    for it in _volumes.wanted(spec.options, place.task):
        faults += _ids.way_faults(it.option, it.path, idmap, seen)
    # One whose files have the ids already stays so, whatever the kernel can do by now.
    shifted = seen.record is not None and seen.record.shifted == idmap.base and not seen.record.shifting
    return replace(declared, idmap=idmap, root_mapped=seen.idmappable and not shifted), faults


def _advice(spec: _spec.TaskSpec) -> list[str]:
    """What is taken, but not as its author may think."""
    advice: list[str] = []
    init = spec.options["init"]
    if init is not None and ("'" in init or '"' in init):
        advice.append(
            "init: LXC splits the command at its blanks and knows no quotes; put it into a script in the container instead"
        )
    if spec.options["log_level"] != _command.effective_log_level(
        spec.options["log_level"], spec.options["environment"]
    ):
        advice.append("log_level: at trace LXC would write the environment's values into the log, so debug is used")
    return advice


def _boot_advice(spec: _spec.TaskSpec) -> list[str]:
    if spec.at_boot or not spec.options["autostart"]:
        return []
    told = f"autostart: LXC's boot service does not look into {spec.lxc_path}: have a service of your own run"
    return [f"{told} `lxc-autostart -P {spec.lxc_path}`"]


def _making(
    spec: _spec.TaskSpec, seen: _observed.Observed, declared: _options.Declared, ready: bool
) -> tuple[list[_steps.Step], list[str]]:
    """The steps that make and configure a container, and warnings."""
    steps, warnings = _root(spec, seen, declared)
    return [
        *steps,
        *_ids.rootfs_shift(None, declared),
        _steps.Configure("write configuration", declared.block),
        _steps.Remember("", declared.recorded_options, declared.recorded_lines, ready=ready),
    ], [*_advice(spec), *_boot_advice(spec), *warnings]


def _root(
    spec: _spec.TaskSpec, seen: _observed.Observed, declared: _options.Declared
) -> tuple[list[_steps.Step], list[str]]:
    """The steps that make a container with its root file system: by the template, or on an image that the template made."""
    path, arguments, warnings = _template_call(spec, seen)
    name, default_config = _template.name_of(path), spec.options["default_config"]
    if seen.image is None:
        unprivileged = bool(spec.options["unprivileged"])
        return [_steps.Create(f"create from template {name}", path, arguments, default_config, unprivileged)], warnings
    recipe = _image.Recipe(seen.image.id, _image.distinct(spec.options), path, arguments, default_config)
    steps: list[_steps.Step] = [_steps.Clone(f"clone the image of template {name}", recipe, declared.block)]
    if seen.image.build is None:
        steps.insert(0, _steps.BuildImage(f"build the image of template {name}", recipe))
    return steps, warnings


def _template_call(spec: _spec.TaskSpec, seen: _observed.Observed) -> tuple[str, tuple[str, ...], list[str]]:
    """The template's path and arguments, and warnings. Raises LxcTaskError where it can't be called."""
    template = seen.template
    if template is None or not template.exists:
        path = _template.path_of(spec.options["template"])
        raise _errors.LxcTaskError(
            f"there is no LXC template {spec.options['template']!r}: {path} is not an executable file",
            hint="install lxc-templates, or correct the name",
        )
    if not seen.default_config_exists:
        raise _errors.LxcTaskError(f"default_config {spec.options['default_config']!r} is not a file: correct the path")
    known = None if template.known is None else set(template.known)
    arguments, unknown = _template.arguments(spec.options, known)
    warnings = [
        f"the template {template.path} does not know the option for {option}: it was left out" for option in unknown
    ]
    return template.path, tuple(arguments), warnings


def _image_back(spec: _spec.TaskSpec, seen: _observed.Observed, declared: _options.Declared) -> list[_steps.Step]:
    """Before a start: the image on which the container stands was removed, or damaged."""
    if seen.image is None or seen.image.build is not None:
        return []
    return [step._replace(back=True) for step in _root(spec, seen, declared)[0] if isinstance(step, _steps.BuildImage)]


def _directories(
    spec: _spec.TaskSpec, seen: _observed.Observed, declared: _options.Declared, stopping: list[_steps.Step]
) -> list[_steps.Step]:
    """The steps that make the task's directories, give them to its users, and stop the task that runs."""
    shift = _ids.directory_shift(seen, declared.idmap, seen.record)
    place = t.cast(_names.Layout, spec.layout)
    if shift and seen.directories.get(place.root) is not None:
        modes = dict(place.directories(declared.idmap is not None))
        seen = seen._replace(directories={**seen.directories, place.root: modes[place.root]})
    making = _command.secrets(spec, seen, declared.idmap)
    # Nothing gets another owner under a running task; and only then may others enter the alloc.
    return [*stopping, *shift, *making] if shift else [*making, *stopping]


def create(
    spec: _spec.TaskSpec, seen: _observed.Observed, declared: _options.Declared, repair: list[_steps.Step]
) -> _steps.Plan:
    making, warnings = _making(spec, seen, declared, ready=True)
    steps = [*repair, *_directories(spec, seen, declared, []), *making]
    state = _states.STOPPED
    if spec.state != "present":
        steps.append(_command.start(spec, spec.options["log_level"], spec.options["environment"]))
        state = _states.RUNNING
    if spec.state == "frozen":
        steps.append(_steps.Freeze("freeze"))
        state = _states.FROZEN
    after = {
        option.name: _drift.show(option.name, option.record(spec.options[option.name]))
        for option in _options.RECORDED
        if spec.options[option.name] not in (None, option.default)
    }
    before, after = {"state": _states.ABSENT}, {**after, "state": state}
    return _steps.Plan(tuple(steps), state, before, after, tuple(warnings), declared.block)


def converge_task(
    spec: _spec.TaskSpec,
    seen: _observed.Observed,
    declared: _options.Declared,
    record: _record.Record,
    repair: list[_steps.Step],
) -> _steps.Plan:
    """From a container that is to one that is as declared."""
    changes = _drift.changes_of(declared, record)
    rootfs = [name for name in changes if _options.BY_NAME[name].effect == _options.ROOTFS]
    if not rootfs and seen.image is not None and seen.image.build not in (None, record.image):
        changes["image"] = (record.image, seen.image.build)
    if spec.recreate == "always" or ((rootfs or "image" in changes) and spec.recreate == "on_change"):
        return _recreate(spec, seen, declared, repair, changes)
    if rootfs:
        told = "; ".join(
            f"{name} from {old!r} to {new!r}" for name, (old, new) in _drift.shown(changes).items() if name in rootfs
        )
        raise _errors.LxcTaskError(
            f"container {spec.container_name} would need a new root file system to change {told}",
            hint="recreate: on_change allows that, and what is in the old one is lost",
        )
    outdated = changes.pop("image", None)
    former = [(key, value) for key, values in record.options.get("lxc_config", {}).items() for value in values]
    written = _config.converge(seen.config, record.base, declared.block, former) != seen.config
    if seen.unloadable is not None and not written:
        raise _errors.LxcTaskError(seen.unloadable, hint="options own none of these lines: correct the file")
    drifted = _drift.drifted_in(seen.config, record, declared, changes) if written else {}
    live, held = _drift.live_steps(spec, seen, record)
    differs = {**_drift.shown(changes), **drifted, **held}

    waiting, running = _drift.waiting_for_start(seen, record, changes, declared, drifted)
    shifts = _ids.rootfs_shift(record, declared)
    shifted = [*_ids.directory_shift(seen, declared.idmap, record), *shifts]
    restart = seen.runs and (spec.state == "restarted" or (bool(waiting or shifted) and spec.restart_on_change))
    if seen.runs and not restart:
        _ids.refuse_while_running(spec, shifted)
    pending = () if restart else waiting
    warnings = _advice(spec) + (_boot_advice(spec) if "autostart" in changes else [])
    if pending:
        warnings.append(
            f"{', '.join(pending)}: the running task gets this at its next start; restart_on_change is false"
        )
    if outdated is not None:
        warnings.append(
            f"the image of container {spec.container_name} was built again after it was cloned from it;"
            " recreate: on_change gives it the new one, and what it has changed in its root file system is lost"
        )
    if restart and record.waits(seen.init):
        differs.setdefault("waits_for_start", (list(record.waits(seen.init)), []))

    steps = [*repair, *_directories(spec, seen, declared, [_command.stop(spec, seen)] if restart else []), *shifts]
    steps += [] if restart else live
    if written:
        steps.append(_steps.Configure("write configuration", declared.block, tuple(former)))
    options, lines = declared.recorded_options, declared.recorded_lines
    if (options, lines, pending) != (record.options, record.lines, record.waits(seen.init)) or (
        restart and record.pending
    ):
        action = "" if written or live or restart else f"record {', '.join(changes) or 'options'}"
        steps.append(_steps.Remember(action, options, lines, pending, running if pending else {}))
    starts = restart or (not seen.runs and spec.state != "present")
    if starts:
        steps += _image_back(spec, seen, declared)
    more, state = _to_state(spec, seen, starts)
    steps += [*more, *_command.old_secrets(seen)]
    return _plan(steps, seen, state, differs, warnings, declared)


def _to_state(spec: _spec.TaskSpec, seen: _observed.Observed, starts: bool) -> tuple[list[_steps.Step], str]:
    """The steps to the state that is asked, and that state; a task that is only to be present stays as it was."""
    state = {"present": seen.state, "frozen": _states.FROZEN}.get(spec.state, _states.RUNNING)
    steps: list[_steps.Step] = []
    if starts:
        steps.append(_command.start(spec, spec.options["log_level"], spec.options["environment"]))
    running = _states.RUNNING if starts else seen.state
    if running == _states.FROZEN and state == _states.RUNNING:
        steps.append(_steps.Thaw("thaw"))
    if running == _states.RUNNING and state == _states.FROZEN:
        steps.append(_steps.Freeze("freeze"))
    return steps, state


def _recreate(
    spec: _spec.TaskSpec,
    seen: _observed.Observed,
    declared: _options.Declared,
    repair: list[_steps.Step],
    changes: _drift.Differences,
) -> _steps.Plan:
    """From a container that is to a new one; the old one is kept until the new one runs."""
    _refusals.refuse_destruction(spec, seen)
    making, warnings = _making(spec, seen, declared, ready=False)
    more, state = _to_state(spec, seen, starts=seen.runs or spec.state != "present")
    steps = [
        *repair,
        *_directories(spec, seen, declared, [_command.stop(spec, seen)] if seen.runs else []),
        _steps.SetAside("set the former container aside"),
        *making,
        *more,
        _steps.Commit(""),
        *_command.old_secrets(seen),
        _steps.DropAside("remove the former container"),
    ]
    return _plan(steps, seen, state, _drift.shown(changes), warnings, declared)


def _plan(
    steps: list[_steps.Step],
    seen: _observed.Observed,
    state: str,
    differs: _drift.Differences,
    warnings: list[str],
    declared: _options.Declared,
) -> _steps.Plan:
    if state != seen.state:
        differs = {**differs, "state": (seen.state, state)}
    return _steps.Plan(
        tuple(steps),
        state,
        {name: pair[0] for name, pair in differs.items()},
        {name: pair[1] for name, pair in differs.items()},
        tuple(warnings),
        declared.block,
    )
