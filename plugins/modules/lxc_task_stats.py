# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks use, sampled from their control groups."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lxc_task_stats
"""

from ansible_collections.nomadic.lxc.plugins.module_utils._module import run
from ansible_collections.nomadic.lxc.plugins.module_utils._sampling import ARGUMENT_SPEC, stats


def main() -> None:
    """Run the module; all of it is in module_utils."""
    run(ARGUMENT_SPEC, stats)


if __name__ == "__main__":
    main()
