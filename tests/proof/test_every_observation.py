"""Each decision over all observations that its types allow: one step, and none that an invariant forbids."""

from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ecx_hyperv.decide import attempts as tries
from ecx_hyperv.decide import facts, fetch, monitor, peer, start, unregister, volume
from ecx_hyperv.decide.facts import UNSEEN, Contact, Observation, Place, Refusal, Side, VmOnHost
from ecx_hyperv.decide.states import VM_STATES, Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Retry, Timer
from tests.decide.support import NAMES
from tests.proof import invariants
from tests.proof.choices import Chooser, Domain, Lazy, LazySet, Option, every, size, walk
from tests.proof.counts import Record, Tally

Source = ModuleType | Callable[..., Any]
OF_START: tuple[Source, ...] = (start, fetch, tries, facts, *invariants.START)
OF_STOP: tuple[Source, ...] = (unregister, facts, *invariants.STOP)
OF_MONITOR: tuple[Source, ...] = (monitor, facts, invariants.in_monitor)
# How many states each kind stands for; ODD for the unknown word too.
_WORDS = Counter(VM_STATES.values())
_WORDS[VmKind.ODD] += 1
YES_NO = (Option(False), Option(True))


def vm_domain(side: str, *sources: Source, answers: bool = True) -> Domain:
    """Return what Get-VM on one host can say."""
    kinds = [kind for kind in VmKind if answers or kind is VmKind.UNREADABLE]
    return {
        f"{side}.kind": tuple(Option(kind, max(1, _WORDS[kind])) for kind in kinds),
        f"{side}.doing": every(Doing, *sources),
        f"{side}.healthy": YES_NO,
    }


def seen_domain(local: Contact, peer_contact: Contact, *sources: Source) -> Domain:
    """Return every observation of one VM, for one pair of answering or silent hosts."""
    observers: list[Side | None] = [None]
    observers += [Side.LOCAL] if local is Contact.ANSWERS else []
    observers += [Side.PEER] if peer_contact is Contact.ANSWERS else []
    return {
        "maintenance": YES_NO,
        "observer": tuple(Option(side) for side in observers),
        "local_node": every(NodeKind, *sources),
        "peer_node": every(NodeKind, *sources),
        "owner": every(Place, *sources),
        "group": every(GroupKind, *sources),
        "queued": YES_NO,
        "configuration": every(ResourceKind, *sources),
        "machine": every(ResourceKind, *sources),
        "csv": every(ResourceKind, *sources),
        "csv_owner": every(Place, *sources),
        "iscsi": YES_NO,
        **vm_domain("on_local", *sources, answers=local is Contact.ANSWERS),
        **vm_domain("on_peer", *sources, answers=peer_contact is Contact.ANSWERS),
    }


def lazy_vm(chooser: Chooser, side: str) -> VmOnHost:
    """Return a VM of which each fact is chosen when it is read."""
    return Lazy.of(VmOnHost, chooser, f"{side}.", {"word": "a state"})


def lazy_seen(chooser: Chooser, local: Contact, peer_contact: Contact) -> Observation:
    """Return an observation of which each fact is chosen when it is read."""
    return Lazy.of(
        Observation,
        chooser,
        "",
        {
            "names": NAMES,
            "local": local,
            "peer": peer_contact,
            "on_local": lazy_vm(chooser, "on_local"),
            "on_peer": lazy_vm(chooser, "on_peer"),
        },
    )


def check(domain: Domain, run: Callable[[Chooser], list[str]], record: Record) -> None:
    """Walk a decision, and fail on the first observation in which an invariant forbids its step."""
    runs = observations = 0
    for walked in walk(domain, run):
        runs += 1
        observations += walked.weight
        assert [] == walked.result, walked.read
    Tally(record).add("every observation", decisions=runs, observations=observations)
    assert size(domain) == observations


CONTACTS = [(local, peer_contact) for local in Contact if local is not Contact.UNASKED for peer_contact in Contact]


@pytest.mark.parametrize(("local", "peer_contact"), [pair for pair in CONTACTS if pair[0] is Contact.ANSWERS])
def test_start(local: Contact, peer_contact: Contact, record_property: Record) -> None:
    """A start decides one step in every observation, and never one that may run a VM twice or stop a guest."""
    domain = {
        **seen_domain(local, peer_contact, *OF_START),
        **{f"tried.{name}": every(Retry) for name in ("starts", "clears", "registrations", "migrations", "portal")},
        "tried.csv_start_sent": YES_NO,
        "tried.was_home": YES_NO,
        "tried.refused": every(Refusal),
        **{f"over.{timer.name}": YES_NO for timer in Timer},
    }

    def run(chooser: Chooser) -> list[str]:
        seen = lazy_seen(chooser, local, peer_contact)
        tried = Lazy.of(tries.StartAttempts, chooser, "tried.", {"over": LazySet(chooser, "over.")})
        return invariants.in_start(seen, tried, start.decide(seen, tried))

    check(domain, run, record_property)


@pytest.mark.parametrize(("local", "peer_contact"), CONTACTS)
def test_unregister(local: Contact, peer_contact: Contact, record_property: Record) -> None:
    """A stop decides one step in every observation, and is never done while a guest may run that it was to stop."""
    domain = {
        **seen_domain(local, peer_contact, *OF_STOP),
        "asked.factor": every(unregister.Factor, unregister.decide, unregister._not_meant, *invariants.STOP),
        "asked.by_hand": YES_NO,
        "asked.ecx_peer_online": YES_NO,
        **{f"tried.{name}": every(Retry) for name in ("stop", "turn_off", "clears", "machine_stop", "unregister")},
        **{f"tried.{name}": YES_NO for name in ("stopping", "cancelled", "hurry")},
        **{f"over.{timer.name}": YES_NO for timer in Timer},
    }

    def run(chooser: Chooser) -> list[str]:
        seen = lazy_seen(chooser, local, peer_contact)
        asked = Lazy.of(unregister.StopRequest, chooser, "asked.", {})
        tried = Lazy.of(unregister.StopAttempts, chooser, "tried.", {"over": LazySet(chooser, "over.")})
        return invariants.in_stop(seen, asked, tried, unregister.decide(seen, asked, tried))

    check(domain, run, record_property)


def test_volume(record_property: Record) -> None:
    """A volume goes offline only where both hosts answer and nobody else may be on it."""
    domain = {
        "state": every(ResourceKind),
        "users": every(volume.Users),
        "local": every(Contact),
        "peer": every(Contact),
        "stop": every(Retry),
        "over.OFF": YES_NO,
    }

    def run(chooser: Chooser) -> list[str]:
        given = {"csv": "Cluster Disk 1", "because": "so", "observer": Side.LOCAL}
        seen = Lazy.of(volume.VolumeObservation, chooser, "", given)
        stop: Any = chooser.ask("stop")
        step = volume.decide(seen, stop, LazySet(chooser, "over."))  # type: ignore[arg-type]
        return invariants.in_volume(seen, step)

    check(domain, run, record_property)


@pytest.mark.parametrize("local", list(Contact))
def test_monitor(local: Contact, record_property: Record) -> None:
    """A monitor says failed only on positive evidence from a host that answers."""
    domain = {
        **seen_domain(local, Contact.UNASKED, *OF_MONITOR),
        "watched.locked": YES_NO,
        "watched.heartbeat_lost": YES_NO,
        **{f"over.{span.name}": YES_NO for span in monitor.Span},
    }

    def run(chooser: Chooser) -> list[str]:
        seen = lazy_seen(chooser, local, Contact.UNASKED)
        given = {"seen": seen, "over": LazySet(chooser, "over.")}
        watched = Lazy.of(monitor.Watched, chooser, "watched.", given)
        return invariants.in_monitor(watched, monitor.judge(watched))

    check(domain, run, record_property)


@pytest.mark.parametrize("contact", list(Contact))
def test_peer(contact: Contact, record_property: Record) -> None:
    """The peer is acted on only where ECX calls it offline, its host tells of it, and no limit is used up."""
    domain = {
        "ecx": every(peer.PeerEcx),
        "ping": every(peer.Ping),
        **dict.fromkeys(("maintenance", "cooling", "used_up", "hung", "heartbeat_silent"), YES_NO),
        **vm_domain("on_host", answers=contact is Contact.ANSWERS),
    }

    def run(chooser: Chooser) -> list[str]:
        on_host = lazy_vm(chooser, "on_host") if contact is Contact.ANSWERS else UNSEEN
        given = {"node": "ec2", "vm": "EC-VM2", "host": "HOST-2", "contact": contact, "on_host": on_host}
        seen = Lazy.of(peer.PeerObservation, chooser, "", given)
        return invariants.in_peer(seen, peer.decide(seen))

    check(domain, run, record_property)
