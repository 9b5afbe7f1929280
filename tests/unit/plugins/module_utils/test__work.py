# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run takes back, whatever comes of one part of it."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._work import Work


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (LxcTaskError("it is mounted"), "it is mounted"),
        (PermissionError("no"), "no"),
        (RecursionError("maximum recursion depth exceeded"), "maximum recursion depth exceeded"),
        (KeyError(), "KeyError()"),
    ],
)
def test_what_can_not_be_taken_back_is_told_and_the_rest_is(fault: Exception, told: str) -> None:
    def fail(_name: str = "") -> None:
        raise fault

    spec: t.Any = SimpleNamespace(container_name="web")
    runtime: t.Any = SimpleNamespace(sweep=fail)
    seen: t.Any = None
    work = Work(spec, seen, runtime, None)
    done: list[str] = []
    work.then("start the task again", lambda: done.append("started"))
    work.then("take back to give it to root", fail)
    work.then("put the record back", lambda: done.append("put back"))
    assert work.unwind() == [f"take back to give it to root ({told})"]
    assert done == ["put back", "started"]
    assert work.undo == []
