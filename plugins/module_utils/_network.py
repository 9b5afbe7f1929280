# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a process, as proc(5) and the kernel's net/ files show it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _tree

_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1  # linux/sockios.h, linux/if.h
_SIOCETHTOOL, _ETHTOOL_GDRVINFO = 0x8946, 3  # linux/sockios.h, linux/ethtool.h
_LOOPBACK = {"lo"}
_DRVINFO = "I32s160x"  # the command, the driver, and 160 bytes more
# The drivers of what liblxc can attach a container to (network.c, lxc_bridge_attach): Open vSwitch has one of its own in the
# kernel, and the kernel's tun where it switches itself.
_BRIDGES = (b"bridge", b"openvswitch", b"tun")

# What an interface is to a container that shall be attached to it.
UP = "up"
DOWN = "down"
NO_BRIDGE = "no bridge"


def bridge(name: str) -> str | None:
    """Whether an interface of this process's network is a bridge, and up: UP, DOWN or NO_BRIDGE; None where there is none of that
    name. See netdevice(7).

    /sys may be another network namespace's.
    """
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, struct.pack("16sH14x", os.fsencode(name), 0))
        except OSError:
            return None
        if _driver(asking.fileno(), name) not in (None, *_BRIDGES):
            return NO_BRIDGE
    return UP if struct.unpack_from("H", answer, 16)[0] & _IFF_UP else DOWN


def _driver(asking: int, name: str) -> bytes | None:
    """The driver of an interface, of which a bridge has one: empty where it has none, None where it can't be asked for."""
    import array
    import errno
    import fcntl
    import struct

    info = array.array("B", struct.pack(_DRVINFO, _ETHTOOL_GDRVINFO, b""))
    try:
        fcntl.ioctl(asking, _SIOCETHTOOL, struct.pack("16sP16x", os.fsencode(name), info.buffer_info()[0]))
    except OSError as error:
        return b"" if error.errno == errno.EOPNOTSUPP else None
    return bytes(struct.unpack(_DRVINFO, info)[1]).rstrip(b"\0")


def interfaces(pid: int, root: str = "/") -> list[str]:
    """The network interfaces that a process sees."""
    try:
        lines = _tree.read(os.path.join(root, "proc", str(pid), "net/dev")).split("\n")[2:]
    except OSError:
        return []
    return sorted(line.partition(":")[0].strip() for line in lines if ":" in line)


def ips(pid: int, names: t.Iterable[str], root: str = "/") -> list[str]:
    """The addresses that a process with these interfaces has, without the loopback's and link-local ones: IPv4 first."""
    if _LOOPBACK.issuperset(names):
        return []
    return [*_ipv4(pid, root), *_ipv6(pid, root)]


def _ipv4(pid: int, root: str) -> list[str]:
    found: set[str] = set()
    try:
        lines = _tree.read(os.path.join(root, "proc", str(pid), "net/fib_trie")).split("\n")
    except OSError:
        return []
    # A leaf "|-- 10.0.3.7" is followed by what it is: a local address says "/32 host LOCAL".
    address = ""
    for line in lines:
        _blanks, leaf, text = line.partition("|-- ")
        if leaf:
            address = text
        elif "/32 host LOCAL" in line and address and not address.startswith("127."):
            found.add(address)
    return sorted(found, key=lambda text: [int(part) for part in text.split(".")])


def _ipv6(pid: int, root: str) -> list[str]:
    found: list[str] = []
    try:
        lines = _tree.read(os.path.join(root, "proc", str(pid), "net/if_inet6")).split("\n")
    except OSError:
        return []
    for line in lines:
        fields = line.split()
        # address, index, prefix length, scope (00 is global), flags, interface
        if len(fields) == 6 and fields[3] == "00" and fields[5] != "lo":
            import ipaddress

            found.append(str(ipaddress.IPv6Address(int(fields[0], 16))))
    return sorted(found)
