# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _examples.sh [DOCUMENT...]: runs the examples of the documentation, all of them if none is named. scripts/test, which starts
# it, hands over `work`, `collection`, `venv` and `debian`. What all documents need is made here, once; each document then has a
# host of its own, which _examples_host.sh makes, and a few run at a time.
set -euo pipefail
program=scripts/test
# shellcheck source=scripts/_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
: "${work:?}" "${collection:?}" "${venv:?}" "${debian:?}"
place=$work/examples
mkdir -p "$place/shared"

# Images for the template `download`, in its cache, as if they had been downloaded before: small ones, of busybox.
lxc-create --lxcpath="$place" --name=image --template=busybox >"$place/image.log" 2>&1 || die "$(cat "$place/image.log")"
tar -C "$place/image/rootfs" -cf "$place/shared/rootfs.tar" .
xz -0 "$place/shared/rootfs.tar"
grep -vE '^(#|$|lxc\.(rootfs|uts|net|include|apparmor))' "$place/image/config" >"$place/shared/config"
lxc-destroy --lxcpath="$place" --name=image >/dev/null

# For ssh to the examples' hosts.
ssh-keygen -q -t ed25519 -N '' -f "$place/shared/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$place/shared/key"

exec "$venv/bin/python" "$collection/tests/examples/run.py" all "$collection" "$place" "$@"
