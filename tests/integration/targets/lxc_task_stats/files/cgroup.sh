#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cgroup.sh PID find CONTROLLER FILE...: prints the path of the container's own cgroup's file, the first that is there.
# cgroup.sh PID read CONTROLLER FILE...: prints what is in it.
# cgroup.sh PID move: puts the container's init into a child of its own cgroup, in every hierarchy, as systemd does inside.
set -euo pipefail
pid=$1 action=$2

# The directory of each hierarchy, cut behind the part that liblxc made: its controllers, a blank, the directory.
directories() {
    local controllers path point
    while IFS=: read -r _ controllers path; do
        if [ -n "$controllers" ]; then
            point=$(awk -v names="$controllers" '/ - cgroup / && index("," $NF ",", "," names ",") {print $5; exit}' /proc/self/mountinfo)
        else
            point=$(awk '/ - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
        fi
        [[ ! $path =~ ^(.*/lxc\.payload\.[^/]*) ]] || path=${BASH_REMATCH[1]}
        [ -z "$point" ] || echo "${controllers:-unified} $point$path"
    done <"/proc/$pid/cgroup"
}

case "$action" in
find | read)
    directory=$(directories | awk -v name="$3" '{n = split($1, names, ","); for (i = 1; i <= n; i++) if (names[i] == name) print $2}')
    [ -n "$directory" ] || directory=$(directories | awk '$1 == "unified" {print $2}')
    for file in "${@:4}"; do
        if [ -e "$directory/$file" ]; then
            if [ "$action" = find ]; then echo "$directory/$file"; else cat "$directory/$file"; fi
            exit
        fi
    done
    exit 1
    ;;
move)
    # Listed first: every move changes the file that the list is read from.
    list=$(directories)
    while read -r controllers directory; do
        mkdir "$directory/init.scope"
        # A cpuset without processors takes no process.
        case ",$controllers," in
        *,cpuset,*) for file in cpuset.cpus cpuset.mems; do cat "$directory/$file" >"$directory/init.scope/$file"; done ;;
        esac
        echo "$pid" >"$directory/init.scope/cgroup.procs"
    done <<<"$list"
    ;;
*) exit 1 ;;
esac
