"""What the agent does to a VM or to the cluster, and what it leaves undone."""

from typing import Any

import pytest

from tests.powershell.agent import Agent, call
from tests.powershell.test_requests import NOWHERE, error_of, refusal_of
from tests.powershell.world import HOSTS, VM_A, Fails, World

TURN_OFF = ("Running", "Paused", "RunningCritical", "PausedCritical")
START = ("Off", "Saved", "FastSaved", "Hibernated")
ACTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "Stop-VM": ({"TurnOff": True}, TURN_OFF),
    "Start-VM": ({}, START),
    "Resume-VM": ({}, ("Paused",)),
    "Restart-VM": ({"Force": True}, ("Running",)),
}
CONFIGURATION = "Virtual Machine Configuration A"
GUARD = call("Get-ClusterResource", args={"Name": "Virtual Machine A"}, only={"State": ["Offline", "Failed"]})
STOP_CONFIGURATION = call("Stop-ClusterResource", args={"Name": CONFIGURATION, "Wait": 0}, guard=GUARD)


def act_on(cmdlet: str, vm: str = VM_A, only: tuple[str, ...] | None = None, **more: Any) -> dict[str, Any]:
    """Build an act on a VM, fed by its id and the states that it must be in."""
    args, states = ACTS[cmdlet]
    feed = call("Get-VM", args={"Id": vm}, only={"State": list(states if only is None else only)})
    return call(cmdlet, args=args, from_=feed, **more)


@pytest.mark.parametrize(
    ("cmdlet", "state", "then"),
    [
        *(("Stop-VM", state, "Off") for state in TURN_OFF),
        *(("Start-VM", state, "Running") for state in START),
        ("Resume-VM", "Paused", "Running"),
        ("Restart-VM", "Running", "Running"),
    ],
)
def test_act_that_fits_is_done(agent: Agent, world: World, cmdlet: str, state: str, then: str) -> None:
    """An act must be done to a VM in a state that was asked for, with the call's own arguments."""
    world.vm(VM_A).state = state
    assert agent.act(act_on(cmdlet)) == {"ok": True, "value": []}
    assert then == world.vm(VM_A).state
    (made,) = world.made(cmdlet)
    assert [{"key": VM_A}] == made.pop("VM")
    assert {**ACTS[cmdlet][0], "ErrorAction": "Stop", "confirmed": None} == {"confirmed": None, **made}


@pytest.mark.parametrize(
    ("cmdlet", "state"),
    [
        *(("Stop-VM", state) for state in ("Off", "Saved", "FastSaved", "Saving", "Stopping", "Starting")),
        *(("Start-VM", state) for state in ("Running", "Paused", "Starting", "RunningCritical")),
        *(("Resume-VM", state) for state in ("Running", "Saved", "Resuming")),
        *(("Restart-VM", state) for state in ("Off", "Paused", "Stopping")),
    ],
)
def test_act_that_does_not_fit_is_left_undone(agent: Agent, world: World, cmdlet: str, state: str) -> None:
    """An act on a VM in any other state must be left undone, and say what was found."""
    world.vm(VM_A).state = state
    kind, words = refusal_of(agent.act(act_on(cmdlet)))
    assert "NotAsAsked" == kind
    # A state on its way to another has no name there.
    beneath = state.removesuffix("Critical")
    found = "EnabledState " if beneath.endswith("ing") and beneath != "Running" else beneath
    assert f"State is {found}" in words
    assert ([], state) == (world.made(cmdlet), world.vm(VM_A).state)


@pytest.mark.parametrize(
    ("number", "fits"),
    [(2, True), (9, True), (32768, True), (3, False), (6, False), (32769, False), (32779, False), (32774, False)],
)
def test_fresh_state_outweighs_what_get_vm_repeats(agent: Agent, world: World, number: int, *, fits: bool) -> None:
    """The power must be cut by the state that the system has now, not by Get-VM's, which may be 5 s old."""
    world.vm(VM_A).enabled = number
    assert fits == agent.act(act_on("Stop-VM"))["ok"]
    assert fits == (world.vm(VM_A).state == "Off")
    (asked,) = world.made("Get-CimInstance")
    assert ("Msvm_ComputerSystem", 10) == (asked["ClassName"], asked["OperationTimeoutSec"])


@pytest.mark.parametrize(
    ("number", "fits"), [(3, True), (6, True), (32769, True), (32779, True), (2, False), (9, False)]
)
def test_fresh_state_decides_about_a_start(agent: Agent, world: World, number: int, *, fits: bool) -> None:
    """A start must go by the state that the system has now; by what Get-VM repeats the VM is still off."""
    world.vm(VM_A).state, world.vm(VM_A).enabled = "Off", number
    assert fits == agent.act(act_on("Start-VM"))["ok"]


def test_hibernated_is_get_vms_word(agent: Agent, world: World) -> None:
    """A number without a name must count as Hibernated where Get-VM says so."""
    world.vm(VM_A).state, world.vm(VM_A).enabled = "Hibernated", 32770
    assert agent.act(act_on("Start-VM"))["ok"]


@pytest.mark.parametrize(("state", "fits"), [("Running", True), ("PausedCritical", True), ("Saved", False)])
def test_get_vm_counts_where_the_system_cannot_be_read(agent: Agent, world: World, state: str, *, fits: bool) -> None:
    """Where the fresh state cannot be read, Get-VM's word must count, a Critical form as the state beneath it."""
    world.vm(VM_A).state = state
    world.faults["Get-CimInstance"] = Fails("The operation has timed out", "HRESULT 0x00040004", "OperationTimeout")
    result = agent.act(act_on("Stop-VM", only=("Running", "Paused")))
    assert fits == result["ok"]
    assert len(world.made("Stop-VM")) == fits


def test_critical_form_is_asked_for_as_the_state_beneath(agent: Agent, world: World) -> None:
    """A Critical form in `only` must fit the state beneath it, which is all that the system shows."""
    world.vm(VM_A).state = "PausedCritical"
    assert agent.act(act_on("Stop-VM", only=("PausedCritical",)))["ok"]


def test_reading_by_name_asks_for_no_fresh_state(agent: Agent, world: World) -> None:
    """Only the state of a VM by its id is read anew."""
    rows = agent.rows(call("Get-VM", ("Name",), args={"Name": "A"}, only={"State": ["running"]}))
    assert [{"Name": "A"}] == rows
    assert [] == world.made("Get-CimInstance")


@pytest.mark.proven("P14")
@pytest.mark.parametrize(
    ("state", "number"), [("Running", 32774), ("Running", 9), ("Running", 3)], ids=["stopping", "paused", "off"]
)
def test_p14_restart_of_what_no_longer_runs_is_left_undone(agent: Agent, world: World, state: str, number: int) -> None:
    """Restart-VM takes a running VM only, and blocks for minutes: it must not be tried on what Get-VM has old."""
    world.vm(VM_A).state, world.vm(VM_A).enabled = state, number
    assert "NotAsAsked" == refusal_of(agent.act(act_on("Restart-VM")))[0]
    assert [] == world.made("Restart-VM")


def test_only_drops_what_does_not_fit_and_leaves_the_rest(agent: Agent) -> None:
    """Objects that do not fit must be dropped; it is an error only if none is left."""
    chosen = call("Get-ClusterGroup", ("Name",), only={"Name": ["b", "nothing"]})
    assert [{"Name": "B"}] == agent.rows(chosen)
    kind, words = refusal_of(agent.result({**chosen, "only": {"OwnerNode.Name": ["HOST-3"]}}))
    assert "NotAsAsked" == kind
    assert "OwnerNode.Name is HOST-1" in words


def test_feed_without_any_object_is_not_as_asked(agent: Agent, world: World) -> None:
    """Where nothing came to compare, nothing may be done, and that is said."""
    world.shows["Get-VM"] = []
    assert "NotAsAsked" == refusal_of(agent.act(act_on("Stop-VM")))[0]
    assert [] == world.made("Stop-VM")


def test_act_on_an_absent_vm_keeps_get_vms_error(agent: Agent, world: World) -> None:
    """An id that is absent must be told as Get-VM tells it, not as a state that does not fit."""
    assert "ObjectNotFound" == error_of(agent.act(act_on("Stop-VM", NOWHERE)))[1]
    assert [] == world.made("Stop-VM")


@pytest.mark.parametrize("state", ["Offline", "Failed"])
def test_guard_that_holds_lets_the_call_through(agent: Agent, world: World, state: str) -> None:
    """A call whose guard finds what it must must be made, after the guard."""
    world.resource("Virtual Machine A").state = state
    assert agent.act(STOP_CONFIGURATION)["ok"]
    assert "Offline" == world.resource(CONFIGURATION).state
    assert ["Get-ClusterResource", "Stop-ClusterResource"] == [name for _, name, _ in world.calls]


@pytest.mark.parametrize("state", ["Online", "OnlinePending", "OfflinePending"])
def test_guard_that_does_not_hold_stops_the_call(agent: Agent, world: World, state: str) -> None:
    """A call whose guard finds anything else must not be made, and say what the guard found."""
    world.resource("Virtual Machine A").state = state
    assert ("NotAsAsked", f"Get-ClusterResource: State is {state}") == refusal_of(agent.act(STOP_CONFIGURATION))
    assert "Online" == world.resource(CONFIGURATION).state


def test_guard_that_fails_stops_the_call(agent: Agent, world: World) -> None:
    """A guard that failed is no yes: the call must not be made, and the guard's words must be told."""
    world.faults["Get-ClusterResource"] = Fails("The cluster service is not running", "X", "ConnectionError", 6)
    kind, words = refusal_of(agent.act(STOP_CONFIGURATION))
    assert "NotAsAsked" == kind
    assert "The cluster service is not running" in words
    assert [] == world.made("Stop-ClusterResource")


@pytest.mark.parametrize(
    ("cmdlet", "args"),
    [
        ("Move-ClusterVirtualMachineRole", {"Name": "A", "Node": HOSTS[1], "MigrationType": "Quick", "Wait": 0}),
        ("Move-ClusterVirtualMachineRole", {"Name": "A", "Node": HOSTS[1], "MigrationType": "Live", "Wait": 0}),
        ("Move-ClusterSharedVolume", {"Name": "V", "Node": HOSTS[1], "Wait": 0}),
        ("Start-ClusterResource", {"Name": CONFIGURATION, "Wait": 0}),
        ("Stop-ClusterResource", {"Name": CONFIGURATION, "Wait": 0}),
        ("Update-IscsiTargetPortal", {"TargetPortalAddress": ["192.0.2.1"]}),
    ],
)
def test_cluster_is_told_what_the_call_says(agent: Agent, world: World, cmdlet: str, args: dict[str, Any]) -> None:
    """Each act on the cluster or on the initiator must reach its cmdlet with its arguments, and no others."""
    assert agent.act(call(cmdlet, args=args))["ok"]
    (made,) = world.made(cmdlet)
    assert args | {"ErrorAction": "Stop"} == made


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("Stop-VM without TurnOff", call("Stop-VM", args={"Name": "A"})),
    ("Stop-VM with TurnOff false", call("Stop-VM", args={"Name": "A", "TurnOff": False})),
    ("Stop-VM with a text for TurnOff", call("Stop-VM", args={"Name": "A", "TurnOff": "True"})),
    ("Stop-VM with Force", call("Stop-VM", args={"Name": "A", "TurnOff": True, "Force": True})),
    ("Stop-VM with Save", call("Stop-VM", args={"Name": "A", "TurnOff": True, "Save": False})),
    ("Stop-VM as a job", call("Stop-VM", args={"Name": "A", "TurnOff": True, "AsJob": True})),
    ("Start-VM as a job", call("Start-VM", args={"Name": "A", "AsJob": True})),
    ("asked not to ask", call("Stop-VM", args={"Name": "A", "TurnOff": True, "Confirm": False})),
    ("an act as a feed", call("Get-VMIntegrationService", from_=act_on("Start-VM"))),
    ("an act as a guard", call("Get-VM", guard=act_on("Start-VM"))),
    ("an act as an act's guard", act_on("Start-VM", guard=call("Stop-ClusterResource", args={"Name": "x"}))),
    ("only on the act", {**act_on("Stop-VM"), "only": {"State": ["Running"]}}),
    ("a shutdown without an id", call("Agent-ShutdownGuest", args={"Force": False})),
    ("a shutdown of no GUID", call("Agent-ShutdownGuest", args={"Id": "x' OR Name LIKE '%"})),
    ("a shutdown with an odd Force", call("Agent-ShutdownGuest", args={"Id": VM_A, "Force": "yes"})),
    ("a shutdown with more", call("Agent-ShutdownGuest", args={"Id": VM_A, "Name": "A"})),
]


@pytest.mark.parametrize("one", [one for _, one in REFUSED], ids=[name for name, _ in REFUSED])
def test_act_in_a_way_that_is_not_foreseen_is_refused(agent: Agent, world: World, one: dict[str, Any]) -> None:
    """Nothing may change by an act that is worded in another way than the wire's."""
    assert "BadRequest" == refusal_of(agent.act(one))[0]
    changed = [name for _, name, _ in world.calls if not name.startswith("Get-")]
    assert ([], "Running") == (changed, world.vm(VM_A).state)


SHUTDOWN = call("Agent-ShutdownGuest", ("Code",), args={"Id": VM_A, "Force": False})


@pytest.mark.parametrize("code", [0, 4096, 32782, 32780, 32781, 32768, 32775])
def test_guest_is_asked_and_its_code_told(agent: Agent, world: World, code: int) -> None:
    """The code of a shutdown must be told as it is, and the power must stay on."""
    world.vm(VM_A).shutdown = code
    assert {"ok": True, "value": [{"Code": code}]} == agent.act(SHUTDOWN)
    (made,) = world.made("Invoke-CimMethod")
    assert ("InitiateShutdown", False) == (made["MethodName"], made["Arguments"]["Force"])
    assert VM_A.upper() == made["InputObject"]["SystemName"]
    assert "Running" == world.vm(VM_A).state


def test_guest_without_the_service_is_no_row(agent: Agent, world: World) -> None:
    """A guest without a shutdown service must be no row."""
    world.vm(VM_A).shutdown = None
    assert {"ok": True, "value": []} == agent.act(SHUTDOWN)


def test_locked_guest_is_asked_with_force(agent: Agent, world: World) -> None:
    """Force must reach the guest."""
    agent.act(call("Agent-ShutdownGuest", ("Code",), args={"Id": VM_A, "Force": True}))
    assert world.made("Invoke-CimMethod")[0]["Arguments"]["Force"] is True


def test_shutdown_that_cannot_be_asked_for_is_an_error(agent: Agent, world: World) -> None:
    """What keeps the guest from being asked must be told in its own words."""
    world.faults["Get-CimInstance"] = Fails("Access denied", "HRESULT 0x80041003", "PermissionDenied")
    result = agent.act(SHUTDOWN)
    assert "PermissionDenied" == error_of(result)[1]
    assert "Access denied" == result["error"]["message"]
