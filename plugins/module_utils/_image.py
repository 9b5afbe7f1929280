# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that tasks with ``backing_store: overlay`` share: which one a task has, what is kept of one, what a clone of it is. Pure.

An image is what a template made, once: a root file system and a configuration. A clone is a container whose root is an
overlay (lxc.container.conf(5), ``lxc.rootfs.path``) of a directory of its own on the image's, which is never written.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os.path
import re
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _config, _config_lines, _mounts, _template

OVERLAY = "overlay"
# Beside the containers, and out of their list: no container's name begins with a dot.
DIRECTORY = ".nomadic-lxc-images"
MANIFEST = "image.json"
VERSION = 1

# What makes two root file systems different.
_DISTINCT = ("distro", "release", "arch", "image_variant", "image_server", "template_args", "default_config")
_ROOTFS = re.compile(r"lxc\.rootfs\.path")
_HWADDR = re.compile(r"lxc\.net\.[0-9]+\.hwaddr")
_LOWER = re.compile(re.escape(f"/{DIRECTORY}/") + r"([^/:]+)/rootfs:")
# In the options of a mounted overlay, see proc(5), /proc/pid/mountinfo: "lowerdir=...".
_MOUNTED_LOWER = re.compile(r"([^:,=\s]*)" + re.escape(f"/{DIRECTORY}/") + r"([^/:,\s]+)/rootfs(?=[:,\s]|$)")
# What separates layers and options where the kernel reads them (overlayfs.rst), and what escapes there.
_UNFIT = ":,\\"


class Recipe(t.NamedTuple):
    """How an image is made. ``id``: the same for all tasks that share it; also the name of the container that the template
    makes, so that it can be found in the files. ``options``: what the id comes from.
    """

    id: str
    options: t.Mapping[str, t.Any]
    template: str
    arguments: tuple[str, ...]
    default_config: str | None


class Manifest(t.NamedTuple):
    """What is kept beside an image. ``build``: tells it from an earlier or later one of the same id. ``named``: files of the
    root file system that hold the container's name. ``tree``: see _images.digest. ``made_in``: the directory where the
    template made it.
    """

    id: str
    build: str
    built_at: str
    made_in: str
    tree: str
    options: t.Mapping[str, t.Any] = {}
    named: tuple[str, ...] = ()


def distinct(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What of a task's options makes its root file system."""
    return {"template": _template.path_of(options["template"]), **{name: options.get(name) for name in _DISTINCT}}


def image_id(options: t.Mapping[str, t.Any]) -> str:
    """The image of a task with these options: the template's name, for people, and a digest."""
    made_of = distinct(options)
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9]+", "-", _template.name_of(made_of["template"])).strip("-")[:24]
    return f"{name or 'image'}-{digest}"


def images_directory(lxc_path: str) -> str:
    """Where the images of the containers in a path are."""
    return os.path.join(lxc_path, DIRECTORY)


def path_fault(lxc_path: str) -> str | None:
    """Why no overlay can be mounted below a path; None if one can."""
    found = [char for char in _UNFIT if char in lxc_path]
    if not found:
        return None
    return f"backing_store: an overlay can't be in lxc_path {lxc_path!r}, for {found[0]!r} stands in it: use dir"


def render_manifest(manifest: Manifest) -> str:
    """JSON, with the version first."""
    return json.dumps({"version": VERSION, **manifest._asdict()}, indent=1) + "\n"


@functools.lru_cache(maxsize=8)
def parse_manifest(text: str) -> Manifest | None:
    """Read a manifest; None for anything that is not a whole one of this version: its image is built again."""
    try:
        values = json.loads(text)
        if values.pop("version") != VERSION:
            return None
        values["named"] = tuple(str(path) for path in values["named"])
        manifest = Manifest(**values)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return None
    words = (manifest.id, manifest.build, manifest.built_at, manifest.made_in, manifest.tree)
    return manifest if isinstance(manifest.options, dict) and all(isinstance(word, str) for word in words) else None


def image_in(config: str) -> str | None:
    """The id of the image on which the container with this configuration stands; None if it stands on none."""
    if DIRECTORY not in config:
        return None
    match = _LOWER.search(_config_lines.last(_config_lines.parse(config, _ROOTFS), "lxc.rootfs.path") or "")
    return None if match is None else match[1]


def images_mounted(mountinfo: str) -> set[tuple[str, str]]:
    """The images that some overlay in a mountinfo stands on: the LXC path, as it was named to the kernel, and the id."""
    if DIRECTORY not in mountinfo:
        return set()
    return {(_mounts.unescape(place) or "/", image) for place, image in _MOUNTED_LOWER.findall(mountinfo)}


def delta_of(directory: str) -> str:
    """Where a container keeps what differs from its image. liblxc makes the overlay's ``work`` beside it."""
    return os.path.join(directory, "overlay", "delta")


def clone_config(text: str, manifest: Manifest, lower: str, directory: str, hwaddr: t.Callable[[], str]) -> str:
    """A clone's configuration by its image's. ``lower``: the image's root file system; ``directory``: the clone's own.

    What the template wrote of its container's name and directory is the clone's now, and so is a hardware address:
    two of the same on one bridge reach nobody.
    """
    name = os.path.basename(directory)
    lines = []
    for line in _config_lines.split(text):
        pair = _config_lines.parse_line(line)
        key = "" if pair is None else _config.canonical(pair[0])
        if key == "lxc.rootfs.path":
            line = _config.render([(key, f"{OVERLAY}:{lower}:{delta_of(directory)}")])[0]
        elif _HWADDR.fullmatch(key):
            line = _config.render([(key, hwaddr())])[0]
        else:
            line = line.replace(manifest.made_in, directory).replace(manifest.id, name)
        lines.append(line)
    return "\n".join(lines)
