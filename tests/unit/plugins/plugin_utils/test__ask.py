# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question to a host: a program that carries all that it needs, and what its answer says."""

from __future__ import annotations

import ast
import base64
import json
import subprocess
import sys
import typing as t
import zlib
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.plugin_utils import _ask

MARK = "lxc_tasks-mark "
# The one that has LXC's binding, where the role lxc_host has prepared this host.
SYSTEM_PYTHON = "/usr/bin/python3"


def ask(place: Path, **params: t.Any) -> tuple[list[dict[str, t.Any]], list[str]]:
    """What this host answers, by the whole command, with nothing of Ansible or of this collection in reach."""
    done = subprocess.run(
        ["/bin/sh", "-c", _ask.command_line()],
        input=_ask.program(params, MARK),
        capture_output=True,
        cwd=place,
        env={"PATH": "/usr/bin:/bin", "PYTHONNOUSERSITE": "1"},
        check=False,
        timeout=60,
    )
    return _ask.read(MARK, done.returncode, done.stdout, done.stderr)


def files() -> dict[str, str | None]:
    return t.cast("dict[str, str | None]", json.loads(zlib.decompress(base64.b64decode(_ask._files()))))


def test_a_host_without_tasks_says_so(tmp_path: Path) -> None:
    assert ask(tmp_path, lxc_path=str(tmp_path)) == ([], [])


def test_what_has_the_name_of_the_binding_where_one_is_is_not_meant(tmp_path: Path) -> None:
    (tmp_path / "lxc.py").write_text("raise SystemExit('not this one')")
    assert ask(tmp_path, lxc_path=str(tmp_path)) == ([], [])


def test_what_the_module_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(_ask.AskError, match="lxc_path"):
        ask(tmp_path, lxc_path="../x")


def test_the_program_writes_nothing(tmp_path: Path) -> None:
    ask(tmp_path, lxc_path=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_program_carries_what_it_imports_and_nothing_of_ansible() -> None:
    found = files()
    assert f"{_ask.PACKAGE}._facts" in found
    for name, source in found.items():
        for node in ast.walk(ast.parse(source or "")):
            wanted = [node.module] if isinstance(node, ast.ImportFrom) else []
            wanted += [it.name for it in node.names] if isinstance(node, ast.Import) else []
            for module in wanted:
                assert module is not None, f"{name} has a relative import"
                top = module.split(".")[0]
                assert module in found or top in sys.stdlib_module_names | {"lxc", "_lxc"}, f"{name} imports {module}"


def test_the_files_of_the_program_are_those_of_the_checkout() -> None:
    place = Path(_ask.__file__).parents[1] / "module_utils"
    for name, source in files().items():
        if source is not None:
            assert source == (place / f"{name.rpartition('.')[2]}.py").read_text(encoding="utf-8")


def test_a_host_without_the_binding_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    line = _ask.command_line().replace(" ".join(_ask.PYTHONS), f"{tmp_path}/python3 {tmp_path}/nothing")
    done = subprocess.run(["/bin/sh", "-c", line], input=b"x", capture_output=True, check=False)
    with pytest.raises(_ask.AskError, match="python3-lxc"):
        _ask.read(MARK, done.returncode, done.stdout, done.stderr)


def test_a_python_without_the_binding_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    line = _ask.command_line().replace(" ".join(_ask.PYTHONS), f"{tmp_path}/python3 {SYSTEM_PYTHON}")
    program = _ask.program({"lxc_path": str(tmp_path)}, MARK)
    done = subprocess.run(["/bin/sh", "-c", line], input=program, capture_output=True, check=False)
    assert _ask.read(MARK, done.returncode, done.stdout, done.stderr) == ([], [])


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "message"),
    [
        (1, "", "Traceback:\n  \x1b[1mbad", r"ended with 1: Traceback:; \\x1b\[1mbad"),
        (0, "", "", "ended with 0: it said nothing"),
        (0, f"motd\n{MARK}" + '{"tasks": [', "", "cut short"),
        (0, f"\n{MARK}" + '{"error": "not root"}\n', "", "^not root$"),
        (0, f"x{MARK}" + '{"tasks": [], "warnings": []}\n', "", "it said nothing"),
    ],
)
def test_what_is_no_answer_is_an_error(code: int, stdout: str, stderr: str, message: str) -> None:
    with pytest.raises(_ask.AskError, match=message):
        _ask.read(MARK, code, stdout.encode(), stderr.encode())


def test_what_else_a_host_prints_does_not_matter() -> None:
    stdout = f"Welcome!\n\n{MARK}" + '{"tasks": [{"name": "web"}], "warnings": ["w"]}\nbye\n'
    assert _ask.read(MARK, 0, stdout.encode(), b"noise") == ([{"name": "web"}], ["w"])
