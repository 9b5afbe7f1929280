# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks, told before anything is made: tables of sentences, and what the kernel's files say of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup_mounts import V1, V2, Hierarchy, read_controllers
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import OptionsError
from ansible_collections.nomadic.lxc.plugins.module_utils._network import DOWN, NO_BRIDGE, UP, bridge
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import made, nothing, plan, spec, task
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import python

Given = dict[str, t.Any]
BRIDGE: Given = {"network_mode": "bridge"}
V2_ALL = frozenset({"cpu", "memory", "pids"})


@pytest.mark.parametrize(
    ("options", "seen", "words"),
    [
        (BRIDGE, {"bridge": None}, ["no bridge lxcbr0", "`systemctl enable lxc-net && systemctl restart lxc-net`"]),
        ({**BRIDGE, "network_link": "br7"}, {"bridge": None}, ["no bridge br7", "ip link add br7 type bridge"]),
        (BRIDGE, {"bridge": DOWN}, ["lxcbr0 is down", "ip link set lxcbr0 up"]),
        ({**BRIDGE, "network_link": "eth7"}, {"bridge": NO_BRIDGE}, ["eth7", "no bridge", "ip link add NAME"]),
        ({"memory_mb": 64}, {"controllers": frozenset({"cpu"})}, ["memory_mb", "they get cpu", "cgroup_enable=memory"]),
        ({"cpu_shares": 64}, {"controllers": frozenset()}, ["cpu_shares", "they get none", "cgroup_enable=cpu"]),
        (
            {"memory_mb": 64, "cpu_shares": 64, **BRIDGE},
            {"controllers": frozenset(), "bridge": None},
            ["memory_mb", "cpu_shares", "lxcbr0"],
        ),
    ],
)
def test_each_is_a_sentence(options: Given, seen: Given, words: list[str]) -> None:
    asked = task(**options)
    with pytest.raises(OptionsError) as raised:
        plan(asked, nothing(asked, **seen))
    assert all(word in str(raised.value) for word in words), str(raised.value)
    assert len(raised.value.errors) == max(1, len(options) - ("network_mode" in options and len(options) == 2))


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (BRIDGE, {"bridge": UP}),
        # nothing starts
        ({**BRIDGE, "state": "present"}, {"bridge": None}),
        ({"network_mode": "empty"}, {"bridge": None}),
        ({"memory_mb": 64, "cpu_shares": 64}, {"controllers": V2_ALL}),
        ({"memory_mb": 64}, {"controllers": None}),
        ({}, {"controllers": frozenset()}),
    ],
)
def test_what_is_there_or_not_needed_is_no_fault(options: Given, seen: Given) -> None:
    asked = task(**options)
    assert plan(asked, nothing(asked, **seen)).changed


def test_a_running_task_needs_no_bridge_to_stay_and_a_command_that_starts_it_does() -> None:
    former = task(**BRIDGE)
    assert not plan(former, made(former, bridge=None)).changed
    with pytest.raises(OptionsError, match="no bridge lxcbr0"):
        plan(spec(state="restarted"), made(former, spec(state="restarted"), bridge=None))
    assert plan(spec(state="stopped"), made(former, spec(state="stopped"), bridge=None)).changed


def test_controllers_of_both_generations(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified" / "cgroup.controllers").write_text("cpuset cpu io\n")
    unified = Hierarchy(V2, frozenset(), "/", str(tmp_path / "unified"))
    memory = Hierarchy(V1, frozenset({"memory"}), "/", "/sys/fs/cgroup/memory")
    assert read_controllers([unified]) == frozenset({"cpuset", "cpu", "io"})
    assert read_controllers([memory, unified]) == frozenset({"memory", "cpuset", "cpu", "io"})
    assert read_controllers([memory]) == frozenset({"memory"})
    assert read_controllers([]) is None
    assert read_controllers([Hierarchy(V2, frozenset(), "/", str(tmp_path / "hidden"))]) is None


LINKS = """
import subprocess
bridge = module("_network").bridge
found = [bridge("lo"), bridge("br7"), bridge("x" * 15)]
subprocess.run(["ip", "link", "add", "br7", "type", "bridge"], check=True)
found.append(bridge("br7"))
subprocess.run(["ip", "link", "set", "br7", "up"], check=True)
subprocess.run(["ip", "link", "add", "veth7", "type", "veth", "peer", "veth8"], check=True)
print(json.dumps([*found, bridge("br7"), bridge("veth7")]))
"""


def test_interfaces_of_this_network_namespace() -> None:
    """Whatever /sys shows."""
    assert python(LINKS, prefix=["unshare", "--net"]) == [NO_BRIDGE, None, None, DOWN, UP, NO_BRIDGE]
    assert bridge("lo") == NO_BRIDGE
