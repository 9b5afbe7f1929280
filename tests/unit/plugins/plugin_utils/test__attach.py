# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines into a container, run by real shells with stand-ins for LXC's two programs; and files, piece by piece."""

from __future__ import annotations

import os
import string
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.plugin_utils import _attach, _transfer
from ansible_collections.nomadic.lxc.plugins.plugin_utils._attach import AttachError, Container, Marks
from hypothesis import given
from hypothesis import strategies as st

LXC_INFO = """#!/bin/sh
cat "$STATE"
"""
# What lxc-attach does with its arguments: the environment is what --set-var says, and a command follows.
LXC_ATTACH = """#!/usr/bin/env python3
import os, sys
arguments, environment = sys.argv[1:], {}
assert "--clear-env" in arguments
with open(os.environ["SEEN"], "w") as file:
    file.write("\\n".join(arguments))
while arguments[0] != "--":
    word = arguments.pop(0)
    if word.startswith("--set-var="):
        name, _, value = word[len("--set-var="):].partition("=")
        environment[name] = value
if os.environ.get("BROKEN"):
    sys.exit("lxc-attach: web: no init pid")
os.execvpe(arguments[1], arguments[1:], environment)
"""
Call = t.Callable[..., "tuple[int, bytes, bytes]"]


class Host:
    """Runs lines as a host's shell would."""

    def __init__(self, place: Path) -> None:
        self.bin, self.state, self.seen = place / "bin", place / "state", place / "seen"
        self.bin.mkdir()
        for name, text in (("lxc-info", LXC_INFO), ("lxc-attach", LXC_ATTACH)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        # The control group of the first process is looked at; ours is not frozen.
        self.state.write_text(f"State:          RUNNING\nPID:            {os.getpid()}\n")
        self.extra: dict[str, str] = {}
        self.lines = 0

    def run(self, line: str, in_data: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Exit code, stdout, stderr."""
        self.lines += 1
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "STATE": str(self.state),
            "SEEN": str(self.seen),
            **self.extra,
        }
        # stdin is a pipe that nobody writes to, as it is with Ansible's plugins.
        done = subprocess.Popen(
            ["/bin/sh", "-c", line],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        if in_data is None:
            assert done.stdin is not None and done.stdout is not None and done.stderr is not None
            stdout, stderr = done.stdout.read(), done.stderr.read()
            done.stdin.close()
            done.stdout.close()
            done.stderr.close()
            done.wait(timeout=60)
        else:
            stdout, stderr = done.communicate(in_data, timeout=60)
        return done.returncode, stdout, stderr

    def command(
        self, command: str, in_data: bytes | None = None, container: Container | None = None
    ) -> tuple[int, bytes, bytes]:
        """What a command inside gave."""
        marks = Marks()
        place = container or Container("web", environment={"HOME": "/"})
        code, stdout, stderr = self.run(_attach.command_line(place, marks, command, stdin=in_data is not None), in_data)
        code, stderr = _attach.split(marks, code, stderr)
        return code, stdout, stderr

    def piece(self, marks: Marks, line: str, in_data: bytes | None) -> tuple[int, bytes, str]:
        """What a piece of a transfer gave."""
        code, stdout, stderr = self.run(line, in_data)
        code, said = _attach.split_transfer(marks, code, stderr)
        return code, stdout, said


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("command", "code", "stdout", "stderr"),
    [
        ("echo hi", 0, b"hi\n", b""),
        ("printf 'a\\r\\n\\377\\000'; printf 'e\\r\\n\\n' >&2; exit 3", 3, b"a\r\n\xff\x00", b"e\r\n\n"),
        ("exit 255", 255, b"", b""),
        ("echo no newline | tr -d '\\n' >&2; exit 255", 255, b"", b"no newline"),
        ("exit 254", 254, b"", b""),
        ("cat; echo end", 0, b"end\n", b""),
        (
            """printf %s 'it'"'"'s "$HOME" \\ `x`
two'""",
            0,
            b'it\'s "$HOME" \\ `x`\ntwo',
            b"",
        ),
        ("echo grüße ✓", 0, "grüße ✓\n".encode(), b""),
        ('echo "$HOME $USER $#"; pwd', 0, b"/ root 0\n/\n", b""),
    ],
)
def test_a_command_gives_what_it_gives(host: Host, command: str, code: int, stdout: bytes, stderr: bytes) -> None:
    assert host.command(command) == (code, stdout, stderr)


def test_a_command_reads_what_is_sent(host: Host) -> None:
    data = bytes(range(256)) * 4096
    assert host.command("cat", data) == (0, data, b"")


def test_the_environment_of_the_host_stays_outside(host: Host) -> None:
    host.extra["LEAKED"] = "secret"
    container = Container("web", environment={"A": " b  'c'\n$d", "HOME": "/"})
    code, stdout, _stderr = host.command("env -0", container=container)
    found = dict(part.split("=", 1) for part in stdout.decode().split("\0") if part)
    assert code == 0
    assert found["A"] == " b  'c'\n$d"
    assert found["PATH"] == _attach.PATH
    assert set(found) - {"PWD", "OLDPWD", "SHLVL", "_"} == {"A", "HOME", "PATH", "USER", "LOGNAME", "SHELL"}


@given(command=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_any_text_reaches_the_shell_inside_as_it_is(command: str) -> None:
    marks = Marks()
    line = _attach.command_line(Container("web"), marks, command, stdin=True)
    done = subprocess.run(["/bin/sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, check=True)
    assert done.stdout.decode().endswith(f"\n{command}\n")


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("State:          STOPPED\n", "is stopped (or"),
        ("State:          FROZEN\nPID:            7\n", "is frozen: thaw it"),
        ("State:          ABORTING\nPID:            7\n", "is aborting: it must"),
        ("web doesn't exist\n", "web doesn't exist"),
        ("", "said nothing"),
        ("bad \x1b[31m\nsecond", "bad \\x1b[31m; second"),
    ],
)
def test_a_container_that_does_not_run_is_named_so(host: Host, state: str, sentence: str) -> None:
    host.state.write_text(state)
    with pytest.raises(AttachError) as caught:
        host.command("echo hi")
    assert sentence in str(caught.value)
    assert not host.seen.exists()
    assert str(caught.value).isprintable()


def test_a_failed_attach_is_no_result_of_the_command(host: Host) -> None:
    host.extra["BROKEN"] = "1"
    with pytest.raises(AttachError, match="ended with 1 before the command began: lxc-attach: web: no init pid"):
        host.command("echo hi")
    with pytest.raises(AttachError, match="ended with 1 before the command began: lxc-attach: web: no init pid"):
        _transfer.fetch(host.piece, Container("web"), "/etc/passwd", str(host.bin / "fetched"))


def test_lxc_is_not_there(host: Host) -> None:
    (host.bin / "lxc-info").write_text("#!/bin/sh\necho 'lxc-info: not found' >&2; exit 127\n")
    with pytest.raises(AttachError, match="lxc-info: not found"):
        host.command("echo hi")


def test_what_precedes_the_mark_was_said_by_the_way() -> None:
    marks = Marks()
    stderr = b"motd\nMultiplexing failed\n" + marks.inside.encode() + b"\nown words"
    assert _attach.split(marks, 0, stderr) == (0, b"own words")


def test_a_forged_mark_of_another_command_means_nothing() -> None:
    marks, other = Marks(), Marks()
    stderr = f"{marks.inside}\n\n{other.host} exit 0\n".encode()
    assert _attach.split(marks, 3, stderr) == (3, f"\n{other.host} exit 0\n".encode())


def test_the_mark_of_the_host_does_not_get_inside() -> None:
    marks = Marks()
    line = _attach.command_line(Container("web"), marks, "true", stdin=False)
    assert line.count(marks.host) == 1
    assert marks.host not in line[line.index("--clear-env") :]


@pytest.mark.parametrize(
    ("container", "message"),
    [
        (Container(""), "name of a container"),
        (Container(".."), "name of a container"),
        (Container("a/b"), "name of a container"),
        (Container("a\nb"), "name of a container"),
        (Container("web", lxc_path="lxc"), "absolute"),
        (Container("web", lxc_path="/lxc\n"), "absolute"),
        (Container("web", user="-x"), "name of a user"),
        (Container("web", user="a b"), "name of a user"),
        (Container("web", environment={"": "x"}), "environment"),
        (Container("web", environment={"A=B": "x"}), "environment"),
        (Container("web", environment={"A": "\0"}), "environment"),
    ],
)
def test_what_can_not_be_is_refused(container: Container, message: str) -> None:
    assert [fault for fault in _attach.faults(container) if message in fault]


def test_what_can_be_is_taken() -> None:
    assert _attach.faults(Container("grüße-1 x", "/var/lib/lxc", "www-data", {"A_b": "x\ny"})) == []


@pytest.mark.parametrize(
    "size",
    [0, 1, 1000, 65536, _transfer.FETCH_SIZE - 1, _transfer.FETCH_SIZE, _transfer.PUT_SIZE, _transfer.PUT_SIZE + 7],
)
def test_a_file_goes_in_and_comes_back(host: Host, tmp_path: Path, size: int) -> None:
    sent, inside, back = tmp_path / "sent", tmp_path / "-in ' \"side\nü", tmp_path / "back"
    sent.write_bytes(os.urandom(size))
    sent.chmod(0o640)
    _transfer.send(host.piece, Container("web"), str(sent), str(inside))
    assert inside.read_bytes() == sent.read_bytes()
    assert inside.stat().st_mode & 0o7777 == 0o640
    _transfer.fetch(host.piece, Container("web"), str(inside), str(back))
    assert back.read_bytes() == sent.read_bytes()
    assert back.stat().st_mode & 0o7777 == 0o640


def test_a_file_that_is_there_keeps_its_mode(host: Host, tmp_path: Path) -> None:
    sent, inside = tmp_path / "sent", tmp_path / "inside"
    sent.write_text("new")
    inside.write_text("old and longer")
    inside.chmod(0o600)
    _transfer.send(host.piece, Container("web"), str(sent), str(inside))
    assert inside.read_text() == "new"
    assert inside.stat().st_mode & 0o7777 == 0o600


def test_the_environment_of_a_container_is_no_part_of_a_transfer(host: Host, tmp_path: Path) -> None:
    sent, inside, back = tmp_path / "sent", tmp_path / "inside", tmp_path / "back"
    container = Container("web", environment={letter: "5" for letter in string.ascii_letters})
    inside.touch(0o600)
    sent.write_text("new")
    sent.chmod(0o644)
    _transfer.send(host.piece, container, str(sent), str(inside))
    assert inside.stat().st_mode & 0o7777 == 0o600
    _transfer.fetch(host.piece, container, str(inside), str(back))
    assert back.read_text() == "new"
    assert back.stat().st_mode & 0o7777 == 0o600


def test_what_ssh_says_of_itself_is_no_part_of_a_transfer(host: Host, tmp_path: Path) -> None:
    def piece(marks: Marks, line: str, in_data: bytes | None) -> tuple[int, bytes, str]:
        code, stdout, stderr = host.run(line, in_data)
        noise = f"debug1: Sending command: {line}\r\ndebug2: channel 0: rcvd ext data 55\r\n".encode()
        stderr = noise + b"".join(part + noise for part in stderr.splitlines(keepends=True))
        code, said = _attach.split_transfer(marks, code, stderr)
        return code, stdout, said

    sent, inside, back = tmp_path / "sent", tmp_path / "inside", tmp_path / "back"
    sent.write_bytes(bytes(_transfer.PUT_SIZE + 1))
    _transfer.send(piece, Container("web"), str(sent), str(inside))
    _transfer.fetch(piece, Container("web"), str(inside), str(back))
    assert back.read_bytes() == sent.read_bytes()
    with pytest.raises(_transfer.TransferError, match="nowhere"):
        _transfer.send(piece, Container("web"), str(sent), str(tmp_path / "nowhere" / "x"))


def test_a_file_is_sent_in_pieces_and_small_ones_by_one_command(host: Host, tmp_path: Path) -> None:
    sent, inside = tmp_path / "sent", tmp_path / "inside"
    sent.write_bytes(b"x")
    _transfer.send(host.piece, Container("web"), str(sent), str(inside))
    _transfer.fetch(host.piece, Container("web"), str(inside), str(tmp_path / "back"))
    assert host.lines == 2
    sent.write_bytes(bytes(_transfer.PUT_SIZE + 1))
    _transfer.send(host.piece, Container("web"), str(sent), str(inside))
    assert host.lines == 4


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: None, FileNotFoundError, "No such file"),
        (lambda path: path.mkdir(), _transfer.TransferError, "not a regular file"),
        (os.mkfifo, _transfer.TransferError, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), _transfer.TransferError, "not a regular file"),
    ],
)
def test_what_is_no_file_is_not_fetched(
    host: Host, tmp_path: Path, make: t.Callable[[Path], None], error: type[Exception], message: str
) -> None:
    make(tmp_path / "inside")
    with pytest.raises(error, match=message):
        _transfer.fetch(host.piece, Container("web"), str(tmp_path / "inside"), str(tmp_path / "back"))
    assert not (tmp_path / "back").exists()


def test_a_file_that_can_not_be_written_is_told(host: Host, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_text("x")
    with pytest.raises(_transfer.TransferError, match="nowhere"):
        _transfer.send(host.piece, Container("web"), str(sent), str(tmp_path / "nowhere" / "x"))
    with pytest.raises(_transfer.TransferError, match="[Nn]o space"):
        _transfer.send(host.piece, Container("web"), str(sent), "/dev/full")


def liar(place: Path, program: str, text: str) -> Container:
    """A container in which a program is not what it should be."""
    (place / "inside-bin").mkdir()
    (place / "inside-bin" / program).write_text(text)
    (place / "inside-bin" / program).chmod(0o755)
    return Container("web", environment={"PATH": f"{place}/inside-bin:{os.environ['PATH']}"})


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("wc", "#!/bin/sh\nyes >&2\n"),
        ("wc", "#!/bin/sh\necho 17\n"),
        ("wc", "#!/bin/sh\nprintf '\\033]0;x\\007'\n"),
        ("cat", "#!/bin/sh\nhead -c 50000000 /dev/zero >&2; exit 0\n"),
        ("cat", "#!/bin/sh\nexit 0\n"),
    ],
)
def test_a_lying_container_can_not_hang_a_transfer_nor_pass_for_a_good_one(
    host: Host, tmp_path: Path, program: str, text: str
) -> None:
    place = liar(tmp_path, program, text)
    sent = tmp_path / "sent"
    sent.write_bytes(bytes(_transfer.PUT_SIZE))
    with pytest.raises(_transfer.TransferError) as caught:
        _transfer.send(host.piece, place, str(sent), str(tmp_path / "inside"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("wc", "#!/bin/sh\necho 99999999999999\n"),
        ("stat", "#!/bin/sh\necho rwx\n"),
        ("dd", "#!/bin/sh\nyes\n"),
        ("dd", "#!/bin/sh\nexit 0\n"),
        ("dd", "#!/bin/sh\nyes >&3\n"),
    ],
)
def test_a_lying_container_can_not_pass_a_fetched_file_for_whole(
    host: Host, tmp_path: Path, program: str, text: str
) -> None:
    place = liar(tmp_path, program, text)
    inside, back = tmp_path / "inside", tmp_path / "back"
    inside.write_bytes(b"four")
    with pytest.raises(_transfer.TransferError) as caught:
        _transfer.fetch(host.piece, place, str(inside), str(back))
    assert str(caught.value).isprintable()
    assert not back.exists()
