"""What the cluster of the hosts must be set to; as the first host that knows it says."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import TypeVar

from ecx_hyperv.check.catalogue import Area, names_of
from ecx_hyperv.check.context import CheckContext
from ecx_hyperv.check.host_facts import HostFacts
from ecx_hyperv.check.outcome import (
    Finding,
    Outcome,
    Unavailable,
    cannot_tell,
    is_so,
    judged,
    ok,
    on_host,
    warning,
    words,
    wrong,
)
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.desired.quoting import literal
from ecx_hyperv.desired.windows import QUARANTINE, RESILIENCY_S
from ecx_hyperv.host.rows import ClusterProperties, Network, Quorum, VolumeAccess, VolumeRow

_T = TypeVar("_T")

_CARRIES = ("Cluster", "ClusterAndClient", "1", "3")


def judge_cluster(context: CheckContext) -> Iterator[Finding]:
    """Judge the cluster; nobody can tell where no host answers."""
    if not context.told():
        for name in names_of(Area.CLUSTER):
            yield cannot_tell(name, "cluster", Unavailable(why="no host answers"))
        return
    host = context.place(_teller(context))
    cluster = _first(context, lambda facts: facts.cluster)
    networks = _first(context, lambda facts: facts.networks)
    yield judged("resiliency", "cluster", cluster, lambda said: _resiliency(host, said))
    yield judged("quarantine", "cluster", cluster, lambda said: _quarantine(host, said))
    yield from _parallel(context, host, cluster)
    yield judged("cluster-networks", "cluster", networks, lambda said: _networks(context, host, said))
    yield judged("networks-up", "cluster", networks, _networks_up)
    yield judged("migration-networks", "cluster", networks, lambda said: _migration(context, host, said))
    yield judged(
        "quorum", "cluster", _first(context, lambda facts: facts.quorum), lambda said: _quorum(context, host, said)
    )
    yield from _volumes(context, host)


def _teller(context: CheckContext) -> Side:
    told = context.told()
    return next((side for side, facts in told.items() if isinstance(facts.nodes, tuple)), next(iter(told)))


def _first(context: CheckContext, part: Callable[[HostFacts], _T | Unavailable]) -> _T | Unavailable:
    told = context.told()
    facts = [part(told[side]) for side in sorted(told, key=lambda side: side is not _teller(context))]
    return next((one for one in facts if not isinstance(one, Unavailable)), facts[0])


def _resiliency(host: str, said: ClusterProperties) -> Finding:
    return _setting("resiliency", host, "ResiliencyDefaultPeriod", said.resiliency, RESILIENCY_S)


def _quarantine(host: str, said: ClusterProperties) -> Finding:
    return _setting("quarantine", host, "QuarantineThreshold", said.quarantine, QUARANTINE)


def _parallel(context: CheckContext, host: str, said: ClusterProperties | Unavailable) -> Iterator[Finding]:
    """Judge the cluster's own number of live migrations, which overrides that of the hosts (P10), where it has one."""
    if isinstance(said, Unavailable) or said.parallel is None:
        return
    wanted = context.migrations_wanted
    yield is_so(
        "migration-parallel",
        "cluster",
        f"MaximumParallelMigrations {said.parallel}, {len(context.config.vm)} VMs",
        so=said.parallel >= wanted,
        expected=f"at least {wanted}",
        remedy=on_host(host, "(Get-Cluster).MaximumParallelMigrations = 2"),
        outcome=Outcome.WARNING if said.parallel else Outcome.WRONG,
    )


def _setting(name: str, host: str, key: str, value: int | None, wanted: int) -> Finding:
    if value is None:
        return cannot_tell(
            name, "cluster", Unavailable(why=f"the cluster shows no {key}; it is older than Windows 2016?")
        )
    remedy = on_host(host, f"(Get-Cluster).{key} = {wanted}")
    return is_so(name, "cluster", f"{key} {value}", so=value >= wanted, expected=str(wanted), remedy=remedy)


def _storage(context: CheckContext, networks: tuple[Network, ...]) -> Network | None:
    """Return the network that the iSCSI target is on."""
    target = ipaddress.ip_address(context.config.cluster.iscsi_target)
    for network in networks:
        try:
            if target in ipaddress.ip_network(f"{network.address}/{network.mask}", strict=False):
                return network
        except ValueError:
            continue
    return None


def _networks(context: CheckContext, host: str, networks: tuple[Network, ...]) -> Finding:
    storage = _storage(context, networks)
    carrying = [one.name for one in networks if one.role in _CARRIES]
    seen = f"heartbeats on {', '.join(carrying) or 'none'}"
    if storage is not None and storage.role in _CARRIES:
        line = f"(Get-ClusterNetwork -Name {literal(storage.name)}).Role = 0"
        return wrong("cluster-networks", "cluster", seen, f"not on {storage.name}", on_host(host, line, [storage.name]))
    if len(carrying) < 2:
        remedy = words(
            "ecx-hyperv setup host --cluster-network ADDRESS, once for management and once for mirroring;"
            " run its scripts"
        )
        return warning("cluster-networks", "cluster", seen, "two networks", remedy)
    return ok("cluster-networks", "cluster", seen)


def _networks_up(networks: tuple[Network, ...]) -> Finding:
    down = [f"{one.name} {one.state}" for one in networks if one.state not in ("Up", "3")]
    return is_so(
        "networks-up",
        "cluster",
        ", ".join(down) or f"{len(networks)} networks up",
        so=not down,
        expected="all up",
        remedy=words("see the adapters, cables and virtual switches of both hosts"),
    )


def _migration(context: CheckContext, host: str, networks: tuple[Network, ...]) -> Finding:
    barred = _first(context, lambda facts: facts.barred)
    if isinstance(barred, Unavailable):
        remedy = barred.remedy or words("ecx-hyperv setup host --migration-network ADDRESS; run its scripts")
        return cannot_tell("migration-networks", "cluster", Unavailable(why=barred.why, remedy=remedy))
    storage = _storage(context, networks)
    used = [one for one in networks if one.id.strip("{}").casefold() not in barred]
    seen = f"on {', '.join(one.name for one in used) or 'no network'}"
    if used and storage not in used:
        return ok("migration-networks", "cluster", seen)
    # All barred: then only the storage network stays so.
    still = [one.id for one in networks if one is storage or (used and one not in used)]
    if len(still) == len(networks):
        still = [] if storage is None else [storage.id]
    line = (
        "Get-ClusterResourceType -Name 'Virtual Machine' |"
        f" Set-ClusterParameter -Name MigrationExcludeNetworks -Value {literal(';'.join(still))}"
    )
    expected = f"not on {storage.name}" if used and storage else "a network"
    return wrong("migration-networks", "cluster", seen, expected, on_host(host, line, still))


def _quorum(context: CheckContext, host: str, said: Quorum) -> Finding:
    name, state = said.witness, said.state
    if not name:
        remedy = words(f"ecx-hyperv setup host --witness DISK, a disk on a third machine; run its script on {host}")
        return wrong("quorum", "cluster", "no witness", "a witness", remedy)
    if name.casefold() in {volume.casefold() for volume in _configured(context)}:
        remedy = words(f"ecx-hyperv setup host --witness DISK, one that the EC-VMs do not serve; its script on {host}")
        return wrong("quorum", "cluster", f"{name}, the mirrored disk itself", "a disk on a third machine", remedy)
    remedy = on_host(host, f"Start-ClusterResource -Name {literal(name)}", [name])
    return is_so("quorum", "cluster", f"{name} {state}", so=state == "Online", expected="Online", remedy=remedy)


def _configured(context: CheckContext) -> list[str]:
    found = [context.config.cluster.csv, *(vm.csv for vm in context.config.vm if vm.csv)]
    return list(dict.fromkeys(found))


def _volumes(context: CheckContext, host: str) -> Iterator[Finding]:
    volumes = _first(context, lambda facts: facts.volumes)
    access = _first(context, lambda facts: facts.volume_access)
    for name in _configured(context):
        if isinstance(volumes, Unavailable):
            yield cannot_tell("csv", name, volumes)
            yield cannot_tell("csv-access", name, volumes)
            continue
        found = next((one for one in volumes if one.name.casefold() == name.casefold()), None)
        if found is None:
            known = ", ".join(one.name for one in volumes) or "none"
            remedy = words("correct [cluster] csv, or add the disk: Add-ClusterSharedVolume")
            yield wrong("csv", name, f"no Shared Volume of that name; there: {known}", "Online", remedy)
        elif found.state == "Online" or context.group_runs is not False:
            yield _volume(host, found)
        if found is not None and found.state == "Online":
            yield judged("csv-access", name, access, lambda rows, name=name: _access(name, rows))  # type: ignore[misc]


def _volume(host: str, found: VolumeRow) -> Finding:
    remedy = on_host(host, f"Start-ClusterResource -Name {literal(found.name)}", [found.name])
    return is_so("csv", found.name, found.state, so=found.state == "Online", expected="Online", remedy=remedy)


def _access(name: str, rows: tuple[VolumeAccess, ...]) -> Finding:
    detours = [
        f"{one.node}: {one.state}" for one in rows if one.volume.casefold() == name.casefold() and one.state != "Direct"
    ]
    if detours:
        remedy = words("see that both hosts are connected to the target, and that no backup holds the volume")
        return warning("csv-access", name, "; ".join(detours), "Direct", remedy)
    return ok("csv-access", name, "Direct")
