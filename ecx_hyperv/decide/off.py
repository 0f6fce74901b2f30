"""Whether a guest is off, as a fact: the one place where that is decided, for a start and for a stop.

A start that takes a guest for off which runs makes a second copy of it, and two copies destroy the data. A stop that
does so takes the storage away under it. Hyper-V and the cluster each err alone: Get-VM of a Hyper-V that has just
restarted knows nothing, a namesake answers in the VM's stead, an answer is seconds old (D2, D3, D10); a resource is
Offline because the run itself has cleared it (D13). So two sources must agree, in two looks, and what this run did
itself proves nothing. The ways in which a guest can be shown to be off are lettered as in docs/design.md, rule 3.2:

(a) the VM is down on its owner's host, and the VM resource Offline or Failed;
(b) VM resource and configuration are both Offline, and the owner's node is Up;
(c) the owner's node is Down or Isolated as the local node sees it that is Up, and its host shows the guest down; or
    the node is Down, and its host silent, or unreadable for [timing] patience;
(d) the owner's node is Isolated as the local node sees it that is Up, and its host silent for [timing] isolated;
(e) for a stop: no cluster service can be asked, or the VM resource is stopped and the configuration failed or on its
    way; both hosts answer, neither shows it live, twice, `settle` apart;
(f) for a start: the VM resource is Offline for [timing] patience, the owner's node Up, its host unreadable.

A host that shows the VM live outweighs everything. What was tried otherwise: to believe the host that lost contact is
dead once the cluster calls its node Down. An isolated node runs its guests on (ResiliencyDefaultPeriod is 9999), so
only silence counts, and only while the local node has quorum.
"""

from dataclasses import dataclass

from ecx_hyperv.decide.facts import Contact, Observation, Side
from ecx_hyperv.decide.states import NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Timer

# A node that an operator has drained is a member like any other: it is heard, and its word counts.
MEMBERS = (NodeKind.UP, NodeKind.PAUSED)
_GIVEN_UP = (NodeKind.DOWN, NodeKind.QUARANTINED)
SHUT_OUT = (*_GIVEN_UP, NodeKind.ISOLATED)
_STOPPED = (ResourceKind.OFFLINE, ResourceKind.FAILED)
# What says that something is still under way, wherever it comes from the cluster of a node that is there.
_UNSETTLED = frozenset({ResourceKind.PENDING, ResourceKind.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Proof:
    """Why a guest counts as off, for a person; `lost` if its host is gone with it, so that its resources stay as
    they are."""

    why: str
    lost: bool = False


def is_down(seen: Observation, side: Side) -> bool:
    """Tell whether a host answers for the VM and shows it down; absent counts while the configuration is Offline."""
    vm = seen.on(side)
    return vm.is_shown_down or (vm.kind is VmKind.ABSENT and seen.configuration is ResourceKind.OFFLINE)


def shown_off(seen: Observation, over: frozenset[Timer], *, cleared: bool, unregistering: bool = False) -> Proof | None:
    """Return what shows in this look that the guest is off, by (a) to (d); None if nothing does.

    `cleared` is whether this run has taken the VM resource Offline from Failed: that Offline proves nothing, and takes
    nothing away from a guest that is shown down. `unregistering` is whether this run itself takes the configuration
    offline, so that its being on its way tells of nothing else.
    """
    owner = seen.owner_side
    if seen.is_live or owner is None or seen.observer is None:
        return None
    lost = _lost_with_its_host(seen, owner, over)
    if lost is not None:
        return lost
    own_doing = unregistering and seen.configuration is ResourceKind.PENDING
    if seen.machine in _UNSETTLED or (seen.configuration in _UNSETTLED and not own_doing):
        return None
    host, vm = seen.names.of(owner), seen.names.vm
    by_cluster = seen.machine is ResourceKind.FAILED or (seen.machine is ResourceKind.OFFLINE and not cleared)
    if seen.on(owner).is_shown_down and seen.machine in _STOPPED:
        return Proof(f"{vm} is {seen.on(owner).word} on {host}, and its resource {seen.machine.value}")
    if is_down(seen, owner) and by_cluster:
        return Proof(f"{host} does not know {vm}, its configuration is offline and its resource {seen.machine.value}")
    both_offline = seen.machine is seen.configuration is ResourceKind.OFFLINE
    if both_offline and not cleared and seen.node(owner) in MEMBERS:
        return Proof(f"both resources of {vm} are offline, and node {host} is {seen.node(owner).value}")
    return None


def clear_proves_nothing(seen: Observation) -> bool:
    """Tell whether the Offline that follows a clear in this look proves nothing: Get-VM does not show the guest down.

    A run counts the VM resource as `cleared` only then: the configuration that a stop takes offline afterwards makes
    the guest absent, and nothing would prove any more that the guest is off.
    """
    owner = seen.owner_side
    return owner is None or not seen.on(owner).is_shown_down


def contradiction(seen: Observation) -> str | None:
    """Return how Hyper-V and the cluster contradict each other about the VM on its owner's host; None if they do not.

    Nothing is cleared, stopped or registered again on a contradiction before it has lasted `settle`.
    """
    owner = seen.owner_side
    if owner is None or seen.is_live or seen.observer is None or seen.node(owner) in SHUT_OUT:
        return None
    host, vm = seen.names.of(owner), seen.on(owner)
    if is_down(seen, owner) and seen.machine is ResourceKind.ONLINE:
        return f"Get-VM on {host} shows it {vm.word or 'nowhere'}, the cluster calls its resource online"
    if vm.kind is VmKind.ABSENT and seen.configuration in (ResourceKind.ONLINE, ResourceKind.FAILED):
        return f"Get-VM on {host} does not know it, the cluster calls its configuration {seen.configuration.value}"
    return None


def is_lost_by_local(seen: Observation) -> bool:
    """Tell whether the local node, which is Up, sees the peer's node as Isolated and its host says nothing at all."""
    return (
        _local_is_up(seen)
        and seen.owner_side is Side.PEER
        and seen.peer_node is NodeKind.ISOLATED
        and seen.peer is Contact.SILENT
    )


def _local_is_up(seen: Observation) -> bool:
    return seen.observer is Side.LOCAL and seen.local_node is NodeKind.UP


def _lost_with_its_host(seen: Observation, owner: Side, over: frozenset[Timer]) -> Proof | None:
    """Return the proof of (c) or (d): the EC-VM itself runs on the local host, so only the peer's can be lost."""
    if owner is not Side.PEER or not _local_is_up(seen):
        return None
    host, vm = seen.names.peer, seen.on_peer
    if seen.peer_node in SHUT_OUT and is_down(seen, Side.PEER):
        shown = vm.word or "unknown"
        return Proof(f"node {host} is {seen.peer_node.value}, and {host} shows {seen.names.vm} {shown}", lost=True)
    if seen.peer_node in _GIVEN_UP:
        if seen.peer is Contact.SILENT:
            return Proof(f"node {host} is {seen.peer_node.value} and {host} is silent", lost=True)
        if vm.kind is VmKind.UNREADABLE and seen.peer is not Contact.UNASKED and Timer.OWNER_UNREADABLE in over:
            return Proof(
                f"node {host} is {seen.peer_node.value}, and {host} has not answered for [timing] patience", lost=True
            )
    if is_lost_by_local(seen) and Timer.OWNER_SILENT in over:
        return Proof(f"{host} is isolated and has been silent for [timing] isolated", lost=True)
    return None
