# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The handle: the JSON string by which a container is found again, as Nomad's driver wrote and read it (its lxcPID)."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _duration, _errors, _names

NOT_RUNNING = -1
# Go's encoding/json writes these as escapes, so that its output can stand in HTML and JavaScript.
_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


class Handle(t.NamedTuple):
    """``init_pid`` is -1 while nothing runs; ``kill_timeout`` is in nanoseconds, None where the handle has none."""

    container_name: str
    lxc_path: str
    init_pid: int = NOT_RUNNING
    kill_timeout: int | None = None


def fault_beside(handle: Handle | None, name: str | None, alloc_id: str | None) -> str | None:
    """What is wrong with a name and an alloc that are given with a handle; None if nothing is. ``handle``: None for one that can't
    be read.
    """
    if name is None:
        given = "alloc_id is given without name, and the handle names the container already: leave it out"
        return None if alloc_id is None else given
    if handle is None or _names.container_name(name, alloc_id) == handle.container_name:
        return None
    return f"name and alloc_id say another container than the handle, {handle.container_name!r}: give one of both"


def render_handle(handle: Handle) -> str:
    """The JSON that Go's json.Marshal makes of the driver's struct: keys in this order, no spaces."""
    fields = {
        "ContainerName": handle.container_name,
        "InitPid": handle.init_pid,
        "LxcPath": handle.lxc_path,
        "KillTimeout": handle.kill_timeout or 0,
    }
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).translate(_GO_ESCAPES)


def parse_handle(text: str) -> Handle:
    """Read a handle. ContainerName and LxcPath are needed; unknown keys are passed over. Raises LxcTaskError."""

    def refuse(why: str) -> _errors.LxcTaskError:
        return _errors.LxcTaskError(f"Failed to parse handle '{text}': {why}")

    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse(f"it is not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise refuse("it is not a JSON object")

    def field(key: str, kind: type) -> t.Any:
        value = fields.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise refuse(f"{key} is not {'a string' if kind is str else 'a whole number'}")
        return value

    name, path = field("ContainerName", str), field("LxcPath", str)
    pid, kill_timeout = field("InitPid", int), field("KillTimeout", int)
    for key, value in (("ContainerName", name), ("LxcPath", path)):
        if not value:
            raise refuse(f"it has no {key}")
    fault = _names.container_name_fault(name) or _names.path_fault(path)
    if fault is None and not _names.plain(path):
        fault = "LxcPath has a character in it that no path has"
    if fault is None and pid in (0, 1):
        fault = "InitPid 1 is the host's own init" if pid == 1 else "InitPid 0 is no process"
    # Any other number will do: whose process it is, liblxc is asked again.
    if fault is None and pid is not None and abs(pid) > _duration.LONGEST:
        fault = "InitPid is no number of 64 bits"
    if fault is None and kill_timeout is not None and abs(kill_timeout) > _duration.LONGEST:
        fault = "KillTimeout is longer than 292 years"
    if fault is not None:
        raise refuse(fault)
    return Handle(name, path, NOT_RUNNING if pid is None else pid, kill_timeout)
