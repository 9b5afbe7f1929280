# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines that run something inside a container, and what their output says. Pure: text to text.

A command goes through three shells: the one that the way to the host starts, a script of ours on the host, and a script of
ours in the container. Values are positional arguments of the scripts, and never part of their text.

Two random marks tell what came from where. The host's mark stands in the host's processes alone, where the container can't
see it: what it introduces was said by the host. The container's mark is printed to stderr when the container has been
entered: what precedes it was said by the way, by ``lxc-attach`` or by ``su``, and what follows by the command. A hostile
container can forge its own mark, and gains nothing by it.
"""

from __future__ import annotations

import re
import secrets
import shlex
import typing as t
from dataclasses import dataclass, field

# Where programs are found inside, as the shells of Debian and busybox have it. liblxc's own default is the same.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ROOT_HOME = "/root"
# What of the output of a file transfer is read at most, in bytes: it is some words, or a hostile container's flood.
OUTPUT_LIMIT = 65536
# The exit code of ssh for its own failures, by which Ansible's plugin takes the host for unreachable.
SSH_FAILED = 255

# On the host: $1 the host's mark, $2 the LXC path or nothing, $3 the container, then the arguments of lxc-attach. A frozen
# container would hold lxc-attach until it is thawed, so it is asked for its state before. liblxc knows only what liblxc has
# frozen: the control group of the first process is looked at as well, of either generation (freezer.state, and the line
# `frozen 1` of cgroup.events). The working directory is a directory that every container has: lxc-attach would keep the host's.
_ENTER = """\
m=$1 p=$2 n=$3; shift 3; cd /
s=$(lxc-info ${p:+"--lxcpath=$p"} --name="$n" --state --pid 2>&1)
case "$s" in
State:*RUNNING*PID:*)
  i=${s##*[!0-9]} s=RUNNING
  while IFS=: read -r _ c g; do
    case "$c" in
    freezer) f=/sys/fs/cgroup/freezer$g/freezer.state ;;
    '') f=/sys/fs/cgroup$g/cgroup.events ;;
    *) continue ;;
    esac
    [ ! -r "$f" ] || while read -r l; do
      case "$l" in FROZEN | FREEZING | 'frozen 1') s=FROZEN ;; esac
    done <"$f"
  done <"/proc/$i/cgroup"
  ;;
esac
[ "$s" = RUNNING ] || { printf '%s state %s %s\\n' "$m" "$(id -u)" "$s" >&2; exit 1; }
"""
_NO_STDIN = "exec </dev/null\n"
# The command's own 255 must not look like ssh's.
_RUN = """\
lxc-attach "$@"; r=$?
[ "$r" != 255 ] || { printf '\\n%s exit 255\\n' "$m" >&2; r=254; }
exit "$r"
"""
# All that the command prints is some words, which are cut at a limit: a flood that nobody reads would stop the transfer.
_RUN_PUT = """\
{ lxc-attach "$@"; printf '\\n%s exit %s\\n' "$m" "$?"; } 2>&1 | head -c 65536 >&2
"""
# Its stdout is data, and $l bytes at most; no descriptor but the first three reaches the container.
_RUN_FETCH = """\
l=$1; shift
{ { lxc-attach "$@" 3>&-; printf '\\n%s exit %s\\n' "$m" "$?" >&2; } 2>&1 >&3 | head -c 65536 >&2; } 3>&1 | head -c "$l"
"""

# In the container: $0 the container's mark, $1 the command.
_COMMAND = """printf '%s\\n' "$0" >&2; cd "$HOME" 2>/dev/null || cd /; exec /bin/sh -c "$1\""""
# $1 the file, $2 its mode if it is new, $3 the bytes that it has. Tells the bytes that it has then, behind the mark: what ssh says
# of itself (ansible_ssh_verbosity) stands beside it. A variable of the script may be one of the container's environment, too.
_PUT = """printf '%s\\n' "$0" >&2
umask 077
n=
if [ "$3" = 0 ]; then
  [ -e "$1" ] || n=1
  cat >"$1" && if [ -n "$n" ]; then chmod "$2" "$1"; fi
else
  cat >>"$1"
fi && s=$(wc -c <"$1") && printf '%s size %s\\n' "$0" "$s\""""
# $1 the file, $2 the first block of 1 MiB, $3 how many blocks. With the first one goes a line with the file's size and mode.
_FETCH = """printf '%s\\n' "$0" >&2
[ -e "$1" ] || { echo 'no such file' >&2; exit 44; }
[ -f "$1" ] || { echo 'not a regular file' >&2; exit 1; }
if [ "$2" = 0 ]; then
  s=$(wc -c <"$1") || exit 1
  echo "$s" "$(stat -L -c %a "$1" 2>/dev/null || echo 600)"
fi
dd if="$1" bs=1048576 skip="$2" count="$3" 2>/dev/null || { echo 'it can not be read' >&2; exit 1; }"""
NO_SUCH_FILE = 44

BLOCK = 1048576


class AttachError(Exception):
    """The container was not entered; the message says why."""


@dataclass(frozen=True)
class Marks:
    """The marks of one command."""

    host: str = field(default_factory=lambda: f"lxc_attach-{secrets.token_hex(12)}")
    inside: str = field(default_factory=lambda: f"lxc_attach-{secrets.token_hex(12)}")


@dataclass(frozen=True)
class Container:
    """Where commands go. ``lxc_path`` None: liblxc's own; ``user``: who runs them; ``environment``: what they find."""

    name: str
    lxc_path: str | None = None
    user: str = "root"
    environment: t.Mapping[str, str] = field(default_factory=dict)


def faults(container: Container) -> list[str]:
    """What can't be the name, the path, the user or the environment of a container."""
    found = []
    if container.name in ("", ".", "..") or re.search(r"[/\0\n\r]", container.name):
        found.append(f"{container.name!r} can't be the name of a container")
    if container.lxc_path is not None and (
        not container.lxc_path.startswith("/") or re.search(r"[\0\n\r]", container.lxc_path)
    ):
        found.append(f"the LXC path {container.lxc_path!r} is not an absolute path")
    if container.user.startswith("-") or not re.fullmatch(r"[^\s:/\0]+", container.user):
        found.append(f"{container.user!r} can't be the name of a user")
    for name, value in container.environment.items():
        if not re.fullmatch(r"[^=\0]+", name) or "\0" in value:
            found.append(f"{name!r} can't be a variable of the environment")
    return found


def command_line(container: Container, marks: Marks, command: str, stdin: bool) -> str:
    """The command of the host's shell that runs a shell's command inside; without ``stdin``, it reads nothing."""
    script = _ENTER + ("" if stdin else _NO_STDIN) + _RUN
    return _host_line(script, container, marks, [_COMMAND, marks.inside, command])


def put_line(container: Container, marks: Marks, path: str, mode: int, there: int, stdin: bool) -> str:
    """The command of the host's shell that adds what it reads to a file of so many bytes; a new file gets this mode."""
    script = _ENTER + ("" if stdin else _NO_STDIN) + _RUN_PUT
    return _host_line(script, container, marks, [_PUT, marks.inside, _plain(path), f"{mode:o}", str(there)])


def fetch_line(container: Container, marks: Marks, path: str, first: int, count: int) -> str:
    """The command of the host's shell that prints so many blocks of a file, with a line about it before the first block."""
    script = _ENTER + _NO_STDIN + _RUN_FETCH
    # The line about the file is two numbers.
    limit = str(count * BLOCK + 64)
    return _host_line(script, container, marks, [_FETCH, marks.inside, _plain(path), str(first), str(count)], limit)


def _host_line(script: str, container: Container, marks: Marks, inside: list[str], *more: str) -> str:
    place = [f"--lxcpath={container.lxc_path}"] if container.lxc_path else []
    attach = [*place, f"--name={container.name}", "--clear-env"]
    attach += [f"--set-var={name}={value}" for name, value in _environment(container).items()]
    arguments = [
        marks.host,
        container.lxc_path or "",
        container.name,
        *more,
        *attach,
        "--",
        *_shell(container.user, inside),
    ]
    return shlex.join(["/bin/sh", "-c", script, "lxc_attach", *arguments])


def _environment(container: Container) -> dict[str, str]:
    standard = {"PATH": PATH, "HOME": ROOT_HOME, "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh"}
    return {**standard, **container.environment}


def _shell(user: str, inside: list[str]) -> list[str]:
    """A shell that runs a script, as a user, with arguments: the script, its $0, $1 and so on. For others than root, su sets who they are."""
    if user == "root":
        return ["/bin/sh", "-c", *inside]
    return ["su", "-s", "/bin/sh", "-c", inside[0], "--", user, *inside[1:]]


def _plain(path: str) -> str:
    """A path that no program takes for an option."""
    return path if path.startswith("/") else f"./{path}"


def split(marks: Marks, code: int, stderr: bytes) -> tuple[int, bytes]:
    """The exit code and the stderr of the command inside. Raises AttachError where it was never begun."""
    _before, entered, after = stderr.partition(marks.inside.encode() + b"\n")
    if not entered:
        raise AttachError(why_not_entered(marks, code, stderr))
    own, told = _without_exit(marks, after)
    return code if told is None else told, own


def split_transfer(marks: Marks, code: int, stderr: bytes) -> tuple[int, str]:
    """The exit code of one piece of a transfer, and what was said, in one line: the size of the file that was sent, where the
    container told it, or else all of it. Raises AttachError where it was never begun.
    """
    _before, entered, after = stderr.partition(marks.inside.encode() + b"\n")
    if not entered:
        raise AttachError(why_not_entered(marks, code, stderr))
    own, told = _without_exit(marks, after)
    _before, sized, size = own.rpartition(f"{marks.inside} size ".encode())
    said = printable((size.split(b"\n")[0] if sized else own).decode("utf-8", "replace"))
    if told is None:
        # The host's last word was cut off, or never said.
        return code or 1, f"it printed more than {OUTPUT_LIMIT} bytes: {said}" if code == 0 else said
    return told, said


def _without_exit(marks: Marks, stderr: bytes) -> tuple[bytes, int | None]:
    """A stderr without the host's last line, and the exit code that this names, if it is there."""
    own, told, rest = stderr.rpartition(f"\n{marks.host} exit ".encode())
    return (own, int(rest.split(b"\n")[0])) if told else (stderr, None)


def why_not_entered(marks: Marks, code: int, stderr: bytes) -> str:
    """A sentence: why the container was not entered."""
    _before, said, state = stderr.decode("utf-8", "replace").partition(f"{marks.host} state ")
    if said:
        uid, _blank, state = state.strip().partition(" ")
        return _state_sentence(uid, state)
    stderr, told = _without_exit(marks, stderr)
    text = printable(stderr.decode("utf-8", "replace"))
    return (
        f"lxc-attach ended with {code if told is None else told} before the command began: {text or 'it said nothing'}"
    )


def _state_sentence(uid: str, said: str) -> str:
    """``said``: FROZEN, or what lxc-info printed: its state behind `State:`, or why there is none."""
    state = re.sub(r"^State:\s*([A-Z]+)(\s.*)?$", r"\1", said, flags=re.DOTALL)
    if state == "FROZEN":
        return "it is frozen: thaw it first"
    if state == "STOPPED":
        return "it is stopped (or was started in another network namespace of the host): start it first"
    if re.fullmatch("[A-Z]+", state):
        return f"it is {state.lower()}: it must be running"
    hint = "" if uid == "0" else " (the user on the host is not root: set ansible_lxc_attach_host_become)"
    return f"{printable(state) or 'lxc-info said nothing'}{hint}"


def printable(text: str, limit: int = 2000) -> str:
    """The last part of a text in one line, without what a terminal would obey."""
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    return "".join(it if it.isprintable() else f"\\x{ord(it):02x}" for it in line)[-limit:]
