# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This collection, community.general.lxc_container and LXC's own tools, side by side in one run. Started by ``compare``."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import threading
import time
import typing as t
from dataclasses import dataclass, field

import _chart
from _bench import Failed, quiet

OURS, PEER, TOOLS, BINDING, PING, ANSWER = (
    "nomadic.lxc.lxc_task_group",
    "community.general.lxc_container",
    "lxc-copy and lxc-start",
    "the binding, four threads",
    "ansible.builtin.ping",
    "a module that only answers",
)
MAKE, SAME, LIMIT, STATS, REMOVE = "make and start", "no-op", "change one limit", "stats of all", "stop and remove"
# What the tools and the binding do: what is cloned is there.
CLONE = "make and start, the image is there"
# What LXC alone needs for the tasks that ours has made, with all that they have.
END, AGAIN = "end what ours has made", "start again what ours has made"
NUMBERS = (1, 10, 100)
LONG = 100
GROWTH = (1, 10, 50, 100, 200, 400)
PEERS_PATH = "/var/lib/lxc"
ANSWERING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_answer.py")
ACTING = "from ansible_collections.nomadic.lxc.plugins.action.lxc_task import ActionModule\n"
# How often what is nearly as short as a ping is done in a turn.
OFTEN = 3
PREFIX = "bench"
# What ours calls its containers.
OF_OURS = f"ours-{{}}-{PREFIX}"
# What the template writes, without a network.
OFFLINE = r"sed -i -e '/^lxc.net/d' -e '$a lxc.net.0.type = empty' "


@dataclass
class Bench:
    """``times``: seconds, by what was done, who did it, and to how many. ``ratios``: of a hundred, how many times as long as the
    ping right before: the host's processor may be twice as quick a minute later.
    """

    ansible: str
    place: str
    rounds: int
    times: dict[tuple[str, str, int], list[float]] = field(default_factory=dict)
    ratios: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    pinged: float = math.nan
    memory: dict[str, float] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where the containers of the tools and of the binding are."""
        return os.path.join(self.place, "lxc")

    @property
    def own(self) -> str:
        """Where ours are: nobody looks at those of others."""
        return os.path.join(self.place, "ours")

    def timed(self, what: str, who: str, count: int, *command: str) -> None:
        """Run a command and keep how long it took."""
        began = time.perf_counter()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        took = time.perf_counter() - began
        if done.returncode != 0:
            raise Failed(f"{who}, {what}, {count}: {' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        self.times.setdefault((what, who, count), []).append(took)
        if count == LONG and not math.isnan(self.pinged):
            self.ratios.setdefault((what, who), []).append(took / self.pinged)
        self.pinged = took if who == PING else math.nan
        with open(os.path.join(self.place, "times.json"), "w", encoding="utf-8") as file:
            json.dump([[*key, found] for key, found in self.times.items()], file)
        print(f"  {what:<18} {who:<34} {count:4d}   {took:8.2f} s", flush=True)

    def median(self, what: str, who: str, count: int) -> float:
        """Seconds; not a number where it was not measured."""
        found = self.times.get((what, who, count))
        return statistics.median(found) if found else float("nan")

    def over_ping(self, what: str, who: str) -> float:
        """How many times as long as a ping it takes with a hundred."""
        found = self.ratios.get((what, who))
        return statistics.median(found) if found else math.nan

    def play(
        self, module: str, options: t.Mapping[str, t.Any], loop: int = 0, then: t.Sequence[t.Any] = ()
    ) -> list[str]:
        """The command that runs a playbook of one task, or of one and more; what it returns is in ``found``."""
        task: dict[str, t.Any] = {module: options}
        if loop:
            task["loop"] = "{{ range(" + str(loop) + ") | list }}"
        if then:
            task["register"] = "found"
        # The implicit localhost would take the controller's own Python, which has no binding.
        interpreter = {"ansible_python_interpreter": sys.executable}
        play = [{"hosts": "localhost", "gather_facts": False, "vars": interpreter, "tasks": [task, *then]}]
        file = os.path.join(self.place, "play.json")
        with open(file, "w", encoding="utf-8") as opened:
            json.dump(play, opened)
        return [self.ansible, file]

    # ---- who is measured

    def ours(self, what: str, count: int) -> None:
        """One call of lxc_task_group, or of lxc_task_stats."""
        if what == STATS:
            command = self.play("nomadic.lxc.lxc_task_stats", {**self.where, "interval": "0"})
        else:
            command = self.play(OURS, self.options(what, count))
        self.timed(what, OURS, count, *command)

    @property
    def where(self) -> dict[str, str]:
        """Where our tasks are."""
        return {"lxc_path": self.own, "alloc_dir": os.path.join(self.place, "alloc")}

    def options(self, what: str, count: int) -> dict[str, t.Any]:
        """Of lxc_task_group."""
        tasks = [{"name": "ours", "count": count}]
        group = {**self.where, "alloc_id": PREFIX, "kill_timeout": "1ms", "tasks": tasks}
        if what == REMOVE:
            return {**group, "state": "absent", "purge": True, "prune_images": True}
        declared: dict[str, t.Any] = {
            **group,
            "template": "busybox",
            "backing_store": "overlay",
            "network_mode": "empty",
        }
        if what == LIMIT:
            declared["memory_mb"] = 48 + len(self.times.get((LIMIT, OURS, count), []))
        return declared

    @property
    def kept(self) -> str:
        """The file of the answer that ours gives to a no-op."""
        return os.path.join(self.place, "answer.json")

    def keep_answer(self, count: int) -> None:
        """Make ready what answers the same: a module of the size of ours, which Ansible runs in the same way."""
        content = "{{ found | dict2items | rejectattr('key', 'in', ['failed', 'invocation']) | items2dict | to_json }}"
        keep = {"ansible.builtin.copy": {"content": content, "dest": self.kept, "mode": "0600"}}
        quiet(*self.play(OURS, self.options(SAME, count), then=[keep]))
        # Where a playbook's own modules are; ansible-core takes none without its first line.
        with open(ANSWERING, encoding="utf-8") as source:
            texts = {"library": f"#!/usr/bin/python\n{source.read()}", "action_plugins": ACTING}
        for directory, text in texts.items():
            os.makedirs(os.path.join(self.place, directory), exist_ok=True)
            with open(os.path.join(self.place, directory, "answer.py"), "w", encoding="utf-8") as file:
                file.write(text)

    def answer(self, count: int) -> None:
        """The floor of a no-op: what is sent, loaded and carried back is the same."""
        self.timed(SAME, ANSWER, count, *self.play("answer", {"file": self.kept}))

    def again(self, count: int) -> None:
        """End our tasks, and have them started by nothing but the tools, four at a time, without the hook that ours spares them."""
        self.binding(END, count)
        one = f"lxc-start -P {self.own} -n {OF_OURS} -s lxc.hook.pre-start="
        self.timed(AGAIN, TOOLS, count, "bash", "-c", f"seq 0 {count - 1} | xargs -P 4 -I{{}} {one}")

    def clone(self, count: int) -> None:
        """Remove all but the image, and make them again."""
        quiet(*self.play(OURS, {**self.options(REMOVE, count), "prune_images": False}))
        self.timed(CLONE, OURS, count, *self.play(OURS, self.options(MAKE, count)))

    def peer(self, what: str, count: int) -> None:
        """A loop over community.general.lxc_container."""
        options = {"name": PREFIX + "-peer-{{ item }}"}
        if what == REMOVE:
            options["state"] = "absent"
        else:
            offline = os.path.join(self.place, "offline.conf")
            with open(offline, "w", encoding="utf-8") as opened:
                opened.write("lxc.net.0.type = empty\n")
            options = {**options, "template": "busybox", "state": "started", "config": offline}
        self.timed(what, PEER, count, *self.play(PEER, options, loop=count))

    def tools(self, what: str, count: int) -> None:
        """A shell loop over LXC's own tools."""
        line = {
            MAKE: "lxc-copy -P $P -p $P -n base -N $n -s -B overlay; lxc-start -P $P -n $n",
            SAME: "lxc-wait -P $P -n $n -s RUNNING -t 0",
            LIMIT: "lxc-cgroup -P $P -n $n memory.limit_in_bytes 64M || lxc-cgroup -P $P -n $n memory.max 64M",
            STATS: "lxc-info -P $P -n $n",
            REMOVE: "lxc-stop -k -P $P -n $n; lxc-destroy -P $P -n $n",
        }[what]
        script = f"set -e; P={self.path}; for i in $(seq {count}); do n={PREFIX}-tool-$i; {line} >/dev/null 2>&1; done"
        self.timed(what, TOOLS, count, "bash", "-c", script)

    def binding(self, what: str, count: int) -> None:
        """The same through liblxc's binding, four at a time; a process of its own, since it moves between control groups."""
        path = self.own if what == END else self.path
        self.timed(what, BINDING, count, sys.executable, __file__, "--binding", what, path, str(count))

    def ping(self) -> None:
        """What a playbook costs that does nothing."""
        self.timed("", PING, 0, *self.play(PING, {}))

    def base(self) -> None:
        """Make the container from which the tools and the binding clone."""
        for path in (self.path, self.own):
            os.makedirs(path, exist_ok=True)
        commands = f"lxc-create -P {self.path} -n base -t busybox && {OFFLINE} {self.path}/base/config"
        subprocess.run(["bash", "-c", commands], stdout=subprocess.DEVNULL, check=True)


def by_binding(what: str, path: str, count: int) -> None:
    """Clone one after the other, start by four threads; or ask for the state, set a limit, stop and destroy."""
    from concurrent.futures import ThreadPoolExecutor

    import lxc

    form = OF_OURS if what == END else f"{PREFIX}-bind-{{}}"
    names = [form.format(number) for number in range(count)]
    if what == MAKE:
        base = lxc.Container("base", path)
        for name in names:
            if not base.clone(name, flags=lxc.LXC_CLONE_SNAPSHOT, bdevtype="overlay", config_path=path):
                sys.exit(f"{name} was not cloned")
    deeds: dict[str, t.Callable[[t.Any], bool]] = {
        MAKE: lambda it: it.start(),
        END: lambda it: it.stop(),
        SAME: lambda it: it.state == "RUNNING",
        LIMIT: lambda it: any(it.set_cgroup_item(key, "64M") for key in ("memory.limit_in_bytes", "memory.max")),
        REMOVE: lambda it: it.stop() and it.destroy(),
    }
    deed = deeds[what]
    with ThreadPoolExecutor(4) as threads:
        if not all(threads.map(lambda name: deed(lxc.Container(name, path)), names)):
            sys.exit("liblxc failed")


class Memory(threading.Thread):
    """Looks at the processes of a module while it runs: the peak of its own, and the sum of all with its workers; MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.own = self.all = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        """Look until it is told to end."""
        while not self.ended.wait(0.05):
            found = [pid for pid in os.listdir("/proc") if pid.isdigit() and self._is_ours(pid)]
            self.own = max([self.own, *(self._kibibytes(pid, "status", "VmHWM") / 1024 for pid in found)])
            self.all = max(self.all, sum(self._kibibytes(pid, "smaps_rollup", "Pss") for pid in found) / 1024)

    @staticmethod
    def _is_ours(pid: str) -> bool:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            return False
        return b"python" in words[0] and any(b"AnsiballZ_lxc_task_group" in word for word in words[1:2])

    @staticmethod
    def _kibibytes(pid: str, file: str, key: str) -> int:
        try:
            with open(f"/proc/{pid}/{file}", encoding="ascii") as opened:
                return next((int(line.split()[1]) for line in opened if line.startswith(f"{key}:")), 0)
        except OSError:
            return 0


def measure(bench: Bench, most: int) -> None:
    """All of it: what is short several times, in turns; the peer's hundred once, and last, since it takes the longest."""
    bench.ping()
    bench.times.clear()  # that one has warmed up
    bench.base()
    for count in NUMBERS:
        print(f"{count} containers", flush=True)
        for turn in range(bench.rounds):
            in_turn(bench, count, (MAKE, SAME, REMOVE) if count == 1 or (count < LONG and turn == 0) else ())
    print("growth", flush=True)
    for count in [number for number in GROWTH if number not in NUMBERS and number <= most]:
        memory = Memory()
        memory.start()
        for what in (MAKE, SAME, LIMIT, REMOVE):
            bench.ours(what, count)
        memory.ended.set()
        memory.join()
        bench.memory = {"count": count, "own": memory.own, "all": memory.all}
    in_turn(bench, LONG, (MAKE, SAME, REMOVE))


def in_turn(bench: Bench, count: int, peers: t.Sequence[str]) -> None:
    """Everything once, and of the peer these."""
    for what in (MAKE, SAME, LIMIT, STATS, REMOVE):
        if what == REMOVE and count == LONG:
            bench.again(count)
            bench.clone(count)
        often = OFTEN if count == LONG and what in (SAME, LIMIT) else 1
        if what == SAME and count == LONG:
            bench.keep_answer(count)
        for _time in range(often):
            bench.ping()
            bench.ours(what, count)
            if what == SAME and count == LONG:
                bench.ping()
                bench.answer(count)
        bench.tools(what, count)
        if what != STATS:
            bench.binding(what, count)
        if what in peers:
            bench.peer(what, count)


@dataclass(frozen=True)
class Goal:
    """A number that must not be exceeded, or must at least be reached."""

    what: str
    found: float
    bound: float
    least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.found >= self.bound if self.least else self.found <= self.bound


def goals(bench: Bench) -> list[Goal]:
    """What must hold."""
    ping = bench.median("", PING, 0)
    made = bench.median(MAKE, OURS, 100)
    alone = made - ping
    return [
        Goal("peer / ours, make and start 100", bench.median(MAKE, PEER, 100) / made, 40, least=True),
        Goal("ours less ping / shell loop of the tools, make and start 100", alone / bench.median(MAKE, TOOLS, 100), 1),
        Goal("the same, where ours finds its image as the tools find their base", (bench.median(CLONE, OURS, 100) - ping) / bench.median(MAKE, TOOLS, 100), 1),
        Goal("ours less ping / binding on four threads, make and start 100", alone / bench.median(MAKE, BINDING, 100), 3),
        Goal("ours / ping, no-op over 100", bench.over_ping(SAME, OURS), 1.3),
        Goal("peer / ours, no-op over 100", bench.median(SAME, PEER, 100) / bench.median(SAME, OURS, 100), 10, least=True),
        Goal("ours / ping, one limit of 100 that run", bench.over_ping(LIMIT, OURS), 1.5),
        Goal("peer / ours, stop and remove 100", bench.median(REMOVE, PEER, 100) / bench.median(REMOVE, OURS, 100), 20, least=True),
        *(
            [Goal(f"memory of the module with {bench.memory['count']:g} tasks", bench.memory["own"], 150, unit=" MiB")]
            if bench.memory
            else []
        ),
    ]  # fmt: skip


def floors(bench: Bench) -> list[str]:
    """What no change of the module can do without, beside the goals."""
    ping, tools = bench.median("", PING, 0), bench.median(MAKE, TOOLS, 100)
    least, clone = bench.over_ping(SAME, ANSWER), bench.median(CLONE, OURS, 100)
    made, bound = bench.median(MAKE, OURS, 100), bench.median(MAKE, BINDING, 100)

    def of_all(what: str) -> float:
        """Seconds that the binding takes, but for what its process takes to begin."""
        return bench.median(what, BINDING, 100) - bench.median(what, BINDING, 1)

    def of_each(ratio: float) -> float:
        """Milliseconds of a processor for each task, where so much of a ping is spent on all of them, on all processors."""
        return ratio * ping * 1000 / LONG * len(os.sched_getaffinity(0))

    same, limit = bench.over_ping(SAME, OURS), bench.over_ping(LIMIT, OURS)
    return [
        (
            f"- A module that is as large as ours and answers from a file what ours answers to a no-op over 100: {least:.2f}"
            " times as long as ping. This is what ansible-core needs to pack a module and its files, Python to load them, and both to"
            " carry the answer."
        ),
        (
            f"- The same, if it asked the binding for the state of each, beside the median ping: {least + of_all(SAME) / ping:.2f}"
            " times as long as ping;"
            f" ours is {same:.2f}. If it then set one limit of each by the binding:"
            f" {least + (of_all(SAME) + of_all(LIMIT)) / ping:.2f}; ours is {limit:.2f}."
        ),
        (
            f"- What is left of a no-op is {of_each(same - least):.1f} ms of a processor for each task: ours asks liblxc,"
            " takes its lock, reads a dozen files of the task, its processes and its cgroup, compares all lines of its configuration,"
            f" and tells what it is. A limit takes {of_each(limit - same):.1f} ms more for each: it is set and read back, and the files"
            " of the configuration and of the record are replaced at once or not at all."
        ),
        (
            f"- The binding on four threads takes {bound / tools:.2f} times as long as a loop that starts one after the other: the"
            " kernel has starts wait for each other."
        ),
        (
            f"- Of the time that ours needs to make and start 100, {made - clone:.2f} s are the image. The tools and the binding find"
            f" theirs made. Where ours does, too, it takes, less ping, {(clone - ping) / tools:.2f} times as long as the tools, and"
            f" {(clone - ping) / bound:.2f} times as long as the binding."
        ),
        (
            f"- lxc-start, four at a time, takes {bench.median(AGAIN, TOOLS, 100):.2f} s only to start again the 100 tasks that ours has"
            " made: a task has mounts and device rules of its own, and a hook, which is a shell."
            f" In {clone - ping:.2f} s more than a ping ours makes their directories, clones, configures, starts, and keeps the record"
            " of, all of them."
        ),
        (
            "- A module that did nothing but what the binding does, once it was packed and loaded and had the image:"
            f" {((least - 1) * ping + made - clone + bound) / tools:.2f} times as long as the loop of the tools; ours is {(made - ping) / tools:.2f}."
        ),
    ]


def machine() -> list[str]:
    """What it was measured on."""
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / 1024 / 1024
    with open("/proc/cpuinfo", encoding="ascii") as file:
        models = {line.partition(":")[2].strip() for line in file if line.startswith("model name")}
    with open("/etc/os-release", encoding="utf-8") as file:
        system = next(line.partition("=")[2].strip().strip('"') for line in file if line.startswith("PRETTY_NAME"))
    liblxc = subprocess.run(["lxc-ls", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"{os.cpu_count()} CPUs ({', '.join(sorted(models)) or platform.machine()}), {memory:.0f} GiB of memory",
        f"{system}, kernel {platform.release()}, LXC {liblxc}, Python {platform.python_version()}",
        f"load averages at the end: {load}",
    ]


def table(bench: Bench) -> list[str]:
    """All medians, and how many times ours each is."""
    whos = (OURS, PEER, TOOLS, BINDING)
    lines = ["| what | tasks | " + " | ".join(whos) + " |", "|---|---:|" + "---:|" * len(whos)]
    counts = sorted({count for _what, who, count in bench.times if who == OURS})
    for what in (MAKE, SAME, LIMIT, STATS, REMOVE):
        for count in counts:
            ours = bench.median(what, OURS, count)
            cells = []
            for who in whos:
                took = bench.median(what, who, count)
                ratio = "" if who == OURS else f" ({took / ours:.2f})"
                cells.append("" if math.isnan(took) else f"{took:.2f} s{ratio}")
            if any(cells):
                lines.append(f"| {what} | {count} | " + " | ".join(cells) + " |")
    return lines


def page(bench: Bench) -> str:
    """The documentation's page."""
    judged = goals(bench)
    ping = bench.median("", PING, 0)
    lines = [
        f"<!--\n{_chart.LICENCE}\n-->",
        "",
        "# Benchmark",
        "",
        (
            "Written by `tests/benchmark/compare`, which measures all of it in one run. Times are of whole commands:"
            " `ansible-playbook` with one task, or a shell loop. They are of that host at that moment. The ratios are what counts."
            f" Those to a ping are each to the one right before, and the median of {len(bench.ratios[SAME, OURS])}."
        ),
        "",
        *(f"- {line}" for line in machine()),
        f"- `{PING}`, a playbook that does nothing: {ping:.2f} s",
        *(
            [
                (
                    f"- memory with {bench.memory['count']:g} tasks: {bench.memory['own']:.0f} MiB at most in one process of the module,"
                    f" {bench.memory['all']:.0f} MiB in all of them with shared pages counted once"
                )
            ]
            if bench.memory
            else []
        ),
        "",
        "![Seconds to make and start, over the number of tasks](benchmark.svg)",
        "",
        "## Goals",
        "",
        "| ratio | found | goal | |",
        "|---|---:|---:|---|",
        *(
            f"| {it.what} | {it.found:.2f}{it.unit} | {'at least' if it.least else 'at most'} {it.bound:g}{it.unit}"
            f" | {'met' if it.met else 'missed'} |"
            for it in judged
        ),
        "",
        "## Floors",
        "",
        *floors(bench),
        "",
        "## Seconds",
        "",
        (
            f"Medians of {bench.rounds} runs or more for up to 100 tasks, of one run for more, and of one run for {PEER} with 10 and 100."
            " In brackets, how many times as long as this collection. A no-op of the tools asks each container for its state; their"
            " stats are what `lxc-info` tells. community.general can't change a limit of a running container, and tells no stats."
        ),
        "",
        *table(bench),
    ]
    return "\n".join(lines) + "\n"


def pictured(bench: Bench) -> dict[str, list[tuple[int, float]]]:
    """What is drawn: how each grows with the number of tasks."""
    wanted = {
        "community.general, make": (MAKE, PEER),
        "LXC's tools, make": (MAKE, TOOLS),
        "nomadic.lxc, make": (MAKE, OURS),
        "the binding, make": (MAKE, BINDING),
        "community.general, no-op": (SAME, PEER),
        "nomadic.lxc, no-op": (SAME, OURS),
    }
    found: dict[str, list[tuple[int, float]]] = {}
    for name, (what, who) in wanted.items():
        counts = sorted(count for did, by, count in bench.times if (did, by) == (what, who))
        if counts:
            found[name] = [(count, bench.median(what, who, count)) for count in counts]
    return found


def clean(bench: Bench) -> None:
    """Remove what a run that failed has left."""
    for path, prefix in ((bench.path, ""), (bench.own, ""), (PEERS_PATH, f"{PREFIX}-peer-")):
        names = [name for name in os.listdir(path) if name.startswith(prefix)] if os.path.isdir(path) else []
        # What others were cloned from comes last.
        for name in sorted(names, key=lambda name: name == "base"):
            if os.path.isfile(os.path.join(path, name, "config")):
                subprocess.run(["lxc-stop", "-k", "-P", path, "-n", name], stderr=subprocess.DEVNULL, check=False)
                subprocess.run(["lxc-destroy", "-P", path, "-n", name], stdout=subprocess.DEVNULL, check=False)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    for point in points:
        if point.startswith(bench.place):
            subprocess.run(["umount", point], check=False)
    for path in (bench.path, bench.own, bench.where["alloc_dir"]):
        shutil.rmtree(path, ignore_errors=True)


def main() -> None:
    """Measure, write the page and the picture, print the page."""
    if sys.argv[1:2] == ["--binding"]:
        by_binding(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ansible", required=True, help="the command ansible-playbook")
    parser.add_argument("--place", required=True, help="a directory for the containers")
    parser.add_argument("--docs", required=True, help="where the page and the picture go")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=400)
    options = parser.parse_args()
    bench = Bench(options.ansible, options.place, options.rounds)
    try:
        measure(bench, options.most)
    except Failed as failed:
        sys.exit(f"failed: {failed}")
    finally:
        clean(bench)
    os.makedirs(options.docs, exist_ok=True)
    text = page(bench)
    with open(os.path.join(options.docs, "benchmark.md"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(options.docs, "benchmark.svg"), "w", encoding="utf-8") as file:
        file.write(_chart.chart("Seconds over the number of tasks", pictured(bench)))
    print(text)
    sys.exit(0 if all(it.met for it in goals(bench)) else 1)


if __name__ == "__main__":
    main()
