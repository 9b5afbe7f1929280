# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an argument spec can't say: a voluptuous schema with a rule for each option by itself.

A rule takes what Ansible's argument spec lets through, and returns the normalized value, or raises LxcTaskError.
"""

from __future__ import annotations

import functools
import os
import re
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import (
    _cgroup_text,
    _config,
    _duration,
    _errors,
    _handle,
    _idmap,
    _names,
    _options,
    _template,
    _volumes,
)

# More is no limit to any kernel: 2**63 bytes.
MOST_MEMORY_MB = 2**43 - 1
LONGEST_HOSTNAME = 64  # uname(2), HOST_NAME_MAX

_HOSTNAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_LXC_KEY = re.compile(r"lxc(\.[A-Za-z0-9_-]+)+")
_VARIABLE = re.compile(r"[^=]+")


@functools.cache
def schema() -> t.Any:
    """The voluptuous schema of all options. None stands for an option that is not given."""
    from voluptuous import Invalid, MultipleInvalid, Schema

    def rule(check: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], t.Any]:
        def validated(value: t.Any) -> t.Any:
            if value is None:
                return None
            try:
                return check(value)
            except _errors.LxcTaskError as error:
                raise Invalid(str(error)) from error

        return validated

    def each(check: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], t.Any]:
        """Of a list. A fault's path ends with the number of the value."""

        def validated(values: t.Any) -> t.Any:
            found = pairs(lambda _number, value: value if value is None else check(value))(dict(enumerate(values)))
            return list(found.values())

        return validated

    def pairs(check: t.Callable[[t.Any, t.Any], t.Any]) -> t.Callable[[t.Any], t.Any]:
        """Of a dict. A fault's path ends with the key."""

        def validated(values: t.Any) -> t.Any:
            done: dict[t.Any, t.Any] = {}
            errors: list[Invalid] = []
            for key, value in values.items():
                try:
                    done[key] = check(key, value)
                except _errors.LxcTaskError as error:
                    errors.append(Invalid(str(error), path=[key]))
            if errors:
                raise MultipleInvalid(errors)
            return done

        return validated

    rules: dict[str, t.Callable[[t.Any], t.Any]] = {option.name: lambda value: value for option in _options.OPTIONS}
    rules.update(
        handle=rule(_handle.parse_handle),
        template=rule(_template_name),
        **{option: lambda value: value or None for option, _long, _short in _template.VALUES},
        template_args=each(_nonempty),
        volumes=each(_volume),
        mounts=each(_mount),
        devices=each(_device),
        memory_mb=rule(_memory),
        cpu_shares=rule(_shares),
        kill_timeout=rule(_duration.parse_duration),
        max_kill_timeout=rule(_duration.parse_duration),
        network_link=rule(_interface),
        idmap_base=rule(_idmap_base),
        idmap_size=rule(_idmap_size),
        default_config=rule(_path),
        hostname=rule(_hostname),
        init=rule(_nonempty),
        environment=lambda variables: {str(key): value for key, value in pairs(_variable)(variables).items()},
        lxc_config=pairs(_lxc_values),
        lxc_path=rule(_path),
        alloc_dir=rule(_path),
    )
    return Schema(rules)


def _nonempty(text: str) -> str:
    if not text.strip():
        raise _errors.LxcTaskError("it is empty: leave it out instead")
    return text


def _path(path: str) -> str:
    fault = _names.path_fault(path)
    if fault is not None:
        raise _errors.LxcTaskError(f"{fault}: give an absolute path")
    return _names.normal_path(path)


def _template_name(template: str) -> str:
    if not template.startswith("/") and ("/" in template or not template.strip()):
        raise _errors.LxcTaskError(f"{template!r} is neither a template's name nor an absolute path")
    return _volumes.tidy(template)


def _volume(entry: str) -> str:
    source, target = _volumes.parse_volume(entry)
    fault = _volumes.target_fault(target)
    if fault is not None:
        raise _errors.LxcTaskError(fault)
    return f"{_volumes.tidy(source)}:{_volumes.inside(target)}"


def _mount(mount: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    fault = _volumes.target_fault(mount["target"])
    if fault is None and not mount["source"]:
        fault = f"the source of the target '{mount['target']}' is empty: name what is mounted"
    if fault is not None:
        raise _errors.LxcTaskError(fault)
    return {**mount, "source": _volumes.tidy(mount["source"]), "target": f"/{_volumes.inside(mount['target'])}"}


def _device(device: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    permissions = device["permissions"]
    fault = _volumes.target_fault(device["target"] or device["path"])
    if not device["path"]:
        fault = "the path of a device is empty: name it"
    elif not permissions or len(set(permissions)) != len(permissions) or not set(permissions) <= set("rwm"):
        fault = f"the permissions {permissions!r} of '{device['path']}' are not made of r, w and m"
    if fault is not None:
        raise _errors.LxcTaskError(fault)
    target = f"/{_volumes.inside(device['target'] or device['path'])}"
    return {
        **device,
        "path": _volumes.tidy(device["path"]),
        "target": None if target == f"/{_volumes.inside(device['path'])}" else target,
        "permissions": "".join(letter for letter in "rwm" if letter in permissions),
    }


def _memory(mebibytes: int) -> int:
    if isinstance(mebibytes, bool) or not 1 <= mebibytes <= MOST_MEMORY_MB:
        raise _errors.LxcTaskError(
            f"memory_mb {mebibytes} is not between 1 and {MOST_MEMORY_MB}: leave it out for no limit"
        )
    return mebibytes


def _shares(shares: int) -> int:
    if not _cgroup_text.MIN_SHARES <= shares <= _cgroup_text.MAX_SHARES:
        raise _errors.LxcTaskError(
            f"cpu_shares {shares} is not between {_cgroup_text.MIN_SHARES} and {_cgroup_text.MAX_SHARES}"
        )
    return shares


def _idmap_base(first: int) -> int:
    if not _idmap.LEAST_BASE <= first < _idmap.MOST_IDS:
        raise _errors.LxcTaskError(f"idmap_base {first} is not between {_idmap.LEAST_BASE} and {_idmap.MOST_IDS - 1}")
    return first


def _idmap_size(count: int) -> int:
    if not _idmap.LEAST_SIZE <= count < _idmap.MOST_IDS:
        raise _errors.LxcTaskError(f"idmap_size {count} is not between {_idmap.LEAST_SIZE} and {_idmap.MOST_IDS - 1}")
    return count


def _interface(name: str) -> str:
    """A network interface's name, by the kernel's dev_valid_name."""
    if not name or len(os.fsencode(name)) > 15 or name in (".", "..") or re.search(r"[\s/:]", name):
        raise _errors.LxcTaskError(f"{name!r} can't be a network interface's name")
    return name


def _hostname(name: str) -> str:
    if len(name) > LONGEST_HOSTNAME or not _HOSTNAME.fullmatch(name):
        raise _errors.LxcTaskError(
            f"{name!r} can't be a host name: at most {LONGEST_HOSTNAME} letters, digits, '-', '_' and '.', no '-' or '.' at an end"
        )
    return name


def _variable(key: t.Any, value: t.Any) -> str:
    """A variable's value, which is never named in a fault: it may be a secret."""
    if not _VARIABLE.fullmatch(str(key)):
        raise _errors.LxcTaskError(f"{str(key)!r} can't be a variable's name: it is empty or has '=' in it")
    if isinstance(value, (dict, list, tuple)):
        raise _errors.LxcTaskError(f"the value of {key!r} is not a string: quote it")
    return "" if value is None else str(value)


def _lxc_values(key: t.Any, given: t.Any) -> list[str]:
    """A key's values as LXC reads them."""
    if not isinstance(key, str) or not _LXC_KEY.fullmatch(key):
        raise _errors.LxcTaskError(f"{str(key)!r} is not an LXC key: it is like 'lxc.tty.max'")
    if _config.owner_refuses(key):
        raise _errors.LxcTaskError(f"{key} can't be set here", hint="options of the module own it: use those")
    values = given if isinstance(given, (list, tuple)) else [given]
    if any(isinstance(value, (dict, list, tuple)) for value in values):
        raise _errors.LxcTaskError(f"the value of {key} is neither a plain value nor a list of such")
    read = [str(int(value)) if isinstance(value, bool) else "" if value is None else str(value) for value in values]
    words = " ".join(_options.listed(read)).split()
    if key == "lxc.ephemeral" and any(word.strip("0") for word in words):
        raise _errors.LxcTaskError(f"{key} has LXC remove the container whenever it stops: leave it out")
    if (key == "lxc.namespace.keep" and "net" in words) or (
        key == "lxc.namespace.clone" and words and "net" not in words
    ):
        raise _errors.LxcTaskError(f"{key} would keep the host's network: use network_mode host for that")
    return read
