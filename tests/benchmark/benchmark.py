# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looking at many tasks and waiting for one cost, beside what others cost on the same host. Started by ``run``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import sys
import time
import typing as t

from _bench import Cost, Failed, interleaved, judge, quiet
from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _converge,
    _facts,
    _liblxc,
    _sampling,
    _select,
    _spec,
    _stats,
)

# The ratios that must hold, and how many milliseconds after a death a wait must have noticed it, and be back.
SAMPLE_GOAL = 0.1
COMMAND_GOAL = 1.3
WAIT_GOAL = 50.0
NAME = "bench-{:03d}"


def defaults(spec: t.Mapping[str, t.Mapping[str, t.Any]], **given: t.Any) -> dict[str, t.Any]:
    """Parameters as AnsibleModule hands them over."""
    return {**{name: row.get("default") for name, row in spec.items()}, **given}


@contextlib.contextmanager
def running(count: int, bridged: int, place: str) -> t.Iterator[dict[str, t.Any]]:
    """So many running busybox tasks, some on a bridge; yields the options that say where they are. Removes them."""
    where = {"lxc_path": os.path.join(place, "lxc"), "alloc_dir": os.path.join(place, "alloc")}

    def task(number: int, **options: t.Any) -> None:
        params = defaults(_spec.ARGUMENT_SPEC, **where, name=NAME.format(number), **options)
        _converge.converge(params, False)

    try:
        for number in range(count):
            mode = "bridge" if number < bridged else "empty"
            task(number, template="busybox", memory_mb=64, cpu_shares=512, network_mode=mode)
        yield where
    finally:
        for number in range(count):
            task(number, state="absent", kill_timeout="1ms", purge=True)


def least(costs: t.Mapping[str, t.Sequence[Cost]]) -> dict[str, Cost]:
    """The least cost of each, since all above it is what else the host did."""
    return {name: Cost(min(it.time for it in every), min(it.cpu for it in every)) for name, every in costs.items()}


def samples(where: t.Mapping[str, t.Any], count: int, rounds: int) -> dict[str, float]:
    """Seconds for one task: its sample alone, its sample with the look for it, and lxc-info."""
    params = defaults(_sampling.ARGUMENT_SPEC, **where)
    wanted = _select.parse_selection(params)
    views, _warnings = _select.select(wanted, _liblxc.Containers(wanted.lxc_path))
    groups = [group for group in map(_sampling.cgroup_of, views) if group is not None]
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
    return {name: taken / count for name, (taken, _cpu) in least(interleaved(calls, rounds)).items()}


def commands(ansible: str, where: t.Mapping[str, t.Any], rounds: int) -> dict[str, Cost]:
    """What it takes in whole commands over all tasks, all with the system's Python."""

    def command(module: str, options: str = "") -> t.Callable[[], None]:
        call = [ansible, "localhost", "-e", f"ansible_python_interpreter={sys.executable}", "-m", module]
        return lambda: quiet(*call, *(["-a", options] if options else []))

    place = f"lxc_path={where['lxc_path']}"
    calls = {
        "ansible.builtin.ping": command("ansible.builtin.ping"),
        "nomadic.lxc.lxc_task_facts": command("nomadic.lxc.lxc_task_facts", place),
        "nomadic.lxc.lxc_task_stats": command("nomadic.lxc.lxc_task_stats", f"{place} interval=0"),
    }
    return least(interleaved(calls, rounds))


def waits(where: t.Mapping[str, t.Any], rounds: int) -> tuple[float, float]:
    """The most milliseconds from the death of an init until a wait in another process noticed it, and was back."""
    noticed, back = [], []
    for number in range(rounds):
        name = NAME.format(number)
        params = defaults(_facts.ARGUMENT_SPEC, **where, name=name, wait="exited")
        pid = _facts.facts({**params, "wait": None}, False)["tasks"][0]["init_pid"]
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            waited = _facts.facts(params, False)["waited"]
            os.write(writable, json.dumps([waited["noticed_at"][name], time.time_ns()]).encode())
            os._exit(0)
        time.sleep(0.5)
        descriptor = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        os.kill(pid, signal.SIGKILL)
        poll.poll()
        death = time.time_ns()
        moments = json.loads(os.read(readable, 1000))
        noticed.append((moments[0] - death) / 1e6)
        back.append((moments[1] - death) / 1e6)
        os.waitpid(child, 0)
        for used in (descriptor, readable, writable):
            os.close(used)
    return max(noticed), max(back)


def main() -> None:
    """Make the tasks, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ansible", required=True, help="the command ansible")
    parser.add_argument("--place", required=True, help="an empty directory for the tasks")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"making {options.tasks} running tasks ...", flush=True)
    with running(options.tasks, options.rounds, options.place) as where:
        print("measuring ...", flush=True)
        one = samples(where, options.tasks, options.rounds)
        whole = commands(options.ansible, where, options.rounds)
        noticed, back = waits(where, options.rounds)
    print(f"\n{options.tasks} running tasks; the least of {options.rounds} rounds")
    for name, taken in one.items():
        print(f"{name + ', one task':<62} {taken * 1000:8.3f} ms")
    for name, (taken, cpu) in whole.items():
        print(f"{'ansible -m ' + name:<62} {taken * 1000:8.0f} ms, of CPU time {cpu * 1000:.0f} ms")
    ping, ping_cpu = whole["ansible.builtin.ping"]
    met = [judge("a sample / lxc-info", one["a sample"] / one["lxc-info"], SAMPLE_GOAL)]
    print(f"{'a look and a sample / lxc-info':<62} {one['a look and a sample'] / one['lxc-info']:8.3f}")
    for name in ("nomadic.lxc.lxc_task_facts", "nomadic.lxc.lxc_task_stats"):
        taken, cpu = whole[name]
        met.append(judge(f"{name} / ping", taken / ping, COMMAND_GOAL))
        print(f"{name + ' / ping, by CPU time':<62} {cpu / ping_cpu:8.3f}")
    met.append(judge("from death to notice, the most, in ms", noticed, WAIT_GOAL))
    met.append(judge("from death to the end of the wait, the most, in ms", back, WAIT_GOAL))
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
