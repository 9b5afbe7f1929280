# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tasks a look is about, and what it sees: on directories of containers, with a table in liblxc's place."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _monitor, _record, _select
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import ContainerGoneError, LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._handle import Handle
from ansible_collections.nomadic.lxc.plugins.module_utils._hooks import exit_hook
from ansible_collections.nomadic.lxc.plugins.module_utils._kept import EXIT_FILE, RUN_FILE
from ansible_collections.nomadic.lxc.plugins.module_utils._liblxc import Containers
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId, identify
from ansible_collections.nomadic.lxc.plugins.module_utils._select import Selection, duration, parse_selection, select
from ansible_collections.nomadic.lxc.plugins.module_utils._states import Exit
from ansible_collections.nomadic.lxc.plugins.module_utils._view import TaskView
from ansible_collections.nomadic.lxc.plugins.module_utils._watcher import Watcher
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.views import PARAMS, Told

SECOND = 1_000_000_000


@pytest.fixture(name="host")
def make_host(tmp_path: Path) -> Told:
    return Told(tmp_path / "lxc")


@pytest.fixture(name="init")
def make_init() -> t.Iterator[InitId]:
    """A process that lives."""
    with subprocess.Popen(["sleep", "600"]) as process:
        init = identify(process.pid)
        assert init is not None
        yield init
        process.kill()


def wanted(host: Told, **given: t.Any) -> Selection:
    return parse_selection({**PARAMS, "lxc_path": host.lxc_path, **given})


def names(views: t.Sequence[TaskView]) -> list[str]:
    return [it.container_name for it in views]


def handle(name: str, path: str, **other: t.Any) -> str:
    return json.dumps({"ContainerName": name, "LxcPath": path, **other})


# ---- options


@pytest.mark.parametrize("path", ["/srv/lxc", "/srv//lxc/", "//srv/lxc"])
def test_a_selection(path: str) -> None:
    assert parse_selection({**PARAMS, "name": "web", "alloc_id": "a1", "lxc_path": path}) == Selection(
        "/srv/lxc", None, "web", "a1", 30 * SECOND
    )


def test_a_handle_says_where_to_the_letter() -> None:
    text = handle("web", "/srv//lxc", KillTimeout=7)
    assert parse_selection({**PARAMS, "handle": text, "lxc_path": "/elsewhere"}) == Selection(
        "/srv//lxc", Handle("web", "/srv//lxc", -1, 7), None, None, 30 * SECOND
    )
    same = parse_selection({**PARAMS, "handle": handle("web-a1", "/lxc"), "name": "web", "alloc_id": "a1"})
    assert same.handle is not None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "a/b"}, "invalid name"),
        ({"name": "alloc"}, "invalid name"),
        ({"name": "web", "alloc_id": ".."}, "invalid alloc_id"),
        ({"name": "w" * 64, "alloc_id": "a"}, "66 characters"),
        ({"name": "web\nlxc.hook.start = /bin/x"}, "name: a newline"),
        ({"lxc_path": "lxc"}, "lxc_path: 'lxc' is not an absolute path"),
        ({"lxc_path": "/a/../b"}, "lxc_path: '/a/../b' has '..' in it"),
        ({"max_kill_timeout": "soon"}, "max_kill_timeout: invalid duration 'soon'"),
        ({"handle": "{"}, "Failed to parse handle '{': "),
        ({"handle": handle("web", "/lxc"), "name": "db"}, "another container than the handle, 'web'"),
        ({"handle": handle("web", "/lxc"), "name": "web", "alloc_id": "a1"}, "another container"),
        ({"handle": handle("web-a1", "/lxc"), "alloc_id": "a1"}, "alloc_id is given without name"),
        ({"lxc_path": "lxc", "name": "a/b", "max_kill_timeout": "x"}, "max_kill_timeout"),
    ],
)
def test_options_that_nothing_can_mean(given: dict[str, t.Any], says: str) -> None:
    with pytest.raises(LxcTaskError) as caught:
        parse_selection({**PARAMS, "lxc_path": "/lxc", **given})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"alloc_dir": "alloc"},
        {"default_config": "default.conf"},
        {"network_link": "a\nb"},
        {"volumes_enabled": False, "network_mode": "bridge", "host_network_admin": True},
    ],
)
def test_what_they_do_not_use_is_passed_over(given: dict[str, t.Any]) -> None:
    assert parse_selection({**PARAMS, "lxc_path": "/lxc", **given}) == parse_selection({**PARAMS, "lxc_path": "/lxc"})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(LxcTaskError) as caught:
        parse_selection({**PARAMS, "lxc_path": "lxc", "name": "a/b", "max_kill_timeout": "x"})
    assert len(caught.value.errors) == 3


@pytest.mark.parametrize("text", ["0", "-1", "-3m"])
def test_a_ceiling_of_zero_or_less_stands_for_nomads(host: Told, text: str) -> None:
    host.make("web", options={"kill_timeout": 20 * SECOND})
    views, _warnings = select(wanted(host, max_kill_timeout=text), host)
    assert views[0].kill_timeout == 10 * SECOND


def test_durations() -> None:
    assert duration({"timeout": "1m30s"}, "timeout") == 90 * SECOND
    assert duration({"timeout": "0"}, "timeout") == 0
    for text, says in (("-1", "timeout '-1' is negative"), ("soon", "timeout: invalid duration 'soon'")):
        with pytest.raises(LxcTaskError, match=says):
            duration({"timeout": text}, "timeout")


@pytest.mark.parametrize(
    ("given", "named"),
    [({}, False), ({"alloc_id": "a1"}, False), ({"name": "web"}, True), ({"handle": handle("web", "/lxc")}, True)],
)
def test_whether_a_call_says_which_tasks_it_means(given: dict[str, t.Any], named: bool) -> None:
    assert parse_selection({**PARAMS, "lxc_path": "/lxc", **given}).named is named


# ---- selection


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, ["db-a1", "web", "web-1-a1", "web-a1", "web-a2"]),
        ({"name": "web"}, ["web", "web-a1", "web-a2"]),
        ({"name": "web", "alloc_id": "a1"}, ["web-a1"]),
        ({"alloc_id": "a1"}, ["db-a1", "web-1-a1", "web-a1"]),
        ({"name": "web-1"}, ["web-1-a1"]),
        # That is the container web-1-a1, but another task.
        ({"name": "web", "alloc_id": "1-a1"}, []),
        ({"name": "we"}, []),
        ({"name": "foreign"}, []),
        ({"name": "half"}, []),
    ],
)
def test_which_tasks(host: Told, given: dict[str, t.Any], found: list[str]) -> None:
    host.make("web")
    host.make("web", "a1")
    host.make("web", "a2")
    host.make("web-1", "a1")
    host.make("db", "a1")
    host.make("half", phase=_record.MAKING)
    foreign = Path(host.lxc_path) / "foreign"
    foreign.mkdir()
    (foreign / "config").touch()
    (Path(host.lxc_path) / "a file").touch()
    views, warnings = select(wanted(host, **given), host)
    assert (names(views), warnings) == (found, [])
    assert sorted(host.asked) == found


def test_where_there_is_nothing(tmp_path: Path) -> None:
    assert select(wanted(Told(tmp_path / "none")), Told(tmp_path / "none")) == ([], [])
    (tmp_path / "file").touch()
    assert select(wanted(Told(tmp_path / "file")), Told(tmp_path / "file")) == ([], [])


def test_a_handle_finds_what_others_made(host: Told) -> None:
    foreign = Path(host.lxc_path) / "foreign"
    foreign.mkdir(parents=True)
    (foreign / "config").write_text("lxc.net.0.type = veth\n", encoding="utf-8")
    host.states["foreign"] = ("frozen", 1)
    views, _warnings = select(wanted(host, handle=handle("foreign", host.lxc_path, KillTimeout=SECOND)), host)
    found = views[0]
    assert (found.name, found.state, found.layout, found.created_at) == (None, "frozen", None, None)
    assert found.init == identify(1)
    assert found.kill_timeout == SECOND
    assert found.lines == [("lxc.net.0.type", "veth")]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_one_that_others_made_where_liblxc_can_not_see_it(
    host: Told, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    foreign = Path(host.lxc_path) / "foreign"
    foreign.mkdir(parents=True)
    (foreign / "config").touch()
    init = identify(1) if state == "running" else None
    asked: list[tuple[str, str]] = []

    def init_of(lxc_path: str, name: str) -> InitId | None:
        asked.append((lxc_path, name))
        return init

    monkeypatch.setattr(_monitor, "init_of", init_of)
    views, _warnings = select(wanted(host, handle=handle("foreign", host.lxc_path)), host)
    assert [(view.state, view.init) for view in views] == [(state, init)]
    assert asked == [(host.lxc_path, "foreign")]


def test_a_handle_whose_container_is_gone(host: Told) -> None:
    host.make("web", config=None)
    for name in ("nobody", "web"):
        with pytest.raises(ContainerGoneError, match=f"^container {name} not found$"):
            select(wanted(host, handle=handle(name, host.lxc_path)), host)


BROKEN = ("", "{", '{"version": 99}', "[]", '{"version": 1}')


@pytest.mark.parametrize("text", BROKEN)
def test_a_record_that_can_not_be_read(host: Told, text: str) -> None:
    host.make("web")
    (host.make("web", "a1") / _record.FILE).write_text(text, encoding="utf-8")
    for given in ({"name": "web", "alloc_id": "a1"}, {"handle": handle("web-a1", host.lxc_path)}):
        with pytest.raises(LxcTaskError, match="the record .*/web-a1/nomadic-lxc.json (can't be read|has version 99)"):
            select(wanted(host, **given), host)
    for given in ({}, {"name": "web"}):
        views, warnings = select(wanted(host, **given), host)
        assert names(views) == ["web"]
        assert len(warnings) == 1
        assert warnings[0].startswith("container web-a1 is left out: the record ")


def test_the_record_of_the_one_that_was_asked_for(host: Told) -> None:
    (host.make("web") / _record.FILE).write_text("{", encoding="utf-8")
    with pytest.raises(LxcTaskError, match="can't be read"):
        select(wanted(host, name="web"), host)


def test_a_record_that_is_no_file(host: Told) -> None:
    file = host.make("web") / _record.FILE
    file.unlink()
    file.mkdir()
    with pytest.raises(LxcTaskError, match="can't read .*/web/nomadic-lxc.json: Is a directory"):
        select(wanted(host, name="web"), host)


@pytest.mark.parametrize("name", ["config", RUN_FILE, EXIT_FILE])
def test_a_file_beside_it_that_is_none(host: Told, name: str) -> None:
    directory = host.make("web")
    (directory / name).unlink(missing_ok=True)
    (directory / name).mkdir()
    if name == "config":
        assert select(wanted(host, name="web"), host) == ([], [])
        return
    with pytest.raises(LxcTaskError, match=f"can't read .*/web/{name}: Is a directory"):
        select(wanted(host, name="web"), host)


def test_a_path_that_no_directory_can_have() -> None:
    path = "/x" * 3000
    with pytest.raises(LxcTaskError, match="can't look for containers in /x.*: File name too long"):
        select(parse_selection({**PARAMS, "lxc_path": path}), Containers(path))


def test_one_that_is_removed_meanwhile_is_no_fault(host: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = host.make("web")

    def remove(*_args: t.Any) -> t.NoReturn:
        (directory / "config").unlink()
        raise LxcTaskError("it changed")

    monkeypatch.setattr(_select, "look", remove)
    assert select(wanted(host, name="web"), host) == ([], [])


# ---- looks


def test_what_a_look_sees(host: Told, init: InitId) -> None:
    config = (
        "lxc.net.0.type = empty\nlxc.mount.entry = /a b none rw,bind,create=dir 0 0\nlxc.tty.max = 1\n# lxc.net.x = 1\n"
    )
    options = {"memory_mb": 64, "cpu_shares": 512, "kill_timeout": 60 * SECOND, "alloc_dir": "/srv/alloc"}
    host.make("web", "a1", config=config, options=options)
    host.states["web-a1"] = ("running", init.pid)
    found = select(wanted(host, name="web"), host)[0][0]
    assert (found.name, found.alloc_id, found.container_name) == ("web", "a1", "web-a1")
    assert (found.state, found.init) == ("running", init)
    assert (found.memory_mb, found.cpu_shares, found.kill_timeout) == (64, 512, 30 * SECOND)
    assert found.layout is not None
    assert found.layout.task == "/srv/alloc/a1/web"
    assert found.lines == [("lxc.net.0.type", "empty"), ("lxc.mount.entry", "/a b none rw,bind,create=dir 0 0")]
    assert (found.created_at, found.ended) == ("2026-11-24T10:00:00Z", None)


@pytest.mark.parametrize("source", ["record", "hook"])
@pytest.mark.parametrize(("told", "state"), [("running", "running"), ("frozen", "frozen"), ("stopped", "running")])
def test_an_init_that_lives_is_known_without_asking(
    host: Told, init: InitId, source: str, told: str, state: str
) -> None:
    """liblxc calls a container stopped that was started in another network namespace; it tells a frozen one, too."""
    directory = host.make("web", init=init if source == "record" else init._replace(start_ticks=1))
    if source == "hook":
        (directory / RUN_FILE).write_text(f"{init.pid} {init.start_ticks} {init.boot_id}\n", encoding="ascii")
    host.states["web"] = (told, -1)
    found = select(wanted(host), host)[0][0]
    assert (found.state, found.init) == (state, init)
    assert host.asked == ["web"]
    unasked = select(wanted(host), host, ask=False)[0][0]
    assert (unasked.state, unasked.init) == ("running", init)
    assert host.asked == ["web"]


def test_a_pid_that_is_another_process_now_is_not_the_task(host: Told, init: InitId) -> None:
    stranger = init._replace(start_ticks=init.start_ticks - 1)
    directory = host.make("web", init=stranger)
    (directory / RUN_FILE).write_text(f"{stranger.pid} {stranger.start_ticks} {stranger.boot_id}\n", encoding="ascii")
    found = select(wanted(host), host, ask=False)[0][0]
    assert (found.state, found.init) == ("stopped", None)


def end(directory: Path, init: InitId, target: str = "stop") -> None:
    """What the hooks keep of a run that has ended."""
    words = f"{init.pid} {init.start_ticks} {init.boot_id}"
    (directory / RUN_FILE).write_text(f"{words}\n", encoding="ascii")
    (directory / EXIT_FILE).write_text(f"{words} {target}\nhits 1\noom_kill 1\n", encoding="ascii")


GONE = InitId(4242, 1, "boot")


def test_an_end_is_seen_where_nothing_runs(host: Told, init: InitId) -> None:
    end(host.make("web"), GONE)
    stopped = select(wanted(host), host)[0][0]
    assert stopped.ended is not None
    assert stopped.ended.oom_killed is True
    host.states["web"] = ("running", init.pid)
    assert select(wanted(host), host)[0][0].ended is None


# ---- what a wait asks


def test_a_watcher_looks_anew(host: Told, init: InitId) -> None:
    directory = host.make("web", config=f"lxc.hook.stop = {exit_hook('/lxc/web')}\n")
    watcher = Watcher(wanted(host, name="web"), host)
    host.states["web"] = ("running", init.pid)
    running = watcher.look("web")
    assert (running.state, running.init) == ("running", init)
    assert watcher.tells(running)
    (directory / "config").unlink()
    (directory / _record.FILE).unlink()
    assert watcher.look("web").state == "absent"
    (directory / _record.FILE).write_text("{", encoding="utf-8")
    assert watcher.look("web").state == "absent"
    (directory / "config").write_text("lxc.hook.stop = /usr/bin/another\n", encoding="utf-8")
    with pytest.raises(LxcTaskError, match="can't be read"):
        watcher.look("web")
    assert not watcher.tells(running._replace(lines=[("lxc.hook.stop", "/usr/bin/another")]))


def test_what_the_hook_tells_a_watcher(host: Told) -> None:
    directory = host.make("web")
    watcher = Watcher(wanted(host, name="web"), host)
    running = watcher.look("web")._replace(state="running", init=GONE)
    assert watcher.told(running) is None
    end(directory, GONE._replace(start_ticks=2))
    assert watcher.told(running) is None
    end(directory, GONE, "reboot")
    assert watcher.told(running) == running
    end(directory, GONE)
    told = watcher.told(running)
    assert told is not None
    assert (told.state, told.init) == ("stopped", None)
    assert isinstance(told.ended, Exit)
    assert told.ended.oom_killed is True
