"""What the agent lets through, and what Microsoft documents: a call that is neither passes nowhere in the lab."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ecx_hyperv.host.wire import Call

# What the agent lets through; a test holds this against the agent itself.
ALLOWED = {
    **dict.fromkeys(
        (
            *("Get-Cluster", "Get-ClusterNode", "Get-ClusterGroup", "Get-ClusterResource", "Get-ClusterParameter"),
            *("Get-ClusterSharedVolume", "Get-ClusterSharedVolumeState", "Get-ClusterNetwork", "Get-ClusterQuorum"),
            *("Get-ClusterResourceType", "Start-ClusterResource", "Stop-ClusterResource"),
            *("Move-ClusterSharedVolume", "Move-ClusterVirtualMachineRole"),
        ),
        "FailoverClusters",
    ),
    **dict.fromkeys(("Get-VM", "Get-VMHost", "Get-VMIntegrationService"), "Hyper-V"),
    **dict.fromkeys(("Start-VM", "Stop-VM", "Resume-VM", "Restart-VM"), "Hyper-V"),
    **dict.fromkeys(("Get-IscsiConnection", "Get-IscsiSession", "Get-IscsiTargetPortal"), "iSCSI"),
    "Update-IscsiTargetPortal": "iSCSI",
    **dict.fromkeys(("Get-Service", "Get-Content"), "Microsoft.PowerShell.Management"),
    "Get-Acl": "Microsoft.PowerShell.Security",
}
# What the agent does itself, and the arguments that it takes.
BUILT_IN: Mapping[str, frozenset[str]] = {
    "Agent-Sleep": frozenset({"Milliseconds"}),
    "Agent-Echo": frozenset({"Text", "Repeat"}),
    "Agent-VmIds": frozenset(),
    "Agent-ShutdownGuest": frozenset({"Id", "Force"}),
}
_REFUSED = frozenset({"ComputerName", "CimSession", "Credential", "Cluster", "Confirm", "WhatIf", "AsJob"})


class BadRequest(Exception):
    """A call that the agent refuses."""


def check(call: Call) -> None:
    """Raise for a cmdlet or parameter that the agent would refuse, or that no host knows."""
    if call.cmdlet in BUILT_IN:
        unknown = sorted(set(call.args) - BUILT_IN[call.cmdlet])
        if unknown:
            raise BadRequest(f"{call.cmdlet}: no parameter {unknown[0]}")
        return
    if call.cmdlet not in ALLOWED:
        raise BadRequest(f"{call.cmdlet} is not allowed")
    parameters = documented()[call.cmdlet]["params"]
    names = {name.casefold() for name in parameters}
    aliases = {alias.casefold() for one in parameters.values() for alias in one.get("al", ())}
    for name, value in call.args.items():
        if name.casefold() not in names | aliases:
            raise BadRequest(f"{call.cmdlet}: no parameter {name}")
        if name in _REFUSED:
            raise BadRequest(f"{call.cmdlet}: the parameter {name} is refused")
        if isinstance(value, list) and not all(isinstance(one, str) for one in value):
            raise BadRequest(f"{call.cmdlet}: the value of {name} is no list of texts")
    if call.cmdlet == "Stop-VM" and (call.args.get("TurnOff") is not True or {"Force", "Save"} & set(call.args)):
        raise BadRequest("Stop-VM: only with TurnOff, and neither Force nor Save")


@cache
def documented() -> Mapping[str, Any]:
    """Return what Microsoft documents of each cmdlet."""
    text = files("ecx_hyperv.host").joinpath("cmdlets.json").read_text(encoding="utf-8")
    cmdlets: Mapping[str, Any] = json.loads(text)["cmdlets"]
    return cmdlets
