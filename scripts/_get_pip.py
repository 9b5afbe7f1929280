# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the pip bootstrap script that ansible-test would download: the pip that comes with Python does as well.

It is run as that script is, with the options and packages of a `pip install`, in an empty virtual environment.
"""

from __future__ import annotations

import subprocess
import sys

# Options that the bootstrap script alone knows.
BOOTSTRAP_OPTIONS = ("--no-setuptools", "--no-wheel")


def main() -> int:
    """Install pip, then what the command line asks for; returns the exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument not in BOOTSTRAP_OPTIONS]
    subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True)
    return subprocess.run([sys.executable, "-m", "pip", "install", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
