# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a task, and what is known of its end."""

from __future__ import annotations

import typing as t

# The states of a task. liblxc's others pass by (STARTING, STOPPING, ABORTING, FREEZING, THAWED).
ABSENT = "absent"
STOPPED = "stopped"
RUNNING = "running"
FROZEN = "frozen"


class Exit(t.NamedTuple):
    """What is known of a task's end. ``ended_at``: ISO 8601, UTC; ``oom_killed``: None where the kernel did not tell."""

    ended_at: str
    oom_killed: bool | None
