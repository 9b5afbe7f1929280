# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many LXC containers as declarative tasks, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lxc_task_group
short_description: Run many LXC containers as declarative tasks, in one call
version_added: 0.1.0
author:
  - nomadic.lxc contributors (!UNKNOWN)
description:
  - Does with each task of a list what M(nomadic.lxc.lxc_task) does with one, a few at the same time. A loop over that module
    costs Ansible's own time for each task. This module costs it once.
  - Every option of M(nomadic.lxc.lxc_task) but C(name) and C(handle) can be given here, for all tasks, and in
    O(tasks), for one. The task's own value stands instead of the group's. Lists and dicts are not merged.
  - A task whose state is V(stopped) or V(absent) takes no configuration from the group, since such a call is a command.
  - If a task fails, what was done to it is undone, the others go on, and the module fails at the end. The error names every
    task that failed and says why. RV(tasks) tells what became of each.
  - With O(backing_store=overlay), the template runs once for all tasks whose root file system is the same. That makes a
    hundred tasks in seconds.
options:
  tasks:
    description:
      - The tasks, each with the options of M(nomadic.lxc.lxc_task).
      - No two may mean the same container.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the task. Required unless O(tasks[].handle) is given.
        type: str
      count:
        description:
          - Makes so many tasks of this one, called C(<name>-0) and so on. Each has its number in RV(tasks[].index).
          - With a smaller O(tasks[].count) than before, those with higher numbers stay, unless O(exclusive) is V(true).
        type: int
      alloc_id:
        description:
          - As O(nomadic.lxc.lxc_task#module:alloc_id). By default, O(alloc_id) of the group.
        type: str
      handle:
        description:
          - Acts on the container of this handle. See O(nomadic.lxc.lxc_task#module:handle).
        type: json
      state:
        description:
          - As O(nomadic.lxc.lxc_task#module:state). By default, O(state) of the group.
        type: str
        choices:
          - started
          - present
          - stopped
          - restarted
          - frozen
          - absent
      template:
        description:
          - As O(nomadic.lxc.lxc_task#module:template). By default, O(template) of the group.
        type: str
      distro:
        description:
          - As O(nomadic.lxc.lxc_task#module:distro). By default, O(distro) of the group.
        type: str
      release:
        description:
          - As O(nomadic.lxc.lxc_task#module:release). By default, O(release) of the group.
        type: str
      arch:
        description:
          - As O(nomadic.lxc.lxc_task#module:arch). By default, O(arch) of the group.
        type: str
      image_variant:
        description:
          - As O(nomadic.lxc.lxc_task#module:image_variant). By default, O(image_variant) of the group.
        type: str
      image_server:
        description:
          - As O(nomadic.lxc.lxc_task#module:image_server). By default, O(image_server) of the group.
        type: str
      gpg_key_id:
        description:
          - As O(nomadic.lxc.lxc_task#module:gpg_key_id). By default, O(gpg_key_id) of the group.
        type: str
      gpg_key_server:
        description:
          - As O(nomadic.lxc.lxc_task#module:gpg_key_server). By default, O(gpg_key_server) of the group.
        type: str
      disable_gpg:
        description:
          - As O(nomadic.lxc.lxc_task#module:disable_gpg). By default, O(disable_gpg) of the group.
        type: bool
      flush_cache:
        description:
          - As O(nomadic.lxc.lxc_task#module:flush_cache). By default, O(flush_cache) of the group.
        type: bool
      force_cache:
        description:
          - As O(nomadic.lxc.lxc_task#module:force_cache). By default, O(force_cache) of the group.
        type: bool
      template_args:
        description:
          - As O(nomadic.lxc.lxc_task#module:template_args). By default, O(template_args) of the group.
        type: list
        elements: str
      default_config:
        description:
          - As O(nomadic.lxc.lxc_task#module:default_config). By default, O(default_config) of the group.
        type: path
      backing_store:
        description:
          - As O(nomadic.lxc.lxc_task#module:backing_store). By default, O(backing_store) of the group.
        type: str
        choices:
          - dir
          - overlay
      log_level:
        description:
          - As O(nomadic.lxc.lxc_task#module:log_level). By default, O(log_level) of the group.
        type: str
        choices:
          - trace
          - debug
          - info
          - warn
          - error
      verbosity:
        description:
          - As O(nomadic.lxc.lxc_task#module:verbosity). By default, O(verbosity) of the group.
        type: str
        choices:
          - quiet
          - verbose
      network_mode:
        description:
          - As O(nomadic.lxc.lxc_task#module:network_mode). By default, O(network_mode) of the group.
        type: str
        choices:
          - host
          - bridge
          - empty
      network_link:
        description:
          - As O(nomadic.lxc.lxc_task#module:network_link). By default, O(network_link) of the group.
        type: str
      lxc_config:
        description:
          - As O(nomadic.lxc.lxc_task#module:lxc_config). By default, O(lxc_config) of the group.
        type: dict
      host_network_admin:
        description:
          - As O(nomadic.lxc.lxc_task#module:host_network_admin). By default, O(host_network_admin) of the group.
        type: bool
      unprivileged:
        description:
          - As O(nomadic.lxc.lxc_task#module:unprivileged). By default, O(unprivileged) of the group.
        type: bool
      idmap_base:
        description:
          - As O(nomadic.lxc.lxc_task#module:idmap_base). By default, O(idmap_base) of the group.
        type: int
      idmap_size:
        description:
          - As O(nomadic.lxc.lxc_task#module:idmap_size). By default, O(idmap_size) of the group.
        type: int
      hostname:
        description:
          - As O(nomadic.lxc.lxc_task#module:hostname). By default, O(hostname) of the group.
        type: str
      init:
        description:
          - As O(nomadic.lxc.lxc_task#module:init). By default, O(init) of the group.
        type: str
      environment:
        description:
          - As O(nomadic.lxc.lxc_task#module:environment). By default, O(environment) of the group.
        type: dict
      volumes:
        description:
          - As O(nomadic.lxc.lxc_task#module:volumes). By default, O(volumes) of the group.
        type: list
        elements: str
      mounts:
        description:
          - As O(nomadic.lxc.lxc_task#module:mounts). By default, O(mounts) of the group.
        type: list
        elements: dict
        suboptions:
          source:
            description:
              - As C(source) in O(nomadic.lxc.lxc_task#module:mounts).
            type: str
            required: true
          target:
            description:
              - As C(target) in O(nomadic.lxc.lxc_task#module:mounts).
            type: str
            required: true
          read_only:
            description:
              - As C(read_only) in O(nomadic.lxc.lxc_task#module:mounts).
            type: bool
            default: false
          create:
            description:
              - As C(create) in O(nomadic.lxc.lxc_task#module:mounts).
            type: str
            choices:
              - auto
              - dir
              - file
            default: auto
      devices:
        description:
          - As O(nomadic.lxc.lxc_task#module:devices). By default, O(devices) of the group.
        type: list
        elements: dict
        suboptions:
          path:
            description:
              - As C(path) in O(nomadic.lxc.lxc_task#module:devices).
            type: str
            required: true
          target:
            description:
              - As C(target) in O(nomadic.lxc.lxc_task#module:devices).
            type: str
          permissions:
            description:
              - As C(permissions) in O(nomadic.lxc.lxc_task#module:devices).
            type: str
            default: rwm
      alloc_dir:
        description:
          - As O(nomadic.lxc.lxc_task#module:alloc_dir). By default, O(alloc_dir) of the group.
        type: path
      memory_mb:
        description:
          - As O(nomadic.lxc.lxc_task#module:memory_mb). By default, O(memory_mb) of the group.
        type: int
      cpu_shares:
        description:
          - As O(nomadic.lxc.lxc_task#module:cpu_shares). By default, O(cpu_shares) of the group.
        type: int
      autostart:
        description:
          - As O(nomadic.lxc.lxc_task#module:autostart). By default, O(autostart) of the group.
        type: bool
      kill_timeout:
        description:
          - As O(nomadic.lxc.lxc_task#module:kill_timeout). By default, O(kill_timeout) of the group.
        type: str
      max_kill_timeout:
        description:
          - As O(nomadic.lxc.lxc_task#module:max_kill_timeout). By default, O(max_kill_timeout) of the group.
        type: str
      volumes_enabled:
        description:
          - As O(nomadic.lxc.lxc_task#module:volumes_enabled). By default, O(volumes_enabled) of the group.
        type: bool
      recreate:
        description:
          - As O(nomadic.lxc.lxc_task#module:recreate). By default, O(recreate) of the group.
        type: str
        choices:
          - never
          - on_change
          - always
      restart_on_change:
        description:
          - As O(nomadic.lxc.lxc_task#module:restart_on_change). By default, O(restart_on_change) of the group.
        type: bool
      purge:
        description:
          - As O(nomadic.lxc.lxc_task#module:purge). By default, O(purge) of the group.
        type: bool
      lxc_path:
        description:
          - As O(nomadic.lxc.lxc_task#module:lxc_path). By default, O(lxc_path) of the group.
        type: path
  parallel:
    description:
      - How many tasks are worked on at the same time. By default, twice as many as there are CPUs.
      - A task that only waits for a container to shut down does not count.
    type: int
  exclusive:
    description:
      - With V(true), tasks of the alloc O(alloc_id) which the list does not name are removed, as with O(state=absent).
        O(purge) and O(kill_timeout) of the group hold for them.
      - Only tasks that this collection has made, in O(lxc_path), are removed.
      - It needs O(alloc_id), and all tasks must be of this alloc.
    type: bool
    default: false
  prune_images:
    description:
      - With V(true), images in O(lxc_path) that no container stands on are removed at the end, and with them what builds that
        were cut off have left. See O(nomadic.lxc.lxc_task#module:backing_store).
    type: bool
    default: false
  alloc_id:
    description:
      - The alloc of all tasks which have none of their own. They share the directory C(/alloc) then.
    type: str
  state:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:state).
    type: str
    choices:
      - started
      - present
      - stopped
      - restarted
      - frozen
      - absent
    default: started
  template:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:template).
    type: str
  distro:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:distro).
    type: str
  release:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:release).
    type: str
  arch:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:arch).
    type: str
  image_variant:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:image_variant).
    type: str
  image_server:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:image_server).
    type: str
  gpg_key_id:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:gpg_key_id).
    type: str
  gpg_key_server:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:gpg_key_server).
    type: str
  disable_gpg:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:disable_gpg).
    type: bool
    default: false
  flush_cache:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:flush_cache).
    type: bool
    default: false
  force_cache:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:force_cache).
    type: bool
    default: false
  template_args:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:template_args).
    type: list
    elements: str
  backing_store:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:backing_store).
    type: str
    choices:
      - dir
      - overlay
    default: dir
  log_level:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:log_level).
    type: str
    choices:
      - trace
      - debug
      - info
      - warn
      - error
    default: error
  verbosity:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:verbosity).
    type: str
    choices:
      - quiet
      - verbose
    default: quiet
  lxc_config:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:lxc_config).
    type: dict
  unprivileged:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:unprivileged).
    type: bool
    default: false
  idmap_base:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:idmap_base).
    type: int
  idmap_size:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:idmap_size).
    type: int
    default: 65536
  hostname:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:hostname).
    type: str
  init:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:init).
    type: str
  environment:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:environment).
    type: dict
  volumes:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:volumes).
    type: list
    elements: str
  mounts:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:mounts).
    type: list
    elements: dict
    suboptions:
      source:
        description:
          - As C(source) in O(nomadic.lxc.lxc_task#module:mounts).
        type: str
        required: true
      target:
        description:
          - As C(target) in O(nomadic.lxc.lxc_task#module:mounts).
        type: str
        required: true
      read_only:
        description:
          - As C(read_only) in O(nomadic.lxc.lxc_task#module:mounts).
        type: bool
        default: false
      create:
        description:
          - As C(create) in O(nomadic.lxc.lxc_task#module:mounts).
        type: str
        choices:
          - auto
          - dir
          - file
        default: auto
  devices:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:devices).
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - As C(path) in O(nomadic.lxc.lxc_task#module:devices).
        type: str
        required: true
      target:
        description:
          - As C(target) in O(nomadic.lxc.lxc_task#module:devices).
        type: str
      permissions:
        description:
          - As C(permissions) in O(nomadic.lxc.lxc_task#module:devices).
        type: str
        default: rwm
  memory_mb:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:memory_mb).
    type: int
  cpu_shares:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:cpu_shares).
    type: int
  autostart:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:autostart).
    type: bool
    default: false
  kill_timeout:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:kill_timeout).
    type: str
  recreate:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:recreate).
    type: str
    choices:
      - never
      - on_change
      - always
    default: never
  restart_on_change:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:restart_on_change).
    type: bool
    default: true
  purge:
    description:
      - For all tasks that have none of their own. See O(nomadic.lxc.lxc_task#module:purge).
    type: bool
    default: false
extends_documentation_fragment:
  - nomadic.lxc.policy
  - nomadic.lxc.attributes
  - nomadic.lxc.attributes.common
  - nomadic.lxc.attributes.actiongroup_lxc
attributes:
  check_mode:
    support: full
    details:
      - Check mode reads and plans every task, and does nothing else.
  diff_mode:
    support: full
    details:
      - The diff has a part for each task that differs. Values of C(environment) are hidden.
notes:
  - A module shows nothing before its end. So the module writes to the host's log, every few seconds, how many tasks are done.
  - A call that is ended by a signal, by a lost connection for example, undoes what it was doing to the tasks at that moment.
    Those that were done stay. After a kill that can not be caught, the next call puts right what is left.
  - Each running container takes a few pseudo terminals, about eight with the busybox template. C(kernel.pty.max) bounds how
    many there are on a host.
seealso:
  - module: nomadic.lxc.lxc_task
  - module: nomadic.lxc.lxc_task_facts
"""

EXAMPLES = r"""
---
- name: Run a hundred workers from one image
  nomadic.lxc.lxc_task_group:
    alloc_id: blue
    template: busybox
    backing_store: overlay
    network_mode: bridge
    memory_mb: 64
    tasks:
      - name: worker
        count: 100

- name: Run the tasks of an alloc, and remove those that are no longer in the list
  nomadic.lxc.lxc_task_group:
    alloc_id: shop
    exclusive: true
    template: download
    distro: debian
    release: bookworm
    arch: amd64
    backing_store: overlay
    network_mode: bridge
    tasks:
      - name: web
        count: 2
        volumes:
          - local:srv/site
      - name: db
        memory_mb: 512
        kill_timeout: 30s
  register: shop

- name: Show where they are
  ansible.builtin.debug:
    msg: "{{ item.container_name }}: {{ item.task.ips | join(' ') }}"
  loop: "{{ shop.tasks }}"
  loop_control:
    label: "{{ item.container_name }}"

- name: Change one limit of all, without a restart
  nomadic.lxc.lxc_task_group:
    alloc_id: blue
    template: busybox
    backing_store: overlay
    network_mode: bridge
    memory_mb: 96
    tasks:
      - name: worker
        count: 100

- name: Stop and remove them, and the images that nobody needs any more
  nomadic.lxc.lxc_task_group:
    alloc_id: blue
    state: absent
    purge: true
    prune_images: true
    tasks:
      - name: worker
        count: 100
"""

RETURN = r"""
---
tasks:
  description:
    - What became of each task, in the order of the list. Tasks that O(exclusive) removed come last.
    - Also returned if the module fails because tasks failed.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    name:
      description: The name of the task. Null where the list has a handle without a name.
      type: str
      sample: worker-0
    alloc_id:
      description: The alloc of the task. Null where it has none.
      type: str
      sample: blue
    container_name:
      description: The name of the container.
      type: str
      sample: worker-0-blue
    index:
      description: The number of the task among those of the same O(tasks[].count). Null where there is no count.
      type: int
      sample: 0
    named:
      description: Whether the list names the task. V(false) for one that O(exclusive) removed.
      type: bool
      sample: true
    changed:
      description: Whether the task was changed.
      type: bool
      sample: true
    actions:
      description: The steps that were taken, in order. In check mode, those that would be. Empty where the task failed.
      type: list
      elements: str
      sample:
        - make the task's directories
        - mount secrets
        - clone the image of template busybox
        - write configuration
        - start
    steps:
      description: How long each step took, a list of dicts with C(action) and C(seconds).
      type: list
      elements: dict
      sample:
        - action: start
          seconds: 0.031415
    diff:
      description: The task before and after, C(before) and C(after), by option. Only what differs is there.
      type: dict
      sample:
        before:
          memory_mb: 64
        after:
          memory_mb: 96
    error:
      description: Why the task failed. Null where it did not.
      type: str
      sample: null
    errors:
      description: What is wrong, one string each.
      returned: the task failed
      type: list
      elements: str
      sample:
        - "volumes: unsupported absolute container mount point: '/var'"
    handle:
      description: The handle of the container. Null where there is none.
      returned: the task did not fail
      type: str
      sample: '{"ContainerName":"worker-0-blue","InitPid":4242,"LxcPath":"/var/lib/lxc","KillTimeout":5000000000}'
    forced:
      description: Whether the last stop took a kill. Null unless this run stopped the container.
      returned: the task did not fail
      type: bool
      sample: false
    task:
      description: The task, as RV(nomadic.lxc.lxc_task#module:task). Null where it failed.
      type: dict
    template_output:
      description: What the template printed. Empty where none ran.
      returned: the task did not fail, and its O(tasks[].verbosity) is V(verbose)
      type: str
      sample: Installing busybox
summary:
  description: How many tasks there are, and what became of them.
  returned: always, unless the options are wrong
  type: dict
  sample:
    tasks: 100
    changed: 98
    unchanged: 1
    failed: 1
pruned_images:
  description: The images that O(prune_images) has removed. In check mode, those that it would remove now.
  returned: always, unless the options are wrong
  type: list
  elements: str
  sample:
    - busybox-92d86a5170ca31d4
diff:
  description:
    - The difference of every task that was changed, C(before) and C(after), with its container's name in
      C(before_header) and C(after_header).
  returned: always, unless the options are wrong
  type: list
  elements: dict
  sample:
    - before_header: worker-0-blue
      after_header: worker-0-blue
      before:
        memory_mb: 64
      after:
        memory_mb: 96
errors:
  description: What is wrong, one string for each task that failed, or for each fault in the options.
  returned: failure
  type: list
  elements: str
  sample:
    - "worker-1-blue: volumes: unsupported absolute container mount point: '/var'"
ansible_facts:
  description: The facts that M(nomadic.lxc.lxc_task_facts) sets, of the tasks of this group.
  returned: always, unless the options are wrong
  type: dict
  contains:
    lxc_tasks:
      description: The tasks, by container name. Those that failed are not there.
      type: dict
      returned: success
    lxc_images:
      description: As RV(nomadic.lxc.lxc_task_facts#module:images).
      type: list
      elements: dict
      returned: success
      sample: []
    lxc_driver:
      description: The fingerprint of Nomad's LXC driver.
      type: dict
      returned: success
    lxc_driver_abilities:
      description: What Nomad's LXC driver said that it can do.
      type: dict
      returned: success
"""

from ansible_collections.nomadic.lxc.plugins.module_utils._converge_group import converge_group
from ansible_collections.nomadic.lxc.plugins.module_utils._group import GROUP_SPEC
from ansible_collections.nomadic.lxc.plugins.module_utils._module import run_logging


def main() -> None:
    """Run the module; all of it is in module_utils."""
    run_logging(GROUP_SPEC, converge_group)


if __name__ == "__main__":
    main()
