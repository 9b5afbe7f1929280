# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container uses: counters sampled from its cgroup, and two samples made into one usage.

Sources: Documentation/admin-guide/cgroup-v2.rst; Documentation/admin-guide/cgroup-v1/ memory.rst, cpuacct.rst,
blkio-controller.rst, pids.rst; Documentation/scheduler/sched-bwc.rst. What a kernel does not give is None, never zero.
"""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup_mounts, _cgroup_reader, _cgroup_text

SECOND = 1_000_000_000
# Nanoseconds in which the CPU counters and the clock are read where nothing interferes, and how often that is tried.
_AT_ONCE = 1_000_000
_ATTEMPTS = 5

# Key in the returned dict, which is also the Sample's field, and its name in ``measured``.
_MEMORY = (
    ("rss", "RSS"),
    ("cache", "Cache"),
    ("swap", "Swap"),
    ("max_usage", "Max Usage"),
    ("kernel_usage", "Kernel Usage"),
    ("kernel_max_usage", "Kernel Max Usage"),
)
_CPU = (
    ("system_mode", "System Mode"),
    ("user_mode", "User Mode"),
    ("percent", "Percent"),
)


@dataclass(frozen=True)
class Sample:
    """One reading of a container's counters: of its cgroup and all below. None is what this kernel does not give.

    Times are nanoseconds, sizes bytes. ``monotonic`` is for differences, ``timestamp`` is UTC. ``ticks`` is user and system
    time in clock ticks. ``identity`` tells the cgroup from one of the same name that a restart made.
    """

    version: int
    identity: tuple[int, ...]
    timestamp: int
    monotonic: int
    cpu: int | None
    system: int | None
    user: int | None
    ticks: int | None
    rss: int | None
    cache: int | None
    swap: int | None
    max_usage: int | None
    kernel_usage: int | None
    kernel_max_usage: int | None
    memory_limit: int | None
    oom_kills: int | None
    pids: int | None
    io_read: int | None
    io_written: int | None
    throttled_periods: int | None
    throttled: int | None


# ---- text to numbers -----------------------------------------------------------------------------------------------


def parse_io(text: str | None) -> tuple[int, int] | None:
    """``io.stat`` of v2 as bytes (read, written), all devices together; None where the kernel has no such file.

    A line is ``MAJOR:MINOR rbytes=N wbytes=N rios=N ...``. A container that did no I/O has no line.
    """
    if text is None:
        return None
    counts = {"rbytes": 0, "wbytes": 0}
    for word in text.split():
        key, _equals, value = word.partition("=")
        number = _cgroup_text.parse_number(value)
        if key in counts and number is not None:
            counts[key] += number
    return counts["rbytes"], counts["wbytes"]


def parse_blkio(text: str | None) -> tuple[int, int] | None:
    """``blkio.throttle.io_service_bytes`` of v1 as bytes (read, written); None where it names no device.

    A line is ``MAJOR:MINOR Read N``, with other operations, which count the same bytes again, and a ``Total N``. Newer
    kernels count only where a throttling rule is set, and say ``Total 0`` of a busy container otherwise (seen on 6.18).
    """
    counts: dict[str, int] = {}
    for line in (text or "").split("\n"):
        words = line.split()
        number = _cgroup_text.parse_number(words[2]) if len(words) == 3 else None
        if number is not None and words[1] in ("Read", "Write"):
            counts[words[1]] = counts.get(words[1], 0) + number
    return (counts.get("Read", 0), counts.get("Write", 0)) if counts else None


def _times(number: int | None, factor: int) -> int | None:
    return None if number is None else number * factor


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


# ---- files to a sample ---------------------------------------------------------------------------------------------


def _cpu(cgroup: _cgroup_reader.CgroupReader, cpu_stat: t.Mapping[str, int], clock_ticks: int) -> dict[str, int | None]:
    if cgroup.generation("cpuacct") == _cgroup_mounts.V1:
        total = _cgroup_text.parse_number(cgroup.read("cpuacct", "cpuacct.usage"))
        stat = _cgroup_text.parse_stat(cgroup.read("cpuacct", "cpuacct.stat"))  # in clock ticks, USER_HZ
        user, system = stat.get("user"), stat.get("system")
        return {
            "cpu": total,
            "user": None if user is None else user * SECOND // clock_ticks,
            "system": None if system is None else system * SECOND // clock_ticks,
            "ticks": _sum(user, system),
        }
    # Unless the cpu controller is a v1 one beside it, this is the file that was read already.
    unified = (
        cpu_stat
        if cgroup.generation("cpu") == _cgroup_mounts.V2
        else _cgroup_text.parse_stat(cgroup.read("cpuacct", "cpu.stat"))
    )
    user, system = unified.get("user_usec"), unified.get("system_usec")
    both = _sum(user, system)
    return {
        "cpu": _times(unified.get("usage_usec"), 1000),
        "user": _times(user, 1000),
        "system": _times(system, 1000),
        "ticks": None if both is None else both * clock_ticks // 1_000_000,
    }


def _throttled(cpu_stat: t.Mapping[str, int]) -> dict[str, int | None]:
    """``cpu.stat``: how many enforcement intervals ended throttled, and for how long in all. v1 tells nanoseconds."""
    time_v1, time_v2 = cpu_stat.get("throttled_time"), _times(cpu_stat.get("throttled_usec"), 1000)
    return {
        "throttled_periods": cpu_stat.get("nr_throttled"),
        "throttled": time_v2 if time_v1 is None else time_v1,
    }


def _memory(cgroup: _cgroup_reader.CgroupReader) -> dict[str, int | None]:
    def number(file: str) -> int | None:
        return _cgroup_text.parse_number(cgroup.read("memory", file))

    stat = _cgroup_text.parse_stat(cgroup.read("memory", "memory.stat"))
    if cgroup.version == _cgroup_mounts.V1:
        # The total_ rows are those of the whole hierarchy.
        return {
            "rss": stat.get("total_rss"),
            "cache": stat.get("total_cache"),
            "swap": stat.get("total_swap"),
            "max_usage": number("memory.max_usage_in_bytes"),
            "kernel_usage": number("memory.kmem.usage_in_bytes"),
            "kernel_max_usage": number("memory.kmem.max_usage_in_bytes"),
            "oom_kills": _oom_kills_v1(cgroup),
        }
    return {
        "rss": stat.get("anon"),
        "cache": stat.get("file"),
        "swap": number("memory.swap.current"),
        "max_usage": number("memory.peak"),  # Linux 5.19
        "kernel_usage": stat.get("kernel"),  # Linux 5.18
        "kernel_max_usage": None,
        "oom_kills": _cgroup_text.parse_stat(cgroup.read("memory", "memory.events")).get("oom_kill"),
    }


def _oom_kills_v1(cgroup: _cgroup_reader.CgroupReader) -> int | None:
    """v1 counts a kill only in the cgroup of the process that was killed, and forgets it when that cgroup goes."""
    counts = [
        _cgroup_text.parse_stat(text).get("oom_kill") for text in cgroup.read_tree("memory", "memory.oom_control")
    ]
    known = [count for count in counts if count is not None]  # Linux 4.13
    return sum(known) if known else None


def _io(cgroup: _cgroup_reader.CgroupReader) -> dict[str, int | None]:
    if cgroup.generation("blkio") == _cgroup_mounts.V1:
        text = cgroup.read("blkio", "blkio.throttle.io_service_bytes_recursive")  # Linux 4.19
        if text is None:
            text = cgroup.read("blkio", "blkio.throttle.io_service_bytes")
        bytes_moved = parse_blkio(text)
    else:
        bytes_moved = parse_io(cgroup.read("io", "io.stat"))
    read, written = bytes_moved if bytes_moved is not None else (None, None)
    return {"io_read": read, "io_written": written}


def _clocked(cgroup: _cgroup_reader.CgroupReader, hertz: int) -> tuple[int, int, dict[str, int | None], dict[str, int]]:
    """The CPU counters and when they were read: monotonic and UTC nanoseconds, the counters, and ``cpu.stat``.

    Their quotient is the percent, so the clock must be read with them. On a busy host this process may have to wait
    between the two, and then they are read again.
    """
    for left in reversed(range(_ATTEMPTS)):
        before, timestamp = time.monotonic_ns(), time.time_ns()
        cpu_stat = _cgroup_text.parse_stat(cgroup.read("cpu", "cpu.stat"))
        cpu = _cpu(cgroup, cpu_stat, hertz)
        taken = time.monotonic_ns() - before
        if taken <= _AT_ONCE or not left:
            break
    return before + taken // 2, timestamp + taken // 2, cpu, cpu_stat


def take(cgroup: _cgroup_reader.CgroupReader, clock_ticks: int | None = None) -> Sample | None:
    """Sample a running container; None if it vanished. ``clock_ticks`` is USER_HZ, by default this host's."""
    hertz = os.sysconf("SC_CLK_TCK") if clock_ticks is None else clock_ticks
    monotonic, timestamp, cpu, cpu_stat = _clocked(cgroup, hertz)
    memory, io, throttled = _memory(cgroup), _io(cgroup), _throttled(cpu_stat)
    limit = cgroup.memory_limit()
    pids = _cgroup_text.parse_number(cgroup.read("pids", "pids.current"))
    # Last: what is still there now was there all along, so nothing above is missing only because the container ended.
    identity = cgroup.identity("cpuacct", "memory")
    if identity is None:
        return None
    return Sample(
        version=cgroup.version,
        identity=identity,
        timestamp=timestamp,
        monotonic=monotonic,
        memory_limit=limit,
        pids=pids,
        **cpu,
        **memory,
        **io,
        **throttled,
    )


# ---- samples to a usage --------------------------------------------------------------------------------------------


def percent(used: int, passed: int) -> float:
    """Nanoseconds of CPU time over nanoseconds of wall time, in percent of one CPU; zero where either did not grow."""
    return round(used / passed * 100, 2) if used > 0 and passed > 0 else 0.0


def _share(first: Sample | None, second: Sample, name: str) -> float | None:
    if first is None or first.identity != second.identity:
        return None
    before: int | None = getattr(first, name)
    now: int | None = getattr(second, name)
    if before is None or now is None:
        return None
    return percent(now - before, second.monotonic - first.monotonic)


def _measured(values: t.Mapping[str, t.Any], names: t.Sequence[tuple[str, str]]) -> list[str]:
    return [name for key, name in names if values[key] is not None]


def usage(first: Sample | None, second: Sample) -> dict[str, t.Any]:
    """One container's entry in ``stats``: percents over the time between the samples, all else as of the second.

    Without a first sample, or with one from before a restart, the percents are None and not named in ``measured``.
    """
    cpu = {
        "system_mode": _share(first, second, "system"),
        "user_mode": _share(first, second, "user"),
        "percent": _share(first, second, "cpu"),
        "total_ticks": second.ticks,
    }
    memory: dict[str, int | None] = {key: getattr(second, key) for key, _name in _MEMORY}
    return {
        "cpu": {**cpu, "measured": _measured(cpu, _CPU)},
        "memory": {**memory, "measured": _measured(memory, _MEMORY)},
        "memory_limit": second.memory_limit,
        "oom_kills": second.oom_kills,
        "pids": second.pids,
        "io": {"read_bytes": second.io_read, "write_bytes": second.io_written},
        "throttled": {
            "periods": second.throttled_periods,
            "time": None if second.throttled is None else second.throttled / SECOND,
        },
        "timestamp": second.timestamp,
        "cgroup_version": second.version,
    }
