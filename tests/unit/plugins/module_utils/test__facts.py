# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of lxc_task_facts, with a table in liblxc's place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _liblxc, _record
from ansible_collections.nomadic.lxc.plugins.module_utils._driver import fingerprint
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._facts import ARGUMENT_SPEC, facts, without_lxc
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import identify
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.views import PARAMS, Told

ALL = {"driver.lxc": "1", "driver.lxc.version": "5.0.2", "driver.lxc.volumes.enabled": "1"}
ABILITIES = {"send_signals": False, "exec": False, "fs_isolation": "image"}


@pytest.fixture(name="host")
def make_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    host = Told(tmp_path / "lxc")
    monkeypatch.setattr(_liblxc, "Containers", lambda path: host if path == host.lxc_path else Told(Path(path)))
    monkeypatch.setattr(_liblxc, "version", lambda: "5.0.2")
    return host


def params(host: Told, **given: t.Any) -> dict[str, t.Any]:
    own = {"driver_enabled": True, "wait": None, "timeout": "60s"}
    return {**PARAMS, **own, "lxc_path": host.lxc_path, **given}


def test_the_options_are_all_there() -> None:
    assert set(ARGUMENT_SPEC) == {*PARAMS, "driver_enabled", "wait", "timeout"}


@pytest.mark.parametrize(
    ("version", "enabled", "volumes", "found"),
    [
        ("5.0.2", True, True, ALL),
        ("5.0.2", True, False, {"driver.lxc": "1", "driver.lxc.version": "5.0.2"}),
        ("5.0.2", False, True, {}),
        ("", True, True, {}),
    ],
)
def test_the_fingerprint_is_nomads(version: str, enabled: bool, volumes: bool, found: dict[str, str]) -> None:
    assert fingerprint(version, enabled, volumes) == found


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_result(host: Told, check_mode: bool) -> None:
    host.make("web", "a1", config="lxc.net.0.type = empty\n")
    host.make("web")
    result = facts(params(host), check_mode)
    tasks = result["tasks"]
    assert [task["container_name"] for task in tasks] == ["web", "web-a1"]
    assert (tasks[1]["state"], tasks[1]["network_mode"], tasks[1]["init_pid"]) == ("stopped", "empty", -1)
    assert result == {
        "changed": False,
        "tasks": tasks,
        "images": [],
        "ansible_facts": {
            "lxc_tasks": {"web": tasks[0], "web-a1": tasks[1]},
            "lxc_images": [],
            "lxc_driver": ALL,
            "lxc_driver_abilities": ABILITIES,
        },
        "warnings": [],
    }
    json.dumps(result)


def test_a_broken_record_is_a_warning(host: Told) -> None:
    (host.make("web") / _record.FILE).write_text("{", encoding="utf-8")
    result = facts(params(host), False)
    assert (result["tasks"], len(result["warnings"])) == ([], 1)


def test_looking_writes_nothing(host: Told, tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    host.make("web", config=f"lxc.log.file = {log}\n")

    def all_files() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))

    before = all_files()
    facts(params(host), False)
    facts(params(host, name="web", wait="exited"), False)
    assert all_files() == before


# ---- hosts without LXC


@pytest.fixture(name="lacking")
def make_lacking(monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    """Options, on a host where the binding can't be imported."""
    monkeypatch.setitem(sys.modules, "lxc", None)
    return {**PARAMS, "driver_enabled": True, "wait": None, "timeout": "60s"}


HANDLE = '{"ContainerName":"web","LxcPath":"/var/lib/lxc"}'


@pytest.mark.parametrize(
    ("given", "waited"),
    [
        ({}, {}),
        ({"handle": HANDLE}, {}),
        ({"wait": "exited", "name": "web"}, {"waited": {"seconds": 0.0, "noticed_at": {}}}),
        ({"wait": "exited", "handle": HANDLE}, {"waited": {"seconds": 0.0, "noticed_at": {}}}),
    ],
)
def test_a_host_without_lxc_has_no_tasks(
    lacking: dict[str, t.Any], given: dict[str, str], waited: dict[str, t.Any]
) -> None:
    assert without_lxc({**lacking, **given}, False) == {
        "changed": False,
        "tasks": [],
        "images": [],
        "ansible_facts": {
            "lxc_tasks": {},
            "lxc_images": [],
            "lxc_driver": {},
            "lxc_driver_abilities": ABILITIES,
        },
        **waited,
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"wait": "running", "name": "web"}, "LXC is not installed"),
        ({"wait": "exited"}, "wait needs a name or a handle"),
        ({"handle": "garbage"}, "^Failed to parse handle 'garbage': "),
        ({"timeout": "abc"}, "^timeout: invalid duration 'abc'"),
        ({"name": "a/b"}, "invalid name"),
        ({"lxc_path": "lxc"}, "lxc_path: 'lxc' is not an absolute path"),
    ],
)
def test_what_a_host_without_lxc_refuses(lacking: dict[str, t.Any], given: dict[str, str], says: str) -> None:
    with pytest.raises(LxcTaskError, match=says):
        without_lxc({**lacking, **given}, False)


# ---- waiting


@pytest.mark.parametrize("given", [{}, {"alloc_id": "a1"}])
@pytest.mark.parametrize("wait", ["exited", "running"])
def test_a_wait_needs_to_know_for_whom(host: Told, given: dict[str, str], wait: str) -> None:
    with pytest.raises(LxcTaskError, match="wait needs a name or a handle"):
        facts(params(host, wait=wait, **given), False)


def test_an_end_is_noticed(host: Told) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        host.make("web", init=identify(process.pid))
        host.make("web", "a1")
        host.states["web"] = ("running", process.pid)

        def kill() -> None:
            host.states["web"] = ("stopped", -1)
            os.kill(process.pid, 9)

        threading.Timer(0.2, kill).start()
        result = facts(params(host, name="web", wait="exited"), False)
    assert [task["state"] for task in result["tasks"]] == ["stopped", "stopped"]
    assert list(result["waited"]["noticed_at"]) == ["web"]
    assert 0 < result["waited"]["seconds"] < 60


def test_what_has_ended_is_not_waited_for(host: Told) -> None:
    host.make("web")
    for name, count in (("web", 1), ("nobody", 0)):
        result = facts(params(host, name=name, wait="exited", timeout="0"), False)
        assert len(result["tasks"]) == count
        assert result["waited"]["noticed_at"] == {}


def test_a_wait_for_an_end_in_vain(host: Told) -> None:
    host.make("web", init=identify(os.getpid()))
    host.make("web", "a1")
    host.states["web"] = ("frozen", os.getpid())
    with pytest.raises(LxcTaskError) as caught:
        facts(params(host, name="web", wait="exited", timeout="200ms"), False)
    assert re.fullmatch(r"waited 0\.\d seconds for exited, but web is frozen, web-a1 is stopped", str(caught.value))


def test_a_start_is_seen(host: Told) -> None:
    def start() -> None:
        host.states["late"] = ("running", os.getpid())
        host.make("late")

    threading.Timer(0.2, start).start()
    result = facts(params(host, name="late", wait="running"), False)
    assert [(task["name"], task["init_pid"]) for task in result["tasks"]] == [("late", os.getpid())]
    assert result["waited"]["noticed_at"] == {}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "web"}, "web is stopped"),
        ({"name": "nobody"}, "there is no such task"),
        ({"handle": '{"ContainerName":"nobody","LxcPath":"%s"}'}, "container nobody not found"),
    ],
)
def test_a_wait_for_a_start_in_vain(host: Told, given: dict[str, str], says: str) -> None:
    host.make("web")
    filled = {key: value.replace("%s", host.lxc_path) for key, value in given.items()}
    with pytest.raises(LxcTaskError) as caught:
        facts(params(host, wait="running", timeout="100ms", **filled), False)
    assert re.fullmatch(rf"waited 0\.\d seconds for running, but {says}", str(caught.value))


def test_an_end_of_what_a_handle_does_not_find(host: Told) -> None:
    handle = json.dumps({"ContainerName": "nobody", "LxcPath": host.lxc_path})
    with pytest.raises(LxcTaskError, match="^container nobody not found$"):
        facts(params(host, handle=handle, wait="exited"), False)
