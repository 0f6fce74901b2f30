"""What the lab's cmdlets show, as the objects that Windows' own return: with their types, enums, spans and lists."""

from collections.abc import Mapping
from typing import Any

Shown = Mapping[str, Any]

_CLUSTER = "Microsoft.FailoverClusters.PowerShell."
_HYPER_V = "Microsoft.HyperV.PowerShell."
# What each returns, and the property by which one object is told from another.
_TYPES = {
    "Get-Cluster": (f"{_CLUSTER}Cluster", "Name"),
    "Get-ClusterNode": (f"{_CLUSTER}ClusterNode", "Name"),
    "Get-ClusterGroup": (f"{_CLUSTER}ClusterGroup", "Name"),
    "Get-ClusterResource": (f"{_CLUSTER}ClusterResource", "Name"),
    "Get-ClusterResourceType": (f"{_CLUSTER}ClusterResourceType", "Name"),
    "Get-ClusterParameter": (f"{_CLUSTER}ClusterParameter", "Name"),
    "Get-ClusterSharedVolume": (f"{_CLUSTER}ClusterSharedVolume", "Name"),
    "Get-ClusterSharedVolumeState": (f"{_CLUSTER}ClusterSharedVolumeStateInfo", "Name"),
    "Get-ClusterNetwork": (f"{_CLUSTER}ClusterNetwork", "Name"),
    "Get-ClusterQuorum": (f"{_CLUSTER}ClusterQuorumSettings", "QuorumType"),
    "Get-VM": (f"{_HYPER_V}VirtualMachine", "Id"),
    "Get-VMHost": (f"{_HYPER_V}VMHost", "Name"),
    "Get-VMIntegrationService": (f"{_HYPER_V}VMIntegrationComponent", "Id"),
    "Get-Service": ("ServiceController", "Name"),
    "Get-Acl": ("EcxStandIn.FileSecurity", "Sddl"),
}
# A property that is an object of the cluster's.
_NESTED = {
    "OwnerNode": "ClusterNode",
    "OwnerGroup": "ClusterGroup",
    "ResourceType": "ClusterResourceType",
    "QuorumResource": "ClusterResource",
    "ClusterObject": "ClusterResource",
}


def key_of(cmdlet: str, row: Shown) -> str:
    """Return what an object that a cmdlet returned is known by when it is piped on."""
    if cmdlet not in _TYPES:
        return ""
    return f"{cmdlet} {row[_TYPES[cmdlet][1]]}"


def to_object(cmdlet: str, row: Shown) -> Any:
    """Return the object that Windows would return for a row of the lab's."""
    if "PSObject" in row:
        # A line of a file is a text.
        return row["PSObject"]["BaseObject"]
    known = _TYPES.get(cmdlet)
    # What a CDXML cmdlet returns is known by its class.
    kind = known[0] if known else f"MSFT_{cmdlet.partition('-')[2]}"
    return {"$type": kind, "$key": key_of(cmdlet, row), **{name: _value(name, value) for name, value in row.items()}}


def _value(name: str, value: Any) -> Any:
    if name == "Uptime":
        return {"$span": value["TotalSeconds"]}
    if name == "HardDrives":
        return [{"$type": f"{_HYPER_V}HardDiskDrive", **drive} for drive in value]
    if name in _NESTED and value is not None:
        kind = _NESTED[name]
        # Nothing that is seen only as a part of another object is piped on.
        return {"$type": _CLUSTER + kind, **{inner: _value(inner, one) for inner, one in value.items()}}
    return value
