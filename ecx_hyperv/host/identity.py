"""Which VM is meant by a configured name: one id, or why there is none. A VM is known by its id, names are for people.

Kept: nothing is ever done to a VM because it bears a name. A restored copy has the name of the VM that it was copied
from (F7), a dead entry may stand before the living one (D3), VMs and roles are renamed apart from each other (F14,
F13), a group may hold two VMs (D15). The cluster database of a host says which id is in which role, and it also answers
for a resource whose owner is gone.

Candidates: `[[vm]] id`; the VM of the group named `[[vm]] role`, else `name`; without `role`, each clustered VM that
Get-VM shows under `name` on a host that answers; the id that an earlier run kept. `id`, then a configured `role`,
decide alone. A kept id counts while there is no other candidate. An id that the cluster has nowhere gives way to the VM
of the role. Two candidates, or a group with two VMs, are an ambiguity, which fails a start of that VM and no other.

"In no role" and "nowhere in the cluster" come only from a database of a host whose node calls itself Up in the same
look: that of a host which was away may be from before. From another host it may only supply an id that nothing else
gives, neither a database of a node that is Up nor a kept id nor Get-VM.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.facts import Identity
from ecx_hyperv.decide.states import OfflineAction, offline_action
from ecx_hyperv.host.rows import VmIdRow, VmRow, vm_key

MACHINE = "Virtual Machine"
CONFIGURATION = "Virtual Machine Configuration"


@dataclass(frozen=True, slots=True)
class Database:
    """What the cluster database of one host says; `is_current` if that host's node calls itself Up in the same look."""

    rows: tuple[VmIdRow, ...]
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VmIdentity:
    """What is known of which VM is meant.

    `id` is empty while it is not known; `role`, `machine` and `configuration` are the names of the group and of the
    VM's two resources, `volumes` what the cluster says that the VM depends on, `offline_action` what it does to the
    guest when it stops the VM resource. `lacks` says, for a person, why there is no id; `told` what a person should
    know although there is one. `all_of_role` holds the ids that a stop means, `candidates` every id that may be meant.
    `before` is what an earlier run knew of the same id, where no database tells its role now and the cluster still
    has a group and resources of those names.
    """

    identity: Identity
    id: str = ""
    role: str = ""
    machine: str = ""
    configuration: str = ""
    volumes: tuple[str, ...] = ()
    lacks: str = ""
    told: str = ""
    all_of_role: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    offline_action: OfflineAction | None = None
    before: "VmIdentity | None" = None


def identify(
    vm: ProtectedVm, kept: str, databases: Sequence[Database], shown: Iterable[VmRow], *, blind: bool = False
) -> VmIdentity:
    """Say which VM is meant by a [[vm]], from what both hosts say in one look.

    `shown` are the VMs that Get-VM shows under the configured name on the hosts that answer. `blind` is whether no
    database can be read anywhere: only then Get-VM's own word for being clustered counts.
    """
    known = _ClusterRows(databases)
    configured = vm_key(vm.id or "")
    if configured:
        return _by_id(vm, configured, known)
    by_name = [] if vm.role else known.clustered(shown, blind=blind)
    of_role = known.of_role(vm) if known.is_current else []
    candidates = list(dict.fromkeys([*of_role, *by_name]))
    own = vm_key(kept)
    if candidates:
        return _of_candidates(vm, candidates, by_name, known, own)
    if known.is_current and (vm.role or own not in known.ids):
        return _in_no_role(vm, known, own)
    if own:
        return _known(own, known.rows)
    # What a host that was away says is better than nothing, and than nothing else.
    candidates = known.of_role(vm)
    if candidates:
        return _of_candidates(vm, candidates, by_name, known)
    return VmIdentity(identity=Identity.UNREAD, lacks="no cluster database of a node that is Up was read yet")


def for_a_stop(found: VmIdentity) -> tuple[str, ...]:
    """Return the ids that a stop brings down where which VM is meant is ambiguous: a stop never fails for that."""
    return (found.id,) if found.id else found.all_of_role


class _ClusterRows:
    """The rows of the databases that count: the current ones, those of the other hosts only where there is none."""

    def __init__(self, databases: Sequence[Database]) -> None:
        current = [database for database in databases if database.is_current]
        self.is_current = bool(current)
        self.rows = [row for database in current or databases for row in database.rows]
        self.ids = {vm_key(row.id) for row in self.rows} - {""}

    def of_role(self, vm: ProtectedVm) -> list[str]:
        """Return the ids of the VMs in the group that is named as the role, else as the VM."""
        role = (vm.role or vm.name).casefold()
        ids = [vm_key(row.id) for row in self.rows if row.type == MACHINE and row.group.casefold() == role]
        return list(dict.fromkeys(one for one in ids if one))

    def clustered(self, shown: Iterable[VmRow], *, blind: bool) -> list[str]:
        """Return the ids of those VMs that are clustered, by the database, or while blind by Get-VM's own word."""
        ids = [(vm_key(row.id), bool(row.is_clustered)) for row in shown]
        return list(dict.fromkeys(one for one, word in ids if one and (one in self.ids or (blind and word))))


def _by_id(vm: ProtectedVm, wanted: str, known: _ClusterRows) -> VmIdentity:
    """A configured id decides alone, unless the cluster has it nowhere: a VM that was created anew has another."""
    if wanted in known.ids or not known.is_current:
        return _known(wanted, known.rows)
    of_role = known.of_role(vm)
    if not of_role:
        return _in_no_role(vm, known, wanted)
    return _of_candidates(vm, of_role, [], known, wanted)


def _of_candidates(
    vm: ProtectedVm, candidates: Sequence[str], by_name: Sequence[str], known: _ClusterRows, own: str = ""
) -> VmIdentity:
    """Return the one candidate, and tell which id it replaces; more than one are an ambiguity."""
    if len(candidates) > 1:
        return _ambiguous(vm, candidates, by_name or [one for one in candidates if one == own], known.rows)
    found = _known(candidates[0], known.rows)
    if not own or own in known.ids or not known.is_current:
        return found
    whose = f"[[vm]] id {own} of {vm.name}" if vm.id else f"{own}, which {vm.name} was before,"
    return replace(found, told=f"{whose} is nowhere in the cluster; {found.id} in role {found.role} is used")


def _known(found: str, rows: Sequence[VmIdRow]) -> VmIdentity:
    ours = [row for row in rows if vm_key(row.id) == found]
    machine = next((row for row in ours if row.type == MACHINE), None)
    configuration = next((row for row in ours if row.type == CONFIGURATION), None)
    return VmIdentity(
        identity=Identity.KNOWN,
        id=found,
        role=next((row.group for row in ours if row.group), ""),
        machine="" if machine is None else machine.resource,
        configuration="" if configuration is None else configuration.resource,
        volumes=tuple(dict.fromkeys(volume for row in ours for volume in row.volumes)),
        offline_action=None if machine is None else offline_action(machine.offline_action),
    )


def _ambiguous(vm: ProtectedVm, candidates: Sequence[str], meant: Sequence[str], rows: Sequence[VmIdRow]) -> VmIdentity:
    named = ", ".join(f"{one} in role {_known(one, rows).role or 'none'}" for one in candidates)
    # What Hyper-V calls by that name is what a stop means, else what an earlier run knew by it: a VM that is
    # unregistered already has no name there. Else every VM of the role.
    return VmIdentity(
        identity=Identity.AMBIGUOUS,
        lacks=f"{len(candidates)} VMs may be meant by {vm.name}: {named}",
        all_of_role=tuple(meant) or tuple(candidates),
        candidates=tuple(candidates),
    )


def _in_no_role(vm: ProtectedVm, known: _ClusterRows, own: str) -> VmIdentity:
    roles = sorted({row.group for row in known.rows if row.type == MACHINE and row.group})
    return VmIdentity(
        identity=Identity.NO_ROLE,
        # A kept id that is in another role is not the VM of a role that was removed.
        id="" if own in known.ids else own,
        lacks=f"no VM in a role {vm.role or vm.name}; roles that hold VMs: {', '.join(roles) or 'none'}",
    )


def by_key(kept: Mapping[str, str], vm: str) -> str:
    """Return the id that an earlier run kept for a configured name; empty if there is none."""
    return kept.get(vm.casefold(), "")
