# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock: real files, real processes."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
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


def test_it_is_held_and_let_go(tmp_path: Path) -> None:
    file = tmp_path / "locks" / "web.lock"
    with held(str(file), "container web") as descriptor:
        assert os.path.samestat(os.fstat(descriptor), file.stat())
        with pytest.raises(LockTimeoutError), held(str(file), "container web", wait=0.1):
            raise AssertionError("two hold it")
    with held(str(file), "container web", wait=0):
        pass
    # the file may stay
    assert file.exists()


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


@pytest.mark.parametrize("inherits", [True, False])
def test_a_program_that_inherits_it_holds_it_on(tmp_path: Path, inherits: bool) -> None:
    """As a template does that was left over from a killed call."""
    file = str(tmp_path / "lock")
    with held(file, "x"):
        template = subprocess.Popen(["sleep", "60"], close_fds=not inherits)
    try:
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


def test_eight_take_turns(tmp_path: Path) -> None:
    inside = []
    most = []

    def work() -> None:
        with held(str(tmp_path / "lock"), "x", wait=60):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
