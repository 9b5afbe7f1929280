# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks and hosts for tests: what is asked, what is, and what lies between, without a host."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _cgroup_text
from ansible_collections.nomadic.lxc.plugins.module_utils._config import base_of, converge
from ansible_collections.nomadic.lxc.plugins.module_utils._declare import declare
from ansible_collections.nomadic.lxc.plugins.module_utils._names import Layout
from ansible_collections.nomadic.lxc.plugins.module_utils._observed import Observed, Template
from ansible_collections.nomadic.lxc.plugins.module_utils._options import Declared
from ansible_collections.nomadic.lxc.plugins.module_utils._plan import make_plan
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import InitId
from ansible_collections.nomadic.lxc.plugins.module_utils._record import READY, Record
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import ARGUMENT_SPEC, TaskSpec, parse_task
from ansible_collections.nomadic.lxc.plugins.module_utils._steps import Plan
from ansible_collections.nomadic.lxc.plugins.module_utils._volumes import Source, wanted

LXC_PATH = "/var/lib/lxc"
INIT = InitId(4242, 100, "boot")
BUSYBOX = Template("/usr/share/lxc/templates/lxc-busybox", True, {"help", "name", "path", "rootfs", "busybox-path"})
# What the busybox template leaves.
CONFIG = """\
lxc.net.0.type = empty
lxc.rootfs.path = dir:/var/lib/lxc/web/rootfs
lxc.uts.name = web
lxc.tty.max = 1
lxc.cap.drop = sys_module
"""


def params(**given: t.Any) -> dict[str, t.Any]:
    """Parameters as Ansible hands them over: every option is there, and every suboption."""

    def filled(spec: t.Mapping[str, t.Any], values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        unknown = set(values) - set(spec)
        assert not unknown, f"there is no option {unknown}"
        whole = {name: row.get("default") for name, row in spec.items()}
        whole.update(values)
        for name, row in spec.items():
            if row.get("options") and whole[name] is not None:
                whole[name] = [filled(row["options"], value) for value in whole[name]]
        return whole

    return filled(ARGUMENT_SPEC, given)


def spec(**given: t.Any) -> TaskSpec:
    """The TaskSpec of right parameters; ``name`` is web unless it or a handle is given."""
    if "handle" not in given:
        given = {"name": "web", **given}
    found, faults = parse_task(params(**given), LXC_PATH)
    assert found is not None and faults == [], faults
    return found


def task(**given: t.Any) -> TaskSpec:
    """A declaration: on the busybox template and without a network, unless something else is given."""
    return spec(**{"template": "busybox", "network_mode": "empty", **given})


def place_of(asked: TaskSpec) -> Layout:
    """The directories of a task that has a name."""
    assert asked.layout is not None
    return asked.layout


def host_of(asked: TaskSpec) -> dict[str, Source]:
    """A host that has a directory at every source, and a character device at every device."""
    place = place_of(asked)
    host = {path: Source(path, "dir") for path in (place.local, place.alloc, place.secrets)}
    for it in wanted(asked.options, place.task):
        host[it.path] = Source(it.path, "char", "10:229") if it.option == "devices" else Source(it.path, "dir")
    return host


def declared(asked: TaskSpec, seen: Observed) -> Declared:
    """The declared task on that host, where it has no faults."""
    found, faults = declare(asked, seen)
    assert faults == []
    return found


def nothing(asked: TaskSpec, **other: t.Any) -> Observed:
    """No container, no directories, and a template that is installed."""
    return Observed(
        cgroup_version=1,
        cpu_generation=1,
        host=host_of(asked),
        task_dir=place_of(asked).task,
        template=BUSYBOX,
        subuid="root:1879048192:65536\nroot:1000000:65536\n",
        subgid="root:1879048192:65536\nroot:1000000:65536\n",
    )._replace(
        **other,
    )


def record_of(former: TaskSpec, **other: t.Any) -> Record:
    """What a run of this declaration has left in the record."""
    made = declared(former, nothing(former))
    record = Record(
        name=former.name or "",
        alloc_id=former.alloc_id,
        phase=READY,
        created_at="2026-11-24T10:00:00Z",
        options=made.recorded_options,
        lines=made.recorded_lines,
        base=tuple(base_of(CONFIG)),
    )
    return record._replace(**other)


def limits_of(former: TaskSpec) -> _cgroup_text.Limits:
    """What the kernel holds where the limits are as declared."""
    memory, shares = former.options["memory_mb"], former.options["cpu_shares"]
    return _cgroup_text.Limits(
        None if memory is None else memory * _cgroup_text.MIB, 1024 if shares is None else shares
    )


def made(former: TaskSpec, asked: TaskSpec | None = None, state: str = "running", **other: t.Any) -> Observed:
    """What a run of the declaration ``former`` has left, as the one of ``asked`` sees it."""
    asked = asked or former
    runs = state in ("running", "frozen")
    seen = nothing(
        asked,
        state=state,
        record=record_of(former, init=INIT),
        init=INIT if runs else None,
        config=converge(CONFIG, base_of(CONFIG), declared(former, nothing(former)).block),
        limits=limits_of(former) if runs else None,
        directories=dict(place_of(asked).directories()),
        secrets_mounted=True,
        secrets_exist=True,
    )
    return seen._replace(**other)


def plan(asked: TaskSpec, seen: Observed) -> Plan:
    """The plan of a call."""
    return make_plan(asked, seen, declared(asked, seen) if asked.declares else None)
