"""What the agent lets through, and what Microsoft documents: a call that is neither passes nowhere in the lab."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID

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
# What every cmdlet takes, and the agent sets by itself.
_COMMON = frozenset(
    {
        *("verbose", "debug", "erroraction", "warningaction", "informationaction", "errorvariable", "warningvariable"),
        *("informationvariable", "outvariable", "outbuffer", "pipelinevariable"),
    }
)
_REFUSED = _COMMON | {"computername", "cimsession", "credential", "cluster", "confirm", "whatif", "asjob"}


class BadRequest(Exception):
    """A call that the agent refuses."""


def check(call: Call) -> None:
    """Raise for a cmdlet or parameter that the agent would refuse, or that no host knows."""
    if call.cmdlet in BUILT_IN:
        unknown = sorted(set(call.args) - BUILT_IN[call.cmdlet])
        if unknown:
            raise BadRequest(f"{call.cmdlet}: no parameter {unknown[0]}")
        if call.cmdlet == "Agent-ShutdownGuest":
            _check_shutdown(call.args)
        return
    if call.cmdlet not in ALLOWED:
        raise BadRequest(f"{call.cmdlet} is not allowed")
    for name, value in call.args.items():
        _check_argument(call.cmdlet, name, value)
    if call.cmdlet == "Stop-VM" and call.args.get("TurnOff") is not True:
        raise BadRequest("Stop-VM: only with TurnOff")
    if call.cmdlet == "Stop-VM" and {"Force", "Save"} & set(call.args):
        raise BadRequest("Stop-VM: neither Force nor Save")


def _check_argument(cmdlet: str, name: str, value: object) -> None:
    parameters = documented()[cmdlet]["params"]
    aliases = {alias.casefold() for one in parameters.values() for alias in one.get("al", ())}
    names = {one.casefold() for one in parameters}
    if name.casefold() not in names | aliases | _COMMON:
        raise BadRequest(f"{cmdlet}: no parameter {name}")
    if name.casefold() in _REFUSED:
        raise BadRequest(f"{cmdlet}: the parameter {name} is refused")
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        raise BadRequest(f"{cmdlet}: the value of {name} is neither text, number, boolean nor a list of texts")


def _check_shutdown(args: Mapping[str, object]) -> None:
    try:
        UUID(str(args.get("Id")))
    except ValueError:
        raise BadRequest("Agent-ShutdownGuest: Id is no GUID") from None
    if not isinstance(args.get("Force", False), bool):
        raise BadRequest("Agent-ShutdownGuest: Force is no boolean")


@cache
def documented() -> Mapping[str, Any]:
    """Return what Microsoft documents of each cmdlet."""
    text = files("ecx_hyperv.host").joinpath("cmdlets.json").read_text(encoding="utf-8")
    cmdlets: Mapping[str, Any] = json.loads(text)["cmdlets"]
    return cmdlets
