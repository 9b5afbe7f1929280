# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations as liblxc loads them: the lines that it takes, and the containers that it opens by them. Nothing is changed."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _config_lines, _liblxc, _tree


def refused_lines(lines: t.Iterable[_config_lines.Pair]) -> list[_config_lines.Pair]:
    """The configuration lines that liblxc does not take. Nothing is written anywhere."""
    import _lxc

    new = [pair for pair in dict.fromkeys(lines) if pair not in _taken]
    refused: list[_config_lines.Pair] = []
    if new:
        with _liblxc.quiet():
            probe = _lxc.Container("nomadic-lxc-probe", "/nonexistent")
            refused = [(key, value) for key, value in new if not _takes(probe, key, value)]
        _taken.update(pair for pair in new if pair not in refused)
    return refused


# Lines that liblxc takes: the tasks of a group have most of them in common.
_taken: set[_config_lines.Pair] = set()


def _takes(probe: t.Any, key: str, value: str) -> bool:
    try:
        return bool(probe.set_config_item(key, value))
    except (KeyError, ValueError):
        return False


@contextlib.contextmanager
def _in_memory(text: str) -> t.Iterator[str]:
    """A path that holds a text and is on no disk."""
    descriptor = os.memfd_create("config")
    try:
        _tree.write_all(descriptor, text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class Loading(_liblxc.Containers):
    """The containers of one LXC path, each with its configuration."""

    def open(self, name: str, text: str | None = None) -> t.Any:
        """The binding's object. Loading a configuration with a log file makes that file; it is removed again. ``text``: of the
        configuration, where the caller has it.
        """
        import _lxc

        text = (_tree.read_text(self.config_file(name)) or "") if text is None else text
        logs = [log for log in _logs(text) if not os.path.lexists(log)]
        try:
            with _liblxc.quiet():
                return _lxc.Container(name, self.lxc_path)
        except RuntimeError as error:
            raise _unloadable(f"the configuration {self.config_file(name)}", text) from error
        finally:
            for log in logs:
                if os.path.isfile(log) and os.path.getsize(log) == 0:
                    os.unlink(log)

    def check(self, name: str, text: str) -> None:
        """Raise RuntimeFailure for a configuration that liblxc can't load; nothing is written anywhere."""
        import _lxc

        with _in_memory(text) as path, _liblxc.quiet():
            loaded = _lxc.Container(name, "/nonexistent").load_config(path)
        if not loaded:
            raise _unloadable(f"the configuration of container {name}", text)

    def state(self, name: str, known_pid: int | None = None, text: str | None = None) -> tuple[str, int]:
        """A container's state and the pid of its init, as Containers tells; a configuration must be one that loads."""
        return _liblxc.settled(name, self.open(name, text), known_pid)


def _unloadable(what: str, text: str) -> _liblxc.RuntimeFailure:
    refused = refused_lines(_config_lines.parse(text))
    shown = ", ".join(key if key == "lxc.environment" else f"{key} = {value}" for key, value in refused)
    why = (
        f"it does not take {shown}"
        if shown
        else "its lines contradict each other, or a file that it includes is missing"
    )
    return _liblxc.RuntimeFailure(f"liblxc can't load {what}", why)


def _logs(text: str, seen: set[str] | None = None) -> list[str]:
    """The log files that a configuration names, also by way of what it includes: files, and directories of ``*.conf``."""
    if "lxc.log" not in text and "lxc.include" not in text:
        return []
    seen = set() if seen is None else seen
    logs: list[str] = []
    for key, value in _config_lines.parse(text):
        if key == "lxc.log.file" and value:
            logs.append(value)
        elif key == "lxc.include" and value:
            names = [value]
            if os.path.isdir(value):
                names = [os.path.join(value, name) for name in os.listdir(value) if name.endswith(".conf")]
            # Files may include each other.
            for file in [name for name in names if name not in seen]:
                seen.add(file)
                logs += _logs(_tree.read_text(file) or "", seen)
    return logs
