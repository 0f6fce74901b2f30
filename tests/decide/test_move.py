"""What speaks against a move of the group: each check by itself, and what a person is told of the rest."""

from dataclasses import replace
from typing import Any

import pytest

from ecx_hyperv.decide.facts import VmOnHost
from ecx_hyperv.decide.mirror import MirrorColor, MirrorFacts, MirrorHealth, MirrorSide, PairMirrors
from ecx_hyperv.decide.move import (
    MoveCheck,
    MoveFacts,
    MoveObjection,
    MovingHost,
    MovingVm,
    objections,
    plan,
    refusals,
)
from ecx_hyperv.decide.states import Doing, NodeKind, VmKind
from ecx_hyperv.exits import Exit

GIB = 2**30
RUNNING = VmOnHost(VmKind.RUNNING, "Running", healthy=True)
ABSENT = VmOnHost(VmKind.ABSENT)
VM = MovingVm("vm1", RUNNING, ABSENT, memory=4 * GIB)
HOST = MovingHost("HOST-1", free_memory=32.0 * GIB, migration=True, most=2, networks=("VM_network",))


def mirror(health: MirrorHealth, color: MirrorColor = MirrorColor.GREEN, why: str = "") -> MirrorFacts:
    """Return a mirror disk."""
    return MirrorFacts("md1", "md1", health, (MirrorSide(color, "ec1"), MirrorSide(color, "ec2")), why=why)


def facts(**changes: Any) -> MoveFacts:
    """Return a group that nothing keeps from being moved."""
    usual = MoveFacts(
        group="failover1",
        status="Online",
        current="ec1",
        source="ec1",
        target="ec2",
        other="ec2",
        other_ecx="Online",
        mirrors=PairMirrors((mirror(MirrorHealth.GREEN),)),
        source_host=HOST,
        target_host=replace(HOST, name="HOST-2"),
        vms=(VM,),
    )
    return replace(usual, **changes)


def only(found: tuple[MoveObjection, ...], check: MoveCheck) -> MoveObjection:
    """Return the only objection, which must be that check's, with a reason and a way out."""
    assert [check] == [one.check for one in found]
    assert all((found[0].what, found[0].seen, found[0].remedy))
    return found[0]


def test_nothing_speaks_against_a_move_of_what_is_well() -> None:
    """A pair that is well must be moved without an objection."""
    assert () == objections(facts())
    assert not facts().is_there
    assert facts(current="EC2").is_there


@pytest.mark.parametrize(
    ("status", "current", "way_out"),
    [
        ("Offline", "", "clpgrp -s failover1 -a ec2"),
        ("Online Pending", "ec2", "wait until"),
        ("Offline Pending", "ec1", "wait until"),
        ("Online Failure", "ec1", "wait until"),
        ("Online", "ec3", "wait until"),
        ("Online", "", "wait until"),
    ],
)
def test_a_group_that_is_not_online_is_not_moved(status: str, current: str, way_out: str) -> None:
    """A group that is off, failed, elsewhere, or in the middle of a failover must be refused."""
    found = only(refusals(objections(facts(status=status, current=current))), MoveCheck.GROUP)
    assert found.exit is Exit.NOT_AS_ASKED
    assert way_out in found.remedy


@pytest.mark.parametrize("status", ["Offline", "Suspend", "Online Pending", ""])
def test_no_move_while_the_other_ecx_is_not_online(status: str) -> None:
    """A server that is not Online must get no group."""
    assert only(refusals(objections(facts(other_ecx=status))), MoveCheck.ECX).exit is Exit.NOT_AS_ASKED


@pytest.mark.parametrize("health", [one for one in MirrorHealth if one is not MirrorHealth.GREEN])
def test_no_move_onto_a_mirror_that_is_not_green(health: MirrorHealth) -> None:
    """A mirror disk that is not GREEN on both, or that nobody can tell of, must keep the group where it is."""
    found = only(refusals(objections(facts(mirrors=PairMirrors((mirror(health),))))), MoveCheck.MIRROR)
    cannot_tell = health in (MirrorHealth.CANNOT_TELL, MirrorHealth.BOTH_UNKNOWN)
    assert found.exit is (Exit.CANNOT_TELL if cannot_tell else Exit.NOT_AS_ASKED)


def test_no_move_while_nobody_can_list_the_mirrors() -> None:
    """A clpmdstat that fails where a mirror is expected must keep the group where it is."""
    assert only(refusals(objections(facts(mirrors=PairMirrors(why="it fails")))), MoveCheck.MIRROR).exit is (
        Exit.CANNOT_TELL
    )


def test_one_green_mirror_of_two_is_not_enough() -> None:
    """Each mirror disk must be GREEN; the one that is not must be named, and only that one."""
    both = PairMirrors((mirror(MirrorHealth.GREEN), replace(mirror(MirrorHealth.ONE_RED), name="md2")))
    assert "md2" in only(refusals(objections(facts(mirrors=both))), MoveCheck.MIRROR).what


def test_a_cluster_without_mirror_disks_is_moved() -> None:
    """A shared disk must not be held against a move."""
    assert () == objections(facts(mirrors=PairMirrors()))


def test_a_peer_that_does_not_tell_of_its_mirrors_is_a_doubt() -> None:
    """Where this EC-VM shows GREEN on both and the other one cannot be asked, the person must decide."""
    found = objections(facts(mirrors=PairMirrors((mirror(MirrorHealth.GREEN),), peer_why="no login")))
    assert only(found, MoveCheck.MIRROR).is_doubt
    assert () == refusals(found)
    red = PairMirrors((mirror(MirrorHealth.ONE_RED),), peer_why="no login")
    assert 1 == len(objections(facts(mirrors=red)))


@pytest.mark.parametrize("which", ["source_host", "target_host"])
@pytest.mark.parametrize("code", [Exit.UNREACHABLE, Exit.LOGIN])
def test_no_move_while_a_host_cannot_be_asked(which: str, code: Exit) -> None:
    """A host that does not answer must keep the group where it is, with that host's exit code."""
    silent = MovingHost("HOST", trouble="no answer", exit=code)
    assert only(refusals(objections(facts(**{which: silent}))), MoveCheck.HOSTS).exit is code


@pytest.mark.parametrize("which", ["source_host", "target_host"])
@pytest.mark.parametrize("kind", [one for one in NodeKind if one is not NodeKind.UP])
def test_no_move_while_a_node_is_not_up(which: str, kind: NodeKind) -> None:
    """A cluster node that is paused, isolated or down takes no VM."""
    only(refusals(objections(facts(**{which: replace(HOST, node=kind)}))), MoveCheck.NODES)


def test_no_move_while_a_vm_is_in_maintenance() -> None:
    """A VM in maintenance would stay behind while its storage goes."""
    only(refusals(objections(facts(vms=(VM, replace(VM, name="vm2", maintenance=True))))), MoveCheck.MAINTENANCE)


@pytest.mark.parametrize(
    "vm",
    [
        replace(VM, on_source=VmOnHost(VmKind.DOWN, "Off")),
        replace(VM, on_source=ABSENT),
        replace(VM, on_source=VmOnHost(VmKind.PAUSED, "Paused")),
        replace(VM, on_source=VmOnHost(VmKind.CRITICAL, "PausedCritical")),
        replace(VM, on_source=VmOnHost(VmKind.RUNNING, "Running", Doing.MIGRATING, healthy=True)),
        replace(VM, on_source=VmOnHost(VmKind.RUNNING, "Running", Doing.HELD, healthy=True)),
        replace(VM, on_source=VmOnHost(VmKind.RUNNING, "Running", healthy=False)),
        replace(VM, on_target=RUNNING),
        replace(VM, lacks="two VMs may be meant"),
    ],
)
def test_no_move_of_a_vm_that_does_not_run_well(vm: MovingVm) -> None:
    """A VM that is off, paused, without storage, moving, held, ill, doubled or not known must be put in order first."""
    only(refusals(objections(facts(vms=(vm,)))), MoveCheck.VMS)


def test_a_vm_that_is_there_already_needs_nothing() -> None:
    """A VM that WSFC has moved already must cost no memory, no network and no migration."""
    there = replace(VM, on_source=ABSENT, on_target=RUNNING)
    poor = replace(HOST, name="HOST-2", free_memory=0.0, networks=(), migration=False)
    assert () == objections(facts(vms=(there,), target_host=poor))
    assert (True, True, False) == (there.is_there, there.runs, replace(VM, on_source=ABSENT).runs)


def test_no_move_without_the_memory() -> None:
    """A target that lacks the memory for all that comes must be refused, and one that has just enough be taken."""
    two = (VM, replace(VM, name="vm2"))
    small = replace(HOST, name="HOST-2", free_memory=7.9 * GIB)
    found = only(refusals(objections(facts(vms=two, target_host=small))), MoveCheck.MEMORY)
    assert "7.9 GB free, 8.0 GB needed" in found.seen
    assert () == objections(facts(vms=two, target_host=replace(small, free_memory=8.0 * GIB)))


@pytest.mark.parametrize(
    "changes", [{"vms": (replace(VM, memory=None),)}, {"target_host": replace(HOST, free_memory=None)}]
)
def test_memory_that_nobody_tells_is_a_doubt(changes: dict[str, Any]) -> None:
    """Where the memory is not told, a person must be told, and decide."""
    assert only(objections(facts(**changes)), MoveCheck.MEMORY).is_doubt


@pytest.mark.parametrize("which", ["source_host", "target_host"])
def test_no_move_where_a_host_does_not_live_migrate(which: str) -> None:
    """A host that takes no part in live migrations must keep the group where it is."""
    only(refusals(objections(facts(**{which: replace(HOST, migration=False)}))), MoveCheck.MIGRATION)


def test_no_move_without_a_network_for_it() -> None:
    """Without a network for live migration that is up nothing can be moved."""
    bare = replace(HOST, networks=())
    only(refusals(objections(facts(source_host=bare, target_host=bare))), MoveCheck.MIGRATION)


@pytest.mark.parametrize(
    "changes",
    [
        {"source_host": replace(HOST, networks=None), "target_host": replace(HOST, networks=None)},
        {"target_host": replace(HOST, migration=None)},
    ],
)
def test_networks_that_nobody_tells_are_a_doubt(changes: dict[str, Any]) -> None:
    """Where networks or a host's settings are not told, a person must be told, and decide."""
    assert only(objections(facts(**changes)), MoveCheck.MIGRATION).is_doubt


def test_the_plan_says_what_it_costs() -> None:
    """The plan must name the order, the hosts, the memory to copy, and that no VM will be stopped."""
    two = (VM, replace(VM, name="vm2"))
    steps = plan(facts(vms=two), "clpgrp -m failover1 -a ec2")
    assert "clpgrp -m failover1 -a ec2" in steps[0]
    assert "vm1, vm2 will be live-migrated from HOST-1 to HOST-2, 2 at a time: 8.0 GB of memory to copy" == steps[2]
    assert "no VM will be stopped" == steps[-1]
    unknown = plan(facts(vms=(replace(VM, memory=None),), source_host=replace(HOST, most=None)), "")
    assert "how much memory is not told" in unknown[2]
    assert 3 == len(plan(facts(vms=(replace(VM, on_source=ABSENT, on_target=RUNNING),)), ""))
