"""From what the hosts show to what a decision is made from: one VM, both hosts, at one moment."""

from collections.abc import Iterable
from dataclasses import dataclass

from ecx_hyperv.config import Config
from ecx_hyperv.decide.facts import UNSEEN, Contact, Names, Observation, Place, Refusal, Side, VmOnHost
from ecx_hyperv.decide.states import (
    GroupKind,
    NodeKind,
    ResourceKind,
    VmKind,
    doing,
    group_kind,
    is_healthy,
    is_queued,
    node_kind,
    resource_kind,
    vm_kind,
)
from ecx_hyperv.decide.volume import Users, VolumeObservation
from ecx_hyperv.errors import HostError, Silent
from ecx_hyperv.host.observe import HostSnapshot, is_same_address, is_same_host
from ecx_hyperv.host.rows import GroupRow, NodeRow, ResourceRow, VmRow, VolumeRow, volume_key
from ecx_hyperv.host.wire import RemoteError

MACHINE = "Virtual Machine"
CONFIGURATION = "Virtual Machine Configuration"

# E_OUTOFMEMORY, not enough memory (8), system resources (1450), commit (1455); the cluster's vetoes for lack of them.
_MEMORY_CODES = frozenset({8, 14, 1450, 1455, 5956, 5957})
_DENIED_CODES = frozenset({5})
_DENIED_CATEGORIES = frozenset({"PermissionDenied", "SecurityError"})
_IN_USE_CODES = frozenset({32})
_STARVED = frozenset({"InsufficientMemory", "InsufficientCpu", "InsufficientResources", "PhysicalResourcesLacking"})

SnapshotOrError = HostSnapshot | HostError | None


@dataclass(frozen=True, slots=True)
class Snapshots:
    """What a look gave of each host: a view, the trouble that kept from one, or None for one not looked at."""

    local: SnapshotOrError
    peer: SnapshotOrError = None

    def of(self, side: Side) -> SnapshotOrError:
        """Return what a look gave of that host."""
        return self.local if side is Side.LOCAL else self.peer

    def snapshot(self, side: Side) -> HostSnapshot | None:
        """Return the view of that host, if there is one."""
        answer = self.of(side)
        return answer if isinstance(answer, HostSnapshot) else None

    @property
    def observer(self) -> Side | None:
        """Return the host whose cluster service told the cluster's facts; the local one first."""
        for side in (Side.LOCAL, Side.PEER):
            snapshot = self.snapshot(side)
            if snapshot is not None and snapshot.cluster_error is None:
                return side
        return None


def observe_vm(config: Config, hosts: "HostNames", vm: str, snapshots: Snapshots, *, maintenance: bool) -> Observation:
    """Put together what a decision about one VM is made from."""
    csv = config.csv_of(vm) or config.cluster.csv
    local_snapshot = snapshots.snapshot(Side.LOCAL)
    observer = snapshots.observer
    blank = Observation(
        names=Names(vm=vm, csv=csv, local=hosts.local, peer=hosts.peer, target=config.cluster.iscsi_target),
        maintenance=maintenance,
        local=contact_of(snapshots.local),
        peer=contact_of(snapshots.peer),
        observer=observer,
        local_node=NodeKind.UNKNOWN,
        peer_node=NodeKind.UNKNOWN,
        owner=Place.NOWHERE,
        group=GroupKind.UNKNOWN,
        configuration=ResourceKind.UNKNOWN,
        machine=ResourceKind.UNKNOWN,
        csv=ResourceKind.UNKNOWN,
        csv_owner=Place.NOWHERE,
        iscsi=local_snapshot is not None and has_session(local_snapshot, config.cluster.iscsi_target),
        on_local=_vm_seen(local_snapshot, vm),
        on_peer=_vm_seen(snapshots.snapshot(Side.PEER), vm),
    )
    snapshot = snapshots.snapshot(observer) if observer is not None else None
    return blank if snapshot is None else _with_cluster(blank, hosts, snapshot)


@dataclass(frozen=True, slots=True)
class HostNames:
    """The cluster's names of the two hosts: as they say it themselves, else as the other one's cluster does."""

    local: str
    peer: str
    peer_is_known: bool


def name_hosts(snapshots: Snapshots, before: HostNames) -> HostNames:
    """Learn the hosts' names from a look; what a look does not tell stays as it was."""
    local_snapshot, peer_snapshot = snapshots.snapshot(Side.LOCAL), snapshots.snapshot(Side.PEER)
    nodes = _nodes(local_snapshot) or _nodes(peer_snapshot)
    local = local_snapshot.host if local_snapshot is not None else before.local
    local = _as_spelled(nodes, local)
    if peer_snapshot is not None:
        return HostNames(local, _as_spelled(nodes, peer_snapshot.host), peer_is_known=True)
    others = [node.name for node in nodes if not is_same_host(node.name, local)]
    if local_snapshot is not None and len(nodes) == 2 and len(others) == 1:
        return HostNames(local, others[0], peer_is_known=True)
    return HostNames(local, before.peer, before.peer_is_known)


def observe_volume(
    config: Config, csv: str, snapshots: Snapshots, ours: Iterable[str], busy: Iterable[str]
) -> VolumeObservation:
    """Put together what is decided about a Shared Volume; `ours` are off, `busy` are being started here."""
    observer = snapshots.observer
    snapshot = None if observer is None else snapshots.snapshot(observer)
    users, because = (
        (Users.DOUBT, "no cluster service answers") if snapshot is None else _users(config, csv, snapshot, ours)
    )
    started = [vm for vm in busy if (config.csv_of(vm) or csv).casefold() == csv.casefold()]
    if started and users is not Users.SOME:
        users, because = Users.DOUBT, f"{started[0]} is being started"
    row = None if snapshot is None else find_volume(snapshot, csv)
    return VolumeObservation(
        csv=csv,
        state=ResourceKind.UNKNOWN if snapshot is None else _kind(row),
        users=users,
        because=because,
        local=contact_of(snapshots.local),
        peer=contact_of(snapshots.peer),
        observer=observer or Side.LOCAL,
    )


def unplaced(config: Config, snapshot: HostSnapshot, ours: Iterable[str]) -> list[str]:
    """Return the configuration resources of the VMs of which only the cluster knows what volume they are on."""
    others = _others(snapshot, ours)
    return [
        row.name
        for row in others
        if config.csv_of(row.group) is None and row.name.casefold() not in snapshot.volumes_of
    ]


def refusal_of(error: RemoteError) -> Refusal:
    """Say whether a failed cmdlet will fail again however often it is tried."""
    if error.code in _MEMORY_CODES or error.kind == "OutOfMemory":
        return Refusal.MEMORY
    if error.code in _DENIED_CODES or error.category in _DENIED_CATEGORIES or error.kind == "AccessDenied":
        return Refusal.DENIED
    return Refusal.IN_USE if error.code in _IN_USE_CODES else Refusal.NOTHING


def refusal_seen(vm: str, snapshot: HostSnapshot) -> Refusal:
    """Say whether the cluster shows that the last operation on a VM failed for good."""
    group = find_group(snapshot, vm)
    machine = find_resource(snapshot, vm, MACHINE)
    flags = (group.flags if group else frozenset()) | (machine.flags if machine else frozenset())
    if flags & _STARVED or (machine is not None and machine.code in _MEMORY_CODES):
        return Refusal.MEMORY
    return Refusal.IN_USE if machine is not None and machine.code in _IN_USE_CODES else Refusal.NOTHING


def has_session(snapshot: HostSnapshot, target: str) -> bool:
    """Tell whether a host has an iSCSI connection to exactly that address."""
    return not isinstance(snapshot.iscsi, RemoteError) and any(is_same_address(one, target) for one in snapshot.iscsi)


def find_resource(snapshot: HostSnapshot, vm: str, kind: str) -> ResourceRow | None:
    """Return a VM's resource of a kind, by its group and type; by its usual name where those are not told."""
    rows = [] if isinstance(snapshot.resources, RemoteError) else snapshot.resources
    for row in rows:
        if row.group.casefold() == vm.casefold() and row.type == kind:
            return row
    usual = f"{kind} {vm}".casefold()
    return next((row for row in rows if row.name.casefold() == usual), None)


def _with_cluster(blank: Observation, hosts: HostNames, snapshot: HostSnapshot) -> Observation:
    names = blank.names
    group, volume = find_group(snapshot, names.vm), find_volume(snapshot, names.csv)
    return Observation(
        names=names,
        maintenance=blank.maintenance,
        local=blank.local,
        peer=blank.peer,
        observer=blank.observer,
        local_node=_node(snapshot, hosts.local),
        peer_node=_node(snapshot, hosts.peer) if hosts.peer_is_known else NodeKind.UNKNOWN,
        owner=_place(hosts, group.owner) if group else Place.NOWHERE,
        group=group_kind(group.state) if group else GroupKind.ABSENT,
        queued=group is not None and is_queued(group.flags),
        configuration=_kind(find_resource(snapshot, names.vm, CONFIGURATION)),
        machine=_kind(find_resource(snapshot, names.vm, MACHINE)),
        csv=_kind(volume),
        csv_owner=_place(hosts, volume.owner) if volume else Place.NOWHERE,
        iscsi=blank.iscsi,
        on_local=blank.on_local,
        on_peer=blank.on_peer,
    )


def contact_of(answer: SnapshotOrError) -> Contact:
    """Say what a look tells of the host itself."""
    if answer is None:
        return Contact.UNASKED
    if isinstance(answer, HostSnapshot):
        return Contact.ANSWERS
    return Contact.SILENT if isinstance(answer, Silent) else Contact.TROUBLED


def _vm_seen(snapshot: HostSnapshot | None, vm: str) -> VmOnHost:
    row = UNSEEN if snapshot is None else snapshot.vms.get(vm.casefold(), UNSEEN)
    if row is None:
        return VmOnHost(VmKind.ABSENT)
    if not isinstance(row, VmRow):
        return UNSEEN
    kind = vm_kind(row.state)
    return VmOnHost(kind, row.state, doing(row.operational), is_healthy(kind, row.operational, row.heartbeat))


def _nodes(snapshot: HostSnapshot | None) -> tuple[NodeRow, ...]:
    return () if snapshot is None or isinstance(snapshot.nodes, RemoteError) else snapshot.nodes


def _node(snapshot: HostSnapshot, name: str) -> NodeKind:
    row = next((node for node in _nodes(snapshot) if is_same_host(node.name, name)), None)
    return NodeKind.UNKNOWN if row is None else node_kind(row.state, row.flags)


def _as_spelled(nodes: Iterable[NodeRow], name: str) -> str:
    """Return a host's name as the cluster writes it."""
    return next((node.name for node in nodes if is_same_host(node.name, name)), name)


def _place(hosts: HostNames, owner: str) -> Place:
    if not owner:
        return Place.NOWHERE
    if is_same_host(owner, hosts.local):
        return Place.LOCAL
    return Place.PEER if hosts.peer_is_known and is_same_host(owner, hosts.peer) else Place.ELSEWHERE


def find_group(snapshot: HostSnapshot, vm: str) -> GroupRow | None:
    """Return a VM's group."""
    rows = () if isinstance(snapshot.groups, RemoteError) else snapshot.groups
    return next((row for row in rows if row.name.casefold() == vm.casefold()), None)


def find_volume(snapshot: HostSnapshot, csv: str) -> VolumeRow | None:
    """Return a Shared Volume."""
    rows = () if isinstance(snapshot.shared_volumes, RemoteError) else snapshot.shared_volumes
    return next((row for row in rows if row.name.casefold() == csv.casefold()), None)


def _kind(row: ResourceRow | VolumeRow | None) -> ResourceKind:
    return ResourceKind.ABSENT if row is None else resource_kind(row.state)


def _others(snapshot: HostSnapshot, ours: Iterable[str]) -> list[ResourceRow]:
    """Return the configurations of the other VMs that may hold files open on a volume."""
    ours_by_key = {name.casefold() for name in ours}
    return [
        row
        for row in _configurations(snapshot)
        if row.group.casefold() not in ours_by_key and resource_kind(row.state) is not ResourceKind.OFFLINE
    ]


def _configurations(snapshot: HostSnapshot) -> list[ResourceRow]:
    rows = () if isinstance(snapshot.resources, RemoteError) else snapshot.resources
    return [row for row in rows if row.type == CONFIGURATION or row.name.startswith(f"{CONFIGURATION} ")]


def _users(config: Config, csv: str, snapshot: HostSnapshot, ours: Iterable[str]) -> tuple[Users, str]:
    verdict, because = Users.NONE, ""
    for row in _others(snapshot, ours):
        placed = config.csv_of(row.group)
        if placed is not None and placed.casefold() != csv.casefold():
            continue
        if placed is not None:
            return Users.SOME, f"{row.group} is on it ({row.state})"
        depends = snapshot.volumes_of.get(row.name.casefold())
        if depends is None:
            verdict, because = Users.UNASKED, row.name
        elif not _is_elsewhere(depends, csv, snapshot):
            return Users.DOUBT, f"{row.group or row.name} may be on it"
    stray = _without_configuration(config, csv, snapshot, ours)
    return (Users.DOUBT, f"{stray} has no configuration resource, and may be on it") if stray else (verdict, because)


def _without_configuration(config: Config, csv: str, snapshot: HostSnapshot, ours: Iterable[str]) -> str | None:
    """Return another VM's group of which no resource can be told to be its configuration; it may be renamed."""
    known = {row.group.casefold() for row in _configurations(snapshot)} | {name.casefold() for name in ours}
    groups = () if isinstance(snapshot.groups, RemoteError) else snapshot.groups
    strays = [row.name for row in groups if row.type == "VirtualMachine" and row.name.casefold() not in known]
    return next((name for name in strays if (config.csv_of(name) or csv).casefold() == csv.casefold()), None)


def _is_elsewhere(depends: tuple[str, ...] | RemoteError, csv: str, snapshot: HostSnapshot) -> bool:
    """Tell whether every volume that a VM depends on is a known one, and another than this."""
    if isinstance(depends, RemoteError) or isinstance(snapshot.shared_volumes, RemoteError) or not depends:
        return False
    known = {key: row for row in snapshot.shared_volumes for key in (volume_key(row.id), volume_key(row.name))}
    found = [known.get(volume_key(volume)) for volume in depends]
    return all(row is not None and row.name.casefold() != csv.casefold() for row in found)
