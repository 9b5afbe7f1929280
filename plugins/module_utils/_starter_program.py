# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a starter does, which is a program of its own, see _starter; and how a child process lives and ends.

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
    start keeps open; the answer is the start's pid. A second message, of any content, ends the start if it is not over, and is
    answered with its wait status. Signals that end a caller are blocked.
    """
    # What else a terminal sends is not for us.
    os.setsid()
    channel = _socket.socket(fileno=os.dup(0))
    begin_anew((1, 2, channel.fileno()))
    sys.path.append(sys.argv[1])
    while True:
        request, ancillary, _flags, _address = channel.recvmsg(_LONGEST, _socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS))
        if not request:
            return
        passed = ancillary[0][2] if ancillary else b""
        kept = [int.from_bytes(passed[place : place + 4], sys.byteorder) for place in range(0, len(passed), 4)]
        child = os.fork()
        if child == 0:
            # If we are killed, our caller must not wait for this one.
            channel.close()
            live(start_container, map(os.fsdecode, request.split(b"\0")), kept)
        for descriptor in kept:
            os.close(descriptor)
        channel.send(b"%d" % child)
        if not channel.recv(_LONGEST):
            # Our caller is gone. What was begun goes on, and holds on what it keeps.
            return
        channel.send(b"%d" % reap(child))


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


def live(function: t.Callable[..., bool], arguments: t.Iterable[str], kept: t.Iterable[int]) -> t.NoReturn:
    """Be a process that does this, in a session of its own, and hears all signals. ``kept``: descriptors that the programs it runs
    have, too.
    """
    code = 2
    try:
        os.setsid()
        for number in _SIGNALS:
            _signal.signal(number, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        code = 0 if function(*arguments) else 1
    except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's code
        os.write(2, f"{error}\n".encode(errors="replace"))
    finally:
        os._exit(code)


def reap(child: int) -> int:
    """The wait status of a process that lives as live does, and is over: by now, or by this."""
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    # One that somebody killed has left behind what it started. Until it is waited for, its number is nobody else's.
    if ended is None or ended.si_code != os.CLD_EXITED:
        kill_all(child)
    return os.waitpid(child, 0)[1]


def kill_all(child: int) -> None:
    """Kill a process that lives as live does, with its session, also where it has not come to that yet."""
    for kill in (os.killpg, os.kill):
        try:
            kill(child, _signal.SIGKILL)
        except ProcessLookupError:
            pass


def start_container(lxc_path: str, name: str, log_file: str, log_level: str, spared: str) -> bool:
    """Start a container, with its log in the file, or where its configuration has it; on the output is why it can't be.

    ``spared``: a command that is not run before the start, should it be one of the hooks.
    """
    import _lxc

    container = _lxc.Container(name, lxc_path)
    own = "" if log_file else container.get_config_item("lxc.log.file")
    # Of one that has no log its words are wanted all the same if it fails.
    log = log_file or own or f"/proc/self/fd/{os.memfd_create('log')}"
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
