# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of a call tell each other of failures. Real processes."""

from __future__ import annotations

import os

from ansible_collections.nomadic.lxc.plugins.module_utils._failures import Failures


def told_by_child(failures: Failures, what: str, words: str) -> None:
    pid = os.fork()
    if pid == 0:
        failures.note(what, words)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_one_process_tells_the_others_know() -> None:
    failures = Failures()
    assert failures.of("image") is None
    told_by_child(failures, "image", "no more bricks:\n\u201cnone\u201d")
    told_by_child(failures, "other", "no network")
    assert failures.of("image") == "no more bricks:\n\u201cnone\u201d"
    assert failures.of("other") == "no network"
    assert failures.of("third") is None


def test_a_later_call_knows_nothing() -> None:
    Failures().note("image", "no more bricks")
    assert Failures().of("image") is None
