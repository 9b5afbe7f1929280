# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's configuration as text: whose lines are whose, and that ours are put back and no others touched."""

from __future__ import annotations

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._config import (
    BEGIN,
    END,
    base_of,
    canonical,
    converge,
    owner_refuses,
    quote,
    render,
    same_but_for_limits,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._config_lines import parse, parse_line, unquote
from hypothesis import assume, example, given
from hypothesis import strategies as st

# No line end and no NUL: those are refused before anything is written.
VALUES = st.text(st.one_of(st.sampled_from(" \t\"'#=\\\x0b"), st.characters(exclude_characters="\n\r\0")), max_size=20)
OTHERS = ("lxc.tty.max", "lxc.arch", "lxc.apparmor.profile", "lxc.net.0.hwaddr", "lxc.net.1.type", "lxc.hook.start")
EXCLUSIVE = (
    "lxc.net.0.type",
    "lxc.net.0.link",
    "lxc.net.0.flags",
    "lxc.net.00.type",
    "lxc.uts.name",
    "lxc.start.auto",
    "lxc.log.file",
    "lxc.log.level",
    "lxc.cgroup.memory.limit_in_bytes",
    "lxc.cgroup2.memory.max",
    "lxc.cgroup.cpu.shares",
    "lxc.cgroup2.cpu.weight",
    "lxc.cgroup.devices.allow",
    "lxc.cgroup2.devices.deny",
)
SHARED = (
    "lxc.mount.entry",
    "lxc.mount.fstab",
    "lxc.mount.auto",
    "lxc.rootfs.path",
    "lxc.include",
    "lxc.init.cmd",
    "lxc.environment",
    "lxc.cap.drop",
    "lxc.cap.keep",
)
BLOCK = [
    ("lxc.net.0.type", "veth"),
    ("lxc.net.0.link", "lxcbr0"),
    ("lxc.uts.name", "web"),
    ("lxc.cap.drop", "net_admin"),
]

KEYS = st.sampled_from([*OTHERS, *EXCLUSIVE, *SHARED])
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=8)
FREE_LINES = st.text(st.one_of(st.sampled_from(" #=\t\"'l"), st.characters(exclude_characters="\n\r\0")), max_size=20)
LINES = st.lists(
    st.one_of(
        FREE_LINES,
        st.tuples(KEYS, VALUES).map(lambda pair: render([pair])[0]),
        st.sampled_from([BEGIN, END, "", "# a comment", "lxc.net =", "lxc.net.0 =", "lxc.uts.name =", "lxc.tty.max=4"]),
    ),
    max_size=12,
)
TEXTS = st.tuples(LINES, st.sampled_from(["", "\n", "\n\n"])).map(lambda both: "\n".join(both[0]) + both[1])


# ---- what options own


@pytest.mark.parametrize(
    "key",
    [
        "lxc.net.0.type",
        "lxc.net.0.link",
        "lxc.net.0.flags",
        # liblxc reads the index as a number
        "lxc.net.00.type",
        "lxc.net.000.link",
        # these take what is below them away
        "lxc.net",
        "lxc.net.0",
        "lxc.net.00",
        "lxc.mount",
        "lxc.mount.entry",
        "lxc.mount.fstab",
        "lxc.mount.auto",
        "lxc.cgroup.memory.limit_in_bytes",
        "lxc.cgroup2.memory.max",
        "lxc.cgroup.cpu.shares",
        "lxc.cgroup2.cpu.weight",
        "lxc.cgroup.devices",
        "lxc.cgroup.devices.allow",
        "lxc.cgroup.devices.deny",
        "lxc.cgroup2.devices.allow",
        "lxc.cgroup2.devices.deny",
        "lxc.log.file",
        "lxc.log.level",
        "lxc.log.syslog",
        "lxc.rootfs.path",
        "lxc.rootfs.mount",
        "lxc.rootfs.options",
        "lxc.uts.name",
        "lxc.init.cmd",
        "lxc.environment",
        "lxc.start.auto",
        "lxc.include",
    ],
)
def test_options_own(key: str) -> None:
    assert owner_refuses(key)


@pytest.mark.parametrize(
    "key",
    [
        # addresses and hwaddr it may
        "lxc.net.0.hwaddr",
        "lxc.net.0.ipv4.address",
        "lxc.net.0.ipv4.gateway",
        "lxc.net.0.ipv6.address",
        "lxc.net.0.name",
        "lxc.net.0.mtu",
        "lxc.net.1.type",
        "lxc.net.10.type",
        "lxc.net.01.link",
        # merged with ours
        "lxc.cap.drop",
        "lxc.cap.keep",
        "lxc.init.uid",
        "lxc.start.delay",
        "lxc.start.order",
        "lxc.cgroup.memory.soft_limit_in_bytes",
        "lxc.cgroup2.memory.high",
        "lxc.cgroup.cpuset.cpus",
        "lxc.cgroup.dir",
        "lxc.hook.pre-start",
        "lxc.tty.max",
        "lxc.apparmor.profile",
        "lxc.idmap",
        "lxc.signal.halt",
    ],
)
def test_lxc_config_may_set(key: str) -> None:
    assert not owner_refuses(key)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("lxc.net.00.type", "lxc.net.0.type"),
        ("lxc.net.007.type", "lxc.net.7.type"),
        ("lxc.net.10.type", "lxc.net.10.type"),
        ("lxc.net.00", "lxc.net.0"),
        ("lxc.net.0x0.type", "lxc.net.0x0.type"),
        ("lxc.network.00.type", "lxc.network.00.type"),
    ],
)
def test_a_key_as_liblxc_means_it(key: str, meant: str) -> None:
    assert canonical(key) == meant


# ---- single lines


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("lxc.tty.max = 4", ("lxc.tty.max", "4")),
        ("lxc.tty.max=4", ("lxc.tty.max", "4")),
        ("  \tlxc.tty.max\t =\t 4 \t", ("lxc.tty.max", "4")),
        ("lxc.environment = A=b=c", ("lxc.environment", "A=b=c")),
        ("lxc.uts.name =", ("lxc.uts.name", "")),
        # one pair of quotes goes, the rest is the value's
        ('lxc.uts.name = "a b "', ("lxc.uts.name", "a b ")),
        ("lxc.uts.name = ' a'", ("lxc.uts.name", " a")),
        ('lxc.uts.name = ""a""', ("lxc.uts.name", '"a"')),
        ('lxc.uts.name = "a', ("lxc.uts.name", '"a')),
        ("lxc.uts.name = 'a\"", ("lxc.uts.name", "'a\"")),
        ('lxc.uts.name = "', ("lxc.uts.name", '"')),
        ("lxc.uts.name = ''", ("lxc.uts.name", "")),
        # no comment begins behind a value
        ("lxc.uts.name = a # b", ("lxc.uts.name", "a # b")),
        # liblxc strips blanks, tabs and newlines, and nothing else
        ("lxc.uts.name = \x0ba\u00a0", ("lxc.uts.name", "\x0ba\u00a0")),
        ("# lxc.tty.max = 4", None),
        (" #lxc.tty.max = 4", None),
        ("", None),
        (" \t", None),
        ("lxc.tty.max", None),
        (BEGIN, None),
        (END, None),
    ],
)
def test_line(line: str, pair: tuple[str, str] | None) -> None:
    assert parse_line(line) == pair


def test_lines_end_at_a_carriage_return_too() -> None:
    """liblxc splits there: an owned key behind one counts, and is put back."""
    assert parse("# c\rlxc.tty.max = 4\r\nlxc.uts.name = a\r") == [("lxc.tty.max", "4"), ("lxc.uts.name", "a")]
    converged = converge("# c\rlxc.tty.max = 4\r\nlxc.net.0.type = none\r# d\rlxc.start.auto = 1", [], BLOCK)
    assert parse(converged) == [("lxc.tty.max", "4"), *BLOCK]
    assert "# c" in converged and "# d" in converged
    assert converge(converged, [], BLOCK) == converged


def test_all_lines_in_order() -> None:
    text = "# c\nlxc.net.0.type = veth\n\nlxc.cap.drop = a\nnonsense\nlxc.cap.drop =\nlxc.cap.drop = b"
    assert parse(text) == [
        ("lxc.net.0.type", "veth"),
        ("lxc.cap.drop", "a"),
        ("lxc.cap.drop", ""),
        ("lxc.cap.drop", "b"),
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a", "a"),
        ("a b", "a b"),
        ("", ""),
        (" a", '" a"'),
        ("a\t", '"a\t"'),
        ('"a"', '""a""'),
        ("'a'", "\"'a'\""),
        ('"', '"'),
        ("'a\"", "'a\""),
        ('a"', 'a"'),
    ],
)
def test_quotes_only_where_they_are_needed(value: str, written: str) -> None:
    assert quote(value) == written


@given(VALUES)
@example('"')
@example('" "')
def test_a_value_is_read_back(value: str) -> None:
    assert unquote(quote(value)) == value
    assert unquote(f" \t{quote(value)}\t ") == value


@given(PAIRS)
def test_what_is_rendered_is_parsed(pairs: list[tuple[str, str]]) -> None:
    lines = render(pairs)
    assert len(lines) == len(pairs)
    assert parse("\n".join(lines)) == pairs


@given(st.text())
def test_any_text_is_a_configuration(text: str) -> None:
    pairs = parse(text)
    assert parse("\n".join(render(pairs))) == pairs


# ---- converging

TEMPLATE = """\
# Template used to create this container: busybox
lxc.include = /usr/share/lxc/config/common.conf

lxc.net.0.type = empty
lxc.uts.name = template
lxc.cap.drop = sys_module
lxc.tty.max = 1
lxc.mount.entry = shm dev/shm tmpfs defaults 0 0
"""


def ours(text: str) -> list[str]:
    """The lines between the marks."""
    lines = text.split("\n")
    assert lines.count(BEGIN) == lines.count(END) == 1
    return lines[lines.index(BEGIN) + 1 : lines.index(END)]


def test_a_new_container() -> None:
    assert converge(TEMPLATE, base_of(TEMPLATE), BLOCK) == (
        "# Template used to create this container: busybox\n"
        "lxc.include = /usr/share/lxc/config/common.conf\n"
        "\n"
        "lxc.cap.drop = sys_module\n"
        "lxc.tty.max = 1\n"
        "lxc.mount.entry = shm dev/shm tmpfs defaults 0 0\n"
        f"{BEGIN}\n"
        "lxc.net.0.type = veth\n"
        "lxc.net.0.link = lxcbr0\n"
        "lxc.uts.name = web\n"
        "lxc.cap.drop = net_admin\n"
        f"{END}\n"
    )


BASE = base_of(TEMPLATE)
MADE = converge(TEMPLATE, BASE, BLOCK)


def test_what_a_template_shares_with_us() -> None:
    assert BASE == [
        ("lxc.include", "/usr/share/lxc/config/common.conf"),
        ("lxc.cap.drop", "sys_module"),
        ("lxc.mount.entry", "shm dev/shm tmpfs defaults 0 0"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(MADE.replace("lxc.net.0.type = veth", "lxc.net.0.type = none"), id="changed in our block"),
        pytest.param(MADE.replace("lxc.net.0.type = veth\n", ""), id="removed from our block"),
        pytest.param(MADE.replace(END, f"lxc.log.file = /x\n{END}"), id="added to our block"),
        pytest.param(f"lxc.net.0.type = none\n{MADE}", id="put before it"),
        pytest.param(f"{MADE}lxc.net.0.type = none\n", id="put behind it"),
        pytest.param(f"{MADE}lxc.net.00.type=none", id="spelt otherwise"),
        pytest.param(f"{MADE}lxc.start.auto = 1\n", id="a key that the task has no line of"),
        pytest.param(f"{MADE}lxc.cgroup2.memory.max = 5\n", id="a limit that the task has not"),
        pytest.param(f"{MADE}lxc.mount.entry = /etc etc none bind 0 0\n", id="a mount that nobody declared"),
        pytest.param(f"{MADE}lxc.environment = A=b\n", id="a variable that nobody declared"),
        pytest.param(f"{MADE}lxc.cap.drop =\n", id="a list of ours cleared"),
        pytest.param(MADE.replace(f"{BEGIN}\n", "").replace(f"{END}\n", ""), id="the marks lost"),
        pytest.param(MADE.replace(f"{END}\n", ""), id="the second mark lost"),
        pytest.param(MADE.replace(f"{BEGIN}\n", ""), id="the first mark lost"),
    ],
)
def test_owned_keys_are_put_back(text: str) -> None:
    assert text != MADE
    assert converge(text, BASE, BLOCK) == MADE


@pytest.mark.parametrize(
    "line", ["lxc.tty.max = 9", "# a note", "", "lxc.net.0.hwaddr = 00:16:3e:00:00:01", "lxc.hook.start = /x", "?"]
)
def test_other_lines_stay(line: str) -> None:
    for text in (f"{line}\n{MADE}", MADE.replace(BEGIN, f"{line}\n{BEGIN}"), f"{MADE}{line}\n"):
        assert converge(text, BASE, BLOCK) == text


def test_the_templates_addresses_outlive_our_networks_type() -> None:
    """liblxc forgets what it has read of a network when it reads the network's type."""
    template = f"lxc.net.0.type = veth\nlxc.net.0.hwaddr = 00:16:3e:00:00:01\n{TEMPLATE}"
    base = base_of(template)
    text = converge(template, base, BLOCK)
    keys = [key for key, _value in parse(text)]
    assert keys.index("lxc.net.0.type") < len(keys) - 1 - keys[::-1].index("lxc.net.0.hwaddr")
    assert converge(text, base, BLOCK) == text


def test_the_templates_own_lines_come_back() -> None:
    text = MADE.replace("lxc.cap.drop = sys_module\n", "")
    converged = converge(text, BASE, BLOCK)
    assert parse(converged).count(("lxc.cap.drop", "sys_module")) == 1
    assert converge(converged, BASE, BLOCK) == converged


def test_ours_are_last_where_a_line_behind_would_change_them() -> None:
    converged = converge(f"{MADE}# mine\nlxc.net =\n", BASE, BLOCK)
    assert converged.endswith(f"{END}\n")
    assert "# mine\nlxc.net =\n" in converged


def test_what_lxc_config_had_set_goes_with_the_marks_lost() -> None:
    block = [("lxc.tty.max", "9"), *BLOCK]
    made = converge(TEMPLATE, BASE, block)
    bare = "".join(line for line in made.splitlines(True) if line.strip() not in (BEGIN, END))
    converged = converge(bare, BASE, BLOCK, former=[("lxc.tty.max", "9")])
    assert ("lxc.tty.max", "9") not in parse(converged)
    # the template's own stays
    assert ("lxc.tty.max", "1") in parse(converged)


BASES = st.lists(st.tuples(st.sampled_from(SHARED), VALUES), max_size=3)


@given(TEXTS, BASES, PAIRS, PAIRS)
@example(f"{BEGIN}\nx\n{BEGIN}\n{END}\ny\n{END}", [], [("lxc.uts.name", "web")], [])
def test_converging_twice_is_converging_once(
    text: str, base: list[tuple[str, str]], block: list[tuple[str, str]], former: list[tuple[str, str]]
) -> None:
    once = converge(text, base, block, former)
    assert converge(once, base, block, former) == once
    assert converge(once, base, block) == once


@given(TEXTS, BASES, PAIRS)
def test_ours_stand_whole_behind_the_templates(
    text: str, base: list[tuple[str, str]], block: list[tuple[str, str]]
) -> None:
    lines = ours(converge(text, base, block))
    assert lines[len(lines) - len(block) :] == render(block)


def said(text: str, key: str) -> list[str]:
    return [value for name, value in parse(text) if canonical(name) == key]


@given(TEXTS, BASES, PAIRS)
def test_nothing_but_ours_is_said_of_an_owned_key(
    text: str, base: list[tuple[str, str]], block: list[tuple[str, str]]
) -> None:
    converged = converge(text, base, block)
    for key in {canonical(key) for key in EXCLUSIVE}:
        assert said(converged, key) == [value for name, value in block if canonical(name) == key]
    for key in SHARED:
        had, have = [value for name, value in base if name == key], said(converged, key)
        assert sorted(have) == sorted([*had, *(value for name, value in block if name == key)])


@given(LINES, BASES, PAIRS)
def test_lines_of_others_stay_in_their_order(
    lines: list[str], base: list[tuple[str, str]], block: list[tuple[str, str]]
) -> None:
    assume(BEGIN not in lines and END not in lines)
    others = [line for line in lines if (pair := parse_line(line)) is None or not (owner_like(pair[0]))]
    if lines and lines[-1] == "":
        others.pop()
    converged = converge("\n".join(lines), base, block).split("\n")
    kept = [
        line
        for line in converged[: converged.index(BEGIN)]
        if (pair := parse_line(line)) is None or not owner_like(pair[0])
    ]
    assert kept == others


def owner_like(key: str) -> bool:
    return canonical(key) in {canonical(name) for name in (*EXCLUSIVE, *SHARED)}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (MADE, True),
        (f"# a note\n{MADE}", True),
        (MADE.replace(END, f"lxc.cgroup.memory.limit_in_bytes = 5\nlxc.cgroup2.memory.max = 5\n{END}"), True),
        (MADE.replace(END, f"lxc.cgroup2.cpu.weight = 5\nlxc.cap.keep = kill\n{END}"), False),
        (MADE.replace("lxc.uts.name = web\n", ""), False),
        (f"lxc.cap.drop = net_admin\n{MADE}", False),
        ("\n".join(reversed(MADE.split("\n"))), False),
    ],
)
def test_what_is_the_same_but_for_limits(other: str, same: bool) -> None:
    assert same_but_for_limits(MADE, other) is same
    assert same_but_for_limits(other, MADE) is same
