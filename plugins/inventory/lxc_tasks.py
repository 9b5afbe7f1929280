# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of the tasks on some hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: lxc_tasks
short_description: Tasks on one or many hosts as an inventory
version_added: 0.1.0
author:
  - nomadic.lxc contributors (!UNKNOWN)
description:
  - Asks hosts for their tasks, and yields an inventory host for each task, with P(nomadic.lxc.lxc_attach#connection) set up,
    so that a play can run inside.
  - The hosts are asked side by side, each by one command. A host needs a Python 3.9 or later with LXC's binding, and root.
  - A task is in the group C(lxc_tasks), in C(lxc_host_<host>), in C(lxc_state_<state>), and in C(lxc_alloc_<alloc>) if it has
    an alloc. Characters that the name of a group can not have become C(_).
  - Its file is called C(*.lxc_tasks.yml) or C(*.lxc_tasks.yaml).
options:
  plugin:
    description: The name of this plugin, V(nomadic.lxc.lxc_tasks).
    type: str
    required: true
    choices:
      - nomadic.lxc.lxc_tasks
  hosts:
    description:
      - The hosts, each with its connection variables, as in an inventory, such as C(ansible_host), C(ansible_user), C(ansible_port),
        C(ansible_ssh_common_args), C(ansible_become) and C(ansible_become_password). Jinja2 templates are allowed in them.
      - V(localhost), and a host with C(ansible_connection=local), is the controller. All others are reached by ssh.
      - If a host is in an inventory that was read before, its variables there count too, and so do those in C(group_vars) and
        C(host_vars) beside that inventory, or beside this file. Those here win.
      - A template can use the host's variables, C(inventory_hostname), C(inventory_hostname_short), C(inventory_dir),
        C(inventory_file), C(group_names), C(groups) and C(ansible_playbook_python). There are no facts yet, nor variables of
        playbooks. Only the variables that lead to a host are templated.
    type: dict
    required: true
  lxc_path:
    description:
      - The directory in which the hosts' containers live. Without it, liblxc's own default is used.
      - The variable C(ansible_lxc_attach_path) of a host in O(hosts) replaces it for that host.
    type: str
  hostname:
    description:
      - A Jinja2 expression for the name of an inventory host.
      - The default is the name of the container for a task on the controller, and C(<container>.<host>) for one on another
        host.
      - Two tasks with the same name are an error.
    type: str
  filters:
    description:
      - Which tasks to keep. Each filter is a dict with one key, C(include) or C(exclude), and a Jinja2 conditional. The first filter
        whose conditional holds decides. A task for which none holds is kept.
    type: list
    elements: dict
    default: []
  unreachable:
    description:
      - What to do about a host that gives no answer. With V(warning), its tasks are missing, and a warning says so. With
        V(error), it is an error.
      - A host that can't be asked counts too, for instance since a variable that leads to it is undefined.
      - If no host at all gives an answer, it is an error in any case.
    type: str
    choices:
      - warning
      - error
    default: warning
  workers:
    description: How many hosts to ask at the same time.
    type: int
    default: 20
  timeout:
    description: How many seconds to wait for the answer of a host, once it is asked.
    type: int
    default: 30
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
notes:
  - Each inventory host has the variable C(lxc_task), which is the dict that M(nomadic.lxc.lxc_task) returns as C(task), and
    C(lxc_host), the name of the host in O(hosts). In O(compose), O(groups), O(keyed_groups), O(filters) and O(hostname), the keys of
    C(lxc_task), such as C(state), are variables, too.
  - A task that does not run is in the inventory, but can not be entered. Filter by C(state) if you run plays inside.
  - The hosts themselves are not added to the inventory. If a host is in it already, and O(hosts) has no variables for it, its
    tasks refer to it by name alone, and its variables count as a play finds them. Otherwise the tasks have copies of the
    variables that led to it, for C(become) too, in C(ansible_lxc_attach_host_variables). Passwords among them are what
    C(ansible-inventory) shows, as of any host.
  - A cache holds answers of hosts only, and passwords never.
seealso:
  - plugin: nomadic.lxc.lxc_attach
    plugin_type: connection
  - module: nomadic.lxc.lxc_task_facts
"""

EXAMPLES = r"""
---
# The tasks on this host: here.lxc_tasks.yml
plugin: nomadic.lxc.lxc_tasks
hosts:
  localhost: {}

---
# The running tasks on two hosts that ssh reaches: fleet.lxc_tasks.yml
plugin: nomadic.lxc.lxc_tasks
hosts:
  vm1:
    ansible_host: 192.0.2.7
    ansible_user: admin
    ansible_become: true
  vm2:
    ansible_host: 192.0.2.8
    ansible_user: root
filters:
  - exclude: state != "running"
unreachable: error
compose:
  ansible_python_interpreter: "'/usr/bin/python3'"
groups:
  small: memory_mb is not none and memory_mb < 256
keyed_groups:
  - key: network_mode
    prefix: network

---
# With a cache, so that hosts are asked every ten minutes only
plugin: nomadic.lxc.lxc_tasks
hosts:
  vm1: {}
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/lxc_tasks
cache_timeout: 600
"""

import contextlib
import os
import signal
import sys
import threading
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.helpers import get_group_vars, sort_groups
from ansible.inventory.host import Host
from ansible.playbook.play_context import PlayContext
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import Templar
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources
from ansible_collections.nomadic.lxc.plugins.plugin_utils import _ask
from ansible_collections.nomadic.lxc.plugins.plugin_utils._way import (
    KINDS,
    LOCAL,
    SSH,
    Templated,
    Way,
    address_of,
    host_become,
)

Variables = dict[str, t.Any]
Answer = dict[str, t.Any]
Faults = dict[str, str]

SUFFIXES = (".lxc_tasks.yml", ".lxc_tasks.yaml")
CONNECTION = "nomadic.lxc.lxc_attach"


@dataclass(frozen=True)
class Asked:
    """A host to ask: the way to it, where its containers are, and the variables that lead inside any of its tasks."""

    way: Way
    lxc_path: str | None
    inside: Variables


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc] # Ansible declares no types
    """Read by Ansible."""

    NAME = "nomadic.lxc.lxc_tasks"

    def verify_file(self, path: str) -> bool:
        """Whether a file is for this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(SUFFIXES)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Fill the inventory."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        hosts, faults = self._hosts(path)
        answers = self._answers(hosts, faults, self.get_cache_key(path), cache)
        for name, answer in answers.items():
            for warning in answer["warnings"]:
                self.display.warning(f"{name}: {warning}")
            for task in answer["tasks"]:
                self._add(name, hosts[name], task)

    def _hosts(self, source: str) -> tuple[dict[str, Asked], Faults]:
        """The hosts by name, and why others can't be asked. Raises AnsibleParserError."""
        if not self.get_option("hosts"):
            raise AnsibleParserError("nomadic.lxc.lxc_tasks: hosts names no host")
        hosts: dict[str, Asked] = {}
        faults: Faults = {}
        for key, given in self.get_option("hosts").items():
            name = str(key)
            if not isinstance(given or {}, dict):
                raise AnsibleParserError(f"nomadic.lxc.lxc_tasks: the variables of the host '{name}' are no dict")
            try:
                hosts[name] = self._host(name, given or {}, source)
            except AnsibleError as error:
                faults[name] = str(error)
        return hosts, faults

    def _host(self, name: str, given: Variables, source: str) -> Asked:
        """One host. Raises AnsibleError where its variables can't be used."""
        is_known = name in self.inventory.hosts
        theirs = self._variables_of_known(name, source) if is_known else _variables_of_unknown(name, source)
        own = {"ansible_playbook_python": sys.executable, "groups": self.inventory.get_groups_dict()}
        all_variables = combine_vars(combine_vars(theirs, given), own)
        variables = Templated(all_variables, Templar(loader=self.loader, variables=all_variables))
        kind = _kind(name, variables)
        way = Way(kind, address_of(name, variables), variables, host_become(variables), PlayContext())
        inside: Variables = {
            "ansible_connection": CONNECTION,
            "ansible_lxc_attach_host": name,
            "ansible_lxc_attach_via": kind,
        }
        if given or not is_known:
            # By its name alone, one would not find what led to it.
            inside["ansible_lxc_attach_host_variables"] = dict(variables.used)
        return Asked(way, variables.get("ansible_lxc_attach_path") or self.get_option("lxc_path"), inside)

    def _variables_of_known(self, name: str, source: str) -> Variables:
        """The variables of a host of the inventory, as a play would find them. Raises AnsibleError."""
        host, everybody = self.inventory.get_host(name), self.inventory.groups["all"]
        groups = sort_groups([group for group in host.get_groups() if group is not everybody])
        sources = [*self.inventory.processed_sources, source]

        def files(entities: list[t.Any]) -> Variables:
            return t.cast(Variables, get_vars_from_inventory_sources(self.loader, sources, entities, "all"))

        found: Variables = {}
        # Ansible's order. That all hosts are in the group all is not yet in the inventory while it is read.
        for part in (
            everybody.get_vars(),
            get_group_vars(groups),
            files([everybody]),
            files(groups),
            host.get_vars(),
            files([host]),
        ):
            found = combine_vars(found, part)
        return found

    def _answers(
        self, hosts: t.Mapping[str, Asked], faults: Faults, key: str, may_use_cache: bool
    ) -> dict[str, Answer]:
        """The answers by host, from the cache where they are there; those of hosts that were asked are put into it.

        ``faults``: why other hosts can't be asked. Raises AnsibleParserError where a host that gives no answer is an error.
        """
        caching = self.get_option("cache")
        answers: dict[str, Answer] = {}
        if caching and may_use_cache:
            try:
                answers = {name: answer for name, answer in self._cache[key].items() if name in hosts}
            except KeyError:
                pass
        fresh, silent = self._ask({name: hosts[name] for name in hosts if name not in answers})
        for name, fault in {**faults, **silent}.items():
            message = f"nomadic.lxc.lxc_tasks: no answer from the host '{name}': {fault}"
            if self.get_option("unreachable") == "error" or not (answers or fresh):
                raise AnsibleParserError(message)
            self.display.warning(message)
        answers.update(fresh)
        if caching and fresh:
            self._cache[key] = answers
        return {name: answers[name] for name in hosts if name in answers}

    def _ask(self, hosts: t.Mapping[str, Asked]) -> tuple[dict[str, Answer], Faults]:
        """Ask hosts side by side: their answers, and why the others gave none."""
        answers: dict[str, Answer] = {}
        faults: Faults = {}
        seats = threading.Semaphore(max(1, self.get_option("workers")))
        timeout = self.get_option("timeout")

        def ask(name: str, host: Asked) -> None:
            mark = _ask.new_mark()
            try:
                with seats:
                    began[name] = time.monotonic()
                    result = host.way.run(_ask.command_line(), _ask.program({"lxc_path": host.lxc_path}, mark))
                tasks, warnings = _ask.read(mark, *result)
                answers[name] = {"tasks": tasks, "warnings": warnings}
            except (_ask.AskError, AnsibleError) as error:
                faults[name] = str(error)
            except Exception as error:  # noqa: BLE001 # pylint: disable=broad-except # one host's fault is not the others'
                faults[name] = f"{type(error).__name__}: {error}"

        began: dict[str, float] = {}
        # Threads that hang must not keep Ansible from its end.
        threads = {name: threading.Thread(target=ask, args=(name, host), daemon=True) for name, host in hosts.items()}
        for thread in threads.values():
            thread.start()
        for name, thread in threads.items():
            while thread.is_alive() and time.monotonic() - began.get(name, time.monotonic()) < timeout:
                thread.join(0.05)
            if thread.is_alive():
                # Its seat is for another one. A ssh that asks something on the terminal must not outlive Ansible.
                seats.release()
                _end_children(thread)
                faults[name] = f"it took longer than {timeout} s"
        return {name: answers[name] for name in hosts if name in answers and name not in faults}, dict(faults)

    def _add(self, host_name: str, host: Asked, task: Variables) -> None:
        """Add the inventory host of one task, if the filters keep it."""
        strict = self.get_option("strict")
        own = {**task, "lxc_task": task, "lxc_host": host_name}
        if not self._is_kept(own, strict):
            return
        name = self._name(host_name, host.way.kind, own)
        if name in self.inventory.hosts and "lxc_task" in self.inventory.get_host(name).get_vars():
            raise AnsibleParserError(
                f"nomadic.lxc.lxc_tasks: two tasks have the name '{name}': give them names of their own by hostname"
            )
        self.inventory.add_host(name)
        for key, value in {
            **host.inside,
            "ansible_lxc_attach_container": task["container_name"],
            "ansible_lxc_attach_path": task["lxc_path"],
            "lxc_task": task,
            "lxc_host": host_name,
        }.items():
            self.inventory.set_variable(name, key, value)
        alloc = task["alloc_id"]
        for group in [
            "lxc_tasks",
            f"lxc_host_{host_name}",
            f"lxc_state_{task['state']}",
            f"lxc_alloc_{alloc}" if alloc else None,
        ]:
            if group is not None:
                self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), name)
        self._set_composite_vars(self.get_option("compose"), own, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), own, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), own, name, strict=strict)

    def _name(self, host: str, kind: str, own: Variables) -> str:
        """The inventory name of a task."""
        expression = self.get_option("hostname")
        if expression is None:
            return str(own["container_name"]) + ("" if kind == LOCAL else f".{host}")
        try:
            name = self._compose(expression, own)
        except Exception as error:  # pylint: disable=broad-except # a user's template raises what it likes
            raise AnsibleParserError(
                f"nomadic.lxc.lxc_tasks: hostname can't be used for {own['container_name']}: {error}"
            ) from error
        if not isinstance(name, str) or not name:
            raise AnsibleParserError(
                f"nomadic.lxc.lxc_tasks: hostname gives no name for {own['container_name']}: {name!r}"
            )
        return name

    def _is_kept(self, own: Variables, strict: bool) -> bool:
        """Whether the filters keep a task."""
        for row in self.get_option("filters"):
            if len(row) != 1 or next(iter(row)) not in ("include", "exclude"):
                raise AnsibleParserError("nomadic.lxc.lxc_tasks: a filter is a dict with one key, include or exclude")
            what, condition = next(iter(row.items()))
            self.templar.available_variables = own
            try:
                holds = self.templar.evaluate_conditional(condition)
            except Exception as error:  # pylint: disable=broad-except # a user's condition raises what it likes
                if strict:
                    raise AnsibleParserError(
                        f"nomadic.lxc.lxc_tasks: the filter {condition!r} can't be used: {error}"
                    ) from error
                continue
            if holds:
                return bool(what == "include")
        return True


def _end_children(thread: threading.Thread) -> None:
    """End what a thread has started, where the kernel tells what that is: Linux does."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/self/task/{thread.native_id}/children").read_text(encoding="ascii")
        for child in children.split():
            os.kill(int(child), signal.SIGTERM)


def _variables_of_unknown(name: str, source: str) -> Variables:
    """What Ansible says of a host that no inventory has, as if the file ``source`` was the first to name it."""
    return {**Host(name).get_vars(), "inventory_file": source, "inventory_dir": str(Path(source).parent)}


def _kind(host: str, variables: t.Mapping[str, t.Any]) -> str:
    """Which connection plugin leads to a host. Raises AnsibleError."""
    wanted = str(variables.get("ansible_connection", LOCAL if host == "localhost" else SSH))
    if wanted not in KINDS:
        raise AnsibleError(f"its ansible_connection is '{wanted}': only local and ssh lead to a host of containers")
    return KINDS[wanted]
