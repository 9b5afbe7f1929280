# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in a value of an option, and what stands for one that is not shown."""

from __future__ import annotations

import typing as t

HIDDEN = "VALUE_HIDDEN"


def unprintable(params: t.Mapping[str, t.Any]) -> list[str]:
    """Options with a newline or NUL in a value: in an LXC configuration a newline begins a new key, a hook say.

    A carriage return does so too.
    """

    def bad(value: t.Any) -> bool:
        if isinstance(value, str):
            # What is printable has none of these, and nearly every value is.
            return not value.isprintable() and (any(char in value for char in "\n\r\0") or not _encodes(value))
        if isinstance(value, dict):
            return any(bad(key) or bad(item) for key, item in value.items())
        return isinstance(value, (list, tuple)) and any(bad(item) for item in value)

    # Between the tokens of JSON a newline says nothing; the handle's own reader judges what is in it.
    return [
        f"{name}: a newline, a NUL byte or an invalid character stands in its value: remove it"
        for name, value in params.items()
        if name != "handle" and bad(value)
    ]


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def given(params: t.Mapping[str, t.Any], spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Parameters as they were given, without what is there by default; of environments only the names."""
    shown: dict[str, t.Any] = {}
    for name, value in params.items():
        row = spec.get(name, {})
        if value is None or value == row.get("default"):
            continue
        if name == "environment" and isinstance(value, dict):
            value = {key: HIDDEN for key in value}
        elif row.get("options") and isinstance(value, list):
            value = [given(item, row["options"]) for item in value]
        shown[name] = value
    return shown
