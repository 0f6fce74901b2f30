"""The stand-ins against what is known of the real cmdlets: a test proves nothing by a cmdlet that binds otherwise."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ecx_hyperv.lab.engine import generate
from ecx_hyperv.lab.engine.modules import Engine, environment
from tests.powershell.agent import Agent, call
from tests.powershell.test_requests import error_of
from tests.powershell.world import HOSTS, VM_A, World

_DUMP = """
$all = foreach ($module in $env:ECX_DUMPED.Split(',')) {
    Import-Module -Name $module
    foreach ($command in Get-Command -Module $module -CommandType Cmdlet, Function) {
        $sets = foreach ($set in $command.ParameterSets) {
            $bound = foreach ($one in $set.Parameters) {
                [pscustomobject]@{
                    name = $one.Name; must = $one.IsMandatory; aliases = @($one.Aliases); at = $one.Position
                    value = $one.ValueFromPipeline; property = $one.ValueFromPipelineByPropertyName
                }
            }
            [pscustomobject]@{ name = $set.Name; isDefault = $set.IsDefault; parameters = @($bound) }
        }
        [pscustomobject]@{ name = $command.Name; module = $command.ModuleName; sets = @($sets) }
    }
}
ConvertTo-Json -InputObject @($all) -Depth 6 -Compress
"""


@pytest.fixture(scope="module")
def dumped(standins: Engine, whole_world: tuple[World, Path]) -> dict[str, Any]:
    """Return what PowerShell says of every stand-in, by its name."""
    told = environment(standins, whole_world[1], HOSTS[0])
    told["ECX_DUMPED"] = ",".join(sorted({one.module for one in generate.cmdlets()}))
    command = [standins.pwsh, "-NoLogo", "-NonInteractive", "-Command", _DUMP]
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=True)
    return {one["name"]: one for one in json.loads(done.stdout)}


def test_every_cmdlet_has_its_stand_in(dumped: dict[str, Any]) -> None:
    """Each cmdlet that PowerShell on Linux lacks must be there, in the module of its name."""
    expected = {one.name: one.module for one in generate.cmdlets()}
    assert len(expected) > 110
    assert expected == {name: dumped[name]["module"] for name in expected}


def test_stand_ins_bind_as_the_real_ones_do(dumped: dict[str, Any]) -> None:
    """Each parameter must be in its sets, with its position, its aliases, and as mandatory and fed as is known."""
    wrong = []
    for one in generate.cmdlets():
        sets = {entry["name"]: entry["parameters"] for entry in dumped[one.name]["sets"]}
        for parameter in one.parameters:
            for name, binds in parameter.sets:
                found = [seen for title in ([name] if name else sets) for seen in sets[title]]
                seen = next((entry for entry in found if entry["name"] == parameter.name), None)
                if seen is None or not _binds(seen, parameter, binds):
                    wrong.append((one.name, parameter.name, name))
    assert [] == wrong


def _binds(seen: dict[str, Any], parameter: generate.StandInParameter, binds: tuple[str, ...]) -> bool:
    return (
        set(parameter.aliases) == set(seen["aliases"])
        and seen["must"] == ("Mandatory = true" in binds)
        and seen["value"] == ("ValueFromPipeline = true" in binds)
        and seen["property"] == ("ValueFromPipelineByPropertyName = true" in binds)
        and (f"Position = {seen['at']}" in binds or not any(one.startswith("Position") for one in binds))
    )


@pytest.mark.parametrize(
    ("cmdlet", "default", "mandatory"),
    [("Get-VM", "Name", set()), ("Stop-VM", "Name", {"Name"}), ("Get-ClusterResource", "InputObject", set())],
)
def test_known_cmdlet_is_as_it_is_known(dumped: dict[str, Any], cmdlet: str, default: str, mandatory: set[str]) -> None:
    """Three cmdlets, written down here, must have their default set and what is mandatory in it."""
    (chosen,) = [one for one in dumped[cmdlet]["sets"] if one["isDefault"]]
    assert default == chosen["name"]
    assert mandatory == {one["name"] for one in chosen["parameters"] if one["must"]}


def test_what_does_not_bind_is_an_error(agent: Agent, world: World) -> None:
    """A value that does not convert must be refused by the binder, as on Windows, and reach nobody."""
    kind, category, _ = error_of(agent.result(call("Get-VM", args={"Id": "no id"})))
    assert ("CannotConvertArgumentNoMessage", "InvalidArgument") == (kind.split(",")[0], category)
    kind, _, _ = error_of(agent.result(call("Get-VM", args={"Id": VM_A, "Name": "A"})))
    assert "AmbiguousParameterSet" == kind.split(",")[0]
    assert [] == world.calls


def test_cmdlet_that_asks_fails_at_once(agent: Agent, world: World) -> None:
    """A question that nobody can answer must be an error, not a wait: Restart-VM without Force."""
    feed = call("Get-VM", args={"Id": VM_A})
    result = agent.act(call("Restart-VM", from_=feed), deadline_ms=5000)
    assert "InvalidOperation" == error_of(result)[1]
    assert [] == world.made("Restart-VM")
