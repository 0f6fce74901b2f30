"""What vm-unregister does next: a VM is to be off and unregistered, and its Shared Volume offline if unused.

Kept: a stop says done only if no host runs the guest, or if the guest is left to run on purpose. A stop fails only
where a guest may still be running, because ECX answers a failed stop by shutting the EC-VM's OS down, and with it the
storage of every VM. What cannot be tidied once the guest is off (configuration, volume) is left, and said.

A stop is not always meant. On a move of the group, where WSFC or an operator has moved the VM, and where another
resource's failure caused the failover, the start on the other EC-VM follows the guest; stopping the guest would turn a
planned move into an outage (defect 40).

A guest is asked through its integration service (Agent-ShutdownGuest), never by Stop-VM without TurnOff, which cuts the
power at once where that service does not answer (P1). The grace runs from the first request that was answered or given
up; while the guest says that it is shutting down the grace goes on. TurnOff takes two looks, and is never sent to a VM
in transition: Hyper-V refuses it, and of a VM that is being saved it would discard the memory (D6, D24). What cannot be
asked at its host is stopped through the cluster, after [timing] patience (D8).

The guest is looked for on both hosts and stopped where it runs: the forerunner stopped on the local host only, failed,
and left the guest running without its storage (36). A guest gets its grace and no more (38, 42). What is stopped
already counts as stopped (37). A group that is Failed is cleared instead of waited for (39). Without a factor and
without --yes nothing is stopped (41).
"""

from ecx_hyperv.decide.facts import Contact, Identity, Observation, Place, Side
from ecx_hyperv.decide.off import MEMBERS, contradiction, is_lost_by_local
from ecx_hyperv.decide.off_for_stop import is_blind_off, is_off_at_the_end, is_proven, is_stuck, proof_for_stop
from ecx_hyperv.decide.power import bring_down, calls_for_power_cut, is_moving, live_side
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.states import Doing, GroupKind, NodeKind, OfflineAction, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.decide.stops import Factor, StopAttempts, StopRequest
from ecx_hyperv.exits import Exit

# What becomes of a guest whose VM resource the cluster stops: a person must be able to tell a save from a power cut.
_WHAT_THE_CLUSTER_DOES = {
    OfflineAction.TURN_OFF: "the cluster turns the guest off, as the OfflineAction of its resource says: a power cut",
    OfflineAction.SAVE: "the cluster saves the guest, as the OfflineAction of its resource says",
    OfflineAction.SHUT_DOWN: "the cluster shuts the guest down, as the OfflineAction of its resource says",
    OfflineAction.FORCED_SHUTDOWN: "the cluster forces the guest down, as the OfflineAction of its resource says",
    None: "the guest is saved, shut down or turned off, as the OfflineAction of its resource says",
}


def decide(seen: Observation, asked: StopRequest, tried: StopAttempts) -> Step:
    """Return the next step of a stop."""
    step = _not_meant(seen, asked)
    if step is not None:
        return step
    if seen.identity is Identity.NO_ROLE:
        return _in_no_role(seen, tried)
    if seen.identity is Identity.UNREAD:
        return _nobody_tells(seen, f"no cluster database says yet which VM {seen.names.vm} is")
    side = live_side(seen)
    if side is not None:
        return bring_down(seen, asked, tried, side)
    return _settle(seen, tried) or _unproven(seen, tried) or _off(seen, tried)


def timers(seen: Observation, asked: StopRequest, tried: StopAttempts) -> frozenset[Timer]:
    """Return the timers that run while this is seen; any other starts anew."""
    owner = seen.owner_side
    unseen = any(seen.on(one).kind is VmKind.UNREADABLE for one in ([owner] if owner else Side))
    unread = owner is not None and unseen and seen.contact(owner) is not Contact.UNASKED
    side = live_side(seen)
    # A request that a hung session never carried asked nobody. The grace runs on while nobody can say how the guest is.
    was_asked = tried.asked_once and tried.answer is not ShutdownAnswer.UNASKED
    in_grace = was_asked and (unseen if side is None else not seen.on(side).is_in_transition)
    proof = proof_for_stop(seen, tried)
    # Nothing is done to a guest while its migration is waited for: what it gets its time for begins behind that.
    waits = is_moving(seen, tried)
    running = {
        Timer.BUSY: seen.is_migrating,
        Timer.CANCELLED: tried.cancelled,
        Timer.CONTRADICTION: contradiction(seen) is not None,
        Timer.GRACE: in_grace,
        Timer.HALF_GRACE: in_grace,
        Timer.TWICE_THE_GRACE: in_grace,
        Timer.STARVED: side is not None and seen.on(side).kind is VmKind.CRITICAL and not waits,
        Timer.RESUME_REFUSED: side is not None and seen.on(side).kind is VmKind.PAUSED and not waits,
        Timer.LEFT_RUNNING: seen.identity is Identity.NO_ROLE and tried.asked_once and side is not None,
        Timer.OWNER_SILENT: is_lost_by_local(seen),
        Timer.OWNER_UNREADABLE: unread,
        Timer.PEER_AWAY: seen.peer in (Contact.SILENT, Contact.TROUBLED),
        Timer.OFF_TWICE: proof is not None,
        Timer.STOPPED_TWICE: seen.observer is not None and seen.machine is ResourceKind.OFFLINE,
        Timer.BLIND_OFF: is_blind_off(seen) or _is_gone_without_role(seen, tried),
        Timer.TURN_OFF_TWICE: calls_for_power_cut(seen, asked, tried),
        Timer.OFF: proof is not None and not _is_on_its_way(seen, tried),
    }
    return frozenset(timer for timer, runs in running.items() if runs)


def out_of_time(seen: Observation | None, tried: StopAttempts, why: str) -> Fail | Done:
    """Say how a stop ends that reached its deadline: done where the guest is certainly off, else what may still run."""
    if seen is not None and seen.identity is Identity.NO_ROLE:
        return _left(f"{seen.names.vm} is in no role of the cluster, and may run; unfinished at the deadline: {why}")
    if seen is not None and seen.identity is not Identity.UNREAD and is_off_at_the_end(seen, tried):
        return Done(f"{seen.names.vm} is off; unfinished at the deadline: {why}", warn=True)
    side = None if seen is None else live_side(seen)
    if seen is not None and side is not None:
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


def without_contact(seen: Observation | None, tried: StopAttempts, trouble: Fail) -> Fail | Done:
    """Say how a stop ends that is told nothing any more: done where two looks had shown the guest off.

    `seen` is the last look that told anything; who starts the guest after that must have registered the VM again.
    """
    if seen is None or seen.identity is not Identity.KNOWN or not is_off_at_the_end(seen, tried):
        return trouble
    return Done(f"{seen.names.vm} is off; nothing was told since then: {trouble.what}", warn=True)


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


def _in_no_role(seen: Observation, tried: StopAttempts) -> Step:
    """A VM that the cluster has in no role is asked to shut down, and never turned off: it may be somebody else's."""
    vm, side = seen.names.vm, live_side(seen)
    if side is not None:
        where = f"{vm} is in no role of the cluster, and {seen.on(side).word} on {seen.names.of(side)}"
        if Timer.LEFT_RUNNING in tried.over or tried.hurry:
            return _left(f"{where}: it is left running, and its volume online")
        if seen.on(side).kind is VmKind.RUNNING and tried.shutdown is Retry.READY:
            return Act(Do.SHUT_DOWN, side, where)
        cannot_be_asked = seen.on(side).kind is not VmKind.RUNNING and not seen.on(side).is_in_transition
        if cannot_be_asked and not tried.asked_once:
            return _left(f"{where}: it is left as it is, and its volume online")
        return Wait(f"{where}; {tried.answer.value}")
    if seen.peer is Contact.UNASKED:
        return Look(f"{vm} is in no role of the cluster")
    if seen.names_fit:
        return _left(f"{vm} is in no role of the cluster; a VM of that name is left as it is, and the volume online")
    if not _is_gone_without_role(seen, tried):
        return Wait(f"{vm} is in no role of the cluster, and a host does not say whether it runs there")
    # Hyper-V that has just restarted does not list all its VMs yet, and no resource tells otherwise.
    if Timer.BLIND_OFF not in tried.over:
        return Wait(f"{vm} is in no role of the cluster, and no host that answers runs it; that must last")
    # Under another name the VM may still be on the volume: nothing would tell.
    gone = f"{vm} is in no role of the cluster, and no host that answers runs it; the volume is left online"
    return Done(gone, warn=True, stays=True)


def _is_gone_without_role(seen: Observation, tried: StopAttempts) -> bool:
    """Tell whether this look shows that no host that answers runs a VM that is in no role, and no other may."""
    if seen.identity is not Identity.NO_ROLE or not seen.on_local.is_not_live or seen.on_peer.is_live:
        return False
    away = seen.peer_node in (NodeKind.DOWN, NodeKind.QUARANTINED) or Timer.PEER_AWAY in tried.over
    return seen.on_peer.is_not_live or away


def _left(how: str) -> Done:
    """End a stop that leaves a guest, and the volume that it may be on: to fail would take the same storage away."""
    return Done(how, warn=True, stays=True, alarm=True)


def _nobody_tells(seen: Observation, why: str) -> Step:
    return Look(why) if seen.peer is Contact.UNASKED else Wait(why)


def _settle(seen: Observation, tried: StopAttempts) -> Step | None:
    """Let a move end before its guest counts as off: a saved guest may be about to start."""
    if not _is_on_its_way(seen, tried):
        return None
    if tried.cancelled:
        return Wait(f"the migration of {seen.names.vm} was cancelled")
    if Timer.BUSY not in tried.over:
        return Wait(f"the group of {seen.names.vm} is changing state")
    return Act(Do.CANCEL_MOVE, seen.observer or Side.LOCAL, "its group has been changing for longer than settle")


def _is_on_its_way(seen: Observation, tried: StopAttempts) -> bool:
    return seen.is_migrating and not tried.hurry and Timer.CANCELLED not in tried.over


def _unproven(seen: Observation, tried: StopAttempts) -> Step | None:
    """Return what to do while a guest that nobody sees may still run; None once it is off as a fact."""
    vm = seen.names.vm
    proof = proof_for_stop(seen, tried)
    if proof is not None:
        if seen.peer is Contact.UNASKED:
            return Look(f"{proof.why}; the peer host was not asked yet")
        if not is_proven(seen, tried):
            return Wait(f"{proof.why}; a second look must show the same")
        return None if seen.is_fresh else Wait(f"{proof.why}; the answers of the two hosts do not lie together")
    if seen.observer is None:
        return _nobody_tells(seen, f"neither the cluster nor both hosts can tell where {vm} is")
    words = contradiction(seen)
    if words is not None:
        return _contradicted(seen, tried, words)
    if seen.owner is Place.NOWHERE:
        return Wait(f"the cluster names no owner of {vm}")
    if seen.owner_side is None:
        return _stop_through_cluster(seen, tried, "a node that is none of the two hosts")
    if seen.contact(seen.owner_side) is Contact.UNASKED:
        return Look(f"{seen.names.of(seen.owner_side)} owns {vm}")
    return _unseen(seen, tried, seen.owner_side)


def _contradicted(seen: Observation, tried: StopAttempts, words: str) -> Step:
    if Timer.CONTRADICTION not in tried.over and not tried.hurry:
        return Wait(words)
    why = f"{words}, for longer than [timing] settle" if Timer.CONTRADICTION in tried.over else words
    if seen.machine is ResourceKind.ONLINE or is_stuck(seen, tried):
        if tried.machine_stop is Retry.READY:
            return _through_cluster(seen, Do.STOP_MACHINE, why)
        return Wait(f"{words}; the cluster was asked to stop it")
    # A Failed VM resource is not cleared: its Offline would prove nothing, while Failed does once the VM is down.
    twice = seen.machine is ResourceKind.OFFLINE and Timer.STOPPED_TWICE in tried.over
    stopped = twice or seen.machine is ResourceKind.FAILED
    if stopped and seen.configuration is ResourceKind.ONLINE and tried.unregister is Retry.READY:
        return _through_cluster(seen, Do.STOP_CONFIGURATION, why)
    return Wait(f"{words}; its resource is {seen.machine.value}")


def _unseen(seen: Observation, tried: StopAttempts, side: Side) -> Step:
    host, vm = seen.names.of(side), seen.names.vm
    why = f"{host} owns {vm} and does not say how it is"
    if not seen.on(side).is_not_live and seen.node(side) in MEMBERS:
        if not tried.hurry and Timer.OWNER_UNREADABLE not in tried.over:
            return Wait(f"{why}: it is given [timing] patience")
        # The cluster would save it in the middle of its shutdown, which would then go on at its next start.
        in_grace = tried.asked_once and Timer.GRACE not in tried.over
        if in_grace and not tried.hurry:
            return Wait(f"{vm} was asked to shut down, and {host} does not say how it is")
        return _stop_through_cluster(seen, tried, host)
    if is_stuck(seen, tried) and tried.machine_stop is Retry.READY:
        return _through_cluster(seen, Do.STOP_MACHINE, f"neither host shows {vm}, its resource is {seen.machine.value}")
    if seen.on(side).is_not_live:
        shown = (
            f"{host} shows {vm} {seen.on(side).word}" if seen.on(side).is_shown_down else f"{host} does not know {vm}"
        )
        said = f"its resource {seen.machine.value} and its configuration {seen.configuration.value}"
        return Wait(f"{shown}, the cluster calls {said}")
    return Wait(f"{why}, and its node is {seen.node(side).value}")


def _stop_through_cluster(seen: Observation, tried: StopAttempts, host: str) -> Step:
    vm = seen.names.vm
    if seen.machine is ResourceKind.FAILED:
        # To clear it would say nothing about the guest: an Offline of our own making is no proof.
        return Wait(f"the VM resource of {vm} is failed, and Hyper-V on {host} cannot be read")
    if ResourceKind.PENDING in (seen.machine, seen.configuration):
        return Wait(f"the cluster is stopping {vm} on {host}")
    if seen.machine is ResourceKind.ONLINE:
        if tried.machine_stop is not Retry.READY:
            return Wait(f"the cluster was asked to stop {vm} on {host}")
        return _through_cluster(
            seen,
            Do.STOP_MACHINE,
            f"{host} owns {vm} and does not say how it is",
        )
    if seen.machine is ResourceKind.OFFLINE and seen.configuration is ResourceKind.ONLINE:
        if Timer.STOPPED_TWICE not in tried.over:
            return Wait(f"the cluster has stopped {vm} on {host}; a second look must show the same")
        if tried.unregister is Retry.READY:
            return _through_cluster(seen, Do.STOP_CONFIGURATION, f"the cluster has stopped {vm} on {host}")
    said = f"its resource {seen.machine.value} and its configuration {seen.configuration.value}"
    return Wait(f"{host} owns {vm} and does not say how it is; the cluster calls {said}")


def _through_cluster(seen: Observation, do: Do, why: str) -> Act:
    """Return a step that any node of the cluster can take: the one whose cluster service answers takes it."""
    if do is Do.STOP_MACHINE:
        why = f"{why}; {_WHAT_THE_CLUSTER_DOES[seen.names.offline_action]}"
    return Act(do, seen.observer or Side.LOCAL, why)


def _off(seen: Observation, tried: StopAttempts) -> Step:
    vm = seen.names.vm
    if seen.observer is None:
        return Done(f"{vm} is off: neither host shows it live; no cluster service answers", warn=True)
    why = f"the configuration resource of {vm} is {seen.configuration.value}"
    # A quick migration takes the configuration offline on its way.
    if _is_unregistered(seen) and not seen.is_migrating:
        return Done(f"{vm} is off and unregistered")
    if Timer.OFF in tried.over:
        return Done(f"{vm} is off, but could not be unregistered: {why}", warn=True)
    if _is_lost(seen, tried):
        return Done(f"{vm} is off, lost with its host, so it stays registered there", warn=True)
    if contradiction(seen) is not None:
        return Done(f"{vm} is off; Hyper-V and the cluster contradict each other, so it stays registered", warn=True)
    owner = seen.owner_side
    shown = owner is not None and seen.on(owner).is_shown_down
    if seen.group is GroupKind.FAILED and seen.machine is ResourceKind.FAILED and shown:
        if tried.clears is Retry.READY:
            return _through_cluster(seen, Do.CLEAR_FAILED, "its group is failed")
    elif seen.configuration is ResourceKind.ONLINE and tried.unregister is Retry.READY:
        return _through_cluster(seen, Do.STOP_CONFIGURATION, f"{vm} is off")
    return Wait(why)


def _is_lost(seen: Observation, tried: StopAttempts) -> bool:
    proof = proof_for_stop(seen, tried)
    return proof is not None and proof.lost


def _is_unregistered(seen: Observation) -> bool:
    return seen.configuration in (ResourceKind.OFFLINE, ResourceKind.FAILED, ResourceKind.ABSENT)
