"""From what the hosts show to what a decision is made from: one VM, both hosts, at one moment."""

from collections.abc import Sequence
from dataclasses import replace

from ecx_hyperv.config import Config
from ecx_hyperv.decide.facts import UNSEEN, Identity, Names, Observation, Place, Side, VmOnHost
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
from ecx_hyperv.host.identity import CONFIGURATION, MACHINE, VmIdentity
from ecx_hyperv.host.lookups import find_group, find_resource, find_volume, has_session
from ecx_hyperv.host.observe import CLUSTER, HostSnapshot, Stamp, guest_key, is_same_host
from ecx_hyperv.host.rows import ResourceRow, VmRow, VolumeRow, volume_key
from ecx_hyperv.host.snapshots import HostNames, Snapshots, contact_of, nodes_of
from ecx_hyperv.host.wire import RemoteError

# The answers of both hosts that a decision needs together are asked within this.
_TOGETHER_S = 10.0


def observe_vm(
    config: Config,
    hosts: HostNames,
    vm: str,
    snapshots: Snapshots,
    identity: VmIdentity,
    *,
    maintenance: bool,
    since: float = float("-inf"),
) -> Observation:
    """Put together what a decision about one VM is made from; `since` is when this run last acted on it."""
    local_snapshot = snapshots.snapshot(Side.LOCAL)
    observer = snapshots.observer
    snapshot = snapshots.snapshot(observer) if observer is not None else None
    csv = _volume_to_see_to(config, vm, identity, snapshot, hosts)
    target = config.cluster.iscsi_target
    blank = Observation(
        names=Names(vm, csv, hosts.local, hosts.peer, target, offline_action=identity.offline_action),
        maintenance=maintenance,
        identity=identity.identity,
        lacks=identity.lacks,
        names_fit=identity.identity is Identity.NO_ROLE and _bears_the_name(snapshots, vm, identity.id),
        is_fresh=_is_fresh(snapshots, vm, since),
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
        iscsi=local_snapshot is not None and has_session(local_snapshot, target),
        iscsi_told=local_snapshot is not None and not isinstance(local_snapshot.iscsi, RemoteError),
        on_local=_vm_on(local_snapshot, vm, identity),
        on_peer=_vm_on(snapshots.snapshot(Side.PEER), vm, identity),
    )
    return blank if snapshot is None else _with_cluster(blank, hosts, snapshot, identity)


def _with_cluster(blank: Observation, hosts: HostNames, snapshot: HostSnapshot, identity: VmIdentity) -> Observation:
    names = blank.names
    group, volume = find_group(snapshot, identity.role or names.vm), find_volume(snapshot, names.csv)
    # While no database has told the role of an id, a group of another name may be the VM's: nothing is absent.
    is_open = identity.identity is Identity.KNOWN and not identity.role
    nowhere = ResourceKind.UNKNOWN if is_open else ResourceKind.ABSENT
    configuration = find_resource(snapshot, identity, names.vm, CONFIGURATION)
    machine = find_resource(snapshot, identity, names.vm, MACHINE)
    return replace(
        blank,
        local_node=_node(snapshot, hosts.local),
        peer_node=_node(snapshot, hosts.peer) if hosts.peer_is_known else NodeKind.UNKNOWN,
        owner=_place(hosts, group.owner) if group else Place.NOWHERE,
        group=group_kind(group.state) if group else GroupKind.UNKNOWN if is_open else GroupKind.ABSENT,
        queued=group is not None and is_queued(group.flags),
        configuration=nowhere if configuration is None else _kind(configuration),
        machine=nowhere if machine is None else _kind(machine),
        csv=ResourceKind.UNKNOWN if isinstance(snapshot.shared_volumes, RemoteError) else _kind(volume),
        csv_owner=_place(hosts, volume.owner) if volume else Place.NOWHERE,
    )


def _vm_on(snapshot: HostSnapshot | None, vm: str, identity: VmIdentity) -> VmOnHost:
    """Return what a host shows of the VM by its id; absent only where the same look shows that host's EC-VM.

    Hyper-V whose management service has just restarted knows nothing for some seconds, its running guests included.
    """
    if snapshot is None:
        return UNSEEN
    knows_guests = not isinstance(snapshot.ec_vm, RemoteError) and bool(snapshot.ec_vm)
    if identity.identity is Identity.AMBIGUOUS:
        return UNSEEN
    if not identity.id:
        # No id is known at all: nothing clustered bears the name where it is not shown under it.
        named = snapshot.named.get(vm.casefold())
        nobody = isinstance(named, tuple) and not any(row.is_clustered is not False for row in named)
        return VmOnHost(VmKind.ABSENT) if nobody and knows_guests else UNSEEN
    row = snapshot.vm(identity.id)
    if row is None:
        return VmOnHost(VmKind.ABSENT) if knows_guests else UNSEEN
    if not isinstance(row, VmRow):
        return UNSEEN
    kind = vm_kind(row.state)
    return VmOnHost(kind, row.state, doing(row.operational), is_healthy(kind, row.operational, row.heartbeat))


def _bears_the_name(snapshots: Snapshots, vm: str, key: str) -> bool:
    """Tell whether a host that answers shows a VM of that name which is not the one with the id."""
    named = (snapshot.named.get(vm.casefold()) for snapshot in snapshots.all())
    return any(row.id != key for rows in named if isinstance(rows, tuple) for row in rows)


def _is_fresh(snapshots: Snapshots, vm: str, since: float) -> bool:
    """Tell whether what the hosts say of the VM was asked after this run's last act on it, and lies together."""
    stamps = [stamp for snapshot in snapshots.all() for stamp in _stamps(snapshot, vm)]
    if not stamps:
        return True
    asked = [stamp.asked for stamp in stamps]
    return min(asked) >= since and max(asked) - min(asked) <= _TOGETHER_S


def _stamps(snapshot: HostSnapshot, vm: str) -> Sequence[Stamp]:
    wanted = (guest_key(vm), CLUSTER)
    return [stamp for key, stamp in snapshot.stamps.items() if key in wanted]


def _volume_to_see_to(
    config: Config, vm: str, identity: VmIdentity, snapshot: HostSnapshot | None, hosts: HostNames
) -> str:
    """Return the VM's Shared Volume; of several the first that is not Online and owned here, since a start sees to it.

    A VM is on the volume that the configuration names, and on those that the cluster says it depends on.
    """
    names = [config.csv_of(vm) or config.cluster.csv]
    if snapshot is None or isinstance(snapshot.shared_volumes, RemoteError):
        return names[0]
    known = {volume_key(row.id): row.name for row in snapshot.shared_volumes}
    names += [known[volume_key(one)] for one in identity.volumes if volume_key(one) in known]
    for name in names:
        row = find_volume(snapshot, name)
        if row is None or _kind(row) is not ResourceKind.ONLINE or _place(hosts, row.owner) is not Place.LOCAL:
            return name
    return names[0]


def _node(snapshot: HostSnapshot, name: str) -> NodeKind:
    row = next((node for node in nodes_of(snapshot) if is_same_host(node.name, name)), None)
    return NodeKind.UNKNOWN if row is None else node_kind(row.state, row.flags)


def _place(hosts: HostNames, owner: str) -> Place:
    if not owner:
        return Place.NOWHERE
    if is_same_host(owner, hosts.local):
        return Place.LOCAL
    return Place.PEER if hosts.peer_is_known and is_same_host(owner, hosts.peer) else Place.ELSEWHERE


def _kind(row: ResourceRow | VolumeRow | None) -> ResourceKind:
    return ResourceKind.ABSENT if row is None else resource_kind(row.state)
