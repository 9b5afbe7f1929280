# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a task is, and Nomad's directories for it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._names import (
    container_name,
    container_name_fault,
    layout,
    name_faults,
    path_fault,
)
from hypothesis import assume, given
from hypothesis import strategies as st

Name = tuple[str, t.Optional[str]]

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
TASKS = st.tuples(NAMES, st.one_of(st.none(), NAMES)).filter(lambda task: not name_faults(*task))


@pytest.mark.parametrize(
    ("name", "alloc_id"),
    [
        ("web", None),
        ("web", "5e1d"),
        ("0", "0"),
        ("A.b_c-", "d..e"),
        ("web", "alloc"),  # only a task may not be called so
        ("alloc2", None),
        ("Alloc", None),
        ("local", "secrets"),
        ("x" * 64, None),
        ("x" * 31, "y" * 32),
        ("web", "2fbd5a4c-9c3e-4e0f-8a0e-0d6b9d1f9e6a"),
    ],
)
def test_is_a_name(name: str, alloc_id: str | None) -> None:
    assert name_faults(name, alloc_id) == []


@pytest.mark.parametrize(
    ("name", "alloc_id", "said"),
    [
        ("", None, "invalid name ''"),
        (".", None, "invalid name '.'"),
        ("..", None, "invalid name '..'"),
        ("a/b", None, "invalid name 'a/b'"),
        ("/", None, "invalid name '/'"),
        ("_web", None, "invalid name '_web'"),
        ("-web", None, "invalid name '-web'"),
        (".web", None, "invalid name '.web'"),
        ("we b", None, "invalid name 'we b'"),
        ("web\n", None, r"invalid name 'web\n'"),
        ("web\0", None, r"invalid name 'web\x00'"),
        ("w\u00ebb", None, "invalid name"),
        ("\u0661", None, "invalid name"),
        ("web:1", None, "invalid name 'web:1'"),
        ("alloc", None, "invalid name 'alloc'"),
        ("alloc", "1", "invalid name 'alloc'"),
        ("web", "", "invalid alloc_id ''"),
        ("web", "..", "invalid alloc_id '..'"),
        ("web", "a/b", "invalid alloc_id 'a/b'"),
        ("web", "_x", "invalid alloc_id '_x'"),
        ("web", "1\n", r"invalid alloc_id '1\n'"),
        # 65 characters: liblxc can't
        ("x" * 65, None, "at most 64"),
        ("x" * 32, "y" * 32, "at most 64"),
    ],
)
def test_is_no_name(name: str, alloc_id: str | None, said: str) -> None:
    faults = name_faults(name, alloc_id)
    assert len(faults) == 1
    assert said in faults[0]


def test_both_faults_are_told() -> None:
    faults = name_faults("..", "a/b")
    assert ["invalid name" in faults[0], "invalid alloc_id" in faults[1]] == [True, True]


@given(st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text()))
def test_any_text_is_judged(name: str | None, alloc_id: str | None) -> None:
    if name is not None and not name_faults(name, alloc_id):
        made = container_name(name, alloc_id)
        assert len(made) <= 64
        assert container_name_fault(made) is None


@pytest.mark.parametrize(
    ("name", "alloc_id", "made"),
    [("web", None, "web"), ("web", "5e1d", "web-5e1d"), ("web-0", "1", "web-0-1"), ("web", "0-1", "web-0-1")],
)
def test_container_name(name: str, alloc_id: str | None, made: str) -> None:
    assert container_name(name, alloc_id) == made


@pytest.mark.parametrize("name", ["web", "we b", "_x", "-x", "...", "w\u00ebb", "a:b", "x" * 64])
def test_somebody_elses_container_may_be_called_so(name: str) -> None:
    assert container_name_fault(name) is None


# destroy() of a container named ".." removes the whole container path.
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/", "a\nb", "a\0", "\t", "x" * 65])
def test_no_container_may_be_called_so(name: str) -> None:
    assert container_name_fault(name) is not None


@pytest.mark.parametrize("path", ["/", "/var/lib/lxc", "/var/lib/lxc/", "/a b/..c/d..", "/...", "/\u00e4"])
def test_is_a_path(path: str) -> None:
    assert path_fault(path) is None


@pytest.mark.parametrize("path", ["", "var/lib/lxc", "~/lxc", "./lxc", "..", "/..", "/a/../b", "/a/.."])
def test_is_no_path(path: str) -> None:
    assert path_fault(path) is not None


def test_directories_are_laid_out_as_nomads() -> None:
    place = layout("/allocs", "web", "5e1d")
    assert (place.root, place.task, place.alloc) == ("/allocs/5e1d", "/allocs/5e1d/web", "/allocs/5e1d/alloc")
    assert place.local == "/allocs/5e1d/web/local"
    assert place.secrets == "/allocs/5e1d/web/secrets"
    assert place.tmp == "/allocs/5e1d/web/tmp"
    assert place.log_file == "/allocs/5e1d/web/web-lxc.log"


def test_an_alloc_without_id() -> None:
    place = layout("/allocs/", "web", None)
    assert (place.root, place.task, place.alloc) == ("/allocs/_web", "/allocs/_web/web", "/allocs/_web/alloc")


def test_modes_of_the_directories() -> None:
    modes = dict(layout("/a", "web", "1").directories())
    assert {
        path: oct(mode) for path, mode in modes.items() if path in ("/a/1", "/a/1/web/secrets", "/a/1/web/tmp")
    } == {
        "/a/1": "0o700",
        "/a/1/web/secrets": "0o700",
        "/a/1/web/tmp": "0o1777",
    }
    assert set(modes) == {
        "/a/1",
        "/a/1/alloc",
        "/a/1/alloc/logs",
        "/a/1/alloc/tmp",
        "/a/1/alloc/data",
        "/a/1/web",
        "/a/1/web/local",
        "/a/1/web/secrets",
        "/a/1/web/tmp",
    }


@given(TASKS)
def test_parents_come_first(task: Name) -> None:
    place = layout("/a", *task)
    seen = {"/a"}
    for path, _mode in place.directories():
        assert path.rpartition("/")[0] in seen
        assert path not in seen
        seen.add(path)


@given(TASKS, TASKS)
def test_no_two_tasks_share_a_directory_of_their_own(one: Name, other: Name) -> None:
    assume(one != other)
    first, second = layout("/a", *one), layout("/a", *other)
    assert first.task != second.task
    assert not first.task.startswith(second.task + "/")
    assert first.task != second.alloc
    # They share the alloc's if, and only if, they name the same alloc.
    assert (first.alloc == second.alloc) is (one[1] is not None and one[1] == other[1])
