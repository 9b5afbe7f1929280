#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# many.sh up LXC_PATH BASE COUNT: makes and starts so many copies of a stopped container, BASE-1, BASE-2 and so on.
# many.sh processes: prints how many processes run in each, and every lxc-attach. many.sh down: removes them.
set -euo pipefail
action=$1 path=$2 base=$3 count=$4

case "$action" in
up)
    for number in $(seq "$count"); do
        lxc-copy --lxcpath="$path" --name="$base" --newname="$base-$number" --snapshot --backingstorage=overlayfs
        lxc-start --lxcpath="$path" --name="$base-$number"
    done
    ;;
processes)
    for number in $(seq "$count"); do
        pid=$(lxc-info --lxcpath="$path" --name="$base-$number" --pid --no-humanize)
        pids=$(readlink "/proc/$pid/ns/pid")
        echo "$base-$number $(find /proc -maxdepth 3 -path '/proc/[0-9]*/ns/pid' -lname "$pids" 2>/dev/null | wc -l)"
    done
    for process in /proc/[0-9]*; do
        command=$({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null) || continue
        case "$command" in "lxc-attach --lxcpath=$path "*) echo "attached: $command" ;; esac
    done
    ;;
down)
    for number in $(seq "$count"); do
        [ ! -e "$path/$base-$number" ] || lxc-destroy --force --lxcpath="$path" --name="$base-$number"
    done
    ;;
*) exit 2 ;;
esac
