"""vm-unregister's loop, in virtual time."""

import pytest

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.steps import Done, Fail
from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.errors import SessionLost
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.things import Sshd, Volume
from ecx_hyperv.lab.model.world import World
from tests.run.support import ONE, TWO, isolated_but_alive, only, unregister, with_running
from tests.virtual.contexts import SimulatedNode, make_config
from tests.virtual.hosts import Proceed


def volume_state(world: World) -> str:
    """Return the state of the first volume."""
    return next(iter(world.volumes.values())).state


@pytest.mark.defect(35)
def test_two_vms_go_down_together_and_their_volume_after_them() -> None:
    """Several VMs are shut down at the same time, and their volume only after the last."""
    world = with_running("vm1", "vm2", guest_shutdown=100)
    began = world.now
    ends = unregister(SimulatedNode(world, "ec1"), "vm1", "vm2")

    assert all(isinstance(end, Done) for end in ends.values())
    assert "Offline" == volume_state(world)
    assert world.now - began < 150
    assert [] == world.violations


@pytest.mark.defect(35)
def test_a_volume_that_another_vm_is_on_is_left() -> None:
    """A volume stays online as long as another VM is registered on it."""
    world = with_running("vm1", "vm2")
    unregister(SimulatedNode(world, "ec1"), "vm1")
    assert "Online" == volume_state(world)

    unregister(SimulatedNode(world, "ec1"), "vm2")
    assert "Offline" == volume_state(world)
    assert [] == world.violations


@pytest.mark.parametrize(("elsewhere", "expected"), [(True, "Offline"), (False, "Online")])
def test_a_vm_that_is_not_configured_counts_by_its_volume(elsewhere: bool, expected: str) -> None:
    """A clustered VM that the configuration does not name counts unless the cluster places it on another volume."""
    world = with_running("vm1", "stranger")
    if elsewhere:
        other = Volume("Cluster Disk 2", "{00000000-0000-4000-8000-000000000002}", ONE)
        world.volumes[other.name] = other
        world.vms["stranger"].csv = other.name
    config = make_config(world)
    known = type(config)(
        cluster=config.cluster, ssh=config.ssh, timing=config.timing, node=config.node, vm=(ProtectedVm(name="vm1"),)
    )
    unregister(SimulatedNode(world, "ec1", config=known), "vm1")

    assert expected == volume_state(world)
    assert [] == world.violations


def test_a_volume_is_left_while_another_vm_is_being_started() -> None:
    """A volume is left online while a start of another VM is under way on this EC-VM."""
    world = with_running("vm1", "vm2")
    sim = SimulatedNode(world, "ec1")
    unregister(sim, "vm2")
    assert sim.locks.start("vm2").acquire()
    unregister(sim, "vm1")

    assert "Online" == volume_state(world)


@pytest.mark.defect(38)
def test_a_deaf_guest_is_turned_off_after_its_grace() -> None:
    """A guest that ignores the request to shut down is turned off after its grace."""
    world = with_running()
    world.vms["vm1"].deaf = True
    sim = SimulatedNode(world, "ec1")
    began = world.now
    end = only(unregister(sim, "vm1"))

    assert isinstance(end, Done)
    timing = sim.context.config.timing
    assert timing.shutdown <= world.now - began <= timing.shutdown + 60
    assert any("turn off" in text for _, text in sim.alerts)


@pytest.mark.parametrize("was_done", [False, True])
def test_a_guest_whose_request_may_be_lost_is_asked_again(was_done: bool) -> None:
    """Where nobody knows whether a guest was asked to shut down, the guest is asked again, and never turned off."""
    world = with_running(guest_shutdown=100)
    sim = SimulatedNode(world, "ec1")
    lost: list[Ask] = []

    def lose_the_first(side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        if lost or not any(call.cmdlet == "Agent-ShutdownGuest" for call in ask.request.calls):
            return proceed(ask)
        lost.append(ask)
        if was_done:
            proceed(ask)
        sim.hosts.hang_up(side)
        return SessionLost(ONE, "the session ended before the answer")

    sim.hosts.disturb = lose_the_first
    end = only(unregister(sim, "vm1"))
    asked = [
        call for _, ask in sim.hosts.requests for call in ask.request.calls if call.cmdlet == "Agent-ShutdownGuest"
    ]

    assert isinstance(end, Done)
    assert len(asked) >= 2
    assert all(call.args == {"Id": world.vms["vm1"].id} for call in asked)
    assert [] == [event for event in world.history if event.state in ("Saved", "Saving")]
    assert [] == world.violations


def test_e7_hosts_that_fall_silent_behind_the_unregistering_fail_no_stop() -> None:
    """Once the run has unregistered a guest that was off, a stop that is told nothing more is done, with a warning."""
    world = with_running()
    sim = SimulatedNode(world, "ec1")

    def fall_silent_behind_it(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        answer = proceed(ask)
        if any(call.cmdlet == "Stop-ClusterResource" for call in ask.request.calls):
            for host in world.hosts.values():
                host.sshd = Sshd.SILENT
        return answer

    sim.hosts.disturb = fall_silent_behind_it
    end = only(unregister(sim, "vm1"))

    assert isinstance(end, Done)
    assert end.warn
    assert end.how.startswith("vm1 is off; nothing was told since then: ")
    assert [] == world.violations


@pytest.mark.defect(42)
def test_a_failover_has_less_patience() -> None:
    """On a failover a guest's grace is shorter."""
    world = with_running()
    world.vms["vm1"].deaf = True
    world.vms["vm1"].guests[ONE].heartbeat = "LostCommunication"
    sim = SimulatedNode(world, "ec1", SimulatedEcx(world, lambda *_: None, ["vm1"]))  # type: ignore[arg-type]
    began = world.now
    unregister(sim, "vm1", factor=Factor.GROUPFAILOVER)

    assert world.now - began <= sim.context.config.timing.shutdown_on_failover + 60


@pytest.mark.defect(36)
def test_the_owner_is_found() -> None:
    """A VM that WSFC has moved is stopped where it runs."""
    world = with_running(host=TWO)
    end = only(unregister(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert [] == [host for host, guest in world.vms["vm1"].guests.items() if guest.is_live]


def test_a_silent_host_is_stopped_through_the_cluster() -> None:
    """A VM on a host that does not answer, but whose node is up, is stopped by the cluster from the other host."""
    world = with_running(host=TWO)
    world.hosts[TWO].sshd = Sshd.STOPPED
    end = only(unregister(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert "Saved" in [event.state for event in world.history]
    assert "Online" == volume_state(world)


def test_a_host_that_lost_power_counts_as_off_after_a_while() -> None:
    """A VM on an isolated and silent host counts as off after `isolated`."""
    world = with_running(host=TWO)
    world.power_off_host(TWO)
    world.advance(5)
    sim = SimulatedNode(world, "ec1")
    began = world.now
    end = only(unregister(sim, "vm1"))

    assert isinstance(end, Done)
    assert world.now - began >= sim.context.config.timing.isolated


@pytest.mark.parametrize("sshd", [Sshd.STOPPED, Sshd.REFUSING])
def test_an_isolated_host_that_shows_life_does_not_count_as_off(sshd: Sshd) -> None:
    """A host that is isolated, but refuses a connection or a login, may still run the guest: the stop ends with 7."""
    world = isolated_but_alive(sshd)
    end = only(unregister(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert Exit.CANNOT_TELL is end.exit
    assert ("Online", "PausedCritical") == (world.vms["vm1"].configuration, world.vms["vm1"].guests[TWO].state)


def test_a_guest_that_hyper_v_cannot_show_does_not_count_as_off() -> None:
    """While the management service of the owner is stopped nobody can tell whether the guest is off: 7, not 0."""
    world = with_running()
    world.hosts[ONE].vmms = False
    end = only(unregister(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert Exit.CANNOT_TELL is end.exit
    assert [] == world.violations


def test_what_nobody_can_tell_ends_at_the_deadline_with_7() -> None:
    """While nobody can tell whether the guest still runs, a stop does not succeed."""
    world = with_running(host=TWO)
    world.hosts[TWO].sshd = Sshd.STOPPED
    world.hosts[TWO].joining = True
    sim = SimulatedNode(world, "ec1")
    end = only(unregister(sim, "vm1"))

    assert isinstance(end, Fail)
    assert Exit.CANNOT_TELL is end.exit


def test_a_stop_in_maintenance_is_said_and_done() -> None:
    """Maintenance does not hold a stop back: the storage is going."""
    world = with_running()
    sim = SimulatedNode(world, "ec1")
    sim.flags.set(Flag(kind=Kind.VM, name="vm1", since=sim.clock.wall()))
    end = only(unregister(sim, "vm1"))

    assert isinstance(end, Done)
    assert any("maintenance" in text for _, text in sim.alerts)
    assert "Offline" == world.vms["vm1"].configuration


@pytest.mark.defect(37)
def test_what_is_stopped_is_stopped() -> None:
    """A stop of what is stopped succeeds, and changes nothing."""
    world = with_running()
    sim = SimulatedNode(world, "ec1")
    unregister(sim, "vm1")
    count = len(world.history)

    assert isinstance(only(unregister(sim, "vm1")), Done)
    assert [] == [event.what for event in world.history[count:] if event.what in ("guest", "volume", "unregistered")]


@pytest.mark.defect(37)
def test_a_group_that_is_not_in_the_cluster_is_no_failure() -> None:
    """A VM that neither the cluster nor a host knows is off."""
    world = with_running()
    config = make_config(world)
    del world.vms["vm1"]
    end = only(unregister(SimulatedNode(world, "ec1", config=config), "vm1"))

    assert isinstance(end, Done)
    assert end.warn


def test_a_migration_under_way_is_waited_for() -> None:
    """A stop during a migration waits for it, and stops the guest where it has arrived."""
    world = with_running(live=30)
    world.cluster.move(world.vms["vm1"], TWO, live=True)
    end = only(unregister(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert "Off" in [event.state for event in world.history if event.what == "guest" and event.where == TWO]
    assert [] == world.violations


def test_d09_a_stop_does_not_wait_for_a_run_past_its_limit() -> None:
    """A stop goes on at once where the run that holds the lock must have ended, and a person is told who that is."""
    world = with_running()
    sim = SimulatedNode(world, "ec1")
    assert sim.locks.start("vm1").acquire()
    sim.locks.overdue = True
    began = world.now

    assert isinstance(only(unregister(sim, "vm1")), Done)
    assert {} == world.vms["vm1"].guests
    assert world.now - began < 60
    assert any("past its limit" in text for _, text in sim.alerts)
    assert [] == world.violations
