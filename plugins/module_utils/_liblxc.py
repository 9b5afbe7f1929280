# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What liblxc tells: its version, and a container's state. What it refuses comes back as RuntimeFailure."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _states

_STATES = {"STOPPED": _states.STOPPED, "RUNNING": _states.RUNNING, "FROZEN": _states.FROZEN, "THAWED": _states.RUNNING}

# Seconds. A passing state that lasts longer is told as an error.
SETTLE_TIMEOUT = 10.0
_PAUSE = 0.01
# A directory without containers.
_NOWHERE = "/nonexistent"


class RuntimeFailure(_errors.LxcTaskError):
    """liblxc refused. ``words``: its last words, or the template's."""

    def __init__(self, msg: str, words: str = "") -> None:
        super().__init__(f"{msg}: {words}" if words else msg)
        self.words = words


def version() -> str:
    """liblxc's version."""
    import lxc

    return str(lxc.version)


def default_lxc_path() -> str:
    """Where liblxc keeps containers unless it is told otherwise."""
    import lxc

    return str(lxc.default_config_path)


@contextlib.contextmanager
def quiet() -> t.Iterator[None]:
    """liblxc prints to our standard error what it returns anyway."""
    null, saved = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(null)
        os.close(saved)


class Containers:
    """The containers of one LXC path."""

    def __init__(self, lxc_path: str) -> None:
        self.lxc_path = lxc_path

    def directory(self, name: str) -> str:
        """A container's own directory."""
        return os.path.join(self.lxc_path, name)

    def config_file(self, name: str) -> str:
        """A container's configuration file; one without is none for liblxc."""
        return os.path.join(self.directory(name), "config")

    def state(self, name: str, known_pid: int | None = None) -> tuple[str, int]:
        """A container's state and the pid of its init (-1 while nothing runs). Waits while liblxc is between two.

        ``known_pid`` is that of its init, where the caller knows it already: every question costs a turn of its monitor.
        Its configuration is not loaded: that costs time, makes the log file that it names, and fails if it is broken.
        """
        import _lxc

        with quiet():
            container = _lxc.Container(name, _NOWHERE)
            if not container.set_config_path(self.lxc_path):
                raise RuntimeFailure(f"liblxc can't look for containers in {self.lxc_path}")
        return settled(name, container, known_pid)


def settled(name: str, container: t.Any, known_pid: int | None = None) -> tuple[str, int]:
    """The state and the pid of the init of a container that the binding has opened; see Containers.state."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    while (found := container.state) not in _STATES:
        if time.monotonic() >= deadline:
            raise RuntimeFailure(f"container {name} has been {found} for {SETTLE_TIMEOUT:g} seconds")
        time.sleep(_PAUSE)
    state = _STATES[found]
    if state == _states.STOPPED:
        return state, -1
    return state, int(container.init_pid) if known_pid is None else known_pid
