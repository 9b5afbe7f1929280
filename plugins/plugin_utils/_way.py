# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to a host that runs containers: Ansible's own connection plugin, and its own become plugin, loaded and set up."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import re
import time
import typing as t
from dataclasses import dataclass, field

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleValueOmittedError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.playbook.play_context import PlayContext
from ansible.plugins.become import BecomeBase
from ansible.plugins.connection import ConnectionBase
from ansible.plugins.loader import become_loader, connection_loader

LOCAL = "local"
SSH = "ssh"
# The plugins by the names that an inventory may call them.
KINDS = {"local": LOCAL, "ansible.builtin.local": LOCAL, "ssh": SSH, "ansible.builtin.ssh": SSH, "smart": SSH}
# Variables that say which host is meant, and not how it is reached.
ADDRESS_VARIABLES = ("inventory_hostname", "ansible_host", "ansible_ssh_host", "delegated_vars")

# Bytes of one argument of a program on Linux, the last one a NUL: MAX_ARG_STRLEN, see execve(2).
ARGUMENT_LIMIT = 131072

# What ssh prints where sshd closes a new connection at once.
TURNED_AWAY = re.compile(r"(^|: |\n)kex_exchange_identification: ")
# Seconds before each further try.
PAUSES = (0.2, 0.4, 0.8, 1.2, 1.6, 2.0)

Output = tuple[int, bytes, bytes]
Variables = t.Mapping[str, t.Any]


class Templated(t.Mapping[str, t.Any]):
    """Variables that are templated when they are asked for. ``used``: those that were. One that is omitted is not there."""

    def __init__(self, variables: Variables, templar: t.Any) -> None:
        self._variables = variables
        self._templar = templar
        self.used: dict[str, t.Any] = {}

    def __getitem__(self, name: str) -> t.Any:
        if name not in self.used:
            try:
                self.used[name] = self._templar.template(self._variables[name])
            except AnsibleValueOmittedError as error:
                raise KeyError(name) from error
            except AnsibleError as error:
                raise AnsibleError(f"{name} can't be used: {error}") from error
        return self.used[name]

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


@dataclass(frozen=True)
class HostBecome:
    """Who one becomes on the host, and how. ``variables`` are the host's: flags, password and so on are among them."""

    method: str = "sudo"
    user: str = "root"
    password: str | None = None
    variables: Variables = field(default_factory=dict)


def address_of(host: str, variables: Variables) -> str:
    """Where a host is reached, by its variables: its name, where they do not say."""
    return str(variables.get("ansible_ssh_host") or variables.get("ansible_host") or host)


def host_become(
    variables: Variables,
    wanted: bool | None = None,
    method: str | None = None,
    user: str | None = None,
    password: str | None = None,
) -> HostBecome | None:
    """Who to become on a host: what is not said is as its variables have it. Raises AnsibleError."""
    if wanted is None:
        said = variables.get("ansible_become") or False
        try:
            wanted = boolean(said)
        except TypeError as error:
            raise AnsibleError(f"the host's ansible_become is '{said}', which is neither true nor false") from error
    if not wanted:
        return None
    return HostBecome(
        method=method or variables.get("ansible_become_method") or "sudo",
        user=user or variables.get("ansible_become_user") or "root",
        password=password,
        variables=variables,
    )


class Way:
    """One host, reached by Ansible's plugin ``kind``: ``local`` or ``ssh``."""

    def __init__(
        self,
        kind: str,
        address: str,
        variables: Variables,
        become: HostBecome | None,
        play_context: PlayContext,
        task_keys: t.Mapping[str, t.Any] | None = None,
    ) -> None:
        """``variables``: those of the host, templated. ``task_keys``: the keywords of the task, as a connection plugin gets them."""
        self.kind = kind
        self.address = address
        context = play_context.copy()
        context.remote_addr = address
        context.shell = None
        # The options come from the variables of the host.
        context.port = context.become = context.become_pass = None
        self._connection = t.cast(
            ConnectionBase,
            connection_loader.get(
                f"ansible.builtin.{kind}", context, task_uuid="", ansible_playbook_pid=str(os.getppid())
            ),
        )
        # Those of the variables that say how the plugin reaches a host, and not which host.
        names = C.config.get_plugin_vars("connection", self._connection._load_name)
        chosen = _given(variables, [name for name in names if name not in ADDRESS_VARIABLES])
        # With a terminal, output is not what was printed: newlines change, and stderr is mixed in. Ansible's local plugin gives
        # a command one without pipelining, and would take away what was printed before a prompt.
        direct: dict[str, t.Any] = {"pipelining": True}
        direct.update({"host": address, "use_tty": False} if kind == SSH else {"become_strip_preamble": False})
        self._connection.set_options(task_keys=dict(task_keys or {}), var_options=chosen, direct=direct)
        # As Ansible has it: nobody becomes who they are.
        user = getpass.getuser() if kind == LOCAL else self._connection.get_option("remote_user")
        same = become is not None and become.user == user and not C.BECOME_ALLOW_SAME_USER
        self._become = None if become is None or same else _become_plugin(become)

    def run(self, command: str, in_data: bytes | None, inner: BecomeBase | None = None) -> tuple[int, bytes, bytes]:
        """Exit code, stdout and stderr of a shell's command on the host.

        ``inner``: a become plugin within the command that will prompt for its password. Raises AnsibleConnectionFailure where
        the host can't be reached, or one can't become who one has to; whatever ``inner`` brings about passes as it is.
        """
        connection, become = self._connection, self._become
        success = b""
        connection.set_become_plugin(t.cast(BecomeBase, inner))
        if become is not None:
            command = become.build_become_command(command, connection._shell)
            success = become.success.encode()
            if inner is None:
                connection.set_become_plugin(become)
            elif become.expect_prompt():
                raise AnsibleError(
                    f"become on the host {self.address} and become inside the container both have a password, and only one "
                    "can be given at a prompt: let one of them need none"
                )
        size = len(command.encode("utf-8", "surrogateescape"))
        if size >= ARGUMENT_LIMIT:
            raise AnsibleError(
                f"the command is too long: with what leads inside it has {size} bytes, and Linux takes "
                f"{ARGUMENT_LIMIT - 1} at most: put it into a file, by the modules copy or script"
            )
        try:
            code, stdout, stderr = _unless_turned_away(
                lambda: connection.exec_command(command, in_data=in_data, sudoable=connection.become is not None)
            )
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            if become is None or inner is not None:
                raise
            raise AnsibleConnectionFailure(
                f"can't become {become.get_option('become_user')} on the host {self.address}: {error}"
            ) from error
        return code, _without_line(stdout, success), stderr

    def reset(self) -> None:
        """End what is kept open."""
        self._connection.reset()

    def close(self) -> None:
        """Be done with it; what Ansible keeps open stays so."""
        self._connection.close()


def _unless_turned_away(run: t.Callable[[], Output], pauses: t.Sequence[float] = PAUSES) -> Output:
    """What ``run`` returns, which is called again where sshd has ended the connection before it told its name.

    So it treats new connections beyond its MaxStartups, which many containers of one host reach at once. No command has begun
    then, so none is run twice.
    """
    for pause in pauses:
        try:
            return run()
        except AnsibleConnectionFailure as error:
            if not TURNED_AWAY.search(str(error)):
                raise
            time.sleep(pause * random.uniform(0.5, 1.5))
    return run()


def _become_plugin(become: HostBecome) -> BecomeBase:
    plugin = become_loader.get(become.method)
    if plugin is None:
        raise AnsibleError(f"there is no become plugin '{become.method}' for the host")
    names = C.config.get_plugin_vars("become", plugin._load_name)
    chosen = _given(become.variables, names)
    direct: dict[str, t.Any] = {"become_user": become.user}
    if become.password is not None:
        direct["become_pass"] = become.password
    plugin.set_options(var_options=chosen, direct=direct)
    return t.cast(BecomeBase, plugin)


def _given(variables: Variables, names: t.Iterable[str]) -> dict[str, t.Any]:
    """Those of the variables that are set; they may be templated when they are looked at."""
    found = {}
    for name in names:
        with contextlib.suppress(KeyError, AnsibleValueOmittedError):
            found[name] = variables[name]
    return found


def _without_line(output: bytes, line: bytes) -> bytes:
    """An output without the first line that says this and nothing else."""
    if not line:
        return output
    before, found, after = output.partition(line)
    if not found or (before and not before.endswith(b"\n")):
        return output
    return before + after.lstrip(b" ").removeprefix(b"\r").removeprefix(b"\n")
