# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken back of a removal, by how far it came; which configurations liblxc is asked to load. Real directories, and in the
place of Runtime what removes them, or refuses.
"""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _do_container,
    _liblxc,
    _observe,
    _record,
    _signals,
    _states,
    _steps,
    _work,
)
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import made, record_of, task

REFUSED = _liblxc.RuntimeFailure("liblxc can't destroy container web", "it is busy")
INTERRUPTED = _signals.Interrupted("a signal came")


class Removing:
    """Removes a part of the container, or all, and then fails, or not."""

    def __init__(self, lxc_path: Path, part: str | None, error: BaseException | None) -> None:
        self.lxc_path, self.part, self.error = lxc_path, part, error

    def directory(self, name: str) -> str:
        return str(self.lxc_path / name)

    def config_file(self, name: str) -> str:
        return str(self.lxc_path / name / "config")

    def destroy(self, name: str) -> None:
        if self.part is not None:
            shutil.rmtree(self.lxc_path / name / self.part)
        if self.error is not None:
            raise self.error

    def sweep(self, _name: str, payload: bool = False) -> None:
        assert payload


def working(tmp_path: Path, root: str, part: str | None, error: BaseException | None) -> _work.Work:
    """The work on a task that was stopped: its root file system is at ``root``, and ``part`` of its directory goes."""
    web = tmp_path / "web"
    for place in ("rootfs/bin", "rootfs/etc", "overlay/delta/etc", "overlay/delta/var"):
        (web / place).mkdir(parents=True)
    (web / "config").write_text(f"lxc.rootfs.path = {root.format(web)}\n", encoding="utf-8")
    asked = task()._replace(lxc_path=str(tmp_path))
    runtime = t.cast(t.Any, Removing(tmp_path, part, error))
    work = _work.Work(asked, made(asked), runtime, record_of(asked))
    work.then("start the task again", lambda: None)
    return work


@pytest.mark.parametrize("error", [REFUSED, INTERRUPTED])
@pytest.mark.parametrize(
    ("root", "part", "again"),
    [
        ("dir:{}/rootfs", None, True),
        ("{}/rootfs", None, True),
        ("dir:{}/rootfs", "rootfs/bin", False),
        ("dir:{}/rootfs", "rootfs", False),
        ("overlay:/images/a/rootfs:{}/overlay/delta", None, True),
        ("overlay:/images/a/rootfs:{}/overlay/delta", "overlay/delta/etc", False),
        ("overlay:/images/a/rootfs:{}/overlay/delta", "overlay/delta", False),
        # Of what is no directory nobody knows how much of it is left.
        ("lvm:/dev/none/web", None, False),
    ],
)
def test_what_is_not_whole_is_not_started_again(
    tmp_path: Path, root: str, part: str | None, again: bool, error: BaseException
) -> None:
    work = working(tmp_path, root, part, error)
    with pytest.raises(type(error)):
        _do_container.destroy(work, _steps.Destroy("destroy"))
    assert bool(work.undo) is again
    assert (work.stands is None) is again


def test_once_it_is_gone_nothing_is_taken_back(tmp_path: Path) -> None:
    work = working(tmp_path, "dir:{}/rootfs", None, None)
    _do_container.destroy(work, _steps.Destroy("destroy"))
    assert not work.undo and work.stands is not None and "removed already" in work.stands
    assert not (tmp_path / "web").exists()


def test_what_is_done_afterwards_can_be_taken_back(tmp_path: Path) -> None:
    work = working(tmp_path, "dir:{}/rootfs", None, None)
    _do_container.drop_aside(work, _steps.DropAside("remove the former container"))
    assert not work.undo and work.stands is not None
    work.then("stop the task", lambda: None)
    assert work.unwind() == [] and work.stands is None


@pytest.mark.parametrize(
    ("lines", "unloadable", "asked"),
    [
        ([("lxc.cgroup2.memory.max", "5")], None, False),
        ([("lxc.cgroup2.memory.max", "5")], "it is broken", True),
        ([("lxc.cgroup2.memory.max", "5"), ("lxc.cap.keep", "kill")], None, True),
    ],
)
def test_a_configuration_is_tried_where_more_than_limits_change(
    tmp_path: Path, lines: list[tuple[str, str]], unloadable: str | None, asked: bool
) -> None:
    work = working(tmp_path, "{}/rootfs", None, None)
    work.seen = work.seen._replace(unloadable=unloadable)
    tried: list[str] = []
    t.cast(t.Any, work.runtime).check = lambda _name, text: tried.append(text)
    _do_container.configure(work, _steps.Configure("write configuration", ()))
    tried.clear()
    _do_container.configure(work, _steps.Configure("write configuration", tuple(lines)))
    text = (tmp_path / "web/config").read_text(encoding="utf-8")
    assert all(f"{key} = {value}\n" in text for key, value in lines)
    assert tried == ([text] if asked else [])


@pytest.mark.parametrize("phase", [_record.MAKING, _record.READY])
def test_what_a_clone_has_written_is_tried_and_not_written_again(tmp_path: Path, phase: str) -> None:
    work = working(tmp_path, "{}/rootfs", None, None)
    work.record = work.record_with(phase=phase)
    tried: list[str] = []
    t.cast(t.Any, work.runtime).check = lambda _name, text: tried.append(text)
    step = _steps.Configure("write configuration", (("lxc.tty.max", "2"),))
    _do_container.configure(work, step)
    written, undo = (tmp_path / "web/config").stat(), len(work.undo)
    tried.clear()
    _do_container.configure(work, step)
    assert (tmp_path / "web/config").stat().st_ino == written.st_ino
    assert len(work.undo) == undo
    # Only of one that this run has made nobody knows yet whether it loads.
    assert len(tried) == (phase == _record.MAKING)


def test_a_removal_that_is_cut_off_leaves_a_mark(tmp_path: Path) -> None:
    """Whose record is gone would be taken for somebody else's."""
    work = working(tmp_path, "{}/rootfs", "rootfs", INTERRUPTED)
    t.cast(t.Any, work.runtime).state = lambda _name: (_states.STOPPED, -1)
    with pytest.raises(_signals.Interrupted):
        _do_container.remove_container(work)
    assert _observe._is_marked(str(tmp_path), "web", str(tmp_path / "web"))
    t.cast(t.Any, work.runtime).destroy = lambda _name: None
    _do_container.remove_container(work)
    assert list(tmp_path.iterdir()) == []
