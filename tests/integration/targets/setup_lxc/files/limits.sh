#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# limits.sh PID: prints, as JSON, what the kernel's own files say of the container whose init has this pid on this host:
# the files, the memory limit in bytes (null: none) and the CPU weight on cgroup v1's scale, as far as it can be known.
# limits.sh PID memory|cpu VALUE: writes VALUE to the file.
set -euo pipefail
pid=$1

# The directory of a controller: on cgroup v1 its own hierarchy, else the unified one, cut behind the part that liblxc made.
directory() {
    local path point
    path=$(awk -F: -v name="$1" '{n = split($2, names, ","); for (i = 1; i <= n; i++) if (names[i] == name) print $3}' "/proc/$pid/cgroup")
    if [ -n "$path" ]; then
        point=$(awk -v name="$1" '/ - cgroup / {n = split($NF, names, ","); for (i = 1; i <= n; i++) if (names[i] == name) {print $5; exit}}' /proc/self/mountinfo)
    else
        path=$(awk -F: '$1 == 0 {print $3}' "/proc/$pid/cgroup")
        point=$(awk '/ - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
    fi
    # shellcheck disable=SC2001 # bash's own replacement has no groups
    echo "$point$(sed 's,\(/lxc\.payload\.[^/]*\).*,\1,' <<<"$path")"
}

memory_file=$(directory memory)/memory.limit_in_bytes
[ -e "$memory_file" ] || memory_file=$(directory memory)/memory.max
cpu_file=$(directory cpu)/cpu.shares
[ -e "$cpu_file" ] || cpu_file=$(directory cpu)/cpu.weight

if [ $# = 3 ]; then
    case "$2" in memory) file=$memory_file ;; cpu) file=$cpu_file ;; *) exit 1 ;; esac
    echo "$3" >"$file"
    exit
fi
memory=$(cat "$memory_file")
# No limit: "max" on v2, the largest number of whole pages on v1.
case "$memory" in max | 92233720368547*) memory=null ;; esac
cpu=$(cat "$cpu_file")
case "$cpu_file" in *cpu.weight) scale=weight ;; *) scale=shares ;; esac
printf '{"memory": %s, "cpu": %s, "scale": "%s", "memory_file": "%s", "cpu_file": "%s"}\n' "$memory" "$cpu" "$scale" "$memory_file" "$cpu_file"
