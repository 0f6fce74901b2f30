"""The cmdlet calls that the program makes, held against what Microsoft documents of each."""

import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import Any, get_origin, get_type_hints

import pytest

from ecx_hyperv.host import cmdlets, queries, setting_queries
from ecx_hyperv.host.observe import SnapshotRequest
from ecx_hyperv.host.queries import Query
from ecx_hyperv.host.wire import Call
from ecx_hyperv.lab.windows.allowed import ALLOWED, check, documented
from tests.wire.support import JAPANESE

NAME = f"{JAPANESE} (1) & $(x)"
CALLS: Mapping[str, tuple[Call, ...]] = {
    "update_iscsi_portal": (cmdlets.update_iscsi_portal("192.168.139.201"),),
    "move_shared_volume": (cmdlets.move_shared_volume(NAME, "WS2019-HOST-1"),),
    "start_resource": (cmdlets.start_resource(NAME),),
    "stop_resource": (cmdlets.stop_resource(NAME),),
    "move_vm": (cmdlets.move_vm(NAME, "n", live=True), cmdlets.move_vm(NAME, "n", live=False)),
    "cancel_move": (cmdlets.cancel_move(NAME),),
    "start_vm": (cmdlets.start_vm(NAME),),
    "resume_vm": (cmdlets.resume_vm(NAME),),
    "stop_vm": (cmdlets.stop_vm(NAME),),
    "turn_off_vm": (cmdlets.turn_off_vm(NAME),),
    "restart_vm": (cmdlets.restart_vm(NAME),),
}


def asked_by(module: ModuleType) -> dict[str, tuple[Call, ...]]:
    """Return the call of each question that a module has, by the name of the function that makes it."""
    functions = {
        name: one
        for name, one in inspect.getmembers(module, inspect.isfunction)
        if one.__module__ == module.__name__ and get_origin(get_type_hints(one).get("return")) is Query
    }
    return {name: (one(*([NAME] * len(inspect.signature(one).parameters))).call,) for name, one in functions.items()}


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
FIXED_NAMES = (["sshd", "MSiSCSI"], "DependsOnSharedVolumes", "MigrationExcludeNetworks", "Virtual Machine")
OF_DOTNET = {"System.TimeSpan": {"TotalSeconds": "System.Double"}}
KINDS = {"String": str, "String[]": str, "StringCollection": str, "Int32": int, "System.String[]": str}


def with_piped(call: Call) -> Iterator[Call]:
    """Return a call, and those whose objects are piped in."""
    yield call
    if call.from_ is not None:
        yield from with_piped(call.from_)


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
    return {**json.loads(text)["object_properties"], **OF_DOTNET}


def parameters(call: Call) -> Mapping[str, Any]:
    """Return what is documented of the parameters that a call gives."""
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
    made = [queries.vm("a"), setting_queries.vm_settings("a"), setting_queries.integration_services("a")]
    keys = [query.key for query in (*made, queries.volumes_of("a"), *SnapshotRequest().queries())]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_only_looks(name: str) -> None:
    """What a question calls must never change anything."""
    assert {"Get"} == {one.cmdlet.split("-")[0] for call in QUESTIONS[name] for one in with_piped(call)}


@each_call
def test_cmdlet_is_one_that_the_agent_runs(call: Call) -> None:
    """A call must be of a cmdlet on the agent's list."""
    assert call.cmdlet in ALLOWED


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
    fitting = []
    for name, members in documented()[call.cmdlet]["sets"].items():
        mandatory = {member[1:] for member in members if member.startswith("!")}
        if mandatory <= set(call.args) <= {member.lstrip("!") for member in members}:
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
            assert part in properties()[kind]
            # PowerShell gives the properties of a list's elements as the list's own.
            kind = properties()[kind][part].removesuffix("[]")


@each("Start-Cluster", "Stop-Cluster", "Move-Cluster")
def test_call_that_could_wait_does_not(call: Call) -> None:
    """The cluster's Start-, Stop- and Move- cmdlets must be told not to wait, since they have no limit of their own."""
    assert 0 == call.args.get("Wait")


@each("Stop-VM")
def test_stop_is_a_job_and_never_forced(call: Call) -> None:
    """Stop-VM must be a job, and never have Force, which cuts the power by itself after some minutes."""
    assert call.args.get("AsJob") is True
    assert set() == set(call.args) & {"Force", "Save"}


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


@pytest.mark.parametrize(("call", "turns_off"), [(cmdlets.stop_vm("v"), False), (cmdlets.turn_off_vm("v"), True)])
def test_power_is_cut_only_where_it_is_meant(call: Call, *, turns_off: bool) -> None:
    """Only the call that is meant to cut the power may have TurnOff."""
    assert ("TurnOff" in call.args) is turns_off


@pytest.mark.defect(9)
@each_call
def test_name_is_passed_on_as_it_is(call: Call) -> None:
    """A name must stand in a call's arguments as it was given, without quotes or escapes."""
    if "Name" in call.args:
        assert call.args["Name"] in (NAME, *FIXED_NAMES)
