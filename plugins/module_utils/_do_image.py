# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: built once by their template, cloned, removed. Who builds or removes one holds its lock alone, who clones shares it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _errors,
    _image,
    _images,
    _liblxc,
    _lock,
    _mounts,
    _proc,
    _runtime,
    _states,
    _tree,
    _volumes,
    _waits,
    _work,
)

# Seconds: a distribution may come over a slow line.
WAIT = 1800.0
# For those who only look.
_MOMENT = 0.01
# Nobody but root has business with an image; what is inside has modes of its own.
_DIRECTORY_MODE = 0o700
_IMAGE_MODE = 0o500
# Where templates write a container's name, and how long such a file may be: bytes.
_NAMED_IN = "etc"
_LONGEST = 65536


def _lock_of(
    lxc_path: str, image: str, shared: bool = False, wait: float = WAIT, waits: _waits.Waits = _waits.ALONE
) -> t.ContextManager[int]:
    file = _lock.lock_file("image", image, _image.images_directory(lxc_path))
    return _lock.held(file, f"the image {image}", wait, shared, pause=waits.pause)


def ensure(recipe: _image.Recipe, runtime: _runtime.Runtime) -> str | None:
    """Build an image if there is no sound one; what the template printed, None if it did not run. Raises LxcTaskError.

    A template that has failed for another task of the same call is not run again: it would fail as long once more.
    """
    while True:
        # Who builds it is waited for, but not those who clone it.
        with _lock_of(runtime.lxc_path, recipe.id, shared=True, waits=runtime.waits):
            if _images.sound(runtime.lxc_path, recipe.id) is not None:
                return None
        try:
            with _lock_of(runtime.lxc_path, recipe.id, wait=_MOMENT) as lock:
                return _built(recipe, runtime, lock)
        except _errors.LockTimeoutError:
            continue  # another one builds it


def _built(recipe: _image.Recipe, runtime: _runtime.Runtime, lock: int) -> str | None:
    # Others may have had it since.
    if _images.sound(runtime.lxc_path, recipe.id) is not None:
        return None
    # All that the template is told, and not only what makes another image of it.
    attempt = json.dumps([recipe.id, recipe.default_config, *recipe.arguments])
    failed = None if runtime.notes is None else runtime.notes.of(attempt)
    if failed is not None:
        raise _errors.LxcTaskError(f"for another task of this call {failed}")
    try:
        return _build(recipe, runtime, lock)
    except _liblxc.RuntimeFailure as failure:
        if runtime.notes is not None:
            runtime.notes.note(attempt, str(failure))
        raise


@contextlib.contextmanager
def held(recipe: _image.Recipe, runtime: _runtime.Runtime) -> t.Iterator[_image.Manifest]:
    """Keep a sound image from being removed or built again meanwhile."""
    while True:
        with _lock_of(runtime.lxc_path, recipe.id, shared=True, waits=runtime.waits):
            manifest = _images.sound(runtime.lxc_path, recipe.id)
            if manifest is not None:
                yield manifest
                return
        ensure(recipe, runtime)


def _build(recipe: _image.Recipe, runtime: _runtime.Runtime, lock: int) -> str:
    """Run the template in a place of its own, and put the image where it belongs when it is whole."""
    images, draft = _image.images_directory(runtime.lxc_path), _draft(runtime.lxc_path, recipe.id)
    made: list[str] = []
    _work.make_directories(runtime.lxc_path, made.append)
    _work.make_directories(images, made.append, _DIRECTORY_MODE)
    try:
        _remove(draft)
        os.mkdir(draft, _DIRECTORY_MODE)
        # A template that outlives us holds the lock on.
        maker = _runtime.Runtime(draft, lock, runtime.hidden)
        output = maker.create(recipe.id, recipe.template, recipe.arguments, recipe.default_config)
        directory = maker.directory(recipe.id)
        rootfs = os.path.join(directory, "rootfs")
        if not os.path.isdir(rootfs):
            raise _errors.LxcTaskError(f"the template {recipe.template} made no root file system in {rootfs}")
        _make_mount_points(rootfs)
        now = time.time()
        manifest = _image.Manifest(
            id=recipe.id,
            build=f"{_proc.iso(now)}-{os.urandom(4).hex()}",
            built_at=_proc.iso(now),
            made_in=directory,
            tree=_images.digest(rootfs),
            options=_image.distinct(recipe.options),
            named=tuple(_named(rootfs, recipe.id)),
        )
        _tree.write_atomically(os.path.join(directory, _image.MANIFEST), _image.render_manifest(manifest), 0o400)
        os.chmod(directory, _IMAGE_MODE)
        _retire(runtime.lxc_path, recipe.id)
        os.rename(directory, _images.directory_of(runtime.lxc_path, recipe.id))
    except BaseException:
        with contextlib.suppress(_errors.LxcTaskError, OSError):
            _remove(draft)
            for parent in reversed(made):
                _work.remove_if_empty(parent)
        raise
    _remove(draft)
    return output


def _make_mount_points(rootfs: str) -> None:
    """Where every task has its directories: liblxc would make them anew for each clone, in its upper directory."""
    for name in _volumes.OWN:
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(rootfs, name))


def _draft(lxc_path: str, image: str) -> str:
    return _images.directory_of(lxc_path, f"{image}.new")


def _remove(directory: str) -> None:
    if os.path.lexists(directory):
        kept = _tree.remove(directory, _mounts.read_mount_points())
        if kept:
            raise _errors.LxcTaskError(f"{', '.join(kept)} is mounted in {directory}", hint="unmount it first")


def _named(rootfs: str, name: str) -> t.Iterator[str]:
    """The files, relative to the root, that hold the container's name."""
    for place, _directories, files in os.walk(os.path.join(rootfs, _NAMED_IN)):
        for file in sorted(files):
            path = os.path.join(place, file)
            if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) <= _LONGEST:
                with open(path, "rb") as opened:
                    if name.encode() in opened.read():
                        yield os.path.relpath(path, rootfs)


def _retire(lxc_path: str, image: str) -> None:
    """Make room for an image that is built again: a broken one goes, unless a task runs on what is left of it."""
    directory = _images.directory_of(lxc_path, image)
    _drop_retired(lxc_path, image)
    if not os.path.lexists(directory):
        return
    if _in_use(lxc_path, image):
        os.rename(directory, f"{directory}.old-{os.urandom(4).hex()}")
    else:
        _remove(directory)


def _drop_retired(lxc_path: str, image: str) -> None:
    """Remove what broken images have left, once no task runs that may stand on it."""
    retired = [name for name in _images.image_names(lxc_path) if name.startswith(f"{image}.old-")]
    if retired and not _in_use(lxc_path, image):
        for name in retired:
            _remove(_images.directory_of(lxc_path, name))


def _in_use(lxc_path: str, image: str) -> bool:
    """Whether a container that stands on the image runs; one that can't be asked counts as running."""
    if image in _images.mounted(lxc_path):
        return True
    runtime = _runtime.Runtime(lxc_path)
    for name in _images.users(lxc_path).get(image, []):
        try:
            if runtime.state(name)[0] != _states.STOPPED:
                return True
        except _errors.LxcTaskError:
            return True
    return False


def clone(manifest: _image.Manifest, lxc_path: str, name: str) -> str:
    """Make a container, whose directory is there, a clone of an image that is held; returns its configuration."""
    image, directory = _images.directory_of(lxc_path, manifest.id), os.path.join(lxc_path, name)
    lower, delta = os.path.join(image, "rootfs"), _image.delta_of(directory)
    os.mkdir(os.path.dirname(delta))
    # The root directory of an overlay is the upper one.
    _copy_directory(lower, delta)
    for path in manifest.named:
        _copy_named(lower, delta, path, manifest.id, name)
    # What else the template made beside the root file system, and its lines name: a table of mounts, a hook.
    for entry in os.scandir(image):
        if entry.is_file(follow_symlinks=False) and entry.name not in ("config", _image.MANIFEST):
            _copy_file(entry.path, os.path.join(directory, entry.name))
    text = _tree.read_text(os.path.join(image, "config")) or ""
    return _image.clone_config(text, manifest, lower, directory, _hardware_address)


def _copy_owner_and_mode(source: str, target: str) -> None:
    found = os.stat(source)
    os.chown(target, found.st_uid, found.st_gid)
    os.chmod(target, found.st_mode & 0o7777)


def _copy_directory(source: str, target: str) -> None:
    if not os.path.isdir(target):
        os.mkdir(target)
        _copy_owner_and_mode(source, target)


def _copy_file(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    _copy_owner_and_mode(source, target)


def _copy_named(lower: str, delta: str, path: str, former: str, name: str) -> None:
    """A file that holds the name of the container, with the clone's in it."""
    parents = path.split("/")[:-1]
    for depth in range(1, len(parents) + 1):
        _copy_directory(*(os.path.join(root, *parents[:depth]) for root in (lower, delta)))
    source, target = os.path.join(lower, path), os.path.join(delta, path)
    with open(source, "rb") as original, open(target, "wb") as copy:
        copy.write(original.read().replace(former.encode(), name.encode()))
    _copy_owner_and_mode(source, target)


def _hardware_address() -> str:
    """A new one with liblxc's prefix (network.c, lxc_network_new_hwaddrs)."""
    return "00:16:3e:" + ":".join(f"{byte:02x}" for byte in os.urandom(3))


def unused(
    lxc_path: str, leaving: t.AbstractSet[str] = frozenset(), cloned: t.AbstractSet[str] = frozenset()
) -> list[str]:
    """The images that nobody stands on, and what is left of builds that were cut off and of broken images.

    ``leaving``: containers that count as gone already; ``cloned``: images that count as used.
    """
    users = _images.users(lxc_path)
    used = {image for image, names in users.items() if not leaving >= set(names)}
    runs = _images.mounted(lxc_path) - {image for image in users if image not in used}
    used |= cloned

    def needed(name: str) -> bool:
        image, _dot, rest = name.partition(".")
        # On a broken one that was replaced only those stand that still run.
        return image in runs or (image in used and not rest.startswith("old-"))

    return [name for name in _images.image_names(lxc_path) if not needed(name)]


def prune(lxc_path: str) -> list[str]:
    """Remove the images that nobody stands on; returns their ids, of leftovers the directory's name."""
    removed: list[str] = []
    for name in unused(lxc_path):
        image = name.partition(".")[0]
        # What another call builds or clones at this moment is not unused.
        with contextlib.suppress(_errors.LockTimeoutError), _lock_of(lxc_path, image, wait=_MOMENT):
            # Somebody may have cloned it since.
            if name in unused(lxc_path):
                _remove(_images.directory_of(lxc_path, name))
                removed.append(name)
    _work.remove_if_empty(_image.images_directory(lxc_path))
    return removed
