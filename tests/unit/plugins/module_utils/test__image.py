# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image a task has, what is kept of one, and what a clone of it is."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._config_lines import parse
from ansible_collections.nomadic.lxc.plugins.module_utils._image import (
    Manifest,
    clone_config,
    image_id,
    image_in,
    images_mounted,
    parse_manifest,
    path_fault,
    render_manifest,
)
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.builders import task
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = {"template": "busybox", "template_args": []}
IMAGES = "/var/lib/lxc/.nomadic-lxc-images"
MANIFEST = Manifest(
    "busybox-0123",
    "2026-11-24T10:00:00Z-00ff",
    "2026-11-24T10:00:00Z",
    f"{IMAGES}/busybox-0123.new/busybox-0123",
    "abc",
    {"template": "busybox"},
    ("etc/hostname",),
)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"template": "/usr/share/lxc/templates/lxc-busybox"}, True),
        ({"memory_mb": 64, "network_mode": "bridge", "gpg_key_id": "x", "flush_cache": True}, True),
        ({"template": "download"}, False),
        ({"distro": "debian"}, False),
        ({"release": "trixie"}, False),
        ({"arch": "amd64"}, False),
        ({"image_variant": "cloud"}, False),
        ({"image_server": "images.example.org"}, False),
        ({"template_args": ["--x"]}, False),
        ({"default_config": "/etc/lxc/other.conf"}, False),
    ],
)
def test_tasks_share_an_image_if_their_root_file_systems_are_the_same(other: dict[str, t.Any], same: bool) -> None:
    assert (image_id({**OPTIONS, **other}) == image_id(OPTIONS)) is same


@given(st.text(min_size=1))
def test_an_id_is_a_containers_name_and_holds_no_dot(template: str) -> None:
    found = image_id({**OPTIONS, "template": template})
    assert len(found) <= 64
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    assert found[0] != "-"


def test_the_options_of_a_task_have_an_id() -> None:
    assert image_id(task(backing_store="overlay").options) == image_id(OPTIONS)
    assert image_id(OPTIONS).startswith("busybox-")


def test_a_manifest_is_read_back() -> None:
    assert parse_manifest(render_manifest(MANIFEST)) == MANIFEST


WHOLE: dict[str, t.Any] = {"version": 1, **MANIFEST._asdict()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        render_manifest(MANIFEST)[:-20],
        json.dumps({**WHOLE, "version": 2}),
        json.dumps({**WHOLE, "build": None}),
        json.dumps({**WHOLE, "options": []}),
        json.dumps({**WHOLE, "named": 1}),
        json.dumps({**WHOLE, "more": 1}),
        json.dumps({key: value for key, value in WHOLE.items() if key != "tree"}),
    ],
)
def test_what_is_no_whole_manifest_is_none(text: str) -> None:
    assert parse_manifest(text) is None


def test_a_clone_has_a_root_a_name_and_an_address_of_its_own() -> None:
    text = (
        "# by a template\n"
        "lxc.net.0.hwaddr = 00:16:3e:00:00:01\n"
        "lxc.net.00.hwaddr = 00:16:3e:00:00:02\n"
        f"lxc.rootfs.path = dir:{MANIFEST.made_in}/rootfs\n"
        'lxc.uts.name = "busybox-0123"\n'
        f"lxc.mount.fstab = {MANIFEST.made_in}/fstab\n"
        "lxc.tty.max = 1\n"
    )
    addresses = iter(["aa", "bb"])
    cloned = clone_config(text, MANIFEST, f"{IMAGES}/busybox-0123/rootfs", "/var/lib/lxc/web", lambda: next(addresses))
    assert cloned.startswith("# by a template\n")
    assert parse(cloned) == [
        ("lxc.net.0.hwaddr", "aa"),
        ("lxc.net.0.hwaddr", "bb"),
        ("lxc.rootfs.path", f"overlay:{IMAGES}/busybox-0123/rootfs:/var/lib/lxc/web/overlay/delta"),
        ("lxc.uts.name", "web"),
        ("lxc.mount.fstab", "/var/lib/lxc/web/fstab"),
        ("lxc.tty.max", "1"),
    ]
    assert image_in(cloned) == "busybox-0123"


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("", None),
        ("lxc.rootfs.path = dir:/var/lib/lxc/web/rootfs\n", None),
        ("lxc.rootfs.path = overlay:/var/lib/lxc/base/rootfs:/var/lib/lxc/web/delta\n", None),
        ("lxc.rootfs.path = overlayfs:/x/.nomadic-lxc-images/a-1/rootfs:/x/web/overlay/delta\n", "a-1"),
        (
            "".join(
                f"{lead}lxc.rootfs.path = overlay:{IMAGES}/{it}/rootfs:/x\n" for lead, it in [("#", "a-1"), ("", "b-2")]
            ),
            "b-2",
        ),
        (f"lxc.rootfs.path = dir:{IMAGES}/a-1/rootfs\n", None),
    ],
)
def test_who_stands_on_which_image(config: str, found: str | None) -> None:
    assert image_in(config) == found


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("rw,lowerdir=/var/lib/lxc/.nomadic-lxc-images/x-1/rootfs,upperdir=/u,workdir=/w", {("/var/lib/lxc", "x-1")}),
        (
            "rw,lowerdir=/a/web/delta0:/a/.nomadic-lxc-images/x-1/rootfs:/b/.nomadic-lxc-images/x-1/rootfs",
            {("/a", "x-1"), ("/b", "x-1")},
        ),
        ("rw,lowerdir=/with\\040blank/.nomadic-lxc-images/x-1.old-ab/rootfs", {("/with blank", "x-1.old-ab")}),
        ("rw,lowerdir=/.nomadic-lxc-images/x-1/rootfs,upperdir=/u", {("/", "x-1")}),
        ("rw,lowerdir=/a/.nomadic-lxc-images/x-1/rootfs2", set()),
        ("rw,lowerdir=/a/images/x-1/rootfs", set()),
    ],
)
def test_what_a_mounted_overlay_stands_on(options: str, found: set[tuple[str, str]]) -> None:
    assert images_mounted(f"42 1 0:40 / / rw - overlay overlay {options}\n") == found


@pytest.mark.parametrize(("path", "fit"), [("/var/lib/lxc", True), ("/a:b", False), ("/a,b", False), ("/a\\b", False)])
def test_where_an_overlay_can_be(path: str, fit: bool) -> None:
    assert (path_fault(path) is None) is fit
