# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection has is whole: each part is documented, shown, tested, and in the README; options agree wherever they stand.

That a module's documentation agrees with its argument spec, and that its examples are valid, is in
``plugins/modules/test_documentation.py``. That each has a page in the documentation site is in the lane ``docs``, which builds it,
and that each example works in the lane ``examples``.
"""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.nomadic.lxc.plugins.module_utils import _facts, _group, _sampling
from ansible_collections.nomadic.lxc.plugins.module_utils._options import OPTIONS
from ansible_collections.nomadic.lxc.plugins.module_utils._rules import schema
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import ARGUMENT_SPEC, validate

COLLECTION = Path(__file__).resolve().parents[2]


# The public interface: each module's options with their defaults. What is taken away, or gets another
# default, breaks somebody's tasks.
POLICY: dict[str, t.Any] = {
    "lxc_path": None,
    "alloc_dir": "/var/lib/nomadic-lxc/alloc",
    "volumes_enabled": True,
    "max_kill_timeout": "30s",
    "network_mode": "host",
    "network_link": "lxcbr0",
    "host_network_admin": False,
    "default_config": None,
}
SELECTION = dict.fromkeys(("name", "alloc_id", "handle"))
TASK: dict[str, t.Any] = {
    **SELECTION,
    **POLICY,
    "state": "started",
    **dict.fromkeys(("template", "distro", "release", "arch", "image_variant", "image_server", "gpg_key_id")),
    **dict.fromkeys(("gpg_key_server", "template_args", "volumes", "mounts", "devices", "memory_mb", "cpu_shares")),
    **dict.fromkeys(("kill_timeout", "hostname", "init", "environment", "lxc_config", "idmap_base")),
    **dict.fromkeys(("disable_gpg", "flush_cache", "force_cache", "autostart", "purge", "unprivileged"), False),
    "log_level": "error",
    "verbosity": "quiet",
    "recreate": "never",
    "restart_on_change": True,
    "backing_store": "dir",
    "idmap_size": 65536,
}
INTERFACE = [
    pytest.param(ARGUMENT_SPEC, TASK, id="lxc_task"),
    pytest.param(
        _group.GROUP_SPEC,
        {
            **{name: default for name, default in TASK.items() if name not in ("name", "handle")},
            "tasks": None,
            "parallel": None,
            "exclusive": False,
            "prune_images": False,
        },
        id="lxc_task_group",
    ),
    pytest.param(
        _facts.ARGUMENT_SPEC,
        {**SELECTION, **POLICY, "driver_enabled": True, "wait": None, "timeout": "60s"},
        id="lxc_task_facts",
    ),
    pytest.param(
        _sampling.ARGUMENT_SPEC, {**SELECTION, **POLICY, "interval": "1s", "textfile": None}, id="lxc_task_stats"
    ),
]


def _public(pattern: str) -> list[Path]:
    return sorted(path for path in COLLECTION.glob(pattern) if not path.name.startswith("_"))


PLUGINS = _public("plugins/modules/*.py") + _public("plugins/connection/*.py") + _public("plugins/inventory/*.py")
ROLES = _public("roles/*")
PLAYBOOKS = _public("playbooks/*.yml")

KINDS = {"modules": "module", "connection": "connection plugin", "inventory": "inventory plugin"}
PARTS = [
    *((path.stem, KINDS[path.parent.name]) for path in PLUGINS),
    *((path.name, "role") for path in ROLES),
    *((path.stem, "playbook") for path in PLAYBOOKS),
]


def _text(path: str) -> str:
    return (COLLECTION / path).read_text(encoding="utf-8")


def _loaded(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _blocks(path: Path) -> dict[str, t.Any]:
    """DOCUMENTATION, EXAMPLES and RETURN of a plugin, as they are loaded; a file of several documents is a list."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            try:
                text = ast.literal_eval(node.value)
            except ValueError:
                continue
            if isinstance(text, str):
                found[node.targets[0].id] = [part for part in yaml.safe_load_all(text) if part is not None]
    return found


def _tests_of_containers() -> dict[str, str]:
    """The text of every test that runs on real containers, by its path."""
    patterns = ("tests/integration/targets/**/*.yml", "extensions/molecule/**/*.yml", "scripts/*", "tests/debian13/*")
    files = [path for pattern in patterns for path in COLLECTION.glob(pattern) if path.is_file()]
    return {path.relative_to(COLLECTION).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_there_is_something_to_look_at() -> None:
    assert {kind for _name, kind in PARTS} == {*KINDS.values(), "role", "playbook"}


@pytest.mark.parametrize(("name", "kind"), PARTS)
def test_the_readme_has_a_row(name: str, kind: str) -> None:
    rows = re.findall(rf"^\| `nomadic\.lxc\.{name}` \| ([^|]+) \| [^|]{{20,}} \|$", _text("README.md"), re.MULTILINE)
    assert rows == [kind]


def test_the_readme_has_no_row_of_what_is_not_there() -> None:
    rows = re.findall(r"^\| `nomadic\.lxc\.(\w+)` \| ([^|]+) \|", _text("README.md"), re.MULTILINE)
    assert set(rows) == set(PARTS)


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_a_plugin_is_documented_and_shown(path: Path) -> None:
    blocks = _blocks(path)
    (documentation,) = blocks["DOCUMENTATION"]
    assert documentation.get("module", documentation.get("name")) == path.stem
    assert documentation["short_description"] and documentation["description"] and documentation["version_added"]
    assert blocks["EXAMPLES"]
    assert path.parent.name != "modules" or blocks["RETURN"]


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_a_plugin_has_an_integration_target_that_uses_it(path: Path) -> None:
    targets = [target for target in _public("tests/integration/targets/*") if target.name.startswith(path.stem)]
    used = [
        file
        for target in targets
        for file in target.rglob("*")
        if file.is_file() and re.search(rf"\bnomadic\.lxc\.{path.stem}\b", file.read_text("utf-8", "replace"))
    ]
    assert used


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_is_run_by_a_test(path: Path) -> None:
    pattern = re.compile(rf"\bnomadic\.lxc\.{path.stem}\b")
    assert [name for name, text in _tests_of_containers().items() if pattern.search(text)]


@pytest.mark.parametrize(
    "path", [path for path in PLUGINS if path.parent.name != "modules"], ids=lambda path: path.stem
)
def test_a_plugin_documents_the_options_that_it_reads(path: Path) -> None:
    (documentation,) = _blocks(path)["DOCUMENTATION"]
    options = dict(documentation["options"])
    read = set(re.findall(r"self\.get_option\(\"(\w+)\"\)", path.read_text(encoding="utf-8")))
    # Those of a fragment of Ansible's own.
    read -= {"cache", "strict", "compose", "groups", "keyed_groups"} if path.parent.name == "inventory" else set()
    # Ansible itself reads these: which plugin it is, and how modules are sent.
    assert read == set(options) - {"plugin", "pipelining"}
    for name, row in options.items():
        assert row.get("type") and row.get("description"), name
        assert path.parent.name == "inventory" or row.get("vars"), f"{name} has no variable"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_says_its_options_everywhere_alike(role: Path) -> None:
    defaults = _loaded(role / "defaults/main.yml")
    options = _loaded(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    rows = re.findall(
        r"^\| `(\w+)` \| `(.*?)` \| .{10,} \|$", (role / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {name: row["default"] for name, row in options.items()} == defaults
    assert {name: yaml.safe_load(default) for name, default in rows} == defaults
    assert all(row.get("type") and row.get("description") for row in options.values())


@pytest.mark.parametrize(("spec", "options"), INTERFACE)
def test_a_module_has_the_options_of_its_interface(
    spec: dict[str, dict[str, t.Any]], options: dict[str, t.Any]
) -> None:
    assert {name: argument.get("default") for name, argument in spec.items()} == options


def test_every_option_has_a_rule_in_the_schema() -> None:
    assert {str(name) for name in schema().schema} == set(ARGUMENT_SPEC) == {option.name for option in OPTIONS}


def test_what_is_left_out_is_what_the_documented_default_says() -> None:
    (documentation,) = _blocks(COLLECTION / "plugins/modules/lxc_task.py")["DOCUMENTATION"]
    policy = yaml.safe_load(
        re.findall(r'DOCUMENTATION = r"""(.*?)"""', _text("plugins/doc_fragments/policy.py"), re.DOTALL)[0]
    )
    options = {**documentation["options"], **policy["options"]}
    given = {name: row["default"] for name, row in options.items() if "default" in row}
    assert {name: ARGUMENT_SPEC[name].get("default") for name in given} == given
    assert validate(given) == validate({})
    assert validate({})[1] == []


@pytest.mark.parametrize("name", sorted(ARGUMENT_SPEC))
def test_the_schema_takes_each_choice_and_each_default(name: str) -> None:
    argument = ARGUMENT_SPEC[name]
    values = [*argument.get("choices", []), *([argument["default"]] if "default" in argument else [])]
    assert [validate({name: value})[1] for value in values] == [[] for _value in values]


def test_every_guide_is_in_the_table_of_contents() -> None:
    sections = _loaded(COLLECTION / "docs/docsite/extra-docs.yml")["sections"]
    listed = [page for section in sections for page in section["toctree"]]
    assert sorted(listed) == [path.stem for path in _public("docs/docsite/rst/*.rst")]


def test_every_module_is_in_a_guide() -> None:
    guides = "".join(path.read_text(encoding="utf-8") for path in _public("docs/docsite/rst/*.rst"))
    named = [f"nomadic.lxc.{path.stem}" for path in PLUGINS] + [f"nomadic.lxc.{path.name}" for path in ROLES]
    assert [name for name in named if not re.search(rf"\b{re.escape(name)}\b", guides)] == []


def test_the_execution_environment_names_files_of_the_collection() -> None:
    """Their paths are relative to the collection's root: ansible-builder joins them to it."""
    dependencies = _loaded(COLLECTION / "meta/execution-environment.yml")["dependencies"]
    assert dependencies
    assert [path for path in dependencies.values() if not (COLLECTION / path).is_file() or path.startswith("..")] == []
