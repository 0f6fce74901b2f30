"""How the EC-VMs and the protected VMs are set up in Hyper-V and in the cluster."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from ecx_hyperv.check.catalogue import Area, names_of
from ecx_hyperv.check.context import CheckContext
from ecx_hyperv.check.host_facts import NOT_SHOWN, HostFacts
from ecx_hyperv.check.outcome import (
    Finding,
    Outcome,
    Remedy,
    Unavailable,
    cannot_tell,
    is_so,
    judged,
    ok,
    on_host,
    words,
    wrong,
)
from ecx_hyperv.check.vm_identity import IdentifiedVm, judge_identity
from ecx_hyperv.check.vm_resource import OF_RESOURCE, judge_resource
from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.facts import Identity, Side
from ecx_hyperv.desired.quoting import literal
from ecx_hyperv.host.observe import is_same_host
from ecx_hyperv.host.rows import GroupSettings, IntegrationServices, VmSettings, volume_key
from ecx_hyperv.host.setting_queries import HEARTBEAT_SERVICE, SHUTDOWN_SERVICE

_T = TypeVar("_T")

_SERVICES = {
    "heartbeat": HEARTBEAT_SERVICE,
    "shutdown": SHUTDOWN_SERVICE,
}
_CSV_ROOT = "c:\\clusterstorage\\"


def judge_ec_guest(context: CheckContext, side: Side) -> Iterator[Finding]:
    """Judge the EC-VM of a host that answered."""
    facts, name, host = context.told()[side], context.pair.of(side).vm, context.place(side)
    settings = facts.vms.get(name.casefold(), Unavailable(why="it was not asked for"))
    beyond = [one for one in names_of(Area.EC_GUEST) if one != "ec-vm-known"]
    if settings is None:
        node = context.pair.of(side).name
        remedy = words(f"correct vm in the [[node]] of {node}, or host where it names another EC-VM's host")
        both = [context.place(one) for one in context.told()]
        also = ", and it is the host of both nodes" if len(both) == 2 and is_same_host(*both) else ""
        yield wrong("ec-vm-known", name, f"{host} has no VM of that name{also}", "the EC-VM's name in Hyper-V", remedy)
    if settings is None or isinstance(settings, Unavailable):
        reason = settings or Unavailable(why="see ec-vm-known")
        for one in beyond if settings is None else ["ec-vm-known", *beyond]:
            yield cannot_tell(one, name, reason)
        return
    yield ok("ec-vm-known", name, f"on {host}")
    meant = _Meant(host, name)
    yield _action("ec-vm-start-action", meant, "AutomaticStartAction", settings.start_action, "Start")
    yield _shown("ec-vm-start-delay", name, settings.start_delay, lambda delay: _delay(name, host, delay))
    yield _stop_action("ec-vm-stop-action", meant, settings, Outcome.WARNING)
    yield _shown("ec-vm-clustered", name, settings.is_clustered, lambda is_clustered: _apart(name, is_clustered))
    services = facts.services_of.get(name.casefold()) or Unavailable(
        why="the host does not show its integration services"
    )
    yield judged("ec-vm-heartbeat", name, services, lambda said: _service("ec-vm-heartbeat", meant, said))


@dataclass(frozen=True, slots=True)
class _Meant:
    """A VM as the lines of remedies call it: by its id where another VM of that name may be hit, or none."""

    host: str
    name: str
    id: str = ""

    def set_vm(self, rest: str) -> Remedy:
        line = f"Get-VM -Id {literal(self.id)} | Set-VM" if self.id else f"Set-VM -Name {literal(self.name)}"
        return on_host(self.host, f"{line} {rest}")

    def enable_service(self, id_: str) -> Remedy:
        services = (
            f"Get-VM -Id {literal(self.id)} | Get-VMIntegrationService"
            if self.id
            else f"Get-VMIntegrationService -VMName {literal(self.name)}"
        )
        line = f"{services} | Where-Object Id -like '*{id_}' | Enable-VMIntegrationService"
        return on_host(self.host, line)


def _delay(name: str, host: str, delay: int) -> Finding:
    remedy = _Meant(host, name).set_vm("-AutomaticStartDelay 5")
    return is_so(
        "ec-vm-start-delay",
        name,
        f"{delay} s",
        so=delay > 0,
        expected="5 s",
        remedy=remedy,
        outcome=Outcome.WARNING,
    )


def _apart(name: str, is_clustered: bool) -> Finding:
    return is_so(
        "ec-vm-clustered",
        name,
        "clustered" if is_clustered else "not clustered",
        so=not is_clustered,
        expected="not clustered",
        remedy=words(f"in Failover Cluster Manager remove the role {name}, keeping the VM"),
    )


def _shown(check: str, place: str, fact: _T | None, judge: Callable[[_T], Finding]) -> Finding:
    """Judge a fact, if the host shows it: an older one, or a stand-in, may not."""
    return judged(check, place, NOT_SHOWN if fact is None else fact, judge)


def judge_vm(context: CheckContext, vm: ProtectedVm) -> Iterator[Finding]:
    """Judge a protected VM; its settings can be read only where it is registered."""
    told = context.told()
    if not told:
        for name in names_of(Area.VM):
            yield cannot_tell(name, vm.name, Unavailable(why="no host answers"))
        return
    identity = context.identity(vm)
    yield judge_identity(identity, is_seen=context.runs_here)
    if identity.found.identity is Identity.AMBIGUOUS:
        for name in names_of(Area.VM):
            if name != "vm-identity":
                yield cannot_tell(name, vm.name, Unavailable(why="see vm-identity"))
        return
    yield from _group(context, vm)
    known = {side: facts for side, facts in told.items() if isinstance(facts.vms.get(vm.name.casefold()), VmSettings)}
    if known:
        side, facts = next(iter(known.items()))
        yield from _settings(context, vm, context.place(side), facts)
        return
    if context.group_runs is False:
        return
    reasons = [one for facts in told.values() if isinstance(one := facts.vms.get(vm.name.casefold()), Unavailable)]
    reason = reasons[0] if reasons else Unavailable(why="registered on no host that answers")
    for name in names_of(Area.VM):
        if name not in ("vm-identity", *_OF_ROLE):
            yield cannot_tell(name, vm.name, reason)


# What can be told of a VM's role wherever the VM is.
_OF_ROLE = ("vm-clustered", "vm-failover", "vm-failback", *OF_RESOURCE)


def _group(context: CheckContext, vm: ProtectedVm) -> Iterator[Finding]:
    lists = {side: facts.groups for side, facts in context.told().items() if isinstance(facts.groups, tuple)}
    if not lists:
        first = next(iter(context.told().values())).groups
        reason = first if isinstance(first, Unavailable) else Unavailable(why="no host knows")
        for name in _OF_ROLE:
            yield cannot_tell(name, vm.name, reason)
        return
    side, groups = next(iter(lists.items()))
    identity = context.identity(vm)
    found = next((one for one in groups if one.name.casefold() == identity.role.casefold()), None)
    if found is None or (identity.found.identity is Identity.NO_ROLE and not identity.clustered_elsewhere):
        yield _not_clustered(identity)
        for name in _OF_ROLE[1:]:
            yield cannot_tell(name, vm.name, Unavailable(why="see vm-clustered"))
        return
    yield ok("vm-clustered", vm.name, f"role {found.name}")
    yield from _failover(context.place(side), vm.name, found)
    yield from judge_resource(context, vm)


def _not_clustered(identity: IdentifiedVm) -> Finding:
    """Advise to add a role, but never to a VM that has one, or that may have one (F13)."""
    name, found = identity.vm.name, identity.found
    if found.identity is Identity.KNOWN:
        why = f"the cluster shows no group {identity.role}, in which its database has the VM"
        return cannot_tell("vm-clustered", name, Unavailable(why=why))
    ids = {row.id: (host, row) for host, row in identity.shown}
    if found.identity is Identity.UNREAD and not all(row.is_clustered is False for _, row in ids.values()):
        return cannot_tell("vm-clustered", name, identity.reason or Unavailable(why=found.lacks))
    if any(row.is_clustered for _, row in ids.values()):
        why = "Get-VM calls the VM clustered, and the cluster database does not hold it"
        return cannot_tell("vm-clustered", name, Unavailable(why=why))
    if not ids:
        if identity.reason is not None:
            return cannot_tell("vm-clustered", name, identity.reason)
        remedy = words("correct name, or role, in its [[vm]]; or create the VM, and check again")
    elif len(ids) == 1:
        ((host, _),) = ids.values()
        remedy = on_host(host, f"Add-ClusterVirtualMachineRole -VMName {literal(name)}")
    else:
        places = ", ".join(f"{key} on {host}" for key, (host, _) in ids.items())
        remedy = words(f"make the right one a role: Add-ClusterVirtualMachineRole -VMId, with one of {places}")
    return wrong("vm-clustered", name, found.lacks or "no role of that name", "a role of the cluster", remedy)


def _failover(host: str, vm: str, group: GroupSettings) -> Iterator[Finding]:
    if group.threshold is None or group.period is None:
        yield cannot_tell("vm-failover", vm, NOT_SHOWN)
    else:
        yield _limits(host, vm, group)
    yield _shown("vm-failback", vm, group.failback, lambda failback: _failback(host, vm, group.name, failback))


def _limits(host: str, vm: str, group: GroupSettings) -> Finding:
    lines = [
        f"(Get-ClusterGroup -Name {literal(group.name)}).{key} = 0"
        for key, value in (("FailoverThreshold", group.threshold), ("FailoverPeriod", group.period))
        if value != 0
    ]
    return is_so(
        "vm-failover",
        vm,
        f"{group.threshold} failures in {group.period} hours",
        so=not lines,
        expected="0 failures in 0 hours",
        remedy=on_host(host, "; ".join(lines), _other(group.name, vm)),
    )


def _failback(host: str, vm: str, group: str, failback: int) -> Finding:
    return is_so(
        "vm-failback",
        vm,
        "prevented" if failback == 0 else "allowed",
        so=failback == 0,
        expected="prevented",
        remedy=on_host(host, f"(Get-ClusterGroup -Name {literal(group)}).AutoFailbackType = 0", _other(group, vm)),
    )


def _other(name: str, configured: str) -> list[str]:
    """Return a name that the cluster says, unless it is the configured one."""
    return [] if name.casefold() == configured.casefold() else [name]


def _settings(context: CheckContext, vm: ProtectedVm, host: str, facts: HostFacts) -> Iterator[Finding]:
    settings = facts.vms[vm.name.casefold()]
    assert isinstance(settings, VmSettings)  # noqa: S101 - the caller has seen to it
    identity = context.identity(vm)
    meant = _Meant(host, vm.name, identity.found.id if identity.needs_id else "")
    yield _on_csv(context, vm, host, facts, settings)
    yield _action("vm-start-action", meant, "AutomaticStartAction", settings.start_action, "Nothing")
    yield _stop_action("vm-stop-action", meant, settings, Outcome.WRONG)
    yield _critical(context, meant, settings)
    services = facts.services_of.get(vm.name.casefold()) or Unavailable(why="the host does not show its services")
    for check in ("vm-heartbeat", "vm-shutdown"):
        yield judged(check, vm.name, services, lambda said, check=check: _service(check, meant, said))  # type: ignore[misc]


def _on_csv(context: CheckContext, vm: ProtectedVm, host: str, facts: HostFacts, settings: VmSettings) -> Finding:
    if settings.disks is None:
        return cannot_tell("vm-on-csv", vm.name, NOT_SHOWN)
    elsewhere = [path for path in settings.disks if not path.casefold().startswith(_CSV_ROOT)]
    move = words(f"on {host}: Move-VMStorage, all of it into a folder of {context.config.csv_of(vm.name)}")
    if elsewhere or not settings.disks:
        seen = ", ".join(elsewhere) or "no disk"
        return wrong("vm-on-csv", vm.name, seen, "C:\\ClusterStorage\\...", move)
    depends = facts.volumes_of.get(vm.name.casefold(), Unavailable(why="the host does not show its volumes"))
    volumes = facts.volumes
    if isinstance(depends, Unavailable) or isinstance(volumes, Unavailable):
        return cannot_tell("vm-on-csv", vm.name, depends if isinstance(depends, Unavailable) else _reason(volumes))
    names = {volume_key(one.id): one.name for one in volumes}
    seen_on = [names.get(one, one) for one in depends]
    wanted = context.config.csv_of(vm.name) or ""
    remedy = words(f"correct csv in the [[vm]] of {vm.name}, or move its disks: Move-VMStorage")
    is_there = wanted.casefold() in {one.casefold() for one in seen_on}
    return is_so("vm-on-csv", vm.name, ", ".join(seen_on) or "no volume", so=is_there, expected=wanted, remedy=remedy)


def _reason(fact: object) -> Unavailable:
    return fact if isinstance(fact, Unavailable) else Unavailable(why="not shown")


def _critical(context: CheckContext, meant: _Meant, settings: VmSettings) -> Finding:
    if not settings.critical_action or settings.critical_minutes is None:
        return cannot_tell("vm-critical-action", meant.name, NOT_SHOWN)
    minutes = max(30, round(context.config.timing.critical / 60))
    return is_so(
        "vm-critical-action",
        meant.name,
        f"{settings.critical_action}, off after {settings.critical_minutes} minutes",
        so=settings.critical_action == "Pause" and settings.critical_minutes * 60 >= context.config.timing.critical,
        expected=f"Pause, for longer than a failover takes ([timing] critical, {context.config.timing.critical:g} s)",
        remedy=meant.set_vm(
            f"-AutomaticCriticalErrorAction Pause -AutomaticCriticalErrorActionTimeout {minutes}",
        ),
    )


def _action(check: str, meant: _Meant, parameter: str, seen: str, wanted: str) -> Finding:
    if not seen:
        return cannot_tell(check, meant.name, NOT_SHOWN)
    return is_so(
        check, meant.name, seen, so=seen == wanted, expected=wanted, remedy=meant.set_vm(f"-{parameter} {wanted}")
    )


def _stop_action(check: str, meant: _Meant, settings: VmSettings, outcome: Outcome) -> Finding:
    if not settings.stop_action:
        return cannot_tell(check, meant.name, NOT_SHOWN)
    return is_so(
        check,
        meant.name,
        settings.stop_action,
        so=settings.stop_action == "ShutDown",
        expected="ShutDown; Hyper-V changes it only while the VM is off",
        remedy=meant.set_vm("-AutomaticStopAction ShutDown"),
        outcome=outcome,
    )


def _service(check: str, meant: _Meant, services: IntegrationServices) -> Finding:
    kind = check.rsplit("-", 1)[-1]
    enabled = services.heartbeat if kind == "heartbeat" else services.shutdown
    if enabled is None:
        return cannot_tell(check, meant.name, Unavailable(why="the VM shows no such integration service"))
    return is_so(
        check,
        meant.name,
        "enabled" if enabled else "disabled",
        so=enabled,
        expected="enabled",
        remedy=meant.enable_service(_SERVICES[kind]),
    )
