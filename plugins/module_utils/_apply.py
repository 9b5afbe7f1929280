# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only mutator: it takes the steps of a plan, and on failure takes back the ones it took, newest first."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _do_container,
    _do_directories,
    _do_running,
    _do_shift,
    _errors,
    _observed,
    _runtime,
    _signals,
    _spec,
    _steps,
    _work,
)

TAKE: dict[type, t.Callable[[_work.Work, t.Any], None]] = {
    _steps.RestoreFormer: _do_container.restore_former,
    _steps.RemoveHalfMade: _do_container.remove_half_made,
    _steps.MakeDirectories: _do_directories.make_directories,
    _steps.MountSecrets: _do_directories.mount_secrets,
    _steps.ShiftDirectories: _do_shift.shift_directories,
    _steps.ShiftShared: _do_shift.shift_shared,
    _steps.ShiftRootfs: _do_shift.shift_rootfs,
    _steps.Create: _do_container.create,
    _steps.BuildImage: _do_container.build_image,
    _steps.Clone: _do_container.clone,
    _steps.Configure: _do_container.configure,
    _steps.SetMemory: _do_running.set_memory,
    _steps.SetShares: _do_running.set_shares,
    _steps.Remember: _do_container.remember,
    _steps.Commit: _do_container.commit,
    _steps.Start: _do_running.start,
    _steps.Stop: _do_running.stop,
    _steps.Freeze: _do_running.freeze,
    _steps.Thaw: _do_running.thaw,
    _steps.SetAside: _do_container.set_aside,
    _steps.DropAside: _do_container.drop_aside,
    _steps.Destroy: _do_container.destroy,
    _steps.RemoveSecrets: _do_directories.remove_secrets,
    _steps.Purge: _do_directories.purge,
}


def apply(
    steps: t.Sequence[_steps.Step], spec: _spec.TaskSpec, seen: _observed.Observed, runtime: _runtime.Runtime
) -> _steps.Outcome:
    """Take the steps. Raises StepError, after everything that was done is undone."""
    work = _work.Work(spec, seen, runtime, seen.record)
    doing: _steps.Step | None = None
    try:
        with _signals.interruptible():
            for trial in _to_try(steps):
                doing = trial
                _do_container.try_configuration(work, trial)
            for step in steps:
                doing = step
                began = time.monotonic()
                TAKE[type(step)](work, step)
                if step.action and step not in work.outcome.spared:
                    work.outcome.took.append((step.action, time.monotonic() - began))
    except BaseException as error:
        left = work.unwind()
        if isinstance(error, (_signals.Interrupted, _errors.LxcTaskError, OSError)):
            raise _told(error, doing, left, work) from error
        if (left or work.lasting) and isinstance(error, Exception):
            raise RuntimeError(f"{type(error).__name__}: {error}; {_after(left, work)}") from error
        raise
    return work.outcome


def _to_try(steps: t.Sequence[_steps.Step]) -> list[_steps.Configure]:
    """New configurations of a container that is there: liblxc has to load them before a running task is stopped for them."""
    kinds = {type(step) for step in steps}
    if _steps.Stop not in kinds or kinds & {_steps.Create, _steps.Clone, _steps.RestoreFormer}:
        return []
    return [step for step in steps if isinstance(step, _steps.Configure)]


def _told(
    error: BaseException, doing: _steps.Step | None, left: t.Sequence[str], work: _work.Work
) -> _errors.StepError:
    """The failure in a sentence: which step, why in whose words, and what became of the rest."""
    action = doing.action if doing is not None and doing.action else "record what was done"
    why = str(_errors.of_system(error) if isinstance(error, OSError) else error)
    return _errors.StepError(f"could not {action}: {why.rstrip('.')}; {_after(left, work)}")


def _after(left: t.Sequence[str], work: _work.Work) -> str:
    """What became of what was done before a failure."""
    after = "the undo could not " + "; ".join(left) if left else work.stands or "what this run had done is undone"
    return "; ".join([after, *work.lasting])
