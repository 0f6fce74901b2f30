"""Which VM each name of a run means, learnt from its looks; what was learnt is kept for the runs to come."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.facts import Identity, Side
from ecx_hyperv.decide.states import NodeKind, node_kind
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.kept_ids import KeptId
from ecx_hyperv.errors import LocalError
from ecx_hyperv.host.identity import CONFIGURATION, MACHINE, Database, VmIdentity, identify
from ecx_hyperv.host.observe import HostSnapshot, is_same_host
from ecx_hyperv.host.rows import VmIdRow, VmRow, vm_key
from ecx_hyperv.host.snapshots import Snapshots, nodes_of
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.homes import ec_vm_ids

_UNREAD = VmIdentity(identity=Identity.UNREAD, lacks="nothing was seen yet")


class Identities:
    """The ids of a run's VMs; `known` holds what is known of each, by its casefolded name."""

    def __init__(self, context: RunContext, vms: Sequence[str]) -> None:
        self._context = context
        self._vms: list[ProtectedVm] = []
        self._kept: dict[str, KeptId] = {}
        self._told: set[str] = set()
        self._fixed: dict[str, str] = {}
        # The ids of the EC-VMs, as far as the hosts have shown them: no step is for these (D20).
        self._ec_vms: frozenset[str] = frozenset()
        self.known: dict[str, VmIdentity] = {}
        self.add(vms)

    def add(self, vms: Sequence[str]) -> None:
        """Learn the ids of other VMs too."""
        for name in vms:
            if name.casefold() in self.known:
                continue
            vm = self._context.config.find_vm(name) or ProtectedVm(name=name)
            self._vms.append(vm)
            kept = self._kept[name.casefold()] = self._load(vm.name)
            first = vm_key(vm.id or "") or kept.id
            self.known[name.casefold()] = VmIdentity(identity=Identity.KNOWN, id=first, lacks="") if first else _UNREAD

    def of(self, vm: str) -> VmIdentity:
        """Return what is known of a VM."""
        return self.known.get(vm.casefold(), _UNREAD)

    @property
    def ids(self) -> dict[str, str]:
        """Return the ids to ask for, by the name that each VM has in the configuration."""
        found = {vm.name: self.known[vm.name.casefold()].id for vm in self._vms}
        return {name: key for name, key in found.items() if key}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names under which VMs are to be looked for: all but those of which a database has told the id."""
        return tuple(vm.name for vm in self._vms if self._is_open(vm))

    def pin(self, name: str, key: str) -> None:
        """Have a configured name mean one of the VMs that it may mean, for this run."""
        self._fixed[name.casefold()] = key
        self.known[name.casefold()] = VmIdentity(identity=Identity.KNOWN, id=key)

    def fix(self, name: str, meant: str, key: str) -> None:
        """Have a further name mean one VM of those that a configured name may mean: a stop brings down each of them."""
        self._fixed[name.casefold()] = key
        self._vms.append(ProtectedVm(name=name))
        self.known[name.casefold()] = VmIdentity(identity=Identity.KNOWN, id=key, role=self.of(meant).role)

    def learn(self, snapshots: Snapshots) -> None:
        """Learn from a look."""
        databases = [one for side in Side if (one := self._database(snapshots.snapshot(side))) is not None]
        blind = not databases and bool(snapshots.all())
        self._ec_vms |= ec_vm_ids(snapshots.all())
        for vm in self._vms:
            key = vm.name.casefold()
            if key in self._fixed:
                self.known[key] = self._fixed_one(key, databases)
                # The next stop finds the VM unregistered, and Hyper-V calls none by the name (E25).
                if key in self._kept:
                    self._keep(vm, self.known[key], snapshots)
                continue
            shown = [row for snapshot in snapshots.all() for row in _named(snapshot, vm.name)]
            found = self._without_ec_vms(vm, identify(vm, self._kept[key].id, databases, shown, blind=blind))
            if found.identity is Identity.UNREAD and self.known[key].id:
                found = self.known[key]
            self.known[key] = found = replace(found, before=self._before(key, found, snapshots))
            self._keep(vm, found, snapshots)
            self._tell(vm, found)

    def _without_ec_vms(self, vm: ProtectedVm, found: VmIdentity) -> VmIdentity:
        """An EC-VM is never taken for a protected VM, whatever id, role or name leads to it."""
        if not self._ec_vms & {found.id, *found.all_of_role, *found.candidates}:
            return found
        text = f"what {vm.name} means is an EC-VM, which is never touched as a protected VM"
        return VmIdentity(identity=Identity.NO_ROLE, lacks=text, told=text)

    def resources_to_ask(self, snapshots: Snapshots) -> tuple[str, ...]:
        """Return the VM resources to ask for their ids one by one, where no database could be read at all."""
        answered = snapshots.all()
        if not answered or any(isinstance(one.ids, tuple) for one in answered):
            return ()
        rows = next((one.resources for one in answered if isinstance(one.resources, tuple)), ())
        return tuple(row.name for row in rows if row.type in (MACHINE, CONFIGURATION))

    def _is_open(self, vm: ProtectedVm) -> bool:
        found = self.known[vm.name.casefold()]
        return vm.name.casefold() not in self._fixed and (found.identity is not Identity.KNOWN or not found.machine)

    def _fixed_one(self, key: str, databases: Sequence[Database]) -> VmIdentity:
        vm = ProtectedVm(name=key, id=self._fixed[key])
        return identify(vm, self._fixed[key], databases, ())

    def _database(self, snapshot: HostSnapshot | None) -> Database | None:
        if snapshot is None:
            return None
        nodes = nodes_of(snapshot)
        here = next((node for node in nodes if is_same_host(node.name, snapshot.host)), None)
        is_up = here is not None and node_kind(here.state, here.flags) in (NodeKind.UP, NodeKind.PAUSED)
        if isinstance(snapshot.ids, tuple):
            return Database(snapshot.ids, is_current=is_up)
        if not snapshot.resource_ids:
            return None
        return Database(_by_resource(snapshot), is_current=is_up and _are_all_told(snapshot))

    def _before(self, key: str, found: VmIdentity, snapshots: Snapshots) -> VmIdentity | None:
        """Return what was kept of a VM whose role no database tells, if the cluster has resources of those names."""
        kept = self._kept[key]
        if found.identity is not Identity.KNOWN or found.role or not kept.role or found.id != kept.id:
            return None
        names = {MACHINE: kept.machine, CONFIGURATION: kept.configuration}
        there = {
            (row.type, row.name, row.group)
            for snapshot in snapshots.all()
            for row in (() if isinstance(snapshot.resources, RemoteError) else snapshot.resources)
        }
        if not all((kind, name, kept.role) in there for kind, name in names.items()):
            return None
        return replace(found, role=kept.role, machine=kept.machine, configuration=kept.configuration)

    def _load(self, name: str) -> KeptId:
        try:
            kept = self._context.kept_ids.load(name)
        except LocalError as error:
            self._context.log.warning("ids cannot be read", vm=name, because=str(error))
            kept = None
        return KeptId(name=name, id="") if kept is None else msgspec.structs.replace(kept, id=vm_key(kept.id))

    def _keep(self, vm: ProtectedVm, found: VmIdentity, snapshots: Snapshots) -> None:
        """Keep an id once Get-VM has shown it under the configured name, and what the cluster calls its parts."""
        key = vm.name.casefold()
        if found.identity is not Identity.KNOWN or not found.id or self._context.dry:
            return
        names = {"role": found.role, "machine": found.machine, "configuration": found.configuration}
        # Names that nobody tells now stay as they were kept.
        wanted = KeptId(name=vm.name, id=found.id, **names) if all(names.values()) else None
        if wanted == self._kept[key] or (wanted is None and found.id == self._kept[key].id):
            return
        rows = [snapshot.vm(found.id) for snapshot in snapshots.all()]
        if not any(isinstance(row, VmRow) and row.name.casefold() == key for row in rows):
            return
        self._kept[key] = wanted or KeptId(name=vm.name, id=found.id)
        try:
            self._context.kept_ids.save(self._kept[key])
        except LocalError as error:
            self._context.log.warning("an id cannot be kept", vm=vm.name, because=str(error))

    def _tell(self, vm: ProtectedVm, found: VmIdentity) -> None:
        if found.told and found.told not in self._told:
            self._told.add(found.told)
            self._context.log.error(found.told, vm=vm.name)
            self._context.alert(Level.ERR, found.told)


def _named(snapshot: HostSnapshot, name: str) -> tuple[VmRow, ...]:
    rows = snapshot.named.get(name.casefold())
    return rows if isinstance(rows, tuple) else ()


def _are_all_told(snapshot: HostSnapshot) -> bool:
    """Tell whether each VM resource has told its VM: one whose owner is away says nothing, and is not absent."""
    rows = () if isinstance(snapshot.resources, RemoteError) else snapshot.resources
    wanted = {row.name.casefold() for row in rows if row.type in (MACHINE, CONFIGURATION)}
    told = {name for name, answer in snapshot.resource_ids.items() if isinstance(answer, tuple) and answer}
    return bool(rows) and wanted <= told


def _by_resource(snapshot: HostSnapshot) -> tuple[VmIdRow, ...]:
    """Return what the cluster said of each resource, with the type that the list of resources gives it."""
    types: Mapping[str, str] = (
        {}
        if isinstance(snapshot.resources, RemoteError)
        else {row.name.casefold(): row.type for row in snapshot.resources}
    )
    rows = [row for answer in snapshot.resource_ids.values() if isinstance(answer, tuple) for row in answer]
    return tuple(
        VmIdRow(row.resource, types.get(row.resource.casefold(), row.type), row.group, row.id, row.volumes)
        for row in rows
    )
