# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to a host: which variables reach Ansible's own plugins."""

from __future__ import annotations

import getpass
import typing as t

import pytest
from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.collections import ImmutableDict
from ansible.playbook.play_context import PlayContext
from ansible.template import Templar, trust_as_template
from ansible_collections.nomadic.lxc.plugins.plugin_utils._way import (
    LOCAL,
    SSH,
    HostBecome,
    Templated,
    Way,
    _unless_turned_away,
    _without_line,
    address_of,
    host_become,
)

pytestmark = pytest.mark.usefixtures("plugin_loader")


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict())


def option(way: Way, name: str) -> t.Any:
    return way._connection.get_option(name)


def test_the_variables_of_the_host_are_options_of_ssh() -> None:
    variables = {
        "ansible_port": 2022,
        "ansible_user": "admin",
        "ansible_ssh_common_args": "-J jump",
        "ansible_ssh_private_key_file": "/key",
        "ansible_host": "192.0.2.1",
        "inventory_hostname": "vm1",
        "other": "x",
    }
    way = Way(SSH, "192.0.2.7", variables, None, PlayContext(), {"remote_user": "keyword", "timeout": 7})
    assert option(way, "host") == "192.0.2.7"
    assert option(way, "port") == 2022
    assert option(way, "remote_user") == "admin"
    assert option(way, "ssh_common_args") == "-J jump"
    assert option(way, "private_key_file") == "/key"
    assert option(way, "timeout") == 7
    assert option(way, "use_tty") is False


def templated(**variables: t.Any) -> Templated:
    trusted = {name: trust_as_template(value) for name, value in variables.items()}
    return Templated(trusted, Templar(variables=trusted))


def test_a_variable_is_templated_when_it_is_asked_for_and_one_that_is_omitted_is_not_there() -> None:
    variables = templated(who="a{{ 'b' }}", what="{{ nothing.there }}", where="{{ omit }}")
    assert variables.get("who") == "ab"
    assert variables.get("where", "nowhere") == "nowhere"
    assert variables.used == {"who": "ab"}
    assert list(variables) == ["who", "what", "where"]
    with pytest.raises(AnsibleError, match="what can't be used: .* undefined"):
        variables.get("what")


def test_a_way_uses_the_variables_that_lead_to_the_host_and_no_others() -> None:
    led = {
        "ansible_port": "22",
        "ansible_user": "admin",
        "ansible_become": "yes",
        "ansible_become_flags": "-H",
        "ansible_sudo_pass": "secret",
    }
    variables = templated(**led, inventory_hostname="vm1", ansible_python_interpreter="{{ nothing }}")
    Way(SSH, address_of("vm1", variables), variables, host_become(variables), PlayContext())
    assert variables.used == led


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "vm1"),
        ({"ansible_host": ""}, "vm1"),
        ({"ansible_host": "192.0.2.7"}, "192.0.2.7"),
        ({"ansible_host": "192.0.2.7", "ansible_ssh_host": "192.0.2.8"}, "192.0.2.8"),
    ],
)
def test_where_a_host_is(variables: dict[str, t.Any], address: str) -> None:
    assert address_of("vm1", variables) == address


def test_what_is_said_of_become_wins_over_the_variables_of_the_host() -> None:
    variables = {"ansible_become": "yes", "ansible_become_method": "su", "ansible_become_user": "other"}
    assert host_become(variables) == HostBecome("su", "other", None, variables)
    assert host_become(variables, True, "sudo", "root", "secret") == HostBecome("sudo", "root", "secret", variables)
    assert host_become(variables, wanted=False) is None


@pytest.mark.parametrize("said", [False, None, "no", ""])
def test_nobody_becomes_another_unasked(said: t.Any) -> None:
    assert host_become({"ansible_become": said}) is None


def test_become_is_true_or_false() -> None:
    with pytest.raises(AnsibleError, match="the host's ansible_become is 'maybe', which is neither true nor false"):
        host_become({"ansible_become": "maybe"})


def test_keywords_of_the_task_are_for_the_host() -> None:
    assert option(Way(SSH, "vm1", {}, None, PlayContext(), {"remote_user": "keyword"}), "remote_user") == "keyword"


@pytest.mark.parametrize(
    ("kind", "user", "becomes"),
    [(SSH, "root", False), (SSH, "admin", True), (LOCAL, getpass.getuser(), False), (LOCAL, "somebody", True)],
)
def test_nobody_becomes_who_they_are(kind: str, user: str, becomes: bool) -> None:
    asked = HostBecome(user="root" if kind == SSH else user)
    way = Way(kind, "vm1", {"ansible_user": user}, asked, PlayContext())
    assert (way._become is not None) == becomes


def test_the_variables_of_the_host_are_options_of_become() -> None:
    variables = {"ansible_become_flags": "-H", "ansible_become_password": "secret", "ansible_become_user": "other"}
    way = Way(SSH, "vm1", {"ansible_user": "admin"}, HostBecome(variables=variables), PlayContext())
    assert way._become is not None
    assert way._become.get_option("become_flags") == "-H"
    assert way._become.get_option("become_pass") == "secret"
    assert way._become.get_option("become_user") == "root"


def test_an_unknown_become_method_is_an_error() -> None:
    with pytest.raises(AnsibleError, match="no become plugin 'nothing'"):
        Way(SSH, "vm1", {}, HostBecome(method="nothing"), PlayContext())


def test_a_command_on_this_host() -> None:
    way = Way(LOCAL, "localhost", {}, None, PlayContext())
    assert way.run("cat; printf e >&2; exit 3", b"in\r\n") == (3, b"in\r\n", b"e")


TURNED_AWAY = "Failed to connect to the host via ssh: kex_exchange_identification: read: Connection reset by peer\r\nConnection reset"


@pytest.mark.parametrize(
    ("said", "tries"),
    [
        ([TURNED_AWAY, TURNED_AWAY], 3),
        ([f"Warning: something\n{TURNED_AWAY}"], 2),
        (
            [
                'Data could not be sent to remote host "vm1": kex_exchange_identification: Connection closed by remote host'
            ],
            2,
        ),
    ],
)
def test_who_is_turned_away_by_sshd_comes_again(said: list[str], tries: int) -> None:
    left = list(said)
    calls = []

    def run() -> tuple[int, bytes, bytes]:
        calls.append(1)
        if left:
            raise AnsibleConnectionFailure(left.pop(0))
        return 3, b"o", b"e"

    assert _unless_turned_away(run, [0, 0]) == (3, b"o", b"e")
    assert len(calls) == tries


@pytest.mark.parametrize(
    ("said", "tries"),
    [
        (TURNED_AWAY, 3),
        ("Failed to connect to the host via ssh: Permission denied (publickey).", 1),
        ("Shared connection to vm1 closed.", 1),
        ("can't become root on the host", 1),
    ],
)
def test_who_can_not_come_in_does_not_try_for_ever(said: str, tries: int) -> None:
    calls = []

    def run() -> tuple[int, bytes, bytes]:
        calls.append(1)
        raise AnsibleConnectionFailure(said)

    with pytest.raises(AnsibleConnectionFailure) as caught:
        _unless_turned_away(run, [0, 0])
    assert str(caught.value) == said
    assert len(calls) == tries


@pytest.mark.parametrize("kind", [LOCAL, SSH])
def test_a_command_that_the_kernel_would_not_take_is_an_error_that_says_so(kind: str) -> None:
    command = f"echo {'x' * 131065}é"
    with pytest.raises(AnsibleError, match="too long: .* has 131072 bytes") as caught:
        Way(kind, "vm1", {}, None, PlayContext()).run(command, None)
    assert not isinstance(caught.value, AnsibleConnectionFailure)


def test_the_longest_command_runs() -> None:
    command = f"echo {'x' * 131066}"
    assert len(command) == 131071
    assert Way(LOCAL, "localhost", {}, None, PlayContext()).run(command, None)[0] == 0


@pytest.mark.parametrize(
    ("output", "rest"),
    [
        (b"MARK\nrest", b"rest"),
        (b"MARK \nrest", b"rest"),
        (b"motd\nMARK\nrest\n", b"motd\nrest\n"),
        (b"xMARK\n", b"xMARK\n"),
        (b"", b""),
        (b"MARK", b""),
    ],
)
def test_the_line_that_says_success_is_taken_away(output: bytes, rest: bytes) -> None:
    assert _without_line(output, b"MARK") == rest
    assert _without_line(output, b"") == output
