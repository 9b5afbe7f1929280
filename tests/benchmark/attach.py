# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks inside a container cost, beside what others cost on the same host in the same run. Started by ``attach``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import typing as t
from pathlib import Path

from _bench import Failed, interleaved, judge, quiet

# The ratios that must hold.
LOCAL_GOAL = 1.1
SSH_GOAL = 1.3
COPY_GOAL = 2.0
NAME = "nomadic-lxc-bench"
PORT = "2023"
LARGE = 200 * 1024 * 1024
# On a busy host, the peer at times loses a part of what it pipes to Python.
FAILURES = 5
TARGETS = Path(__file__).resolve().parents[1] / "integration" / "targets"


@contextlib.contextmanager
def container(ansible: str, place: Path, debian: str) -> t.Iterator[None]:
    """A running Debian task in the default place."""
    task = {"name": NAME, "alloc_dir": str(place / "alloc"), "network_mode": "empty"}
    template = {"template": str(TARGETS / "setup_lxc/files/lxc-archive"), "template_args": [f"--archive={debian}"]}
    call = [ansible, "localhost", "-m", "nomadic.lxc.lxc_task", "-a"]
    try:
        quiet(*call, json.dumps({**task, **template}))
        yield
    finally:
        quiet(*call, json.dumps({**task, "state": "absent", "purge": True, "kill_timeout": "100ms"}))


@contextlib.contextmanager
def sshd(place: Path) -> t.Iterator[dict[str, t.Any]]:
    """A real sshd on loopback; yields the variables by which Ansible's ssh gets to it."""
    script, folder = str(TARGETS / "setup_ssh/files/sshd.sh"), place / "ssh"
    try:
        quiet(script, "start", str(folder), PORT)
        yield {
            "ansible_host": "127.0.0.1",
            "ansible_port": int(PORT),
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(folder / "key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder}/known_hosts -o IdentitiesOnly=yes",
            "ansible_control_path_dir": str(folder / "cp"),
        }
    finally:
        quiet(script, "stop", str(folder))


def write_inventory(place: Path, ssh: t.Mapping[str, t.Any]) -> None:
    """An inventory of the container by every way, and of the host itself."""
    hosts = {
        "here": {"ansible_connection": "nomadic.lxc.lxc_attach", "ansible_lxc_attach_container": NAME},
        "peer": {"ansible_connection": "community.general.lxc", "ansible_lxc_host": NAME, "ansible_host": NAME},
        "host": {**ssh, "ansible_connection": "ssh"},
        "inside": {
            "ansible_connection": "nomadic.lxc.lxc_attach",
            "ansible_lxc_attach_container": NAME,
            "ansible_lxc_attach_host": "host",
        },
    }
    variables = {"ansible_python_interpreter": "/usr/bin/python3", "ansible_pipelining": True}
    (place / "inventory.yml").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))


def write_plays(place: Path) -> None:
    """Ten pings; and a copy of a large file."""
    pings: list[dict[str, t.Any]] = [{"ansible.builtin.ping": {}} for _number in range(10)]
    copy = [{"ansible.builtin.copy": {"src": str(place / "large"), "dest": "/root/nomadic-lxc-large", "mode": "0600"}}]
    gone = [{"ansible.builtin.file": {"path": "/root/nomadic-lxc-large", "state": "absent"}}]
    for name, tasks in (("pings", pings), ("copy", copy), ("gone", gone)):
        play = [{"hosts": "{{ target }}", "gather_facts": False, "tasks": tasks}]
        (place / f"{name}.yml").write_text(json.dumps(play))
    with open(place / "large", "wb") as file:
        file.writelines(os.urandom(1048576) for _piece in range(LARGE // 1048576))


def medians(
    calls: t.Mapping[str, t.Callable[[], t.Any]], rounds: int, after: t.Callable[[str], None] = lambda name: None
) -> dict[str, float]:
    """The median time of each in seconds."""
    costs = interleaved(calls, rounds, after, {"peer": FAILURES})
    return {name: statistics.median(it.time for it in every) for name, every in costs.items()}


def main() -> None:
    """Start the task, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ansible", required=True, help="the command ansible")
    parser.add_argument("--place", required=True, type=Path, help="an empty directory")
    parser.add_argument("--debian", required=True, help="the archive of a Debian root file system")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    place: Path = options.place / "attach"
    place.mkdir()

    def play(name: str, target: str) -> t.Callable[[], None]:
        command = [f"{options.ansible}-playbook", "-i", str(place / "inventory.yml"), str(place / f"{name}.yml")]
        return lambda: quiet(*command, "-e", f"target={target}")

    with container(options.ansible, place, options.debian), sshd(place) as ssh:
        write_inventory(place, ssh)
        write_plays(place)
        print("measuring ...", flush=True)
        pings = medians({name: play("pings", name) for name in ("here", "peer", "host", "inside")}, options.rounds)
        copies = medians(
            {name: play("copy", name) for name in ("host", "inside")},
            max(1, options.rounds // 2),
            after=lambda name: play("gone", name)(),
        )
    print(f"\nmedians of {options.rounds} rounds")
    for name, what in {
        "here": "ten pings inside, here",
        "peer": "ten pings inside, by community.general.lxc",
        "host": "ten pings on the host, by ssh",
        "inside": "ten pings inside, by ssh",
    }.items():
        print(f"{what:<62} {pings[name] * 1000:8.0f} ms")
    for name, what in {"host": "200 MiB to the host, by ssh", "inside": "200 MiB inside, by ssh"}.items():
        print(f"{what:<62} {copies[name] * 1000:8.0f} ms")
    met = [
        judge("ten pings inside, here / by community.general.lxc", pings["here"] / pings["peer"], LOCAL_GOAL),
        judge("ten pings by ssh, inside / on the host", pings["inside"] / pings["host"], SSH_GOAL),
        judge("200 MiB by ssh, inside / to the host", copies["inside"] / copies["host"], COPY_GOAL),
    ]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
