# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record: what is written is read, and what is not one is said to be none."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId
from ansible_collections.nomadic.lxc.plugins.module_utils._record import (
    MAKING,
    READY,
    VERSION,
    Record,
    parse_record,
    render_record,
)
from hypothesis import example, given
from hypothesis import strategies as st

INIT = InitId(4242, 1234567, "0c8f3a8e-7c0f-4a6e-9d2e-9d0c2f1d0b55")
RECORD = Record(
    name="web",
    alloc_id="5e1d",
    phase=READY,
    created_at="2026-11-24T10:00:00Z",
    options={"template": "/usr/share/lxc/templates/lxc-busybox", "memory_mb": 64, "lxc_config": {"lxc.tty.max": ["4"]}},
    lines={"memory_mb": [["lxc.cgroup.memory.limit_in_bytes", "67108864"]]},
    base=(("lxc.cap.drop", "sys_module"),),
    init=INIT,
    pending=("network_mode",),
    pending_init=INIT,
    stop_asked=INIT,
    running={"network_mode": [["lxc.net.0.type", "none"]], "hostname": None},
    pending_monitor=InitId(4200, 1234500, "0c8f3a8e-7c0f-4a6e-9d2e-9d0c2f1d0b55"),
)
PATH = "/var/lib/lxc/web/nomadic-lxc.json"


def text_of(**changed: t.Any) -> str:
    return json.dumps({**json.loads(render_record(RECORD)), **changed})


def without(key: str) -> str:
    return json.dumps({name: value for name, value in json.loads(render_record(RECORD)).items() if name != key})


def test_is_read_back() -> None:
    assert parse_record(render_record(RECORD), PATH) == RECORD
    assert json.loads(render_record(RECORD))["version"] == VERSION


def test_a_task_alone_that_never_ran() -> None:
    record = Record("web", None, MAKING, "2026-11-24T10:00:00Z")
    assert parse_record(render_record(record), PATH) == record


def test_what_an_earlier_run_of_this_version_did_not_know() -> None:
    """A key that only a later release has is passed over: the version says what it must know."""
    assert parse_record(text_of(later=1), PATH) == RECORD


@pytest.mark.parametrize("version", [VERSION + 1, VERSION + 2, 10**30])
def test_a_newer_version_is_named(version: int) -> None:
    with pytest.raises(LxcTaskError) as caught:
        parse_record(text_of(version=version), PATH)
    assert PATH in caught.value.msg
    assert f"version {version}" in caught.value.msg
    assert caught.value.hint is not None


TEXT = render_record(RECORD)


@pytest.mark.parametrize("length", range(0, len(TEXT) - 2, 7))
def test_a_record_cut_short(length: int) -> None:
    with pytest.raises(LxcTaskError) as caught:
        parse_record(TEXT[:length], PATH)
    assert PATH in caught.value.msg
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        "1",
        '"x"',
        "{}",
        pytest.param("[" * 100_000, id="deep"),
        without("version"),
        without("name"),
        without("phase"),
        without("base"),
        without("created_at"),
        text_of(version="1"),
        text_of(version=None),
        text_of(version=0),
        text_of(version=-1),
        text_of(version=[1]),
        text_of(version=float("nan")),
        text_of(name=None),
        text_of(name=7),
        text_of(alloc_id=7),
        text_of(phase="done"),
        text_of(phase=None),
        text_of(created_at=1),
        text_of(options=None),
        text_of(options=[]),
        text_of(options={"kill_timeout": None}),
        text_of(options={"kill_timeout": "5s"}),
        text_of(options={"alloc_dir": None}),
        text_of(options={"alloc_dir": 1}),
        text_of(lines="x"),
        text_of(running=[]),
        text_of(base=None),
        text_of(base=[["key"]]),
        text_of(base=["key"]),
        text_of(base=[1]),
        text_of(init=1),
        text_of(init=[]),
        text_of(init={}),
        text_of(init={"pid": 1}),
        text_of(init={**INIT._asdict(), "pid": "x"}),
        text_of(init={**INIT._asdict(), "pid": None}),
        text_of(init={**INIT._asdict(), "pid": float("inf")}),
        text_of(init={**INIT._asdict(), "start_ticks": float("nan")}),
        text_of(pending=None),
        text_of(pending=1),
        text_of(pending_init="x"),
        text_of(pending_init={**INIT._asdict(), "start_ticks": float("-inf")}),
        text_of(stop_asked=[1]),
    ],
)
def test_is_no_record(text: str) -> None:
    with pytest.raises(LxcTaskError) as caught:
        parse_record(text, PATH)
    assert PATH in caught.value.msg


@pytest.mark.parametrize(
    ("running", "waits"),
    [
        (INIT, ("network_mode",)),
        # another init runs: it has them
        (InitId(4243, INIT.start_ticks, INIT.boot_id), ()),
        # the same pid again
        (InitId(INIT.pid, INIT.start_ticks + 1, INIT.boot_id), ()),
        (InitId(INIT.pid, INIT.start_ticks, "another boot"), ()),
        (None, ()),
    ],
)
def test_what_waits_for_the_next_start(running: InitId | None, waits: tuple[str, ...]) -> None:
    assert RECORD.waits(running) == waits
    # What it runs with is what the record says, but for what waits.
    assert RECORD.lines_of(running) == {**RECORD.lines, **(RECORD.running if waits else {})}


def test_what_waits_goes_on_to_wait_after_a_reboot_from_inside() -> None:
    another = INIT._replace(pid=4343, start_ticks=2345678)
    assert RECORD.waits(another) == ()
    assert RECORD.followed(another, RECORD.pending_monitor).waits(another) == ("network_mode",)
    assert RECORD.followed(another, RECORD.pending_monitor).lines_of(another) == RECORD.lines_of(INIT)
    # Another monitor is another start; and where nobody knows, nothing waits.
    for monitor in (None, INIT._replace(pid=4201)):
        assert RECORD.followed(another, monitor) == RECORD
    assert RECORD._replace(pending_monitor=None).followed(another, None).waits(another) == ()


WORDS = st.text(max_size=10)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda values: st.one_of(st.lists(values, max_size=3), st.dictionaries(WORDS, values, max_size=3)),
    max_leaves=5,
)
SOUND_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(exclude_categories=()), max_size=10)),
    lambda values: st.one_of(st.lists(values, max_size=3), st.dictionaries(WORDS, values, max_size=3)),
    max_leaves=5,
)
# Two of them are read of every record, and are what they must be.
NEEDED = {"kill_timeout": st.integers(), "alloc_dir": WORDS}
OPTIONS = st.builds(
    lambda others, needed: {**others, **needed},
    st.dictionaries(WORDS.filter(lambda word: word not in NEEDED), SOUND_JSON, max_size=3),
    st.fixed_dictionaries({}, optional=NEEDED),
)
INITS = st.one_of(st.none(), st.builds(InitId, st.integers(), st.integers(), WORDS))
RECORDS = st.builds(
    Record,
    WORDS,
    st.one_of(st.none(), WORDS),
    st.sampled_from([MAKING, READY]),
    WORDS,
    OPTIONS,
    st.dictionaries(WORDS, SOUND_JSON, max_size=3),
    st.lists(st.tuples(WORDS, WORDS), max_size=3).map(tuple),
    INITS,
    st.lists(WORDS, max_size=3).map(tuple),
    INITS,
    INITS,
    st.dictionaries(WORDS, SOUND_JSON, max_size=3),
    INITS,
)


@given(RECORDS)
def test_every_record_is_read_back(record: Record) -> None:
    assert parse_record(render_record(record), PATH) == record


@given(st.one_of(st.text(), JSON.map(json.dumps)))
def test_any_text_is_a_record_or_refused(text: str) -> None:
    with pytest.raises(LxcTaskError):
        parse_record(text, PATH)


@given(st.sampled_from(sorted(json.loads(TEXT))), JSON)
@example("init", {"pid": float("inf"), "start_ticks": 1, "boot_id": ""})
def test_any_value_in_a_record_is_taken_or_refused(key: str, value: t.Any) -> None:
    try:
        record = parse_record(text_of(**{key: value}), PATH)
    except LxcTaskError:
        return
    assert parse_record(render_record(record), PATH) == record
