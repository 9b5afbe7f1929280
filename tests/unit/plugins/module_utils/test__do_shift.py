# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose ids a task's directories have after a step, and after a run that failed later. Real directories."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _apply, _do_shift, _errors, _lock, _names, _steps
from ansible_collections.nomadic.lxc.plugins.module_utils._idmap import Idmap
from ansible_collections.nomadic.lxc.plugins.module_utils._observed import Observed
from ansible_collections.nomadic.lxc.plugins.module_utils._work import Work

RANGE = Idmap(1879048192, 65536)
OTHER = Idmap(1000000, 65536)


@pytest.fixture(autouse=True)
def _locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lock, "DIRECTORY", str(tmp_path / "locks"))


def of(tmp_path: Path, own: int | None, shared: int, **seen: t.Any) -> tuple[Work, _names.Layout]:
    """The work on a task whose own directories, and the shared one, have these ids; None: it has none of its own."""
    place = _names.layout(str(tmp_path / "allocs"), "web", "a1")
    for path, mode in place.directories(bool(own)):
        if own is None and (path == place.task or path in place.owned()):
            continue
        Path(path).mkdir(parents=True)
        os.chmod(path, mode)
        if path not in (place.root, place.task):
            ids = own if path in place.owned() and own is not None else shared
            Path(path, "file").touch()
            for it in (path, os.path.join(path, "file")):
                os.chown(it, ids, ids)
    if own is not None:
        os.chown(place.task, 0, own)
    spec: t.Any = SimpleNamespace(layout=place, container_name="web-a1")
    runtime: t.Any = SimpleNamespace(sweep=lambda name: None)
    return Work(spec, Observed(directory_ids=own, shared_owner=shared, **seen), runtime, None), place


def shown(place: _names.Layout) -> dict[str, tuple[int, int, int]]:
    """Owner, group and mode of all that is in the alloc, by path from there."""
    found = {".": os.lstat(place.root)}
    found.update({str(path.relative_to(place.root)): path.lstat() for path in Path(place.root).rglob("*")})
    return {path: (it.st_uid, it.st_gid, stat.S_IMODE(it.st_mode)) for path, it in found.items()}


def owners(place: _names.Layout) -> set[int]:
    return {uid for path, (uid, _gid, _mode) in shown(place).items() if path not in (".", "web")}


@pytest.mark.parametrize(
    ("former", "wanted"), [(None, RANGE), (RANGE, None), (OTHER, RANGE)], ids=["inward", "outward", "over"]
)
def test_a_run_that_fails_later_gives_all_back(tmp_path: Path, former: Idmap | None, wanted: Idmap | None) -> None:
    ids = former.base if former else 0
    work, place = of(tmp_path, ids, ids)
    before = shown(place)
    _do_shift.shift_directories(work, _steps.ShiftDirectories("give", former, wanted))
    assert owners(place) == {wanted.base if wanted else 0}
    assert work.unwind() == []
    assert shown(place) == before


@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_a_task_keeps_what_is_its_own_where_only_the_shared_directory_was_not(tmp_path: Path, mode: int) -> None:
    """It starts again, and has to read its files."""
    work, place = of(tmp_path, RANGE.base, 0)
    os.chmod(place.root, mode)
    # It may have written there, which anybody can.
    os.chown(Path(place.alloc, "data", "file"), RANGE.base + 5, RANGE.base + 5)
    before = shown(place)
    _do_shift.shift_shared(work, _steps.ShiftShared("give", RANGE))
    assert owners(place) == {RANGE.base, RANGE.base + 5}
    assert work.lasting == [f"{place.alloc} stays user {RANGE.base}'s"]
    assert [shown(place)[path] for path in (".", "web")] == [(0, 0, 0o711), (0, RANGE.base, 0o750)]
    assert work.unwind() == []
    others = [path for path in before if path.split("/")[0] == "web"]
    assert [shown(place)[path] for path in others] == [before[path] for path in others]
    assert owners(place) == {RANGE.base, RANGE.base + 5}


def test_a_failure_tells_what_stays(tmp_path: Path) -> None:
    work, place = of(tmp_path, RANGE.base, 0)

    def refuse(_name: str) -> None:
        raise _errors.LxcTaskError("no")

    runtime: t.Any = SimpleNamespace(sweep=work.runtime.sweep, freeze=refuse, thaw=lambda _name: None)
    steps = (_steps.ShiftShared("share", RANGE), _steps.Freeze("freeze"))
    with pytest.raises(_errors.StepError) as failed:
        _apply.apply(steps, work.spec, work.seen, runtime)
    stays = f"what this run had done is undone; {place.alloc} stays user {RANGE.base}'s"
    assert str(failed.value) == f"could not freeze: no; {stays}"


def test_the_shared_directory_goes_back_to_root_where_there_was_no_task(tmp_path: Path) -> None:
    work, place = of(tmp_path, None, 0)
    before = shown(place)
    _do_shift.shift_directories(work, _steps.ShiftDirectories("give", None, RANGE))
    assert owners(place) == {RANGE.base}
    assert work.unwind() == []
    assert shown(place) == before
