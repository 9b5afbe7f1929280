# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group's parameters become rows: defaults, counts, and what is wrong with the group as a whole."""

from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nomadic.lxc.plugins.module_utils._group import GROUP_SPEC, MOST, expand, removal
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import ARGUMENT_SPEC, parse_task
from ansible_collections.nomadic.lxc.plugins.module_utils._text import HIDDEN, given
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import LXC_PATH
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import params as task_params

Given = dict[str, t.Any]
HANDLE = '{"ContainerName":"web-a1","LxcPath":"/var/lib/lxc"}'


def params(*tasks: Given, **group: t.Any) -> Given:
    """Parameters as AnsibleModule hands them over: every option is there, in each task too."""
    result = ArgumentSpecValidator(GROUP_SPEC).validate({"tasks": list(tasks), **group})
    assert result.error_messages == []
    return t.cast(Given, result.validated_parameters)


def names(*tasks: Given, **group: t.Any) -> list[tuple[str, int | None]]:
    rows, faults = expand(params(*tasks, **group), LXC_PATH)
    assert faults == []
    return [(row.container, row.index) for row in rows]


def test_a_row_is_a_call_of_lxc_task() -> None:
    rows, faults = expand(
        params({"name": "web", "template": "busybox", "mounts": [{"source": "/a", "target": "/b"}]}), LXC_PATH
    )
    assert faults == []
    mounts = [{"source": "/a", "target": "/b", "read_only": False, "create": "auto"}]
    assert rows[0].params == task_params(name="web", template="busybox", mounts=mounts)


def test_the_group_has_every_option_of_a_task() -> None:
    assert set(GROUP_SPEC) - {"tasks", "parallel", "exclusive", "prune_images"} == set(ARGUMENT_SPEC) - {
        "name",
        "handle",
    }
    assert set(GROUP_SPEC["tasks"]["options"]) - {"count"} == set(ARGUMENT_SPEC)
    assert not any("default" in row for row in GROUP_SPEC["tasks"]["options"].values())


@pytest.mark.parametrize(
    ("task", "group", "found"),
    [
        ({}, {}, {"memory_mb": None, "network_mode": "host", "state": "started", "purge": False}),
        ({}, {"memory_mb": 64, "network_mode": "bridge"}, {"memory_mb": 64, "network_mode": "bridge"}),
        ({"memory_mb": 1, "network_mode": "host"}, {"memory_mb": 64, "network_mode": "bridge"}, {"memory_mb": 1, "network_mode": "host"}),
        # What is false in a task is given all the same.
        ({"restart_on_change": False, "purge": False}, {"purge": True}, {"restart_on_change": False, "purge": False}),
        ({"volumes": []}, {"volumes": ["a:b"]}, {"volumes": []}),
        ({"environment": {"A": "1"}}, {"environment": {"B": "2"}}, {"environment": {"A": "1"}}),
        ({"alloc_id": "own"}, {"alloc_id": "all"}, {"alloc_id": "own"}),
        ({}, {"alloc_id": "all"}, {"alloc_id": "all"}),
    ],
)  # fmt: skip
def test_what_a_task_does_not_say_the_group_says(task: Given, group: Given, found: Given) -> None:
    rows, faults = expand(params({"name": "web", **task}, **group), LXC_PATH)
    assert faults == []
    assert {name: rows[0].params[name] for name in found} == found


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_a_command_takes_no_configuration_from_the_group(state: str) -> None:
    group = {"template": "busybox", "backing_store": "overlay", "memory_mb": 64, "kill_timeout": "1s", "purge": True}
    for rows, faults in (
        expand(params({"name": "web", "state": state}, **group), LXC_PATH),
        expand(params({"name": "web"}, state=state, **group), LXC_PATH),
    ):
        assert faults == []
        assert parse_task(rows[0].params, "/var/lib/lxc")[1] == []
        assert (rows[0].params["kill_timeout"], rows[0].params["purge"]) == ("1s", True)
    # Its own is a fault of it, as in lxc_task.
    rows, _faults = expand(params({"name": "web", "state": state, "memory_mb": 1}), LXC_PATH)
    assert len(parse_task(rows[0].params, "/var/lib/lxc")[1]) == 1


@pytest.mark.parametrize(
    ("tasks", "group", "found"),
    [
        ([{"name": "web"}], {}, [("web", None)]),
        ([{"name": "web"}], {"alloc_id": "a1"}, [("web-a1", None)]),
        ([{"name": "web", "count": 2}], {"alloc_id": "a1"}, [("web-0-a1", 0), ("web-1-a1", 1)]),
        ([{"name": "web", "count": 1}, {"name": "db"}], {}, [("web-0", 0), ("db", None)]),
        ([{"name": "web", "count": 0}], {}, []),
        ([], {}, []),
        ([{"handle": HANDLE}], {"alloc_id": "other"}, [("web-a1", None)]),
    ],
)
def test_which_tasks_there_are(tasks: list[Given], group: Given, found: list[tuple[str, int | None]]) -> None:
    assert names(*tasks, **group) == found


@pytest.mark.parametrize(
    ("tasks", "group", "says"),
    [
        ([{"name": "web", "count": -1}], {}, ["tasks: number 1: count -1 is not between 0 and 10000"]),
        ([{"name": "a"}, {"count": 2}], {}, ["tasks: number 2: count is given without a name"]),
        ([{"handle": HANDLE, "count": 2}], {}, ["tasks: number 1: count is given with a handle"]),
        ([{"name": "a", "count": MOST}, {"name": "b"}], {}, ["tasks: 10001 are too many"]),
        ([{"name": "web"}, {"name": "web"}], {}, ["tasks: 'web' and 'web' are both container web"]),
        ([{"name": "web", "count": 2}, {"name": "web-1"}], {}, ["'web-1' and 'web-1' are both container web-1"]),
        (
            [{"name": "web-0", "alloc_id": "1"}, {"name": "web", "alloc_id": "0-1"}],
            {},
            ["'web-0' of alloc '1' and 'web' of alloc '0-1' are both container web-0-1"],
        ),
        ([{"name": "web"}, {"handle": HANDLE}], {"alloc_id": "a1"}, ["the handle of web-a1"]),
        ([{"name": "web"}, {"name": "web", "lxc_path": f"{LXC_PATH}/"}], {}, ["are both container web"]),
        ([{"name": "web"}], {"parallel": 0}, ["parallel 0 is less than 1"]),
        (
            [{"name": "web", "unprivileged": True}, {"name": "db", "count": 2}],
            {"alloc_id": "a", "template": "busybox"},
            ["'web' of alloc 'a' is unprivileged and 'db-0' of alloc 'a' is not"],
        ),
        ([{"name": "web"}], {"exclusive": True}, ["exclusive needs alloc_id"]),
        (
            [{"name": "web", "alloc_id": "b"}],
            {"exclusive": True, "alloc_id": "a"},
            ["exclusive: 'web' of alloc 'b' is not of alloc 'a'"],
        ),
        (
            [{"name": "a", "count": -1}, {"name": "b"}, {"name": "b"}],
            {"exclusive": True, "parallel": -1},
            ["count -1", "both container b", "parallel -1", "exclusive needs alloc_id"],
        ),
    ],
)
def test_what_is_wrong_with_a_group_is_told_at_once(tasks: list[Given], group: Given, says: list[str]) -> None:
    _rows, faults = expand(params(*tasks, **group), LXC_PATH)
    assert len(faults) == len(says)
    for fault, words in zip(faults, says):
        assert words in fault


def test_allocs_are_of_one_kind_each() -> None:
    tasks: list[Given] = [
        {"name": "web", "unprivileged": True, "alloc_id": "a"},
        {"name": "db", "alloc_id": "b"},
        {"name": "log", "unprivileged": True, "alloc_id": "b", "alloc_dir": "/srv"},
        {"name": "old", "alloc_id": "a", "state": "absent"},
        {"name": "one", "alloc_id": None},
        {"name": "two", "alloc_id": None, "unprivileged": True},
    ]
    assert expand(params(*tasks, template="busybox"), LXC_PATH)[1] == []


def test_the_same_name_elsewhere_is_another_container() -> None:
    assert names({"name": "web"}, {"name": "web", "lxc_path": "/srv/lxc"}) == [("web", None), ("web", None)]
    assert len(names({"name": "web", "alloc_id": "a1", "lxc_path": "/srv/lxc"}, {"handle": HANDLE})) == 2


def test_a_fault_of_one_task_is_not_of_the_group() -> None:
    rows, faults = expand(params({"name": "-x"}, {"name": "web", "memory_mb": -1}, {"handle": "{"}, {}), LXC_PATH)
    assert faults == []
    assert [len(parse_task(row.params, "/var/lib/lxc")[1]) > 0 for row in rows] == [True] * 4


@pytest.mark.parametrize(
    ("unclear", "told"),
    [
        ({}, "the task without a name"),
        ({"name": "db "}, "'db '"),
        ({"name": "x" * 70}, "'xxx"),
        ({"handle": "{"}, "the handle of {"),
        ({"handle": '{"ContainerName":"db-a1"}'}, "the handle of {"),
        ({"name": "db", "handle": '{"ContainerName":"old-a1","LxcPath":"/lxc"}'}, "the handle of old-a1"),
    ],
)
def test_with_exclusive_it_must_be_clear_which_tasks_stay(unclear: dict[str, t.Any], told: str) -> None:
    _rows, faults = expand(params({"name": "web"}, unclear, alloc_id="a1", exclusive=True), LXC_PATH)
    assert len(faults) == 1 and told in faults[0] and faults[0].startswith("exclusive: ")
    assert expand(params({"name": "web"}, unclear, alloc_id="a1"), LXC_PATH)[1] == []


def test_a_removal_takes_what_the_group_says_of_removing() -> None:
    group = params(alloc_id="a1", exclusive=True, purge=True, kill_timeout="1s", template="busybox", memory_mb=64)
    row = removal("old", group)
    assert (row.container, row.named, row.index) == ("old-a1", False, None)
    assert {name: row.params[name] for name in ("state", "purge", "kill_timeout", "template", "memory_mb")} == {
        "state": "absent",
        "purge": True,
        "kill_timeout": "1s",
        "template": None,
        "memory_mb": None,
    }
    assert parse_task(row.params, "/var/lib/lxc")[1] == []


def test_what_was_given_is_shown_without_secrets() -> None:
    asked = params(
        {"name": "web", "environment": {"KEY": "hush"}, "mounts": [{"source": "/a", "target": "/b"}]},
        alloc_id="a1",
        environment={"ALL": "hush"},
        memory_mb=64,
    )
    assert given(asked, GROUP_SPEC) == {
        "alloc_id": "a1",
        "memory_mb": 64,
        "environment": {"ALL": HIDDEN},
        "tasks": [{"name": "web", "environment": {"KEY": HIDDEN}, "mounts": [{"source": "/a", "target": "/b"}]}],
    }
