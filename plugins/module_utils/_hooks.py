# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LXC hooks of ours: the tmpfs for secrets before a start, and what the kernel knew at a task's end.

They are commands in the configuration, so that they run whoever starts or stops the container; liblxc runs each by a
shell, with ``exec`` before it and words of its own behind it. See lxc.container.conf(5), HOOKS.
"""

from __future__ import annotations

import os.path
import shlex

from ansible_collections.nomadic.lxc.plugins.module_utils import _kept, _mounts


def _by_another_shell(script: str) -> str:
    """The words are its unused arguments."""
    return f"/bin/sh -c {shlex.quote(script)}"


def _by_this_shell(script: str) -> str:
    """Another one would take as long as all that it does: ``exec`` with nothing but a redirection leaves this one, see sh(1p)."""
    return f"</dev/null; {script}; :"


# Distributions confine lxc-start by an AppArmor profile that lets it mount in few places, and change to "unconfined": see
# /etc/apparmor.d/abstractions/lxc/start-container, and aa_change_onexec(2) for the file. Without AppArmor there is no such file.
_UNCONFINED = "{ echo exec unconfined >/proc/self/attr/apparmor/exec; } 2>/dev/null"


def secrets_hook(secrets: str, owner: int) -> str:
    """Before a start: put the tmpfs there; no tmpfs, no start. ``owner``: the id of the task's root on the host."""
    place = shlex.quote(secrets)
    return _by_another_shell(
        f"mountpoint -q {place} || {{ {_UNCONFINED};"
        f" exec mount -t tmpfs -o nosuid,nodev,noexec,{_mounts.secrets_options(owner)} tmpfs {place}; }}"
    )


def _only_for(directory: str) -> str:
    """A copy of the container brings our lines along, but what is kept here is not of it."""
    return f'[ "$LXC_NAME" = {shlex.quote(os.path.basename(directory))} ] || exit 0;'


def run_hook(directory: str) -> str:
    """At a start: keep who the init is (pid, start time in ticks, boot: see proc(5)), and its cgroups while it is still in
    the container's own, as far as to that of its memory: a shell reads byte by byte.
    """
    file = shlex.quote(os.path.join(directory, _kept.RUN_FILE))
    return _by_this_shell(
        f"{_only_for(directory)} {{ read -r boot </proc/sys/kernel/random/boot_id; read -r stat </proc/$LXC_PID/stat;"
        ' set -- ${stat##*) }; shift 19; echo "$LXC_PID $1 $boot";'
        ' while read -r line; do echo "$line"; case $line in *[:,]memory[:,]*) break; esac; done </proc/$LXC_PID/cgroup; }'
        f" >{file}"
    )


def exit_hook(directory: str) -> str:
    """At an end, while the cgroup can still be read: keep how often the memory limit killed.

    cgroup v1 counts kills in ``memory.oom_control`` of each cgroup, and meetings of the limit in ``memory.failcnt``
    (cgroup-v1/memory.rst). v2 has both in ``memory.events``: kills for all below it too, and in ``memory.events.local``,
    as ``oom``, those that the container's own limit caused (cgroup-v2.rst). Written at once, so that who waits for it
    reads all or nothing.
    """
    run, file = (shlex.quote(os.path.join(directory, name)) for name in (_kept.RUN_FILE, _kept.EXIT_FILE))
    return _by_this_shell(
        f"{_only_for(directory)} old= new=; {{"
        " read -r init;"
        ' while IFS=: read -r _ names path; do case ",$names," in *,memory,*) old=$path;; ,,) new=$path;; esac; done;'
        f" }} <{run};"
        ' if [ -n "$old" ]; then at=/sys/fs/cgroup/memory$old;'
        ' kills=$(grep -rhs "^oom_kill " --include=memory.oom_control "$at");'
        ' read -r hits <"$at/memory.failcnt";'
        ' else at=/sys/fs/cgroup$new; [ -e "$at" ] || at=/sys/fs/cgroup/unified$new;'
        ' kills=$(grep -s "^oom_kill " "$at/memory.events");'
        ' hits=$(grep -s "^oom " "$at/memory.events.local"); hits=${hits#oom }; fi;'
        f' printf "%s\\n" "$init $LXC_TARGET" "hits $hits" "$kills" >{file}'
    )
