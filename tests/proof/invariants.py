"""The invariants, as what a step must not be in an observation; each function names every rule that a step breaks.

They are written from docs/design.md, chapters 5 to 8, and share no line with the decisions: what is off, what
contradicts, and what a guest is owed stands here a second time, in the design's own order.
"""

from collections.abc import Iterator

from ecx_hyperv.decide import monitor, peer, volume
from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import Contact, Identity, Observation, Place, Refusal, Side
from ecx_hyperv.decide.monitor import Health
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.states import Doing, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.decide.stops import Factor, StopAttempts, StopRequest
from ecx_hyperv.exits import Exit

_STARTS = (Do.START_VM, Do.RESUME_VM, Do.START_CONFIGURATION)
_OF_A_STOP = (Do.SHUT_DOWN, Do.FORCE_SHUT_DOWN, Do.TURN_OFF, Do.STOP_MACHINE, Do.STOP_CSV, Do.CANCEL_MOVE)
_QUICK = (Do.MIGRATE_QUICK, Do.MIGRATE_LOST)
_COUNTED_IN_A_START = {
    Do.START_VM: "starts",
    Do.RESUME_VM: "starts",
    Do.CLEAR_FAILED: "clears",
    Do.ADOPT: "clears",
    Do.MIGRATE_LIVE: "migrations",
    Do.MIGRATE_QUICK: "migrations",
    Do.MIGRATE_LOST: "migrations",
    Do.RECONNECT_ISCSI: "portal",
}
_COUNTED_IN_A_STOP = {
    Do.SHUT_DOWN: "shutdown",
    Do.FORCE_SHUT_DOWN: "shutdown",
    Do.TURN_OFF: "turn_off",
    Do.RESUME_VM: "resume",
    Do.RECONNECT_ISCSI: "portal",
    Do.CLEAR_FAILED: "clears",
    Do.STOP_MACHINE: "machine_stop",
    Do.STOP_CONFIGURATION: "unregister",
}
_TO_A_GUEST = (Do.SHUT_DOWN, Do.FORCE_SHUT_DOWN, Do.TURN_OFF, Do.RESUME_VM, Do.RECONNECT_ISCSI)
_THROUGH_THE_CLUSTER = (Do.STOP_MACHINE, Do.STOP_CONFIGURATION, Do.CLEAR_FAILED, Do.CANCEL_MOVE)


# What counts as evidence (docs/design.md, rule 3.2).


def _owner(seen: Observation) -> Side | None:
    if seen.owner is Place.LOCAL:
        return Side.LOCAL
    return Side.PEER if seen.owner is Place.PEER else None


def _shows_down(seen: Observation, side: Side) -> bool:
    return seen.on(side).is_shown_down


def _down(seen: Observation, side: Side) -> bool:
    absent = seen.on(side).kind is VmKind.ABSENT
    return _shows_down(seen, side) or (absent and seen.configuration is ResourceKind.OFFLINE)


def _lost(seen: Observation, over: frozenset[Timer]) -> bool:
    """(c) and (d): the local node is Up and sees the owner's as Down or Isolated; the local host is never lost."""
    if seen.owner is not Place.PEER or seen.observer is not Side.LOCAL or seen.local_node is not NodeKind.UP:
        return False
    if seen.peer_node is NodeKind.ISOLATED:
        return _down(seen, Side.PEER) or (seen.peer is Contact.SILENT and Timer.OWNER_SILENT in over)
    if seen.peer_node not in (NodeKind.DOWN, NodeKind.QUARANTINED):
        return False
    if _down(seen, Side.PEER) or seen.peer is Contact.SILENT:
        return True
    unreadable = seen.on_peer.kind is VmKind.UNREADABLE and seen.peer is not Contact.UNASKED
    return unreadable and Timer.OWNER_UNREADABLE in over


def _is_off(seen: Observation, over: frozenset[Timer], *, cleared: bool) -> bool:
    """(a) to (d), and that a host that shows the id live outweighs everything."""
    owner = _owner(seen)
    if owner is None or seen.observer is None or seen.on_local.is_live or seen.on_peer.is_live:
        return False
    if _lost(seen, over):
        return True
    settling = (ResourceKind.PENDING, ResourceKind.UNKNOWN)
    if seen.machine in settling or seen.configuration in settling:
        return False
    stopped = seen.machine in (ResourceKind.OFFLINE, ResourceKind.FAILED)
    own_doing = cleared and seen.machine is ResourceKind.OFFLINE
    if stopped and (_shows_down(seen, owner) or (_down(seen, owner) and not own_doing)):
        return True
    both = seen.machine is ResourceKind.OFFLINE and seen.configuration is ResourceKind.OFFLINE
    return both and not cleared and seen.node(owner) in (NodeKind.UP, NodeKind.PAUSED)


def _is_off_for_a_start(seen: Observation, tried: StartAttempts) -> bool:
    if _is_off(seen, tried.over, cleared=tried.cleared):
        return True
    unreadable = seen.on_peer.kind is VmKind.UNREADABLE and seen.peer is not Contact.UNASKED
    lasts = seen.machine is ResourceKind.OFFLINE and Timer.MACHINE_OFFLINE in tried.over and not tried.cleared
    member = seen.peer_node in (NodeKind.UP, NodeKind.PAUSED) and not seen.on_local.is_live
    return seen.owner is Place.PEER and unreadable and lasts and member


def _is_off_for_a_stop(seen: Observation, tried: StopAttempts) -> bool:
    if _is_off(seen, tried.over, cleared=tried.cleared):
        return True
    if seen.on_local.is_live or seen.on_peer.is_live:
        return False
    both = VmKind.UNREADABLE not in (seen.on_local.kind, seen.on_peer.kind) and Timer.BLIND_OFF in tried.over
    if seen.observer is None:
        return both
    stopped = seen.machine in (ResourceKind.OFFLINE, ResourceKind.FAILED) and not tried.cleared
    unsettled = (ResourceKind.FAILED, ResourceKind.PENDING, ResourceKind.UNKNOWN)
    if both and stopped and _owner(seen) is not None and seen.configuration in unsettled:
        return True
    if seen.owner is Place.ELSEWHERE:
        both = seen.machine is ResourceKind.OFFLINE and seen.configuration is ResourceKind.OFFLINE
        return both and tried.machine_stopped and not tried.cleared
    owner = _owner(seen)
    if owner is None or not _shows_down(seen, owner) or not _contradiction(seen, owner):
        return False
    return tried.machine_stopped and (Timer.CONTRADICTION in tried.over or tried.hurry)


def _contradiction(seen: Observation, owner: Side) -> bool:
    if seen.observer is None or seen.on_local.is_live or seen.on_peer.is_live:
        return False
    if seen.node(owner) in (NodeKind.DOWN, NodeKind.QUARANTINED, NodeKind.ISOLATED):
        return False
    if seen.machine is ResourceKind.ONLINE and _down(seen, owner):
        return True
    known = seen.configuration in (ResourceKind.ONLINE, ResourceKind.FAILED)
    return seen.on(owner).kind is VmKind.ABSENT and known


# A start.


def in_start(seen: Observation, tried: StartAttempts, step: Step) -> list[str]:
    """Return the rules that a start's step breaks."""
    if not isinstance(step, Act | Wait | Look | Done | Fail):
        return ["no step at all"]
    return list(_in_start(seen, tried, step))


def _in_start(seen: Observation, tried: StartAttempts, step: Step) -> Iterator[str]:
    if seen.maintenance:
        if not isinstance(step, Done):
            yield "something is done in maintenance"
        return
    if seen.identity is not Identity.KNOWN:
        if isinstance(step, Act | Done):
            yield "something is done to, or said of, a VM whose id is not known"
        fails = seen.identity is Identity.AMBIGUOUS
        # A role of another name is found by the VM's name, on the host that has the VM.
        fails = fails or (seen.identity is Identity.NO_ROLE and seen.peer is not Contact.UNASKED)
        if isinstance(step, Fail) is not fails or (isinstance(step, Fail) and step.exit is not Exit.CONFIG):
            yield "which VM is meant is not told"
        return
    if isinstance(step, Done) and seen.on_local.kind is not VmKind.RUNNING:
        yield "done, although it does not run on the local host"
    if isinstance(step, Fail):
        yield from _fails(seen, tried, step)
    if isinstance(step, Act):
        yield from _acts_of_start(seen, tried, step)


def _fails(seen: Observation, tried: StartAttempts, step: Fail) -> Iterator[str]:
    if seen.on_local.kind is VmKind.RUNNING:
        yield "a start fails over a VM that runs where it should"
    elif step.exit is Exit.REFUSED and seen.local_node is not NodeKind.QUARANTINED:
        lasts = Timer.REFUSED in tried.over and tried.refused is not Refusal.MEMORY
        if tried.refused is Refusal.NOTHING or not (lasts or tried.memory_twice):
            yield "refused, before it has lasted"
        if tried.refused is Refusal.IN_USE and seen.csv is not ResourceKind.ONLINE:
            yield "a disk is in use that is not there"
    elif "contradict" in step.what and Timer.CONTRADICTION not in tried.over:
        yield "a contradiction ends a start before it has lasted"


def _acts_of_start(seen: Observation, tried: StartAttempts, step: Act) -> Iterator[str]:
    do = step.do
    if step.side is Side.PEER and do not in (Do.RECONNECT_ISCSI, Do.RESUME_VM):
        yield "a start does on the peer host what it may do on the local one only"
    if do in (*_OF_A_STOP, Do.STOP_CONFIGURATION):
        yield "a start does what only a stop may"
    counted = _COUNTED_IN_A_START.get(do)
    if counted is not None and getattr(tried, counted) is not Retry.READY:
        yield "an attempt that is used up, or too soon"
    if seen.observer is not Side.LOCAL:
        yield "something is done although the local cluster service does not answer"
    if do in _STARTS and step.side is Side.LOCAL:
        yield from _starts(seen, do)
    elif do in (Do.MIGRATE_LIVE, *_QUICK) and tried.was_home:
        yield "a VM is fetched back that somebody else moved away during the run"
    elif do in _QUICK:
        yield from _quick(seen, tried, do)
    elif do is Do.MIGRATE_LIVE:
        yield from _live(seen)
    elif do is Do.CLEAR_FAILED:
        yield from _cleared_by_a_start(seen)
    elif do is Do.ADOPT and not (seen.on_local.kind is VmKind.RUNNING or seen.on_peer.kind is VmKind.RUNNING):
        yield "the cluster adopts what does not run"


def _cleared_by_a_start(seen: Observation) -> Iterator[str]:
    if seen.on_local.is_live or seen.on_peer.is_live or seen.owner is not Place.LOCAL:
        yield "a guest that may execute would be saved"
    if seen.machine is not ResourceKind.FAILED:
        yield "a resource is cleared that is not Failed, so that its guest would be saved"
    if not _down(seen, Side.LOCAL) or _contradiction(seen, Side.LOCAL):
        yield "a resource is cleared on a contradiction"


def _starts(seen: Observation, do: Do) -> Iterator[str]:
    if seen.on_peer.is_live:
        yield "a start while the peer host runs it"
    if seen.peer is Contact.UNASKED and seen.peer_node not in (NodeKind.UP, NodeKind.PAUSED):
        yield "a start without a look at a host that the cluster cannot speak for"
    if seen.owner is not Place.LOCAL:
        yield "a start although another node owns it"
    if seen.local_node is not NodeKind.UP:
        yield "a start on a node that is not up"
    if do is Do.START_VM and seen.on_local.kind is not VmKind.DOWN:
        yield "a start of what is not down"
    if do is Do.RESUME_VM and seen.on_local.kind is not VmKind.PAUSED:
        yield "a resume of what is not paused"
    if do is Do.START_CONFIGURATION and seen.configuration not in (ResourceKind.OFFLINE, ResourceKind.FAILED):
        yield "a configuration is registered again that is there"
    if seen.is_migrating:
        yield "a start during a migration"
    if seen.csv is not ResourceKind.ONLINE or seen.csv_owner is not Place.LOCAL:
        yield "a start without the volume"


def _quick(seen: Observation, tried: StartAttempts, do: Do) -> Iterator[str]:
    given_up = seen.on_peer.kind is VmKind.CRITICAL and Timer.PEER_CRITICAL in tried.over
    if seen.owner is not Place.PEER:
        yield "a migration from nowhere"
    if not seen.is_fresh:
        yield "a quick migration on answers that do not lie together"
    if given_up:
        if seen.on_local.is_live or seen.peer_node in (NodeKind.DOWN, NodeKind.QUARANTINED, NodeKind.ISOLATED):
            yield "a quick migration without the guest"
    else:
        if not _is_off_for_a_start(seen, tried):
            yield "a quick migration of a guest that is not off as a fact"
        silence = seen.peer_node is NodeKind.ISOLATED and seen.peer is Contact.SILENT
        if Timer.OFF_TWICE not in tried.over and not (silence and Timer.OWNER_SILENT in tried.over):
            yield "a quick migration on a single look"
        if (do is Do.MIGRATE_LOST) is not _lost(seen, tried.over):
            yield "a guard where the resource stays Online, or none where it must not be"
        if _contradiction(seen, Side.PEER):
            yield "a quick migration on a contradiction"
    if seen.is_migrating or not (seen.iscsi or not seen.iscsi_told):
        yield "a migration too early"
    if seen.csv is not ResourceKind.ONLINE or seen.csv_owner is not Place.LOCAL:
        yield "a migration to a host without the volume"


def _live(seen: Observation) -> Iterator[str]:
    if seen.owner is not Place.PEER:
        yield "a migration from nowhere"
    unseen = seen.on_peer.kind is VmKind.UNREADABLE
    if not unseen and seen.on_peer.kind is not VmKind.RUNNING:
        yield "a live migration of what does not run"
    if unseen and seen.machine is not ResourceKind.ONLINE:
        yield "a live migration of what the cluster does not call online"
    if seen.peer_node in (NodeKind.DOWN, NodeKind.QUARANTINED, NodeKind.ISOLATED):
        yield "a live migration from a node that is gone"
    if seen.on_local.is_live:
        yield "a migration of what lives here"


# A stop.


def in_stop(seen: Observation, asked: StopRequest, tried: StopAttempts, step: Step) -> list[str]:
    """Return the rules that a stop's step breaks."""
    if not isinstance(step, Act | Wait | Look | Done | Fail):
        return ["no step at all"]
    return list(_in_stop(seen, asked, tried, step))


def at_the_deadline(seen: Observation, tried: StopAttempts, end: Fail | Done) -> list[str]:
    """Return the rules that the end of a stop at its deadline breaks."""
    in_no_role = seen.identity is Identity.NO_ROLE
    if isinstance(end, Fail):
        twice = Timer.OFF_TWICE in tried.over or Timer.BLIND_OFF in tried.over
        known = seen.identity is not Identity.UNREAD
        off = known and ((twice and _is_off_for_a_stop(seen, tried)) or _is_unregistering(seen, tried))
        return ["fails although it is off, or in no role"] if off or in_no_role else []
    if (in_no_role and end.stays) or _is_unregistering(seen, tried):
        return []
    return list(_off(seen, tried))


def _is_unregistering(seen: Observation, tried: StopAttempts) -> bool:
    """(a) or (b) in one look, the configuration on its way or offline because this run has sent it there."""
    owner = _owner(seen)
    if owner is None or seen.observer is None or seen.on_local.is_live or seen.on_peer.is_live or seen.queued:
        return False
    if not tried.unregistering or _lost(seen, tried.over):
        return False
    stopped = seen.machine in (ResourceKind.OFFLINE, ResourceKind.FAILED) and _shows_down(seen, owner)
    on_its_way = stopped and seen.configuration is ResourceKind.PENDING
    return on_its_way or _is_off(seen, tried.over, cleared=tried.cleared)


def _in_stop(seen: Observation, asked: StopRequest, tried: StopAttempts, step: Step) -> Iterator[str]:
    if isinstance(step, Fail):
        if step.exit is not Exit.USAGE or asked.by_hand or asked.factor is not Factor.NONE:
            yield "a stop that was meant fails before its deadline"
        return
    if not asked.by_hand and asked.factor is Factor.NONE:
        yield "a stop that nobody asked for"
    if isinstance(step, Done):
        yield from _left(seen, asked) if step.stays else _done(seen, tried)
    if isinstance(step, Act):
        yield from _acts_of_stop(seen, asked, tried, step)


def _left(seen: Observation, asked: StopRequest) -> Iterator[str]:
    if seen.identity is Identity.NO_ROLE:
        return
    if asked.by_hand or asked.factor in (Factor.GROUPSTOP, Factor.CLUSTERSHUTDOWN):
        yield "a guest is left running that was to be stopped"
    followed = seen.on_peer.healthy or seen.on_local.doing is Doing.MIGRATING
    survives = asked.factor is Factor.GROUPFAILOVER and asked.ecx_peer_online and seen.on_local.healthy
    if asked.factor is not Factor.GROUPMOVE and not followed and not survives:
        yield "a guest is left running that nobody takes over"


def _done(seen: Observation, tried: StopAttempts) -> Iterator[str]:
    yield from _off(seen, tried)
    if seen.identity is Identity.NO_ROLE:
        return
    if not seen.is_fresh:
        yield "done on answers that do not lie together"
    moving = seen.is_migrating and Timer.CANCELLED not in tried.over and not tried.hurry
    if moving:
        yield "done while its group is on its way to where it may start"


def _off(seen: Observation, tried: StopAttempts) -> Iterator[str]:
    if seen.on_local.is_live or seen.on_peer.is_live:
        yield "done while a guest may execute"
    if seen.identity is Identity.NO_ROLE:
        gone = seen.peer_node in (NodeKind.DOWN, NodeKind.QUARANTINED) or Timer.PEER_AWAY in tried.over
        known = seen.on_local.kind is not VmKind.UNREADABLE
        if not known or (seen.on_peer.kind is VmKind.UNREADABLE and not gone) or Timer.OFF_TWICE not in tried.over:
            yield "done while nobody can tell whether the guest runs"
        return
    if seen.identity is Identity.UNREAD:
        yield "done although nobody knows which VM is meant"
    if not _is_off_for_a_stop(seen, tried):
        yield "done while nobody can tell whether the guest runs"
    if Timer.OFF_TWICE not in tried.over and Timer.BLIND_OFF not in tried.over:
        yield "done on a single look"


def _acts_of_stop(seen: Observation, asked: StopRequest, tried: StopAttempts, step: Act) -> Iterator[str]:
    do = step.do
    if not asked.by_hand and asked.factor is Factor.GROUPMOVE:
        yield "something is done on a move of the group"
    if do not in (*_TO_A_GUEST, *_THROUGH_THE_CLUSTER):
        yield "a stop does what only a start may"
    counted = _COUNTED_IN_A_STOP.get(do)
    if counted is not None and getattr(tried, counted) is not Retry.READY:
        yield "an attempt that is used up, or too soon"
    if seen.identity is Identity.UNREAD:
        yield "something is done to a VM whose id is not known"
    if seen.identity is Identity.NO_ROLE and do is not Do.SHUT_DOWN:
        yield "more than asking is done to a VM in no role"
    if do in _TO_A_GUEST:
        yield from _to_a_guest(seen, asked, tried, step)
    elif step.side is not (seen.observer or Side.LOCAL):
        yield "the cluster is asked where its service does not answer"
    elif do is Do.CANCEL_MOVE:
        if not seen.is_migrating or tried.cancelled or not (tried.hurry or Timer.BUSY in tried.over):
            yield "what is no move, or has not lasted, is cancelled"
    elif seen.on_local.is_live or seen.on_peer.is_live:
        yield "a guest that may execute would be saved"
    elif do is Do.STOP_MACHINE:
        yield from _stopped_by_the_cluster(seen, tried)
    else:
        yield from _unregistered(seen, tried, do)


def _to_a_guest(seen: Observation, asked: StopRequest, tried: StopAttempts, step: Act) -> Iterator[str]:
    do, kind = step.do, seen.on(step.side).kind
    fits = {
        Do.SHUT_DOWN: (VmKind.RUNNING,),
        Do.FORCE_SHUT_DOWN: (VmKind.RUNNING,),
        Do.RESUME_VM: (VmKind.PAUSED,),
        Do.RECONNECT_ISCSI: (VmKind.CRITICAL,),
        Do.TURN_OFF: (VmKind.RUNNING, VmKind.PAUSED, VmKind.CRITICAL),
    }
    if kind not in fits[do]:
        yield "a guest is asked, resumed or cut in a state in which that does harm"
    if do is Do.FORCE_SHUT_DOWN and not (tried.answer is ShutdownAnswer.LOCKED and Timer.HALF_GRACE in tried.over):
        yield "a guest is forced that is not locked, or before half of its grace"
    if do is Do.TURN_OFF:
        yield from _cut(seen, asked, tried, kind)
    moving = seen.identity is not Identity.NO_ROLE and seen.is_migrating and not tried.asked_once and not tried.hurry
    # What cannot be cancelled, no cluster service answering, is not waited for beyond settle (D29).
    stuck = seen.observer is None and not tried.cancelled and Timer.BUSY in tried.over
    if moving and not stuck and not (tried.cancelled and Timer.CANCELLED in tried.over):
        yield "a guest is stopped on its way between the hosts"


def _cut(seen: Observation, asked: StopRequest, tried: StopAttempts, kind: VmKind) -> Iterator[str]:
    if Timer.TURN_OFF_TWICE not in tried.over:
        yield "the power is cut on a single look"
    if tried.hurry:
        return
    if kind is VmKind.PAUSED:
        owed = Timer.RESUME_REFUSED not in tried.over
    elif kind is VmKind.CRITICAL:
        owed = Timer.STARVED not in tried.over
    elif tried.answer is ShutdownAnswer.IN_PROGRESS:
        owed = asked.factor is not Factor.GROUPFAILOVER or Timer.TWICE_THE_GRACE not in tried.over
    else:
        owed = Timer.GRACE not in tried.over
    if owed:
        yield "the power is cut of a guest that has not had its grace"


def _stopped_by_the_cluster(seen: Observation, tried: StopAttempts) -> Iterator[str]:
    owner = _owner(seen)
    # No host has shown for long what the cluster goes on bringing up.
    both = VmKind.UNREADABLE not in (seen.on_local.kind, seen.on_peer.kind) and Timer.BLIND_OFF in tried.over
    unsettled = seen.configuration in (ResourceKind.FAILED, ResourceKind.PENDING, ResourceKind.UNKNOWN)
    unsettled = unsettled or seen.machine is ResourceKind.PENDING
    stuck = both and unsettled and not (seen.on_local.is_live or seen.on_peer.is_live)
    if seen.machine is not ResourceKind.ONLINE and not (stuck and seen.machine is ResourceKind.PENDING):
        yield "the cluster is to stop what it does not call online"
    if seen.observer is None or seen.owner is Place.NOWHERE:
        yield "the cluster is asked, although it does not say where the VM is"
    if owner is None or stuck:
        return
    if _contradiction(seen, owner):
        if Timer.CONTRADICTION not in tried.over and not tried.hurry:
            yield "a guest is stopped on a contradiction that has not lasted"
        return
    if seen.on(owner).kind is not VmKind.UNREADABLE or seen.node(owner) not in (NodeKind.UP, NodeKind.PAUSED):
        yield "the cluster stops what its host can be asked for, or a node that is gone"
    if not tried.hurry and Timer.OWNER_UNREADABLE not in tried.over:
        yield "a host that cannot be read has not had its patience"
    if tried.asked_once and not tried.hurry and Timer.GRACE not in tried.over:
        yield "a guest is saved in the middle of its shutdown"


def _unregistered(seen: Observation, tried: StopAttempts, do: Do) -> Iterator[str]:
    owner = _owner(seen)
    twice = Timer.OFF_TWICE in tried.over or Timer.STOPPED_TWICE in tried.over
    if seen.machine not in (ResourceKind.OFFLINE, ResourceKind.FAILED):
        yield "a configuration is stopped under a VM that the cluster does not call stopped"
    if owner is not None and _contradiction(seen, owner):
        lasts = Timer.CONTRADICTION in tried.over or tried.hurry
        if not lasts or not (twice or seen.machine is ResourceKind.FAILED):
            yield "a configuration is stopped on a contradiction that has not lasted, or on a single look"
    elif not twice and Timer.BLIND_OFF not in tried.over:
        yield "a configuration is stopped on a single look"
    if do is Do.CLEAR_FAILED:
        if owner is None or not _shows_down(seen, owner) or seen.machine is not ResourceKind.FAILED:
            yield "a resource is cleared that is not Failed, or whose guest nobody shows down"
    elif seen.configuration is not ResourceKind.ONLINE:
        yield "a configuration is stopped that is not Online"


# The others.


def in_volume(seen: volume.VolumeObservation, over: frozenset[Timer], step: Step) -> list[str]:
    """Return the rules that a volume's step breaks."""
    if not isinstance(step, Act):
        return [] if isinstance(step, Wait | Look | Done) else ["a volume fails a stop"]
    safe = seen.users is volume.Users.NONE and seen.state is ResourceKind.ONLINE and Timer.OFF_TWICE in over
    both = seen.local is Contact.ANSWERS and seen.peer is Contact.ANSWERS
    return [] if safe and both and step.do is Do.STOP_CSV else ["a volume goes offline that may be in use"]


def in_monitor(watched: monitor.Watched, verdict: monitor.Verdict) -> list[str]:
    """Return the rules that a verdict breaks."""
    seen = watched.seen
    spared = seen.maintenance or watched.locked
    if verdict.health is not Health.FAILED:
        return ["trouble in maintenance"] if spared and verdict.health is not Health.HEALTHY else []
    kind = seen.on_local.kind
    contradicted = _contradiction(seen, Side.LOCAL) if seen.owner is Place.LOCAL else False
    evidence = (
        kind in (VmKind.DOWN, VmKind.PAUSED) and not contradicted,
        seen.on_local.is_critical and monitor.Span.CRITICAL in watched.over and not contradicted,
        kind in (VmKind.DOWN, VmKind.STRANDED) and contradicted and monitor.Span.CONTRADICTED in watched.over,
        kind in (VmKind.DOWN, VmKind.PAUSED) and seen.is_migrating and monitor.Span.IN_TRANSITION in watched.over,
        kind is VmKind.RUNNING and watched.heartbeat_lost and monitor.Span.HEARTBEAT_LOST in watched.over,
        seen.owner is Place.PEER and not seen.on_local.is_live,
        kind is VmKind.ABSENT and seen.configuration is ResourceKind.OFFLINE and not contradicted,
    )
    broken = {
        "failed in maintenance, or while we work on it": spared,
        "failed by a host that does not answer": seen.local is not Contact.ANSWERS,
        "failed without positive evidence": not any(evidence),
        "failed although nobody can tell which VM is meant": seen.identity in (Identity.AMBIGUOUS, Identity.UNREAD),
        "failed for having lost its role": seen.identity is Identity.NO_ROLE and kind is not VmKind.RUNNING,
        "failed while a checkpoint, backup or merge holds it": seen.on_local.doing is Doing.HELD
        and kind is not VmKind.RUNNING,
    }
    return [rule for rule, is_so in broken.items() if is_so]


def in_peer(seen: peer.PeerObservation, step: peer.PeerStep) -> list[str]:
    """Return the rules that a step for the peer breaks."""
    if not isinstance(step, peer.PeerAct):
        return [] if isinstance(step, peer.AskHost | peer.PeerEnd) else ["no step at all"]
    fits = {
        peer.PeerRemedy.POWER_ON: seen.on_host.kind is VmKind.DOWN,
        peer.PeerRemedy.RESUME: seen.on_host.kind is VmKind.PAUSED,
        peer.PeerRemedy.START_ECX: seen.on_host.kind is VmKind.RUNNING and seen.ping is peer.Ping.ANSWERS,
        peer.PeerRemedy.RESTART: seen.on_host.kind is VmKind.RUNNING
        and seen.hung
        and seen.heartbeat_silent
        and seen.ping is peer.Ping.SILENT,
    }
    broken = {
        "acts on a peer that is not offline": seen.ecx is not peer.PeerEcx.OFFLINE,
        "acts in maintenance": seen.maintenance,
        "acts within the cool-down": seen.cooling,
        "acts beyond its limit": seen.used_up,
        "acts although the host is silent": seen.contact is not Contact.ANSWERS,
        "does what does not fit": not fits[step.remedy],
    }
    return [rule for rule, is_so in broken.items() if is_so]


# What each check is made of, for those who want to know which members of closed sets it names.
_EVIDENCE = (_owner, _shows_down, _down, _lost, _is_off, _contradiction)
START = (
    *(_in_start, _fails, _acts_of_start, _cleared_by_a_start, _starts, _quick, _live),
    *(_is_off_for_a_start, *_EVIDENCE),
)
STOP = (
    *(_in_stop, _left, _done, _off, _acts_of_stop, _to_a_guest, _cut, _stopped_by_the_cluster, _unregistered),
    *(at_the_deadline, _is_off_for_a_stop, *_EVIDENCE),
)
MONITOR = (in_monitor, *_EVIDENCE)
