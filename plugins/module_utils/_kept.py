# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container's own directory keeps beside its root file system: our record, and what our hooks wrote. Read only."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _names, _proc, _record, _states, _tree

# In the container's own directory: the init and the cgroups of the run that began last; the end that came last.
RUN_FILE = "nomadic-lxc.run"
EXIT_FILE = "nomadic-lxc.exit"
# The last line of a run that a start of ours began; for our hook at the end it is a cgroup of no controller that it asks for.
OURS = "0:nomadic.lxc:\n"


class Ended(t.NamedTuple):
    """``init``: whose end it was. ``rebooted``: it comes up again by itself. ``oom_kills``: how many of the container's
    processes the kernel had killed in that run for want of memory; ``limit_hits``: how often it met the container's own
    limit. None is what the kernel did not tell.
    """

    init: _proc.InitId
    rebooted: bool
    oom_kills: int | None
    limit_hits: int | None

    @property
    def oom_killed(self) -> bool | None:
        """Whether the container's memory limit killed: a host that runs out of memory kills too, and is no limit."""
        if self.oom_kills is None or (self.oom_kills > 0 and self.limit_hits is None):
            return None
        return self.oom_kills > 0 and bool(self.limit_hits)


def record_file(lxc_path: str, name: str) -> str:
    """Where a container's record is."""
    return os.path.join(lxc_path, name, _record.FILE)


def read_record(path: str) -> _record.Record | None:
    """The record in a file; None if there is none. Raises LxcTaskError for one that can't be read."""
    text = _tree.read_text(path)
    return None if text is None else _record.parse_record(text, path)


def own_record(lxc_path: str, name: str) -> _record.Record | None:
    """A container's record, with its init; None also for one that a copy of another container has brought along: it says whose
    it is.
    """
    record = read_record(record_file(lxc_path, name))
    if record is None or _names.container_name(record.name, record.alloc_id) != name:
        return None
    run = _tree.read_text(os.path.join(lxc_path, name, RUN_FILE)) or ""
    return record._replace(init=parse_run(run)) if run.endswith(OURS) else record


def read_run(directory: str) -> _proc.InitId | None:
    """The init that our hook kept at a container's last start, whoever started it; None if it never ran."""
    return parse_run(_tree.read_text(os.path.join(directory, RUN_FILE)) or "")


def read_end(directory: str) -> Ended | None:
    """What our hook kept at a container's last end; None if it did not run at the last one."""
    ended = parse_exit(_tree.read_text(os.path.join(directory, EXIT_FILE)) or "")
    return ended if ended is not None and ended.init == read_run(directory) else None


def read_exit(directory: str, record: _record.Record | None) -> _states.Exit | None:
    """What is known of a container's last end; None if nothing is."""
    ended = read_end(directory)
    if ended is None:
        return None
    asked = record is not None and record.stop_asked == ended.init
    try:
        moment = os.stat(os.path.join(directory, EXIT_FILE)).st_mtime
    except FileNotFoundError:
        return None  # the container was removed meanwhile
    return _states.Exit(_proc.iso(moment), False if asked else ended.oom_killed)


def runs_elsewhere(directory: str, record: _record.Record) -> _proc.InitId | None:
    """The init of a container that liblxc calls stopped: it was started in another network namespace.

    The record knows the init of the last start of ours, a hook's file that of the last start, also after a reboot.
    """
    if _proc.alive(record.init):
        return record.init
    run = read_run(directory)
    return run if _proc.alive(run) else None


def parse_run(text: str) -> _proc.InitId | None:
    """Who the init is that the hook at the start kept; None for anything else."""
    return _init(text.split("\n")[0].split(" "))


def parse_exit(text: str) -> Ended | None:
    """What the hook at the end kept; None for anything else."""
    lines = text.split("\n")
    words = lines[0].split(" ")
    init = _init(words[:3])
    if init is None or len(words) != 4 or len(lines) < 4:
        return None
    kills = [_count(line, "oom_kill") for line in lines[2:]]
    known = [number for number in kills if number is not None]
    return Ended(init, words[3] == "reboot", sum(known) if known else None, _count(lines[1], "hits"))


def _init(words: list[str]) -> _proc.InitId | None:
    if len(words) != 3 or not all(word.isascii() and word.isdecimal() and len(word) < 20 for word in words[:2]):
        return None
    return _proc.InitId(int(words[0]), int(words[1]), words[2])


def _count(line: str, name: str) -> int | None:
    key, _blank, word = line.partition(" ")
    return int(word) if key == name and word.isascii() and word.isdecimal() and len(word) < 20 else None
