# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks use, sampled from their control groups."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lxc_task_stats
short_description: Sample what tasks use
version_added: 0.1.0
author:
  - nomadic.lxc contributors (!UNKNOWN)
description:
  - Samples the CPU time, memory, processes and I/O of running tasks, and sets them as facts.
  - All selected tasks are sampled together, then again after O(interval). Percents are of the time between.
  - The numbers are the kernel's, from the container's own control group with all below it, so they are of the whole
    container, also with systemd inside. cgroup v1, v2 and both side by side are read.
  - What the kernel of the host does not give is null, never zero, and not named in C(measured).
options:
  name:
    description:
      - The name of the tasks. Without O(alloc_id), the tasks of that name in every alloc.
      - Without O(name), O(alloc_id) and O(handle), every task that this collection has made in O(lxc_path).
      - A name that matches nothing is no error. Nothing is returned then.
    type: str
  alloc_id:
    description:
      - The alloc of the tasks. Without O(name), all tasks of that alloc.
    type: str
  handle:
    description:
      - The container that this handle names, in place of O(name) and O(alloc_id). If they are given too, they must mean
        the same container.
      - A handle is a JSON object such as RV(nomadic.lxc.lxc_task#module:task.handle), or one that Nomad's LXC driver wrote. C(ContainerName) and
        C(LxcPath) are needed, C(KillTimeout) (in nanoseconds) is optional, and everything else is passed over. The
        container need not have been made by this collection.
      - A container that does not exist is an error.
    type: json
  interval:
    description:
      - The time between the two samples, a number of seconds or a Go duration such as V(500ms).
      - With V(0), there is one sample, and the percents are null.
    type: str
    default: 1s
  textfile:
    description:
      - Also writes the samples to this file, for the textfile collector of Prometheus' node_exporter. Its name must end in
        C(.prom) to be read by it, a warning says so of another, and its directory must exist.
      - The file is replaced as a whole. The metrics are counters and gauges in base units, such as
        C(lxc_task_cpu_seconds_total) and C(lxc_task_memory_rss_bytes), with the labels C(task), C(alloc) and C(container).
      - Writing it is not a change. It is not written in check mode.
    type: path
extends_documentation_fragment:
  - nomadic.lxc.policy
  - nomadic.lxc.attributes
  - nomadic.lxc.attributes.common
  - nomadic.lxc.attributes.actiongroup_lxc
attributes:
  check_mode:
    support: full
    details:
      - The module never changes a task. In check mode it does not write O(textfile) either.
  diff_mode:
    support: N/A
    details:
      - The module never changes a task.
notes:
  - Only O(lxc_path) is used of the policy options.
  - On cgroup v2, C(rss) is C(anon) and C(cache) is C(file) in C(memory.stat), C(swap) is C(memory.swap.current), C(max_usage)
    is C(memory.peak), and C(kernel_usage) is C(kernel) in C(memory.stat). There is no C(kernel_max_usage).
  - On cgroup v1, they are C(total_rss), C(total_cache) and C(total_swap) in C(memory.stat), C(memory.max_usage_in_bytes),
    C(memory.kmem.usage_in_bytes) and C(memory.kmem.max_usage_in_bytes).
  - A task whose record can not be read is left out with a warning, unless it was asked for by its name or its handle.
seealso:
  - module: nomadic.lxc.lxc_task
  - module: nomadic.lxc.lxc_task_facts
"""

EXAMPLES = r"""
---
# Ad-hoc, for all tasks of a host:
#   ansible localhost -m nomadic.lxc.lxc_task_stats

- name: Sample every task over five seconds
  nomadic.lxc.lxc_task_stats:
    interval: 5s
  register: usage

- name: Show the CPU and the memory of each
  ansible.builtin.debug:
    msg: "{{ item.value.cpu.percent }} % of a CPU, {{ (item.value.memory.rss / 1048576) | round(1) }} MiB"
  loop: "{{ usage.stats | dict2items }}"
  loop_control:
    label: "{{ item.key }}"

- name: Read the counters of one task, without percents
  nomadic.lxc.lxc_task_stats:
    name: web
    interval: "0"

- name: Write the samples for Prometheus
  nomadic.lxc.lxc_task_stats:
    textfile: /var/lib/prometheus/node-exporter/lxc_tasks.prom
"""

RETURN = r"""
---
stats:
  description:
    - What each running task uses, by container name. The keys below are of one task.
  returned: success
  type: dict
  contains:
    cpu:
      description: CPU time. The percents are of one CPU, so a task can have more than 100.
      type: dict
      contains:
        system_mode:
          description: Percent in kernel mode.
          type: float
          sample: 1.5
        user_mode:
          description: Percent in user mode.
          type: float
          sample: 41.2
        percent:
          description: Percent in all.
          type: float
          sample: 42.71
        total_ticks:
          description: User and system time since the container's start, in clock ticks.
          type: int
          sample: 12345
        measured:
          description: What the kernel gave, of V(System Mode), V(User Mode) and V(Percent).
          type: list
          elements: str
          sample:
            - System Mode
            - User Mode
            - Percent
    memory:
      description: Memory in bytes.
      type: dict
      contains:
        rss:
          description: Anonymous memory.
          type: int
          sample: 4194304
        cache:
          description: Page cache.
          type: int
          sample: 1048576
        swap:
          description: Swap.
          type: int
          sample: 0
        max_usage:
          description: The most memory in use so far.
          type: int
          sample: 67108864
        kernel_usage:
          description: Memory of the kernel.
          type: int
          sample: 389120
        kernel_max_usage:
          description: The most memory of the kernel in use so far. Null on cgroup v2.
          type: int
          sample: 802816
        measured:
          description:
            - What the kernel gave, of V(RSS), V(Cache), V(Swap), V(Max Usage), V(Kernel Usage) and V(Kernel Max Usage).
          type: list
          elements: str
          sample:
            - RSS
            - Cache
            - Swap
            - Max Usage
            - Kernel Usage
            - Kernel Max Usage
    memory_limit:
      description: The memory limit in bytes. Null where there is none.
      type: int
      sample: 67108864
    oom_kills:
      description: How many processes the kernel killed for want of memory since the container's start.
      type: int
      sample: 0
    pids:
      description: The number of processes and threads.
      type: int
      sample: 4
    io:
      description: Bytes moved from and to block devices since the container's start; both null where the kernel does not count.
      type: dict
      contains:
        read_bytes:
          description: Bytes read.
          type: int
          sample: 1048576
        write_bytes:
          description: Bytes written.
          type: int
          sample: 4096
    throttled:
      description: How much a CPU quota held the task back since the container's start; both null where the kernel does not count.
      type: dict
      contains:
        periods:
          description: The number of periods in which it was held back.
          type: int
          sample: 0
        time:
          description: For how long in all, in seconds.
          type: float
          sample: 0.0
    timestamp:
      description: When the last sample was taken, in nanoseconds since 1970 and UTC.
      type: int
      sample: 1795514142123456789
    cgroup_version:
      description: The version of the cgroup memory controller that was read, V(1) or V(2).
      type: int
      sample: 2
not_running:
  description:
    - The container names of the selected tasks that do not run, or ended between the two samples.
  returned: success
  type: list
  elements: str
  sample:
    - report-5e1d
ansible_facts:
  description: The facts that are set.
  returned: success
  type: dict
  contains:
    lxc_task_stats:
      description: The same dict as RV(stats).
      type: dict
      returned: success
"""

from ansible_collections.nomadic.lxc.plugins.module_utils import _bytecode

# It loads what follows quickly.
# isort: split
from ansible_collections.nomadic.lxc.plugins.module_utils import _module, _sampling


def main() -> None:
    """Run the module; all of it is in module_utils."""
    _bytecode.loaded()
    _module.run(_sampling.ARGUMENT_SPEC, _sampling.stats, libraries=("lxc",))


if __name__ == "__main__":
    main()
