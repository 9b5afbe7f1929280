# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a starter does, which is a program of its own, see _starter; and how a process begins from which others come.

It loads none of our files, and no more of Python's than it must: each fork of a start copies what is in its memory.
"""

from __future__ import annotations

# What signal and socket make of these takes as long to load as all else.
import _signal
import _socket
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# Those that end a process, or that Python ignores.
_SIGNALS = (
    _signal.SIGTERM,
    _signal.SIGINT,
    _signal.SIGHUP,
    _signal.SIGQUIT,
    _signal.SIGPIPE,
    _signal.SIGXFSZ,
)
_LONGEST = 1 << 16
_MOST_DESCRIPTORS = 8


def main() -> None:
    """Serve requests from standard input, one at a time. A request is the fields of start_container and the descriptors that the
    start keeps open; the answer is 1 if the container runs, else 0. Between starts signals are ignored: who ends the caller may
    have an undo start something again.

    The arguments are where the binding is, and the ``cgroup.procs`` of its own cgroups.
    """
    # What a terminal sends is not for us.
    os.setsid()
    heed(False)
    channel = _socket.socket(fileno=os.dup(0))
    begin_anew((1, 2, channel.fileno()))
    sys.path.append(sys.argv[1])
    import _lxc  # noqa: F401 # while the caller does something else yet

    homes = list(_opened(sys.argv[2:]))

    while True:
        request, ancillary, _flags, _address = channel.recvmsg(_LONGEST, _socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS))
        if not request:
            return
        passed = ancillary[0][2] if ancillary else b""
        kept = [int.from_bytes(passed[place : place + 4], sys.byteorder) for place in range(0, len(passed), 4)]
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        started = _attempt(map(os.fsdecode, request.split(b"\0")))
        _go_home(homes)
        for descriptor in kept:
            os.close(descriptor)
        channel.send(b"%d" % started)


def _attempt(fields: t.Iterable[str]) -> bool:
    """Start a container. Its monitor, its hooks and its init hear all signals."""
    heed(True)
    try:
        return start_container(*fields)
    except Exception as error:  # noqa: BLE001 # pylint: disable=broad-except # the caller is told, whatever it is
        say(str(error))
        return False
    finally:
        heed(False)


def _opened(files: t.Iterable[str]) -> t.Iterator[int]:
    """Those that can be written: where one can't, liblxc moves nobody either."""
    for file in files:
        try:
            yield os.open(file, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            pass


def _go_home(homes: t.Iterable[int]) -> None:
    """Leave the monitor's cgroups, to which liblxc moves its caller, too (start.c, transient_pid): they could not be removed."""
    for home in homes:
        try:
            # See cgroups(7): 0 is whoever writes.
            os.write(home, b"0")
        except OSError:
            pass  # that cgroup is being removed


def heed(signals: bool) -> None:
    """Have signals do what they do to a program that cares for none, or have them ignored; none is held."""
    for number in _SIGNALS:
        _signal.signal(number, _signal.SIG_DFL if signals else _signal.SIG_IGN)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def begin_anew(kept: t.Iterable[int]) -> None:
    """Reset what Python, Ansible or an undo has set for a process, and close all descriptors but 0 and these: what lives for years
    comes of it.
    """
    os.umask(0o022)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    open_still = {0, *kept}
    for descriptor in [int(name) for name in os.listdir("/proc/self/fd")]:
        if descriptor not in open_still:
            try:
                os.close(descriptor)
            except OSError:
                pass  # that of the list itself


def start_container(lxc_path: str, name: str, log_file: str, log_level: str, spared: str) -> bool:
    """Start a container, with its log in the file, or where its configuration has it; on the output is why it can't be.

    ``spared``: a command that is not run before the start, should it be one of the hooks.
    """
    import _lxc

    container = _lxc.Container(name, lxc_path)
    own = "" if log_file else container.get_config_item("lxc.log.file")
    # Of one that has no log its words are wanted all the same if it fails.
    with open(os.memfd_create("log"), "rb") as memory:
        log = log_file or own or f"/proc/self/fd/{memory.fileno()}"
        offset = os.path.getsize(log) if os.path.exists(log) else 0
        if not own:
            if not container.set_config_item("lxc.log.file", log):
                say(f"liblxc can't write its log to {log}")
                return False
            container.set_config_item("lxc.log.level", log_level)
        if spared:
            _leave_out(container, "lxc.hook.pre-start", spared)
        started = bool(container.start(False, True, True))
        if not started:
            say(errors_in(log, offset))
        return started


def _leave_out(container: t.Any, key: str, value: str) -> None:
    """Take a value off a list of the configuration, in memory alone."""
    values = [it for it in container.get_config_item(key).split("\n") if it]
    if value in values:
        container.clear_config_item(key)
        for other in values:
            if other != value:
                container.set_config_item(key, other)


def say(text: str) -> None:
    """Words from a child, whose standard output is kept for the one who called it."""
    os.write(1, f"{text}\n".encode("utf-8", "surrogateescape"))


def errors_in(log: str, offset: int) -> str:
    """The errors that liblxc wrote behind an offset, without time and source position."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            file.seek(offset)
            lines = [line for line in file if " ERROR " in line]
    except OSError:
        return ""
    return "\n".join(line.split(" - ", 2)[-1] for line in lines)


if __name__ == "__main__":
    main()
