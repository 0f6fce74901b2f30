"""What a dry run foresees: the steps that the decisions give, one after the other, to the end that they have."""

from dataclasses import replace
from typing import Any

import pytest

from ecx_hyperv.decide.facts import Contact, Identity, Observation, Place, Side, VmOnHost
from ecx_hyperv.decide.foresee import Foreseen, after, of_start, of_stop
from ecx_hyperv.decide.states import Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Wait
from ecx_hyperv.decide.stops import Factor, StopRequest
from ecx_hyperv.exits import Exit
from tests.decide.support import NAMES

RUNNING = VmOnHost(VmKind.RUNNING, "Running", healthy=True)
OFF = VmOnHost(VmKind.DOWN, "Off")
ABSENT = VmOnHost(VmKind.ABSENT)
OFFLINE, ONLINE, FAILED = ResourceKind.OFFLINE, ResourceKind.ONLINE, ResourceKind.FAILED
BY_HAND = StopRequest(factor=Factor.NONE, by_hand=True)


def see(**changes: Any) -> Observation:
    """Return a VM that is the local host's, whose guest nobody has asked about yet."""
    return replace(Observation(names=NAMES), **changes)


def does(found: Foreseen) -> list[Do]:
    """Return what will be done."""
    return [step.do for step in found.steps if isinstance(step, Act)]


def test_a_start_of_a_vm_that_is_registered_nowhere() -> None:
    """The whole way must be foreseen, from the storage to the power, and its end."""
    seen = see(
        iscsi=False,
        csv=OFFLINE,
        csv_owner=Place.PEER,
        group=GroupKind.OFFLINE,
        machine=OFFLINE,
        configuration=OFFLINE,
        on_local=ABSENT,
        on_peer=ABSENT,
        peer=Contact.ANSWERS,
    )
    found = of_start(seen, Act(Do.RECONNECT_ISCSI, Side.LOCAL, "it is not connected"))
    assert [Do.RECONNECT_ISCSI, Do.START_CSV, Do.MOVE_CSV, Do.START_CONFIGURATION, Do.START_VM] == does(found)
    assert isinstance(found.end, Done)


def test_a_start_of_a_vm_that_runs_on_the_peer() -> None:
    """A live migration must be foreseen as the last step."""
    seen = see(owner=Place.PEER, on_local=ABSENT, on_peer=RUNNING, peer=Contact.ANSWERS)
    found = of_start(seen, Act(Do.MIGRATE_LIVE, Side.LOCAL, "it runs there"))
    assert [Do.MIGRATE_LIVE] == does(found)
    assert isinstance(found.end, Done)


@pytest.mark.parametrize("configuration", [ONLINE, OFFLINE])
def test_a_start_of_a_vm_that_is_off_on_the_peer(configuration: ResourceKind) -> None:
    """A quick migration, the registration where it lacks, and the power must be foreseen."""
    on_peer = OFF if configuration is ONLINE else ABSENT
    seen = see(
        owner=Place.PEER,
        group=GroupKind.OFFLINE,
        machine=OFFLINE,
        configuration=configuration,
        on_local=ABSENT,
        on_peer=on_peer,
        peer=Contact.ANSWERS,
    )
    found = of_start(seen, Act(Do.MIGRATE_QUICK, Side.LOCAL, "it is off there"))
    more = [] if configuration is ONLINE else [Do.START_CONFIGURATION]
    assert [Do.MIGRATE_QUICK, *more, Do.START_VM] == does(found)


def test_a_failed_group_is_cleared_first() -> None:
    """What clears a failed group must be foreseen in front of the power."""
    seen = see(group=GroupKind.FAILED, machine=FAILED, on_local=OFF)
    assert [Do.CLEAR_FAILED, Do.START_VM] == does(of_start(seen, Act(Do.CLEAR_FAILED, Side.LOCAL, "failed")))


def test_a_guest_on_the_peer_that_is_paused() -> None:
    """A guest that is Paused on the peer host must be resumed there, and then migrated."""
    seen = see(owner=Place.PEER, on_local=ABSENT, on_peer=VmOnHost(VmKind.PAUSED, "Paused"), peer=Contact.ANSWERS)
    assert [Do.RESUME_VM, Do.MIGRATE_LIVE] == does(of_start(seen, Act(Do.RESUME_VM, Side.PEER, "it is paused")))


def test_a_wait_that_lasts_leads_to_the_end_that_the_decisions_have() -> None:
    """Where nothing is on its way, a wait must be foreseen to the failure that it leads to."""
    odd = see(on_local=VmOnHost(VmKind.ODD, "Other"))
    assert of_start(odd, Wait("it is Other")).end is None, "a guest in an unknown state may be on its way"
    paused = see(local_node=NodeKind.PAUSED, on_local=OFF, machine=OFFLINE, group=GroupKind.OFFLINE)
    end = of_start(paused, Wait("node is paused")).end
    assert isinstance(end, Fail)
    assert end.exit is Exit.OUT_OF_TIME


def test_a_wait_for_what_is_on_its_way_is_not_foreseen() -> None:
    """What follows a migration that others began must be left open."""
    seen = see(group=GroupKind.PENDING)
    assert of_start(seen, Wait("it is being moved")).end is None
    pending = see(csv=ResourceKind.PENDING, on_local=OFF)
    assert of_start(pending, Wait("the volume comes")).end is None


def test_a_host_that_has_just_restarted_is_not_foreseen() -> None:
    """Hyper-V that does not know its VMs yet must be given its time: nobody can say what it will show."""
    assert of_start(see(on_local=VmOnHost(VmKind.UNREADABLE)), Wait("Hyper-V does not say how it is")).end is None


def test_a_wait_that_leads_on() -> None:
    """A wait that only takes its time must be foreseen to the steps behind it."""
    lost = see(
        owner=Place.PEER,
        peer=Contact.SILENT,
        peer_node=NodeKind.ISOLATED,
        on_local=ABSENT,
        machine=ONLINE,
    )
    assert Do.MIGRATE_LOST in does(of_start(lost, Wait("its host is silent")))


def test_a_step_that_would_come_again_ends_what_can_be_foreseen() -> None:
    """A step that does not change what called for it must not be foreseen without end."""
    seen = see(owner=Place.PEER, on_local=RUNNING, csv_owner=Place.PEER)
    found = of_start(seen, Act(Do.START_CSV, Side.LOCAL, "to bring it online"))
    assert len(found.steps) <= 12
    again = of_stop(see(), Act(Do.ADOPT, Side.LOCAL, "adopt"), BY_HAND)
    assert len(again.steps) <= 12
    twice = of_start(see(iscsi=False, on_local=OFF), Act(Do.RECONNECT_ISCSI, Side.PEER, "there"))
    assert [Do.RECONNECT_ISCSI, Do.RECONNECT_ISCSI] == does(twice)
    assert twice.end is None


def test_a_stop_of_a_vm_that_runs() -> None:
    """A stop must be foreseen from the request to the guest to the unregistered VM."""
    seen = see(on_local=RUNNING, on_peer=ABSENT, peer=Contact.ANSWERS)
    found = of_stop(seen, Act(Do.SHUT_DOWN, Side.LOCAL, "it is Running"), BY_HAND)
    assert [Do.SHUT_DOWN, Do.STOP_CONFIGURATION] == does(found)
    assert isinstance(found.end, Done)


def test_a_stop_of_a_guest_without_storage() -> None:
    """A guest whose storage is away must be foreseen to get it back, and then to be asked."""
    seen = see(on_local=VmOnHost(VmKind.CRITICAL, "PausedCritical"), on_peer=ABSENT, peer=Contact.ANSWERS)
    found = of_stop(seen, Act(Do.RECONNECT_ISCSI, Side.LOCAL, "its storage is away"), BY_HAND)
    assert [Do.RECONNECT_ISCSI, Do.SHUT_DOWN, Do.STOP_CONFIGURATION] == does(found)


def test_a_stop_of_a_guest_that_is_being_moved() -> None:
    """A migration that is cancelled must be foreseen to leave the guest where it is, to be asked there."""
    moving = VmOnHost(VmKind.RUNNING, "Running", Doing.MIGRATING)
    seen = see(group=GroupKind.PENDING, on_local=moving, on_peer=ABSENT, peer=Contact.ANSWERS)
    found = of_stop(seen, Act(Do.CANCEL_MOVE, Side.LOCAL, "it takes too long"), BY_HAND)
    assert [Do.CANCEL_MOVE, Do.SHUT_DOWN, Do.STOP_CONFIGURATION] == does(found)


def test_a_stop_through_the_cluster() -> None:
    """A guest whose host does not say how it is must be foreseen to be stopped through the cluster."""
    seen = see(local=Contact.TROUBLED, observer=Side.PEER, on_peer=ABSENT, peer=Contact.ANSWERS)
    found = of_stop(seen, Wait("its host does not say how it is"), BY_HAND)
    assert Do.STOP_MACHINE in does(found)
    elsewhere = see(owner=Place.ELSEWHERE, on_local=ABSENT, on_peer=ABSENT, peer=Contact.ANSWERS)
    third = of_stop(elsewhere, Act(Do.STOP_MACHINE, Side.LOCAL, "a third node"), BY_HAND)
    assert [Do.STOP_MACHINE, Do.STOP_CONFIGURATION] == does(third)


def test_a_stop_that_nobody_can_tell_the_end_of() -> None:
    """A stop that waits for what does not change must be foreseen to end as at its deadline."""
    seen = see(identity=Identity.UNREAD, local=Contact.TROUBLED, on_peer=ABSENT, peer=Contact.ANSWERS)
    end = of_stop(seen, Wait("no database says which VM it is"), BY_HAND).end
    assert isinstance(end, Fail)
    assert end.exit is Exit.CANNOT_TELL


def test_what_a_volume_becomes() -> None:
    """A volume that is taken offline must be foreseen offline, one that is moved online here."""
    seen = see()
    assert after(seen, Act(Do.STOP_CSV, Side.LOCAL, "unused")).csv is OFFLINE
    assert after(seen, Act(Do.MOVE_CSV, Side.LOCAL, "elsewhere")).csv_owner is Place.LOCAL


def test_every_step_leads_somewhere() -> None:
    """What each step makes of what is seen must be known: a step that is new must not be forgotten here."""
    for do in Do:
        assert isinstance(after(see(), Act(do, Side.LOCAL, "")), Observation)
