"""genw-remote-node's table."""

from typing import Any

import pytest

from ecx_hyperv.decide.facts import UNSEEN, Contact, VmOnHost
from ecx_hyperv.decide.peer import (
    AskHost,
    PeerAct,
    PeerEcx,
    PeerEnd,
    PeerObservation,
    PeerRemedy,
    PeerStep,
    Ping,
    decide,
    looks_hung,
)
from ecx_hyperv.decide.states import VM_STATES, VmKind
from ecx_hyperv.exits import Exit
from tests.decide.support import ABSENT, OFF, RUNNING, vm


def seen(**changes: Any) -> PeerObservation:
    """Return a peer whose ECX is offline and whose host answers."""
    usual: dict[str, Any] = {
        "node": "ec2",
        "vm": "EC-VM2",
        "host": "HOST-2",
        "ecx": PeerEcx.OFFLINE,
        "contact": Contact.ANSWERS,
        "on_host": RUNNING,
        "ping": Ping.SILENT,
    }
    return PeerObservation(**{**usual, **changes})


def remedy(step: PeerStep) -> PeerRemedy | None:
    """Return what a step does for the peer."""
    return step.remedy if isinstance(step, PeerAct) else None


def end(step: PeerStep) -> Exit | None:
    """Return how a step ends."""
    return step.exit if isinstance(step, PeerEnd) else None


@pytest.mark.parametrize("ecx", [PeerEcx.ONLINE, PeerEcx.PENDING])
def test_an_online_peer_is_healthy(ecx: PeerEcx) -> None:
    """A peer that ECX calls online, or in transition, is healthy."""
    assert Exit.DONE is end(decide(seen(ecx=ecx)))


@pytest.mark.defect(52)
@pytest.mark.parametrize("ecx", list(PeerEcx))
def test_a_peer_in_maintenance_is_left(ecx: PeerEcx) -> None:
    """Nothing is done to a peer in maintenance, whatever ECX says of it."""
    assert Exit.DONE is end(decide(seen(ecx=ecx, maintenance=True)))


@pytest.mark.defect(50, 51)
def test_a_clpstat_without_sense_does_nothing() -> None:
    """Where clpstat fails or makes no sense, nothing is done, and that is said."""
    assert Exit.CANNOT_TELL is end(decide(seen(ecx=PeerEcx.SENSELESS)))


def test_the_host_is_asked_before_anything_is_done() -> None:
    """Nothing is done for a peer before its host was asked what became of it."""
    assert AskHost() == decide(seen(contact=Contact.UNASKED, on_host=UNSEEN))


@pytest.mark.defect(55)
def test_within_the_cool_down_nothing_is_repeated() -> None:
    """Within the cool-down of an action nothing more is done, and that is no failure."""
    assert Exit.DONE is end(decide(seen(cooling=True, on_host=OFF)))


def test_a_silent_host_needs_a_person() -> None:
    """A peer whose host is silent needs a person."""
    for contact in (Contact.SILENT, Contact.TROUBLED):
        assert Exit.UNREACHABLE is end(decide(seen(contact=contact, on_host=UNSEEN)))


@pytest.mark.defect(54)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"on_host": OFF}, PeerRemedy.POWER_ON),
        ({"on_host": vm("Saved")}, PeerRemedy.POWER_ON),
        ({"on_host": vm("Paused")}, PeerRemedy.RESUME),
        ({"ping": Ping.ANSWERS}, PeerRemedy.START_ECX),
        ({"heartbeat_silent": True, "hung": True}, PeerRemedy.RESTART),
    ],
)
def test_each_case_has_its_remedy(changes: dict[str, Any], expected: PeerRemedy) -> None:
    """An EC-VM that is down is powered on, a paused one resumed, ECX started, one that hangs restarted."""
    assert expected is remedy(decide(seen(**changes)))
    assert Exit.NOT_AS_ASKED is end(decide(seen(**changes, used_up=True)))


@pytest.mark.defect(56)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"heartbeat_silent": True},
        {"hung": True},
        {"ping": Ping.UNASKED, "heartbeat_silent": True, "hung": True},
        {"on_host": vm("Starting")},
        {"on_host": vm("PausedCritical")},
        {"on_host": vm("NeverSeen")},
    ],
)
def test_anything_else_is_waited_for(changes: dict[str, Any]) -> None:
    """Without ping, a heartbeat that beats, or silence that has not lasted, restarts nobody."""
    assert Exit.NOT_AS_ASKED is end(decide(seen(**changes)))


def test_a_host_that_does_not_know_the_ec_vm_is_a_configuration_mistake() -> None:
    """An EC-VM that its host does not know is named wrongly in the configuration."""
    assert Exit.CONFIG is end(decide(seen(on_host=ABSENT)))


def test_a_host_whose_hyperv_does_not_answer_cannot_tell() -> None:
    """Where Hyper-V on the peer's host does not answer, nothing is done."""
    assert Exit.CANNOT_TELL is end(decide(seen(on_host=UNSEEN)))


@pytest.mark.parametrize("state", sorted(VM_STATES))
def test_only_a_hung_guest_is_ever_restarted(state: str) -> None:
    """Whatever the EC-VM's state, it is restarted only while it runs, and looks hung, for long."""
    for ping in Ping:
        for silent in (False, True):
            one = seen(on_host=vm(state), ping=ping, heartbeat_silent=silent, hung=True)
            if remedy(decide(one)) is PeerRemedy.RESTART:
                assert (VM_STATES[state], ping, silent) == (VmKind.RUNNING, Ping.SILENT, True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"heartbeat_silent": True}, True),
        ({}, False),
        ({"heartbeat_silent": True, "ping": Ping.ANSWERS}, False),
        ({"heartbeat_silent": True, "ping": Ping.UNASKED}, False),
        ({"heartbeat_silent": True, "on_host": VmOnHost(VmKind.DOWN, "Off")}, False),
        ({"heartbeat_silent": True, "ecx": PeerEcx.ONLINE}, False),
    ],
)
def test_looks_hung(changes: dict[str, Any], expected: bool) -> None:
    """A guest looks hung if it runs, its ECX is offline, and neither ping nor its heartbeat answers."""
    assert expected is looks_hung(seen(**changes))
