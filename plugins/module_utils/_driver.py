# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Nomad's LXC driver told a node of itself, and the facts of a call: true of these tasks and of the host. Pure."""

from __future__ import annotations

import typing as t

# Abilities and FSIsolation of Nomad's driver.
ABILITIES = {"send_signals": False, "exec": False, "fs_isolation": "image"}


def fingerprint(version: str, enabled: bool, volumes_enabled: bool) -> dict[str, str]:
    """The attributes by which Nomad's driver told a node of itself; empty where it is disabled or LXC is not there."""
    if not enabled or not version:
        return {}
    found = {"driver.lxc": "1", "driver.lxc.version": version}
    if volumes_enabled:
        found["driver.lxc.volumes.enabled"] = "1"
    return found


def result(tasks: list[dict[str, t.Any]], driver: dict[str, str], images: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """The module's result: what is true of these tasks and of the host."""
    return {
        "changed": False,
        "tasks": tasks,
        "images": images,
        "ansible_facts": {
            "lxc_tasks": {task["container_name"]: task for task in tasks},
            "lxc_images": images,
            "lxc_driver": driver,
            "lxc_driver_abilities": dict(ABILITIES),
        },
    }
