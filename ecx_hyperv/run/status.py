"""ecx-hyperv status: both hosts, the VMs, the volumes, iSCSI, ECX and maintenance, as facts that JSON shows whole."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.errors import HostError, LocalError
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.identity import CONFIGURATION, MACHINE, VmIdentity
from ecx_hyperv.host.lookups import find_group, find_resource, find_volume, has_session
from ecx_hyperv.host.observe import HostSnapshot, is_same_host
from ecx_hyperv.host.rows import VmRow
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.acts import Plan
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.look import HostPair


class HostStatus(Struct, frozen=True, kw_only=True):
    """A host; what it did not tell is null, and `trouble` says why."""

    side: str
    address: str
    answers: bool
    name: str | None = None
    node: str | None = None
    node_flags: list[str] = []
    iscsi: bool | None = None
    trouble: str | None = None
    contact: str = "answers"


class OnHost(Struct, frozen=True, kw_only=True):
    """A VM as a host's Hyper-V shows it; uptime in seconds."""

    state: str
    operational: list[str]
    heartbeat: str | None
    uptime: float


class VmStatus(Struct, frozen=True, kw_only=True):
    """A VM: where the cluster says it is, and how each host shows it (null: not registered there, or not told)."""

    name: str
    id: str | None = None
    role: str | None = None
    owner: str | None = None
    group: str | None = None
    group_flags: list[str] = []
    configuration: str | None = None
    machine: str | None = None
    csv: str
    local: OnHost | None = None
    peer: OnHost | None = None
    maintenance: bool = False
    maintenance_until: datetime | None = None


class VolumeStatus(Struct, frozen=True, kw_only=True):
    """A Shared Volume."""

    name: str
    state: str | None = None
    owner: str | None = None


class ServerStatus(Struct, frozen=True, kw_only=True):
    """A server of the ECX cluster."""

    name: str
    status: str
    is_local: bool


class EcxStatus(Struct, frozen=True, kw_only=True):
    """What clpstat says; `trouble` if it does not."""

    servers: list[ServerStatus] = []
    groups: dict[str, str] = {}
    trouble: str | None = None


class PairStatus(Struct, frozen=True, kw_only=True):
    """Everything; the shape of `--json`, of which no key ever goes missing."""

    version: int = 2
    node: str
    hosts: list[HostStatus]
    vms: list[VmStatus]
    volumes: list[VolumeStatus]
    ecx: EcxStatus
    maintenance: list[Flag]

    @property
    def exit(self) -> Exit:
        """Return DONE if any host answered."""
        return Exit.DONE if any(host.answers for host in self.hosts) else Exit.UNREACHABLE


def look(context: RunContext, vms: Sequence[str], deadline: Deadline) -> PairStatus:
    """Look at both hosts and ECX once."""
    host_pair = HostPair(context, vms, iscsi=tuple(Side))
    snapshots = host_pair.act_and_observe(tuple(Side), Plan(), deadline)
    if host_pair.has_news:
        snapshots = host_pair.act_and_observe(tuple(Side), Plan(), deadline)
    snapshot = None if snapshots.observer is None else snapshots.snapshot(snapshots.observer)
    flags = _flags(context)
    csvs = context.config.volumes_of(vms)
    return PairStatus(
        node=context.pair.local.name,
        hosts=[_host(context, side, snapshots, snapshot) for side in Side],
        vms=[_vm(context, vm, host_pair.identities.of(vm), snapshots, flags) for vm in vms],
        volumes=[_volume(csv, snapshot) for csv in csvs or [context.config.cluster.csv]],
        ecx=_ecx(context, deadline),
        maintenance=flags,
    )


def _host(context: RunContext, side: Side, snapshots: Snapshots, snapshot: HostSnapshot | None) -> HostStatus:
    answer, address = snapshots.of(side), context.pair.of(side).host
    if not isinstance(answer, HostSnapshot):
        trouble = answer.details if isinstance(answer, HostError) else None
        contact = answer.in_short if isinstance(answer, HostError) else "was not asked"
        return HostStatus(side=side.value, address=address, answers=False, trouble=trouble, contact=contact)
    nodes = [] if snapshot is None or isinstance(snapshot.nodes, RemoteError) else snapshot.nodes
    node = next((row for row in nodes if is_same_host(row.name, answer.host)), None)
    errors = answer.errors()
    return HostStatus(
        side=side.value,
        address=address,
        answers=True,
        name=answer.host,
        node=None if node is None else node.state,
        node_flags=[] if node is None else sorted(node.flags - {"Normal", "0"}),
        iscsi=None
        if isinstance(answer.iscsi, RemoteError)
        else has_session(answer, context.config.cluster.iscsi_target),
        trouble=str(errors[0]) if errors else None,
    )


def _vm(context: RunContext, vm: str, identity: VmIdentity, snapshots: Snapshots, flags: Sequence[Flag]) -> VmStatus:
    snapshot = None if snapshots.observer is None else snapshots.snapshot(snapshots.observer)
    group = None if snapshot is None else find_group(snapshot, identity.role or vm)
    configuration = None if snapshot is None else find_resource(snapshot, identity, vm, CONFIGURATION)
    machine = None if snapshot is None else find_resource(snapshot, identity, vm, MACHINE)
    flag = next((one for one in flags if one.kind is Kind.VM and one.name.casefold() == vm.casefold()), None)
    return VmStatus(
        name=vm,
        id=identity.id or None,
        role=identity.role or None,
        owner=None if group is None else group.owner,
        group=None if group is None else group.state,
        group_flags=[] if group is None else sorted(group.flags - {"0"}),
        configuration=None if configuration is None else configuration.state,
        machine=None if machine is None else machine.state,
        csv=context.config.csv_of(vm) or context.config.cluster.csv,
        local=_on_host(snapshots.snapshot(Side.LOCAL), identity.id),
        peer=_on_host(snapshots.snapshot(Side.PEER), identity.id),
        maintenance=flag is not None,
        maintenance_until=None if flag is None else flag.until,
    )


def _on_host(snapshot: HostSnapshot | None, key: str) -> OnHost | None:
    row = None if snapshot is None else snapshot.vm(key)
    if not isinstance(row, VmRow):
        return None
    return OnHost(
        state=row.state, operational=sorted(row.operational), heartbeat=row.heartbeat, uptime=round(row.uptime, 1)
    )


def _volume(csv: str, snapshot: HostSnapshot | None) -> VolumeStatus:
    row = None if snapshot is None else find_volume(snapshot, csv)
    return VolumeStatus(name=csv, state=None if row is None else row.state, owner=None if row is None else row.owner)


def _ecx(context: RunContext, deadline: Deadline) -> EcxStatus:
    try:
        said = clpstat.ask(context.run, deadline)
    except LocalError as error:
        return EcxStatus(trouble=str(error))
    return EcxStatus(
        servers=[ServerStatus(name=one.name, status=one.status, is_local=one.is_local) for one in said.servers],
        groups={
            group.name: f"{group.status} on {group.current}" if group.current else group.status for group in said.groups
        },
    )


def _flags(context: RunContext) -> list[Flag]:
    try:
        return context.maintenance.all(context.clock.wall())
    except LocalError as error:
        context.log.warning("maintenance flags cannot be read", because=str(error))
        return []
