#!/usr/bin/env bash
# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sshd.sh start FOLDER PORT: starts a real sshd on loopback, with keys of its own in the folder. FOLDER/key opens it for the
# users that can be logged in to, and FOLDER/known_hosts has its key. stop FOLDER: ends it, and all its connections.
set -euo pipefail
action=$1 folder=$2

case "$action" in
start)
    port=$3
    mkdir -p /run/sshd "$folder/cp"
    chmod 0700 "$folder/cp"
    ssh-keygen -q -t ed25519 -N '' -C test -f "$folder/host_key"
    ssh-keygen -q -t ed25519 -N '' -C test -f "$folder/key"
    cp "$folder/key.pub" "$folder/authorized_keys"
    echo "[127.0.0.1]:$port $(cut -d ' ' -f 1,2 "$folder/host_key.pub")" >"$folder/known_hosts"
    cat >"$folder/sshd_config" <<END
ListenAddress 127.0.0.1:$port
HostKey $folder/host_key
PidFile $folder/sshd.pid
AuthorizedKeysFile $folder/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PrintMotd no
Subsystem sftp internal-sftp
END
    /usr/sbin/sshd -f "$folder/sshd_config" -E "$folder/sshd.log"
    for _ in $(seq 50); do
        [ ! -s "$folder/sshd.pid" ] || exit 0
        sleep 0.1
    done
    cat "$folder/sshd.log" >&2
    exit 1
    ;;
stop)
    for socket in "$folder"/cp/*; do
        [ ! -S "$socket" ] || ssh -o ControlPath="$socket" -O exit nowhere 2>/dev/null || true
    done
    if [ -s "$folder/sshd.pid" ]; then
        pid=$(cat "$folder/sshd.pid")
        # Its sessions would go on without it.
        # shellcheck disable=SC2046 # they are several
        kill "$pid" $(cat "/proc/$pid/task/$pid/children") 2>/dev/null || true
    fi
    for process in /proc/[0-9]*; do
        case "$({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null)" in
        "ssh: $folder/cp/"*) kill "${process#/proc/}" 2>/dev/null || true ;;
        esac
    done
    # /run/sshd stays: it is the host's, and without it a sshd of the host lets nobody in.
    rm -rf "$folder"
    ;;
*) exit 2 ;;
esac
