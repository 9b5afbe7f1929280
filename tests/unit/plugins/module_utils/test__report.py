# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes back of a task: the dict that all modules return."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._config import converge
from ansible_collections.nomadic.lxc.plugins.module_utils._config_lines import parse
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import identify
from ansible_collections.nomadic.lxc.plugins.module_utils._report import mounts_in, network_mode_in, task_dict
from ansible_collections.nomadic.lxc.plugins.module_utils._states import Exit
from ansible_collections.nomadic.lxc.plugins.module_utils._view import TaskView
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import declared, nothing, place_of, task

ASKED = task(
    alloc_id="5e1d", memory_mb=64, network_mode="bridge", mounts=[{"source": "/a b", "target": "c", "read_only": True}]
)
PLACE = place_of(ASKED)
VIEW = TaskView(
    name="web",
    alloc_id="5e1d",
    container_name="web-5e1d",
    lxc_path="/var/lib/lxc",
    state="stopped",
    init=None,
    layout=PLACE,
    lines=declared(ASKED, nothing(ASKED)).block,
    memory_mb=64,
    cpu_shares=None,
    kill_timeout=500_000_000,
    cgroup_version=1,
    created_at="2026-11-24T10:00:00Z",
)
MOUNTS = [
    {"source": PLACE.local, "target": "/local", "read_only": False, "create": "dir"},
    {"source": PLACE.alloc, "target": "/alloc", "read_only": False, "create": "dir"},
    {"source": PLACE.secrets, "target": "/secrets", "read_only": False, "create": "dir"},
    {"source": "/a b", "target": "/c", "read_only": True, "create": "dir"},
]
DIRS = {"task": PLACE.task, "local": PLACE.local, "alloc": PLACE.alloc, "secrets": PLACE.secrets}


def test_a_stopped_task() -> None:
    assert task_dict(VIEW) == {
        "name": "web",
        "alloc_id": "5e1d",
        "container_name": "web-5e1d",
        "lxc_path": "/var/lib/lxc",
        "state": "stopped",
        "init_pid": -1,
        "handle": '{"ContainerName":"web-5e1d","InitPid":-1,"LxcPath":"/var/lib/lxc","KillTimeout":500000000}',
        "log_file": f"{PLACE.task}/web-lxc.log",
        "dirs": DIRS,
        "mounts": MOUNTS,
        "network_mode": "bridge",
        "idmap": None,
        "memory_mb": 64,
        "cpu_shares": None,
        "kill_timeout": 0.5,
        "cgroup_version": 1,
        "interfaces": [],
        "ips": [],
        "created_at": "2026-11-24T10:00:00Z",
        "started_at": None,
        "exit": None,
    }


def test_a_running_task() -> None:
    """This process is its init."""
    init = identify(os.getpid())
    said = task_dict(VIEW._replace(state="running", init=init, kill_timeout=5_000_000_000))
    assert said["init_pid"] == os.getpid()
    assert f'"InitPid":{os.getpid()}' in said["handle"]
    assert "lo" in said["interfaces"]
    assert isinstance(said["ips"], list) and "127.0.0.1" not in said["ips"]
    assert said["started_at"].endswith("Z")
    assert (said["kill_timeout"], type(said["kill_timeout"])) == (5, int)


def test_an_absent_task_has_no_handle() -> None:
    said = task_dict(VIEW._replace(state="absent", lines=(), created_at=None))
    assert (said["handle"], said["init_pid"], said["mounts"], said["network_mode"]) == (None, -1, [], None)
    assert said["dirs"] == DIRS


def test_a_task_that_ended() -> None:
    said = task_dict(VIEW._replace(ended=Exit("2026-11-24T10:00:00Z", True)))
    assert said["exit"] == {"ended_at": "2026-11-24T10:00:00Z", "oom_killed": True}


def test_a_container_that_we_did_not_make() -> None:
    said = task_dict(VIEW._replace(name=None, alloc_id=None, layout=None, lines=[], memory_mb=None, created_at=None))
    assert set(said) == set(task_dict(VIEW))
    assert said["dirs"] == {"task": None, "local": None, "alloc": None, "secrets": None}
    assert (said["name"], said["log_file"]) == (None, None)


def test_it_is_json() -> None:
    said = task_dict(VIEW._replace(state="running", init=identify(os.getpid())))
    assert json.loads(json.dumps(said)) == said


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("lxc.net.0.type = none", "host"),
        ("lxc.net.0.type = veth", "bridge"),
        ("lxc.net.0.type = empty", "empty"),
        # the last one counts
        ("lxc.net.0.type = none\nlxc.net.0.type = veth", "bridge"),
        ("lxc.net.0.type = macvlan", None),
        ("", None),
    ],
)
def test_the_network_mode_of_a_configuration(text: str, mode: str | None) -> None:
    assert network_mode_in(parse(text)) == mode


def test_the_mounts_of_a_configuration() -> None:
    theirs = "lxc.mount.entry = proc proc proc nodev 0 0\nlxc.mount.entry = /x y none bind 0 0\n"
    base = [("lxc.mount.entry", "proc proc proc nodev 0 0"), ("lxc.mount.entry", "/x y none bind 0 0")]
    assert mounts_in(parse(converge(theirs, base, VIEW.lines))) == MOUNTS
