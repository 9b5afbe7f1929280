# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts of this host, on real ones in a namespace of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._mounts import below, mount_points, read_mount_points
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import with_own_mounts
from hypothesis import given
from hypothesis import strategies as st

# proc(5)'s own example, and a path with a blank, a tab, a newline and a backslash
MOUNTINFO = """\
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 35 0:5 / / rw - tmpfs none rw
38 35 0:6 / /a\\040b\\011c\\012d\\134e rw shared:2 - tmpfs none rw
39 35 0:7 / /a\\134040b rw - tmpfs none rw
"""


def test_the_kernels_list() -> None:
    assert mount_points(MOUNTINFO) == ("/", "/a b\tc\nd\\e", "/a\\040b", "/mnt2")


@pytest.mark.parametrize("text", ["", "\n", "1 2 3", "a b c d e"])
def test_what_is_no_line_is_passed_over(text: str) -> None:
    assert mount_points(text) == ()


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert isinstance(mount_points(text), tuple)


def test_this_host_has_a_root_and_proc() -> None:
    assert {"/", "/proc"} <= set(read_mount_points())


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", ["/", "/a", "/a/b", "/ab"]),
        ("/a", ["/a", "/a/b"]),
        ("/a/", ["/a", "/a/b"]),
        ("/a/b/../b", ["/a/b"]),
        ("/a/c", []),
        ("/x", []),
    ],
)
def test_at_or_below_a_path(path: str, found: list[str]) -> None:
    assert below(path, ["/", "/a", "/a/b", "/ab"]) == found


def test_a_link_is_resolved_as_the_kernel_does(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    point = str(tmp_path.resolve() / "real" / "mount")
    assert below(str(tmp_path / "link"), [point]) == [point]


SECRETS = """
import stat
mounts, place = module("_mounts"), args[0]
before = mounts.read_mount_points()
mounts.mount_secrets(place, int(args[1]))
open(place + "/key", "w").close()
line = next(line.split() for line in open("/proc/self/mounts") if line.split()[1] == place.replace(" ", "\\\\040"))
statvfs = os.statvfs(place)
found = {
    "new": [point for point in mounts.read_mount_points() if point not in before],
    "kind": line[2],
    "options": [name for name in ("nosuid", "nodev", "noexec", "rw") if name in line[3].split(",")],
    "bytes": statvfs.f_blocks * statvfs.f_frsize,
    "mode": oct(stat.S_IMODE(os.stat(place).st_mode)),
    "owner": os.stat(place).st_uid,
}
held = open(place + "/key")
mounts.unmount(place)
found["left"] = os.listdir(place)
found["mounted"] = place in mounts.read_mount_points()
print(json.dumps(found))
"""


@pytest.mark.parametrize("owner", [0, 1879048192])
def test_secrets_are_a_small_tmpfs_of_the_tasks_roots_own(tmp_path: Path, owner: int) -> None:
    place = tmp_path / "sec rets"
    place.mkdir(mode=0o755)
    assert with_own_mounts(SECRETS, str(place), str(owner)) == {
        "new": [str(place)],
        "kind": "tmpfs",
        "options": ["nosuid", "nodev", "noexec", "rw"],
        "bytes": 1024 * 1024,
        "mode": "0o700",
        "owner": owner,
        # unmounted although a file in it is open
        "left": [],
        "mounted": False,
    }


FORKED = """
mounts, place = module("_mounts"), args[0]
mounts.read_mount_points()
seen = []
for step in (lambda: mounts.mount_secrets(place), lambda: mounts.unmount(place)):
    child = os.fork()
    if child == 0:
        mounts.read_mount_points()
        step()
        os._exit(0 if (place in mounts.read_mount_points()) != bool(seen) else 1)
    seen += [os.waitpid(child, 0)[1], place in mounts.read_mount_points()]
print(json.dumps(seen))
"""


def test_parent_and_child_both_see_what_one_of_them_mounts(tmp_path: Path) -> None:
    assert with_own_mounts(FORKED, str(tmp_path)) == [0, True, 0, False]


REFUSED = """
mounts, errors = module("_mounts"), module("_errors")
said = []
for function, path in ((mounts.mount_secrets, "/none"), (mounts.unmount, ""), (mounts.unmount, "/link")):
    try:
        function(args[0] + path)
        said.append("done")
    except errors.LxcTaskError as error:
        said.append(str(error))
print(json.dumps([said, args[0] + "/real" in mounts.read_mount_points()]))
"""


def test_what_the_kernel_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    script = (
        "import subprocess\nsubprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', args[0] + '/real'], check=True)\n"
        + REFUSED
    )
    said, mounted = with_own_mounts(script, str(tmp_path))
    assert "No such file or directory" in said[0]
    assert "Invalid argument" in said[1]
    # a link is not followed
    assert "Invalid argument" in said[2]
    assert mounted
