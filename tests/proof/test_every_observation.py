"""Each decision over all observations that its types allow: one step, and none that an invariant forbids."""

from collections import Counter
from collections.abc import Callable
from inspect import getsource
from re import findall
from types import ModuleType
from typing import Any

import pytest

from ecx_hyperv.decide import attempts as tries
from ecx_hyperv.decide import (
    facts,
    fetch,
    hopeless,
    monitor,
    off,
    off_for_stop,
    peer,
    power,
    shutdown,
    start,
    stops,
    unregister,
    volume,
)
from ecx_hyperv.decide.facts import UNSEEN, Contact, Identity, Observation, Place, Refusal, Side, VmOnHost
from ecx_hyperv.decide.states import VM_STATES, Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Retry, Timer
from tests.decide.support import NAMES
from tests.proof import invariants
from tests.proof.choices import Chooser, Domain, Lazy, LazySet, Option, every, size, walk, without
from tests.proof.counts import Record, Tally

Source = ModuleType | Callable[..., Any]
# What an observation says of its own facts, without the values that they have by default.
_OWN: Any = vars(facts.Observation)
_READ: tuple[Source, ...] = (
    *(_OWN[name].fget for name in ("is_migrating", "owner_side", "is_live")),
    *(_OWN[name] for name in ("on", "contact", "node")),
)
OF_START: tuple[Source, ...] = (start, fetch, hopeless, tries, off, *_READ, *invariants.START)
OF_STOP: tuple[Source, ...] = (unregister, power, off, off_for_stop, *_READ, *invariants.STOP)
OF_MONITOR: tuple[Source, ...] = (monitor, off, *_READ, *invariants.MONITOR)
# How many states each kind stands for; ODD for the unknown word too.
_WORDS = Counter(VM_STATES.values())
_WORDS[VmKind.ODD] += 1
YES_NO = (Option(False), Option(True))


def kinds_of(*sources: Source) -> list[Option]:
    """Return the kinds of a VM's state, as one those that no source names and whose properties, as far as any source
    reads them, agree; without sources each by itself."""
    text = "".join(getsource(source) for source in sources)
    named = set(findall(r"\bVmKind\.([A-Z_]+)", text))
    read = [name for name, what in vars(VmOnHost).items() if isinstance(what, property) and f".{name}" in text]
    alike: dict[Any, list[VmKind]] = {}
    for kind in VmKind:
        own = kind.name in named or not sources
        look = tuple(getattr(VmOnHost(kind), name) for name in read)
        alike.setdefault(kind if own else look, []).append(kind)
    return [Option(kinds[0], sum(max(1, _WORDS[kind]) for kind in kinds)) for kinds in alike.values()]


def vm_domain(side: str, *sources: Source, answers: bool = True) -> Domain:
    """Return what Get-VM on one host can say."""
    kinds = [one for one in kinds_of(*sources) if answers or one.value is VmKind.UNREADABLE]
    return {
        f"{side}.kind": kinds,
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
        "identity": every(Identity),
        **dict.fromkeys(("names_fit", "is_fresh", "iscsi_told"), YES_NO),
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


def one_move(domain: Domain) -> Domain:
    """Return a domain in which what says that a VM is moving, beside its group, is one fact for a decision that reads
    these facts together only: they are three, and agree in whether any says so, and whether a host does."""
    three = ("queued", "on_local.doing", "on_peer.doing")
    still = [
        sum(one.weight for one in domain[name] if one.value in (False, Doing.NOTHING, Doing.HELD)) for name in three
    ]
    queued = sum(one.weight for one in domain["queued"]) - still[0]
    rest = {name: options for name, options in domain.items() if name not in three}
    still_there = still[1] * still[2]
    live = size({name: domain[name] for name in three}) - (still[0] + queued) * still_there
    moves = (Option(None, still[0] * still_there), Option("queued", queued * still_there), Option("live", live))
    return {**rest, "moves": moves}


class Moves(dict[str, Any]):
    """What is given of an observation, and whether and how the VM is migrating, from its group and that one fact."""

    def __init__(self, chooser: Chooser, given: dict[str, Any]) -> None:
        super().__init__(given, is_migrating=None, is_migrating_live=None)
        self._chooser = chooser

    def __getitem__(self, name: str) -> Any:
        """Return what is given, or choose."""
        if name == "is_migrating":
            return self._chooser.ask("group") is GroupKind.PENDING or self._chooser.ask("moves") is not None
        if name == "is_migrating_live":
            return self._chooser.ask("moves") == "live"
        return super().__getitem__(name)


def lazy_vm(chooser: Chooser, side: str) -> VmOnHost:
    """Return a VM of which each fact is chosen when it is read."""
    return Lazy.of(VmOnHost, chooser, f"{side}.", {"word": "a state"})


def lazy_seen(chooser: Chooser, local: Contact, peer_contact: Contact) -> Observation:
    """Return an observation of which each fact is chosen when it is read."""
    given = {
        "names": NAMES,
        "lacks": "so",
        "local": local,
        "peer": peer_contact,
        "on_local": lazy_vm(chooser, "on_local"),
        "on_peer": lazy_vm(chooser, "on_peer"),
    }
    return Lazy.of(Observation, chooser, "", Moves(chooser, given) if "moves" in chooser.domain else given)


def check(domain: Domain, run: Callable[[Chooser], list[str]], record: Record) -> None:
    """Walk a decision, and fail on the first observation in which an invariant forbids its step."""
    runs = observations = 0
    for walked in walk(domain, run):
        runs += 1
        observations += walked.weight
        if walked.result:
            read = (f"{name}: {getattr(value, 'name', value)}" for name, value in walked.read.items())
            pytest.fail(f"{walked.result} in the observation {', '.join(read)}", pytrace=False)
    Tally(record).add("every observation", decisions=runs, observations=observations)
    assert size(domain) == observations


CONTACTS = [(local, peer_contact) for local in Contact if local is not Contact.UNASKED for peer_contact in Contact]


@pytest.mark.parametrize(("local", "peer_contact"), [pair for pair in CONTACTS if pair[0] is Contact.ANSWERS])
def test_start(local: Contact, peer_contact: Contact, record_property: Record) -> None:
    """A start decides one step in every observation, and never one that may run a VM twice or stop a guest."""
    domain = {
        **one_move(seen_domain(local, peer_contact, *OF_START)),
        **{f"tried.{name}": every(Retry) for name in ("starts", "clears", "migrations", "portal")},
        **{f"tried.{name}": YES_NO for name in ("csv_start_sent", "was_home", "cleared")},
        **{f"over.{timer.name}": YES_NO for timer in Timer},
    }

    def run(chooser: Chooser) -> list[str]:
        seen = lazy_seen(chooser, local, peer_contact)
        given = {"over": LazySet(chooser, "over."), "words": "so", "refused": Refusal.NOTHING, "memory_twice": False}
        tried = Lazy.of(tries.StartAttempts, chooser, "tried.", given)
        return invariants.in_start(seen, tried, start.decide(seen, tried))

    check(domain, run, record_property)


@pytest.mark.parametrize("peer_contact", list(Contact))
def test_what_is_refused(peer_contact: Contact, record_property: Record) -> None:
    """What is refused is read by one row; it ends a start once it has lasted, and never one whose VM runs here."""
    domain = {
        **one_move(seen_domain(Contact.ANSWERS, peer_contact, *OF_START)),
        "tried.refused": every(Refusal),
        "tried.memory_twice": YES_NO,
        "over.REFUSED": YES_NO,
    }
    ends = []

    def run(chooser: Chooser) -> list[str]:
        seen = lazy_seen(chooser, Contact.ANSWERS, peer_contact)
        given = {"over": LazySet(chooser, "over."), "words": "so"}
        tried = Lazy.of(tries.StartAttempts, chooser, "tried.", given)
        step = hopeless.not_identified(seen, tried) or hopeless.refused(seen, tried)
        if step is None or seen.maintenance or seen.on_local.kind is VmKind.RUNNING:
            return []
        ends.append(step)
        return invariants.in_start(seen, tried, step)

    check(domain, run, record_property)
    assert ends


ATTEMPTS: Domain = {
    **{f"tried.{name}": every(Retry) for name in ("shutdown", "turn_off", "resume", "portal", "clears")},
    **{f"tried.{name}": every(Retry) for name in ("machine_stop", "unregister")},
    **{
        f"tried.{name}": YES_NO
        for name in ("asked_once", "cancelled", "cleared", "machine_stopped", "unregistering", "hurry")
    },
    "tried.answer": every(shutdown.ShutdownAnswer, power, *invariants.STOP),
    **{f"over.{timer.name}": YES_NO for timer in Timer},
}
IDENTITIES_OF_STOP = every(Identity, without(unregister, unregister.without_contact), *OF_STOP[1:])
FACTORS = every(stops.Factor, unregister.decide, unregister._not_meant, power, *invariants.STOP)


@pytest.mark.parametrize(("local", "peer_contact"), CONTACTS)
def test_whether_a_stop_is_meant(local: Contact, peer_contact: Contact, record_property: Record) -> None:
    """Whether a stop is meant is decided first: what is left is left for a reason that the design names."""
    domain = {
        **seen_domain(local, peer_contact, unregister._not_meant, *OF_STOP),
        "asked.factor": FACTORS,
        "asked.by_hand": YES_NO,
        "asked.ecx_peer_online": YES_NO,
    }

    def run(chooser: Chooser) -> list[str]:
        seen = lazy_seen(chooser, local, peer_contact)
        asked = Lazy.of(stops.StopRequest, chooser, "asked.", {})
        step = unregister._not_meant(seen, asked)
        return [] if step is None else invariants.in_stop(seen, asked, stops.StopAttempts(), step)

    check(domain, run, record_property)


# By owner, so that no part takes long by itself.
@pytest.mark.parametrize("owner", every(Place, *OF_STOP), ids=lambda owner: owner.value.name)
@pytest.mark.parametrize(("local", "peer_contact"), CONTACTS)
def test_unregister(local: Contact, peer_contact: Contact, owner: Option, record_property: Record) -> None:
    """A stop that is meant decides one step in every observation, and is done only where the guest is off as a fact."""
    domain = {
        **one_move(seen_domain(local, peer_contact, *OF_STOP)),
        "identity": IDENTITIES_OF_STOP,
        "owner": (owner,),
        "asked.factor": FACTORS,
        "asked.by_hand": (Option(True),),
        **ATTEMPTS,
    }

    def run(chooser: Chooser) -> list[str]:
        seen = lazy_seen(chooser, local, peer_contact)
        asked = Lazy.of(stops.StopRequest, chooser, "asked.", {})
        tried = Lazy.of(stops.StopAttempts, chooser, "tried.", {"over": LazySet(chooser, "over.")})
        return invariants.in_stop(seen, asked, tried, unregister.decide(seen, asked, tried))

    check(domain, run, record_property)


@pytest.mark.parametrize(("local", "peer_contact"), CONTACTS)
def test_out_of_time(local: Contact, peer_contact: Contact, record_property: Record) -> None:
    """At its deadline a stop is done where the guest is off as a fact, or in no role, and nowhere else."""
    domain = {**seen_domain(local, peer_contact, *OF_STOP), **ATTEMPTS}

    def run(chooser: Chooser) -> list[str]:
        seen = lazy_seen(chooser, local, peer_contact)
        tried = Lazy.of(stops.StopAttempts, chooser, "tried.", {"over": LazySet(chooser, "over.")})
        return invariants.at_the_deadline(seen, tried, unregister.out_of_time(seen, tried, "so"))

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
        "over.OFF_TWICE": YES_NO,
    }

    def run(chooser: Chooser) -> list[str]:
        given = {"csv": "Cluster Disk 1", "because": "so", "observer": Side.LOCAL}
        seen = Lazy.of(volume.VolumeObservation, chooser, "", given)
        stop: Any = chooser.ask("stop")
        over: Any = LazySet(chooser, "over.")
        return invariants.in_volume(seen, over, volume.decide(seen, stop, over))

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
