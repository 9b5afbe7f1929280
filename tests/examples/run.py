# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the examples of the documentation on real containers: run.py COLLECTION WORK [DOCUMENT...].

``scripts/_examples.sh`` starts it, where the host's network and its containers are out of reach. Every document is run from
beginning to end, as a reader would: its plays and tasks by ansible-playbook, its commands by a shell in the reader's project, an
empty folder in which its files lie. Then all tasks are removed, and nothing may be left.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from documents import DocumentError, Example, commands, examples

HERE = Path(__file__).resolve().parent
# Commands that other lanes of the tests run, or that are the tests.
_ELSEWHERE = ("scripts/demo", "scripts/test", "scripts/docs")


def documents(collection: Path) -> list[Path]:
    """Return every document that may hold examples."""
    plugins = [collection / "plugins" / kind for kind in ("modules", "connection", "inventory")]
    return [
        collection / "README.md",
        *sorted((collection / "docs/docsite/rst").glob("*.rst")),
        *sorted(path for folder in plugins for path in folder.glob("[a-z]*.py")),
    ]


def playbook(document: Path, found: list[Example]) -> str:
    """Return a playbook of these plays and tasks; tasks go into a play of their own."""
    text = "---\n"
    for example in found:
        if example.kind == "plays":
            text += example.text
        else:
            text += f"- name: {document.name}, line {example.line}\n  hosts: lxc_hosts\n  become: true\n"
            text += "  gather_facts: false\n  tasks:\n" + textwrap.indent(example.text, "    ")
    return text


class Failure(Exception):
    """An example that failed."""


def _run(command: list[str], project: Path) -> str:
    print("+", *command, flush=True)
    done = subprocess.run(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise Failure(f"{done.stdout}\nended with {done.returncode}: {' '.join(command)}")
    return done.stdout


def run(document: Path, work: Path) -> None:
    """Run a document's examples, then remove what they made."""
    project = work / document.name
    project.mkdir()
    found = examples(document)
    for example in found:
        if example.kind == "file":
            path = project / example.caption
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.text, encoding="utf-8")
    number = itertools.count(1)

    def play(some: list[Example]) -> str:
        path = work / f"{document.stem}-{next(number)}.yml"
        path.write_text(playbook(document, some), encoding="utf-8")
        return _run(["ansible-playbook", "-i", str(HERE / "inventory.yml"), str(path)], project)

    def cleanup() -> None:
        _run(["ansible-playbook", "-i", str(HERE / "inventory.yml"), str(HERE / "cleanup.yml")], project)

    def is_play(example: Example) -> bool:
        return example.kind in ("plays", "tasks")

    def all_examples() -> None:
        last: list[Example] = []
        for together, members in itertools.groupby((e for e in found if e.kind != "file"), is_play):
            some = list(members)
            if together:
                last = some[-1:]
                play(some)
                continue
            for example in some:
                if example.kind == "again":
                    output = play(last)
                    if re.search(r"changed=[1-9]", output):
                        raise Failure(f"{output}\n{document.name}, line {example.line}: a second run changed something")
                for command, shown in commands(example.text):
                    if command.startswith(_ELSEWHERE):
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


def main() -> int:
    """Run all documents, or the named ones; go on when one fails."""
    collection, work = Path(sys.argv[1]), Path(sys.argv[2])
    wanted = sys.argv[3:]
    found = documents(collection)
    if unknown := set(wanted) - {path.name for path in found}:
        sys.exit(f"no document {', '.join(sorted(unknown))}; there are {', '.join(path.name for path in found)}")
    passed = failed = 0
    for document in found:
        if wanted and document.name not in wanted:
            continue
        start = time.monotonic()
        try:
            run(document, work)
        except (Failure, DocumentError) as error:
            print(error)
            failed += 1
            result = "FAILED"
        else:
            passed += 1
            result = "passed"
        print(f"examples of {document.name}: {result}, {time.monotonic() - start:.0f} s", flush=True)
    print(f"{passed} documents passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
