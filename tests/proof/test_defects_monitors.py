"""The defects of the forerunner's monitors, played to genw-vm and genw-remote-node.

In virtual time, on the real loop and decisions; `test_citations.py` proves that none of the 57 is left out.
"""

import pytest

from ecx_hyperv.decide.monitor import Health
from ecx_hyperv.decide.steps import Done, Fail
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.model.things import Plane, Sshd
from tests.proof.defects import peer_desk
from tests.run.support import ONE, TWO, make_world, only, start, unregister, with_running
from tests.run.test_monitors import health, watch, watch_peer
from tests.virtual.contexts import SimulatedNode


@pytest.mark.defect(43)
def test_a_host_may_speak_japanese() -> None:
    """On a host that calls its VMs 正常稼働中, a start, a monitor, a refusal and a stop end as on any other."""
    world = make_world(language="ja")
    sim = SimulatedNode(world, "ec1")
    assert isinstance(only(start(sim, "vm1")), Done)
    assert Health.HEALTHY is health(sim)
    assert isinstance(only(unregister(sim, "vm1")), Done)

    world.hosts[ONE].memory = 1
    end = only(start(sim, "vm1"))
    assert isinstance(end, Fail)
    assert (Exit.REFUSED, True) == (end.exit, "not enough memory" in end.what)


@pytest.mark.defect(44)
@pytest.mark.parametrize("doing", ["BackingUpVirtualMachine", "CreatingSnapshot", "MergingDisks", "NobodyKnowsWhat"])
def test_a_nightly_backup_is_no_failure(doing: str) -> None:
    """Whatever Hyper-V says it is doing to a VM that runs, the VM is healthy."""
    world = with_running()
    world.vms["vm1"].guests[ONE].doing = doing

    assert Health.HEALTHY is health(SimulatedNode(world, "ec1"))


@pytest.mark.defect(45)
@pytest.mark.parametrize("live", [True, False])
def test_a_vm_that_wsfc_is_moving_has_not_failed(live: bool) -> None:
    """While WSFC moves a VM, its monitor is healthy on the host that it leaves."""
    world = with_running(live=30, quick=30)
    world.cluster.move(world.vms["vm1"], TWO, live=live)
    sim = SimulatedNode(world, "ec1")
    for _ in range(3):
        world.advance(5)
        assert Health.HEALTHY is health(sim)


@pytest.mark.defect(47)
def test_a_silent_host_and_a_vm_that_is_not_there_are_called_what_they_are() -> None:
    """A host that does not answer is called that, and a VM that is not registered is called that."""
    world = with_running()
    world.hosts[ONE].sshd = Sshd.STOPPED
    silent = watch(SimulatedNode(world, "ec1")).verdicts["vm1"].why
    world.hosts[ONE].sshd = Sshd.UP
    vm = world.vms["vm1"]
    vm.guests.clear()
    vm.configuration = vm.machine = "Offline"
    missing = watch(SimulatedNode(world, "ec1")).verdicts["vm1"].why

    assert (True, False) == ("does not answer" in silent, "registered" in silent)
    assert (False, True) == ("answer" in missing, "is not registered" in missing)


@pytest.mark.defect(53)
def test_a_host_that_drops_echo_requests_still_powers_its_ec_vm_on() -> None:
    """An EC-VM that is off is powered on without its host ever being sent a ping."""
    world = with_running()
    _, sim = peer_desk(world)
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")

    assert Exit.DONE is watch_peer(sim).exit
    assert ["ec2"] == [event.who for event in world.history if event.what == "EC-VM on"]
    assert [] == [command for command in sim.commands if command[0] == "ping"]


@pytest.mark.defect(53)
def test_a_lost_packet_takes_no_ec_vm_for_dead() -> None:
    """An EC-VM whose ping is lost is not powered on or restarted while its host says that it runs."""
    world = with_running()
    ecx, sim = peer_desk(world)
    ecx.servers["ec2"].service = "Offline"
    world.cut("ec1", "ec2", Plane.MANAGEMENT)
    before = list(world.history)

    for _ in range(10):
        assert Exit.NOT_AS_ASKED is watch_peer(sim).exit
        world.advance(60)
    assert before == world.history


@pytest.mark.defect(56)
def test_in_a_partition_a_peer_that_runs_is_left() -> None:
    """While the EC-VMs do not hear each other but their hosts answer, nothing is done to a peer that runs."""
    world = with_running()
    _, sim = peer_desk(world)
    world.cut("ec1", "ec2")
    before = list(world.history)

    for _ in range(30):
        assert Exit.NOT_AS_ASKED is watch_peer(sim).exit
        world.advance(60)
    assert before == world.history
    assert not [command for command in sim.commands if command[0] == "clpcl"]
