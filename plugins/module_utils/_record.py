# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record: what this collection last applied to a container, kept in the container's own directory."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _proc

FILE = "nomadic-lxc.json"
VERSION = 1
# A container is made until its first run is done; what is left of a run that was cut off is made again.
MAKING = "making"
READY = "ready"
# What is read of the options without asking what it is.
_NEEDED = (("kill_timeout", int), ("alloc_dir", str))


class Record(t.NamedTuple):
    """``options``: the declaration as it was applied (of the environment only the names). ``lines``: each option's lines of
    the configuration (of the environment only digests). ``base``: the template's own lines of keys that we have lines of
    too. ``init``: the task's first process, as the last start of ours made it, where our hook has not kept it. ``pending``:
    options that ``pending_init`` lacks until the next start; ``running``: the lines that it has instead, of each option where
    they are others (null: nobody knows which), and ``pending_monitor`` its monitor, which stays at a reboot from inside.
    ``stop_asked``: the init that a call of ours last asked to end. ``shifted``: the first of an unprivileged task's ids, if the
    files of its root file system have them, else 0; ``shifting``: not all have, since a run was cut off. ``image``: the build of
    the image that the container was cloned from.
    """

    name: str
    alloc_id: str | None
    phase: str
    created_at: str
    options: t.Mapping[str, t.Any] = {}
    lines: t.Mapping[str, t.Any] = {}
    base: tuple[tuple[str, str], ...] = ()
    init: _proc.InitId | None = None
    pending: tuple[str, ...] = ()
    pending_init: _proc.InitId | None = None
    stop_asked: _proc.InitId | None = None
    running: t.Mapping[str, t.Any] = {}
    pending_monitor: _proc.InitId | None = None
    shifted: int = 0
    shifting: bool = False
    image: str | None = None

    def waits(self, running: _proc.InitId | None) -> tuple[str, ...]:
        """The options that the running task does not have yet: none once another init runs."""
        return self.pending if running is not None and running == self.pending_init else ()

    def followed(self, running: _proc.InitId, monitor: _proc.InitId | None) -> Record:
        """The record where a reboot from inside gave the task another init: liblxc does not read its configuration again."""
        if monitor is None or monitor != self.pending_monitor:
            return self
        return self._replace(pending_init=running)

    def lines_of(self, running: _proc.InitId | None) -> dict[str, t.Any]:
        """Each option's lines that the running task was started with."""
        return {**self.lines, **(self.running if self.waits(running) else {})}


def render_record(record: Record) -> str:
    """JSON, with the version first."""
    values = {key: it._asdict() if isinstance(it, _proc.InitId) else it for key, it in record._asdict().items()}
    # In one line: that is what json writes quickly, and a run writes a record several times.
    return json.dumps({"version": VERSION, **values}) + "\n"


def parse_record(text: str, path: str) -> Record:
    """Read a record. Raises LxcTaskError for one that is cut short, or of a newer version; ``path`` is named in it."""
    broken = _errors.LxcTaskError(
        f"the record {path} can't be read",
        hint="it was cut short or changed by hand; move it away to manage the container by its handle",
    )
    try:
        values = json.loads(text)
        version = values.pop("version")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise broken from error
    if isinstance(version, int) and version > VERSION:
        raise _errors.LxcTaskError(
            f"the record {path} has version {version}, and this release of nomadic.lxc knows version {VERSION}",
            hint="use the release that wrote it, or a newer one",
        )
    try:
        values = {key: value for key, value in values.items() if key in Record._fields}
        for key in ("init", "pending_init", "stop_asked", "pending_monitor"):
            if values.get(key) is not None:
                values[key] = _proc.InitId(
                    int(values[key]["pid"]), int(values[key]["start_ticks"]), str(values[key]["boot_id"])
                )
        values["base"] = tuple((str(key), str(value)) for key, value in values["base"])
        values["pending"] = tuple(str(name) for name in values["pending"])
        record = Record(**values)
        sound = (
            version == VERSION
            and isinstance(record.name, str)
            and isinstance(record.alloc_id, (str, type(None)))
            and isinstance(record.created_at, str)
            and isinstance(record.image, (str, type(None)))
            and isinstance(record.options, dict)
            and isinstance(record.lines, dict)
            and isinstance(record.running, dict)
            and isinstance(record.shifted, int)
            and record.phase in (MAKING, READY)
            and all(isinstance(record.options.get(key, kind()), kind) for key, kind in _NEEDED)
        )
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise broken from error
    if not sound:
        raise broken
    return record
