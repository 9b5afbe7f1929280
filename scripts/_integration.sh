# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _integration.sh [TARGET...]: runs the integration targets, all of them if none is named, where it is started: in a private
# network. scripts/test, which starts it, hands over `work`, `collection` and `venv`.
#
# The traces of containers are compared here, where mounts and links of the tests would be seen.
set -euo pipefail
program=scripts/test
# shellcheck source=scripts/_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
: "${work:?}" "${collection:?}" "${venv:?}"

"$collection/tests/nothing-left" save "$work/integration.traces"
failed=0
ansible_test integration --color no --allow-destructive --continue-on-error "$@" || failed=1
"$collection/tests/nothing-left" check "$work/integration.traces" || failed=1
exit "$failed"
