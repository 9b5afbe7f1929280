# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cgroups: text, places and limits, on copies from real kernels and on kernels in memory."""

from __future__ import annotations

import errno
import os
import signal
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup import Cgroup
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup_files import own_directories, remove_monitor_cgroups
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup_mounts import (
    V1,
    V2,
    memory_generation,
    parse_mountinfo,
    read_hierarchies,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup_text import (
    MIB,
    Limits,
    container_path,
    cpu_lines,
    memory_lines,
    parse_membership,
    parse_number,
    parse_stat,
    same_memory,
    same_shares,
    shares_to_weight,
    weight_to_shares,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.cgroup_fixtures import (
    CASES,
    PAGE,
    PID,
    Kernel,
    lay_out,
)
from hypothesis import given
from hypothesis import strategies as st

PAGES = st.integers(0, 4096).map(lambda pages: pages * PAGE)


# ---- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "weight"),
    [
        (2, 1),
        (10, 1),
        (20, 1),
        (21, 2),
        (512, 50),
        (1000, 97),
        (1024, 100),
        (2048, 200),
        (102400, 10000),
        (262144, 10000),
    ],
)
def test_shares_as_weight(shares: int, weight: int) -> None:
    assert shares_to_weight(shares) == weight


@pytest.mark.parametrize(
    ("weight", "shares"), [(1, 11), (50, 512), (97, 994), (100, 1024), (200, 2048), (10000, 102400)]
)
def test_weight_as_shares(weight: int, shares: int) -> None:
    assert weight_to_shares(weight) == shares


@given(st.integers(1, 10000))
def test_a_weight_comes_back(weight: int) -> None:
    assert shares_to_weight(weight_to_shares(weight)) == weight


@given(st.integers(2, 262144))
def test_what_v2_holds_of_declared_shares_is_the_same(shares: int) -> None:
    held = weight_to_shares(shares_to_weight(shares))
    assert same_shares(shares, held, V2)


@pytest.mark.parametrize(
    ("a", "b", "version", "same"),
    [
        (None, 1024, V1, True),
        (None, 1024, V2, True),
        (None, None, V1, True),
        (1024, 1025, V1, False),
        (1024, 1025, V2, True),  # one weight
        (1024, 1040, V2, False),
        (985, 994, V2, False),  # weights 96 and 97
        (512, None, V1, False),
        (512, None, V2, False),
        (2, 11, V2, True),
        (262144, 102400, V2, True),
        (262144, 102400, V1, False),
        (0, 2, V1, True),  # the kernel clamps
    ],
)
def test_same_shares(a: int | None, b: int | None, version: int, same: bool) -> None:
    for one, other in ((a, b), (b, a)):
        assert same_shares(one, other, version) is same


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (None, None, True),
        (None, 9223372036854771712, True),
        (None, 2**63 - 1, True),
        (None, 2**64, True),
        (None, -1, True),
        (None, 64 * MIB, False),
        (64 * MIB, 64 * MIB, True),
        (64 * MIB, 64 * MIB + PAGE - 1, True),
        (64 * MIB, 64 * MIB + PAGE, False),
        (0, None, False),
    ],
)
def test_same_memory(a: int | None, b: int | None, same: bool) -> None:
    for one, other in ((a, b), (b, a)):
        assert same_memory(one, other) is same


def test_lines_for_both_generations() -> None:
    assert memory_lines(None) == cpu_lines(None) == []
    assert memory_lines(64) == [
        ("lxc.cgroup.memory.limit_in_bytes", "67108864"),
        ("lxc.cgroup2.memory.max", "67108864"),
    ]
    assert cpu_lines(512) == [("lxc.cgroup.cpu.shares", "512"), ("lxc.cgroup2.cpu.weight", "50")]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42\n", 42),
        ("-1\n", -1),
        ("max\n", None),
        ("", None),
        (None, None),
        ("4 2", None),
        ("1_000", None),
        ("٤٢", None),
        ("²", None),
        ("9" * 5000, None),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_number(text: str | None, number: int | None) -> None:
    assert parse_number(text) == number


def test_stat_passes_over_what_it_does_not_know() -> None:
    text = "anon 1\n\nfile  2\nnew thing 3\nkernel\nsock x\nslab -4\n  shmem 5\nodd 6 \nlast 7"
    assert parse_stat(text) == {"anon": 1, "last": 7}
    assert parse_stat(None) == {}


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.integers(0, 2**64 - 1)))
def test_stat_comes_back(numbers: dict[str, int]) -> None:
    assert parse_stat("".join(f"{key} {value}\n" for key, value in numbers.items())) == numbers


@given(st.text())
def test_no_text_breaks_a_parser(text: str) -> None:
    assert all(isinstance(value, int) for value in parse_stat(text).values())
    assert isinstance(parse_number(text), (int, type(None)))
    assert all(path.startswith("/") for _controllers, path in parse_membership(text))
    assert isinstance(parse_mountinfo(text), tuple)
    assert isinstance(container_path(text, "web"), str)


MOUNT_WORDS = st.lists(st.sampled_from(["-", "cgroup", "cgroup2", "1", "/", "/sys", "rw,memory", "\\040", "\\9", ""]))


@given(st.lists(MOUNT_WORDS.map(" ".join)).map("\n".join))
def test_no_words_break_the_parser_of_mounts(text: str) -> None:
    assert all(mount.version in (V1, V2) for mount in parse_mountinfo(text))


# ---- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/lxc.payload.web", "/lxc.payload.web"),
        ("/lxc.payload.web/init.scope", "/lxc.payload.web"),
        ("/lxc.payload.web-1/init.scope", "/lxc.payload.web-1"),
        ("/lxc.payload.web-1234", "/lxc.payload.web-1234"),
        ("/a/b/lxc.payload.web/c/d", "/a/b/lxc.payload.web"),
        # What is below is the container's to name.
        ("/lxc.payload.web/lxc.payload.web", "/lxc.payload.web"),
        # Other containers' names.
        ("/lxc.payload.web2/x", "/lxc.payload.web2/x"),
        ("/lxc.payload.web-x/x", "/lxc.payload.web-x/x"),
        ("/lxc.payload.web-/x", "/lxc.payload.web-/x"),
        ("/lxc.payload.web-1-2/x", "/lxc.payload.web-1-2/x"),
        ("/lxc.payload.web-١/x", "/lxc.payload.web-١/x"),
        ("/lxc.monitor.web/x", "/lxc.monitor.web/x"),
        ("/lxc.payload.web (deleted)", "/lxc.payload.web"),
        ("/x (deleted)", "/x"),
        ("/", "/"),
    ],
)
def test_container_path(path: str, own: str) -> None:
    assert container_path(path, "web") == own


def test_a_name_is_no_pattern() -> None:
    assert container_path("/lxc.payload.webx1/init.scope", "web.1") == "/lxc.payload.webx1/init.scope"
    assert container_path("/lxc.payload.web.1/init.scope", "web.1") == "/lxc.payload.web.1"


@pytest.mark.parametrize(
    ("path", "cgroup_dir", "own"),
    [
        ("/top/one/lxc.payload.web/init.scope", "top/one", "/top/one/lxc.payload.web"),  # lxc.cgroup.dir
        ("/top/two/ns/init.scope", "top/two", "/top/two"),  # lxc.cgroup.dir.container, with .inner
        ("/base/top/two/init.scope", "/top/two/", "/base/top/two"),
        ("/top/two2/init.scope", "top/two", "/top/two2/init.scope"),
        ("/top", "top/two", "/top"),
        ("/elsewhere/init.scope", "", "/elsewhere/init.scope"),
    ],
)
def test_container_path_with_a_directory(path: str, cgroup_dir: str, own: str) -> None:
    assert container_path(path, "web", cgroup_dir) == own


def test_membership() -> None:
    assert parse_membership("5:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/c\nnonsense\n3:memory\n") == [
        (frozenset({"cpu", "cpuacct"}), "/a:b"),
        (frozenset({"name=systemd"}), "/"),
        (frozenset(), "/c"),
    ]


def test_mountinfo() -> None:
    text = (
        "35 34 0:30 / /sys/fs/cgroup/uni\\040fied rw shared:12 master:1 - cgroup2 cgroup2 rw,nsdelegate\n"
        "32 31 0:29 /docker/ab /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "1 2 3\n"
        "32 31 0:29 / /x - cgroup\n"
    )
    first, second = parse_mountinfo(text)
    assert (first.version, first.controllers, first.root) == (V2, frozenset(), "/")
    assert first.mount_point == "/sys/fs/cgroup/uni fied"
    assert (second.version, second.root, second.mount_point) == (V1, "/docker/ab", "/sys/fs/cgroup/cpu")
    assert {"cpu", "cpuacct"} <= second.controllers


@pytest.mark.parametrize(
    ("case", "version", "cpu", "memory", "usage"),
    [
        ("v1-busybox", V1, "cpu/lxc.payload.web", "memory/lxc.payload.web", 737280),
        ("v1-systemd", V1, "cpu/lxc.payload.web", "memory/lxc.payload.web", 15679488),
        ("v2-busybox", V2, "lxc.payload.web", "lxc.payload.web", 638976),
        ("v2-systemd", V2, "lxc.payload.web", "lxc.payload.web", 9084928),
        ("hybrid-busybox", V2, "cpu,cpuacct/lxc.payload.web", "unified/lxc.payload.web", 643072),
    ],
)
def test_real_containers(case: str, version: int, cpu: str, memory: str, usage: int, tmp_path: Path) -> None:
    cgroup = lay_out(case, "used", tmp_path).cgroup()
    assert cgroup.version == version
    assert cgroup.directory("cpu") == f"{tmp_path}/sys/fs/cgroup/{cpu}"
    assert cgroup.directory("memory") == f"{tmp_path}/sys/fs/cgroup/{memory}"
    assert cgroup.limits() == Limits(memory=128 * MIB, cpu_shares=512)
    assert cgroup.memory_usage() == usage
    assert cgroup.read("memory", "no.such.file") is None
    assert cgroup.generation("cpu") == (V2 if case.startswith("v2") else V1)
    assert memory_generation(read_hierarchies(str(tmp_path))) == version


def test_no_mounts_no_generation() -> None:
    assert memory_generation([]) is None


@pytest.mark.parametrize("case", CASES)
def test_a_pid_that_is_gone(case: str, tmp_path: Path) -> None:
    fixture = lay_out(case, "used", tmp_path)
    assert Cgroup.of(PID + 1, fixture.container_name, root=fixture.root) is None


def tree(root: Path, membership: str, mountinfo: str, *directories: str) -> str:
    for file, text in ((f"proc/{PID}/cgroup", membership), ("proc/self/mountinfo", mountinfo)):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    for directory in directories:
        (root / directory).mkdir(parents=True)
    return str(root)


MEMORY_V1 = "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n"
UNIFIED = "36 31 0:33 / /cg rw - cgroup2 cgroup2 rw\n"


def test_an_ending_init_is_shown_in_the_root_which_is_no_containers(tmp_path: Path) -> None:
    root = tree(tmp_path, "4:memory:/\n0::/\n", MEMORY_V1 + UNIFIED, "cg/memory")
    assert Cgroup.of(PID, "web", root=root) is None


def test_the_mounted_part_of_a_hierarchy(tmp_path: Path) -> None:
    mounts = "35 31 0:32 /docker/ab /cg/memory rw - cgroup cgroup rw,memory\n"
    root = tree(tmp_path, "4:memory:/docker/ab/lxc.payload.web/x\n", mounts, "cg/memory/lxc.payload.web")
    cgroup = Cgroup.of(PID, "web", root=root)
    assert cgroup is not None
    assert cgroup.directory("memory") == f"{root}/cg/memory/lxc.payload.web"
    assert cgroup.directory("pids") is None
    assert cgroup.read("pids", "pids.current") is None
    assert cgroup.read_tree("pids", "pids.current") == []


@pytest.mark.parametrize(
    "path", ["/../other/lxc.payload.web", "/docker/lxc.payload.web", "/docker/ab", "/lxc.payload.web"]
)
def test_a_path_outside_the_mounted_part_is_not_visible(path: str, tmp_path: Path) -> None:
    mounts = "35 31 0:32 /docker/ab /cg/memory rw - cgroup cgroup rw,memory\n"
    root = tree(tmp_path, f"4:memory:{path}\n", mounts, "cg/memory/lxc.payload.web", "cg/other/lxc.payload.web")
    assert Cgroup.of(PID, "web", root=root) is None


def test_a_path_above_the_readers_namespace_is_not_visible(tmp_path: Path) -> None:
    root = tree(tmp_path, "4:memory:/../other/lxc.payload.web\n", MEMORY_V1, "cg/memory", "cg/other/lxc.payload.web")
    assert Cgroup.of(PID, "web", root=root) is None


def test_a_mount_that_another_hides_is_passed_over(tmp_path: Path) -> None:
    mounts = MEMORY_V1 + "37 31 0:32 / /seen rw - cgroup cgroup rw,memory\n"
    root = tree(tmp_path, "4:memory:/lxc.payload.web\n", mounts, "cg", "seen/lxc.payload.web")
    cgroup = Cgroup.of(PID, "web", root=root)
    assert cgroup is not None
    assert cgroup.directory("memory") == f"{root}/seen/lxc.payload.web"


def test_a_named_hierarchy_is_no_controller(tmp_path: Path) -> None:
    mounts = "40 31 0:37 / /cg/systemd rw - cgroup cgroup rw,xattr,name=systemd\n" + UNIFIED
    membership = "1:name=systemd:/lxc.payload.web/init.scope\n0::/lxc.payload.web/init.scope\n"
    root = tree(tmp_path, membership, mounts, "cg/systemd/lxc.payload.web", "cg/lxc.payload.web")
    cgroup = Cgroup.of(PID, "web", root=root)
    assert cgroup is not None
    assert cgroup.version == V2
    assert cgroup.directory("memory") == f"{root}/cg/lxc.payload.web"


def test_a_directory_of_ones_own(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/top/two/ns/init.scope\n", UNIFIED, "cg/top/two/ns/init.scope")
    cgroup = Cgroup.of(PID, "web", "top/two", root=root)
    assert cgroup is not None
    assert cgroup.directory("memory") == f"{root}/cg/top/two"


@given(membership=st.text(), mountinfo=st.text())
def test_no_text_of_a_kernel_breaks_the_search(
    membership: str, mountinfo: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in (membership, mountinfo)]
    root = tree(tmp_path_factory.mktemp("root"), *clean)
    assert isinstance(Cgroup.of(PID, "web", root=root), (Cgroup, type(None)))


def test_a_file_in_all_cgroups_below(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    for directory, text in ((tmp_path, "1"), (tmp_path / "a", "2"), (below, "3")):
        (directory / "n").write_text(text, encoding="utf-8")
    cgroup = Cgroup("web", {}, str(tmp_path))
    assert sorted(cgroup.read_tree("memory", "n")) == ["1", "2", "3"]
    assert cgroup.read_tree("memory", "m") == []
    assert Cgroup("web", {}, str(tmp_path / "gone")).read_tree("memory", "n") == []


def test_identity_tells_a_later_cgroup_of_the_same_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    cgroup = Cgroup("web", {"cpuacct": str(tmp_path)}, str(one))
    before = cgroup.identity("cpuacct", "memory")
    assert before is not None
    assert before == cgroup.identity("cpuacct", "memory")
    one.rmdir()
    assert cgroup.identity("cpuacct", "memory") is None
    other.rename(one)
    assert cgroup.identity("cpuacct", "memory") not in (before, None)
    assert Cgroup("web", {}, None).identity("memory") is None


def test_a_file_that_can_not_be_read_for_another_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "memory.current").mkdir()
    with pytest.raises(LxcTaskError, match=r"Can't read .*memory\.current: Is a directory"):
        Cgroup("web", {}, str(tmp_path)).memory_usage()


# ---- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [V1, V2])
def test_a_limit_is_set_changed_and_lifted(version: int) -> None:
    kernel = Kernel(version, anonymous=10 * MIB)
    with kernel.running() as cgroup:
        for limit in (64 * MIB, 32 * MIB, 128 * MIB, None, 16 * MIB + 5):
            cgroup.set_memory(limit)
            assert cgroup.limits().memory == (None if limit is None else limit - limit % PAGE)
            assert same_memory(cgroup.limits().memory, limit)
    assert kernel.killed == 0


@pytest.mark.parametrize("version", [V1, V2])
def test_a_limit_below_what_is_held_is_refused_with_the_usage_named(version: int) -> None:
    kernel = Kernel(version, anonymous=64 * MIB, clean=8 * MIB, limit=256 * MIB)
    with kernel.running() as cgroup, pytest.raises(LxcTaskError) as refused:
        cgroup.set_memory(32 * MIB)
    assert "web" in refused.value.msg
    assert "32.0 MiB (33554432 bytes)" in refused.value.msg
    assert "64.0 MiB (67108864 bytes)" in refused.value.msg
    assert (kernel.limit, kernel.killed) == (256 * MIB, 0)
    assert (kernel.files["memory.high"], kernel.files["cgroup.freeze"]) == ("max", "0")


@pytest.mark.parametrize("version", [V1, V2])
def test_a_refusal_is_foreseen_where_it_is_sure(version: int) -> None:
    kernel = Kernel(version, anonymous=64 * MIB, clean=8 * MIB, limit=256 * MIB)
    with kernel.running() as cgroup:
        for limit in (None, 64 * MIB):
            cgroup.foresee_memory(limit)
        with pytest.raises(LxcTaskError, match=r"64\.0 MiB .*the container holds 72\.0 MiB"):
            cgroup.foresee_memory(64 * MIB - PAGE)
        kernel.swap = "/dev/vdb partition 1048572 0 -2\n"
        cgroup.foresee_memory(MIB)
    assert kernel.written == []


@pytest.mark.parametrize("version", [V1, V2])
def test_page_cache_is_given_back_also_when_the_disk_takes_its_time(version: int) -> None:
    kernel = Kernel(version, anonymous=4 * MIB, clean=100 * MIB, dirty=20 * PAGE)
    with kernel.running() as cgroup:
        cgroup.set_memory(4 * MIB)
    assert (kernel.limit, kernel.usage, kernel.killed) == (4 * MIB, 4 * MIB, 0)


@pytest.mark.parametrize("version", [V1, V2])
def test_page_cache_that_is_busy_for_a_moment_is_no_reason_to_refuse(version: int) -> None:
    kernel = Kernel(version, anonymous=4 * MIB, clean=100 * MIB)
    kernel.busy = 3
    with kernel.running() as cgroup:
        cgroup.set_memory(4 * MIB)
    assert (kernel.limit, kernel.usage, kernel.killed) == (4 * MIB, 4 * MIB, 0)


@pytest.mark.parametrize("version", [V1, V2])
def test_dirty_pages_are_not_waited_for_where_they_would_not_be_enough(version: int) -> None:
    kernel = Kernel(version, anonymous=64 * MIB, dirty=20 * PAGE)
    with kernel.running() as cgroup, pytest.raises(LxcTaskError, match="can't give enough of it back"):
        cgroup.set_memory(32 * MIB)
    assert kernel.now == 0


@pytest.mark.parametrize("version", [V1, V2])
def test_a_disk_that_never_ends_is_not_waited_for_without_end(version: int) -> None:
    kernel = Kernel(version, dirty=100000 * PAGE)
    with kernel.running() as cgroup, pytest.raises(LxcTaskError, match="can't give enough of it back"):
        cgroup.set_memory(PAGE)
    assert _cgroup.RECLAIM_TIMEOUT <= kernel.now < _cgroup.RECLAIM_TIMEOUT + 1
    assert kernel.files["cgroup.freeze"] == "0"


SITUATIONS = st.fixed_dictionaries(
    {
        "anonymous": PAGES,
        "clean": PAGES,
        "dirty": st.integers(0, 20).map(lambda pages: pages * PAGE),
        "growth": st.sampled_from([0, 0, PAGE, 50 * PAGE]),
        "limit": st.none() | PAGES,
    }
)


@given(SITUATIONS, PAGES, st.sampled_from(["max", "4096", "1048576"]), st.sampled_from(["0", "1"]))
def test_v2_never_kills_and_leaves_all_else_as_it_was(
    situation: dict[str, t.Any], wanted: int, high: str, freeze: str
) -> None:
    kernel = Kernel(V2, **situation)
    if kernel.limit is not None:
        kernel.anonymous, kernel.clean, kernel.dirty = min(kernel.anonymous, kernel.limit), 0, 0
    kernel.files.update({"memory.high": high, "cgroup.freeze": freeze})
    before = kernel.limit
    with kernel.running() as cgroup:
        try:
            cgroup.set_memory(wanted)
        except LxcTaskError as refused:
            assert "can't give enough of it back" in refused.msg
            assert kernel.limit == before
            assert kernel.anonymous > wanted
        else:
            assert kernel.limit == wanted
    assert kernel.killed == 0
    assert (kernel.files["memory.high"], kernel.files["cgroup.freeze"]) == (high, freeze)


def test_what_is_frozen_already_is_neither_frozen_nor_thawed() -> None:
    kernel = Kernel(V2, anonymous=MIB)
    kernel.files["cgroup.freeze"] = "1\n"
    with kernel.running() as cgroup:
        kernel.files["cgroup.freeze"] = "1"
        cgroup.set_memory(2 * MIB)
    assert "cgroup.freeze" not in [file for file, _text in kernel.written]


def test_a_limit_that_is_raised_freezes_nothing() -> None:
    kernel = Kernel(V2, anonymous=MIB, limit=2 * MIB, growth=PAGE)
    with kernel.running() as cgroup:
        cgroup.set_memory(4 * MIB)
        cgroup.set_memory(None)
    assert kernel.written == [("memory.max", str(4 * MIB)), ("memory.max", "max")]


def test_usage_above_the_old_limit_is_no_reason_to_trust_the_new_one() -> None:
    # The kernel charges what can't wait, network buffers for one, beyond the limit too.
    kernel = Kernel(V2, anonymous=3 * MIB, limit=2 * MIB)
    kernel.files["cgroup.freeze"] = "1"
    with kernel.running() as cgroup, pytest.raises(LxcTaskError, match=r"holds 3\.0 MiB"):
        cgroup.set_memory(2 * MIB + PAGE)
    assert (kernel.limit, kernel.killed) == (2 * MIB, 0)


def test_a_container_that_can_not_be_frozen_keeps_its_limit() -> None:
    kernel = Kernel(V2, anonymous=MIB)
    kernel.hangs = True
    with (
        kernel.running() as cgroup,
        pytest.raises(LxcTaskError, match="could not be frozen meanwhile, within 5 seconds"),
    ):
        cgroup.set_memory(2 * MIB)
    assert [file for file, _text in kernel.written] == ["cgroup.freeze", "cgroup.freeze"]
    assert (kernel.limit, kernel.files["cgroup.freeze"]) == (None, "0")
    assert _cgroup.FREEZE_TIMEOUT <= kernel.now < _cgroup.FREEZE_TIMEOUT + 1


@given(
    st.sampled_from([V1, V2]),
    st.integers(0, 5),
    st.sampled_from([errno.ENOENT, errno.ENODEV, errno.EINVAL, errno.EBUSY, errno.EPERM, errno.EIO, errno.EINTR]),
    st.booleans(),
)
def test_a_write_that_fails_is_told_and_the_rest_is_put_back(version: int, number: int, code: int, gone: bool) -> None:
    kernel = Kernel(version, anonymous=MIB)
    failed: list[str] = []

    def fail(count: int, file: str) -> None:
        if count == number and not failed:
            failed.append(file)
            raise OSError(code, os.strerror(code))

    kernel.before_write = fail
    with kernel.running(gone) as cgroup:
        try:
            cgroup.set_memory(2 * MIB)
        except LxcTaskError as error:
            assert failed
            assert "web" in error.msg
            assert "memory limit" in error.msg or "put " in error.msg
    assert kernel.killed == 0
    # Each of these is written twice; where the second time failed, the value stays, and the error said so.
    written = [file for file, _text in kernel.written]
    for file, former in (("memory.high", "max"), ("cgroup.freeze", "0")):
        assert kernel.files[file] == former or (failed == [file] and written.count(file) == 1)


@pytest.mark.parametrize("file", ["memory.high", "cgroup.freeze"])
@pytest.mark.parametrize("code", [errno.ENODEV, errno.ENOENT, errno.EPERM])
def test_putting_back_matters_only_while_the_container_is_there(file: str, code: int) -> None:
    kernel = Kernel(V2, anonymous=MIB)

    def fail(_count: int, writing: str) -> None:
        if writing == file and writing in [done for done, _text in kernel.written]:
            raise OSError(code, os.strerror(code))

    kernel.before_write = fail
    with kernel.running() as cgroup:
        if code == errno.EPERM:
            with pytest.raises(LxcTaskError, match=f"can't put {file} back to (max|0): Operation not permitted"):
                cgroup.set_memory(2 * MIB)
        else:
            cgroup.set_memory(2 * MIB)
    assert kernel.limit == 2 * MIB


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("file", ["memory.max", "memory.high", "cgroup.freeze", "cgroup.events"])
def test_what_a_kernel_lacks_is_named_and_the_end_of_a_container_is_no_lack(gone: bool, file: str) -> None:
    kernel = Kernel(V2, anonymous=MIB)
    read = kernel.read
    kernel.read = lambda path: None if path.endswith(file) else read(path)  # type: ignore[method-assign]
    with kernel.running(gone) as cgroup, pytest.raises(LxcTaskError) as error:
        cgroup.set_memory(2 * MIB)
    assert ("it has ended in the meantime" in error.value.msg) is gone
    assert (f"its cgroup has no {file}" in error.value.msg) is not gone
    assert kernel.files["cgroup.freeze"] == "0"


def test_a_controller_that_is_not_mounted_is_named() -> None:
    with pytest.raises(LxcTaskError, match="no cpu controller of it is mounted here"):
        Cgroup("web", {}, None).set_cpu_shares(512)


def test_an_error_of_the_kernel_is_told_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "cpu.weight").mkdir()
    with pytest.raises(LxcTaskError, match=r"writing 50 to .*/cpu\.weight failed: Is a directory"):
        Cgroup("web", {}, str(tmp_path)).set_cpu_shares(512)


def test_a_file_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(LxcTaskError, match=r"its cgroup has no cpu\.weight"):
        Cgroup("web", {}, str(tmp_path)).set_cpu_shares(512)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("version", "file", "texts"), [(V1, "cpu.shares", ["512", "1024"]), (V2, "cpu.weight", ["50", "100"])]
)
def test_shares_are_set_and_put_to_the_default(version: int, file: str, texts: list[str]) -> None:
    kernel = Kernel(version)
    with kernel.running() as cgroup:
        cgroup.set_cpu_shares(512)
        assert cgroup.limits().cpu_shares == 512
        cgroup.set_cpu_shares(None)
        assert cgroup.limits().cpu_shares == 1024
    assert kernel.written == [(file, text) for text in texts]


@pytest.mark.parametrize("case", CASES)
def test_shares_of_a_real_container_go_to_the_file_of_its_generation(case: str, tmp_path: Path) -> None:
    cgroup = lay_out(case, "used", tmp_path).cgroup()
    cgroup.set_cpu_shares(2048)
    assert cgroup.limits().cpu_shares == 2048
    file, text = ("cpu.weight", "200") if case.startswith("v2") else ("cpu.shares", "2048")
    assert cgroup.read("cpu", file) == text


def test_memory_on_v2_beside_other_controllers_on_v1_is_limited_there(tmp_path: Path) -> None:
    cgroup = lay_out("hybrid-busybox", "used", tmp_path).cgroup()
    file = tmp_path / "sys/fs/cgroup/unified/lxc.payload.web/memory.max"
    for limit, text in ((256 * MIB, str(256 * MIB)), (None, "max")):
        cgroup.set_memory(limit)
        assert file.read_text(encoding="utf-8").strip() == text
        assert cgroup.memory_limit() == limit


def test_without_a_cpu_controller_there_are_no_shares() -> None:
    kernel = Kernel(V2)
    del kernel.files["cpu.weight"]
    with kernel.running() as cgroup:
        assert cgroup.limits() == Limits(memory=None, cpu_shares=None)


def test_a_signal_that_ends_the_module_waits_until_all_is_put_back(tmp_path: Path) -> None:
    """In a process of its own, which ends by the signal, as a module does."""
    report = tmp_path / "report"
    child = os.fork()
    if child == 0:
        kernel = Kernel(V2, anonymous=MIB)
        write = kernel.write

        def interrupted(path: str, text: str) -> None:
            write(path, text)
            if path.endswith("memory.high") and text != "max":
                os.kill(os.getpid(), signal.SIGTERM)
            report.write_text(f"{kernel.files['cgroup.freeze']} {kernel.files['memory.high']}", encoding="utf-8")

        kernel.write = interrupted  # type: ignore[method-assign]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with kernel.running() as cgroup:
            cgroup.set_memory(2 * MIB)
        os._exit(3)
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGTERM
    assert report.read_text(encoding="utf-8") == "0 max"


# ---- what a start leaves behind ------------------------------------------------------------------------------------


def monitors(root: Path, *names: str) -> str:
    mounts = MEMORY_V1 + UNIFIED
    return tree(root, "", mounts, *(f"cg/memory/{name}" for name in names), *(f"cg/{name}" for name in names))


def left(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "cg/memory").iterdir())


def test_empty_monitor_cgroups_are_removed_in_every_hierarchy(tmp_path: Path) -> None:
    others = ["lxc.monitor.web2", "lxc.monitor.web-x", "lxc.monitor.we", "lxc.payload.web", "lxc.pivot", "system.slice"]
    root = monitors(tmp_path, "lxc.monitor.web", "lxc.monitor.web-1", "lxc.monitor.web-23", *others)
    removed = remove_monitor_cgroups("web", lambda _name: False, root=root)
    names = ["lxc.monitor.web", "lxc.monitor.web-1", "lxc.monitor.web-23"]
    assert removed == sorted(f"{root}/cg/{name}" for name in [*names, *(f"memory/{name}" for name in names)])
    assert left(tmp_path) == sorted(others)


def test_a_container_of_that_name_keeps_its_own(tmp_path: Path) -> None:
    root = monitors(tmp_path, "lxc.monitor.web", "lxc.monitor.web-1", "lxc.monitor.web-2")
    remove_monitor_cgroups("web", lambda name: name == "web-1", root=root)
    assert left(tmp_path) == ["lxc.monitor.web-1"]


def test_the_asked_container_may_itself_be_there(tmp_path: Path) -> None:
    root = monitors(tmp_path, "lxc.monitor.web")
    remove_monitor_cgroups("web", lambda _name: True, root=root)
    assert left(tmp_path) == []


def test_what_is_not_empty_stays(tmp_path: Path) -> None:
    root = monitors(tmp_path, "lxc.monitor.web/child")
    assert remove_monitor_cgroups("web", lambda _name: False, root=root) == []
    assert left(tmp_path) == ["lxc.monitor.web"]


def test_a_payload_is_removed_only_if_asked(tmp_path: Path) -> None:
    root = monitors(tmp_path, "lxc.payload.web/.lxc", "lxc.payload.web/.lxc-1", "lxc.payload.web2")
    assert remove_monitor_cgroups("web", lambda _name: False, root=root) == []
    remove_monitor_cgroups("web", lambda _name: False, root=root, payload=True)
    assert left(tmp_path) == ["lxc.payload.web2"]


def test_a_payload_with_cgroups_of_its_own_stays(tmp_path: Path) -> None:
    root = monitors(tmp_path, "lxc.payload.web/.lxc", "lxc.payload.web/init.scope")
    assert remove_monitor_cgroups("web", lambda _name: False, root=root, payload=True) == []
    assert left(tmp_path) == ["lxc.payload.web"]


def test_a_directory_of_ones_own_is_searched_too(tmp_path: Path) -> None:
    root = monitors(tmp_path, "top/one/lxc.monitor.web", "lxc.monitor.web")
    removed = remove_monitor_cgroups("web", lambda _name: False, root=root, cgroup_dir="/top/one/")
    assert f"{root}/cg/memory/top/one/lxc.monitor.web" in removed
    assert left(tmp_path) == ["top"]


def test_without_mounts_nothing_is_removed(tmp_path: Path) -> None:
    root = tree(tmp_path, "", MEMORY_V1)
    assert remove_monitor_cgroups("web", lambda _name: False, root=root) == []


# ---- one's own -----------------------------------------------------------------------------------------------------


def test_ones_own_cgroups(tmp_path: Path) -> None:
    """Also where they are the top of what is mounted; none where nothing shows them."""
    mountinfo = (
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "34 31 0:31 /docker/ab /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        "35 31 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
        "36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    )
    own = (
        "7:freezer:/docker/ab\n5:name=systemd:/docker/ab\n4:pids:/docker/cd\n3:memory:/docker/ab\n"
        "2:cpu,cpuacct:/docker/ab\n0::/\n"
    )
    for file, text in (("cgroup", own), ("mountinfo", mountinfo)):
        path = tmp_path / "proc/self" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    for directory in ("cpu,cpuacct/docker/ab", "systemd/docker/ab", "memory", "unified"):
        (tmp_path / "sys/fs/cgroup" / directory).mkdir(parents=True)
    assert own_directories(str(tmp_path)) == [
        f"{tmp_path}/sys/fs/cgroup/{directory}"
        for directory in ("systemd/docker/ab", "memory", "cpu,cpuacct/docker/ab", "unified")
    ]


def test_this_process_is_in_its_own_cgroups() -> None:
    found = own_directories()
    assert found
    for directory in found:
        assert str(os.getpid()) in (Path(directory) / "cgroup.procs").read_text().split()
