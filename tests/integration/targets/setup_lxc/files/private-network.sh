#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# private-network.sh: succeeds if this runs in a network namespace that was made for the tests: one of its ancestors, up to
# the host's init, is in another. (Where the host's init can't be looked at, the one that made the namespace can.) The machine
# of scripts/debian13 is the tests' as a whole, and its network ends in a private namespace: its image says so by a file.
set -euo pipefail
[ ! -e /etc/nomadic-lxc-test-machine ] || exit 0
own=$(readlink /proc/self/ns/net)
process=$$
while [ "$process" -gt 0 ]; do
    process=$(awk '/^PPid:/ {print $2}' "/proc/$process/status")
    other=$(readlink "/proc/$process/ns/net" 2>/dev/null) || continue
    [ "$other" = "$own" ] || exit 0
done
echo "This is the host's own network namespace. Run the targets by scripts/test, which makes a private one." >&2
exit 1
