# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _private_network.sh COMMAND...: makes the network namespace in which it runs fit for containers, then runs the command.
#
# The namespace has a loopback and a bridge, lxcbr0, at 10.77.3.1/24, and no way out. The caller has made it, and a mount
# namespace with it: `unshare --net --mount --propagation unchanged`; HOST_NETWORK is the host's, as /proc/self/ns/net names it.
# What still runs in the namespace when the command has ended is killed, so that nothing keeps it alive.
set -eu

if [ "$(readlink /proc/self/ns/net)" = "${HOST_NETWORK:?}" ]; then
    echo "_private_network.sh: this is the host's own network: nothing done." >&2
    exit 1
fi

# /sys still shows the host's interfaces, and there liblxc looks whether lxcbr0 is a bridge. A sysfs mounted here shows this
# namespace's. It hides the control groups, which are put back by way of a descriptor that was opened before.
mount --make-rprivate /sys
exec 9</sys/fs/cgroup
mount -t sysfs sysfs /sys
mount --no-canonicalize --rbind /proc/self/fd/9 /sys/fs/cgroup
exec 9<&-

ip link set lo up
ip link add lxcbr0 type bridge
ip address add 10.77.3.1/24 dev lxcbr0
ip link set lxcbr0 up

# Containers that a test left running end with their monitors; so do their control groups, once they are empty. It is a failure
# to leave one.
kill_leftovers() {
    local code=$? network process name names=()
    network=$(readlink /proc/self/ns/net)
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$network" ] || continue
        [ "${process#/proc/}" != "$$" ] || continue
        # The monitor's command line: [lxc monitor] LXC_PATH NAME
        name=$(tr '\0' ' ' 2>/dev/null <"$process/cmdline" | awk '/^\[lxc monitor\] / {print $NF}')
        [ -z "$name" ] || names+=("$name")
        kill -KILL "${process#/proc/}" 2>/dev/null || true
    done
    [ ${#names[@]} -gt 0 ] || return 0
    echo "_private_network.sh: left running, and now killed: ${names[*]}" >&2
    sleep 1
    for name in "${names[@]}"; do
        find /sys/fs/cgroup -depth \( -path "*/lxc.payload.$name*" -o -path "*/lxc.monitor.$name*" \) -type d -exec rmdir {} + 2>/dev/null || true
    done
    [ "$code" != 0 ] || exit 1
}
trap kill_leftovers EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$@"
