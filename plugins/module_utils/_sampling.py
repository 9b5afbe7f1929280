# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of lxc_task_stats: all selected tasks are sampled together, once or twice, from their own cgroups."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_reader,
    _duration,
    _errors,
    _liblxc,
    _names,
    _policy,
    _proc,
    _prometheus,
    _select,
    _stats,
    _tree,
    _view,
)

Params = t.Mapping[str, t.Any]

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    **_select.ARGUMENTS,
    "interval": {"type": "str", "default": "1s"},
    "textfile": {"type": "path"},
}

# node_exporter runs as a user of its own.
TEXTFILE_MODE = 0o644
# Seconds: more than anybody waits, and less than is too much for time.sleep.
_LONGEST_SLEEP = 10.0**9


def stats(params: Params, check_mode: bool) -> dict[str, t.Any]:
    """The result of the module. Raises LxcTaskError."""
    interval = _select.duration(params, "interval") / _duration.SECOND
    fault = _names.path_fault(params["textfile"]) if params["textfile"] is not None else None
    if fault is not None:
        raise _errors.LxcTaskError(f"textfile: {fault}")
    # A sample tells of no stop.
    wanted = _select.parse_selection({**params, "max_kill_timeout": _policy.POLICY["max_kill_timeout"]["default"]})
    if params["textfile"] is not None:
        _look_for_directory(params["textfile"])
    views, warnings = _select.select(wanted, _liblxc.Containers(wanted.lxc_path), ask=False)
    groups = {view.container_name: cgroup_of(view) for view in views}
    running = {name: group for name, group in groups.items() if group is not None}
    before: dict[str, _stats.Sample | None] = {}
    if interval > 0:
        before = {name: _stats.take(group) for name, group in running.items()}
        time.sleep(min(interval, _LONGEST_SLEEP))
    samples: dict[str, _stats.Sample] = {}
    for view in views:
        name, first = view.container_name, before.get(view.container_name)
        sample = _stats.take(running[name]) if name in running and (first is not None or interval == 0) else None
        if sample is not None and _lives(view, first, sample):
            samples[name] = sample
    if params["textfile"] is not None and not check_mode:
        _write(params["textfile"], views, samples)
    warnings += _advice(params["textfile"])
    usage = {name: _stats.usage(before.get(name), sample) for name, sample in samples.items()}
    return {
        "changed": False,
        "stats": usage,
        "not_running": [view.container_name for view in views if view.container_name not in samples],
        "ansible_facts": {"lxc_task_stats": usage},
        "warnings": warnings,
    }


def _look_for_directory(textfile: str) -> None:
    """Raise LxcTaskError where a textfile has no directory: before the interval is slept, and in check mode too."""
    try:
        os.stat(f"{os.path.dirname(textfile)}/")
    except OSError as error:
        raise _unwritable(textfile, error) from error


def _unwritable(textfile: str, error: OSError) -> _errors.LxcTaskError:
    return _errors.LxcTaskError(f"can't write the textfile {textfile}: {error.strerror}")


def _advice(textfile: str | None) -> list[str]:
    if textfile is None or textfile.endswith(".prom"):
        return []
    return [f"textfile: node_exporter reads no {textfile}, whose name does not end in .prom"]


def _lives(view: _view.TaskView, first: _stats.Sample | None, sample: _stats.Sample) -> bool:
    """Whether the task ran when it was sampled. Its cgroup can outlast its init, if a hook at the end takes long or liblxc's
    monitor was killed; one that a reboot has made anew is another init's.
    """
    return _proc.alive(view.init) or (first is not None and first.identity != sample.identity)


def cgroup_of(view: _view.TaskView) -> _cgroup_reader.CgroupReader | None:
    """The cgroup of a running task; None where nothing runs."""
    if view.init is None:
        return None
    return _cgroup_reader.CgroupReader.of_container(view.init.pid, view.container_name, view.lines)


def _write(path: str, views: t.Sequence[_view.TaskView], samples: t.Mapping[str, _stats.Sample]) -> None:
    labels = {
        _prometheus.Labels(view.name or view.container_name, view.alloc_id or "", view.container_name): samples[
            view.container_name
        ]
        for view in views
        if view.container_name in samples
    }
    try:
        # Of this process alone: another call may write the same textfile.
        _tree.write_atomically(path, _prometheus.render(labels), TEXTFILE_MODE, draft=f"{path}.{os.getpid()}.new")
    except OSError as error:
        raise _unwritable(path, error) from error
