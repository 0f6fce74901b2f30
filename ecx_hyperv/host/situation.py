"""From what the hosts show to what a decision is made from: one VM, both hosts, at one moment."""

from collections.abc import Iterable
from dataclasses import dataclass

from ecx_hyperv.config import Config
from ecx_hyperv.decide.facts import UNSEEN, Contact, Names, Place, Refusal, Seen, Side, VmSeen
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
from ecx_hyperv.decide.volume import CsvSeen, Users
from ecx_hyperv.errors import HostError, Silent
from ecx_hyperv.host.observe import (
    GroupRow,
    HostView,
    NodeRow,
    ResourceRow,
    VmRow,
    VolumeRow,
    is_same_address,
    is_same_host,
)
from ecx_hyperv.host.wire import RemoteError

MACHINE = "Virtual Machine"
CONFIGURATION = "Virtual Machine Configuration"

# E_OUTOFMEMORY, not enough memory (8), system resources (1450), commit (1455); the cluster's vetoes for lack of them.
_MEMORY_CODES = frozenset({8, 14, 1450, 1455, 5956, 5957})
_DENIED_CODES = frozenset({5})
_DENIED_CATEGORIES = frozenset({"PermissionDenied", "SecurityError"})
_IN_USE_CODES = frozenset({32})
_STARVED = frozenset({"InsufficientMemory", "InsufficientCpu", "InsufficientResources", "PhysicalResourcesLacking"})

Sight = HostView | HostError | None


@dataclass(frozen=True, slots=True)
class Sights:
    """What a look gave of each host: a view, the trouble that kept from one, or None for one not looked at."""

    own: Sight
    peer: Sight = None

    def of(self, side: Side) -> Sight:
        """Return what a look gave of that host."""
        return self.own if side is Side.OWN else self.peer

    def view(self, side: Side) -> HostView | None:
        """Return the view of that host, if there is one."""
        sight = self.of(side)
        return sight if isinstance(sight, HostView) else None

    @property
    def observer(self) -> Side | None:
        """Return the host whose cluster service told the cluster's facts; the own one first."""
        for side in (Side.OWN, Side.PEER):
            view = self.view(side)
            if view is not None and view.cluster_error is None:
                return side
        return None


def see(config: Config, hosts: "HostNames", vm: str, sights: Sights, *, maintenance: bool) -> Seen:
    """Put together what a decision about one VM is made from."""
    csv = config.csv_of(vm) or config.cluster.csv
    own_view = sights.view(Side.OWN)
    observer = sights.observer
    blank = Seen(
        names=Names(vm=vm, csv=csv, own=hosts.own, peer=hosts.peer, target=config.cluster.iscsi_target),
        maintenance=maintenance,
        own=contact_of(sights.own),
        peer=contact_of(sights.peer),
        observer=observer,
        own_node=NodeKind.UNKNOWN,
        peer_node=NodeKind.UNKNOWN,
        owner=Place.NOWHERE,
        group=GroupKind.UNKNOWN,
        configuration=ResourceKind.UNKNOWN,
        machine=ResourceKind.UNKNOWN,
        csv=ResourceKind.UNKNOWN,
        csv_owner=Place.NOWHERE,
        iscsi=own_view is not None and has_session(own_view, config.cluster.iscsi_target),
        on_own=_vm_seen(own_view, vm),
        on_peer=_vm_seen(sights.view(Side.PEER), vm),
    )
    view = sights.view(observer) if observer is not None else None
    return blank if view is None else _with_cluster(blank, hosts, view)


@dataclass(frozen=True, slots=True)
class HostNames:
    """The cluster's names of the two hosts: as they say it themselves, else as the other one's cluster does."""

    own: str
    peer: str
    peer_is_known: bool


def name_hosts(sights: Sights, before: HostNames) -> HostNames:
    """Learn the hosts' names from a look; what a look does not tell stays as it was."""
    own_view, peer_view = sights.view(Side.OWN), sights.view(Side.PEER)
    nodes = _nodes(own_view) or _nodes(peer_view)
    own = own_view.host if own_view is not None else before.own
    own = _as_spelled(nodes, own)
    if peer_view is not None:
        return HostNames(own, _as_spelled(nodes, peer_view.host), peer_is_known=True)
    others = [node.name for node in nodes if not is_same_host(node.name, own)]
    if own_view is not None and len(nodes) == 2 and len(others) == 1:
        return HostNames(own, others[0], peer_is_known=True)
    return HostNames(own, before.peer, before.peer_is_known)


def see_volume(config: Config, csv: str, sights: Sights, ours: Iterable[str], busy: Iterable[str]) -> CsvSeen:
    """Put together what is decided about a Shared Volume; `ours` are off, `busy` are being started here."""
    observer = sights.observer
    view = None if observer is None else sights.view(observer)
    users, because = (Users.DOUBT, "no cluster service answers") if view is None else _users(config, csv, view, ours)
    started = [vm for vm in busy if (config.csv_of(vm) or csv).casefold() == csv.casefold()]
    if started and users is not Users.SOME:
        users, because = Users.DOUBT, f"{started[0]} is being started"
    row = None if view is None else find_volume(view, csv)
    return CsvSeen(
        csv=csv,
        state=ResourceKind.UNKNOWN if view is None else _kind(row),
        users=users,
        because=because,
        own=contact_of(sights.own),
        peer=contact_of(sights.peer),
    )


def unplaced(config: Config, view: HostView, ours: Iterable[str]) -> list[str]:
    """Return the configuration resources of the VMs of which only the cluster knows what volume they are on."""
    others = _others(view, ours)
    return [
        row.name for row in others if config.csv_of(row.group) is None and row.name.casefold() not in view.volumes_of
    ]


def refusal_of(error: RemoteError) -> Refusal:
    """Say whether a failed cmdlet will fail again however often it is tried."""
    if error.code in _MEMORY_CODES or error.kind == "OutOfMemory":
        return Refusal.MEMORY
    if error.code in _DENIED_CODES or error.category in _DENIED_CATEGORIES or error.kind == "AccessDenied":
        return Refusal.DENIED
    return Refusal.IN_USE if error.code in _IN_USE_CODES else Refusal.NOTHING


def refusal_seen(vm: str, view: HostView) -> Refusal:
    """Say whether the cluster shows that the last operation on a VM failed for good."""
    group = find_group(view, vm)
    machine = find_resource(view, vm, MACHINE)
    flags = (group.flags if group else frozenset()) | (machine.flags if machine else frozenset())
    if flags & _STARVED or (machine is not None and machine.code in _MEMORY_CODES):
        return Refusal.MEMORY
    return Refusal.IN_USE if machine is not None and machine.code in _IN_USE_CODES else Refusal.NOTHING


def has_session(view: HostView, target: str) -> bool:
    """Tell whether a host has an iSCSI connection to exactly that address."""
    return not isinstance(view.iscsi, RemoteError) and any(is_same_address(one, target) for one in view.iscsi)


def find_resource(view: HostView, vm: str, kind: str) -> ResourceRow | None:
    """Return a VM's resource of a kind, by its group and type; by its usual name where those are not told."""
    rows = [] if isinstance(view.resources, RemoteError) else view.resources
    for row in rows:
        if row.group.casefold() == vm.casefold() and row.type == kind:
            return row
    usual = f"{kind} {vm}".casefold()
    return next((row for row in rows if row.name.casefold() == usual), None)


def _with_cluster(blank: Seen, hosts: HostNames, view: HostView) -> Seen:
    names = blank.names
    group, volume = find_group(view, names.vm), find_volume(view, names.csv)
    return Seen(
        names=names,
        maintenance=blank.maintenance,
        own=blank.own,
        peer=blank.peer,
        observer=blank.observer,
        own_node=_node(view, hosts.own),
        peer_node=_node(view, hosts.peer) if hosts.peer_is_known else NodeKind.UNKNOWN,
        owner=_place(hosts, group.owner) if group else Place.NOWHERE,
        group=group_kind(group.state) if group else GroupKind.ABSENT,
        queued=group is not None and is_queued(group.flags),
        configuration=_kind(find_resource(view, names.vm, CONFIGURATION)),
        machine=_kind(find_resource(view, names.vm, MACHINE)),
        csv=_kind(volume),
        csv_owner=_place(hosts, volume.owner) if volume else Place.NOWHERE,
        iscsi=blank.iscsi,
        on_own=blank.on_own,
        on_peer=blank.on_peer,
    )


def contact_of(sight: Sight) -> Contact:
    """Say what a look tells of the host itself."""
    if sight is None:
        return Contact.UNASKED
    if isinstance(sight, HostView):
        return Contact.ANSWERS
    return Contact.SILENT if isinstance(sight, Silent) else Contact.TROUBLED


def _vm_seen(view: HostView | None, vm: str) -> VmSeen:
    row = UNSEEN if view is None else view.vms.get(vm.casefold(), UNSEEN)
    if row is None:
        return VmSeen(VmKind.ABSENT)
    if not isinstance(row, VmRow):
        return UNSEEN
    kind = vm_kind(row.state)
    return VmSeen(kind, row.state, doing(row.operational), is_healthy(kind, row.operational, row.heartbeat))


def _nodes(view: HostView | None) -> tuple[NodeRow, ...]:
    return () if view is None or isinstance(view.nodes, RemoteError) else view.nodes


def _node(view: HostView, name: str) -> NodeKind:
    row = next((node for node in _nodes(view) if is_same_host(node.name, name)), None)
    return NodeKind.UNKNOWN if row is None else node_kind(row.state, row.flags)


def _as_spelled(nodes: Iterable[NodeRow], name: str) -> str:
    """Return a host's name as the cluster writes it."""
    return next((node.name for node in nodes if is_same_host(node.name, name)), name)


def _place(hosts: HostNames, owner: str) -> Place:
    if not owner:
        return Place.NOWHERE
    if is_same_host(owner, hosts.own):
        return Place.OWN
    return Place.PEER if hosts.peer_is_known and is_same_host(owner, hosts.peer) else Place.ELSEWHERE


def find_group(view: HostView, vm: str) -> GroupRow | None:
    """Return a VM's group."""
    rows = () if isinstance(view.groups, RemoteError) else view.groups
    return next((row for row in rows if row.name.casefold() == vm.casefold()), None)


def find_volume(view: HostView, csv: str) -> VolumeRow | None:
    """Return a Shared Volume."""
    rows = () if isinstance(view.shared_volumes, RemoteError) else view.shared_volumes
    return next((row for row in rows if row.name.casefold() == csv.casefold()), None)


def _kind(row: ResourceRow | VolumeRow | None) -> ResourceKind:
    return ResourceKind.ABSENT if row is None else resource_kind(row.state)


def _others(view: HostView, ours: Iterable[str]) -> list[ResourceRow]:
    """Return the configurations of the other VMs that may hold files open on a volume."""
    own = {name.casefold() for name in ours}
    return [
        row
        for row in _configurations(view)
        if row.group.casefold() not in own and resource_kind(row.state) is not ResourceKind.OFFLINE
    ]


def _configurations(view: HostView) -> list[ResourceRow]:
    rows = () if isinstance(view.resources, RemoteError) else view.resources
    return [row for row in rows if row.type == CONFIGURATION or row.name.startswith(f"{CONFIGURATION} ")]


def _users(config: Config, csv: str, view: HostView, ours: Iterable[str]) -> tuple[Users, str]:
    verdict, because = Users.NONE, ""
    for row in _others(view, ours):
        placed = config.csv_of(row.group)
        if placed is not None and placed.casefold() != csv.casefold():
            continue
        if placed is not None:
            return Users.SOME, f"{row.group} is on it ({row.state})"
        depends = view.volumes_of.get(row.name.casefold())
        if depends is None:
            verdict, because = Users.UNASKED, row.name
        elif not _is_elsewhere(depends, csv, view):
            return Users.DOUBT, f"{row.group or row.name} may be on it"
    stray = _without_configuration(config, csv, view, ours)
    return (Users.DOUBT, f"{stray} has no configuration resource, and may be on it") if stray else (verdict, because)


def _without_configuration(config: Config, csv: str, view: HostView, ours: Iterable[str]) -> str | None:
    """Return another VM's group of which no resource can be told to be its configuration; it may be renamed."""
    known = {row.group.casefold() for row in _configurations(view)} | {name.casefold() for name in ours}
    groups = () if isinstance(view.groups, RemoteError) else view.groups
    strays = [row.name for row in groups if row.type == "VirtualMachine" and row.name.casefold() not in known]
    return next((name for name in strays if (config.csv_of(name) or csv).casefold() == csv.casefold()), None)


def _is_elsewhere(depends: tuple[str, ...] | RemoteError, csv: str, view: HostView) -> bool:
    """Tell whether every volume that a VM depends on is a known one, and another than this."""
    if isinstance(depends, RemoteError) or isinstance(view.shared_volumes, RemoteError) or not depends:
        return False
    known = {key: row for row in view.shared_volumes for key in (_key(row.id), _key(row.name))}
    found = [known.get(_key(volume)) for volume in depends]
    return all(row is not None and row.name.casefold() != csv.casefold() for row in found)


def _key(identifier: str) -> str:
    return identifier.casefold().strip("{} ")
