# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only mutator: it takes the steps of a plan, and on failure takes back the ones it took, newest first."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.nomadic.lxc.plugins.module_utils import _config, _lock, _mounts, _record, _steps, _tree
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup import Cgroup
from ansible_collections.nomadic.lxc.plugins.module_utils._duration import SECOND
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError, StepError
from ansible_collections.nomadic.lxc.plugins.module_utils._names import Layout
from ansible_collections.nomadic.lxc.plugins.module_utils._observe import (
    aside_directory,
    cgroup_of,
    record_file,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._observed import FROZEN, STOPPED, Observed
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import identify, iso
from ansible_collections.nomadic.lxc.plugins.module_utils._record import Record
from ansible_collections.nomadic.lxc.plugins.module_utils._runtime import Runtime
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import TaskSpec

Undo = t.Callable[[], None]

CONFIG_MODE = 0o600  # the environment's values stand in it


@dataclass
class Outcome:
    """What only the doing tells. ``forced``: None unless a stop happened, then whether it took a kill."""

    forced: bool | None = None
    template_output: str = ""


class Interrupted(BaseException):
    """A signal asked the module to end; what it did is undone first."""


@contextlib.contextmanager
def interruptible() -> t.Iterator[None]:
    """Turn the signals that end a module (a lost connection's, say) into an exception, so that the undo runs."""

    def interrupt(number: int, _frame: t.Any) -> None:
        raise Interrupted(f"the module was ended by signal {number}")

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)


def apply(steps: t.Sequence[_steps.Step], spec: TaskSpec, seen: Observed, runtime: Runtime) -> Outcome:
    """Take the steps. Raises StepError, after everything that was done is undone."""
    work = _Work(spec, seen, runtime)
    try:
        with interruptible():
            work.try_configuration(steps)
            for step in steps:
                work.take(step)
    except BaseException as error:
        left = work.unwind()
        if not isinstance(error, (Interrupted, LxcTaskError, OSError)):
            raise
        doing = work.doing.action if work.doing is not None and work.doing.action else "record what was done"
        why = str(error) if isinstance(error, (LxcTaskError, Interrupted)) else f"{error.strerror or error}: {error.filename}"
        message = f"could not {doing}: {why.rstrip('.')}"
        after = "what this run had done is undone" if not left else "the undo could not " + "; ".join(left)
        raise StepError(f"{message}; {after}") from error
    return work.outcome


class _Work:
    """One run over one task: the record as it is now, and how to take back each step that was taken."""

    def __init__(self, spec: TaskSpec, seen: Observed, runtime: Runtime) -> None:
        self.spec = spec
        self.seen = seen
        self.runtime = runtime
        self.name = spec.container_name
        self.record: Record | None = seen.record
        self.outcome = Outcome()
        self.doing: _steps.Step | None = None
        self.undo: list[tuple[str, Undo]] = []

    def take(self, step: _steps.Step) -> None:
        self.doing = step
        _TAKE[type(step)](self, step)

    def try_configuration(self, steps: t.Sequence[_steps.Step]) -> None:
        """Have liblxc load a new configuration before a running task is stopped for it."""
        if any(isinstance(step, (_steps.Create, _steps.RestoreFormer)) for step in steps):
            return
        for step in steps:
            if isinstance(step, _steps.Configure):
                self.doing = step
                self.runtime.check(self.name, self.configuration(step))

    def configuration(self, step: _steps.Configure) -> str:
        """The container's configuration as the step will write it."""
        former = _tree.read_text(self.runtime.config_file(self.name)) or ""
        return _config.converge(former, self.record.base if self.record is not None else (), step.block, step.former)

    def then(self, words: str, undo: Undo) -> None:
        """Know how to take back what is about to be done."""
        self.undo.append((words, undo))

    def unwind(self) -> list[str]:
        """Take everything back; returns what could not be, in words. Signals wait until it is done."""
        left: list[str] = []
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        try:
            while self.undo:
                words, undo = self.undo.pop()
                try:
                    undo()
                except (LxcTaskError, OSError) as error:
                    left.append(f"{words} ({error})")
            with contextlib.suppress(LxcTaskError, OSError):
                self.runtime.sweep(self.name)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        return left

    # ---- the record

    def write_record(self, record: Record) -> None:
        _tree.write_atomically(record_file(self.spec.lxc_path, self.name), _record.render_record(record))
        self.record = record

    def remember(self, step: _steps.Remember) -> None:
        record = t.cast(Record, self.record)
        self.then("put the record back", lambda: self.write_record(record))
        self.write_record(
            replace(
                record,
                options=step.options,
                lines=step.lines,
                pending=step.pending,
                pending_init=self.seen.init if step.pending else None,
                phase=_record.READY if step.ready else _record.MAKING,
            )
        )

    def commit(self, _step: _steps.Commit) -> None:
        record = t.cast(Record, self.record)
        self.then("put the record back", lambda: self.write_record(record))
        self.write_record(replace(record, phase=_record.READY))

    # ---- directories

    def make_directories(self, step: _steps.MakeDirectories) -> None:
        with self.alloc_lock():
            for path, mode in step.directories:
                self.make_directory(path, mode, always=path == step.directories[0][0])

    def make_directory(self, path: str, mode: int, always: bool) -> None:
        made = _missing_parents(path)
        for parent in made:
            os.mkdir(parent, 0o755)
            self.then(f"remove {parent}", lambda parent=parent: self.remove_made(parent))  # type: ignore[misc]
        if made:
            os.chmod(path, mode)
        elif always:
            former = os.stat(path, follow_symlinks=False).st_mode & 0o7777
            self.then(f"give {path} its mode back", lambda: os.chmod(path, former))
            os.chmod(path, mode)

    def remove_made(self, path: str) -> None:
        """Remove a directory that this run made, with what its container put there; a mount in it is not ours."""
        place = t.cast(Layout, self.spec.layout)
        if place.root.startswith(path):
            # Other allocs, or other tasks of this one, may be there by now.
            _rmdir(path)
            return
        with self.alloc_lock():
            if path.startswith(place.alloc) and _other_tasks(place):
                return
            kept = _tree.remove(path, _mounts.read_mount_points())
        if kept:
            raise LxcTaskError(f"{', '.join(kept)} is mounted there")

    def alloc_lock(self) -> t.ContextManager[int]:
        """Held while directories of an alloc are made or removed: its tasks share some."""
        root = t.cast(Layout, self.spec.layout).root
        return _lock.held(_lock.lock_file("alloc", os.path.basename(root), root), f"the directories in {root}")

    def mount_secrets(self, step: _steps.MountSecrets) -> None:
        _mounts.mount_secrets(step.path)
        self.then("unmount secrets", lambda: _unmount(step.path))

    def remove_secrets(self, step: _steps.RemoveSecrets) -> None:
        _unmount(step.path)
        _tree.remove(step.path, _mounts.read_mount_points())

    def purge(self, step: _steps.Purge) -> None:
        points = _mounts.read_mount_points()
        place = t.cast(Layout, self.spec.layout)
        task = os.path.join(os.path.realpath(place.root), os.path.basename(place.task))
        with self.alloc_lock():
            for path in sorted(step.paths, key=lambda path: path != task):
                # The alloc's goes with the last task; one may have come meanwhile.
                if path == task or not _other_tasks(place):
                    _tree.remove(path, points)

    # ---- the container

    def create(self, step: _steps.Create) -> None:
        record = Record(
            name=t.cast(str, self.spec.name),
            alloc_id=self.spec.alloc_id,
            phase=_record.MAKING,
            created_at=iso(time.time()),
        )
        made = _missing_parents(self.spec.lxc_path)
        for parent in made:
            os.mkdir(parent, 0o755)
            self.then(f"remove {parent}", lambda parent=parent: _rmdir(parent))  # type: ignore[misc]
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.runtime.directory(self.name), 0o755)
        self.then("remove the container", self.remove_container)
        self.write_record(record)
        self.outcome.template_output = self.runtime.create(self.name, step.template, step.arguments, step.default_config)
        text = _tree.read_text(self.runtime.config_file(self.name)) or ""
        self.write_record(replace(record, base=tuple(_config.base_of(text))))

    def remove_container(self) -> None:
        """Remove the container that this run, or one that was cut off, has made."""
        directory = self.runtime.directory(self.name)
        if os.path.isfile(self.runtime.config_file(self.name)):
            with contextlib.suppress(LxcTaskError):
                # One that liblxc can't load any more is only files.
                if self.runtime.state(self.name)[0] != STOPPED:
                    self.runtime.kill(self.name)
                self.runtime.destroy(self.name)
        if os.path.lexists(directory):
            kept = _tree.remove(directory, _mounts.read_mount_points())
            if kept:
                raise LxcTaskError(f"{', '.join(kept)} is mounted in {directory}")
        self.runtime.sweep(self.name)

    def remove_half_made(self, _step: _steps.RemoveHalfMade) -> None:
        self.remove_container()
        self.record = None

    def destroy(self, _step: _steps.Destroy) -> None:
        self.runtime.destroy(self.name)
        directory = self.runtime.directory(self.name)
        if os.path.lexists(directory):
            _tree.remove(directory, _mounts.read_mount_points())
        self.runtime.sweep(self.name)

    def configure(self, step: _steps.Configure) -> None:
        file = self.runtime.config_file(self.name)
        former = _tree.read_text(file) or ""
        mode = os.stat(file).st_mode & 0o777
        text = self.configuration(step)
        self.runtime.check(self.name, text)
        self.then("put the configuration back", lambda: _tree.write_atomically(file, former, mode))
        _tree.write_atomically(file, text, CONFIG_MODE)

    # ---- a recreation

    def set_aside(self, _step: _steps.SetAside) -> None:
        aside = aside_directory(self.spec.lxc_path, self.name)
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.dirname(aside), 0o700)
        record = self.record
        os.rename(self.runtime.directory(self.name), aside)

        def back() -> None:
            self.put_back()
            self.record = record

        self.then("put the former container back", back)

    def put_back(self) -> None:
        aside = aside_directory(self.spec.lxc_path, self.name)
        os.rename(aside, self.runtime.directory(self.name))
        _rmdir(os.path.dirname(aside))

    def restore_former(self, _step: _steps.RestoreFormer) -> None:
        self.remove_container()
        self.put_back()

    def drop_aside(self, _step: _steps.DropAside) -> None:
        # The new container stands: from here on nothing is taken back.
        self.undo.clear()
        aside = aside_directory(self.spec.lxc_path, self.name)
        # Without its record it is never put back, however far the removal comes.
        _unlink(os.path.join(aside, _record.FILE))
        _tree.remove(aside, _mounts.read_mount_points())
        _rmdir(os.path.dirname(aside))

    # ---- the running task

    def start(self, step: _steps.Start) -> None:
        log_file = step.log_file
        if log_file is not None and not os.path.lexists(log_file):
            self.then(f"remove {log_file}", lambda: _unlink(log_file))
        self.then("stop the task", self.end)
        try:
            self.runtime.start(self.name, step.log_file, step.log_level)
        except LxcTaskError as error:
            limit = self.spec.options["memory_mb"] if self.spec.declares else None
            if limit is not None:
                error.hint = f"if memory_mb, {limit}, is too little for its init, raise it"
            raise
        self.note_init()

    def note_init(self) -> None:
        """Keep in the record which process the task's init is: another network namespace can't ask liblxc."""
        if self.record is not None:
            pid = self.runtime.state(self.name)[1]
            self.write_record(replace(self.record, init=identify(pid) if pid > 0 else None, pending=(), pending_init=None))

    def end(self) -> None:
        if self.runtime.state(self.name)[0] != STOPPED:
            self.runtime.kill(self.name)

    def stop(self, step: _steps.Stop) -> None:
        def again() -> None:
            if self.runtime.state(self.name)[0] == STOPPED:
                self.runtime.start(self.name, step.former_log_file, step.former_log_level)
                self.note_init()
            if step.frozen and self.runtime.state(self.name)[0] != FROZEN:
                self.runtime.freeze(self.name)

        self.then("start the task again", again)
        if self.record is not None:
            # What a hook keeps of the end can't tell a stop that was asked for.
            self.write_record(replace(self.record, stop_asked=self.seen.init))
        if step.frozen:
            # A frozen task can't heed the request to end.
            self.runtime.thaw(self.name)
        self.outcome.forced = self.runtime.shutdown(self.name, step.kill_timeout / SECOND)
        self.runtime.sweep(self.name)

    def freeze(self, _step: _steps.Freeze) -> None:
        self.then("thaw the task", lambda: self.runtime.thaw(self.name))
        self.runtime.freeze(self.name)

    def thaw(self, _step: _steps.Thaw) -> None:
        self.then("freeze the task again", lambda: self.runtime.freeze(self.name))
        self.runtime.thaw(self.name)

    def cgroup(self) -> Cgroup:
        group = cgroup_of(self.seen.init, self.name, self.seen.config)
        if group is None:
            raise LxcTaskError(f"container {self.name} ended meanwhile")
        return group

    def set_memory(self, step: _steps.SetMemory) -> None:
        former = self.seen.limits.memory if self.seen.limits is not None else None
        self.cgroup().set_memory(step.limit)
        self.then("put the memory limit back", lambda: self.cgroup().set_memory(former))

    def set_shares(self, step: _steps.SetShares) -> None:
        former = self.seen.limits.cpu_shares if self.seen.limits is not None else None
        self.cgroup().set_cpu_shares(step.shares)
        self.then("put the CPU shares back", lambda: self.cgroup().set_cpu_shares(former))


_TAKE: dict[type, t.Callable[[_Work, t.Any], None]] = {
    _steps.RestoreFormer: _Work.restore_former,
    _steps.RemoveHalfMade: _Work.remove_half_made,
    _steps.MakeDirectories: _Work.make_directories,
    _steps.MountSecrets: _Work.mount_secrets,
    _steps.Create: _Work.create,
    _steps.Configure: _Work.configure,
    _steps.SetMemory: _Work.set_memory,
    _steps.SetShares: _Work.set_shares,
    _steps.Remember: _Work.remember,
    _steps.Commit: _Work.commit,
    _steps.Start: _Work.start,
    _steps.Stop: _Work.stop,
    _steps.Freeze: _Work.freeze,
    _steps.Thaw: _Work.thaw,
    _steps.SetAside: _Work.set_aside,
    _steps.DropAside: _Work.drop_aside,
    _steps.Destroy: _Work.destroy,
    _steps.RemoveSecrets: _Work.remove_secrets,
    _steps.Purge: _Work.purge,
}


def _missing_parents(path: str) -> list[str]:
    """The directories to make so that a path exists, parents first; the path itself is the last of them."""
    missing: list[str] = []
    while not os.path.isdir(path):
        missing.insert(0, path)
        path = os.path.dirname(path)
    return missing


def _other_tasks(place: Layout) -> bool:
    """Whether an alloc has directories of other tasks."""
    try:
        names = {entry.name for entry in os.scandir(place.root) if entry.is_dir(follow_symlinks=False)}
    except FileNotFoundError:
        return False
    return bool(names - {os.path.basename(place.alloc), os.path.basename(place.task)})


def _rmdir(path: str) -> None:
    """Remove a directory if it is empty: others may use it too."""
    with contextlib.suppress(OSError):
        os.rmdir(path)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _unmount(path: str) -> None:
    if os.path.realpath(path) in _mounts.read_mount_points():
        _mounts.unmount(path)
