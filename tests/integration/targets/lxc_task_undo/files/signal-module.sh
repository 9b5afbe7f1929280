#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# signal-module.sh PID SIGNAL: sends the signal to the module that has called the template with this pid: the second Python
# process above it, for the first is the child in which the module lets liblxc work. Prints the pid of the module.
set -euo pipefail
process=$1 found=0
while [ "$found" -lt 2 ]; do
    process=$(awk '/^PPid:/ {print $2}' "/proc/$process/status")
    case "$(tr '\0' ' ' <"/proc/$process/cmdline")" in *python*) found=$((found + 1)) ;; esac
done
kill -"$2" "$process"
echo "$process"
