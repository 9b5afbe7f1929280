# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LXC templates: which file one is, which options it knows, and its argument list as go-lxc makes it for Nomad's driver. Pure."""

from __future__ import annotations

import functools
import os.path
import re
import shlex
import typing as t

# Where liblxc looks for a name (LXCTEMPLATEDIR of every distribution's build).
DIRECTORY = "/usr/share/lxc/templates"
PREFIX = "lxc-"
DOWNLOAD = "download"

# go-lxc's order: the option of ours, the template's, and the short form that template_args may use instead.
VALUES = (
    ("distro", "dist", "d"),
    ("release", "release", "r"),
    ("arch", "arch", "a"),
    ("image_variant", "variant", None),
    ("image_server", "server", None),
    ("gpg_key_id", "keyid", None),
    ("gpg_key_server", "keyserver", None),
)
_FLAGS = (("disable_gpg", "no-validate"), ("flush_cache", "flush-cache"), ("force_cache", "force-cache"))
_COMMENT = re.compile(r"^[ \t]*#.*", re.MULTILINE)
# A variable that a script sets to a literal, and the use of one.
_ASSIGNMENT = re.compile(r"""(?:^|[\s;])([A-Za-z_]\w*)=("[^"$`\n]*"|'[^'\n]*'|[\w:,.-]+)""")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")
# The download template asks at a terminal for those that are missing; a module has none.
_NEEDED = ("distro", "release", "arch")


def path_of(template: str) -> str:
    """The template's file: a name is liblxc's ``lxc-NAME`` in its directory."""
    return template if template.startswith("/") else os.path.join(DIRECTORY, PREFIX + template)


def name_of(path: str) -> str:
    """The name of a template by its file."""
    return os.path.basename(path).removeprefix(PREFIX)


def shown(path: str) -> str:
    """A template as a user names it: one of liblxc's own by its name, another by its path."""
    name = name_of(path)
    return name if path == path_of(name) else path


@functools.lru_cache(maxsize=4)
def known_options(script: str) -> frozenset[str] | None:
    """The long options in a template's getopt(1) call; None if it makes none, for then only itself knows.

    >>> sorted(known_options("options=$(getopt -o h -l help,dist:,release:,\\\\\\n arch: -- \\"$@\\")"))
    ['arch', 'dist', 'help', 'release']
    """
    joined = re.sub(r"\\\n\s*", "", _COMMENT.sub("", script))
    literals = {name: words.strip("\"'") for name, words in _ASSIGNMENT.findall(joined)}
    names: set[str] = set()
    for written in re.findall(r"\bgetopt\s+([^\n)`]*)", joined):
        call = _VARIABLE.sub(lambda match: literals.get(match[1], match[0]), written)
        try:
            words = shlex.split(call, comments=True)
        except ValueError:
            words = call.split()
        for word, following in zip(words, [*words[1:], ""]):
            if word == "--":
                break
            match = re.fullmatch(r"(?:--?l(?:ong(?:options?)?)?)(?:=(.+))?|-l(.+)", word)
            if match:
                names.update(
                    name.rstrip(":") for name in (match[1] or match[2] or following).split(",") if name.rstrip(":")
                )
    # A list that the script puts together as it runs can't be read off it.
    readable = all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) for name in names)
    return frozenset(names) if names and readable else None


def arguments(options: t.Mapping[str, t.Any], known: set[str] | None) -> tuple[list[str], list[str]]:
    """The template's arguments, and our options that the installed template does not know.

    ``known``: see known_options. LXC's download template lost ``--keyid``, ``--keyserver`` and ``--no-validate`` at
    4.0.12, where giving them became a usage error; they are left out and named instead.
    """
    args: list[str] = []
    unknown: list[str] = []
    for option, name, _short in VALUES:
        value = options.get(option)
        if value is not None and value != "":
            if known is None or name in known:
                args += [f"--{name}", value]
            else:
                unknown.append(option)
    for option, name in _FLAGS:
        if options.get(option):
            if known is None or name in known:
                args.append(f"--{name}")
            else:
                unknown.append(option)
    return [*args, *options.get("template_args", ())], unknown


def missing_options(options: t.Mapping[str, t.Any]) -> list[str]:
    """What the download template would ask for at a terminal, unless template_args has it."""
    if name_of(path_of(options["template"])) != DOWNLOAD:
        return []
    given = options.get("template_args", ())
    if any(arg in ("-l", "--list", "-h", "--help") for arg in given):
        return []
    return [
        option
        for option, name, short in VALUES
        if option in _NEEDED
        and not options.get(option)
        and not any(arg == f"--{name}" or arg.startswith((f"--{name}=", f"-{short}")) for arg in given)
    ]
