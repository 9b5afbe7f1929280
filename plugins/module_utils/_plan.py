# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: from what is asked and what is, to the steps between. Pure: no host, no liblxc, no Ansible."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _command, _steps
from ansible_collections.nomadic.lxc.plugins.module_utils._declare import converge_task, create
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._needs import refuse_lacking
from ansible_collections.nomadic.lxc.plugins.module_utils._observed import Observed
from ansible_collections.nomadic.lxc.plugins.module_utils._options import Declared
from ansible_collections.nomadic.lxc.plugins.module_utils._record import Record
from ansible_collections.nomadic.lxc.plugins.module_utils._refusals import refuse
from ansible_collections.nomadic.lxc.plugins.module_utils._spec import TaskSpec
from ansible_collections.nomadic.lxc.plugins.module_utils._states import ABSENT
from ansible_collections.nomadic.lxc.plugins.module_utils._steps import Plan


def make_plan(spec: TaskSpec, seen: Observed, declared: Declared | None) -> Plan:
    """The steps from what is to what is asked. ``declared`` is given for a declaration. Raises LxcTaskError."""
    refuse(spec, seen)
    plan = _planned(spec, seen, declared)
    refuse_lacking(spec, seen, plan)
    return plan


def _planned(spec: TaskSpec, seen: Observed, declared: Declared | None) -> Plan:
    repair = _repair(seen)
    if spec.state == "absent":
        return _command.absent(spec, seen, repair)
    if declared is None or not spec.declares:
        return _command.command(spec, seen, repair)
    if seen.blocked is not None:
        raise LxcTaskError(f"{seen.blocked} is not a directory, and one of the task's has to be there: move it away")
    if seen.state == ABSENT:
        return create(spec, seen, declared, repair)
    return converge_task(spec, seen, declared, t.cast(Record, seen.record), repair)


def _repair(seen: Observed) -> list[_steps.Step]:
    """What a run that was cut off has left to do."""
    if seen.restorable:
        return [_steps.RestoreFormer("restore the former container")]
    if seen.half_made:
        return [_steps.RemoveHalfMade("remove a half-made container")]
    return [_steps.DropAside("remove the former container")] if seen.aside else []
