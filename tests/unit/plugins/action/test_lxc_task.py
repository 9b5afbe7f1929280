# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin: the collector is held off while a module is packed and run, and is as it was afterwards."""

from __future__ import annotations

import gc
import importlib
import types
import typing as t
from pathlib import Path

import pytest
from ansible.plugins.action.normal import ActionModule as NormalActionModule
from ansible_collections.nomadic.lxc.plugins.action.lxc_task import ActionModule

COLLECTION = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def as_it_was() -> t.Iterator[None]:
    """Have the other tests collected."""
    yield
    gc.unfreeze()
    gc.enable()


def _ran(monkeypatch: pytest.MonkeyPatch, end: t.Callable[[], t.Any]) -> tuple[ActionModule, list[t.Any]]:
    seen: list[t.Any] = []

    def run(_self: t.Any, tmp: t.Any, task_vars: t.Any) -> t.Any:
        seen.append((gc.isenabled(), tmp, task_vars))
        return end()

    monkeypatch.setattr(NormalActionModule, "run", run)
    return _action("ssh"), seen


def _action(transport: str) -> ActionModule:
    action = ActionModule.__new__(ActionModule)
    action._connection = types.SimpleNamespace(transport=transport)
    return action


def test_the_collector_is_held_off_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    action, seen = _ran(monkeypatch, lambda: {"changed": False})
    for _time in range(2):
        assert action.run(None, {"a": 1}) == {"changed": False}
        assert gc.isenabled()
    assert seen == [(False, None, {"a": 1}), (True, None, {"a": 1})]


def test_who_does_not_collect_does_not_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    action, seen = _ran(monkeypatch, lambda: {"changed": False})
    gc.disable()
    action.run()
    assert seen == [(False, None, None)]
    assert not gc.isenabled()


def test_a_failure_comes_through_and_leaves_the_collector_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> t.NoReturn:
        raise RuntimeError("no way to the host")

    action, _seen = _ran(monkeypatch, fail)
    with pytest.raises(RuntimeError, match="no way to the host"):
        action.run()
    assert gc.isenabled()


@pytest.mark.parametrize("given", [None, {}, {"a": 1, "ansible_module_compression": "ZIP_DEFLATED"}])
def test_what_stays_on_this_host_is_not_compressed(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, t.Any] | None
) -> None:
    _none, seen = _ran(monkeypatch, dict)
    _action("local").run(None, given)
    _action("ssh").run(None, given)
    assert [it[2] for it in seen] == [{**(given or {}), "ansible_module_compression": "ZIP_STORED"}, given]


@pytest.mark.parametrize("module", [path.stem for path in (COLLECTION / "plugins/modules").glob("[a-z]*.py")])
def test_every_module_is_run_so(module: str) -> None:
    assert (
        importlib.import_module(f"ansible_collections.nomadic.lxc.plugins.action.{module}").ActionModule is ActionModule
    )
