# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is: a task's container, directories, limits and sources on this host, read and never changed."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t
from dataclasses import replace

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_mounts,
    _cgroup_reader,
    _config_lines,
    _idmap,
    _idmapped,
    _image,
    _images,
    _kept,
    _liblxc,
    _monitor,
    _mounts,
    _names,
    _needs,
    _network,
    _observed,
    _proc,
    _record,
    _runtime,
    _spec,
    _states,
    _template,
    _tree,
    _volumes,
)

# Where a recreation keeps the former container: out of liblxc's sight, on the same file system.
ASIDE = ".nomadic-lxc"
# The kernel follows no more in one path: path_resolution(7).
_MOST_LINKS = 40


def aside_directory(lxc_path: str, name: str) -> str:
    """Where a container stands while another is made in its place."""
    return os.path.join(lxc_path, ASIDE, name)


def making_mark(lxc_path: str, name: str) -> str:
    """Where it stands that a container is being made: liblxc removes what it failed to make, our record first perhaps, and
    may be killed at that. It holds the inode number of the container's directory. No name begins with ``+``.
    """
    return os.path.join(lxc_path, ASIDE, f"+{name}")


def _is_marked(lxc_path: str, name: str, directory: str) -> bool:
    mark = _tree.read_text(making_mark(lxc_path, name))
    if mark is None:
        return False
    try:
        return mark == str(os.stat(directory, follow_symlinks=False).st_ino)
    except FileNotFoundError:
        return True


def adopt(spec: _spec.TaskSpec, record: _record.Record | None) -> _spec.TaskSpec:
    """The spec with what only the record knows: whose container a handle's is, and where a command's task lives."""
    if record is None:
        # A foreign container has no directories of ours; a new one that a handle declares is a task alone.
        return replace(spec, layout=None) if spec.by_handle and not spec.declares else _named(spec)
    if spec.by_handle:
        spec = replace(spec, name=record.name, alloc_id=record.alloc_id)
    alloc_dir = spec.options["alloc_dir"]
    if not spec.declares:
        alloc_dir = record.options.get("alloc_dir", alloc_dir)
    return replace(spec, layout=_names.layout(alloc_dir, spec.name or record.name, spec.alloc_id))


def _named(spec: _spec.TaskSpec) -> _spec.TaskSpec:
    if spec.layout is not None:
        return spec
    return replace(
        spec, name=spec.container_name, layout=_names.layout(spec.options["alloc_dir"], spec.container_name, None)
    )


def observe(spec: _spec.TaskSpec, runtime: _runtime.Runtime) -> tuple[_spec.TaskSpec, _observed.Observed]:
    """Look at a task's host. Returns the spec as adopt makes it, and what is."""
    name, path = spec.container_name, spec.lxc_path
    directory, aside = runtime.directory(name), aside_directory(path, name)
    record = _kept.own_record(path, name)
    defined = os.path.isfile(runtime.config_file(name))
    kept = os.path.isdir(aside)
    former = _kept.read_record(os.path.join(aside, _record.FILE)) if kept else None
    half_made = record is not None and record.phase == _record.MAKING
    if record is None and not defined and os.path.isdir(directory):
        half_made = set(os.listdir(directory)) <= {f"{_record.FILE}.new"}
    if record is None and _is_marked(path, name, directory):
        half_made = True
    restored = former is not None and (half_made or not os.path.lexists(directory))
    if restored:
        # What the next run puts back counts: the former container, which does not run.
        directory, record, defined, half_made = aside, former, True, False
    stray = os.path.lexists(directory) and not defined and not half_made
    spec = adopt(spec, record)
    state, init, unloadable = _states.ABSENT, None, None
    if restored:
        state = _states.STOPPED
    elif defined and not half_made:
        state, init, unloadable = _state(spec, runtime, directory, record)
    if record is not None and record.pending and init is not None:
        record = record.followed(init, _proc.parent(init.pid))
    ended = _kept.read_exit(directory, record) if state == _states.STOPPED else None
    asleep = state in (_states.STOPPED, _states.ABSENT) and unloadable is None
    elsewhere = None
    if asleep and record is not None:
        elsewhere = _kept.runs_elsewhere(directory, record)
    elif asleep and defined and spec.by_handle:
        # Of one that others made no record tells: its monitor does.
        elsewhere = _monitor.init_of(path, name)
    points = _mounts.read_mount_points()
    config = (_tree.read_text(os.path.join(directory, "config")) or "") if defined else ""
    destroys = spec.state == _states.ABSENT or spec.recreate != "never"
    return spec, _observed.Observed(
        state=state,
        record=record,
        half_made=half_made,
        stray=stray,
        aside=kept,
        restorable=restored,
        snapshots=destroys and _has_snapshots(directory),
        init=init,
        elsewhere=elsewhere,
        ended=ended,
        unloadable=unloadable,
        config=config,
        container_mounts=tuple(_mounts.below(directory, points)) if destroys and os.path.isdir(directory) else (),
        link_up=_link_up(spec, record),
        **_of_cgroup(init, config, name),
        **_of_directories(spec, state, points),
    )


def _state(
    spec: _spec.TaskSpec, runtime: _runtime.Runtime, directory: str, record: _record.Record | None
) -> tuple[str, _proc.InitId | None, str | None]:
    """A container's state, its init, and why liblxc can't load it: a declaration of ours may put that right."""
    # Whom the record or a hook knows, liblxc need not be asked for.
    init = None if record is None else _kept.runs_elsewhere(directory, record)
    try:
        state, pid = runtime.state(spec.container_name, None if init is None else init.pid)
    except _liblxc.RuntimeFailure as failure:
        if record is None or not spec.declares:
            raise
        return (_states.STOPPED if init is None else _states.RUNNING), init, str(failure)
    if init is None or init.pid != pid:
        init = _proc.identify(pid) if pid > 0 else None
    return state, init, None


def _has_snapshots(directory: str) -> bool:
    """Whether lxc-snapshot keeps something in the container's directory."""
    try:
        return bool(os.listdir(os.path.join(directory, "snaps")))
    except OSError:
        return False


def _of_cgroup(init: _proc.InitId | None, config: str, name: str) -> dict[str, t.Any]:
    """What the task's cgroup says, or where none is what the host's do: fields of Observed."""
    group = (
        None if init is None else _cgroup_reader.CgroupReader.of_container(init.pid, name, _config_lines.parse(config))
    )
    if group is not None:
        return {
            "cgroup_version": group.version,
            "cpu_generation": group.generation("cpu"),
            "limits": group.limits(),
        }
    hierarchies = _cgroup_mounts.read_hierarchies()
    return {
        "cgroup_version": _cgroup_mounts.memory_generation(hierarchies),
        "controllers": _cgroup_mounts.read_controllers(hierarchies),
    }


def _link_up(spec: _spec.TaskSpec, record: _record.Record | None) -> bool | None:
    """Whether the interface that the task's network is on is up; None where there is none of that name."""
    options = _needs.options_of(spec, {} if record is None else record.options)
    link = options.get("network_link")
    return True if link is None else _network.link_up(link)


def _of_directories(spec: _spec.TaskSpec, state: str, points: t.Sequence[str]) -> dict[str, t.Any]:
    """The task's directories, and what a declaration names on the host: fields of Observed."""
    place = spec.layout
    if place is None:
        return {}
    modes: dict[str, int | None] = {}
    blocked = None
    for directory, _mode in place.directories():
        try:
            found = os.lstat(directory)
        except FileNotFoundError:
            modes[directory] = None
            continue
        except NotADirectoryError:
            blocked = blocked or os.path.dirname(directory)
            continue
        if not stat.S_ISDIR(found.st_mode):
            blocked = blocked or directory
        modes[directory] = stat.S_IMODE(found.st_mode)
    real = _tree.RealPath()
    secrets = real(place.secrets)
    secrets_mounted = secrets in _tree.within(secrets, points)
    seen: dict[str, t.Any] = {
        "directories": modes,
        "blocked": blocked,
        "secrets_mounted": secrets_mounted,
        "secrets_exist": os.path.lexists(place.secrets),
        "task_dir": real(place.task),
    }
    if spec.purge:
        others = [point for point in _tree.within(real(place.root), points) if point != secrets]
        seen["purgeable"], seen["kept_mounts"] = _purge(place, others)
    if not spec.declares:
        return seen
    image = _image_of(spec, state in (_states.RUNNING, _states.FROZEN))
    making = state == _states.ABSENT or spec.recreate != "never" or (image is not None and image.build is None)
    return {
        **seen,
        "host": _sources(spec, place, real),
        "default_config_exists": spec.options["default_config"] is None
        or os.path.isfile(spec.options["default_config"]),
        "template": _template_of(spec) if making else None,
        "image": image,
        **_ids(spec, place),
    }


def _ids(spec: _spec.TaskSpec, place: _names.Layout) -> dict[str, t.Any]:
    """What says whose ids files have, and for an unprivileged task, what else it needs: fields of Observed."""
    ids, mixed = _directory_ids(place.task)
    seen: dict[str, t.Any] = {
        "directory_ids": ids,
        "directory_ids_mixed": mixed,
    }
    if ids is None or (ids != 0) != bool(spec.options["unprivileged"]):
        # Whom the alloc can't have beside this one has been asked before this one's directories were made.
        seen["other_tasks"] = ids_of_others(place)
    if not spec.options["unprivileged"]:
        return seen
    paths = [it.path for it in _volumes.wanted(spec.options, place.task)]
    ours = {os.path.realpath(path) for path in (place.root, place.task, place.alloc, *place.owned())}
    # What leads there, and is not made ours yet.
    ways = {path: os.path.dirname(os.path.realpath(path)) for path in paths}
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


def _directory_ids(task: str) -> tuple[int | None, bool]:
    """The first of the ids that a task's directories have, and whether only some have: its own directory's group and mode.
    A group of the host's own is somebody else's choice. None where there are none.
    """
    try:
        found = os.lstat(task)
    except (FileNotFoundError, NotADirectoryError):
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


def ids_of_others(place: _names.Layout) -> dict[str, int]:
    """The first of the ids that the directories of each other task in the alloc have; 0 is the host's own."""
    return {name: _directory_ids(os.path.join(place.root, name))[0] or 0 for name in other_tasks(place)}


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


def _sources(spec: _spec.TaskSpec, place: _names.Layout, real: _tree.RealPath) -> dict[str, _volumes.Source]:
    """What is at each path that the task names, and of its own directories where they lead."""
    made = {os.path.normpath(path) for path, _mode in place.directories()}
    own = {path: _volumes.Source(real(path), "dir") for path in (place.local, place.alloc, place.secrets)}
    return {**own, **{it.path: _source(it.path, made) for it in _volumes.wanted(spec.options, place.task)}}


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


def _source(path: str, made: t.AbstractSet[str]) -> _volumes.Source:
    return replace(_found(path, made), passed=passed(path))


def _found(path: str, made: t.AbstractSet[str]) -> _volumes.Source:
    real = os.path.realpath(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        # The run makes the task's directories before anything is mounted from them.
        return _volumes.Source(real, "dir" if os.path.normpath(path) in made else "missing")
    if stat.S_ISDIR(found.st_mode):
        return _volumes.Source(real, "dir")
    if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        return _volumes.Source(real, "char" if stat.S_ISCHR(found.st_mode) else "block", number)
    return _volumes.Source(real, "file")


def _template_of(spec: _spec.TaskSpec) -> _observed.Template:
    path = _template.path_of(spec.options["template"])
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
