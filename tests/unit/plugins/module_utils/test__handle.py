# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The handle: the JSON of lxcPID in Nomad's driver, as Go's encoding/json writes and reads it."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._handle import Handle, parse_handle, render_handle
from hypothesis import example, given
from hypothesis import strategies as st

NANOSECONDS = st.integers(-(2**63) + 1, 2**63 - 1)
# No control characters, and only what UTF-8 can say.
WORDS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=20)
HANDLES = st.builds(
    Handle,
    WORDS.filter(lambda name: name not in (".", "..") and "/" not in name),
    st.lists(WORDS.filter(lambda part: part != ".." and "/../" not in f"/{part}/"), max_size=3).map(
        lambda parts: "/" + "/".join(parts)
    ),
    st.one_of(st.just(-1), st.integers(2, 2**22)),
    NANOSECONDS,
)


@pytest.mark.parametrize(
    ("handle", "text"),
    [
        (
            Handle("web-5e1d", "/var/lib/lxc", 4242, 5000000000),
            '{"ContainerName":"web-5e1d","InitPid":4242,"LxcPath":"/var/lib/lxc","KillTimeout":5000000000}',
        ),
        # nothing runs
        (
            Handle("web", "/l", -1, 500000000),
            '{"ContainerName":"web","InitPid":-1,"LxcPath":"/l","KillTimeout":500000000}',
        ),
        # Go's zero value
        (Handle("web", "/l"), '{"ContainerName":"web","InitPid":-1,"LxcPath":"/l","KillTimeout":0}'),
        # Go escapes what HTML and JavaScript could take for theirs, and nothing else that can be said in UTF-8
        (
            Handle("a<b>&c\u2028\u2029", '/\u00e4 "\\\x7f', 2, 0),
            (
                '{"ContainerName":"a\\u003cb\\u003e\\u0026c\\u2028\\u2029","InitPid":2,'
                '"LxcPath":"/\u00e4 \\"\\\\\x7f","KillTimeout":0}'
            ),
        ),
    ],
)
def test_is_written_as_go_writes_it(handle: Handle, text: str) -> None:
    assert render_handle(handle) == text


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        (
            '{"ContainerName":"web-5e1d","InitPid":4242,"LxcPath":"/var/lib/lxc","KillTimeout":5000000000}',
            Handle("web-5e1d", "/var/lib/lxc", 4242, 5000000000),
        ),
        # only the name and the path are needed
        ('{"ContainerName":"web","LxcPath":"/l"}', Handle("web", "/l", -1, None)),
        ('{"LxcPath":"/l","ContainerName":"web","KillTimeout":1}', Handle("web", "/l", -1, 1)),
        # unknown keys are passed over
        ('{"ContainerName":"web","LxcPath":"/l","Other":[{"x":NaN}],"":null}', Handle("web", "/l", -1, None)),
        # Go leaves a field alone that is null
        ('{"ContainerName":"web","InitPid":null,"LxcPath":"/l","KillTimeout":null}', Handle("web", "/l", -1, None)),
        # between the tokens JSON takes blanks and newlines
        ('\n{ "ContainerName" : "web",\n"LxcPath":"/l" }\n', Handle("web", "/l", -1, None)),
        # of two, the last
        ('{"ContainerName":"web","LxcPath":"/l","ContainerName":"db"}', Handle("db", "/l", -1, None)),
        ('{"ContainerName":"w\\u0065b","LxcPath":"\\/l"}', Handle("web", "/l", -1, None)),
        # any number is taken for a pid but those that no task can have: liblxc is asked which it is
        ('{"ContainerName":"web","InitPid":-2,"LxcPath":"/l"}', Handle("web", "/l", -2, None)),
        ('{"ContainerName":"web","InitPid":4294967296,"LxcPath":"/l"}', Handle("web", "/l", 2**32, None)),
        # one that this collection did not make
        ('{"ContainerName":"my box_","LxcPath":"/srv/x y"}', Handle("my box_", "/srv/x y", -1, None)),
    ],
)
def test_is_read(text: str, handle: Handle) -> None:
    assert parse_handle(text) == handle


def fields(**changed: t.Any) -> str:
    return json.dumps({"ContainerName": "web", "InitPid": 4242, "LxcPath": "/l", "KillTimeout": 5, **changed})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web",
        "{",
        "{'ContainerName':'web','LxcPath':'/l'}",
        '{"ContainerName":"web","LxcPath":"/l"} x',
        '\ufeff{"ContainerName":"web","LxcPath":"/l"}',
        pytest.param("[" * 100_000, id="deep"),
        "null",
        "[]",
        "7",
        '"web"',
        "{}",
        # a name or a path is missing, empty, or no string
        '{"LxcPath":"/l"}',
        '{"ContainerName":"web"}',
        fields(ContainerName=""),
        fields(ContainerName=None),
        fields(ContainerName=7),
        fields(ContainerName=["web"]),
        fields(LxcPath=""),
        fields(LxcPath=None),
        fields(LxcPath={}),
        # a number is none, or no whole one of 64 bits
        fields(InitPid="4242"),
        fields(InitPid=4242.0),
        fields(InitPid=True),
        fields(InitPid=0),
        fields(InitPid=1),
        fields(InitPid=float("inf")),
        fields(InitPid=2**63),
        fields(KillTimeout="5s"),
        fields(KillTimeout=0.5),
        fields(KillTimeout=False),
        fields(KillTimeout=float("nan")),
        fields(KillTimeout=2**63),
        fields(KillTimeout=-(2**64)),
        pytest.param('{"ContainerName":"web","LxcPath":"/l","KillTimeout":' + "9" * 6000 + "}", id="6000 digits"),
        # a name that leads elsewhere
        fields(ContainerName=".."),
        fields(ContainerName="."),
        fields(ContainerName="a/b"),
        fields(ContainerName="../b"),
        fields(ContainerName="a\nb"),
        fields(ContainerName="a\0b"),
        fields(ContainerName="x" * 65),
        # a path that leads elsewhere, or is none
        fields(LxcPath="/var/../etc"),
        fields(LxcPath="/.."),
        fields(LxcPath="var/lib/lxc"),
        fields(LxcPath="/a\nlxc.hook.start = /x"),
        fields(LxcPath="/a\0"),
        # half a character: no file can be called so
        fields(ContainerName="\ud800"),
        fields(LxcPath="/\ud800"),
    ],
)
def test_is_refused(text: str) -> None:
    with pytest.raises(LxcTaskError) as caught:
        parse_handle(text)
    assert caught.value.msg.startswith(f"Failed to parse handle '{text}': ")


def test_refusals_say_what_is_missing() -> None:
    with pytest.raises(LxcTaskError, match="ContainerName"):
        parse_handle('{"LxcPath":"/l"}')
    with pytest.raises(LxcTaskError, match="LxcPath"):
        parse_handle('{"ContainerName":"web"}')


@given(HANDLES)
def test_what_is_written_is_read(handle: Handle) -> None:
    text = render_handle(handle)
    assert parse_handle(text) == handle
    assert json.loads(text) == {
        "ContainerName": handle.container_name,
        "InitPid": handle.init_pid,
        "LxcPath": handle.lxc_path,
        "KillTimeout": handle.kill_timeout,
    }


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda values: st.one_of(st.lists(values, max_size=3), st.dictionaries(st.text(), values, max_size=3)),
    max_leaves=5,
)
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "ContainerName": st.one_of(st.text(), JSON),
        "InitPid": st.one_of(st.integers(), JSON),
        "LxcPath": st.one_of(st.text().map(lambda text: f"/{text}"), JSON),
        "KillTimeout": st.one_of(st.integers(), JSON),
        "Other": JSON,
    },
)


@given(st.one_of(st.text(), JSON.map(json.dumps), NEAR.map(json.dumps)))
@example('{"ContainerName":"\\ud800","LxcPath":"/\\udfff"}')
def test_any_text_is_a_handle_or_refused(text: str) -> None:
    try:
        handle = parse_handle(text)
    except LxcTaskError:
        return
    # What is taken can be a file's name and path, and be written and read again.
    f"{handle.lxc_path}/{handle.container_name}".encode("utf-8", "surrogateescape")
    if handle.kill_timeout is not None:
        assert parse_handle(render_handle(handle)) == handle
