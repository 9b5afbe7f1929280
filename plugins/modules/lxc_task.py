# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One LXC container as a declarative task."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lxc_task
short_description: Run an LXC container as a declarative task
version_added: 0.1.0
author:
  - nomadic.lxc contributors (!UNKNOWN)
description:
  - Makes one LXC container what you declare it to be, with its limits, mounts, devices, network and directories.
  - A second run of an unchanged task changes nothing. What was changed by hand is put back.
  - The module behaves like the LXC driver of Nomad 0.8, for people who want its tasks without its servers.
  - B(Declaration.) With O(template), and O(state) V(present), V(started), V(restarted) or V(frozen), a call declares
    the task. The container is made if it is missing, and converged to exactly the given options. An option that is no
    longer given goes back to its default. For example, the memory limit is lifted when O(memory_mb) is dropped.
  - B(Command.) Without O(template), with O(state) V(stopped) or V(absent), and for a container that this collection
    did not make, a call is a command. It changes the state alone. A configuration option given with a command is an
    error. These may be given with a command - O(kill_timeout), O(purge), and the policy options O(lxc_path),
    O(alloc_dir), O(volumes_enabled), O(max_kill_timeout), O(network_mode), O(network_link), O(host_network_admin) and
    O(default_config).
  - If anything fails, what the run has made is undone, and what stood before stays. A task that ran before the run
    runs again with its former configuration. The error names the step and repeats the last words of liblxc or of the
    template.
options:
  name:
    description:
      - The name of the task. Required unless O(handle) is given.
      - It matches C([A-Za-z0-9][A-Za-z0-9_.-]*) and is not V(alloc).
      - The container is called C(<name>-<alloc_id>), or C(<name>) without O(alloc_id). Its name has at most 64
        characters.
      - A container of that name which this collection did not make for this task is never touched by name. Use
        O(handle) for it.
    type: str
  alloc_id:
    description:
      - The alloc that the task belongs to. An alloc is a placement of tasks that share one directory, C(/alloc) inside.
      - It matches C([A-Za-z0-9][A-Za-z0-9_.-]*).
      - When it is not set, the task is alone in an alloc of its own.
    type: str
  handle:
    description:
      - Acts on the container that this handle names. O(name) and O(alloc_id) are not needed then. If they are given,
        they must mean the same container.
      - A handle is a JSON object such as RV(handle), or one that Nomad's LXC driver wrote. C(ContainerName) and
        C(LxcPath) are needed, C(KillTimeout) (in nanoseconds) is optional, and everything else is passed over.
      - The container need not have been made by this collection. One that was not can only be commanded, not declared.
    type: json
  state:
    description:
      - V(present) - the container exists with this configuration. A running one is left running.
      - V(started) - the same, and it runs. A frozen one is thawed. One whose init has died is started again.
      - V(stopped) - the container is asked to shut down, and killed when O(kill_timeout) is over. A frozen one is
        thawed first. It and its directories stay.
      - V(restarted) - stopped as with V(stopped), then started. This is always a change.
      - V(frozen) - the container runs, and its processes are frozen.
      - V(absent) - stopped as with V(stopped), then destroyed together with its root file system. The task's
        C(secrets) is removed as well. C(local) and C(alloc) stay unless O(purge) is V(true).
      - A container that does not exist is created by a declaration. V(stopped) and V(absent) have nothing to do then.
        Any other command is an error.
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
      - The name of an installed LXC template, such as V(busybox) or V(download), or the path of one.
      - With it the call is a declaration, without it a command.
      - It runs when the container is created. A change needs a new root file system, see O(recreate). A template's
        name and its path are the same template.
    type: str
  distro:
    description:
      - The distribution. Passed to the template as C(--dist). The template V(download) needs it, and O(release) and
        O(arch).
      - A template that does not know the argument gets none, and a warning names this option.
      - A change needs a new root file system, see O(recreate).
    type: str
  release:
    description:
      - The release of the distribution. Passed to the template as C(--release).
      - A template that does not know the argument gets none, and a warning names this option.
      - A change needs a new root file system, see O(recreate).
    type: str
  arch:
    description:
      - The architecture. Passed to the template as C(--arch).
      - A template that does not know the argument gets none, and a warning names this option.
      - A change needs a new root file system, see O(recreate).
    type: str
  image_variant:
    description:
      - The variant of the image. Passed to the template as C(--variant).
      - A template that does not know the argument gets none, and a warning names this option.
      - A change needs a new root file system, see O(recreate).
    type: str
  image_server:
    description:
      - The server that images are downloaded from. Passed to the template as C(--server).
      - A template that does not know the argument gets none, and a warning names this option.
      - A change needs a new root file system, see O(recreate).
    type: str
  gpg_key_id:
    description:
      - The id of the key that signs images. Passed to the template as C(--keyid).
      - LXC 4.0.12 and later do not know the argument. Such a template gets none, and a warning names this option.
      - It is used when the container is created. A later change has no effect on the container.
    type: str
  gpg_key_server:
    description:
      - The server that the key is fetched from. Passed to the template as C(--keyserver).
      - LXC 4.0.12 and later do not know the argument. Such a template gets none, and a warning names this option.
      - It is used when the container is created. A later change has no effect on the container.
    type: str
  disable_gpg:
    description:
      - Does not check the signature of the image. Passed to the template as C(--no-validate).
      - LXC 4.0.12 and later do not know the argument. Such a template gets none, and a warning names this option.
      - It is used when the container is created. A later change has no effect on the container.
    type: bool
    default: false
  flush_cache:
    description:
      - Drops the template's cached image first. Passed to the template as C(--flush-cache).
      - A template that does not know the argument gets none, and a warning names this option.
      - It is used when the container is created. A later change has no effect on the container.
    type: bool
    default: false
  force_cache:
    description:
      - Uses the template's cached image even if it has expired. Passed to the template as C(--force-cache).
      - A template that does not know the argument gets none, and a warning names this option.
      - It is used when the container is created. A later change has no effect on the container.
    type: bool
    default: false
  template_args:
    description:
      - Further arguments of the template, after all others.
      - A change needs a new root file system, see O(recreate).
    type: list
    elements: str
  backing_store:
    description:
      - V(dir) - the template runs for this container, whose root file system is a directory of its own.
      - V(overlay) - the template runs once for all containers whose root file system would be the same, that is, which
        have the same O(template), O(distro), O(release), O(arch), O(image_variant), O(image_server), O(template_args)
        and O(default_config). What it makes is kept as an image in C(<lxc_path>/.nomadic-lxc-images), and is never
        written again. The container is a clone. An overlay keeps what it changes, in the container's own directory. A
        clone takes milliseconds and no space.
      - The container's name and network hardware addresses are its own. What else a template makes unique, the keys of
        an SSH server for example, is shared by all clones.
      - Calls that need the same image at the same time build it once. An image that is half built or damaged is built
        again before it is used. A container that was cloned from the former one runs on, see O(recreate). Damage shows in
        names, owners, modes, sizes and times. What is in the files is not read.
      - A template, or a file that O(default_config) names, may change after an image was made. The image stays as it is.
        To have it made anew, remove the tasks that stand on it, and prune it. How a download was verified is not part of
        an image either, see O(disable_gpg).
      - Images that no container stands on are removed by M(nomadic.lxc.lxc_task_group) with
        O(nomadic.lxc.lxc_task_group#module:prune_images).
      - It can not be given together with O(unprivileged).
      - The kernel's overlayfs must take the file system of O(lxc_path). The path can not hold a colon, a comma or a
        backslash.
      - A change needs a new root file system, see O(recreate).
    type: str
    choices:
      - dir
      - overlay
    default: dir
  log_level:
    description:
      - How much liblxc writes to the task's log, RV(task.log_file).
      - A change waits for the next start of the container. It causes no restart.
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
      - With V(verbose), the output of the template is returned in RV(template_output).
      - With V(quiet), it is not. If the template fails, the error still holds its last words.
    type: str
    choices:
      - quiet
      - verbose
    default: quiet
  volumes:
    description:
      - Directories and files of the host that are bound into the container, writable, each as C(source:target).
      - A relative source is relative to the task's directory, RV(task.dirs.task). A source must exist, or be a
        directory that this run makes.
      - The target is relative to the root of the container. It is created if it is missing. One that begins with
        C(/), and one with C(..) in it, is refused.
      - An entry has exactly one colon. For a path that holds one, or a read-only mount, use O(mounts).
      - See O(volumes_enabled) for what an operator may forbid.
      - A change takes effect at the next start of the container, see O(restart_on_change).
    type: list
    elements: str
  mounts:
    description:
      - Directories and files of the host that are bound into the container, with more choices than O(volumes).
      - See O(volumes_enabled) for what an operator may forbid.
      - A change takes effect at the next start of the container, see O(restart_on_change).
    type: list
    elements: dict
    suboptions:
      source:
        description:
          - The path on the host. A relative one is relative to the task's directory, RV(task.dirs.task).
          - It must exist, or be a directory that this run makes. C(~) and variables are not expanded.
        type: str
        required: true
      target:
        description:
          - The path inside the container, with or without a leading C(/). C(..) in it is refused.
        type: str
        required: true
      read_only:
        description:
          - Whether the container can only read it.
        type: bool
        default: false
      create:
        description:
          - What to create in the container if the target is missing, V(dir) or V(file). V(auto) takes what the source
            is.
        type: str
        choices:
          - auto
          - dir
          - file
        default: auto
  devices:
    description:
      - Device nodes of the host that the container may use.
      - Every other device is denied, except LXC's standard set - C(null), C(zero), C(full), C(random), C(urandom),
        C(tty), C(console), C(ptmx), C(pts) and C(fuse) in C(/dev).
      - See O(volumes_enabled) for what an operator may forbid.
      - A change takes effect at the next start of the container, see O(restart_on_change).
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - The path of the device node on the host. C(~) and variables are not expanded.
        type: str
        required: true
      target:
        description:
          - The path inside the container, with or without a leading C(/). The default is the same as on the host.
        type: str
      permissions:
        description:
          - What the container may do with the device. One or more of C(r) (read), C(w) (write) and C(m) (make the
            node).
        type: str
        default: rwm
  memory_mb:
    description:
      - The memory limit in MiB (1024 x 1024 bytes), at least 1. When it is not set, there is no limit.
      - A change is made on the running container, without a restart, and is kept over stop and start.
      - A limit below what the task holds and can not give back is refused, and the error names the usage. The module
        never causes an out-of-memory kill.
    type: int
  cpu_shares:
    description:
      - The CPU weight on the scale of cgroup v1, from 2 to 262144. When it is not set, the kernel's default holds,
        which is 1024.
      - On cgroup v2, it is converted to C(cpu.weight), where 1024 shares are the weight 100.
      - A change is made on the running container, without a restart, and is kept over stop and start.
    type: int
  kill_timeout:
    description:
      - How long the container's shutdown may take before it is killed.
      - A number of seconds, or a Go duration such as V(1m30s) or V(500ms). Less than a second is honoured. Zero or
        less becomes one second.
      - The effective value is never more than O(max_kill_timeout). It is returned in RV(task.kill_timeout).
      - When it is not set, the one of O(handle) is used, else, in a command, the one that was declared last, else 5
        seconds.
      - A change needs no restart.
    type: str
  hostname:
    description:
      - The host name inside the container. At most 64 letters, digits, C(-), C(_) and C(.), with no C(-) or C(.) at
        an end. The default is the name of the container.
      - A change takes effect at the next start of the container, see O(restart_on_change).
    type: str
  init:
    description:
      - The command of the container's first process. The default is what the template set.
      - A change takes effect at the next start of the container, see O(restart_on_change).
    type: str
  environment:
    description:
      - Environment variables of the container's first process, by name.
      - The values are shown nowhere, neither in RV(diff), RV(actions) and errors, nor in logs. They are stored in the
        container's configuration file, and its processes can read them.
      - A change takes effect at the next start of the container, see O(restart_on_change).
    type: dict
  autostart:
    description:
      - Whether the container is started when the host boots. LXC's own boot service does that, for what is in LXC's
        default path. For another O(lxc_path), have a service of your own run C(lxc-autostart -P).
      - Its C(secrets) are in memory then too, and empty. Where they can not be mounted, the container does not start.
      - A change needs no restart.
    type: bool
    default: false
  unprivileged:
    description:
      - Whether the users of the container are other users on the host. Root inside is then an id of the host that is
        nobody's, see O(idmap_base), and has a root's powers over the container alone.
      - It can not share the host's network. Together with O(network_mode=host), the default, it is an error.
      - Where the kernel can, LXC shows the root file system with the container's ids, and its files stay root's on the
        host. Where it can not, as on NFS, the files get the container's ids.
      - C(/local) and C(/secrets) belong to root inside. So does C(/alloc), where all tasks of the alloc have the same
        ids. Other sources keep their owners. A source that the container shall write must be writable for its ids, or
        for everybody. A file that only the host's root may read can not be read.
      - Its root must be able to pass every directory on the way to O(lxc_path), O(alloc_dir), and each source. If it can
        not, an error names the directory.
      - Every task of its alloc must be unprivileged too. The directory of the alloc has the mode C(0711) then, so that
        users of the host who know the name of a file in C(alloc) can get to it. C(local) and C(secrets) stay closed to
        them.
      - A change needs no new root file system. What is in the task's directories, and in a root file system that the
        kernel can not map, gets other owners. A running task is stopped for it. Where O(restart_on_change) is
        V(false), it is an error for a running task. So it is for a task whose alloc has other tasks.
      - LXC's templates run as root of the host in any case.
    type: bool
    default: false
  idmap_base:
    description:
      - The id on the host, of a user and of a group, that is root in an O(unprivileged) container.
      - It and those that follow must be subordinate ids of root, in C(/etc/subuid) and C(/etc/subgid). The default is
        the first of them that begin O(idmap_size) ids. The role P(nomadic.lxc.lxc_host#role) gives root some.
      - Tasks with the same ids can reach each other's files, where a way leads to them. Give each its own range to keep
        them apart.
      - At least V(65536), and no less than O(idmap_size). Without O(unprivileged) it is an error.
      - A change takes effect at the next start of the container, as with O(unprivileged).
    type: int
  idmap_size:
    description:
      - How many ids the users and groups of an O(unprivileged) container have, at least V(1000).
      - A change takes effect at the next start of the container, as with O(unprivileged).
    type: int
    default: 65536
  lxc_config:
    description:
      - Further keys of the container's LXC configuration. A value, or a list of values for a key that may stand more
        than once. Booleans become V(0) or V(1).
      - Keys that other options own are refused by name. These are C(lxc.net.0.type), C(lxc.net.0.link),
        C(lxc.net.0.flags), C(lxc.mount*), the cgroup keys of the limits and devices, C(lxc.log.*), C(lxc.rootfs.*),
        C(lxc.uts.name), C(lxc.init.cmd), C(lxc.environment), C(lxc.start.auto) and C(lxc.include).
      - C(lxc.idmap) is refused together with O(unprivileged).
      - C(lxc.ephemeral) is refused, since LXC would remove the container whenever it stops. So are C(lxc.namespace.keep)
        and C(lxc.namespace.clone) where they would leave the container the host's network.
      - C(lxc.namespace.share.net) shares a network that may be the host's. So it is as with O(network_mode=host), and the
        container gets C(net_admin) only with O(host_network_admin).
      - The order of the keys says nothing.
      - C(lxc.cap.drop) is merged with what the module drops by itself.
      - C(lxc.cap.keep) stands instead of every drop, unless an empty value clears it. It can not be given together with C(lxc.cap.drop). With
        O(network_mode=host), it can not hold C(net_admin) unless O(host_network_admin) is V(true).
      - A configuration that liblxc can not load is refused, and the old one stays.
      - A change takes effect at the next start of the container, see O(restart_on_change).
    type: dict
  recreate:
    description:
      - Whether the container may be destroyed and created again. B(Its root file system is lost then).
      - A new root file system is needed for a change of O(template), O(distro), O(release), O(arch),
        O(image_variant), O(image_server), O(template_args), O(default_config) or O(backing_store). With
        O(backing_store=overlay), one is also due when the image was built again after the container was cloned.
      - V(never) - such a change is an error that names the options with their old and new values, and changes nothing.
        An image that was built again is no error, but a warning.
      - V(on_change) - the container is created again if such an option changed.
      - V(always) - the container is created again in every run. This is always a change.
      - The old container is kept until the new one runs. C(local) and C(alloc) stay.
    type: str
    choices:
      - never
      - on_change
      - always
    default: never
  restart_on_change:
    description:
      - Whether a running task is restarted when a change takes effect only at its next start.
      - With V(false), the change is written to the configuration, a warning says what waits, and the next run that
        may restart the task does so.
    type: bool
    default: true
  purge:
    description:
      - With O(state=absent), also removes the task's directories, and the directory of the alloc when no other task's
        directory is left in it.
      - It follows no symbolic link and crosses no mount. What was bound into the container is never removed.
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
      - Check mode reads and plans, and does nothing else. It writes no file, not even a log.
  diff_mode:
    support: full
    details:
      - The diff shows the options that differ, before and after. Values of O(environment) are hidden.
notes:
  - Every task has the directories C(/local), C(/alloc) and C(/secrets). On the host, they lie in O(alloc_dir), see
    RV(task.dirs). C(local) is the task's own. C(alloc) is shared by the tasks of an alloc.
  - C(secrets) is the task's own too. It is a file system in memory of 1 MiB with mode C(0700), and nothing can be
    executed from it. It is there from V(present) on, kept over stop, start and restart, emptied by a reboot of the
    host, and removed with the container. A hook in the container's configuration mounts it when something else starts
    the container.
  - Changed on the running container, without a restart - O(memory_mb), O(cpu_shares) and O(kill_timeout).
  - Changed with a restart of a running container, unless O(restart_on_change=false) - O(volumes), O(mounts),
    O(devices), O(network_mode), O(network_link), O(host_network_admin), O(hostname), O(init), O(environment),
    O(lxc_config), O(alloc_dir), O(unprivileged), O(idmap_base) and O(idmap_size). With
    O(restart_on_change=false), a change of the last three is an error for a running task.
  - Changed only with a new root file system, see O(recreate) - O(template), O(distro), O(release), O(arch),
    O(image_variant), O(image_server), O(template_args), O(default_config) and O(backing_store).
  - A newline or a NUL character in the value of any option is refused. In an LXC configuration, a newline begins a
    new key.
  - Calls on one container take turns, on a lock under C(/run/lock/nomadic-lxc), whose file is removed when the last one
    lets it go. A call waits at most 300 seconds for it, then fails.
  - liblxc sees a running container only from the network namespace in which it was started. From another one, it
    calls the container stopped. The module finds that out, says so, and does nothing.
  - If the interpreter of the managed host has no LXC binding or no voluptuous, the module runs itself again under a
    system Python that has both.
seealso:
  - module: nomadic.lxc.lxc_task_group
  - module: nomadic.lxc.lxc_task_facts
  - module: nomadic.lxc.lxc_task_stats
  - module: community.general.lxc_container
  - name: Module defaults
    description: How to set options for all modules of an action group.
    link: https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_module_defaults.html
  - name: lxc.container.conf
    description: The keys that O(lxc_config) can set.
    link: https://linuxcontainers.org/lxc/manpages/man5/lxc.container.conf.5.html
"""

EXAMPLES = r"""
---
# Ad-hoc. This one uses the default network mode, the host's own network:
#   ansible localhost -m nomadic.lxc.lxc_task -a "name=web template=busybox"

- name: Run a task on a bridge, with limits
  nomadic.lxc.lxc_task:
    name: web
    template: busybox
    network_mode: bridge
    memory_mb: 64
    cpu_shares: 512

- name: Create a Debian container from an image, without starting it
  nomadic.lxc.lxc_task:
    name: db
    state: present
    template: download
    distro: debian
    release: bookworm
    arch: amd64
    network_mode: bridge
    kill_timeout: 1m30s
    max_kill_timeout: 2m

- name: Run two tasks of one alloc, which share the directory /alloc
  nomadic.lxc.lxc_task:
    name: "{{ item }}"
    alloc_id: blue
    template: busybox
    network_mode: bridge
  loop:
    - app
    - sidecar

- name: Bind host paths, and allow a device
  nomadic.lxc.lxc_task:
    name: build
    template: busybox
    network_mode: bridge
    volumes:
      - /srv/cache:srv/cache
      # A relative source is relative to the task's directory.
      - local:srv/site
    mounts:
      - source: /etc/ssl/certs
        target: /etc/ssl/certs
        read_only: true
    devices:
      - path: /dev/ttyUSB0
        permissions: rw

- name: Give the task a fixed address, and environment variables
  nomadic.lxc.lxc_task:
    name: web
    template: busybox
    network_mode: bridge
    network_link: lxcbr0
    # The init of the busybox template would ask DHCP for another address.
    init: /bin/busybox httpd -f -h /local
    environment:
      APP_MODE: production
      APP_TOKEN: "{{ app_token }}"
    lxc_config:
      lxc.net.0.ipv4.address: 10.0.3.20/24
      lxc.net.0.ipv4.gateway: 10.0.3.1
      lxc.cap.drop:
        - sys_time
        - sys_module

- name: Run a task whose root is nobody on the host
  nomadic.lxc.lxc_task:
    name: web
    template: busybox
    network_mode: bridge
    unprivileged: true

- name: Take a new release, and lose the old root file system
  nomadic.lxc.lxc_task:
    name: db
    template: download
    distro: debian
    release: trixie
    arch: amd64
    network_mode: bridge
    recreate: on_change

- name: Run a task as a clone of an image, which the template makes once
  nomadic.lxc.lxc_task:
    name: worker
    template: busybox
    backing_store: overlay
    network_mode: bridge

- name: Command - freeze a task
  nomadic.lxc.lxc_task:
    name: web
    state: frozen

- name: Command - stop a task, and kill it if it still runs after ten seconds
  nomadic.lxc.lxc_task:
    name: web
    state: stopped
    kill_timeout: "10"
  register: web

- name: Command - start the container of a handle, whoever made it
  nomadic.lxc.lxc_task:
    handle: "{{ web.handle }}"
    state: started

- name: Remove a task with its directories
  nomadic.lxc.lxc_task:
    name: web
    state: absent
    purge: true

- name: Set the policy once, for all modules of the collection
  module_defaults:
    group/nomadic.lxc.lxc:
      network_mode: bridge
      volumes_enabled: false
      max_kill_timeout: 1m
  block:
    - name: Run a task with these defaults
      nomadic.lxc.lxc_task:
        name: web
        template: busybox
"""

RETURN = r"""
---
actions:
  description:
    - The steps that were taken, in order. In check mode, those that would be.
    - It is empty where nothing was to do.
  returned: success
  type: list
  elements: str
  sample:
    - make the task's directories
    - mount secrets
    - create from template busybox
    - write configuration
    - start
diff:
  description:
    - The task before and after, by option, and its state. Only what differs is there.
    - Values of O(environment) are replaced by V(VALUE_HIDDEN).
  returned: success
  type: dict
  contains:
    before:
      description: The differing options as they were.
      type: dict
      sample:
        memory_mb: 64
    after:
      description: The differing options as they are now. In check mode, as they would be.
      type: dict
      sample:
        memory_mb: 128
errors:
  description:
    - What is wrong, one string each. Where the options of the task have several faults, all of them are here.
  returned: failure
  type: list
  elements: str
  sample:
    - "volumes: unsupported absolute container mount point: '/var'"
    - "memory_mb 0 is not between 1 and 8796093022207: leave it out for no limit"
forced:
  description:
    - Whether the last stop took a kill, since the shutdown was not over in O(kill_timeout). Null unless this run
      stopped the container.
  returned: success
  type: bool
  sample: false
handle:
  description:
    - The handle of the container, a JSON string in the form of Nomad's LXC driver. The option O(handle) takes it.
    - C(InitPid) is V(-1) while nothing runs. C(KillTimeout) is in nanoseconds.
    - Null where there is no container.
  returned: success
  type: str
  sample: '{"ContainerName":"web-5e1d","InitPid":4242,"LxcPath":"/var/lib/lxc","KillTimeout":5000000000}'
steps:
  description:
    - How long each step of RV(actions) took, in order. Empty in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: The step.
      type: str
      sample: start
    seconds:
      description: How long it took.
      type: float
      sample: 0.031415
template_output:
  description:
    - What the template printed. Empty where none ran.
  returned: success and O(verbosity=verbose)
  type: str
  sample: "Installing busybox"
task:
  description:
    - The task as it is now. In check mode, as it would be.
  returned: success
  type: dict
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
      sample: running
    init_pid:
      description:
        - The pid of the container's init, as the host sees it. V(-1) while nothing runs, and in check mode where a
          start would happen.
      type: int
      sample: 4242
    handle:
      description: The same as RV(handle).
      type: str
      sample: '{"ContainerName":"web-5e1d","InitPid":4242,"LxcPath":"/var/lib/lxc","KillTimeout":5000000000}'
    log_file:
      description: The file on the host that liblxc logs to. Null for a container that this collection did not make.
      type: str
      sample: /var/lib/nomadic-lxc/alloc/5e1d/web/web-lxc.log
    dirs:
      description:
        - The directories of the task on the host. Each is null for a container that this collection did not make.
      type: dict
      contains:
        task:
          description: The task's directory. It holds C(local), C(secrets), C(tmp) and the log.
          type: str
          sample: /var/lib/nomadic-lxc/alloc/5e1d/web
        local:
          description: The task's own directory, C(/local) inside.
          type: str
          sample: /var/lib/nomadic-lxc/alloc/5e1d/web/local
        alloc:
          description: The directory that the tasks of the alloc share, C(/alloc) inside.
          type: str
          sample: /var/lib/nomadic-lxc/alloc/5e1d/alloc
        secrets:
          description: The task's secrets, a file system in memory, C(/secrets) inside.
          type: str
          sample: /var/lib/nomadic-lxc/alloc/5e1d/web/secrets
    mounts:
      description:
        - What is bound into the container, in the form of the option O(mounts). The task's own directories come first.
      type: list
      elements: dict
      sample:
        - source: /var/lib/nomadic-lxc/alloc/5e1d/web/local
          target: /local
          read_only: false
          create: dir
        - source: /srv/cache
          target: /srv/cache
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
      description: The memory limit in MiB. Null where there is none.
      type: int
      sample: 64
    cpu_shares:
      description: The CPU weight on the scale of cgroup v1. Null where none was set.
      type: int
      sample: 512
    kill_timeout:
      description: The kill timeout in seconds, as it takes effect, at most O(max_kill_timeout).
      type: float
      sample: 5
    cgroup_version:
      description:
        - The version of the cgroups that hold the container's limits, V(1) or V(2). Null where it is not known.
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
          sample: false
ansible_facts:
  description: The facts that are set.
  returned: success
  type: dict
  contains:
    lxc_task:
      description: The same dict as RV(task). In playbooks, read it as C(ansible_facts.lxc_task).
      type: dict
      returned: success
"""

from ansible_collections.nomadic.lxc.plugins.module_utils import _bytecode

# It loads what follows quickly.
# isort: split
from ansible_collections.nomadic.lxc.plugins.module_utils import _converge, _module, _spec


def main() -> None:
    """Run the module; all of it is in module_utils."""
    _bytecode.loaded()
    _module.run(_spec.ARGUMENT_SPEC, _converge.converge)


if __name__ == "__main__":
    main()
