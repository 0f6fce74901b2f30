"""vm-unregister's table, row by row."""

from typing import Any

import pytest

from ecx_hyperv.decide.facts import Contact, Observation, Place, Side
from ecx_hyperv.decide.states import VM_STATES, Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.decide.unregister import Factor, StopAttempts, StopRequest, decide, out_of_time, timers
from ecx_hyperv.exits import Exit
from tests.decide.support import ABSENT, OFF, RUNNING, UNREADABLE, act_of, at_home, at_peer, vm

GROUPSTOP = StopRequest(factor=Factor.GROUPSTOP)
FAILOVER = StopRequest(factor=Factor.GROUPFAILOVER)


def here(**changes: Any) -> Observation:
    """Return a VM that runs on the local host, both hosts answering."""
    usual = {
        "on_local": RUNNING,
        "on_peer": ABSENT,
        "peer": Contact.ANSWERS,
        "group": GroupKind.ONLINE,
        "machine": ResourceKind.ONLINE,
    }
    return at_home(**{**usual, **changes})


def there(**changes: Any) -> Observation:
    """Return a VM that the peer host owns."""
    return at_peer(**changes)


def tried(*over: Timer, **what: Any) -> StopAttempts:
    """Return what a run has tried."""
    return StopAttempts(over=frozenset(over), **what)


def do_of(step: Step) -> Do | None:
    """Return what a step does."""
    return step.do if isinstance(step, Act) else None


def test_a_group_move_stops_nothing() -> None:
    """On a move of the group the VM is left: the start on the other EC-VM migrates it."""
    step = decide(here(), StopRequest(factor=Factor.GROUPMOVE), StopAttempts())

    assert isinstance(step, Done)
    assert step.stays


@pytest.mark.defect(41)
def test_without_a_factor_nothing_is_stopped() -> None:
    """Without CLP_FACTOR and without --yes a stop is a usage error."""
    step = decide(here(), StopRequest(factor=Factor.NONE), StopAttempts())

    assert isinstance(step, Fail)
    assert Exit.USAGE is step.exit


def test_by_hand_it_is_stopped() -> None:
    """With --yes a VM is stopped whatever the factor."""
    assert Do.STOP_VM is do_of(decide(here(), StopRequest(factor=Factor.NONE, by_hand=True), StopAttempts()))


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
@pytest.mark.parametrize("seen", [there(), here(on_local=vm("Running", Doing.MIGRATING))])
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


@pytest.mark.defect(36)
def test_a_running_guest_is_shut_down_where_it_runs() -> None:
    """A running guest is shut down on the host that runs it, which may be the peer."""
    assert Do.STOP_VM is do_of(decide(here(), GROUPSTOP, StopAttempts()))
    assert (Do.STOP_VM, Side.PEER) == act_of(decide(there(), GROUPSTOP, StopAttempts()))


def test_a_guest_outside_the_cluster_is_found() -> None:
    """A VM whose group is not in the cluster is stopped on the host that runs it."""
    assert (Do.STOP_VM, Side.PEER) == act_of(
        decide(here(group=GroupKind.ABSENT, on_local=ABSENT, on_peer=RUNNING), GROUPSTOP, StopAttempts())
    )


@pytest.mark.defect(38)
@pytest.mark.parametrize(
    ("what", "over", "expected"),
    [
        ({"stopping": True, "stop": Retry.RECENT}, (), None),
        ({"stopping": True, "stop": Retry.READY}, (), Do.STOP_VM),
        ({"stopping": True, "stop": Retry.RECENT}, (Timer.GRACE,), Do.TURN_OFF),
        ({"stopping": True, "turn_off": Retry.RECENT}, (Timer.GRACE,), None),
        ({"hurry": True}, (), Do.TURN_OFF),
    ],
)
def test_a_guest_gets_its_grace_and_no_more(what: dict[str, Any], over: tuple[Timer, ...], expected: Do | None) -> None:
    """A guest is asked, waited for, and after its grace, or with only the reserve left, turned off."""
    assert expected is do_of(decide(here(), GROUPSTOP, tried(*over, **what)))


@pytest.mark.parametrize("state", ["Paused", "PausedCritical", "RunningCritical", "NeverSeenCritical"])
def test_what_cannot_shut_down_is_turned_off(state: str) -> None:
    """A paused guest, or one whose storage is gone, cannot shut down, and is turned off."""
    assert Do.TURN_OFF is do_of(decide(here(on_local=vm(state)), GROUPSTOP, StopAttempts()))
    assert (Do.TURN_OFF, Side.PEER) == act_of(decide(there(on_peer=vm(state)), GROUPSTOP, StopAttempts()))


@pytest.mark.parametrize("state", ["OffCritical", "SavedCritical", "FastSavedCritical"])
def test_what_was_down_when_its_storage_went_is_off(state: str) -> None:
    """A guest that was down already needs no power cut, and counts as off."""
    assert Do.STOP_CONFIGURATION is do_of(decide(here(on_local=vm(state)), GROUPSTOP, StopAttempts()))


@pytest.mark.parametrize("state", ["Starting", "Saving", "Other", "NeverSeen"])
@pytest.mark.parametrize(
    ("what", "over", "expected"),
    [({}, (), None), ({}, (Timer.BUSY,), Do.TURN_OFF), ({"hurry": True}, (), Do.TURN_OFF)],
)
def test_a_transition_is_waited_for(
    state: str, what: dict[str, Any], over: tuple[Timer, ...], expected: Do | None
) -> None:
    """A transition, or a word that nobody knows, is waited for up to `settle`, then the guest is turned off."""
    assert expected is do_of(decide(here(on_local=vm(state)), GROUPSTOP, tried(*over, **what)))


@pytest.mark.parametrize(
    ("what", "over", "expected"),
    [
        ({}, (), None),
        ({}, (Timer.BUSY,), Do.CANCEL_MOVE),
        ({"hurry": True}, (), Do.CANCEL_MOVE),
        ({"cancelled": True}, (Timer.BUSY,), Do.TURN_OFF),
        ({"cancelled": True}, (), None),
        ({"stopping": True, "stop": Retry.RECENT}, (Timer.BUSY,), None),
    ],
)
def test_a_migration_is_waited_for_then_cancelled(
    what: dict[str, Any], over: tuple[Timer, ...], expected: Do | None
) -> None:
    """A group that is being moved is waited for up to `settle`, then its move cancelled, then the guest turned off."""
    assert expected is do_of(decide(here(group=GroupKind.PENDING), GROUPSTOP, tried(*over, **what)))


@pytest.mark.parametrize(
    ("what", "over", "expected"),
    [
        ({}, (), Wait),
        ({}, (Timer.BUSY,), Act),
        ({"cancelled": True}, (Timer.BUSY,), Act),
        ({"hurry": True}, (), Act),
    ],
)
def test_a_saved_guest_in_a_move_may_start_again(
    what: dict[str, Any], over: tuple[Timer, ...], expected: type[Step]
) -> None:
    """While the group is changing, a guest that is down does not count as off yet."""
    step = decide(here(on_local=vm("Saved"), group=GroupKind.PENDING), GROUPSTOP, tried(*over, **what))

    assert expected is type(step)
    if what.get("cancelled") or what.get("hurry"):
        assert Do.STOP_CONFIGURATION is do_of(step)


@pytest.mark.defect(37)
@pytest.mark.parametrize(
    ("peer", "on_peer", "expected"),
    [
        (Contact.ANSWERS, ABSENT, Done),
        (Contact.ANSWERS, OFF, Done),
        (Contact.ANSWERS, UNREADABLE, Wait),
        (Contact.SILENT, UNREADABLE, Wait),
        (Contact.UNASKED, UNREADABLE, Look),
    ],
)
def test_a_group_that_is_not_there(peer: Contact, on_peer: Any, expected: type[Step]) -> None:
    """Without a group both hosts must say that the VM does not run there."""
    seen = here(group=GroupKind.ABSENT, on_local=ABSENT, peer=peer, on_peer=on_peer)

    assert expected is type(decide(seen, GROUPSTOP, StopAttempts()))


@pytest.mark.parametrize(
    ("machine", "what", "expected"),
    [
        (ResourceKind.ONLINE, {}, Do.STOP_MACHINE),
        (ResourceKind.FAILED, {}, Do.STOP_MACHINE),
        (ResourceKind.PENDING, {}, None),
        (ResourceKind.ONLINE, {"machine_stop": Retry.RECENT}, None),
        (ResourceKind.OFFLINE, {}, Do.STOP_CONFIGURATION),
    ],
)
@pytest.mark.parametrize("node", [NodeKind.UP, NodeKind.PAUSED])
def test_a_silent_owner_whose_node_is_up(
    machine: ResourceKind, what: dict[str, Any], expected: Do | None, node: NodeKind
) -> None:
    """Where the owner's host is silent but its node up, the cluster stops the VM from the other host."""
    seen = there(peer=Contact.SILENT, on_peer=UNREADABLE, peer_node=node, machine=machine)

    assert expected is do_of(decide(seen, GROUPSTOP, tried(**what)))


def test_a_silent_local_host_is_handled_from_the_peer() -> None:
    """Where the local host is silent, the peer's cluster service stands in for it."""
    seen = here(local=Contact.SILENT, on_local=UNREADABLE, observer=Side.PEER)

    assert Do.STOP_MACHINE is do_of(decide(seen, GROUPSTOP, StopAttempts()))


@pytest.mark.parametrize("over", [(), (Timer.OWNER_SILENT,), tuple(Timer)])
def test_an_isolated_owner_that_shows_life_never_counts_as_off(over: tuple[Timer, ...]) -> None:
    """An isolated host that refuses, breaks off or makes no sense is alive: its guest does not count as off."""
    seen = there(peer=Contact.TROUBLED, on_peer=UNREADABLE, peer_node=NodeKind.ISOLATED)

    assert Wait is type(decide(seen, GROUPSTOP, tried(*over)))


@pytest.mark.parametrize(
    ("node", "local_node", "over", "expected"),
    [
        (NodeKind.DOWN, NodeKind.UP, (), Act),
        (NodeKind.QUARANTINED, NodeKind.UP, (), Act),
        (NodeKind.ISOLATED, NodeKind.UP, (), Wait),
        (NodeKind.ISOLATED, NodeKind.UP, (Timer.OWNER_SILENT,), Act),
        (NodeKind.ISOLATED, NodeKind.PAUSED, (Timer.OWNER_SILENT,), Wait),
        (NodeKind.JOINING, NodeKind.UP, (), Wait),
        (NodeKind.UNKNOWN, NodeKind.UP, (), Wait),
    ],
)
def test_an_owner_that_is_gone(
    node: NodeKind, local_node: NodeKind, over: tuple[Timer, ...], expected: type[Step]
) -> None:
    """A node that is down counts as off; an isolated one after `isolated` of silence, if the local node is up."""
    seen = there(peer=Contact.SILENT, on_peer=UNREADABLE, peer_node=node, local_node=local_node)
    step = decide(seen, GROUPSTOP, tried(*over))

    assert expected is type(step)
    if isinstance(step, Act):
        assert Do.STOP_CONFIGURATION is step.do


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"owner": Place.NOWHERE}, Wait),
        ({"owner": Place.ELSEWHERE}, Act),
        ({"owner": Place.ELSEWHERE, "machine": ResourceKind.OFFLINE}, Act),
        ({"owner": Place.PEER, "peer": Contact.UNASKED, "on_peer": UNREADABLE}, Look),
        ({"observer": None, "on_peer": UNREADABLE}, Wait),
    ],
)
def test_an_owner_that_is_nowhere_or_elsewhere(changes: dict[str, Any], expected: type[Step]) -> None:
    """What the cluster cannot tell is waited for; what a third node owns the cluster itself stops."""
    assert expected is type(decide(here(**{"on_local": ABSENT, **changes}), GROUPSTOP, StopAttempts()))


@pytest.mark.parametrize(
    ("changes", "what", "over", "expected"),
    [
        ({"configuration": ResourceKind.ONLINE}, {}, (), Do.STOP_CONFIGURATION),
        ({"configuration": ResourceKind.ONLINE}, {"unregister": Retry.RECENT}, (), None),
        ({"configuration": ResourceKind.PENDING}, {}, (), None),
        ({"group": GroupKind.FAILED, "machine": ResourceKind.FAILED}, {}, (), Do.CLEAR_FAILED),
        (
            {"group": GroupKind.FAILED, "machine": ResourceKind.FAILED},
            {"clears": Retry.RECENT},
            (),
            Do.STOP_CONFIGURATION,
        ),
        ({"group": GroupKind.FAILED, "machine": ResourceKind.OFFLINE}, {}, (), Do.STOP_CONFIGURATION),
    ],
)
def test_a_vm_that_is_off_is_unregistered(
    changes: dict[str, Any], what: dict[str, Any], over: tuple[Timer, ...], expected: Do | None
) -> None:
    """A VM that is off is cleared if its group is failed, and unregistered."""
    seen = here(**{"on_local": OFF, "machine": ResourceKind.OFFLINE, "group": GroupKind.OFFLINE, **changes})

    assert expected is do_of(decide(seen, GROUPSTOP, tried(*over, **what)))


@pytest.mark.defect(37)
@pytest.mark.parametrize("configuration", [ResourceKind.OFFLINE, ResourceKind.FAILED, ResourceKind.ABSENT])
def test_a_vm_that_is_off_and_unregistered_is_done(configuration: ResourceKind) -> None:
    """A stop of what is stopped succeeds."""
    seen = here(on_local=ABSENT, configuration=configuration, group=GroupKind.OFFLINE, machine=ResourceKind.OFFLINE)

    assert Done("web1 is off and unregistered") == decide(seen, GROUPSTOP, StopAttempts())


def test_a_vm_between_the_hosts_is_not_done() -> None:
    """A quick migration takes the configuration offline on its way: as long as its group moves, nothing is done."""
    moving = {"on_local": ABSENT, "machine": ResourceKind.OFFLINE, "group": GroupKind.PENDING}
    seen = here(configuration=ResourceKind.OFFLINE, **moving)

    assert Wait is type(decide(seen, GROUPSTOP, StopAttempts()))
    assert Do.CANCEL_MOVE is do_of(decide(seen, GROUPSTOP, tried(Timer.BUSY)))
    assert Wait is type(decide(seen, GROUPSTOP, tried(Timer.BUSY, cancelled=True)))
    assert Done is type(decide(seen, GROUPSTOP, tried(Timer.BUSY, Timer.OFF, cancelled=True)))


@pytest.mark.parametrize(
    ("what", "over", "expected"),
    [
        ({"stopping": True}, (), None),
        ({"stopping": True}, (Timer.GRACE,), Do.STOP_MACHINE),
        ({"stopping": True, "hurry": True}, (), Do.STOP_MACHINE),
        ({}, (), Do.STOP_MACHINE),
    ],
)
def test_a_guest_that_shuts_down_unseen_has_its_grace(
    what: dict[str, Any], over: tuple[Timer, ...], expected: Do | None
) -> None:
    """A guest that was asked to shut down is not saved in the middle of it because its host's session broke."""
    seen = here(local=Contact.TROUBLED, on_local=UNREADABLE)

    assert expected is do_of(decide(seen, GROUPSTOP, tried(*over, **what)))


@pytest.mark.parametrize(
    "changes", [{"configuration": ResourceKind.ONLINE}, {"observer": None, "configuration": ResourceKind.UNKNOWN}]
)
def test_what_is_left_over_fails_no_stop(changes: dict[str, Any]) -> None:
    """Once the guest is off, what cannot be unregistered for `leftover` is left, at WARN."""
    seen = here(**{"on_local": OFF, "group": GroupKind.OFFLINE, "machine": ResourceKind.OFFLINE, **changes})
    step = decide(seen, GROUPSTOP, tried(Timer.OFF))

    assert isinstance(step, Done)
    assert step.warn
    assert not step.stays


def test_without_the_cluster_a_guest_that_is_off_is_waited_for() -> None:
    """While no cluster service answers, a guest that is off on both hosts waits to be unregistered."""
    assert Wait is type(decide(here(on_local=OFF, observer=None), GROUPSTOP, StopAttempts()))


@pytest.mark.parametrize("state", sorted(VM_STATES))
@pytest.mark.parametrize("factor", list(Factor))
def test_no_stop_is_done_while_a_guest_may_run(state: str, factor: Factor) -> None:
    """Whatever the state and the factor, a stop is done only if the guest is off, or is left to run and says so."""
    for seen in (here(on_local=vm(state)), there(on_peer=vm(state))):
        step = decide(seen, StopRequest(factor=factor), StopAttempts())

        if isinstance(step, Done) and not step.stays:
            assert VM_STATES[state] in (VmKind.DOWN, VmKind.STRANDED)


@pytest.mark.parametrize(
    ("seen", "what", "expected"),
    [
        (here(), tried(), set()),
        (here(), tried(stopping=True), {Timer.GRACE}),
        (here(group=GroupKind.PENDING), tried(), {Timer.BUSY}),
        (here(on_local=vm("Saving")), tried(), {Timer.BUSY}),
        (here(on_local=OFF), tried(stopping=True), {Timer.OFF}),
        (here(local=Contact.TROUBLED, on_local=UNREADABLE), tried(stopping=True), {Timer.GRACE}),
        (here(on_local=OFF, group=GroupKind.PENDING), tried(), {Timer.BUSY}),
        (here(on_local=OFF, group=GroupKind.PENDING), tried(cancelled=True), {Timer.BUSY, Timer.OFF}),
        (here(on_local=OFF, group=GroupKind.PENDING), tried(hurry=True), {Timer.BUSY, Timer.OFF}),
        (there(peer=Contact.SILENT, on_peer=UNREADABLE, peer_node=NodeKind.ISOLATED), tried(), {Timer.OWNER_SILENT}),
        (
            there(peer=Contact.SILENT, on_peer=UNREADABLE, peer_node=NodeKind.ISOLATED),
            tried(Timer.OWNER_SILENT),
            {Timer.OWNER_SILENT, Timer.OFF},
        ),
        (there(peer=Contact.SILENT, on_peer=UNREADABLE), tried(), set()),
        (there(peer=Contact.TROUBLED, on_peer=UNREADABLE, peer_node=NodeKind.ISOLATED), tried(), set()),
        (here(owner=Place.NOWHERE, on_local=ABSENT), tried(), set()),
        (here(local=Contact.SILENT, on_local=UNREADABLE, local_node=NodeKind.ISOLATED), tried(), set()),
    ],
)
def test_timers(seen: Observation, what: StopAttempts, expected: set[Timer]) -> None:
    """Each timer runs exactly while what it times is seen."""
    assert expected == timers(seen, what)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (here(), Exit.OUT_OF_TIME),
        (there(), Exit.OUT_OF_TIME),
        (there(peer=Contact.SILENT, on_peer=UNREADABLE), Exit.CANNOT_TELL),
        (None, Exit.CANNOT_TELL),
    ],
)
def test_out_of_time(seen: Observation | None, expected: Exit) -> None:
    """At its deadline a stop says whether the guest runs on, or that nobody can tell."""
    assert expected is out_of_time(seen, "why").exit


@pytest.mark.defect(42)
def test_a_failover_uses_the_same_rows() -> None:
    """A failover whose guest is ill stops it like any other stop."""
    assert Do.TURN_OFF is do_of(decide(here(on_local=vm("PausedCritical")), FAILOVER, StopAttempts()))
