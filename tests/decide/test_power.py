"""How a stop brings a live guest down: asked, its grace, the power cut in two looks, and what is never cut."""

from typing import Any

import pytest

from ecx_hyperv.decide.facts import Observation, Place, Side
from ecx_hyperv.decide.power import calls_for_power_cut, live_side
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.states import VM_STATES, Doing, GroupKind, VmKind
from ecx_hyperv.decide.steps import Do, Retry, Timer, Wait
from ecx_hyperv.decide.stops import Factor, StopAttempts, StopRequest
from ecx_hyperv.decide.unregister import decide, timers
from tests.decide.support import (
    ABSENT,
    EVERY_TIMER,
    OFF,
    RUNNING,
    UNREADABLE,
    act_of,
    at_peer,
    do_of,
    here,
    vm,
)
from tests.decide.support import stop_tried as tried

GROUPSTOP = StopRequest(factor=Factor.GROUPSTOP)
FAILOVER = StopRequest(factor=Factor.GROUPFAILOVER)
RECENT = Retry.RECENT
TWICE = Timer.TURN_OFF_TWICE
ASKED: dict[str, Any] = {"asked_once": True, "shutdown": RECENT, "answer": ShutdownAnswer.ASKED}
IN_TRANSITION = [word for word, kind in VM_STATES.items() if kind in (VmKind.TRANSITIONAL, VmKind.STALLED, VmKind.ODD)]


@pytest.mark.defect(36)
def test_a_running_guest_is_asked_where_it_runs() -> None:
    """A running guest is asked to shut down on the host that runs it, which may be the peer, whoever owns it."""
    assert (Do.SHUT_DOWN, Side.LOCAL) == act_of(decide(here(), GROUPSTOP, tried()))
    assert (Do.SHUT_DOWN, Side.PEER) == act_of(decide(at_peer(), GROUPSTOP, tried()))
    assert (Do.SHUT_DOWN, Side.PEER) == act_of(decide(here(on_local=OFF, on_peer=RUNNING), GROUPSTOP, tried()))


def test_the_owners_guest_comes_first() -> None:
    """Where both hosts show it live, the owner's is brought down first."""
    both = {"on_local": RUNNING, "on_peer": RUNNING}

    assert Side.LOCAL is live_side(here(**both))
    assert Side.PEER is live_side(at_peer(**both))
    assert Side.LOCAL is live_side(here(owner=Place.NOWHERE, **both))
    assert live_side(here(on_local=OFF)) is None


@pytest.mark.defect(38)
@pytest.mark.parametrize("answer", list(ShutdownAnswer))
def test_a_guest_gets_its_grace_and_no_more(answer: ShutdownAnswer) -> None:
    """Whatever it answered, a guest keeps its power for the grace; then two looks cut it, unless it shuts down."""
    given = {**ASKED, "answer": answer}
    before = EVERY_TIMER - {Timer.GRACE, Timer.TWICE_THE_GRACE}

    assert do_of(decide(here(), GROUPSTOP, tried(*before, **given))) is not Do.TURN_OFF
    assert do_of(decide(here(), GROUPSTOP, tried(Timer.GRACE, **given))) is not Do.TURN_OFF
    cut = do_of(decide(here(), GROUPSTOP, tried(Timer.GRACE, TWICE, **given)))
    assert (cut is Do.TURN_OFF) is (answer is not ShutdownAnswer.IN_PROGRESS)


@pytest.mark.parametrize("answer", [one for one in ShutdownAnswer if one is not ShutdownAnswer.LOCKED])
def test_a_guest_is_asked_again(answer: ShutdownAnswer) -> None:
    """A guest that may be asked again is asked again, without force (D6)."""
    again = tried(Timer.HALF_GRACE, **{**ASKED, "answer": answer, "shutdown": Retry.READY})

    assert Do.SHUT_DOWN is do_of(decide(here(), GROUPSTOP, again))
    for retry in (RECENT, Retry.USED_UP):
        step = decide(here(), GROUPSTOP, tried(**{**ASKED, "answer": answer, "shutdown": retry}))
        assert isinstance(step, Wait)
        assert answer.value in step.why


def test_a_locked_guest_is_forced_from_half_of_its_grace_on() -> None:
    """A guest that is locked is asked with Force from half of its grace on, not before."""
    locked = {**ASKED, "answer": ShutdownAnswer.LOCKED, "shutdown": Retry.READY}

    assert Do.SHUT_DOWN is do_of(decide(here(), GROUPSTOP, tried(**locked)))
    assert Do.FORCE_SHUT_DOWN is do_of(decide(here(), GROUPSTOP, tried(Timer.HALF_GRACE, **locked)))


@pytest.mark.defect(42)
@pytest.mark.parametrize(
    ("asked", "over", "hurry", "expected"),
    [
        (GROUPSTOP, (Timer.GRACE, Timer.TWICE_THE_GRACE), False, None),
        (GROUPSTOP, (), True, Do.TURN_OFF),
        (FAILOVER, (Timer.GRACE,), False, None),
        (FAILOVER, (Timer.GRACE, Timer.TWICE_THE_GRACE), False, Do.TURN_OFF),
        (FAILOVER, (), True, Do.TURN_OFF),
    ],
)
def test_a_guest_that_is_shutting_down_is_given_more(
    asked: StopRequest, over: tuple[Timer, ...], hurry: bool, expected: Do | None
) -> None:
    """While it answers that it is shutting down a guest goes on, to the reserve; in a failover to twice the grace."""
    given = {**ASKED, "answer": ShutdownAnswer.IN_PROGRESS, "hurry": hurry}
    seen = here(on_local=vm("Running"))

    assert expected is do_of(decide(seen, asked, tried(*over, TWICE, **given)))


@pytest.mark.parametrize("state", ["Running", "Paused", "PausedCritical", "RunningCritical"])
@pytest.mark.parametrize("make", [here, at_peer])
def test_with_only_the_reserve_left_the_power_is_cut_in_two_looks(state: str, make: Any) -> None:
    """Whatever row held it, with only the reserve left a guest is turned off, in two looks, and not twice at once."""
    side = "on_local" if make is here else "on_peer"
    seen = make(**{side: vm(state)})

    assert Wait is type(decide(seen, GROUPSTOP, tried(*EVERY_TIMER - {TWICE}, hurry=True)))
    assert Do.TURN_OFF is do_of(decide(seen, GROUPSTOP, tried(TWICE, hurry=True)))
    for retry in (RECENT, Retry.USED_UP):
        assert Wait is type(decide(seen, GROUPSTOP, tried(TWICE, hurry=True, turn_off=retry)))
    assert TWICE in timers(seen, GROUPSTOP, tried(hurry=True))


@pytest.mark.parametrize("state", IN_TRANSITION)
@pytest.mark.parametrize("hurry", [False, True])
def test_a_transition_is_never_cut_short(state: str, hurry: bool) -> None:
    """A VM on its way to another state, or in one that nobody knows, is waited for, whatever is over (D6, D24)."""
    for attempts in (tried(*EVERY_TIMER, hurry=hurry), tried(*EVERY_TIMER, hurry=hurry, **ASKED)):
        step = decide(here(on_local=vm(state)), GROUPSTOP, attempts)
        assert isinstance(step, Wait)
        assert state in step.why
        assert TWICE not in timers(here(on_local=vm(state)), GROUPSTOP, attempts)


@pytest.mark.parametrize("state", IN_TRANSITION)
def test_after_a_transition_a_guest_has_its_full_grace(state: str) -> None:
    """The grace starts anew once a transition was seen."""
    graces = {Timer.GRACE, Timer.HALF_GRACE, Timer.TWICE_THE_GRACE}

    assert not graces & timers(here(on_local=vm(state)), GROUPSTOP, tried(**ASKED))
    assert graces <= timers(here(), GROUPSTOP, tried(**ASKED))


def test_a_paused_guest_is_resumed_then_asked() -> None:
    """A paused guest is resumed; refused for half of its grace it is turned off, in two looks (D24)."""
    seen = here(on_local=vm("Paused"))

    assert Do.RESUME_VM is do_of(decide(seen, GROUPSTOP, tried(Timer.GRACE)))
    assert Wait is type(decide(seen, GROUPSTOP, tried(Timer.GRACE, TWICE, resume=RECENT)))
    assert Wait is type(decide(seen, GROUPSTOP, tried(Timer.RESUME_REFUSED)))
    assert Do.TURN_OFF is do_of(decide(seen, GROUPSTOP, tried(Timer.RESUME_REFUSED, TWICE)))
    assert Timer.RESUME_REFUSED in timers(seen, GROUPSTOP, tried())


@pytest.mark.parametrize("state", ["PausedCritical", "RunningCritical"])
def test_a_guest_without_storage_has_half_of_its_grace_to_get_it_back(state: str) -> None:
    """A guest whose storage is away has the portal refreshed, and half of its grace, then two looks (D24)."""
    seen = at_peer(on_peer=vm(state))

    assert (Do.RECONNECT_ISCSI, Side.PEER) == act_of(decide(seen, GROUPSTOP, tried(Timer.GRACE)))
    assert Wait is type(decide(seen, GROUPSTOP, tried(Timer.GRACE, TWICE, portal=RECENT)))
    assert Wait is type(decide(seen, GROUPSTOP, tried(Timer.STARVED)))
    assert (Do.TURN_OFF, Side.PEER) == act_of(decide(seen, GROUPSTOP, tried(Timer.STARVED, TWICE)))
    assert Timer.STARVED in timers(seen, GROUPSTOP, tried())


MOVING = [
    here(group=GroupKind.PENDING),
    here(queued=True),
    here(on_local=vm("Running", Doing.MIGRATING)),
]


@pytest.mark.parametrize("seen", MOVING)
def test_a_migration_is_waited_for_then_cancelled(seen: Observation) -> None:
    """A move is waited for up to `settle`, then cancelled; `settle` later the guest is asked, with full grace (D5)."""
    assert Wait is type(decide(seen, GROUPSTOP, tried()))
    assert Do.CANCEL_MOVE is do_of(decide(seen, GROUPSTOP, tried(Timer.BUSY)))
    assert Do.CANCEL_MOVE is do_of(decide(seen, GROUPSTOP, tried(hurry=True)))
    assert Wait is type(decide(seen, GROUPSTOP, tried(Timer.BUSY, TWICE, Timer.GRACE, cancelled=True)))
    assert Do.SHUT_DOWN is do_of(decide(seen, GROUPSTOP, tried(Timer.BUSY, Timer.CANCELLED, cancelled=True)))
    assert Do.TURN_OFF is do_of(decide(seen, GROUPSTOP, tried(TWICE, cancelled=True, hurry=True)))
    assert not calls_for_power_cut(seen, GROUPSTOP, tried(*EVERY_TIMER - {Timer.CANCELLED}, cancelled=True))
    assert {Timer.BUSY} == timers(seen, GROUPSTOP, tried())
    assert {Timer.BUSY, Timer.CANCELLED} == timers(seen, GROUPSTOP, tried(cancelled=True))


def test_a_group_that_changes_since_its_guest_was_asked_is_no_migration() -> None:
    """A guest that was asked makes its group Pending by itself: nothing is cancelled, and its grace counts."""
    step = decide(here(group=GroupKind.PENDING), GROUPSTOP, tried(Timer.BUSY, Timer.GRACE, TWICE, **ASKED))

    assert Do.TURN_OFF is do_of(step)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (here(on_local=UNREADABLE), True),
        (here(on_local=UNREADABLE, observer=None, owner=Place.NOWHERE), True),
        (here(on_local=ABSENT, on_peer=UNREADABLE, observer=None, owner=Place.NOWHERE), True),
        (here(on_local=OFF), False),
        (here(on_local=OFF, on_peer=UNREADABLE), False),
        (here(on_local=ABSENT, observer=None, owner=Place.NOWHERE), False),
    ],
)
def test_the_grace_runs_on_while_nobody_sees_the_guest(seen: Observation, expected: bool) -> None:
    """A host that cannot be read for a while gives a guest no second grace, a guest that is down ends the first."""
    assert expected is (Timer.GRACE in timers(seen, GROUPSTOP, tried(**ASKED)))


def test_without_having_been_asked_no_grace_runs() -> None:
    """The grace runs from the first request on, not before."""
    assert Timer.GRACE not in timers(here(), GROUPSTOP, StopAttempts())


@pytest.mark.parametrize("answer", ShutdownAnswer)
def test_a_guest_knows_only_of_a_request_that_was_taken(answer: ShutdownAnswer) -> None:
    """Only an answer that takes the request, or says that it is being carried out, may mean that the guest knows."""
    assert (answer.name in ("ASKED", "IN_PROGRESS")) is answer.was_asked
