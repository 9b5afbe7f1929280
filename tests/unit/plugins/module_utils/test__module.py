# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module logs."""

from __future__ import annotations

import pytest
from ansible.module_utils import basic
from ansible_collections.nomadic.lxc.plugins.module_utils import _module


def test_the_log_gets_what_syslog_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _self, msg, _log_args=None: logged.append(msg))
    module = object.__new__(_module._Module)
    module.log("name=a\0b\udc80 \u00e9")
    assert logged == ["name=a\\0b\\udc80 \u00e9"]
    logged[0].encode("utf-8")
