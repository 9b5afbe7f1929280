# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call's parameters: Ansible's argument spec, a voluptuous schema for what that can't say, and the frozen TaskSpec."""

from __future__ import annotations

import os.path
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.nomadic.lxc.plugins.module_utils import _config, _template, _volumes
from ansible_collections.nomadic.lxc.plugins.module_utils._cgroup import MAX_SHARES, MIN_SHARES
from ansible_collections.nomadic.lxc.plugins.module_utils._duration import (
    DEFAULT_KILL_TIMEOUT,
    effective_kill_timeout,
    parse_duration,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._handle import Handle, parse_handle
from ansible_collections.nomadic.lxc.plugins.module_utils._names import (
    Layout,
    container_name,
    layout,
    name_faults,
    path_fault,
)
from ansible_collections.nomadic.lxc.plugins.module_utils._options import (
    BY_NAME,
    NOTHING,
    OPTIONS,
    keeps_capabilities,
)

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {option.name: dict(option.argument) for option in OPTIONS}

# The states of a call that says how the task shall be; the others only say what to do with it.
DECLARING = ("present", "started", "restarted", "frozen")
# More is no limit to any kernel: 2**63 bytes.
MOST_MEMORY_MB = 2**43 - 1
LONGEST_HOSTNAME = 64  # uname(2), HOST_NAME_MAX

_HOSTNAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_LXC_KEY = re.compile(r"lxc(\.[A-Za-z0-9_-]+)+")
_VARIABLE = re.compile(r"[^=]+")
_CAP_NET_ADMIN = 12  # linux/capability.h


@dataclass(frozen=True)
class TaskSpec:
    """What a call asks for. ``options``: all rows of the table that the task itself has, by name, normalized.

    ``kill_timeout``: nanoseconds, as the call or its handle says; None leaves it to the record.
    """

    name: str | None
    alloc_id: str | None
    container_name: str
    lxc_path: str
    by_handle: bool
    state: str
    declares: bool
    options: t.Mapping[str, t.Any]
    layout: Layout | None
    kill_timeout: int | None
    max_kill_timeout: int
    volumes_enabled: bool
    recreate: str
    restart_on_change: bool
    purge: bool
    verbose: bool

    def effective_kill_timeout(self, recorded: int | None = None) -> int:
        """Nanoseconds: this call's or its handle's, else the record's, else Nomad's default; below the ceiling."""
        asked = self.kill_timeout if self.kill_timeout is not None else recorded
        return effective_kill_timeout(DEFAULT_KILL_TIMEOUT if asked is None else asked, self.max_kill_timeout)


def parse_task(params: t.Mapping[str, t.Any], default_lxc_path: str) -> tuple[TaskSpec | None, list[str]]:
    """The call's TaskSpec and every fault in its parameters; None where the faults leave no task to speak of.

    A faulty option counts as not given, so that the rest of the task can still be judged and all faults be told at once.
    """
    faults = unprintable(params)
    if faults:
        return None, faults
    values, faults = validate(params)
    handle: Handle | None = values["handle"]
    name, alloc_id = values["name"], values["alloc_id"]
    if handle is None and params.get("handle") is None:
        if params.get("name") is None:
            faults.append("name is required unless handle is given")
        else:
            faults += name_faults(params["name"], params["alloc_id"])
    elif handle is not None and name is not None and container_name(name, alloc_id) != handle.container_name:
        faults.append(f"name and alloc_id say another container than the handle, {handle.container_name!r}: give one of both")
    faults += _across(values, params)
    if faults and ((handle is None and name is None) or name_faults(name, alloc_id)):
        return None, faults
    declares = values["template"] is not None and values["state"] in DECLARING
    own_name = name if name is not None else handle.container_name if handle else ""
    options = {option.name: values[option.name] for option in OPTIONS if option.effect != NOTHING}
    kill_timeout = values["kill_timeout"]
    if kill_timeout is None and handle is not None:
        kill_timeout = handle.kill_timeout
    options["kill_timeout"] = effective_kill_timeout(
        DEFAULT_KILL_TIMEOUT if kill_timeout is None else kill_timeout, values["max_kill_timeout"]
    )
    container = handle.container_name if handle else container_name(own_name, alloc_id)
    options["hostname"] = options["hostname"] or container
    # What has no effect in this mode is not of the task.
    if options["network_mode"] != "bridge":
        options["network_link"] = None
    options["host_network_admin"] = options["host_network_admin"] and options["network_mode"] == "host"
    spec = TaskSpec(
        name=None if name is None and handle is not None else own_name,
        alloc_id=alloc_id,
        container_name=container,
        lxc_path=os.path.normpath(handle.lxc_path if handle else values["lxc_path"] or default_lxc_path),
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
    )
    return spec, faults


def unprintable(params: t.Mapping[str, t.Any]) -> list[str]:
    """Options with a newline or NUL in a value: in an LXC configuration a newline begins a new key, a hook say."""

    def bad(value: t.Any) -> bool:
        if isinstance(value, str):
            return "\n" in value or "\0" in value or not _encodes(value)
        if isinstance(value, dict):
            return any(bad(key) or bad(item) for key, item in value.items())
        return isinstance(value, (list, tuple)) and any(bad(item) for item in value)

    # Between the tokens of JSON a newline says nothing; the handle's own reader judges what is in it.
    return [
        f"{name}: a newline, a NUL byte or an invalid character stands in its value: remove it"
        for name, value in params.items()
        if name in BY_NAME and name != "handle" and bad(value)
    ]


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def validate(params: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
    """Every option by itself: normalized values, and faults. A faulty one gets its default."""
    from voluptuous import MultipleInvalid

    values = {option.name: option.default if params.get(option.name) is None else params[option.name] for option in OPTIONS}
    faults: list[str] = []
    check = schema()
    while True:
        try:
            return t.cast("dict[str, t.Any]", check(values)), faults
        except MultipleInvalid as invalid:
            for error in invalid.errors:
                option = str(error.path[0])
                faults.append(error.msg if error.msg.startswith(f"{option} ") else f"{option}: {error.msg}")
                values[option] = BY_NAME[option].default


def schema() -> t.Any:
    """The voluptuous schema of all options. None stands for an option that is not given."""
    from voluptuous import Invalid, MultipleInvalid, Schema

    def rule(check: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], t.Any]:
        def validated(value: t.Any) -> t.Any:
            if value is None:
                return None
            try:
                return check(value)
            except LxcTaskError as error:
                raise Invalid(str(error)) from error

        return validated

    def each(check: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], t.Any]:
        def validated(values: t.Any) -> t.Any:
            done: list[t.Any] = []
            errors: list[Invalid] = []
            for value in values:
                try:
                    done.append(rule(check)(value))
                except Invalid as error:
                    errors.append(error)
            if errors:
                raise MultipleInvalid(errors)
            return done

        return validated

    rules: dict[str, t.Callable[[t.Any], t.Any]] = {option.name: lambda value: value for option in OPTIONS}
    rules.update(
        handle=rule(parse_handle),
        template=rule(_template_name),
        template_args=each(_nonempty),
        volumes=each(_volume),
        mounts=each(_mount),
        devices=each(_device),
        memory_mb=rule(_memory),
        cpu_shares=rule(_shares),
        kill_timeout=rule(parse_duration),
        max_kill_timeout=rule(parse_duration),
        network_link=rule(_interface),
        default_config=rule(_path),
        hostname=rule(_hostname),
        init=rule(_nonempty),
        environment=rule(_environment),
        lxc_config=rule(_lxc_config),
        lxc_path=rule(_path),
        alloc_dir=rule(_path),
    )
    return Schema(rules)


# ---- rules for single values; each takes what Ansible's argument spec lets through --------------------------------------


def _nonempty(text: str) -> str:
    if not text.strip():
        raise LxcTaskError("it is empty: leave it out instead")
    return text


def _path(path: str) -> str:
    fault = path_fault(path)
    if fault is not None:
        raise LxcTaskError(f"{fault}: give an absolute path")
    return os.path.normpath(path)


def _template_name(template: str) -> str:
    if not template.startswith("/") and ("/" in template or not template.strip()):
        raise LxcTaskError(f"{template!r} is neither a template's name nor an absolute path")
    return template


def _volume(entry: str) -> str:
    source, target = _volumes.parse_volume(entry)
    fault = _volumes.target_fault(target)
    if fault is not None:
        raise LxcTaskError(fault)
    return f"{source}:{target}"


def _mount(mount: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    fault = _volumes.target_fault(mount["target"])
    if fault is None and not mount["source"]:
        fault = f"the source of the target '{mount['target']}' is empty: name what is mounted"
    if fault is not None:
        raise LxcTaskError(fault)
    return mount


def _device(device: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    permissions = device["permissions"]
    fault = _volumes.target_fault(device["target"] or device["path"])
    if not device["path"]:
        fault = "the path of a device is empty: name it"
    elif not permissions or len(set(permissions)) != len(permissions) or not set(permissions) <= set("rwm"):
        fault = f"the permissions {permissions!r} of '{device['path']}' are not made of r, w and m"
    if fault is not None:
        raise LxcTaskError(fault)
    return {**device, "permissions": "".join(letter for letter in "rwm" if letter in permissions)}


def _memory(mebibytes: int) -> int:
    if not 1 <= mebibytes <= MOST_MEMORY_MB:
        raise LxcTaskError(f"memory_mb {mebibytes} is not between 1 and {MOST_MEMORY_MB}: leave it out for no limit")
    return mebibytes


def _shares(shares: int) -> int:
    if not MIN_SHARES <= shares <= MAX_SHARES:
        raise LxcTaskError(f"cpu_shares {shares} is not between {MIN_SHARES} and {MAX_SHARES}")
    return shares


def _interface(name: str) -> str:
    """A network interface's name, by the kernel's dev_valid_name."""
    if not name or len(os.fsencode(name)) > 15 or name in (".", "..") or re.search(r"[\s/:]", name):
        raise LxcTaskError(f"{name!r} can't be a network interface's name")
    return name


def _hostname(name: str) -> str:
    if len(name) > LONGEST_HOSTNAME or not _HOSTNAME.fullmatch(name):
        raise LxcTaskError(
            f"{name!r} can't be a host name: at most {LONGEST_HOSTNAME} letters, digits, '-', '_' and '.', no '-' or '.' at an end"
        )
    return name


def _environment(variables: t.Mapping[t.Any, t.Any]) -> dict[str, str]:
    """Values are never named in a fault: they may be secrets."""
    done: dict[str, str] = {}
    for key, value in variables.items():
        if not _VARIABLE.fullmatch(str(key)):
            raise LxcTaskError(f"{str(key)!r} can't be a variable's name: it is empty or has '=' in it")
        if isinstance(value, (dict, list, tuple)):
            raise LxcTaskError(f"the value of {key!r} is not a string: quote it")
        done[str(key)] = "" if value is None else str(value)
    return done


def _lxc_config(config: t.Mapping[t.Any, t.Any]) -> dict[str, list[str]]:
    """Each key's values as LXC reads them."""
    done: dict[str, list[str]] = {}
    refused: list[str] = []
    for key, given in config.items():
        if not isinstance(key, str) or not _LXC_KEY.fullmatch(key):
            raise LxcTaskError(f"{str(key)!r} is not an LXC key: it is like 'lxc.tty.max'")
        if _config.owner_refuses(key):
            refused.append(key)
        values = given if isinstance(given, (list, tuple)) else [given]
        if any(isinstance(value, (dict, list, tuple)) for value in values):
            raise LxcTaskError(f"the value of {key} is neither a plain value nor a list of such")
        done[key] = [str(int(value)) if isinstance(value, bool) else "" if value is None else str(value) for value in values]
    if refused:
        raise LxcTaskError(f"{', '.join(refused)} can't be set here", hint="options of the module own it: use those")
    return done


# ---- rules across options ---------------------------------------------------------------------------------------------


def _across(values: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> list[str]:
    return [*_command_faults(values, params), *_template_faults(values), *_capability_faults(values), *_policy_faults(values)]


def _command_faults(values: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> list[str]:
    state = values["state"]
    if params.get("template") is not None and state in DECLARING:
        return []
    given = given_configuration(values)
    if not given:
        return []
    why = f"with state {state} the call is a command" if state not in DECLARING else "without template the call is a command"
    return [f"{', '.join(given)} can't be given here: {why} and changes only the state; leave it out, or declare the task"]


def given_configuration(values: t.Mapping[str, t.Any]) -> list[str]:
    """The options of a declaration that are given: those that are not what they are by default."""
    return [option.name for option in OPTIONS if option.configures and values[option.name] != option.default]


def _template_faults(values: t.Mapping[str, t.Any]) -> list[str]:
    if values["template"] is None or values["state"] not in DECLARING:
        return []
    missing = _template.missing_options(values)
    return [f"the template download needs {', '.join(missing)}"] if missing else []


def _capability_faults(values: t.Mapping[str, t.Any]) -> list[str]:
    config: t.Mapping[str, t.Sequence[str]] = values["lxc_config"]
    if not keeps_capabilities(config):
        return []
    faults = []
    if any(_config.canonical(key) == "lxc.cap.drop" for key in config):
        faults.append("lxc_config: lxc.cap.keep and lxc.cap.drop exclude each other: give one of both")
    kept = {word for key in config if _config.canonical(key) == "lxc.cap.keep" for it in config[key] for word in it.split()}
    if values["network_mode"] == "host" and not values["host_network_admin"] and any(map(_is_net_admin, kept)):
        faults.append(
            "lxc_config: lxc.cap.keep holds net_admin, with which a task on host networking can take the host's network down:"
            " leave it out, or set host_network_admin"
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
        f"lxc_config: {key} runs a command on the host, but '{_volumes.ENABLED}' is false"
        for key in values["lxc_config"]
        if _config.canonical(key).startswith("lxc.hook")
    ]
