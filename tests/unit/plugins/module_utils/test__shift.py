# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of files that get other owners, on a real file system; and whether this kernel can map ids."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
import struct
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._idmap import Idmap
from ansible_collections.nomadic.lxc.plugins.module_utils._idmapped import can_idmap
from ansible_collections.nomadic.lxc.plugins.module_utils._shift import inwards, outwards, shift_tree
from ansible_collections.nomadic.lxc.plugins.module_utils._tree import remove
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import with_own_mounts
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.trees import dig, levels

BASE = 1879048192
RANGE = Idmap(BASE, 65536)
# cap_net_raw=ep, for whichever root; linux/capability.h.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
Shown = dict[str, tuple[int, int, int]]


def tree(path: Path) -> Path:
    """One of each kind of file, of several owners."""
    top = path / "top"
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "sub" / "deep" / "file").write_text("x")
    (top / "setuid").write_text("x")
    os.chown(top / "setuid", 1000, 5)
    os.chmod(top / "setuid", 0o6755)
    (top / "capable").write_text("x")
    os.setxattr(top / "capable", "security.capability", CAPABILITY)
    (top / "link").symlink_to(path / "outside")
    (top / "dangling").symlink_to("nowhere")
    (top / "out").symlink_to(path / "elsewhere")
    os.mkfifo(top / "pipe")
    os.mknod(top / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    (top / "foreign").write_text("x")
    os.chown(top / "foreign", 70000, 4000000)
    os.link(top / "setuid", top / "sub" / "again")
    (path / "outside").write_text("x")
    (path / "elsewhere").mkdir()
    (path / "elsewhere" / "file").write_text("x")
    os.chown(top, 0, 33)
    return top


def shown(top: Path) -> Shown:
    """Owner, group and mode of everything."""
    found: Shown = {}
    for root, directories, files in os.walk(top):
        for name in [".", *directories, *files]:
            it = os.lstat(os.path.join(root, name))
            found[os.path.relpath(os.path.join(root, name), top)] = (it.st_uid, it.st_gid, it.st_mode)
    return found


def moved(before: Shown) -> Shown:
    return {
        name: (uid + BASE if uid < 65536 else uid, gid + BASE if gid < 65536 else gid, mode)
        for name, (uid, gid, mode) in before.items()
    }


def test_everything_gets_its_id_and_keeps_its_mode(tmp_path: Path) -> None:
    top = tree(tmp_path)
    before = shown(top)
    shift_tree(str(top), inwards(RANGE))
    after = shown(top)
    assert after == moved(before)
    assert after["setuid"] == (BASE + 1000, BASE + 5, stat.S_IFREG | 0o6755)
    assert after["foreign"][:2] == (70000, 4000000)
    # No link is followed.
    assert (os.stat(tmp_path / "outside").st_uid, os.stat(tmp_path / "elsewhere" / "file").st_uid) == (0, 0)
    shift_tree(str(top), inwards(RANGE))
    assert shown(top) == after
    shift_tree(str(top), outwards(RANGE))
    assert shown(top) == before


@pytest.mark.parametrize("first", ["sub", "top"])
def test_what_was_cut_off_is_finished_or_taken_back(tmp_path: Path, first: str) -> None:
    """Some have their ids already, and some have not: either way all have the same in the end."""
    top = tree(tmp_path)
    before = shown(top)
    if first == "sub":
        shift_tree(str(top / "sub"), inwards(RANGE))
    else:
        os.chown(top, BASE, BASE + 33)
    shift_tree(str(top), outwards(RANGE))
    assert shown(top) == before
    shift_tree(str(top / "sub"), inwards(RANGE))
    shift_tree(str(top), inwards(RANGE))
    assert shown(top) == moved(before)


def test_capabilities_of_files_count_for_the_new_root(tmp_path: Path) -> None:
    top = tree(tmp_path)
    shift_tree(str(top), inwards(RANGE))
    revision, *sets, root = struct.unpack("<IIIIII", os.getxattr(top / "capable", "security.capability"))
    assert (revision, sets, root) == (0x03000001, [1 << 13, 0, 0, 0], BASE)
    shift_tree(str(top), outwards(RANGE))
    assert os.getxattr(top / "capable", "security.capability") == CAPABILITY


def test_access_lists_name_the_new_users(tmp_path: Path) -> None:
    file = tmp_path / "top" / "file"
    file.parent.mkdir()
    file.write_text("x")

    def acl(user: int, group: int) -> bytes:
        # linux/posix_acl_xattr.h: owner, a user, owning group, a group, mask, others
        none = 0xFFFFFFFF
        entries = ((1, 7, none), (2, 4, user), (4, 5, none), (8, 1, group), (16, 5, none), (32, 0, none))
        return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)

    os.setxattr(file, "system.posix_acl_access", acl(12, 34))
    shift_tree(str(file.parent), inwards(RANGE))
    assert os.getxattr(file, "system.posix_acl_access") == acl(BASE + 12, BASE + 34)
    shift_tree(str(file.parent), outwards(RANGE))
    assert os.getxattr(file, "system.posix_acl_access") == acl(12, 34)


def test_no_tree_is_none_and_a_file_is_an_error(tmp_path: Path) -> None:
    shift_tree(str(tmp_path / "nothing"), inwards(RANGE))
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(LxcTaskError, match="can't give"):
            shift_tree(str(tmp_path / name), inwards(RANGE))
    assert os.stat(tmp_path).st_uid == 0


@pytest.fixture(name="deep")
def make_deep(tmp_path: Path) -> t.Iterator[Path]:
    """A tree deeper than a path can name; pytest could not remove it."""
    dig(tmp_path / "deep", 3000)
    yield tmp_path / "deep"
    remove(str(tmp_path / "deep"), [])


@contextlib.contextmanager
def few_files_open() -> t.Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 50, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_tree_has_as_many_levels_as_a_task_likes(deep: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for shift, wanted in ((inwards(RANGE), BASE), (outwards(RANGE), 0)):
        with few_files_open():
            shift_tree(str(deep), shift)
        assert [os.fstat(level).st_uid for level in levels(deep)] == [wanted] * 3001
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("depth", "told"),
    [(3, contextlib.nullcontext()), (50, pytest.raises(LxcTaskError, match="moved meanwhile"))],
    ids=["shallow", "deep"],
)
def test_what_another_task_moves_leads_nowhere_else(tmp_path: Path, depth: int, told: t.ContextManager[t.Any]) -> None:
    """While the walk is in a directory, that goes to another place; the one above it is open still, unless it is too deep."""
    top, outside = tmp_path / "top", tmp_path / "outside"
    lowest = top.joinpath(*["down"] * depth)
    lowest.mkdir(parents=True)
    outside.mkdir()
    (outside / "file").write_text("x")
    (lowest / "last").write_text("x")
    os.chown(lowest / "last", 7, 7)

    def shift(number: int) -> int:
        if number == 7 and not (outside / "down").exists():
            lowest.rename(outside / "down")
        return inwards(RANGE)(number)

    with told:
        shift_tree(str(top), shift)
    assert (outside / "down").exists()
    assert (os.stat(outside).st_uid, os.stat(outside / "file").st_uid) == (0, 0)
    # The top is given last, so that what was not finished can be told.
    assert os.stat(top).st_uid == (BASE if depth == 3 else 0)


def test_a_directory_that_is_swapped_for_a_link_is_not_left_by_it(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    (top / "sub").mkdir(parents=True)
    os.chown(top / "sub", 7, 7)
    outside.mkdir()
    (outside / "file").write_text("x")

    def shift(number: int) -> int:
        if number == 7 and not (top / "sub").is_symlink():
            (top / "sub").rename(top / "former")
            (top / "sub").symlink_to(outside)
        return inwards(RANGE)(number)

    shift_tree(str(top), shift)
    assert (os.stat(outside).st_uid, os.stat(outside / "file").st_uid) == (0, 0)
    assert os.stat(top / "former").st_uid == BASE + 7


MOUNTED = """
import subprocess
shift, idmap, idmapped = module("_shift"), module("_idmap"), module("_idmapped")
top = args[0]
os.mkdir(top + "/other")
subprocess.run(["mount", "-t", "ramfs", "ramfs", top + "/other"], check=True)
open(top + "/other/file", "w").close()
shift.shift_tree(top, shift.inwards(idmap.Idmap(100000, 65536)))
found = [os.stat(top + name).st_uid for name in ("", "/other", "/other/file")]
print(json.dumps([found, idmapped.can_idmap(top + "/other", 100000)]))
"""


def test_a_mount_is_not_crossed_and_ramfs_can_not_be_mapped(tmp_path: Path) -> None:
    found, mappable = with_own_mounts(MOUNTED, str(tmp_path))
    assert found == [100000, 0, 0]
    assert mappable is False


def test_this_kernel_maps_what_it_says(tmp_path: Path) -> None:
    """No container is needed to know; and what is not there can't be mapped. Nothing stays open or mounted."""
    open_before, mounts = sorted(os.listdir("/proc/self/fd")), Path("/proc/self/mountinfo").read_text()
    # Every kernel from 5.12 on does for ext4, xfs, btrfs; from 6.3 on for tmpfs.
    assert can_idmap(str(tmp_path), 65536) is True
    assert can_idmap(str(tmp_path / "nothing"), 65536) is False
    assert sorted(os.listdir("/proc/self/fd")) == open_before
    assert Path("/proc/self/mountinfo").read_text() == mounts
