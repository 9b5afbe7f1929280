# Copyright (c) nomadic.lxc contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks for a plan, told before anything is made: each a sentence that names it, and what to run. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.nomadic.lxc.plugins.module_utils import _errors, _network, _observed, _spec, _steps

# The bridge that LXC's own service makes.
_LXC_BRIDGE = "lxcbr0"
_CONTROLLERS = {"memory_mb": "memory", "cpu_shares": "cpu"}


def options_of(spec: _spec.TaskSpec, record_options: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """The options with which the task runs: those that the call declares, or those of the record."""
    return spec.options if spec.declares else record_options


def refuse_lacking(spec: _spec.TaskSpec, seen: _observed.Observed, plan: _steps.Plan) -> None:
    """Raise OptionsError with all that this host lacks for what the plan starts, or declares."""
    options = options_of(spec, {} if seen.record is None else seen.record.options)
    faults = _bridge(options.get("network_link"), seen.bridge) if plan.starts else []
    if spec.declares or plan.starts:
        faults += _limits(options, seen.controllers)
    if faults:
        raise _errors.OptionsError(faults)


def _bridge(link: str | None, found: str | None) -> list[str]:
    if link is None or found == _network.UP:
        return []
    if found == _network.DOWN:
        return [f"network_link: {link} is down on this host: run `ip link set {link} up`"]
    if found == _network.NO_BRIDGE:
        told = f"network_link: {link} is an interface of this host, but no bridge: name one, or make one"
        return [f"{told}, with `ip link add NAME type bridge` say"]
    run = (
        "run the role nomadic.lxc.lxc_host, or, with USE_LXC_BRIDGE=true in lxc-net's settings,"
        " `systemctl enable lxc-net && systemctl restart lxc-net`, or name another bridge"
        if link == _LXC_BRIDGE
        else f"make it, with `ip link add {link} type bridge` say, or name another"
    )
    return [f"network_link: there is no bridge {link} on this host, and network_mode is bridge: {run}"]


def _limits(options: t.Mapping[str, t.Any], controllers: t.AbstractSet[str] | None) -> list[str]:
    """Without the controller the limit could not be kept; liblxc starts a container all the same, or tells of a file."""
    if controllers is None:
        return []
    had = ", ".join(sorted(controllers)) or "none"
    return [
        f"{option}: containers get no {name} controller of control groups on this host (they get {had}): boot it with"
        f" cgroup_enable={name}, or in a container, have the controller delegated to it; or leave {option} out"
        for option, name in _CONTROLLERS.items()
        if options.get(option) is not None and name not in controllers
    ]
