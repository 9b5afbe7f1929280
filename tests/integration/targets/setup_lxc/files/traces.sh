#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# traces.sh FOLDER PREFIX: prints everything there is of a target's containers: nothing, when all are gone. FOLDER is the
# target's, with lxc, alloc and data in it; PREFIX is what its containers' names begin with.
set -euo pipefail
folder=$1 prefix=$2

[ ! -d "$folder/lxc" ] || find "$folder/lxc" -mindepth 1 -maxdepth 2 -printf 'container %p\n'
[ ! -d "$folder/alloc" ] || find "$folder/alloc" -mindepth 1 -printf 'directory %p\n'
awk -v folder="$folder/" 'index($5, folder) == 1 {print "mount " $5}' /proc/self/mountinfo
find /run/lock/nomadic-lxc -name "*-$prefix*" -printf 'lock %p\n' 2>/dev/null || true
# A control group that goes while find looks at it is somebody else's.
find /sys/fs/cgroup -type d \( -name "lxc.payload.$prefix*" -o -name "lxc.monitor.$prefix*" \) -printf 'cgroup %p\n' -prune 2>/dev/null || true
for process in /proc/[0-9]*; do
    command=$({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null) || continue
    case "$command" in "[lxc monitor] $folder/"*) echo "monitor ${process#/proc/} $command" ;; esac
done
