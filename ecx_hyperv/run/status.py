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
from ecx_hyperv.host.observe import HostView, VmRow, is_same_host
from ecx_hyperv.host.situation import (
    CONFIGURATION,
    MACHINE,
    Sights,
    find_group,
    find_resource,
    find_volume,
    has_session,
)
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.context import Room
from ecx_hyperv.run.look import Looker, Plan


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


class OnHost(Struct, frozen=True, kw_only=True):
    """A VM as a host's Hyper-V shows it; uptime in seconds."""

    state: str
    operational: list[str]
    heartbeat: str | None
    uptime: float


class VmStatus(Struct, frozen=True, kw_only=True):
    """A VM: where the cluster says it is, and how each host shows it (null: not registered there, or not told)."""

    name: str
    owner: str | None = None
    group: str | None = None
    group_flags: list[str] = []
    configuration: str | None = None
    machine: str | None = None
    csv: str
    own: OnHost | None = None
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
    is_own: bool


class EcxStatus(Struct, frozen=True, kw_only=True):
    """What clpstat says; `trouble` if it does not."""

    servers: list[ServerStatus] = []
    groups: dict[str, str] = {}
    trouble: str | None = None


class Status(Struct, frozen=True, kw_only=True):
    """Everything; the shape of `--json`, of which no key ever goes missing."""

    version: int = 1
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


def look(room: Room, vms: Sequence[str], deadline: Deadline) -> Status:
    """Look at both hosts and ECX once."""
    looker = Looker(room, vms, iscsi=tuple(Side))
    sights = looker.look(tuple(Side), Plan(), deadline)
    view = None if sights.observer is None else sights.view(sights.observer)
    flags = _flags(room)
    csvs = dict.fromkeys(room.config.csv_of(vm) or room.config.cluster.csv for vm in vms)
    return Status(
        node=room.pair.own.name,
        hosts=[_host(room, side, sights, view) for side in Side],
        vms=[_vm(room, vm, sights, view, flags) for vm in vms],
        volumes=[_volume(csv, view) for csv in csvs or [room.config.cluster.csv]],
        ecx=_ecx(room, deadline),
        maintenance=flags,
    )


def _host(room: Room, side: Side, sights: Sights, view: HostView | None) -> HostStatus:
    sight, address = sights.of(side), room.pair.of(side).host
    if not isinstance(sight, HostView):
        trouble = str(sight) if isinstance(sight, HostError) else None
        return HostStatus(side=side.value, address=address, answers=False, trouble=trouble)
    nodes = [] if view is None or isinstance(view.nodes, RemoteError) else view.nodes
    node = next((row for row in nodes if is_same_host(row.name, sight.host)), None)
    errors = sight.errors()
    return HostStatus(
        side=side.value,
        address=address,
        answers=True,
        name=sight.host,
        node=None if node is None else node.state,
        node_flags=[] if node is None else sorted(node.flags - {"Normal", "0"}),
        iscsi=None if isinstance(sight.iscsi, RemoteError) else has_session(sight, room.config.cluster.iscsi_target),
        trouble=str(errors[0]) if errors else None,
    )


def _vm(room: Room, vm: str, sights: Sights, view: HostView | None, flags: Sequence[Flag]) -> VmStatus:
    group = None if view is None else find_group(view, vm)
    configuration = None if view is None else find_resource(view, vm, CONFIGURATION)
    machine = None if view is None else find_resource(view, vm, MACHINE)
    flag = next((one for one in flags if one.kind is Kind.VM and one.name.casefold() == vm.casefold()), None)
    return VmStatus(
        name=vm,
        owner=None if group is None else group.owner,
        group=None if group is None else group.state,
        group_flags=[] if group is None else sorted(group.flags - {"0"}),
        configuration=None if configuration is None else configuration.state,
        machine=None if machine is None else machine.state,
        csv=room.config.csv_of(vm) or room.config.cluster.csv,
        own=_on_host(sights.view(Side.OWN), vm),
        peer=_on_host(sights.view(Side.PEER), vm),
        maintenance=flag is not None,
        maintenance_until=None if flag is None else flag.until,
    )


def _on_host(view: HostView | None, vm: str) -> OnHost | None:
    row = None if view is None else view.vms.get(vm.casefold())
    if not isinstance(row, VmRow):
        return None
    return OnHost(
        state=row.state, operational=sorted(row.operational), heartbeat=row.heartbeat, uptime=round(row.uptime, 1)
    )


def _volume(csv: str, view: HostView | None) -> VolumeStatus:
    row = None if view is None else find_volume(view, csv)
    return VolumeStatus(name=csv, state=None if row is None else row.state, owner=None if row is None else row.owner)


def _ecx(room: Room, deadline: Deadline) -> EcxStatus:
    try:
        said = clpstat.ask(room.run, deadline)
    except LocalError as error:
        return EcxStatus(trouble=str(error))
    return EcxStatus(
        servers=[ServerStatus(name=one.name, status=one.status, is_own=one.is_own) for one in said.servers],
        groups={
            group.name: f"{group.status} on {group.current}" if group.current else group.status for group in said.groups
        },
    )


def _flags(room: Room) -> list[Flag]:
    try:
        return room.maintenance.all(room.clock.wall())
    except LocalError as error:
        room.log.warning("maintenance flags cannot be read", because=str(error))
        return []
