#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# remove-all.sh FOLDER: removes by force what a target has left in its folder: containers, mounts, files.
set -euo pipefail
folder=${1:?}
case "$folder" in */nomadic-lxc-test-*) ;; *) exit 1 ;; esac

killed=
for process in /proc/[0-9]*; do
    command=$({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null) || continue
    case "$command" in
    "[lxc monitor] $folder/"*)
        # Its children are the container's init, with which everything in the container ends.
        children=$(cat "$process/task/${process#/proc/}/children" 2>/dev/null) || continue
        # shellcheck disable=SC2086 # they are several
        kill -KILL "${process#/proc/}" $children 2>/dev/null || true
        killed="$killed ${command##*/lxc }"
        ;;
    esac
done
[ -z "$killed" ] || sleep 1
for name in $killed; do
    find /sys/fs/cgroup -depth \( -path "*/lxc.payload.$name*" -o -path "*/lxc.monitor.$name*" \) -type d -exec rmdir {} + 2>/dev/null || true
done
awk -v folder="$folder/" 'index($5, folder) == 1 {print $5}' /proc/self/mountinfo | sort -r | while IFS= read -r point; do
    umount --lazy "$(printf '%b' "${point//\\/\\0}")"
done
rm -rf --one-file-system "$folder"
