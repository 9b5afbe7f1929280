# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made in an alloc while others write there, and what is removed of one that others use by then: of tasks whose names
begin as its shared directory's does. Real directories.
"""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _do_directories,
    _lock,
    _names,
    _observed,
    _steps,
    _work,
)

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


def owner_and_mode(path: Path | str) -> tuple[int, int, int]:
    found = os.lstat(path)
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.fixture(name="new")
def make_new(tmp_path: Path) -> tuple[_work.Work, _names.Layout]:
    """The work on a task that has no directories yet, and where they will be."""
    place = _names.layout(str(tmp_path / "allocs"), "web", "a1")
    spec: t.Any = SimpleNamespace(layout=place, container_name="web-a1")
    runtime: t.Any = SimpleNamespace(sweep=lambda name: None)
    return _work.Work(spec, _observed.Observed(), runtime, None), place


def test_each_directory_gets_its_owner_and_mode(new: tuple[_work.Work, _names.Layout]) -> None:
    work, place = new
    _do_directories.make_directories(work, _steps.MakeDirectories("make", tuple(place.directories(True)), 100000))
    for path, mode in place.directories(True):
        uid, gid = {place.root: (0, 0), place.task: (0, 100000)}.get(path, (100000, 100000))
        assert owner_and_mode(path) == (uid, gid, mode), path
    assert work.unwind() == []
    assert not Path(place.root).parent.exists()


@pytest.mark.parametrize("when", ["made", "told"])
def test_a_link_that_another_task_puts_in_its_place_is_not_followed(
    tmp_path: Path, new: tuple[_work.Work, _names.Layout], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Each of the alloc's tasks can write in the shared directory, and is as quick as it likes."""
    work, place = new
    precious = tmp_path / "precious"
    precious.mkdir(0o700)
    Path(place.alloc).mkdir(parents=True)
    data = Path(place.alloc, "data")

    def swap() -> None:
        data.rmdir()
        data.symlink_to(precious)

    then, make = work.then, _work.make_directories

    def swap_when_made(words: str, undo: t.Callable[[], None]) -> None:
        then(words, undo)
        swap()

    def swap_when_told(path: str, made: t.Callable[[str], None]) -> None:
        make(path, made)
        swap()

    if when == "made":
        monkeypatch.setattr(work, "then", swap_when_made)
    else:
        monkeypatch.setattr(_work, "make_directories", swap_when_told)
    with pytest.raises(NotADirectoryError):
        _do_directories.make_directory(work, str(data), 0o777, 100000, always=False)
    assert owner_and_mode(precious) == (0, 0, 0o700)
    assert work.unwind() == []
    assert owner_and_mode(precious) == (0, 0, 0o700)


def test_the_allocs_own_gets_its_owner_and_mode_and_those_it_had(new: tuple[_work.Work, _names.Layout]) -> None:
    work, place = new
    Path(place.root).mkdir(parents=True)
    os.chown(place.root, 1000, 1001)
    os.chmod(place.root, 0o2775)
    _do_directories.make_directory(work, place.root, 0o711, 100000, always=True)
    assert owner_and_mode(place.root) == (0, 1001, 0o711)
    assert work.unwind() == []
    assert owner_and_mode(place.root) == (1000, 1001, 0o2775)


def test_a_link_in_the_place_of_the_allocs_own_is_not_followed(
    tmp_path: Path, new: tuple[_work.Work, _names.Layout]
) -> None:
    work, place = new
    (tmp_path / "precious").mkdir(0o700)
    Path(place.root).parent.mkdir()
    Path(place.root).symlink_to(tmp_path / "precious")
    with pytest.raises(NotADirectoryError):
        _do_directories.make_directory(work, place.root, 0o711, 0, always=True)
    assert owner_and_mode(tmp_path / "precious") == (0, 0, 0o700)
