# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LXC's mount entries. Pure.

A mount entry is a line of fstab(5), as ``lxc.mount.entry`` takes it (lxc.container.conf(5)): blank, tab, newline and
backslash are octal escapes.
"""

from __future__ import annotations

import re
import typing as t

_ESCAPES = {" ": "\\040", "\t": "\\011", "\n": "\\012", "\\": "\\134"}
_UNESCAPES = {escape: char for char, escape in _ESCAPES.items()}
_TABLE = str.maketrans(_ESCAPES)
_ESCAPE = re.compile(r"\\(?:040|011|012|134)")


class Mount(t.NamedTuple):
    """A bind mount. ``source``: absolute on the host. ``target``: inside, no slash in front. ``create``: dir or file."""

    source: str
    target: str
    read_only: bool = False
    create: str = "dir"


def escape(path: str) -> str:
    """A path as a field of a mount entry."""
    return path.translate(_TABLE)


def unescape(field: str) -> str:
    """The path in a field of a mount entry."""
    return _ESCAPE.sub(lambda match: _UNESCAPES[match[0]], field)


def render_entry(mount: Mount) -> str:
    """The value of ``lxc.mount.entry``."""
    mode = "ro" if mount.read_only else "rw"
    return f"{escape(mount.source)} {escape(mount.target)} none {mode},bind,create={mount.create} 0 0"


def parse_entry(entry: str) -> Mount | None:
    """The bind mount that an entry of ours makes; None for an entry of another form."""
    fields = entry.split(" ")
    match = re.fullmatch(r"(ro|rw),bind,create=(dir|file)", fields[3]) if len(fields) == 6 else None
    if match is None:
        return None
    return Mount(unescape(fields[0]), unescape(fields[1]), match[1] == "ro", match[2])
