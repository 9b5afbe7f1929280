# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cgroups for tests: trees copied from real kernels, and kernels that keep cgroup files in memory."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
import typing as t
from pathlib import Path
from unittest import mock

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup, _cgroup_files, _cgroup_mounts, _cgroup_text

FIXTURES = Path(__file__).parents[2] / "fixtures" / "cgroup"
# The init's number in every fixture.
PID = 4242
CASES = ("v1-busybox", "v1-systemd", "v2-busybox", "v2-systemd", "hybrid-busybox")
PAGE = _cgroup_text.page_size()


class Fixture(t.NamedTuple):
    """A laid out snapshot of a real container."""

    root: str
    container_name: str
    clock_ticks: int
    monotonic: int

    def cgroup(self) -> _cgroup.Cgroup:
        """The container's cgroup in it."""
        cgroup = _cgroup.Cgroup.of(PID, self.container_name, root=self.root)
        assert cgroup is not None
        return cgroup


def lay_out(case: str, snapshot: str, root: Path) -> Fixture:
    """Write a snapshot's files below a root."""
    data = json.loads((FIXTURES / f"{case}.json").read_text(encoding="utf-8"))
    taken = data["snapshots"][snapshot]
    for name, lines in taken["files"].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    host = data["host"]
    return Fixture(str(root), host["container_name"], host["clock_ticks"], taken["monotonic"])


class Kernel:
    """Cgroup files in memory, under the last part of their path, with what both generations do on a write.

    ``anonymous`` is what can't be reclaimed, ``clean`` and ``dirty`` page cache. Dirty cache becomes clean as time passes
    (``sleep``). ``busy``: so many times the kernel gets no hold of the cache. While it is not frozen the container
    allocates ``growth`` bytes between any two accesses. ``killed`` counts what a real kernel would have killed.
    """

    def __init__(
        self,
        version: int,
        anonymous: int = 0,
        clean: int = 0,
        dirty: int = 0,
        growth: int = 0,
        limit: int | None = None,
    ) -> None:
        self.version, self.anonymous, self.clean, self.dirty, self.growth = version, anonymous, clean, dirty, growth
        self.limit = limit
        self.files = {"memory.high": "max", "cgroup.freeze": "0", "cpu.weight": "100", "cpu.shares": "1024"}
        self.killed = 0
        self.hangs = False
        self.busy = 0
        self.swap = ""  # lines of /proc/swaps
        self.written: list[tuple[str, str]] = []
        # Called before each write with its number and file; may raise OSError.
        self.before_write: t.Callable[[int, str], None] = lambda _number, _file: None
        self.now = 0.0

    @property
    def usage(self) -> int:
        """Bytes charged."""
        return self.anonymous + self.clean + self.dirty

    @property
    def frozen(self) -> bool:
        """Whether every process has stopped."""
        return self.files["cgroup.freeze"] == "1" and not self.hangs

    def _goes_on(self) -> None:
        if not self.frozen:
            self.anonymous += self.growth
            if self.limit is not None and self.usage > self.limit:
                self._reclaim(self.limit)
                self.anonymous = min(self.anonymous, self.limit)  # its own growth met its own limit: not counted

    def _reclaim(self, target: int) -> None:
        if self.busy:
            self.busy -= 1
            return
        self.clean -= min(self.clean, max(self.usage - target, 0))

    def read(self, path: str) -> str | None:
        """In place of ``read_file``."""
        self._goes_on()
        file = os.path.basename(path)
        v1, v2 = self.version == _cgroup_mounts.V1, self.version == _cgroup_mounts.V2
        prefix = "total_" if v1 else ""
        anonymous = f"{prefix}{'rss' if v1 else 'anon'} {self.anonymous - PAGE}\n{prefix}shmem {PAGE}\n"
        stat = f"{anonymous}{prefix}inactive_file {self.clean}\n{prefix}active_file {self.dirty}\n"
        texts: dict[str, str | None] = {
            "memory.stat": stat,
            "memory.current": f"{self.usage}\n" if v2 else None,
            "memory.usage_in_bytes": f"{self.usage}\n" if v1 else None,
            "memory.max": ("max\n" if self.limit is None else f"{self.limit}\n") if v2 else None,
            "memory.limit_in_bytes": f"{_unlimited() if self.limit is None else self.limit}\n" if v1 else None,
            "swaps": "Filename Type Size Used Priority\n" + self.swap,
            "cgroup.events": f"populated 1\nfrozen {int(self.frozen)}\n",
        }
        return texts[file] if file in texts else self.files.get(file)

    def write(self, path: str, text: str) -> None:
        """In place of ``write_file``."""
        file = os.path.basename(path)
        self.before_write(len(self.written), file)
        self._goes_on()
        self.written.append((file, text))
        if file == "memory.limit_in_bytes":
            self._limit_v1(int(text))
        elif file == "memory.max":
            self.limit = None if text == "max" else int(text)
            if self.limit is not None and self.usage > self.limit:
                self._reclaim(self.limit)
                self.killed += self.usage > self.limit
        else:
            self.files[file] = text
            if file == "memory.high" and text != "max":
                self._reclaim(int(text))

    def _limit_v1(self, limit: int) -> None:
        if limit >= 0:
            self._reclaim(limit)
            if self.usage > limit:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self.limit = limit if limit >= 0 else None

    def sleep(self, seconds: float) -> None:
        """In place of ``time.sleep``: the disk gets a page per call."""
        self.now += seconds
        done = min(self.dirty, PAGE)
        self.dirty, self.clean = self.dirty - done, self.clean + done

    @contextlib.contextmanager
    def running(self, gone: bool = False) -> t.Iterator[_cgroup.Cgroup]:
        """A container under this kernel; ``gone``: its directory does not exist."""
        directory = "/nonexistent/container" if gone else "/"
        with (
            mock.patch.object(_cgroup_files, "read_file", self.read),
            mock.patch.object(_cgroup_files, "write_file", self.write),
            mock.patch.object(time, "sleep", self.sleep),
            mock.patch.object(time, "monotonic", lambda: self.now),
        ):
            v1 = dict.fromkeys(("memory", "cpu", "cpuacct"), directory) if self.version == _cgroup_mounts.V1 else {}
            yield _cgroup.Cgroup("web", v1, directory)


def _unlimited() -> int:
    """What v1 shows where no limit is set."""
    return (2**63 - 1) // PAGE * PAGE
