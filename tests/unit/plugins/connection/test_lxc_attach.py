# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection, as Ansible uses it for the items of a loop: the ways to the hosts only note what would run on them."""

from __future__ import annotations

import re
import shlex
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.collections import ImmutableDict
from ansible.playbook.play_context import PlayContext
from ansible_collections.nomadic.lxc.plugins.connection import lxc_attach

Options = t.Mapping[str, t.Any]


class Host:
    """A way to a host on which everything is done at once, and every file is empty when it is fetched."""

    ways: t.ClassVar[list[Host]] = []

    def __init__(self, kind: str, address: str, _variables: Options, become: t.Any, *_more: t.Any) -> None:
        self.kind, self.address, self.become = kind, address, become
        self.lines: list[list[str]] = []
        self.closed = self.was_reset = 0
        self.ways.append(self)

    def run(self, line: str, in_data: bytes | None, _inner: t.Any = None) -> tuple[int, bytes, bytes]:
        words = shlex.split(line)
        self.lines.append(words)
        mark, inside = t.cast("list[str]", re.findall(r"lxc_attach-\w{24}", " ".join(words)))
        size = len(in_data or b"")
        return 0, b"0 600\n", f"{inside}\n{inside} size {size}\n\n{mark} exit 0\n".encode()

    def close(self) -> None:
        self.closed += 1

    def reset(self) -> None:
        self.was_reset += 1


@pytest.fixture(name="connection")
def make_connection(monkeypatch: pytest.MonkeyPatch) -> lxc_attach.Connection:
    """What a task starts with: Ansible's loader tells the plugin its name, and Ansible's configuration its options."""
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict())
    monkeypatch.setattr(lxc_attach, "Way", Host)
    monkeypatch.setattr(Host, "ways", [])
    found = lxc_attach.Connection(PlayContext())
    found._load_name = found.transport
    C.config.initialize_plugin_configuration_definitions(
        "connection", found.transport, yaml.safe_load(lxc_attach.DOCUMENTATION)["options"]
    )
    return found


def options(**given: t.Any) -> dict[str, t.Any]:
    return {"inventory_hostname": "web", **{f"ansible_lxc_attach_{name}": value for name, value in given.items()}}


def words(number: int = -1) -> list[str]:
    """What was run last on the host to which this way leads."""
    return Host.ways[number].lines[-1]


@pytest.mark.parametrize(
    ("given", "first", "second"),
    [
        ("container", ("a", "--name=a"), ("b", "--name=b")),
        ("path", ("/a", "--lxcpath=/a"), ("/b", "--lxcpath=/b")),
        ("environment", ({"A": 1}, "--set-var=A=1"), ({"A": 2}, "--set-var=A=2")),
        ("remote_user", ("ann", "ann"), ("bob", "bob")),
    ],
)
def test_each_item_of_a_loop_goes_where_its_options_say(
    connection: lxc_attach.Connection, given: str, first: tuple[t.Any, str], second: tuple[t.Any, str]
) -> None:
    for value, word in (first, second):
        connection.set_options(var_options=options(**{given: value}))
        connection.exec_command("true")
        assert word in words()
    assert first[1] not in words()


def test_each_item_of_a_loop_goes_to_its_host(connection: lxc_attach.Connection) -> None:
    for host, become in (("vm1", False), ("vm2", True), ("localhost", False)):
        connection.set_options(var_options=options(host=host, host_become=become))
        connection.exec_command("true")
    assert [(way.kind, way.address, way.become is not None) for way in Host.ways] == [
        ("ssh", "vm1", False),
        ("ssh", "vm2", True),
        ("local", "localhost", False),
    ]
    assert [len(way.lines) for way in Host.ways] == [1, 1, 1]


def test_each_item_of_a_loop_goes_to_whom_it_is_delegated(connection: lxc_attach.Connection) -> None:
    for name in ("a", "b"):
        connection.set_options(task_keys={"delegate_to": name}, var_options=options())
        connection.exec_command("true")
        assert f"--name={name}" in words()


def test_a_file_of_an_item_goes_where_its_options_say(connection: lxc_attach.Connection, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"text")
    for name in ("a", "b"):
        connection.set_options(var_options=options(container=name))
        connection.put_file(str(tmp_path / "sent"), "/root/sent")
        assert f"--name={name}" in words()
    for name in ("a", "b"):
        connection.set_options(var_options=options(container=name))
        connection.fetch_file("/root/sent", str(tmp_path / "back"))
        assert f"--name={name}" in words()


def test_what_an_item_leaves_is_closed_and_what_ansible_keeps_open_stays_so(connection: lxc_attach.Connection) -> None:
    for name in ("a", "b"):
        connection.set_options(var_options=options(container=name))
        assert not connection.connected
        connection.exec_command("true")
        connection.exec_command("true")
        assert connection.connected
    assert [(way.closed, way.was_reset, len(way.lines)) for way in Host.ways] == [(1, 0, 2), (0, 0, 2)]


def test_an_item_that_means_nothing_does_not_run_in_the_former_container(connection: lxc_attach.Connection) -> None:
    connection.set_options(var_options=options(container="a"))
    connection.exec_command("true")
    connection.set_options(var_options=options(container="b/c"))
    with pytest.raises(AnsibleError, match="can't be the name of a container"):
        connection.exec_command("true")
    assert len(Host.ways[0].lines) == 1


def test_who_can_not_be_entered_is_named_by_the_item(
    connection: lxc_attach.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.set_options(var_options=options(container="a"))
    connection.exec_command("true")
    monkeypatch.setattr(Host, "run", lambda *_all: (1, b"", b"gone"))
    connection.set_options(var_options=options(container="b", host="vm2"))
    with pytest.raises(AnsibleConnectionFailure, match="can't enter the container 'b' on vm2: .* gone"):
        connection.exec_command("true")


def test_a_reset_ends_what_is_kept_open(connection: lxc_attach.Connection) -> None:
    connection.set_options(var_options=options(container="a"))
    connection.reset()
    assert [(way.closed, way.was_reset) for way in Host.ways] == [(1, 1)]
    assert not connection.connected
