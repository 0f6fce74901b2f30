"""The verdict of `ecx-hyperv status`: how things are, why, and what a person should do about it.

Kept: what nobody could see is never called well. A status that was all green while the mirror disk was being copied led
to a planned move that took every VM down (A1), and one that ended with 0 whatever it saw was read as "all is well"
(A6). A reason says what was seen; a remedy says what to do, and never holds a value from outside without quotes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.mirror import MirrorHealth
from ecx_hyperv.decide.overview import HostStatus, PairFacts, Reach, VmStatus
from ecx_hyperv.decide.states import NodeKind, ResourceKind, VmKind, node_kind, resource_kind
from ecx_hyperv.decide.vm_shown import ShownVm, show_vm
from ecx_hyperv.exits import Exit, worst


class Severity(Enum):
    """How bad it is, in the words that the first line begins with."""

    OK = "OK"
    WARNING = "WARNING"
    CANNOT_TELL = "CANNOT TELL"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """Return its place from the best to the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is not as it should be, and its remedy; `blocks` where it keeps the VMs from failing over."""

    severity: Severity
    text: str
    do: str = ""
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """The verdict in one line, its reasons from the worst on, and what to do, once each."""

    severity: Severity
    text: str
    reasons: list[Reason]
    do: list[str]


# More reasons than this are counted in the line of the verdict, not listed.
_MOST_IN_LINE = 3
_CHECK = "ecx-hyperv check"
# ECX's words for a server, a group or a resource that works; and for a monitor that sees nothing wrong.
_UP = frozenset({"Online"})
_ON_ITS_WAY = frozenset({"Online Pending", "Offline Pending"})
_MONITOR_GOOD = frozenset({"Normal", "Online", "Unused", "Offline"})


def judge_pair(facts: PairFacts) -> PairVerdict:
    """Give the verdict on all that was seen."""
    shown = [(vm, show_vm(vm, facts)) for vm in facts.vms]
    found = [
        # A cause before what follows from it.
        *(reason for host in facts.hosts for reason in _of_host(host, facts)),
        *_of_mirrors(facts),
        *(reason for vm, how in shown for reason in _of_vm(vm, how, facts)),
        *_of_volumes(facts),
        *_of_what_is_not_told(facts),
        *_of_ecx(facts),
        *_of_maintenance(facts),
    ]
    reasons = sorted(dict.fromkeys(found), key=lambda reason: -reason.severity.rank)
    severity = reasons[0].severity if reasons else Severity.OK
    do = list(dict.fromkeys(reason.do for reason in reasons if reason.do))
    return PairVerdict(severity, _in_line(reasons, shown, facts), reasons, do)


def exit_of_status(facts: PairFacts, verdict: PairVerdict, *, degraded_is_1: bool) -> Exit:
    """Return how a status ends: DONE if any host answered, and NOT_AS_ASKED where one wants to know of any fault."""
    if not any(host.answers for host in facts.hosts):
        return worst(host.reach.exit for host in facts.hosts)
    return Exit.NOT_AS_ASKED if degraded_is_1 and verdict.severity is not Severity.OK else Exit.DONE


def _in_line(reasons: Sequence[Reason], shown: Sequence[tuple[VmStatus, ShownVm]], facts: PairFacts) -> str:
    who = shown[0][0].name if len(shown) == 1 else f"{len(shown)} VMs"
    verb = "runs" if len(shown) == 1 else "run"
    places = sorted({how.where for _, how in shown})
    where = f" on {places[0]}" if len(places) == 1 else ""
    if not reasons:
        target = next((f" to {host.label}" for host in facts.hosts if host.label not in places), "")
        return f"{who} {verb}{where}, and can fail over{target}" if shown else "all that was asked is well"
    blocks = [reason for reason in reasons if reason.blocks]
    if shown and blocks and all(how.kind is VmKind.RUNNING for _, how in shown):
        others = [reason for reason in reasons if not reason.blocks]
        more = f"; {_listed(others)}" if others else ""
        is_told = any(reason.severity is not Severity.CANNOT_TELL for reason in blocks)
        but = "cannot fail over" if is_told else "nobody can tell whether a failover is possible"
        return f"{who} {verb}, but {but}: {_listed(blocks)}{more}"
    return _listed(reasons)


def _listed(reasons: Sequence[Reason]) -> str:
    more = len(reasons) - _MOST_IN_LINE
    texts = [reason.text for reason in reasons[:_MOST_IN_LINE]]
    return "; ".join(texts) + (f"; and {more} more" if more > 0 else "")


def _of_vm(vm: VmStatus, how: ShownVm, facts: PairFacts) -> Iterator[Reason]:
    name, where = vm.name, how.where
    if how.is_twice:
        do = f"find out at once on which host {name} writes to its disks, and turn the other one off"
        yield Reason(Severity.CRITICAL, f"{name} is shown live on both hosts", do)
    elif how.kind is VmKind.RUNNING:
        yield from _of_running(vm, how, facts)
    elif vm.maintenance:
        yield Reason(Severity.WARNING, f"{name} is in maintenance and does not run ({how.state})")
    elif how.kind is VmKind.UNREADABLE:
        yield Reason(Severity.CANNOT_TELL, f"how {name} is cannot be told", f"{_CHECK} vm-identity")
    elif how.kind is VmKind.TRANSITIONAL:
        yield Reason(Severity.WARNING, f"{name} is changing its state: {how.state} on {where}")
    elif how.kind in (VmKind.CRITICAL, VmKind.STALLED, VmKind.STRANDED):
        do = f"see the Shared Volume and iSCSI of {where}: {_CHECK}"
        yield Reason(Severity.CRITICAL, f"{name} has no storage on {where} ({how.state})", do)
    else:
        yield Reason(Severity.CRITICAL, f"{name} does not run ({how.state})", _start(facts))


def _start(facts: PairFacts) -> str:
    if facts.ecx.trouble or facts.ecx.active:
        return f"see why it was not started, in ECX's alert log; {_CHECK}"
    # To start a group over a mirror that is not in sync may lose data, or make a copy of the old one.
    is_well = all(mirror.health is MirrorHealth.GREEN for mirror in facts.mirrors)
    first = "" if is_well else "once the mirror disk is GREEN on both: "
    return f"{first}start the failover group in Cluster WebUI, or by clpgrp -s"


def _of_running(vm: VmStatus, how: ShownVm, facts: PairFacts) -> Iterator[Reason]:
    if how.is_moving:
        yield Reason(Severity.WARNING, f"{vm.name} is being moved")
    elif how.heartbeat_lost:
        do = f"log in to {vm.name}, or look at its console: it may hang"
        yield Reason(Severity.WARNING, f"{vm.name} runs on {how.where}, but its heartbeat is lost", do)
    host = next((one for one in facts.hosts if one.label == how.where), None)
    active = facts.ecx.active
    if host is not None and active and host.ec_vm != active and not how.is_moving:
        text = f"{vm.name} runs on {how.where}, while ECX serves its storage from {active}"
        yield Reason(Severity.WARNING, text, "see why it was not moved there, in ECX's alert log")


def _of_host(host: HostStatus, facts: PairFacts) -> Iterator[Reason]:
    # Without an active server each host may have to take the VMs.
    is_standby = host.ec_vm != facts.ecx.active
    kind = None if host.node is None else node_kind(host.node, host.node_flags)
    in_wsfc = ", ".join(host.node_flags) or host.node
    if not host.answers:
        severity = Severity.WARNING if any(one.answers for one in facts.hosts) else Severity.CANNOT_TELL
        said = "" if kind in (None, NodeKind.UP) else f" (WSFC: {in_wsfc})"
        text = f"{host.label} {_REACH_WORDS[host.reach]}{said}"
        yield Reason(severity, text, _to_reach(host), blocks=is_standby)
    elif kind is None:
        yield Reason(Severity.CANNOT_TELL, f"WSFC does not say how {host.label} is", f"{_CHECK} services")
    elif kind is not NodeKind.UP:
        do = f"on {host.label}: Resume-ClusterNode" if kind is NodeKind.PAUSED else f"{_CHECK} node"
        yield Reason(Severity.WARNING, f"{host.label} is {in_wsfc} in WSFC", do, blocks=is_standby)
    if host.answers and host.iscsi is False and facts.ecx.active:
        text = f"{host.label} has no iSCSI connection to the target"
        yield Reason(Severity.WARNING, text, f"{_CHECK} iscsi-connected", blocks=is_standby)


_REACH_WORDS = {
    Reach.SILENT: "does not answer",
    Reach.NO_CONNECTION: "cannot be connected to",
    Reach.LOGIN_REFUSED: "refuses the login",
    Reach.KEY_NOT_PINNED: "has a host key that is not pinned",
    Reach.NO_ALGORITHM: "has no SSH algorithm in common with this EC-VM",
    Reach.UNREADABLE: "answers, but nothing can be read there",
}


# What is run here, for both hosts alike.
_REACH_DO = {Reach.LOGIN_REFUSED: "ecx-hyperv setup ssh", Reach.KEY_NOT_PINNED: "ecx-hyperv trust"}


def _to_reach(host: HostStatus) -> str:
    if host.reach in _REACH_DO:
        return host.remedy or _REACH_DO[host.reach]
    return f"{host.label}: {host.remedy or 'see that it is on, its network, its firewall and its sshd service'}"


def _of_volumes(facts: PairFacts) -> Iterator[Reason]:
    for volume in facts.volumes:
        name = f'Shared Volume "{volume.name}"'
        kind = ResourceKind.UNKNOWN if volume.state is None else resource_kind(volume.state)
        if kind is ResourceKind.UNKNOWN:
            yield Reason(Severity.CANNOT_TELL, f"how the {name} is cannot be told", f"{_CHECK} csv")
        elif kind is ResourceKind.PENDING:
            yield Reason(Severity.WARNING, f"the {name} is on its way ({volume.state})")
        elif kind is not ResourceKind.ONLINE:
            do = f"see iSCSI and the volume: {_CHECK}" if facts.ecx.active else _start(facts)
            yield Reason(Severity.CRITICAL, f"the {name} is {volume.state}", do)


_MIRRORS = {
    MirrorHealth.COPYING: Severity.WARNING,
    MirrorHealth.ONE_UNKNOWN: Severity.WARNING,
    MirrorHealth.ONE_RED: Severity.WARNING,
    MirrorHealth.NOT_CONSTRUCTED: Severity.WARNING,
    MirrorHealth.BOTH_RED: Severity.CRITICAL,
    MirrorHealth.BOTH_ACTIVE: Severity.CRITICAL,
    MirrorHealth.BOTH_UNKNOWN: Severity.CANNOT_TELL,
    MirrorHealth.CANNOT_TELL: Severity.CANNOT_TELL,
}


def _of_mirrors(facts: PairFacts) -> Iterator[Reason]:
    for mirror in facts.mirrors:
        if mirror.health is not MirrorHealth.GREEN:
            # Why nobody can tell which there are stands in their own line.
            text = mirror.text if mirror.name else mirror.text.partition(":")[0]
            yield Reason(_MIRRORS[mirror.health], text, mirror.remedy or "", blocks=True)


def _of_what_is_not_told(facts: PairFacts) -> Iterator[Reason]:
    if facts.ecx.trouble is not None:
        yield Reason(
            Severity.CANNOT_TELL,
            "clpstat does not say how ECX is",
            facts.ecx.remedy or "run clpstat here; see whether ECX runs",
        )
    if facts.maintenance_trouble is not None:
        yield Reason(Severity.CANNOT_TELL, "the maintenance flags cannot be read", "run this as root (sudo)")
    if facts.configuration.is_last_good_copy:
        do = facts.configuration.remedy or "ecx-hyperv config check"
        yield Reason(Severity.WARNING, "the last good copy of the configuration is used", do)


def _of_ecx(facts: PairFacts) -> Iterator[Reason]:
    ecx = facts.ecx
    for server in ecx.servers:
        if server.status not in _UP:
            is_standby = server.name != ecx.active
            do = f"see {server.name} in Cluster WebUI; start ECX there (clpcl -s), resume it (clpcl --resume)"
            yield Reason(
                Severity.WARNING, f"ECX on {server.name} is {server.status}", do, blocks=is_standby and bool(ecx.active)
            )
    for group in ecx.groups:
        bad = [one for one in group.resources if one.status not in _UP]
        if group.status in _ON_ITS_WAY:
            yield Reason(Severity.WARNING, f"group {group.name} is {group.status}")
        elif group.status not in _UP:
            yield Reason(Severity.CRITICAL, f"group {group.name} is {group.status}", _start(facts))
        elif bad:
            names = ", ".join(f"{one.name} {one.status}" for one in bad)
            yield Reason(Severity.WARNING, f"in group {group.name}: {names}", "see ECX's alert log")
    for monitor in ecx.monitors:
        if monitor.status not in _MONITOR_GOOD:
            severity = Severity.CRITICAL if monitor.status == "Error" else Severity.WARNING
            yield Reason(severity, f"monitor {monitor.name} is {monitor.status}", "see ECX's alert log")


def _of_maintenance(facts: PairFacts) -> Iterator[Reason]:
    now = {vm.name for vm in facts.vms}
    for flag in facts.maintenance:
        if flag.kind != "vm" or flag.name in now:
            do = f"once it is over: ecx-hyperv maintenance off {flag.word}" if flag.until is None else ""
            yield Reason(Severity.WARNING, f"{flag.name} is in maintenance", do)
