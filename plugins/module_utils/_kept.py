# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container's own directory keeps beside its root file system: our record, and what our hooks wrote. Read only."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup, _record, _tree
from ansible_collections.nomadic.lxc.plugins.module_utils._config import Pair
from ansible_collections.nomadic.lxc.plugins.module_utils._hooks import (
    EXIT_FILE,
    RUN_FILE,
    Ended,
    parse_exit,
    parse_run,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._observed import Exit
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId, alive, iso
from ansible_collections.nomadic.lxc.plugins.module_utils._record import Record


def record_file(lxc_path: str, name: str) -> str:
    """Where a container's record is."""
    return os.path.join(lxc_path, name, _record.FILE)


def read_record(path: str) -> Record | None:
    """The record in a file; None if there is none. Raises LxcTaskError for one that can't be read."""
    text = _tree.read_text(path)
    return None if text is None else _record.parse_record(text, path)


def read_run(directory: str) -> InitId | None:
    """The init that our hook kept at a container's last start, whoever started it; None if it never ran."""
    return parse_run(_tree.read_text(os.path.join(directory, RUN_FILE)) or "")


def read_end(directory: str) -> Ended | None:
    """What our hook kept at a container's last end; None if it did not run at the last one."""
    ended = parse_exit(_tree.read_text(os.path.join(directory, EXIT_FILE)) or "")
    return ended if ended is not None and ended.init == read_run(directory) else None


def read_exit(directory: str, record: Record | None) -> Exit | None:
    """What is known of a container's last end; None if nothing is."""
    ended = read_end(directory)
    if ended is None:
        return None
    asked = record is not None and record.stop_asked == ended.init
    return Exit(iso(os.stat(os.path.join(directory, EXIT_FILE)).st_mtime), False if asked else ended.oom_killed)


def runs_elsewhere(directory: str, record: Record) -> InitId | None:
    """The init of a container that liblxc calls stopped: it was started in another network namespace.

    The record knows the init of the last start of ours, a hook's file that of the last start, also after a reboot.
    """
    return next((init for init in (record.init, read_run(directory)) if alive(init)), None)


def cgroup_of(
    init: InitId | None, name: str, lines: t.Iterable[Pair], hierarchies: t.Sequence[_cgroup.Hierarchy] | None = None
) -> _cgroup.Cgroup | None:
    """The cgroup of a container with this configuration; None where nothing runs. ``hierarchies``: see Cgroup.of."""
    if init is None:
        return None
    keys = dict(lines)
    place = keys.get("lxc.cgroup.dir.container") or keys.get("lxc.cgroup.dir")
    return _cgroup.Cgroup.of(init.pid, name, place, hierarchies=hierarchies)
