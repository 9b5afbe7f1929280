# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real liblxc for tests. It runs under the system's Python, which has the binding, whatever runs the tests."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"

# Answers one question a line. It works in a folder of its own, and starts no container.
_SERVER = """
import json, os, sys
import _lxc
answers = os.fdopen(os.dup(1), "w")
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)
place = sys.argv[1]

def container(text):
    with open(os.path.join(place, "probe", "config"), "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return _lxc.Container("probe", place)

def read(of, key):
    try:
        return of.get_config_item(key)
    except KeyError:
        return None

def loaded(text, keys):
    try:
        return {key: read(container(text), key) for key in keys}
    except RuntimeError:
        return None

def taken(key, value, watched):
    probe = container("")
    probe.set_config_item("lxc.net.0.type", "empty")
    before = [read(probe, name) for name in watched]
    try:
        done = probe.set_config_item(key, value)
    except (KeyError, ValueError):
        done = False
    return [bool(done), before != [read(probe, name) for name in watched]]

def left_out(text, key, value):
    from ansible_collections.nomadic.lxc.plugins.module_utils import _starter_program
    probe = container(text)
    _starter_program._leave_out(probe, key, value)
    return read(probe, key)

for line in sys.stdin:
    name, arguments = json.loads(line)
    print(json.dumps({"loaded": loaded, "taken": taken, "left_out": left_out}[name](*arguments)), file=answers, flush=True)
"""


class Liblxc:
    """Questions to liblxc."""

    def __init__(self, place: Path) -> None:
        (place / "probe").mkdir()
        command = [SYSTEM_PYTHON, "-c", _SERVER, str(place)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, name: str, *arguments: t.Any) -> t.Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"liblxc ended with {self._process.wait()} at {arguments!r}; {SYSTEM_PYTHON} needs python3-lxc"
        return json.loads(answer)

    def loaded(self, text: str, keys: t.Sequence[str]) -> dict[str, str | None] | None:
        """What liblxc has for each key once it has loaded a configuration; None if it does not load it."""
        return t.cast(t.Optional[dict[str, t.Optional[str]]], self._ask("loaded", text, list(keys)))

    def taken(self, key: str, value: str, watched: t.Sequence[str]) -> tuple[bool, bool]:
        """Whether liblxc takes a key and value, and whether that changes any of the watched keys."""
        done, changed = self._ask("taken", key, value, list(watched))
        return done, changed

    def left_out(self, text: str, key: str, value: str) -> str:
        """What liblxc has for a key once we have left a value out of the configuration."""
        return t.cast(str, self._ask("left_out", text, key, value))

    def close(self) -> None:
        """End it."""
        self._process.communicate()
