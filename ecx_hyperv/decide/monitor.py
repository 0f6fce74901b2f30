"""What genw-vm answers: healthy, failed, or that it cannot tell.

Kept: FAILED takes positive evidence from the local host itself, in two looks. A false alarm moves a healthy VM. A
monitor that fails a VM because the monitor is blind meets the same blindness in the stop that follows, where ECX shuts
the node down. So everything that is merely not understood is UNKNOWN, which ECX is told as 0, with an alert.

What passes by itself is healthy for a while: a transition, a migration, a checkpoint or backup, storage that is away
while the iSCSI target moves with the group. The spans of those are measured across the runs of a monitor.

Hyper-V and the cluster may contradict each other. For twice [timing] settle that is UNKNOWN; then the VM has failed
if Get-VM still shows it down, since a restart of Hyper-V or a restored copy of the database is over by then (D2).

The forerunner took a failure of ssh for a failure of the VM (defect 3), compared a text in the host's language (43),
failed a VM during backup (44), during a live migration (45), and at once for PausedCritical, which the move of the
storage itself produces (46).
"""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.facts import Contact, Identity, Observation, Place, Side
from ecx_hyperv.decide.off import contradiction
from ecx_hyperv.decide.states import Doing, GroupKind, ResourceKind, VmKind


class Health(Enum):
    """The three answers there are."""

    HEALTHY = "healthy"
    FAILED = "failed"
    UNKNOWN = "cannot tell"


class Span(Enum):
    """What a monitor must have seen for a while, across its runs, before it counts."""

    IN_TRANSITION = "in transition"
    CRITICAL = "critical"
    HEARTBEAT_LOST = "heartbeat lost"
    CONTRADICTED = "Hyper-V and the cluster contradict each other"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer, and why."""

    health: Health
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One VM as a monitor sees it; `locked` while a start or stop of ours works on it, `heartbeat_lost` only if
    [monitor] heartbeat asks for it and it had been answering; `over` holds the spans that are past `settle`,
    the contradiction past twice that."""

    seen: Observation
    locked: bool = False
    heartbeat_lost: bool = False
    over: frozenset[Span] = frozenset()


def judge(watched: Watched) -> Verdict:
    """Give one look's verdict."""
    seen = watched.seen
    vm, local = seen.names.vm, seen.names.local
    if seen.maintenance:
        return Verdict(Health.HEALTHY, f"{vm} is in maintenance")
    if watched.locked:
        return Verdict(Health.HEALTHY, f"a start or stop of {vm} is under way")
    if seen.local is not Contact.ANSWERS:
        return Verdict(Health.UNKNOWN, f"{local} {seen.local.in_words}")
    if seen.identity in (Identity.AMBIGUOUS, Identity.UNREAD) or (
        seen.identity is Identity.NO_ROLE and seen.on_local.kind is not VmKind.RUNNING
    ):
        return Verdict(Health.UNKNOWN, f"which VM {vm} is cannot be told: {seen.lacks or seen.identity.value}")
    if seen.on_local.kind is VmKind.RUNNING:
        return _running(watched)
    if seen.on_local.doing is Doing.HELD:
        return Verdict(Health.HEALTHY, f"{vm} is held by a checkpoint, backup or merge on {local}")
    if _is_in_transition(seen):
        return _in_transition(watched)
    if seen.owner is Place.PEER and not seen.on_local.is_live:
        return Verdict(
            Health.FAILED,
            f"{vm} is not on {local}: WSFC moved it to {seen.names.peer} (usual cause: memory or processors short "
            "here), or an operator did, or ECX is active on the other EC-VM too",
        )
    return _on_local(watched)


def spans(watched: Watched) -> frozenset[Span]:
    """Return the spans that this look belongs to."""
    seen = watched.seen
    if seen.local is not Contact.ANSWERS:
        return frozenset()
    here = {
        Span.IN_TRANSITION: seen.on_local.kind is not VmKind.RUNNING and _is_in_transition(seen),
        Span.CRITICAL: seen.on_local.is_critical,
        Span.HEARTBEAT_LOST: watched.heartbeat_lost,
        Span.CONTRADICTED: seen.owner is Place.LOCAL and contradiction(seen) is not None,
    }
    return frozenset(span for span, is_so in here.items() if is_so)


def _running(watched: Watched) -> Verdict:
    names = watched.seen.names
    if watched.heartbeat_lost and Span.HEARTBEAT_LOST in watched.over:
        return Verdict(Health.FAILED, f"{names.vm} runs on {names.local}, but its heartbeat is lost")
    return Verdict(Health.HEALTHY, f"{names.vm} is running on {names.local}")


def _is_in_transition(seen: Observation) -> bool:
    if seen.on_local.kind is VmKind.TRANSITIONAL or seen.is_migrating:
        return True
    return seen.on_local.kind is VmKind.ABSENT and seen.configuration is ResourceKind.PENDING


def _in_transition(watched: Watched) -> Verdict:
    seen = watched.seen
    what = f"{seen.names.vm} is in transition ({seen.on_local.word or 'moving'})"
    if Span.IN_TRANSITION not in watched.over:
        return Verdict(Health.HEALTHY, what)
    down = seen.on_local.kind in (VmKind.DOWN, VmKind.PAUSED)
    return Verdict(Health.FAILED if down else Health.UNKNOWN, f"{what} for longer than [timing] settle")


def _on_local(watched: Watched) -> Verdict:
    seen = watched.seen
    where = f"{seen.names.vm} is {seen.on_local.word or 'in a state without a name'} on {seen.names.local}"
    words = contradiction(seen) if seen.owner is Place.LOCAL else None
    if words is not None:
        lasts = Span.CONTRADICTED in watched.over and seen.on_local.is_shown_down
        return Verdict(Health.FAILED if lasts else Health.UNKNOWN, f"{seen.names.vm}: {words}")
    match seen.on_local.kind:
        case VmKind.DOWN | VmKind.PAUSED:
            return Verdict(Health.FAILED, where)
        case VmKind.CRITICAL | VmKind.STALLED | VmKind.STRANDED if Span.CRITICAL in watched.over:
            return Verdict(Health.FAILED, f"{where} for longer than [timing] settle: its storage is away")
        case VmKind.CRITICAL | VmKind.STALLED | VmKind.STRANDED:
            return Verdict(Health.HEALTHY, f"{where}: waiting for its storage")
        case VmKind.ABSENT:
            return _absent(seen)
    return Verdict(Health.UNKNOWN, f"{where}: nobody knows what that means")


def _absent(seen: Observation) -> Verdict:
    vm, local = seen.names.vm, seen.names.local
    if seen.observer is not Side.LOCAL:
        return Verdict(Health.UNKNOWN, f"{vm} is not registered on {local}, whose cluster service does not answer")
    if seen.group is GroupKind.ABSENT:
        return Verdict(Health.UNKNOWN, f"neither {local} nor the cluster knows {vm}")
    if seen.configuration is ResourceKind.OFFLINE:
        return Verdict(Health.FAILED, f"{vm} is not registered on {local}: its configuration is offline")
    return Verdict(
        Health.UNKNOWN, f"{local} does not know {vm}, although its configuration is {seen.configuration.value}"
    )
