# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of unprivileged tasks: whose ids their files get, and what bars their root."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _steps
from ansible_collections.nomadic.lxc.plugins.module_utils._config import base_of, converge
from ansible_collections.nomadic.lxc.plugins.module_utils._declare import declare
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._idmap import Idmap
from ansible_collections.nomadic.lxc.plugins.module_utils._observed import Closed, Observed
from ansible_collections.nomadic.lxc.plugins.module_utils._plan import make_plan
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import TaskSpec, parse_task
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import (
    CONFIG,
    INIT,
    LXC_PATH,
    declared,
    limits_of,
    nothing,
    params,
    place_of,
    plan,
    record_of,
    spec,
    task,
)

Given = dict[str, t.Any]
BASE, SIZE = 1879048192, 65536
RANGE = Idmap(BASE, SIZE)
OTHER = Idmap(1000000, SIZE)
OPEN: Given = {"idmappable": True}
TO, BACK = f"to user {BASE} and those that follow", "to root"
DIRECTORIES = "give the task's directories"
ROOTFS = "give the root file system"
NEW = ["make the task's directories", "mount secrets", "create from template busybox", "write configuration", "start"]


def unprivileged(**options: t.Any) -> TaskSpec:
    return task(unprivileged=True, **options)


def host(asked: TaskSpec, **seen: t.Any) -> Observed:
    """A host without the task, that has ids for it."""
    return nothing(asked, **{**OPEN, **seen})


def ran(former: TaskSpec, asked: TaskSpec, state: str = "running", shifted: int = 0, **seen: t.Any) -> Observed:
    """What a run of ``former`` has left; ``shifted``: its root file system has these ids."""
    mapped = {**OPEN, **seen}
    before = nothing(former, **{**mapped, "idmappable": shifted == 0})
    made_, faults = declare(former, before)
    assert faults == []
    record = record_of(former, init=INIT, lines=made_.recorded_lines, shifted=shifted)
    base = 0 if made_.idmap is None else made_.idmap.base
    place = place_of(former)
    return nothing(asked, **mapped)._replace(
        state=state,
        record=record,
        init=INIT if state == "running" else None,
        config=converge(CONFIG, base_of(CONFIG), made_.block),
        limits=limits_of(former) if state == "running" else None,
        directories=dict(place.directories(made_.idmap is not None)),
        secrets_mounted=True,
        secrets_exist=True,
        directory_ids=seen.get("directory_ids", base),
        shared_owner=seen.get("shared_owner", base),
    )


def lines_of(asked: TaskSpec, seen: Observed, key: str) -> list[str]:
    return [value for name, value in declared(asked, seen).block if name == key]


# ---- its configuration


def test_its_lines() -> None:
    asked = unprivileged()
    assert lines_of(asked, host(asked), "lxc.idmap") == ["", f"u 0 {BASE} {SIZE}", f"g 0 {BASE} {SIZE}"]
    assert lines_of(asked, host(asked), "lxc.rootfs.options") == ["idmap=container"]
    assert f"uid={BASE},gid={BASE}" in lines_of(asked, host(asked), "lxc.hook.pre-start")[0]
    can_not = host(asked, idmappable=False)
    assert lines_of(asked, can_not, "lxc.rootfs.options") == []
    assert lines_of(task(), host(task()), "lxc.idmap") == []
    assert "uid=" not in lines_of(task(), host(task()), "lxc.hook.pre-start")[0]
    named = unprivileged(idmap_base=1000000, idmap_size=1000)
    assert lines_of(named, host(named), "lxc.idmap")[1:] == ["u 0 1000000 1000", "g 0 1000000 1000"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network_mode": "host"}, "set network_mode to bridge or empty"),
        ({"network_mode": "empty", "lxc_config": {"lxc.idmap": ["u 0 1 1"]}}, "lxc.idmap can't be set beside"),
        ({"network_mode": "empty", "idmap_base": 65535}, "idmap_base 65535 is not between"),
        ({"network_mode": "empty", "idmap_base": 2**32 - 1}, "is not between"),
        ({"network_mode": "empty", "idmap_size": 999}, "idmap_size 999 is not between"),
        ({"network_mode": "empty", "idmap_base": 65536, "idmap_size": 65537}, "begins below its own size"),
        ({"network_mode": "empty", "idmap_base": 2**32 - 65536}, "or ends above"),
    ],
)
def test_what_can_not_be(options: Given, words: str) -> None:
    given = {"name": "web", "template": "busybox", "unprivileged": True, **options}
    faults = parse_task(params(**given), LXC_PATH)[1]
    assert len(faults) == 1
    assert words in faults[0]


def test_the_range_of_a_privileged_task_is_none() -> None:
    asked = task(idmap_size=1000)
    assert asked.options == task().options


def test_ids_of_a_task_that_shall_have_the_hosts_are_a_slip() -> None:
    (fault,) = parse_task(params(name="web", template="busybox", idmap_base=1000000), LXC_PATH)[1]
    assert "unprivileged is false" in fault
    assert parse_task(params(name="web", state="stopped"), LXC_PATH)[1] == []


def test_without_subordinate_ids_a_sentence_says_what_to_run() -> None:
    asked = unprivileged()
    for ids in ({"subuid": ""}, {"subgid": ""}, {"subuid": "", "subgid": ""}):
        (fault,) = declare(asked, host(asked, **ids))[1]
        assert "usermod --add-subuids" in fault
    assert declare(task(), nothing(task()))[1] == []


# ---- a new one


@pytest.mark.parametrize(
    ("seen", "actions"),
    [
        ({}, NEW),
        ({"idmappable": False}, [*NEW[:3], f"{ROOTFS} {TO}", *NEW[3:]]),
        # what a privileged task has left
        ({"directory_ids": 0, "shared_owner": 0}, [f"{DIRECTORIES} {TO}", *NEW]),
        ({"directory_ids": None, "shared_owner": 0}, [f"{DIRECTORIES} {TO}", *NEW]),
        # what an unprivileged one has left
        ({"directory_ids": BASE, "shared_owner": BASE}, NEW),
        ({"directory_ids": BASE, "shared_owner": BASE, "directory_ids_mixed": True}, [f"{DIRECTORIES} {TO}", *NEW]),
    ],
)
def test_a_new_one(seen: Given, actions: list[str]) -> None:
    asked = unprivileged()
    found = plan(asked, host(asked, **seen))
    assert found.actions == actions
    made_ = next(step for step in found.steps if isinstance(step, _steps.MakeDirectories))
    assert (made_.owner, dict(made_.directories)[place_of(asked).root]) == (BASE, 0o711)
    assert _steps.MountSecrets("mount secrets", place_of(asked).secrets, BASE) in found.steps
    assert next(step for step in found.steps if isinstance(step, _steps.Create)).unprivileged is True


@pytest.mark.parametrize(
    ("seen", "former"),
    [
        ({"directory_ids": 0, "shared_owner": 0}, None),
        ({"directory_ids": 1000000, "shared_owner": 1000000}, OTHER),
        ({"directory_ids": BASE, "directory_ids_mixed": True}, RANGE),
        ({"directory_ids": None, "shared_owner": 0}, None),
    ],
)
def test_files_go_by_way_of_the_hosts_own_ids(seen: Given, former: Idmap | None) -> None:
    asked = unprivileged()
    (step,) = [it for it in plan(asked, host(asked, **seen)).steps if isinstance(it, _steps.ShiftDirectories)]
    assert (step.former, step.wanted) == (former, RANGE)


def test_a_task_that_has_its_ids_shares_what_only_root_had() -> None:
    asked = unprivileged()
    steps = plan(asked, host(asked, directory_ids=BASE, shared_owner=0)).steps
    assert [it.wanted for it in steps if isinstance(it, _steps.ShiftShared)] == [RANGE]
    assert not any(isinstance(it, _steps.ShiftDirectories) for it in steps)


def test_a_privileged_one_takes_back_what_an_unprivileged_one_has_left() -> None:
    asked = task()
    found = plan(asked, nothing(asked, directory_ids=BASE, shared_owner=BASE))
    assert found.actions == [f"{DIRECTORIES} {BACK}", *NEW]
    assert isinstance(found.steps[0], _steps.ShiftDirectories)
    assert (found.steps[0].former, found.steps[0].wanted) == (RANGE, None)
    # A container that gives its files to an odd user is its own master.
    assert plan(asked, nothing(asked, directory_ids=0, shared_owner=200001)).actions == NEW


# ---- a change


@pytest.mark.parametrize("shifted", [0, BASE])
def test_the_second_run_changes_nothing_whatever_the_kernel_can_by_now(shifted: int) -> None:
    asked = unprivileged()
    for able in (True, False) if shifted else (True,):
        assert plan(asked, ran(asked, asked, shifted=shifted, idmappable=able)).steps == ()


@pytest.mark.parametrize("state", ["running", "stopped"])
@pytest.mark.parametrize(
    ("former", "options", "shifted", "seen", "shifts"),
    [
        ({}, {"unprivileged": True}, 0, {}, [f"{DIRECTORIES} {TO}"]),
        ({}, {"unprivileged": True}, 0, {"idmappable": False}, [f"{DIRECTORIES} {TO}", f"{ROOTFS} {TO}"]),
        ({"unprivileged": True}, {}, 0, {}, [f"{DIRECTORIES} {BACK}"]),
        ({"unprivileged": True}, {}, BASE, {}, [f"{DIRECTORIES} {BACK}", f"{ROOTFS} {BACK}"]),
        (
            {"unprivileged": True, "idmap_base": 1000000},
            {"unprivileged": True},
            1000000,
            {"idmappable": False},
            [f"{DIRECTORIES} {TO}", f"{ROOTFS} {TO}"],
        ),
        # the kernel can by now
        (
            {"unprivileged": True, "idmap_base": 1000000},
            {"unprivileged": True},
            1000000,
            {},
            [f"{DIRECTORIES} {TO}", f"{ROOTFS} {BACK}"],
        ),
        # the kernel can't any more
        ({"unprivileged": True}, {"unprivileged": True}, 0, {"idmappable": False}, [f"{ROOTFS} {TO}"]),
    ],
)
def test_a_change_shifts_and_makes_nothing_new(
    state: str, former: Given, options: Given, shifted: int, seen: Given, shifts: list[str]
) -> None:
    asked = task(**options, state="started" if state == "running" else "present")
    found = plan(asked, ran(task(**former), asked, state=state, shifted=shifted, **seen))
    expected = [*shifts, "write configuration"]
    assert found.actions == (["stop", *expected, "start"] if state == "running" else expected)


def test_a_rootfs_that_was_cut_off_is_finished_or_taken_back() -> None:
    asked = unprivileged(state="present")
    seen = ran(asked, asked, state="stopped", shifted=BASE)
    record = t.cast(t.Any, seen.record)._replace(shifting=True)
    (step, *_more) = plan(asked, seen._replace(record=record, idmappable=False)).steps
    assert isinstance(step, _steps.ShiftRootfs)
    assert (step.former, step.wanted) == (RANGE, RANGE)
    other = task(state="present")
    (step,) = [it for it in plan(other, seen._replace(record=record)).steps if isinstance(it, _steps.ShiftRootfs)]
    assert (step.former, step.wanted) == (RANGE, None)


@pytest.mark.parametrize(("former", "options"), [({}, {"unprivileged": True}), ({"unprivileged": True}, {})])
def test_files_get_no_other_owner_under_a_running_task(former: Given, options: Given) -> None:
    asked = task(**options, restart_on_change=False)
    with pytest.raises(LxcTaskError, match="restart_on_change is false"):
        plan(asked, ran(task(**former), asked))
    # What may restart, may.
    again = task(**options, restart_on_change=False, state="restarted")
    assert "stop" in plan(again, ran(task(**former), again)).actions
    stopped = task(**options, restart_on_change=False, state="present")
    assert plan(stopped, ran(task(**former), stopped, state="stopped")).changed


def test_a_command_mounts_secrets_for_the_right_user() -> None:
    asked = spec(state="started")
    seen = ran(unprivileged(), asked, state="stopped")._replace(secrets_mounted=False)
    found = make_plan(asked, seen, None)
    assert found.actions == ["mount secrets", "start"]
    assert isinstance(found.steps[0], _steps.MountSecrets)
    assert found.steps[0].owner == BASE


def test_a_recreation_gives_the_new_root_file_system_its_ids() -> None:
    asked = unprivileged(template_args=["x"], recreate="on_change")
    found = plan(asked, ran(unprivileged(), asked, shifted=BASE, idmappable=False))
    assert found.actions == [
        "stop",
        "set the former container aside",
        "create from template busybox",
        f"{ROOTFS} {TO}",
        "write configuration",
        "start",
        "remove the former container",
    ]


# ---- its alloc, and the way to its files


@pytest.mark.parametrize(
    ("options", "others", "named"),
    [
        ({"unprivileged": True}, {"db": 0}, "db"),
        ({"unprivileged": True}, {"db": 0, "c": BASE, "a": 0}, "a, db"),
        ({"unprivileged": True}, {"c": BASE, "d": 1000000}, None),
        ({}, {"c": BASE, "d": 0}, "c"),
        ({}, {"d": 0}, None),
    ],
)
def test_an_alloc_is_of_one_kind(options: Given, others: dict[str, int], named: str | None) -> None:
    asked = task(alloc_id="a1", **options)
    faults = declare(asked, host(asked, other_tasks=others))[1]
    assert [f"({named})" in fault for fault in faults] == ([] if named is None else [True])


@pytest.mark.parametrize(
    ("closed", "bars"),
    [
        (Closed("/srv", 0, 0, 0o700), True),
        (Closed("/srv", 0, 0, 0o750), True),
        (Closed("/srv", 1000, 1000, 0o700), True),
        (Closed("/srv", 0, BASE, 0o710), False),
        (Closed("/srv", 0, BASE, 0o700), True),
        (Closed("/srv", BASE, 0, 0o700), False),
        # over files of users inside, the root inside has a root's powers
        (Closed("/srv", BASE + 5, BASE + 6, 0o700), False),
        (Closed("/srv", BASE + 5, 0, 0o700), True),
        # its owner's bits count for its owner, whatever others may
        (Closed("/srv", BASE, 0, 0o001), True),
    ],
)
def test_what_bars_its_root(closed: Closed, bars: bool) -> None:
    asked = unprivileged(volumes=["/srv/data:data"])
    for path, what in ((LXC_PATH, "lxc_path"), (asked.options["alloc_dir"], "alloc_dir"), ("/srv/data", "volumes")):
        faults = declare(asked, host(asked, closed={path: (closed,)}))[1]
        assert [fault.startswith(f"{what}: ") and "chmod o+x /srv" in fault for fault in faults] == [True] * bars
