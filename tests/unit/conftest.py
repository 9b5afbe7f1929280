# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all unit tests have in common."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A busy host is no fault of an example; a failing one is printed, and is kept nowhere in the tree.
settings.register_profile("nomadic.lxc", deadline=None, database=None, print_blob=True)
# For the same tests under many versions of libraries.
settings.register_profile("few", settings.get_profile("nomadic.lxc"), max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "nomadic.lxc"))


@pytest.fixture(scope="session")
def plugin_loader() -> None:
    """What a command of Ansible does before it loads a plugin."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
