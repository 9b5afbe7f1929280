# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The textfile, read back by the format's own parser."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._prometheus import METRICS, Labels, escape_label, render
from ansible_collections.nomadic.lxc.plugins.module_utils._stats import SECOND, Sample, take
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.cgroup_fixtures import CASES, lay_out
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

WEB = Labels("web", "5e1d", "web-5e1d")
ALONE = Labels("db", "", "db")
NUMBERS = tuple(field.name for field in dataclasses.fields(Sample) if field.type == "int | None")
BYTES = {
    *("rss", "cache", "swap", "max_usage", "kernel_usage", "kernel_max_usage", "memory_limit"),
    *("io_read", "io_written"),
}
# All that can be a label's value: no lone surrogate, which UTF-8 can't say.
LABEL = st.text(st.characters(exclude_categories=["Cs"]))


def make(**numbers: int | None) -> Sample:
    """A sample in which all but these numbers are lacking."""
    empty: dict[str, t.Any] = dict.fromkeys(NUMBERS)
    return Sample(version=2, identity=(1,), timestamp=1, monotonic=1, **{**empty, **numbers})


def series(text: str) -> dict[tuple[str, Labels], float]:
    """What the parser reads: (name of the sample, its labels) to its value; each at most once, and without a timestamp."""
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, Labels(**sample.labels))
            assert key not in found
            assert sample.timestamp is None
            found[key] = sample.value
    return found


def test_every_number_of_a_sample_has_a_metric_or_a_reason() -> None:
    # Ticks are user and system time once more.
    assert sorted(metric.field for metric in METRICS) == sorted(set(NUMBERS) - {"ticks"})


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_are_conventional(metric: t.Any) -> None:
    assert metric.name.startswith("lxc_task_")
    assert metric.name.endswith("_total") is (metric.kind == "counter")
    assert ("_seconds" in metric.name) is metric.nanoseconds
    assert ("_bytes" in metric.name) is (metric.field in BYTES)
    assert "\\" not in metric.help
    assert "\n" not in metric.help


def test_the_text() -> None:
    samples = {WEB: make(cpu=12_345_678_901, rss=4096), ALONE: make(cpu=5, oom_kills=0)}
    assert render(samples) == (
        "# HELP lxc_task_cpu_seconds_total CPU time used.\n"
        "# TYPE lxc_task_cpu_seconds_total counter\n"
        'lxc_task_cpu_seconds_total{task="db",alloc="",container="db"} 0.000000005\n'
        'lxc_task_cpu_seconds_total{task="web",alloc="5e1d",container="web-5e1d"} 12.345678901\n'
        "# HELP lxc_task_memory_rss_bytes Anonymous memory.\n"
        "# TYPE lxc_task_memory_rss_bytes gauge\n"
        'lxc_task_memory_rss_bytes{task="web",alloc="5e1d",container="web-5e1d"} 4096\n'
        "# HELP lxc_task_oom_kills_total Processes killed for want of memory.\n"
        "# TYPE lxc_task_oom_kills_total counter\n"
        'lxc_task_oom_kills_total{task="db",alloc="",container="db"} 0\n'
    )


def test_no_tasks_no_text() -> None:
    assert render({}) == ""
    assert render({WEB: make()}) == ""


@pytest.mark.parametrize("case", CASES)
def test_real_samples_come_back_in_base_units(case: str, tmp_path: Path) -> None:
    sample = take(lay_out(case, "used", tmp_path).cgroup(), 100)
    assert sample is not None
    read = series(render({WEB: sample}))
    for metric in METRICS:
        value = getattr(sample, metric.field)
        if value is None:
            assert (metric.name, WEB) not in read
        else:
            assert read[metric.name, WEB] == pytest.approx(value / SECOND if metric.nanoseconds else value)


def test_the_parser_sees_the_types_and_help() -> None:
    every = make(**dict.fromkeys(NUMBERS, 1))
    families = {family.name: family for family in text_string_to_metric_families(render({WEB: every}))}
    assert len(families) == len(METRICS)
    for metric in METRICS:
        # The parser names a family of counters without its ending.
        family = families[metric.name[: -len("_total")] if metric.kind == "counter" else metric.name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("web", "web"),
        ('a"b', 'a\\"b'),
        ("a\\b", "a\\\\b"),
        ("a\nb", "a\\nb"),
        ("a\\nb", "a\\\\nb"),
        ("\udcff", "?"),
        ("é", "é"),
    ],
)
def test_escaping(value: str, escaped: str) -> None:
    assert escape_label(value) == escaped


@given(st.dictionaries(st.builds(Labels, LABEL, LABEL, LABEL), st.integers(0, 2**63), max_size=5))
def test_any_labels_come_back(values: dict[Labels, int]) -> None:
    text = render({labels: make(rss=value) for labels, value in values.items()})
    assert text.encode("utf-8").decode("utf-8") == text
    assert series(text) == {("lxc_task_memory_rss_bytes", labels): value for labels, value in values.items()}


@given(st.lists(st.builds(Labels, LABEL, LABEL, LABEL), unique=True, max_size=5), st.randoms())
def test_the_order_is_stable(labels: list[Labels], random: t.Any) -> None:
    shuffled = list(labels)
    random.shuffle(shuffled)
    assert render({one: make(rss=1) for one in labels}) == render({one: make(rss=1) for one in shuffled})


@given(st.integers(0, 2**64))
def test_nanoseconds_are_seconds_exactly(nanoseconds: int) -> None:
    line = render({WEB: make(cpu=nanoseconds)}).split("\n")[2]
    whole, dot, fraction = line.split(" ")[1].partition(".")
    assert dot == "."
    assert int(whole) * SECOND + int(fraction) == nanoseconds
    assert len(fraction) == 9
