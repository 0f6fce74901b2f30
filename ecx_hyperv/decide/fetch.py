"""How a start fetches a VM from the peer host: running, by live migration; down, or lost with its host, by a quick one.

Kept: a quick migration is sent only for a guest that does not execute. It would save a guest that does, or start a
second copy of a guest whose host the cluster has given up. So a quick migration takes the host's own word that nothing
runs there; or, where the host does not say, the cluster's: the node Down, or the node Up and the VM resource Offline;
or the host's silence for [timing] isolated while the cluster has shut its node out. A host that refuses a login or
makes no sense is alive, and so may its guests be. Only a guest whose storage has been away for [timing] critical is
given up.

A live migration that fails is tried again, 3 times in all, and then ends the start: the guest runs on where it is, and
the message says so. The forerunner tried a live migration after each quick one that failed, also from a dead host
(defect 22), saved running guests when CLP_EVENT was not START (23), migrated guests whose storage was still away (31),
had no time limit and did not look at the result (21), and did not say where the guest was left (20).
"""

from ecx_hyperv.decide.attempts import StartAttempts, adopt, stuck, used_up, within
from ecx_hyperv.decide.facts import Contact, Observation, Place, Side
from ecx_hyperv.decide.states import NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.exits import Exit


def on_the_peer(seen: Observation, tried: StartAttempts) -> Step | None:
    """Return the next step for a VM whose group the peer host owns; None if it does not."""
    if seen.owner is not Place.PEER:
        return None
    if seen.peer is Contact.UNASKED:
        return Look(f"{seen.names.peer} owns {seen.names.vm}")
    if seen.peer_node is NodeKind.ISOLATED:
        return _from_isolated(seen, tried)
    if seen.on_peer.is_live and seen.peer_node in (NodeKind.DOWN, NodeKind.QUARANTINED):
        # The cluster would move the group without the guest, which goes on there.
        return Wait(f"{seen.names.vm} is {seen.on_peer.word} on {seen.names.peer}, whose node is down: stop it there")
    if seen.on_peer.is_critical:
        return _critical_on_peer(seen, tried)
    if seen.on_peer.is_live:
        return _alive_on_peer(seen, tried)
    if seen.on_peer.is_gone:
        return _quick(seen, tried, f"it is {seen.on_peer.word or 'not registered'} on {seen.names.peer}")
    return _from_unseen(seen, tried)


def _from_isolated(seen: Observation, tried: StartAttempts) -> Step:
    peer = seen.names.peer
    if seen.peer is Contact.ANSWERS:
        if seen.on_peer.is_off:
            return _quick(seen, tried, f"{peer} is isolated and does not run it")
        return Wait(f"{peer} is isolated and may run {seen.names.vm} ({seen.on_peer.word or 'unreadable'})")
    if seen.peer is not Contact.SILENT:
        return Wait(f"{peer} is isolated and cannot be asked, but is alive: it may still run {seen.names.vm}")
    # Only now have quorum, ECX's own arbitration and the volume's reservation all decided for this side.
    if Timer.PEER_SILENT in tried.over and seen.local_node is NodeKind.UP:
        return _quick(seen, tried, f"{peer} is isolated and has been silent for [timing] isolated")
    return Wait(f"{peer} is isolated and silent: it may still run {seen.names.vm}")


def _from_unseen(seen: Observation, tried: StartAttempts) -> Step:
    peer = seen.names.peer
    if seen.peer_node in (NodeKind.DOWN, NodeKind.QUARANTINED):
        return _quick(seen, tried, f"node {peer} is down")
    if seen.peer_node in (NodeKind.UP, NodeKind.PAUSED):
        if seen.machine is ResourceKind.ONLINE:
            return _live(seen, tried, f"{peer} does not say how it is, its node is up and the VM resource online")
        if seen.machine is ResourceKind.OFFLINE:
            return _quick(seen, tried, f"{peer} does not say how it is, its node is up and the VM resource offline")
    return Wait(f"{peer} does not say how {seen.names.vm} is, and the cluster cannot tell")


def _critical_on_peer(seen: Observation, tried: StartAttempts) -> Step:
    where = f"it is {seen.on_peer.word} on {seen.names.peer}"
    if Timer.PEER_CRITICAL in tried.over:
        return _quick(seen, tried, f"{where} for longer than [timing] critical")
    if tried.portal is Retry.READY:
        return Act(Do.RECONNECT_ISCSI, Side.PEER, f"{where}: its storage is away")
    return Wait(f"{where}: waiting for its storage to come back")


def _alive_on_peer(seen: Observation, tried: StartAttempts) -> Step:
    peer = seen.names.peer
    where = f"it is {seen.on_peer.word} on {peer}"
    match seen.on_peer.kind:
        case VmKind.RUNNING:
            # A migration needs the resource Online at its source (error 5023).
            return adopt(seen, tried) or _live(seen, tried, where)
        case VmKind.PAUSED:
            return within(tried.starts, Do.RESUME_VM, where, Side.PEER) or used_up(seen, "resumed", peer)
        case VmKind.TRANSITIONAL if Timer.PEER_TRANSITIONAL in tried.over:
            return stuck(seen, peer, seen.on_peer.word)
        case VmKind.ODD if Timer.ODD in tried.over:
            return stuck(seen, peer, seen.on_peer.word)
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


def _quick(seen: Observation, tried: StartAttempts, why: str) -> Step:
    step = within(tried.migrations, Do.MIGRATE_QUICK, why)
    return step or Fail(
        Exit.NOT_AS_ASKED,
        f"{seen.names.vm} could not be moved to {seen.names.local}",
        f"3 quick migrations, and {why}",
        "see the FailoverClustering event log of both hosts, then start it again",
    )
