# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ids of the host an unprivileged task's users are: a range of root's subordinate ids. Pure.

Users and groups get the same range. Its first id lies above all ids inside, so that an id tells whether it was shifted.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _config_lines, _errors

# As many as a distribution's own files and users need: nobody is 65534.
DEFAULT_SIZE = 65536
# A distribution's own users have ids below it (login.defs(5), SYS_UID_MAX).
LEAST_SIZE = 1000
# Below it are the ids that the host's own users have.
LEAST_BASE = 65536
# (uid_t) -1 is no id, see chown(2).
MOST_IDS = 2**32 - 1
KEY = "lxc.idmap"

Range = tuple[int, int]


class Idmap(t.NamedTuple):
    """The ids 0 to ``size`` - 1 inside are ``base`` and following outside."""

    base: int
    size: int

    def covers(self, number: int) -> bool:
        """Whether an id of the host is one inside."""
        return self.base <= number < self.base + self.size


def parse_subids(text: str) -> list[Range]:
    """Root's ranges in ``/etc/subuid`` or ``/etc/subgid``, see subuid(5): first id and count. Other lines are passed over."""
    found: list[Range] = []
    for line in text.split("\n"):
        fields = line.strip().split(":")
        if fields[0] in ("root", "0") and _numbers(fields[1:]):
            found.append((int(fields[1]), int(fields[2])))
    return found


def _numbers(words: t.Sequence[str]) -> bool:
    """Whether these are two numbers."""
    return len(words) == 2 and all(word.isascii() and word.isdecimal() for word in words)


def choose(base: int | None, size: int, subuid: str, subgid: str) -> Idmap:
    """The range that a task gets. ``base``: None takes the first of root's ranges that is large enough, for users and
    groups. Raises LxcTaskError where root has none.
    """
    wanted = f"{size} of them" if base is None else f"{base} to {base + size - 1}"
    for uids in parse_subids(subuid):
        for gids in parse_subids(subgid):
            first = max(uids[0], gids[0], LEAST_BASE, size) if base is None else base
            end = min(sum(uids), sum(gids), MOST_IDS)
            if first >= max(uids[0], gids[0]) and first + size <= end:
                return Idmap(first, size)
    first = 1879048192 if base is None else base
    ids = f"{first}-{first + size - 1}"
    raise _errors.LxcTaskError(
        f"an unprivileged task needs subordinate ids of root, {wanted}, and /etc/subuid and /etc/subgid do not both have them",
        hint=f"run `usermod --add-subuids {ids} --add-subgids {ids} root`, or the role nomadic.lxc.lxc_host, on this host",
    )


def lines(idmap: Idmap) -> list[_config_lines.Pair]:
    """The lines of a configuration; the first clears what a default configuration says."""
    return [(KEY, ""), *((KEY, f"{kind} 0 {idmap.base} {idmap.size}") for kind in "ug")]


def idmap_in(pairs: t.Iterable[t.Sequence[str]]) -> Idmap | None:
    """The range in which a configuration maps the users from root on; None if it maps none."""
    found: Idmap | None = None
    for words in [value.split() for key, value in pairs if key == KEY]:
        if not words:
            found = None
        elif words[:2] in (["u", "0"], ["b", "0"]) and _numbers(words[2:]):
            found = Idmap(int(words[2]), int(words[3]))
    return found
