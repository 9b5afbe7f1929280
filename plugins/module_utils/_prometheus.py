# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples as a file for node_exporter's textfile collector.

Format: Prometheus' "Exposition formats", the text-based one, version 0.0.4. Names and units: Prometheus' "Metric and label
naming" (base units, ``_total`` for counters). The collector refuses timestamps, and a whole file for one series that comes
twice, which the mapping of labels to samples rules out. What a kernel does not give has no line.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.nomadic.lxc.plugins.module_utils import _stats

COUNTER = "counter"
GAUGE = "gauge"


class Labels(t.NamedTuple):
    """What identifies a container. ``alloc`` is empty for a task without one: an empty label counts as none."""

    task: str
    alloc: str
    container: str


@dataclass(frozen=True)
class Metric:
    """One row: a field of Sample, the metric that shows it, and whether it is kept in nanoseconds there."""

    field: str
    name: str
    kind: str
    help: str
    nanoseconds: bool = False


METRICS = (
    Metric("cpu", "lxc_task_cpu_seconds_total", COUNTER, "CPU time used.", nanoseconds=True),
    Metric("user", "lxc_task_cpu_user_seconds_total", COUNTER, "CPU time used in user mode.", nanoseconds=True),
    Metric("system", "lxc_task_cpu_system_seconds_total", COUNTER, "CPU time used in kernel mode.", nanoseconds=True),
    Metric(
        "throttled_periods",
        "lxc_task_cpu_throttled_periods_total",
        COUNTER,
        "Enforcement periods of the CPU quota in which the task was throttled.",
    ),
    Metric("throttled", "lxc_task_cpu_throttled_seconds_total", COUNTER, "Time throttled.", nanoseconds=True),
    Metric("rss", "lxc_task_memory_rss_bytes", GAUGE, "Anonymous memory."),
    Metric("cache", "lxc_task_memory_cache_bytes", GAUGE, "Page cache."),
    Metric("swap", "lxc_task_memory_swap_bytes", GAUGE, "Swap used."),
    Metric("max_usage", "lxc_task_memory_max_usage_bytes", GAUGE, "The most memory used so far."),
    Metric("kernel_usage", "lxc_task_memory_kernel_usage_bytes", GAUGE, "Kernel memory."),
    Metric("kernel_max_usage", "lxc_task_memory_kernel_max_usage_bytes", GAUGE, "The most kernel memory used so far."),
    Metric("memory_limit", "lxc_task_memory_limit_bytes", GAUGE, "Memory limit; absent where there is none."),
    Metric("oom_kills", "lxc_task_oom_kills_total", COUNTER, "Processes killed for want of memory."),
    Metric("pids", "lxc_task_pids", GAUGE, "Processes and threads."),
    Metric("io_read", "lxc_task_io_read_bytes_total", COUNTER, "Bytes read from block devices."),
    Metric("io_written", "lxc_task_io_written_bytes_total", COUNTER, "Bytes written to block devices."),
)


def escape_label(value: str) -> str:
    """A label's value between its quotes: backslash, quote and newline are escaped. Must be UTF-8: what is not becomes ``?``."""
    text = value.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _label_set(labels: Labels) -> str:
    return ",".join(f'{name}="{escape_label(value)}"' for name, value in zip(Labels._fields, labels))


def _number(value: int, nanoseconds: bool) -> str:
    """Exact, in base units: nanoseconds become decimal seconds."""
    return f"{value // _stats.SECOND}.{value % _stats.SECOND:09d}" if nanoseconds else str(value)


def render(samples: t.Mapping[Labels, _stats.Sample]) -> str:
    """All samples as the text of a textfile, grouped by metric as the format asks, in a stable order; empty for none."""
    lines: list[str] = []
    for metric in METRICS:
        series = [
            f"{metric.name}{{{_label_set(labels)}}} {_number(value, metric.nanoseconds)}"
            for labels, sample in sorted(samples.items(), key=lambda item: item[0])
            for value in [getattr(sample, metric.field)]
            if value is not None
        ]
        if series:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}", *series]
    return "".join(f"{line}\n" for line in lines)
