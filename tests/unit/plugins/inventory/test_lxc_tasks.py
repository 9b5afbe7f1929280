# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of tasks: which variables of a host count, when it is asked and when its tasks are entered."""

from __future__ import annotations

import json
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.module_utils.common.collections import ImmutableDict
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import PluginLoader, connection_loader, inventory_loader
from ansible.template import Templar
from ansible.utils.display import Display
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.nomadic.lxc.plugins.connection import lxc_attach
from ansible_collections.nomadic.lxc.plugins.inventory import lxc_tasks
from ansible_collections.nomadic.lxc.plugins.plugin_utils import _ask
from ansible_collections.nomadic.lxc.plugins.plugin_utils._way import Way

pytestmark = pytest.mark.usefixtures("plugin_loader")

MARK = "lxc_tasks-mark "
TASK = {"container_name": "web", "lxc_path": "/var/lib/lxc", "state": "running", "alloc_id": None}


def loaded(loader: PluginLoader, module: ModuleType, plugin: t.Any) -> t.Any:
    """A plugin of the collection, which Ansible's loader can't find where the tests have imported it already."""
    loader._load_config_defs(module.__name__, module, module.__file__)
    name = f"nomadic.lxc.{module.__name__.rpartition('.')[2]}"
    loader._update_object(obj=plugin, name=module.__name__, path=module.__file__, resolved=name)
    return plugin


@dataclass
class Place:
    """Files of inventories, the ways by which hosts were asked, by their addresses, and what Ansible warned of."""

    path: Path
    ways: dict[str, Way]
    warnings: list[str]

    def write(self, **files: t.Any) -> None:
        """Write files, which are named by their paths, with ``__`` for ``/`` and without ``.yml``."""
        for name, content in files.items():
            file = self.path / f"{name.replace('__', '/')}.yml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(content), encoding="utf-8")

    def read(self, hosts: t.Mapping[str, t.Any], *before: str, **options: t.Any) -> InventoryManager:
        """The inventory of tasks on some hosts, each with one, and of files that are read before."""
        file = self.path / "t.lxc_tasks.yml"
        file.write_text(json.dumps({"plugin": "nomadic.lxc.lxc_tasks", "hosts": hosts, **options}), encoding="utf-8")
        sources = [*(str(self.path / f"{name}.yml") for name in before), str(file)]
        return InventoryManager(loader=DataLoader(), sources=sources)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    found = Place(tmp_path, {}, [])

    def run(way: Way, _command: str, _in_data: bytes) -> tuple[int, bytes, bytes]:
        found.ways[way.address] = way
        return 0, f"\n{MARK}{json.dumps({'tasks': [TASK], 'warnings': []})}".encode(), b""

    monkeypatch.setattr(Way, "run", run)
    monkeypatch.setattr(_ask, "new_mark", lambda: MARK)
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict())
    monkeypatch.setattr(
        InventoryManager,
        "_fetch_inventory_plugins",
        lambda _self: [
            loaded(inventory_loader, lxc_tasks, lxc_tasks.InventoryModule()),
            inventory_loader.get("ansible.builtin.yaml"),
        ],
    )
    monkeypatch.setattr(C, "INVENTORY_ANY_UNPARSED_IS_FAILED", True)
    monkeypatch.setattr(Display, "warning", lambda _self, message, *_args, **_more: found.warnings.append(message))
    return found


def enter(inventory: InventoryManager, name: str) -> Way:
    """The way of the connection plugin to the host of a task, as a play finds it."""
    manager = VariableManager(loader=inventory._loader, inventory=inventory)
    hostvars = HostVars(inventory=inventory, variable_manager=manager, loader=inventory._loader)
    variables = {**manager.get_vars(host=inventory.get_host(name)), "hostvars": hostvars}
    connection = loaded(connection_loader, lxc_attach, lxc_attach.Connection(PlayContext()))
    options = connection._resolve_option_variables(variables, Templar(loader=inventory._loader, variables=variables))
    connection.set_options(var_options=options)
    connection._connect()
    return t.cast(Way, connection._way)


def led(way: Way) -> dict[str, t.Any]:
    """What leads to a host."""
    connection, become = way._connection, way._become
    return {
        "kind": way.kind,
        "address": way.address,
        "user": connection.get_option("remote_user") if way.kind == "ssh" else None,
        "port": connection.get_option("port") if way.kind == "ssh" else None,
        "become": None
        if become is None
        else {name: become.get_option(f"become_{name}") for name in ("user", "pass", "flags", "exe")},
    }


def test_a_host_that_no_inventory_has_is_entered_as_it_was_asked(place: Place) -> None:
    inventory = place.read(
        {
            "vm1": {
                "ansible_host": "{{ inventory_hostname }}.example.org",
                "ansible_user": "admin",
                "ansible_become": True,
                "ansible_become_flags": "-n",
                "ansible_become_exe": "/opt/sudo",
                "ansible_sudo_pass": "secret",
            }
        }
    )
    asked = led(place.ways["vm1.example.org"])
    assert asked["become"] == {"user": "root", "pass": "secret", "flags": "-n", "exe": "/opt/sudo"}
    assert led(enter(inventory, "web.vm1")) == asked


def test_become_on_a_host_is_not_become_inside(place: Place) -> None:
    inventory = place.read({"vm1": {"ansible_user": "admin", "ansible_become": True, "ansible_become_flags": "-n"}})
    assert not [name for name in inventory.get_host("web.vm1").vars if name.startswith("ansible_become")]


def test_a_variable_that_leads_to_no_host_is_not_templated(place: Place) -> None:
    place.write(
        hosts={
            "all": {
                "hosts": {
                    "localhost": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
                    "vm1": {"motd": "{{ ansible_facts.hostname }}"},
                }
            }
        }
    )
    inventory = place.read({"localhost": {}, "vm1": {}}, "hosts")
    assert set(inventory.groups["lxc_tasks"].get_hosts()) == {inventory.get_host("web"), inventory.get_host("web.vm1")}
    assert place.warnings == []


@pytest.mark.parametrize(
    ("template", "user"),
    [
        ("{{ ansible_playbook_python }}", sys.executable),
        ("{{ inventory_hostname }}", "vm1.example.org"),
        ("{{ inventory_hostname_short }}", "vm1"),
        ("{{ inventory_dir }}", "DIR"),
        ("{{ groups.vms | default(['nobody']) | first }}", "vm0"),
        ("{{ other }}", "x"),
        ("{{ omit }}", None),
    ],
)
@pytest.mark.parametrize("known", [{}, {"vm1.example.org": {}}])
def test_what_a_template_can_use(place: Place, template: str, user: str | None, known: dict[str, t.Any]) -> None:
    place.write(hosts={"vms": {"hosts": {"vm0": {}, **known}}})
    place.read({"vm1.example.org": {"ansible_user": template, "other": "{{ 'x' }}"}}, "hosts")
    expected = str(place.path) if user == "DIR" else user
    assert place.ways["vm1.example.org"]._connection.get_option("remote_user") == expected


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"ansible_user": "{{ nothing }}"}, "ansible_user can't be used: 'nothing' is undefined"),
        ({"ansible_become": True, "ansible_become_password": "{{ nothing }}"}, "'nothing' is undefined"),
        ({"ansible_lxc_attach_path": "{{ nothing }}"}, "'nothing' is undefined"),
        ({"ansible_become": "maybe"}, "the host's ansible_become is 'maybe', which is neither true nor false"),
        ({"ansible_connection": "winrm"}, "its ansible_connection is 'winrm'"),
    ],
)
def test_variables_that_can_not_be_used_are_the_fault_of_their_host(
    place: Place, variables: dict[str, t.Any], fault: str
) -> None:
    inventory = place.read({"vm1": variables, "vm2": {}})
    assert "web.vm2" in inventory.hosts
    assert "web.vm1" not in inventory.hosts
    assert len(place.warnings) == 1
    assert "no answer from the host 'vm1': " in place.warnings[0]
    assert fault in place.warnings[0]
    with pytest.raises(AnsibleError):
        place.read({"vm1": variables, "vm2": {}}, unreachable="error")
    with pytest.raises(AnsibleError):
        place.read({"vm1": variables})


@pytest.mark.parametrize(
    ("file", "user"),
    [
        ("hosts", "all"),
        ("group_vars__all", "all file"),
        ("group_vars__vms", "group file"),
        ("host_vars__vm1", "host file"),
        ("given", "given"),
    ],
)
def test_the_variables_of_a_known_host_count_in_the_order_of_ansible(place: Place, file: str, user: str) -> None:
    files: dict[str, t.Any] = {
        "hosts": {"all": {"vars": {"ansible_user": "all"}}, "vms": {"hosts": {"vm1": {}}}},
        "group_vars__all": {"ansible_user": "all file"},
        "group_vars__vms": {"ansible_user": "group file"},
        "host_vars__vm1": {"ansible_user": "host file"},
        "given": {},
    }
    for name, content in files.items():
        place.write(**{name: content})
        if name == file:
            break
    inventory = place.read({"vm1": {"ansible_user": "given"} if file == "given" else {}}, "hosts")
    assert led(place.ways["vm1"])["user"] == user
    assert led(enter(inventory, "web.vm1")) == led(place.ways["vm1"])


def test_the_variables_of_a_host_win_over_the_files_of_its_groups(place: Place) -> None:
    place.write(
        hosts={"aaa": {"vars": {"ansible_port": 7}, "hosts": {"vm1": {"ansible_user": "host"}}}, "all": {}},
        group_vars__aaa={"ansible_user": "group file"},
        group_vars__all={"ansible_user": "all file"},
    )
    inventory = place.read({"vm1": {}}, "hosts")
    assert led(place.ways["vm1"]) == {"kind": "ssh", "address": "vm1", "user": "host", "port": 7, "become": None}
    assert led(enter(inventory, "web.vm1")) == led(place.ways["vm1"])


def test_a_known_host_is_referred_to_by_its_name_alone(place: Place) -> None:
    place.write(hosts={"vms": {"hosts": {"vm1": {"ansible_become": True, "ansible_become_password": "secret"}}}})
    inventory = place.read({"vm1": {}}, "hosts")
    assert inventory.get_host("web.vm1").vars["ansible_lxc_attach_host"] == "vm1"
    assert "secret" not in str(inventory.get_host("web.vm1").vars)
    assert led(enter(inventory, "web.vm1"))["become"]["pass"] == "secret"


@pytest.mark.parametrize(
    "given",
    [
        {"ansible_user": "other"},
        {"ansible_host": "192.0.2.9"},
        {"address": "192.0.2.9"},
        {"ansible_port": 2222, "ansible_become_flags": "-n"},
        {"ansible_become": False},
        {"ansible_become_user": "other", "ansible_become_password": "changed"},
        {"ansible_connection": "local"},
    ],
)
def test_what_is_said_of_a_known_host_counts_inside_as_it_did_for_asking(place: Place, given: dict[str, t.Any]) -> None:
    theirs = {
        "address": "192.0.2.7",
        "ansible_host": "{{ address }}",
        "ansible_user": "admin",
        "ansible_become": True,
        "ansible_become_password": "secret",
    }
    place.write(hosts={"vms": {"hosts": {"vm1": theirs}}})
    before = place.read({"vm1": {}}, "hosts")
    unsaid = led(enter(before, "web.vm1"))
    inventory = place.read({"vm1": given}, "hosts")
    name = "web" if "ansible_connection" in given else "web.vm1"
    asked = led(place.ways["192.0.2.9" if "192.0.2.9" in given.values() else "192.0.2.7"])
    assert led(enter(inventory, name)) == asked
    assert asked != unsaid
