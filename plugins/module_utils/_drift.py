# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs: between a declaration and the record, the configuration's file, and what the kernel holds. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_mounts,
    _cgroup_text,
    _config_lines,
    _duration,
    _observed,
    _options,
    _record,
    _spec,
    _steps,
    _text,
)

# By option: before and after, as a user is shown them.
Differences = dict[str, tuple[t.Any, t.Any]]

_RESTART = {option.name for option in _options.OPTIONS if option.effect == _options.RESTART}


def show(name: str, value: t.Any) -> t.Any:
    """A recorded value as a user is shown it."""
    if name == "kill_timeout" and value is not None:
        return _duration.seconds(value)
    return value if value is None or name not in _options.BY_NAME else _options.BY_NAME[name].show(value)


def changes_of(declared: _options.Declared, record: _record.Record) -> Differences:
    """What the declaration says otherwise than the record: old and new, as the record keeps them."""
    new = declared.recorded_options
    old = {name: record.options.get(name, _options.BY_NAME[name].default) for name in new}
    return {name: (old[name], value) for name, value in new.items() if old[name] != value}


def shown(changes: Differences) -> Differences:
    """Differences of recorded values as a user is shown them."""
    return {name: (show(name, old), show(name, new)) for name, (old, new) in changes.items()}


def drifted_in(config: str, record: _record.Record, declared: _options.Declared, changes: Differences) -> Differences:
    """The options whose lines are not as they must be, though they did not change: the file's lines, and those that are due.

    Somebody changed the file by hand; or a variable has another value, or a source became another kind of thing.
    """
    found = _config_lines.parse(config)
    for pair in (*record.base, *((key, value) for key, value in record.lines.get("lxc_config", ()))):
        if pair in found:
            found.remove(pair)
    drifted: Differences = {}
    for option in _options.OPTIONS:
        if option.lines is None or not option.keys or changes.keys() & {option.name, *option.reads}:
            continue
        due = declared.lines[option.name]
        have = [pair for pair in found if pair[0] in option.keys]
        if have != due:
            drifted[option.name] = (
                _environment(have, due) if option.name == "environment" else (_told(have), _told(due))
            )
    if not drifted and not changes:
        drifted["lxc_config"] = ("changed in the file", declared.options["lxc_config"])
    return drifted


def _told(lines: t.Sequence[_config_lines.Pair]) -> list[str]:
    return [f"{key} = {value}" for key, value in lines]


def _environment(
    have: t.Sequence[_config_lines.Pair], due: t.Sequence[_config_lines.Pair]
) -> tuple[dict[str, str], dict[str, str]]:
    """Which variables differ; their values are nobody's to see."""
    before, after = ({value.partition("=")[0]: value for _key, value in lines} for lines in (have, due))
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return (
        {name: _text.HIDDEN for name in names if name in before},
        {name: f"{_text.HIDDEN} (another)" if name in before else _text.HIDDEN for name in names if name in after},
    )


def live_steps(
    spec: _spec.TaskSpec, seen: _observed.Observed, record: _record.Record
) -> tuple[list[_steps.Step], Differences]:
    """What the kernel holds for the running task otherwise than declared, and the steps that change it there.

    What the kernel holds is told in the record's words where it is that: the kernel's default may be an option not given.
    """
    if seen.limits is None:
        return [], {}
    steps: list[_steps.Step] = []
    differs: Differences = {}
    mebibytes, shares = spec.options["memory_mb"], spec.options["cpu_shares"]
    wanted = None if mebibytes is None else mebibytes * _cgroup_text.MIB
    if not _cgroup_text.same_memory(seen.limits.memory, wanted):
        told = "lift the memory limit" if wanted is None else f"set the memory limit to {mebibytes} MiB"
        steps.append(_steps.SetMemory(told, wanted))
        held = None if seen.limits.memory is None else seen.limits.memory / _cgroup_text.MIB
        differs["memory_mb"] = (int(held) if held is not None and held == int(held) else held, mebibytes)
    version = _cgroup_mounts.V1 if seen.cpu_generation == _cgroup_mounts.V1 else _cgroup_mounts.V2
    if seen.limits.cpu_shares is not None and not _cgroup_text.same_shares(seen.limits.cpu_shares, shares, version):
        told = "give the default CPU shares" if shares is None else f"set CPU shares to {shares}"
        steps.append(_steps.SetShares(told, shares))
        former = record.options.get("cpu_shares")
        as_recorded = _cgroup_text.same_shares(seen.limits.cpu_shares, former, version)
        differs["cpu_shares"] = (former if as_recorded else seen.limits.cpu_shares, shares)
    return steps, differs


def waiting_for_start(
    seen: _observed.Observed,
    record: _record.Record,
    changes: t.Mapping[str, t.Any],
    declared: _options.Declared,
    drifted: t.Mapping[str, t.Any],
) -> tuple[tuple[str, ...], dict[str, t.Any]]:
    """What a running task has only after its next start: the options, and the lines that it runs with where these differ.

    What it runs with decides: a change that is taken back waits no more, and another word for the same never did. A file
    that was changed by hand behind a start of ours was never read: put back, it is what the task runs with.
    """
    if not seen.runs:
        return (), {}
    lines, running = declared.recorded_lines, record.lines_of(seen.init)
    if record.init != seen.init:
        running.update(dict.fromkeys(name for name in drifted if name in lines))
    others = {name: running.get(name) for name in lines if name in _RESTART and running.get(name) != lines[name]}
    # By whose change an option's lines are others: its own, or one of an option that it reads.
    touched = {*changes, *record.waits(seen.init)} & _RESTART
    names: set[str] = set()
    for name in others:
        causes = touched & {name, *_options.BY_NAME[name].reads}
        names |= causes or {name}
    if not seen.secrets_mounted or "secrets" in record.waits(seen.init):
        names.add("secrets")
    return tuple(sorted(names)), others
