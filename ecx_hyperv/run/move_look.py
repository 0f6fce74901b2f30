"""What a move is judged by: clpstat, the mirror disks, both hosts and the VMs, looked at once, side by side."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Identity, Observation, Side
from ecx_hyperv.decide.mirror import PairMirrors
from ecx_hyperv.decide.move import MoveFacts, MovingHost, MovingVm
from ecx_hyperv.decide.states import NodeKind
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.clpstat import Clpstat, ClpstatGroup
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.ecx.mirrors import read_mirrors
from ecx_hyperv.errors import HostError, UsageError
from ecx_hyperv.exits import Exit
from ecx_hyperv.host import setting_queries
from ecx_hyperv.host.link import Answered, Ask
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.queries import Answers, Query
from ecx_hyperv.host.rows import ClusterProperties, MigrationSettings, VmSettings
from ecx_hyperv.host.situation import observe_vm
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.host.wire import Request
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.look import HostPair

_CLPSTAT_S = 30.0
_ASK_S = 60.0
_UP = ("Up", "3")


@dataclass(frozen=True, slots=True)
class MoveAsked:
    """What a person asked for: the EC-VM, and the group, empty for the one that holds the VMs.

    `has_mirror` is whether ECX's configuration holds a mirror disk, None where nobody can tell.
    """

    target: str
    group: str = ""
    has_mirror: bool | None = None


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a host said of live migration and its VMs' memory; None for what it did not tell."""

    free_memory: float | None = None
    migration: MigrationSettings | None = None
    cluster_most: int | None = None
    networks: tuple[str, ...] | None = None
    memory: Mapping[str, int | None] | None = None


def look_for_move(context: RunContext, asked: MoveAsked, deadline: Deadline) -> MoveFacts:
    """Look at everything that a move depends on; raises LocalError, UsageError."""
    said = clpstat.ask(context.run, deadline.within(_CLPSTAT_S))
    group = choose_group(said, context.config, asked.group)
    vms = vms_of(context.config, group)
    with ThreadPoolExecutor(1) as pool:
        mirrors = pool.submit(
            read_mirrors, context.run, context.pair, deadline, expected=asked.has_mirror, ask_peer=True
        )
        host_pair = HostPair(context, vms)
        snapshots = host_pair.observe(tuple(Side), deadline)
        settings = _ask_settings(context, host_pair, snapshots, vms, deadline)
        return _facts(context, asked, _Seen(said, group, mirrors.result(), host_pair, snapshots, settings), vms)


def choose_group(said: Clpstat, config: Config, wanted: str) -> ClpstatGroup:
    """Return the failover group that holds the VMs; raises UsageError where that is not clear.

    Where clpstat shows the resources of no group, each group may hold them.
    """
    shown = ", ".join(group.name for group in said.groups) or "none"
    if wanted:
        found = said.find_group(wanted)
        if found is None:
            raise UsageError(f"ECX has no group {wanted!r}", seen=f"clpstat: {shown}", remedy="name one of these")
        return found
    resources = {vm.resource_name for vm in config.vm}
    holding = [group for group in said.groups if any(row.name in resources for row in group.resources)]
    candidates = holding or list(said.groups)
    if len(candidates) != 1:
        raise UsageError(
            "which failover group is meant is not clear", seen=f"clpstat: {shown}", remedy="name it: --group NAME"
        )
    return candidates[0]


def vms_of(config: Config, group: ClpstatGroup) -> list[str]:
    """Return the VMs of a group; all that are configured where clpstat does not show its resources."""
    names = {row.name for row in group.resources}
    return [vm.name for vm in config.vm if vm.resource_name in names] or [vm.name for vm in config.vm]


@dataclass(frozen=True, slots=True)
class _Seen:
    said: Clpstat
    group: ClpstatGroup
    mirrors: PairMirrors
    host_pair: HostPair
    snapshots: Snapshots
    settings: Mapping[Side, _Settings]


def _facts(context: RunContext, asked: MoveAsked, seen: _Seen, vms: Sequence[str]) -> MoveFacts:
    pair = context.pair
    target_side = Side.LOCAL if asked.target == pair.local.name else Side.PEER
    source_side = target_side.other
    observed = {vm: observe(context, seen.host_pair, vm, seen.snapshots) for vm in vms}
    other = seen.said.find(pair.peer.name)
    return MoveFacts(
        group=seen.group.name,
        status=seen.group.status,
        current=seen.group.current,
        source=pair.of(source_side).name,
        target=asked.target,
        other=pair.peer.name,
        other_ecx="" if other is None else _effective(other.status),
        mirrors=seen.mirrors,
        source_host=_host(context, source_side, seen, list(observed.values())),
        target_host=_host(context, target_side, seen, list(observed.values())),
        vms=tuple(_vm(name, one, target_side, seen) for name, one in observed.items()),
    )


def _effective(status: str) -> str:
    # Caution is Online with something to look at.
    return "Online" if status == "Caution" else status


def observe(context: RunContext, host_pair: HostPair, vm: str, snapshots: Snapshots) -> Observation:
    """Put together what a look showed of one VM."""
    identity = host_pair.identities.of(vm)
    maintenance = context.in_maintenance(Kind.VM, vm)
    return observe_vm(context.config, host_pair.names, vm, snapshots, identity, maintenance=maintenance)


def _vm(name: str, seen: Observation, target_side: Side, all_seen: _Seen) -> MovingVm:
    sizes = [one.memory.get(name) for one in all_seen.settings.values() if one.memory is not None]
    return MovingVm(
        name,
        seen.on(target_side.other),
        seen.on(target_side),
        seen.maintenance,
        "" if seen.identity is Identity.KNOWN else seen.lacks or f"which VM it is is {seen.identity.value}",
        next((size for size in sizes if size is not None), None),
    )


def _host(context: RunContext, side: Side, seen: _Seen, observed: Sequence[Observation]) -> MovingHost:
    answer = seen.snapshots.of(side)
    if not isinstance(answer, HostSnapshot):
        trouble = answer.details if isinstance(answer, HostError) else "it was not asked"
        code = answer.exit if isinstance(answer, HostError) else Exit.CANNOT_TELL
        return MovingHost(context.pair.of(side).host, trouble, code)
    settings = seen.settings.get(side, _Settings())
    migration = settings.migration
    limits = [one for one in (settings.cluster_most, migration.most if migration else None) if one]
    return MovingHost(
        answer.host,
        node=observed[0].node(side) if observed else NodeKind.UP,
        free_memory=settings.free_memory,
        migration=None if migration is None else migration.enabled,
        most=min(limits, default=None),
        networks=settings.networks,
    )


def _ask_settings(
    context: RunContext, host_pair: HostPair, snapshots: Snapshots, vms: Sequence[str], deadline: Deadline
) -> Mapping[Side, _Settings]:
    """Ask each host that answers about its memory, its migrations and networks, and what its VMs take."""
    memory = {vm: setting_queries.vm_settings(vm, host_pair.identities.of(vm).id) for vm in vms}
    common = (
        setting_queries.migration(),
        setting_queries.cluster(),
        setting_queries.networks(),
        setting_queries.barred_networks(),
    )
    queries: list[Query[object]] = [*common, *memory.values()]
    request = Request(calls=tuple(query.call for query in queries), stop_on_error=False)
    answering = [side for side in Side if isinstance(snapshots.of(side), HostSnapshot)]
    if not answering:
        return {}
    came = context.hosts.exchange({side: [Ask(request, _ASK_S)] for side in answering}, deadline)
    return {
        side: _read_settings(queries, one, memory)
        for side, answers in came.items()
        for one in answers
        if isinstance(one, Answered)
    }


def _read_settings(
    queries: Sequence[Query[object]], answer: Answered, memory: Mapping[str, Query[VmSettings | None]]
) -> _Settings:
    answers = Answers(queries, answer.reply.results)
    migration = answers.of(setting_queries.migration())
    cluster = answers.of(setting_queries.cluster())
    networks, barred = answers.of(setting_queries.networks()), answers.of(setting_queries.barred_networks())
    used: tuple[str, ...] | None = None
    if isinstance(networks, tuple) and isinstance(barred, tuple):
        allowed = [one for one in networks if one.id.strip("{}").casefold() not in barred]
        used = tuple(one.name for one in allowed if one.state in _UP)
    rows = {name: answers.of(query) for name, query in memory.items()}
    return _Settings(
        answer.hello.free_memory,
        migration if isinstance(migration, MigrationSettings) else None,
        cluster.parallel if isinstance(cluster, ClusterProperties) else None,
        used,
        {name: row.memory if isinstance(row, VmSettings) else None for name, row in rows.items()},
    )
