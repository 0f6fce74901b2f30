"""The invariants, as what a step must not be in an observation; each function names every rule that a step breaks."""

from collections.abc import Iterator

from ecx_hyperv.decide import monitor, peer, unregister, volume
from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import Contact, Observation, Place, Side
from ecx_hyperv.decide.monitor import Health
from ecx_hyperv.decide.states import Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.decide.unregister import Factor
from ecx_hyperv.exits import Exit

_GIVEN_UP = (NodeKind.DOWN, NodeKind.QUARANTINED)  # both named by the decisions too
_STARTS = (Do.START_VM, Do.RESUME_VM, Do.START_CONFIGURATION)
_OF_A_STOP = (Do.STOP_VM, Do.TURN_OFF, Do.STOP_MACHINE, Do.STOP_CSV, Do.CANCEL_MOVE)
_COUNTED = {
    Do.START_VM: "starts",
    Do.RESUME_VM: "starts",
    Do.CLEAR_FAILED: "clears",
    Do.ADOPT: "clears",
    Do.STOP_CONFIGURATION: "registrations",
    Do.MIGRATE_LIVE: "migrations",
    Do.MIGRATE_QUICK: "migrations",
    Do.RECONNECT_ISCSI: "portal",
}


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
    at_home = seen.on_local.kind is VmKind.RUNNING
    if isinstance(step, Done) and not at_home:
        yield "done, although it does not run on the local host"
    if isinstance(step, Fail) and at_home:
        yield "a start fails over a VM that runs where it should"
    if isinstance(step, Act):
        yield from _acts_of_start(seen, tried, step)


def _acts_of_start(seen: Observation, tried: StartAttempts, step: Act) -> Iterator[str]:
    do = step.do
    if step.side is Side.PEER and do not in (Do.RECONNECT_ISCSI, Do.RESUME_VM):
        yield "a start does on the peer host what it may do on the local one only"
    if do in _OF_A_STOP:
        yield "a start does what only a stop may"
    counted = _COUNTED.get(do)
    if counted is not None and getattr(tried, counted) is not Retry.READY:
        yield "an attempt that is used up, or too soon"
    if seen.observer is not Side.LOCAL:
        yield "something is done although the local cluster service does not answer"
    if do in _STARTS and step.side is Side.LOCAL:
        yield from _starts(seen, do)
    elif do in (Do.MIGRATE_LIVE, Do.MIGRATE_QUICK) and tried.was_home:
        yield "a VM is fetched back that somebody else moved away during the run"
    elif do is Do.MIGRATE_QUICK:
        yield from _quick(seen, tried)
    elif do is Do.MIGRATE_LIVE:
        yield from _live(seen)
    elif do in (Do.CLEAR_FAILED, Do.STOP_CONFIGURATION) and (seen.on_local.is_live or seen.owner is not Place.LOCAL):
        yield "a guest that may execute would be saved"
    elif do is Do.ADOPT and not (seen.on_local.kind is VmKind.RUNNING or seen.on_peer.kind is VmKind.RUNNING):
        yield "the cluster adopts what does not run"


def _starts(seen: Observation, do: Do) -> Iterator[str]:
    if seen.on_peer.is_live:
        yield "a start while the peer host runs it"
    if seen.peer is Contact.UNASKED and seen.peer_node not in (NodeKind.UP, NodeKind.PAUSED):
        yield "a start without a look at a host that the cluster cannot speak for"
    if seen.owner is not Place.LOCAL:
        yield "a start although another node owns it"
    if seen.local_node is not NodeKind.UP:
        yield "a start on a node that is not up"
    if do is not Do.START_CONFIGURATION and seen.on_local.kind not in (VmKind.DOWN, VmKind.PAUSED):
        yield "a start of what is neither down nor paused"
    if seen.is_migrating:
        yield "a start during a migration"


def _quick(seen: Observation, tried: StartAttempts) -> Iterator[str]:
    if seen.owner is not Place.PEER:
        yield "a migration from nowhere"
    if seen.on_peer.is_live and seen.peer_node in _GIVEN_UP:
        yield "a quick migration without the guest"
    if seen.on_peer.kind in (VmKind.RUNNING, VmKind.PAUSED, VmKind.TRANSITIONAL, VmKind.ODD):
        yield "a quick migration of a guest that may execute"
    lost = seen.on_peer.is_off and seen.peer_node is NodeKind.ISOLATED
    if seen.on_peer.is_critical and not lost and Timer.PEER_CRITICAL not in tried.over:
        yield "a quick migration of a guest whose storage may come back"
    if seen.on_peer.kind is VmKind.UNREADABLE and not _may_be_taken(seen, tried):
        yield "a VM is taken from a host that may run it"
    if seen.is_migrating or not seen.iscsi:
        yield "a migration too early"
    if seen.csv is not ResourceKind.ONLINE or seen.csv_owner is not Place.LOCAL:
        yield "a migration to a host without the volume"
    if seen.peer_node is NodeKind.ISOLATED and seen.peer is not Contact.SILENT and not seen.on_peer.is_off:
        yield "a VM is taken from an isolated host that shows life and does not say that it let go of it"


def _may_be_taken(seen: Observation, tried: StartAttempts) -> bool:
    if seen.peer_node in _GIVEN_UP:
        return True
    if seen.peer_node is NodeKind.ISOLATED:
        proved = seen.local_node is NodeKind.UP and seen.csv is ResourceKind.ONLINE and seen.csv_owner is Place.LOCAL
        return seen.peer is Contact.SILENT and Timer.PEER_SILENT in tried.over and proved
    return seen.peer_node in (NodeKind.UP, NodeKind.PAUSED) and seen.machine is ResourceKind.OFFLINE


def _live(seen: Observation) -> Iterator[str]:
    if seen.owner is not Place.PEER:
        yield "a migration from nowhere"
    unseen = seen.on_peer.kind is VmKind.UNREADABLE
    if not unseen and seen.on_peer.kind is not VmKind.RUNNING:
        yield "a live migration of what does not run"
    if unseen and seen.machine is not ResourceKind.ONLINE:
        yield "a live migration of what the cluster does not call online"
    if seen.peer_node in (*_GIVEN_UP, NodeKind.ISOLATED):
        yield "a live migration from a node that is gone"


def in_stop(seen: Observation, asked: unregister.StopRequest, tried: unregister.StopAttempts, step: Step) -> list[str]:
    """Return the rules that a stop's step breaks."""
    if not isinstance(step, Act | Wait | Look | Done | Fail):
        return ["no step at all"]
    return list(_in_stop(seen, asked, tried, step))


def _in_stop(
    seen: Observation, asked: unregister.StopRequest, tried: unregister.StopAttempts, step: Step
) -> Iterator[str]:
    if isinstance(step, Fail):
        if step.exit is not Exit.USAGE or asked.by_hand or asked.factor is not Factor.NONE:
            yield "a stop that was meant fails before its deadline"
        return
    if not asked.by_hand and asked.factor is Factor.NONE:
        yield "a stop that nobody asked for"
    if isinstance(step, Done):
        yield from _left(seen, asked) if step.stays else _off(seen, tried)
    if isinstance(step, Act):
        yield from _acts_of_stop(seen, asked, tried, step)


def _left(seen: Observation, asked: unregister.StopRequest) -> Iterator[str]:
    if asked.by_hand or asked.factor in (Factor.GROUPSTOP, Factor.CLUSTERSHUTDOWN):
        yield "a guest is left running that was to be stopped"
    followed = seen.on_peer.healthy or seen.on_local.doing is Doing.MIGRATING
    survives = asked.factor is Factor.GROUPFAILOVER and asked.ecx_peer_online and seen.on_local.healthy
    if asked.factor is not Factor.GROUPMOVE and not followed and not survives:
        yield "a guest is left running that nobody takes over"


def _off(seen: Observation, tried: unregister.StopAttempts) -> Iterator[str]:
    if seen.on_local.is_live or seen.on_peer.is_live:
        yield "done while a guest may execute"
    if not _is_certainly_off(seen, tried):
        yield "done while nobody can tell whether the guest runs"
    if Timer.OFF not in tried.over and seen.group is not GroupKind.ABSENT and seen.is_migrating:
        yield "done while its group is on its way to where it may start"


def _is_certainly_off(seen: Observation, tried: unregister.StopAttempts) -> bool:
    if seen.observer is None or seen.group is GroupKind.ABSENT:
        return seen.on_local.is_off and seen.on_peer.is_off
    if seen.owner is Place.NOWHERE:
        return False
    if seen.owner is Place.ELSEWHERE:
        return seen.machine is ResourceKind.OFFLINE
    side = Side.LOCAL if seen.owner is Place.LOCAL else Side.PEER
    if seen.on(side).is_off or seen.node(side) in _GIVEN_UP:
        return True
    if seen.node(side) is NodeKind.ISOLATED:
        observer = Side.PEER if side is Side.LOCAL else Side.LOCAL
        silent = seen.contact(side) is Contact.SILENT and Timer.OWNER_SILENT in tried.over
        return silent and seen.observer is observer and seen.node(observer) is NodeKind.UP
    return seen.node(side) in (NodeKind.UP, NodeKind.PAUSED) and seen.machine is ResourceKind.OFFLINE


def _acts_of_stop(
    seen: Observation, asked: unregister.StopRequest, tried: unregister.StopAttempts, step: Act
) -> Iterator[str]:
    do = step.do
    if not asked.by_hand and asked.factor is Factor.GROUPMOVE:
        yield "something is done on a move of the group"
    if do is Do.STOP_VM and tried.hurry:
        yield "a guest is given grace when there is no time left for it"
    vm = seen.on(step.side) if do in (Do.STOP_VM, Do.TURN_OFF) else None
    if vm is not None and not vm.is_live:
        yield "a guest is stopped where it does not run"
    if vm is not None and do is Do.TURN_OFF and vm.kind is VmKind.RUNNING:
        grace = Timer.GRACE in tried.over or tried.hurry or (seen.is_migrating and Timer.BUSY in tried.over)
        if not grace:
            yield "a running guest is turned off without its grace"
    if do is Do.STOP_MACHINE and tried.stopping and not tried.hurry and Timer.GRACE not in tried.over:
        yield "a guest is saved in the middle of its shutdown"
    live = seen.on_local.is_live or seen.on_peer.is_live
    if do in (Do.STOP_CONFIGURATION, Do.CLEAR_FAILED) and (live or not _is_certainly_off(seen, tried)):
        yield "a guest that may execute would be saved"
    through_cluster = (Do.STOP_CONFIGURATION, Do.CLEAR_FAILED, Do.STOP_MACHINE, Do.CANCEL_MOVE)
    if do in through_cluster and step.side is not (seen.observer or Side.LOCAL):
        yield "the cluster is asked where its service does not answer"
    if do not in (Do.STOP_VM, Do.TURN_OFF, *through_cluster):
        yield "a stop does what only a start may"


def in_volume(seen: volume.VolumeObservation, step: Step) -> list[str]:
    """Return the rules that a volume's step breaks."""
    if not isinstance(step, Act):
        return [] if isinstance(step, Wait | Look | Done) else ["a volume fails a stop"]
    safe = seen.users is volume.Users.NONE and seen.state is ResourceKind.ONLINE
    both = seen.local is Contact.ANSWERS and seen.peer is Contact.ANSWERS
    return [] if safe and both and step.do is Do.STOP_CSV else ["a volume goes offline that may be in use"]


def in_monitor(watched: monitor.Watched, verdict: monitor.Verdict) -> list[str]:
    """Return the rules that a verdict breaks."""
    seen = watched.seen
    spared = seen.maintenance or watched.locked
    if verdict.health is not Health.FAILED:
        return ["trouble in maintenance"] if spared and verdict.health is not Health.HEALTHY else []
    evidence = (
        seen.on_local.kind in (VmKind.DOWN, VmKind.PAUSED),
        seen.on_local.is_critical and monitor.Span.CRITICAL in watched.over,
        seen.on_local.kind is VmKind.RUNNING and watched.heartbeat_lost,
        seen.on_local.kind is not VmKind.RUNNING and seen.owner is Place.PEER,
        seen.on_local.kind is VmKind.ABSENT and seen.configuration in (ResourceKind.OFFLINE, ResourceKind.FAILED),
    )
    broken = {
        "failed in maintenance, or while we work on it": spared,
        "failed by a host that does not answer": seen.local is not Contact.ANSWERS,
        "failed without positive evidence": not any(evidence),
        "failed while a checkpoint, backup or merge holds it": seen.on_local.doing is Doing.HELD
        and seen.on_local.kind is not VmKind.RUNNING,
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
START = (_in_start, _acts_of_start, _starts, _quick, _may_be_taken, _live)
STOP = (_in_stop, _left, _off, _is_certainly_off, _acts_of_stop)
