# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks at a start and at an end: run by real shells as liblxc runs them, on kernel files of both generations."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _kept
from ansible_collections.nomadic.lxc.plugins.module_utils._hooks import exit_hook, run_hook
from ansible_collections.nomadic.lxc.plugins.module_utils._kept import (
    EXIT_FILE,
    OURS,
    RUN_FILE,
    Ended,
    parse_exit,
    parse_run,
    read_end,
    read_exit,
    read_run,
    runs_elsewhere,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId, identify
from ansible_collections.nomadic.lxc.plugins.module_utils._record import READY, Record

INIT = InitId(4242, 696498, "153d357c-af72-412e-a3e4-ffe495e95ea3")
FIRST = f"{INIT.pid} {INIT.start_ticks} {INIT.boot_id}"
V1_PATHS = "5:devices:/lxc.payload.web\n4:cpu,memory:/lxc.payload.web\n0::/lxc.payload.other\n"
V2_PATHS = "0::/lxc.payload.web\n"
# Debian's and the one that many others have.
SHELLS = ("dash", "bash")


def run(
    hook: str, shell: str, cgroups: Path | None = None, name: str = "web", words: bool = True, **environment: str
) -> None:
    """Run a hook as liblxc does (conf.c, run_script_argv): by a shell, which it tells to be the hook; with words behind it where
    ``lxc.hook.version`` is 0. /sys/fs/cgroup is elsewhere in a test.
    """
    command = f"exec {hook} {name} lxc stop" if words else f"exec {hook}"
    if cgroups is not None:
        command = command.replace("/sys/fs/cgroup", str(cgroups))
    done = subprocess.run(
        [f"/bin/{shell}", "-c", command],
        env={**os.environ, "LXC_NAME": name, **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert (done.stdout, done.stderr) == (b"", b"")


def write(directory: Path, **files: str) -> None:
    """Files whose names have a point in place of each underline's double."""
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text, encoding="ascii")


@pytest.fixture(name="home")
def make_home(tmp_path: Path) -> Path:
    """The directory of the container ``web``, in one with a name that a shell would split."""
    home = tmp_path / "it's a $HOME" / "web"
    home.mkdir(parents=True)
    return home


def ended(home: Path, shell: str, cgroups: Path, target: str = "stop") -> Ended | None:
    """Run the hook at the end; what is read of it."""
    run(exit_hook(str(home)), shell, cgroups, LXC_TARGET=target)
    return parse_exit((home / EXIT_FILE).read_text(encoding="ascii"))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_start_keeps_who_the_init_is_and_its_cgroups(home: Path, shell: str) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        run(run_hook(str(home)), shell, LXC_PID=str(process.pid))
        kept = (home / RUN_FILE).read_text(encoding="ascii")
        assert parse_run(kept) == identify(process.pid)
        told = Path(f"/proc/{process.pid}/cgroup").read_text(encoding="ascii").splitlines(keepends=True)
        memory = [number for number, line in enumerate(told) if "memory" in line.split(":")[1].split(",")]
        assert kept.partition("\n")[2] == "".join(told[: memory[0] + 1] if memory else told)
        process.kill()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_start_goes_on_if_nothing_can_be_kept(tmp_path: Path, shell: str) -> None:
    done = subprocess.run(
        [f"/bin/{shell}", "-c", f"exec {run_hook(str(tmp_path / 'web'))} web lxc start-host"],
        env={"LXC_NAME": "web", "LXC_PID": str(os.getpid())},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"web/nomadic-lxc.run" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_a_copy_of_the_container_keeps_nothing_here(home: Path, shell: str) -> None:
    (home / RUN_FILE).write_text(f"{FIRST}\n{V1_PATHS}", encoding="ascii")
    run(run_hook(str(home)), shell, name="copy", LXC_PID=str(os.getpid()))
    run(exit_hook(str(home)), shell, name="copy", LXC_TARGET="stop")
    assert (home / RUN_FILE).read_text(encoding="ascii") == f"{FIRST}\n{V1_PATHS}"
    assert not (home / EXIT_FILE).exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_name_is_told_without_words_where_the_hooks_version_is_1(home: Path, shell: str) -> None:
    for name, kept in (("copy", False), ("web", True)):
        run(run_hook(str(home)), shell, name=name, words=False, LXC_PID=str(os.getpid()))
        run(exit_hook(str(home)), shell, name=name, words=False, LXC_TARGET="stop")
        assert (home / RUN_FILE).exists() is kept
        assert (home / EXIT_FILE).exists() is kept


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("mark", ["", OURS])
@pytest.mark.parametrize(("kills", "hits"), [((0, 0), 0), ((1, 0), 42), ((1, 2), 3), ((1, 0), 0)])
def test_the_end_on_v1(home: Path, tmp_path: Path, shell: str, mark: str, kills: tuple[int, int], hits: int) -> None:
    control = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"
    top = tmp_path / "memory/lxc.payload.web"
    write(top, memory__oom_control=control.format(kills[0]), memory__failcnt=f"{hits}\n")
    write(top / "system.slice", memory__oom_control=control.format(kills[1]), memory__failcnt="99\n")
    (home / RUN_FILE).write_text(f"{FIRST}\n{V1_PATHS}{mark}", encoding="ascii")
    assert ended(home, shell, tmp_path) == Ended(INIT, False, sum(kills), hits)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("mark", ["", OURS])
@pytest.mark.parametrize("mount", ["", "unified"])
@pytest.mark.parametrize(("kills", "hits"), [(0, 0), (2, 1), (2, 0)])
def test_the_end_on_v2(home: Path, tmp_path: Path, shell: str, mark: str, mount: str, kills: int, hits: int) -> None:
    write(
        tmp_path / mount / "lxc.payload.web",
        memory__events=f"low 0\nhigh 0\nmax 7\noom 9\noom_kill {kills}\noom_group_kill 0\n",
        memory__events__local=f"low 0\nhigh 0\nmax 7\noom {hits}\noom_kill 0\n",
    )
    (home / RUN_FILE).write_text(f"{FIRST}\n{V2_PATHS}{mark}", encoding="ascii")
    assert ended(home, shell, tmp_path, "reboot") == Ended(INIT, True, kills, hits)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("paths", [V1_PATHS, V2_PATHS])
def test_the_end_where_the_kernel_tells_nothing(home: Path, tmp_path: Path, shell: str, paths: str) -> None:
    (home / RUN_FILE).write_text(f"{FIRST}\n{paths}", encoding="ascii")
    hook = exit_hook(str(home)).replace("/sys/fs/cgroup", str(tmp_path))
    subprocess.run(
        [f"/bin/{shell}", "-c", f"exec {hook} web lxc stop"],
        env={**os.environ, "LXC_NAME": "web", "LXC_TARGET": "stop"},
        capture_output=True,
        check=True,
    )
    assert parse_exit((home / EXIT_FILE).read_text(encoding="ascii")) == Ended(INIT, False, None, None)


@pytest.mark.parametrize(
    ("kills", "hits", "killed"),
    [
        (0, 0, False),
        (0, 5, False),  # met, and given way to
        (0, None, False),
        (1, 1, True),
        (1, 0, False),  # the host ran out of memory, not the container
        (1, None, None),
        (None, 3, None),
        (None, None, None),
    ],
)
def test_whether_the_limit_killed(kills: int | None, hits: int | None, killed: bool | None) -> None:
    assert Ended(INIT, False, kills, hits).oom_killed is killed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        FIRST,
        f"{FIRST}\nhits 0\noom_kill 0\n",  # of an older release, without what became of it
        f"{FIRST} stop\n",
        f"{FIRST} stop\nhits 0",
        f"{INIT.pid} stop\nhits 0\noom_kill 0\n",
        f"-1 {INIT.start_ticks} {INIT.boot_id} stop\nhits 0\noom_kill 0\n",
        f"{'9' * 30} {INIT.start_ticks} {INIT.boot_id} stop\nhits 0\noom_kill 0\n",
        f"\u0664 {INIT.start_ticks} {INIT.boot_id} stop\nhits 0\noom_kill 0\n",
    ],
)
def test_an_end_that_can_not_be_read_is_none(text: str) -> None:
    assert parse_exit(text) is None


@pytest.mark.parametrize(
    ("text", "kills", "hits"),
    [
        ("hits 3\noom_kill 1\noom_kill 0\noom_kill 4\n", 5, 3),
        ("hits \n\n", None, None),
        ("hits many\noom_kill 1 2\nnonsense\noom_kill \n", None, None),
        ("oom_kill 1\nhits 3\noom_kill 2\n", 2, None),
    ],
)
def test_counts_that_the_kernel_told(text: str, kills: int | None, hits: int | None) -> None:
    assert parse_exit(f"{FIRST} stop\n{text}") == Ended(INIT, False, kills, hits)


@pytest.mark.parametrize("text", ["", "4242", "4242 \n", "a b c\n", "4242 696498\n", f"{FIRST} more\n", "-1 1 x\n"])
def test_a_start_that_can_not_be_read_is_none(text: str) -> None:
    assert parse_run(text) is None


def record(**values: t.Any) -> Record:
    return Record(name="web", alloc_id=None, phase=READY, created_at="2026-11-24T10:00:00Z", **values)


def keep(home: Path, run_text: str | None, exit_text: str | None) -> str:
    for name, text in ((RUN_FILE, run_text), (EXIT_FILE, exit_text)):
        if text is not None:
            (home / name).write_text(text, encoding="ascii")
    if exit_text is not None:
        os.utime(home / EXIT_FILE, (1_800_000_000, 1_800_000_000))
    return str(home)


OTHER = f"4243 {INIT.start_ticks} {INIT.boot_id}"


@pytest.mark.parametrize(
    ("run_text", "exit_text", "known"),
    [
        (FIRST, f"{FIRST} stop\nhits 1\noom_kill 1\n", True),
        (
            OTHER,
            f"{FIRST} stop\nhits 1\noom_kill 1\n",
            False,
        ),  # it was started again since, and no hook ran at that end
        (None, f"{FIRST} stop\nhits 1\noom_kill 1\n", False),
        (FIRST, None, False),
        (None, None, False),
    ],
)
def test_only_the_last_end_is_known(home: Path, run_text: str | None, exit_text: str | None, known: bool) -> None:
    directory = keep(home, run_text, exit_text)
    assert (read_end(directory) is not None) == known
    exit_ = read_exit(directory, record())
    assert (exit_ is not None) == known
    if exit_ is not None:
        assert exit_.oom_killed is True
        assert exit_.ended_at == "2027-01-15T08:00:00Z"


def test_an_end_of_a_container_that_is_removed_meanwhile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = keep(home, FIRST, f"{FIRST} stop\nhits 1\noom_kill 1\n")

    def removed(directory: str) -> Ended | None:
        ended = read_end(directory)
        (home / EXIT_FILE).unlink()
        return ended

    monkeypatch.setattr(_kept, "read_end", removed)
    assert read_exit(directory, record()) is None


@pytest.mark.parametrize(
    ("asked", "killed"),
    [
        (None, True),
        (INIT, False),
        (InitId(INIT.pid, INIT.start_ticks + 1, INIT.boot_id), True),
        (InitId(INIT.pid, INIT.start_ticks, "another boot"), True),
    ],
)
def test_a_stop_that_was_asked_for_is_no_kill_by_the_limit(home: Path, asked: InitId | None, killed: bool) -> None:
    exit_ = read_exit(keep(home, FIRST, f"{FIRST} stop\nhits 1\noom_kill 1\n"), record(stop_asked=asked))
    assert exit_ is not None
    assert exit_.oom_killed is killed


def test_which_init_lives_elsewhere(home: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        alive = identify(process.pid)
        assert alive is not None
        gone = InitId(alive.pid, alive.start_ticks - 1, alive.boot_id)
        assert runs_elsewhere(str(home), record()) is None
        assert runs_elsewhere(str(home), record(init=gone)) is None
        assert runs_elsewhere(str(home), record(init=alive)) == alive
        keep(home, f"{alive.pid} {alive.start_ticks} {alive.boot_id}\n", None)
        assert read_run(str(home)) == alive
        assert runs_elsewhere(str(home), record(init=gone)) == alive
        keep(home, f"{gone.pid} {gone.start_ticks} {gone.boot_id}\n", None)
        assert runs_elsewhere(str(home), record(init=gone)) is None
        process.kill()
