# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls on one container take turns: a lock by flock(2), held as long as a process that inherited it lives.

The last one that lets it go removes its file; or a call for many tasks at its end, where they had it in turn.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import stat
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _signals

DIRECTORY = "/run/lock/nomadic-lxc"
# Seconds: longer than a graceful stop under the default ceiling, and than most templates.
WAIT = 300.0
# Most are held for a moment: the directories of an alloc are made in less than a millisecond.
_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.02
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
# Kinds that tasks have in turn.
_COMMON = ("alloc-", "image-")
# Whether the files of those stay.
_stay = False


def lock_file(kind: str, name: str, place: str) -> str:
    """The file for one container (or alloc) in one place; names are for people, the digest makes them one of a kind."""
    return os.path.join(DIRECTORY, f"{kind}-{name}-{_digest(place)}.lock")


@functools.lru_cache(maxsize=64)
def _digest(place: str) -> str:
    return hashlib.sha256(os.fsencode(os.path.realpath(place))).hexdigest()[:12]


@functools.lru_cache(maxsize=8)
def _refuse_foreign(directory: str) -> None:
    """Raise LxcTaskError for a directory where somebody else could hold locks, or remove them. One that is right stays so."""
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        fault = "is no directory"
    elif found.st_uid != 0:
        fault = f"belongs to user {found.st_uid}"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        fault = f"has the mode {stat.S_IMODE(found.st_mode):04o}"
    else:
        return
    raise _errors.LxcTaskError(
        f"{directory}, where the locks are, {fault}: it must be a directory that nobody but root can write",
        hint=f"find out who made it, run `rm -r {directory}`, and call again: it is made anew",
    )


def _open(path: str) -> int:
    _refuse_foreign(os.path.dirname(path))
    return os.open(path, _FLAGS | os.O_CREAT, 0o600)


def _taken(path: str, how: int) -> int | None:
    """The lock's descriptor; None where others hold it."""
    while True:
        try:
            descriptor = _open(path)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.makedirs(os.path.dirname(path), mode=0o700)
            # Anybody can make one in /run/lock, where we come late.
            _refuse_foreign.cache_clear()
            descriptor = _open(path)
        ours = False
        try:
            ours = _is_had(descriptor, how)
            if ours:
                return descriptor
        except BlockingIOError:
            return None
        finally:
            if not ours:
                os.close(descriptor)


def _is_had(descriptor: int, how: int) -> bool:
    """Whether this is the lock now; not where whoever had it before has removed the file that was opened. Raises BlockingIOError."""
    fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    return os.fstat(descriptor).st_nlink > 0


def _remove_unheld(path: str) -> None:
    """Remove the file of a lock that was let go, unless others hold it: a template that has outlived its call, for one."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, _FLAGS)
        try:
            if _is_had(descriptor, fcntl.LOCK_EX):
                os.unlink(path)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def staying() -> t.Iterator[None]:
    """Let the files of the locks that tasks have in turn stay, in processes that are forked meanwhile, too: to make and remove one
    takes longer than what is done under it. At the end all go that nobody holds, what a call that was killed has left, too.
    """
    global _stay
    _stay = True
    try:
        yield
    finally:
        _stay = False
        # Where nothing could be held nothing is left.
        with _signals.held(), contextlib.suppress(OSError, _errors.LxcTaskError):
            _refuse_foreign(DIRECTORY)
            for name in os.listdir(DIRECTORY):
                if name.startswith(_COMMON):
                    _remove_unheld(os.path.join(DIRECTORY, name))


@contextlib.contextmanager
def held(
    path: str,
    what: str,
    wait: float | None = None,
    shared: bool = False,
    inherited: bool = True,
    pause: t.Callable[[float], None] = time.sleep,
) -> t.Iterator[int]:
    """Hold the lock; yields its descriptor, which a child that inherits it holds on. Raises LockTimeoutError, and
    LxcTaskError where the lock could be somebody else's.

    ``wait``: seconds; where it is 0, it may also fail because others let it go at this moment. ``shared``: with others that share
    it too, but with none that holds it alone. ``inherited``: whether there may be children that do. ``pause``: see _waits.
    """
    limit = WAIT if wait is None else wait
    deadline = time.monotonic() + limit
    seconds = _FIRST_PAUSE
    descriptor: int | None = None
    try:
        while True:
            with _signals.held():
                descriptor = _taken(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if descriptor is not None:
                break
            if time.monotonic() >= deadline:
                raise _errors.LockTimeoutError(
                    f"another call, or a template that it left over, has worked on {what} for {limit:g} seconds",
                    hint=f"try again when it is done; `fuser {path}` tells which processes hold the lock",
                )
            pause(seconds)
            seconds = min(2 * seconds, _LONGEST_PAUSE)
        if inherited:
            os.set_inheritable(descriptor, True)
        yield descriptor
    finally:
        if descriptor is not None:
            with _signals.held():
                if inherited or shared:
                    os.close(descriptor)
                    if not (_stay and os.path.basename(path).startswith(_COMMON)):
                        _remove_unheld(path)
                else:
                    with contextlib.suppress(OSError):
                        os.unlink(path)
                    os.close(descriptor)
