# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps on a container that does not run: made, configured, recorded, set aside, removed."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _config,
    _config_lines,
    _do_image,
    _errors,
    _ids,
    _images,
    _mounts,
    _names,
    _proc,
    _record,
    _states,
    _steps,
    _tree,
    _work,
)

CONFIG_MODE = 0o600  # the environment's values stand in it
# As liblxc has it (lxccontainer.c, create_container_dir): no user of the host can run what is setuid root inside.
_DIRECTORY_MODE = 0o770
# An unprivileged task's root is another user, who has to get through; what is setuid inside is not the host's root's.
_PASSED = 0o001


def create(work: _work.Work, step: _steps.Create) -> None:
    """Make the container by its template; its record is there before the template runs."""
    _begin(work)
    # What liblxc fails to make it removes, our record first perhaps.
    _mark(work)
    work.outcome.template_output = work.runtime.create(
        work.name, step.template, step.arguments, step.default_config, step.unprivileged
    )
    _made(work, _tree.read_text(work.runtime.config_file(work.name)) or "")
    _unmark(work)


def build_image(work: _work.Work, step: _steps.BuildImage) -> None:
    """Have the image built that the container stands on; an image that others may use is not taken back."""
    output = _do_image.ensure(step.recipe, work.runtime)
    if output is None:
        work.outcome.spared.append(step)
    else:
        work.outcome.template_output = output
    if step.back and work.record is not None:
        # From its next start on the container stands on this build: it is the image that the task has.
        build = _images.manifest_of(work.spec.lxc_path, step.recipe.id)
        work.change_record(work.record._replace(image=None if build is None else build.build))


def clone(work: _work.Work, step: _steps.Clone) -> None:
    """Make the container on its image."""
    _begin(work)
    # Once its configuration is written, all can see that it stands there.
    with _do_image.held(step.recipe, work.runtime) as manifest:
        text = _do_image.clone(manifest, work.spec.lxc_path, work.name)
        _made(work, text, manifest.build)
        _write_configuration(work, _config.converge(text, _base(work), step.block))


def _write_configuration(work: _work.Work, text: str) -> None:
    _tree.write_atomically(work.runtime.config_file(work.name), text, CONFIG_MODE)


def _base(work: _work.Work) -> t.Sequence[_config_lines.Pair]:
    return work.record.base if work.record is not None else ()


def _begin(work: _work.Work) -> None:
    """Say that a container is being made, and whose it is, before anything of it is there."""
    record = _record.Record(
        name=t.cast(str, work.spec.name),
        alloc_id=work.spec.alloc_id,
        phase=_record.MAKING,
        created_at=_proc.iso(time.time()),
    )
    _work.make_directories(
        work.spec.lxc_path, lambda made: work.then(f"remove {made}", lambda: _work.remove_if_empty(made))
    )
    try:
        os.mkdir(work.directory, _DIRECTORY_MODE)
    except FileExistsError:
        raise _errors.LxcTaskError(
            f"{work.directory} has come there meanwhile", hint="it is not ours: move it away, or choose another name"
        ) from None
    os.chmod(work.directory, _directory_mode(work))
    work.then("remove the container", lambda: remove_container(work))
    work.write_record(record)


def _directory_mode(work: _work.Work) -> int:
    return _DIRECTORY_MODE | (_PASSED if work.spec.options["unprivileged"] else 0)


def _mark(work: _work.Work) -> None:
    """Say that the container is half made, or half removed, where its record may not be there any more: see making_mark."""
    mark, text = _names.making_mark(work.spec.lxc_path, work.name), _tree.identity(work.directory)
    while True:
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.dirname(mark), 0o700)
        try:
            _tree.write_atomically(mark, text)
            return
        except FileNotFoundError:
            continue  # a call beside this one has just removed it, for it was empty


def _made(work: _work.Work, text: str, image: str | None = None) -> None:
    """Keep what the container's configuration was when nothing of ours was in it. ``image``: the build that it stands on.

    It comes into the file when the options do: until then the container is half made.
    """
    work.record = work.record_with(base=tuple(_config.base_of(text)), image=image)


def remove_container(work: _work.Work) -> None:
    """Remove the container that this run, or one that was cut off, has made."""
    directory = work.directory
    # Nor need it be there when we are ended at this. On a full disk it is done without.
    with contextlib.suppress(OSError):
        _mark(work)
    if os.path.isfile(work.runtime.config_file(work.name)):
        try:
            state = work.runtime.state(work.name)[0]
        except _errors.LxcTaskError:
            state = _states.STOPPED  # one that liblxc can't load is only files
        if state != _states.STOPPED:
            work.runtime.kill(work.name)
        with contextlib.suppress(_errors.LxcTaskError):
            work.runtime.destroy(work.name)
    if os.path.lexists(directory):
        kept = _tree.remove(directory, _mounts.read_mount_points())
        if kept:
            raise _errors.LxcTaskError(f"{', '.join(kept)} is mounted in {directory}")
    _unmark(work)
    work.runtime.sweep(work.name, payload=True)


def _unmark(work: _work.Work) -> None:
    mark = _names.making_mark(work.spec.lxc_path, work.name)
    _work.unlink(mark)
    _work.remove_if_empty(os.path.dirname(mark))


def remove_half_made(work: _work.Work, _step: _steps.RemoveHalfMade) -> None:
    """Remove what a run that was cut off has left of a container."""
    remove_container(work)
    work.record = None


def destroy(work: _work.Work, _step: _steps.Destroy) -> None:
    """Remove the container with its root file system, and what liblxc leaves of its directory."""
    # One that liblxc calls ephemeral went when it was stopped.
    if os.path.lexists(work.runtime.config_file(work.name)):
        root = _root_in(_tree.read_text(work.runtime.config_file(work.name)) or "")
        whole = _names_in(root)
        try:
            work.runtime.destroy(work.name)
        except BaseException:
            if whole is None or _names_in(root) != whole:
                work.keep("part of the container may be removed already, so it is not started again")
            raise
    work.keep("the container is removed already, and the next run removes what is left")
    directory = work.directory
    if os.path.lexists(directory):
        _tree.remove(directory, _mounts.read_mount_points())
    # A monitor that was killed has left the container's own cgroup too.
    work.runtime.sweep(work.name, payload=True)


def _root_in(config: str) -> str:
    """Where the files of a container's own are: of an overlay, its upper directory."""
    return (_config_lines.last(_config_lines.parse(config), "lxc.rootfs.path") or "").rpartition(":")[2]


def _names_in(directory: str) -> list[str] | None:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return None


def configuration(work: _work.Work, step: _steps.Configure) -> str:
    """The container's configuration as the step will write it."""
    former = _tree.read_text(work.runtime.config_file(work.name)) or ""
    return _config.converge(former, _base(work), step.block, step.former)


def try_configuration(work: _work.Work, step: _steps.Configure) -> None:
    """Have liblxc load the new configuration, and do nothing with it."""
    work.runtime.check(work.name, configuration(work, step))


def configure(work: _work.Work, step: _steps.Configure) -> None:
    """Write the options' lines; a configuration that liblxc can't load never replaces one that it can."""
    file = work.runtime.config_file(work.name)
    former = _tree.read_text(file) or ""
    mode = os.stat(file).st_mode & 0o777
    text = configuration(work, step)
    # What this run has made nobody has loaded yet.
    new = work.record is not None and work.record.phase == _record.MAKING
    loads = not new and work.seen.unloadable is None and not work.seen.restorable
    if not (loads and _config.same_but_for_limits(former, text)):
        work.runtime.check(work.name, text)
    if text != former:
        work.then("put the configuration back", lambda: _tree.write_atomically(file, former, mode))
        _write_configuration(work, text)
    if bool(work.spec.options["unprivileged"]) != (_ids.recorded_idmap(work.record) is not None):
        former_mode = os.stat(work.directory).st_mode & 0o7777
        work.then("give the container's directory its mode back", lambda: os.chmod(work.directory, former_mode))
        os.chmod(work.directory, _directory_mode(work))


def remember(work: _work.Work, step: _steps.Remember) -> None:
    """Write the record: what is applied now."""
    init = work.seen.init if step.pending else None
    work.change_record(
        work.record_with(
            options=step.options,
            lines=step.lines,
            pending=step.pending,
            running=step.running,
            pending_init=init,
            pending_monitor=None if init is None else _proc.parent(init.pid),
            phase=_record.READY if step.ready else _record.MAKING,
        )
    )


def commit(work: _work.Work, _step: _steps.Commit) -> None:
    """Say in the record that the container is whole."""
    work.change_record(work.record_with(phase=_record.READY))


def set_aside(work: _work.Work, _step: _steps.SetAside) -> None:
    """Keep the container out of liblxc's sight while another is made in its place."""
    aside = _names.aside_directory(work.spec.lxc_path, work.name)
    with contextlib.suppress(FileExistsError):
        os.mkdir(os.path.dirname(aside), 0o700)
    record = work.record
    os.rename(work.directory, aside)

    def back() -> None:
        put_back(work)
        work.record = record

    work.then("put the former container back", back)


def put_back(work: _work.Work) -> None:
    """Put the container that was set aside back."""
    aside = _names.aside_directory(work.spec.lxc_path, work.name)
    os.rename(aside, work.directory)
    _work.remove_if_empty(os.path.dirname(aside))


def restore_former(work: _work.Work, _step: _steps.RestoreFormer) -> None:
    """Put back what a recreation that was cut off had set aside; what it had made goes."""
    remove_container(work)
    put_back(work)


def drop_aside(work: _work.Work, _step: _steps.DropAside) -> None:
    """Remove the container that was set aside."""
    work.keep("nothing is undone, and the next run removes what is left of the former container")
    aside = _names.aside_directory(work.spec.lxc_path, work.name)
    # Without its record it is never put back, however far the removal comes.
    _work.unlink(os.path.join(aside, _record.FILE))
    _tree.remove(aside, _mounts.read_mount_points())
    _work.remove_if_empty(os.path.dirname(aside))
