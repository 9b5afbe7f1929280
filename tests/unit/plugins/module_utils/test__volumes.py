# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes, mounts and devices: the strings of Nomad's driver, the operator's policy, and what glibc reads in a mount entry."""

from __future__ import annotations

import ctypes
import os
import tempfile
import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._entries import (
    Mount,
    escape,
    parse_entry,
    render_entry,
    unescape,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._volumes import (
    Resolved,
    Source,
    Wanted,
    inside,
    own_mounts,
    parse_volume,
    resolve,
    target_fault,
    tidy,
    wanted,
)
from hypothesis import example, given
from hypothesis import strategies as st

TASK = "/allocs/1/web"
LOCAL, SECRETS, ALLOC = f"{TASK}/local", f"{TASK}/secrets", "/allocs/1/alloc"
OWN = (LOCAL, ALLOC, SECRETS)
INVALID = "invalid volume bind mount entry: '{}'"
ABSOLUTE_TARGET = "unsupported absolute container mount point: '{}'"
ABSOLUTE_SOURCE = "absolute bind-mount volume in config but 'lxc.volumes.enabled' is false"
ESCAPES = "bind-mount path escapes task directory but 'lxc.volumes.enabled' is false"

# All that a file's name may hold.
PATHS = st.text(
    st.one_of(
        st.sampled_from(" \t\\#\"',=\n\r\x0b\x0c0147"),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=30,
)
ODD_NAMES = [
    "a b",
    "a\tb",
    "a\\b",
    "a\\040b",
    "\\134040",
    "a#b",
    "#",
    'a"b',
    "'",
    "a,ro",
    "a\nb",
    " ",
    "\\",
    "none",
    "a\rb",
    "\u00e4",
]


@pytest.mark.parametrize(
    ("entry", "halves"),
    [
        ("/tmp/abc:mnt/tmp", ("/tmp/abc", "mnt/tmp")),
        ("abc:def", ("abc", "def")),
        ("a/b:c/d", ("a/b", "c/d")),
        ("./a:./b", ("./a", "./b")),
        (" : ", (" ", " ")),
        ("a b#\"'\\:c d", ("a b#\"'\\", "c d")),
    ],
)
def test_is_a_volume(entry: str, halves: tuple[str, str]) -> None:
    assert parse_volume(entry) == halves


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        # Nomad's own cases
        ("foo:/var", ABSOLUTE_TARGET.format("/var")),
        (":", INVALID.format(":")),
        ("abc:", INVALID.format("abc:")),
        (":def", INVALID.format(":def")),
        ("abc:def:ghi", INVALID.format("abc:def:ghi")),
        # and more
        ("", INVALID.format("")),
        ("abc", INVALID.format("abc")),
        ("a:b:", INVALID.format("a:b:")),
        ("::", INVALID.format("::")),
        ("/tmp:/", ABSOLUTE_TARGET.format("/")),
        ("/a:/b:/c", INVALID.format("/a:/b:/c")),
        (":/var", INVALID.format(":/var")),
    ],
)
def test_is_no_volume(entry: str, message: str) -> None:
    with pytest.raises(LxcTaskError) as caught:
        parse_volume(entry)
    assert caught.value.msg == message
    assert message in str(caught.value)


@given(st.text())
def test_any_text_is_a_volume_or_refused(entry: str) -> None:
    try:
        source, target = parse_volume(entry)
    except LxcTaskError:
        return
    assert source and target and not target.startswith("/")
    assert f"{source}:{target}" == entry


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("mnt/tmp", "mnt/tmp"),
        ("/mnt/tmp", "mnt/tmp"),
        ("//mnt//tmp/", "mnt/tmp"),
        ("./mnt/./tmp/.", "mnt/tmp"),
        ("..a/b..", "..a/b.."),
        ("...", "..."),
        (" ", " "),
    ],
)
def test_is_a_target(target: str, place: str) -> None:
    assert target_fault(target) is None
    assert inside(target) == place


@pytest.mark.parametrize("target", ["", "/", ".", "./.", "//", "..", "/..", "a/..", "../a", "a/../b", "/a/b/../.."])
def test_is_no_target(target: str) -> None:
    assert target_fault(target) is not None


@given(st.text(st.sampled_from("./ab "), max_size=12))
def test_a_good_target_is_inside(target: str) -> None:
    if target_fault(target) is None:
        place = inside(target)
        assert os.path.normpath("/root/" + place) == "/root/" + place
        assert target_fault(place) is None
        assert inside(place) == place


# ---- mount entries


@pytest.mark.parametrize(
    ("mount", "entry"),
    [
        (Mount("/src", "mnt/tmp"), "/src mnt/tmp none rw,bind,create=dir 0 0"),
        (Mount("/src", "etc/x", read_only=True, create="file"), "/src etc/x none ro,bind,create=file 0 0"),
        (Mount("/a b", "c\td"), "/a\\040b c\\011d none rw,bind,create=dir 0 0"),
        (Mount("/a\\b", "c#d"), "/a\\134b c#d none rw,bind,create=dir 0 0"),
        # what is not decoded must not be encoded
        (Mount("/\"'#", "x,ro"), "/\"'# x,ro none rw,bind,create=dir 0 0"),
        # a path that looks like an escape
        (Mount("/\\040", "x"), "/\\134040 x none rw,bind,create=dir 0 0"),
    ],
)
def test_mount_entry(mount: Mount, entry: str) -> None:
    assert render_entry(mount) == entry
    assert parse_entry(entry) == mount


MOUNTS = st.builds(
    Mount,
    PATHS.map(lambda path: f"/{path}"),
    PATHS.map(lambda path: f"x{path}"),
    st.booleans(),
    st.sampled_from(["dir", "file"]),
)


@given(MOUNTS)
def test_a_mount_entry_is_read_back(mount: Mount) -> None:
    entry = render_entry(mount)
    assert "\n" not in entry
    assert parse_entry(entry) == mount


@given(st.text())
@example("\\")
@example("\\04")
@example("\\0400")
@example("\\043")
def test_escapes_are_undone(path: str) -> None:
    assert unescape(escape(path)) == path
    assert not {" ", "\t", "\n"} & set(escape(path))


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "/src",
        "/proc proc proc nodev,noexec,nosuid 0 0",
        "/src mnt none bind 0 0",
        "/src mnt none rw,bind,create=dir",
        "/src mnt none rw,bind,optional,create=dir 0 0",
        "/src  mnt none rw,bind,create=dir 0 0",
    ],
)
def test_an_entry_of_another_form_is_not_ours(entry: str) -> None:
    assert parse_entry(entry) is None


@given(st.one_of(st.text(), st.lists(st.text(max_size=5), min_size=6, max_size=6).map(" ".join)))
def test_any_text_is_an_entry_or_none(entry: str) -> None:
    mount = parse_entry(entry)
    assert mount is None or parse_entry(render_entry(mount)) == mount


class MntEnt(ctypes.Structure):
    """``struct mntent`` of <mntent.h>."""

    _fields_ = [
        ("fsname", ctypes.c_char_p),
        ("dir", ctypes.c_char_p),
        ("type", ctypes.c_char_p),
        ("opts", ctypes.c_char_p),
        ("freq", ctypes.c_int),
        ("passno", ctypes.c_int),
    ]


def read_by_libc(line: str) -> tuple[str, str, str, str]:
    """What getmntent(3) reads: liblxc reads its mount entries with it."""
    libc = ctypes.CDLL(None)
    libc.setmntent.restype = ctypes.c_void_p
    libc.getmntent_r.restype = ctypes.POINTER(MntEnt)
    libc.getmntent_r.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    libc.endmntent.argtypes = [ctypes.c_void_p]
    buffer, entry = ctypes.create_string_buffer(4096), MntEnt()
    with tempfile.NamedTemporaryFile() as table:
        table.write(line.encode() + b"\n")
        table.flush()
        stream = libc.setmntent(table.name.encode(), b"r")
        try:
            assert libc.getmntent_r(stream, ctypes.byref(entry), buffer, len(buffer)), "getmntent finds no entry"
            found = (entry.fsname.decode(), entry.dir.decode(), entry.type.decode(), entry.opts.decode())
            assert not libc.getmntent_r(stream, ctypes.byref(entry), buffer, len(buffer)), "getmntent finds two entries"
        finally:
            libc.endmntent(stream)
    return found


@pytest.mark.parametrize("name", ODD_NAMES)
def test_libc_mounts_exactly_that_path(name: str) -> None:
    line = render_entry(Mount(f"/src/{name}", f"mnt/{name}", read_only=True))
    assert read_by_libc(line) == (f"/src/{name}", f"mnt/{name}", "none", "ro,bind,create=dir")


@given(MOUNTS)
def test_libc_reads_what_is_rendered(mount: Mount) -> None:
    mode = "ro" if mount.read_only else "rw"
    assert read_by_libc(render_entry(mount)) == (
        mount.source,
        mount.target,
        "none",
        f"{mode},bind,create={mount.create}",
    )


# ---- what a task names, and what the host and the operator say to it


def test_what_a_task_names() -> None:
    options = {
        "volumes": ["/tmp/x:mnt/tmp", "data:srv//data/"],
        "mounts": [{"source": "a", "target": "/b", "read_only": True, "create": "file"}],
        "devices": [
            {"path": "/dev/fuse", "target": None, "permissions": "rw"},
            {"path": "/dev/sda", "target": "/dev/vda", "permissions": "r"},
        ],
    }
    assert wanted(options, TASK) == [
        Wanted("volumes", "/tmp/x", "/tmp/x", "mnt/tmp"),
        # relative to the task's directory, as in Nomad's driver
        Wanted("volumes", "data", f"{TASK}/data", "srv/data"),
        Wanted("mounts", "a", f"{TASK}/a", "b", True, "file"),
        Wanted("devices", "/dev/fuse", "/dev/fuse", "dev/fuse", permissions="rw"),
        Wanted("devices", "/dev/sda", "/dev/sda", "dev/vda", permissions="r"),
    ]


def test_every_task_has_three_mounts() -> None:
    assert [render_entry(mount) for mount in own_mounts(LOCAL, ALLOC, SECRETS)] == [
        f"{LOCAL} local none rw,bind,create=dir 0 0",
        f"{ALLOC} alloc none rw,bind,create=dir 0 0",
        f"{SECRETS} secrets none rw,bind,create=dir 0 0",
    ]


HOST = {
    "/": Source("/", "dir"),
    "/tmp/dir": Source("/tmp/dir", "dir"),
    "/tmp/file": Source("/tmp/file", "file"),
    "/tmp/none": Source("/tmp/none", "missing"),
    "/dev/fuse": Source("/dev/fuse", "char", "10:229"),
    "/dev/sda": Source("/dev/sda", "block", "8:0"),
    f"{TASK}/..": Source(os.path.dirname(TASK), "dir"),
    f"{TASK}/../web": Source(TASK, "dir"),
    f"{TASK}/local": Source(LOCAL, "dir"),
    f"{TASK}/local/x": Source(f"{LOCAL}/x", "dir"),
    f"{TASK}/secrets/x": Source(f"{SECRETS}/x", "file"),
    f"{TASK}/../alloc": Source(ALLOC, "dir"),
    f"{TASK}/../alloc/x": Source(f"{ALLOC}/x", "dir"),
    f"{TASK}/data": Source(f"{TASK}/data", "dir"),
    f"{TASK}/data/x": Source(f"{TASK}/data/x", "dir"),
    f"{TASK}/data2": Source(f"{TASK}/data2", "dir"),
    f"{TASK}/tun": Source(f"{TASK}/tun", "char", "10:200"),
    f"{TASK}/../db/local": Source("/allocs/1/db/local", "dir"),
    f"{TASK}/../web2": Source("/allocs/1/web2", "dir"),
    # links
    f"{TASK}/out": Source("/etc", "dir"),
    f"{TASK}/in": Source(f"{LOCAL}/x", "dir"),
    f"{TASK}/near": Source(f"{TASK}/data", "dir"),
    # inside, but the way there leads through what the container can write
    f"{TASK}/local/near": Source(f"{TASK}/data", "dir", passed=(TASK, LOCAL, f"{LOCAL}/near", f"{TASK}/data")),
    f"{TASK}/local/x/../../data": Source(f"{TASK}/data", "dir", passed=(TASK, LOCAL, f"{LOCAL}/x", f"{TASK}/data")),
}


def mount(source: str, target: str = "m", read_only: bool = False, create: str = "auto") -> dict[str, t.Any]:
    return {"source": source, "target": target, "read_only": read_only, "create": create}


def device(path: str, target: str | None = None, permissions: str = "rwm") -> dict[str, t.Any]:
    return {"path": path, "target": target, "permissions": permissions}


def judge(enabled: bool = True, **options: t.Any) -> tuple[Resolved, list[str]]:
    return resolve(wanted({"volumes": [], "mounts": [], "devices": [], **options}, TASK), HOST, OWN, TASK, enabled)


@pytest.mark.parametrize(
    ("options", "entries", "rules"),
    [
        ({"volumes": ["/tmp/dir:d"]}, ["/tmp/dir d none rw,bind,create=dir 0 0"], []),
        # a file source gets create=file
        ({"volumes": ["/tmp/file:f"]}, ["/tmp/file f none rw,bind,create=file 0 0"], []),
        ({"mounts": [mount("/tmp/file", "/f")]}, ["/tmp/file f none rw,bind,create=file 0 0"], []),
        ({"mounts": [mount("/tmp/dir", "/d", True, "dir")]}, ["/tmp/dir d none ro,bind,create=dir 0 0"], []),
        ({"mounts": [mount("/dev/fuse", "/f")]}, ["/dev/fuse f none rw,bind,create=file 0 0"], []),
        # the source is bound as it was named: liblxc follows the links
        ({"volumes": ["out:o"]}, [f"{TASK}/out o none rw,bind,create=dir 0 0"], []),
        ({"devices": [device("/dev/fuse")]}, ["/dev/fuse dev/fuse none rw,bind,create=file 0 0"], ["c 10:229 rwm"]),
        (
            {"devices": [device("/dev/sda", "/dev/vda", "r")]},
            ["/dev/sda dev/vda none rw,bind,create=file 0 0"],
            ["b 8:0 r"],
        ),
        (
            {"volumes": ["/tmp/dir:a", "data:b"], "mounts": [mount("/tmp/dir", "c")]},
            [
                "/tmp/dir a none rw,bind,create=dir 0 0",
                f"{TASK}/data b none rw,bind,create=dir 0 0",
                "/tmp/dir c none rw,bind,create=dir 0 0",
            ],
            [],
        ),
    ],
)
def test_is_mounted(options: dict[str, t.Any], entries: list[str], rules: list[str]) -> None:
    resolved, faults = judge(**options)
    assert faults == []
    assert [render_entry(it) for it in resolved.mounts] == entries
    assert list(resolved.devices) == rules


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"volumes": ["/tmp/none:x"]}, "the source '/tmp/none' does not exist"),
        ({"mounts": [mount("/tmp/none")]}, "the source '/tmp/none' does not exist"),
        ({"devices": [device("/tmp/none")]}, "the source '/tmp/none' does not exist"),
        ({"devices": [device("/tmp/file")]}, "'/tmp/file' is not a device"),
        ({"devices": [device("/tmp/dir")]}, "'/tmp/dir' is not a device"),
        ({"mounts": [mount("/tmp/dir", create="file")]}, "'/tmp/dir' is a directory"),
        ({"mounts": [mount("/tmp/file", create="dir")]}, "'/tmp/file' is not a directory"),
        ({"volumes": ["/tmp/dir:a", "/tmp/file:a"]}, "'/a'"),
        ({"volumes": ["/tmp/dir:a"], "mounts": [mount("/tmp/file", "//a/")]}, "'/a'"),
        ({"volumes": ["/tmp/dir:local"]}, "'/local'"),
        ({"mounts": [mount("/tmp/dir", "/secrets")]}, "'/secrets'"),
    ],
)
def test_is_not_mounted(options: dict[str, t.Any], said: str) -> None:
    _resolved, faults = judge(**options)
    assert len(faults) == 1
    assert said in faults[0]
    assert faults[0].startswith(("volumes: ", "mounts: ", "devices: "))


@pytest.mark.parametrize(
    "options",
    [
        {"volumes": ["data:d"]},
        {"volumes": ["local:d"]},
        {"mounts": [mount("../web", read_only=True)]},
        {"volumes": ["near:d"]},
        {"mounts": [mount("data"), mount("data2", "n")]},
        # read-only, the container can't swap what lies there
        {"mounts": [mount("data", "a", True), mount("data/x", "b")]},
        {"devices": [device("tun")]},
    ],
)
def test_is_mounted_where_volumes_are_disabled(options: dict[str, t.Any]) -> None:
    assert judge(enabled=False, **options)[1] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"volumes": ["/tmp/dir:d"]}, ABSOLUTE_SOURCE),
        ({"mounts": [mount("/tmp/dir")]}, ABSOLUTE_SOURCE),
        ({"devices": [device("/dev/fuse")]}, ABSOLUTE_SOURCE),
        ({"mounts": [mount("/tmp/dir", "/x", True)]}, ABSOLUTE_SOURCE),
        # absolute is absolute, also where it is the task's own
        ({"volumes": [f"{TASK}/data:d"]}, ABSOLUTE_SOURCE),
        ({"volumes": ["/tmp/none:d"]}, ABSOLUTE_SOURCE),
        # outside, by .. or by a link
        ({"volumes": ["../db/local:d"]}, ESCAPES),
        ({"volumes": ["../web2:d"]}, ESCAPES),
        ({"volumes": ["../alloc:d"]}, ESCAPES),
        ({"volumes": ["out:d"]}, ESCAPES),
        ({"mounts": [mount("out")]}, ESCAPES),
        ({"mounts": [mount("../alloc/x")]}, ESCAPES),
        # what the container could swap for a link to the host
        ({"volumes": ["local/x:d"]}, "'lxc.volumes.enabled' is false"),
        ({"volumes": ["local/near:d"]}, f"'local/near' lies in '{LOCAL}', or leads through it"),
        ({"volumes": ["local/x/../../data:d"]}, f"lies in '{LOCAL}', or leads through it"),
        ({"mounts": [mount("local/x", read_only=True)]}, "'lxc.volumes.enabled' is false"),
        ({"mounts": [mount("secrets/x")]}, "'lxc.volumes.enabled' is false"),
        ({"volumes": ["in:d"]}, "'lxc.volumes.enabled' is false"),
        ({"volumes": ["data:a", "data/x:b"]}, "'lxc.volumes.enabled' is false"),
        ({"volumes": ["data/x:b", "data:a"]}, "'lxc.volumes.enabled' is false"),
        # local, secrets and the log lie in it
        ({"volumes": ["../web:all"]}, "'lxc.volumes.enabled' is false"),
    ],
)
def test_is_refused_where_volumes_are_disabled(options: dict[str, t.Any], said: str) -> None:
    _resolved, faults = judge(enabled=False, **options)
    assert len(faults) == 1
    assert said in faults[0]


@pytest.mark.parametrize("refused", ["/", "/tmp/dir", "..", "../web"])
def test_what_is_refused_makes_no_other_source_one_that_can_be_swapped(refused: str) -> None:
    _resolved, faults = judge(enabled=False, volumes=[f"{refused}:a", "data:b", "local:c", "data2:d"])
    assert len(faults) == 1 and f"'{refused}'" in faults[0]


def test_all_faults_are_told_at_once() -> None:
    _resolved, faults = judge(
        enabled=False,
        volumes=["/tmp/dir:a", "out:b", "data:c"],
        mounts=[mount("local/x"), mount("data2", "c")],
        devices=[device("/dev/fuse")],
    )
    assert [ABSOLUTE_SOURCE in faults[0], ESCAPES in faults[1], "local" in faults[2], "'/c'" in faults[3]] == [True] * 4
    assert len(faults) == 5


@given(
    st.lists(
        st.sampled_from(sorted(HOST)).map(
            lambda path: os.path.relpath(path, TASK) if path.startswith("/allocs") else path
        )
    ),
    st.booleans(),
)
def test_every_source_is_mounted_or_refused(sources: list[str], enabled: bool) -> None:
    mounts = [mount(source, f"m{number}") for number, source in enumerate(sources)]
    asked = wanted({"volumes": [], "mounts": mounts, "devices": []}, TASK)
    host = {
        it.path: next(HOST[path] for path in HOST if os.path.normpath(path) == os.path.normpath(it.path))
        for it in asked
    }
    resolved, faults = resolve(asked, host, OWN, TASK, enabled)
    assert len(resolved.mounts) + len(faults) == len(sources)
    if not enabled:
        for it in resolved.mounts:
            assert host[it.source].real == TASK or host[it.source].real.startswith(f"{TASK}/")
            assert not any(host[it.source].real.startswith(f"{own}/") for own in OWN)


@pytest.mark.parametrize(
    ("path", "tidied"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/a", "/a"),
        ("//a///b/./", "/a/b"),
        (".", "."),
        ("./", "."),
        ("./a/", "a"),
        ("a b", "a b"),
        # behind a link these would lead elsewhere
        ("/a/../b/", "/a/../b"),
        ("../..", "../.."),
    ],
)
def test_a_path_without_what_says_nothing(path: str, tidied: str) -> None:
    assert tidy(path) == tidied
