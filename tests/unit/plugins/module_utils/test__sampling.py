# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of lxc_task_stats: on files copied from real kernels, and on real cgroups' absence."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _liblxc, _sampling, _stats
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup_reader import CgroupReader
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId, identify
from ansible_collections.nomadic.lxc.plugins.module_utils._sampling import ARGUMENT_SPEC, stats
from ansible_collections.nomadic.lxc.plugins.module_utils._view import TaskView
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.cgroup_fixtures import PID, Fixture, lay_out
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.views import PARAMS, Told

INIT = InitId(PID, 100, "boot")


class Host:
    """Tasks whose cgroups are copied from a real kernel. ``sleep``: what happens between two samples."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told = Told(tmp_path / "lxc")
        self.roots: dict[str, Fixture] = {}
        self.tmp_path = tmp_path
        self.slept: list[float] = []
        self.taken: list[str] = []
        self.between: t.Callable[[], None] = lambda: None
        monkeypatch.setattr(_liblxc, "Containers", lambda path: self.told)
        monkeypatch.setattr(_sampling, "cgroup_of", self.cgroup_of)
        monkeypatch.setattr(time, "sleep", self.sleep)
        take = _stats.take

        def counted(cgroup: CgroupReader) -> _stats.Sample | None:
            self.taken.append(cgroup.name)
            return take(cgroup)

        monkeypatch.setattr(_stats, "take", counted)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.between()

    def run(self, name: str, case: str = "v2-busybox", alloc_id: str | None = None) -> None:
        """Make a task that runs, as a kernel of this case shows it."""
        directory = self.told.make(name, alloc_id)
        self.roots[directory.name] = lay_out(case, "used", self.tmp_path / "roots" / directory.name)
        self.told.states[directory.name] = ("running", 1)

    def cgroup_of(self, view: TaskView) -> CgroupReader | None:
        fixture = self.roots.get(view.container_name)
        if view.init is None or fixture is None:
            return None
        group = CgroupReader.of(PID, fixture.container_name, root=fixture.root)
        if group is not None:
            group.name = view.container_name
        return group

    def stats(self, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
        own = {"interval": "1s", "textfile": None, "lxc_path": self.told.lxc_path}
        return stats({**PARAMS, **own, **given}, check_mode)


@pytest.fixture(name="host")
def make_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_options_are_all_there() -> None:
    assert set(ARGUMENT_SPEC) == {*PARAMS, "interval", "textfile"}


def test_all_are_sampled_twice_with_one_sleep(host: Host) -> None:
    host.run("web", "v1-busybox")
    host.run("db", "v2-systemd", "a1")
    host.told.make("still")
    result = host.stats(interval="2s500ms")
    assert host.slept == [2.5]
    assert host.taken == ["db-a1", "web", "db-a1", "web"]
    assert sorted(result["stats"]) == ["db-a1", "web"]
    assert result["not_running"] == ["still"]
    assert result["ansible_facts"] == {"lxc_task_stats": result["stats"]}
    assert (result["changed"], result["warnings"]) == (False, [])
    assert result["stats"]["web"]["cgroup_version"] == 1
    assert result["stats"]["db-a1"]["cgroup_version"] == 2
    for usage in result["stats"].values():
        # The files don't change, so no time was used.
        assert usage["cpu"]["percent"] == 0.0
        assert usage["cpu"]["measured"] == ["System Mode", "User Mode", "Percent"]


def test_liblxc_is_not_asked_for_what_a_hook_knows(host: Host) -> None:
    host.run("web")
    init = identify(1)
    assert init is not None
    (Path(host.told.lxc_path) / "web" / "nomadic-lxc.run").write_text(
        f"1 {init.start_ticks} {init.boot_id}\n", encoding="ascii"
    )
    assert list(host.stats(interval="0")["stats"]) == ["web"]
    assert host.told.asked == []


def test_the_longest_interval_can_be_slept(host: Host) -> None:
    host.run("web")
    host.stats(interval="2562047h47m16.854775807s")
    # More than this, and Python's sleep is an error.
    assert 0 < host.slept[0] < 2**63 / 10**9


@pytest.mark.parametrize("interval", ["0", "0s", "0.0"])
def test_no_interval_is_one_sample_without_percents(host: Host, interval: str) -> None:
    host.run("web")
    usage = host.stats(interval=interval)["stats"]["web"]
    assert (host.slept, host.taken) == ([], ["web"])
    assert (usage["cpu"]["percent"], usage["cpu"]["measured"]) == (None, [])
    assert usage["memory"]["rss"] > 0


def test_one_that_ends_between_the_samples(host: Host) -> None:
    host.run("web")
    host.run("db")
    host.between = lambda: shutil.rmtree(host.roots["web"].root)
    result = host.stats()
    assert (list(result["stats"]), result["not_running"]) == (["db"], ["web"])


def test_one_whose_cgroup_outlasts_it(host: Host) -> None:
    host.run("web")
    host.run("db")
    with subprocess.Popen(["sleep", "600"]) as init:
        host.told.states["web"] = ("running", init.pid)

        def end() -> None:
            init.kill()
            init.wait()

        host.between = end
        result = host.stats()
    assert (list(result["stats"]), result["not_running"]) == (["db"], ["web"])


def test_one_that_reboots_between_the_samples(host: Host) -> None:
    host.run("web")
    with subprocess.Popen(["sleep", "600"]) as init:
        host.told.states["web"] = ("running", init.pid)

        def reboot() -> None:
            init.kill()
            init.wait()
            root = host.roots["web"].root
            shutil.copytree(root, f"{root}.new")
            shutil.rmtree(root)
            os.rename(f"{root}.new", root)

        host.between = reboot
        result = host.stats()
    assert result["not_running"] == []
    assert result["stats"]["web"]["cpu"]["measured"] == []
    assert result["stats"]["web"]["cpu"]["total_ticks"] > 0


def test_one_that_ends_before_the_first(host: Host) -> None:
    host.run("web")
    shutil.rmtree(Path(host.roots["web"].root) / "sys")
    result = host.stats()
    assert (result["stats"], result["not_running"]) == ({}, ["web"])


def test_one_that_runs_where_its_cgroup_can_not_be_seen(host: Host) -> None:
    host.run("web")
    del host.roots["web"]
    assert host.stats(interval="0")["not_running"] == ["web"]


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_textfile(host: Host, check_mode: bool) -> None:
    host.run("web", "v2-busybox", "a1")
    host.told.make("still")
    file = host.tmp_path / "tasks.prom"
    file.write_text("former\n", encoding="ascii")
    result = host.stats(check_mode, textfile=str(file), interval="0")
    assert result["changed"] is False
    if check_mode:
        assert file.read_text(encoding="ascii") == "former\n"
        return
    text = file.read_text(encoding="ascii")
    rss = result["stats"]["web-a1"]["memory"]["rss"]
    assert f'lxc_task_memory_rss_bytes{{task="web",alloc="a1",container="web-a1"}} {rss}\n' in text
    assert "still" not in text
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in host.tmp_path.glob("tasks*")] == ["tasks.prom"]


def test_calls_that_write_the_same_textfile_are_not_in_each_others_way(host: Host) -> None:
    host.run("web")
    others = host.tmp_path / "tasks.prom.new"
    others.write_text("half", encoding="ascii")
    host.stats(textfile=str(host.tmp_path / "tasks.prom"), interval="0")
    assert others.read_text(encoding="ascii") == "half"


def test_a_textfile_that_node_exporter_would_not_read_is_written_with_a_warning(host: Host) -> None:
    assert not host.stats(textfile=str(host.tmp_path / "tasks.prom"))["warnings"]
    (warning,) = host.stats(textfile=str(host.tmp_path / "tasks.txt"))["warnings"]
    assert "tasks.txt" in warning and ".prom" in warning
    assert (host.tmp_path / "tasks.txt").exists()


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(("directory", "says"), [("missing", "No such file or directory"), ("file", "Not a directory")])
def test_a_textfile_without_a_directory_is_told_at_once(
    host: Host, directory: str, says: str, check_mode: bool
) -> None:
    host.run("web")
    (host.tmp_path / "file").touch()
    file = host.tmp_path / directory / "tasks.prom"
    with pytest.raises(LxcTaskError, match=f"^can't write the textfile {file}: {says}$"):
        host.stats(check_mode, textfile=str(file))
    assert host.slept == []


def test_a_textfile_without_tasks_is_empty(host: Host) -> None:
    file = host.tmp_path / "tasks.prom"
    host.stats(textfile=str(file))
    assert file.read_text(encoding="ascii") == ""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"interval": "often"}, "interval: invalid duration 'often'"),
        ({"interval": "-1"}, "interval '-1' is negative"),
        ({"textfile": "tasks.prom"}, "textfile: 'tasks.prom' is not an absolute path"),
        ({"textfile": "/srv/../tasks.prom"}, "textfile: '/srv/../tasks.prom' has '..' in it"),
        ({"textfile": "/srv/a\nb.prom"}, "textfile: a newline"),
        ({"textfile": "/nonexistent/tasks.prom"}, "can't write the textfile /nonexistent/tasks.prom: No such file"),
        ({"textfile": "/proc"}, "can't write the textfile /proc: "),
        ({"name": "a/b"}, "invalid name"),
    ],
)
def test_options_that_nothing_can_mean(host: Host, given: dict[str, t.Any], says: str) -> None:
    with pytest.raises(LxcTaskError) as caught:
        host.stats(**{"interval": "0", **given})
    assert says in str(caught.value)
