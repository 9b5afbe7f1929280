# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _examples.sh [DOCUMENT...]: runs the examples of the documentation, all of them if none is named, where it is started: in a
# private network and a private mount namespace. scripts/test, which starts it, hands over `work`, `collection`,
# `venv` and `debian`.
#
# The examples use the paths that a reader has: /var/lib/lxc, /srv, /dev/ttyUSB0. Here those are folders of this run, or layers
# above the host's, so that nothing of the host is read as the reader's, or changed.
set -euo pipefail
program=scripts/test
# shellcheck source=scripts/_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
: "${work:?}" "${collection:?}" "${venv:?}" "${debian:?}"
place=$work/examples
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

# Images for the template `download`, in its cache, as if they had been downloaded before: small ones, of busybox.
lxc-create --lxcpath="$place" --name=image --template=busybox >"$place/image.log" 2>&1 || die "$(cat "$place/image.log")"
for release in bookworm trixie; do
    image=/var/cache/lxc/download/debian/$release/amd64/default
    mkdir -p "$image"
    tar -C "$place/image/rootfs" -cJf "$image/rootfs.tar.xz" .
    grep -vE '^(#|$|lxc\.(rootfs|uts|net|include|apparmor))' "$place/image/config" >"$image/config"
    echo "$release" >"$image/build_id"
done
lxc-destroy --lxcpath="$place" --name=image >/dev/null

# The template `debian` would ask Debian's mirrors: here it unpacks a Debian that was made before.
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
ssh-keygen -q -t ed25519 -N '' -f "$place/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$place/key"
cp "$place/key.pub" /srv/ssh/authorized_keys
printf '%s\n' "ListenAddress 0.0.0.0:22" "HostKey $place/host_key" "PidFile none" "AuthorizedKeysFile /srv/ssh/authorized_keys" \
    "PermitRootLogin prohibit-password" "PasswordAuthentication no" "StrictModes no" "UsePAM no" "Subsystem sftp internal-sftp" \
    >"$place/sshd_config"
/usr/sbin/sshd -f "$place/sshd_config" -E "$place/sshd.log"
mkdir -p /etc/ssh/ssh_config.d
printf '%s\n' "IdentityFile $place/key" "UserKnownHostsFile $place/known_hosts" "StrictHostKeyChecking accept-new" \
    >/etc/ssh/ssh_config.d/nomadic-lxc-examples.conf

export PATH=$venv/bin:$PATH HOME=$place
export ANSIBLE_HOME=$work/ansible ANSIBLE_COLLECTIONS_PATH=$work/collections ANSIBLE_LOCALHOST_WARNING=false
"$venv/bin/python" "$collection/tests/examples/run.py" "$collection" "$place" "$@"
