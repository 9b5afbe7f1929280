# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the examples in the documentation: in README.md, in the guides, and in EXAMPLES of modules and plugins.

An example is a code block in YAML or of a console. Beside what a reader sees, a comment of the document can hold
- ``check:`` and YAML: tasks that look whether the text around the example is right;
- ``again:``: the example before, which a check may follow, is run once more, and must change nothing.
In Markdown such a comment is ``<!-- check:`` to ``-->``, and ``<!-- file: PATH -->`` says that the block below is a file of the
reader's. In reStructuredText a comment is an indented block below ``..``, and a file has a ``:caption:``, its path.
"""

from __future__ import annotations

import ast
import re
import textwrap
import typing as t
from pathlib import Path

import yaml


class Example(t.NamedTuple):
    """One piece of a document.

    kind: ``plays``, ``tasks``, ``check`` (tasks that the reader does not see), ``commands`` (a console block), ``file`` or
    ``again``.
    caption: the path of a ``file`` in the reader's own project, else empty.
    """

    line: int
    kind: str
    text: str
    caption: str = ""


class DocumentError(Exception):
    """A document that can't be read; its message names the line."""


_FENCE = re.compile(r"(?:^<!-- file: (\S+) -->\n)?^```(yaml|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKDOWN_COMMENT = re.compile(r"^<!--\s*(again|check):[ \t]*\n?(.*?)-->$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(
    r"^([ ]*)\.\. code-block:: (yaml|console)\n((?:\1 +:[a-z-]+:.*\n)*)((?:\1 +.*\n|[ \t]*\n)+)", re.MULTILINE
)
_RST_COMMENT = re.compile(r"^\.\.\n  (again|check):\n((?:  .*\n|[ \t]*\n)*)", re.MULTILINE)
_CAPTION = re.compile(r":caption: (\S+)$", re.MULTILINE)
# A comment in EXAMPLES of a plugin: its first line says what it is, and an inventory follows, a mapping of groups.
_COMMENTED_INVENTORY = re.compile(r"^# .*inventory.*\n#\n((?:# [ \w].*\n)+)", re.MULTILINE | re.IGNORECASE)
_COMMENTED_COMMAND = re.compile(r"^#\s+(ansible(?:-[a-z]+)? .*)$", re.MULTILINE)


def _yaml_kind(text: str, where: str) -> str:
    """Tell plays from tasks."""
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DocumentError(f"{where}: not YAML: {error}") from error
    if not isinstance(loaded, list) or not all(isinstance(item, dict) for item in loaded):
        raise DocumentError(f"{where}: neither plays nor tasks; a file has a :caption:, its path")
    plays = ["hosts" in item or "ansible.builtin.import_playbook" in item for item in loaded]
    if any(plays) != all(plays):
        raise DocumentError(f"{where}: plays and tasks in one block")
    return "plays" if all(plays) else "tasks"


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a console block, which follow a prompt, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line[:2] in ("# ", "$ "):
            found.append((line[2:], []))
        elif found and line.strip():
            found[-1][1].append(line)
    return found


def _example(path: Path, line: int, language: str, text: str, caption: str = "") -> Example:
    text = textwrap.dedent(text).strip("\n") + "\n"
    if language != "console" and not caption:
        text = text.removeprefix("---\n")
    if language == "again":
        return Example(line, "again", "")
    if caption:
        return Example(line, "file", text, caption)
    if language == "console":
        return Example(line, "commands", text)
    kind = _yaml_kind(text, f"{path}:{line}")
    if language == "check" and kind != "tasks":
        raise DocumentError(f"{path}:{line}: a check has tasks")
    return Example(line, "check" if language == "check" else kind, text)


def examples(path: Path) -> list[Example]:
    """Return the examples of a document, in order."""
    source = path.read_text(encoding="utf-8")
    found: list[Example] = []

    def add(match: re.Match[str], language: str, text: str, caption: str = "") -> None:
        found.append(_example(path, source.count("\n", 0, match.start()) + 1, language, text, caption))

    if path.suffix == ".md":
        for match in _FENCE.finditer(source):
            add(match, match[2], match[3], match[1] or "")
        for match in _MARKDOWN_COMMENT.finditer(source):
            add(match, match[1], match[2])
        seen = source.count("```yaml") + source.count("```console")
    elif path.suffix == ".rst":
        for match in _DIRECTIVE.finditer(source):
            caption = _CAPTION.search(match[3])
            add(match, match[2], match[4], caption[1] if caption else "")
        for match in _RST_COMMENT.finditer(source):
            add(match, match[1], match[2])
        seen = source.count("code-block:: yaml") + source.count("code-block:: console")
    else:
        return _of_plugin(path, source)
    hidden = len(re.findall(r"^(?:<!--)? *(?:check|again):(?: *-->)?$", source, re.MULTILINE))
    if len(found) != seen + hidden:
        raise DocumentError(
            f"{path}: {seen} blocks and {hidden} comments for the tests, of which {len(found)} were understood"
        )
    return sorted(found)


def _of_plugin(path: Path, source: str) -> list[Example]:
    """Return EXAMPLES of a module or plugin as one block, then the commands in its comments.

    Those of an inventory plugin are files, each with its command, which must find a container. An inventory in a comment is a
    file, and a command must reach every host of its first group.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES":
            text = ast.literal_eval(node.value)
            if path.parent.name == "inventory":
                files = [part for part in re.split(r"^---\n", text, flags=re.MULTILINE) if part.strip()]
                names = [f"{number}.{path.stem}.yml" for number in range(len(files))]
                asked = "\n".join(f"$ ansible-inventory -i {name} --list\nnomadic.lxc.lxc_attach" for name in names)
                found = [_example(path, node.lineno, "yaml", part, name) for part, name in zip(files, names)]
                return [*found, Example(node.lineno, "commands", asked)]
            found = [_example(path, node.lineno, "yaml", text)]
            shown = "".join(f"$ {match[1]}\n" for match in _COMMENTED_COMMAND.finditer(text))
            for number, match in enumerate(_COMMENTED_INVENTORY.finditer(text)):
                inventory = re.sub("^# ?", "", match[1], flags=re.MULTILINE)
                found.append(_example(path, node.lineno, "yaml", inventory, f"hosts{number}.yml"))
                group = next(iter(yaml.safe_load(inventory)))
                shown += f"$ ansible -i hosts{number}.yml {group} -m ansible.builtin.raw -a true\n"
            return [*found, Example(node.lineno, "commands", shown)] if shown else found
    raise DocumentError(f"{path}: no EXAMPLES")
