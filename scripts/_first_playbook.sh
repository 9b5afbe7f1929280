# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _first_playbook.sh BIN PLACE: runs the README's first playbook twice, of which the second run must change nothing, with the
# collection that ANSIBLE_COLLECTIONS_PATH leads to, and then removes what it has made. To be run in a private network.
# BIN holds ansible-playbook; PLACE is a folder for files; ROOT is the checkout with the README.
set -euo pipefail
bin=$1 place=$2

# The first block of YAML below the heading.
awk '/^## A first playbook/ {here = 1} here && /^```$/ {exit} inside {print} here && /^```yaml$/ {inside = 1}' \
    "${ROOT:?}/README.md" >"$place/first.yml"
grep -q 'nomadic.lxc.lxc_task:' "$place/first.yml" || { echo "the README has no first playbook." >&2; exit 1; }
cat >"$place/hosts.ini" <<INVENTORY
[lxc_hosts]
localhost ansible_connection=local ansible_python_interpreter=$bin/python
INVENTORY
cat >"$place/remove.yml" <<'PLAYBOOK'
- hosts: lxc_hosts
  gather_facts: false
  tasks:
    - nomadic.lxc.lxc_task: {name: web, state: absent, kill_timeout: 1, purge: true}
PLAYBOOK

[ -d /srv/www ] || remove_www=1
# As lxc-net does: the playbook waits for an address.
dnsmasq --conf-file=/dev/null --port=0 --interface=lxcbr0 --bind-interfaces --pid-file= --leasefile-ro --keep-in-foreground \
    --dhcp-range=10.77.3.100,10.77.3.200 &
addresses=$!
clean() {
    kill "$addresses" 2>/dev/null || true
    "$bin/ansible-playbook" -i "$place/hosts.ini" "$place/remove.yml"
    [ -z "${remove_www:-}" ] || rmdir /srv/www
}
trap clean EXIT
"$bin/ansible-playbook" -i "$place/hosts.ini" "$place/first.yml"
"$bin/ansible-playbook" -i "$place/hosts.ini" "$place/first.yml" | tee "$place/second.log"
grep -Eq '^localhost .* changed=0 .* failed=0 ' "$place/second.log" || { echo "the second run changed something." >&2; exit 1; }
# It came from the tarball.
"$bin/ansible-galaxy" collection list nomadic.lxc | grep -F "$ANSIBLE_COLLECTIONS_PATH"
