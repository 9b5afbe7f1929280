# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of times over numbers of tasks, both on logarithmic scales, as SVG. Pure."""

from __future__ import annotations

import math
import typing as t
from xml.sax.saxutils import escape

# By name: (number, seconds).
Series = t.Mapping[str, t.Sequence[tuple[int, float]]]

WIDTH, HEIGHT = 760, 470
LEFT, RIGHT, TOP, BOTTOM = 64, 250, 44, 54
COLOURS = ("#0b6e4f", "#c1292e", "#235789", "#8a5a00", "#6b4e9b", "#555555")
LICENCE = (
    "Copyright (c) nomadic.lxc contributors\n"
    "GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
    # In two, so that no licence checker reads on behind it.
    "SPDX-License-" + "Identifier: GPL-3.0-or-later"
)


def _decades(low: float, high: float) -> list[float]:
    """The powers of ten that hold a range between them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _label(value: float) -> str:
    return f"{value:g}"


def chart(title: str, series: Series) -> str:
    """The picture. Every series has its own colour and mark, and its name stands at the right."""
    points = [point for every in series.values() for point in every]
    across, up = _decades(1, max(point[0] for point in points)), _decades(*_range([point[1] for point in points]))

    def x(number: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(number / across[0]) / math.log10(across[-1] / across[0])

    def y(took: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log10(took / up[0]) / math.log10(up[-1] / up[0])

    lines = [
        f"<!--\n{LICENCE}\n-->",
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
            f' role="img" aria-label="{escape(title)}">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
    ]
    for number in across:
        lines += [
            f'<line x1="{x(number):.1f}" y1="{TOP}" x2="{x(number):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#dddddd"/>',
            f'<text x="{x(number):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_label(number)}</text>',
        ]
    for took in up:
        lines += [
            f'<line x1="{LEFT}" y1="{y(took):.1f}" x2="{WIDTH - RIGHT}" y2="{y(took):.1f}" stroke="#dddddd"/>',
            f'<text x="{LEFT - 8}" y="{y(took) + 4:.1f}" text-anchor="end">{_label(took)} s</text>',
        ]
    lines.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 14}" text-anchor="middle">tasks</text>')
    for place, (name, found) in enumerate(series.items()):
        colour, row = COLOURS[place % len(COLOURS)], TOP + 10 + 22 * place
        path = " ".join(f"{x(number):.1f},{y(took):.1f}" for number, took in found)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x(number):.1f}" cy="{y(took):.1f}" r="3" fill="{colour}"/>' for number, took in found]
        lines += [
            f'<rect x="{WIDTH - RIGHT + 16}" y="{row - 9}" width="12" height="12" fill="{colour}"/>',
            f'<text x="{WIDTH - RIGHT + 34}" y="{row + 1}">{escape(name)}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _range(values: t.Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)
