# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waiting asks of the host: each task anew, and what its hook told of its end."""

from __future__ import annotations

import os
from dataclasses import replace

from ansible_collections.nomadic.lxc.plugins.module_utils import _kept
from ansible_collections.nomadic.lxc.plugins.module_utils._errors import LxcTaskError
from ansible_collections.nomadic.lxc.plugins.module_utils._liblxc import Containers
from ansible_collections.nomadic.lxc.plugins.module_utils._select import Selection, look, record_of
from ansible_collections.nomadic.lxc.plugins.module_utils._states import STOPPED
from ansible_collections.nomadic.lxc.plugins.module_utils._view import TaskView


class Watcher:
    """What waiting for selected tasks asks of the host."""

    def __init__(self, wanted: Selection, containers: Containers) -> None:
        self._wanted = wanted
        self._containers = containers

    def look(self, name: str) -> TaskView:
        """A task as it is now; absent, if it was removed."""
        try:
            return look(name, record_of(name, self._wanted), self._wanted, self._containers)
        except LxcTaskError:
            if os.path.isfile(self._containers.config_file(name)):
                raise
            return look(name, None, self._wanted, self._containers)

    def tells(self, view: TaskView) -> bool:
        """Whether a hook of ours will tell of its end."""
        return any(key == "lxc.hook.stop" and _kept.EXIT_FILE in value for key, value in view.lines)

    def told(self, view: TaskView) -> TaskView | None:
        """What the hook told of the end of this run: the task stopped, or unchanged if it reboots; None before that."""
        directory = self._containers.directory(view.container_name)
        ended = _kept.read_end(directory)
        if ended is None or ended.init != view.init:
            return None
        if ended.rebooted:
            return view
        return replace(
            view,
            state=STOPPED,
            init=None,
            ended=_kept.read_exit(directory, record_of(view.container_name, self._wanted)),
        )
