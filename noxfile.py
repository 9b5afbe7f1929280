# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate, as nox sessions: those of antsibull-nox, which antsibull-nox.toml configures, and our own around scripts/test.

antsibull-nox has sessions around ansible-test, too, but they fetch ansible-core from a repository, and start containers of
their own. Ours call scripts/test, which installs a release of ansible-core, has ansible-test do sanity and integration, and pytest
the unit tests under each Python, and makes the private network that our containers need.
"""

# /// script
# dependencies = ["nox>=2025.02.09", "antsibull-nox>=1.10.0"]
# ///

from __future__ import annotations

import sys

import nox

try:
    import antsibull_nox
except ImportError:
    print("Install antsibull-nox in the Python environment of nox: see tests/requirements-gates.txt.")
    sys.exit(1)

# What the collection supports, as meta/runtime.yml says.
CORES = ("2.19", "2.20", "2.21")

antsibull_nox.load_antsibull_nox_toml()


def ansible_test(lane: str, core: str) -> None:
    """Add the session ``LANE-CORE``: a lane of scripts/test with this ansible-core. Arguments after ``--`` are integration's targets."""
    # The lane without a version is that of the oldest. The unit tests with a newer one are pairs of it with each Python.
    name = lane if core == CORES[0] else f"{'pairs' if lane == 'units' else lane}-{core}"

    def run(session: nox.Session) -> None:
        targets = ["--", *session.posargs] if session.posargs else []
        session.run("bash", "scripts/test", name, *targets, external=True)

    run.__doc__ = f"Run the lane '{name}' of scripts/test, with ansible-core {core}."
    nox.session(name=f"{lane}-{core}", python=False, default=False)(run)


for core in CORES:
    for lane in ("sanity", "units", "integration"):
        ansible_test(lane, core)


@nox.session(python=False, default=False)
def release(session: nox.Session) -> None:
    """Write the changelog of galaxy.yml's version and build its tarball. Arguments after ``--`` are scripts/release's."""
    session.run("bash", "scripts/release", *session.posargs, external=True)


if __name__ == "__main__":
    nox.main()
