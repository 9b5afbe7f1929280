# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for ends and starts: for real processes, on a host whose containers a table describes."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _proc, _wait
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId, identify
from ansible_collections.nomadic.lxc.plugins.module_utils._states import Exit
from ansible_collections.nomadic.lxc.plugins.module_utils._view import TaskView
from ansible_collections.nomadic.lxc.plugins.module_utils._wait import Deaths, for_exit, for_running
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.views import view

# Seconds: long enough for a busy host, never waited for where a test passes.
LONG = 60.0


@pytest.fixture(name="start")
def make_start() -> t.Iterator[t.Callable[[], InitId]]:
    """Starts a process that lives until the test ends or kills it."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> InitId:
        process = subprocess.Popen(["sleep", "600"])  # pylint: disable=consider-using-with
        processes.append(process)
        init = identify(process.pid)
        assert init is not None
        return init

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(name="pidfd", params=["pidfd", "no pidfd", "refused"])
def choose_pidfd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the kernel's notice of a death, with a Python that has none, and with a kernel that has none."""
    if request.param == "no pidfd":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    elif request.param == "refused":

        def refuse(_pid: int) -> int:
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    return str(request.param)


Doom = t.Callable[..., None]


@pytest.fixture(name="doom")
def make_doom(monkeypatch: pytest.MonkeyPatch) -> Doom:
    """Kills processes, each as soon as its death is waited for."""
    doomed: list[InitId] = []
    wait = Deaths.wait

    def kill_and_wait(deaths: Deaths, timeout: float) -> set[str]:
        for init in [it for it in doomed if it in deaths._watched.values()]:
            doomed.remove(init)
            os.kill(init.pid, 9)
        return wait(deaths, timeout)

    monkeypatch.setattr(Deaths, "wait", kill_and_wait)
    return lambda *inits: doomed.extend(inits)


# ---- deaths


@pytest.mark.usefixtures("pidfd")
def test_the_first_death_ends_the_wait(start: t.Callable[[], InitId]) -> None:
    one, other = start(), start()
    with Deaths() as deaths:
        deaths.watch("one", one)
        deaths.watch("other", other)
        assert deaths.wait(0.0) == set()
        threading.Timer(0.2, os.kill, (one.pid, 9)).start()
        assert deaths.wait(LONG) == {"one"}
        assert deaths.wait(0.0) == {"one"}
        deaths.forget("one")
        assert deaths.wait(0.0) == set()


@pytest.mark.usefixtures("pidfd")
def test_one_that_is_dead_already(start: t.Callable[[], InitId]) -> None:
    init = start()
    os.kill(init.pid, 9)
    os.waitpid(init.pid, 0)
    with Deaths() as deaths:
        deaths.watch("one", init)
        assert deaths.wait(LONG) == {"one"}


@pytest.mark.usefixtures("pidfd")
def test_another_process_with_the_pid_is_not_waited_for(start: t.Callable[[], InitId]) -> None:
    now = start()
    with Deaths() as deaths:
        deaths.watch("one", now._replace(start_ticks=now.start_ticks - 1))
        assert deaths.wait(LONG) == {"one"}


@pytest.mark.usefixtures("pidfd")
def test_a_wait_in_vain_ends_in_time(start: t.Callable[[], InitId]) -> None:
    with Deaths() as deaths:
        deaths.watch("one", start())
        begin = time.monotonic()
        assert deaths.wait(0.2) == set()
        assert time.monotonic() - begin >= 0.2


def test_watching_leaves_no_descriptor(start: t.Callable[[], InitId]) -> None:
    before = os.listdir("/proc/self/fd")
    one, other = start(), start()
    with Deaths() as deaths:
        deaths.watch("one", one)
        deaths.watch("one", one)
        deaths.watch("one", other)
        deaths.watch("two", one._replace(start_ticks=0))
        assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    assert os.listdir("/proc/self/fd") == before


def test_no_busy_loop(start: t.Callable[[], InitId]) -> None:
    with Deaths() as deaths:
        deaths.watch("one", start())
        begin = time.process_time()
        deaths.wait(0.5)
        assert time.process_time() - begin < 0.1


# ---- ends


class Host:
    """A host on which each name has a list of looks, the last of which stays; and what its hook tells, if any."""

    def __init__(self, **looks: t.Sequence[TaskView]) -> None:
        self.looks = {name: list(views) for name, views in looks.items()}
        self.hooks: dict[str, list[TaskView | None]] = {}
        self.looked: list[str] = []

    def look(self, name: str) -> TaskView:
        self.looked.append(name)
        views = self.looks[name]
        return views.pop(0) if len(views) > 1 else views[0]

    def tells(self, seen: TaskView) -> bool:
        return seen.container_name in self.hooks

    def told(self, seen: TaskView) -> TaskView | None:
        words = self.hooks.get(seen.container_name, [None])
        return words.pop(0) if len(words) > 1 else words[0]


STOPPED = view()
KNOWN = view(ended=Exit("2026-11-24T10:00:00Z", True))


def test_nothing_that_runs_is_no_wait() -> None:
    host = Host()
    assert for_exit([], host, 0.0) == ([], {}, True)
    assert for_exit([STOPPED], host, 0.0) == ([STOPPED], {}, True)


@pytest.mark.usefixtures("pidfd")
@pytest.mark.parametrize("state", ["running", "frozen"])
def test_an_end_without_a_hook_is_what_liblxc_tells(start: t.Callable[[], InitId], doom: Doom, state: str) -> None:
    init = start()
    running = view("web", state, init)
    # Its monitor cleans up: for some looks it calls it running, with the init that is dead.
    host = Host(web=[running._replace(init=None), running._replace(init=None), STOPPED])
    doom(init)
    before = time.time_ns()
    views, noticed, in_time = for_exit([running], host, LONG)
    assert (views, in_time) == ([STOPPED], True)
    assert list(noticed) == ["web"]
    assert before < noticed["web"] <= time.time_ns()


def test_an_end_that_a_hook_tells_needs_no_liblxc(start: t.Callable[[], InitId], doom: Doom) -> None:
    init = start()
    host = Host(web=[STOPPED])
    host.hooks["web"] = [None, None, KNOWN]
    doom(init)
    assert for_exit([view("web", "running", init)], host, LONG)[0] == [KNOWN]
    assert host.looked == []


def test_a_hook_that_never_tells_is_not_waited_for_long(start: t.Callable[[], InitId], doom: Doom) -> None:
    init = start()
    host = Host(web=[STOPPED])
    host.hooks["web"] = [None]
    doom(init)
    views, _noticed, in_time = for_exit([view("web", "running", init)], host, LONG)
    assert (views, in_time) == ([STOPPED], True)


def test_a_reboot_is_no_end(start: t.Callable[[], InitId], doom: Doom) -> None:
    first, second = start(), start()  # of one parent, as the two inits are of one monitor
    again = view("web", "running", second)
    host = Host(web=[again])
    doom(first)
    views, noticed, in_time = for_exit([view("web", "running", first)], host, 1.0)
    assert (views, noticed, in_time) == ([again], {}, False)


def test_a_reboot_that_the_hook_tells_is_waited_for_while_it_is_down(start: t.Callable[[], InitId], doom: Doom) -> None:
    first, second = start(), start()
    running, again = view("web", "running", first), view("web", "running", second)
    host = Host(web=[STOPPED, STOPPED, again, STOPPED])
    # The second init's end is told too.
    host.hooks["web"] = [running, running, running, KNOWN]
    doom(first, second)
    views, noticed, in_time = for_exit([running], host, LONG)
    assert (views, list(noticed), in_time) == ([KNOWN], ["web"], True)


def test_a_reboot_that_looks_stopped_before_the_hook_tells(start: t.Callable[[], InitId], doom: Doom) -> None:
    first, second = start(), start()
    running, again = view("web", "running", first), view("web", "running", second)
    # As from another network namespace, on a host too busy for the hook.
    host = Host(web=[STOPPED, STOPPED, again])
    host.hooks["web"] = [None]
    doom(first)
    views, noticed, in_time = for_exit([running], host, 2.0)
    assert (views, noticed, in_time) == ([again], {}, False)


def test_a_reboot_that_does_not_come_up_is_an_end(
    start: t.Callable[[], InitId], doom: Doom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_wait, "_REBOOTING", 0.2)
    init = start()
    running = view("web", "running", init)
    host = Host(web=[STOPPED])
    host.hooks["web"] = [running]
    doom(init)
    assert for_exit([running], host, LONG)[0] == [STOPPED]


def test_a_task_that_somebody_started_again_has_ended(
    start: t.Callable[[], InitId], doom: Doom, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = start(), start()
    monitors = {first.pid: InitId(1, 1, "monitor"), second.pid: InitId(2, 2, "another")}
    monkeypatch.setattr(_proc, "parent", lambda pid: monitors[pid])
    again = view("web", "running", second)
    host = Host(web=[again])
    doom(first)
    views, noticed, in_time = for_exit([view("web", "running", first)], host, LONG)
    assert (views, list(noticed), in_time) == ([again], ["web"], True)


def test_a_pid_that_was_given_away_again_is_not_waited_for(
    start: t.Callable[[], InitId], doom: Doom, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = start()
    stranger = init._replace(start_ticks=init.start_ticks + 100)
    monitors = iter([InitId(1, 1, "monitor")])
    monkeypatch.setattr(_proc, "parent", lambda pid: next(monitors, InitId(3, 3, "its own parent")))
    # liblxc still says the pid, which is another process's now.
    host = Host(web=[view("web", "running", stranger), view("web", "running", stranger), STOPPED])
    doom(init)
    views, noticed, in_time = for_exit([view("web", "running", init)], host, LONG)
    assert (views, list(noticed), in_time) == ([STOPPED], ["web"], True)


def test_a_reboot_whose_init_is_gone_again_is_looked_at_anew(start: t.Callable[[], InitId], doom: Doom) -> None:
    first, second = start(), start()
    os.kill(second.pid, 9)
    os.waitid(os.P_PID, second.pid, os.WEXITED | os.WNOWAIT)
    host = Host(web=[view("web", "running", second), STOPPED])
    doom(first)
    views, noticed, in_time = for_exit([view("web", "running", first)], host, LONG)
    assert (views, list(noticed), in_time) == ([STOPPED], ["web"], True)


def test_a_task_that_was_removed_has_ended(start: t.Callable[[], InitId], doom: Doom) -> None:
    init = start()
    gone = view("web", "absent")
    doom(init)
    assert for_exit([view("web", "running", init)], Host(web=[gone]), LONG)[0] == [gone]


def test_an_init_that_died_while_it_was_looked_for() -> None:
    views, noticed, in_time = for_exit([view("web", "running", None)], Host(web=[STOPPED]), LONG)
    assert (views, list(noticed), in_time) == ([STOPPED], ["web"], True)


def test_all_are_waited_for_and_time_is_over(start: t.Callable[[], InitId], doom: Doom) -> None:
    first, second = start(), start()
    one, two, three = view("one", "running", first), view("two", "frozen", second), view("three")
    host = Host(one=[view("one")], two=[two])
    doom(first)
    views, noticed, in_time = for_exit([one, two, three], host, 1.0)
    assert [it.state for it in views] == ["stopped", "frozen", "stopped"]
    assert (list(noticed), in_time) == (["one"], False)


# ---- starts


@pytest.mark.parametrize(
    ("looks", "count"),
    [
        ([["running"]], 1),
        ([["running", "running"]], 1),
        ([[], ["stopped"], ["frozen"], ["running"]], 4),
        ([["running", "stopped"], ["running", "running"]], 2),
    ],
)
def test_a_start_is_waited_for(looks: list[list[str]], count: int) -> None:
    states = iter(looks)
    seen: list[list[TaskView]] = []

    def look() -> list[TaskView]:
        seen.append([view(f"web{number}", state) for number, state in enumerate(next(states))])
        return seen[-1]

    views, in_time = for_running(look, LONG)
    assert (views, in_time, len(seen)) == (seen[-1], True, count)


@pytest.mark.parametrize("states", [[], ["stopped"], ["running", "frozen"]])
def test_a_start_that_does_not_come(states: list[str]) -> None:
    views = [view(f"web{number}", state) for number, state in enumerate(states)]
    assert for_running(lambda: views, 0.1) == (views, False)
    assert for_running(lambda: views, 0.0) == (views, False)
