"""What each host must be able to do: its node, its modules, live migration, memory, iSCSI."""

from collections.abc import Iterator

from ecx_hyperv.check.context import CheckContext
from ecx_hyperv.check.ec_vm import iscsi_setup_remedy
from ecx_hyperv.check.host_facts import MODULES, HostFacts
from ecx_hyperv.check.outcome import (
    Finding,
    Outcome,
    Unavailable,
    cannot_tell,
    is_so,
    judged,
    ok,
    on_host,
    words,
    wrong,
)
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.desired.quoting import literal
from ecx_hyperv.host.observe import is_same_address, is_same_host
from ecx_hyperv.host.rows import IscsiSession, MigrationSettings, VmSettings

_GIB = 2**30
_INSTALL = {
    "FailoverClusters": "Install-WindowsFeature -Name Failover-Clustering -IncludeManagementTools",
    "Hyper-V": "Install-WindowsFeature -Name Hyper-V -IncludeManagementTools",
    "iSCSI": "Set-Service -Name MSiSCSI -StartupType Automatic",
}


def judge_host(context: CheckContext, side: Side) -> Iterator[Finding]:
    """Judge a host that answered."""
    facts, place = context.told()[side], context.place(side)
    target = context.config.cluster.iscsi_target
    yield _modules(place, facts)
    yield _node(context, side)
    yield judged("migration-enabled", place, facts.migration, lambda said: _migration(place, said))
    yield judged("migration-parallel", place, facts.migration, lambda said: _parallel(context, place, said))
    yield _memory(context, side)
    yield judged("iscsi-portal", place, facts.portals, lambda portals: _portal(place, portals, target))
    if context.group_runs is not False:
        yield judged("iscsi-connected", place, facts.connections, lambda found: _connected(place, found, target))
        yield judged("iscsi-persistent", place, facts.sessions, lambda found: _persistent(place, found))
        yield judged("iscsi-initiator", place, facts.sessions, lambda found: _initiator(context, place, found))


def _modules(place: str, facts: HostFacts) -> Finding:
    if facts.missing:
        lines = "; ".join(_INSTALL[module] for module in facts.missing)
        seen = f"not there: {', '.join(facts.missing)}"
        return wrong("modules", place, seen, ", ".join(MODULES), on_host(place, lines))
    return ok("modules", place, ", ".join(MODULES))


def _node(context: CheckContext, side: Side) -> Finding:
    place = context.place(side)
    snapshots_by_side = [context.told()[side], *(facts for other, facts in context.told().items() if other is not side)]
    rows = [
        row
        for snapshot in snapshots_by_side
        if isinstance(snapshot.nodes, tuple)
        for row in snapshot.nodes
        if is_same_host(row.name, place)
    ]
    from_itself = context.told()[side].nodes
    if not rows:
        if isinstance(from_itself, Unavailable):
            return cannot_tell("node", place, from_itself)
        return wrong("node", place, "not in the cluster", "Up", words("join it: Add-ClusterNode"))
    name, state, flags = rows[0].name, rows[0].state, rows[0].flags - {"Normal", "0"}
    seen = ", ".join([state, *sorted(flags)])
    # The cluster's own word for it: what is before its first dot was compared, no more.
    start, resume = (on_host(place, f"{one}-ClusterNode -Name {literal(name)}", [name]) for one in ("Start", "Resume"))
    if "Quarantined" in flags:
        return wrong("node", place, seen, "Up", on_host(place, f"{start.run} -ClearQuarantine", [name]))
    if isinstance(from_itself, Unavailable):
        seen += f"; asked itself: {from_itself.why}"
        return wrong("node", place, seen, "Up", start)
    if state == "Paused":
        return wrong("node", place, seen, "Up", resume)
    return is_so("node", place, seen, so=state == "Up" and not flags, expected="Up", remedy=start)


def _migration(place: str, said: MigrationSettings) -> Finding:
    return is_so(
        "migration-enabled",
        place,
        "enabled" if said.enabled else "not enabled",
        so=said.enabled,
        expected="enabled",
        remedy=on_host(place, "Enable-VMMigration"),
    )


def _parallel(context: CheckContext, place: str, said: MigrationSettings) -> Finding:
    wanted = context.migrations_wanted
    return is_so(
        "migration-parallel",
        place,
        f"{said.most} at a time, {len(context.config.vm)} VMs",
        so=said.most >= wanted,
        expected=f"at least {wanted}",
        remedy=on_host(place, "Set-VMHost -MaximumVirtualMachineMigrations 2"),
        outcome=Outcome.WARNING if said.most else Outcome.WRONG,
    )


def _memory(context: CheckContext, side: Side) -> Finding:
    """The VMs that run elsewhere must fit here too."""
    place, free = context.place(side), context.told()[side].hello.free_memory
    if free is None:
        return cannot_tell("memory", place, Unavailable(why="the host does not say how much is free"))
    here_now = _settings(context, context.told()[side])
    elsewhere = {
        name: vm
        for other, facts in context.told().items()
        if other is not side
        for name, vm in _settings(context, facts).items()
    }
    coming = {name: vm.memory for name, vm in elsewhere.items() if name not in here_now}
    unsaid = [name for name, memory in coming.items() if memory is None]
    if unsaid:
        return cannot_tell("memory", place, Unavailable(why=f"no host says how much {', '.join(unsaid)} takes"))
    needed = sum(memory or 0 for memory in coming.values())
    return is_so(
        "memory",
        place,
        f"{free / _GIB:.1f} GB free, {needed / _GIB:.1f} GB to take over",
        so=free >= needed,
        expected=f"{needed / _GIB:.1f} GB free",
        remedy=words("give the host more memory, or the VMs less: Set-VM -MemoryStartupBytes"),
    )


def _settings(context: CheckContext, facts: HostFacts) -> dict[str, VmSettings]:
    protected = {vm.name.casefold() for vm in context.config.vm}
    return {name: vm for name, vm in facts.vms.items() if isinstance(vm, VmSettings) and name in protected}


def _portal(place: str, portals: tuple[str, ...], target: str) -> Finding:
    return is_so(
        "iscsi-portal",
        place,
        ", ".join(portals) or "none",
        so=any(is_same_address(one, target) for one in portals),
        expected=target,
        remedy=on_host(place, f"New-IscsiTargetPortal -TargetPortalAddress {target}"),
    )


def _connected(place: str, connections: tuple[str, ...], target: str) -> Finding:
    return is_so(
        "iscsi-connected",
        place,
        ", ".join(connections) or "no connection",
        so=any(is_same_address(one, target) for one in connections),
        expected=target,
        remedy=words(f"on {place}: Update-IscsiTargetPortal, then Connect-IscsiTarget with the target's IQN"),
    )


def _persistent(place: str, sessions: tuple[IscsiSession, ...]) -> Finding:
    if not sessions or any(one.is_persistent is None for one in sessions):
        why = "no session" if not sessions else "the host does not show it"
        return cannot_tell("iscsi-persistent", place, Unavailable(why=why))
    passing = [one.target for one in sessions if not one.is_persistent]
    return is_so(
        "iscsi-persistent",
        place,
        f"until the next restart only: {', '.join(passing)}" if passing else "connects again after a restart",
        so=not passing,
        expected="persistent",
        remedy=on_host(place, "Get-IscsiSession | Where-Object IsPersistent -eq $false | Register-IscsiSession"),
    )


def _initiator(context: CheckContext, place: str, sessions: tuple[IscsiSession, ...]) -> Finding:
    names = {one.initiator for one in sessions if one.initiator}
    if context.acls is None or len(context.acls) < 2 or not names:
        why = "the host shows no session" if not names else "the target does not let two hosts in: see target-acl"
        return cannot_tell("iscsi-initiator", place, Unavailable(why=why))
    allowed = {one.casefold() for one in context.acls}
    return is_so(
        "iscsi-initiator",
        place,
        ", ".join(sorted(names)),
        so=any(one.casefold() in allowed for one in names),
        expected=f"one of {', '.join(context.acls) or 'none'}",
        remedy=iscsi_setup_remedy([*context.acls, *sorted(names)]),
    )
