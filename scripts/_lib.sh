# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What the scripts share. To be sourced, by bash; the caller has set `program`, its own name.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
python=/usr/bin/python3
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/nomadic-lxc

# The user's Ansible and Python settings must not change what is run here. A bare host has no locale, and Ansible wants UTF-8.
unset "${!ANSIBLE_@}" PYTHONPATH PYTHONHOME PYTHONSTARTUP
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
exec </dev/null

say() { printf '%s: %s\n' "${program:?}" "$*"; }
# because WORD...: keeps what made a run of the tests fail, which is said again at its end.
because() { [ ! -d "${work:-}" ] || printf '%s\n' "$*" >>"$work/why"; }
die() {
    printf '%s: %s\n' "${program:?}" "$*" >&2
    because "$*"
    exit 1
}

# end_by_signal: has the trap for EXIT run where a signal ends this shell, too.
end_by_signal() {
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Prints the comment block at the head of a script, which is its help.
show_help() { sed -n '/^#$/,/^[^#]/s/^# \{0,1\}//p' "$1" | sed '1{/^$/d}'; }

need_host() {
    [ "$(id -u)" = 0 ] || die "must run as root: it installs packages and starts containers."
    [ -x /usr/bin/apt-get ] || die "needs a Debian host (12 or 13): there is no apt-get here."
    [ -x "$python" ] || die "needs the system's Python: install the package python3."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "needs Python 3.11 or newer as $python, as on Debian 12: ansible-core 2.19 does."
    mkdir -p "$cache" || die "can't make its cache folder $cache: set XDG_CACHE_HOME to a folder that can be written."
}

# need_packages PACKAGE...: installs those Debian packages that are missing.
need_packages() {
    local package log missing=()
    for package; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing Debian packages: ${missing[*]}"
    log=$cache/apt.log
    if ! apt-get update --error-on=any >"$log" 2>&1; then
        die "can't reach Debian's packages, is the network there? ($(grep -m 1 '^[EW]:' "$log"))"
    fi
    if ! apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
        die "can't install the Debian packages ${missing[*]}: $(grep -m 1 '^E:' "$log") All of apt's output is in $log."
    fi
}

# all_of REQUIREMENTS: prints that file of tests/, and what it includes.
all_of() {
    local file
    cat "$root/tests/$1"
    sed -n 's/^-r //p' "$root/tests/$1" | while read -r file; do all_of "$file"; done
}

# run_pip ARGUMENT...: the pip of the virtual environment `venv`. Older ones leave certificates among the temporary files.
run_pip() {
    local code=0 place
    place=$(mktemp -d "$cache/pip.XXXXXX")
    TMPDIR=$place "$venv/bin/pip" "$@" || code=$?
    rm -rf "$place"
    return "$code"
}

# need_venv NAME REQUIREMENTS [OPTION...]: makes the virtual environment of exactly these packages, once, and sets `venv` to it.
# OPTIONs are those of `python3 -m venv`. Its Python is `venv_python`, or else the system's.
need_venv() {
    local name=$1 requirements=$2 log=$cache/pip-$1.log key interpreter=${venv_python:-$python}
    shift 2
    key=$({ "$interpreter" --version && all_of "$requirements"; } | sha256sum | cut -c 1-12)
    venv=$cache/venv-$name-$key
    exec 8>"$cache/venv-$name.lock"
    flock 8
    if [ ! -e "$venv/.complete" ]; then
        say "making the Python environment $venv"
        # Those of other requirements may be in use by another run: only what was not used for a week goes.
        find "$cache" -mindepth 1 -maxdepth 1 -name "venv-$name-*" -mtime +7 -exec rm -rf {} +
        rm -rf "$venv"
        "$interpreter" -m venv "$@" "$venv" >"$log" 2>&1 || die "can't make the Python environment: $(tail -n 1 "$log")"
        if ! run_pip install --disable-pip-version-check -r "$root/tests/$requirements" >"$log" 2>&1; then
            die "can't install the Python packages of tests/$requirements, is the network there?" \
                "($(grep -m 1 '^ERROR' "$log")) All of pip's output is in $log."
        fi
        : >"$venv/.complete"
    fi
    touch "$venv"
    exec 8>&-
}

# need_folder PACKAGE==VERSION: has that package alone lie in a folder for PYTHONPATH, whatever Python it asks for, and sets
# `folder` to it. Uses the pip of the virtual environment `venv`.
need_folder() {
    local log=$cache/pip-${1%%=*}.log
    folder=$cache/package-$1
    exec 8>"$folder.lock"
    flock 8
    if [ ! -e "$folder/.complete" ]; then
        rm -rf "$folder"
        run_pip install --disable-pip-version-check --target "$folder" --no-deps --ignore-requires-python "$1" >"$log" 2>&1 ||
            die "can't install $1, is the network there? ($(grep -m 1 '^ERROR' "$log")) All of pip's output is in $log."
        : >"$folder/.complete"
    fi
    exec 8>&-
}

# python_of VERSION...: prints the path of the first of these Pythons that is here, the system's or one that pyenv has built. Its
# shims won't do: they stand for Pythons that are not there, too.
python_of() {
    local version candidate
    for version; do
        for candidate in "$python" "${PYENV_ROOT:-${HOME:-/root}/.pyenv}/versions/$version".*/bin/python3; do
            [ -x "$candidate" ] || continue
            [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = "$version" ] || continue
            printf '%s\n' "$candidate"
            return 0
        done
    done
    return 1
}

# need_core VERSION: sets `venv` to a virtual environment with that ansible-core. Returns 3 if no Python here takes it.
need_core() {
    local venv_python
    case "$1" in
    2.19) need_venv test requirements.txt ;;
    *)
        venv_python=$(python_of 3.12 3.13 3.14) || return 3
        need_venv "ansible-$1" "requirements-ansible-$1.txt"
        ;;
    esac
}

# need_debian: makes the root file system of a small Debian, of this host's release and with Python, once, and sets `debian` to
# its archive. It has sudo, an init that ends when it is asked to, and one package, hello, that apt has fetched and not installed.
need_debian() {
    local suite log=$cache/debian.log key
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    key=$(declare -f make_debian need_debian | sha256sum | cut -c 1-12)
    debian=$cache/debian-$suite-$key.tar
    exec 8>"$cache/debian.lock"
    flock 8
    if [ ! -e "$debian" ]; then
        need_packages mmdebstrap
        say "making the root file system $debian"
        rm -f "$cache"/debian-*.tar*
        make_debian "$suite" "$debian.new" >"$log" 2>&1 ||
            die "can't make a Debian root file system, is the network there? ($(grep -m 1 '^E:' "$log")) All of the output is in $log."
        mv "$debian.new" "$debian"
    fi
    exec 8>&-
}

make_debian() {
    # shellcheck disable=SC2016 # mmdebstrap's shell expands $1
    mmdebstrap --variant=minbase --include=python3,python3-apt,sudo --format=tar \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --skip=cleanup/apt/lists,cleanup/apt/cache \
        --customize-hook='chroot "$1" apt-get clean' \
        --customize-hook='chroot "$1" apt-get install --yes --download-only hello' \
        --customize-hook='rm -f "$1"/var/cache/apt/*.bin' \
        --customize-hook='printf "%s\n" "#!/bin/sh" "trap \"exit 0\" PWR INT TERM" "while :; do sleep 3600 & wait \$!; done" >"$1/sbin/init"' \
        --customize-hook='chmod 755 "$1/sbin/init"' \
        "$1" "$2"
}

# make_work: makes a folder for this run and sets `work` to it; it goes when the script ends.
make_work() {
    work=$(mktemp -d "/tmp/nomadic-lxc-${program##*/}.XXXXXX")
    trap 'rm -rf --one-file-system "$work"' EXIT
    end_by_signal
    export ANSIBLE_HOME=$work/ansible ANSIBLE_COLLECTIONS_PATH=$work/collections
    export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false
    collection=$ANSIBLE_COLLECTIONS_PATH/ansible_collections/nomadic/lxc
    mkdir -p "$(dirname "$collection")"
}

# copy_tree FOLDER [OPTION...]: copies the tree to where Ansible and ansible-test look for a collection; ansible-test refuses a link.
# OPTIONs are those of git ls-files; without one, what git tracks, or does not ignore.
copy_tree() {
    local folder=$1
    shift
    [ $# -gt 0 ] || set -- --cached --others --exclude-standard
    mkdir -p "$folder"
    git -C "$root" -c safe.directory="$root" ls-files -z "$@" |
        (cd "$root" && while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done) |
        tar -C "$root" --null --files-from=- --create |
        tar -C "$folder" --extract
}

# in_private_network COMMAND...: runs it where the host's network is out of reach and a bridge lxcbr0 is there.
in_private_network() {
    HOST_NETWORK=$(readlink /proc/self/ns/net) unshare --net --mount --propagation unchanged bash "$root/scripts/_private_network.sh" "$@"
}

# ansible-test keeps its own environments under HOME: they go to the cache folder. What it makes there without a look at others
# that run is made first, under a lock: its key, and its bootstrap of pip.
ansible_test() {
    local home=$cache/home bootstrap pip key
    mkdir -p "$home/.config" "$home/.ansible/test/cache"
    [ ! -d "${HOME:-/root}/.config/pip" ] || ln -sfn "${HOME:-/root}/.config/pip" "$home/.config/pip"
    pip=$(sed -n "s/^ *pip='\([0-9.]*\)',$/\1/p" "$venv"/lib/python3*/site-packages/ansible_test/_internal/python_requirements.py)
    bootstrap=$home/.ansible/test/cache/get_pip_${pip//./_}.py
    key=$home/.ansible/test/id_rsa
    exec 6>"$cache/home.lock"
    flock 6
    cmp -s "$collection/scripts/_get_pip.py" "$bootstrap" || cp "$collection/scripts/_get_pip.py" "$bootstrap"
    [ -e "$key.pub" ] || ssh-keygen -m PEM -q -t rsa -N '' -f "$key"
    exec 6>&-
    (cd "$collection" && HOME=$home "$venv/bin/ansible-test" "$@")
}
