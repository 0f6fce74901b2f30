"""What the stand-ins ask, answered from the lab's world: cmdlets, the registry, properties that are set."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from ecx_hyperv.lab.engine.objects import key_of, to_object
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows import acts, enabled, messages, remedies
from ecx_hyperv.lab.windows.allowed import ALLOWED
from ecx_hyperv.lab.windows.carry_out import HostCmdlets
from ecx_hyperv.lab.windows.messages import Failure

Question = Mapping[str, Any]
Answer = dict[str, Any]

_GONE: Answer = {"exists": False, "children": [], "values": {}}
_PIPED = ("VM", "InputObject", "VMIntegrationService")


class Desk:
    """Answers for one PowerShell on a host; `sleep` passes the time that a cmdlet takes."""

    def __init__(
        self,
        world: World,
        host: str,
        target: str,
        *,
        sleep: Callable[[float], None],
        enter: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._world = world
        self._host = host
        self._target = target
        self._sleep = sleep
        self._enter = enter
        self._cmdlets = HostCmdlets(world, host, target)
        self._returned: dict[str, dict[str, Any]] = {}

    def answer(self, question: Question) -> Answer:
        """Return what Windows would say; a cmdlet's time passes before it."""
        took = 0.0
        with self._enter():
            if "registry" in question:
                answer = self._registry(question["registry"])
            elif "set" in question:
                answer = self._set(question)
            else:
                answer = self._call(question)
                took = self._cmdlets.blocked
        self._sleep(took)
        return answer

    def _call(self, question: Question) -> Answer:
        cmdlet = question["cmdlet"]
        self._cmdlets.blocked = 0.0
        piped, args = self._arguments(question["args"])
        try:
            return {"objects": self._objects(cmdlet, args, piped, question), "errors": []}
        except Failure as failure:
            told = messages.render(failure, cmdlet, self._world.timings.language)
            error = {"message": told.message, "id": str(told.id).split(",", 1)[0], "category": told.category}
            return {"objects": [], "errors": [{**error, "code": told.code, "terminating": False}]}
        except remedies.NotUnderstood as refused:
            error = {"message": str(refused), "id": "NoBehaviour", "category": "NotImplemented", "code": None}
            return {"objects": [], "errors": [{**error, "terminating": True}]}

    def _objects(
        self, cmdlet: str, args: Mapping[str, Any], piped: list[dict[str, Any]] | None, question: Question
    ) -> list[Any]:
        match cmdlet:
            case "Get-CimInstance":
                return self._instances(args)
            case "Invoke-CimMethod":
                return self._invoke(question["args"])
        if cmdlet == "Set-Acl":
            self._world.hosts[self._host].facts.keys_sddl = question["args"]["AclObject"]["sddl"]
            return []
        if cmdlet not in ALLOWED:
            texts = {name: str(value) for name, value in args.items()}
            remedies.run_cmdlet(self._world, self._host, cmdlet, texts, piped)
            return []
        self._cmdlets.may_run(cmdlet)
        rows = self._cmdlets.call(cmdlet, args, piped)
        self._returned |= {key_of(cmdlet, row): row for row in rows}
        return [to_object(cmdlet, row) for row in rows]

    def _arguments(self, bound: Mapping[str, Any]) -> tuple[list[dict[str, Any]] | None, dict[str, Any]]:
        """Return what is piped in, and the arguments, as the lab's cmdlets take them."""
        piped: list[dict[str, Any]] | None = None
        args: dict[str, Any] = {}
        for name, value in bound.items():
            if name == "ErrorAction":
                continue
            if name in _PIPED:
                given: list[dict[str, Any]] = value if isinstance(value, list) else [value]
                piped = [self._returned.get(str(one.get("key")), one) for one in given]
            else:
                args[name] = value[0] if isinstance(value, list) and len(value) == 1 else value
        return piped, args

    def _instances(self, args: Mapping[str, Any]) -> list[Any]:
        """Return the instances of Hyper-V's own classes that a filter names; raises Failure."""
        if str(args.get("Namespace", "")).casefold() != r"root\virtualization\v2":
            raise Failure(0, self._host, identifier="HRESULT 0x8004100e", category="ObjectNotFound")
        self._cmdlets.need_service()
        key, _, quoted = args["Filter"].partition(" = ")
        identifier = quoted.strip("'").casefold()
        match args["ClassName"], key:
            case "Msvm_ComputerSystem", "Name":
                state = self._cmdlets.fresh_state(identifier)
                if state is None:
                    return []
                shown = {"Name": identifier.upper(), "EnabledState": enabled.number_of(state)}
                return [{"$type": "CimInstance", **shown}]
            case "Msvm_ShutdownComponent", "SystemName":
                if not acts.has_shutdown_service(self._world, self._host, identifier):
                    acts.ask(self._world, self._host, identifier, force=False)
                    return []
                return [{"$type": "CimInstance", "SystemName": identifier.upper()}]
        raise Failure(0, self._host, identifier="HRESULT 0x80041010", category="MetadataError")

    def _invoke(self, bound: Mapping[str, Any]) -> list[Any]:
        """Ask a guest to shut down, by InitiateShutdown of its service; raises Failure."""
        given = bound["Arguments"]
        if bound["MethodName"] != "InitiateShutdown" or set(given) != {"Force", "Reason"}:
            raise Failure(0, self._host, identifier="HRESULT 0x8004102f", category="InvalidArgument")
        self._cmdlets.need_service()
        rows = acts.ask(self._world, self._host, bound["InputObject"]["SystemName"], force=given["Force"])
        return [{"$type": "CimMethodResult", "ReturnValue": row["Code"]} for row in rows]

    def _set(self, question: Question) -> Answer:
        """Set a property of an object that a cmdlet returned."""
        cmdlet = f"Get-{question['set'].rpartition('.')[2]}"
        name = question["key"].removeprefix(f"{cmdlet} ")
        try:
            remedies.set_property(self._world, cmdlet, name, question["name"], question["value"])
        except remedies.NotUnderstood as refused:
            return {"refused": str(refused)}
        return {}

    def _registry(self, path: str) -> Answer:
        """Return what stands under a key of the cluster's database on this host."""
        entries = self._world.roles.database(self._host)
        words = [one for one in path.replace("\\", "/").split("/") if one]
        if entries is None:
            return _GONE | {"words": messages.no_database(self._world.timings.language)}
        if len(words) < 3 or words[1].casefold() != "cluster":
            return _GONE
        groups = sorted({one.group for one in entries})
        match words[2:]:
            case ["Resources"]:
                return _key([f"r{at}" for at, _ in enumerate(entries)])
            case ["Groups"]:
                return _key([f"g{at}" for at, _ in enumerate(groups)])
            case ["Groups", group]:
                name = groups[int(group[1:])]
                contains = [f"r{at}" for at, one in enumerate(entries) if one.group == name]
                return _key([], {"Name": name, "Contains": contains})
            case ["Resources", resource]:
                one = entries[int(resource[1:])]
                return _key(["Parameters"], {"Name": one.resource, "Type": one.type})
            case ["Resources", resource, "Parameters"]:
                one = entries[int(resource[1:])]
                values: Answer = {"VmID": one.id}
                values |= {"DependsOnSharedVolumes": list(one.volumes)} if one.volumes else {}
                values |= {} if one.offline_action is None else {"OfflineAction": one.offline_action}
                return _key([], values)
        return _GONE


def _key(children: list[str], values: Answer | None = None) -> Answer:
    return {"exists": True, "children": children, "values": values or {}}
