# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a host for its tasks, by one command: a Python that has LXC's binding reads a program from its stdin.

The program is the module lxc_task_facts without Ansible: the files of module_utils that it needs, and a few lines that
import them from memory. Nothing is written on the host, and nothing of Ansible need be there.
"""

from __future__ import annotations

import ast
import base64
import functools
import json
import secrets
import shlex
import typing as t
import zlib
from pathlib import Path

from ansible_collections.nomadic.lxc.plugins.module_utils import _facts
from ansible_collections.nomadic.lxc.plugins.plugin_utils._attach import printable

PACKAGE = "ansible_collections.nomadic.lxc.plugins.module_utils"
# The Pythons that are tried, in this order. A virtual environment's comes first on PATH, and may lack the binding. They are
# isolated (-I): what is called lxc in the working directory is not meant.
PYTHONS = ("python3", "/usr/bin/python3", "/usr/local/bin/python3", "/usr/libexec/platform-python")
NO_BINDING = 45

_START = f"""\
for p in {" ".join(PYTHONS)}; do
  if "$p" -I -c 'import lxc' </dev/null >/dev/null 2>&1; then exec "$p" -I -; fi
done
exit {NO_BINDING}
"""

_PROGRAM = """\
import base64, importlib.abc, importlib.util, json, os, sys, zlib

FILES = json.loads(zlib.decompress(base64.b64decode({files!r})))

class Memory(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in FILES:
            return importlib.util.spec_from_loader(name, self, is_package=FILES[name] is None)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        if FILES[module.__name__] is not None:
            exec(compile(FILES[module.__name__], module.__name__, "exec"), module.__dict__)

def answer():
    if sys.version_info < (3, 9):
        return {{"error": "its Python with LXC's binding is older than 3.9"}}
    if os.geteuid() != 0:
        return {{"error": "LXC tasks are root's, and this is another user: set ansible_become for the host"}}
    sys.meta_path.insert(0, Memory())
    from {package} import _errors, _facts
    try:
        found = _facts.facts(json.loads({params!r}), False)
    except _errors.LxcTaskError as error:
        return {{"error": str(error)}}
    return {{"tasks": found["tasks"], "warnings": found["warnings"]}}

print("\\n" + {mark!r} + json.dumps(answer()))
"""


class AskError(Exception):
    """A host gave no answer that could be read; the message says why."""


def command_line() -> str:
    """The command of the host's shell that runs what it reads in a Python with LXC's binding."""
    return shlex.join(["/bin/sh", "-c", _START])


def program(params: t.Mapping[str, t.Any], mark: str) -> bytes:
    """A Python program that prints the answer behind a mark. ``params``: those of lxc_task_facts that are not the default."""
    asked = {name: row.get("default") for name, row in _facts.ARGUMENT_SPEC.items()}
    asked.update({name: value for name, value in params.items() if value is not None})
    return _PROGRAM.format(files=_files(), package=PACKAGE, params=json.dumps(asked), mark=mark).encode()


def new_mark() -> str:
    """What precedes an answer, and nothing else that a host may print."""
    return f"lxc_tasks-{secrets.token_hex(12)} "


def read(mark: str, code: int, stdout: bytes, stderr: bytes) -> tuple[list[dict[str, t.Any]], list[str]]:
    """The tasks and warnings of an answer. Raises AskError."""
    if code == NO_BINDING:
        raise AskError("it has no Python with LXC's binding: install the package python3-lxc")
    _before, found, after = stdout.decode("utf-8", "replace").partition(f"\n{mark}")
    if not found:
        raise AskError(
            f"its Python ended with {code}: {printable(stderr.decode('utf-8', 'replace')) or 'it said nothing'}"
        )
    try:
        answer = json.loads(after.split("\n")[0])
    except ValueError as error:
        raise AskError("its answer was cut short") from error
    if "error" in answer:
        raise AskError(str(answer["error"]))
    return answer["tasks"], answer["warnings"]


@functools.lru_cache(maxsize=1)
def _files() -> str:
    """The files of module_utils that the module's logic needs, by their full names: JSON, packed; null for a package."""
    place = Path(str(_facts.__file__)).parent
    parts = PACKAGE.split(".")
    files: dict[str, str | None] = {".".join(parts[: number + 1]): None for number in range(len(parts))}
    wanted = ["_facts"]
    while wanted:
        name = wanted.pop()
        if f"{PACKAGE}.{name}" not in files:
            source = (place / f"{name}.py").read_text(encoding="utf-8")
            files[f"{PACKAGE}.{name}"] = source
            wanted.extend(_imported(source))
    return base64.b64encode(zlib.compress(json.dumps(files).encode())).decode()


def _imported(source: str) -> t.Iterator[str]:
    """The names of the files of module_utils that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            yield from (it.name for it in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{PACKAGE}."):
            yield node.module[len(PACKAGE) + 1 :]
