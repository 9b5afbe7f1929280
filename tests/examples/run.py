# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the examples of the documentation on real containers.

``run.py all COLLECTION WORK [DOCUMENT...]``, which ``scripts/_examples.sh`` starts, has each document run by itself on a host that
``scripts/_examples_host.sh`` makes, where the real host's network and its containers are out of reach; a few at a time.
``run.py one COLLECTION PLACE DOCUMENT`` runs one there, from beginning to end, as a reader would: its plays and tasks by
ansible-playbook, its commands by a shell in the reader's project, an empty folder in which its files lie. Then all tasks are removed,
and nothing may be left.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from documents import DocumentError, Example, commands, examples

HERE = Path(__file__).resolve().parent
# The commands that are not run here, each with the reason. They are named when they are met.
_ELSEWHERE = {
    "ansible-galaxy": "the lane release runs it",
    "scripts/demo": "the lane demo runs it",
    "scripts/release": "the lane release runs it",
    "scripts/test": "it is what runs this",
}
# The documents whose examples are not run here, each with the reason. They are named, too.
_NO_DOCUMENTS = {
    "CONTRIBUTING.md": "its commands run the tests, and boot a second host",
}
# Where the examples' containers and allocs are.
_CONTAINERS = Path("/var/lib/lxc")
_ALLOCS = Path("/var/lib/nomadic-lxc/alloc")
# The longest that a playbook or a command may take, in seconds.
_LONGEST = 300


def documents(collection: Path) -> dict[str, Path]:
    """Return every document with examples, by the name that it is asked for with.

    One that is neither run nor named in _NO_DOCUMENTS is an error: its examples would be left out without a word.
    """
    plugins = [collection / "plugins" / kind for kind in ("modules", "connection", "inventory")]
    found = {path.name: path for folder in plugins for path in sorted(folder.glob("[a-z]*.py"))}
    for path in sorted([*collection.rglob("*.md"), *collection.rglob("*.rst")]):
        relative = path.relative_to(collection).as_posix()
        text = path.read_text(encoding="utf-8")
        if not ("code-block:: " in text if path.suffix == ".rst" else "```" in text):
            continue
        if relative not in _NO_DOCUMENTS:
            found[relative if path.name in found or relative.startswith("roles/") else path.name] = path
    return found


def playbook(document: Path, found: list[Example]) -> str:
    """Return a playbook of these plays and tasks; tasks go into a play of their own."""
    text = "---\n"
    for example in found:
        if example.kind == "plays":
            text += example.text
        else:
            text += (
                f"- name: {document.name}, line {example.line}\n  hosts: lxc_hosts\n  gather_facts: false\n  tasks:\n"
            )
            text += textwrap.indent(example.text, "    ")
    return text


class Failure(Exception):
    """An example that failed."""


def _run(command: list[str], project: Path) -> str:
    print("+", *command, flush=True)
    try:
        done = subprocess.run(
            command,
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
        raise Failure(f"{output}\nstill ran after {_LONGEST} s: {' '.join(command)}") from error
    if done.returncode:
        raise Failure(f"{done.stdout}\nended with {done.returncode}: {' '.join(command)}")
    return done.stdout


def remove_all(project: Path) -> None:
    """Remove all containers with their directories, and the images; fail if anything is left of one."""
    handles = [
        {"handle": {"ContainerName": config.parent.name, "LxcPath": str(_CONTAINERS)}}
        for config in _CONTAINERS.glob("[!.]*/config")
    ]
    if any(_CONTAINERS.iterdir()) or any(_ALLOCS.iterdir()):
        asked = {"tasks": handles, "state": "absent", "kill_timeout": "100ms", "purge": True, "prune_images": True}
        inventory = ["-i", str(HERE / "inventory.yml")]
        _run(["ansible", *inventory, "lxc_hosts", "-m", "nomadic.lxc.lxc_task_group", "-a", json.dumps(asked)], project)
    left = [str(path) for folder in (_CONTAINERS, _ALLOCS) for path in folder.rglob("*")]
    left += [
        line for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines() if f" {_ALLOCS}/" in line
    ]
    if left:
        raise Failure("left behind: " + "\n".join(left))


def run(document: Path, place: Path) -> None:
    """Run a document's examples on this host, then remove what they made. Writes to ``place`` alone."""
    project = place / "project"
    project.mkdir()
    found = examples(document)
    for example in found:
        if example.kind == "file":
            path = project / example.caption
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.text, encoding="utf-8")
    number = itertools.count(1)

    def play(some: list[Example]) -> str:
        path = place / f"{document.stem}-{next(number)}.yml"
        path.write_text(playbook(document, some), encoding="utf-8")
        return _run(["ansible-playbook", "-i", str(HERE / "inventory.yml"), str(path)], project)

    def cleanup() -> None:
        remove_all(project)

    def is_play(example: Example) -> bool:
        return example.kind in ("plays", "tasks", "check")

    def all_examples() -> None:
        last: list[Example] = []
        for together, members in itertools.groupby((e for e in found if e.kind != "file"), is_play):
            some = list(members)
            if together:
                last = [example for example in some if example.kind != "check"][-1:] or last
                play(some)
                continue
            for example in some:
                if example.kind == "again":
                    output = play(last)
                    if re.search(r"changed=[1-9]", output):
                        raise Failure(f"{output}\n{document.name}, line {example.line}: a second run changed something")
                for command, shown in commands(example.text):
                    if reason := _ELSEWHERE.get(command.split()[0]):
                        print(f"not run here: {command}: {reason}", flush=True)
                        continue
                    output = _run(["bash", "-euc", command], project)
                    if missing := [line for line in shown if line not in output]:
                        raise Failure(
                            f"{output}\n{document.name}, line {example.line}: {command} has not printed {missing}"
                        )

    try:
        before = HERE / "before" / f"{document.stem}.yml"
        if before.exists():
            _run(["ansible-playbook", "-i", str(HERE / "inventory.yml"), str(before)], project)
        all_examples()
    except Failure:
        with contextlib.suppress(Failure):
            cleanup()
        raise
    cleanup()


def run_one(collection: Path, place: Path, name: str) -> int:
    """Run one document here."""
    try:
        run(documents(collection)[name], place)
    except (Failure, DocumentError) as error:
        print(error)
        return 1
    finally:
        used = os.times()
        print(f"{name} took {used.children_user + used.children_system:.0f} s of processors' time")
    return 0


def on_a_host(collection: Path, work: Path, number: int, name: str) -> tuple[int, str]:
    """Run a document on a host of its own, whose files are in a folder of ``work``. Return the exit code and all output.

    The folder's name is short: the path of a socket, which ssh makes below it, has at most 107 characters.
    """
    place = work / str(number)
    place.mkdir()
    start = time.monotonic()
    inside = [sys.executable, str(Path(__file__).resolve()), "one", str(collection), str(place), name]
    host = ["bash", str(collection / "scripts/_examples_host.sh"), str(place)]
    done = subprocess.run([*host, *inside], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    result = "FAILED" if done.returncode else "passed"
    end = f"examples of {name}: {result}, {time.monotonic() - start:.0f} s\n"
    return done.returncode, done.stdout + end


def run_all(collection: Path, work: Path, wanted: list[str]) -> int:
    """Run all documents, or the named ones; go on when one fails."""
    found = documents(collection)
    if unknown := set(wanted) - set(found):
        sys.exit(f"no document {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    for name, reason in _NO_DOCUMENTS.items():
        print(f"not run here: {name}: {reason}")
    # The long ones first, so that no processor is idle at the end.
    chosen = [name for name in found if not wanted or name in wanted]
    chosen.sort(key=lambda name: sum(len(example.text) for example in examples(found[name])), reverse=True)
    failed = 0
    # One more than there are processors: examples also wait, for an address or a shutdown.
    with ThreadPoolExecutor(min(4, (os.cpu_count() or 1) + 1)) as pool:
        running = [pool.submit(on_a_host, collection, work, *numbered) for numbered in enumerate(chosen)]
        for future in as_completed(running):
            code, output = future.result()
            print(output, end="", flush=True)
            failed += code != 0
    print(f"{len(chosen) - failed} documents passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    mode, collection_folder, folder, *names = sys.argv[1:]
    if mode == "one":
        sys.exit(run_one(Path(collection_folder), Path(folder), *names))
    sys.exit(run_all(Path(collection_folder), Path(folder), names))
