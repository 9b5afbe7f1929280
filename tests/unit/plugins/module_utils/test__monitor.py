# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitors of containers, as proc(5) shows them: a tree of files in the place of /proc."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._monitor import hangs, init_of


def process(root: Path, pid: int, cmdline: str, children: str = "", namespaces: str = "", state: str = "S") -> None:
    """A process; ``namespaces``: its pids from the outermost namespace to its own."""
    place = root / "proc" / str(pid)
    (place / "task" / str(pid)).mkdir(parents=True)
    (place / "cmdline").write_bytes(os.fsencode(cmdline) + b"\0\0")
    (place / "task" / str(pid) / "children").write_text(children)
    (place / "status").write_text(f"Name:\tx\nNSpid:\t{namespaces or pid}\nVmPeak:\t1 kB\n")
    (place / "stat").write_text(f"{pid} (x) {state} 1 " + " ".join(["0"] * 17) + " 77 0 0\n")


@pytest.fixture(name="host")
def make_host(tmp_path: Path) -> Path:
    """A container path, a link to it, and the container web's monitor with a hook and an init."""
    (tmp_path / "lxc").mkdir()
    (tmp_path / "link").symlink_to("lxc")
    process(tmp_path, 10, f"[lxc monitor] {tmp_path}/lxc web", "11 12 ")
    process(tmp_path, 11, "/bin/sh\0-c\0hook", namespaces="11")
    process(tmp_path, 12, "init", namespaces="12\t1")
    return tmp_path


@pytest.mark.parametrize("path", ["lxc", "lxc/", "./lxc", "/lxc", "link", "lxc/../link"])
def test_the_init_is_found_by_any_spelling_of_the_path(host: Path, path: str) -> None:
    found = init_of(f"{host}/{path}", "web", str(host))
    assert found is not None
    assert (found.pid, found.start_ticks) == (12, 77)


@pytest.mark.parametrize(
    ("path", "name"), [("lxc", "we"), ("lxc", "b"), ("lxc", "web2"), ("other", "web"), ("", "lxc web")]
)
def test_no_other_container_is_taken_for_it(host: Path, path: str, name: str) -> None:
    assert init_of(f"{host}/{path}", name, str(host)) is None


def monitor_alone(root: Path) -> None:
    process(root, 20, f"[lxc monitor] {root}/lxc db")


def a_hook(root: Path) -> None:
    process(root, 20, f"[lxc monitor] {root}/lxc db", "21 ")
    process(root, 21, "init", namespaces="21")


def a_zombie(root: Path) -> None:
    process(root, 20, f"[lxc monitor] {root}/lxc db", "21 ")
    process(root, 21, "", namespaces="21\t1", state="Z")


def gone_meanwhile(root: Path) -> None:
    process(root, 20, f"[lxc monitor] {root}/lxc db", "21 ")


def an_impostor(root: Path) -> None:
    process(root, 20, f"sleep\0[lxc monitor] {root}/lxc db", "21 ")
    process(root, 21, "init", namespaces="21\t1")


@pytest.mark.parametrize("make", [monitor_alone, a_hook, a_zombie, gone_meanwhile, an_impostor])
def test_what_is_no_init_that_lives(host: Path, make: t.Callable[[Path], None]) -> None:
    make(host)
    assert init_of(f"{host}/lxc", "db", str(host)) is None


@pytest.mark.parametrize(
    ("state", "children", "hanging"),
    [
        ("S", {}, True),
        ("S", {"21": "Z"}, True),
        ("S", {"21": "S"}, False),
        ("S", {"21": "Z", "22": "R"}, False),
        # On a busy host it waits for its turn, or for the kernel that makes cgroups, before its first child is there.
        ("R", {}, False),
        ("D", {}, False),
        ("Z", {}, False),
    ],
)
def test_a_monitor_hangs_that_waits_for_no_living_child(
    tmp_path: Path, state: str, children: dict[str, str], hanging: bool
) -> None:
    process(tmp_path, 20, f"[lxc monitor] {tmp_path}/lxc db", " ".join(children), state=state)
    for pid, its in children.items():
        process(tmp_path, int(pid), "init", state=its)
    assert hangs(f"{tmp_path}/lxc", "db", str(tmp_path)) is hanging


def test_no_monitor_hangs_where_none_is(tmp_path: Path) -> None:
    process(tmp_path, 20, f"[lxc monitor] {tmp_path}/lxc db", state="S")
    assert not hangs(f"{tmp_path}/lxc", "web", str(tmp_path))
