# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what is asked, what is seen, and the steps between, as tables. Nothing here touches a host."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _steps
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup_text import Limits
from ansible_collections.nomadic.lxc.plugins.module_utils._config import converge
from ansible_collections.nomadic.lxc.plugins.module_utils._declare import declare
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import ForeignContainerError, LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._observe import adopt
from ansible_collections.nomadic.lxc.plugins.module_utils._observed import Image, Observed, Template
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId
from ansible_collections.nomadic.lxc.plugins.module_utils._record import MAKING
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import TaskSpec, parse_task
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import (
    BUSYBOX,
    INIT,
    LXC_PATH,
    declared,
    made,
    nothing,
    params,
    place_of,
    plan,
    record_of,
    spec,
    task,
)
from hypothesis import assume, given
from hypothesis import strategies as st

Given = dict[str, t.Any]
S, MIB = 10**9, 1024 * 1024
DIRECTORIES, SECRETS, CREATE, WRITE = (
    "make the task's directories",
    "mount secrets",
    "create from template busybox",
    "write configuration",
)
NEW = [DIRECTORIES, SECRETS, CREATE, WRITE]
HIDDEN = "VALUE_HIDDEN"
PATH = "/usr/share/lxc/templates/lxc-busybox"
HANDLE = '{"ContainerName":"web","LxcPath":"/var/lib/lxc"}'


def outline(found: _steps.Plan) -> tuple[list[str], str]:
    return found.actions, found.state


# ---- no container


@pytest.mark.parametrize(
    ("state", "actions", "becomes"),
    [
        ("present", NEW, "stopped"),
        ("started", [*NEW, "start"], "running"),
        ("restarted", [*NEW, "start"], "running"),
        ("frozen", [*NEW, "start", "freeze"], "frozen"),
    ],
)
def test_a_declaration_makes_the_container(state: str, actions: list[str], becomes: str) -> None:
    asked = task(state=state)
    found = plan(asked, nothing(asked))
    assert outline(found) == (actions, becomes)
    assert found.changed
    assert found.starts is (state != "present")
    assert found.before == {"state": "absent"}
    assert found.after == {
        "template": "busybox",
        "network_mode": "empty",
        "hostname": "web",
        "kill_timeout": 5,
        "state": becomes,
    }


@pytest.mark.parametrize(
    ("seen", "actions"),
    [
        ({"secrets_mounted": True}, [DIRECTORIES, CREATE, WRITE]),
        ({"directories": "all"}, [SECRETS, CREATE, WRITE]),
        ({"directories": "all", "secrets_mounted": True}, [CREATE, WRITE]),
        # others may look into the alloc
        ({"directories": "open", "secrets_mounted": True}, [DIRECTORIES, CREATE, WRITE]),
        ({"half_made": True}, ["remove a half-made container", *NEW]),
        ({"aside": True}, [*NEW, "remove the former container"]),
    ],
)
def test_what_is_there_already_is_not_made_again(seen: Given, actions: list[str]) -> None:
    asked = task(state="present")
    place = place_of(asked)
    if seen.get("directories") == "all":
        seen = {**seen, "directories": dict(place.directories())}
    if seen.get("directories") == "open":
        seen = {**seen, "directories": {**dict(place.directories()), place.root: 0o755}}
    assert plan(asked, nothing(asked, **seen)).actions == actions


def test_every_option_is_shown_and_no_variable_is() -> None:
    asked = task(
        environment={"TOKEN": "hunter2"},
        memory_mb=64,
        cpu_shares=512,
        volumes=["/a:b"],
        mounts=[{"source": "/c", "target": "/d", "read_only": True}],
        devices=[{"path": "/dev/fuse"}],
        kill_timeout="500ms",
        lxc_config={"lxc.tty.max": 4, "lxc.autodev": True},
        hostname="w",
        template_args=["x"],
        network_mode="bridge",
        autostart=True,
    )
    found = plan(asked, nothing(asked))
    assert found.after == {
        "template": "busybox",
        "template_args": ["x"],
        "environment": {"TOKEN": HIDDEN},
        "memory_mb": 64,
        "cpu_shares": 512,
        "volumes": ["/a:b"],
        "mounts": [{"source": "/c", "target": "/d", "read_only": True, "create": "auto"}],
        "devices": [{"path": "/dev/fuse", "target": None, "permissions": "rwm"}],
        "kill_timeout": 0.5,
        "lxc_config": {"lxc.tty.max": ["4"], "lxc.autodev": ["1"]},
        "hostname": "w",
        "network_mode": "bridge",
        "autostart": True,
        "state": "running",
    }


def test_the_record_is_ready_before_the_start_and_the_container_made_by_its_template() -> None:
    asked = task(template_args=["--busybox-path", "/bin/busybox"], default_config="/etc/lxc/default.conf")
    steps = plan(asked, nothing(asked)).steps
    assert [type(step).__name__ for step in steps] == [
        "MakeDirectories",
        "MountSecrets",
        "Create",
        "Configure",
        "Remember",
        "Start",
    ]
    assert steps[0] == _steps.MakeDirectories(DIRECTORIES, tuple(place_of(asked).directories()))
    assert steps[1] == _steps.MountSecrets(SECRETS, place_of(asked).secrets)
    assert steps[2] == _steps.Create(CREATE, PATH, ("--busybox-path", "/bin/busybox"), "/etc/lxc/default.conf")
    assert steps[3] == _steps.Configure(WRITE, tuple(declared(asked, nothing(asked)).block))
    assert steps[5] == _steps.Start("start", "/var/lib/nomadic-lxc/alloc/_web/web/web-lxc.log", "error")


def test_an_option_that_the_template_does_not_know_is_a_warning_that_names_it() -> None:
    asked = task(image_variant="cloud", gpg_key_id="x", force_cache=True, release="3")
    found = plan(asked, nothing(asked, template=BUSYBOX._replace(known={"release"})))
    assert found.steps[2] == _steps.Create(CREATE, PATH, ("--release", "3"), None)
    for option in ("image_variant", "gpg_key_id", "force_cache"):
        assert any(option in warning for warning in found.warnings)
    assert len(found.warnings) == 3


def test_a_start_with_the_host_from_where_no_boot_service_looks_is_told_once() -> None:
    asked = task(state="present", autostart=True, lxc_path="/srv/lxc")
    before = task(state="present", lxc_path="/srv/lxc")
    for seen in (nothing(asked), made(before, asked, state="stopped")):
        assert ["lxc-autostart -P /srv/lxc" in told for told in plan(asked, seen).warnings] == [True]
    assert plan(asked, made(asked, state="stopped")).warnings == ()
    usual = task(state="present", autostart=True, lxc_path=f"{LXC_PATH}/")
    assert plan(usual, nothing(usual)).warnings == ()


# ---- a container that is as declared

RICH: Given = {
    "network_mode": "bridge",
    "memory_mb": 64,
    "cpu_shares": 512,
    "environment": {"A": ' "b" ', "C": ""},
    "volumes": ["/a b:c#d", "data:srv"],
    "mounts": [{"source": "/c", "target": "/d", "read_only": True}],
    "devices": [{"path": "/dev/fuse"}],
    "lxc_config": {"lxc.cap.drop": ["mknod", ""], "lxc.tty.max": 4},
    "autostart": True,
    "init": "/sbin/init",
}


@pytest.mark.parametrize("options", [{}, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize(
    ("state", "is_", "actions", "becomes"),
    [
        ("present", "stopped", [], "stopped"),
        ("present", "running", [], "running"),
        ("present", "frozen", [], "frozen"),
        ("started", "stopped", ["start"], "running"),
        ("started", "running", [], "running"),
        ("started", "frozen", ["thaw"], "running"),
        ("restarted", "stopped", ["start"], "running"),
        ("restarted", "running", ["stop", "start"], "running"),
        ("restarted", "frozen", ["stop", "start"], "running"),
        ("frozen", "stopped", ["start", "freeze"], "frozen"),
        ("frozen", "running", ["freeze"], "frozen"),
        ("frozen", "frozen", [], "frozen"),
    ],
)
def test_the_states_of_a_declaration(options: Given, state: str, is_: str, actions: list[str], becomes: str) -> None:
    asked = task(state=state, **options)
    found = plan(asked, made(asked, state=is_))
    assert outline(found) == (actions, becomes)
    assert found.changed is bool(actions)
    assert found.warnings == ()
    difference = ({}, {}) if is_ == becomes else ({"state": is_}, {"state": becomes})
    assert (found.before, found.after) == difference


@pytest.mark.parametrize(
    ("state", "is_", "actions", "becomes"),
    [
        ("present", "stopped", [], "stopped"),
        ("present", "running", [], "running"),
        ("present", "frozen", [], "frozen"),
        ("started", "stopped", ["start"], "running"),
        ("started", "running", [], "running"),
        ("started", "frozen", ["thaw"], "running"),
        ("stopped", "stopped", [], "stopped"),
        ("stopped", "running", ["stop"], "stopped"),
        ("stopped", "frozen", ["stop"], "stopped"),
        ("restarted", "stopped", ["start"], "running"),
        ("restarted", "running", ["stop", "start"], "running"),
        ("restarted", "frozen", ["stop", "start"], "running"),
        ("frozen", "stopped", ["start", "freeze"], "frozen"),
        ("frozen", "running", ["freeze"], "frozen"),
        ("frozen", "frozen", [], "frozen"),
        ("absent", "stopped", ["destroy", "remove secrets"], "absent"),
        ("absent", "running", ["stop", "destroy", "remove secrets"], "absent"),
        ("absent", "frozen", ["stop", "destroy", "remove secrets"], "absent"),
        # nothing to do
        ("stopped", "absent", [], "absent"),
        ("absent", "absent", [], "absent"),
    ],
)
def test_the_states_of_a_command(state: str, is_: str, actions: list[str], becomes: str) -> None:
    asked = spec(state=state)
    seen = Observed() if is_ == "absent" else made(task(**RICH), state=is_)
    found = plan(asked, seen)
    assert outline(found) == (actions, becomes)
    assert found.changed is bool(actions)
    difference = ({}, {}) if is_ == becomes else ({"state": is_}, {"state": becomes})
    assert (found.before, found.after) == difference


@pytest.mark.parametrize("state", ["started", "present", "restarted", "frozen"])
@pytest.mark.parametrize("who", [{}, {"handle": HANDLE}], ids=["name", "handle"])
def test_any_other_command_on_nothing_is_an_error(state: str, who: Given) -> None:
    with pytest.raises(LxcTaskError, match="container web does not exist") as caught:
        plan(spec(state=state, **who), Observed())
    assert "template" in str(caught.value.hint)


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_a_handle_whose_container_is_gone_has_nothing_to_do(state: str) -> None:
    assert plan(spec(state=state, handle=HANDLE), Observed()).steps == ()


@pytest.mark.parametrize(
    ("state", "is_", "actions"),
    [
        ("started", "stopped", ["start"]),
        ("stopped", "running", ["stop"]),
        ("restarted", "frozen", ["stop", "start"]),
        ("frozen", "running", ["freeze"]),
        ("absent", "running", ["stop", "destroy"]),
    ],
)
def test_a_handle_commands_a_container_that_we_did_not_make(state: str, is_: str, actions: list[str]) -> None:
    found = plan(spec(state=state, handle=HANDLE), Observed(state=is_, config="lxc.net.0.type = empty\n"))
    assert found.actions == actions


@pytest.mark.parametrize(
    ("given", "nanoseconds"),
    [
        ({}, 5 * S),
        ({"kill_timeout": "2s"}, 2 * S),
        ({"max_kill_timeout": "3s"}, 3 * S),
        ({"kill_timeout": "1h"}, 30 * S),
    ],
)
@pytest.mark.parametrize("is_", ["running", "frozen"])
def test_how_long_a_stop_may_take(given: Given, nanoseconds: int, is_: str) -> None:
    commanded = plan(spec(state="stopped", **given), made(task(), state=is_)).steps
    assert commanded == (
        # one that is frozen is thawed first; the undo starts it again with its log
        _steps.Stop("stop", nanoseconds, is_ == "frozen", "/var/lib/nomadic-lxc/alloc/_web/web/web-lxc.log", "error"),
    )
    again = task(state="restarted", **given)
    stops = [step for step in plan(again, made(task(), again, state=is_)).steps if isinstance(step, _steps.Stop)]
    assert [step.kill_timeout for step in stops] == [nanoseconds]


def test_a_command_stops_by_the_records_kill_timeout() -> None:
    (stop,) = plan(spec(state="stopped"), made(task(kill_timeout="9s"))).steps
    assert isinstance(stop, _steps.Stop)
    assert stop.kill_timeout == 9 * S


@pytest.mark.parametrize(
    ("asked", "stays"),
    [
        (task(memory_mb=64), True),
        (task(kill_timeout="9s"), True),
        (task(autostart=True), True),
        (task(hostname="other"), False),
        (task(state="frozen"), False),
        (task(state="restarted"), False),
        (spec(state="stopped"), False),
        (spec(state="absent"), False),
    ],
)
def test_a_plan_tells_whether_the_task_keeps_its_init(asked: TaskSpec, stays: bool) -> None:
    planned = plan(asked, made(task()))
    assert planned.changed
    assert planned.stays == stays


# ---- changes


@pytest.mark.parametrize(
    ("former", "asked", "running", "stopped", "before", "after"),
    [
        # on the running task
        (
            {},
            {"memory_mb": 64},
            ["set the memory limit to 64 MiB", WRITE],
            [WRITE],
            {"memory_mb": None},
            {"memory_mb": 64},
        ),
        (
            {"memory_mb": 64},
            {"memory_mb": 32},
            ["set the memory limit to 32 MiB", WRITE],
            [WRITE],
            {"memory_mb": 64},
            {"memory_mb": 32},
        ),
        ({"memory_mb": 64}, {}, ["lift the memory limit", WRITE], [WRITE], {"memory_mb": 64}, {"memory_mb": None}),
        # the kernel's default was an option not given
        (
            {},
            {"cpu_shares": 512},
            ["set CPU shares to 512", WRITE],
            [WRITE],
            {"cpu_shares": None},
            {"cpu_shares": 512},
        ),
        (
            {"cpu_shares": 512},
            {"cpu_shares": 2},
            ["set CPU shares to 2", WRITE],
            [WRITE],
            {"cpu_shares": 512},
            {"cpu_shares": 2},
        ),
        (
            {"cpu_shares": 512},
            {},
            ["give the default CPU shares", WRITE],
            [WRITE],
            {"cpu_shares": 512},
            {"cpu_shares": None},
        ),
        # as soon as it is written
        ({}, {"autostart": True}, [WRITE], [WRITE], {"autostart": False}, {"autostart": True}),
        ({"autostart": True}, {}, [WRITE], [WRITE], {"autostart": True}, {"autostart": False}),
        # kept for the next stop
        (
            {},
            {"kill_timeout": "9s"},
            ["record kill_timeout"],
            ["record kill_timeout"],
            {"kill_timeout": 5},
            {"kill_timeout": 9},
        ),
        (
            {"kill_timeout": "9s"},
            {},
            ["record kill_timeout"],
            ["record kill_timeout"],
            {"kill_timeout": 9},
            {"kill_timeout": 5},
        ),
        (
            {},
            {"max_kill_timeout": "2s"},
            ["record kill_timeout"],
            ["record kill_timeout"],
            {"kill_timeout": 5},
            {"kill_timeout": 2},
        ),
        # and for the next start, whenever that is
        (
            {},
            {"log_level": "debug"},
            ["record log_level"],
            ["record log_level"],
            {"log_level": "error"},
            {"log_level": "debug"},
        ),
        # it steers how a template works, and no more
        ({}, {"gpg_key_id": "x"}, [], [], {}, {}),
        ({}, {"gpg_key_server": "x", "disable_gpg": True, "flush_cache": True, "force_cache": True}, [], [], {}, {}),
        # of the call, not of the task
        (
            {},
            {"purge": True, "restart_on_change": False, "verbosity": "verbose", "recreate": "on_change"},
            [],
            [],
            {},
            {},
        ),
        ({}, {"volumes_enabled": False}, [], [], {}, {}),
        # without effect in this mode
        ({}, {"network_link": "br1", "host_network_admin": True}, [], [], {}, {}),
        # the same template, the same time, the same host name
        ({}, {"template": PATH, "kill_timeout": "5000ms", "hostname": "web"}, [], [], {}, {}),
        ({"alloc_dir": "/srv/allocs"}, {"alloc_dir": "/srv//allocs/"}, [], [], {}, {}),
    ],
)
def test_changes_without_a_restart(
    former: Given, asked: Given, running: list[str], stopped: list[str], before: Given, after: Given
) -> None:
    now = task(state="present", **asked)
    for state, actions in (("running", running), ("frozen", running), ("stopped", stopped)):
        found = plan(now, made(task(**former), now, state=state))
        assert outline(found) == (actions, state)
        assert (found.before, found.after) == (before, after)
        assert found.warnings == ()
        assert found.changed is bool(actions)


RESTARTING: list[tuple[str, Given, Given, t.Any, t.Any]] = [
    ("network_mode", {}, {"network_mode": "host"}, "empty", "host"),
    ("network_link", {"network_mode": "bridge"}, {"network_mode": "bridge", "network_link": "br1"}, "lxcbr0", "br1"),
    ("host_network_admin", {"network_mode": "host"}, {"network_mode": "host", "host_network_admin": True}, False, True),
    ("hostname", {}, {"hostname": "w"}, "web", "w"),
    ("hostname", {"hostname": "w"}, {}, "w", "web"),
    ("init", {}, {"init": "/bin/sh"}, None, "/bin/sh"),
    ("init", {"init": "/bin/sh"}, {}, "/bin/sh", None),
    ("environment", {}, {"environment": {"A": "b"}}, {}, {"A": HIDDEN}),
    (
        "environment",
        {"environment": {"A": "b", "C": "d"}},
        {"environment": {"C": "d"}},
        {"A": HIDDEN, "C": HIDDEN},
        {"C": HIDDEN},
    ),
    (
        "environment",
        {"environment": {"A": "b", "C": "d"}},
        {"environment": {"A": "x", "C": "d"}},
        {"A": HIDDEN},
        {"A": f"{HIDDEN} (another)"},
    ),
    ("volumes", {}, {"volumes": ["/a:b"]}, [], ["/a:b"]),
    ("volumes", {"volumes": ["/a:b"]}, {}, ["/a:b"], []),
    (
        "mounts",
        {},
        {"mounts": [{"source": "/a", "target": "/b"}]},
        [],
        [{"source": "/a", "target": "/b", "read_only": False, "create": "auto"}],
    ),
    ("devices", {}, {"devices": [{"path": "/dev/x"}]}, [], [{"path": "/dev/x", "target": None, "permissions": "rwm"}]),
    ("lxc_config", {}, {"lxc_config": {"lxc.tty.max": 4}}, {}, {"lxc.tty.max": ["4"]}),
    ("lxc_config", {"lxc_config": {"lxc.tty.max": 4}}, {}, {"lxc.tty.max": ["4"]}, {}),
]


@pytest.mark.parametrize(("option", "former", "asked", "before", "after"), RESTARTING)
def test_changes_that_need_a_restart(option: str, former: Given, asked: Given, before: t.Any, after: t.Any) -> None:
    now = task(**asked)
    found = plan(now, made(task(**former), now))
    assert outline(found) == (["stop", WRITE, "start"], "running")
    assert (found.before, found.after) == ({option: before}, {option: after})
    assert found.warnings == ()


@pytest.mark.parametrize(("option", "former", "asked", "before", "after"), RESTARTING)
def test_a_stopped_task_is_not_started_for_a_change(
    option: str, former: Given, asked: Given, before: t.Any, after: t.Any
) -> None:
    now = task(state="present", **asked)
    found = plan(now, made(task(**former), now, state="stopped"))
    assert outline(found) == ([WRITE], "stopped")
    assert (found.before, found.after) == ({option: before}, {option: after})
    (remembered,) = [step for step in found.steps if isinstance(step, _steps.Remember)]
    assert remembered.pending == ()


@pytest.mark.parametrize(("option", "former", "asked", "before", "after"), RESTARTING)
def test_a_change_waits_where_no_restart_is_allowed(
    option: str, former: Given, asked: Given, before: t.Any, after: t.Any
) -> None:
    now = task(restart_on_change=False, **asked)
    first = plan(now, made(task(**former), now))
    assert outline(first) == ([WRITE], "running")
    assert (first.before, first.after) == ({option: before}, {option: after})
    assert len(first.warnings) == 1 and option in first.warnings[0]
    (remembered,) = [step for step in first.steps if isinstance(step, _steps.Remember)]
    assert remembered.pending == (option,)

    # The next call changes nothing, and goes on to warn.
    after = {"pending": remembered.pending, "pending_init": INIT, "running": remembered.running}
    waiting = made(now, record=record_of(now, init=INIT, **after))
    second = plan(now, waiting)
    assert second.steps == ()
    assert second.warnings == first.warnings

    # One that may restart does, by a change or by its state.
    for may in (task(**asked), task(state="restarted", restart_on_change=False, **asked)):
        third = plan(may, waiting)
        assert outline(third) == (["stop", "start"], "running")
        assert third.warnings == ()
    # A command that starts it anew does too; and then nothing waits any more.
    another = InitId(4343, 200, "boot")
    assert plan(now, waiting._replace(init=another)).warnings == ()

    # What is taken back waits no more, whether a restart is allowed or not: the task never had anything else.
    for back in (task(**former), task(restart_on_change=False, **former)):
        taken = plan(back, made(now, back, record=waiting.record))
        assert outline(taken) == ([WRITE], "running")
        assert taken.warnings == ()
        (forgotten,) = [step for step in taken.steps if isinstance(step, _steps.Remember)]
        assert (forgotten.pending, forgotten.running) == ((), {})


def test_what_was_changed_twice_waits_until_both_are_taken_back() -> None:
    first = task(restart_on_change=False, hostname="w", volumes=["/a:b"])
    (remembered,) = [step for step in plan(first, made(task(), first)).steps if isinstance(step, _steps.Remember)]
    assert remembered.pending == ("hostname", "volumes")
    after = {"pending": remembered.pending, "pending_init": INIT, "running": remembered.running}
    second = task(restart_on_change=False, hostname="v", devices=[{"path": "/dev/x"}])
    seen = made(first, second, record=record_of(first, init=INIT, **after))
    (remembered,) = [step for step in plan(second, seen).steps if isinstance(step, _steps.Remember)]
    assert {"hostname", "devices"} <= set(remembered.pending)
    after = {"pending": remembered.pending, "pending_init": INIT, "running": remembered.running}
    third = task()
    found = plan(third, made(second, third, record=record_of(second, init=INIT, **after)))
    assert outline(found) == ([WRITE], "running")


@pytest.mark.parametrize(
    ("former", "asked"),
    [
        ({"volumes": ["/a:b"]}, {"mounts": [{"source": "/a", "target": "/b"}]}),
        (
            {"mounts": [{"source": "/a", "target": "/b"}]},
            {"mounts": [{"source": "/a", "target": "b", "create": "dir"}]},
        ),
        ({"lxc_config": {}}, {"lxc_config": {"lxc.hook.post-stop": []}}),
    ],
)
def test_other_words_for_the_same_need_no_restart(former: Given, asked: Given) -> None:
    now = task(**asked)
    found = plan(now, made(task(**former), now))
    assert (found.actions, found.warnings) == ([f"record {', '.join(found.before)}"], ())


@pytest.mark.parametrize(
    ("former", "asked"),
    [
        ({"volumes": ["/a:b/c"]}, {"volumes": ["/a:b//./c/"]}),
        ({"volumes": ["/a/d:b"]}, {"volumes": ["//a/./d/:b"]}),
        ({"volumes": ["local:b"]}, {"volumes": ["./local/:b"]}),
        ({"mounts": [{"source": "/a/d", "target": "/b"}]}, {"mounts": [{"source": "/a//d/", "target": "/b"}]}),
        ({"devices": [{"path": "/dev/x"}]}, {"devices": [{"path": "/dev//x"}]}),
        ({"mounts": [{"source": "/a", "target": "/b/c"}]}, {"mounts": [{"source": "/a", "target": "b/./c/"}]}),
        ({"devices": [{"path": "/dev/x"}]}, {"devices": [{"path": "/dev/x", "target": "dev//x"}]}),
        ({"devices": [{"path": "/dev/x", "target": "/y"}]}, {"devices": [{"path": "/dev/x", "target": "y/"}]}),
    ],
)
def test_another_spelling_of_a_path_is_no_change(former: Given, asked: Given) -> None:
    now = task(**asked)
    assert plan(now, made(task(**former), now)).steps == ()


def test_a_present_task_is_restarted_into_the_state_it_was_in() -> None:
    now = task(state="present", hostname="w")
    assert outline(plan(now, made(task(), now))) == (["stop", WRITE, "start"], "running")
    assert outline(plan(now, made(task(), now, state="frozen"))) == (["stop", WRITE, "start", "freeze"], "frozen")
    thawed = task(hostname="w")
    assert outline(plan(thawed, made(task(), thawed, state="frozen"))) == (["stop", WRITE, "start"], "running")
    frozen = task(state="frozen", hostname="w")
    assert outline(plan(frozen, made(task(), frozen))) == (["stop", WRITE, "start", "freeze"], "frozen")


def test_another_alloc_dir() -> None:
    now = task(alloc_dir="/srv")
    former = "/var/lib/nomadic-lxc/alloc/_web/web/secrets"
    found = plan(now, made(task(), now, directories={}, secrets_mounted=False, former_secrets=former))
    assert found.actions == [DIRECTORIES, SECRETS, "stop", WRITE, "start", "remove the former secrets"]
    assert found.steps[-1] == _steps.RemoveSecrets("remove the former secrets", former)


def test_another_name_of_the_same_alloc_dir_keeps_the_secrets() -> None:
    now = task(alloc_dir="/srv")
    assert "remove the former secrets" not in plan(now, made(task(), now)).actions


# ---- a new root file system

ROOTFS: list[tuple[str, Given, Given, str, str]] = [
    ("template", {}, {"template": "debian"}, "busybox", "debian"),
    ("distro", {"distro": "alpine"}, {"distro": "debian"}, "alpine", "debian"),
    ("release", {"release": "3.19"}, {"release": "3.20"}, "3.19", "3.20"),
    ("arch", {}, {"arch": "arm64"}, "None", "arm64"),
    ("image_variant", {"image_variant": "cloud"}, {}, "cloud", "None"),
    ("image_server", {"image_server": "a.example"}, {"image_server": "b.example"}, "a.example", "b.example"),
    ("template_args", {"template_args": ["old"]}, {"template_args": ["old", "new"]}, "['old']", "['old', 'new']"),
    ("default_config", {}, {"default_config": "/etc/my.conf"}, "None", "/etc/my.conf"),
]


@pytest.mark.parametrize(("option", "former", "asked", "old", "new"), ROOTFS)
@pytest.mark.parametrize("state", ["running", "stopped", "frozen"])
def test_a_new_root_file_system_is_refused(
    option: str, former: Given, asked: Given, old: str, new: str, state: str
) -> None:
    now = task(**asked)
    with pytest.raises(LxcTaskError) as caught:
        plan(now, made(task(**former), now, state=state))
    assert all(word in caught.value.msg for word in (option, old, new))
    assert "recreate" in str(caught.value.hint)


def test_all_options_that_need_one_are_named() -> None:
    now = task(release="2", arch="b")
    with pytest.raises(LxcTaskError, match="release from '1' to '2'; arch from 'a' to 'b'"):
        plan(now, made(task(release="1", arch="a"), now))


@pytest.mark.parametrize(("option", "former", "asked", "old", "new"), ROOTFS)
def test_a_new_root_file_system_where_it_is_allowed(
    option: str, former: Given, asked: Given, old: str, new: str
) -> None:
    now = task(recreate="on_change", **asked)
    template = Template(f"/usr/share/lxc/templates/lxc-{asked.get('template', 'busybox')}", True, None)
    found = plan(now, made(task(**former), now, template=template))
    assert found.actions == [
        "stop",
        "set the former container aside",
        f"create from template {asked.get('template', 'busybox')}",
        WRITE,
        "start",
        "remove the former container",
    ]
    assert (old in str(found.before[option]), new in str(found.after[option])) == (True, True)
    assert set(found.before) == {option}


RECREATE = ["set the former container aside", CREATE, WRITE]


@pytest.mark.parametrize(
    ("state", "is_", "actions", "becomes"),
    [
        ("present", "stopped", RECREATE, "stopped"),
        ("present", "running", ["stop", *RECREATE, "start"], "running"),
        ("present", "frozen", ["stop", *RECREATE, "start", "freeze"], "frozen"),
        ("started", "stopped", [*RECREATE, "start"], "running"),
        ("started", "frozen", ["stop", *RECREATE, "start"], "running"),
        ("restarted", "running", ["stop", *RECREATE, "start"], "running"),
        ("frozen", "running", ["stop", *RECREATE, "start", "freeze"], "frozen"),
    ],
)
def test_it_is_made_again_always(state: str, is_: str, actions: list[str], becomes: str) -> None:
    asked = task(state=state, recreate="always")
    found = plan(asked, made(asked, state=is_))
    assert outline(found) == ([*actions, "remove the former container"], becomes)


def test_the_old_container_is_kept_until_the_new_one_runs() -> None:
    asked = task(recreate="always", state="frozen")
    kinds = [type(step).__name__ for step in plan(asked, made(asked)).steps]
    assert kinds == ["Stop", "SetAside", "Create", "Configure", "Remember", "Start", "Freeze", "Commit", "DropAside"]
    (remembered,) = [step for step in plan(asked, made(asked)).steps if isinstance(step, _steps.Remember)]
    # Cut off before the commit, the next run puts the former one back.
    assert remembered.ready is False


def test_on_change_alone_recreates_nothing_for_other_changes() -> None:
    now = task(recreate="on_change", hostname="w", memory_mb=64)
    assert plan(now, made(task(), now)).actions == ["stop", WRITE, "start"]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"template": BUSYBOX._replace(exists=False)}, "there is no LXC template 'busybox'"),
        ({"default_config_exists": False}, "default_config"),
        ({"snapshots": True}, "snapshots"),
        ({"container_mounts": ("/var/lib/lxc/web/rootfs/mnt",)}, "/var/lib/lxc/web/rootfs/mnt is mounted"),
    ],
)
def test_what_forbids_to_make_it_again(seen: Given, said: str) -> None:
    asked = task(recreate="always")
    with pytest.raises(LxcTaskError, match=said):
        plan(asked, made(asked, **seen))
    # Nothing of it matters to a task that stays.
    asked = task()
    assert plan(asked, made(asked, **seen)).steps == ()


# ---- drift


@pytest.mark.parametrize(
    ("held", "options", "actions", "before", "after"),
    [
        (
            Limits(32 * MIB, 512),
            {"memory_mb": 64, "cpu_shares": 512},
            ["set the memory limit to 64 MiB"],
            {"memory_mb": 32},
            {"memory_mb": 64},
        ),
        (
            Limits(None, 512),
            {"memory_mb": 64, "cpu_shares": 512},
            ["set the memory limit to 64 MiB"],
            {"memory_mb": None},
            {"memory_mb": 64},
        ),
        (Limits(32 * MIB, 1024), {}, ["lift the memory limit"], {"memory_mb": 32}, {"memory_mb": None}),
        (Limits(None, 2), {}, ["give the default CPU shares"], {"cpu_shares": 2}, {"cpu_shares": None}),
        (Limits(None, 2), {"cpu_shares": 512}, ["set CPU shares to 512"], {"cpu_shares": 2}, {"cpu_shares": 512}),
        (Limits(None, 1024), {}, [], {}, {}),
        # what the kernel calls no limit: PAGE_COUNTER_MAX pages
        (Limits(9223372036854771712, 1024), {}, [], {}, {}),
        # a kernel without a cpu controller
        (Limits(None, None), {"cpu_shares": 512}, [], {}, {}),
    ],
)
def test_limits_are_compared_with_the_kernel(
    held: Limits, options: Given, actions: list[str], before: Given, after: Given
) -> None:
    asked = task(**options)
    found = plan(asked, made(asked, limits=held))
    assert outline(found) == (actions, "running")
    assert (found.before, found.after) == (before, after)


def test_weights_are_compared_as_cgroup_v2_has_them() -> None:
    """v2 keeps 512 shares as the weight 50, which reads as 512 again; 513 is the same weight."""
    asked = task(cpu_shares=513)
    assert plan(asked, made(asked, limits=Limits(None, 512), cpu_generation=2)).steps == ()
    assert plan(asked, made(asked, limits=Limits(None, 512), cpu_generation=1)).actions == ["set CPU shares to 513"]


@pytest.mark.parametrize(
    ("old", "new", "options", "told"),
    [
        ("lxc.net.0.type = empty", "lxc.net.0.type = none", {}, "network_mode"),
        ("lxc.uts.name = web", "lxc.uts.name = other", {}, "hostname"),
        ("lxc.init.cmd = /sbin/init\n", "", {"init": "/sbin/init"}, "init"),
        ("67108864", "4096", {"memory_mb": 64}, "memory_mb"),
        ("lxc.cgroup.cpu.shares = 512", "lxc.cgroup.cpu.shares = 2", {"cpu_shares": 512}, "cpu_shares"),
        ("lxc.environment = A=b", "lxc.environment = A=c", {"environment": {"A": "b"}}, "environment"),
        ("lxc.start.auto = 1\n", "", {"autostart": True}, "autostart"),
        ("/c d none ro", "/c d none rw", {"mounts": [{"source": "/c", "target": "/d", "read_only": True}]}, "mounts"),
        ("lxc.cgroup.devices.deny = a\n", "", {}, "devices"),
        ("lxc.tty.max = 4", "lxc.tty.max = 5", {"lxc_config": {"lxc.tty.max": 4}}, "lxc_config"),
        ("lxc.cap.drop = net_admin\n", "", {"network_mode": "host"}, "host_network_admin"),
    ],
)
def test_owned_keys_are_compared_with_the_file(old: str, new: str, options: Given, told: str) -> None:
    asked = task(**options)
    seen = made(asked)
    assert old in seen.config
    changed = seen._replace(config=seen.config.replace(old, new, 1))
    # The running task was started with the right file: no restart.
    found = plan(asked, changed)
    assert outline(found) == ([WRITE], "running")
    assert set(found.before) == set(found.after) == {told}
    assert found.before != found.after
    (step,) = [step for step in found.steps if isinstance(step, _steps.Configure)]
    assert changed.record is not None
    assert converge(changed.config, changed.record.base, step.block, step.former) == seen.config


def test_a_task_that_was_started_with_the_changed_file_is_restarted() -> None:
    asked = task()
    seen = made(asked)
    changed = seen.config.replace("lxc.net.0.type = empty", "lxc.net.0.type = none")
    by_others = InitId(4343, 200, "boot")
    assert plan(asked, seen._replace(config=changed, init=by_others)).actions == ["stop", WRITE, "start"]


def test_other_lines_of_the_file_are_nobodys_business() -> None:
    asked = task()
    seen = made(asked)
    assert plan(asked, seen._replace(config="# mine\nlxc.tty.dir = x\n" + seen.config)).steps == ()


def test_secrets_are_there_from_present_on() -> None:
    asked = task(state="present")
    emptied: Given = {"secrets_mounted": False, "secrets_exist": True}
    assert plan(asked, made(asked, state="stopped", **emptied)).actions == [SECRETS]
    assert plan(spec(), made(task(), state="stopped", **emptied)).actions == [SECRETS, "start"]
    # A running one has the old directory bound; it gets the new one by a restart.
    assert plan(asked, made(asked, **emptied)).actions == [SECRETS, "stop", "start"]


def test_a_removed_directory_is_made_again() -> None:
    asked = task(state="present")
    place = place_of(asked)
    seen = made(asked, state="stopped", directories={**dict(place.directories()), place.local: None})
    assert plan(asked, seen).actions == [DIRECTORIES]


# ---- the end


@pytest.mark.parametrize(
    ("given", "seen", "actions", "warned"),
    [
        ({}, {}, ["destroy", "remove secrets"], 0),
        (
            {"purge": True},
            {"purgeable": ("/a/web", "/a/alloc")},
            ["destroy", "remove secrets", "purge /a/web and /a/alloc"],
            0,
        ),
        ({}, {"purgeable": ("/a/web",)}, ["destroy", "remove secrets"], 0),
        (
            {"purge": True},
            {"purgeable": ("/a/web",), "kept_mounts": ("/a/web/m",)},
            ["destroy", "remove secrets", "purge /a/web"],
            1,
        ),
        ({}, {"secrets_exist": False}, ["destroy"], 0),
        ({}, {"aside": True}, ["remove the former container", "destroy", "remove secrets"], 0),
    ],
)
def test_absent(given: Given, seen: Given, actions: list[str], warned: int) -> None:
    found = plan(spec(state="absent", **given), made(task(), state="stopped", **seen))
    assert outline(found) == (actions, "absent")
    assert len(found.warnings) == warned


@pytest.mark.parametrize(
    ("given", "seen", "actions"),
    [
        # purged later than it was destroyed
        ({"purge": True}, {"purgeable": ("/a/web",)}, ["purge /a/web"]),
        # secrets never survive
        ({}, {"secrets_exist": True}, ["remove secrets"]),
        ({}, {"half_made": True}, ["remove a half-made container"]),
        ({"purge": True}, {}, []),
    ],
)
def test_absent_of_what_is_absent(given: Given, seen: Given, actions: list[str]) -> None:
    found = plan(spec(state="absent", **given), Observed(**seen))
    assert outline(found) == (actions, "absent")
    assert (found.before, found.after) == ({}, {})


@pytest.mark.parametrize("seen", [{"snapshots": True}, {"container_mounts": ("/var/lib/lxc/web/rootfs/x",)}])
def test_what_a_destruction_would_take_along_forbids_it(seen: Given) -> None:
    with pytest.raises(LxcTaskError) as caught:
        plan(spec(state="absent"), made(task(), state="stopped", **seen))
    assert caught.value.hint is not None
    assert plan(spec(state="stopped"), made(task(), **seen)).actions == ["stop"]


# ---- runs that were cut off


def test_a_half_made_container_is_made_anew() -> None:
    asked = task()
    seen = nothing(asked, half_made=True, record=record_of(asked, phase=MAKING))
    assert plan(asked, seen).actions == ["remove a half-made container", *NEW, "start"]
    assert plan(spec(state="stopped"), seen).actions == ["remove a half-made container"]


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        ({"template": "busybox", "network_mode": "empty"}, ["restore the former container", "start"]),
        ({"template": "busybox", "network_mode": "empty", "state": "present"}, ["restore the former container"]),
        ({}, ["restore the former container", "start"]),
        ({"state": "stopped"}, ["restore the former container"]),
        ({"state": "absent"}, ["restore the former container", "destroy", "remove secrets"]),
    ],
)
def test_a_recreation_that_was_cut_off_is_taken_back_first(given: Given, actions: list[str]) -> None:
    found = plan(spec(**given), made(task(), state="stopped", aside=True, restorable=True))
    assert found.actions == actions


# ---- refusals

OTHERS = record_of(task(name="web", alloc_id="0-1"))
EVERY = ["started", "present", "stopped", "restarted", "frozen", "absent"]


@pytest.mark.parametrize("state", EVERY)
@pytest.mark.parametrize("is_", ["running", "stopped", "frozen"])
def test_a_task_of_another_alloc_is_not_touched_by_name(state: str, is_: str) -> None:
    """web-0 in 1 and web in 0-1 make the same container name."""
    with pytest.raises(ForeignContainerError, match="web-0-1 belongs to another task, 'web' of alloc '0-1'"):
        plan(spec(name="web-0", alloc_id="1", state=state), Observed(state=is_, record=OTHERS, init=INIT))


def test_a_task_alone_is_another_one_too() -> None:
    with pytest.raises(ForeignContainerError, match="'web-1' without alloc_id"):
        plan(spec(alloc_id="1", state="absent"), Observed(state="stopped", record=record_of(task(name="web-1"))))
    with pytest.raises(ForeignContainerError, match="'web' of alloc '1'"):
        plan(spec(name="web-1", state="absent"), Observed(state="stopped", record=record_of(task(alloc_id="1"))))


def test_a_record_that_a_copy_brought_along_is_another_tasks() -> None:
    with pytest.raises(ForeignContainerError, match="'web' of alloc '1'"):
        plan(spec(alloc_id="2", state="absent"), Observed(state="stopped", record=record_of(task(alloc_id="1"))))


def test_a_declaration_does_not_touch_it_either() -> None:
    asked = task(name="web-0", alloc_id="1", recreate="always")
    with pytest.raises(ForeignContainerError, match="another task"):
        plan(asked, made(asked, record=OTHERS))


@pytest.mark.parametrize("state", EVERY)
@pytest.mark.parametrize("is_", ["running", "stopped", "frozen"])
def test_a_container_without_a_record_is_not_touched_by_name(state: str, is_: str) -> None:
    with pytest.raises(ForeignContainerError) as caught:
        plan(spec(state=state), Observed(state=is_))
    assert "handle" in str(caught.value.hint)


@pytest.mark.parametrize("given", [{"template": "busybox"}, {"template": "busybox", "recreate": "always"}])
def test_a_declaration_does_not_touch_one_without_a_record(given: Given) -> None:
    asked = task(**given)
    with pytest.raises(ForeignContainerError, match="not touched"):
        plan(asked, nothing(asked, state="stopped"))


def test_a_container_without_a_record_can_only_be_commanded() -> None:
    asked, faults = parse_task(params(handle=HANDLE, template="busybox"), "/var/lib/lxc")
    assert asked is not None and faults == []
    named = asked._replace(name="web", layout=place_of(task()))
    with pytest.raises(ForeignContainerError, match="command"):
        plan(named, nothing(named, state="stopped"))


@pytest.mark.parametrize("who", [{}, {"handle": HANDLE}], ids=["name", "handle"])
@pytest.mark.parametrize("state", EVERY)
def test_a_directory_that_is_no_container(who: Given, state: str) -> None:
    with pytest.raises(ForeignContainerError, match="web"):
        plan(spec(state=state, **who), Observed(stray=True))


@pytest.mark.parametrize("lives", [None, INIT])
@pytest.mark.parametrize("state", EVERY)
def test_a_container_that_has_lost_its_configuration_is_only_removed(state: str, lives: InitId | None) -> None:
    asked = task(state=state) if state not in ("stopped", "absent") else spec(state=state)
    seen = made(task(), asked, state="absent")._replace(stray=True, config="", elsewhere=lives)
    if state == "absent" and lives is None:
        assert plan(asked, seen).actions == ["remove what is left of the container", "remove secrets"]
        return
    with pytest.raises(LxcTaskError, match="web has lost its configuration"):
        plan(asked, seen)


def test_a_configuration_that_liblxc_cannot_load_is_put_back_or_told() -> None:
    asked = task()
    seen = made(asked, unloadable="liblxc can't load it")
    with pytest.raises(LxcTaskError, match="can't load it"):
        plan(asked, seen)
    assert plan(asked, seen._replace(config=f"{seen.config}lxc.include = /none\n")).actions == [WRITE]


@pytest.mark.parametrize("who", [{}, {"handle": HANDLE}], ids=["name", "handle"])
@pytest.mark.parametrize("state", EVERY)
@pytest.mark.parametrize("is_", ["stopped", "absent"])
def test_a_task_in_another_network_namespace(who: Given, state: str, is_: str) -> None:
    seen = Observed(state=is_, record=record_of(task(), init=INIT), elsewhere=INIT)
    with pytest.raises(LxcTaskError, match="web runs in another network namespace") as caught:
        plan(spec(state=state, **who), seen)
    assert "4242" in caught.value.msg
    assert "started" in str(caught.value.hint)


def test_a_declaration_in_another_network_namespace() -> None:
    asked = task(recreate="always")
    with pytest.raises(LxcTaskError, match="another network namespace"):
        plan(asked, made(asked, state="stopped", elsewhere=INIT))


def test_something_else_where_a_directory_must_be() -> None:
    asked = task()
    for seen in (nothing(asked, blocked="/a/_web"), made(asked, blocked="/a/_web")):
        with pytest.raises(LxcTaskError, match="/a/_web is not a directory"):
            plan(asked, seen)


@pytest.mark.parametrize("seen", [{"template": BUSYBOX._replace(exists=False)}, {"default_config_exists": False}])
def test_a_template_or_configuration_that_does_not_exist(seen: Given) -> None:
    asked = task()
    with pytest.raises(LxcTaskError):
        plan(asked, nothing(asked, **seen))


# ---- any task

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(["started", "present", "frozen"]),
        "memory_mb": st.integers(1, 4096),
        "cpu_shares": st.integers(2, 262144),
        "kill_timeout": st.sampled_from(["1", "500ms", "1h"]),
        "network_mode": st.sampled_from(["host", "bridge", "empty"]),
        "network_link": st.sampled_from(["lxcbr0", "br1"]),
        "host_network_admin": st.booleans(),
        "hostname": st.sampled_from(["web", "w"]),
        "init": st.sampled_from(["/sbin/init", "/bin/sh"]),
        "environment": st.dictionaries(
            st.sampled_from("AB"), st.sampled_from(["hunter2", " 'hunter2' ", '"hunter2"']), max_size=2
        ),
        "volumes": st.sampled_from([[], ["/a:b"], ["data:b"], ["/a b:c", "/x:y"]]),
        "mounts": st.sampled_from([[], [{"source": "/m", "target": "/n", "read_only": True}]]),
        "devices": st.sampled_from([[], [{"path": "/dev/fuse"}]]),
        "lxc_config": st.dictionaries(
            st.sampled_from(["lxc.tty.max", "lxc.cap.drop", "lxc.signal.halt"]),
            st.sampled_from([1, "", ["a", "b"], True]),
            max_size=2,
        ),
        "autostart": st.booleans(),
        "log_level": st.sampled_from(["error", "debug"]),
    },
)
STATES = st.sampled_from(["stopped", "running", "frozen"])


@given(OPTIONS, STATES)
def test_the_second_run_changes_nothing(options: Given, is_: str) -> None:
    asked = task(**options)
    after = {"started": "running", "frozen": "frozen", "present": is_}[asked.state]
    found = plan(asked, made(asked, state=after))
    assert found.steps == ()
    assert (found.before, found.after, found.warnings) == ({}, {}, ())


@given(OPTIONS, OPTIONS, STATES, st.booleans())
def test_any_change_leads_to_what_is_declared(former: Given, options: Given, is_: str, may_restart: bool) -> None:
    asked = task(restart_on_change=may_restart, **options)
    seen = made(task(**former), asked, state=is_)
    found = plan(asked, seen)
    assert seen.record is not None
    text, record = seen.config, seen.record
    for step in found.steps:
        if isinstance(step, _steps.Configure):
            text = converge(text, record.base, step.block, step.former)
        if isinstance(step, _steps.Remember):
            record = record._replace(options=step.options, lines=step.lines)
    assert text == made(asked).config
    assert (record.options, record.lines) == (record_of(asked).options, record_of(asked).lines)
    # Where it is told, it is done, and where nothing is done, nothing is told.
    assert bool(found.steps) is bool(found.before or found.after)
    assert set(found.before) == set(found.after)


@given(OPTIONS, OPTIONS, STATES, st.booleans())
def test_no_variables_value_is_ever_shown(former: Given, options: Given, is_: str, may_restart: bool) -> None:
    assume(former.get("environment") or options.get("environment"))
    asked = task(restart_on_change=may_restart, **options)
    for seen in (nothing(asked), made(task(**former), asked, state=is_)):
        found = plan(asked, seen)
        assert "hunter2" not in repr((found.actions, found.before, found.after, found.warnings))
        for step in found.steps:
            if isinstance(step, _steps.Remember):
                assert "hunter2" not in repr(step)


@pytest.mark.parametrize("name", ["alloc", "-x", "a b"])
def test_a_handle_makes_no_task_of_a_name_that_none_may_have(name: str) -> None:
    asked = adopt(task(name=None, handle=f'{{"ContainerName":"{name}","LxcPath":"/var/lib/lxc"}}'), None)
    with pytest.raises(LxcTaskError, match="invalid name"):
        plan(asked, nothing(asked))


def test_the_order_of_a_dict_says_nothing() -> None:
    given = {"lxc.tty.max": 3, "lxc.net.1.name": "eth7", "lxc.net.1.type": "empty"}
    former = task(environment={"A": "1", "B": "2"}, lxc_config=given)
    again = task(environment={"B": "2", "A": "1"}, lxc_config=dict(reversed(given.items())))
    assert plan(again, made(former)).steps == ()


# ---- on an image

BUILD, CLONE = "build the image of template busybox", "clone the image of template busybox"


def on_image(**given: t.Any) -> t.Any:
    return task(backing_store="overlay", **given)


def image_of(build: str | None) -> Image:
    return Image("busybox-1", build)


@pytest.mark.parametrize(("build", "actions"), [(None, [BUILD, CLONE]), ("b1", [CLONE])])
def test_a_task_on_an_image_is_a_clone(build: str | None, actions: list[str]) -> None:
    asked = on_image()
    found = plan(asked, nothing(asked, image=image_of(build)))
    assert found.actions == [DIRECTORIES, SECRETS, *actions, WRITE, "start"]
    assert found.after["backing_store"] == "overlay"
    recipe = next(step.recipe for step in found.steps if isinstance(step, _steps.Clone))
    assert (recipe.id, recipe.template, recipe.options["template"]) == ("busybox-1", PATH, PATH)


@pytest.mark.parametrize("state", ["running", "stopped"])
@pytest.mark.parametrize(
    ("had", "build", "recreate", "becomes"),
    [
        ("b1", "b1", "never", "unchanged"),
        ("b1", "b1", "on_change", "unchanged"),
        ("b1", "b2", "never", "warned"),
        ("b1", "b2", "on_change", "recreated"),
        ("b1", "b2", "always", "recreated"),
        ("b1", "b1", "always", "recreated"),
        ("b1", None, "never", "built"),
        ("b1", None, "on_change", "built"),
    ],
)
def test_an_image_that_was_built_again(state: str, had: str, build: str | None, recreate: str, becomes: str) -> None:
    asked = on_image(recreate=recreate)
    seen = made(asked, state=state, image=image_of(build))
    found = plan(asked, seen._replace(record=record_of(asked, init=INIT, image=had)))
    recreated = becomes == "recreated"
    assert (CLONE in found.actions) is recreated
    # One that runs has what it needs of it.
    assert (BUILD in found.actions) is (becomes == "built" and state == "stopped")
    assert any("built again" in warning for warning in found.warnings) is (becomes == "warned")
    if recreated and had != build:
        assert (found.before["image"], found.after["image"]) == ("b1", "b2")
    if not recreated and state == "running":
        assert not found.changed


def test_another_backing_store_needs_a_new_root_file_system() -> None:
    asked = on_image()
    with pytest.raises(LxcTaskError, match="backing_store from 'dir' to 'overlay'"):
        plan(asked, made(task(), asked, image=image_of("b1")))
    asked = on_image(recreate="on_change")
    assert CLONE in plan(asked, made(task(), asked, image=image_of("b1"))).actions


def test_an_overlay_can_not_be_everywhere() -> None:
    asked = on_image()._replace(lxc_path="/srv/a:b")
    assert any("an overlay can't be in lxc_path" in fault for fault in declare(asked, nothing(asked))[1])
