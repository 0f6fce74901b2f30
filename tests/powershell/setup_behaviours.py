"""What the cmdlets do that the set-up scripts call."""

from collections.abc import Mapping
from typing import Any

from tests.powershell.behaviours import Arguments, Rows, behaves, targets
from tests.powershell.setup_world import TARGET
from tests.powershell.world import Fails, Resource, Vm, World

_CLUSTER = "Microsoft.FailoverClusters.PowerShell."


def _settings(world: World, host: str) -> dict[str, Any]:
    return world.hosts[host].settings


def _cim(kind: str, **values: object) -> Mapping[str, Any]:
    return {"$type": kind, **values}


@behaves("Get-WindowsFeature", "Install-WindowsFeature")
def feature(world: World, host: str, given: Arguments) -> Rows:
    """Return features, or install them."""
    known = _settings(world, host)["features"]
    if world.calls[-1][1].startswith("Install"):
        known.update(dict.fromkeys(given["Name"], "InstallPending"))
    return [{"Name": name, "InstallState": known[name]} for name in given["Name"]]


@behaves("Get-VMSwitch")
def get_switch(world: World, host: str, given: Arguments) -> Rows:
    """Return the virtual switches."""
    return list(_settings(world, host)["switches"])


@behaves("New-VMSwitch")
def new_switch(world: World, host: str, given: Arguments) -> Rows:
    """Make an external switch."""
    _settings(world, host)["switches"].append({"Name": given["Name"], "SwitchType": "External"})
    return []


@behaves("Get-VMHost", "Set-VMHost", "Enable-VMMigration")
def vm_host(world: World, host: str, given: Arguments) -> Rows:
    """Return how live migration is set, or set it."""
    known = _settings(world, host)["vmhost"]
    if world.calls[-1][1] == "Enable-VMMigration":
        known["VirtualMachineMigrationEnabled"] = True
    known.update({name: value for name, value in given.items() if name in known})
    return [{"$type": "Microsoft.HyperV.PowerShell.VMHost", **known}] if world.calls[-1][1] == "Get-VMHost" else []


@behaves("Set-VM")
def set_vm(world: World, host: str, given: Arguments) -> Rows:
    """Set what becomes of a VM with its host."""
    for vm in targets(world, host, given):
        _set_actions(vm, given)
    return []


def _set_actions(vm: Vm, given: Arguments) -> None:
    if "AutomaticStopAction" in given and vm.state != "Off":
        raise Fails(
            "The operation cannot be performed while the virtual machine is in its current state.", "InvalidState"
        )
    vm.more.update({name: value for name, value in given.items() if name.startswith("Automatic")})


@behaves("Set-Service", "Start-Service", "Restart-Service")
def change_service(world: World, host: str, given: Arguments) -> Rows:
    """Set how a service starts, or start it."""
    names = given["Name"] if isinstance(given["Name"], list) else [given["Name"]]
    for name in names:
        service = world.hosts[host].services[name]
        service.update({"StartType": given["StartupType"]} if "StartupType" in given else {"Status": "Running"})
    return []


@behaves("Get-InitiatorPort")
def get_initiator_port(world: World, host: str, given: Arguments) -> Rows:
    """Return this host's initiator."""
    return [_cim("MSFT_InitiatorPort", NodeAddress=f"iqn.1991-05.com.microsoft:{host.lower()}")]


@behaves("Get-IscsiTargetPortal", "New-IscsiTargetPortal")
def portal(world: World, host: str, given: Arguments) -> Rows:
    """Return the portals, or make one."""
    portals = _settings(world, host)["portals"]
    if world.calls[-1][1].startswith("New"):
        portals.append(given["TargetPortalAddress"])
    return [_cim("MSFT_iSCSITargetPortal", TargetPortalAddress=one) for one in portals]


@behaves("Get-IscsiSession", "Connect-IscsiTarget", "Register-IscsiSession")
def session(world: World, host: str, given: Arguments) -> Rows:
    """Return the sessions, make one, or have it come back after a restart."""
    sessions = _settings(world, host)["sessions"]
    if world.calls[-1][1].startswith("Connect"):
        if given["NodeAddress"] != TARGET:
            raise Fails("The target name is not found.", "HRESULT 0xefff0003", "NotSpecified")
        sessions.append({"SessionIdentifier": "s-1", "TargetNodeAddress": TARGET, "IsConnected": True})
        sessions[-1]["IsPersistent"] = given.get("IsPersistent", False)
    if world.calls[-1][1].startswith("Register"):
        sessions[-1]["IsPersistent"] = True
    return [_cim("MSFT_iSCSISession", **one) for one in sessions]


@behaves("Get-Cluster")
def get_cluster(world: World, host: str, given: Arguments) -> Rows:
    """Return the cluster, if there is one."""
    if "Cluster" not in world.settings:
        raise Fails("The cluster service is not running.", "Get-Cluster", "ConnectionError", 6)
    return [{"$type": f"{_CLUSTER}Cluster", "$key": "Cluster", **world.settings["Cluster"]}]


@behaves("Get-ClusterNetwork")
def get_network(world: World, host: str, given: Arguments) -> Rows:
    """Return the cluster's networks."""
    chosen = [one for one in world.networks if "Name" not in given or one["Name"] in given["Name"]]
    return [{"$type": f"{_CLUSTER}ClusterNetwork", "$key": one["Id"], **one} for one in chosen]


@behaves("Get-ClusterResourceType")
def get_resource_type(world: World, host: str, given: Arguments) -> Rows:
    """Return types of resources."""
    return [{"$type": f"{_CLUSTER}ClusterResourceType", "$key": one, "Name": one} for one in given["Name"]]


@behaves("Set-ClusterParameter")
def set_parameter(world: World, host: str, given: Arguments) -> Rows:
    """Set a private property of a resource, or of a type of resources."""
    key = given["InputObject"]["key"]
    resource = next((one for one in world.resources if one.id == key), None)
    private = world.settings[f"parameters {key}"] if resource is None else resource.parameters
    assert private is not None
    private[given["Name"]] = given["Value"]
    return []


@behaves("Get-Disk", "Set-Disk", "Initialize-Disk")
def disk(world: World, host: str, given: Arguments) -> Rows:
    """Return the served disk, or change what it is."""
    known = _settings(world, host)["disk"]
    if world.calls[-1][1] == "Initialize-Disk":
        known["PartitionStyle"] = given["PartitionStyle"]
    known.update({name: given[name] for name in ("IsOffline", "IsReadOnly") if name in given})
    # What a disk holds may show only once it is online (P16).
    if not known["IsOffline"] and "holds" in known:
        known["PartitionStyle"] = known["holds"]
    return [_cim("MSFT_Disk", **known)] if world.calls[-1][1] == "Get-Disk" else []


@behaves("New-Partition")
def new_partition(world: World, host: str, given: Arguments) -> Rows:
    """Make a partition of the whole disk."""
    return [_cim("MSFT_Partition", DiskNumber=given["DiskNumber"])]


@behaves("Format-Volume")
def format_volume(world: World, host: str, given: Arguments) -> Rows:
    """Format it."""
    _settings(world, host)["disk"]["formatted"] = True
    return []


@behaves("Get-ClusterAvailableDisk")
def available_disk(world: World, host: str, given: Arguments) -> Rows:
    """Offer the disk to the cluster."""
    return [{"$type": f"{_CLUSTER}ClusterDisk", "Number": 1}]


@behaves("Add-ClusterDisk")
def add_disk(world: World, host: str, given: Arguments) -> Rows:
    """Make the disk a resource."""
    world.resources.append(Resource("d1", "Cluster Disk 7", "Physical Disk", "Cluster Group"))
    return [{"$type": f"{_CLUSTER}ClusterResource", "$key": "d1", "Name": "Cluster Disk 7"}]


@behaves("Get-ClusterSharedVolume", "Add-ClusterSharedVolume")
def shared_volume(world: World, host: str, given: Arguments) -> Rows:
    """Return the Shared Volumes, or make one of a disk."""
    volumes = world.settings["volumes"]
    if world.calls[-1][1].startswith("Add"):
        volumes.extend(given["Name"])
    return [{"$type": f"{_CLUSTER}ClusterSharedVolume", "Name": one} for one in volumes]


@behaves("Get-ClusterQuorum", "Set-ClusterQuorum")
def quorum(world: World, host: str, given: Arguments) -> Rows:
    """Return the witness, or set it."""
    if world.calls[-1][1].startswith("Set"):
        world.settings["quorum"] = given["DiskWitness"]
    return [{"QuorumResource": {"Name": world.settings["quorum"]}}]


@behaves("Add-ClusterVirtualMachineRole")
def add_role(world: World, host: str, given: Arguments) -> Rows:
    """Make a VM a role of the cluster."""
    name = given["VMName"]
    world.groups[name] = host
    vm = next(one for one in world.hosts[host].vms if one.name == name)
    # WSFC's own defaults.
    private = {"VmId": vm.id, "CheckHeartbeat": 1, "OfflineAction": 1}
    world.resources.append(
        Resource(f"v-{name}", f"Virtual Machine {name}", "Virtual Machine", name, parameters=private)
    )
    world.settings[f"resource v-{name}"] = {"RestartAction": 2}
    world.settings[f"group {given['VMName']}"] = {"FailoverThreshold": 2, "FailoverPeriod": 6, "AutoFailbackType": 1}
    return []


@behaves("Get-NetFirewallRule", "New-NetFirewallRule", "Set-NetFirewallRule")
def firewall(world: World, host: str, given: Arguments) -> Rows:
    """Return rules of the firewall by their names, make one, or change one."""
    rules = _settings(world, host)["rules"]
    names = given["Name"] if isinstance(given["Name"], list) else [given["Name"]]
    if world.calls[-1][1].startswith("New"):
        rules[names[0]] = {"Enabled": "True", "Description": ""}
    missing = [name for name in names if name not in rules]
    if missing:
        raise Fails(f"No MSFT_NetFirewallRule objects found with 'InstanceID' '{missing[0]}'.", "X", "ObjectNotFound")
    if not world.calls[-1][1].startswith("Get"):
        rules[names[0]].update(given)
    return [_cim("MSFT_NetFirewallRule", **{**rules[name], "Name": name}) for name in names]


@behaves("Get-Acl", "Set-Acl")
def acl(world: World, host: str, given: Arguments) -> Rows:
    """Return a file's rights, or set them."""
    settings = _settings(world, host)
    if world.calls[-1][1].startswith("Set"):
        settings["acl"] = given["AclObject"]["sddl"]
        return []
    return [{"$type": "EcxStandIn.FileSecurity", "sddl": settings["acl"]}]
