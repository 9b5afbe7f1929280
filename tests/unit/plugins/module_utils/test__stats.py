# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of copies from real kernels, and what two samples make."""

from __future__ import annotations

import os
import shutil
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _stats
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup import Cgroup
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup_reader import CgroupReader
from ansible_collections.nomadic.lxc.plugins.module_utils._stats import (
    SECOND,
    Sample,
    parse_blkio,
    parse_io,
    percent,
    take,
    usage,
)
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.cgroup_fixtures import CASES, Fixture, lay_out
from hypothesis import given, settings
from hypothesis import strategies as st

CPU_NAMES = ["System Mode", "User Mode", "Percent"]
MEMORY_NAMES = {
    "rss": "RSS",
    "cache": "Cache",
    "swap": "Swap",
    "max_usage": "Max Usage",
    "kernel_usage": "Kernel Usage",
    "kernel_max_usage": "Kernel Max Usage",
}


def sample(fixture: Fixture) -> Sample:
    """A fixture's sample, at the time at which it was copied."""
    taken = take(fixture.cgroup(), fixture.clock_ticks)
    assert taken is not None
    return replace(taken, monotonic=fixture.monotonic, identity=(1,))


# ---- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        (None, None),
        ("", (0, 0)),
        ("254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=3 dios=4\n", (10, 20)),
        ("8:0 rbytes=1 wbytes=2 rios=0\n8:16 rbytes=30 wbytes=40\n", (31, 42)),
        ("8:0 8:16 rbytes=1 wbytes=2\n", (1, 2)),  # a device without counts, as Linux 5.x wrote it
        ("8:0 rbytes=x wbytes= rbytes wbytes=5 cost.usage=7\n", (0, 5)),
    ],
)
def test_io(text: str | None, moved: tuple[int, int] | None) -> None:
    assert parse_io(text) == moved


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        (None, None),
        ("", None),
        ("Total 0\n", None),  # what a kernel that did not count says
        ("8:0 Read 0\n8:0 Write 0\n8:0 Total 0\nTotal 0\n", (0, 0)),
        ("8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n8:16 Read 10\n8:16 Write 20\n8:16 Total 30\nTotal 33\n", (11, 22)),
        ("8:0 Read 7\n", (7, 0)),
        ("8:0 Read x\n8:0 Write\nWrite 5\n", None),
    ],
)
def test_blkio(text: str | None, moved: tuple[int, int] | None) -> None:
    assert parse_blkio(text) == moved


LINES = st.lists(
    st.lists(st.sampled_from(["8:0", "Read", "Write", "rbytes=1", "wbytes=", "=", "5", "-", "²"])).map(" ".join)
)


@given(st.text() | LINES.map("\n".join))
def test_no_text_breaks_a_parser(text: str) -> None:
    assert parse_io(text) is not None
    assert parse_blkio(text) is None or len(parse_blkio(text) or ()) == 2


# ---- samples of real kernels ---------------------------------------------------------------------------------------

# Read off the copied files by hand.
MEASURED: dict[str, dict[str, t.Any]] = {
    "v1-busybox": {
        "memory": (217088, 86016, 0, 134217728, 356352, 741376),
        "ticks": 320 + 190,
        "pids": 4,
        "io": {"read_bytes": 12673024, "write_bytes": 20975616},
        "throttled": {"periods": 14, "time": 0.5479081},
        "oom_kills": 1,
        "cgroup_version": 1,
    },
    "v1-systemd": {
        "memory": (5234688, 8425472, 0, 134217728, 1617920, 2568192),
        "ticks": 403 + 209,
        "pids": 5,
        "io": {"read_bytes": 18223104, "write_bytes": 21041152},
        "throttled": {"periods": 13, "time": 0.468537964},
        "oom_kills": 1,
        "cgroup_version": 1,
    },
    "v2-busybox": {
        "memory": (212992, 8192, 0, 134217728, 417792, None),
        "ticks": 1543,
        "pids": 4,
        "io": {"read_bytes": 10485760, "write_bytes": 20983808},
        "throttled": {"periods": 5, "time": 0.358486},
        "oom_kills": 1,
        "cgroup_version": 2,
    },
    "v2-systemd": {
        "memory": (5844992, 1630208, 0, 134217728, 1638400, None),
        "ticks": 3521,
        "pids": 5,
        "io": {"read_bytes": 13332480, "write_bytes": 23715840},
        "throttled": {"periods": 8, "time": 0.395204},
        "oom_kills": 2,
        "cgroup_version": 2,
    },
    "hybrid-busybox": {
        "memory": (229376, 4096, 0, 134217728, 409600, None),
        "ticks": 887 + 381,
        "pids": 4,
        "io": {"read_bytes": 10485760, "write_bytes": 20971520},
        "throttled": {"periods": 11, "time": 0.568089443},
        "oom_kills": 1,
        "cgroup_version": 2,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_one_sample_of_a_real_container(case: str, tmp_path: Path) -> None:
    expected = MEASURED[case]
    before = time.time_ns()
    taken = take(lay_out(case, "used", tmp_path).cgroup(), 100)
    assert taken is not None
    assert before <= taken.timestamp <= time.time_ns()
    memory = dict(zip(MEMORY_NAMES, expected["memory"]))
    assert usage(None, taken) == {
        "cpu": {
            "system_mode": None,
            "user_mode": None,
            "percent": None,
            "total_ticks": expected["ticks"],
            "measured": [],
        },
        "memory": {**memory, "measured": [name for key, name in MEMORY_NAMES.items() if memory[key] is not None]},
        "memory_limit": 134217728,
        "oom_kills": expected["oom_kills"],
        "pids": expected["pids"],
        "io": expected["io"],
        "throttled": expected["throttled"],
        "timestamp": taken.timestamp,
        "cgroup_version": expected["cgroup_version"],
    }


@pytest.mark.parametrize(
    ("case", "total", "user", "system"),
    [
        # Nanoseconds over nanoseconds; ticks of 10 ms and microseconds likewise. Other work was on the host meanwhile.
        ("v1-busybox", 467706834 / 1070954382, 0.46 / 1.070954382, 0.01 / 1.070954382),
        ("v1-systemd", 854383094 / 1073459759, 0.85 / 1.073459759, 0),
        ("v2-busybox", 3.270044 / 3.006856604, 3.150244 / 3.006856604, 0.119801 / 3.006856604),
        ("v2-systemd", 3.923126 / 3.802489510, 3.701970 / 3.802489510, 0.221156 / 3.802489510),
        ("hybrid-busybox", 2133470885 / 2205987421, 2.05 / 2.205987421, 0.07 / 2.205987421),
    ],
)
def test_percents_of_a_real_container(case: str, total: float, user: float, system: float, tmp_path: Path) -> None:
    first = sample(lay_out(case, "burning", tmp_path / "first"))
    second = sample(lay_out(case, "burning-later", tmp_path / "second"))
    cpu = usage(first, second)["cpu"]
    assert cpu["measured"] == CPU_NAMES
    assert cpu["percent"] == pytest.approx(total * 100, abs=0.01)
    assert cpu["user_mode"] == pytest.approx(user * 100, abs=0.01)
    assert cpu["system_mode"] == pytest.approx(system * 100, abs=0.01)
    assert cpu["user_mode"] + cpu["system_mode"] == pytest.approx(cpu["percent"], abs=5)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25)
@given(data=st.data())
def test_what_a_kernel_lacks_is_null_and_unmeasured(
    case: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    fixture = lay_out(case, "used", root)
    whole = usage(replace(sample(fixture), monotonic=0), sample(fixture))
    names = sorted({path.name for path in (root / "sys").rglob("*") if path.is_file()})
    for name in data.draw(st.lists(st.sampled_from(names), unique=True)):
        for path in (root / "sys").rglob(name):
            path.unlink()
    rest = sample(fixture)
    lacking = usage(replace(rest, monotonic=0), rest)
    for group in ("cpu", "memory"):
        given_up = {key: name for key, name in _names(group).items() if lacking[group][key] is None}
        assert lacking[group]["measured"] == [n for n in whole[group]["measured"] if n not in given_up.values()]
        assert all(lacking[group][key] in (None, whole[group][key]) for key in _names(group))
    for key in ("memory_limit", "oom_kills", "pids"):
        assert lacking[key] in (None, whole[key])


def _names(group: str) -> dict[str, str]:
    return MEMORY_NAMES if group == "memory" else dict(zip(("system_mode", "user_mode", "percent"), CPU_NAMES))


@pytest.mark.parametrize("case", CASES)
def test_unknown_lines_and_broken_files_are_passed_over(case: str, tmp_path: Path) -> None:
    fixture = lay_out(case, "used", tmp_path)
    whole = sample(fixture)
    for path in (tmp_path / "sys").rglob("*.stat"):
        path.write_text("a new line\n\n" + path.read_text(encoding="utf-8") + "another one: 5 6\n", encoding="utf-8")
    assert replace(sample(fixture), timestamp=0) == replace(whole, timestamp=0)
    for path in (tmp_path / "sys").rglob("*.*"):
        if path.is_file():
            path.write_bytes(b"\xff\xfe nonsense \x00\n")
    nothing = sample(fixture)
    assert nothing.cpu is nothing.rss is nothing.pids is nothing.memory_limit is None


@pytest.mark.parametrize("case", CASES)
def test_a_container_that_vanished_has_no_sample(case: str, tmp_path: Path) -> None:
    cgroup = lay_out(case, "used", tmp_path).cgroup()
    shutil.rmtree(cgroup.directory("memory") or "")
    assert take(cgroup) is None


class Busy(CgroupReader):
    """A cgroup on a busy host: so many times, whoever has read the clock must wait before he can read a counter.

    It is the clock, too, in place of :mod:`time`: to read it takes a microsecond.
    """

    def __init__(self, waits: int, empty: Path) -> None:
        super().__init__("web", dict.fromkeys(("memory", "cpu", "cpuacct"), str(empty)), None)
        self.waits, self.asked, self.now = waits, 0, 7 * SECOND

    def monotonic_ns(self) -> int:
        self.now += 1000
        return self.now

    def time_ns(self) -> int:
        return 1700000000 * SECOND + self.monotonic_ns()

    def read(self, controller: str, file: str) -> str | None:
        if file != "cpuacct.usage":
            return None
        self.asked += 1
        if self.asked <= self.waits:
            self.now += SECOND // 20
        return f"{self.monotonic_ns()}\n"


@pytest.mark.parametrize(("waits", "asked", "within"), [(0, 1, 2000), (2, 3, 2000), (1000, 5, SECOND // 40 + 2000)])
def test_the_clock_is_read_with_the_counters(
    waits: int, asked: int, within: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Busy(waits, tmp_path)
    monkeypatch.setattr(_stats, "time", group)
    taken = take(group, 100)
    assert taken is not None
    assert taken.cpu is not None
    assert group.asked == asked
    # A counter that grows with the clock: the difference is what a percent would be wrong by.
    assert abs(taken.cpu - taken.monotonic) <= within
    assert taken.timestamp - taken.monotonic == pytest.approx(1700000000 * SECOND, abs=2000)


def test_kills_in_child_cgroups_count_on_v1(tmp_path: Path) -> None:
    fixture = lay_out("v1-systemd", "used", tmp_path)
    child = tmp_path / "sys/fs/cgroup/memory/lxc.payload.web/system.slice/memory.oom_control"
    child.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", encoding="utf-8")
    assert sample(fixture).oom_kills == 5
    old = tmp_path / "old"
    shutil.copytree(tmp_path / "sys/fs/cgroup/cpu/lxc.payload.web", old)
    (old / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n", encoding="utf-8")
    taken = take(Cgroup("web", {"memory": str(old)}, None))
    assert taken is not None
    assert taken.oom_kills is None  # before Linux 4.13


def test_an_older_v1_kernel_counts_bytes_in_another_file(tmp_path: Path) -> None:
    fixture = lay_out("v1-busybox", "used", tmp_path)
    blkio = tmp_path / "sys/fs/cgroup/blkio/lxc.payload.web"
    (blkio / "blkio.throttle.io_service_bytes_recursive").unlink()
    assert sample(fixture).io_read == 12673024


def test_a_v1_cpu_controller_beside_the_unified_accounting(tmp_path: Path) -> None:
    unified = lay_out("v2-busybox", "used", tmp_path).cgroup().directory("cpu")
    v1 = tmp_path / "cpu"
    v1.mkdir()
    (v1 / "cpu.stat").write_text("nr_periods 3\nnr_throttled 2\nthrottled_time 7\n", encoding="utf-8")
    taken = take(Cgroup("web", {"cpu": str(v1)}, unified), 100)
    assert taken is not None
    assert (taken.cpu, taken.throttled_periods, taken.throttled) == (15430760000, 2, 7)


def test_other_clock_ticks(tmp_path: Path) -> None:
    taken = take(lay_out("v1-busybox", "used", tmp_path).cgroup(), 1024)
    assert taken is not None
    assert (taken.ticks, taken.user) == (510, 320 * SECOND // 1024)


def test_clock_ticks_are_this_hosts_by_default(tmp_path: Path) -> None:
    taken = take(lay_out("v2-busybox", "used", tmp_path).cgroup())
    assert taken is not None
    assert taken.ticks == 15430760 * os.sysconf("SC_CLK_TCK") // 1_000_000


# ---- two samples ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "passed", "result"),
    [
        (SECOND, SECOND, 100.0),
        (2 * SECOND, SECOND, 200.0),
        (1, SECOND, 0.0),
        (123456789, SECOND, 12.35),
        (0, SECOND, 0.0),
        (-SECOND, SECOND, 0.0),
        (SECOND, 0, 0.0),
        (SECOND, -SECOND, 0.0),
    ],
)
def test_percent(used: int, passed: int, result: float) -> None:
    assert percent(used, passed) == result


@pytest.fixture(name="one")
def a_sample(tmp_path: Path) -> Sample:
    return sample(lay_out("v2-busybox", "used", tmp_path))


def test_each_share_has_its_own_counter(one: Sample) -> None:
    assert one.cpu is not None
    assert one.user is not None
    assert one.system is not None
    later = replace(
        one,
        monotonic=one.monotonic + SECOND,
        cpu=one.cpu + 900_000_000,
        user=one.user + 600_000_000,
        system=one.system + 300_000_000,
    )
    assert usage(one, later)["cpu"] == {
        "system_mode": 30.0,
        "user_mode": 60.0,
        "percent": 90.0,
        "total_ticks": one.ticks,
        "measured": CPU_NAMES,
    }


def test_the_time_of_day_does_not_matter_to_percents(one: Sample) -> None:
    assert one.cpu is not None
    later = replace(
        one, monotonic=one.monotonic + SECOND, timestamp=one.timestamp - 3600 * SECOND, cpu=one.cpu + SECOND
    )
    assert usage(one, later)["cpu"]["percent"] == 100.0


def test_a_restart_between_the_samples_leaves_no_percents(one: Sample) -> None:
    later = replace(one, monotonic=one.monotonic + SECOND, identity=(2,), cpu=5)
    cpu = usage(one, later)["cpu"]
    assert (cpu["percent"], cpu["user_mode"], cpu["system_mode"], cpu["measured"]) == (None, None, None, [])


def test_a_kernel_without_one_counter_still_gives_the_others(one: Sample) -> None:
    cpu = usage(replace(one, user=None), replace(one, user=None, ticks=None))["cpu"]
    assert cpu["measured"] == ["System Mode", "Percent"]
    assert cpu["user_mode"] is cpu["total_ticks"] is None


def test_zero_is_measured_and_null_is_not(one: Sample) -> None:
    memory = usage(None, replace(one, swap=0, cache=None))["memory"]
    assert memory["swap"] == 0
    assert memory["cache"] is None
    assert memory["measured"] == ["RSS", "Swap", "Max Usage", "Kernel Usage"]
