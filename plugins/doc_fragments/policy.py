# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the policy options: what an operator sets once for all modules of the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by name: ``nomadic.lxc.policy``."""

    DOCUMENTATION = r"""
---
options:
  lxc_path:
    description:
      - The directory in which containers live.
      - When it is not set, liblxc's own default is used, which is C(/var/lib/lxc) on most hosts.
      - An absolute path without C(..) in it. A container in another directory is another container, even if it has
        the same name.
    type: path
  alloc_dir:
    description:
      - The directory in which allocs live, see O(alloc_id).
      - An alloc has the directory C(<alloc_dir>/<alloc_id>), or C(<alloc_dir>/_<name>) for a task without
        O(alloc_id). It belongs to root and has mode C(0700), or C(0711) where all its tasks are unprivileged.
      - An absolute path without C(..) in it. A change takes effect at the next start of the container. C(local) and
        C(alloc) are not moved.
    type: path
    default: /var/lib/nomadic-lxc/alloc
  volumes_enabled:
    description:
      - Whether a container may have sources from outside the task's directory.
      - With V(false), volumes with an absolute source, and volumes whose source leaves the task's directory, are
        refused. Symbolic links are resolved first. The same holds for mounts and devices.
      - With V(false), a source beneath C(local) or C(alloc), or beneath another directory that the container can
        write, is refused too. The container could replace what lies there by a link to the host. Further LXC
        configuration can not hold C(lxc.hook.*) or C(lxc.console.logfile) then.
    type: bool
    default: true
  max_kill_timeout:
    description:
      - The longest time that a container gets for its shutdown before it is killed. It is the ceiling of a task's
        kill timeout.
      - A number of seconds, or a Go duration such as V(1m30s) or V(500ms).
      - Zero or less counts as 10 seconds.
    type: str
    default: 30s
  network_mode:
    description:
      - With V(host), which is the default, the task shares the host's network interfaces, ports and abstract sockets.
        Use V(bridge) or V(empty) unless the task needs that.
      - V(host) is LXC's network type C(none). It is the default because it is the only one of Nomad's LXC driver.
      - With V(host), the container drops the capability C(net_admin) unless O(host_network_admin) is V(true). Without
        this, an ordinary container can cut the host off by accident. The init of the busybox template, for example,
        runs a DHCP client which clears the address of C(eth0).
      - Dropping C(net_admin) is no wall against a hostile task. A privileged container on host networking can still
        reach the host's network sysctls and the command sockets of other containers. For tasks that you do not trust,
        use V(bridge) or V(empty), and unprivileged containers.
      - If both the container and the host run systemd or upstart, V(host) can pass a shutdown of the container on to
        the host.
      - V(bridge) gives the container a network of its own, with a veth pair whose host end is on the bridge
        O(network_link).
      - V(empty) gives the container a loopback interface and nothing else.
      - A change takes effect at the next start of the container.
    type: str
    choices:
      - host
      - bridge
      - empty
    default: host
  network_link:
    description:
      - The name of the bridge on the host. Used with O(network_mode=bridge) only.
      - The bridge must exist and be up before the container is started, else an error says so before anything is made.
        Debian's LXC packages set up V(lxcbr0).
      - A change takes effect at the next start of the container.
    type: str
    default: lxcbr0
  host_network_admin:
    description:
      - Whether a container with O(network_mode=host) keeps the capability C(net_admin).
      - With V(true), a program in the container can change or take down the network of the host.
      - It has no effect with another O(network_mode), unless the container shares a network by C(lxc.namespace.share.net).
      - A change takes effect at the next start of the container.
    type: bool
    default: false
  default_config:
    description:
      - The LXC configuration file that a new container starts from.
      - When it is not set, liblxc's own default is used, which is C(/etc/lxc/default.conf) on most hosts.
      - It is read when the container is created. A change of this option needs a new root file system.
    type: path
notes:
  - All modules of the collection belong to the action group C(nomadic.lxc.lxc) and accept the policy options
    O(lxc_path), O(alloc_dir), O(volumes_enabled), O(max_kill_timeout), O(network_mode), O(network_link),
    O(host_network_admin), and O(default_config). A module passes over those that it does not use. So you can set them
    once, in C(module_defaults) for C(group/nomadic.lxc.lxc).
  - The policy options in C(module_defaults) are defaults, not enforcement. A task in a playbook can set them to
    something else, and whoever can run a module as root can do everything on the host anyway.
  - The modules must run as root on the managed host. Use C(become) where you connect as another user.
  - The modules keep what Python compiles of them in C(/var/cache/nomadic-lxc), in check mode too, so that the next call
    begins sooner. You can remove it at any time.
requirements:
  - Python 3.9 or later on the managed host
  - LXC 5.0 or later, with its Python binding (Debian package C(python3-lxc))
  - voluptuous 0.12.2 or later (Debian package C(python3-voluptuous))
"""
