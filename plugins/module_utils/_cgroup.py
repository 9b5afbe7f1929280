# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of a running container: where they are, which limits the kernel holds, and how to change them.

Knows both generations and hosts that mix them. Formats and rules come from the kernel's documents:
Documentation/admin-guide/cgroup-v1/memory.rst, .../cgroup-v1/freezer-subsystem.rst, Documentation/admin-guide/cgroup-v2.rst,
and from the manual pages cgroups(7) and proc(5). How liblxc names its cgroups is in lxc.container.conf(5), ``lxc.cgroup.dir``.

Text becomes numbers in pure functions; files are read below a root that tests can replace.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError

V1 = 1
V2 = 2
NO_LIMIT = None

MIB = 1024 * 1024
# cpu.shares: the default, and the range to which the kernel clamps (sched/core.c: MIN_SHARES, MAX_SHARES).
DEFAULT_SHARES = 1024
MIN_SHARES = 2
MAX_SHARES = 262144
# cpu.weight: the default and the range, cgroup-v2.rst, "CPU Interface Files".
DEFAULT_WEIGHT = 100
MIN_WEIGHT = 1
MAX_WEIGHT = 10000

# Seconds. A frozen state is reached at the next return to user space, so within milliseconds; a process that waits in the
# kernel without end never gets there.
FREEZE_TIMEOUT = 5.0
# Seconds for which dirty page cache may be on its way to the disk before the container counts as unable to give it back.
RECLAIM_TIMEOUT = 10.0
_PAUSE = 0.002
# Digits in the largest 64-bit number.
_MOST_DIGITS = 20
_RECLAIM_PAUSE = 0.05

# What a read or write says when the container, and its cgroup with it, is gone.
_GONE = (errno.ENOENT, errno.ENODEV, errno.ESRCH)
# ... or when the kernel was built or started without that file's feature.
_LACKING = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTDIR, errno.EIO)


@dataclass(frozen=True)
class Limits:
    """What the kernel holds for a running container.

    ``memory``: bytes, None for no limit. ``cpu_shares``: on v1's scale (a v2 weight is converted back), None where the
    container has no cpu controller.
    """

    memory: int | None
    cpu_shares: int | None


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy: ``root`` is the part of it that is mounted at ``mount_point``."""

    version: int
    controllers: frozenset[str]
    root: str
    mount_point: str


# ---- numbers -------------------------------------------------------------------------------------------------------


def page_size() -> int:
    """Bytes in a page; memory limits are kept in whole pages."""
    return os.sysconf("SC_PAGE_SIZE")


def _page_counter_max() -> int:
    """The most pages a limit can hold, PAGE_COUNTER_MAX of the kernel's include/linux/page_counter.h; it means no limit."""
    return sys.maxsize if sys.maxsize < 2**32 else sys.maxsize // page_size()


def _pages(limit: int | None) -> int | None:
    """A limit in bytes as the kernel stores it: whole pages, rounded down; None for no limit."""
    if limit is None or limit < 0:
        return None
    pages = limit // page_size()
    return None if pages >= _page_counter_max() else pages


def same_memory(a: int | None, b: int | None) -> bool:
    """Whether two limits in bytes are one limit to the kernel. None, a negative one and PAGE_COUNTER_MAX mean no limit."""
    return _pages(a) == _pages(b)


def shares_to_weight(shares: int) -> int:
    """``cpu.shares`` as ``cpu.weight``, by systemd's rule: the defaults 1024 and 100 meet, the rest is in proportion."""
    return min(max(shares * DEFAULT_WEIGHT // DEFAULT_SHARES, MIN_WEIGHT), MAX_WEIGHT)


def weight_to_shares(weight: int) -> int:
    """The reverse of shares_to_weight: the least number of shares that is this weight. Rounded up, so that it comes back."""
    return min(max(-(-weight * DEFAULT_SHARES // DEFAULT_WEIGHT), MIN_SHARES), MAX_SHARES)


def _clamp_shares(shares: int | None) -> int:
    return DEFAULT_SHARES if shares is None else min(max(shares, MIN_SHARES), MAX_SHARES)


def same_shares(a: int | None, b: int | None, version: int) -> bool:
    """Whether two numbers of shares are one to a kernel with this generation of the cpu controller; None is its default.

    A weight is coarser than shares: several numbers of shares are one weight.
    """
    one, other = _clamp_shares(a), _clamp_shares(b)
    if version == V2:
        return shares_to_weight(one) == shares_to_weight(other)
    return one == other


def memory_lines(memory_mb: int | None) -> list[tuple[str, str]]:
    """The LXC keys that limit memory to so many MiB, for both generations; LXC passes over the other generation's."""
    if memory_mb is None:
        return []
    limit = str(memory_mb * MIB)
    return [("lxc.cgroup.memory.limit_in_bytes", limit), ("lxc.cgroup2.memory.max", limit)]


def cpu_lines(cpu_shares: int | None) -> list[tuple[str, str]]:
    """The LXC keys for so many CPU shares, for both generations."""
    if cpu_shares is None:
        return []
    return [
        ("lxc.cgroup.cpu.shares", str(cpu_shares)),
        ("lxc.cgroup2.cpu.weight", str(shares_to_weight(cpu_shares))),
    ]


def parse_number(text: str | None) -> int | None:
    """The number in a single-value file; None for ``max``, for nothing, and for what is no number."""
    word = (text or "").strip()
    sign, digits = (-1, word[1:]) if word.startswith("-") else (1, word)
    return sign * int(digits) if digits.isdigit() and digits.isascii() and len(digits) <= _MOST_DIGITS else None


def parse_stat(text: str | None) -> dict[str, int]:
    """A flat keyed file (``memory.stat``, ``cpu.stat``, ``memory.events``, ...) as numbers; unknown lines are passed over."""
    numbers: dict[str, int] = {}
    for line in (text or "").split("\n"):
        key, _blank, word = line.partition(" ")
        # Done here, and without a sign, since a sample reads hundreds of such lines.
        if word.isdigit() and word.isascii() and len(word) <= _MOST_DIGITS:
            numbers[key] = int(word)
    return numbers


# ---- location ------------------------------------------------------------------------------------------------------


def parse_membership(text: str) -> list[tuple[frozenset[str], str]]:
    """``/proc/PID/cgroup`` as (controllers, path) per hierarchy; no controller at all is the unified one. See cgroups(7)."""
    memberships: list[tuple[frozenset[str], str]] = []
    for line in text.split("\n"):
        fields = line.split(":", 2)
        if len(fields) == 3 and fields[2].startswith("/"):
            memberships.append((frozenset(name for name in fields[1].split(",") if name), fields[2]))
    return memberships


def _unescape(field: str) -> str:
    """A field of mountinfo: blank, tab, newline and backslash are written as three octal digits. See proc(5)."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda match: chr(int(match.group(1), 8)), field)


def parse_mountinfo(text: str) -> list[Hierarchy]:
    """The cgroup mounts in ``/proc/self/mountinfo``. See proc(5): the optional fields end at a single hyphen."""
    hierarchies: list[Hierarchy] = []
    for line in text.split("\n"):
        before, hyphen, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if not hyphen or len(fields) < 6 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        hierarchies.append(
            Hierarchy(
                version=V2 if kind[0] == "cgroup2" else V1,
                # A v1 mount names its controllers among the file system's options.
                controllers=frozenset(kind[2].split(",")) if kind[0] == "cgroup" and len(kind) > 2 else frozenset(),
                root=_unescape(fields[3]),
                mount_point=_unescape(fields[4]),
            )
        )
    return hierarchies


def read_hierarchies(root: str = "/") -> list[Hierarchy]:
    """The cgroup mounts that this process sees; reading them once serves many containers."""
    return parse_mountinfo(_read(os.path.join(root, "proc/self/mountinfo")) or "")


def memory_generation(hierarchies: t.Sequence[Hierarchy]) -> int | None:
    """Which generation of the memory controller a host has; None where no cgroup is mounted."""
    if not hierarchies:
        return None
    return V1 if any(mount.version == V1 and "memory" in mount.controllers for mount in hierarchies) else V2


def _components(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _made_by_liblxc(component: str, prefix: str, container_name: str) -> bool:
    """Whether liblxc named this cgroup for the container; it adds ``-N`` where the plain name was taken."""
    if not component.startswith(prefix + container_name):
        return False
    hyphen, number = component[len(prefix + container_name) :][:1], component[len(prefix + container_name) + 1 :]
    return not hyphen or (hyphen == "-" and number.isascii() and number.isdigit())


def container_path(path: str, container_name: str, cgroup_dir: str | None = None) -> str:
    """One hierarchy's path of a container's init, cut after the cgroup that is the container's own.

    That is ``lxc.payload.NAME`` (also with ``-N``), beneath ``lxc.cgroup.dir`` if that is set, or the path that
    ``lxc.cgroup.dir.container`` gives. An init like systemd lives in a child of it. The first such component counts: the
    ones below it are the container's to name. A path that has none is returned as it is.
    """
    path = path.removesuffix(" (deleted)")
    parts = _components(path)
    for index, part in enumerate(parts):
        if _made_by_liblxc(part, "lxc.payload.", container_name):
            return "/" + "/".join(parts[: index + 1])
    wanted = _components(cgroup_dir or "")
    for index in range(len(parts) - len(wanted) + 1 if wanted else 0):
        if parts[index : index + len(wanted)] == wanted:
            return "/" + "/".join(parts[: index + len(wanted)])
    return path


def _below(path: str, root: str) -> str | None:
    """``path`` relative to the mounted part of its hierarchy; None if it lies outside, or is that part itself.

    In the kernel's words a path outside the reader's cgroup namespace begins with ``/..``; no directory shows it.
    """
    parts, top = _components(path), _components(root)
    rest = parts[len(top) :]
    if parts[: len(top)] != top or not rest or ".." in rest:
        return None
    return "/".join(rest)


# ---- files ---------------------------------------------------------------------------------------------------------


def _read(path: str) -> str | None:
    """A kernel file's text; None where the kernel lacks it or it vanished. Plain calls: this is done thousands of times."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _GONE or error.errno in _LACKING:
            return None
        raise LxcTaskError(f"Can't read {path}: {error.strerror}") from error
    try:
        chunks: list[bytes] = []
        while True:
            chunk = os.read(descriptor, 65536)
            if not chunk:
                return b"".join(chunks).decode("utf-8", "surrogateescape")
            chunks.append(chunk)
    except OSError as error:
        if error.errno in _GONE or error.errno in _LACKING:
            return None
        raise LxcTaskError(f"Can't read {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _write(path: str, text: str) -> None:
    """Write a kernel file in one call, as the kernel wants it. Raises OSError. Never makes a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def _links(directory: str) -> int:
    try:
        return os.stat(directory).st_nlink
    except OSError:
        return 0


@contextlib.contextmanager
def _signals_held() -> t.Iterator[None]:
    """Let the signals that end a module wait, so that none leaves a container frozen behind. Bounded by the timeouts."""
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _size(count: int) -> str:
    return f"{count / MIB:.1f} MiB ({count} bytes)"


# ---- one container -------------------------------------------------------------------------------------------------


class Cgroup:
    """One running container's cgroup in all hierarchies. Made by ``of``; ``name`` is the container's, for messages."""

    def __init__(self, name: str, directories: t.Mapping[str, str], unified: str | None) -> None:
        """``directories``: by v1 controller. ``unified``: the directory of all other controllers, if it is visible."""
        self.name = name
        self._directories = dict(directories)
        self._unified = unified
        self.version: int = self.generation("memory")

    @classmethod
    def of(
        cls,
        init_pid: int,
        container_name: str,
        cgroup_dir: str | None = None,
        root: str = "/",
        hierarchies: t.Sequence[Hierarchy] | None = None,
    ) -> Cgroup | None:
        """The cgroup of the container whose first process is ``init_pid``; None if that is gone.

        ``cgroup_dir`` is the container's ``lxc.cgroup.dir`` or ``lxc.cgroup.dir.container``. ``hierarchies`` saves
        reading the mounts again for each of many containers.
        """
        text = _read(os.path.join(root, "proc", str(init_pid), "cgroup"))
        if text is None:
            return None
        mounts = read_hierarchies(root) if hierarchies is None else hierarchies
        directories: dict[str, str] = {}
        unified: str | None = None
        own: dict[str, str] = {}  # the paths are mostly the same in all hierarchies
        for controllers, path in parse_membership(text):
            if path not in own:
                own[path] = container_path(path, container_name, cgroup_dir)
            directory = _visible(own[path], controllers, mounts, root)
            if directory is None:
                continue
            if not controllers:
                unified = directory
            for controller in controllers:
                directories[controller] = directory
        # A process that is ending is shown in the root of its hierarchies, which is no container's.
        if unified is None and not directories:
            return None
        return cls(container_name, directories, unified)

    def generation(self, controller: str) -> int:
        """Which generation of this controller the container has; V2 where no v1 hierarchy of it is."""
        return V1 if controller in self._directories else V2

    def directory(self, controller: str) -> str | None:
        """The container's directory in this controller's hierarchy; None where none is visible."""
        return self._directories.get(controller, self._unified)

    def read(self, controller: str, file: str) -> str | None:
        """The text of a file of this controller; None where the kernel lacks it, or where it vanished."""
        directory = self.directory(controller)
        return None if directory is None else _read(directory + "/" + file)

    def read_tree(self, controller: str, file: str) -> list[str]:
        """The text of this file in the container's cgroup and in all cgroups below it; for what v1 counts in each alone."""
        directory = self.directory(controller)
        if directory is None:
            return []
        texts = [_read(directory + "/" + file)]
        # A link count of two tells that a directory has no children (kernfs), which is nearly always so.
        if _links(directory) != 2:
            texts += [_read(f"{below}/{file}") for below, _dirs, _files in os.walk(directory) if below != directory]
        return [text for text in texts if text is not None]

    def identity(self, *controllers: str) -> tuple[int, ...] | None:
        """What tells this cgroup from a later one of the same name, for these controllers; None if it is gone."""
        directories = [directory for directory in map(self.directory, controllers) if directory is not None]
        try:
            return tuple(os.stat(directory).st_ino for directory in directories) or None
        except OSError:
            return None

    def limits(self) -> Limits:
        """The limits that the kernel holds now."""
        return Limits(memory=self.memory_limit(), cpu_shares=self._cpu_shares())

    def memory_usage(self) -> int | None:
        """Bytes charged to the container and all below it; None where the kernel does not tell."""
        file = "memory.usage_in_bytes" if self.version == V1 else "memory.current"
        return parse_number(self.read("memory", file))

    def memory_limit(self) -> int | None:
        """Bytes; None for no limit, or where the kernel does not tell."""
        file = "memory.limit_in_bytes" if self.version == V1 else "memory.max"
        limit = parse_number(self.read("memory", file))
        return NO_LIMIT if _pages(limit) is None else limit

    def set_cpu_shares(self, shares: int | None) -> None:
        """Give the running container so many CPU shares; None gives the kernel's default."""
        wanted = _clamp_shares(shares)
        if self.generation("cpu") == V1:
            self._put("cpu", "cpu.shares", str(wanted), f"can't set {wanted} CPU shares")
        else:
            weight = shares_to_weight(wanted)
            self._put("cpu", "cpu.weight", str(weight), f"can't set {wanted} CPU shares (a weight of {weight})")

    def set_memory(self, limit: int | None) -> None:
        """Limit the running container's memory to so many bytes; None lifts the limit.

        A limit below what the container holds and can't give back is refused, and nothing is changed or killed: the error
        names the usage. Page cache and what fits into swap is given back.
        """
        rounded = None if limit is None else limit - limit % page_size()
        if self.version == V1:
            self._set_memory_v1(rounded)
        else:
            self._set_memory_v2(rounded)

    def _cpu_shares(self) -> int | None:
        if self.generation("cpu") == V1:
            return parse_number(self.read("cpu", "cpu.shares"))
        weight = parse_number(self.read("cpu", "cpu.weight"))
        return None if weight is None else weight_to_shares(weight)

    # -- writing

    def _put(self, controller: str, file: str, text: str, failing: str) -> None:
        """Write a file of this controller; a failure becomes a sentence, caused by the OSError."""
        directory = self.directory(controller)
        if directory is None:
            raise self._error(failing, f"no {controller} controller of it is mounted here", "Is /sys/fs/cgroup hidden?")
        try:
            _write(directory + "/" + file, text)
        except OSError as error:
            if error.errno in _GONE:
                raise self._missing(failing, controller, file) from error
            raise self._error(failing, f"writing {text} to {directory}/{file} failed: {error.strerror}") from error

    def _error(self, failing: str, why: str, hint: str | None = None) -> LxcTaskError:
        return LxcTaskError(f"Container {self.name}: {failing}: {why}", hint=hint)

    def _missing(self, failing: str, controller: str, file: str) -> LxcTaskError:
        """Why a file is not there: the container's end, or the kernel."""
        if not os.path.isdir(self.directory(controller) or ""):
            return self._error(failing, "it has ended in the meantime", "Run this again.")
        return self._error(
            failing,
            f"its cgroup has no {file}",
            f"Does this host's kernel give containers the {controller} controller?",
        )

    def _refusal(self, limit: int, usage: int | None) -> LxcTaskError:
        held = "an unknown amount" if usage is None else _size(usage)
        return LxcTaskError(
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
            except LxcTaskError as error:
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
        former, usage = parse_number(text), self.memory_usage()
        if former is not None and former <= limit and usage is not None and usage <= limit:
            self._put("memory", "memory.max", str(limit), failing)
            return
        with _signals_held(), self._frozen(failing), self._kept("memory", "memory.high", failing):

            def attempt() -> bool:
                self._put("memory", "memory.high", str(limit), failing)
                usage = self.memory_usage()
                return usage is not None and usage <= limit

            if not self._reclaimed(attempt, limit):
                raise self._refusal(limit, self.memory_usage())
            self._put("memory", "memory.max", str(limit), failing)

    def _reclaimed(self, attempt: t.Callable[[], bool], limit: int | None) -> bool:
        """Try until it works, while the disk is being given page cache whose return would be enough; False if it fails."""
        deadline = time.monotonic() + RECLAIM_TIMEOUT
        while not attempt():
            usage = self.memory_usage()
            if usage is None or limit is None or usage - self._writing_out() > limit or time.monotonic() >= deadline:
                return False
            time.sleep(_RECLAIM_PAUSE)
        return True

    def _writing_out(self) -> int:
        """Bytes of page cache that can be given back once the disk has them."""
        stat = parse_stat(self.read("memory", "memory.stat"))
        names = ("total_dirty", "total_writeback") if self.version == V1 else ("file_dirty", "file_writeback")
        return sum(stat.get(name, 0) for name in names)

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
            if parse_stat(events).get("frozen") == 1:
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
            _write(f"{directory}/{file}", text)
        except OSError as error:
            if error.errno not in _GONE:
                raise self._error(
                    f"can't put {file} back to {text}", error.strerror or "", f"Write it to {directory}/{file}."
                ) from error


def _visible(path: str, controllers: frozenset[str], mounts: t.Sequence[Hierarchy], root: str) -> str | None:
    """The directory that shows this path of the hierarchy with these controllers; None where no mount does."""
    for mount in mounts:
        if mount.version == V1 and not (controllers and controllers <= mount.controllers):
            continue
        if mount.version == V2 and controllers:
            continue
        below = _below(path, mount.root)
        if below is None:
            continue
        directory = os.path.join(root, mount.mount_point.lstrip("/"), below)
        if os.path.isdir(directory):
            return directory
    return None


# ---- what a start leaves behind ------------------------------------------------------------------------------------


def remove_monitor_cgroups(
    container_name: str,
    taken: t.Callable[[str], bool],
    root: str = "/",
    cgroup_dir: str | None = None,
    payload: bool = False,
) -> list[str]:
    """Remove the empty ``lxc.monitor.NAME`` cgroups that a failed start, or one by a caller that ended, left behind.

    ``payload``: also ``lxc.payload.NAME``, which only a killed monitor leaves. Also the names with ``-N`` behind, unless
    ``taken`` says that a container ``NAME-N`` exists: they may be that one's. Looks at the top of every mounted hierarchy,
    and in ``cgroup_dir`` (the container's ``lxc.cgroup.dir``). Never removes anything else; a cgroup that holds processes
    or children can't be removed, and stays. Returns the removed directories.
    """
    removed: list[str] = []
    for mount in read_hierarchies(root):
        top = os.path.join(root, mount.mount_point.lstrip("/"))
        for directory in {top, os.path.join(top, *_components(cgroup_dir or ""))}:
            for name in _leftovers(directory, container_name, payload):
                other = name.split(".", 2)[2]
                if other != container_name and taken(other):
                    continue
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.join(directory, name))
                    removed.append(os.path.join(directory, name))
    return sorted(removed)


def _leftovers(directory: str, container_name: str, payload: bool) -> list[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    prefixes = ("lxc.monitor.", "lxc.payload.") if payload else ("lxc.monitor.",)
    return [name for name in names for prefix in prefixes if _made_by_liblxc(name, prefix, container_name)]
