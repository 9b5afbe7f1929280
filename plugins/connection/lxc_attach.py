# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible inside a container, on this host or on one that ssh reaches."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: lxc_attach
short_description: Run tasks inside an LXC container, on this host or over ssh
version_added: 0.1.0
author:
  - nomadic.lxc contributors (!UNKNOWN)
description:
  - Runs Ansible inside a running LXC container, by C(lxc-attach) on the container's host. Nothing needs to listen in the
    container, and it needs no network.
  - The way to the host is Ansible's own connection plugin P(ansible.builtin.local#connection) or P(ansible.builtin.ssh#connection), with all of its
    options. So ControlPersist, jump hosts, keys and passwords work as they do for the host itself.
  - C(become) means inside the container. Who one becomes on the host is set by O(host_become) and its kin.
  - Modules other than M(ansible.builtin.raw) and M(ansible.builtin.script) need a Python inside, as everywhere.
options:
  container:
    description:
      - The name of the container. The default is the name of the host in the inventory.
    type: str
    vars:
      - name: inventory_hostname
      - name: ansible_lxc_attach_container
  lxc_path:
    description:
      - The directory on the host in which the container lives. Without it, liblxc's own default is used, which is
        C(/var/lib/lxc) on most hosts.
    type: str
    vars:
      - name: ansible_lxc_attach_path
  host:
    description:
      - The host of the container. Without it, or with V(localhost), it is the controller.
      - If it is a name in the inventory, the connection variables of that host count, such as C(ansible_host),
        C(ansible_user), C(ansible_port), C(ansible_ssh_common_args), C(ansible_become) and C(ansible_become_password).
      - Otherwise it is an address, and the container's own C(ansible_user), C(ansible_port), C(ansible_ssh_common_args)
        and so on say how ssh gets there.
    type: str
    vars:
      - name: ansible_lxc_attach_host
  via:
    description:
      - Which of Ansible's connection plugins leads to the host.
      - The default is V(local) if O(host) is not set, or V(localhost), or a name in the inventory whose
        C(ansible_connection) is C(local). Otherwise it is V(ssh).
    type: str
    choices:
      - local
      - ssh
    vars:
      - name: ansible_lxc_attach_via
  host_variables:
    description:
      - Variables of O(host) as an inventory has them, such as C(ansible_host), C(ansible_user), C(ansible_become) and
        C(ansible_become_flags). They win over those that O(host) has in the inventory, and over the container's own.
      - P(nomadic.lxc.lxc_tasks#inventory) sets it.
    type: dict
    default: {}
    vars:
      - name: ansible_lxc_attach_host_variables
  host_become:
    description:
      - Whether to become O(host_become_user) on the host. Containers of root need root.
      - The default is C(ansible_become) of O(host), if that is a name in the inventory, or else V(false).
    type: bool
    vars:
      - name: ansible_lxc_attach_host_become
  host_become_user:
    description:
      - Who to become on the host, with O(host_become=true).
      - The default is C(ansible_become_user) of O(host), if that is a name in the inventory, or else V(root).
    type: str
    vars:
      - name: ansible_lxc_attach_host_become_user
  host_become_method:
    description:
      - The become plugin for the host. If O(host) is a name in the inventory, that host's variables for the plugin count.
      - The default is C(ansible_become_method) of O(host), if that is a name in the inventory, or else V(sudo).
    type: str
    vars:
      - name: ansible_lxc_attach_host_become_method
  host_become_password:
    description:
      - The password for becoming somebody on the host.
      - The default is C(ansible_become_password) of O(host), if that is a name in the inventory.
      - If O(host_become) needs a password, C(become) inside the container can't have one, too.
    type: str
    vars:
      - name: ansible_lxc_attach_host_become_password
  remote_user:
    description:
      - The user inside the container. For another one than V(root), C(su) is run inside, so the user must be known there.
      - C(ansible_user) and the keyword C(remote_user) do not set it. They are for the way to the host.
    type: str
    default: root
    vars:
      - name: ansible_lxc_attach_remote_user
  environment:
    description:
      - Variables that every command inside finds in its environment, beside C(PATH), C(HOME), C(USER), C(LOGNAME) and
        C(SHELL), which it can replace. For another O(remote_user) than V(root), C(su) sets these again, but for C(PATH).
      - Nothing of the environment of the controller or of the host gets into the container.
      - It is part of a command line on the host, where other users can see it. Use the keyword C(environment) of a task
        for secrets.
    type: dict
    default: {}
    vars:
      - name: ansible_lxc_attach_environment
  pipelining:
    description:
      - Whether modules are piped to the Python inside, and not copied to a file first. It is faster.
      - It is on by default, since this connection never has a terminal that would be in the way.
    type: bool
    default: true
    env:
      - name: ANSIBLE_LXC_ATTACH_PIPELINING
    ini:
      - section: lxc_attach_connection
        key: pipelining
    vars:
      - name: ansible_lxc_attach_pipelining
notes:
  - A container that is stopped, frozen or not there is unreachable, and the error says which it is.
  - Where several containers share a host, they share its ssh connection, too. Its sshd takes ten sessions in one connection
    (C(MaxSessions)), and makes ssh open further connections for more. One that it turns away, since too many are new at the
    same time (C(MaxStartups)), is tried again for some seconds.
  - A command that a signal ended has the exit code 128 plus the number of the signal, as in a shell.
  - liblxc sees a running container only from the network namespace in which it was started.
  - The host needs C(lxc-attach), C(lxc-info) and a POSIX shell, but no Python. The container needs C(/bin/sh), and C(cat), C(wc), C(dd) and
    C(chmod) for files.
  - Files are sent and fetched in pieces, of which each is checked. A file that changes on the way is an error.
seealso:
  - module: nomadic.lxc.lxc_task
  - plugin: nomadic.lxc.lxc_tasks
    plugin_type: inventory
"""

EXAMPLES = r"""
---
# An inventory: two containers on this host, and one on a host that ssh reaches.
#
# containers:
#   hosts:
#     web:
#     db:
#       ansible_lxc_attach_container: db-5e1d
#     cache:
#       ansible_lxc_attach_host: vmhost
#   vars:
#     ansible_connection: nomadic.lxc.lxc_attach
#     ansible_python_interpreter: /usr/bin/python3
# hosts:
#   hosts:
#     vmhost:
#       ansible_host: 192.0.2.7
#       ansible_user: admin
#       ansible_become: true

# Ad-hoc, in the container web on this host:
#   ansible -i web, web -c nomadic.lxc.lxc_attach -m ansible.builtin.raw -a 'uname -a'

- name: Start a task and configure it, in one play
  hosts: lxc_hosts
  become: true
  tasks:
    - name: Run the task
      nomadic.lxc.lxc_task:
        name: web
        template: debian
        network_mode: bridge
      register: web

    # add_host runs once for all hosts of the play: it adds one for each.
    - name: Add it to the inventory
      ansible.builtin.add_host:
        name: "web.{{ item }}"
        groups: containers
        ansible_connection: nomadic.lxc.lxc_attach
        ansible_lxc_attach_container: "{{ hostvars[item].web.task.container_name }}"
        ansible_lxc_attach_path: "{{ hostvars[item].web.task.lxc_path }}"
        ansible_lxc_attach_host: "{{ item }}"
        ansible_lxc_attach_host_become: true
      loop: "{{ ansible_play_hosts }}"

- name: Configure it inside
  hosts: containers
  gather_facts: false
  tasks:
    - name: Install Python
      ansible.builtin.raw: apt-get update && apt-get install -y python3
      changed_when: true

    - name: Make a user
      ansible.builtin.user:
        name: deploy
"""

import collections
import contextlib
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.become import BecomeBase
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display
from ansible_collections.nomadic.lxc.plugins.plugin_utils import _attach, _transfer
from ansible_collections.nomadic.lxc.plugins.plugin_utils._way import (
    KINDS,
    LOCAL,
    SSH,
    Templated,
    Way,
    address_of,
    host_become,
)

display = Display()

# Keywords of a task that have the name of an option, and another meaning.
HOST_KEYWORDS = ("environment", "remote_user")


class Connection(ConnectionBase):  # type: ignore[misc] # Ansible declares no types
    """A connection to the inside of a container."""

    transport = "nomadic.lxc.lxc_attach"
    has_pipelining = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._host_is_known = False
        self._host_variables: t.Mapping[str, t.Any] = {}
        self._task_keys: t.Mapping[str, t.Any] = {}
        self._way: Way | None = None
        self._container = _attach.Container("")

    def _resolve_option_variables(self, variables: t.Mapping[str, t.Any], templar: t.Any) -> dict[str, t.Any]:
        """The variables for our options; besides, those of the host are remembered.

        Called by Ansible with all variables of the container, before it sets the options.
        """
        options = t.cast("dict[str, t.Any]", super()._resolve_option_variables(variables, templar))
        host = options.get("ansible_lxc_attach_host")
        hostvars = variables.get("hostvars")
        # `in` would also find the implicit localhost, for 127.0.0.1 too.
        if host and any(host == name for name in hostvars or ()):
            self._host_is_known, self._host_variables = True, t.cast(t.Any, hostvars)[host]
        else:
            self._host_is_known, self._host_variables = False, Templated(variables, templar)
        return options

    def set_options(
        self,
        task_keys: t.Mapping[str, t.Any] | None = None,
        var_options: t.Mapping[str, t.Any] | None = None,
        direct: t.Mapping[str, t.Any] | None = None,
    ) -> None:
        """Remember the keywords of the task as well: they are for the way to the host.

        Ansible would take a keyword for an option that has its name. ``remote_user`` is the one on the host, and what
        ``environment`` says is in the command already.

        In a loop, Ansible sets the options of each item, and connects no more: what the former ones led to ends here.
        """
        self.close()
        self._task_keys = task_keys or {}
        keys = {name: value for name, value in self._task_keys.items() if name not in HOST_KEYWORDS}
        given = dict(var_options or {})
        if self._task_keys.get("delegate_to"):
            # The variables are those of the other host, but for this one.
            given["inventory_hostname"] = self._task_keys["delegate_to"]
        super().set_options(task_keys=keys, var_options=given, direct=direct)

    def _connect(self) -> Connection:
        """Set the way up; nothing is opened before the first command."""
        if self._way is None:
            self._container = _attach.Container(
                name=self.get_option("container") or "",
                lxc_path=self.get_option("lxc_path") or None,
                user=self.get_option("remote_user") or "root",
                environment={str(name): str(value) for name, value in (self.get_option("environment") or {}).items()},
            )
            found = _attach.faults(self._container)
            if found:
                raise AnsibleError(f"nomadic.lxc.lxc_attach: {'; '.join(found)}")
            self._way = self._open_way()
        self._connected = True
        return self

    def _open_way(self) -> Way:
        host = self.get_option("host") or "localhost"
        variables = self._above(self._host_variables)
        known = variables if self._host_is_known else self._above({})
        kind = self.get_option("via")
        if kind is None:
            wanted = KINDS.get(str(known.get("ansible_connection", SSH)), SSH)
            kind = LOCAL if host == "localhost" else wanted
        become = host_become(
            known,
            wanted=self.get_option("host_become"),
            method=self.get_option("host_become_method"),
            user=self.get_option("host_become_user"),
            password=self.get_option("host_become_password"),
        )
        return Way(kind, address_of(host, known), variables, become, self._play_context, self._task_keys)

    def _above(self, variables: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        """Variables below those of the option ``host_variables``."""
        # It is read alone, for which any mapping will do.
        return collections.ChainMap(self.get_option("host_variables") or {}, t.cast("dict[str, t.Any]", variables))

    def _run(
        self, marks: _attach.Marks, line: str, in_data: bytes | None, inner: BecomeBase | None = None
    ) -> tuple[int, bytes, bytes]:
        """Exit code, stdout and stderr of what ran inside. Raises AnsibleConnectionFailure where nothing did."""
        way = t.cast(Way, self._way)
        try:
            code, stdout, stderr = way.run(line, in_data, inner)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            # Ansible's local plugin waited for a password prompt inside, and the container was never entered.
            if marks.host in str(error):
                raise self._unreachable(_attach.why_not_entered(marks, 1, str(error).encode())) from error
            raise
        try:
            code, stderr = _attach.split(marks, code, stderr)
        except _attach.AttachError as error:
            raise self._unreachable(str(error)) from error
        return code, stdout, stderr

    def _unreachable(self, why: str) -> AnsibleConnectionFailure:
        place = f" in {self._container.lxc_path}" if self._container.lxc_path else ""
        return AnsibleConnectionFailure(
            f"can't enter the container '{self._container.name}'{place} on {t.cast(Way, self._way).address}: {why}"
        )

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command inside: exit code, stdout, stderr."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        # Without a prompt there is nothing to wait for: the password plugins' messages are found in the output by the caller.
        inner = self.become if sudoable and self.become is not None and self.become.expect_prompt() else None
        marks = _attach.Marks()
        line = _attach.command_line(self._container, marks, cmd, stdin=bool(in_data) or inner is not None)
        display.vvv(f"EXEC {cmd}", host=self._container.name)
        code, stdout, stderr = self._run(marks, line, in_data, inner)
        return code, stdout, stderr if inner is None else inner.strip_become_prompt(stderr)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Send a file into the container. A new file gets the mode of the sent one."""
        super().put_file(in_path, out_path)
        display.vvv(f"PUT {in_path} TO {out_path}", host=self._container.name)
        with self._transfer(f"failed to send {in_path!r} to {out_path!r} in"):
            _transfer.send(self._transfer_piece, self._container, in_path, out_path)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Fetch a file from the container. A new file gets the mode of the fetched one."""
        super().fetch_file(in_path, out_path)
        display.vvv(f"FETCH {in_path} TO {out_path}", host=self._container.name)
        with self._transfer(f"failed to fetch {in_path!r} from"):
            _transfer.fetch(self._transfer_piece, self._container, in_path, out_path)

    def _transfer_piece(self, marks: _attach.Marks, line: str, in_data: bytes | None) -> tuple[int, bytes, str]:
        """Exit code, data and further words of one piece of a transfer."""
        code, stdout, stderr = t.cast(Way, self._way).run(line, in_data)
        try:
            code, said = _attach.split_transfer(marks, code, stderr)
        except _attach.AttachError as error:
            raise self._unreachable(str(error)) from error
        return code, stdout, said

    @contextlib.contextmanager
    def _transfer(self, what: str) -> t.Iterator[None]:
        """Within it, a failed transfer is told in Ansible's way."""
        try:
            yield
        except FileNotFoundError as error:
            raise AnsibleFileNotFound(f"{what} the container '{self._container.name}': {error}") from error
        except (_transfer.TransferError, OSError) as error:
            raise AnsibleError(f"{what} the container '{self._container.name}': {error}") from error

    def reset(self) -> None:
        """End the connection to the host."""
        self._connect()
        t.cast(Way, self._way).reset()
        self.close()

    def close(self) -> None:
        """Be done with it."""
        if self._way is not None:
            self._way.close()
        self._way = None
        self._connected = False
