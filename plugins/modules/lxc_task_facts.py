# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks as they are, the host's abilities, and waiting for a task's end or start."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lxc_task_facts
"""

from ansible_collections.nomadic.lxc.plugins.module_utils._facts import ARGUMENT_SPEC, facts, without_lxc
from ansible_collections.nomadic.lxc.plugins.module_utils._module import run


def main() -> None:
    """Run the module; all of it is in module_utils."""
    run(ARGUMENT_SPEC, facts, without_lxc)


if __name__ == "__main__":
    main()
