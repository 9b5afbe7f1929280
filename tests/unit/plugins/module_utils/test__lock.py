# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock: real files, real processes."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _lock, _signals
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LockTimeoutError, LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._lock import DIRECTORY, WAIT, held, lock_file
from ansible_collections.nomadic.lxc.plugins.module_utils._tree import remove


def test_where_it_is() -> None:
    file = lock_file("task", "web", "/var/lib/lxc")
    assert DIRECTORY == "/run/lock/nomadic-lxc"
    assert os.path.dirname(file) == DIRECTORY
    assert "web" in os.path.basename(file)


def test_one_file_for_one_container(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    real = str(tmp_path / "real")
    one = lock_file("task", "web", real)
    # the same place by another path
    assert lock_file("task", "web", f"{real}/") == one
    assert lock_file("task", "web", f"{real}/./x/..") == one
    assert lock_file("task", "web", str(tmp_path / "link")) == one
    # and another one for all else
    others = {lock_file("task", "db", real), lock_file("task", "web", str(tmp_path)), lock_file("alloc", "web", real)}
    assert len({one, *others}) == 4


def test_its_wait_has_a_limit() -> None:
    # longer than a graceful stop under the default ceiling of 30 seconds
    assert 30 < WAIT < 3600


@pytest.mark.parametrize("inherited", [True, False])
def test_it_is_held_and_let_go(tmp_path: Path, inherited: bool) -> None:
    file = tmp_path / "locks" / "web.lock"
    with held(str(file), "container web", inherited=inherited) as descriptor:
        assert os.get_inheritable(descriptor) == inherited
        assert os.path.samestat(os.fstat(descriptor), file.stat())
        with pytest.raises(LockTimeoutError), held(str(file), "container web", wait=0.1):
            raise AssertionError("two hold it")
    assert not file.exists()
    with held(str(file), "container web", wait=0):
        pass
    # its directory stays, so that nobody else can make it
    assert list(tmp_path.rglob("*")) == [file.parent]


def test_it_is_roots_alone(tmp_path: Path) -> None:
    file = tmp_path / "locks" / "web.lock"
    former = os.umask(0)
    try:
        with held(str(file), "container web"):
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    finally:
        os.umask(former)


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        ("somebody's", "belongs to user 1000"),
        ("open", "has the mode 0777"),
        ("group", "has the mode 0770"),
        ("link", "is no directory"),
        ("dangling", "is no directory"),
        ("file", "is no directory"),
    ],
)
def test_it_is_not_held_where_somebody_else_could(tmp_path: Path, made: str, fault: str) -> None:
    """As anybody can make the directory in /run/lock who comes first."""
    locks = tmp_path / "locks"
    if made in ("link", "dangling"):
        locks.symlink_to(tmp_path if made == "link" else tmp_path / "nothing")
    elif made == "file":
        locks.touch()
    else:
        locks.mkdir()
        os.chmod(locks, {"open": 0o777, "group": 0o770}.get(made, 0o700))
        os.chown(locks, 1000 if made == "somebody's" else 0, 0)
    before = sorted(tmp_path.iterdir())
    for _twice in range(2):
        with pytest.raises(LxcTaskError, match=fault) as caught, held(str(locks / "web.lock"), "x"):
            raise AssertionError("it was held")
        assert f"rm -r {locks}" in str(caught.value.hint)
    assert sorted(tmp_path.iterdir()) == before
    # Once that is done, all is well.
    remove(str(locks), [])
    with held(str(locks / "web.lock"), "x", wait=0):
        pass


def test_its_directory_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time also before it is made; and again where somebody removed it, and it was made anew."""
    looked: list[str] = []
    lstat = os.lstat

    def look(path: str) -> os.stat_result:
        looked.append(path)
        return lstat(path)

    monkeypatch.setattr(os, "lstat", look)
    for times in (2, 1):
        for name in ("web", "db", "web"):
            with held(str(tmp_path / "locks" / name), "x", wait=0):
                pass
        assert looked.count(str(tmp_path / "locks")) == times
        remove(str(tmp_path / "locks"), [])
        looked.clear()


def test_it_is_let_go_on_an_error(tmp_path: Path) -> None:
    file = str(tmp_path / "lock")
    with pytest.raises(ZeroDivisionError), held(file, "x"):
        raise ZeroDivisionError
    with held(file, "x", wait=0):
        pass


@pytest.mark.parametrize(
    ("inherited", "module", "name", "turn", "all_turns"),
    [
        (True, fcntl, "flock", 1, 2),
        (True, fcntl, "flock", 2, 2),
        (False, fcntl, "flock", 1, 1),
        (False, os, "unlink", 1, 1),
    ],
)
def test_a_signal_when_it_is_taken_or_let_go_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inherited: bool,
    module: t.Any,
    name: str,
    turn: int,
    all_turns: int,
) -> None:
    file = tmp_path / "lock"
    original, turns = getattr(module, name), []

    def interrupted(*args: t.Any) -> t.Any:
        turns.append(args)
        if len(turns) == turn:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args)

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(module, name, interrupted)
        with (
            pytest.raises(_signals.Interrupted),
            _signals.interruptible(),
            held(str(file), "x", inherited=inherited),
        ):
            pass
    assert len(turns) == all_turns
    assert not file.exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError), held(str(tmp_path / "lock"), "x"):
        raise AssertionError("it was followed")
    assert not (tmp_path / "precious").exists()


def test_the_error_says_who_waits_for_what_and_how_long(tmp_path: Path) -> None:
    file = str(tmp_path / "lock")
    with open(file, "w", encoding="ascii") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        start = time.monotonic()
        with pytest.raises(LockTimeoutError) as caught, held(file, "container web", wait=0.3):
            raise AssertionError("two hold it")
        assert 0.3 <= time.monotonic() - start < 5
    assert isinstance(caught.value, LxcTaskError)
    assert "container web" in caught.value.msg
    assert "0.3 seconds" in caught.value.msg
    assert file in str(caught.value.hint)


def test_it_is_waited_for(tmp_path: Path) -> None:
    file = str(tmp_path / "lock")
    other = os.open(file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    threading.Timer(0.3, os.close, [other]).start()
    start = time.monotonic()
    with held(file, "x", wait=10):
        assert 0.25 <= time.monotonic() - start < 5


def test_meanwhile_something_else_can_be_done(tmp_path: Path) -> None:
    """And it is asked for at once after that, however long it took."""
    file = str(tmp_path / "lock")
    other = os.open(file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            time.sleep(0.3)
            os.close(other)

    with held(file, "x", wait=0.2, pause=pause):
        pass
    assert pauses == sorted(pauses)
    assert len(pauses) == 4
    assert 0 < pauses[0] < pauses[-1] <= 0.1


@pytest.mark.parametrize("shared", [False, True])
def test_the_files_of_those_that_tasks_have_in_turn_can_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Until the end, when also those go that others have left, but none that somebody holds."""
    monkeypatch.setattr(_lock, "DIRECTORY", str(tmp_path))
    common = [_lock.lock_file(kind, "web", "/srv") for kind in ("alloc", "image")]
    task, left, used = (
        _lock.lock_file(*which, "/srv") for which in (("task", "web"), ("alloc", "db"), ("image", "db"))
    )
    for _times in range(2):
        Path(left).touch()
        Path(used).touch()
        with open(used, encoding="ascii") as somebodys:
            fcntl.flock(somebodys, fcntl.LOCK_SH)
            with _lock.staying():
                for file in (*common, task):
                    with held(file, "x", wait=0, shared=shared):
                        pass
                assert all(os.path.exists(file) for file in common)
                assert not os.path.exists(task)
                with held(common[0], "x", wait=0), pytest.raises(LockTimeoutError), held(common[0], "x", wait=0):
                    raise AssertionError("two hold it")
            assert [str(path) for path in tmp_path.iterdir()] == [used]
        with held(common[0], "x", wait=0):
            pass
        assert not os.path.exists(common[0])


def test_where_nothing_was_held_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lock, "DIRECTORY", str(tmp_path / "locks"))
    with _lock.staying():
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("made", ["link", "file", "somebody's"])
def test_in_a_directory_of_somebody_else_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    locks, other = tmp_path / "locks", tmp_path / "other"
    monkeypatch.setattr(_lock, "DIRECTORY", str(locks))
    other.mkdir(mode=0o700)
    (other / "alloc-a.lock").touch()
    if made == "link":
        locks.symlink_to(other)
    elif made == "file":
        locks.touch()
    else:
        other.rename(locks)
        os.chown(locks, 1000, 0)
    before = sorted(tmp_path.rglob("*"))
    with _lock.staying():
        pass
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("inherits", [True, False])
def test_a_program_that_inherits_it_holds_it_on(tmp_path: Path, inherits: bool) -> None:
    """As a template does that was left over from a killed call."""
    file = str(tmp_path / "lock")
    with held(file, "x"):
        template = subprocess.Popen(["sleep", "60"], close_fds=not inherits)
    try:
        assert os.path.exists(file) == inherits
        if inherits:
            with pytest.raises(LockTimeoutError), held(file, "x", wait=0.1):
                raise AssertionError("the template still works")
        else:
            with held(file, "x", wait=0):
                pass
    finally:
        template.kill()
        template.wait()
    with held(file, "x", wait=0):
        pass
    assert not os.path.exists(file)


def test_a_killed_process_lets_it_go(tmp_path: Path) -> None:
    file = str(tmp_path / "lock")
    script = (
        f"import fcntl, time; f = open({file!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockTimeoutError), held(file, "x", wait=0):
            raise AssertionError("two hold it")
        other.kill()
    with held(file, "x", wait=5):
        pass


def test_the_last_to_share_it_removes_its_file(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with held(str(file), "x", shared=True):
        with held(str(file), "x", wait=0, shared=True), pytest.raises(LockTimeoutError), held(str(file), "x", wait=0):
            raise AssertionError("held alone, and shared")
        assert file.exists()
    assert not file.exists()


def test_whoever_waited_locks_the_file_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who had it removes its file when another has that open already: a lock on what nobody finds any more is none."""
    file = tmp_path / "lock"
    flock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        """Whoever had it removes its file, and lets it go, at the last moment."""
        monkeypatch.setattr(fcntl, "flock", flock)
        file.unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with held(str(file), "x", wait=0) as descriptor:
        assert os.path.samestat(os.fstat(descriptor), file.stat())
        with pytest.raises(LockTimeoutError), held(str(file), "x", wait=0):
            raise AssertionError("two hold it")


def test_a_file_that_another_made_meanwhile_is_his(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between letting go and removing, others had the lock: they removed its file, and another made it anew and holds that."""
    file = tmp_path / "lock"
    flock = fcntl.flock
    others: list[int] = []

    def late(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        file.unlink()
        others.append(os.open(file, os.O_RDWR | os.O_CREAT))
        flock(others[0], fcntl.LOCK_EX)
        flock(descriptor, how)

    with held(str(file), "x"):
        monkeypatch.setattr(fcntl, "flock", late)
    assert os.path.samestat(os.fstat(others[0]), file.stat())
    with pytest.raises(LockTimeoutError), held(str(file), "x", wait=0):
        raise AssertionError("two hold it")
    os.close(others[0])


@pytest.mark.parametrize("shared", [False, True])
def test_many_take_turns(tmp_path: Path, shared: bool) -> None:
    """Processes that have the lock a thousand times, each of which makes its file and removes it: never two at once, or, where
    they share it, never one of those and one that has it alone. What is done inside is seen to be whole.
    """
    file, counter = str(tmp_path / "lock"), tmp_path / "counter"
    counter.write_text("0", encoding="ascii")
    script = f"""
import sys
sys.path[:] = {sys.path!r}
from ansible_collections.nomadic.lxc.plugins.module_utils._lock import held
from pathlib import Path
counter = Path({str(counter)!r})
for turn in range(300):
    if {shared} and turn % 2:
        with held({file!r}, "x", wait=60, shared=True):
            first = counter.read_text()
            assert first and counter.read_text() == first
        continue
    with held({file!r}, "x", wait=60, inherited=turn % 3 > 0):
        number = int(counter.read_text())
        counter.write_text("")
        counter.write_text(str(number + 1))
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _number in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert counter.read_text(encoding="ascii") == ("600" if shared else "1200")
    assert not os.path.exists(file)
