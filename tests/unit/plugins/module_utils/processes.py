# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other processes for tests: ones that live for a while, and Python in namespaces of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors

# The folder that holds ansible_collections.
ROOT = Path(_errors.__file__).parents[5]
PACKAGE = "ansible_collections.nomadic.lxc.plugins.module_utils"
PATIENCE = 20.0


def python(script: str, *args: str, prefix: t.Sequence[str] = ()) -> t.Any:
    """Run a script in another Python, by the command ``prefix``; returns the JSON that it prints.

    In the script, ``args`` are its arguments and ``module(name)`` is a module of ours.
    """
    begin = (
        "import importlib, json, os, sys\n"
        "args = sys.argv[1:]\n"
        f"module = lambda name: importlib.import_module('{PACKAGE}.' + name)\n"
    )
    # Ansible and voluptuous may be where only PYTHONPATH says.
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*prefix, sys.executable, "-c", begin + script, *args]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def with_own_mounts(script: str, *args: str) -> t.Any:
    """Run a script where its mounts are seen by itself alone, and go with it."""
    return python(script, *args, prefix=["unshare", "--mount", "--propagation", "private"])


def until(true: t.Callable[[], t.Any]) -> None:
    """Wait until something is true; an error if it does not become so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def linger(ended: Path) -> None:
    """Wait for a signal that ends this; the file is there if none did."""
    # One that comes just before a wait is heard at its end.
    for _second in range(60):
        time.sleep(1)
    ended.touch()


def children(pid: int | None = None) -> list[str]:
    """The pids of a process's children; of the test's own, where none is named."""
    number = os.getpid() if pid is None else pid
    return Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii").split()
