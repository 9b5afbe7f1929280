# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call's parameters: Ansible's argument spec, the rules across options, and the frozen TaskSpec."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _config,
    _duration,
    _handle,
    _idmap,
    _names,
    _options,
    _rules,
    _template,
    _text,
    _volumes,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._names import container_name, layout

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {option.name: dict(option.argument) for option in _options.OPTIONS}

# The states of a call that says how the task shall be; the others only say what to do with it.
DECLARING = ("present", "started", "restarted", "frozen")

# What says which container is meant.
_WHICH = {"name", "alloc_id", "handle", "lxc_path"}

# Keys whose value reaches the host: commands that run there, and a file there that gets all that the container prints.
_REACHES_HOST = (
    (re.compile(r"lxc\.hook|lxc\.net\.[0-9]+\.script\."), "runs a command on the host"),
    (re.compile(r"lxc\.console\.logfile"), "has a file of the host written"),
)
_CAP_NET_ADMIN = 12  # linux/capability.h


class TaskSpec(t.NamedTuple):
    """What a call asks for. ``options``: all rows of the table that the task itself has, by name, normalized.

    ``kill_timeout``: nanoseconds, as the call or its handle says; None leaves it to the record. ``at_boot``: whether LXC's
    boot service looks at its lxc_path.
    """

    name: str | None
    alloc_id: str | None
    container_name: str
    lxc_path: str
    by_handle: bool
    state: str
    declares: bool
    options: t.Mapping[str, t.Any]
    layout: _names.Layout | None
    kill_timeout: int | None
    max_kill_timeout: int
    volumes_enabled: bool
    recreate: str
    restart_on_change: bool
    purge: bool
    verbose: bool
    at_boot: bool

    def effective_kill_timeout(self, recorded: int | None = None) -> int:
        """Nanoseconds: this call's or its handle's, else the record's, else Nomad's default; below the ceiling."""
        asked = self.kill_timeout if self.kill_timeout is not None else recorded
        return _duration.effective_kill_timeout(
            _duration.DEFAULT_KILL_TIMEOUT if asked is None else asked, self.max_kill_timeout
        )


def parse_task(params: t.Mapping[str, t.Any], default_lxc_path: str) -> tuple[TaskSpec | None, list[str]]:
    """The call's TaskSpec and every fault in its parameters; None where the faults leave no task to speak of.

    A faulty option counts as not given, so that the rest of the task can still be judged and all faults be told at once.
    """
    asked, unprintable = params, _text.unprintable(params)
    unfit = {fault.partition(":")[0] for fault in unprintable}
    params = {option: None if option in unfit else value for option, value in asked.items()}
    values, faults = validate(params)
    faults = unprintable + faults
    if unfit & _WHICH:
        return None, [*faults, *_across(values, asked)]
    handle: _handle.Handle | None = values["handle"]
    name, alloc_id = values["name"], values["alloc_id"]
    if handle is None and params.get("handle") is None:
        if asked.get("name") is None:
            faults.append("name is required unless handle is given")
        else:
            faults += _names.name_faults(params["name"], params["alloc_id"])
    else:
        fault = _handle.fault_beside(handle, name, alloc_id)
        faults += [] if fault is None else [fault]
    faults += _across(values, asked)
    if faults and ((handle is None and name is None) or _names.name_faults(name, alloc_id)):
        return None, faults
    declares = values["template"] is not None and values["state"] in DECLARING
    own_name = name if name is not None else handle.container_name if handle else ""
    options = {option.name: values[option.name] for option in _options.OPTIONS if option.effect != _options.NOTHING}
    kill_timeout = values["kill_timeout"]
    if kill_timeout is None and handle is not None:
        kill_timeout = handle.kill_timeout
    options["kill_timeout"] = _duration.effective_kill_timeout(
        _duration.DEFAULT_KILL_TIMEOUT if kill_timeout is None else kill_timeout, values["max_kill_timeout"]
    )
    container = handle.container_name if handle else container_name(own_name, alloc_id)
    options["hostname"] = options["hostname"] or container
    # What has no effect in this mode is not of the task.
    if options["network_mode"] != "bridge":
        options["network_link"] = None
    if not options["unprivileged"]:
        options["idmap_base"], options["idmap_size"] = None, _idmap.DEFAULT_SIZE
    options["host_network_admin"] = options["host_network_admin"] and _options.joins_network(options)
    # To the letter in a handle: liblxc names a running container's socket by it.
    lxc_path = handle.lxc_path if handle else values["lxc_path"] or default_lxc_path
    spec = TaskSpec(
        name=None if name is None and handle is not None else own_name,
        alloc_id=alloc_id,
        container_name=container,
        lxc_path=lxc_path,
        by_handle=handle is not None,
        state=values["state"],
        declares=declares,
        options=options,
        layout=None if name is None else layout(values["alloc_dir"], name, alloc_id),
        kill_timeout=kill_timeout,
        max_kill_timeout=values["max_kill_timeout"],
        volumes_enabled=values["volumes_enabled"],
        recreate=values["recreate"],
        restart_on_change=values["restart_on_change"],
        purge=values["purge"],
        verbose=values["verbosity"] == "verbose",
        at_boot=_names.normal_path(lxc_path) == _names.normal_path(default_lxc_path),
    )
    return spec, faults


def validate(params: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
    """Every option by itself: normalized values, and faults. A faulty one gets its default; of several values it keeps the others."""
    from voluptuous import MultipleInvalid

    values = {
        option.name: option.default if params.get(option.name) is None else params[option.name]
        for option in _options.OPTIONS
    }
    faults: list[str] = []
    while True:
        keys = {name: (name, repr(value)) for name, value in values.items()}
        new = {name: value for name, value in values.items() if keys[name] not in _checked}
        try:
            if new:
                _checked.update({keys[name]: value for name, value in _rules.schema()(new).items()})
        except MultipleInvalid as invalid:
            wrong: dict[str, set[t.Any]] = {}
            for error in invalid.errors:
                option, *place = error.path
                faults.append(error.msg if error.msg.startswith(f"{option} ") else f"{option}: {error.msg}")
                wrong.setdefault(str(option), set()).update(place[:1])
            for option, places in wrong.items():
                values[option] = _without(values[option], places) if places else _options.BY_NAME[option].default
        else:
            return {name: _checked[key] for name, key in keys.items()}, faults


def _without(given: t.Any, places: t.AbstractSet[t.Any]) -> t.Any:
    """A list without what stands at these places, or a dict without these keys."""
    if isinstance(given, dict):
        return {key: value for key, value in given.items() if key not in places}
    return [value for number, value in enumerate(given) if number not in places]


# Right values of options, normalized: the tasks of a group have most of them in common. A value is told from others by its
# text, since True is 1.
_checked: dict[tuple[str, str], t.Any] = {}


# ---- rules across options ---------------------------------------------------------------------------------------------


def _across(values: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> list[str]:
    return [
        *_command_faults(values, params),
        *_template_faults(values),
        *_capability_faults(values),
        *_idmap_faults(values),
        *_policy_faults(values),
    ]


def _command_faults(values: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> list[str]:
    state = values["state"]
    if params.get("template") is not None and state in DECLARING:
        return []
    given = given_configuration(params)
    if not given:
        return []
    why = (
        f"with state {state} the call is a command"
        if state not in DECLARING
        else "without template the call is a command"
    )
    return [
        f"{', '.join(given)} can't be given here: {why} and changes only the state; leave it out, or declare the task"
    ]


def given_configuration(params: t.Mapping[str, t.Any]) -> list[str]:
    """The options of a declaration that are given, rightly or not: those that are not what they are by default."""
    return [
        option.name
        for option in _options.OPTIONS
        if option.configures and params.get(option.name) not in (None, "", option.default)
    ]


def _template_faults(values: t.Mapping[str, t.Any]) -> list[str]:
    if values["template"] is None or values["state"] not in DECLARING:
        return []
    missing = _template.missing_options(values)
    return [f"the template download needs {', '.join(missing)}"] if missing else []


def _capability_faults(values: t.Mapping[str, t.Any]) -> list[str]:
    config: t.Mapping[str, t.Sequence[str]] = values["lxc_config"]
    kept = {word for value in _options.kept_capabilities(config) for word in value.split()}
    if not kept:
        return []
    faults = []
    if "lxc.cap.drop" in config:
        faults.append("lxc_config: lxc.cap.keep and lxc.cap.drop exclude each other: give one of both")
    if _options.joins_network(values) and not values["host_network_admin"] and any(map(_is_net_admin, kept)):
        faults.append(
            "lxc_config: lxc.cap.keep holds net_admin, with which a task on host networking, or on a network that it shares, can take the host's network down:"
            " leave it out, or set host_network_admin"
        )
    return faults


def _idmap_faults(values: t.Mapping[str, t.Any]) -> list[str]:
    if values["template"] is None or values["state"] not in DECLARING:
        return []
    if not values["unprivileged"]:
        # Who thought of ids has forgotten the rest, and would get a container whose root is the host's.
        slip = "idmap_base is given, but unprivileged is false: set it to true, or leave idmap_base out"
        return [] if values["idmap_base"] is None else [slip]
    faults = []
    if values["network_mode"] == "host":
        faults.append(
            "unprivileged: such a task can't share the host's network, which belongs to the host's root:"
            " set network_mode to bridge or empty"
        )
    if any(_config.canonical(key) == _idmap.KEY for key in values["lxc_config"]):
        faults.append("lxc_config: lxc.idmap can't be set beside unprivileged: use idmap_base and idmap_size")
    base, size = values["idmap_base"], values["idmap_size"]
    if base is not None and (size > base or base + size > _idmap.MOST_IDS):
        # An id tells whether it was shifted.
        faults.append(
            f"idmap_base {base} and idmap_size {size} make a range that begins below its own size, or ends above {_idmap.MOST_IDS}:"
            " choose another"
        )
    return faults


def _is_net_admin(word: str) -> bool:
    """Whether liblxc reads a word as CAP_NET_ADMIN: its name, or its number as strtoul(3) takes it with base 0."""
    match = re.fullmatch(r"\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", word)
    if match is None:
        return word == "net_admin"
    digits = match[1]
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    return int(digits, base) == _CAP_NET_ADMIN


def _policy_faults(values: t.Mapping[str, t.Any]) -> list[str]:
    if values["volumes_enabled"]:
        return []
    return [
        f"lxc_config: {key} {what}, but '{_volumes.ENABLED}' is false"
        for key in values["lxc_config"]
        for pattern, what in _REACHES_HOST
        if pattern.match(_config.canonical(key))
    ]
