"""What vm-unregister does next: a VM is to be off and unregistered, and its Shared Volume offline if unused.

Kept: a stop says done only if no host runs the guest, or if the guest is left to run on purpose. A stop fails only
where a guest may still be running, because ECX answers a failed stop by shutting the EC-VM's OS down, and with it the
storage of every VM. What cannot be tidied once the guest is off (configuration, volume) is left, and said.

A stop is not always meant. On a move of the group, where WSFC or an operator has moved the VM, and where another
resource's failure caused the failover, the start on the other EC-VM follows the guest; stopping the guest would turn a
planned move into an outage (defect 40).

The guest is looked for on both hosts and stopped where it runs: the forerunner stopped on the local host only, failed,
and left the guest running without its storage (36). A guest gets its grace and no more (38, 42). What is stopped
already counts as stopped (37). A group that is Failed is cleared instead of waited for (39). Without a factor and
without --yes nothing is stopped (41).
"""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.facts import Contact, Observation, Place, Side
from ecx_hyperv.decide.states import Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.exits import Exit


class Factor(Enum):
    """Why ECX stops the resource (CLP_FACTOR); OTHER for a word that nobody knows, NONE without one."""

    GROUPMOVE = "GROUPMOVE"
    GROUPSTOP = "GROUPSTOP"
    GROUPFAILOVER = "GROUPFAILOVER"
    CLUSTERSHUTDOWN = "CLUSTERSHUTDOWN"
    SERVERSHUTDOWN = "SERVERSHUTDOWN"
    RESOURCERESTART = "RESOURCERESTART"
    OTHER = "another factor"
    NONE = "no factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """What was asked of the stop; `by_hand` is --yes, `ecx_peer_online` what clpstat says of the peer."""

    factor: Factor
    by_hand: bool = False
    ecx_peer_online: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempts:
    """What this run has done so far; `stopping` once the guest was asked to shut down, `stop` whether it is to be
    asked (again), `hurry` once only the reserve is left before the deadline."""

    stopping: bool = False
    stop: Retry = Retry.READY
    turn_off: Retry = Retry.READY
    cancelled: bool = False
    clears: Retry = Retry.READY
    machine_stop: Retry = Retry.READY
    unregister: Retry = Retry.READY
    hurry: bool = False
    over: frozenset[Timer] = frozenset()


def decide(seen: Observation, asked: StopRequest, tried: StopAttempts) -> Step:
    """Return the next step of a stop."""
    step = _not_meant(seen, asked)
    if step is not None:
        return step
    first = Side.PEER if seen.owner is Place.PEER else Side.LOCAL
    for side in (first, Side.PEER if first is Side.LOCAL else Side.LOCAL):
        if seen.on(side).is_live:
            return _bring_down(seen, tried, side)
    return _settle(seen, tried) or _doubt(seen, tried) or _off(seen, tried)


def timers(seen: Observation, tried: StopAttempts) -> frozenset[Timer]:
    """Return the timers that run while this is seen; any other starts anew."""
    live = seen.on_local.is_live or seen.on_peer.is_live
    unclear = {VmKind.TRANSITIONAL, VmKind.ODD} & {seen.on_local.kind, seen.on_peer.kind}
    running = {
        Timer.BUSY: seen.is_migrating or bool(unclear),
        Timer.GRACE: tried.stopping and (live or _is_unseen(seen)),
        Timer.OWNER_SILENT: _owner_is_silent_and_isolated(seen),
        Timer.OFF: not live and not _is_on_its_way(seen, tried) and _doubt(seen, tried) is None,
    }
    return frozenset(timer for timer, runs in running.items() if runs)


def out_of_time(seen: Observation | None, why: str) -> Fail:
    """Say how a stop ends that reached its deadline: the guest runs on, or nobody can tell."""
    if seen is not None and (seen.on_local.is_live or seen.on_peer.is_live):
        side = Side.LOCAL if seen.on_local.is_live else Side.PEER
        return Fail(
            Exit.OUT_OF_TIME,
            f"{seen.names.vm} is still {seen.on(side).word} on {seen.names.of(side)}",
            why,
            f"turn it off in Hyper-V Manager on {seen.names.of(side)} before its storage goes",
        )
    return Fail(
        Exit.CANNOT_TELL,
        "whether the guest still runs cannot be told",
        why,
        "look at both hosts in Hyper-V Manager; turn the guest off if it runs, then stop the group again",
    )


def _not_meant(seen: Observation, asked: StopRequest) -> Step | None:
    vm = seen.names.vm
    if asked.by_hand:
        return None
    if asked.factor is Factor.NONE:
        return Fail(
            Exit.USAGE,
            f"{vm} is not stopped: nobody said that it should be",
            "no CLP_FACTOR, so ECX did not call, and no --yes",
            f"to stop it by hand: vm-unregister --yes {vm!r}",
        )
    if asked.factor is Factor.GROUPMOVE:
        return Done(f"{vm} is left as it is: the start on the other EC-VM migrates it", stays=True)
    if asked.factor in (Factor.GROUPSTOP, Factor.CLUSTERSHUTDOWN):
        return None
    if seen.on_peer.healthy:
        return Done(f"{vm} is left running on {seen.names.peer}: the failover follows it", stays=True)
    if seen.owner is Place.LOCAL and seen.on_local.doing is Doing.MIGRATING:
        return Done(f"{vm} is on its way to {seen.names.peer}: the failover follows it", stays=True)
    if asked.factor is Factor.GROUPFAILOVER and seen.on_local.healthy and asked.ecx_peer_online:
        return Done(f"{vm} is healthy and left running: the start on the other EC-VM migrates it", stays=True)
    return None


def _bring_down(seen: Observation, tried: StopAttempts, side: Side) -> Step:
    vm = seen.on(side)
    where = f"it is {vm.word} on {seen.names.of(side)}"
    unclear = seen.is_migrating or vm.kind in (VmKind.TRANSITIONAL, VmKind.ODD)
    if unclear and not tried.stopping and not tried.hurry and Timer.BUSY not in tried.over:
        return Wait(f"{where}, and in transition")
    if seen.is_migrating and not tried.cancelled and not tried.stopping:
        return _through_cluster(seen, Do.CANCEL_MOVE, f"{where}, and being moved for longer than [timing] settle")
    stuck = unclear and not tried.stopping
    if tried.hurry or stuck or vm.kind in (VmKind.PAUSED, VmKind.CRITICAL):
        return _turn_off(tried, side, where)
    if Timer.GRACE in tried.over:
        return _turn_off(tried, side, f"{where}, its grace is over")
    if tried.stop is Retry.READY:
        return Act(Do.STOP_VM, side, where)
    return Wait(f"{where}, and shutting down")


def _through_cluster(seen: Observation, do: Do, why: str) -> Act:
    """Return a step that any node of the cluster can take: the one whose cluster service answers takes it."""
    return Act(do, seen.observer or Side.LOCAL, why)


def _turn_off(tried: StopAttempts, side: Side, why: str) -> Step:
    if tried.turn_off is Retry.RECENT:
        return Wait(f"{why}; it has just been turned off")
    return Act(Do.TURN_OFF, side, why)


def _settle(seen: Observation, tried: StopAttempts) -> Step | None:
    """Let a move end before its guest counts as off: a saved guest may be about to start."""
    if not _is_on_its_way(seen, tried):
        return None
    if Timer.BUSY not in tried.over:
        return Wait(f"the group of {seen.names.vm} is changing state")
    return _through_cluster(seen, Do.CANCEL_MOVE, "its group has been changing for longer than settle")


def _is_on_its_way(seen: Observation, tried: StopAttempts) -> bool:
    return not tried.cancelled and not tried.hurry and seen.is_migrating


def _doubt(seen: Observation, tried: StopAttempts) -> Step | None:
    """Return what to do while a guest that nobody sees may still run; None if it is certainly off."""
    vm = seen.names.vm
    if seen.observer is None or seen.group is GroupKind.ABSENT:
        if seen.on_local.is_off and seen.on_peer.is_off:
            return None
        if seen.peer is Contact.UNASKED:
            return Look(f"the cluster does not say where {vm} is")
        return Wait(f"neither the cluster nor both hosts can tell where {vm} is")
    if seen.owner is Place.NOWHERE:
        return Wait(f"the cluster names no owner of {vm}")
    if seen.owner is Place.ELSEWHERE:
        return _stop_through_cluster(seen, tried, "a node that is none of the two hosts")
    side = Side.LOCAL if seen.owner is Place.LOCAL else Side.PEER
    if seen.on(side).is_off:
        return None
    if seen.contact(side) is Contact.UNASKED:
        return Look(f"{seen.names.of(side)} owns {vm}")
    return _on_silent(seen, tried, side)


def _on_silent(seen: Observation, tried: StopAttempts, side: Side) -> Step | None:
    host, vm = seen.names.of(side), seen.names.vm
    match seen.node(side):
        case NodeKind.DOWN | NodeKind.QUARANTINED:
            return None
        case NodeKind.ISOLATED if _owner_is_silent_and_isolated(seen) and Timer.OWNER_SILENT in tried.over:
            return None
        case NodeKind.UP | NodeKind.PAUSED:
            return _stop_through_cluster(seen, tried, host)
    return Wait(f"{host} owns {vm}, does not say how it is, and its node is {seen.node(side).value}")


def _stop_through_cluster(seen: Observation, tried: StopAttempts, host: str) -> Step | None:
    vm = seen.names.vm
    if seen.machine is ResourceKind.OFFLINE:
        return None
    if seen.machine is ResourceKind.PENDING or tried.machine_stop is Retry.RECENT:
        return Wait(f"the cluster is stopping {vm} on {host}")
    # The cluster would save it in the middle of its shutdown, which would then go on at its next start.
    if tried.stopping and not tried.hurry and Timer.GRACE not in tried.over:
        return Wait(f"{vm} was asked to shut down, and {host} does not say how it is")
    return _through_cluster(seen, Do.STOP_MACHINE, f"{host} owns {vm} and does not say how it is")


def _owner_is_silent_and_isolated(seen: Observation) -> bool:
    side = {Place.LOCAL: Side.LOCAL, Place.PEER: Side.PEER}.get(seen.owner)
    if side is None or seen.observer in (None, side):
        return False
    observer = Side.PEER if side is Side.LOCAL else Side.LOCAL
    silent = seen.contact(side) is Contact.SILENT and seen.node(side) is NodeKind.ISOLATED
    return silent and seen.node(observer) is NodeKind.UP


def _off(seen: Observation, tried: StopAttempts) -> Step:
    vm = seen.names.vm
    why = f"the configuration resource of {vm} is {seen.configuration.value}"
    if seen.group is GroupKind.ABSENT:
        return Done(f"{vm} is off, and the cluster does not know it", warn=True)
    # A quick migration takes the configuration offline on its way.
    if seen.observer is not None and _is_unregistered(seen) and not seen.is_migrating:
        return Done(f"{vm} is off and unregistered")
    if Timer.OFF in tried.over:
        return Done(f"{vm} is off, but could not be unregistered: {why}", warn=True)
    if seen.observer is None:
        return Wait(f"{vm} is off; the cluster service does not answer")
    if seen.group is GroupKind.FAILED and seen.machine is ResourceKind.FAILED and tried.clears is Retry.READY:
        return _through_cluster(seen, Do.CLEAR_FAILED, "its group is failed")
    if seen.configuration is ResourceKind.ONLINE and tried.unregister is Retry.READY:
        return _through_cluster(seen, Do.STOP_CONFIGURATION, f"{vm} is off")
    return Wait(why)


def _is_unseen(seen: Observation) -> bool:
    side = {Place.LOCAL: Side.LOCAL, Place.PEER: Side.PEER}.get(seen.owner)
    return side is not None and seen.on(side).kind is VmKind.UNREADABLE


def _is_unregistered(seen: Observation) -> bool:
    return seen.configuration in (ResourceKind.OFFLINE, ResourceKind.FAILED, ResourceKind.ABSENT)
