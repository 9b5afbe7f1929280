# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed of an alloc that others use by then: of tasks whose names begin as its shared directory's does. Real directories."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _do_directories, _lock, _names, _steps

# "alloc" is the directory that all tasks share.
NAMES = ["a", "allo", "alloc-web", "allocator", "web"]


@pytest.fixture(autouse=True)
def _locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lock, "DIRECTORY", str(tmp_path / "locks"))


def alloc(tmp_path: Path, name: str, *others: str) -> tuple[t.Any, _names.Layout]:
    """What stands for the work on a task, and where its directories are, which are there."""
    place = _names.layout(str(tmp_path / "allocs"), name, "a1")
    for path, _mode in place.directories():
        Path(path).mkdir(parents=True, exist_ok=True)
    Path(place.alloc, "data", "kept").touch()
    for other in others:
        Path(place.root, other).mkdir()
    return SimpleNamespace(spec=SimpleNamespace(layout=place)), place


@pytest.mark.parametrize("name", NAMES)
def test_what_a_run_made_of_a_task_is_taken_back_and_what_is_shared_stays(tmp_path: Path, name: str) -> None:
    work, place = alloc(tmp_path, name, "other")
    for path, _mode in reversed(place.directories()):
        _do_directories.remove_made(work, path)
    assert sorted(path.name for path in Path(place.root).iterdir()) == ["alloc", "other"]
    assert Path(place.alloc, "data", "kept").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_purge_leaves_what_is_shared_to_who_has_come_since(tmp_path: Path, name: str) -> None:
    work, place = alloc(tmp_path, name, "other")
    _do_directories.purge(work, _steps.Purge("purge", (place.task, place.alloc, place.root)))
    assert sorted(path.name for path in Path(place.root).iterdir()) == ["alloc", "other"]
    assert Path(place.alloc, "data", "kept").exists()


@pytest.mark.parametrize("name", NAMES)
def test_the_last_task_takes_all_of_it(tmp_path: Path, name: str) -> None:
    work, place = alloc(tmp_path, name)
    _do_directories.purge(work, _steps.Purge("purge", (place.task,)))
    assert not Path(place.root).exists()
