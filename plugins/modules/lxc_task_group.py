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
      state: &state
        description:
          - See O(nomadic.lxc.lxc_task#module:state). Given for one task, it stands instead of the one for all.
        type: str
        choices:
          - started
          - present
          - stopped
          - restarted
          - frozen
          - absent
      template: &template
        description:
          - See O(nomadic.lxc.lxc_task#module:template). Given for one task, it stands instead of the one for all.
        type: str
      distro: &distro
        description:
          - See O(nomadic.lxc.lxc_task#module:distro). Given for one task, it stands instead of the one for all.
        type: str
      release: &release
        description:
          - See O(nomadic.lxc.lxc_task#module:release). Given for one task, it stands instead of the one for all.
        type: str
      arch: &arch
        description:
          - See O(nomadic.lxc.lxc_task#module:arch). Given for one task, it stands instead of the one for all.
        type: str
      image_variant: &image_variant
        description:
          - See O(nomadic.lxc.lxc_task#module:image_variant). Given for one task, it stands instead of the one for all.
        type: str
      image_server: &image_server
        description:
          - See O(nomadic.lxc.lxc_task#module:image_server). Given for one task, it stands instead of the one for all.
        type: str
      gpg_key_id: &gpg_key_id
        description:
          - See O(nomadic.lxc.lxc_task#module:gpg_key_id). Given for one task, it stands instead of the one for all.
        type: str
      gpg_key_server: &gpg_key_server
        description:
          - See O(nomadic.lxc.lxc_task#module:gpg_key_server). Given for one task, it stands instead of the one for all.
        type: str
      disable_gpg: &disable_gpg
        description:
          - See O(nomadic.lxc.lxc_task#module:disable_gpg). Given for one task, it stands instead of the one for all.
        type: bool
      flush_cache: &flush_cache
        description:
          - See O(nomadic.lxc.lxc_task#module:flush_cache). Given for one task, it stands instead of the one for all.
        type: bool
      force_cache: &force_cache
        description:
          - See O(nomadic.lxc.lxc_task#module:force_cache). Given for one task, it stands instead of the one for all.
        type: bool
      template_args: &template_args
        description:
          - See O(nomadic.lxc.lxc_task#module:template_args). Given for one task, it stands instead of the one for all.
        type: list
        elements: str
      default_config:
        description:
          - As O(nomadic.lxc.lxc_task#module:default_config). By default, O(default_config) of the group.
        type: path
      backing_store: &backing_store
        description:
          - See O(nomadic.lxc.lxc_task#module:backing_store). Given for one task, it stands instead of the one for all.
        type: str
        choices:
          - dir
          - overlay
      log_level: &log_level
        description:
          - See O(nomadic.lxc.lxc_task#module:log_level). Given for one task, it stands instead of the one for all.
        type: str
        choices:
          - trace
          - debug
          - info
          - warn
          - error
      verbosity: &verbosity
        description:
          - See O(nomadic.lxc.lxc_task#module:verbosity). Given for one task, it stands instead of the one for all.
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
      lxc_config: &lxc_config
        description:
          - See O(nomadic.lxc.lxc_task#module:lxc_config). Given for one task, it stands instead of the one for all.
        type: dict
      host_network_admin:
        description:
          - As O(nomadic.lxc.lxc_task#module:host_network_admin). By default, O(host_network_admin) of the group.
        type: bool
      unprivileged: &unprivileged
        description:
          - See O(nomadic.lxc.lxc_task#module:unprivileged). Given for one task, it stands instead of the one for all.
        type: bool
      idmap_base: &idmap_base
        description:
          - See O(nomadic.lxc.lxc_task#module:idmap_base). Given for one task, it stands instead of the one for all.
        type: int
      idmap_size: &idmap_size
        description:
          - See O(nomadic.lxc.lxc_task#module:idmap_size). Given for one task, it stands instead of the one for all.
        type: int
      hostname: &hostname
        description:
          - See O(nomadic.lxc.lxc_task#module:hostname). Given for one task, it stands instead of the one for all.
        type: str
      init: &init
        description:
          - See O(nomadic.lxc.lxc_task#module:init). Given for one task, it stands instead of the one for all.
        type: str
      environment: &environment
        description:
          - See O(nomadic.lxc.lxc_task#module:environment). Given for one task, it stands instead of the one for all.
        type: dict
      volumes: &volumes
        description:
          - See O(nomadic.lxc.lxc_task#module:volumes). Given for one task, it stands instead of the one for all.
        type: list
        elements: str
      mounts: &mounts
        description:
          - See O(nomadic.lxc.lxc_task#module:mounts). Given for one task, it stands instead of the one for all.
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
      devices: &devices
        description:
          - See O(nomadic.lxc.lxc_task#module:devices). Given for one task, it stands instead of the one for all.
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
      memory_mb: &memory_mb
        description:
          - See O(nomadic.lxc.lxc_task#module:memory_mb). Given for one task, it stands instead of the one for all.
        type: int
      cpu_shares: &cpu_shares
        description:
          - See O(nomadic.lxc.lxc_task#module:cpu_shares). Given for one task, it stands instead of the one for all.
        type: int
      autostart: &autostart
        description:
          - See O(nomadic.lxc.lxc_task#module:autostart). Given for one task, it stands instead of the one for all.
        type: bool
      kill_timeout: &kill_timeout
        description:
          - See O(nomadic.lxc.lxc_task#module:kill_timeout). Given for one task, it stands instead of the one for all.
        type: str
      max_kill_timeout:
        description:
          - As O(nomadic.lxc.lxc_task#module:max_kill_timeout). By default, O(max_kill_timeout) of the group.
        type: str
      volumes_enabled:
        description:
          - As O(nomadic.lxc.lxc_task#module:volumes_enabled). By default, O(volumes_enabled) of the group.
        type: bool
      recreate: &recreate
        description:
          - See O(nomadic.lxc.lxc_task#module:recreate). Given for one task, it stands instead of the one for all.
        type: str
        choices:
          - never
          - on_change
          - always
      restart_on_change: &restart_on_change
        description:
          - See O(nomadic.lxc.lxc_task#module:restart_on_change). Given for one task, it stands instead of the one for all.
        type: bool
      purge: &purge
        description:
          - See O(nomadic.lxc.lxc_task#module:purge). Given for one task, it stands instead of the one for all.
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
      - It needs O(alloc_id), and all tasks that have a name must be of this alloc.
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
    <<: *state
    default: started
  template: *template
  distro: *distro
  release: *release
  arch: *arch
  image_variant: *image_variant
  image_server: *image_server
  gpg_key_id: *gpg_key_id
  gpg_key_server: *gpg_key_server
  disable_gpg:
    <<: *disable_gpg
    default: false
  flush_cache:
    <<: *flush_cache
    default: false
  force_cache:
    <<: *force_cache
    default: false
  template_args: *template_args
  backing_store:
    <<: *backing_store
    default: dir
  log_level:
    <<: *log_level
    default: error
  verbosity:
    <<: *verbosity
    default: quiet
  lxc_config: *lxc_config
  unprivileged:
    <<: *unprivileged
    default: false
  idmap_base: *idmap_base
  idmap_size:
    <<: *idmap_size
    default: 65536
  hostname: *hostname
  init: *init
  environment: *environment
  volumes: *volumes
  mounts: *mounts
  devices: *devices
  memory_mb: *memory_mb
  cpu_shares: *cpu_shares
  autostart:
    <<: *autostart
    default: false
  kill_timeout: *kill_timeout
  recreate:
    <<: *recreate
    default: never
  restart_on_change:
    <<: *restart_on_change
    default: true
  purge:
    <<: *purge
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
    msg: "{{ item.container_name }}: {{ shop.ansible_facts.lxc_tasks[item.container_name].ips | join(' ') }}"
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
    state:
      description:
        - The state of the task, in check mode as it would be. Null where the task failed.
        - RV(ansible_facts.lxc_tasks) has everything else that the task is.
      type: str
      sample: running
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
  description: The images that O(prune_images) has removed. In check mode, those that it would remove.
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
  description:
    - The facts that M(nomadic.lxc.lxc_task_facts) sets, of the tasks of this group.
    - If tasks failed, Ansible sets no facts, but what is registered has them.
  returned: always, unless the options are wrong
  type: dict
  contains:
    lxc_tasks:
      description:
        - The tasks, by container name, each as RV(nomadic.lxc.lxc_task#module:task). Those that failed are not there.
        - Of containers of the same name, in more than one O(lxc_path), the last one of the list is there.
      type: dict
      returned: always
    lxc_images:
      description: As RV(nomadic.lxc.lxc_task_facts#module:images).
      type: list
      elements: dict
      returned: always
      sample: []
    lxc_driver:
      description: The fingerprint of Nomad's LXC driver.
      type: dict
      returned: always
    lxc_driver_abilities:
      description: What Nomad's LXC driver said that it can do.
      type: dict
      returned: always
"""

from ansible_collections.nomadic.lxc.plugins.module_utils import _bytecode

# It loads what follows quickly.
# isort: split
from ansible_collections.nomadic.lxc.plugins.module_utils import _converge_group, _group, _module


def main() -> None:
    """Run the module; all of it is in module_utils."""
    _bytecode.loaded()
    _module.run_logging(_group.GROUP_SPEC, _converge_group.converge_group)


if __name__ == "__main__":
    main()
