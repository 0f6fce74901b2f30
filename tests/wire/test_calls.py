"""The cmdlet calls that the program makes, held against what Microsoft documents of each."""

import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import Any, get_origin, get_type_hints

import pytest

from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.host import cmdlets, queries, setting_queries
from ecx_hyperv.host.actions import shutdown_answer
from ecx_hyperv.host.observe import SnapshotRequest
from ecx_hyperv.host.queries import Query
from ecx_hyperv.host.wire import Call, Result, changes
from ecx_hyperv.lab.windows.allowed import ALLOWED, BUILT_IN, check, documented
from tests.wire.support import JAPANESE

NAME = f"{JAPANESE} (1) & $(x)"
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
MACHINE = "Virtual Machine vm1"
CALLS: Mapping[str, tuple[Call, ...]] = {
    "update_iscsi_portal": (cmdlets.update_iscsi_portal("192.168.139.201"),),
    "move_shared_volume": (cmdlets.move_shared_volume(NAME, "WS2019-HOST-1"),),
    "start_resource": (cmdlets.start_resource(NAME),),
    "stop_resource": (cmdlets.stop_resource(NAME), cmdlets.stop_resource(NAME, guard=MACHINE)),
    "move_vm": (
        cmdlets.move_vm(NAME, "n", live=True),
        cmdlets.move_vm(NAME, "n", live=False),
        cmdlets.move_vm(NAME, "n", live=False, guard=MACHINE),
    ),
    "cancel_move": (cmdlets.cancel_move(NAME),),
    "start_vm": (cmdlets.start_vm(GUID),),
    "resume_vm": (cmdlets.resume_vm(GUID),),
    "shutdown_guest": (cmdlets.shutdown_guest(GUID), cmdlets.shutdown_guest(GUID, force=True)),
    "turn_off_vm": (cmdlets.turn_off_vm(GUID),),
    "restart_vm": (cmdlets.restart_vm(GUID),),
}
ON_VMS = ("start_vm", "resume_vm", "turn_off_vm", "restart_vm")


def asked_by(module: ModuleType) -> dict[str, tuple[Call, ...]]:
    """Return the call of each question that a module has, by the name of the function that makes it."""
    functions = {
        name: one
        for name, one in inspect.getmembers(module, inspect.isfunction)
        if one.__module__ == module.__name__ and get_origin(get_type_hints(one).get("return")) is Query
    }
    return {
        name: (one(*(GUID if parameter == "key" else NAME for parameter in inspect.signature(one).parameters)).call,)
        for name, one in functions.items()
    }


QUESTIONS: Mapping[str, tuple[Call, ...]] = {**asked_by(queries), **asked_by(setting_queries)}
# What a cmdlet gives, where it is documented.
GIVES = {
    "Get-ClusterNode": "Microsoft.FailoverClusters.PowerShell.ClusterNode",
    "Get-ClusterGroup": "Microsoft.FailoverClusters.PowerShell.ClusterGroup",
    "Get-ClusterResource": "Microsoft.FailoverClusters.PowerShell.ClusterResource",
    "Get-ClusterParameter": "Microsoft.FailoverClusters.PowerShell.ClusterParameter",
    "Get-ClusterSharedVolume": "Microsoft.FailoverClusters.PowerShell.ClusterSharedVolume",
    "Get-VM": "Microsoft.HyperV.PowerShell.VirtualMachine",
    "Get-Cluster": "Microsoft.FailoverClusters.PowerShell.Cluster",
    "Get-ClusterNetwork": "Microsoft.FailoverClusters.PowerShell.ClusterNetwork",
    "Get-ClusterQuorum": "Microsoft.FailoverClusters.PowerShell.ClusterQuorumSettings",
    "Get-ClusterResourceType": "Microsoft.FailoverClusters.PowerShell.ClusterResourceType",
    "Get-ClusterSharedVolumeState": "Microsoft.FailoverClusters.PowerShell.ClusterSharedVolumeStateInfo",
    "Get-VMHost": "Microsoft.HyperV.PowerShell.VMHost",
    "Get-VMIntegrationService": "Microsoft.HyperV.PowerShell.VMIntegrationComponent",
}
# A TimeSpan is .NET's own.
FIXED_NAMES = (
    *(["sshd", "MSiSCSI"], "DependsOnSharedVolumes", "MigrationExcludeNetworks", "Virtual Machine"),
    *("VmId", MACHINE, "CheckHeartbeat", "OfflineAction", "MigrationProgress"),
)
OF_DOTNET = {
    "System.TimeSpan": {"TotalSeconds": "System.Double"},
    # PowerShell gives the properties of a collection's elements as its own.
    "System.Collections.Generic.ICollection<Microsoft.FailoverClusters.PowerShell.ClusterSharedVolumeInfo>": {
        "FriendlyVolumeName": "System.String"
    },
}
KINDS = {
    "String": str,
    "String[]": str,
    "StringCollection": str,
    "Int32": int,
    "System.String[]": str,
    "Guid": str,
    "System.Guid": str,
    "Nullable`1[System.Guid]": str,
    "System.Nullable`1[System.Guid]": str,
}


def with_piped(call: Call) -> Iterator[Call]:
    """Return a call, and those that feed or guard it."""
    yield call
    for other in (call.from_, call.guard):
        if other is not None:
            yield from with_piped(other)


def each(*beginnings: str) -> pytest.MarkDecorator:
    """Run a test for each call of the cmdlets that begin so."""
    both = {**CALLS, **QUESTIONS}
    every = [one for calls in both.values() for call in calls for one in with_piped(call)]
    chosen = [call for call in every if call.cmdlet.startswith(beginnings)]
    return pytest.mark.parametrize("call", chosen, ids=[" ".join((call.cmdlet, *call.args)) for call in chosen])


each_call = each("")


@cache
def properties() -> Mapping[str, Mapping[str, str]]:
    """Return the properties of each type, and their types."""
    text = files("ecx_hyperv.host").joinpath("cmdlets.json").read_text(encoding="utf-8")
    known = json.loads(text)["object_properties"]
    # What a parameter belongs to is a resource, wherever the program asks for one.
    owner = {"Microsoft.FailoverClusters.PowerShell.ClusterObject": known[GIVES["Get-ClusterResource"]]}
    return {**known, **OF_DOTNET, **owner}


def parameters(call: Call) -> Mapping[str, Any]:
    """Return what is documented of the parameters that a call gives; of the agent's own calls nothing is."""
    if call.cmdlet in BUILT_IN:
        return {}
    known = documented()[call.cmdlet]["params"]
    return {name: known[name] for name in call.args}


def test_every_call_is_looked_at() -> None:
    """No function that builds a call may be left out of these tests."""
    made_here = [
        name
        for name, one in inspect.getmembers(cmdlets, inspect.isfunction)
        if one.__module__ == cmdlets.__name__ and not name.startswith("_")
    ]
    assert made_here == sorted(CALLS)


def test_every_question_is_found() -> None:
    """The questions are found by their type: at least the seven of a run and the fourteen of a check."""
    assert len(asked_by(queries)) >= 7
    assert len(asked_by(setting_queries)) >= 14


def test_no_two_questions_have_one_key() -> None:
    """An answer is found by its question's key, so no two questions may share one."""
    by_id = [queries.vm_by_id(GUID), queries.vm_id_of("a")]
    of_settings = [setting_queries.vm_settings("a"), setting_queries.integration_services("a")]
    of_resource = [setting_queries.restart_action("a"), setting_queries.check_heartbeat("a")]
    made = [*by_id, queries.vms_named("a"), *of_settings, *of_resource, setting_queries.offline_action("a")]
    keys = [query.key for query in (*made, queries.volumes_of("a"), *SnapshotRequest().queries())]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_only_looks(name: str) -> None:
    """What a question calls must never change anything."""
    asked = [one for call in QUESTIONS[name] for one in with_piped(call)]
    assert not [one.cmdlet for one in asked if changes(one)]
    assert {"Get", "Agent"} >= {one.cmdlet.split("-")[0] for one in asked}


@each_call
def test_cmdlet_is_one_that_the_agent_runs(call: Call) -> None:
    """A call must be of a cmdlet on the agent's list."""
    assert call.cmdlet in {**ALLOWED, **BUILT_IN}


@each_call
def test_parameters_are_documented(call: Call) -> None:
    """A call must give only parameters that Microsoft documents, by their full names."""
    assert [] == [name for name, known in parameters(call).items() if known.get("undocumented")]


@each_call
def test_values_are_what_the_parameters_take(call: Call) -> None:
    """A call must give a switch a boolean, a number a number, a text a text, and an enum one of its values."""
    for name, known in parameters(call).items():
        value = call.args[name]
        if known["sw"]:
            assert value is True
        elif "vals" in known:
            assert value in known["vals"]
        else:
            several = value if isinstance(value, list) and known["t"].endswith("[]") else [value]
            assert {KINDS[known["t"]]} == {type(one) for one in several}


@each_call
def test_parameters_go_together(call: Call) -> None:
    """A call must fit one parameter set of its cmdlet, with all that is mandatory in it."""
    if call.cmdlet in BUILT_IN:
        return
    fitting = []
    # A VM that is piped in is as good as one that is given.
    piped = call.from_ is not None and call.from_.cmdlet == "Get-VM"
    given = set(call.args) | ({"VM"} if piped else set())
    for name, members in documented()[call.cmdlet]["sets"].items():
        mandatory = {member[1:] for member in members if member.startswith("!")}
        if mandatory <= given <= {member.lstrip("!") for member in members}:
            fitting.append(name)
    assert fitting != []


@each_call
def test_call_stays_on_its_host(call: Call) -> None:
    """A call must never name another computer, cluster or account: a key logon has no credentials for a second hop."""
    assert set() == set(call.args) & {"ComputerName", "CimSession", "Credential", "Cluster"}


@each_call
def test_stand_in_accepts_the_call(call: Call) -> None:
    """The stand-in, which refuses what the agent refuses, must let a call through."""
    check(call)


@each(*GIVES)
def test_wanted_properties_exist(call: Call) -> None:
    """Every property that a call selects must be one that its objects have, to the end of its path."""
    for path in call.select:
        kind = GIVES[call.cmdlet]
        for part in path.split("."):
            if kind.endswith("[]") and part == "Count":
                # How many there are: PowerShell gives each array this, also one without elements.
                kind = "System.Int32"
                continue
            # PowerShell gives the properties of a list's elements as the list's own.
            kind = kind.removesuffix("[]")
            assert part in properties()[kind]
            kind = properties()[kind][part]


@each("Start-Cluster", "Stop-Cluster", "Move-Cluster")
def test_call_that_could_wait_does_not(call: Call) -> None:
    """The cluster's Start-, Stop- and Move- cmdlets must be told not to wait, since they have no limit of their own."""
    assert 0 == call.args.get("Wait")


@each("Stop-VM")
def test_stop_only_cuts_the_power(call: Call) -> None:
    """Stop-VM must cut the power and nothing else: as a job, or without TurnOff, it may do so where nobody meant it."""
    assert {"TurnOff": True} == call.args


@pytest.mark.parametrize("name", ON_VMS)
def test_what_is_done_to_a_vm_is_done_by_its_id(name: str) -> None:
    """A VM must be acted on as what Get-VM finds by its id, in a state that it is to be in, and never by name."""
    for call in CALLS[name]:
        assert "Name" not in call.args
        assert call.from_ is not None
        assert {"Id": GUID} == call.from_.args
        assert ["State"] == list(call.from_.only)


@pytest.mark.parametrize(
    ("call", "states"),
    [
        (cmdlets.turn_off_vm(GUID), {"Running", "Paused", "RunningCritical", "PausedCritical"}),
        (cmdlets.start_vm(GUID), {"Off", "Saved", "FastSaved", "Hibernated"}),
        (cmdlets.resume_vm(GUID), {"Paused"}),
        (cmdlets.restart_vm(GUID), {"Running"}),
    ],
    ids=ON_VMS,
)
def test_state_that_an_act_wants(call: Call, states: set[str]) -> None:
    """Each act must want the states of the wire's page: a VM saved meanwhile must not lose its memory."""
    assert call.from_ is not None
    assert states == set(call.from_.only["State"])


def test_guard_wants_the_vm_resource_down() -> None:
    """A quick migration, or the stop of a configuration, must be guarded by the VM resource's being down."""
    guard = Call(cmdlet="Get-ClusterResource", args={"Name": MACHINE}, only={"State": ("Offline", "Failed")})
    assert guard == cmdlets.move_vm(NAME, "n", live=False, guard=MACHINE).guard
    assert guard == cmdlets.stop_resource(NAME, guard=MACHINE).guard
    assert cmdlets.stop_resource(NAME).guard is None


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (({"Code": 0},), ShutdownAnswer.ASKED),
        (({"Code": 4096},), ShutdownAnswer.ASKED),
        (({"Code": 32782},), ShutdownAnswer.IN_PROGRESS),
        (({"Code": 32780},), ShutdownAnswer.NOT_READY),
        (({"Code": 32781},), ShutdownAnswer.LOCKED),
        ((), ShutdownAnswer.NO_SERVICE),
        (({"Code": 32768},), ShutdownAnswer.REFUSED),
        (({"Code": None},), ShutdownAnswer.REFUSED),
        (({"Code": False},), ShutdownAnswer.REFUSED),
    ],
)
def test_shutdown_answer(value: tuple[dict[str, object], ...], answer: ShutdownAnswer) -> None:
    """Each code of a guest's shutdown service must be what Hyper-V means by it."""
    assert answer is shutdown_answer(Result(ok=True, value=value))
    assert ShutdownAnswer.REFUSED is shutdown_answer(Result(ok=False))


@each("Move-ClusterVirtualMachineRole")
def test_migration_says_its_kind(call: Call) -> None:
    """A migration must say whether it is live or quick, or that it cancels one, or Windows chooses."""
    assert ("MigrationType" in call.args) is not ("Cancel" in call.args)


@each("Restart-VM")
def test_reset_does_not_ask(call: Call) -> None:
    """Restart-VM must have Force, or it asks and nobody answers."""
    assert call.args.get("Force") is True


@pytest.mark.parametrize(("live", "kind"), [(True, "Live"), (False, "Quick")])
def test_migration_is_of_the_kind_that_was_asked_for(*, live: bool, kind: str) -> None:
    """A live migration must be asked for as Live, any other as Quick."""
    assert kind == cmdlets.move_vm("g", "n", live=live).args["MigrationType"]


@pytest.mark.parametrize("name", sorted(CALLS))
def test_power_is_cut_only_where_it_is_meant(name: str) -> None:
    """Only the call that is meant to cut the power may have TurnOff."""
    assert {"TurnOff" in call.args for call in CALLS[name]} == {name == "turn_off_vm"}


@pytest.mark.defect(9)
@each_call
def test_name_is_passed_on_as_it_is(call: Call) -> None:
    """A name must stand in a call's arguments as it was given, without quotes or escapes."""
    if "Name" in call.args:
        assert call.args["Name"] in (NAME, *FIXED_NAMES)
