# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at many tasks costs, beside what others cost on the same host in the same run. Started by ``run``."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _converge, _runtime, _sampling, _select, _spec, _stats

# The ratios that must hold.
SAMPLE_GOAL = 0.1
COMMAND_GOAL = 1.3
NAME = "bench-{:03d}"


def defaults(spec: t.Mapping[str, t.Mapping[str, t.Any]], **given: t.Any) -> dict[str, t.Any]:
    """Parameters as AnsibleModule hands them over."""
    return {**{name: row.get("default") for name, row in spec.items()}, **given}


@contextlib.contextmanager
def running(count: int, place: str) -> t.Iterator[dict[str, t.Any]]:
    """So many running busybox tasks; yields the options that say where they are. Removes them."""
    where = {"lxc_path": os.path.join(place, "lxc"), "alloc_dir": os.path.join(place, "alloc"), "network_mode": "empty"}

    def task(number: int, **options: t.Any) -> None:
        params = defaults(_spec.ARGUMENT_SPEC, **where, name=NAME.format(number), **options)
        _converge.converge(params, False)

    try:
        for number in range(count):
            task(number, template="busybox", memory_mb=64, cpu_shares=512)
        yield where
    finally:
        for number in range(count):
            task(number, state="absent", kill_timeout="1ms", purge=True)


def seconds(call: t.Callable[[], t.Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(calls: t.Mapping[str, t.Callable[[], t.Any]], rounds: int) -> dict[str, float]:
    """The least time of each, since all above it is what else the host did. Taken in turns; the first one warms up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            taken = seconds(call)
            if turn > 0:
                times[name].append(taken)
    return {name: min(values) for name, values in times.items()}


def quiet(*command: str) -> None:
    """Run a command, which must succeed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def samples(where: t.Mapping[str, t.Any], count: int, rounds: int) -> dict[str, float]:
    """Seconds for one task: its sample alone, its sample with the look for it, and lxc-info."""
    params = defaults(_sampling.ARGUMENT_SPEC, **where)
    wanted = _select.parse_selection(params)
    runtime = _runtime.Runtime(wanted.lxc_path)
    views, _warnings = _select.select(wanted, runtime)
    groups = [group for group in map(_select.group_of, views) if group is not None]
    if len(groups) != count:
        sys.exit(f"{len(groups)} of {count} tasks run")

    def take() -> None:
        if None in [_stats.take(group) for group in groups]:
            sys.exit("a task ended")

    def look_and_take() -> None:
        if len(_sampling.stats({**params, "interval": "0"}, False)["stats"]) != count:
            sys.exit("a task ended")

    def lxc_info() -> None:
        for number in range(count):
            quiet("lxc-info", "-P", where["lxc_path"], "-n", NAME.format(number))

    calls = {"a sample": take, "a look and a sample": look_and_take, "lxc-info": lxc_info}
    return {name: taken / count for name, taken in interleaved(calls, rounds).items()}


def commands(ansible: str, where: t.Mapping[str, t.Any], rounds: int) -> dict[str, float]:
    """Seconds of whole commands over all tasks, all with the system's Python."""

    def command(module: str, options: str = "") -> t.Callable[[], None]:
        call = [ansible, "localhost", "-e", f"ansible_python_interpreter={sys.executable}", "-m", module]
        return lambda: quiet(*call, *(["-a", options] if options else []))

    place = f"lxc_path={where['lxc_path']}"
    calls = {
        "ansible.builtin.ping": command("ansible.builtin.ping"),
        "nomadic.lxc.lxc_task_facts": command("nomadic.lxc.lxc_task_facts", place),
        "nomadic.lxc.lxc_task_stats": command("nomadic.lxc.lxc_task_stats", f"{place} interval=0"),
    }
    return interleaved(calls, rounds)


def judge(what: str, ratio: float, goal: float) -> bool:
    """Print a ratio beside its goal; whether it is met."""
    met = ratio <= goal
    print(f"{what:<62} {ratio:6.3f}   goal: at most {goal:g}   {'met' if met else 'MISSED'}")
    return met


def main() -> None:
    """Make the tasks, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ansible", required=True, help="the command ansible")
    parser.add_argument("--place", required=True, help="an empty directory for the tasks")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"making {options.tasks} running tasks ...", flush=True)
    with running(options.tasks, options.place) as where:
        print("measuring ...", flush=True)
        one = samples(where, options.tasks, options.rounds)
        whole = commands(options.ansible, where, options.rounds)
    print(f"\nthe least of {options.rounds} rounds, {options.tasks} running tasks")
    for name, taken in one.items():
        print(f"{name + ', one task':<62} {taken * 1000:8.2f} ms")
    for name, taken in whole.items():
        print(f"{'ansible -m ' + name:<62} {taken * 1000:8.0f} ms")
    ping = whole["ansible.builtin.ping"]
    met = [judge("a sample / lxc-info", one["a sample"] / one["lxc-info"], SAMPLE_GOAL)]
    met.append(judge("a look and a sample / lxc-info", one["a look and a sample"] / one["lxc-info"], SAMPLE_GOAL))
    for name in ("nomadic.lxc.lxc_task_facts", "nomadic.lxc.lxc_task_stats"):
        met.append(judge(f"{name} / ping, whole commands", whole[name] / ping, COMMAND_GOAL))
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
