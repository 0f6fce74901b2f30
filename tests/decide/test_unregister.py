"""vm-unregister's table, row by row, but for how a live guest is brought down (test_power)."""

from dataclasses import replace
from typing import Any

import pytest

from ecx_hyperv.decide.facts import Contact, Identity, Observation, Place, Side
from ecx_hyperv.decide.off_for_stop import proof_for_stop
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.states import VM_STATES, Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.decide.stops import Factor, StopAttempts, StopRequest
from ecx_hyperv.decide.unregister import decide, out_of_time, timers, without_contact
from ecx_hyperv.exits import Exit
from tests.decide.support import (
    ABSENT,
    EVERY_TIMER,
    FAILED,
    OFF,
    OFFLINE,
    ONLINE,
    PENDING,
    RUNNING,
    UNKNOWN,
    UNREADABLE,
    act_of,
    at_peer,
    do_of,
    exit_of,
    here,
    lost,
    off_at_peer,
    off_here,
    vm,
)
from tests.decide.support import stop_tried as tried

GROUPSTOP = StopRequest(factor=Factor.GROUPSTOP)
RECENT = Retry.RECENT
TWICE = Timer.OFF_TWICE
PATIENT = Timer.OWNER_UNREADABLE
BLIND = {"observer": None, "owner": Place.NOWHERE}


def stop(seen: Observation, *over: Timer, **what: Any) -> Step:
    """Return the next step of a GROUPSTOP."""
    return decide(seen, GROUPSTOP, tried(*over, **what))


def test_a_group_move_stops_nothing() -> None:
    """On a move of the group the VM is left: the start on the other EC-VM migrates it."""
    step = decide(here(), StopRequest(factor=Factor.GROUPMOVE), StopAttempts())

    assert isinstance(step, Done)
    assert step.stays


@pytest.mark.defect(41)
def test_without_a_factor_nothing_is_stopped() -> None:
    """Without CLP_FACTOR and without --yes a stop is a usage error."""
    assert Exit.USAGE is exit_of(decide(here(), StopRequest(factor=Factor.NONE), StopAttempts()))


def test_by_hand_it_is_stopped() -> None:
    """With --yes a VM is stopped whatever the factor."""
    for factor in Factor:
        assert Do.SHUT_DOWN is do_of(decide(here(), StopRequest(factor=factor, by_hand=True), StopAttempts()))


@pytest.mark.parametrize(
    ("factor", "stays"),
    [
        (Factor.GROUPSTOP, False),
        (Factor.CLUSTERSHUTDOWN, False),
        (Factor.GROUPFAILOVER, True),
        (Factor.SERVERSHUTDOWN, True),
        (Factor.RESOURCERESTART, True),
        (Factor.OTHER, True),
    ],
)
@pytest.mark.parametrize("seen", [at_peer(), here(on_local=vm("Running", Doing.MIGRATING))])
def test_a_vm_that_wsfc_has_moved_is_followed(factor: Factor, stays: bool, seen: Observation) -> None:
    """A VM that is healthy on the peer host, or on its way there, is left to run unless a stop of all is meant."""
    step = decide(seen, StopRequest(factor=factor), StopAttempts())

    assert stays is (isinstance(step, Done) and step.stays)


@pytest.mark.parametrize(
    ("asked", "seen", "stays"),
    [
        (StopRequest(factor=Factor.GROUPFAILOVER, ecx_peer_online=True), here(), True),
        (StopRequest(factor=Factor.GROUPFAILOVER, ecx_peer_online=False), here(), False),
        (StopRequest(factor=Factor.GROUPFAILOVER, ecx_peer_online=True), here(on_local=vm("Running")), False),
        (StopRequest(factor=Factor.SERVERSHUTDOWN, ecx_peer_online=True), here(), False),
    ],
)
def test_a_healthy_guest_survives_a_failover(asked: StopRequest, seen: Observation, stays: bool) -> None:
    """On a failover to an EC-VM that is online, a guest that is healthy here is left to be migrated."""
    step = decide(seen, asked, StopAttempts())

    assert stays is (isinstance(step, Done) and step.stays)


@pytest.mark.parametrize("state", ["Off", "Saved", "OffCritical", "SavedCritical", "FastSavedCritical"])
def test_what_is_off_is_unregistered_in_a_later_look(state: str) -> None:
    """A guest that is off needs no power cut: in two looks that lie together it is unregistered, where it is."""
    seen = off_here(on_local=vm(state))

    assert Wait is type(stop(seen, *EVERY_TIMER - {TWICE, Timer.BLIND_OFF, Timer.OFF}))
    assert Wait is type(stop(replace(seen, is_fresh=False), TWICE))
    assert (Do.STOP_CONFIGURATION, Side.LOCAL) == act_of(stop(seen, TWICE))
    assert Look is type(stop(replace(seen, peer=Contact.UNASKED, on_peer=UNREADABLE), TWICE))
    assert Wait is type(stop(seen, TWICE, unregister=RECENT))


def test_the_cluster_is_asked_where_its_service_answers() -> None:
    """What any node can do for the cluster is done on the host whose cluster service answers."""
    seen = off_at_peer(observer=Side.PEER, local=Contact.SILENT, on_local=UNREADABLE)

    assert (Do.STOP_CONFIGURATION, Side.PEER) == act_of(stop(seen, TWICE))


@pytest.mark.defect(37)
@pytest.mark.parametrize("configuration", [OFFLINE, FAILED])
def test_a_vm_that_is_off_and_unregistered_is_done(configuration: ResourceKind) -> None:
    """A stop of what is stopped succeeds."""
    seen = off_here(on_local=ABSENT if configuration is OFFLINE else OFF, configuration=configuration)

    assert Done("web1 is off and unregistered") == stop(seen, TWICE)


def test_a_failed_resource_is_cleared_only_where_the_guest_is_shown_down() -> None:
    """A failed group is cleared a limited number of times, for a guest that Get-VM shows down (39)."""
    seen = off_here(machine=FAILED, group=GroupKind.FAILED)

    assert Do.CLEAR_FAILED is do_of(stop(seen, TWICE))
    assert Wait is type(stop(seen, TWICE, clears=RECENT))
    assert Wait is type(stop(seen, TWICE, clears=Retry.USED_UP))
    assert Done is type(stop(seen, TWICE, Timer.OFF, clears=Retry.USED_UP))
    assert Done is type(stop(replace(seen, on_local=ABSENT, configuration=OFFLINE), TWICE))


def test_a_guest_shown_down_stays_off_after_this_runs_own_clear() -> None:
    """What was shown down, cleared and unregistered by this run goes on to count as off, though it is absent then."""
    assert Do.STOP_CONFIGURATION is do_of(stop(off_here(), TWICE, cleared=True))
    # A clear in a look that showed the guest down is not counted as `cleared`: see off.clear_proves_nothing.
    assert Done("web1 is off and unregistered") == stop(off_here(on_local=ABSENT, configuration=OFFLINE), TWICE)


@pytest.mark.parametrize("what", [{"clears": RECENT}, {"unregister": RECENT}])
def test_what_is_left_over_fails_no_stop(what: dict[str, Any]) -> None:
    """Once the guest is off, what cannot be unregistered for `leftover` is left, at WARN."""
    step = stop(off_here(), TWICE, Timer.OFF, **what)

    assert isinstance(step, Done)
    assert step.warn
    assert not step.stays


def test_a_guest_that_is_lost_with_its_host_stays_registered() -> None:
    """What a lost host owns is not unregistered, which it could not be: the stop is done, at WARN."""
    for seen, over in (
        (lost(peer_node=NodeKind.DOWN), ()),
        (lost(), (Timer.OWNER_SILENT,)),
        (at_peer(peer_node=NodeKind.ISOLATED, on_peer=OFF), ()),
    ):
        assert Wait is type(stop(seen, *over))
        step = stop(seen, *over, TWICE)
        assert isinstance(step, Done)
        assert step.warn
        assert not step.stays


@pytest.mark.parametrize(("what", "over", "expected"), [({}, (), Wait), ({}, (Timer.BUSY,), Do.CANCEL_MOVE)])
def test_a_vm_between_the_hosts_is_not_off(what: dict[str, Any], over: tuple[Timer, ...], expected: Any) -> None:
    """While its group moves, a guest that is down may be about to start: it is waited for, then cancelled."""
    moving = {"group": GroupKind.PENDING, "on_local": vm("Saved")}
    for seen in (off_here(**moving), off_here(**{**moving, "on_local": ABSENT, "configuration": OFFLINE})):
        step = stop(seen, *over, TWICE, **what)
        assert expected in (type(step), do_of(step))
        assert Wait is type(stop(seen, TWICE, Timer.BUSY, cancelled=True))
        assert Timer.OFF not in timers(seen, GROUPSTOP, tried())
    settled = stop(off_here(**moving), TWICE, Timer.BUSY, Timer.CANCELLED, cancelled=True)
    assert Do.STOP_CONFIGURATION is do_of(settled)
    assert Do.STOP_CONFIGURATION is do_of(stop(off_here(**moving), TWICE, hurry=True))
    absent = off_here(on_local=ABSENT, configuration=OFFLINE, group=GroupKind.PENDING)
    assert Wait is type(stop(absent, TWICE, hurry=True))
    assert Done is type(stop(absent, TWICE, Timer.OFF, hurry=True))


@pytest.mark.parametrize("make", [here, at_peer])
@pytest.mark.parametrize("node", [NodeKind.UP, NodeKind.PAUSED])
def test_a_host_that_cannot_be_asked_is_given_patience_then_the_cluster_stops_the_vm(make: Any, node: NodeKind) -> None:
    """An owner's host that cannot be read has `patience`; then the cluster stops VM, then configuration (D8)."""
    side, contact, name = ("on_local", "local", "local_node") if make is here else ("on_peer", "peer", "peer_node")
    observer = Side.PEER if make is here else Side.LOCAL
    for trouble in (Contact.SILENT, Contact.TROUBLED, Contact.ANSWERS):
        seen = make(**{side: UNREADABLE, contact: trouble, name: node, "observer": observer, "machine": ONLINE})
        assert Wait is type(stop(seen, *EVERY_TIMER - {PATIENT}))
        assert (Do.STOP_MACHINE, observer) == act_of(stop(seen, PATIENT))
        assert (Do.STOP_MACHINE, observer) == act_of(stop(seen, hurry=True))
        for retry in (RECENT, Retry.USED_UP):
            assert Wait is type(stop(seen, PATIENT, machine_stop=retry))
        stopped = replace(seen, machine=OFFLINE)
        assert Wait is type(stop(stopped, PATIENT, machine_stopped=True))
        assert Timer.STOPPED_TWICE in timers(stopped, GROUPSTOP, tried())
        assert (Do.STOP_CONFIGURATION, observer) == act_of(stop(stopped, PATIENT, Timer.STOPPED_TWICE))
        assert Wait is type(stop(stopped, PATIENT, Timer.STOPPED_TWICE, unregister=RECENT))
        assert Done is type(stop(replace(stopped, configuration=OFFLINE), PATIENT, TWICE, machine_stopped=True))


@pytest.mark.parametrize("machine", [FAILED, PENDING, UNKNOWN, ResourceKind.ABSENT])
def test_the_cluster_stops_only_what_it_calls_online(machine: ResourceKind) -> None:
    """A Failed VM resource is not cleared, and no configuration is stopped under one that is not Offline (3.5)."""
    step = stop(lost(peer_node=NodeKind.UP, machine=machine), *EVERY_TIMER - {Timer.OFF})

    assert isinstance(step, Wait)
    assert machine is PENDING or machine.value in step.why


def test_a_configuration_on_its_way_is_waited_for() -> None:
    """While the configuration is Pending nothing more is asked of the cluster."""
    seen = lost(peer_node=NodeKind.UP, configuration=PENDING)

    assert Wait is type(stop(seen, *EVERY_TIMER))


@pytest.mark.parametrize(
    ("what", "over", "expected"),
    [
        ({}, (PATIENT,), None),
        ({}, (PATIENT, Timer.GRACE), Do.STOP_MACHINE),
        ({"hurry": True}, (), Do.STOP_MACHINE),
    ],
)
def test_a_guest_that_shuts_down_unseen_has_its_grace(
    what: dict[str, Any], over: tuple[Timer, ...], expected: Do | None
) -> None:
    """A guest that was asked to shut down is not saved in the middle of it because its host's session broke."""
    seen = here(local=Contact.TROUBLED, on_local=UNREADABLE)

    assert expected is do_of(stop(seen, *over, asked_once=True, **what))


@pytest.mark.parametrize("node", [NodeKind.ISOLATED, NodeKind.JOINING, NodeKind.UNKNOWN, NodeKind.DOWN])
@pytest.mark.parametrize("hurry", [False, True])
def test_an_owner_that_shows_life_and_is_no_member_is_waited_for(node: NodeKind, hurry: bool) -> None:
    """Of a host that refuses, breaks off or makes no sense, and whose node is out, nobody can tell: wait."""
    step = stop(lost(peer=Contact.TROUBLED, peer_node=node), *EVERY_TIMER - {PATIENT}, hurry=hurry)

    assert isinstance(step, Wait)
    assert node.value in step.why


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (off_here(machine=UNKNOWN), "shows web1 Off, the cluster calls its resource unknown"),
        (off_here(machine=PENDING), "its resource pending"),
        (off_here(machine=ResourceKind.ABSENT), "its resource absent"),
        (off_here(on_local=ABSENT, configuration=UNKNOWN), "does not know web1, the cluster calls"),
    ],
)
def test_a_message_says_what_a_host_said(seen: Observation, words: str) -> None:
    """A host that says how the VM is, is not said to be mute."""
    step = stop(seen, *EVERY_TIMER - {Timer.BLIND_OFF})

    assert isinstance(step, Wait)
    assert words in step.why


def test_an_owner_that_is_nowhere_or_not_asked() -> None:
    """What the cluster cannot tell is waited for, and a host that was not asked yet is asked."""
    assert Wait is type(stop(here(owner=Place.NOWHERE, on_local=ABSENT), *EVERY_TIMER))
    assert Look is type(stop(at_peer(peer=Contact.UNASKED, on_peer=UNREADABLE), *EVERY_TIMER))


def test_what_a_third_node_owns_is_stopped_through_the_cluster() -> None:
    """A VM that a third node owns is stopped through the cluster; both resources Offline by that is off."""
    seen = here(owner=Place.ELSEWHERE, on_local=ABSENT)
    stopped = replace(seen, machine=OFFLINE)
    gone = replace(stopped, configuration=OFFLINE)

    assert Do.STOP_MACHINE is do_of(stop(seen))
    assert Do.STOP_CONFIGURATION is do_of(stop(stopped, Timer.STOPPED_TWICE, machine_stopped=True))
    assert Done is type(stop(gone, TWICE, machine_stopped=True))
    assert Wait is type(stop(gone, TWICE))
    assert Wait is type(stop(gone, TWICE, machine_stopped=True, cleared=True))
    assert proof_for_stop(stopped, tried(machine_stopped=True)) is None
    assert proof_for_stop(replace(gone, observer=None), tried(machine_stopped=True)) is None


@pytest.mark.parametrize("on_peer", [OFF, ABSENT])
def test_without_any_cluster_service_both_hosts_must_say_so_for_long(on_peer: Any) -> None:
    """By (e) a stop is done, at WARN, once both hosts showed nothing live for `settle`."""
    seen = here(**BLIND, on_local=OFF, on_peer=on_peer)

    assert Wait is type(stop(seen, *EVERY_TIMER - {Timer.BLIND_OFF}))
    step = stop(seen, Timer.BLIND_OFF)
    assert isinstance(step, Done)
    assert step.warn
    assert Timer.BLIND_OFF in timers(seen, GROUPSTOP, tried())


@pytest.mark.parametrize(
    ("peer", "expected"), [(Contact.UNASKED, Look), (Contact.SILENT, Wait), (Contact.TROUBLED, Wait)]
)
def test_without_any_cluster_service_a_host_that_cannot_be_asked_is_waited_for(
    peer: Contact, expected: type[Step]
) -> None:
    """One host alone cannot tell where the VM is."""
    assert expected is type(stop(here(**BLIND, on_local=OFF, peer=peer, on_peer=UNREADABLE), *EVERY_TIMER))


@pytest.mark.parametrize(
    ("peer", "expected"), [(Contact.ANSWERS, Wait), (Contact.UNASKED, Look), (Contact.SILENT, Wait)]
)
@pytest.mark.parametrize("state", ["Running", "Off", "Paused"])
def test_nothing_is_done_to_a_vm_of_which_no_id_is_known(peer: Contact, expected: type[Step], state: str) -> None:
    """While no database says which VM is meant, nothing is done, whatever bears its name."""
    for hurry in (False, True):
        seen = off_here(identity=Identity.UNREAD, on_local=vm(state), peer=peer)
        assert expected is type(stop(seen, *EVERY_TIMER, hurry=hurry))


CONTRADICTION = [off_here(machine=ONLINE), off_at_peer(machine=ONLINE), here(on_local=ABSENT)]


@pytest.mark.parametrize("seen", CONTRADICTION)
def test_on_a_contradiction_nothing_is_stopped_before_it_has_lasted(seen: Observation) -> None:
    """On a contradiction nothing is done for `settle`; then the cluster stops the VM resource (D2)."""
    assert Wait is type(stop(seen, *EVERY_TIMER - {Timer.CONTRADICTION}))
    assert Timer.CONTRADICTION in timers(seen, GROUPSTOP, tried())
    assert Do.STOP_MACHINE is do_of(stop(seen, Timer.CONTRADICTION))
    assert Do.STOP_MACHINE is do_of(stop(seen, hurry=True))
    for retry in (RECENT, Retry.USED_UP):
        assert Wait is type(stop(seen, Timer.CONTRADICTION, machine_stop=retry))


@pytest.mark.parametrize(("over", "hurry"), [((Timer.CONTRADICTION,), False), ((), True)])
def test_where_the_cluster_does_not_take_it_a_guest_shown_down_is_off(over: tuple[Timer, ...], hurry: bool) -> None:
    """Once the cluster was asked, a guest shown down on its owner's host in two looks is off: done, at WARN."""
    what: dict[str, Any] = {"machine_stopped": True, "machine_stop": RECENT, "hurry": hurry}
    step = stop(off_here(machine=ONLINE), *over, TWICE, **what)

    assert isinstance(step, Done)
    assert step.warn
    assert Wait is type(stop(off_here(machine=ONLINE), *over, **what))
    assert Wait is type(stop(off_here(machine=ONLINE), *over, TWICE, **{**what, "machine_stopped": False}))
    assert Wait is type(stop(here(on_local=ABSENT), *over, TWICE, **what))
    assert Wait is type(stop(off_here(machine=ONLINE), TWICE, **{**what, "hurry": False}))
    out = out_of_time(off_here(machine=ONLINE), tried(*over, TWICE, **what), "why")
    assert isinstance(out, Done)


@pytest.mark.parametrize(
    ("machine", "over", "expected"),
    [
        (OFFLINE, (Timer.CONTRADICTION, Timer.STOPPED_TWICE), Do.STOP_CONFIGURATION),
        (OFFLINE, (Timer.CONTRADICTION,), None),
        (OFFLINE, (Timer.STOPPED_TWICE,), None),
        (FAILED, (Timer.CONTRADICTION,), Do.STOP_CONFIGURATION),
        (FAILED, (), None),
        (UNKNOWN, (Timer.CONTRADICTION, Timer.STOPPED_TWICE), None),
    ],
)
def test_a_vm_that_hyperv_does_not_know_is_unregistered_through_the_cluster(
    machine: ResourceKind, over: tuple[Timer, ...], expected: Do | None
) -> None:
    """Absent with its configuration Online: once its resource is stopped, its configuration is, and both prove it."""
    assert expected is do_of(stop(here(on_local=ABSENT, machine=machine), *over))
    assert Wait is type(stop(here(on_local=ABSENT, machine=machine), *over, unregister=RECENT))
    assert Done is type(stop(here(on_local=ABSENT, machine=OFFLINE, configuration=OFFLINE), *over, TWICE))


@pytest.mark.parametrize("configuration", [FAILED, PENDING, UNKNOWN])
def test_an_unsettled_configuration_of_a_vm_that_no_host_knows_proves_nothing_before_it_has_lasted(
    configuration: ResourceKind,
) -> None:
    """Absent on both hosts with its configuration unsettled, a VM is off only once that has lasted settle (e)."""
    seen = here(on_local=ABSENT, on_peer=ABSENT, peer=Contact.ANSWERS, machine=FAILED, configuration=configuration)
    unlasting = EVERY_TIMER - {Timer.BLIND_OFF}

    assert Wait is type(stop(seen, *unlasting))
    assert Exit.CANNOT_TELL is exit_of(out_of_time(seen, tried(*unlasting), "why"))
    assert Done is type(stop(seen, *EVERY_TIMER))
    assert Done is type(out_of_time(seen, tried(*EVERY_TIMER), "why"))
    assert isinstance(stop(here(on_local=ABSENT, machine=FAILED, configuration=configuration), *unlasting), Wait)


def test_what_the_cluster_goes_on_bringing_up_is_stopped_once_no_host_has_shown_it_for_settle() -> None:
    """A VM resource that is Pending under a VM that no host knows is stopped through the cluster, in the end."""
    seen = here(on_local=ABSENT, on_peer=ABSENT, peer=Contact.ANSWERS, machine=PENDING, configuration=PENDING)

    assert Wait is type(stop(seen, *EVERY_TIMER - {Timer.BLIND_OFF}))
    assert Do.STOP_MACHINE is do_of(stop(seen, *EVERY_TIMER))


NO_ROLE = {"identity": Identity.NO_ROLE, "owner": Place.NOWHERE, "group": GroupKind.ABSENT}


@pytest.mark.parametrize("make", [here, at_peer])
def test_a_vm_in_no_role_is_asked_for_its_grace_and_never_turned_off(make: Any) -> None:
    """A VM that is in no role is asked where it runs; still running after its grace, it is left, with an alert."""
    seen = make(**NO_ROLE)

    assert Do.SHUT_DOWN is do_of(stop(seen, *EVERY_TIMER - {Timer.LEFT_RUNNING}))
    assert Wait is type(stop(seen, *EVERY_TIMER - {Timer.LEFT_RUNNING}, asked_once=True, shutdown=RECENT))
    for over, hurry in (((Timer.LEFT_RUNNING,), False), ((), True)):
        step = stop(seen, *over, hurry=hurry, asked_once=True)
        assert isinstance(step, Done)
        assert step.stays
        assert step.alarm
        assert step.warn
    assert Timer.LEFT_RUNNING in timers(seen, GROUPSTOP, tried(asked_once=True))
    assert Timer.LEFT_RUNNING not in timers(seen, GROUPSTOP, tried())
    assert Timer.LEFT_RUNNING not in timers(make(), GROUPSTOP, tried(asked_once=True))


@pytest.mark.parametrize("state", ["Paused", "PausedCritical"])
def test_what_cannot_be_asked_in_no_role_is_left(state: str) -> None:
    """A VM in no role that cannot be asked as it is, is left as it is; one that was asked has its grace."""
    step = stop(here(**NO_ROLE, on_local=vm(state)))

    assert isinstance(step, Done)
    assert step.stays
    assert step.alarm
    assert Wait is type(stop(here(**NO_ROLE, on_local=vm(state)), asked_once=True, shutdown=RECENT))


@pytest.mark.parametrize("state", ["Stopping", "Starting", "StoppingCritical", "Other"])
def test_a_transition_in_no_role_is_waited_for(state: str) -> None:
    """A VM in no role that is on its way to another state may soon be off, or be asked."""
    assert Wait is type(stop(here(**NO_ROLE, on_local=vm(state)), *EVERY_TIMER - {Timer.LEFT_RUNNING}))
    assert Done is type(stop(here(**NO_ROLE, on_local=vm(state)), hurry=True))


def test_only_the_name_fits() -> None:
    """A VM of that name in no role is left, and the volume, once both hosts were asked for the known id."""
    seen = off_here(**NO_ROLE, names_fit=True, on_local=ABSENT)
    step = stop(seen)

    assert isinstance(step, Done)
    assert step.stays
    assert step.alarm
    assert Look is type(stop(replace(seen, peer=Contact.UNASKED, on_peer=UNREADABLE)))
    assert Do.SHUT_DOWN is do_of(stop(replace(seen, on_peer=RUNNING)))


@pytest.mark.parametrize(
    ("changes", "over", "expected"),
    [
        ({}, (), Done),
        ({"peer": Contact.SILENT, "on_peer": UNREADABLE}, (), Wait),
        ({"peer": Contact.SILENT, "on_peer": UNREADABLE}, (Timer.PEER_AWAY,), Done),
        ({"peer": Contact.TROUBLED, "on_peer": UNREADABLE}, (Timer.PEER_AWAY,), Done),
        ({"peer": Contact.SILENT, "on_peer": UNREADABLE, "peer_node": NodeKind.DOWN}, (), Done),
        ({"peer": Contact.SILENT, "on_peer": UNREADABLE, "peer_node": NodeKind.ISOLATED}, (), Wait),
        ({"local": Contact.SILENT, "on_local": UNREADABLE}, (Timer.PEER_AWAY,), Wait),
        ({"peer": Contact.UNASKED, "on_peer": UNREADABLE}, (), Look),
    ],
)
def test_what_is_in_no_role_and_nowhere_is_done(
    changes: dict[str, Any], over: tuple[Timer, ...], expected: type[Step]
) -> None:
    """A VM in no role that no host has known for settle is done, at WARN, and its volume stays: it may be on it."""
    seen = off_here(**{**NO_ROLE, "on_local": ABSENT, **changes})
    step = stop(seen, *over, Timer.BLIND_OFF)

    assert expected is type(step)
    if isinstance(step, Done):
        assert step.warn
        assert step.stays
        assert Wait is type(stop(seen, *over, TWICE))
        assert Timer.BLIND_OFF in timers(seen, GROUPSTOP, tried(*over))


@pytest.mark.parametrize(
    ("seen", "what", "expected"),
    [
        (here(), {}, set()),
        (here(), {"asked_once": True}, set()),
        (
            here(),
            {"asked_once": True, "answer": ShutdownAnswer.UNKNOWN},
            {Timer.GRACE, Timer.HALF_GRACE, Timer.TWICE_THE_GRACE},
        ),
        (off_here(), {"asked_once": True}, {TWICE, Timer.OFF, Timer.STOPPED_TWICE}),
        (off_here(group=GroupKind.PENDING), {}, {TWICE, Timer.BUSY, Timer.STOPPED_TWICE}),
        (off_here(group=GroupKind.PENDING), {"hurry": True}, {TWICE, Timer.BUSY, Timer.OFF, Timer.STOPPED_TWICE}),
        (lost(), {}, {Timer.OWNER_SILENT, PATIENT, Timer.PEER_AWAY}),
        (lost(peer=Contact.TROUBLED), {}, {PATIENT, Timer.PEER_AWAY}),
        (lost(peer=Contact.UNASKED), {}, set()),
        (here(owner=Place.NOWHERE, on_local=ABSENT), {}, set()),
        (off_here(machine=ONLINE), {}, {Timer.CONTRADICTION}),
    ],
)
def test_timers(seen: Observation, what: dict[str, Any], expected: set[Timer]) -> None:
    """Each timer runs exactly while what it times is seen."""
    assert expected == timers(seen, GROUPSTOP, tried(**what))


@pytest.mark.parametrize(
    ("seen", "over", "expected"),
    [
        (here(), (), Exit.OUT_OF_TIME),
        (at_peer(), (), Exit.OUT_OF_TIME),
        (here(on_local=vm("Saving")), tuple(Timer), Exit.OUT_OF_TIME),
        (lost(), (), Exit.CANNOT_TELL),
        (off_here(), (), Exit.CANNOT_TELL),
        (off_here(machine=ONLINE), (), Exit.CANNOT_TELL),
        (None, (), Exit.CANNOT_TELL),
        (off_here(), (TWICE,), None),
        (lost(peer_node=NodeKind.DOWN), (TWICE,), None),
        (here(**BLIND, on_local=OFF), (Timer.BLIND_OFF,), None),
        (off_here(identity=Identity.UNREAD), tuple(Timer), Exit.CANNOT_TELL),
        (here(**NO_ROLE), (), None),
        (here(**NO_ROLE, local=Contact.SILENT, on_local=UNREADABLE), (), None),
    ],
)
def test_out_of_time(seen: Observation | None, over: tuple[Timer, ...], expected: Exit | None) -> None:
    """At its deadline a stop is done where the guest is off for certain or in no role, else says what may run (D17)."""
    end = out_of_time(seen, tried(*over), "why")

    if expected is None:
        assert isinstance(end, Done)
        assert end.warn
        assert end.stays is end.alarm is (seen is not None and seen.identity is Identity.NO_ROLE)
    else:
        assert isinstance(end, Fail)
        assert expected is end.exit
        assert ("Saving" in end.what) is (seen is not None and seen.on_local.word == "Saving")


@pytest.mark.parametrize(
    ("changes", "unregistering", "is_off"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"queued": True}, True, False),
        ({"on_local": ABSENT, "configuration": OFFLINE}, True, True),
        ({"on_local": ABSENT, "configuration": OFFLINE}, False, False),
        ({"on_local": ABSENT}, True, False),
        ({"configuration": UNKNOWN}, True, False),
        ({"machine": ONLINE}, True, False),
        ({"on_local": UNREADABLE}, True, False),
        ({"on_local": RUNNING}, True, False),
    ],
)
def test_out_of_time_while_this_run_unregisters_it(changes: dict[str, Any], unregistering: bool, is_off: bool) -> None:
    """A guest shown down counts as off at the deadline, though its configuration goes offline: this run does that."""
    seen = off_here(**{"configuration": PENDING, **changes})

    end = out_of_time(seen, tried(unregistering=unregistering), "why")

    assert is_off is isinstance(end, Done)


@pytest.mark.parametrize(("word", "timer"), [("Paused", Timer.RESUME_REFUSED), ("PausedCritical", Timer.STARVED)])
def test_what_a_guest_gets_its_time_for_begins_behind_its_migration(word: str, timer: Timer) -> None:
    """A guest whose migration is waited for was not resumed or reconnected, and does not lose its power for that."""
    waiting = here(on_local=vm(word), queued=True)

    assert timer not in timers(waiting, GROUPSTOP, tried())
    assert timer in timers(waiting, GROUPSTOP, tried(Timer.CANCELLED, cancelled=True))
    assert timer in timers(here(on_local=vm(word)), GROUPSTOP, tried())


def test_no_host_answers_any_more() -> None:
    """Once no host answers, a stop is done if two looks, or one behind its unregistering, had shown the guest off."""
    trouble = Fail(Exit.UNREACHABLE, "HOST-1: no route", "", "")
    off = off_here(configuration=PENDING)

    end = without_contact(off, tried(unregistering=True), trouble)

    assert isinstance(end, Done)
    assert end.warn
    assert trouble is without_contact(off, tried(), trouble)
    assert trouble is without_contact(off_here(), tried(), trouble)
    assert trouble is without_contact(replace(off_here(), identity=Identity.UNREAD), tried(TWICE), trouble)
    assert isinstance(without_contact(off_here(), tried(TWICE), trouble), Done)
    assert trouble is without_contact(here(), tried(unregistering=True), trouble)
    assert trouble is without_contact(None, tried(unregistering=True), trouble)


@pytest.mark.parametrize("state", sorted(VM_STATES))
@pytest.mark.parametrize("factor", [factor for factor in Factor if factor is not Factor.NONE])
def test_no_stop_is_done_while_a_guest_may_run(state: str, factor: Factor) -> None:
    """Whatever the state and the factor, a stop is done only if the guest is off, or is left to run and says so."""
    for seen in (here(on_local=vm(state)), at_peer(on_peer=vm(state))):
        for attempts in (tried(), tried(*EVERY_TIMER), tried(*EVERY_TIMER, hurry=True, machine_stopped=True)):
            step = decide(seen, StopRequest(factor=factor), attempts)
            assert not isinstance(step, Fail)
            if isinstance(step, Done) and not step.stays:
                assert VM_STATES[state] in (VmKind.DOWN, VmKind.STRANDED)


def test_a_guest_that_is_asked_by_nobody_says_so() -> None:
    """The message of a guest that waits names what it answered."""
    step = stop(here(), asked_once=True, shutdown=RECENT, answer=ShutdownAnswer.NOT_READY)

    assert isinstance(step, Wait)
    assert "not ready" in step.why


def test_nobody_else_is_taken_for_the_guest() -> None:
    """A guest that lives on the other host than its owner's outweighs what the owner's host shows."""
    assert (Do.SHUT_DOWN, Side.PEER) == act_of(stop(off_here(on_peer=RUNNING), TWICE))
    assert proof_for_stop(off_here(on_peer=vm("Paused")), tried(*EVERY_TIMER)) is None
