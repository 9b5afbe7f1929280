# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that starts containers: the real one, and the real liblxc. Its containers have a hook that fails before there is
anything to run in, so that none ever starts.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _child,
    _errors,
    _lock,
    _monitor,
    _proc,
    _signals,
    _starter,
    _starter_program,
)
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.liblxc import SYSTEM_PYTHON
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import children, until


@pytest.fixture(scope="module")
def binding() -> str:
    """The file of liblxc's binding, which is the system's Python's."""
    command = [SYSTEM_PYTHON, "-c", "import _lxc; print(_lxc.__file__)"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def system_python(monkeypatch: pytest.MonkeyPatch, binding: str) -> t.Iterator[None]:
    """As if the tests were run by it."""
    monkeypatch.setattr(sys, "executable", SYSTEM_PYTHON)
    monkeypatch.setitem(sys.modules, "_lxc", types.SimpleNamespace(__file__=binding))
    _starter._of.cache_clear()
    yield
    if _starter._of.cache_info().currsize:
        last = _starter._of(os.getpid())
        last.close()
        last._process.wait()
    _starter._of.cache_clear()


@pytest.fixture(autouse=True)
def no_monitor(tmp_path: Path) -> t.Iterator[None]:
    """The monitor of a start that was broken off is the caller's to end."""
    yield
    monitor = _monitor.find(str(tmp_path), "web")
    if monitor is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(monitor, signal.SIGKILL)


class Hooked:
    """A container with a hook that does this, and fails."""

    def __init__(self, place: Path, script: str) -> None:
        self.place, self.log = place, place / "log"
        (place / "web").mkdir(exist_ok=True)
        self.command = f"sh -c {shlex.quote(f'{script}; exit 1')}"
        self.config(f"lxc.hook.pre-start = {self.command}\n")

    def config(self, lines: str) -> None:
        """Have these lines, and those that all have."""
        text = f"lxc.uts.name = web\nlxc.net.0.type = empty\n{lines}"
        (self.place / "web" / "config").write_text(text, encoding="utf-8")

    def start(
        self,
        kept: t.Sequence[int] = (),
        timeout: float = 30.0,
        hangs: t.Callable[[], bool] = lambda: False,
        log_file: str | None = "",
        spared: str | None = None,
        at_once: bool = False,
    ) -> _child.Finished:
        """Start it once nothing is left of the start before, or ``at_once``."""
        if not at_once:
            until(lambda: _monitor.find(str(self.place), "web") is None)
        log = str(self.log) if log_file == "" else log_file
        return _starter.start(str(self.place), "web", log, "error", spared, kept, timeout, hangs)


def starter() -> int:
    """The pid of this process's."""
    found: list[int] = []

    def seen() -> bool:
        found[:] = [int(pid) for pid in children() if b"/proc/self/fd/" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return len(found) == 1

    until(seen)
    return found[0]


def test_why_it_failed_is_told(tmp_path: Path) -> None:
    done = Hooked(tmp_path, "true").start()
    assert (done.ok, done.timed_out) == (False, False)
    assert "Failed to run lxc.hook.pre-start" in done.output
    assert "Failed to run lxc.hook.pre-start" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("own", [True, False])
def test_of_one_without_a_log_of_the_tasks_too(tmp_path: Path, own: bool) -> None:
    hooked = Hooked(tmp_path, "true")
    if own:
        with open(tmp_path / "web" / "config", "a", encoding="utf-8") as file:
            file.write(f"lxc.log.file = {tmp_path}/own\nlxc.log.level = ERROR\n")
    assert "pre-start" in hooked.start(log_file=None).output
    assert (tmp_path / "own").exists() == own
    assert not (tmp_path / "log").exists()


def test_a_log_that_cant_be_written_is_told(tmp_path: Path) -> None:
    done = Hooked(tmp_path, "true").start(log_file="/proc/nowhere/log")
    assert not done.ok
    assert "can't write its log to /proc/nowhere/log" in done.output


def test_a_configuration_that_liblxc_does_not_load_is_told(tmp_path: Path) -> None:
    hooked = Hooked(tmp_path, "true")
    (tmp_path / "web" / "config").write_text("lxc.nothing = 1\n", encoding="utf-8")
    done = hooked.start()
    assert not done.ok
    assert done.output.strip()


def test_a_hook_is_spared(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    hooked = Hooked(tmp_path, f"touch {ran}")
    with open(tmp_path / "web" / "config", "a", encoding="utf-8") as file:
        file.write("lxc.hook.pre-start = false\n")
    assert "pre-start" in hooked.start(spared=hooked.command).output
    assert not ran.exists()
    hooked.start()
    assert ran.exists()


def test_one_starter_starts_all(tmp_path: Path) -> None:
    """And keeps nothing of one for the next: no descriptor, no log, no word."""
    hooked = Hooked(tmp_path, "echo $PPID")
    _starter.expect()
    first = starter()

    def started(**options: t.Any) -> int:
        assert not hooked.start(**options).ok
        return len(os.listdir(f"/proc/{first}/fd"))

    assert len({started(), started(log_file=None), started(kept=[0, 1]), started(log_file="/proc/nowhere/log")}) == 1
    assert starter() == first
    assert children(first) == []
    said = hooked.start().output
    assert said == hooked.start().output
    logged = hooked.log.read_text()
    hooked.start(log_file=f"{tmp_path}/other")
    assert hooked.log.read_text() == logged


def forked(work: t.Callable[[], t.Any]) -> int:
    """The pid of a process that does this."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def test_another_process_has_its_own(tmp_path: Path) -> None:
    """A worker is forked from a process that may have one."""
    hooked = Hooked(tmp_path, "true")
    hooked.start()
    ours, theirs = os.pipe()
    os.waitpid(forked(lambda: os.write(theirs, f"{hooked.start().ok} {starter()}".encode())), 0)
    ok, its = os.read(ours, 100).split()
    assert (ok, int(its) == starter()) == (b"False", False)
    # It ends with the process whose it is.
    until(lambda: _proc.identify(int(its)) is None)
    for descriptor in (ours, theirs):
        os.close(descriptor)
    assert "pre-start" in hooked.start().output


def test_what_a_monitor_inherits(tmp_path: Path) -> None:
    """Nothing of Ansible's, and nothing of what Python or the module has set: it may run for years."""
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)
    mine = os.readlink(f"/proc/self/fd/{theirs}")
    told = tmp_path / "told"
    hooked = Hooked(tmp_path, f"{{ umask; pwd; ls -l /proc/$PPID/fd; cat /proc/$PPID/status; }} >{told}")
    former = os.umask(0o077)
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        hooked.start(kept=[theirs])
    finally:
        signal.signal(signal.SIGTERM, handler)
        os.umask(former)
        os.close(ours)
        os.close(theirs)
    text = told.read_text()
    assert text.startswith("0022\n/\n")
    files = re.findall(r"-> (.*)", text)
    assert "/dev/null" in files
    assert mine not in files
    assert not any("memfd" in file for file in files)
    numbers = {key: int(value, 16) for key, value in re.findall(r"(Sig\w+):\t([0-9a-f]+)\n", text)}
    assert numbers["SigIgn"] == numbers["SigBlk"] == 0
    assert f"NSsid:\t{os.getsid(0)}\n" not in text


def test_after_the_timeout_it_is_ended(tmp_path: Path) -> None:
    hooked = Hooked(tmp_path, "sleep 60")
    start = time.monotonic()
    done = hooked.start(timeout=1.0)
    assert (done.ok, done.timed_out) == (False, True)
    assert _starter.ENDED not in done.output
    assert 1.0 <= time.monotonic() - start < 10
    assert children() == []
    # And the next is told what it asked for.
    assert "already running" in hooked.start(at_once=True).output


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    assert Hooked(tmp_path, "sleep 60").start(hangs=lambda: True).timed_out
    assert children() == []


def later(script: str) -> subprocess.Popen[bytes]:
    """Something that another process does meanwhile."""
    return subprocess.Popen(["sh", "-c", script])


def test_a_signal_ends_the_wait_and_the_start(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    hooked = Hooked(tmp_path, f"touch {begun}; sleep 60")
    kill = later(f"until [ -e {begun} ]; do sleep 0.05; done; kill -TERM {os.getpid()}")
    with kill, pytest.raises(_signals.Interrupted), _signals.interruptible():
        hooked.start()
    kill.wait()
    assert children() == []
    # And the next is told what it asked for: the monitor of the first is still there.
    assert "already running" in hooked.start(at_once=True).output


def test_a_signal_while_it_begins_ends_it_too(tmp_path: Path) -> None:
    """As long as the starter loads, say."""
    hooked = Hooked(tmp_path, "sleep 60")
    _starter.expect()
    os.kill(starter(), signal.SIGSTOP)
    kill = later(f"sleep 0.5; kill -TERM {os.getpid()}")
    with kill, pytest.raises(_signals.Interrupted), _signals.interruptible():
        hooked.start()
    kill.wait()
    assert children() == []
    assert _monitor.find(str(tmp_path), "web") is None
    # It is the next one's that is waited for.
    assert hooked.start(timeout=2.0, at_once=True).timed_out
    assert children() == []


def test_what_ends_its_caller_does_not_end_it(tmp_path: Path) -> None:
    """A signal to all of a control group, or by a terminal: an undo may have to start something again. Nor does it come later."""
    hooked = Hooked(tmp_path, "true")
    _starter.expect()
    first = starter()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        os.kill(first, number)
        assert "pre-start" in hooked.start().output
    assert starter() == first


def test_one_that_was_killed_is_replaced(tmp_path: Path) -> None:
    hooked = Hooked(tmp_path, "true")
    hooked.start()
    first = starter()
    os.kill(first, signal.SIGKILL)
    until(lambda: _proc.identify(first) is None)
    assert "pre-start" in hooked.start().output
    assert starter() != first


def test_one_that_is_killed_during_a_start_is_told(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    hooked = Hooked(tmp_path, f"touch {begun}; sleep 60")
    _starter.expect()
    first = starter()
    begin = time.monotonic()
    with later(f"until [ -e {begun} ]; do sleep 0.05; done; kill -KILL {first}"):
        done = hooked.start(timeout=3.0)
    assert not done.ok
    assert _starter.ENDED in done.output
    assert not done.timed_out
    assert time.monotonic() - begin < 20
    # What it had begun has ended, but for the monitor, and another starts what comes.
    assert "already running" in hooked.start(at_once=True).output


def test_why_it_has_ended_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_starter, "_source", lambda: "raise OSError('no more processes')")
    _starter.expect()
    until(lambda: not _starter._of(os.getpid()).lives)
    done = Hooked(tmp_path, "true").start()
    assert not done.ok
    assert "OSError: no more processes" in done.output
    assert done.output.endswith(_starter.ENDED)


def test_what_is_no_text_is_told_as_text() -> None:
    one = _starter._of(os.getpid())
    os.write(one._output, b"\xff")
    assert one.printed() == "\ufffd"


def test_a_start_that_outlives_its_caller_holds_the_lock(tmp_path: Path) -> None:
    """The next call waits for it."""
    lock, begun = str(tmp_path / "lock"), tmp_path / "begun"
    hooked = Hooked(tmp_path, f"touch {begun}; sleep 2")

    def call() -> None:
        with _lock.held(lock, "x") as descriptor:
            hooked.start(kept=[descriptor])

    pid = forked(call)
    until(begun.exists)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with pytest.raises(_errors.LockTimeoutError), _lock.held(lock, "x", wait=0.2):
        raise AssertionError("the start still works")
    with _lock.held(lock, "x", wait=20):
        pass
    assert not os.path.exists(lock)


def test_it_does_not_stay_in_the_monitors_cgroups(tmp_path: Path) -> None:
    """Where liblxc moves it: nobody could remove them when the container ends."""
    hooked = Hooked(tmp_path, "true")
    _starter.expect()
    mine = Path(f"/proc/{starter()}/cgroup")
    own = mine.read_text()
    (tmp_path / "web" / "rootfs").mkdir()
    hooked.config(
        f"lxc.rootfs.path = dir:{tmp_path}/web/rootfs\n"
        # By then they are made.
        f"lxc.hook.start-host = sh -c {shlex.quote(f'cat {mine} >{tmp_path}/meanwhile; exit 1')}\n"
    )
    assert "start-host" in hooked.start().output
    assert "/lxc.monitor.web" in (tmp_path / "meanwhile").read_text()
    assert mine.read_text() == own == Path("/proc/self/cgroup").read_text()


def test_its_process_is_small() -> None:
    """No more of Python's is loaded than must be: a fork copies it all."""
    show = "\nimport sys; print(*sys.modules)"
    source = _starter._source().replace('if __name__ == "__main__":', "if False:") + show
    done = subprocess.run(
        [SYSTEM_PYTHON, "-I", "-S", "-c", source], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "os" in done
    assert not {"typing", "signal", "socket", "enum", "re", "subprocess", "json", "collections"} & set(done)
    assert _starter_program.__name__ not in done
