"""What a look gave of both hosts, and what the cluster calls them."""

from collections.abc import Iterable
from dataclasses import dataclass

from ecx_hyperv.decide.facts import Contact, Side
from ecx_hyperv.errors import HostError, Silent
from ecx_hyperv.host.observe import HostSnapshot, is_same_host
from ecx_hyperv.host.rows import NodeRow
from ecx_hyperv.host.wire import RemoteError

SnapshotOrError = HostSnapshot | HostError | None


@dataclass(frozen=True, slots=True)
class Snapshots:
    """What a look gave of each host: a snapshot, the trouble that kept from one, or None for one not looked at."""

    local: SnapshotOrError
    peer: SnapshotOrError = None

    def of(self, side: Side) -> SnapshotOrError:
        """Return what a look gave of that host."""
        return self.local if side is Side.LOCAL else self.peer

    def snapshot(self, side: Side) -> HostSnapshot | None:
        """Return the snapshot of that host, if there is one."""
        answer = self.of(side)
        return answer if isinstance(answer, HostSnapshot) else None

    def all(self) -> list[HostSnapshot]:
        """Return the snapshots of the hosts that answered, the local one first."""
        return [one for side in Side if (one := self.snapshot(side)) is not None]

    @property
    def observer(self) -> Side | None:
        """Return the host whose cluster service told the cluster's facts; the local one first."""
        for side in Side:
            snapshot = self.snapshot(side)
            if snapshot is not None and snapshot.cluster_error is None:
                return side
        return None


@dataclass(frozen=True, slots=True)
class HostNames:
    """The cluster's names of the two hosts: as they say it themselves, else as the other one's cluster does."""

    local: str
    peer: str
    peer_is_known: bool


def name_hosts(snapshots: Snapshots, before: HostNames) -> HostNames:
    """Learn the hosts' names from a look; what a look does not tell stays as it was."""
    local_snapshot, peer_snapshot = snapshots.snapshot(Side.LOCAL), snapshots.snapshot(Side.PEER)
    nodes = nodes_of(local_snapshot) or nodes_of(peer_snapshot)
    local = local_snapshot.host if local_snapshot is not None else before.local
    local = _as_spelled(nodes, local)
    if peer_snapshot is not None:
        peer = _as_spelled(nodes, peer_snapshot.host)
        # A local host that has not answered yet is the other one of two nodes (D8).
        unnamed = [node.name for node in nodes if not is_same_host(node.name, peer)]
        local = unnamed[0] if local_snapshot is None and len(nodes) == 2 and len(unnamed) == 1 else local
        return HostNames(local, peer, peer_is_known=True)
    others = [node.name for node in nodes if not is_same_host(node.name, local)]
    if local_snapshot is not None and len(nodes) == 2 and len(others) == 1:
        return HostNames(local, others[0], peer_is_known=True)
    return HostNames(local, before.peer, before.peer_is_known)


def contact_of(answer: SnapshotOrError) -> Contact:
    """Say what a look tells of the host itself."""
    if answer is None:
        return Contact.UNASKED
    if isinstance(answer, HostSnapshot):
        return Contact.ANSWERS
    return Contact.SILENT if isinstance(answer, Silent) else Contact.TROUBLED


def nodes_of(snapshot: HostSnapshot | None) -> tuple[NodeRow, ...]:
    """Return the cluster's nodes as a host shows them; none if it does not."""
    return () if snapshot is None or isinstance(snapshot.nodes, RemoteError) else snapshot.nodes


def _as_spelled(nodes: Iterable[NodeRow], name: str) -> str:
    """Return a host's name as the cluster writes it."""
    return next((node.name for node in nodes if is_same_host(node.name, name)), name)
