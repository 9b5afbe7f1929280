# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module's files are loaded from the zip in which Ansible sends them, and what is kept for the next time."""

from __future__ import annotations

import marshal
import os
import stat
import typing as t
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _errors
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import PACKAGE, python

PLUGINS = Path(_errors.__file__).parents[1]
PLACE = Path("ansible_collections/nomadic/lxc/plugins")
# Packages, the module, and what has others loaded quickly: for these Python's own way holds, which compiles each twice.
FIRST = {"__init__", "lxc_task", "_bytecode"}

LOAD = """
import builtins
original, names = builtins.compile, []
def compile(source, name, *rest, **more):
    names.append(name)
    return original(source, name, *rest, **more)
archive, keep, name, package = args
sys.path.insert(0, archive)
sys.modules.pop("ansible_collections", None)
builtins.compile = compile
importlib.import_module(package + "._bytecode").DIRECTORY = keep
itself = importlib.import_module(package.rpartition(".")[0] + ".modules." + name).__file__
errors = importlib.import_module(package + "._errors")
print(json.dumps([[name for name in names if "nomadic/lxc" in name], itself, errors.__file__, errors.__doc__]))
"""


class Packed:
    """All modules in a zip, and a folder for what is kept of them."""

    def __init__(self, root: Path) -> None:
        self.archive = root / "module.zip"
        self.keep = root / "kept"
        self.pack()

    def pack(self, **instead: str) -> None:
        """Make the zip. ``instead``: other texts, by the name of a file."""
        with zipfile.ZipFile(self.archive, "w") as packed:
            for package in (PLACE / "modules", PLACE / "module_utils"):
                for parent in (package, *package.parents):
                    if parent != Path() and f"{parent}/__init__.py" not in packed.namelist():
                        packed.writestr(f"{parent}/__init__.py", "")
            for folder in ("modules", "module_utils"):
                for file in sorted((PLUGINS / folder).glob("[!_]*.py" if folder == "modules" else "*.py")):
                    text = instead.get(file.stem, file.read_text(encoding="utf-8"))
                    packed.writestr(str(PLACE / folder / file.name), text)

    def load(self, name: str = "lxc_task", prefix: t.Sequence[str] = ()) -> Counter[str]:
        """Load a module; which of our files were compiled, and how often."""
        compiled, itself, file, self.words = python(
            LOAD, str(self.archive), str(self.keep), name, PACKAGE, prefix=prefix
        )
        assert itself == f"{self.archive}/{PLACE}/modules/{name}.py"
        assert file == f"{self.archive}/{PLACE}/module_utils/_errors.py"
        return Counter(Path(file).stem for file in compiled)

    def kept(self, name: str) -> Path:
        """The file that is kept of one of ours."""
        (found,) = self.keep.glob(f"{name}.*.code")
        return found


@pytest.fixture(name="packed")
def make_packed(tmp_path: Path) -> Packed:
    return Packed(tmp_path)


@pytest.mark.parametrize("name", ["lxc_task", "lxc_task_facts", "lxc_task_group", "lxc_task_stats"])
def test_a_file_is_compiled_once_and_then_no_more(packed: Packed, name: str) -> None:
    first, compiled = {*FIRST, name}, packed.load(name)
    assert {"_select", "_options"} & set(compiled)
    assert {file for file, times in compiled.items() if times > 1} <= first
    assert {file.name.partition(".")[0] for file in packed.keep.iterdir()} == set(compiled) - first
    assert stat.S_IMODE(packed.keep.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in packed.keep.iterdir()} == {0o600}
    assert set(packed.load(name)) <= first


@pytest.mark.parametrize(("words", "instead_of"), [("Changed. ", 0), ("***", 3)])
def test_a_file_that_has_changed_is_compiled_again(packed: Packed, words: str, instead_of: int) -> None:
    """Also one that has the size that it had."""
    packed.load()
    former, changed = packed.words, words + packed.words[instead_of:]
    errors = (PLUGINS / "module_utils" / "_errors.py").read_text(encoding="utf-8")
    packed.pack(_errors=errors.replace(f'"""{former}', f'"""{changed}', 1))
    assert set(packed.load()) - FIRST == {"_errors"}
    assert packed.words == changed
    assert not set(packed.load()) - FIRST


@pytest.mark.parametrize(
    "broken",
    [
        lambda kept: b"",
        lambda kept: kept[:20],
        lambda kept: kept[:-20],
        lambda kept: kept[:-20] + bytes(20),
        lambda kept: kept[:20] + b"?" * 100,
        lambda kept: kept[:20] + marshal.dumps("no code"),
        lambda kept: kept[:-1] + bytes([kept[-1] ^ 1]),
        lambda kept: b"\0" * 4 + kept[4:],
    ],
)
def test_what_is_of_no_use_is_replaced(packed: Packed, broken: t.Callable[[bytes], bytes]) -> None:
    packed.load()
    file = packed.kept("_errors")
    file.write_bytes(broken(file.read_bytes()))
    assert set(packed.load()) - FIRST == {"_errors"}
    assert not set(packed.load()) - FIRST


def test_a_draft_that_was_left_is_in_nobodys_way_for_long(packed: Packed) -> None:
    packed.load()
    file = packed.kept("_errors")
    file.unlink()
    draft = file.with_name(f"{file.name}.new")
    draft.touch()
    assert set(packed.load()) - FIRST == {"_errors"}
    assert not draft.exists()
    assert set(packed.load()) - FIRST == {"_errors"}
    assert not set(packed.load()) - FIRST


def test_what_somebody_else_could_have_put_there_is_not_run(packed: Packed) -> None:
    packed.load()
    packed.kept("_errors").write_bytes(b"theirs")
    for mode, owner in ((0o777, 0), (0o700, 12345)):
        packed.keep.chmod(mode)
        os.chown(packed.keep, owner, 0)
        assert {"_errors", "_options"} <= set(packed.load())
        assert packed.kept("_errors").read_bytes() == b"theirs"


def test_of_a_link_no_use_is_made(packed: Packed, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    packed.keep.symlink_to(tmp_path / "target")
    assert "_errors" in packed.load()
    assert list((tmp_path / "target").iterdir()) == []


def test_it_loads_where_nothing_can_be_kept(packed: Packed, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    packed.keep = tmp_path / "file" / "kept"
    assert packed.load()["_errors"] == 1
    packed.keep = tmp_path / "file"
    assert packed.load()["_errors"] == 1


def test_another_user_keeps_nothing(packed: Packed, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    user = ["unshare", "--user", "--map-user=12345"]
    assert packed.load(prefix=user)["_errors"] == 1
    assert not packed.keep.exists()
