# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LXC templates: which file, which options it knows, and go-lxc's argument list."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._template import (
    arguments,
    known_options,
    missing_options,
    name_of,
    path_of,
)
from hypothesis import given
from hypothesis import strategies as st

# LXC 4.0.12 and later
NEW_DOWNLOAD = {
    "dist",
    "release",
    "arch",
    "variant",
    "server",
    "flush-cache",
    "force-cache",
    "help",
    "list",
    "name",
    "path",
    "rootfs",
}
# and before
OLD_DOWNLOAD = NEW_DOWNLOAD | {"keyid", "keyserver", "no-validate"}
BUSYBOX = {"busybox-path", "help", "mapped-gid", "mapped-uid", "name", "path", "rootfs"}
DEBIAN = {"arch", "clean", "flush-cache", "help", "mirror", "name", "packages", "path", "release", "rootfs"}

ALL: dict[str, t.Any] = {
    "distro": "alpine",
    "release": "3.20",
    "arch": "amd64",
    "image_variant": "cloud",
    "image_server": "images.example.org",
    "gpg_key_id": "0xBAEFF88C22F6E216",
    "gpg_key_server": "keys.example.org",
    "disable_gpg": True,
    "flush_cache": True,
    "force_cache": True,
    "template_args": ["--more", "x"],
}


@pytest.mark.parametrize(
    ("template", "path", "name"),
    [
        ("busybox", "/usr/share/lxc/templates/lxc-busybox", "busybox"),
        ("ubuntu-cloud", "/usr/share/lxc/templates/lxc-ubuntu-cloud", "ubuntu-cloud"),
        # a template's name and its path are the same template
        ("/usr/share/lxc/templates/lxc-busybox", "/usr/share/lxc/templates/lxc-busybox", "busybox"),
        ("/srv/my-template", "/srv/my-template", "my-template"),
        ("/srv/lxc-lxc-x", "/srv/lxc-lxc-x", "lxc-x"),
    ],
)
def test_which_file(template: str, path: str, name: str) -> None:
    assert path_of(template) == path
    assert path_of(path) == path
    assert name_of(path) == name


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ('options=$(getopt -o hp:n: -l help,rootfs:,path: -- "$@")', {"help", "rootfs", "path"}),
        ('if ! options=$(getopt -o d: --long dist:,arch: -- "$@"); then', {"dist", "arch"}),
        ("options=`getopt -o d: --longoptions=dist:,arch:: -- $@`", {"dist", "arch"}),
        ('getopt -o d: --long "dist:,arch:" -- "$@"', {"dist", "arch"}),
        ("getopt -o d: -ldist:,arch: -- $@", {"dist", "arch"}),
        # over two lines, as the templates of LXC write it
        ('options=$(getopt -o d:a: -l dist:,\\\n    arch:,variant: -- "$@")', {"dist", "arch", "variant"}),
        ('x=$(getopt --name "${0##*/}" \\\n  --options "h" --long "help" -- "$@")', {"help"}),
        ("getopt -o a -l one: -l two -- $@", {"one", "two"}),
        # the options in variables
        ('lopts=help,arch:,release:\noptions=`getopt -o h -l $lopts -- "$@"`', {"help", "arch", "release"}),
        ('local long_opts="arch:,name:"\ngetopt --options "${short}" --long "${long_opts}" -- "$@"', {"arch", "name"}),
        # what is said of one
        ('# getopt -l nothing:\n\t# no getopt -l release: here\ngetopt -l arch: -- "$@"', {"arch"}),
        ("# unlike others, no getopt -l release: here\nexit 0", None),
        # who knows
        ("", None),
        ("#!/bin/sh\nexit 0", None),
        ("while getopts hp: opt; do :; done", None),
        ('options=$(getopt -o h -- "$@")', None),
        ('options=$(getopt -o h -l "$(all_options)" -- "$@")', None),
    ],
)
def test_which_options_a_template_knows(script: str, names: set[str] | None) -> None:
    assert known_options(script) == names


@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: f"getopt -l {text} -- $@"),
        st.text(st.sampled_from("getop \\\n-l'\"$(){}a,:")),
    )
)
def test_any_script_is_read(script: str) -> None:
    names = known_options(script)
    assert names is None or names


TEMPLATES = sorted(Path("/usr/share/lxc/templates").glob("lxc-*"))


def test_templates_are_installed() -> None:
    assert {"lxc-busybox", "lxc-download", "lxc-debian"} <= {path.name for path in TEMPLATES}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_installed_template_knows_what_liblxc_gives_it(path: Path) -> None:
    """liblxc gives each template these three; one that is read wrongly would not seem to know them."""
    names = known_options(path.read_text(encoding="utf-8"))
    assert names is None or {"name", "path", "rootfs"} <= names


def test_a_name_is_known_if_getopt_takes_it(tmp_path: Path) -> None:
    """The program getopt(1) itself, with the line that was read."""
    line = "getopt -o d:r: -l dist:,release:,\\\nflush-cache"
    names = known_options(f'options=$({line} -- "$@")')
    assert names == frozenset({"dist", "release", "flush-cache"})
    for name in ("dist", "release", "flush-cache", "keyid", "force-cache"):
        value = " value" if name != "flush-cache" else ""
        done = subprocess.run(["sh", "-c", f"{line} -- --{name}{value}"], capture_output=True, check=False)
        assert (done.returncode == 0) is (name in names)


@pytest.mark.parametrize(
    ("options", "known", "args", "unknown"),
    [
        ({}, BUSYBOX, [], []),
        ({"template_args": ["-x", "--y=z"]}, BUSYBOX, ["-x", "--y=z"], []),
        # go-lxc's order; the template's further arguments are last
        (
            ALL,
            OLD_DOWNLOAD,
            [
                "--dist",
                "alpine",
                "--release",
                "3.20",
                "--arch",
                "amd64",
                "--variant",
                "cloud",
                "--server",
                "images.example.org",
            ]
            + ["--keyid", "0xBAEFF88C22F6E216", "--keyserver", "keys.example.org"]
            + ["--no-validate", "--flush-cache", "--force-cache", "--more", "x"],
            [],
        ),
        # what the template dropped is a warning and no usage error
        (
            ALL,
            NEW_DOWNLOAD,
            [
                "--dist",
                "alpine",
                "--release",
                "3.20",
                "--arch",
                "amd64",
                "--variant",
                "cloud",
                "--server",
                "images.example.org",
            ]
            + ["--flush-cache", "--force-cache", "--more", "x"],
            ["gpg_key_id", "gpg_key_server", "disable_gpg"],
        ),
        (
            ALL,
            DEBIAN,
            ["--release", "3.20", "--arch", "amd64", "--flush-cache", "--more", "x"],
            ["distro", "image_variant", "image_server", "gpg_key_id", "gpg_key_server", "disable_gpg", "force_cache"],
        ),
        (
            ALL,
            BUSYBOX,
            ["--more", "x"],
            [name for name in ALL if name != "template_args"],
        ),
        # only the template itself knows: all are given
        ({"distro": "x", "force_cache": True}, None, ["--dist", "x", "--force-cache"], []),
        # a value is one argument, whatever is in it
        ({"release": "--no-validate; rm -rf /"}, None, ["--release", "--no-validate; rm -rf /"], []),
        ({"disable_gpg": False, "flush_cache": False, "force_cache": False, "distro": None}, OLD_DOWNLOAD, [], []),
    ],
)
def test_arguments_are_go_lxcs(
    options: dict[str, t.Any], known: set[str] | None, args: list[str], unknown: list[str]
) -> None:
    assert arguments(options, known) == (args, unknown)


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"template": "busybox"}, []),
        ({"template": "debian"}, []),
        ({"template": "download"}, ["distro", "release", "arch"]),
        ({"template": "/usr/share/lxc/templates/lxc-download", "distro": "alpine"}, ["release", "arch"]),
        ({"template": "download", "distro": "alpine", "release": "3.20", "arch": "amd64"}, []),
        ({"template": "download", "template_args": ["--dist", "alpine", "--release=3.20", "-a", "amd64"]}, []),
        ({"template": "download", "template_args": ["-dalpine", "-r3.20", "-aamd64"]}, []),
        ({"template": "download", "distro": "alpine", "template_args": ["-r", "3.20"]}, ["arch"]),
        ({"template": "download", "distro": "", "release": "", "arch": ""}, ["distro", "release", "arch"]),
        ({"template": "download", "template_args": ["--list"]}, []),
    ],
)
def test_what_the_download_template_would_ask_for(options: dict[str, t.Any], missing: list[str]) -> None:
    assert missing_options(options) == missing
