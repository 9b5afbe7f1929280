# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of an LXC configuration file. Pure.

The syntax is lxc.container.conf(5)'s: ``key = value`` lines, ``#`` comments, an optional pair of quotes around a value
(liblxc 5.0.2 and 6.0.4, confile.c parse_line).
"""

from __future__ import annotations

import functools
import re
import typing as t

Pair = tuple[str, str]

# What liblxc takes off the ends of a key and a value.
BLANKS = " \t\n"
_LINE_END = re.compile(r"\r\n|\r|\n")


def split(text: str) -> list[str]:
    """The lines of a text, by what ends a line for liblxc; the last one is empty where a line's end is the text's."""
    return _LINE_END.split(text) if "\r" in text else text.split("\n")


def unquote(text: str) -> str:
    """The value that liblxc reads."""
    value = text.strip(BLANKS)
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


@functools.lru_cache(maxsize=1024)
def parse_line(line: str) -> Pair | None:
    """Key and value of a line; None for a comment, an empty line, and what is neither. Containers have most lines in common."""
    text = line.strip(BLANKS)
    key, equals, value = text.partition("=")
    if not equals or text.startswith("#"):
        return None
    return key.strip(BLANKS), unquote(value)


def parse(text: str, wanted: t.Pattern[str] | None = None) -> list[Pair]:
    """All keys and values, in order. Takes any text. ``wanted``: only of lines that it finds something in."""
    return list(_parse(text, wanted))


def last(lines: t.Iterable[Pair], key: str) -> str | None:
    """The value that counts of a key which has one: the last. None where the key does not stand there."""
    return dict(lines).get(key)


@functools.lru_cache(maxsize=8)
def _parse(text: str, wanted: t.Pattern[str] | None) -> tuple[Pair, ...]:
    """A look at one container asks several times for the same."""
    lines = [line for line in split(text) if "=" in line]
    if wanted is not None:
        lines = [line for line in lines if wanted.search(line)]
    return tuple(pair for pair in map(parse_line, lines) if pair is not None)
