# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is done by liblxc (see _liblxc and _loading for what it only tells). What it refuses comes back as RuntimeFailure,
with its own last words.

All that changes a container runs in a child process (see _child and _starter): a start moves its caller into the monitor's
cgroup.
"""

from __future__ import annotations

import os
import signal
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_files,
    _child,
    _idmap,
    _liblxc,
    _loading,
    _monitor,
    _notes,
    _proc,
    _starter,
    _starter_program,
    _text,
    _waits,
)

# A start includes the container's own hooks.
START_TIMEOUT = 120.0
# After a failed start its monitor is still going away for a moment, and liblxc refuses the next one.
AGAIN_TIMEOUT = 5.0
# What liblxc says of a container that runs already (lxccontainer.c, do_lxcapi_start).
ALREADY_RUNNING = "already running"
# The monitor's work after the init died: hooks, network, cgroups.
STOP_TIMEOUT = 30.0
# A killed process is gone as soon as the kernel comes to it.
KILL_TIMEOUT = 5.0
_PAUSE = 0.01
_SOON = 0.05
# Of an output: lines, and characters.
_WORDS = 12
_LETTERS = 1500


class Runtime(_loading.Loading):
    """The containers of one LXC path. ``lock``: the descriptor of the call's lock.
    ``hidden``: values that no word of liblxc's or of a template's may show. ``waits``: see _waits.
    ``notes``: of the call, where this task is one of several.
    """

    def __init__(
        self,
        lxc_path: str,
        lock: int | None = None,
        hidden: t.Iterable[str] = (),
        waits: _waits.Waits = _waits.ALONE,
        notes: _notes.Notes | None = None,
    ) -> None:
        super().__init__(lxc_path)
        self.lock = lock
        self.waits = waits
        self.notes = notes
        # Shorter ones are no secrets, and would make every sentence unreadable.
        self.hidden = sorted((value for value in hidden if len(value) > 2), key=len, reverse=True)

    def last_words(self, text: str) -> str:
        """The end of an output in one line; of a long one the beginning too, where getopt(1) speaks before a usage."""
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        if len(lines) > _WORDS:
            lines = [lines[0], "...", *lines[-_WORDS:]]
        words = " | ".join(lines)
        words = words if len(words) <= _LETTERS else f"... {words[-_LETTERS:]}"
        for value in self.hidden:
            words = words.replace(value, _text.HIDDEN)
        return words

    def _call(self, work: t.Callable[[], bool], **limits: t.Any) -> _child.Finished:
        return _child.call(work, inherit=self._kept, **limits)

    @property
    def _kept(self) -> t.Sequence[int]:
        """What a child keeps open: it holds the lock on, since it may outlive us, and the next call has to wait for it.

        The monitor of a container that is started closes what it inherited.
        """
        return () if self.lock is None else (self.lock,)

    def create(
        self,
        name: str,
        template: str,
        arguments: t.Sequence[str],
        default_config: str | None,
        unprivileged: bool = False,
    ) -> str:
        """Make a container; returns what the template printed. ``unprivileged``: its users' ids are mapped afterwards."""

        def work() -> bool:
            import lxc

            container = lxc.Container(name, self.lxc_path)
            if default_config is not None:
                container.clear_config()
                if not container.load_config(default_config):
                    _starter_program.say(f"liblxc can't load {default_config}")
                    return False
            if unprivileged:
                # A template that runs with other ids can't make a device; so it is root's, whatever the default says.
                container.clear_config_item(_idmap.KEY)
            return bool(container.create(template, 0, tuple(arguments)))

        done = self._call(work)
        if not done.ok:
            words = self.last_words(done.output) or "the template printed nothing"
            raise _liblxc.RuntimeFailure(f"the template {template} made no container", words)
        return done.output

    def expect_start(self) -> None:
        """Say that there will be a start, after something else."""
        _starter.expect()

    def start(self, name: str, log_file: str | None, log_level: str, spared: str | None = None) -> None:
        """Start a container; liblxc's log goes to the file, and neither is saved in the configuration. ``spared``: a command
        that is not run before this start, should it be one of the hooks.
        """
        deadline = time.monotonic() + AGAIN_TIMEOUT
        while True:
            try:
                self._start(name, log_file, log_level, spared)
            except _liblxc.RuntimeFailure as failure:
                if ALREADY_RUNNING not in failure.words or time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _start(self, name: str, log_file: str | None, log_level: str, spared: str | None) -> None:
        if not os.path.isfile(self.config_file(name)):
            # Of a name without a container liblxc would start the host's own init on the host's root.
            raise _liblxc.RuntimeFailure(f"container {name} did not start", "it is gone: there is no configuration")

        done = _starter.start(
            self.lxc_path,
            name,
            log_file,
            log_level,
            spared,
            kept=self._kept,
            timeout=START_TIMEOUT,
            hangs=lambda: _monitor.hangs(self.lxc_path, name),
        )
        if done.timed_out:
            self._end_monitor(name)
        if not done.ok:
            why = "it did not come up: its init ended, or hangs" if done.timed_out else "liblxc gave no reason"
            raise _liblxc.RuntimeFailure(f"container {name} did not start", self.last_words(done.output) or why)

    def shutdown(self, name: str, timeout: float) -> bool:
        """Ask a running container to end, and kill it after so many seconds; whether that was necessary."""
        container = self.open(name)
        init = int(container.init_pid)
        if init > 0 and container.shutdown(0):
            # Many end at once: to have others work meanwhile costs more than that.
            ended = _proc.wait_for_exit(init, min(timeout, _SOON))
            if not ended and timeout > _SOON:
                with self.waits.idle():
                    ended = _proc.wait_for_exit(init, timeout - _SOON)
            if ended and self._stopped(container, init):
                return False
        self.kill(name)
        return True

    def kill(self, name: str) -> None:
        """Kill all of a container: with the init of a pid namespace the kernel ends all of it, see pid_namespaces(7). What
        does not end by that, since it is frozen say, is liblxc's.
        """
        container = self.open(name)
        init = int(container.init_pid)
        if container.state == "RUNNING" and init > 0 and self._killed(container, init):
            return
        done = self._call(lambda: bool(self.open(name).stop()), timeout=STOP_TIMEOUT)
        if done.timed_out:
            self._end_monitor(name)
        if not self._stopped(self.open(name)):
            raise _liblxc.RuntimeFailure(f"container {name} can't be killed", self.last_words(done.output))

    def _killed(self, container: t.Any, init: int) -> bool:
        monitor = _proc.parent(init)
        try:
            descriptor = os.pidfd_open(init)
        except (AttributeError, OSError):
            return False
        try:
            # The number may have become another process's before it was opened.
            if int(container.init_pid) != init or monitor is None:
                return False
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        # The monitor's end tells that it has done its work: asking it again and again would keep it from that.
        return (
            _proc.wait_for_exit(init, KILL_TIMEOUT)
            and _proc.wait_for_exit(monitor.pid, STOP_TIMEOUT)
            and self._stopped(container)
        )

    def _stopped(self, container: t.Any, init: int | None = None) -> bool:
        """Whether a container whose init ended stops; no if it rebooted itself: another init runs then."""
        deadline = time.monotonic() + STOP_TIMEOUT
        while container.state != "STOPPED":
            if time.monotonic() >= deadline or (init is not None and int(container.init_pid) not in (init, -1)):
                return False
            time.sleep(_PAUSE / 5)
        return True

    def freeze(self, name: str) -> None:
        """Freeze a running container."""
        self._change(name, "freeze", lambda container: container.freeze())

    def thaw(self, name: str) -> None:
        """Thaw a frozen container."""
        self._change(name, "thaw", lambda container: container.unfreeze())

    def destroy(self, name: str) -> None:
        """Remove a stopped container with its root file system."""
        self._change(name, "destroy", lambda container: container.destroy(), timeout=_child.FOREVER)

    def _change(self, name: str, verb: str, change: t.Callable[[t.Any], t.Any], timeout: float = STOP_TIMEOUT) -> None:
        def work() -> bool:
            container = self.open(name)
            log = f"/proc/self/fd/{os.memfd_create('log')}"
            if not (container.set_config_item("lxc.log.file", log) and change(container)):
                _starter_program.say(_starter_program.errors_in(log, 0))
                return False
            return True

        done = self._call(work, timeout=timeout)
        if not done.ok:
            raise _liblxc.RuntimeFailure(f"liblxc can't {verb} container {name}", self.last_words(done.output))

    def _end_monitor(self, name: str) -> None:
        _monitor.end(self.lxc_path, name, STOP_TIMEOUT)
        self.sweep(name, payload=True)

    def sweep(self, name: str, payload: bool = False) -> None:
        """Remove the empty cgroups that a monitor has left; with a thousand of them the name can't start any more."""
        _cgroup_files.remove_monitor_cgroups(
            name, lambda other: os.path.lexists(self.directory(other)), payload=payload
        )
