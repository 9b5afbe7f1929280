# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of ids: what subuid(5) gives, which range a task gets, and its lines."""

from __future__ import annotations

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._idmap import Idmap, choose, idmap_in, lines, parse_subids
from hypothesis import given
from hypothesis import strategies as st

ROOT = "root:1879048192:65536\n"
BASE = 1879048192


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("", []),
        (ROOT, [(BASE, 65536)]),
        ("0:100000:10", [(100000, 10)]),
        ("lxd:1:2\nroot:3:4\n 0:5:6 \n", [(3, 4), (5, 6)]),
        ("rooty:1:2\nroot:1\nroot:1:2:3\nroot:a:2\nroot:-1:2\n# root:1:2\n::\n:", []),
    ],
)
def test_subordinate_ids(text: str, ranges: list[tuple[int, int]]) -> None:
    assert parse_subids(text) == ranges


@pytest.mark.parametrize(
    ("base", "size", "subuid", "subgid", "found"),
    [
        (None, 65536, ROOT, ROOT, BASE),
        # the first that is large enough
        (None, 65536, "root:100000:1000\n" + ROOT, "root:100000:1000\n" + ROOT, BASE),
        (None, 1000, "root:100000:1000\n" + ROOT, "root:100000:1000\n" + ROOT, 100000),
        # users and groups have it both
        (None, 65536, "root:100000:65536\nroot:300000:65536", "root:300000:65536", 300000),
        (None, 65536, "root:100000:200000", "root:150000:200000", 150000),
        # an id tells whether it was shifted
        (None, 100000, "root:65536:1000000", "root:65536:1000000", 100000),
        (None, 65536, "root:1:1000000", "root:1:1000000", 65536),
        (200000, 65536, "root:100000:1000000", "root:100000:1000000", 200000),
        (100000, 1000, "root:100000:1000", "root:100000:1000", 100000),
        (None, 65536, "", ROOT, None),
        (None, 65536, ROOT, "", None),
        (None, 65537, ROOT, ROOT, None),
        (None, 65536, "root:100000:65536", "root:300000:65536", None),
        (BASE - 1, 65536, ROOT, ROOT, None),
        (BASE + 1, 65536, ROOT, ROOT, None),
        # (uid_t) -1 is no id
        (None, 65536, "root:4294901760:65536", "root:4294901760:65536", None),
        (None, 65535, "root:4294901760:65536", "root:4294901760:65536", 4294901760),
    ],
)
def test_the_range_that_a_task_gets(base: int | None, size: int, subuid: str, subgid: str, found: int | None) -> None:
    if found is not None:
        assert choose(base, size, subuid, subgid) == Idmap(found, size)
        return
    with pytest.raises(LxcTaskError) as raised:
        choose(base, size, subuid, subgid)
    first = BASE if base is None else base
    said = str(raised.value)
    assert "/etc/subuid" in said
    assert f"usermod --add-subuids {first}-{first + size - 1} --add-subgids {first}-{first + size - 1} root" in said


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([], None),
        ([("lxc.idmap", "u 0 100000 65536"), ("lxc.idmap", "g 0 200000 65536")], Idmap(100000, 65536)),
        ([("lxc.idmap", "b 0 100000 10")], Idmap(100000, 10)),
        ([("lxc.idmap", "u 0 100000 10"), ("lxc.idmap", "")], None),
        ([("lxc.idmap", "u 0 100000 10"), ("lxc.idmap", "u 0 200000 10")], Idmap(200000, 10)),
        (
            [("lxc.idmap", "u 1000 1000 1"), ("lxc.idmap", "u 0 x 1"), ("lxc.idmap", "u"), ("lxc.tty.max", "u 0 1 1")],
            None,
        ),
    ],
)
def test_the_range_in_a_configuration(pairs: list[tuple[str, str]], found: Idmap | None) -> None:
    assert idmap_in(pairs) == found


@given(st.integers(65536, 2**32), st.integers(1000, 2**31))
def test_what_is_written_is_read(base: int, size: int) -> None:
    assert idmap_in(lines(Idmap(base, size))) == Idmap(base, size)
