# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task of a group that another call works on: it is waited for, but not within what waits itself."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _converge,
    _converge_group,
    _errors,
    _jobs,
    _notes,
    _waits,
)

ROW: t.Any = SimpleNamespace(params={})


def one(monkeypatch: pytest.MonkeyPatch, error: _errors.LxcTaskError, waits: _waits.Waits) -> dict[str, t.Any]:
    def converge(*_args: t.Any) -> t.NoReturn:
        raise error

    monkeypatch.setattr(_converge, "converge", converge)
    return _converge_group._one(ROW, False, waits, _notes.Notes())


def test_one_that_others_work_on_for_too_long_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    row = one(monkeypatch, _errors.LockTimeoutError("another call has worked on it"), _waits.ALONE)
    assert row == {"error": "another call has worked on it", "errors": ["another call has worked on it"]}


def test_within_one_that_waits_it_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(_jobs.Later):
        one(monkeypatch, _errors.LockTimeoutError("another call works on it"), _waits.ALONE._replace(turn=0.0))


def test_what_fails_there_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    row = one(monkeypatch, _errors.LxcTaskError("wrong"), _waits.ALONE._replace(turn=0.0))
    assert row["error"] == "wrong"
