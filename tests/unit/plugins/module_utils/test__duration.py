# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations: what Go's time.ParseDuration and Nomad's GetKillTimeout say."""

from __future__ import annotations

from decimal import Decimal

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._duration import (
    effective_kill_timeout,
    parse_duration,
    seconds,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from hypothesis import example, given
from hypothesis import strategies as st

US, MS, S, M, H = 10**3, 10**6, 10**9, 60 * 10**9, 3600 * 10**9
LONGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        # numbers of seconds
        ("0", 0),
        ("5", 5 * S),
        ("007", 7 * S),
        ("0.5", 500 * MS),
        (".25", 250 * MS),
        ("3.", 3 * S),
        ("-2", -2 * S),
        ("+2", 2 * S),
        ("1e3", 1000 * S),
        # as YAML's 0.00001 comes in
        ("1e-05", 10 * US),
        ("0.000000001", 1),
        ("0.0000000009", 0),
        (" 5 ", 5 * S),
        # Go
        ("1m30s", 90 * S),
        ("500ms", 500 * MS),
        ("0s", 0),
        ("-0s", 0),
        ("1ns", 1),
        ("1us", US),
        ("1\u00b5s", US),
        ("1\u03bcs", US),
        ("1h", H),
        ("-1h1m1s", -(H + M + S)),
        ("+1m", M),
        ("1.5h", H + 30 * M),
        (".5s", 500 * MS),
        ("5.s", 5 * S),
        ("1.004s", 1004 * MS),
        ("1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4 * MS + 5 * US + 6),
        # each unit may come again, in any order
        ("1s1h1s", H + 2 * S),
        ("39h9m14.425s", 39 * H + 9 * M + 14 * S + 425 * MS),
        # to the last nanosecond of 64 bits
        ("9223372036854775807ns", LONGEST),
        ("-9223372036854775807ns", -LONGEST),
        ("9223372036854775.807us", LONGEST),
        ("9223372036.854775807", LONGEST),
    ],
)
def test_is_a_duration(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s",
        ".",
        "-",
        "+",
        ".s",
        "-.s",
        "1.2.3s",
        "1 m",
        "1m 30s",
        "1d",
        "1w",
        "1S",
        "1M",
        "1m30",
        "30s1",
        "--1s",
        "1s-1s",
        "1e3s",
        "0x10s",
        "five",
        "nan",
        "inf",
        "-inf",
        "1_000",
        "1,5s",
        "\u0665s",
        "\u00bds",
        "1s\x00",
        "1s\n2s",
        # longer than 64 bits
        "9223372036854775808ns",
        "3000000h",
        "9223372037",
        "1e99",
        "1e9999",
        pytest.param("9" * 5000, id="5000 digits"),
        pytest.param("9" * 5000 + "s", id="5000 digits and s"),
    ],
)
def test_is_no_duration(text: str) -> None:
    with pytest.raises(LxcTaskError, match="invalid duration"):
        parse_duration(text)


@given(st.one_of(st.text(), st.from_regex(r"[-+]?([0-9.]{1,30}(ns|us|ms|s|m|h|e|)){1,4}", fullmatch=True)))
@example("1e-9999")
@example("\ud800s")
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        nanoseconds = parse_duration(text)
    except LxcTaskError:
        return
    assert isinstance(nanoseconds, int)
    assert -LONGEST <= nanoseconds <= LONGEST


def go_string(nanoseconds: int) -> str:
    """Go's Duration.String, but for the units below a second, which are all ``s`` here."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    hours, rest = divmod(rest, H)
    minutes, rest = divmod(rest, M)
    return f"{sign}{hours}h{minutes}m{rest // S}.{rest % S:09d}s"


@given(st.integers(-LONGEST, LONGEST))
def test_reads_what_go_prints(nanoseconds: int) -> None:
    assert parse_duration(go_string(nanoseconds)) == nanoseconds


@given(st.integers(-LONGEST, LONGEST))
def test_seconds_are_exact_to_the_nanosecond(nanoseconds: int) -> None:
    assert parse_duration(str(Decimal(nanoseconds).scaleb(-9))) == nanoseconds


@pytest.mark.parametrize(
    ("nanoseconds", "shown"), [(5 * S, 5), (0, 0), (500 * MS, 0.5), (1500 * MS, 1.5), (-S, -1), (M + 1 * MS, 60.001)]
)
def test_a_user_sees_seconds(nanoseconds: int, shown: float) -> None:
    assert seconds(nanoseconds) == shown
    assert type(seconds(nanoseconds)) is type(shown)


# A float holds fifteen digits: nanoseconds up to eleven days.
@given(st.integers(0, 10**15))
def test_seconds_that_a_user_sees_are_read_back(nanoseconds: int) -> None:
    assert parse_duration(str(seconds(nanoseconds))) == nanoseconds


@pytest.mark.parametrize(
    ("desired", "maximum", "effective"),
    [
        # the desired time stands below the maximum
        (5 * S, 30 * S, 5 * S),
        (1, 30 * S, 1),
        (500 * MS, 30 * S, 500 * MS),
        (30 * S, 30 * S, 30 * S),
        # else the maximum does
        (31 * S, 30 * S, 30 * S),
        (5 * S, 1 * S, 1 * S),
        # zero or less is a second
        (0, 30 * S, 1 * S),
        (-5 * S, 30 * S, 1 * S),
        (0, 500 * MS, 500 * MS),
        # a maximum of zero or less counts as ten
        (5 * S, 0, 5 * S),
        (15 * S, 0, 10 * S),
        (15 * S, -1, 10 * S),
        (0, 0, 1 * S),
    ],
)
def test_kill_timeout_is_nomads(desired: int, maximum: int, effective: int) -> None:
    assert effective_kill_timeout(desired, maximum) == effective


@given(st.integers(-LONGEST, LONGEST), st.integers(-LONGEST, LONGEST))
def test_kill_timeout_is_positive_and_below_the_ceiling(desired: int, maximum: int) -> None:
    effective = effective_kill_timeout(desired, maximum)
    assert 0 < effective <= (maximum if maximum > 0 else 10 * S)
    assert effective_kill_timeout(effective, maximum) == effective
