# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that all modules have: which task, and what an operator sets once for all of them. As Ansible reads them."""

from __future__ import annotations

import typing as t

Argument = dict[str, t.Any]

IDENTITY: dict[str, Argument] = {"name": {"type": "str"}, "alloc_id": {"type": "str"}, "handle": {"type": "json"}}

# What an operator sets in the module_defaults of the action group.
POLICY: dict[str, Argument] = {
    "lxc_path": {"type": "path"},
    "alloc_dir": {"type": "path", "default": "/var/lib/nomadic-lxc/alloc"},
    "volumes_enabled": {"type": "bool", "default": True},
    "max_kill_timeout": {"type": "str", "default": "30s"},
    "network_mode": {"type": "str", "default": "host", "choices": ["host", "bridge", "empty"]},
    "network_link": {"type": "str", "default": "lxcbr0"},
    "host_network_admin": {"type": "bool", "default": False},
    "default_config": {"type": "path"},
}
