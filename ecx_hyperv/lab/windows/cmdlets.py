"""The lab's cmdlets: what each shows of the world, or does to it, as on a host."""

from collections.abc import Callable, Mapping
from typing import Any

from ecx_hyperv.lab.model.things import Vm
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.allowed import BadRequest
from ecx_hyperv.lab.windows.messages import Failure
from ecx_hyperv.lab.windows.rows import Rows, vm_id

# InitiateShutdown's answer where the guest was asked.
_ASKED = 0


class Cmdlets:
    """The cmdlets of one host; `blocked` is how long the one that was called last takes, in seconds."""

    def __init__(self, world: World, host: str, target: str) -> None:
        self._world = world
        self._host = host
        self._target = target
        self._rows = Rows(world, host, target)
        self.blocked = 0.0

    def call(self, cmdlet: str, args: Mapping[str, Any], piped: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        """Make a call, and return the objects that come out; raises Failure, BadRequest."""
        self.blocked = 0.0
        return self._CMDLETS[cmdlet](self, args, piped)

    # What shows.

    def _get_nodes(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return _named(self._rows.nodes(), args)

    def _get_groups(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return _named(self._rows.groups(), args)

    def _get_resources(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return _named(self._rows.resources(), args)

    def _get_volumes(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return _named(self._rows.volumes(), args)

    def _get_parameter(self, args: Mapping[str, Any], piped: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        found = [row for one in piped or [] for row in self._rows.parameters(one)]
        return _named(found, args)

    def _get_vm(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        if "Id" in args:
            key = str(args["Id"]).casefold()
            by_id = [row for row in self._rows.vms() if row["Id"] == key]
            if not by_id:
                raise Failure(0, key, identifier="ObjectNotFound", category="ObjectNotFound")
            return by_id
        found = _named(self._rows.vms(), args)
        if not found and "Name" in args:
            raise Failure(0, str(args["Name"]), identifier="InvalidParameter", category="InvalidArgument")
        return found

    def _get_connections(self, _args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return self._rows.connections()

    def _get_cluster(self, _args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return self._rows.cluster()

    def _get_vm_ids(self, _args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return self._rows.vm_ids()

    # What changes.

    def _start_resource(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return self._on_resource(args, start=True)

    def _stop_resource(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return self._on_resource(args, start=False)

    def _on_resource(self, args: Mapping[str, Any], *, start: bool) -> list[dict[str, Any]]:
        name = str(args["Name"])
        world, cluster = self._world, self._world.cluster
        volume = next((one for one in world.volumes.values() if one.name.casefold() == name.casefold()), None)
        if volume is not None:
            _raise(world.storage.start(volume) if start else world.storage.stop(volume), name)
            return []
        for vm in world.vms.values():
            if name.casefold() == f"virtual machine configuration {vm.name}".casefold():
                _raise(cluster.start_configuration(vm) if start else cluster.stop_configuration(vm), name)
                return []
            if name.casefold() == f"virtual machine {vm.name}".casefold():
                _raise(cluster.start_machine(vm) if start else cluster.stop_machine(vm), name)
                return []
        raise Failure(5007, name)

    def _move_volume(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        name = str(args["Name"])
        volume = next((one for one in self._world.volumes.values() if one.name.casefold() == name.casefold()), None)
        if volume is None:
            raise Failure(5007, name)
        _raise(self._world.storage.move(volume, self._node(args)), name)
        return []

    def _move_role(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        vm = self._vm(str(args["Name"]), code=5013)
        if args.get("Cancel"):
            _raise(self._world.cluster.cancel(vm), vm.name)
            return []
        if "MigrationType" not in args:
            raise BadRequest("Move-ClusterVirtualMachineRole without a MigrationType")
        live = args["MigrationType"] == "Live"
        _raise(self._world.cluster.move(vm, self._node(args), live=live), vm.name)
        return []

    def _start_vm(self, args: Mapping[str, Any], piped: Any) -> list[dict[str, Any]]:
        for name in _names(args, piped):
            ec_vm = self._ec_vm(name)
            if ec_vm is not None:
                self._world.start_ec_vm(ec_vm)
                continue
            vm = self._vm(name)
            code = self._world.guests.start(vm, self._host)
            if code in (14, 32):
                vm.code = code
            _raise(code, vm.name, identifier="OutOfMemory" if code == 14 else "OperationFailed")
            self.blocked += self._world.timings.guest_boot / 2
        return []

    def _resume_vm(self, args: Mapping[str, Any], piped: Any) -> list[dict[str, Any]]:
        for name in _names(args, piped):
            ec_vm = self._ec_vm(name)
            if ec_vm is not None:
                ec_vm.guest.state, ec_vm.booted = "Running", True
                continue
            vm = self._vm(name)
            _raise(self._world.guests.resume(vm, self._host), vm.name)
            self.blocked += self._world.timings.pause
        return []

    def _stop_vm(self, args: Mapping[str, Any], piped: Any) -> list[dict[str, Any]]:
        for name in _names(args, piped):
            vm = self._vm(name)
            _raise(self._world.guests.turn_off(vm, self._host), vm.name)
            self.blocked += self._world.timings.turn_off
        return []

    def _restart_vm(self, args: Mapping[str, Any], piped: Any) -> list[dict[str, Any]]:
        for name in _names(args, piped):
            ec_vm = self._ec_vm(name)
            if ec_vm is None:
                self._world.violated(f"Restart-VM of the protected {name}")
                continue
            self._world.stop_ec_vm(ec_vm, "Off")
            self._world.start_ec_vm(ec_vm)
        return []

    def _shut_down_guest(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        key = str(args["Id"])
        if not self._world.hosts[self._host].vmms:
            raise Failure(0, self._host, identifier="ObjectNotFound", category="ObjectNotFound")
        vm = next((one for one in self._world.vms.values() if vm_id(one.name) == key.casefold()), None)
        guest = None if vm is None else vm.guests.get(self._host)
        if vm is None or guest is None or guest.state != "Running" or not vm.facts.shutdown:
            return []
        return [{"Code": self._world.guests.shut_down(vm, self._host) or _ASKED}]

    def _update_portal(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        if args["TargetPortalAddress"] != self._target:
            raise Failure(0, str(args["TargetPortalAddress"]), identifier="HRESULT 0xefff0003")
        self._world.storage.reconnect(self._host)
        return []

    def _node(self, args: Mapping[str, Any]) -> str:
        name = str(args["Node"]).casefold()
        if name not in self._world.hosts:
            raise Failure(5042, name)
        return name

    def _ec_vm(self, name: str) -> Any:
        here = self._world.ec_on(self._host)
        return here if here.vm.casefold() == name.casefold() else None

    def _vm(self, name: str, code: int = 0) -> Vm:
        vm = next((one for one in self._world.vms.values() if one.name.casefold() == name.casefold()), None)
        if vm is None or (not code and self._host not in vm.guests):
            raise Failure(code, name, identifier="InvalidParameter", category="InvalidArgument")
        return vm

    _CMDLETS: Mapping[str, Callable[["Cmdlets", Mapping[str, Any], Any], list[dict[str, Any]]]] = {
        "Agent-VmIds": _get_vm_ids,
        "Agent-ShutdownGuest": _shut_down_guest,
        "Get-Cluster": _get_cluster,
        "Get-ClusterNode": _get_nodes,
        "Get-ClusterGroup": _get_groups,
        "Get-ClusterResource": _get_resources,
        "Get-ClusterParameter": _get_parameter,
        "Get-ClusterSharedVolume": _get_volumes,
        "Start-ClusterResource": _start_resource,
        "Stop-ClusterResource": _stop_resource,
        "Move-ClusterSharedVolume": _move_volume,
        "Move-ClusterVirtualMachineRole": _move_role,
        "Get-VM": _get_vm,
        "Start-VM": _start_vm,
        "Stop-VM": _stop_vm,
        "Resume-VM": _resume_vm,
        "Restart-VM": _restart_vm,
        "Get-IscsiConnection": _get_connections,
        "Update-IscsiTargetPortal": _update_portal,
    }


def _names(args: Mapping[str, Any], piped: list[dict[str, Any]] | None) -> list[str]:
    """Return the names of the VMs that a cmdlet is given, by name or piped in."""
    return [str(args["Name"])] if piped is None else [str(one["Name"]) for one in piped]


def _named(rows: list[dict[str, Any]], args: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "Name" not in args:
        return rows
    wanted = args["Name"] if isinstance(args["Name"], list) else [args["Name"]]
    names = {str(name).casefold() for name in wanted}
    return [row for row in rows if str(row["Name"]).casefold() in names]


def _raise(code: int, about: str, *, identifier: str = "") -> None:
    if code:
        raise Failure(code, about, identifier=identifier)
