# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _debian13_machine.sh DIR/ GATEWAY: runs the machine of scripts/debian13, which has made the namespaces in which this runs: of
# the network, of mounts and of processes. DIR has disk.img, and the folder kernel with the kernel and its libraries. GATEWAY is
# the address of this end of the machine's link.
set -eu
directory=${1%/} gateway=$2
kernel=$directory/kernel

mount --make-rprivate /
ip link set lo up
ip tuntap add dev tap0 mode tap
ip address add "$gateway/24" dev tap0
# This kernel takes no segments that are larger than the link carries.
ip link set tap0 gso_max_segs 1 up

# The kernel starts itself anew at a reboot: it is in a root of its own where its libraries are the system's.
mount --bind "$kernel" "$kernel"
mount -t proc proc "$kernel/proc"
mount --rbind /dev "$kernel/dev"
mount --bind "$directory" "$kernel/disk"
# The machine's memory, as a file.
mount -t tmpfs -o size=3G tmpfs "$kernel/tmp"

# Not by exec: the first process of a process namespace takes its orphans, and the kernel does not.
chroot "$kernel" /linux mem=2048M ubd0=/disk/disk.img root=/dev/ubda rw \
    vec0:transport=tap,ifname=tap0,depth=128 con=null con0=null,fd:1 con1=null ssl=null \
    apparmor=1 security=apparmor umid=debian13 uml_dir=/tmp
