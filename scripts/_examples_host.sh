# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _examples_host.sh PLACE COMMAND...: runs a command on a host of a reader's own: in network, mount and process namespaces that
# end with it. PLACE is an empty folder for what it writes; _examples.sh, by way of tests/examples/run.py, hands over `work`,
# `collection`, `venv` and `debian`, and has made the folder `shared` beside PLACE.
#
# The examples use the paths that a reader has: /var/lib/lxc, /srv, /dev/ttyUSB0. Here those are folders of PLACE, or layers
# above the host's, so that nothing of the host is read as the reader's, or changed. Two such hosts see nothing of each other but
# the locks of the modules and the control groups, whose names the locks keep apart.
set -euo pipefail
program=scripts/test
# shellcheck source=scripts/_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
case "$1" in
--processes)
    # What is left running is killed, and is a failure, by _private_network.sh.
    shift
    in_private_network bash "${BASH_SOURCE[0]}" --host "$@"
    exit
    ;;
--host) shift ;;
*)
    exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
        bash "${BASH_SOURCE[0]}" --processes "$@"
    ;;
esac
: "${work:?}" "${collection:?}" "${venv:?}" "${debian:?}"
place=$1
shift
shared=${place%/*}/shared
mkdir -p "$place"/{lower,upper,overlay}

# layer FOLDER: what is written there from now on goes to a layer of this run.
layer() {
    local name=${1//\//_} below
    mkdir "$place"/{lower,upper,overlay}/"$name"
    mount --rbind "$1" "$place/lower/$name"
    mount -t overlay -o "lowerdir=$place/lower/$name,upperdir=$place/upper/$name,workdir=$place/overlay/$name" overlay "$1"
    # An overlay does not show what is mounted below: it is put back.
    awk -v top="$place/lower/$name/" 'index($5, top) == 1 {print substr($5, length(top) + 1)}' /proc/self/mountinfo |
        while read -r below; do
            case "$below" in */*) ;; *) mount --rbind "$place/lower/$name/$below" "$1/$below" ;; esac
        done
}
# empty FOLDER: it is empty now.
empty() {
    local folder
    folder=$(mktemp -d "$place/empty.XXXXXX")
    chmod 0755 "$folder"
    mkdir -p "$1"
    mount --bind "$folder" "$1"
}
layer /var/lib
layer /etc
layer /dev
for folder in /srv /var/lib/lxc /var/lib/nomadic-lxc /var/cache/lxc; do empty "$folder"; done
mkdir -p /etc/ssl/certs /srv/cache /var/lib/nomadic-lxc/alloc /var/lib/prometheus/node-exporter
[ -e /dev/ttyUSB0 ] || mknod /dev/ttyUSB0 c 188 0

# The network of LXC's own bridge, with DHCP.
ip address add 10.0.3.1/24 dev lxcbr0
dnsmasq --conf-file=/dev/null --port=0 --interface=lxcbr0 --bind-interfaces --pid-file= \
    --dhcp-range=10.0.3.50,10.0.3.200 --dhcp-leasefile="$place/leases"

# The images are in the cache of the template `download`.
for release in bookworm trixie; do
    image=/var/cache/lxc/download/debian/$release/amd64/default
    mkdir -p "$image"
    cp "$shared/rootfs.tar.xz" "$shared/config" "$image"
    echo "$release" >"$image/build_id"
done

# The template `debian` would ask Debian's mirrors: here it unpacks a Debian that was made before. What the real one calls must be
# there all the same: a reader's host has it from the role alone.
command -v debootstrap >/dev/null ||
    die "this host has no debootstrap, which the template debian calls and the role lxc_host installs."
layer /usr/share/lxc/templates
sed "s|^set -eu\$|set -eu; archive=$debian|" "$collection/tests/integration/targets/setup_lxc/files/lxc-archive" \
    >/usr/share/lxc/templates/lxc-debian

# The examples' hosts are reached by ssh. All are this one: an sshd with a key of its own, and the user admin, who may use sudo.
ip address add 192.0.2.7/32 dev lo
ip address add 192.0.2.8/32 dev lo
echo "192.0.2.7 lxc1.example.com vm1" >>/etc/hosts
mkdir -p /run/sshd /srv/ssh /srv/home
useradd --create-home --home-dir /srv/home/admin --shell /bin/bash --password '*' admin
echo "admin ALL=(root) NOPASSWD: ALL" >/etc/sudoers.d/nomadic-lxc-examples
cp "$shared/key.pub" /srv/ssh/authorized_keys
printf '%s\n' "ListenAddress 0.0.0.0:22" "HostKey $shared/host_key" "PidFile none" "AuthorizedKeysFile /srv/ssh/authorized_keys" \
    "PermitRootLogin prohibit-password" "PasswordAuthentication no" "StrictModes no" "UsePAM no" "Subsystem sftp internal-sftp" \
    >"$place/sshd_config"
/usr/sbin/sshd -f "$place/sshd_config" -E "$place/sshd.log"
mkdir -p /etc/ssh/ssh_config.d
printf '%s\n' "IdentityFile $shared/key" "UserKnownHostsFile $place/known_hosts" "StrictHostKeyChecking accept-new" \
    >/etc/ssh/ssh_config.d/nomadic-lxc-examples.conf

export PATH=$venv/bin:$PATH HOME=$place
# A folder of this host's own: Ansible keeps its connections by ssh there, by the name of the host that they lead to.
export ANSIBLE_HOME=$place/ansible ANSIBLE_COLLECTIONS_PATH=$work/collections ANSIBLE_LOCALHOST_WARNING=false
export ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true
"$@"
