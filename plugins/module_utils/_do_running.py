# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps on a running task: started, stopped, frozen, limited."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_reader,
    _config_lines,
    _duration,
    _errors,
    _hooks,
    _kept,
    _liblxc,
    _proc,
    _runtime,
    _starter,
    _states,
    _steps,
    _tree,
    _work,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup import Cgroup

# See pty(7). Each container has one for each of its terminals, lxc.tty.max, and one for its console.
_PTY_MAX = "/proc/sys/kernel/pty/max"
# What it says of an init that no limit keeps from running (start.c).
_NO_PROGRAM = re.compile(r"(No such file or directory|Permission denied|Not a directory) - Failed to exec")
# What liblxc says where the kernel gives it none (terminal.c, conf.c).
_NO_TERMINAL = re.compile(r"Failed to (allocate|create) (tty|ttys|console|terminal)\b")


def start(work: _work.Work, step: _steps.Start) -> None:
    """Start the task; on undo it ends, and a log that this start made goes."""
    log_file = step.log_file
    if log_file is not None and not os.path.lexists(log_file):
        work.then(f"remove {log_file}", lambda: _work.unlink(log_file))
    work.then("stop the task", lambda: end(work))
    try:
        work.runtime.start(work.name, step.log_file, step.log_level, _needless_hook(work))
    except _errors.LxcTaskError as error:
        if isinstance(error, _liblxc.RuntimeFailure) and _runtime.ALREADY_RUNNING in error.words:
            # Somebody else has started it meanwhile.
            work.undo.pop()
        limit = work.spec.options["memory_mb"] if work.spec.declares else None
        error.hint = start_hint(str(error), limit, _tree.read_text(_PTY_MAX) or "")
        raise
    note_init(work)


def _needless_hook(work: _work.Work) -> str | None:
    """Our hook that mounts the secrets, where they are mounted: its processes take as long as a third of the start."""
    place = work.spec.layout
    if place is None or not os.path.ismount(place.secrets):
        return None
    return _hooks.secrets_hook(place.secrets, os.stat(place.secrets).st_uid)


def start_hint(words: str, memory_mb: int | None, pty_max: str) -> str | None:
    """What may help against a start that failed, by liblxc's words. ``pty_max``: the text of the kernel's setting."""
    if _NO_TERMINAL.search(words):
        return (
            f"the host may be out of pseudo terminals: raise kernel.pty.max, which is {pty_max.strip() or 'unknown'},"
            " or give tasks fewer with lxc.tty.max in lxc_config"
        )
    if _starter.ENDED in words:
        return "call again"
    if memory_mb is None or _NO_PROGRAM.search(words):
        return None
    return f"if memory_mb, {memory_mb}, is too little for its init, raise it"


def note_init(work: _work.Work) -> None:
    """Keep which process the task's init is, since another network namespace can't ask liblxc, and that a start of ours made it."""
    if work.record is not None:
        nothing: dict[str, t.Any] = {"pending": (), "pending_init": None, "pending_monitor": None, "running": {}}
        record = work.record._replace(**nothing)
        # Our hook at the start has kept it; if not, liblxc knows.
        if _proc.alive(_kept.read_run(work.directory)):
            _tree.append(os.path.join(work.directory, _kept.RUN_FILE), _kept.OURS)
        else:
            # What it has kept of a former start would be taken for this one.
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(work.directory, _kept.RUN_FILE))
            pid = work.runtime.state(work.name)[1]
            record = record._replace(init=_proc.identify(pid) if pid > 0 else None)
        if record != work.record:
            work.write_record(record)


def end(work: _work.Work) -> None:
    """End the task that this run has started."""
    if work.runtime.state(work.name)[0] != _states.STOPPED:
        work.runtime.kill(work.name)


def stop(work: _work.Work, step: _steps.Stop) -> None:
    """Ask the task to end, and kill it when its time is over; on undo it runs again as it did."""

    def again() -> None:
        if work.runtime.state(work.name)[0] == _states.STOPPED:
            work.runtime.start(work.name, step.former_log_file, step.former_log_level)
            note_init(work)
        elif work.record is not None:
            # It runs on, and if its memory limit kills it later, that was not asked for.
            work.write_record(work.record._replace(stop_asked=former))
        if step.frozen and work.runtime.state(work.name)[0] != _states.FROZEN:
            work.runtime.freeze(work.name)

    former = None if work.record is None else work.record.stop_asked
    work.then("start the task again", again)
    if work.record is not None:
        # What a hook keeps of the end can't tell a stop that was asked for.
        work.write_record(work.record._replace(stop_asked=work.seen.init))
    if step.frozen:
        # A frozen task can't heed the request to end.
        work.runtime.thaw(work.name)
    work.outcome.forced = work.runtime.shutdown(work.name, step.kill_timeout / _duration.SECOND)
    work.runtime.sweep(work.name)


def freeze(work: _work.Work, _step: _steps.Freeze) -> None:
    """Freeze the task."""
    work.then("thaw the task", lambda: work.runtime.thaw(work.name))
    work.runtime.freeze(work.name)


def thaw(work: _work.Work, _step: _steps.Thaw) -> None:
    """Thaw the task."""
    work.then("freeze the task again", lambda: work.runtime.freeze(work.name))
    work.runtime.thaw(work.name)


def cgroup(work: _work.Work) -> Cgroup:
    """The running task's cgroup; LxcTaskError if it is gone."""
    init = work.seen.init
    lines = _config_lines.parse(work.seen.config)
    group = None if init is None else Cgroup.of_container(init.pid, work.name, lines, _cgroup_reader.LIMITING)
    if group is None:
        raise _errors.LxcTaskError(f"container {work.name} ended meanwhile")
    return group


def set_memory(work: _work.Work, step: _steps.SetMemory) -> None:
    """Change the memory limit of the running task."""
    former = work.seen.limits.memory if work.seen.limits is not None else None
    cgroup(work).set_memory(step.limit)
    work.then("put the memory limit back", lambda: cgroup(work).set_memory(former))


def set_shares(work: _work.Work, step: _steps.SetShares) -> None:
    """Change the CPU shares of the running task."""
    former = work.seen.limits.cpu_shares if work.seen.limits is not None else None
    cgroup(work).set_cpu_shares(step.shares)
    work.then("put the CPU shares back", lambda: cgroup(work).set_cpu_shares(former))
