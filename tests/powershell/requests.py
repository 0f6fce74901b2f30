"""Requests of the wire's form, made at random: most have sense, some ask for what no agent may do."""

import random
from collections.abc import Callable
from typing import Any

from ecx_hyperv.host.wire import Call, Request
from ecx_hyperv.lab.model.world import World

_Values = dict[str, Any]
_NOWHERE = "99999999-9999-4999-8999-999999999999"
_STATES = (
    *(("Running",), ("Off", "Saved", "FastSaved", "Hibernated"), ("Paused",), ("Running", "Paused", "PausedCritical")),
    *(("running", "off"), ("Saving",), ()),
)
# What each cmdlet shows; a property that there is not, and one of such a property, are null.
_SELECTS: dict[str, tuple[str, ...]] = {
    "Get-VM": (
        *("Id", "Name", "State", "OperationalStatus", "PrimaryOperationalStatus", "SecondaryOperationalStatus"),
        *("Heartbeat", "Uptime.TotalSeconds", "IsClustered", "Path", "HardDrives.Path", "HardDrives.Count"),
        *("AutomaticStartAction", "AutomaticStopAction", "AutomaticStartDelay", "MemoryStartup", "Nothing.More"),
    ),
    "Get-ClusterNode": ("Name", "State", "StatusInformation", "Nothing"),
    "Get-ClusterGroup": ("Name", "State", "OwnerNode.Name", "GroupType", "StatusInformation", "FailoverPeriod"),
    "Get-ClusterResource": (
        *("Name", "State", "OwnerGroup.Name", "ResourceType.Name", "OwnerNode.Name"),
        *("StatusInformation", "RestartAction", "LastOperationStatusCode", "Name.Length.More"),
    ),
    "Get-ClusterSharedVolume": ("Name", "Id", "State", "OwnerNode.Name", "SharedVolumeInfo.FriendlyVolumeName"),
    "Get-ClusterSharedVolumeState": ("Name", "Node", "StateInfo"),
    "Get-ClusterNetwork": ("Name", "Id", "Role", "State", "Address", "AddressMask"),
    "Get-ClusterQuorum": ("QuorumType", "QuorumResource.Name", "QuorumResource.State"),
    "Get-Cluster": ("Name", "ResiliencyDefaultPeriod", "QuarantineThreshold", "MaximumParallelMigrations"),
    "Get-VMHost": ("Name", "VirtualMachineMigrationEnabled", "MaximumVirtualMachineMigrations", "MemoryCapacity"),
    "Get-IscsiConnection": ("TargetAddress", "TargetPortNumber", "InitiatorAddress"),
    "Get-IscsiSession": ("TargetNodeAddress", "InitiatorNodeAddress", "IsConnected", "SessionIdentifier"),
    "Get-IscsiTargetPortal": ("TargetPortalAddress", "TargetPortalPortNumber"),
    "Agent-VmIds": ("Resource", "Type", "Group", "VmId", "Volumes", "OfflineAction"),
    "Get-ClusterParameter": ("Name", "Value", "ClusterObject.Name", "ClusterObject.OwnerGroup.Name"),
    "Get-VMIntegrationService": ("Id", "Enabled"),
    "Get-Service": ("Name", "Status", "StartType"),
    "Agent-Echo": ("Text",),
    "Agent-ShutdownGuest": ("Code",),
}


def generate(source: random.Random, world: World) -> tuple[Request, bool | None]:
    """Return a request, and whether its acts come late; None: without a limit."""
    calls = tuple(_call(source, world) for _ in range(source.choice((1, 1, 1, 2, 3))))
    late = source.choice((False, False, False, False, False, True, None))
    return Request(calls=calls, stop_on_error=source.random() < 0.5), late


def _call(source: random.Random, world: World) -> Call:
    kind = source.random()
    if kind < 0.55:
        return _reading(source, world)
    if kind < 0.9:
        return _acting(source, world)
    return _nonsense(source, world)


def _vm_id(source: random.Random, world: World) -> str:
    known = [*(one.id for one in world.all_vms), *(one.id for one in world.ec_vms.values()), _NOWHERE]
    chosen = source.choice(known)
    return source.choice((chosen, chosen, chosen.upper(), "{" + chosen + "}"))


def _names(world: World) -> dict[str, list[str]]:
    machines = [one.machine_name for one in world.vms.values()]
    configurations = [one.configuration_name for one in world.vms.values()]
    return {
        "Get-VM": [*world.vms, *(one.vm for one in world.ec_vms.values()), "nobody"],
        "Get-ClusterNode": [*world.hosts, next(iter(world.hosts)).upper()],
        "Get-ClusterGroup": [*world.vms, "Cluster Group"],
        "Get-ClusterResource": [*machines, *configurations, "Cluster IP Address", "no such resource"],
        "Get-ClusterSharedVolume": [*world.volumes],
        "Get-ClusterNetwork": [*world.facts.roles, "no such network"],
    }


def _reading(source: random.Random, world: World) -> Call:
    cmdlet = source.choice(list(_SELECTS))
    names = _names(world)
    args: _Values = {}
    feed = None
    match cmdlet:
        case "Get-VM" if source.random() < 0.5:
            args = {"Id": _vm_id(source, world)}
        case "Get-ClusterParameter":
            args = source.choice(({"Name": "VmId"}, {"Name": "OfflineAction"}, {"Name": "DependsOnSharedVolumes"}, {}))
            feed = Call(cmdlet="Get-ClusterResource", args={"Name": source.choice(names["Get-ClusterResource"])})
        case "Get-VMIntegrationService":
            feed = Call(cmdlet="Get-VM", args={"Id": _vm_id(source, world)})
        case "Get-Service":
            args = {"Name": source.choice((["sshd"], ["MSiSCSI"], ["sshd", "MSiSCSI"]))}
        case "Agent-Echo":
            args = {"Text": source.choice(("x", "\u4eee\u60f3 '\"$(x)`", "")), "Repeat": source.choice((1, 3))}
        case "Agent-ShutdownGuest":
            return _shutdown(source, world)
        case _ if cmdlet in names and source.random() < 0.5:
            args = {"Name": source.choice(names[cmdlet])}
    known = _SELECTS[cmdlet]
    select = tuple(source.sample(known, source.randint(0, len(known))))
    only = {}
    if cmdlet == "Get-VM" and source.random() < 0.4:
        only = {"State": source.choice(_STATES)}
    elif "State" in known and source.random() < 0.3:
        only = {"State": source.choice((("Online", "Up"), ("Offline", "Failed"), ("Online", "Offline", "Up", "Down")))}
    return Call(cmdlet=cmdlet, args=args, select=select, from_=feed, only=only, guard=_guard(source, world))


def _guard(source: random.Random, world: World) -> Call | None:
    if source.random() < 0.75:
        return None
    name = source.choice(_names(world)["Get-ClusterResource"])
    only = source.choice(({}, {"State": ("Offline", "Failed")}, {"State": ("Online",)}))
    return Call(cmdlet="Get-ClusterResource", args={"Name": name}, only=only)


def _shutdown(source: random.Random, world: World) -> Call:
    args: _Values = {"Id": _vm_id(source, world), "Force": source.random() < 0.3}
    return Call(cmdlet="Agent-ShutdownGuest", args=args, select=("Code",), guard=_guard(source, world))


def _acting(source: random.Random, world: World) -> Call:
    names = _names(world)
    feed = Call(cmdlet="Get-VM", args={"Id": _vm_id(source, world)}, only={"State": source.choice(_STATES[:5])})
    resource: _Values = {"Name": source.choice(names["Get-ClusterResource"]), "Wait": 0}
    node = source.choice(list(world.hosts))
    role: _Values = {"Name": source.choice(list(world.vms)), "Node": node, "Wait": 0}
    volume: _Values = {"Name": source.choice(list(world.volumes)), "Node": node, "Wait": 0}
    acts: list[Callable[[], Call]] = [
        lambda: Call(cmdlet="Stop-VM", args={"TurnOff": True}, from_=feed),
        lambda: Call(cmdlet="Start-VM", args={}, from_=feed),
        lambda: Call(cmdlet="Resume-VM", args={}, from_=feed),
        lambda: _shutdown(source, world),
        lambda: Call(cmdlet="Start-ClusterResource", args=resource, guard=_guard(source, world)),
        lambda: Call(cmdlet="Stop-ClusterResource", args=resource, guard=_guard(source, world)),
        lambda: Call(
            cmdlet="Move-ClusterVirtualMachineRole",
            args={**role, "MigrationType": source.choice(("Live", "Quick"))},
            guard=_guard(source, world),
        ),
        lambda: Call(cmdlet="Move-ClusterSharedVolume", args=volume),
        lambda: Call(cmdlet="Update-IscsiTargetPortal", args={"TargetPortalAddress": source.choice(("127.77.0.201",))}),
    ]
    return source.choice(acts)()


def _nonsense(source: random.Random, world: World) -> Call:
    """Return a call that both agents must refuse, each in the same words."""
    vm = {"Id": _vm_id(source, world)}
    feed = Call(cmdlet="Get-VM", args=vm, only={"State": ("Running",)})
    act = Call(cmdlet="Start-VM", args={}, from_=Call(cmdlet="Get-VM", args=vm, only={"State": ("Off",)}))
    refused: list[Call] = [
        Call(cmdlet="Remove-VM", args={"Name": "vm1"}),
        Call(cmdlet="Invoke-Expression", args={"Command": "exit"}),
        Call(cmdlet="Get-VM", args={"Colour": "red"}),
        Call(cmdlet="Get-VM", args={"ComputerName": "elsewhere"}),
        Call(cmdlet="Get-ClusterNode", args={"Cluster": "other"}),
        Call(cmdlet="Get-VM", args={"ErrorAction": "SilentlyContinue"}),
        Call(cmdlet="Stop-VM", args={}, from_=feed),
        Call(cmdlet="Stop-VM", args={"TurnOff": True, "Force": True}, from_=feed),
        Call(cmdlet="Stop-VM", args={"Save": True}, from_=feed),
        Call(cmdlet="Stop-VM", args={"TurnOff": True, "AsJob": True}, from_=feed),
        Call(cmdlet="Get-VMIntegrationService", args={}, from_=act),
        Call(cmdlet="Get-ClusterNode", args={}, guard=act),
        Call(cmdlet="Start-VM", args={}, from_=feed, only={"State": ("Running",)}),
        Call(cmdlet="Agent-VmIds", args={"Name": "vm1"}),
        Call(cmdlet="Agent-ShutdownGuest", args={"Id": "no id", "Force": False}),
        Call(cmdlet="Agent-ShutdownGuest", args={"Id": _NOWHERE, "Force": "yes"}),
        Call(cmdlet="Agent-Nothing", args={}),
    ]
    return source.choice(refused)
