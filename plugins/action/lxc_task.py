# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's own way to run a module, quicker: for all modules of this collection, which have it by their names."""

from __future__ import annotations

import gc
import typing as t

from ansible.plugins.action.normal import ActionModule as NormalActionModule


class ActionModule(NormalActionModule):  # type: ignore[misc] # Ansible declares no types
    """Runs the module with Python's collector of garbage held off, the first time in a process.

    Ansible reads every file that a module imports for what it imports in turn, in a process that ends with the task. The syntax
    trees that it leaves behind have cycles (module_common.py, ModuleDepFinder): the collector goes over them again and again, which
    takes about as long as the reading itself. They are some 20 MiB for all of our files. In a loop, it packs a module once.

    And what does not leave this host is not compressed: to compress all files here, and to decompress them
    in the module, takes several times as long as to copy what that saves. For ping, which has half as many, it hardly matters.

    Where a site has an action plugin ``normal`` of its own, these modules run without it.
    """

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        """The module's result."""
        first = gc.isenabled() and not gc.get_freeze_count()
        if first:
            gc.disable()
        try:
            return t.cast("dict[str, t.Any]", super().run(tmp, self._packing(task_vars)))
        finally:
            if first:
                # Nor does it go over them afterwards.
                gc.freeze()
                gc.enable()

    def _packing(self, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any] | None:
        """The variables, of which Ansible takes one to pack the module."""
        if self._connection.transport != "local":
            return task_vars
        return {**(task_vars or {}), "ansible_module_compression": "ZIP_STORED"}
