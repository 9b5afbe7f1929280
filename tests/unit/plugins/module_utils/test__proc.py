# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes as proc(5) shows them: real ones, and tables for what a test can't bring about."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.nomadic.lxc.plugins.module_utils._network import interfaces, ips
from ansible_collections.nomadic.lxc.plugins.module_utils._proc import (
    InitId,
    alive,
    boot_id,
    identify,
    iso,
    started_at,
    wait_for_exit,
)
from ansible_collections.nomadic.lxc.tests.unit.plugins.module_utils.processes import until

# Not a pid of this kernel: above its highest.
NOBODY = 2**22 + 1


@pytest.fixture(name="sleeper")
def make_sleeper() -> t.Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_that_lives(sleeper: subprocess.Popen[bytes]) -> None:
    init = identify(sleeper.pid)
    assert init is not None
    assert init.pid == sleeper.pid
    assert init.boot_id == boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert init == identify(sleeper.pid)
    assert alive(init)


def test_none_that_never_was() -> None:
    assert identify(NOBODY) is None
    assert not alive(None)
    assert not alive(InitId(-1, 0, boot_id()))
    assert not alive(InitId(0, 0, boot_id()))


def test_another_process_with_its_pid_is_not_it(sleeper: subprocess.Popen[bytes]) -> None:
    init = identify(sleeper.pid)
    assert init is not None
    assert not alive(init._replace(start_ticks=init.start_ticks - 1))
    assert not alive(init._replace(boot_id="another boot"))


def test_a_zombie_is_dead(sleeper: subprocess.Popen[bytes]) -> None:
    init = identify(sleeper.pid)
    sleeper.kill()
    until(lambda: ") Z " in Path(f"/proc/{sleeper.pid}/stat").read_text())
    assert identify(sleeper.pid) is None
    assert not alive(init)


@pytest.mark.parametrize("name", ["a b", "a) Z 1", ") (", "(((", "a\nb"])
def test_a_name_with_anything_in_it(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([str(program), "60"]) as process:
        until(lambda: name in Path(f"/proc/{process.pid}/stat").read_text())
        init = identify(process.pid)
        process.kill()
    assert init is not None
    # Field 22 of stat, which is field 20 behind the name.
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert now - 30 < init.start_ticks / os.sysconf("SC_CLK_TCK") <= now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1795514400.9, "2026-11-24T10:00:00Z"), (951782400, "2000-02-29T00:00:00Z")],
)
def test_iso_8601_in_utc(seconds: float, text: str) -> None:
    assert iso(seconds) == text


def test_when_it_began(sleeper: subprocess.Popen[bytes]) -> None:
    init = identify(sleeper.pid)
    assert init is not None
    text = started_at(init)
    assert text is not None
    began = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    assert abs(time.time() - began.timestamp()) < 10


# ---- waiting


@pytest.fixture(name="kernel", params=["pidfd", "poll"])
def choose_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a pidfd, and as on a kernel or Python that has none."""
    if request.param == "poll":
        monkeypatch.delattr(os, "pidfd_open")


@pytest.mark.usefixtures("kernel")
def test_one_that_is_gone_is_not_waited_for() -> None:
    start = time.monotonic()
    assert wait_for_exit(NOBODY, 60)
    assert time.monotonic() - start < 5


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("timeout", [0, 0.2])
def test_one_that_lives_on(sleeper: subprocess.Popen[bytes], timeout: float) -> None:
    start = time.monotonic()
    assert not wait_for_exit(sleeper.pid, timeout)
    assert timeout <= time.monotonic() - start < timeout + 5


# Longer than poll(2) takes in one go: 2**31 milliseconds.
@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("timeout", [30.0, 10.0**7, 2.0**63 / 10**9])
def test_one_that_ends(sleeper: subprocess.Popen[bytes], timeout: float) -> None:
    threading.Timer(0.3, sleeper.kill).start()
    start = time.monotonic()
    assert wait_for_exit(sleeper.pid, timeout)
    assert 0.25 < time.monotonic() - start < 10


# ---- the network

NETWORK = """
set -e
ip link set lo up
ip link add eth0 type veth peer name peer
ip link set peer up
ip address add 10.9.8.7/24 dev eth0
ip address add 10.9.8.10/32 dev eth0
ip address add 9.0.0.1/30 dev eth0
ip address add 2001:db8::7/64 dev eth0 nodad
ip address add fd00::1/64 dev eth0 nodad
ip link set eth0 up
echo ready
exec sleep 60
"""


@pytest.fixture(name="networked", scope="module")
def make_networked() -> t.Iterator[int]:
    """A process in a network namespace of its own."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", NETWORK], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        if process.stdout.readline() != b"ready\n":
            raise AssertionError(process.stderr.read().decode())
        yield process.pid
        process.kill()


def test_its_interfaces(networked: int) -> None:
    found = interfaces(networked)
    # A kernel may bring tunnels into every namespace.
    assert {"lo", "eth0", "peer"} <= set(found)
    assert found == sorted(found)


def test_its_addresses(networked: int) -> None:
    """Neither the loopback's nor link-local ones; IPv4 first, in the order of numbers."""
    found = ips(networked, interfaces(networked))
    assert found[:3] == ["9.0.0.1", "10.9.8.7", "10.9.8.10"]
    assert sorted(found[3:]) == ["2001:db8::7", "fd00::1"]


def test_none_of_one_that_is_gone() -> None:
    assert interfaces(NOBODY) == []
    assert ips(NOBODY, ["eth0"]) == []


FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.3.0/24 2 0 2
        |-- 10.0.3.0
           /24 link UNICAST
        |-- 10.0.3.107
           /32 host LOCAL
        |-- 10.0.3.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
Local:
     |-- 10.0.3.107
        /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000002163efffe000001 02 40 20 80     eth0
20010db8000000000000000000000007 02 40 00 80     eth0
short
"""


def test_addresses_by_the_kernels_tables(tmp_path: Path) -> None:
    net = tmp_path / "proc" / "7" / "net"
    net.mkdir(parents=True)
    assert ips(7, ["lo", "eth0"], str(tmp_path)) == []
    (net / "fib_trie").write_text(FIB_TRIE)
    assert ips(7, ["lo", "eth0"], str(tmp_path)) == ["10.0.3.107"]
    (net / "if_inet6").write_text(IF_INET6)
    assert ips(7, ["lo", "eth0"], str(tmp_path)) == ["10.0.3.107", "2001:db8::7"]


def test_no_addresses_with_the_loopback_alone(tmp_path: Path) -> None:
    """What it has is its own, and IPv4's tables do not tell whose an address is."""
    net = tmp_path / "proc" / "7" / "net"
    net.mkdir(parents=True)
    (net / "fib_trie").write_text(FIB_TRIE)
    assert ips(7, ["lo"], str(tmp_path)) == []
    assert ips(7, [], str(tmp_path)) == []


@pytest.mark.parametrize("stat", ["", "7 (x", "7 (x) S 1 2 3", "7 (x) Z " + "1 " * 40, "7 (x) X " + "1 " * 40])
def test_what_is_no_process(tmp_path: Path, stat: str) -> None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "stat").write_text(stat)
    assert identify(7, str(tmp_path)) is None


def test_a_kernel_without_a_name_for_its_boot(tmp_path: Path) -> None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "stat").write_text("7 (x) S " + " ".join(str(number) for number in range(4, 50)))
    assert identify(7, str(tmp_path)) == InitId(7, 22, "")
