"""The defects of the forerunner's stop, played to vm-unregister.

In virtual time, on the real loop and decisions; `test_citations.py` proves that none of the 57 is left out.
"""

import pytest

from ecx_hyperv.decide.steps import Done
from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.model.things import Guest
from tests.run.support import ONE, TWO, only, unregister, with_running
from tests.virtual.contexts import SimulatedNode
from tests.virtual.invariants import ProgramKind
from tests.virtual.programs import run_program


@pytest.mark.defect(35)
def test_a_volume_outlives_the_stop_of_one_of_two_resources() -> None:
    """With a resource for each VM on one volume, the first stop leaves it online, and only the last takes it down."""
    world = with_running("vm1", "vm2")
    volume = next(iter(world.volumes.values()))
    assert isinstance(only(unregister(SimulatedNode(world, "ec1"), "vm1")), Done)
    assert ("Online", "Running") == (volume.state, world.vms["vm2"].guests[ONE].state)

    assert isinstance(only(unregister(SimulatedNode(world, "ec1"), "vm2")), Done)
    assert "Offline" == volume.state
    assert [] == world.violations


@pytest.mark.defect(39)
@pytest.mark.parametrize("machine", ["Failed", "OfflinePending", "OnlinePending", "Offline"])
def test_a_group_that_is_not_offline_does_not_spin(machine: str) -> None:
    """A stop of a guest that is off ends well whatever its group calls itself, in less than five minutes."""
    world = with_running()
    vm = world.vms["vm1"]
    vm.guests[ONE] = Guest("Off")
    vm.machine = machine
    outcome = run_program(SimulatedNode(world, "ec1"), ProgramKind.STOP, "vm1")

    assert Exit.DONE is outcome.exit
    assert "Offline" == vm.configuration
    assert outcome.seconds < 300


@pytest.mark.defect(40)
def test_a_move_whose_start_fails_leaves_the_guest_running_and_owned() -> None:
    """Where the start after a group move fails, the stop that follows leaves the guest, and a start back finds it."""
    world = with_running()
    world.hosts[TWO].memory = 1
    booted = world.vms["vm1"].guests[ONE].started
    left = run_program(SimulatedNode(world, "ec1"), ProgramKind.STOP, "vm1", factor=Factor.GROUPMOVE)
    moved = run_program(SimulatedNode(world, "ec2"), ProgramKind.START, "vm1")
    stopped = run_program(SimulatedNode(world, "ec2"), ProgramKind.STOP, "vm1", factor=Factor.GROUPFAILOVER)
    back = run_program(SimulatedNode(world, "ec1"), ProgramKind.START, "vm1")

    assert [Exit.DONE, Exit.REFUSED, Exit.DONE, Exit.DONE] == [one.exit for one in (left, moved, stopped, back)]
    assert f"goes on running on {ONE}" in moved.said
    assert ("Running", booted) == (world.vms["vm1"].guests[ONE].state, world.vms["vm1"].guests[ONE].started)
    assert [] == world.violations
