# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we write into a configuration, read by liblxc itself."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._config import (
    converge,
    owner_refuses,
    render,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._config_lines import parse, parse_line
from ansible_collections.nomadic.lxc.plugins.module_utils._entries import Mount, render_entry
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import declared, nothing, task
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.liblxc import Liblxc
from hypothesis import example, given
from hypothesis import strategies as st

# All but a line end and NUL, in what UTF-8 can say.
TEXT = st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"])
VALUES = st.text(st.one_of(st.sampled_from(" \t\"'#=\\\x0b\u00a0"), TEXT), max_size=20)
VARIABLES = st.lists(VALUES.map(lambda value: f"A={value}"), max_size=3)


@pytest.fixture(name="liblxc", scope="module")
def start_liblxc(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Liblxc]:
    server = Liblxc(tmp_path_factory.mktemp("lxc"))
    yield server
    server.close()


def lines_of(values: t.Sequence[str]) -> str:
    """A list as liblxc gives it."""
    return "".join(f"{value}\n" for value in values)


@given(value=VALUES)
@example(value='"')
@example(value="''")
@example(value="\"'a'\"")
@example(value=" ")
@example(value="a # b")
@example(value="#")
def test_liblxc_reads_exactly_the_value(liblxc: Liblxc, value: str) -> None:
    text = "\n".join(render([("lxc.init.cmd", value)])) + "\n"
    assert liblxc.loaded(text, ["lxc.init.cmd"]) == {"lxc.init.cmd": value}


@given(values=VARIABLES)
def test_liblxc_reads_exactly_the_variables(liblxc: Liblxc, values: list[str]) -> None:
    text = "\n".join(render([("lxc.environment", value) for value in values]))
    assert liblxc.loaded(text, ["lxc.environment"]) == {"lxc.environment": lines_of(values)}


@given(source=VALUES, target=VALUES)
def test_liblxc_reads_exactly_the_mount(liblxc: Liblxc, source: str, target: str) -> None:
    entry = render_entry(Mount(f"/{source}", f"x{target}"))
    text = "\n".join(render([("lxc.mount.entry", entry), ("lxc.mount.entry", "proc proc proc defaults 0 0")]))
    said = liblxc.loaded(text, ["lxc.mount.entry"])
    assert said == {"lxc.mount.entry": f"{entry}\nproc proc proc defaults 0 0\n"}


@given(
    before=st.text(st.sampled_from(" \t"), max_size=2), blank=st.text(st.sampled_from(" \t"), max_size=2), value=VALUES
)
def test_we_read_a_line_as_liblxc_does(liblxc: Liblxc, before: str, blank: str, value: str) -> None:
    line = f"{before}lxc.init.cmd{blank}={value}"
    said = liblxc.loaded(f"{line}\n", ["lxc.init.cmd"])
    assert said is not None
    assert parse_line(line) == ("lxc.init.cmd", said["lxc.init.cmd"])


# Lines that a template, an operator or another tool may have left, each of which liblxc takes by itself.
THEIRS = [
    "# a comment",
    "",
    "lxc.net.0.type = none",
    "lxc.net.00.type = veth",
    "lxc.net.0.link = br9",
    "lxc.net.0.flags = up",
    "lxc.net.0.hwaddr = 00:16:3e:00:00:01",
    "lxc.uts.name = theirs",
    "lxc.uts.name =",
    "lxc.start.auto = 1",
    "lxc.cap.drop = sys_module",
    "lxc.cap.drop =",
    "lxc.init.cmd = /theirs",
    "lxc.environment = THEIRS=1",
    "lxc.environment =",
    "lxc.mount.entry = /theirs theirs none bind 0 0",
    "lxc.mount.entry =",
    "lxc.cgroup.devices.allow = a",
    "lxc.cgroup.memory.limit_in_bytes = 4096",
    "lxc.cgroup2.memory.max = 4096",
    "lxc.tty.max = 3",
    "lxc.log.level = TRACE",
]
WATCHED = [
    "lxc.net.0.type",
    "lxc.net.0.link",
    "lxc.uts.name",
    "lxc.start.auto",
    "lxc.cap.drop",
    "lxc.init.cmd",
    "lxc.environment",
    "lxc.mount.entry",
    "lxc.cgroup.devices.allow",
    "lxc.cgroup.devices.deny",
    "lxc.cgroup.memory.limit_in_bytes",
    "lxc.cgroup2.memory.max",
    "lxc.log.level",
]
OURS = [
    task(),
    task(network_mode="host"),
    task(network_mode="bridge", network_link="br1", memory_mb=64, init="/bin/sh -c 'x'", autostart=True),
    task(
        network_mode="bridge",
        environment={"A": ' "b" ', "B": ""},
        volumes=["/a b:c#d"],
        hostname="ours",
        devices=[{"path": "/dev/fuse"}],
    ),
]
CLEAN = [declared(asked, nothing(asked)).block for asked in OURS]


@given(
    before=st.lists(st.sampled_from(THEIRS), max_size=8),
    after=st.lists(st.sampled_from(THEIRS), max_size=4),
    number=st.integers(0, len(OURS) - 1),
)
def test_ours_win_over_whatever_stood_there(liblxc: Liblxc, before: list[str], after: list[str], number: int) -> None:
    """A converged file says of owned keys what a new one does."""
    block = CLEAN[number]
    made = converge("\n".join(before), [], block)
    changed = converge(made + "\n".join(after), [], block)
    clean = liblxc.loaded(converge("", [], block), WATCHED)
    assert clean is not None
    assert liblxc.loaded(made, WATCHED) == clean
    assert liblxc.loaded(changed, WATCHED) == clean


@pytest.mark.parametrize("block", CLEAN, ids=range(len(CLEAN)))
def test_liblxc_loads_what_options_make(liblxc: Liblxc, block: tuple[tuple[str, str], ...]) -> None:
    text = converge("", [], block)
    said = liblxc.loaded(text, sorted({key for key, _value in block}))
    assert said is not None
    for key in ("lxc.environment", "lxc.mount.entry", "lxc.hook.pre-start", "lxc.cgroup.devices.allow"):
        values = [value for name, value in block if name == key]
        if values:
            assert said[key] == lines_of(values)
    assert tuple(parse(text)) == block


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (CLEAN[0], {"lxc.net.0.type": "empty", "lxc.uts.name": "web", "lxc.cap.drop": ""}),
        (CLEAN[1], {"lxc.net.0.type": "none", "lxc.cap.drop": "net_admin\n"}),
        (
            CLEAN[2],
            {
                "lxc.net.0.type": "veth",
                "lxc.net.0.link": "br1",
                "lxc.net.0.flags": "up",
                "lxc.cgroup.memory.limit_in_bytes": "67108864\n",
                "lxc.cgroup2.memory.max": "67108864\n",
                "lxc.init.cmd": "/bin/sh -c 'x'",
                "lxc.start.auto": "1",
                "lxc.cap.drop": "",
            },
        ),
        (CLEAN[3], {"lxc.uts.name": "ours", "lxc.environment": 'A= "b" \nB=\n', "lxc.start.auto": "0"}),
    ],
)
def test_what_options_mean_to_liblxc(liblxc: Liblxc, block: list[tuple[str, str]], said: dict[str, str]) -> None:
    assert liblxc.loaded(converge("", [], block), list(said)) == said


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_end_would_begin_a_key(liblxc: Liblxc, end: str) -> None:
    """Why it is refused in any value: this is what it would do."""
    text = "\n".join(render([("lxc.init.cmd", f"/x{end}lxc.hook.start = /y")]))
    assert liblxc.loaded(text, ["lxc.hook.start"]) == {"lxc.hook.start": "/y\n"}


ENDS = ["\n", "\r", "\r\n", "\n\r", "\r ", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", " ", ""]


@given(text=st.text(TEXT, max_size=5), end=st.sampled_from(ENDS))
def test_we_see_every_key_that_liblxc_sees(liblxc: Liblxc, text: str, end: str) -> None:
    """Whatever stands before a key of ours in a file that somebody changed."""
    whole = f"# {text}{end}lxc.uts.name = a"
    said = liblxc.loaded(whole, ["lxc.uts.name"])
    if said is not None:
        assert (said["lxc.uts.name"] == "a") is (("lxc.uts.name", "a") in parse(whole))


# ---- keys that lxc_config may not set, in any spelling


OWNED = {
    "lxc.net.0.type": "veth",
    "lxc.net.0.link": "br9",
    "lxc.net.0.flags": "up",
    "lxc.mount.entry": "/a b none bind 0 0",
    "lxc.mount.fstab": "/etc/fstab",
    "lxc.mount.auto": "proc",
    "lxc.cgroup.memory.limit_in_bytes": "4096",
    "lxc.cgroup2.memory.max": "4096",
    "lxc.cgroup.cpu.shares": "2",
    "lxc.cgroup2.cpu.weight": "2",
    "lxc.cgroup.devices.allow": "a",
    "lxc.cgroup.devices.deny": "a",
    "lxc.cgroup2.devices.allow": "a",
    "lxc.cgroup2.devices.deny": "a",
    "lxc.log.level": "TRACE",
    "lxc.rootfs.path": "/x",
    "lxc.rootfs.mount": "/x",
    "lxc.rootfs.options": "ro",
    "lxc.uts.name": "x",
    "lxc.init.cmd": "/x",
    "lxc.environment": "A=b",
    "lxc.start.auto": "1",
}


@pytest.mark.parametrize("key", sorted(OWNED))
def test_liblxc_has_the_owned_keys(liblxc: Liblxc, key: str) -> None:
    """Otherwise the next test would prove nothing."""
    assert liblxc.taken(key, OWNED[key], [key]) == (True, True)


@given(
    key=st.sampled_from(sorted(OWNED)),
    spelt=st.one_of(
        st.sampled_from(["{}.", "{}.x", "{}x", "{}0", "{}-", "{}_", "{}.0", "{}.type"]),
        st.text(st.sampled_from("x0.-_"), max_size=3).map(lambda text: "{}" + text),
    ),
    index=st.sampled_from(
        ["0", "00", "000", "0x0", "0X0", "4294967296", "18446744073709551616", "00000000000000000000000"]
    ),
)
def test_no_spelling_of_an_owned_key_gets_through(liblxc: Liblxc, key: str, spelt: str, index: str) -> None:
    other = spelt.format(key).replace("lxc.net.0", f"lxc.net.{index}", 1)
    taken, changed = liblxc.taken(other, OWNED[key], sorted(OWNED))
    if taken and changed:
        assert owner_refuses(other)


CLEARED = [
    "lxc.net",
    "lxc.net.0",
    "lxc.mount",
    "lxc.hook",
    "lxc.cgroup",
    "lxc.cgroup2",
    "lxc.cgroup.devices",
    "lxc.rootfs",
    "lxc.log",
]


@pytest.mark.parametrize("key", [*CLEARED, "lxc.environment", "lxc", "lxc.cap", "lxc.uts", "lxc.init", "lxc.start"])
@pytest.mark.parametrize("value", ["", "x"])
def test_no_key_above_takes_an_owned_one_away(liblxc: Liblxc, key: str, value: str) -> None:
    text = converge("", [], CLEAN[3])
    line = render([(key, value)])[0]
    before, after = liblxc.loaded(text, WATCHED), liblxc.loaded(f"{text}{line}\n", WATCHED)
    if after is not None and after != before:
        assert owner_refuses(key)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_hook_is_left_out_of_a_start(liblxc: Liblxc, left: int) -> None:
    hooks = ["/bin/sh -c 'first || :'", "/bin/second", '/bin/third "x"']
    key = "lxc.hook.pre-start"
    text = "".join(f"{key} = {hook}\n" for hook in hooks) + "lxc.hook.start-host = /bin/second\n"
    assert liblxc.left_out(text, key, hooks[left]) == lines_of([hook for hook in hooks if hook != hooks[left]])
    assert liblxc.left_out(text, "lxc.hook.start-host", hooks[0]) == lines_of(["/bin/second"])
