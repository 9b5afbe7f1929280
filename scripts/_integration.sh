# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _integration.sh QUEUE: runs integration targets where it is started, in a private network: one after another, it takes the
# first line off QUEUE, a file that others may take from as well, until there is none. A line is a version of ansible-core and a
# target. scripts/test, which starts it, hands over `work` and `collection`, a tree that no other ansible-test runs in.
#
# Mounts, links, addresses and routes are compared here, where those of the tests would be seen; all else is there for every
# target that runs, and is compared at the end of all lanes.
set -euo pipefail
program=scripts/test
# shellcheck source=scripts/_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
: "${work:?}" "${collection:?}"
queue=$1

# next_target: sets `core` and `target` to the first line of the queue, and takes it off. Fails if there is none.
next_target() {
    exec 8>"$queue.lock"
    flock 8
    read -r core target <"$queue" || target=
    sed -i 1d "$queue"
    exec 8>&-
    [ -n "$target" ]
}

export NOTHING_LEFT_IGNORE="^(cgroup|monitor|entry) ${NOTHING_LEFT_IGNORE:+|$NOTHING_LEFT_IGNORE}"
traces=$(mktemp "$work/traces.XXXXXX")
"$collection/tests/nothing-left" save "$traces"
failed=0
while next_target; do
    need_core "$core"
    # Beside itself, with another ansible-core, a target would meet its own users, containers and control groups.
    exec 9>"$queue.$target.lock"
    flock 9
    start=$SECONDS
    result=passed
    log=$work/$target-$core.log
    PATH=$venv/bin:$PATH ansible_test integration --color no --allow-destructive "$target" >"$log" 2>&1 9>&- || result=FAILED
    exec 9>&-
    if [ "$result" = FAILED ]; then
        failed=1
        cat "$log"
        because "integration: $target with ansible-core $core: $(grep -E '^(TASK|fatal:|failed:|ERROR:) ?' "$log" | cut -c 1-2000 | grep -B 1 -vE '^TASK' | tail -n 4)"
    fi
    printf '%-24s %s  %s %4d s  %s\n' "$target" "$core" "$result" $((SECONDS - start)) "$(grep -E '^[^ ]+ +: ok=' "$log" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 3-)"
done
"$collection/tests/nothing-left" check "$traces" || failed=1
exit "$failed"
