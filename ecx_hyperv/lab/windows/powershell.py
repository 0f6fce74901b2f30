"""The lab's PowerShell: carries out requests on the world as a host's cmdlets would, strictly.

A cmdlet or parameter that Microsoft does not document is refused, so that no call passes here which no host knows.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from ecx_hyperv.host.wire import Call, Hello, RemoteError, Reply, Request, Result
from ecx_hyperv.lab.model.roles import CONFIGURATION
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows import acts, messages
from ecx_hyperv.lab.windows.allowed import ALLOWED, BadRequest, check
from ecx_hyperv.lab.windows.messages import Failure
from ecx_hyperv.lab.windows.rows import Rows
from ecx_hyperv.lab.windows.setting_rows import SHOWN, SettingRows

_MUTATING = ("Start-", "Stop-", "Move-", "Resume-", "Restart-", "Update-")


class PowerShell:
    """One powershell.exe with the agent, on a host.

    `enter` is entered for each look at the world or change of it; `sleep` passes the time that a call takes; `watch`
    sees each call before it is made.
    """

    def __init__(
        self,
        world: World,
        host: str,
        target: str,
        *,
        sleep: Callable[[float], None],
        enter: Callable[[], AbstractContextManager[object]] = nullcontext,
        watch: Callable[[str, Call], None] = lambda _host, _call: None,
    ) -> None:
        self._watch = watch
        self._world = world
        self._host = host
        self._target = target
        self._sleep = sleep
        self._enter = enter
        self._rows = Rows(world, host, target)
        self._setting_rows = SettingRows(world, host, target)
        self._loaded: dict[str, float] = {}
        self._blocked = 0.0
        self.calls: list[Call] = []

    def hello(self, pid: int = 4711) -> Hello:
        """Return the agent's first words."""
        name = self._host.upper() if self._world.timings.shout_names else self._host
        memory = self._world.hosts[self._host].memory * 2**30
        facts = self._world.hosts[self._host].facts
        return Hello(
            agent=1,
            host=name,
            ps=facts.powershell,
            os="10.0.17763",
            pid=pid,
            language=facts.language_mode,
            utc=(datetime.now(UTC) + timedelta(seconds=facts.clock_offset)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            free_memory=memory,
        )

    def perform(self, request: Request) -> Reply:
        """Make the calls of a request, one after the other, each taking its time."""
        before, took = set(self._loaded), 0.0
        results = []
        for call in request.calls:
            self._blocked = 0.0
            with self._enter():
                results.append(self._result(call))
            took += self._blocked
            self._sleep(self._blocked)
            if not results[-1].ok and request.stop_on_error:
                break
        new = {name: ms for name, ms in self._loaded.items() if name not in before}
        return Reply(results=tuple(results), ms=round(took * 1000), modules=new)

    def _result(self, call: Call) -> Result:
        try:
            objects = self._invoke(call)
        except BadRequest as refused:
            return Result(ok=False, error=RemoteError(message=str(refused), id="BadRequest"))
        except Failure as failure:
            return Result(ok=False, error=messages.render(failure, call.cmdlet, self._world.timings.language))
        return Result(ok=True, value=tuple(_select(one, call.select) for one in objects) if call.select else ())

    def _invoke(self, call: Call) -> list[dict[str, Any]]:
        if call.cmdlet == "Agent-Sleep":
            self._blocked += float(call.args["Milliseconds"]) / 1000  # type: ignore[arg-type]
            return []
        if call.cmdlet == "Agent-Echo":
            return [{"Text": str(call.args["Text"]) * int(call.args.get("Repeat", 1))}]  # type: ignore[arg-type]
        check(call)
        facts = self._world.hosts[self._host].facts
        if ALLOWED[call.cmdlet] == facts.missing:
            raise Failure(0, facts.missing, identifier="Modules_ModuleNotFound", category="ResourceUnavailable")
        if call.cmdlet in facts.denied.split(","):
            raise Failure(5, call.cmdlet, identifier="AccessDenied", category="PermissionDenied")
        piped = None if call.from_ is None else self._invoke(call.from_)
        self._load(ALLOWED[call.cmdlet])
        self._blocked += self._world.timings.call
        self.calls.append(call)
        self._watch(self._host, call)
        refusal = self._world.refused(self._host, call.cmdlet)
        if refusal is not None:
            about = refusal.about or self._host
            raise Failure(refusal.code, about, identifier=refusal.identifier, category=refusal.category)
        if ALLOWED[call.cmdlet] == "FailoverClusters" and not self._world.cluster.is_member(self._host):
            raise Failure(1753, self._host)
        if ALLOWED[call.cmdlet] == "Hyper-V" and not self._world.hosts[self._host].vmms:
            raise Failure(0, self._host, identifier="ServiceAway", category="ObjectNotFound")
        if call.cmdlet in SHOWN:
            try:
                return SHOWN[call.cmdlet](self._setting_rows, call.args)
            except LookupError as missing:
                raise Failure(2, str(missing.args[0]), identifier="PathNotFound", category="ObjectNotFound") from None
        return self._CMDLETS[call.cmdlet](self, call.args, piped)

    def _load(self, module: str) -> None:
        if module in self._loaded:
            return
        timings = self._world.timings
        if module.startswith("Microsoft.PowerShell."):
            # The agent has them from its start.
            return
        cost = {"FailoverClusters": timings.failover_clusters, "Hyper-V": timings.hyper_v, "iSCSI": timings.iscsi}
        self._loaded[module] = round(cost[module] * 1000)
        self._blocked += cost[module]

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

    def _start_vm(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        for vm in acts.vms_meant(self._world, self._host, args):
            self._blocked += acts.start(self._world, self._host, vm)
        return []

    def _resume_vm(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        for vm in acts.vms_meant(self._world, self._host, args):
            self._blocked += acts.resume(self._world, self._host, vm)
        return []

    def _stop_vm(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        for vm in acts.vms_meant(self._world, self._host, args):
            if args.get("Force"):
                self._world.violated(f"Stop-VM {args} with Force")
            act = acts.turn_off if args.get("TurnOff") else acts.stop
            act(self._world, self._host, vm)
        return []

    def _restart_vm(self, args: Mapping[str, Any], _piped: object) -> list[dict[str, Any]]:
        for vm in acts.vms_meant(self._world, self._host, args):
            acts.restart(self._world, vm)
        return []

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

    _CMDLETS: Mapping[str, Callable[["PowerShell", Mapping[str, Any], Any], list[dict[str, Any]]]] = {
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


def is_mutating(call: Call) -> bool:
    """Tell whether a call changes something."""
    return call.cmdlet.startswith(_MUTATING)


def _named(rows: list[dict[str, Any]], args: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "Name" not in args:
        return rows
    wanted = args["Name"] if isinstance(args["Name"], list) else [args["Name"]]
    names = {str(name).casefold() for name in wanted}
    return [row for row in rows if str(row["Name"]).casefold() in names]


def _select(row: Mapping[str, Any], paths: tuple[str, ...]) -> dict[str, Any]:
    return {path: _plain(_walk(row, path)) for path in paths}


def _walk(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> Any:
    # An object without a plain form shows as what it is called.
    return value.get("Name", "System.Object") if isinstance(value, Mapping) else value


def _raise(code: int, about: str, *, identifier: str = "") -> None:
    if code:
        raise Failure(code, about, identifier=identifier)
