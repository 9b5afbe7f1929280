# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the attributes that the modules of this collection have; each module adds its own support."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by name: ``nomadic.lxc.attributes``, ``nomadic.lxc.attributes.common`` and ``.actiongroup_lxc``."""

    # What the words mean. A module that uses this states `support` for both by itself.
    DOCUMENTATION = r"""
---
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and tell what it would change, without changing anything.
  diff_mode:
    description: Returns what has changed, or would change in C(check_mode), when in diff mode.
"""

    # What is the same for every module of the collection.
    COMMON = r"""
---
options: {}
attributes:
  platform:
    description: The operating systems that the module can manage.
    support: full
    platforms: linux
"""

    # For the members of the action group. One section for each group: that is how the group's members are checked.
    ACTIONGROUP_LXC = r"""
---
options: {}
attributes:
  action_group:
    description: Use C(group/nomadic.lxc.lxc) in C(module_defaults) to set options for all modules of the collection.
    support: full
    membership:
      - nomadic.lxc.lxc
"""
