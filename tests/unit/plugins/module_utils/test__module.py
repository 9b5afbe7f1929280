# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module's files are loaded from the zip in which Ansible sends them, and what it logs."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _module
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import PACKAGE, python

PLUGINS = Path(_errors.__file__).parents[1]

LOADED = """
import builtins
original, names = builtins.compile, []
def compile(source, name, *rest, **more):
    names.append(name)
    return original(source, name, *rest, **more)
sys.path.insert(0, args[0])
sys.modules.pop("ansible_collections", None)
builtins.compile = compile
found = importlib.import_module(args[1])
file = importlib.import_module(args[2] + "._errors").__file__
print(json.dumps([[name for name in names if name.startswith(args[0])], found.__file__, file]))
"""


@pytest.mark.parametrize("name", ["lxc_task", "lxc_task_facts", "lxc_task_group", "lxc_task_stats"])
def test_a_file_is_compiled_once(tmp_path: Path, name: str) -> None:
    archive = str(tmp_path / "module.zip")
    place = Path("ansible_collections/nomadic/lxc/plugins")
    with zipfile.ZipFile(archive, "w") as packed:
        for package in (place / "modules", place / "module_utils"):
            for parent in (package, *package.parents):
                if parent != Path() and f"{parent}/__init__.py" not in packed.namelist():
                    packed.writestr(f"{parent}/__init__.py", "")
        for folder in ("modules", "module_utils"):
            for file in sorted((PLUGINS / folder).glob("[!_]*.py" if folder == "modules" else "*.py")):
                packed.write(file, place / folder / file.name)
    module = f"{PACKAGE.rpartition('.')[0]}.modules.{name}"
    compiled, itself, ours = python(LOADED, archive, module, PACKAGE)
    # Before this file is loaded, Python's own way holds, with the packages and the module.
    first = {"__init__", name, "_module", "_errors", "_text"}
    twice = {Path(file).stem for file, times in Counter(compiled).items() if times > 1}
    assert {"_select", "_options"} & {Path(file).stem for file in compiled}
    assert twice <= first
    assert [itself, ours] == [f"{archive}/{place}/modules/{name}.py", f"{archive}/{place}/module_utils/_errors.py"]


def test_the_log_gets_what_syslog_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _self, msg, _log_args=None: logged.append(msg))
    module = object.__new__(_module._Module)
    module.log("name=a\0b\udc80 \u00e9")
    assert logged == ["name=a\\0b\\udc80 \u00e9"]
    logged[0].encode("utf-8")
