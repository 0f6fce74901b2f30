"""What the cmdlets do that the agent calls: each takes the world, who asks, and the arguments as they were bound."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.powershell.world import ENABLED, Asks, Fails, Resource, Vm, World

Arguments = dict[str, Any]
Rows = list[Mapping[str, Any]]
Behaviour = Callable[[World, str, Arguments], Rows]
BEHAVIOURS: dict[str, Behaviour] = {}
_CLUSTER = "Microsoft.FailoverClusters.PowerShell."
_VIRTUAL = "Microsoft.HyperV.PowerShell."
_STOPPABLE = ("Running", "Paused", "Saved", "FastSaved")


def behaves(*names: str) -> Callable[[Behaviour], Behaviour]:
    """Register what some cmdlets do."""

    def keep(behaviour: Behaviour) -> Behaviour:
        for name in names:
            BEHAVIOURS[name] = behaviour
        return behaviour

    return keep


def _vm(vm: Vm, host: str) -> Mapping[str, Any]:
    row = {"Id": vm.id, "Name": vm.name, "State": vm.state, "ComputerName": host, "Uptime": {"$span": 12.5}}
    return {"$type": f"{_VIRTUAL}VirtualMachine", "$key": vm.id, **row, **vm.more}


def _row(kind: str, key: str, **values: object) -> Mapping[str, Any]:
    return {"$type": _CLUSTER + kind, "$key": key, **values}


@behaves("Get-VM")
def get_vm(world: World, host: str, given: Arguments) -> Rows:
    """Return the VMs of this host: all, those of a name, or the one of an id."""
    vms = world.hosts[host].vms
    if "Id" in given:
        found = [vm for vm in vms if vm.id == given["Id"]]
        if not found:
            words = f"Hyper-V was unable to find a virtual machine with id {given['Id'].upper()}."
            raise Fails(words, "ObjectNotFound", "ObjectNotFound")
        return [_vm(vm, host) for vm in found]
    found = [vm for vm in vms if "Name" not in given or vm.name in given["Name"]]
    if "Name" in given and not found:
        words = f'Hyper-V was unable to find a virtual machine with name "{given["Name"][0]}".'
        raise Fails(words, "InvalidParameter", "InvalidArgument")
    return [_vm(vm, host) for vm in found]


def targets(world: World, host: str, given: Arguments) -> list[Vm]:
    """Return the VMs of a host that a cmdlet is given, piped in or by name."""
    keys = [one["key"] for one in given.get("VM", ())]
    return [vm for vm in world.hosts[host].vms if vm.id in keys or vm.name in given.get("Name", ())]


def _invalid(vm: Vm, what: str) -> Fails:
    return Fails(f"'{vm.name}' failed to {what}: not in its current state ({vm.state}).", "InvalidState", code=0x8000)


@behaves("Stop-VM")
def stop_vm(world: World, host: str, given: Arguments) -> Rows:
    """Cut the power, where the state allows it."""
    for vm in targets(world, host, given):
        if vm.enabled_state not in [ENABLED[one] for one in _STOPPABLE] and vm.enabled_state not in {32768, 32769}:
            raise _invalid(vm, "turn off")
        vm.state, vm.enabled = "Off", None
    return []


@behaves("Start-VM")
def start_vm(world: World, host: str, given: Arguments) -> Rows:
    """Power on, or restore."""
    for vm in targets(world, host, given):
        if vm.state not in {"Off", "Saved", "FastSaved", "Hibernated"}:
            raise _invalid(vm, "start")
        vm.state, vm.enabled = "Running", None
    return []


@behaves("Resume-VM")
def resume_vm(world: World, host: str, given: Arguments) -> Rows:
    """Resume a paused VM."""
    for vm in targets(world, host, given):
        if not vm.state.startswith("Paused"):
            raise _invalid(vm, "resume")
        vm.state, vm.enabled = "Running", None
    return []


@behaves("Restart-VM")
def restart_vm(world: World, host: str, given: Arguments) -> Rows:
    """Reset a VM; without Force it asks."""
    if not given.get("Force") and not given.get("confirmed"):
        raise Asks("Are you sure you want to restart it?")
    for vm in targets(world, host, given):
        if vm.state != "Running":
            raise _invalid(vm, "restart")
    return []


@behaves("Get-CimInstance")
def get_cim_instance(world: World, host: str, given: Arguments) -> Rows:
    """Return the instances of Hyper-V's own classes that a filter names."""
    if given["ClassName"] == "Win32_Service":
        return [{"$type": "CimInstance", "PathName": world.hosts[host].settings["sshd"]}]
    if given.get("Namespace", "").casefold() != r"root\virtualization\v2":
        raise Fails("Invalid namespace", "HRESULT 0x8004100e", "ObjectNotFound")
    key, _, name = given["Filter"].partition(" = ")
    vms = [vm for vm in world.hosts[host].vms if vm.id == name.strip("'").casefold()]
    if (given["ClassName"], key) == ("Msvm_ComputerSystem", "Name"):
        return [{"$type": "CimInstance", "Name": vm.id.upper(), "EnabledState": vm.enabled_state} for vm in vms]
    if (given["ClassName"], key) == ("Msvm_ShutdownComponent", "SystemName"):
        has = [vm for vm in vms if vm.shutdown is not None]
        return [{"$type": "CimInstance", "SystemName": vm.id.upper()} for vm in has]
    raise Fails("Invalid class", "HRESULT 0x80041010", "MetadataError")


@behaves("Invoke-CimMethod")
def invoke_cim_method(world: World, host: str, given: Arguments) -> Rows:
    """Ask a guest to shut down."""
    vm = world.vm(given["InputObject"]["SystemName"], host)
    if given["MethodName"] != "InitiateShutdown" or set(given["Arguments"]) != {"Force", "Reason"}:
        raise Fails("Invalid method or parameters", "HRESULT 0x8004102f", "InvalidArgument")
    return [{"$type": "CimMethodResult", "ReturnValue": vm.shutdown}]


@behaves("Get-ClusterNode")
def get_cluster_node(world: World, host: str, given: Arguments) -> Rows:
    """Return the cluster's nodes."""
    return [_row("ClusterNode", name, Name=name, State=state) for name, state in world.nodes.items()]


@behaves("Get-ClusterGroup")
def get_cluster_group(world: World, host: str, given: Arguments) -> Rows:
    """Return the cluster's groups, all or those of some names."""
    wanted = given.get("Name")
    return [_group(world, name) for name in world.groups if wanted is None or name in wanted]


def _group(world: World, name: str) -> Mapping[str, Any]:
    owner = world.groups[name]
    node = _row("ClusterNode", owner, Name=owner, State=world.nodes[owner])
    kind = "VirtualMachine" if name in "AB" else "Cluster"
    known = {"FailoverThreshold": 0, "FailoverPeriod": 0, "AutoFailbackType": 0}
    known |= world.settings.get(f"group {name}", {})
    return _row("ClusterGroup", name, Name=name, OwnerNode=node, State="Online", GroupType=kind, **known)


def _resource(world: World, one: Resource) -> Mapping[str, Any]:
    kind = _row("ClusterResourceType", one.type, Name=one.type)
    owner = _group(world, one.group)
    common = world.settings.get(f"resource {one.id}", {})
    return _row(
        "ClusterResource", one.id, Name=one.name, State=one.state, OwnerGroup=owner, ResourceType=kind, **common
    )


@behaves("Get-ClusterResource")
def get_cluster_resource(world: World, host: str, given: Arguments) -> Rows:
    """Return the cluster's resources, all or the one of a name."""
    wanted = given.get("Name")
    found = [one for one in world.resources if wanted is None or one.name in wanted]
    if not found:
        raise Fails(f"The cluster resource '{wanted}' could not be found.", "Get-ClusterResource", code=5007)
    return [_resource(world, one) for one in found]


@behaves("Get-ClusterParameter")
def get_cluster_parameter(world: World, host: str, given: Arguments) -> Rows:
    """Return the private properties of a resource or of a type of resources."""
    key = given["InputObject"]["key"]
    owner = next((one for one in world.resources if one.id == key), None)
    if owner is None:
        values, of = world.settings.get(f"parameters {key}", {}), None
    else:
        values, of = owner.parameters or {}, _resource(world, owner)
    wanted = [one.casefold() for one in given.get("Name") or values]
    found = {name: value for name, value in values.items() if name.casefold() in wanted}
    if not found:
        raise Fails(f"The parameter '{wanted}' does not exist.", "Get-ClusterParameter", code=5007)
    rows = found.items()
    return [_row("ClusterParameter", name, Name=name, Value=value, ClusterObject=of) for name, value in rows]


@behaves("Start-ClusterResource", "Stop-ClusterResource")
def change_resource(world: World, host: str, given: Arguments) -> Rows:
    """Bring a resource online, or take it offline."""
    one = world.resource(given["Name"])
    one.state = "Offline" if world.calls[-1][1].startswith("Stop") else "Online"
    return [_resource(world, one)]


@behaves("Move-ClusterVirtualMachineRole")
def move_role(world: World, host: str, given: Arguments) -> Rows:
    """Move a VM's group."""
    world.groups[given["Name"]] = given["Node"]
    return [_group(world, given["Name"])]


@behaves("Move-ClusterSharedVolume", "Update-IscsiTargetPortal")
def take(world: World, host: str, given: Arguments) -> Rows:
    """Do as told; the test looks at the arguments."""
    return []


@behaves("Get-Service")
def get_service(world: World, host: str, given: Arguments) -> Rows:
    """Return services of this host."""
    known = world.hosts[host].services
    missing = [name for name in given["Name"] if name not in known]
    if missing:
        words = f"Cannot find any service with service name '{missing[0]}'."
        raise Fails(words, "NoServiceFoundForGivenName", "ObjectNotFound")
    return [{"$type": "ServiceController", "Name": one, **known[one]} for one in given["Name"]]
