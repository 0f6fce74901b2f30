"""ecx-hyperv status: one look at both hosts, ECX, the mirror disks and maintenance, and the verdict on what was seen.

A look changes nothing. Looks that follow one another (`-w`) use the same sessions: a login and a PowerShell for each
look would cost the hosts more than the look itself.
"""

import shlex
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide import monitor
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.mirror import MirrorHealth, PairMirrors
from ecx_hyperv.decide.mirror_judgement import judge_mirrors
from ecx_hyperv.decide.overview import (
    ConfigurationStatus,
    EcxItem,
    EcxStatus,
    FailoverGroup,
    HostStatus,
    MaintenanceStatus,
    MirrorCopyStatus,
    MirrorStatus,
    OnHost,
    PairFacts,
    Reach,
    ServerStatus,
    VmStatus,
    VolumeStatus,
)
from ecx_hyperv.decide.states import VmKind, vm_kind
from ecx_hyperv.decide.verdict import PairVerdict, judge_pair
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.ecx.mirrors import CLP_CONF, has_mirror, read_mirrors
from ecx_hyperv.ecx.monitor_state import MonitorStates
from ecx_hyperv.errors import (
    HostError,
    HostKeyRefused,
    LocalError,
    LoginRefused,
    NoCommonAlgorithm,
    Silent,
    Unreachable,
)
from ecx_hyperv.host.identity import CONFIGURATION, MACHINE, VmIdentity
from ecx_hyperv.host.lookups import find_group, find_resource, find_volume, has_session
from ecx_hyperv.host.observe import HostSnapshot, is_same_host
from ecx_hyperv.host.rows import VmRow
from ecx_hyperv.host.snapshots import Snapshots, nodes_of
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.look import HostPair

_REACHES: tuple[tuple[type[HostError], Reach], ...] = (
    (Silent, Reach.SILENT),
    (Unreachable, Reach.NO_CONNECTION),
    (HostKeyRefused, Reach.KEY_NOT_PINNED),
    (LoginRefused, Reach.LOGIN_REFUSED),
    (NoCommonAlgorithm, Reach.NO_ALGORITHM),
    # Connected to, and what came back made no sense.
    (HostError, Reach.UNREADABLE),
)
# The spans that the monitors remember, by what the VM's state shows of them now.
_SPANS = {
    VmKind.CRITICAL: monitor.Span.CRITICAL,
    VmKind.STALLED: monitor.Span.CRITICAL,
    VmKind.STRANDED: monitor.Span.CRITICAL,
    VmKind.TRANSITIONAL: monitor.Span.IN_TRANSITION,
}
_MONITOR = "vm"
# What the peer EC-VM may take to say how its mirror disks are.
_PEER_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStatus(PairFacts):
    """Everything, and the verdict on it; the shape of `--json`, of which no key ever goes missing."""

    version: int = 3
    verdict: PairVerdict


class StatusLook:
    """Looks at the pair, as often as somebody wants, in the same sessions."""

    def __init__(
        self,
        context: RunContext,
        vms: Sequence[str],
        configuration: ConfigurationStatus,
        states: MonitorStates,
        clp_conf: Path = CLP_CONF,
    ) -> None:
        self._clp_conf = clp_conf
        self._context = context
        self._vms = vms
        self._configuration = configuration
        self._states = states
        self._host_pair = HostPair(context, vms, iscsi=tuple(Side))

    def look(self, deadline: Deadline) -> PairStatus:
        """Look at both hosts, and meanwhile at ECX and its mirror disks."""
        with ThreadPoolExecutor(2) as pool:
            ecx = pool.submit(_ecx, self._context, deadline)
            mirrors = pool.submit(self._mirrors, deadline)
            facts = self._facts(self._host_pair.observe(tuple(Side), deadline), ecx, mirrors)
        known = {field.name: getattr(facts, field.name) for field in fields(facts)}
        return PairStatus(verdict=judge_pair(facts), **known)

    def _facts(self, snapshots: Snapshots, ecx: Future[EcxStatus], mirrors: Future[list[MirrorStatus]]) -> PairFacts:
        context, snapshot = self._context, _observed(snapshots)
        flags, flags_trouble = self._flags()
        csvs = context.config.volumes_of(self._vms) or [context.config.cluster.csv]
        return PairFacts(
            time=context.clock.wall().isoformat(timespec="seconds"),
            node=context.pair.local.name,
            hosts=[self._host(side, snapshots, snapshot) for side in Side],
            vms=[self._vm(vm, snapshots, flags) for vm in self._vms],
            volumes=[_volume(csv, snapshot) for csv in csvs],
            mirrors=mirrors.result(),
            ecx=ecx.result(),
            maintenance=[_maintenance(flag) for flag in flags],
            maintenance_trouble=flags_trouble,
            configuration=self._configuration,
            settle=context.config.timing.settle,
        )

    def _mirrors(self, deadline: Deadline) -> list[MirrorStatus]:
        run, pair, expected = self._context.run, self._context.pair, has_mirror(self._clp_conf)
        found = read_mirrors(run, pair, deadline, expected=expected)
        if any(one.health is MirrorHealth.BOTH_RED for one in found.mirrors):
            # Which side has the newer data may take both EC-VMs to tell.
            found = read_mirrors(run, pair, deadline.within(_PEER_S), expected=expected, ask_peer=True)
        return _mirrors(found)

    def _host(self, side: Side, snapshots: Snapshots, snapshot: HostSnapshot | None) -> HostStatus:
        answer, node_of_ecx = snapshots.of(side), self._context.pair.of(side)
        name = self._name(side, answer)
        node = next((row for row in nodes_of(snapshot) if name is not None and is_same_host(row.name, name)), None)
        reach, error = _reach(answer)
        target = self._context.config.cluster.iscsi_target
        told = isinstance(answer, HostSnapshot) and not isinstance(answer.iscsi, RemoteError)
        return HostStatus(
            side=side.value,
            address=node_of_ecx.host,
            ec_vm=node_of_ecx.name,
            reach=reach,
            answers=reach is Reach.ANSWERS,
            name=name if node is None else node.name,
            node=None if node is None else node.state,
            node_flags=[] if node is None else sorted(node.flags - {"Normal", "0"}),
            iscsi=has_session(answer, target) if told and isinstance(answer, HostSnapshot) else None,
            trouble=_trouble(answer, error),
            remedy=None if error is None else error.remedy or None,
        )

    def _name(self, side: Side, answer: object) -> str | None:
        names = self._host_pair.names
        if side is Side.PEER:
            return names.peer if names.peer_is_known else None
        # Until somebody has told it, the name is the address that the configuration has.
        is_told = isinstance(answer, HostSnapshot) or names.local != self._context.pair.local.host
        return names.local if is_told else None

    def _vm(self, vm: str, snapshots: Snapshots, flags: Sequence[Flag]) -> VmStatus:
        snapshot, identity = _observed(snapshots), self._host_pair.identities.of(vm)
        group = None if snapshot is None else find_group(snapshot, identity.role or vm)
        flag = next((one for one in flags if one.kind is Kind.VM and one.name.casefold() == vm.casefold()), None)
        local, peer = (snapshots.snapshot(side) for side in Side)
        on_local, on_peer = _on_host(local, identity.id), _on_host(peer, identity.id)
        return VmStatus(
            name=vm,
            id=identity.id or None,
            role=identity.role or None,
            owner=None if group is None else group.owner,
            group=None if group is None else group.state,
            group_flags=[] if group is None else sorted(group.flags - {"0"}),
            configuration=_resource(snapshot, identity, vm, CONFIGURATION),
            machine=_resource(snapshot, identity, vm, MACHINE),
            csv=self._context.config.csv_of(vm) or self._context.config.cluster.csv,
            local=on_local,
            peer=on_peer,
            local_told=_is_told(local, identity.id),
            peer_told=_is_told(peer, identity.id),
            seconds=self._seconds(vm, [one for one in (on_local, on_peer) if one is not None]),
            maintenance=flag is not None,
            maintenance_until=None if flag is None else _moment(flag.until),
        )

    def _seconds(self, vm: str, shown: Sequence[OnHost]) -> float | None:
        """Return for how long a VM has been as it is: Hyper-V tells that of a guest that runs, a monitor of others."""
        up = max((one.uptime for one in shown if vm_kind(one.state) is VmKind.RUNNING), default=0.0)
        span = next((found for one in shown if (found := _SPANS.get(vm_kind(one.state)))), None)
        if up or span is None:
            return up or None
        clock, stale = self._context.clock, self._context.config.timing.stale
        try:
            state, now = self._states.load(_MONITOR, vm), clock.boottime()
        except LocalError:
            return None
        # Over a time in which nobody looked nobody can tell.
        lasted = state.lasted(span, now) if now - state.looked <= stale else 0.0
        return lasted or None

    def _flags(self) -> tuple[list[Flag], str | None]:
        try:
            return self._context.maintenance.all(self._context.clock.wall()), None
        except LocalError as error:
            return [], str(error)


def _observed(snapshots: Snapshots) -> HostSnapshot | None:
    return None if snapshots.observer is None else snapshots.snapshot(snapshots.observer)


def _reach(answer: HostSnapshot | HostError | None) -> tuple[Reach, HostError | None]:
    if isinstance(answer, HostError):
        return next(reach for kind, reach in _REACHES if isinstance(answer, kind)), answer
    is_blank = answer is None or (
        answer.cluster_error is not None and not any(isinstance(row, VmRow) for row in answer.vms.values())
    )
    return (Reach.UNREADABLE if is_blank else Reach.ANSWERS), None


def _trouble(answer: HostSnapshot | HostError | None, error: HostError | None) -> str | None:
    if error is not None:
        return error.what + (f" ({error.seen})" if error.seen else "")
    errors = answer.errors() if isinstance(answer, HostSnapshot) else []
    return str(errors[0]) if errors else None


def _resource(snapshot: HostSnapshot | None, identity: VmIdentity, vm: str, kind: str) -> str | None:
    found = None if snapshot is None else find_resource(snapshot, identity, vm, kind)
    return None if found is None else found.state


def _on_host(snapshot: HostSnapshot | None, key: str) -> OnHost | None:
    row = None if snapshot is None else snapshot.vm(key)
    if not isinstance(row, VmRow):
        return None
    return OnHost(
        state=row.state, operational=sorted(row.operational), heartbeat=row.heartbeat, uptime=round(row.uptime, 1)
    )


def _is_told(snapshot: HostSnapshot | None, key: str) -> bool:
    return snapshot is not None and bool(key) and not isinstance(snapshot.vm(key), RemoteError)


def _volume(csv: str, snapshot: HostSnapshot | None) -> VolumeStatus:
    row = None if snapshot is None else find_volume(snapshot, csv)
    return VolumeStatus(name=csv, state=None if row is None else row.state, owner=None if row is None else row.owner)


def _ecx(context: RunContext, deadline: Deadline) -> EcxStatus:
    try:
        said = clpstat.ask(context.run, deadline)
    except LocalError as error:
        trouble = error.what + (f" ({error.seen})" if error.seen else "")
        return EcxStatus(servers=[], groups=[], monitors=[], trouble=trouble, remedy=error.remedy or None)

    # As the configuration writes them: whatever is compared with a name of ECX's is compared without case.
    names = {node.name.casefold(): node.name for node in (context.pair.local, context.pair.peer)}
    return EcxStatus(
        servers=[
            ServerStatus(name=names.get(one.name.casefold(), one.name), status=one.status, is_local=one.is_local)
            for one in said.servers
        ],
        groups=[
            FailoverGroup(
                name=one.name,
                status=one.status,
                server=names.get(one.current.casefold(), one.current) or None,
                resources=[_item(row) for row in one.resources],
            )
            for one in said.groups
        ],
        monitors=[_item(row) for row in said.monitors],
    )


def _mirrors(found: PairMirrors) -> list[MirrorStatus]:
    facts = {one.name: one for one in found.mirrors}
    shown = []
    for judged in judge_mirrors(found):
        mirror = facts.get(judged.name)
        sides = () if mirror is None else mirror.sides
        shown.append(
            MirrorStatus(
                name=judged.name or None,
                health=judged.health,
                text=judged.text,
                remedy=judged.remedy or None,
                copies=[
                    MirrorCopyStatus(
                        color=side.color.value, server=side.server or None, last_update=side.last_update or None
                    )
                    for side in sides
                ],
                percent=None if mirror is None else mirror.percent,
                remaining=None if mirror is None else mirror.remaining or None,
            )
        )
    return shown


def _item(row: clpstat.ClpstatRow) -> EcxItem:
    return EcxItem(name=row.name, status=row.status)


def _maintenance(flag: Flag) -> MaintenanceStatus:
    return MaintenanceStatus(
        kind=flag.kind.value,
        name=flag.name,
        word=shlex.quote(flag.name),
        since=flag.since.isoformat(timespec="seconds"),
        until=_moment(flag.until),
        reason=flag.reason,
    )


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
