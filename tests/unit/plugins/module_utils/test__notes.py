# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of a call tell each other. Real processes."""

from __future__ import annotations

import os

from ansible_collections.nomadic.lxc.plugins.module_utils._notes import Notes


def told_by_child(notes: Notes, what: str, words: str) -> None:
    pid = os.fork()
    if pid == 0:
        notes.note(what, words)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_one_process_tells_the_others_know() -> None:
    notes = Notes()
    assert notes.of("image") is None
    told_by_child(notes, "image", "no more bricks:\n\u201cnone\u201d")
    told_by_child(notes, "other", "no network")
    assert notes.of("image") == "no more bricks:\n\u201cnone\u201d"
    assert notes.of("other") == "no network"
    assert notes.of("third") is None


def test_one_process_is_the_first_to_ask() -> None:
    notes = Notes()
    notes.note("other", "told")
    readable, writable = os.pipe()
    children = []
    for _number in range(8):
        pid = os.fork()
        if pid == 0:
            os.write(writable, b"1" if notes.first("image", str(os.getpid())) else b"0")
            os._exit(0)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    assert sorted(os.read(readable, 100)) == sorted(b"00000001")
    assert not notes.first("image", "web")
    assert notes.first("another", "web") and not notes.first("another", "db") and notes.first("another", "web")


def test_a_later_call_knows_nothing() -> None:
    Notes().note("image", "no more bricks")
    assert Notes().of("image") is None
