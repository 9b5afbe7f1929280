# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of cgroup files, and what it means: numbers, limits and places. Pure; no file is touched.

Knows both generations and hosts that mix them. Formats and rules come from the kernel's documents:
Documentation/admin-guide/cgroup-v1/memory.rst, Documentation/admin-guide/cgroup-v2.rst, and from the manual pages cgroups(7)
and proc(5). How liblxc names its cgroups is in lxc.container.conf(5), ``lxc.cgroup.dir``.
"""

from __future__ import annotations

import os
import sys
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup_mounts

NO_LIMIT = None

MIB = 1024 * 1024
# cpu.shares: the default, and the range to which the kernel clamps (sched/core.c: MIN_SHARES, MAX_SHARES).
DEFAULT_SHARES = 1024
MIN_SHARES = 2
MAX_SHARES = 262144
# cpu.weight: the default and the range, cgroup-v2.rst, "CPU Interface Files".
DEFAULT_WEIGHT = 100
MIN_WEIGHT = 1
MAX_WEIGHT = 10000

# Digits in the largest 64-bit number.
_MOST_DIGITS = 20


class Limits(t.NamedTuple):
    """What the kernel holds for a running container.

    ``memory``: bytes, None for no limit. ``cpu_shares``: on v1's scale (a v2 weight is converted back), None where the
    container has no cpu controller.
    """

    memory: int | None
    cpu_shares: int | None


# ---- numbers -------------------------------------------------------------------------------------------------------


def page_size() -> int:
    """Bytes in a page; memory limits are kept in whole pages."""
    return os.sysconf("SC_PAGE_SIZE")


def _page_counter_max() -> int:
    """The most pages a limit can hold, PAGE_COUNTER_MAX of the kernel's include/linux/page_counter.h; it means no limit."""
    return sys.maxsize if sys.maxsize < 2**32 else sys.maxsize // page_size()


def whole_pages(limit: int | None) -> int | None:
    """A limit in bytes as the kernel stores it: whole pages, rounded down; None for no limit."""
    if limit is None or limit < 0:
        return None
    pages = limit // page_size()
    return None if pages >= _page_counter_max() else pages


def same_memory(a: int | None, b: int | None) -> bool:
    """Whether two limits in bytes are one limit to the kernel. None, a negative one and PAGE_COUNTER_MAX mean no limit."""
    return whole_pages(a) == whole_pages(b)


def shares_to_weight(shares: int) -> int:
    """``cpu.shares`` as ``cpu.weight``, by systemd's rule: the defaults 1024 and 100 meet, the rest is in proportion."""
    return min(max(shares * DEFAULT_WEIGHT // DEFAULT_SHARES, MIN_WEIGHT), MAX_WEIGHT)


def weight_to_shares(weight: int) -> int:
    """The reverse of shares_to_weight: the least number of shares that is this weight. Rounded up, so that it comes back."""
    return min(max(-(-weight * DEFAULT_SHARES // DEFAULT_WEIGHT), MIN_SHARES), MAX_SHARES)


def clamp_shares(shares: int | None) -> int:
    return DEFAULT_SHARES if shares is None else min(max(shares, MIN_SHARES), MAX_SHARES)


def same_shares(a: int | None, b: int | None, version: int) -> bool:
    """Whether two numbers of shares are one to a kernel with this generation of the cpu controller; None is its default.

    A weight is coarser than shares: several numbers of shares are one weight.
    """
    one, other = clamp_shares(a), clamp_shares(b)
    if version == _cgroup_mounts.V2:
        return shares_to_weight(one) == shares_to_weight(other)
    return one == other


def memory_lines(memory_mb: int | None) -> list[tuple[str, str]]:
    """The LXC keys that limit memory to so many MiB, for both generations; LXC passes over the other generation's."""
    if memory_mb is None:
        return []
    limit = str(memory_mb * MIB)
    return [("lxc.cgroup.memory.limit_in_bytes", limit), ("lxc.cgroup2.memory.max", limit)]


def cpu_lines(cpu_shares: int | None) -> list[tuple[str, str]]:
    """The LXC keys for so many CPU shares, for both generations."""
    if cpu_shares is None:
        return []
    return [
        ("lxc.cgroup.cpu.shares", str(cpu_shares)),
        ("lxc.cgroup2.cpu.weight", str(shares_to_weight(cpu_shares))),
    ]


def parse_number(text: str | None) -> int | None:
    """The number in a single-value file; None for ``max``, for nothing, and for what is no number."""
    word = (text or "").strip()
    sign, digits = (-1, word[1:]) if word.startswith("-") else (1, word)
    return sign * int(digits) if digits.isdigit() and digits.isascii() and len(digits) <= _MOST_DIGITS else None


def parse_stat(text: str | None) -> dict[str, int]:
    """A flat keyed file (``memory.stat``, ``cpu.stat``, ``memory.events``, ...) as numbers; unknown lines are passed over."""
    numbers: dict[str, int] = {}
    for line in (text or "").split("\n"):
        key, _blank, word = line.partition(" ")
        # Done here, and without a sign, since a sample reads hundreds of such lines.
        if word.isdigit() and word.isascii() and len(word) <= _MOST_DIGITS:
            numbers[key] = int(word)
    return numbers


# ---- location ------------------------------------------------------------------------------------------------------


def parse_membership(text: str) -> list[tuple[frozenset[str], str]]:
    """``/proc/PID/cgroup`` as (controllers, path) per hierarchy; no controller at all is the unified one. See cgroups(7)."""
    memberships: list[tuple[frozenset[str], str]] = []
    for line in text.split("\n"):
        fields = line.split(":", 2)
        if len(fields) == 3 and fields[2].startswith("/"):
            memberships.append((frozenset(filter(None, fields[1].split(","))), fields[2]))
    return memberships


def components(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def made_by_liblxc(component: str, prefix: str, container_name: str) -> bool:
    """Whether liblxc named this cgroup for the container; it adds ``-N`` where the plain name was taken."""
    if not component.startswith(prefix + container_name):
        return False
    hyphen, number = component[len(prefix + container_name) :][:1], component[len(prefix + container_name) + 1 :]
    return not hyphen or (hyphen == "-" and number.isascii() and number.isdigit())


def container_path(path: str, container_name: str, cgroup_dir: str | None = None) -> str:
    """One hierarchy's path of a container's init, cut after the cgroup that is the container's own.

    That is ``lxc.payload.NAME`` (also with ``-N``), beneath ``lxc.cgroup.dir`` if that is set, or the path that
    ``lxc.cgroup.dir.container`` gives. An init like systemd lives in a child of it. The first such component counts: the
    ones below it are the container's to name. A path that has none is returned as it is.
    """
    path = path.removesuffix(" (deleted)")
    parts = components(path)
    for index, part in enumerate(parts):
        if made_by_liblxc(part, "lxc.payload.", container_name):
            return "/" + "/".join(parts[: index + 1])
    wanted = components(cgroup_dir or "")
    for index in range(len(parts) - len(wanted) + 1 if wanted else 0):
        if parts[index : index + len(wanted)] == wanted:
            return "/" + "/".join(parts[: index + len(wanted)])
    return path


def below_root(path: str, root: str) -> str | None:
    """``path`` relative to the mounted part of its hierarchy; None if it lies outside, or is that part itself.

    In the kernel's words a path outside the reader's cgroup namespace begins with ``/..``; no directory shows it.
    """
    parts, top = components(path), components(root)
    rest = parts[len(top) :]
    if parts[: len(top)] != top or not rest or ".." in rest:
        return None
    return "/".join(rest)
