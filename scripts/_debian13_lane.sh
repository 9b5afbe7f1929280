# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _debian13_lane.sh [TARGET...]: boots the machine of scripts/debian13, prepares it with the role lxc_host, runs the integration
# targets on it over ssh, all of them if none is named, breaks a call's ssh off, and reboots it. It says how long each part took.
# scripts/test, which starts it, hands over `work`, `collection`, `venv` and `debian`, the archive of a root file system.
#
# shellcheck disable=SC2317 # what `part` calls
set -euo pipefail
program=scripts/test
# shellcheck source=scripts/_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
: "${work:?}" "${collection:?}" "${venv:?}" "${debian:?}"
export ANSIBLE_HOME=$work/ansible ANSIBLE_COLLECTIONS_PATH=$work/collections ANSIBLE_FORCE_COLOR=0
export ANSIBLE_ROLES_PATH=$collection/tests/integration/targets
# A control socket's path is short.
export ANSIBLE_SSH_CONTROL_PATH_DIR=$work/cp
machine=$work/debian13
logs=$work/debian13-logs
mkdir -p "$logs"

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    mapfile -t targets < <(cd "$ANSIBLE_ROLES_PATH" && grep -L '^hidden$' -- */aliases | cut -d / -f 1)
fi

trap '"$root/scripts/debian13" down "$machine"' EXIT
end_by_signal

on_machine() { ssh -F "$machine/ssh_config" debian13 "$@"; }
play() { "$venv/bin/ansible-playbook" -i "$machine/inventory.ini" "$@"; }

# part NAME COMMAND...: runs it, and says how long it took.
part() {
    local name=$1 start=$SECONDS
    shift
    if ! "$@"; then
        say "debian13: $name FAILED after $((SECONDS - start)) s"
        because "debian13: $name"
        return 1
    fi
    say "debian13: $name took $((SECONDS - start)) s"
}

the_role() {
    local log=$logs/role.log
    say "debian13: the role in check mode, on a machine without LXC"
    play "$collection/playbooks/prepare.yml" -e lxc_hosts=debian13 --check --diff
    on_machine '! command -v lxc-start && ! grep -qs USE_LXC_BRIDGE /etc/default/lxc-net' || die "the role changed the machine in check mode."
    say "debian13: the role"
    play "$collection/playbooks/prepare.yml" -e lxc_hosts=debian13 --diff
    say "debian13: the role again, which must change nothing"
    play "$collection/playbooks/prepare.yml" -e lxc_hosts=debian13 --diff | tee "$log"
    grep -Eq '^testhost .* changed=0 .* failed=0 ' "$log" || die "the second run of the role changed something."
    on_machine 'uname -sr && lxc-start --version && python3 --version && stat -fc %T /sys/fs/cgroup && aa-enabled && ip -brief address show lxcbr0'
}

# What targets call on their host lies there under the same names: the collection, an Ansible, made of this one's Python packages,
# and the root file system that they unpack.
hand_over() {
    local packages
    packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    tar -C / -cf - "${collection#/}" "${packages#/}" "${venv#/}"/bin/ansible "${venv#/}"/bin/ansible-{inventory,playbook} \
        "${debian#/}" |
        on_machine tar -C / -xf -
    on_machine bash -s "$venv" "$packages" <<'S'
set -eu
printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >"$1/pyvenv.cfg"
for name in python python3 python3.11 python3.12 python3.13; do ln -sf /usr/bin/python3 "$1/bin/$name"; done
there=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
[ "$there" = "$2" ] || { mkdir -p "${there%/*}" && mv "$2" "$there"; }
"$1/bin/ansible" --version | head -n 1
S
}

# run_target TARGET: its play, as ansible-test would run it. The environment is for what a target calls on its host.
run_target() {
    local start=$SECONDS result=passed
    cat >"$logs/$1.yml" <<P
- hosts: testhost
  gather_facts: false
  environment: {ANSIBLE_COLLECTIONS_PATH: $ANSIBLE_COLLECTIONS_PATH, ANSIBLE_LOCALHOST_WARNING: "false", LC_ALL: C.UTF-8}
  vars: {lxc_test_debian: $debian}
  roles: [$1]
P
    play "$logs/$1.yml" </dev/null >"$logs/$1.log" 2>&1 || result=FAILED
    printf '%-24s %s %4d s  %s\n' "$1" "$result" $((SECONDS - start)) "$(grep -o '^testhost .*' "$logs/$1.log" | grep -oE '(ok|failed|unreachable)=[0-9]+' | tr '\n' ' ')" |
        tee "$logs/$1.result"
    if [ "$result" = FAILED ]; then sed "s/^/$1: /" "$logs/$1.log" | tail -n 60; fi
}

# One after another: the machine has one processor, and there are targets that need it whole.
the_targets() {
    local target
    for target in "${targets[@]}"; do run_target "$target"; done
    say "debian13: the targets"
    sort "$logs"/*.result
    ! grep -q FAILED "$logs"/*.result
}

failed=0
part "the machine" "$root/scripts/debian13" up "$machine" || exit 1
part "a host without LXC" play "$collection/tests/debian13/bare.yml" || failed=1
part "the role" the_role || exit 1
part "handing over the tests" hand_over || exit 1
on_machine "$collection/tests/nothing-left" save /root/traces
part "the targets" the_targets || failed=1
part "what a host lacks" play "$collection/tests/debian13/lacking.yml" || failed=1
part "what the role gives back" play "$collection/tests/debian13/given_back.yml" || failed=1
part "a call whose ssh breaks off" play "$collection/tests/debian13/interrupted.yml" || failed=1
part "a reboot" play "$collection/tests/debian13/reboot.yml" || failed=1
# Each boot has private folders of services, and nothing of what was handed over: the machine's /tmp is in its memory.
part "what is left" on_machine NOTHING_LEFT_IGNORE=/systemd-private- bash -s check /root/traces <"$collection/tests/nothing-left" || failed=1
exit "$failed"
