# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._observe_directories import (
    ids_of_others,
    of_directories,
    passed,
    source,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._tree import Paths
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import spec


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("", []),
        ("local", ["local"]),
        ("local/data/../x", ["local", "local/data", "local/x"]),
        ("local//./none/deeper", ["local", "local/none", "local/none/deeper"]),
        # a link, and what it leads through: `out` is a link to ../tmp, `by` one to local/out/x
        ("local/out", ["local", "local/out", "tmp"]),
        ("by/y", ["by", "local", "local/out", "tmp", "tmp/x", "tmp/x/y"]),
        # `far` is a link to the whole path of tmp, `link` one to local
        ("link/far/../z", ["link", "local", "local/far", "tmp", "z"]),
    ],
)
def test_the_places_on_the_way_to_a_path(tmp_path: Path, path: str, places: list[str]) -> None:
    for directory in ("local/data", "tmp"):
        (tmp_path / directory).mkdir(parents=True)
    for name, target in (
        ("local/out", "../tmp"),
        ("by", "local/out/x"),
        ("local/far", tmp_path / "tmp"),
        ("link", "local"),
    ):
        (tmp_path / name).symlink_to(target)
    above = [str(it) for it in reversed(tmp_path.parents)][1:] + [str(tmp_path)]
    found = [place for place in passed(os.path.join(tmp_path, path)) if place not in above]
    assert found == [f"{tmp_path}/{place}" for place in places]


def test_links_that_go_round_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert len(passed(str(tmp_path / "a"))) < 100


def test_a_path_leads_out_of_a_directory_that_is_not_made_yet(tmp_path: Path) -> None:
    (tmp_path / "other/local").mkdir(parents=True)
    task = str(tmp_path / "task")
    made = {task, f"{task}/local"}
    assert source(f"{task}/../other/local", made).kind == "dir"
    assert source(f"{task}/local/../../other/local", made).kind == "dir"
    assert source(f"{task}/none/../../other/local", made).kind == "missing"
    assert source(f"{tmp_path}/none/../other/local", made).kind == "missing"


@pytest.mark.parametrize(
    ("alloc_dir", "blocked"),
    [
        ("none/deeper", None),
        ("directory", None),
        ("link", None),
        ("file", "file"),
        ("file/deeper/still", "file"),
        ("nowhere", "nowhere"),
        ("taken", "taken/_web/web/local"),
    ],
)
def test_what_stands_where_a_directory_must_be(tmp_path: Path, alloc_dir: str, blocked: str | None) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    (tmp_path / "nowhere").symlink_to("none")
    (tmp_path / "file").touch()
    (tmp_path / "taken/_web/web").mkdir(parents=True)
    (tmp_path / "taken/_web/web/local").touch()
    asked = spec(name="web", template="busybox", alloc_dir=f"{tmp_path}/{alloc_dir}")
    seen = of_directories(asked, "absent", Paths())
    assert seen["blocked"] == (None if blocked is None else f"{tmp_path}/{blocked}")


def test_of_an_alloc_that_says_its_kind_no_task_is_looked_at(tmp_path: Path) -> None:
    place = spec(name="web", alloc_id="a", template="busybox", alloc_dir=str(tmp_path)).layout
    assert place is not None
    assert ids_of_others(place, False, Paths()) == ids_of_others(place, True, Paths()) == {}
    for name, ids in (("web", 0), ("db", 0), ("new", 1000000)):
        (tmp_path / "a" / name).mkdir(parents=True)
        os.chown(tmp_path / "a" / name, 0, ids)
    others = {"db": 0, "new": 1000000}
    for mode, found in ((0o700, ({}, others)), (0o711, (others, {})), (0o755, (others, others))):
        (tmp_path / "a").chmod(mode)
        assert (ids_of_others(place, False, Paths()), ids_of_others(place, True, Paths())) == found
