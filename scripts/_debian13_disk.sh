# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _debian13_disk.sh DIRECTORY: makes the disk of the machine of scripts/debian13, DIRECTORY/disk.img: the system of Debian 13, as
# yet without LXC, but with the packages of LXC in a folder. The directory is there, and empty.
set -euo pipefail
directory=$1
tree=$directory/tree
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# Every list of packages that the role may install, and what the apt module wants for itself.
packages=$(python3 - "$root/roles/lxc_host/vars/Debian.yml" <<'P'
import re
import sys

text = open(sys.argv[1], encoding="utf-8").read()
lists = re.findall(r"^_\w+_packages:\n((?:  .*\n)+)", text, re.MULTILINE)
print(*dict.fromkeys(re.findall(r"^  - ([a-z0-9.+-]+)$", "".join(lists), re.MULTILINE)), "python3-apt")
P
)
# shellcheck disable=SC2016 # mmdebstrap's shell expands $1
mmdebstrap --quiet --variant=minbase --format=directory \
    --include=systemd-sysv,udev,dbus,libpam-systemd,openssh-server,python3,iproute2,kmod,ca-certificates,sudo \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='chroot "$1" apt-get clean' \
    --customize-hook='chroot "$1" apt-get install --quiet --download-only --yes --no-install-recommends '"$packages" \
    --customize-hook='mkdir "$1/srv/packages" && mv "$1"/var/cache/apt/archives/*.deb "$1/srv/packages"' \
    trixie "$tree"

for package in "$tree"/srv/packages/*.deb; do
    dpkg-deb --field "$package"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "${package##*/}" "$(stat -c %s "$package")" \
        "$(sha256sum <"$package" | cut -c 1-64)"
done >"$tree/srv/packages/Packages"
rm -f "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/packages ./' >"$tree/etc/apt/sources.list"

# The machine is thrown away: nothing need be on its disk before the next step.
echo force-unsafe-io >"$tree/etc/dpkg/dpkg.cfg.d/tests"

echo '/dev/ubda / ext4 defaults 0 0' >"$tree/etc/fstab"
echo debian13 >"$tree/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 debian13\n::1 localhost\n' >"$tree/etc/hosts"
printf '[Match]\nName=vec0\n[Network]\nAddress=10.9.8.2/24\n' >"$tree/etc/systemd/network/10-vec0.network"
rm -f "$tree"/etc/ssh/ssh_host_*
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nMaxSessions 100\nMaxStartups 100\nUseDNS no\n' \
    >"$tree/etc/ssh/sshd_config.d/tests.conf"
install -d -m 0700 "$tree/root/.ssh"
# As an operator may have chosen before the role comes: the network that the tests use.
printf 'LXC_ADDR="10.77.3.1"\nLXC_NETMASK="255.255.255.0"\nLXC_NETWORK="10.77.3.0/24"\nLXC_DHCP_RANGE="10.77.3.100,10.77.3.200"\nLXC_DHCP_MAX="100"\n' \
    >"$tree/etc/default/lxc-net"
# By this file the targets know that the machine is theirs, with all of its network.
echo 'made by scripts/debian13' >"$tree/etc/nomadic-lxc-test-machine"
chroot "$tree" systemctl --quiet enable systemd-networkd.service
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    getty@tty1.service systemd-binfmt.service systemd-networkd-wait-online.service; do
    ln -sfn /dev/null "$tree/etc/systemd/system/$unit"
done

mke2fs -q -t ext4 -d "$tree" "$directory/disk.img" 4G
rm -rf --one-file-system "$tree"
