# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task's directories, and what a declaration names on this host, read and never changed."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _idmap,
    _idmapped,
    _image,
    _images,
    _mounts,
    _names,
    _observed,
    _spec,
    _states,
    _template,
    _tree,
    _volumes,
)

# The kernel follows no more in one path: path_resolution(7).
_MOST_LINKS = 40


def of_directories(spec: _spec.TaskSpec, state: str, paths: _tree.Paths) -> dict[str, t.Any]:
    """The task's directories, and what a declaration names on the host: fields of Observed."""
    place = spec.layout
    if place is None:
        return {}
    modes: dict[str, int | None] = {}
    blocked = None
    for directory, _mode in place.directories():
        found = paths.lstat(directory)
        if found is None:
            modes[directory] = None
            if directory == place.root:
                # What leads to it; the others are in one of these.
                way = _there(directory)
                blocked = None if os.path.isdir(way) else way
            continue
        if not stat.S_ISDIR(found.st_mode):
            blocked = blocked or directory
        # Who owns the alloc's directory could give it any mode.
        foreign = directory == place.root and found.st_uid != 0
        modes[directory] = _observed.NOT_ROOTS if foreign else stat.S_IMODE(found.st_mode)
    secrets = paths.real(place.secrets)
    secrets_exist = modes.get(place.secrets) is not None
    # A host with many tasks has many mounts.
    points = _mounts.read_mount_points() if secrets_exist or spec.purge else ()
    seen: dict[str, t.Any] = {
        "directories": modes,
        "blocked": blocked,
        "secrets_mounted": secrets in _tree.within(secrets, points),
        "secrets_exist": secrets_exist,
        "task_dir": paths.real(place.task),
    }
    if spec.purge:
        others = [point for point in _tree.within(paths.real(place.root), points) if point != secrets]
        seen["purgeable"], seen["kept_mounts"] = _purge(place, others)
    if not spec.declares:
        return seen
    image = _image_of(spec, state in (_states.RUNNING, _states.FROZEN))
    making = state == _states.ABSENT or spec.recreate != "never" or (image is not None and image.build is None)
    return {
        **seen,
        "host": _sources(spec, place, paths),
        "default_config_exists": spec.options["default_config"] is None
        or os.path.isfile(spec.options["default_config"]),
        "template": _template_at(_template.path_of(spec.options["template"])) if making else None,
        "image": image,
        **_ids(spec, place, paths),
    }


def _ids(spec: _spec.TaskSpec, place: _names.Layout, paths: _tree.Paths) -> dict[str, t.Any]:
    """What says whose ids files have, and for an unprivileged task, what else it needs: fields of Observed."""
    ids, mixed = _directory_ids(paths.lstat(place.task))
    seen: dict[str, t.Any] = {
        "directory_ids": ids,
        "directory_ids_mixed": mixed,
    }
    if ids is None or (ids != 0) != bool(spec.options["unprivileged"]):
        # Whom the alloc can't have beside this one has been asked before this one's directories were made.
        seen["other_tasks"] = ids_of_others(place, bool(spec.options["unprivileged"]), paths)
    if not spec.options["unprivileged"]:
        return seen
    wanted = [it.path for it in _volumes.wanted(spec.options, place.task)]
    ours = {os.path.realpath(path) for path in (place.root, place.task, place.alloc, *place.owned())}
    # What leads there, and is not made ours yet.
    ways = {path: os.path.dirname(os.path.realpath(path)) for path in wanted}
    ways.update({path: os.path.realpath(path) for path in (spec.lxc_path, spec.options["alloc_dir"])})
    return {
        **seen,
        "subuid": _tree.read_text("/etc/subuid") or "",
        "subgid": _tree.read_text("/etc/subgid") or "",
        "idmappable": _idmapped.can_idmap(
            _there(os.path.join(spec.lxc_path, spec.container_name, "rootfs")), _idmap.LEAST_BASE
        ),
        "shared_owner": os.stat(place.alloc).st_uid if os.path.isdir(place.alloc) else None,
        "closed": {path: _closed(way, ours) for path, way in ways.items()},
    }


def _directory_ids(found: os.stat_result | None) -> tuple[int | None, bool]:
    """The first of the ids that a task's directories have, and whether only some have: its own directory's group and mode.
    A group of the host's own is somebody else's choice. None where there are none.
    """
    if found is None:
        return None, False
    if found.st_gid < _idmap.LEAST_BASE:
        return 0, False
    return found.st_gid, stat.S_IMODE(found.st_mode) == _names.SHIFTING


def other_tasks(place: _names.Layout) -> list[str]:
    """The other tasks that have a directory in the alloc."""
    own = {os.path.basename(place.alloc), os.path.basename(place.task)}
    try:
        entries = list(os.scandir(place.root))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [entry.name for entry in entries if entry.name not in own and entry.is_dir(follow_symlinks=False)]


def ids_of_others(place: _names.Layout, unprivileged: bool, paths: _tree.Paths) -> dict[str, int]:
    """The first of the ids that the directories of each other task in the alloc have; 0 is the host's own. None where the alloc's
    own directory has the mode that goes with such a task: then all in it are of its kind, and may be many.
    """
    root = paths.lstat(place.root)
    if root is None or stat.S_IMODE(root.st_mode) == dict(place.directories(unprivileged))[place.root]:
        return {}
    return {name: _directory_ids(paths.lstat(os.path.join(place.root, name)))[0] or 0 for name in other_tasks(place)}


def _there(path: str) -> str:
    """A path, or what of the way to it is there."""
    while not os.path.lexists(path) and path != "/":
        path = os.path.dirname(path)
    return path


def _closed(way: str, ours: t.AbstractSet[str]) -> tuple[_observed.Closed, ...]:
    """The directories on a way, its end too, that not everybody can pass; one with an access list may be open to some."""
    found: list[_observed.Closed] = []
    while True:
        with contextlib.suppress(OSError):
            it = os.stat(way)
            if not it.st_mode & 0o001 and way not in ours and "system.posix_acl_access" not in os.listxattr(way):
                found.append(_observed.Closed(way, it.st_uid, it.st_gid, stat.S_IMODE(it.st_mode)))
        if way == "/":
            return tuple(reversed(found))
        way = os.path.dirname(way)


def _purge(place: _names.Layout, points: t.Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a purge removes, and the mounts that it leaves: the alloc's goes with the last task's directory."""
    try:
        entries = {entry.name: entry.is_dir(follow_symlinks=False) for entry in os.scandir(place.root)}
    except (FileNotFoundError, NotADirectoryError):
        return (), ()
    own = {os.path.basename(place.alloc), os.path.basename(place.task)}
    alone = {name for name, is_directory in entries.items() if is_directory} <= own
    root = os.path.realpath(place.root)
    wanted = [os.path.join(root, os.path.basename(path)) for path in (place.task, *([place.alloc] if alone else []))]
    paths = [path for path in wanted if _tree.removable(path, points)]
    kept = [point for path in wanted for point in _tree.within(path, points)]
    if alone and not kept and set(entries) <= own:
        paths.append(root)
    return tuple(paths), tuple(kept)


def _sources(spec: _spec.TaskSpec, place: _names.Layout, paths: _tree.Paths) -> dict[str, _volumes.Source]:
    """What is at each path that the task names, and of its own directories where they lead."""
    own = {path: _volumes.Source(paths.real(path), "dir") for path in (place.local, place.alloc, place.secrets)}
    wanted = _volumes.wanted(spec.options, place.task)
    if not wanted:
        return own
    made = {os.path.normpath(path) for path, _mode in place.directories()}
    return {**own, **{it.path: source(it.path, made) for it in wanted}}


def passed(path: str) -> tuple[str, ...]:
    """Every place that the kernel looks at on its way to a path, links and what they lead through too: see path_resolution(7).
    Each is told with its parents' links resolved.
    """
    places: list[str] = []
    at, ahead = "/", path.split("/")[::-1]
    links = 0
    while ahead and links <= _MOST_LINKS:
        part = ahead.pop()
        if part == "..":
            at = os.path.dirname(at)
        if part in ("", ".", ".."):
            continue
        place = os.path.join(at, part)
        places.append(place)
        try:
            target = os.readlink(place)
        except OSError:
            at = place
            continue
        links += 1
        at = "/" if target.startswith("/") else at
        ahead += target.split("/")[::-1]
    return tuple(places)


def source(path: str, made: t.AbstractSet[str]) -> _volumes.Source:
    """What is at a path. ``made``: the directories that the run makes, which count as there."""
    return _found(path, made)._replace(passed=passed(path))


def _reached(path: str, made: t.AbstractSet[str]) -> str:
    """A path where ``..`` leads out of a directory that the run makes: it is no link, and the kernel does not know it yet."""
    at = "/"
    for part in path.split("/"):
        if part == ".." and os.path.normpath(at) in made and not os.path.lexists(at):
            at = os.path.dirname(at)
        elif part not in ("", "."):
            at = os.path.join(at, part)
    return at


def _found(path: str, made: t.AbstractSet[str]) -> _volumes.Source:
    real = os.path.realpath(path)
    try:
        found = os.stat(_reached(path, made))
    except (OSError, ValueError):
        # The run makes the task's directories before anything is mounted from them.
        return _volumes.Source(real, "dir" if os.path.normpath(path) in made else "missing")
    if stat.S_ISDIR(found.st_mode):
        return _volumes.Source(real, "dir")
    if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        return _volumes.Source(real, "char" if stat.S_ISCHR(found.st_mode) else "block", number)
    return _volumes.Source(real, "file")


@functools.cache
def _template_at(path: str) -> _observed.Template:
    """Looked at once in a process: a call for many tasks asks for each of them."""
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        return _observed.Template(path, False, None)
    script = _tree.read_text(path) or ""
    return _observed.Template(path, True, _template.known_options(script) if script.startswith("#!") else None)


def _image_of(spec: _spec.TaskSpec, runs: bool) -> _observed.Image | None:
    """A task that runs needs its image no more than it has it: the root file system is looked through for the others."""
    if spec.options["backing_store"] != _image.OVERLAY:
        return None
    wanted = _image.image_id(spec.options)
    find = _images.manifest_of if runs and spec.recreate == "never" else _images.sound
    manifest = find(spec.lxc_path, wanted)
    return _observed.Image(wanted, None if manifest is None else manifest.build)
