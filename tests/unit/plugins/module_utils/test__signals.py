# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that end a module: when they come, and when they wait."""

from __future__ import annotations

import os
import signal

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils import _signals


def hit(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", _signals.ENDING)
def test_each_of_them_interrupts(number: int) -> None:
    before = signal.getsignal(number)
    with _signals.interruptible(), pytest.raises(_signals.Interrupted, match=f"signal {int(number)}"):
        hit(number)
    assert signal.getsignal(number) is before


def test_within_another_it_stays_so() -> None:
    with pytest.raises(_signals.Interrupted), _signals.interruptible():
        with _signals.interruptible():
            pass
        hit()


def test_what_is_held_comes_at_the_end_of_all() -> None:
    done: list[int] = []
    with pytest.raises(_signals.Interrupted), _signals.interruptible(), _signals.held():
        with _signals.held():
            hit()
        done.append(1)
    assert done == [1]


def test_a_second_one_is_not_heard() -> None:
    with _signals.interruptible():
        with pytest.raises(_signals.Interrupted):
            hit()
        for number in _signals.ENDING:
            hit(number)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_is_forgotten_never_comes() -> None:
    with _signals.interruptible(), _signals.held():
        hit()
        hit(signal.SIGHUP)
        _signals.forget()


def test_who_holds_them_can_hear_them() -> None:
    with _signals.interruptible(), _signals.held():
        with pytest.raises(_signals.Interrupted), _signals.heard():
            hit()
        hit()
        _signals.forget()


@pytest.mark.parametrize("forgotten", [False, True])
def test_what_was_done_for_a_part_is_still_asked_of_all(forgotten: bool) -> None:
    """And once that is done it is over."""
    with _signals.interruptible():
        _signals.check()
        if forgotten:
            with _signals.held():
                hit(signal.SIGHUP)
                _signals.forget()
        else:
            with pytest.raises(_signals.Interrupted):
                hit(signal.SIGHUP)
        for _time in range(2):
            with pytest.raises(_signals.Interrupted, match=f"signal {int(signal.SIGHUP)}"):
                _signals.check()
    _signals.check()


def test_for_what_comes_after_it_was_not_meant() -> None:
    with _signals.interruptible():
        with pytest.raises(_signals.Interrupted):
            hit()
        _signals.over()
        _signals.check()
