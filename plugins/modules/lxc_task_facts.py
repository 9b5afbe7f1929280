# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks as they are, the host's abilities, and waiting for a task's end or start."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lxc_task_facts
short_description: Look at tasks, and wait for their end or start
version_added: 0.1.0
author:
  - nomadic.lxc contributors (!UNKNOWN)
description:
  - Returns tasks as they are on the host, by name, by handle, or all of them, and sets them as facts.
  - Tells whether the host can run tasks, with the attributes by which Nomad's LXC driver told a node of itself.
  - Waits until tasks have ended or run, with O(wait).
  - Never changes anything. It takes no lock, so it also answers while another call works on a task.
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
      - A handle is a JSON object such as RV(tasks[].handle), or one that Nomad's LXC driver wrote. C(ContainerName) and
        C(LxcPath) are needed, C(KillTimeout) (in nanoseconds) is optional, and everything else is passed over. The
        container need not have been made by this collection.
      - A container that does not exist is an error.
    type: json
  driver_enabled:
    description:
      - With V(false), the fingerprint RV(ansible_facts.lxc_driver) is empty, as that of a host whose driver is disabled.
        The tasks are returned all the same.
    type: bool
    default: true
  wait:
    description:
      - Waits for all selected tasks. Needs O(name) or O(handle).
      - V(exited) - until none of them runs. The kernel tells of the end of a container's init, so it is noticed at once,
        and no other process that gets the same pid later is taken for it. Tasks that do not run are not waited for. A task
        that reboots from inside has not ended. A frozen task has not ended either.
      - V(running) - until at least one is selected, and all run. A task that does not exist yet may appear.
    type: str
    choices:
      - exited
      - running
  timeout:
    description:
      - How long to wait, a number of seconds or a Go duration such as V(1m30s) or V(500ms). A wait that takes longer is an
        error, which says what state each task is in.
      - Used with O(wait) only.
    type: str
    default: 60s
extends_documentation_fragment:
  - nomadic.lxc.policy
  - nomadic.lxc.attributes
  - nomadic.lxc.attributes.common
  - nomadic.lxc.attributes.actiongroup_lxc
attributes:
  check_mode:
    support: full
    details:
      - The module never changes anything, in check mode or out of it. It waits in check mode too.
  diff_mode:
    support: N/A
    details:
      - The module never changes anything.
notes:
  - Only O(lxc_path), O(volumes_enabled) and O(max_kill_timeout) are used of the policy options. O(volumes_enabled) decides
    whether the fingerprint says that volumes are enabled.
  - Where LXC is not installed, there are no tasks, and the fingerprint is empty. That is no error.
  - A task whose record can not be read is left out with a warning, unless it was asked for by its name or its handle.
  - A wait returns as soon as a hook in the container's configuration has kept what is known of its end. LXC still removes
    its network and its control groups then, for some milliseconds. A container without that hook, which this collection
    did not make, is waited for until LXC is done.
seealso:
  - module: nomadic.lxc.lxc_task
  - module: nomadic.lxc.lxc_task_stats
"""

EXAMPLES = r"""
---
# Ad-hoc, for all tasks of a host:
#   ansible localhost -m nomadic.lxc.lxc_task_facts

- name: Look at every task on this host
  nomadic.lxc.lxc_task_facts:

- name: Show where they can be reached
  ansible.builtin.debug:
    msg: "{{ item.value.state }} {{ item.value.ips | join(' ') }}"
  loop: "{{ ansible_facts.lxc_tasks | dict2items }}"
  loop_control:
    label: "{{ item.key }}"

- name: Look at the tasks of this name in every alloc
  nomadic.lxc.lxc_task_facts:
    name: web
  register: web

- name: Find a container again by a handle that Nomad wrote
  nomadic.lxc.lxc_task_facts:
    handle: '{"ContainerName":"web-5e1d","InitPid":4242,"LxcPath":"/var/lib/lxc","KillTimeout":5000000000}'

- name: Wait until a batch task has ended, at most an hour
  nomadic.lxc.lxc_task_facts:
    name: report
    alloc_id: 5e1d
    wait: exited
    timeout: 1h
  register: report

- name: Fail if it ran out of memory
  ansible.builtin.assert:
    that: not report.tasks[0].exit.oom_killed
    fail_msg: The report needs more than {{ report.tasks[0].memory_mb }} MiB.

- name: Wait until another play has started the task
  nomadic.lxc.lxc_task_facts:
    name: db
    wait: running
    timeout: 30s

- name: Stop here where no task can run
  ansible.builtin.fail:
    msg: This host has no LXC.
  when: not ansible_facts.lxc_driver
"""

RETURN = r"""
---
tasks:
  description:
    - The selected tasks, by container name. Each is the dict that M(nomadic.lxc.lxc_task) returns as C(task), and described
      there.
    - RV(tasks[].memory_mb) and RV(tasks[].cpu_shares) are what was declared.
    - After O(wait=exited), a task that was removed meanwhile has the state V(absent), or is the last that was seen of it.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the task. Null for a container that this collection did not make.
      type: str
      sample: web
    alloc_id:
      description: The alloc of the task. Null where it has none.
      type: str
      sample: 5e1d
    container_name:
      description: The name of the container.
      type: str
      sample: web-5e1d
    lxc_path:
      description: The directory in which the container lives.
      type: str
      sample: /var/lib/lxc
    state:
      description: The state of the container, one of V(running), V(stopped), V(frozen) or V(absent).
      type: str
      sample: stopped
    init_pid:
      description: The pid of the container's init, as the host sees it. V(-1) while nothing runs.
      type: int
      sample: -1
    handle:
      description:
        - The handle of the container, a JSON string in the form of Nomad's LXC driver. All modules of this collection take
          it.
      type: str
      sample: '{"ContainerName":"web-5e1d","InitPid":-1,"LxcPath":"/var/lib/lxc","KillTimeout":5000000000}'
    log_file:
      description: The file on the host that liblxc logs to. Null for a container that this collection did not make.
      type: str
      sample: /var/lib/nomadic-lxc/alloc/5e1d/web/web-lxc.log
    dirs:
      description:
        - The directories of the task on the host, C(task), C(local), C(alloc) and C(secrets). Each is null for a container
          that this collection did not make.
      type: dict
      sample:
        task: /var/lib/nomadic-lxc/alloc/5e1d/web
        local: /var/lib/nomadic-lxc/alloc/5e1d/web/local
        alloc: /var/lib/nomadic-lxc/alloc/5e1d/alloc
        secrets: /var/lib/nomadic-lxc/alloc/5e1d/web/secrets
    mounts:
      description: What is bound into the container, with C(source), C(target), C(read_only) and C(create) each.
      type: list
      elements: dict
      sample:
        - source: /var/lib/nomadic-lxc/alloc/5e1d/web/local
          target: /local
          read_only: false
          create: dir
    network_mode:
      description: The network mode of the container. Null where it has a network of another kind.
      type: str
      sample: bridge
    idmap:
      description:
        - Whose ids on the host the users of the container have. Null where root inside is root on the host.
      type: dict
      contains:
        base:
          description: The id that is root inside, of a user and of a group.
          type: int
          sample: 1879048192
        size:
          description: How many ids follow each other from there.
          type: int
          sample: 65536
    memory_mb:
      description: The declared memory limit in MiB. Null where there is none.
      type: int
      sample: 64
    cpu_shares:
      description: The declared CPU weight on the scale of cgroup v1. Null where none was set.
      type: int
      sample: 512
    kill_timeout:
      description: The kill timeout in seconds, as it takes effect, at most O(max_kill_timeout).
      type: float
      sample: 5
    cgroup_version:
      description: The version of the cgroups that hold the container's limits, V(1) or V(2). Null where it is not known.
      type: int
      sample: 2
    interfaces:
      description: The network interfaces of the running container. Empty while nothing runs.
      type: list
      elements: str
      sample:
        - eth0
        - lo
    ips:
      description:
        - The addresses of the running container, without loopback and link-local ones. Empty while nothing runs.
      type: list
      elements: str
      sample:
        - 10.0.3.20
    created_at:
      description: When the container was created, in ISO 8601 and UTC. Null where it is not known.
      type: str
      sample: "2026-11-24T09:30:00Z"
    started_at:
      description: When the container's init was started, in ISO 8601 and UTC. Null where it does not run.
      type: str
      sample: "2026-11-24T09:30:01Z"
    exit:
      description: What is known of the end of a task that ended. Null where it runs, or nothing is known.
      type: dict
      contains:
        ended_at:
          description: When it ended, in ISO 8601 and UTC.
          type: str
          sample: "2026-11-24T10:15:42Z"
        oom_killed:
          description:
            - V(true) if the kernel killed a process of the task for its memory limit, and the end was not a stop by this
              collection. Null where the kernel does not tell.
          type: bool
          sample: true
images:
  description:
    - The images of the containers in O(lxc_path), see O(nomadic.lxc.lxc_task#module:backing_store). All of them, whichever
      tasks are selected.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The name of the image, the same for all tasks that share it.
      type: str
      sample: busybox-92d86a5170ca31d4
    directory:
      description: Where it is.
      type: str
      sample: /var/lib/lxc/.nomadic-lxc-images/busybox-92d86a5170ca31d4
    whole:
      description: Whether it is complete. If not, the next task that needs it builds it again.
      type: bool
      sample: true
    build:
      description: Which build of the image this is. Null where it is not complete.
      type: str
      sample: 2026-11-24T09:30:00Z-28712717
    built_at:
      description: When it was built, in ISO 8601 and UTC. Null where it is not complete.
      type: str
      sample: "2026-11-24T09:30:00Z"
    options:
      description: The options that it was made from. C(template) is the path of the template.
      type: dict
      sample:
        template: /usr/share/lxc/templates/lxc-busybox
    containers:
      description: The containers that stand on it.
      type: list
      elements: str
      sample:
        - web-5e1d
waited:
  description: What the wait saw.
  returned: success and O(wait) is given
  type: dict
  contains:
    seconds:
      description: How long it waited.
      type: float
      sample: 12.345678
    noticed_at:
      description:
        - When the end of each container's init was noticed, by container name, in nanoseconds since 1970 and UTC. A task that
          did not run when the wait began is not there. Empty for O(wait=running).
      type: dict
      sample:
        web-5e1d: 1795514142123456789
ansible_facts:
  description: The facts that are set.
  returned: success
  type: dict
  contains:
    lxc_tasks:
      description: The same dicts as in RV(tasks), by container name.
      type: dict
      returned: success
    lxc_images:
      description: The same list as RV(images).
      type: list
      elements: dict
      returned: success
      sample: []
    lxc_driver:
      description:
        - The fingerprint of Nomad's LXC driver. Empty where LXC is not installed, or with O(driver_enabled=false).
        - C(driver.lxc.volumes.enabled) is there only with O(volumes_enabled=true).
      type: dict
      returned: success
      sample:
        driver.lxc: "1"
        driver.lxc.version: 5.0.2
        driver.lxc.volumes.enabled: "1"
    lxc_driver_abilities:
      description: What Nomad's LXC driver said that it can do.
      type: dict
      returned: success
      sample:
        send_signals: false
        exec: false
        fs_isolation: image
"""

from ansible_collections.nomadic.lxc.plugins.module_utils import _bytecode

# It loads what follows quickly.
# isort: split
from ansible_collections.nomadic.lxc.plugins.module_utils import _facts, _module


def main() -> None:
    """Run the module; all of it is in module_utils."""
    _bytecode.loaded()
    _module.run(_facts.ARGUMENT_SPEC, _facts.facts, _facts.without_lxc, libraries=("lxc",))


if __name__ == "__main__":
    main()
