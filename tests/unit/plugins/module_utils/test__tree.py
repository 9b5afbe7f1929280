# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories of ours, on real ones; mounts in a namespace of the test's own."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._tree import (
    Paths,
    identity,
    own_directory,
    read_text,
    removable,
    remove,
    within,
    write_atomically,
)
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import with_own_mounts
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.trees import dig


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_new_file_is_roots_alone(tmp_path: Path) -> None:
    file = tmp_path / "record"
    former = os.umask(0)
    try:
        write_atomically(str(file), "text\n")
    finally:
        os.umask(former)
    assert file.read_text() == "text\n"
    assert mode_of(file) == 0o600
    assert os.listdir(tmp_path) == ["record"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_mode_is_the_one_asked_for(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "config"
    file.write_text("old")
    file.chmod(0o777)
    former = os.umask(0o077)
    try:
        write_atomically(str(file), "new", mode)
    finally:
        os.umask(former)
    assert (file.read_text(), mode_of(file)) == ("new", mode)


@pytest.mark.parametrize(
    "content",
    [
        b"lxc.uts.name = \xff\xfe\n",
        b"lxc.uts.name = web\r\n",
        # read as a newline, the comment would become a hook
        b"# note\rlxc.hook.start = /x\n",
        b"\r",
        b"a\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8b",
    ],
)
def test_what_is_read_is_written_back_byte_for_byte(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config"
    file.write_bytes(content)
    text = read_text(str(file))
    assert text is not None
    assert text.count("\n") == content.count(b"\n")
    write_atomically(str(file), text)
    assert file.read_bytes() == content


def test_what_a_killed_run_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "record.new").write_text("half, and longer than what comes")
    (tmp_path / "record.new").chmod(0o666)
    write_atomically(str(tmp_path / "record"), "whole")
    assert (tmp_path / "record").read_text() == "whole"
    assert mode_of(tmp_path / "record") == 0o600
    assert os.listdir(tmp_path) == ["record"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "record"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(str(file), "x" * 100_000 + "\ud800")
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["record"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (tmp_path / "file").symlink_to(outside)
    write_atomically(str(tmp_path / "file"), "new")
    assert not (tmp_path / "file").is_symlink()
    (tmp_path / "other.new").symlink_to(outside)
    with pytest.raises(OSError):
        write_atomically(str(tmp_path / "other"), "new")
    assert outside.read_text() == "precious"


def test_a_directory_gets_its_owner_and_mode_and_never_what_a_link_points_to(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir(0o700)
    own_directory(str(tmp_path / "place"), 0o2750, 1000, 1001)
    own_directory(str(tmp_path / "place"), 0o1777)
    found = os.stat(tmp_path / "place")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1000, 1001, 0o1777)
    (tmp_path / "link").symlink_to("place")
    with pytest.raises(NotADirectoryError):
        own_directory(str(tmp_path / "link"), 0o777, 0)
    assert os.stat(tmp_path / "place") == found


def test_a_reader_sees_the_old_or_the_new_one_whole(tmp_path: Path) -> None:
    file = tmp_path / "record"
    texts = {letter * 200_000 for letter in "ab"}
    done = threading.Event()

    def write() -> None:
        for _round in range(50):
            for text in sorted(texts):
                write_atomically(str(file), text)
        done.set()

    write_atomically(str(file), "a" * 200_000)
    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(read_text(str(file)))
    writer.join()
    assert seen <= texts


def test_no_file_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert read_text(str(tmp_path / "none")) is None
    assert read_text(str(tmp_path / "file" / "none")) is None
    assert read_text(str(tmp_path / "file")) == ""


def tree(path: Path) -> list[str]:
    """Everything below a directory."""
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


@pytest.mark.parametrize("path", ["/", "/a", "/a/b", "/a/", "/ab", "/b", "/a b", "/z"])
def test_what_is_within_a_path(path: str) -> None:
    paths = sorted(["/", "/a", "/a", "/a!", "/a/b", "/a/b/c", "/a b", "/a0", "/ab", "/a/é", "/b"])
    wanted = [it for it in paths if it == path or it.startswith(path.rstrip("/") + "/")]
    assert within(path, paths) == (wanted if path in ("/", *paths) else [])


@pytest.mark.parametrize(
    "path",
    ["real/deep/er", "link/er", "link", "link/../x", "missing/a", "loop/a", "real/./deep", "real/out/er", "real/deep/"],
)
def test_a_real_path_is_the_one_of_the_system(tmp_path: Path, path: str) -> None:
    (tmp_path / "real" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/deep")
    (tmp_path / "real" / "out").symlink_to(tmp_path / "link")
    (tmp_path / "loop").symlink_to("loop")
    paths = Paths()
    for _twice in range(2):
        assert paths.real(f"{tmp_path}/{path}") == os.path.realpath(f"{tmp_path}/{path}")


def test_a_path_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").touch()
    paths = Paths()
    before = {
        str(path): paths.lstat(str(path)) for path in (tmp_path / "link", tmp_path / "none", tmp_path / "file" / "x")
    }
    assert [None if it is None else stat.S_ISLNK(it.st_mode) for it in before.values()] == [True, None, None]
    (tmp_path / "link").unlink()
    (tmp_path / "none").touch()
    assert {path: paths.lstat(path) for path in before} == before
    assert {path: Paths().lstat(path) for path in before} != before


def test_a_directory_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    place = tmp_path / "-rf"
    (place / "a" / "b").mkdir(parents=True)
    (place / "a" / "new\nline").write_text("x")
    (place / "a" / "b").chmod(0)
    (tmp_path / "beside").mkdir()
    assert removable(str(place), [])
    assert remove(str(place), []) == []
    assert tree(tmp_path) == ["beside"]
    assert not removable(str(place), [])
    assert remove(str(place), []) == []


def test_a_tree_deeper_than_we_have_files_open_goes(tmp_path: Path) -> None:
    place = tmp_path / "deep"
    dig(place, 3000)
    assert remove(str(place), []) == []
    assert tree(tmp_path) == []


def test_a_directory_is_told_from_others(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = identity(str(tmp_path / "a")), identity(str(tmp_path / "b"))
    assert one == identity(str(tmp_path / "a")) != two
    (tmp_path / "a").rename(tmp_path / "c")
    assert identity(str(tmp_path / "c")) == one
    with pytest.raises(FileNotFoundError):
        identity(str(tmp_path / "a"))


def test_a_file_goes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert remove(str(tmp_path / "file"), []) == []
    assert tree(tmp_path) == []


@pytest.mark.parametrize("mounts", [[], ["elsewhere"], ["task/mount"]])
def test_a_link_goes_and_not_what_it_points_to(tmp_path: Path, mounts: list[str]) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("x")
    (tmp_path / "task" / "mount").mkdir(parents=True)
    (tmp_path / "task" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "task" / "gone").symlink_to("/nonexistent")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    points = [str(tmp_path / point) for point in mounts]
    assert removable(str(tmp_path / "link"), points)
    remove(str(tmp_path / "link"), points)
    remove(str(tmp_path / "task"), points)
    left = ["task", "task/mount"] if "task/mount" in mounts else []
    assert tree(tmp_path) == ["outside", "outside/precious", *left]


# A bind mount of a directory is on the same device: only the list of mounts tells.
MOUNTED = """
import subprocess
tree, mounts = module("_tree"), module("_mounts")
place, outside, target, how = args
if how == "tmpfs":
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", target], check=True)
    open(target + "/precious", "w").close()
else:
    subprocess.run(["mount", "--bind", outside, target], check=True)
points = mounts.read_mount_points() if how != "unknown" else []
error, kept, could = None, [], tree.removable(place, points)
try:
    kept = tree.remove(place, points)
except module("_errors").LxcTaskError as caught:
    error = str(caught)
again = tree.removable(place, points)
found = []
for at, names, files in os.walk(place):
    found += [os.path.relpath(os.path.join(at, name), place) for name in names + files]
print(json.dumps({"error": error, "kept": kept, "removable": could, "again": again, "found": sorted(found)}))
"""


@pytest.fixture(name="place")
def make_place(tmp_path: Path) -> Path:
    for directory in ("outside", "task/local/deep", "task/secrets", "task/other"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "outside" / "precious").write_text("x")
    (tmp_path / "task" / "local" / "file").write_text("x")
    return tmp_path


@pytest.mark.parametrize("how", ["tmpfs", "bind"])
def test_a_mount_stays_with_what_leads_to_it(place: Path, how: str) -> None:
    task, deep = str(place / "task"), str(place / "task/local/deep")
    said = with_own_mounts(MOUNTED, task, str(place / "outside"), deep, how)
    assert said == {
        "error": None,
        "kept": [deep],
        "removable": True,
        "again": False,
        "found": ["local", "local/deep", "local/deep/precious"],
    }
    assert tree(place / "outside") == ["precious"]


def test_a_mount_point_itself_stays(place: Path) -> None:
    task = str(place / "task")
    said = with_own_mounts(MOUNTED, task, str(place / "outside"), task, "bind")
    assert (said["kept"], said["removable"], said["found"]) == ([task], False, ["precious"])
    assert tree(place / "outside") == ["precious"]


def test_a_mounted_file_stays(place: Path) -> None:
    file = str(place / "task/local/file")
    said = with_own_mounts(MOUNTED, str(place / "task"), str(place / "outside/precious"), file, "bind")
    assert (said["kept"], said["found"]) == ([file], ["local", "local/file"])
    assert tree(place / "outside") == ["precious"]


def test_a_mount_that_was_made_meanwhile_is_not_crossed(place: Path) -> None:
    script = MOUNTED.replace('how == "tmpfs"', 'how == "unknown"')
    said = with_own_mounts(
        script, str(place / "task"), str(place / "outside"), str(place / "task/local/deep"), "unknown"
    )
    assert "local/deep/precious" in said["found"]
    assert "can't remove" in said["error"]


def test_a_mount_is_known_also_where_the_path_has_a_link_in_it(place: Path) -> None:
    """The kernel lists mounts by their real paths; an operator may name a link to a larger disk."""
    (place / "link").symlink_to(place)
    said = with_own_mounts(
        MOUNTED, str(place / "link/task"), str(place / "outside"), str(place / "task/local/deep"), "bind"
    )
    assert tree(place / "outside") == ["precious"]
    assert said["found"] == ["local", "local/deep", "local/deep/precious"]
