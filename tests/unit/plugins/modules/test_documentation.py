# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what the argument specs say, and its examples are valid calls."""

from __future__ import annotations

import ast
import re
import shlex
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nomadic.lxc.plugins.module_utils import _facts, _sampling
from ansible_collections.nomadic.lxc.plugins.module_utils._group import GROUP_SPEC
from ansible_collections.nomadic.lxc.plugins.module_utils._policy import POLICY
from ansible_collections.nomadic.lxc.plugins.module_utils._report import task_dict
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import ARGUMENT_SPEC
from ansible_collections.nomadic.lxc.plugins.module_utils._view import TaskView

COLLECTION = Path(__file__).resolve().parents[4]
PREFIX = "nomadic.lxc."
GROUP = "group/nomadic.lxc.lxc"

# The argument spec of each module. A module that is missing here fails test_every_module_is_covered.
SPECS: dict[str, dict[str, t.Any]] = {
    "lxc_task": ARGUMENT_SPEC,
    "lxc_task_facts": _facts.ARGUMENT_SPEC,
    "lxc_task_group": GROUP_SPEC,
    "lxc_task_stats": _sampling.ARGUMENT_SPEC,
}

# What a doc option and an argument spec row have in common, with the value that a missing key stands for.
COMPARED: dict[str, t.Any] = {
    "type": "str",
    "required": False,
    "default": None,
    "choices": None,
    "elements": None,
    "aliases": [],
}

Call = tuple[str, dict[str, t.Any]]


def constants(path: Path, inside: str | None = None) -> dict[str, str]:
    """The string constants that a Python file assigns at its top, or in its class ``inside``; nothing is imported."""
    body: t.Sequence[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
    if inside is not None:
        body = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == inside).body
    return {
        node.targets[0].id: node.value.value
        for node in body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def fragment(name: str) -> dict[str, t.Any]:
    """The documentation fragment ``nomadic.lxc.FILE`` or ``nomadic.lxc.FILE.SECTION``, as a dict."""
    assert name.startswith(PREFIX), f"{name} is not a fragment of this collection"
    file, _dot, section = name[len(PREFIX) :].partition(".")
    path = COLLECTION / "plugins" / "doc_fragments" / f"{file}.py"
    content: dict[str, t.Any] = yaml.safe_load(
        constants(path, "ModuleDocFragment")[(section or "documentation").upper()]
    )
    return content


def documentation(module: str) -> dict[str, t.Any]:
    """A module's documentation with the options and attributes of its fragments merged in, its own first."""
    doc: dict[str, t.Any] = yaml.safe_load(constants(module_file(module))["DOCUMENTATION"])
    for name in doc.get("extends_documentation_fragment", []):
        part = fragment(name)
        twice = set(doc["options"]) & set(part.get("options", {}))
        assert not twice, f"{name} documents {sorted(twice)} again"
        doc["options"].update(part.get("options", {}))
        for key, value in part.get("attributes", {}).items():
            doc["attributes"][key] = {**value, **doc["attributes"].get(key, {})}
    return doc


def module_file(module: str) -> Path:
    return COLLECTION / "plugins" / "modules" / f"{module}.py"


def canonical(options: t.Mapping[str, t.Any], nested: str) -> dict[str, t.Any]:
    """Options of a documentation (``nested='suboptions'``) or a spec (``nested='options'``) in one comparable form."""
    form: dict[str, t.Any] = {}
    for name, row in options.items():
        # repr keeps True apart from 1, and "30" from 30.
        form[name] = {key: repr(row.get(key, missing)) for key, missing in COMPARED.items() if key != "choices"}
        form[name]["choices"] = None if row.get("choices") is None else list(row["choices"])
        if row.get(nested):
            form[name]["suboptions"] = canonical(row[nested], nested)
    return form


def calls(tree: t.Any, defaults: t.Mapping[str, t.Any] | None = None) -> t.Iterator[Call]:
    """Every use of a module of this collection in parsed YAML, at any depth: plays, blocks, lists of tasks.

    ``module_defaults`` of the group come as a use of ``GROUP``, and are merged into the uses that they surround.
    """
    if isinstance(tree, list):
        for item in tree:
            yield from calls(item, defaults)
    elif isinstance(tree, dict):
        given = tree.get("module_defaults", {})
        yield from given.items()
        inner = {**(defaults or {}), **given.get(GROUP, {})}
        for key, value in tree.items():
            if isinstance(key, str) and key.startswith(PREFIX) and isinstance(value, dict):
                yield key[len(PREFIX) :], {**inner, **value}
            elif key != "module_defaults":
                yield from calls(value, inner)


def ad_hoc(text: str) -> t.Iterator[Call]:
    """Every ad-hoc use, ``ansible HOST -m nomadic.lxc.MODULE -a "key=value ..."``, in a text."""
    for module, arguments in re.findall(r"ansible \S+ (?:-b )?-m nomadic\.lxc\.(\w+) -a \"([^\"\n]*)\"", text):
        yield module, dict(word.split("=", 1) for word in shlex.split(arguments))


def faults(shown: t.Iterable[Call]) -> list[str]:
    """What Ansible says against the options of uses; a group's defaults are held against every module's spec."""
    found = []
    for module, options in shown:
        if module != GROUP and module not in SPECS:
            found.append(f"{module}: no such module")
            continue
        for name in sorted(SPECS) if module == GROUP else [module]:
            # A default of the group need not be a whole call.
            needed: dict[str, t.Any] = {
                key: [] for key, row in SPECS[name].items() if row.get("required") and module == GROUP
            }
            messages = ArgumentSpecValidator(SPECS[name]).validate({**needed, **options}).error_messages
            found.extend(f"{module} {dict(options)}: {message}" for message in messages)
    return found


def example_calls(module: str) -> list[Call]:
    return list(calls(yaml.safe_load(constants(module_file(module))["EXAMPLES"])))


def readme() -> str:
    return (COLLECTION / "README.md").read_text(encoding="utf-8")


def readme_calls() -> list[Call]:
    blocks = re.findall(r"^```ya?ml\n(.*?)^```", readme(), flags=re.DOTALL | re.MULTILINE)
    return [call for block in blocks for call in calls(yaml.safe_load(block))]


def test_every_module_is_covered() -> None:
    files = {path.stem for path in (COLLECTION / "plugins" / "modules").glob("*.py")} - {"__init__"}
    assert files == set(SPECS)


@pytest.mark.parametrize("module", sorted(SPECS))
def test_options_are_those_of_the_argument_spec(module: str) -> None:
    assert canonical(documentation(module)["options"], "suboptions") == canonical(SPECS[module], "options")


@pytest.mark.parametrize("module", sorted(SPECS))
def test_every_option_states_its_type_and_meaning(module: str) -> None:
    def check(options: t.Mapping[str, t.Any], where: str) -> None:
        for name, row in options.items():
            assert row.get("type"), f"{where}{name} has no type"
            assert row.get("description"), f"{where}{name} has no description"
            assert (row["type"] == "list") == ("elements" in row), f"{where}{name}: elements are a list's"
            check(row.get("suboptions", {}), f"{where}{name}.")

    check(documentation(module)["options"], "")


@pytest.mark.parametrize("module", sorted(SPECS))
def test_every_return_value_states_its_type_and_meaning(module: str) -> None:
    def check(values: t.Mapping[str, t.Any], where: str) -> None:
        for name, row in values.items():
            assert row.get("type"), f"{where}{name} has no type"
            assert row.get("description"), f"{where}{name} has no description"
            assert "contains" in row or "sample" in row or row["type"] == "dict", f"{where}{name} has no sample"
            check(row.get("contains", {}), f"{where}{name}.")

    values = yaml.safe_load(constants(module_file(module))["RETURN"])
    assert all(row.get("returned") for row in values.values())
    check(values, "")


def test_the_documented_task_has_the_keys_of_the_serialized_one() -> None:
    view = TaskView(
        name="web",
        alloc_id=None,
        container_name="web",
        lxc_path="/var/lib/lxc",
        state="stopped",
        init=None,
        layout=None,
        lines=[("lxc.mount.entry", "/srv srv none ro,bind,create=dir 0 0")],
        memory_mb=None,
        cpu_shares=None,
        kill_timeout=1,
        cgroup_version=None,
        created_at=None,
    )
    task = task_dict(view)
    documented = yaml.safe_load(constants(module_file("lxc_task"))["RETURN"])["task"]["contains"]
    assert set(documented) == set(task)
    assert set(documented["dirs"]["contains"]) == set(task["dirs"])
    assert {tuple(sorted(row)) for row in documented["mounts"]["sample"]} == {tuple(sorted(task["mounts"][0]))}


@pytest.mark.parametrize("module", sorted(SPECS))
def test_every_policy_option_is_documented_and_accepted(module: str) -> None:
    assert set(fragment("nomadic.lxc.policy")["options"]) == set(POLICY)
    assert set(POLICY) <= set(SPECS[module])


@pytest.mark.parametrize("module", sorted(SPECS))
def test_attributes_are_complete_and_the_action_group_is_real(module: str) -> None:
    attributes = documentation(module)["attributes"]
    assert {"check_mode", "diff_mode", "platform", "action_group"} <= set(attributes)
    assert [name for name, row in attributes.items() if not (row.get("support") and row.get("description"))] == []
    assert attributes["action_group"]["membership"] == ["nomadic.lxc.lxc"]
    runtime = yaml.safe_load((COLLECTION / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert module in [name.rpartition(".")[2] for name in runtime["action_groups"]["lxc"]]


@pytest.mark.parametrize("module", sorted(SPECS))
def test_examples_are_valid_calls(module: str) -> None:
    shown = example_calls(module)
    assert module in {name for name, _options in shown}
    assert faults(shown) == []
    assert faults(ad_hoc(constants(module_file(module))["EXAMPLES"])) == []


def test_readme_shows_valid_calls() -> None:
    shown, lines = readme_calls(), list(ad_hoc(readme()))
    assert {"lxc_task", GROUP} <= {name for name, _options in shown}
    assert lines, "the README shows no ad-hoc line"
    assert faults(shown) + faults(lines) == []


def test_shown_declarations_stay_off_host_networking() -> None:
    """Ad-hoc lines aside, nothing that a user may copy puts a task on the host's own network."""
    shown = example_calls("lxc_task") + readme_calls()
    declared = [options for name, options in shown if name == GROUP or "template" in options]
    assert declared
    assert [options for options in declared if options.get("network_mode") not in ("bridge", "empty")] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{nomadic.lxc.lxc_task: {name: web, templat: busybox}}]", "templat"),
        ("[{block: [{nomadic.lxc.lxc_task: {name: web, state: up}}]}]", "state"),
        ("[{nomadic.lxc.lxc_task: {name: web, memory_mb: much}}]", "memory_mb"),
        ("[{nomadic.lxc.lxc_task: {name: web, mounts: [{source: /srv}]}}]", "target"),
        ("[{module_defaults: {group/nomadic.lxc.lxc: {volumes: maybe, nonsense: 1}}}]", "nonsense"),
        ("[{hosts: all, tasks: [{nomadic.lxc.lxc_tusk: {name: web}}]}]", "lxc_tusk"),
    ],
)
def test_the_check_of_calls_finds_faults(text: str, message: str) -> None:
    assert any(message in fault for fault in faults(calls(yaml.safe_load(text))))
