# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waiting asks of the host: each task anew, and what its hook told of its end."""

from __future__ import annotations

import os

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _kept, _liblxc, _select, _states, _view


class Watcher:
    """What waiting for selected tasks asks of the host."""

    def __init__(self, wanted: _select.Selection, containers: _liblxc.Containers) -> None:
        self._wanted = wanted
        self._containers = containers

    def look(self, name: str) -> _view.TaskView:
        """A task as it is now; absent, if it was removed."""
        try:
            return _select.look(name, _select.record_of(name, self._wanted), self._wanted, self._containers)
        except _errors.LxcTaskError:
            if os.path.isfile(self._containers.config_file(name)):
                raise
            return _select.look(name, None, self._wanted, self._containers)

    def tells(self, view: _view.TaskView) -> bool:
        """Whether a hook of ours will tell of its end."""
        return any(key == "lxc.hook.stop" and _kept.EXIT_FILE in value for key, value in view.lines)

    def told(self, view: _view.TaskView) -> _view.TaskView | None:
        """What the hook told of the end of this run: the task stopped, or unchanged if it reboots; None before that."""
        directory = self._containers.directory(view.container_name)
        ended = _kept.read_end(directory)
        if ended is None or ended.init != view.init:
            return None
        if ended.rebooted:
            return view
        return view._replace(
            state=_states.STOPPED,
            init=None,
            ended=_kept.read_exit(directory, _select.record_of(view.container_name, self._wanted)),
        )
