# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _debian13_machine.sh DIR/ GATEWAY: runs the machine of scripts/debian13, which has made the namespaces in which this runs: of
# the network, of mounts and of processes. DIR has disk.img, the kernel `linux`, and console.log, to which this prints. GATEWAY
# is the address of this end of the machine's link.
set -eu
directory=${1%/} gateway=$2

ip link set lo up
ip tuntap add dev tap0 mode tap
ip address add "$gateway/24" dev tap0
# This kernel takes no segments that are larger than the link carries.
ip link set tap0 gso_max_segs 1 up

# The machine's memory, as a file.
mount -t tmpfs -o size=3G tmpfs /dev/shm

# At a reboot the kernel executes its file anew, and would find that the link is in use, namely by itself. So its file is gone by
# then: it ends instead, and is started here. Not by exec: the first process of a process namespace takes its orphans.
reboots=0
while :; do
    cp "$directory/linux" "$directory/running"
    "$directory/running" mem=2048M ubd0="$directory/disk.img" root=/dev/ubda rw \
        vec0:transport=tap,ifname=tap0,depth=128 con=null con0=null,fd:1 con1=null ssl=null \
        umid=debian13 uml_dir="$directory" &
    until [ "$(readlink "/proc/$!/exe")" = "$directory/running" ] || ! kill -0 "$!" 2>/dev/null; do sleep 0.1; done
    rm "$directory/running"
    wait "$!" || true
    rm -rf "$directory/debian13"
    [ "$(grep -c 'reboot: Restarting system' "$directory/console.log")" -gt "$reboots" ] || break
    reboots=$((reboots + 1))
done
