# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only user of AnsibleModule: dependencies, one call of what the module does, and errors caught once."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _text

Params = t.Mapping[str, t.Any]
Call = t.Callable[[Params, bool], "dict[str, t.Any]"]
LoggingCall = t.Callable[[Params, bool, t.Callable[[str], None]], "dict[str, t.Any]"]

LIBRARIES = ("lxc", "voluptuous")
# Where a distribution's own packages for Python are.
SYSTEM_PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/usr/bin/python")
# How a distribution's packages are installed.
_INSTALL = {
    "apt-get": "lxc lxc-templates python3-lxc python3-voluptuous",
    "dnf": "lxc lxc-templates python3-lxc python3-voluptuous",
}
# Where LXC's tools are where it is installed; a module's PATH may be a user's.
_PROGRAMS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")


class _Module(AnsibleModule):  # type: ignore[misc] # Ansible declares no types
    """Ansible logs every call, and fails with words of its own where syslog(3) can't take a parameter, before we can refuse it."""

    def log(self, msg: str, log_args: t.Any = None) -> None:
        """Log a text of any characters."""
        super().log(msg.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0"), log_args)

    def _log_invocation(self) -> None:
        """Ansible hides values in a list's text, where it does not find those that are escaped there: of tasks log what was given."""
        own: dict[str, t.Any] = self.__dict__
        params = own["params"]
        if "tasks" in params:
            own["params"] = _text.given(params, own["argument_spec"])
        super()._log_invocation()
        own["params"] = params


def run(
    spec: dict[str, dict[str, t.Any]],
    call: Call,
    without_lxc: Call | None = None,
    libraries: t.Sequence[str] = LIBRARIES,
) -> None:
    """Be a module that needs these libraries: ``call`` gets the parameters and whether it is check mode, and returns the result with its warnings.

    ``without_lxc`` answers instead on a host that has no LXC; where there is none, the missing library is an error.
    """
    _run(spec, _plain(call), without_lxc, libraries)


def _plain(call: Call) -> t.Callable[[AnsibleModule], dict[str, t.Any]]:
    return lambda module: call(module.params, module.check_mode)


def run_logging(spec: dict[str, dict[str, t.Any]], call: LoggingCall) -> None:
    """Be a module that tells the host's log how far it is."""
    _run(spec, lambda module: call(module.params, module.check_mode, module.log), None, LIBRARIES)


def _run(
    spec: dict[str, dict[str, t.Any]],
    call: t.Callable[[AnsibleModule], dict[str, t.Any]],
    without_lxc: Call | None,
    libraries: t.Sequence[str],
) -> None:
    module = _Module(argument_spec=spec, supports_check_mode=True)
    # Ansible would hide every occurrence of a variable's value in all that is returned, a pid that holds a "1" too. The
    # values stand nowhere in it; the log of the invocation, written by now, has left them out.
    module.no_log_values.clear()
    if os.geteuid() != 0:
        _fail(module, _errors.LxcTaskError("LXC tasks are root's, and this is another user: use become"))
    missing = _missing(libraries)
    if missing is not None:
        _respawn(module, libraries)
        if without_lxc is None or _has_lxc():
            _fail(module, _errors.LxcTaskError(missing_required_lib(missing), hint=_advice()))
        call = _plain(without_lxc)
    try:
        result = call(module)
    except _errors.LxcTaskError as error:
        _fail(module, error)
    except OSError as error:
        _fail(module, _errors.of_system(error))
    except Exception as error:  # noqa: BLE001 # pylint: disable=broad-except # no fault ends without JSON
        module.fail_json(
            msg=f"nomadic.lxc has a fault of its own, please report it: {type(error).__name__}: {error}",
            exception=traceback.format_exc(),
            invocation=_invocation(module),
        )
    _warn(module, result)
    module.exit_json(**result, invocation=_invocation(module))


def _missing(libraries: t.Sequence[str]) -> str | None:
    """The first library that this interpreter lacks."""
    for library in libraries:
        try:
            found = importlib.import_module(library)
        except ImportError:
            return library
        # Python takes a directory of that name for a package, where it is started in one that has it: /var/lib has lxc.
        if getattr(found, "__file__", None) is None:
            return library
    return None


def _respawn(module: AnsibleModule, libraries: t.Sequence[str]) -> None:
    """Run the module again under a system Python that has all libraries; comes back where none has."""
    from ansible.module_utils.common.respawn import has_respawned, respawn_module

    if has_respawned():
        return
    for interpreter in SYSTEM_PYTHONS:
        if _has_libraries(module, interpreter, libraries):
            respawn_module(interpreter)


def _has_libraries(module: AnsibleModule, interpreter: str, libraries: t.Sequence[str]) -> bool:
    """Whether another interpreter has all libraries: ansible-core's own probe takes one name."""
    # A virtual environment's interpreter is a link to the system's, and sees other libraries: the path as called tells.
    if not os.access(interpreter, os.X_OK) or interpreter == sys.executable:
        return False
    probe = [interpreter, "-c", "\n".join(f"import {library}; {library}.__file__[0]" for library in libraries)]
    return bool(module.run_command(probe)[0] == 0)


def _advice() -> str:
    """What to run on a host that has no LXC, or not the libraries."""
    lacks = "" if _has_lxc() else "LXC itself is not installed either: "
    for program, packages in _INSTALL.items():
        if any(os.access(os.path.join(place, program), os.X_OK) for place in _PROGRAMS):
            return f"{lacks}run `{program} install {packages}`, or the role nomadic.lxc.lxc_host, on this host"
    return f"{lacks}install LXC, and its Python binding and voluptuous for the system's Python, on this host"


def _has_lxc() -> bool:
    """Whether LXC is on this host, with or without a binding for Python."""
    places = [*os.environ.get("PATH", "").split(os.pathsep), *_PROGRAMS]
    return any(os.access(os.path.join(place, "lxc-start"), os.X_OK) for place in places if place)


def _invocation(module: AnsibleModule) -> dict[str, t.Any]:
    """The parameters as Ansible shows them; of an environment only the names.

    Of a group only what was given: it has forty options for each of its tasks.
    """
    params = dict(module.params)
    if "tasks" in params:
        return {"module_args": _text.given(params, module.argument_spec)}
    if isinstance(params.get("environment"), dict):
        params["environment"] = {name: _text.HIDDEN for name in params["environment"]}
    return {"module_args": params}


def _warn(module: AnsibleModule, result: dict[str, t.Any]) -> None:
    for warning in result.pop("warnings", []):
        module.warn(warning)


def _fail(module: AnsibleModule, error: _errors.LxcTaskError) -> t.NoReturn:
    result = error.result if isinstance(error, _errors.GroupError) else {}
    _warn(module, result)
    module.fail_json(msg=str(error), errors=[str(it) for it in error.errors], invocation=_invocation(module), **result)
    raise AssertionError("fail_json does not return")
