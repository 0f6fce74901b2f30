"""How a start fetches a VM from the peer host: running, by live migration; down, or lost with its host, by a quick one.

Kept: a quick migration is sent only for a guest that does not execute. It would save a guest that does, or start a
second copy of a guest whose host the cluster has given up. So a quick migration takes a proof that the guest is off
(off.py), in two looks; or, where Hyper-V on the owner's host cannot be read while its node is Up, a VM resource that
has been Offline for [timing] patience. A host that refuses a login or makes no sense is alive, and so may its guests
be. Only a guest whose storage has been away for [timing] critical is given up. The cmdlet itself carries a guard: it
is not made unless the VM resource is Offline or Failed at that moment (D10).

A live migration that fails is tried again, 3 times in all, and then ends the start: the guest runs on where it is, and
the message says so. The forerunner tried a live migration after each quick one that failed, also from a dead host
(defect 22), saved running guests when CLP_EVENT was not START (23), migrated guests whose storage was still away (31),
had no time limit and did not look at the result (21), and did not say where the guest was left (20).
"""

from ecx_hyperv.decide.attempts import StartAttempts, adopt, stuck, used_up, within
from ecx_hyperv.decide.facts import Contact, Observation, Place, Side
from ecx_hyperv.decide.off import MEMBERS, SHUT_OUT, Proof, is_lost_by_local, shown_off
from ecx_hyperv.decide.states import NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.exits import Exit


def on_the_peer(seen: Observation, tried: StartAttempts) -> Step | None:
    """Return the next step for a VM whose group the peer host owns; None if it does not."""
    if seen.owner is not Place.PEER:
        return None
    vm, peer = seen.names.vm, seen.names.peer
    if seen.peer is Contact.UNASKED:
        return Look(f"{peer} owns {vm}")
    if seen.on_local.is_live:
        # A host that shows the VM live outweighs the cluster's word about its owner.
        return Wait(f"{vm} is {seen.on_local.word} on {seen.names.local}, although {peer} owns it")
    if seen.on_peer.is_live and seen.peer_node in SHUT_OUT:
        # The cluster would move the group without the guest, which goes on there.
        state = seen.peer_node.value
        return Wait(f"{vm} is {seen.on_peer.word} on {peer}, whose node is {state}: it may run on, stop it there")
    if seen.on_peer.kind is VmKind.CRITICAL:
        return _critical_on_peer(seen, tried)
    if seen.on_peer.is_live:
        return _alive_on_peer(seen, tried)
    proof = proof_for_start(seen, tried.over, cleared=tried.cleared)
    if proof is not None:
        return _taken(seen, tried, proof)
    return _unproven(seen, tried)


def proof_for_start(seen: Observation, over: frozenset[Timer], *, cleared: bool) -> Proof | None:
    """Return what shows in this look that a start may take the VM from its owner, (f) included; None if nothing does.

    By (d) every volume of the VM must be Online and owned here too: the rows before this one have seen to that.
    """
    proof = shown_off(seen, over, cleared=cleared)
    if proof is not None or seen.is_live or cleared:
        return proof
    unreadable = seen.on_peer.kind is VmKind.UNREADABLE and seen.peer is not Contact.UNASKED
    lasts = seen.machine is ResourceKind.OFFLINE and Timer.MACHINE_OFFLINE in over
    if lasts and unreadable and seen.owner is Place.PEER and seen.peer_node in MEMBERS:
        return Proof(f"{seen.names.peer} cannot be read, and the VM resource has been offline for [timing] patience")
    return None


def _taken(seen: Observation, tried: StartAttempts, proof: Proof) -> Step:
    # By (d) every look of the span has shown the same: to wait for one more would only cost time.
    spanned = is_lost_by_local(seen) and Timer.OWNER_SILENT in tried.over
    if not spanned and Timer.OFF_TWICE not in tried.over:
        return Wait(f"{proof.why}; a second look must show the same")
    if not seen.is_fresh:
        return Wait(f"{proof.why}; the answers of the two hosts do not lie together")
    do = Do.MIGRATE_LOST if proof.lost else Do.MIGRATE_QUICK
    return within(tried.migrations, do, proof.why) or _not_moved(seen, proof.why)


def _unproven(seen: Observation, tried: StartAttempts) -> Step:
    peer, vm = seen.names.peer, seen.names.vm
    if seen.peer_node is NodeKind.ISOLATED:
        if seen.peer is Contact.SILENT:
            return Wait(f"{peer} is isolated and silent: it may still run {vm}")
        return Wait(f"{peer} is isolated, but alive: it may still run {vm} ({seen.on_peer.word or 'unreadable'})")
    unreadable = seen.on_peer.kind is VmKind.UNREADABLE
    if unreadable and seen.peer_node in MEMBERS and seen.machine is ResourceKind.ONLINE:
        return _live(seen, tried, f"{peer} does not say how it is, its node is up and the VM resource online")
    if unreadable:
        return Wait(f"{peer} does not say how {vm} is, and the cluster cannot tell")
    return Wait(f"{vm} is {seen.on_peer.word or 'not registered'} on {peer}, and the cluster does not say the same")


def _critical_on_peer(seen: Observation, tried: StartAttempts) -> Step:
    where = f"it is {seen.on_peer.word} on {seen.names.peer}"
    if Timer.PEER_CRITICAL in tried.over:
        why = f"{where} for longer than [timing] critical"
        if not seen.is_fresh:
            return Wait(f"{why}; the answers of the two hosts do not lie together")
        return within(tried.migrations, Do.MIGRATE_LOST, why) or _not_moved(seen, why)
    if tried.portal is Retry.READY:
        return Act(Do.RECONNECT_ISCSI, Side.PEER, f"{where}: its storage is away")
    return Wait(f"{where}: waiting for its storage to come back")


def _alive_on_peer(seen: Observation, tried: StartAttempts) -> Step:
    where = f"it is {seen.on_peer.word} on {seen.names.peer}"
    match seen.on_peer.kind:
        case VmKind.RUNNING:
            # A migration needs the resource Online at its source (error 5023).
            return adopt(seen, tried) or _live(seen, tried, where)
        case VmKind.PAUSED:
            return within(tried.starts, Do.RESUME_VM, where, Side.PEER) or used_up(seen, "resumed", Side.PEER)
        case VmKind.TRANSITIONAL | VmKind.STALLED if Timer.PEER_TRANSITIONAL in tried.over:
            return stuck(seen, Side.PEER)
        case VmKind.ODD if Timer.ODD in tried.over:
            return stuck(seen, Side.PEER)
    return Wait(where)


def _live(seen: Observation, tried: StartAttempts, why: str) -> Step:
    step = within(tried.migrations, Do.MIGRATE_LIVE, why)
    return step or Fail(
        Exit.NOT_AS_ASKED,
        f"{seen.names.vm} could not be migrated to {seen.names.local}; its guest goes on running on {seen.names.peer}",
        f"3 live migrations, and {why}",
        "see the FailoverClustering and Hyper-V-VMMS event logs of both hosts, then move the group again, or move it "
        f"back to the EC-VM of {seen.names.peer}",
    )


def _not_moved(seen: Observation, why: str) -> Fail:
    return Fail(
        Exit.NOT_AS_ASKED,
        f"{seen.names.vm} could not be moved to {seen.names.local}",
        f"3 quick migrations, and {why}",
        "see the FailoverClustering event log of both hosts, then start it again",
    )
