# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# _debian13_kernel.sh DIRECTORY: makes the kernel of the machine of scripts/debian13, DIRECTORY/linux: user-mode Linux, of the
# source of Debian 13's own kernel, with the options of _debian13_kernel.config. The directory is there, and empty.
set -euo pipefail
directory=$1
config=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/_debian13_kernel.config

mmdebstrap --quiet --variant=extract --format=directory --include=linux-source-6.12 trixie "$directory/package"
mkdir "$directory/source"
# Of what is off anyway, the options' descriptions alone.
tar -C "$directory/source" --strip-components=1 --exclude='*/tools/testing' --exclude='*/drivers/gpu/*.[ch]' \
    --exclude='*/drivers/net/ethernet/*.[ch]' --exclude='*/drivers/media/*.[ch]' --exclude='*/sound/*.[ch]' \
    -xf "$directory/package/usr/src/linux-source-6.12.tar.xz"
rm -rf --one-file-system "$directory/package"

cd "$directory/source"
# The kernel of the host takes a process's floating point registers whole or not at all (xstateregs_set in its
# arch/x86/kernel/fpu/regset.c). They are 11008 bytes where the processor has AMX; 2696, as it stands there, end with AVX-512.
# The kernel's stacks, on which they are kept, are of twice the size for that: CONFIG_KERNEL_STACK_ORDER.
sed -i 's/DEFINE_LONGS(HOST_FP_SIZE, 2696)/DEFINE_LONGS(HOST_FP_SIZE, 12288)/' arch/x86/um/user-offsets.c
grep -q 'HOST_FP_SIZE, 12288' arch/x86/um/user-offsets.c
make ARCH=um KCONFIG_ALLCONFIG="$config" allnoconfig
# An option that lacks one which it depends on stays off in silence.
if grep '^CONFIG_' "$config" | grep -vxFf .config; then
    echo "E: this kernel does not take the options above" >&2
    exit 1
fi
make ARCH=um -j"$(nproc)" linux
strip -o "$directory/linux" linux
cd "$directory"
rm -rf --one-file-system "$directory/source"
