# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An LXC configuration file as text: which lines are the collection's, which are others', and how both become one file.

Later lines win; an empty value clears a list.
"""

from __future__ import annotations

import functools
import re
import typing as t
from collections import Counter

from ansible_collections.nomadic.lxc.plugins.module_utils import _config_lines, _idmap

BEGIN = "# BEGIN nomadic.lxc: written by lxc_task, which puts it back; further lines belong above"
END = "# END nomadic.lxc"

_INDEX = re.compile(r"^(lxc\.net\.)0*([0-9]+)(?=\.|$)")
_LIMITS = (
    "lxc.cgroup.memory.limit_in_bytes",
    "lxc.cgroup2.memory.max",
    "lxc.cgroup.cpu.shares",
    "lxc.cgroup2.cpu.weight",
)
# Keys whose lines are all ours: what a template or a hand writes there is dropped.
_EXCLUSIVE = re.compile(
    r"lxc\.net\.0\.(type|link|flags)|lxc\.uts\.name|lxc\.start\.auto|lxc\.log\..+"
    r"|lxc\.cgroup2?\.devices(\..*)?|" + "|".join(re.escape(key) for key in _LIMITS)
)
# Keys that the template may have lines of too: those stay as it left them, ours follow.
_SHARED = re.compile(
    r"lxc\.mount(\..*)?|lxc\.rootfs(\..*)?|lxc\.include|lxc\.init\.cmd|lxc\.environment|lxc\.cap\.(drop|keep)|lxc\.idmap"
)
_NETWORK = re.compile(r"lxc\.net\.0\.(type|link|flags)")
# Keys that take everything below them away.
_CLEARING = re.compile(r"lxc\.(net(\.0)?|hook|cgroup2?)")


@functools.lru_cache(maxsize=512)
def canonical(key: str) -> str:
    """A key as liblxc understands it: ``lxc.net.00.type`` is ``lxc.net.0.type``."""
    return _INDEX.sub(r"\1\2", key)


@functools.lru_cache(maxsize=512)
def exclusive(key: str) -> bool:
    """Whether all lines of this key are ours."""
    return _EXCLUSIVE.fullmatch(canonical(key)) is not None


@functools.lru_cache(maxsize=512)
def shared(key: str) -> bool:
    """Whether this key has lines of ours beside the template's."""
    return _SHARED.fullmatch(canonical(key)) is not None


def owner_refuses(key: str) -> bool:
    """Whether ``lxc_config`` may not set this key because options own it; ``lxc.cap.*`` is merged instead,
    and ids may be mapped by hand where ``unprivileged`` does not.
    """
    name = canonical(key)
    if name in ("lxc.cap.drop", "lxc.cap.keep", _idmap.KEY):
        return False
    return exclusive(name) or shared(name) or _CLEARING.fullmatch(name) is not None


def quote(value: str) -> str:
    """A value so that liblxc reads exactly it: it strips blanks at the ends, then one pair of quotes."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return f'"{value}"' if quoted or value != value.strip(_config_lines.BLANKS) else value


@functools.lru_cache(maxsize=1024)
def _line(pair: _config_lines.Pair) -> str:
    """A line that liblxc reads back as this pair. Containers have most in common."""
    key, value = pair
    return f"{key} = {quote(value)}" if value else f"{key} ="


def render(pairs: t.Iterable[_config_lines.Pair]) -> list[str]:
    """Lines that liblxc reads back as these pairs."""
    return [_line(pair) for pair in pairs]


def base_of(text: str) -> list[_config_lines.Pair]:
    """The lines that a template left of shared keys, of which converge keeps these and no others, and of addresses."""
    return [(key, value) for key, value in _config_lines.parse(text) if shared(key) or _address(key)]


def _address(key: str) -> bool:
    """Whether a key says more of our network: ``hwaddr``, ``ipv4.address`` and the like."""
    return canonical(key).startswith("lxc.net.0.") and not exclusive(key)


def _split(text: str) -> tuple[list[str], list[str] | None, list[str]]:
    """Lines before our block, in it (None if there is none), and after it."""
    lines = _config_lines.split(text)
    if lines and lines[-1] == "":
        lines.pop()
    if BEGIN not in lines:
        return lines, None, []
    start = lines.index(BEGIN)
    end = lines.index(END, start) if END in lines[start:] else len(lines)
    return lines[:start], lines[start + 1 : end], lines[end + 1 :]


def _overrides(line: str, block: t.Sequence[_config_lines.Pair]) -> bool:
    """Whether a line behind our block would change what the block says."""
    pair = _config_lines.parse_line(line)
    if pair is None:
        return False
    key = canonical(pair[0])
    return any(canonical(ours) == key or canonical(ours).startswith(key + ".") for ours, value in block)


def converge(
    text: str,
    base: t.Iterable[_config_lines.Pair],
    block: t.Sequence[_config_lines.Pair],
    former: t.Iterable[_config_lines.Pair] = (),
) -> str:
    """The file with our block as it must be, and everybody else's lines where they were.

    ``base``: see base_of. ``former``: what ``lxc_config`` had set before; dropped where a tool that rewrote the file lost
    the block's marks. Converging twice is converging once.
    """
    before, inside, after = _split(text)
    kept = Counter(base)
    lost = Counter(former) if inside is None else Counter()

    def stays(line: str) -> bool:
        pair = _config_lines.parse_line(line)
        if pair is None:
            return line not in (BEGIN, END)
        if exclusive(pair[0]):
            return False
        if shared(pair[0]):
            kept[pair] -= 1
            return kept[pair] >= 0
        lost[pair] -= 1
        return lost[pair] < 0

    head = [line for line in before if stays(line)]
    tail = [line for line in after if stays(line)]
    if any(_overrides(line, block) for line in tail):
        head, tail = head + tail, []
    missing = [pair for pair in base if shared(pair[0]) and kept[pair] > 0 and not kept.subtract([pair])]
    ours = _with_network([*missing, *block], [pair for pair in base if _address(pair[0])])
    lines = [*head, BEGIN, *render(ours), END, *tail]
    return "\n".join(lines) + "\n"


def same_but_for_limits(text: str, other: str) -> bool:
    """Whether two configurations differ at most in limits, of which each line stands for itself: liblxc loads both, or none."""
    one, two = ([pair for pair in _config_lines.parse(it) if pair[0] not in _LIMITS] for it in (text, other))
    return one == two


def _with_network(
    block: t.Sequence[_config_lines.Pair], others: t.Sequence[_config_lines.Pair]
) -> list[_config_lines.Pair]:
    """The block with the template's addresses behind our network's type: liblxc forgets them when it reads a type
    (confile_utils.c, lxc_clear_netdev).
    """
    lines = list(block)
    places = [at for at, (key, _value) in enumerate(lines) if _NETWORK.fullmatch(key)]
    if places and ("lxc.net.0.type", "veth") in lines:
        lines[places[-1] + 1 : places[-1] + 1] = others
    return lines
