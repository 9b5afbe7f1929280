# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor of a call of lxc_task_group: what is sent and loaded is the same, and the answer comes from a file."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _bytecode

# As lxc_task_group does.
# isort: split
from ansible_collections.nomadic.lxc.plugins.module_utils import _converge_group, _group, _liblxc, _module

SPEC: dict[str, dict[str, t.Any]] = {"file": {"type": "path"}}

# What it stands for, which is loaded and not called.
CALLS = (_group.expand, _converge_group.converge_group)


def answer(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
    """What the module returned that is to be compared."""
    _liblxc.default_lxc_path()
    with open(params["file"], encoding="utf-8") as file:
        return t.cast("dict[str, t.Any]", json.load(file))


def main() -> None:
    """Run the module."""
    _bytecode.loaded()
    _module.run(SPEC, answer)


if __name__ == "__main__":
    main()
