#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# kill-caller.sh PID all|module: kills what has called the template with this pid, that is, Python processes: all of them, or all but the
# nearest, which is the child in which the module lets liblxc work. The farthest is killed first: none may see another die, and undo
# what it did. Prints how many it killed.
set -euo pipefail
process=$1
callers=()
while :; do
    process=$(awk '/^PPid:/ {print $2}' "/proc/$process/status")
    [ "$process" -gt 1 ] || break
    case "$(tr '\0' ' ' <"/proc/$process/cmdline")" in *python*) callers=("$process" "${callers[@]}") ;; *) break ;; esac
done
[ "$2" = all ] || unset 'callers[-1]'
kill -KILL "${callers[@]}"
echo "${#callers[@]}"
