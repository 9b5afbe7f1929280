# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a child process: what it says, what it leaves, and how it is ended. Real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _child
from ansible_collections.nomadic.lxc.plugins.module_utils._child import Finished, call
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import identify
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import until


def sleeps(seconds: float) -> t.Callable[[], bool]:
    """A function that takes so long, and is right then."""

    def work() -> bool:
        time.sleep(seconds)
        return True

    return work


def dies_of(number: int) -> t.Callable[[], bool]:
    """A function that ends its process by a signal."""

    def work() -> bool:
        os.kill(os.getpid(), number)
        return True

    return work


def wrote(file: Path) -> t.Callable[[], bool]:
    return lambda: file.exists() and file.read_text().strip() != ""


def held_by(pid: int) -> list[str]:
    """The paths of the files that a process has open, as the kernel names them. Files may come and go meanwhile."""
    paths = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            paths.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return paths


def test_what_the_function_returned() -> None:
    assert call(lambda: True) == Finished(ok=True, output="")
    assert call(lambda: False) == Finished(ok=False, output="")


def test_it_is_another_process_and_session() -> None:
    done = call(lambda: os.write(1, f"{os.getpid()} {os.getsid(0)}".encode()) > 0)
    pid, session = done.output.split()
    assert pid == session != str(os.getpid())
    assert identify(int(pid)) is None


def test_all_output_is_kept() -> None:
    """What a template prints can't spoil the module's JSON."""

    def work() -> bool:
        os.write(1, b"one\n")
        os.write(2, b"two\n")
        subprocess.run(["sh", "-c", "echo three; echo four >&2"], check=True)
        os.write(1, b"\xff\n")
        return True

    assert call(work) == Finished(ok=True, output="one\ntwo\nthree\nfour\n\ufffd\n")


def test_much_output(capfd: pytest.CaptureFixture[str]) -> None:
    done = call(lambda: os.write(1, b"x" * 10_000_000) > 0)
    assert done.ok
    assert done.output.strip("x") == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error", [RuntimeError("what went wrong"), SystemExit("what went wrong"), KeyboardInterrupt("what went wrong")]
)
def test_an_error_is_a_failure_with_its_words(error: BaseException) -> None:
    def work() -> bool:
        raise error

    assert call(work) == Finished(ok=False, output="what went wrong\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_death_is_a_failure(number: signal.Signals) -> None:
    done = call(dies_of(number))
    assert (done.ok, done.timed_out) == (False, False)


def test_what_one_that_was_killed_had_started_is_killed_too(tmp_path: Path) -> None:
    file = tmp_path / "pid"

    def work() -> bool:
        file.write_text(str(subprocess.Popen(["sleep", "100"]).pid))
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    assert not call(work).ok
    until(lambda: identify(int(file.read_text())) is None)


def test_handlers_of_ours_do_not_run_in_it() -> None:
    former = signal.signal(signal.SIGTERM, lambda _number, _frame: os.write(1, b"our handler"))
    try:
        done = call(dies_of(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, former)
    assert done == Finished(ok=False, output="")


def test_it_reads_nothing() -> None:
    done = call(lambda: os.write(1, repr(os.read(0, 1)).encode()) > 0)
    assert done.output == "b''"


def test_no_file_of_ours_is_held_by_what_it_starts(tmp_path: Path) -> None:
    """A pipe to Ansible that a container inherits would keep Ansible waiting."""
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)
    file = tmp_path / "pid"

    def work() -> bool:
        lasting = subprocess.Popen(
            ["sh", "-c", f"echo $$ >{file}; exec sleep 60"], close_fds=False, start_new_session=True
        )
        return lasting.pid > 0

    start = time.monotonic()
    try:
        assert call(work).ok
        # The module comes back at once, and what it started outlives it.
        assert time.monotonic() - start < 10
        until(wrote(file))
        pid = int(file.read_text())
        assert identify(pid) is not None
        os.close(theirs)
        # Nobody else holds the other end, so that this reads the end at once.
        assert os.read(ours, 1) == b""
        # A program that has just started has files of its own open for a moment: its libraries, its locale.
        until(lambda: all(path == "/dev/null" or "deleted" in path for path in held_by(pid)))
    finally:
        os.close(ours)
        os.kill(int(file.read_text()), signal.SIGKILL)


def test_it_inherits_what_it_is_given(tmp_path: Path) -> None:
    """The lock: a template holds it on."""
    ours = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(other, True)
    try:
        script = f"echo given >/proc/self/fd/{ours} && [ ! -e /proc/self/fd/{other} ]"
        assert call(
            lambda: subprocess.run(["sh", "-c", script], close_fds=False, check=False).returncode == 0, inherit=[ours]
        ).ok
        assert not os.get_inheritable(ours)
    finally:
        os.close(ours)
        os.close(other)
    assert (tmp_path / "file").read_text() == "given\n"


def test_after_the_timeout_all_of_it_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pid"

    def work() -> bool:
        subprocess.run(["sh", "-c", f"echo working; echo $$ >{file}; sleep 60; :"], check=True)
        return True

    start = time.monotonic()
    done = call(work, timeout=1.0)
    assert done == Finished(ok=False, output="working\n", timed_out=True)
    assert 1.0 <= time.monotonic() - start < 10
    until(lambda: identify(int(file.read_text())) is None)


def test_one_that_ignores_signals_is_killed_too() -> None:
    def work() -> bool:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        return True

    assert call(work, timeout=0.1) == Finished(ok=False, output="", timed_out=True)


def test_one_that_hangs_is_killed() -> None:
    asked: list[int] = []

    def hangs() -> bool:
        asked.append(1)
        return True

    done = call(sleeps(60), hangs=hangs)
    assert done == Finished(ok=False, output="", timed_out=True)
    assert len(asked) == _child.HANGING > 1


def test_one_that_only_seemed_to_hang_goes_on() -> None:
    answers = iter([True, False, True, False, False])
    done = call(sleeps(3.5), hangs=lambda: next(answers))
    assert done == Finished(ok=True, output="")


def test_a_signal_ends_the_wait_and_the_work(tmp_path: Path) -> None:
    """What the child has started must not go on behind the undo."""
    file = tmp_path / "pid"

    def interrupt(_number: int, _frame: t.Any) -> None:
        raise InterruptedError("ended by a signal")

    def work() -> bool:
        subprocess.run(["sh", "-c", f"echo $$ >{file}; sleep 60; :"], check=True)
        return True

    former = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(InterruptedError):
            call(work)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    until(lambda: identify(int(file.read_text())) is None)


def test_no_zombie_and_no_descriptor_stays() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _round in range(5):
        call(lambda: True)
        call(sleeps(60), timeout=0)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert len(os.listdir("/proc/self/fd")) == before
