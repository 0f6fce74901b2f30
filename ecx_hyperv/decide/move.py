"""Whether a failover group may be moved to the other EC-VM, and what became of a move that was ordered.

Kept: nothing is ordered while a check has something against it. A move onto a mirror disk that is not GREEN on both
sides takes the storage away from running guests, and no word of a person changes that. A move of a group that is on its
way already, onto a server that is not Online, or onto a host without the memory, ends as an outage that somebody
planned. What nobody can tell about the mirror counts as not GREEN; what nobody can tell about memory or networks is
told as a doubt, and the person who is asked decides.

A move that was ordered cannot be called back: ECX carries it out by itself. So what is judged afterwards is only what
is seen: where the group is, and whether that has lasted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.facts import VmOnHost
from ecx_hyperv.decide.mirror import MirrorHealth, PairMirrors
from ecx_hyperv.decide.mirror_judgement import judge_mirrors
from ecx_hyperv.decide.states import Doing, NodeKind, VmKind
from ecx_hyperv.exits import Exit

_GIB = 2**30
_ONLINE = "Online"


class MoveCheck(Enum):
    """What is checked before a group is moved."""

    GROUP = "group"
    ECX = "ECX of both servers"
    MIRROR = "mirror disks"
    HOSTS = "hosts"
    NODES = "cluster nodes"
    MAINTENANCE = "maintenance"
    VMS = "VMs"
    MEMORY = "memory"
    MIGRATION = "live migration"


@dataclass(frozen=True, slots=True)
class MoveObjection:
    """What speaks against a move; a doubt is told, anything else keeps the move from being ordered."""

    check: MoveCheck
    exit: Exit
    what: str
    seen: str
    remedy: str
    is_doubt: bool = False


@dataclass(frozen=True, slots=True)
class MovingHost:
    """One of the two hosts; `trouble` and `exit` say why it cannot be asked. None stands for what was not told.

    `networks` are the networks for live migration that are up, `most` how many live migrations it takes at a time.
    """

    name: str
    trouble: str = ""
    exit: Exit = Exit.DONE
    node: NodeKind = NodeKind.UP
    free_memory: float | None = None
    migration: bool | None = None
    most: int | None = None
    networks: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MovingVm:
    """A VM of the group, as each host shows it; `lacks` says why it is not known which VM is meant."""

    name: str
    on_source: VmOnHost
    on_target: VmOnHost
    maintenance: bool = False
    lacks: str = ""
    memory: int | None = None

    @property
    def is_there(self) -> bool:
        """Tell whether it runs on the target already."""
        return self.on_target.kind is VmKind.RUNNING

    @property
    def runs(self) -> bool:
        """Tell whether it runs on either host."""
        return VmKind.RUNNING in (self.on_source.kind, self.on_target.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFacts:
    """All that a move is judged by: the group and both servers as clpstat shows them, the mirrors, hosts and VMs.

    `source` and `target` are node names; `status` is the group's, `current` where it is active, empty for nowhere.
    `other_ecx` is the status of the other server, `other` its name.
    """

    group: str
    status: str
    current: str
    source: str
    target: str
    other: str
    other_ecx: str
    mirrors: PairMirrors
    source_host: MovingHost
    target_host: MovingHost
    vms: tuple[MovingVm, ...]

    @property
    def is_there(self) -> bool:
        """Tell whether the group is Online on the target already."""
        return self.status == _ONLINE and self.current.casefold() == self.target.casefold()

    @property
    def coming(self) -> tuple[MovingVm, ...]:
        """Return the VMs that are to be live-migrated."""
        return tuple(vm for vm in self.vms if not vm.is_there and vm.on_source.is_live)


def objections(facts: MoveFacts) -> tuple[MoveObjection, ...]:
    """Return all that speaks against a move, the doubts included."""
    return tuple(one for check in _CHECKS for one in check(facts))


def refusals(found: Sequence[MoveObjection]) -> tuple[MoveObjection, ...]:
    """Return what keeps a move from being ordered."""
    return tuple(one for one in found if not one.is_doubt)


def _group(facts: MoveFacts) -> Iterator[MoveObjection]:
    if facts.status == _ONLINE and facts.current.casefold() == facts.source.casefold():
        return
    where = f" on {facts.current}" if facts.current else ""
    remedy = f"start it: clpgrp -s {facts.group} -a {facts.target}"
    if facts.status != "Offline":
        remedy = "wait until clpstat shows it Online, or see why it is not"
    yield MoveObjection(
        MoveCheck.GROUP,
        Exit.NOT_AS_ASKED,
        f"{facts.group} is not Online on {facts.source}, so it cannot be moved from there",
        f"clpstat: {facts.group} {facts.status}{where}",
        remedy,
    )


def _ecx(facts: MoveFacts) -> Iterator[MoveObjection]:
    if facts.other_ecx != _ONLINE:
        yield MoveObjection(
            MoveCheck.ECX,
            Exit.NOT_AS_ASKED,
            f"ECX on {facts.other} is not Online",
            f"clpstat: {facts.other} {facts.other_ecx or 'not shown'}",
            f"see that {facts.other} runs, then: clpcl -s -h {facts.other}",
        )


def _mirrors(facts: MoveFacts) -> Iterator[MoveObjection]:
    if facts.mirrors.are_green and not facts.mirrors.peer_why:
        return
    for one in judge_mirrors(facts.mirrors):
        if one.health is not MirrorHealth.GREEN:
            cannot_tell = one.health in (MirrorHealth.CANNOT_TELL, MirrorHealth.BOTH_UNKNOWN)
            exit_code = Exit.CANNOT_TELL if cannot_tell else Exit.NOT_AS_ASKED
            yield MoveObjection(MoveCheck.MIRROR, exit_code, one.text, "a move needs GREEN on both", one.remedy)
    if facts.mirrors.are_green:
        yield MoveObjection(
            MoveCheck.MIRROR,
            Exit.DONE,
            f"{facts.other} does not say how the mirror disks are",
            facts.mirrors.peer_why,
            f"let root of this EC-VM log in to {facts.other} by its key, or run clpmdstat -l there",
            is_doubt=True,
        )


def _hosts(facts: MoveFacts) -> Iterator[MoveObjection]:
    for host in (facts.source_host, facts.target_host):
        if host.trouble:
            yield MoveObjection(
                MoveCheck.HOSTS,
                host.exit,
                f"the host {host.name} cannot be asked, so nobody can say whether the move would succeed",
                host.trouble,
                "see that the host is on, the network to it, and its sshd service: ecx-hyperv status -v",
            )


def _nodes(facts: MoveFacts) -> Iterator[MoveObjection]:
    for host in (facts.source_host, facts.target_host):
        if not host.trouble and host.node is not NodeKind.UP:
            yield MoveObjection(
                MoveCheck.NODES,
                Exit.NOT_AS_ASKED,
                f"the cluster node {host.name} is not Up",
                f"it is {host.node.value}",
                f"on {host.name}: Resume-ClusterNode where it is paused, else see Failover Cluster Manager",
            )


def _maintenance(facts: MoveFacts) -> Iterator[MoveObjection]:
    for vm in facts.vms:
        if vm.maintenance:
            yield MoveObjection(
                MoveCheck.MAINTENANCE,
                Exit.NOT_AS_ASKED,
                f"{vm.name} is in maintenance: it would stay where it is, and its storage would go",
                "ecx-hyperv maintenance list",
                "end the maintenance first: ecx-hyperv maintenance off",
            )


def _vms(facts: MoveFacts) -> Iterator[MoveObjection]:
    if facts.source_host.trouble or facts.target_host.trouble:
        return
    for vm in facts.vms:
        why = vm.lacks or _why_not_well(facts, vm)
        if why:
            yield MoveObjection(
                MoveCheck.VMS,
                Exit.NOT_AS_ASKED,
                f"{vm.name} is not running well, so it cannot be moved without harm",
                why,
                f"bring {vm.name} in order first; ecx-hyperv status shows it",
            )


def _why_not_well(facts: MoveFacts, vm: MovingVm) -> str:
    where = ((vm.on_source, facts.source_host.name), (vm.on_target, facts.target_host.name))
    live = [(guest, host) for guest, host in where if guest.is_live]
    if not live:
        shown = [f"{guest.word or guest.kind.value} on {host}" for guest, host in where]
        return f"it runs on neither host: {', '.join(shown)}"
    if len(live) > 1:
        return f"both hosts show it: {', '.join(f'{guest.word} on {host}' for guest, host in live)}"
    guest, host = live[0]
    if guest.kind is not VmKind.RUNNING:
        return f"it is {guest.word} on {host}"
    if guest.doing is not Doing.NOTHING:
        return f"it is {guest.doing.value} on {host}"
    return "" if guest.healthy else f"its heartbeat is lost, or its health is bad, on {host}"


def _memory(facts: MoveFacts) -> Iterator[MoveObjection]:
    coming, host = facts.coming, facts.target_host
    if not coming or host.trouble:
        return
    unsaid = [vm.name for vm in coming if vm.memory is None]
    if host.free_memory is None or unsaid:
        yield MoveObjection(
            MoveCheck.MEMORY,
            Exit.DONE,
            f"nobody can say whether {host.name} has the memory",
            f"not told: the memory of {', '.join(unsaid)}" if unsaid else f"{host.name} does not say how much is free",
            f"see the free memory of {host.name}",
            is_doubt=True,
        )
        return
    needed = sum(vm.memory or 0 for vm in coming)
    if host.free_memory < needed:
        yield MoveObjection(
            MoveCheck.MEMORY,
            Exit.NOT_AS_ASKED,
            f"{host.name} does not have the memory for {', '.join(vm.name for vm in coming)}",
            f"{host.free_memory / _GIB:.1f} GB free, {needed / _GIB:.1f} GB needed",
            f"free memory on {host.name}, or give the VMs less",
        )


def _migration(facts: MoveFacts) -> Iterator[MoveObjection]:
    if not facts.coming:
        return
    asked = [host for host in (facts.source_host, facts.target_host) if not host.trouble]
    for host in asked:
        if host.migration is False:
            yield MoveObjection(
                MoveCheck.MIGRATION,
                Exit.NOT_AS_ASKED,
                f"{host.name} takes no part in live migrations",
                "VirtualMachineMigrationEnabled is False",
                f"on {host.name}: Enable-VMMigration",
            )
    told = [host.networks for host in asked if host.networks is not None]
    if asked and told and not told[0]:
        yield MoveObjection(
            MoveCheck.MIGRATION,
            Exit.NOT_AS_ASKED,
            "no network for live migration is up",
            "each network is down, or barred from live migration",
            "see the adapters and cables of both hosts; ecx-hyperv check networks-up migration-networks",
        )
    elif asked and (not told or any(host.migration is None for host in asked)):
        yield MoveObjection(
            MoveCheck.MIGRATION,
            Exit.DONE,
            "nobody can say whether live migration works",
            "the cluster does not tell its networks, or a host not its settings",
            "ecx-hyperv check migration-networks migration-parallel",
            is_doubt=True,
        )


_CHECKS: tuple[Callable[[MoveFacts], Iterator[MoveObjection]], ...] = (
    _group,
    _ecx,
    _mirrors,
    _hosts,
    _nodes,
    _maintenance,
    _vms,
    _memory,
    _migration,
)


def plan(facts: MoveFacts, command: str) -> tuple[str, ...]:
    """Return what the move will do and cost, in its order; `command` is the line that orders it."""
    source, target = facts.source_host, facts.target_host
    away = "meanwhile the iSCSI target is away for some seconds, and the guests wait for their disk"
    steps = [
        f"order the move from ECX: {command}",
        f"ECX will stop {facts.group} on {facts.source}, and start it on {facts.target}; {away}",
    ]
    coming = facts.coming
    if coming:
        sizes = [vm.memory for vm in coming]
        told = sum(size or 0 for size in sizes)
        cost = f"{told / _GIB:.1f} GB of memory to copy" if None not in sizes else "how much memory is not told"
        limits = [host.most for host in (source, target) if host.most is not None]
        pace = f", {min(limits)} at a time" if limits and len(coming) > 1 else ""
        names = ", ".join(vm.name for vm in coming)
        steps.append(f"{names} will be live-migrated from {source.name} to {target.name}{pace}: {cost}")
    steps.append("no VM will be stopped")
    return tuple(steps)
