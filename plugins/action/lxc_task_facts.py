# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run as all modules of this collection are."""

from __future__ import annotations

from ansible_collections.nomadic.lxc.plugins.action.lxc_task import ActionModule

__all__ = ["ActionModule"]
