"""The lab's PowerShell speaks edition 2 of the wire, as the agent on a host does."""

from typing import Any

import pytest

from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.steps import Do
from ecx_hyperv.host import cmdlets, queries
from ecx_hyperv.host.actions import outcome_of, shutdown_answer
from ecx_hyperv.host.rows import VmRow
from ecx_hyperv.host.wire import Call, RemoteError, Request, Result
from ecx_hyperv.lab.model.things import Guest
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.powershell import PowerShell

ONE = "ws2019-host-1"
LATER = 2**60
STOP = Call(cmdlet="Stop-ClusterResource", args={"Name": "Virtual Machine Configuration vm1", "Wait": 0})


@pytest.fixture
def world() -> World:
    """Return a world in which vm1 runs on host 1."""
    world = World(Timings())
    world.storage.serve("ec1", on=True)
    world.advance(10)
    vm = world.vms["vm1"]
    vm.configuration, vm.machine = "Online", "Online"
    vm.guests[ONE] = Guest("Running", 0.0)
    return world


def id_of(name: str) -> str:
    """Return the GUID that the lab gives a VM of that name."""
    return World(Timings(), [name]).vms[name].id


def perform(world: World, *calls: Call, not_after: int | None = LATER) -> list[Result]:
    """Have host 1 carry out calls."""
    shell = PowerShell(world, ONE, "192.168.139.201", sleep=lambda _seconds: None)
    return list(shell.perform(Request(calls=calls, stop_on_error=False, not_after=not_after)).results)


def refusal(world: World, call: Call, not_after: int | None = LATER) -> str:
    """Return the id with which a call is refused; empty if it is not."""
    (result,) = perform(world, call, not_after=not_after)
    return "" if result.error is None else str(result.error.id)


def state(world: World) -> str:
    """Return the guest's state."""
    world.advance(10)
    return world.vms["vm1"].guests[ONE].state


@pytest.mark.parametrize(("now", "refused", "then"), [("Running", "", "Off"), ("Saved", "NotAsAsked", "Saved")])
def test_act_is_done_only_to_a_vm_that_is_as_asked(world: World, now: str, refused: str, then: str) -> None:
    """A VM that was saved between look and act must not be turned off: its memory would be lost (D24)."""
    world.vms["vm1"].guests[ONE].state = now
    assert refused == refusal(world, cmdlets.turn_off_vm(id_of("vm1")))
    assert then == state(world)


def test_critical_form_counts_as_the_state_beneath(world: World) -> None:
    """A guest that is critical must fit what is asked of the state beneath, as the fresh read has it."""
    world.vms["vm1"].guests[ONE].state = "PausedCritical"
    assert "" == refusal(world, cmdlets.turn_off_vm(id_of("vm1")))


@pytest.mark.parametrize(("not_after", "refused"), [(None, "BadRequest"), (1000, "TooLate"), (LATER, "")])
def test_what_changes_something_is_done_in_time_or_not_at_all(
    world: World, not_after: int | None, refused: str
) -> None:
    """An act must have a moment after which it is not made, and not be made after it (P4)."""
    call = cmdlets.turn_off_vm(id_of("vm1"))
    assert refused == refusal(world, call, not_after)
    assert ("Running" if refused else "Off") == state(world)


def test_guard_keeps_a_configuration_from_being_stopped(world: World) -> None:
    """A configuration must not be stopped while its VM resource is online."""
    guarded = cmdlets.stop_resource("Virtual Machine Configuration vm1", guard="Virtual Machine vm1")
    assert "NotAsAsked" == refusal(world, guarded)
    assert "Online" == world.vms["vm1"].configuration
    world.vms["vm1"].machine = "Offline"
    assert "" == refusal(world, guarded)


@pytest.mark.parametrize(
    "call",
    [
        Call(cmdlet="Stop-VM", args={"Name": "vm1"}),
        Call(cmdlet="Stop-VM", args={"Name": "vm1", "TurnOff": True, "AsJob": True}),
        Call(cmdlet="Stop-VM", args={"Name": "vm1", "TurnOff": True, "Force": True}),
        Call(cmdlet="Get-VM", args={"Name": "vm1"}, from_=STOP),
        Call(cmdlet="Get-VM", args={"Name": "vm1"}, guard=STOP),
        Call(cmdlet="Agent-ShutdownGuest", args={"Id": "a", "Reason": "b"}),
        Call(cmdlet="Stop-VM", args={"Name": "vm1", "TurnOff": True}, only={"State": ("Running",)}),
    ],
    ids=["no TurnOff", "a job", "Force", "fed by an act", "guarded by an act", "unknown", "only on an act"],
)
def test_what_the_agent_refuses(world: World, call: Call) -> None:
    """What the agent refuses must be refused here too."""
    assert "BadRequest" == refusal(world, call)
    assert "Running" == state(world)


def test_absent_id_names_the_id(world: World) -> None:
    """An id that a host does not know is absent; what Hyper-V in trouble says is not."""
    query = queries.vm_by_id(id_of("nobody"))
    assert query.read(perform(world, query.call)[0]) is None
    known = queries.vm_by_id(id_of("vm1"))
    row = known.read(perform(world, known.call)[0])
    assert isinstance(row, VmRow)
    assert ("vm1", id_of("vm1"), True) == (row.name, row.id, row.is_clustered)
    world.hosts[ONE].vmms = False
    assert isinstance(query.read(perform(world, query.call)[0]), RemoteError)


def test_database_says_which_vm_is_in_which_role(world: World) -> None:
    """The ids must come with resource, role and volumes."""
    query = queries.vm_ids()
    rows: Any = query.read(perform(world, query.call)[0])
    assert [("Virtual Machine vm1", "vm1", id_of("vm1"))] == [
        (row.resource, row.group, row.id) for row in rows if row.type == "Virtual Machine"
    ]
    assert [1] == [len(row.volumes) for row in rows if row.type == "Virtual Machine Configuration"]


def test_guest_is_asked_to_shut_down(world: World) -> None:
    """A guest must be asked by its service, which answers at once; one without a service is told so."""
    call = cmdlets.shutdown_guest(id_of("vm1"))
    assert ShutdownAnswer.ASKED is shutdown_answer(perform(world, call)[0])
    assert "Off" == state(world)
    assert ShutdownAnswer.NO_SERVICE is shutdown_answer(perform(world, call)[0])


def test_what_was_left_undone_is_no_attempt(world: World) -> None:
    """An act that the agent left undone must not count as one that Hyper-V refused."""
    late = outcome_of(Do.TURN_OFF, perform(world, cmdlets.turn_off_vm(id_of("vm1")), not_after=1)[0])
    missing = outcome_of(Do.START_VM, perform(world, cmdlets.start_vm(id_of("vm1")))[0])
    assert (False, False) == (late.was_made, missing.was_made)
    absent = outcome_of(Do.TURN_OFF, perform(world, cmdlets.turn_off_vm(id_of("nobody")))[0])
    assert absent.was_made
