# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images on this host: whether one is sound, and who stands on it. Read, and never changed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _image, _tree


def directory_of(lxc_path: str, image: str) -> str:
    """An image's directory."""
    return os.path.join(_image.images_directory(lxc_path), image)


def rootfs_of(lxc_path: str, image: str) -> str:
    """An image's root file system."""
    return os.path.join(directory_of(lxc_path, image), "rootfs")


def manifest_of(lxc_path: str, image: str) -> _image.Manifest | None:
    """An image's manifest, which is written last; None where no whole image is."""
    directory = directory_of(lxc_path, image)
    manifest = _image.parse_manifest(_tree.read_text(os.path.join(directory, _image.MANIFEST)) or "")
    whole = manifest is not None and manifest.id == image
    whole = whole and all(os.path.lexists(os.path.join(directory, name)) for name in ("config", "rootfs"))
    return manifest if whole else None


def sound(lxc_path: str, image: str) -> _image.Manifest | None:
    """An image's manifest if its root file system is still as the template left it; None if it must be built (again)."""
    manifest = manifest_of(lxc_path, image)
    if manifest is None:
        return None
    return manifest if _unchanged(rootfs_of(lxc_path, image), manifest.tree, manifest.build) else None


@functools.cache
def _unchanged(rootfs: str, tree: str, _build: str) -> bool:
    """Looked at once in a process: a call for many tasks asks for each of them."""
    try:
        return digest(rootfs) == tree
    except OSError:
        return False


def digest(directory: str) -> str:
    """What a directory holds, in one number: names, kinds, modes, owners, sizes and times; no file is read. Raises OSError.

    A directory's own time is left out: what changes it is seen in its names.
    """
    found = hashlib.sha256()
    pending, beneath = [directory], os.path.join(directory, "")
    while pending:
        place = pending.pop()
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            about = entry.stat(follow_symlinks=False)
            words = [entry.path.removeprefix(beneath), about.st_mode, about.st_uid, about.st_gid, about.st_rdev]
            if stat.S_ISDIR(about.st_mode):
                pending.append(entry.path)
            else:
                words += [about.st_size, about.st_mtime_ns]
            found.update(repr(words).encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def image_names(lxc_path: str) -> list[str]:
    """The ids of all images that are there, whole or not; what a build left over is named with it."""
    try:
        return sorted(os.listdir(_image.images_directory(lxc_path)))
    except (FileNotFoundError, NotADirectoryError):
        return []


def told(lxc_path: str) -> list[dict[str, t.Any]]:
    """The images of a path as users are told of them: what each is made of, and which containers stand on it.

    Whether all of its files are there is not looked at: that takes as long as it has files.
    """
    names = [name for name in image_names(lxc_path) if "." not in name]
    used = users(lxc_path) if names else {}
    found = []
    for name in names:
        manifest = manifest_of(lxc_path, name)
        found.append(
            {
                "id": name,
                "directory": directory_of(lxc_path, name),
                "whole": manifest is not None,
                "build": None if manifest is None else manifest.build,
                "built_at": None if manifest is None else manifest.built_at,
                "options": {} if manifest is None else {key: it for key, it in manifest.options.items() if it},
                "containers": used.get(name, []),
            }
        )
    return found


def users(lxc_path: str) -> dict[str, list[str]]:
    """Who stands on which image: the names of containers, of snapshots of them, and of ones that were set aside, by id."""
    found: dict[str, list[str]] = {}
    for name, directory in _places(lxc_path):
        file = os.path.join(directory, "config")
        image = _image.image_in(_tree.read_text(file) or "") if os.path.isfile(file) else None
        if image is not None and name not in found.setdefault(image, []):
            found[image].append(name)
    return found


def mounted(lxc_path: str) -> set[str]:
    """The ids of a path's images on which a container runs, whoever started it and whatever is left of its directory: of those
    that are mounted in any mount namespace.
    """
    seen: set[str] = set()
    found: set[tuple[str, str]] = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
            if namespace not in seen:
                with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as file:
                    found |= _image.images_mounted(file.read())
                seen.add(namespace)
    return {image for place, image in found if not _is_another(place, lxc_path)}


def _is_another(place: str, lxc_path: str) -> bool:
    """Whether the images there are others than this path's, of which some have the same ids; one that is not there any more may
    have been this one, by another name.
    """
    try:
        return not os.path.samefile(_image.images_directory(place), _image.images_directory(lxc_path))
    except OSError:
        return False


def _places(lxc_path: str) -> t.Iterator[tuple[str, str]]:
    """Every container's name and directory, then those that belong to it."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in sorted(os.listdir(lxc_path)):
            directory = os.path.join(lxc_path, name)
            yield name, directory
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for snapshot in os.listdir(os.path.join(directory, "snaps")):
                    yield name, os.path.join(directory, "snaps", snapshot)
            if name.startswith("."):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    for aside in os.listdir(directory):
                        yield aside, os.path.join(directory, aside)
