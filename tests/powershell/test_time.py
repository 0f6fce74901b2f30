"""Nothing is done after its time: the order in which the agent looks at not_after, guard, from and only."""

import time
from typing import Any

import pytest

from tests.powershell.agent import Agent, call, line
from tests.powershell.conftest import Launch
from tests.powershell.test_acts import GUARD, SHUTDOWN, act_on
from tests.powershell.test_requests import refusal_of
from tests.powershell.world import VM_A, World

CHANGING = [
    act_on("Stop-VM"),
    act_on("Start-VM"),
    act_on("Resume-VM"),
    act_on("Restart-VM"),
    SHUTDOWN,
    call("Start-ClusterResource", args={"Name": "Virtual Machine Configuration A", "Wait": 0}),
    call("Move-ClusterVirtualMachineRole", args={"Name": "A", "Node": "HOST-2", "MigrationType": "Live", "Wait": 0}),
    call("Update-IscsiTargetPortal", args={"TargetPortalAddress": "192.0.2.1"}),
]
NAMES = [one["cmdlet"] for one in CHANGING]


def up_ms(agent: Agent) -> int:
    """Return the host's own count."""
    count = agent.ask()["up_ms"]
    assert isinstance(count, int)
    return count


def soon(agent: Agent, world: World, cmdlet: str) -> int:
    """Return a time that passes before a cmdlet answers: the host counts by this machine's own clock."""
    ends = up_ms(agent) + 1000
    world.before[cmdlet] = lambda: time.sleep(max(0.0, ends / 1000 + 0.05 - time.monotonic()))
    return ends


def names(world: World) -> list[str]:
    """Return what was called, in turn."""
    return [name for _, name, _ in world.calls]


@pytest.mark.parametrize("one", CHANGING, ids=NAMES)
@pytest.mark.parametrize("not_after", [None, "soon", True], ids=["none", "text", "boolean"])
def test_act_without_a_time_is_refused(agent: Agent, world: World, one: dict[str, Any], not_after: object) -> None:
    """A call that changes something must be refused if its request does not say until when it may be made."""
    more = {} if not_after is None else {"not_after": not_after}
    assert "BadRequest" == refusal_of(agent.result(one, **more))[0]
    assert [] == world.calls


@pytest.mark.parametrize("one", CHANGING, ids=NAMES)
def test_act_after_its_time_is_not_begun(agent: Agent, world: World, one: dict[str, Any]) -> None:
    """An act whose time has passed must be answered by TooLate, before anything is looked at."""
    assert "TooLate" == refusal_of(agent.result({**one, "guard": GUARD}, not_after=up_ms(agent) - 1))[0]
    assert [] == world.calls


def test_reading_has_no_time(agent: Agent) -> None:
    """A call that only reads must be made whatever not_after says."""
    assert [{"Name": "A"}] == agent.rows(call("Get-VM", ("Name",)), not_after=1)


def test_guard_comes_before_the_feed(agent: Agent, world: World) -> None:
    """A guard that does not hold must stop an act before what feeds it is asked, however late the guard answers."""
    ends = soon(agent, world, "Get-ClusterResource")
    result = agent.result(act_on("Stop-VM", guard=GUARD), not_after=ends)
    assert "NotAsAsked" == refusal_of(result)[0]
    assert ["Get-ClusterResource"] == names(world)


def test_time_that_passes_while_the_guard_answers_stops_the_act(agent: Agent, world: World) -> None:
    """A guard that holds but answers late must not let the act through."""
    world.resource("Virtual Machine A").state = "Offline"
    ends = soon(agent, world, "Get-ClusterResource")
    one = call("Stop-ClusterResource", args={"Name": "Virtual Machine Configuration A", "Wait": 0}, guard=GUARD)
    assert "TooLate" == refusal_of(agent.result(one, not_after=ends))[0]
    assert ["Get-ClusterResource"] == names(world)


def test_time_that_passes_while_the_feed_answers_comes_before_only(agent: Agent, world: World) -> None:
    """An act that is late and does not fit either must be told as late, and the fresh state must not be asked for."""
    world.vm(VM_A).state = "Saved"
    ends = soon(agent, world, "Get-VM")
    assert "TooLate" == refusal_of(agent.result(act_on("Stop-VM"), not_after=ends))[0]
    assert ["Get-VM"] == names(world)


def test_time_that_passes_while_the_state_is_read_stops_the_act(agent: Agent, world: World) -> None:
    """The fresh state may take long to read; an act must not come after its time by that either."""
    ends = soon(agent, world, "Get-CimInstance")
    assert "TooLate" == refusal_of(agent.result(act_on("Stop-VM"), not_after=ends))[0]
    assert ([], "Running") == (world.made("Stop-VM"), world.vm(VM_A).state)


def test_time_that_passes_while_the_service_is_looked_for_stops_the_shutdown(agent: Agent, world: World) -> None:
    """A guest must not be asked after the time, however long its service took to find."""
    ends = soon(agent, world, "Get-CimInstance")
    assert "TooLate" == refusal_of(agent.result(SHUTDOWN, not_after=ends))[0]
    assert [] == world.made("Invoke-CimMethod")


def test_calls_of_one_request_are_timed_one_by_one(agent: Agent, world: World) -> None:
    """An act must be judged when its turn comes, not when its request was read."""
    calls = [call("Agent-Sleep", args={"Milliseconds": 500}), act_on("Stop-VM")]
    results = agent.ask(*calls, not_after=up_ms(agent) + 400)["results"]
    assert results[0]["ok"]
    assert "TooLate" == refusal_of(results[1])[0]
    assert "Running" == world.vm(VM_A).state


@pytest.mark.proven("P4")
@pytest.mark.parametrize("way", ["handle", "input"])
def test_what_lies_in_the_pipe_of_a_dead_run_is_not_done(launch: Launch, agent: Agent, world: World, way: str) -> None:
    """A PowerShell that comes up after its run has ended must not shut a guest down that it finds asked for."""
    ends = up_ms(agent)
    late = launch(way=way)
    late.send(
        line(1, {"calls": [SHUTDOWN], "not_after": ends}) + line(2, {"calls": [act_on("Stop-VM")], "not_after": ends})
    )
    late.end_input()
    frames = dict(late.frame() for _ in range(3))
    assert ["TooLate", "TooLate"] == [refusal_of(frames[number]["results"][0])[0] for number in "12"]
    assert [] == world.calls


@pytest.mark.proven("P1")
@pytest.mark.parametrize("code", [32780, None], ids=["not ready", "no service"])
def test_guest_that_cannot_be_asked_keeps_its_power(agent: Agent, world: World, code: int | None) -> None:
    """A guest that boots or hangs must be told as such; neither way of asking it may cut its power."""
    world.vm(VM_A).shutdown = code
    assert [{"Code": code}] * (code is not None) == agent.act(SHUTDOWN)["value"]
    job = call("Stop-VM", args={"Name": "A", "AsJob": True})
    assert "BadRequest" == refusal_of(agent.act(job))[0]
    assert ("Running", []) == (world.vm(VM_A).state, world.made("Stop-VM"))


@pytest.mark.proven("P2")
@pytest.mark.parametrize(
    ("cmdlet", "before", "after"),
    [("Stop-VM", "Running", "Off"), ("Start-VM", "Off", "Running"), ("Resume-VM", "Paused", "Running")],
)
def test_act_is_over_before_the_powershell_is(
    launch: Launch, agent: Agent, world: World, cmdlet: str, before: str, after: str
) -> None:
    """Where stdin is gathered first and closed at once, a slow act must be done and answered before the end."""
    world.vm(VM_A).state = before
    world.before[cmdlet] = lambda: time.sleep(1)
    one = launch(way="input")
    one.send(line(1, {"calls": [act_on(cmdlet)], "not_after": up_ms(agent) + 60000}))
    one.end_input()
    frames = dict(one.frame() for _ in range(2))
    assert frames["1"]["results"][0]["ok"]
    assert after == world.vm(VM_A).state


@pytest.mark.proven("P3")
@pytest.mark.parametrize(
    ("cmdlet", "before", "meanwhile", "number", "words"),
    [
        ("Stop-VM", "Running", "Stopping", 32774, "StopVM: failed to turn off"),
        ("Start-VM", "Off", "Running", 2, "StartVM: failed to start"),
        ("Resume-VM", "Paused", "Saving", 32773, "ResumeVM: failed to resume"),
    ],
)
def test_refused_act_is_told_in_hyper_vs_words(
    agent: Agent, world: World, cmdlet: str, before: str, meanwhile: str, number: int, words: str
) -> None:
    """An act that Hyper-V refuses must be an error with its words, not a guest that is slow."""
    world.vm(VM_A).state = before

    def change() -> None:
        world.vm(VM_A).state, world.vm(VM_A).enabled = meanwhile, number

    world.before[cmdlet] = change
    error = agent.act(act_on(cmdlet))["error"]
    name, _, said = words.partition(": ")
    assert f"InvalidState,Microsoft.HyperV.PowerShell.Commands.{name}" == error["id"]
    assert f"{said}: not in its current state ({meanwhile})" in error["message"]
