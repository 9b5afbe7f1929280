# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of directories for tests, deeper than a path can name, and than Python calls itself."""

from __future__ import annotations

import contextlib
import os
import typing as t
from pathlib import Path

_DOWN = "down"


def dig(top: Path, levels: int) -> None:
    """Make a directory with so many below it, each in the one before."""
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir(_DOWN, dir_fd=here)
        below = os.open(_DOWN, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def levels(top: Path) -> t.Iterator[int]:
    """The directories that dig has made, the top first: a descriptor each, until the next is asked for."""
    here = os.open(top, os.O_RDONLY)
    with contextlib.suppress(FileNotFoundError):
        while True:
            yield here
            try:
                below = os.open(_DOWN, os.O_RDONLY, dir_fd=here)
            finally:
                os.close(here)
            here = below
