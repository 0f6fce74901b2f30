"""The lab's cmdlets: what each shows of the world, or does to it, as on a host."""

from collections.abc import Callable, Mapping
from typing import Any

from ecx_hyperv.lab.model.roles import CONFIGURATION
from ecx_hyperv.lab.model.things import EcVm, Vm
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows import acts
from ecx_hyperv.lab.windows.allowed import BadRequest
from ecx_hyperv.lab.windows.messages import Failure
from ecx_hyperv.lab.windows.rows import Rows


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
        return self._rows.get_resource(args)

    def _get_volumes(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return _named(self._rows.volumes(), args)

    def _get_parameter(self, args: Mapping[str, Any], piped: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        found = [row for one in piped or [] for row in self._rows.parameters(one)]
        return _named(found, args)

    def _get_vm(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        return self._rows.get_vm(args)

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
        if world.facts.witness and name.casefold() == world.facts.witness.casefold():
            world.facts.witness_state = "Online" if start else "Offline"
            return []
        volume = next((one for one in world.volumes.values() if one.name.casefold() == name.casefold()), None)
        if volume is not None:
            _raise(world.storage.start(volume) if start else world.storage.stop(volume), name)
            return []
        found = self._rows.find_resource(name)
        if found is not None:
            vm, kind = found
            if kind == CONFIGURATION:
                _raise(cluster.start_configuration(vm) if start else cluster.stop_configuration(vm), name)
            else:
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
        vms = self._world.in_group(str(args["Name"]))
        if not vms:
            raise Failure(5013, str(args["Name"]), identifier="InvalidParameter", category="InvalidArgument")
        if args.get("Cancel"):
            for vm in vms:
                _raise(self._world.cluster.cancel(vm), vm.role)
            return []
        if "MigrationType" not in args:
            raise BadRequest("Move-ClusterVirtualMachineRole without a MigrationType")
        for vm in vms:
            _raise(self._world.cluster.move(vm, self._node(args), live=args["MigrationType"] == "Live"), vm.role)
        return []

    def _start_vm(self, args: Mapping[str, Any], piped: Any) -> list[dict[str, Any]]:
        for vm in self._meant(args, piped):
            self.blocked += acts.start(self._world, self._host, vm)
        return []

    def _resume_vm(self, args: Mapping[str, Any], piped: Any) -> list[dict[str, Any]]:
        for vm in self._meant(args, piped):
            self.blocked += acts.resume(self._world, self._host, vm)
        return []

    def _stop_vm(self, args: Mapping[str, Any], piped: Any) -> list[dict[str, Any]]:
        for vm in self._meant(args, piped):
            acts.turn_off(self._world, self._host, vm)
            self.blocked += self._world.timings.turn_off
        return []

    def _restart_vm(self, args: Mapping[str, Any], piped: Any) -> list[dict[str, Any]]:
        for vm in self._meant(args, piped):
            acts.restart(self._world, vm)
        return []

    def _shut_down_guest(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        if not self._world.hosts[self._host].vmms:
            raise Failure(0, self._host, identifier="ServiceAway", category="ObjectNotFound")
        return acts.ask(self._world, self._host, str(args["Id"]), force=bool(args.get("Force")))

    def fresh_state(self, key: str) -> str | None:
        """Return a VM's state as it is now, which Get-VM may show only seconds later."""
        return self._rows.fresh_state(key)

    def _meant(self, args: Mapping[str, Any], piped: list[dict[str, Any]] | None) -> list[Vm | EcVm]:
        """Return the VMs that a cmdlet is given, by name or piped in."""
        given = [args] if piped is None else [{"Id": str(one["Id"])} for one in piped]
        return [vm for one in given for vm in acts.vms_meant(self._world, self._host, one)]

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


def _named(rows: list[dict[str, Any]], args: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "Name" not in args:
        return rows
    wanted = args["Name"] if isinstance(args["Name"], list) else [args["Name"]]
    names = {str(name).casefold() for name in wanted}
    return [row for row in rows if str(row["Name"]).casefold() in names]


def _raise(code: int, about: str, *, identifier: str = "") -> None:
    if code:
        raise Failure(code, about, identifier=identifier)
