"""How a VM is put to a person: where it is, how it is, and what is worth a note; from what both hosts show of it."""

from dataclasses import dataclass

from ecx_hyperv.decide.facts import VmOnHost
from ecx_hyperv.decide.overview import HostStatus, OnHost, PairFacts, VmStatus
from ecx_hyperv.decide.states import (
    Doing,
    GroupKind,
    ResourceKind,
    VmKind,
    doing,
    group_kind,
    heartbeat_is_lost,
    is_queued,
    resource_kind,
    vm_kind,
)

_NO_STORAGE = ", no storage"
_SUFFIX = "Critical"


@dataclass(frozen=True, slots=True)
class ShownVm:
    """A VM in words; `kind` is that of the state shown, UNREADABLE where nobody told, `is_twice` where both hosts show
    a guest that is not being migrated."""

    where: str
    state: str
    kind: VmKind
    is_moving: bool = False
    is_twice: bool = False
    heartbeat_lost: bool = False


def show_vm(vm: VmStatus, facts: PairFacts) -> ShownVm:
    """Say where a VM is and how; a host that shows the guest live outweighs what the cluster says."""
    local, peer = facts.hosts
    rows = [(host, row) for host, row in ((local, vm.local), (peer, vm.peer)) if row is not None]
    live = [(host, row) for host, row in rows if VmOnHost(vm_kind(row.state)).is_live]
    is_moving = is_queued(vm.group_flags) or any(doing(row.operational) is Doing.MIGRATING for _, row in rows)
    if len(live) > 1 and not is_moving:
        names = " and ".join(host.label for host, _ in live)
        return ShownVm(names, "live on both hosts", vm_kind(live[0][1].state), is_twice=True)
    owned = [(host, row) for host, row in live or rows if _is_owner(host, vm)]
    found = next(iter(owned or live or rows), None)
    if found is None:
        return _not_shown(vm, facts)
    host, row = found
    kind = vm_kind(row.state)
    lost = kind is VmKind.RUNNING and heartbeat_is_lost(row.heartbeat)
    return ShownVm(host.label, _words(row, is_moving=is_moving, lost=lost), kind, is_moving, heartbeat_lost=lost)


def _is_owner(host: HostStatus, vm: VmStatus) -> bool:
    return host.name is not None and vm.owner is not None and host.name.casefold() == vm.owner.casefold()


def _not_shown(vm: VmStatus, facts: PairFacts) -> ShownVm:
    """Say what the cluster alone knows of a VM that no host shows."""
    owner = next((host for host in facts.hosts if _is_owner(host, vm)), None)
    where = vm.owner or "-"
    owner_told = vm.local_told if owner is facts.hosts[0] else vm.peer_told
    if vm.group is None:
        return ShownVm(where, "in no role" if vm.local_told and vm.peer_told else "unknown", VmKind.UNREADABLE)
    if group_kind(vm.group) is GroupKind.PENDING:
        return ShownVm(where, "on its way", VmKind.TRANSITIONAL, is_moving=True)
    is_unregistered = resource_kind(vm.configuration or "") is ResourceKind.OFFLINE
    if is_unregistered and (owner is None or owner_told):
        return ShownVm("-", "not registered", VmKind.ABSENT)
    # What WSFC said last of a VM on a host that is away is told, and never taken for how the guest is.
    return ShownVm(where, f"unknown (WSFC: {vm.group})", VmKind.UNREADABLE)


def _words(row: OnHost, *, is_moving: bool, lost: bool) -> str:
    kind = vm_kind(row.state)
    is_critical = VmOnHost(kind).is_critical and row.state.endswith(_SUFFIX)
    words = row.state.removesuffix(_SUFFIX) + _NO_STORAGE if is_critical else row.state
    held = doing(row.operational) is Doing.HELD
    extra = [", live migration" if is_moving else "", ", checkpoint or backup" if held else ""]
    return words + "".join(extra) + (", no heartbeat" if lost else "")
