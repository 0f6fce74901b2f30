"""What hangs on a host takes itself: the looks at a guest go on, and so does what is done for the other VMs."""

import itertools
from typing import Any

import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.steps import Done
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.wire import Call
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.world import World
from tests.run.support import ONE, TWO, make_world, start, unregister, with_running
from tests.virtual.contexts import SimulatedNode
from tests.virtual.hosts import Proceed

# As slow as a host of some years.
SLOW: dict[str, Any] = {"powershell": 1.5, "failover_clusters": 2.0, "hyper_v": 1.0, "iscsi": 0.5, "call": 0.02}
READING = (
    *("Agent-VmIds", "Get-ClusterNode", "Get-ClusterGroup", "Get-ClusterResource"),
    *("Get-ClusterSharedVolume", "Get-ClusterParameter", "Get-IscsiConnection"),
)


def id_of(vm: str) -> str:
    """Return the GUID that the lab gives a VM."""
    return make_world(vm).vms[vm].id


def is_of(call: Call, vm: str) -> bool:
    """Tell whether a call is about a VM, by its name or its id."""
    about = [one.args for one in (call, call.from_) if one is not None]
    return any(vm in (args.get("Name"), args.get("VMName")) or args.get("Id") == id_of(vm) for args in about)


class Looks:
    """When each guest was looked at on host 1, from the first look on."""

    def __init__(self, world: World, sim: SimulatedNode) -> None:
        self.at: dict[str, list[float]] = {}
        self._world = world
        self._names = {vm.id: name for name, vm in world.vms.items()}
        sim.hosts.watch = self._watch

    def _watch(self, host: str, call: Call) -> None:
        if host == ONE and call.cmdlet == "Get-VM":
            about = str(call.args.get("Id", call.args.get("Name")))
            self.at.setdefault(self._names.get(about, about), []).append(self._world.now)

    def widest(self, vm: str) -> float:
        """Return the longest time between two looks at a guest that followed one another."""
        at = self.at[vm]
        return max(later - earlier for earlier, later in itertools.pairwise(at))


@pytest.mark.parametrize("cmdlet", READING)
@pytest.mark.parametrize("after", [0.0, 20.0])
def test_looks_go_on_while_a_question_hangs(cmdlet: str, after: float) -> None:
    """While any question hangs, from the first look on or later, the looks at a guest are never further apart than
    three intervals (D7)."""
    world = with_running("vm1", "vm2", **SLOW)
    for vm in world.vms.values():
        vm.deaf = True
    sim = SimulatedNode(world, "ec1")
    looks, began = Looks(world, sim), world.now
    sim.hosts.hangs = lambda host, call: host == ONE and call.cmdlet == cmdlet and world.now >= began + after
    unregister(sim, "vm1", "vm2")
    interval = sim.context.config.timing.interval
    assert [] == world.violations
    assert [] == [event for event in world.history if event.state == "Saved"]
    shown = [at for at in looks.at["vm1"] if at >= began + after]

    assert len(shown) > 10
    assert looks.widest("vm1") <= 3 * interval
    assert looks.widest("vm2") <= 3 * interval


def test_looks_go_on_while_the_question_about_another_guest_hangs() -> None:
    """While Get-VM hangs for one VM, the other is looked at in time, and stopped (D7)."""
    world = with_running("vm1", "vm2", guest_shutdown=60, **SLOW)
    sim = SimulatedNode(world, "ec1")
    looks, began = Looks(world, sim), world.now
    sim.hosts.hangs = lambda host, call: (
        host == ONE and call.cmdlet == "Get-VM" and is_of(call, "vm1") and world.now > began + 5
    )
    unregister(sim, "vm1", "vm2")

    assert looks.widest("vm2") <= 3 * sim.context.config.timing.interval
    assert "Off" in [event.state for event in world.history if event.who == "vm2"]


@pytest.mark.parametrize("cmdlet", ["Agent-ShutdownGuest", "Stop-VM"])
def test_looks_go_on_while_an_act_of_a_stop_hangs(cmdlet: str) -> None:
    """While a stop's blocking cmdlet hangs for one VM, both are looked at in time, and the other one is stopped."""
    world = with_running("vm1", "vm2", **SLOW)
    world.vms["vm2"].deaf = True
    world.vms["vm1"].deaf = True
    sim = SimulatedNode(world, "ec1")
    looks = Looks(world, sim)
    sim.hosts.hangs = lambda _host, call: call.cmdlet == cmdlet and is_of(call, "vm1")
    unregister(sim, "vm1", "vm2")
    interval = sim.context.config.timing.interval

    assert max(looks.widest("vm1"), looks.widest("vm2")) <= 3 * interval
    assert "Off" in [event.state for event in world.history if event.who == "vm2"]


@pytest.mark.parametrize(("cmdlet", "state"), [("Start-VM", "Off"), ("Resume-VM", "Paused")])
def test_looks_go_on_while_an_act_of_a_start_hangs(cmdlet: str, state: str) -> None:
    """While a start's blocking cmdlet hangs for one VM, both are looked at in time, and the other one runs (D19)."""
    world = with_running("vm1", "vm2", **SLOW)
    for vm in world.vms.values():
        if state == "Off":
            world.guests.turn_off(vm, ONE)
        else:
            world.guests.pause(vm, ONE)
    world.advance(5)
    sim = SimulatedNode(world, "ec1")
    looks = Looks(world, sim)
    sim.hosts.hangs = lambda _host, call: call.cmdlet == cmdlet and is_of(call, "vm1")
    ends = start(sim, "vm1", "vm2")
    interval = sim.context.config.timing.interval

    assert isinstance(ends["vm2"], Done)
    assert looks.widest("vm1") <= 3 * interval
    assert not isinstance(ends["vm1"], Done)


def test_host_that_hangs_does_not_thin_out_the_looks_at_the_other() -> None:
    """While everything hangs on one host, the guests on the other are looked at in time (D11, 3.4)."""
    world = with_running(guest_shutdown=60, **SLOW)
    sim = SimulatedNode(world, "ec1")
    looks = Looks(world, sim)
    sim.hosts.hangs = lambda host, _call: host == TWO
    unregister(sim, "vm1")

    assert looks.widest("vm1") <= 3 * sim.context.config.timing.interval


def test_act_is_never_made_for_a_run_that_has_ended() -> None:
    """An act that its host comes to only after the run has stopped waiting must be left undone (P4)."""
    world = make_world("vm1", "vm2", **SLOW)
    for vm in world.vms.values():
        world.cluster.start_configuration(vm)
    world.advance(5)
    sim = SimulatedNode(world, "ec1")
    sim.hosts.hangs = lambda _host, call: call.cmdlet == "Start-VM" and is_of(call, "vm1")
    began = world.now
    start(sim, "vm1", "vm2")
    late = [ask.until for _, ask in sim.hosts.requests if ask.until is not None]

    assert [] != late
    assert {"Running"} == {guest.state for guest in world.vms["vm2"].guests.values()}
    assert max(late) <= began + sim.context.config.timing.start


def test_first_look_is_one_round_trip_and_one_powershell() -> None:
    """A start of a VM that runs must need one round trip, one session, and nothing that changes anything."""
    world = with_running(powershell=0.5, failover_clusters=2.0, hyper_v=1.0, iscsi=0.5)
    sim = SimulatedNode(world, "ec1")
    start(sim, "vm1")

    assert (1, 0) == (sim.round_trips(Side.LOCAL), sim.round_trips(Side.PEER))
    assert {"looks"} == {ask.session for _, ask in sim.hosts.requests}
    assert {None} == {ask.until for _, ask in sim.hosts.requests}


@pytest.mark.parametrize("sshd", [Sshd.REFUSING, Sshd.STOPPED])
def test_host_that_refuses_at_once_is_asked_with_pauses(sshd: Sshd) -> None:
    """A host that was seen lately and now refuses at once must be asked again only after some time, late or not."""
    world = with_running(**SLOW)
    sim = SimulatedNode(world, "ec1")

    def becomes(state: Sshd) -> None:
        for host in world.hosts.values():
            host.sshd = state

    world.at(4.0, lambda: becomes(sshd))
    world.at(30.0, lambda: becomes(Sshd.UP))
    began = world.now
    end = unregister(sim, "vm1")["vm1"]

    assert isinstance(end, Done)
    assert sim.round_trips(Side.LOCAL) <= 4 * (world.now - began) / sim.context.config.timing.interval


def test_what_waits_behind_slow_steps_is_no_attempt() -> None:
    """Of many VMs whose power-on takes long each must be started: what was taken back unsent uses up no attempt."""
    names = [f"vm{number}" for number in range(1, 9)]
    world = make_world(*names, **SLOW)
    for vm in world.vms.values():
        world.cluster.start_configuration(vm)
    world.advance(5)
    sim = SimulatedNode(world, "ec1")

    def slowly(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        if any(call.cmdlet == "Start-VM" for call in ask.request.calls):
            sim.hosts.takes(9)
        return proceed(ask)

    sim.hosts.disturb = slowly
    ends = start(sim, *names)

    assert {Done} == {type(end) for end in ends.values()}, ends
