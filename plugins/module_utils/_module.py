# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only user of AnsibleModule: spec, observe, plan, apply, report; dependencies; errors caught once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.respawn import has_respawned, respawn_module

from ansible_collections.nomadic.lxc.plugins.module_utils._options import HIDDEN
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import ARGUMENT_SPEC

if t.TYPE_CHECKING:
    from ansible_collections.nomadic.lxc.plugins.module_utils._observed import Observed
    from ansible_collections.nomadic.lxc.plugins.module_utils._plan import Plan
    from ansible_collections.nomadic.lxc.plugins.module_utils._report import TaskView
    from ansible_collections.nomadic.lxc.plugins.module_utils._spec import TaskSpec

LIBRARIES = ("lxc", "voluptuous")
# Where a distribution's own packages for Python are.
SYSTEM_PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/usr/bin/python")


def run_task() -> None:
    """The module lxc_task."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _prepare(module)
    from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError

    try:
        result = converge(module.params, module.check_mode)
    except LxcTaskError as error:
        _fail(module, error)
    except Exception as error:  # pylint: disable=broad-except
        module.fail_json(
            msg=f"nomadic.lxc has a fault of its own, please report it: {type(error).__name__}: {error}",
            exception=traceback.format_exc(),
            invocation=_invocation(module),
        )
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result, invocation=_invocation(module))


def _prepare(module: AnsibleModule) -> None:
    """Root and the libraries are needed before anything is done."""
    # Ansible would hide every occurrence of a variable's value in all that is returned, a pid that holds a "1" too. The
    # values stand nowhere in it; the log of the invocation, written by now, has left them out.
    module.no_log_values.clear()
    if os.geteuid() != 0:
        module.fail_json(
            msg="LXC tasks are made and changed by root, and this is another user: use become",
            invocation=_invocation(module),
        )
    missing = _missing()
    if not missing:
        return
    if not has_respawned():
        for interpreter in SYSTEM_PYTHONS:
            if _has_libraries(interpreter):
                respawn_module(interpreter)
    module.fail_json(msg=missing_required_lib(missing), invocation=_invocation(module))


def _missing() -> str | None:
    """The first library that this interpreter lacks."""
    for library in LIBRARIES:
        try:
            __import__(library)
        except ImportError:
            return library
    return None


def _has_libraries(interpreter: str) -> bool:
    """Whether another interpreter has all libraries: ansible-core's own probe takes one name."""
    # A virtual environment's interpreter is a link to the system's, and sees other libraries: the path as called tells.
    if not os.access(interpreter, os.X_OK) or interpreter == sys.executable:
        return False
    probe = [interpreter, "-c", "import " + ", ".join(LIBRARIES)]
    return subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _invocation(module: AnsibleModule) -> dict[str, t.Any]:
    """The parameters as Ansible shows them; of the environment only the names."""
    params = dict(module.params)
    if isinstance(params.get("environment"), dict):
        params["environment"] = {name: HIDDEN for name in params["environment"]}
    return {"module_args": params}


def _fail(module: AnsibleModule, error: t.Any) -> t.NoReturn:
    module.fail_json(msg=str(error), errors=[str(it) for it in error.errors], invocation=_invocation(module))
    raise AssertionError("fail_json does not return")


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """One call on one task, from its parameters to its result. Raises LxcTaskError."""
    from ansible_collections.nomadic.lxc.plugins.module_utils import _lock, _runtime
    from ansible_collections.nomadic.lxc.plugins.module_utils._errors import OptionsError
    from ansible_collections.nomadic.lxc.plugins.module_utils._spec import parse_task

    spec, faults = parse_task(params, _runtime.default_lxc_path())
    if spec is None:
        raise OptionsError(faults)
    lock: t.ContextManager[int | None] = contextlib.nullcontext()
    if not check_mode and not faults:
        file = _lock.lock_file("task", spec.container_name, spec.lxc_path)
        lock = _lock.held(file, f"container {spec.container_name}")
    with lock as descriptor:
        return _locked(spec, faults, _runtime.Runtime(spec.lxc_path, descriptor, spec.options["environment"].values()), check_mode)


def _locked(spec: TaskSpec, faults: list[str], runtime: t.Any, check_mode: bool) -> dict[str, t.Any]:
    from ansible_collections.nomadic.lxc.plugins.module_utils import _options
    from ansible_collections.nomadic.lxc.plugins.module_utils._apply import Outcome, alloc_lock, apply
    from ansible_collections.nomadic.lxc.plugins.module_utils._errors import OptionsError
    from ansible_collections.nomadic.lxc.plugins.module_utils._observe import observe
    from ansible_collections.nomadic.lxc.plugins.module_utils._plan import declare, make_plan
    from ansible_collections.nomadic.lxc.plugins.module_utils._report import task_dict
    from ansible_collections.nomadic.lxc.plugins.module_utils._runtime import refused_lines

    spec, seen = observe(spec, runtime)
    declared = None
    if spec.declares:
        declared, more = declare(spec, seen)
        # liblxc judges the lines of options that are right by themselves.
        faults = [*faults, *more] or [_refused(pair) for pair in refused_lines(_options.block(declared))]
    if faults:
        raise OptionsError(faults)
    plan = make_plan(spec, seen, declared)
    outcome = Outcome()
    if not check_mode and plan.changed:
        with alloc_lock(spec):
            outcome = apply(plan.steps, spec, seen, runtime)
        after = observe(spec, runtime)[1]
    else:
        after = seen
    task = task_dict(_view(spec, after, plan, check_mode))
    result = {
        "changed": plan.changed,
        "actions": plan.actions,
        "diff": {"before": plan.before, "after": plan.after},
        "handle": task["handle"],
        "task": task,
        "forced": outcome.forced,
        "warnings": list(plan.warnings),
        "ansible_facts": {"lxc_task": task},
    }
    if spec.verbose:
        result["template_output"] = outcome.template_output
    return result


def _refused(pair: tuple[str, str]) -> str:
    key, value = pair
    if key == "lxc.environment":
        return f"environment: liblxc does not take the variable {value.partition('=')[0]!r}"
    return f"liblxc does not take {key} = {value}: see lxc.container.conf(5)"


def _view(spec: TaskSpec, seen: Observed, plan: Plan, check_mode: bool) -> TaskView:
    """The task as it is now, or in check mode as it would be."""
    from ansible_collections.nomadic.lxc.plugins.module_utils import _config
    from ansible_collections.nomadic.lxc.plugins.module_utils._report import TaskView

    options = spec.options if spec.declares else (seen.record.options if seen.record is not None else {})
    state = plan.state if check_mode else seen.state
    init = None if check_mode and (plan.starts or plan.stops) else seen.init
    kill_timeout = spec.options["kill_timeout"]
    if not spec.declares:
        kill_timeout = spec.effective_kill_timeout(options.get("kill_timeout"))
    lines: t.Sequence[tuple[str, str]] = _config.parse(seen.config)
    if check_mode and plan.lines:
        lines = plan.lines
    return TaskView(
        name=spec.name,
        alloc_id=spec.alloc_id,
        container_name=spec.container_name,
        lxc_path=spec.lxc_path,
        state=state,
        init=init,
        layout=spec.layout,
        lines=lines if state != "absent" else (),
        memory_mb=options.get("memory_mb"),
        cpu_shares=options.get("cpu_shares"),
        kill_timeout=kill_timeout,
        cgroup_version=seen.cgroup_version,
        created_at=seen.record.created_at if seen.record is not None else None,
    )
