# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations: numbers of seconds or Go's ``1m30s``, in nanoseconds inside, as Nomad keeps them."""

from __future__ import annotations

import re
from decimal import Decimal

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors

SECOND = 1_000_000_000
# Go's time.Duration is a signed 64-bit number of nanoseconds.
LONGEST = 2**63 - 1
UNITS = {"ns": 1, "us": 1_000, "\u00b5s": 1_000, "\u03bcs": 1_000, "ms": 1_000_000}
UNITS.update({"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND})

# Nomad's defaults, and its GetKillTimeout's fallbacks for values of zero or less.
DEFAULT_KILL_TIMEOUT = 5 * SECOND
LEAST_KILL_TIMEOUT = 1 * SECOND
FALLBACK_MAX_KILL_TIMEOUT = 10 * SECOND

_DECIMAL = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_SECONDS = re.compile(rf"[+-]?{_DECIMAL}(?:[eE][+-]?[0-9]{{1,4}})?")
_TERM = re.compile(rf"({_DECIMAL})(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_GO = re.compile(rf"([+-]?)((?:{_DECIMAL}(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)")


def parse_duration(text: str) -> int:
    """Nanoseconds of a number of seconds (``5``, ``0.5``) or of a Go duration (``1m30s``, ``500ms``; time.ParseDuration).

    Raises LxcTaskError for anything else, and for what does not fit into 64 bits.
    """
    word = text.strip()
    if _SECONDS.fullmatch(word):
        nanoseconds = Decimal(word) * SECOND
    else:
        match = _GO.fullmatch(word)
        if match is None:
            raise _errors.LxcTaskError(
                f"invalid duration '{text}': give seconds (5, 0.5) or a Go duration (1m30s, 500ms)"
            )
        nanoseconds = sum((Decimal(n) * UNITS[unit] for n, unit in _TERM.findall(match[2])), Decimal(0))
        if match[1] == "-":
            nanoseconds = -nanoseconds
    if abs(nanoseconds) > LONGEST:
        raise _errors.LxcTaskError(f"invalid duration '{text}': longer than 292 years")
    return int(nanoseconds)


def seconds(nanoseconds: int) -> int | float:
    """Seconds for a user: whole ones as an integer."""
    whole, rest = divmod(nanoseconds, SECOND)
    return whole if rest == 0 else nanoseconds / SECOND


def effective_kill_timeout(desired: int, maximum: int) -> int:
    """How long a shutdown may take, by Nomad's GetKillTimeout: nanoseconds in, nanoseconds out.

    A desired time of zero or less is one second, a ceiling of zero or less ten; the desired time stands below the ceiling.
    """
    wanted = desired if desired > 0 else LEAST_KILL_TIMEOUT
    ceiling = maximum if maximum > 0 else FALLBACK_MAX_KILL_TIMEOUT
    return min(wanted, ceiling)
