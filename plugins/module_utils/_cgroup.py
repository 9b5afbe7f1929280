# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroup of a running container: how to change its limits. See _cgroup_reader for what it reads.

Rules come from the kernel's Documentation/admin-guide/cgroup-v1/memory.rst and Documentation/admin-guide/cgroup-v2.rst.
All files are read below a root that tests can replace.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup_files as files
from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_mounts,
    _cgroup_reader,
    _cgroup_text,
    _errors,
    _signals,
)

# Seconds. A frozen state is reached at the next return to user space, so within milliseconds; a process that waits in the
# kernel without end never gets there.
FREEZE_TIMEOUT = 5.0
# Seconds for which page cache may be on its way to the disk before the container counts as unable to give it back.
RECLAIM_TIMEOUT = 10.0
_PAUSE = 0.002
_RECLAIM_PAUSE = 0.05


def _size(count: int) -> str:
    return f"{count / _cgroup_text.MIB:.1f} MiB ({count} bytes)"


class Cgroup(_cgroup_reader.CgroupReader):
    """One running container's cgroup, of which limits can be changed too."""

    def set_cpu_shares(self, shares: int | None) -> None:
        """Give the running container so many CPU shares; None gives the kernel's default."""
        wanted = _cgroup_text.clamp_shares(shares)
        if self.generation("cpu") == _cgroup_mounts.V1:
            self._put("cpu", "cpu.shares", str(wanted), f"can't set {wanted} CPU shares")
        else:
            weight = _cgroup_text.shares_to_weight(wanted)
            self._put("cpu", "cpu.weight", str(weight), f"can't set {wanted} CPU shares (a weight of {weight})")

    def set_memory(self, limit: int | None) -> None:
        """Limit the running container's memory to so many bytes; None lifts the limit.

        A limit below what the container holds and can't give back is refused, and nothing is changed or killed: the error
        names the usage. Page cache and what fits into swap is given back.
        """
        rounded = None if limit is None else limit - limit % _cgroup_text.page_size()
        if self.version == _cgroup_mounts.V1:
            self._set_memory_v1(rounded)
        else:
            self._set_memory_v2(rounded)

    def foresee_memory(self, limit: int | None) -> None:
        """Refuse what set_memory would surely refuse, and change nothing: a limit below what only swap could take, where no
        swap is.
        """
        stat = _cgroup_text.parse_stat(self.read("memory", "memory.stat"))
        prefix, anonymous = ("total_", "rss") if self.version == _cgroup_mounts.V1 else ("", "anon")
        held = stat.get(prefix + anonymous, 0) + stat.get(prefix + "shmem", 0)
        # The first line of /proc/swaps is a heading.
        swap = (files.read_file("/proc/swaps") or "").count("\n") > 1
        if limit is not None and held > limit and not swap:
            raise self._refusal(limit - limit % _cgroup_text.page_size(), self.memory_usage())

    # -- writing

    def _put(self, controller: str, file: str, text: str, failing: str) -> None:
        """Write a file of this controller; a failure becomes a sentence, caused by the OSError."""
        directory = self.directory(controller)
        if directory is None:
            raise self._error(failing, f"no {controller} controller of it is mounted here", "Is /sys/fs/cgroup hidden?")
        try:
            files.write_file(directory + "/" + file, text)
        except OSError as error:
            if error.errno in files.GONE:
                raise self._missing(failing, controller, file) from error
            raise self._error(failing, f"writing {text} to {directory}/{file} failed: {error.strerror}") from error

    def _error(self, failing: str, why: str, hint: str | None = None) -> _errors.LxcTaskError:
        return _errors.LxcTaskError(f"Container {self.name}: {failing}: {why}", hint=hint)

    def _missing(self, failing: str, controller: str, file: str) -> _errors.LxcTaskError:
        """Why a file is not there: the container's end, or the kernel."""
        if not os.path.isdir(self.directory(controller) or ""):
            return self._error(failing, "it has ended in the meantime", "Run this again.")
        return self._error(
            failing,
            f"its cgroup has no {file}",
            f"Does this host's kernel give containers the {controller} controller?",
        )

    def _refusal(self, limit: int, usage: int | None) -> _errors.LxcTaskError:
        held = "an unknown amount" if usage is None else _size(usage)
        return _errors.LxcTaskError(
            f"Container {self.name}: can't lower the memory limit to {_size(limit)}: "
            f"the container holds {held} and can't give enough of it back",
            hint="Ask for a higher limit, or stop the task first. Nothing was changed.",
        )

    def _set_memory_v1(self, limit: int | None) -> None:
        """v1 refuses by itself: the write reclaims, and fails with EBUSY where that is not enough. See memory.rst, 4."""
        text = "-1" if limit is None else str(limit)
        failing = "can't lift the memory limit" if limit is None else f"can't set a memory limit of {_size(limit)}"

        def attempt() -> bool:
            try:
                self._put("memory", "memory.limit_in_bytes", text, failing)
            except _errors.LxcTaskError as error:
                if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EBUSY:
                    return False
                raise
            return True

        if not self._reclaimed(attempt, limit):
            if limit is None:
                raise self._error(failing, "the kernel says that it is busy", "Run this again.")
            raise self._refusal(limit, self.memory_usage())

    def _set_memory_v2(self, limit: int | None) -> None:
        """v2 kills where a new ``memory.max`` is below usage; so make sure first, while nothing can allocate.

        cgroup-v2.rst: a write to ``memory.high`` reclaims and never invokes the OOM killer; ``cgroup.freeze`` stops all
        processes of the subtree.
        """
        if limit is None:
            self._put("memory", "memory.max", "max", "can't lift the memory limit")
            return
        failing = f"can't set a memory limit of {_size(limit)}"
        text = self.read("memory", "memory.max")
        if text is None:
            raise self._missing(failing, "memory", "memory.max")
        former, usage = _cgroup_text.parse_number(text), self.memory_usage()
        if former is not None and former <= limit and usage is not None and usage <= limit:
            self._put("memory", "memory.max", str(limit), failing)
            return
        # So that no signal leaves a container frozen behind; bounded by the timeouts.
        with _signals.held(), self._frozen(failing), self._kept("memory", "memory.high", failing):

            def attempt() -> bool:
                self._put("memory", "memory.high", str(limit), failing)
                usage = self.memory_usage()
                return usage is not None and usage <= limit

            if not self._reclaimed(attempt, limit):
                raise self._refusal(limit, self.memory_usage())
            self._put("memory", "memory.max", str(limit), failing)

    def _reclaimed(self, attempt: t.Callable[[], bool], limit: int | None) -> bool:
        """Try until it works, as long as page cache is there whose return would be enough; False if it fails.

        Dirty cache has to reach the disk first, and a busy reader keeps some of it from the kernel's hands for moments.
        """
        deadline = time.monotonic() + RECLAIM_TIMEOUT
        while not attempt():
            usage = self.memory_usage()
            if usage is None or limit is None or usage - self._page_cache() > limit or time.monotonic() >= deadline:
                return False
            time.sleep(_RECLAIM_PAUSE)
        return True

    def _page_cache(self) -> int:
        """Bytes of page cache that can be given back in the end; what is locked into memory is not among them."""
        stat = _cgroup_text.parse_stat(self.read("memory", "memory.stat"))
        prefix = "total_" if self.version == _cgroup_mounts.V1 else ""
        return stat.get(prefix + "inactive_file", 0) + stat.get(prefix + "active_file", 0)

    @contextlib.contextmanager
    def _kept(self, controller: str, file: str, failing: str) -> t.Iterator[None]:
        """Put a file's former value back in the end."""
        former = self.read(controller, file)
        if former is None:
            raise self._missing(failing, controller, file)
        try:
            yield
        finally:
            self._put_back(controller, file, former.strip())

    @contextlib.contextmanager
    def _frozen(self, failing: str) -> t.Iterator[None]:
        """Freeze the container, and thaw it in the end; a container that is frozen already stays so."""
        state = self.read("memory", "cgroup.freeze")
        if state is None:
            raise self._missing(failing, "memory", "cgroup.freeze")
        if state.strip() == "1":
            self._await_frozen(failing)
            yield
            return
        try:
            self._put("memory", "cgroup.freeze", "1", failing)
            self._await_frozen(failing)
            yield
        finally:
            self._put_back("memory", "cgroup.freeze", "0")

    def _await_frozen(self, failing: str) -> None:
        """``frozen 1`` in ``cgroup.events`` says that every process of the subtree has stopped."""
        deadline = time.monotonic() + FREEZE_TIMEOUT
        while True:
            events = self.read("memory", "cgroup.events")
            if events is None:
                raise self._missing(failing, "memory", "cgroup.events")
            if _cgroup_text.parse_stat(events).get("frozen") == 1:
                return
            if time.monotonic() >= deadline:
                raise self._error(
                    failing,
                    f"it could not be frozen meanwhile, within {FREEZE_TIMEOUT:g} seconds",
                    "A process of it may hang in the kernel; run this again.",
                )
            time.sleep(_PAUSE)

    def _put_back(self, controller: str, file: str, text: str) -> None:
        """Write a former value; a container that is gone by now needs none."""
        directory = self.directory(controller)
        try:
            files.write_file(f"{directory}/{file}", text)
        except OSError as error:
            if error.errno not in files.GONE:
                raise self._error(
                    f"can't put {file} back to {text}", error.strerror or "", f"Write it to {directory}/{file}."
                ) from error
