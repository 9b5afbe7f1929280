# Copyright: nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LXC hooks of ours: the tmpfs for secrets before a start, and what the kernel knew at a task's end.

They are commands in the configuration, so that they run whoever starts or stops the container; liblxc runs each by a
shell and appends words of its own, which become the inner shell's unused arguments. See lxc.container.conf(5), HOOKS.
"""

from __future__ import annotations

import os.path
import shlex
from dataclasses import dataclass

from ansible_collections.nomadic.lxc.plugins.module_utils._mounts import SECRETS_OPTIONS

# In the container's own directory: the init and the cgroups of the run that began last; the end that came last.
RUN_FILE = "nomadic-lxc.run"
EXIT_FILE = "nomadic-lxc.exit"


@dataclass(frozen=True)
class Ended:
    """``init_pid``: whose end it was. ``oom_kills``: how many of the container's processes the kernel had killed for its
    memory limit in that run, None if the kernel did not tell.
    """

    init_pid: int
    oom_kills: int | None


def _command(script: str) -> str:
    return f"/bin/sh -c {shlex.quote(script)}"


def secrets_hook(secrets: str) -> str:
    """Before a start: put the tmpfs there; no tmpfs, no start."""
    place = shlex.quote(secrets)
    return _command(f"mountpoint -q {place} || mount -t tmpfs -o nosuid,nodev,noexec,{SECRETS_OPTIONS} tmpfs {place}")


def run_hook(directory: str) -> str:
    """At a start: keep the pid of the init, and its cgroups while it is still in the container's own."""
    file = shlex.quote(os.path.join(directory, RUN_FILE))
    return _command(f'{{ echo "$LXC_PID"; while read -r line; do echo "$line"; done </proc/$LXC_PID/cgroup; }} >{file} || :')


def exit_hook(directory: str) -> str:
    """At an end, while the cgroup can still be read: keep how often the memory limit killed.

    cgroup v1 counts in ``memory.oom_control`` of each cgroup (cgroup-v1/memory.rst), v2 in ``memory.events`` of the
    container for all below it (cgroup-v2.rst).
    """
    run, file = (shlex.quote(os.path.join(directory, name)) for name in (RUN_FILE, EXIT_FILE))
    return _command(
        "old= new= kills=; {"
        " read -r pid;"
        " while IFS=: read -r _ names path; do case \",$names,\" in *,memory,*) old=$path;; ,,) new=$path;; esac; done;"
        f" }} <{run};"
        ' if [ -n "$old" ]; then'
        ' kills=$(grep -rhs "^oom_kill " --include=memory.oom_control "/sys/fs/cgroup/memory$old");'
        ' else kills=$(grep -hs "^oom_kill " "/sys/fs/cgroup$new/memory.events" "/sys/fs/cgroup/unified$new/memory.events"); fi;'
        f' {{ echo "$pid"; echo "$kills"; }} >{file}'
    )


def parse_exit(text: str) -> Ended | None:
    """What the hook wrote; None for anything else."""
    lines = text.split("\n")
    if not lines[0].strip().isdecimal():
        return None
    counts = [line.split(" ")[1:] for line in lines[1:] if line.startswith("oom_kill ")]
    numbers = [int(words[0]) for words in counts if len(words) == 1 and words[0].isdecimal()]
    return Ended(int(lines[0]), sum(numbers) if numbers else None)
