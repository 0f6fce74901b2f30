"""Whether a guest is off: (a) to (f) one by one, with each condition taken away in turn, and contradictions."""

from typing import Any

import pytest

from ecx_hyperv.decide.facts import Contact, Observation, Place, Side
from ecx_hyperv.decide.fetch import proof_for_start
from ecx_hyperv.decide.off import clear_proves_nothing, contradiction, is_down, is_lost_by_local, shown_off
from ecx_hyperv.decide.off_for_stop import proof_for_stop
from ecx_hyperv.decide.states import VM_STATES, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Timer
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
    at_peer,
    here,
    lost,
    off_at_peer,
    off_here,
    stop_tried,
    vm,
)

NONE: frozenset[Timer] = frozenset()
PATIENT = frozenset({Timer.OWNER_UNREADABLE})
SILENT_LONG = frozenset({Timer.OWNER_SILENT})


def proves(seen: Observation, over: frozenset[Timer] = NONE, *, cleared: bool = False) -> bool:
    """Tell whether a look shows that the guest is off."""
    return shown_off(seen, over, cleared=cleared) is not None


@pytest.mark.parametrize("make", [off_here, off_at_peer])
@pytest.mark.parametrize("state", [word for word, kind in VM_STATES.items() if kind in (VmKind.DOWN, VmKind.STRANDED)])
@pytest.mark.parametrize("machine", [OFFLINE, FAILED])
@pytest.mark.parametrize("cleared", [False, True])
def test_a_shown_down_and_its_resource_stopped(make: Any, state: str, machine: ResourceKind, cleared: bool) -> None:
    """(a) A guest that its owner's host shows down, its VM resource Offline or Failed, is off, cleared or not."""
    side = "on_local" if make is off_here else "on_peer"

    assert proves(make(**{side: vm(state), "machine": machine}), cleared=cleared)


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": ONLINE},
        {"machine": PENDING},
        {"machine": UNKNOWN},
        {"machine": ResourceKind.ABSENT},
        {"configuration": PENDING},
        {"configuration": UNKNOWN},
        {"on_local": RUNNING},
        {"on_local": vm("Paused")},
        {"on_local": vm("RunningCritical")},
        {"on_local": vm("SavingCritical")},
        {"on_local": vm("Saving")},
        {"on_local": vm("Daydreaming")},
        {"on_local": UNREADABLE},
        {"on_local": ABSENT},
        {"on_peer": RUNNING},
        {"on_peer": vm("Starting")},
        {"owner": Place.PEER, "on_peer": ABSENT},
        {"owner": Place.NOWHERE},
        {"owner": Place.ELSEWHERE},
        {"observer": None},
    ],
)
def test_a_needs_each_of_its_conditions(changes: dict[str, Any]) -> None:
    """(a) Without the cluster's word, or the owner's host's, or with life anywhere, nothing proves the guest off."""
    assert not proves(off_here(**changes), EVERY_TIMER)


@pytest.mark.parametrize("machine", [OFFLINE, FAILED])
def test_a_absent_counts_only_while_the_configuration_is_offline(machine: ResourceKind) -> None:
    """(a) A VM that Hyper-V does not know is down only while its configuration is Offline."""
    seen = off_here(on_local=ABSENT, machine=machine, configuration=OFFLINE, local_node=NodeKind.JOINING)

    assert proves(seen)
    for configuration in (ONLINE, FAILED, PENDING, UNKNOWN, ResourceKind.ABSENT):
        changed = off_here(on_local=ABSENT, machine=machine, configuration=configuration)
        assert not proves(changed, EVERY_TIMER)
        assert is_down(changed, Side.LOCAL) is False


def test_a_this_runs_own_clear_takes_away_from_what_is_absent() -> None:
    """(a) An absent VM whose resource this run has cleared from Failed is not off for that (D13)."""
    seen = off_here(on_local=ABSENT, machine=OFFLINE, configuration=OFFLINE)

    assert proves(seen)
    assert not proves(seen, EVERY_TIMER, cleared=True)


@pytest.mark.parametrize("node", [NodeKind.UP, NodeKind.PAUSED])
def test_b_both_offline_and_the_node_a_member(node: NodeKind) -> None:
    """(b) VM resource and configuration both Offline, the owner's node a member: off, though its host is unreadable."""
    for contact in (Contact.SILENT, Contact.TROUBLED, Contact.ANSWERS):
        seen = off_at_peer(on_peer=UNREADABLE, peer=contact, configuration=OFFLINE, peer_node=node)
        assert proves(seen)
        assert not proves(seen, EVERY_TIMER, cleared=True)


@pytest.mark.parametrize(
    "changes",
    [
        *({"peer_node": node} for node in NodeKind if node not in (NodeKind.UP, NodeKind.PAUSED)),
        {"machine": FAILED},
        {"machine": ONLINE},
        {"machine": PENDING},
        {"configuration": FAILED},
        {"configuration": ONLINE},
        {"configuration": UNKNOWN},
        {"on_peer": vm("Stopping")},
        {"on_local": RUNNING},
        {"owner": Place.NOWHERE},
        {"observer": None},
    ],
)
def test_b_needs_each_of_its_conditions(changes: dict[str, Any]) -> None:
    """(b) A node that is no member, a resource that is not Offline, or life anywhere, and nothing is proven."""
    usual = {"on_peer": UNREADABLE, "peer": Contact.TROUBLED, "configuration": OFFLINE}

    assert not proves(off_at_peer(**{**usual, **changes}))


@pytest.mark.parametrize("node", [NodeKind.DOWN, NodeKind.QUARANTINED, NodeKind.ISOLATED])
@pytest.mark.parametrize("machine", list(ResourceKind))
def test_c_a_host_that_is_shut_out_and_shows_the_guest_down(node: NodeKind, machine: ResourceKind) -> None:
    """(c) A host whose node is out, and which shows the guest down, has let go of it, whatever its resources say."""
    for cleared in (False, True):
        seen = at_peer(peer_node=node, on_peer=OFF, machine=machine)
        proof = shown_off(seen, NONE, cleared=cleared)
        assert proof is not None
        assert proof.lost


@pytest.mark.parametrize("node", [NodeKind.DOWN, NodeKind.QUARANTINED])
def test_c_a_node_that_is_down_and_its_host_silent_or_unreadable(node: NodeKind) -> None:
    """(c) A node that is Down, its host silent: off at once; unreadable: off after `patience`."""
    assert proves(lost(peer_node=node))
    for contact in (Contact.TROUBLED, Contact.ANSWERS):
        assert not proves(lost(peer_node=node, peer=contact))
        assert proves(lost(peer_node=node, peer=contact), PATIENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"local_node": NodeKind.PAUSED},
        {"local_node": NodeKind.ISOLATED},
        {"local_node": NodeKind.UNKNOWN},
        {"observer": Side.PEER},
        {"observer": None},
        {"peer_node": NodeKind.UP},
        {"peer_node": NodeKind.JOINING},
        {"peer_node": NodeKind.UNKNOWN},
        {"peer": Contact.UNASKED},
        {"on_local": vm("Paused")},
        {"on_peer": vm("RunningCritical")},
        {"owner": Place.LOCAL},
        {"owner": Place.ELSEWHERE},
        {"owner": Place.NOWHERE},
    ],
)
def test_c_needs_each_of_its_conditions(changes: dict[str, Any]) -> None:
    """(c) Only a local node that is Up says so, and only of a peer that is out and shows no life."""
    usual = {"peer_node": NodeKind.DOWN, "peer": Contact.TROUBLED}

    assert not proves(lost(**{**usual, **changes}), EVERY_TIMER - {Timer.OWNER_SILENT})


def test_d_isolated_and_silent_for_long() -> None:
    """(d) A node that is Isolated, its host silent for `isolated`: off."""
    assert proves(lost(), SILENT_LONG)
    assert is_lost_by_local(lost())


@pytest.mark.parametrize(
    "changes",
    [
        {"peer": Contact.TROUBLED},
        {"peer": Contact.ANSWERS},
        {"peer": Contact.UNASKED},
        {"local_node": NodeKind.PAUSED},
        {"local_node": NodeKind.ISOLATED},
        {"observer": Side.PEER},
        {"observer": None},
        {"peer_node": NodeKind.UP},
        {"peer_node": NodeKind.UNKNOWN},
        {"owner": Place.LOCAL},
        {"owner": Place.ELSEWHERE},
    ],
)
def test_d_needs_each_of_its_conditions(changes: dict[str, Any]) -> None:
    """(d) A host that shows any life, or a local node that is not Up, and nothing is proven, however long it lasts."""
    assert not proves(lost(**changes), EVERY_TIMER)
    assert not is_lost_by_local(lost(**changes))


def test_d_is_not_over_before_its_time() -> None:
    """(d) Silence that has not lasted proves nothing, whatever else has."""
    assert not proves(lost(), EVERY_TIMER - SILENT_LONG)


@pytest.mark.parametrize("node", [NodeKind.DOWN, NodeKind.ISOLATED])
@pytest.mark.parametrize("word", [PENDING, UNKNOWN])
def test_pending_and_unknown_say_nothing_of_a_lost_host(node: NodeKind, word: ResourceKind) -> None:
    """Under (c) and (d) with a silent host, Pending and Unknown do not hold the proof back."""
    assert proves(lost(peer_node=node, machine=word, configuration=word, group=GroupKind.UNKNOWN), SILENT_LONG)


def blind(**changes: Any) -> Observation:
    """Return a VM that neither host shows live, while no cluster service answers."""
    return here(**{"observer": None, "owner": Place.NOWHERE, "on_local": OFF, "on_peer": ABSENT, **changes})


@pytest.mark.parametrize("on_peer", [OFF, ABSENT, vm("OffCritical")])
def test_e_no_cluster_service_and_neither_host_shows_it_live(on_peer: Any) -> None:
    """(e) A stop takes two looks `settle` apart at both hosts for it, while no cluster service can be asked."""
    seen = blind(on_peer=on_peer)

    assert proof_for_stop(seen, stop_tried(Timer.BLIND_OFF)) is not None
    assert proof_for_stop(seen, stop_tried(*EVERY_TIMER - {Timer.BLIND_OFF})) is None
    assert proof_for_start(seen, EVERY_TIMER, cleared=False) is None


@pytest.mark.parametrize(
    "changes",
    [{"observer": Side.LOCAL}, {"on_local": UNREADABLE}, {"on_peer": UNREADABLE}, {"on_peer": vm("Paused")}],
)
def test_e_needs_each_of_its_conditions(changes: dict[str, Any]) -> None:
    """(e) A cluster service that answers, a host that does not, or life anywhere, and nothing is proven."""
    assert proof_for_stop(blind(**changes), stop_tried(*EVERY_TIMER)) is None


@pytest.mark.parametrize("contact", [Contact.SILENT, Contact.TROUBLED, Contact.ANSWERS])
@pytest.mark.parametrize("node", [NodeKind.UP, NodeKind.PAUSED])
def test_f_the_vm_resource_offline_for_long_on_an_unreadable_host(contact: Contact, node: NodeKind) -> None:
    """(f) A start takes a VM whose resource was Offline for `patience` while its owner's host cannot be read."""
    seen = off_at_peer(on_peer=UNREADABLE, peer=contact, peer_node=node)

    assert proof_for_start(seen, frozenset({Timer.MACHINE_OFFLINE}), cleared=False) is not None
    assert proof_for_stop(seen, stop_tried(*EVERY_TIMER)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": FAILED},
        {"machine": ONLINE},
        {"machine": UNKNOWN},
        {"peer_node": NodeKind.DOWN, "local_node": NodeKind.PAUSED},
        {"peer_node": NodeKind.ISOLATED},
        {"peer_node": NodeKind.JOINING},
        {"peer": Contact.UNASKED},
        {"on_peer": ABSENT},
        {"on_peer": vm("Saving")},
        {"on_local": RUNNING},
        {"owner": Place.NOWHERE},
    ],
)
def test_f_needs_each_of_its_conditions(changes: dict[str, Any]) -> None:
    """(f) Another state of the resource, a node that is no member, or a host that can be read, and it is not taken."""
    seen = off_at_peer(**{"on_peer": UNREADABLE, "peer": Contact.TROUBLED, **changes})

    assert proof_for_start(seen, EVERY_TIMER - {Timer.OWNER_UNREADABLE}, cleared=False) is None


@pytest.mark.parametrize("missing", ["time", "cleared"])
def test_f_is_not_for_what_was_cleared_nor_before_its_time(missing: str) -> None:
    """(f) An Offline that this run has made from Failed, or one that has not lasted, proves nothing."""
    over = EVERY_TIMER - {Timer.MACHINE_OFFLINE} if missing == "time" else EVERY_TIMER
    seen = off_at_peer(on_peer=UNREADABLE, peer=Contact.TROUBLED)

    assert proof_for_start(seen, over, cleared=missing == "cleared") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"on_local": OFF}, "Get-VM on HOST-1 shows it Off, the cluster calls its resource online"),
        ({"on_local": vm("SavedCritical")}, "shows it SavedCritical"),
        ({"on_local": ABSENT, "configuration": ONLINE}, "calls its configuration online"),
        ({"on_local": ABSENT, "configuration": FAILED, "machine": FAILED}, "calls its configuration failed"),
        ({"on_local": ABSENT, "configuration": ONLINE, "machine": OFFLINE}, "calls its configuration online"),
        ({"on_local": ABSENT, "configuration": OFFLINE}, "calls its resource online"),
    ],
)
def test_a_contradiction_names_both_sources(changes: dict[str, Any], words: str) -> None:
    """Down with the resource Online, or absent with the configuration Online or Failed, is a contradiction (D2)."""
    found = contradiction(here(**changes))

    assert found is not None
    assert words in found
    assert not proves(here(**changes), EVERY_TIMER)


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": OFFLINE},
        {"machine": FAILED},
        {"machine": PENDING},
        {"on_local": UNREADABLE},
        {"on_local": vm("Paused")},
        {"on_local": ABSENT, "machine": OFFLINE, "configuration": OFFLINE},
        {"on_local": ABSENT, "machine": OFFLINE, "configuration": PENDING},
        {"on_peer": RUNNING},
        {"observer": None},
        {"owner": Place.NOWHERE},
        {"owner": Place.ELSEWHERE},
        {"local_node": NodeKind.ISOLATED},
        {"local_node": NodeKind.DOWN},
        {"local_node": NodeKind.QUARANTINED},
    ],
)
def test_no_contradiction(changes: dict[str, Any]) -> None:
    """Sources that agree, that are missing, or of a node that is out, contradict nobody."""
    assert contradiction(here(**{"on_local": OFF, **changes})) is None


def test_a_clear_proves_nothing_of_a_guest_that_is_not_shown_down() -> None:
    """What a clear leaves Offline counts where Get-VM showed the guest down, and nowhere else."""
    assert not clear_proves_nothing(off_here(machine=FAILED))
    assert clear_proves_nothing(off_here(machine=FAILED, on_local=ABSENT, configuration=OFFLINE))
    assert clear_proves_nothing(off_here(machine=FAILED, on_local=UNREADABLE))
    assert clear_proves_nothing(off_here(machine=FAILED, owner=Place.NOWHERE))
