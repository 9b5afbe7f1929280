#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# kill-module.sh FOLDER all|callers PATH: waits until PATH is there, and kills the Python processes that have FOLDER as their TMPDIR:
# all of them, or all but those that another of them has forked, which work. Prints how many it killed.
set -euo pipefail
folder=${1:?} victims=${2:?} path=${3:?}
for _ in $(seq 6000); do
    [ ! -e "$path" ] || break
    sleep 0.01
done
declare -A command parent
for process in /proc/[0-9]*; do
    [[ "$(readlink "$process/exe" 2>/dev/null)" = *python* ]] || continue
    tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qxF "TMPDIR=$folder" || continue
    # Any may have ended since.
    words=$(tr '\0' ' ' <"$process/cmdline") || continue
    above=$(awk '/^PPid:/ {print $2}' "$process/status") || continue
    command[${process#/proc/}]=$words
    parent[${process#/proc/}]=$above
done 2>/dev/null
killed=0
for process in "${!command[@]}"; do
    above=${parent[$process]}
    [ "$victims" = all ] || [ "${command[$process]}" != "${command[$above]:-}" ] || continue
    ! kill -KILL "$process" 2>/dev/null || killed=$((killed + 1))
done
echo "$killed"
