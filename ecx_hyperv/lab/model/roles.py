"""The lab's cluster database: which VM is in which role, as each node has it, and what people do to roles.

Every node that runs the cluster service has the database, and reads it without asking anybody. One that is out of
the cluster keeps what it had; so does one that is joining again, until it has joined.
"""

from ecx_hyperv.lab.model.membership import Membership
from ecx_hyperv.lab.model.state import WorldState
from ecx_hyperv.lab.model.things import ClusterEntry, Guest, Vm

MACHINE = "Virtual Machine"
CONFIGURATION = "Virtual Machine Configuration"


class Roles:
    """What the database holds, and each change of it."""

    def __init__(self, state: WorldState, membership: Membership) -> None:
        self._state = state
        self._membership = membership

    def database(self, host: str) -> tuple[ClusterEntry, ...] | None:
        """Return the cluster's database as a host reads it from itself; None where it has none."""
        there = self._state.hosts[host]
        if not there.on or not there.service or there.no_database:
            return None
        return self.entries() if there.database is None else there.database

    def entries(self) -> tuple[ClusterEntry, ...]:
        """Return what the database holds now."""
        return tuple(
            ClusterEntry(
                name,
                kind,
                vm.role,
                vm.id,
                self.volumes_of(vm),
                vm.offline_action.value if kind == MACHINE else None,
            )
            for vm in self._state.vms.values()
            if vm.is_clustered
            for kind, name in ((MACHINE, vm.machine_name), (CONFIGURATION, vm.configuration_name))
        )

    def volumes_of(self, vm: Vm) -> tuple[str, ...]:
        """Return the ids of the volumes that the cluster believes a VM to be on."""
        believed = (vm.facts.volume,) if vm.facts.volume else vm.believed_volumes
        names = vm.volumes if believed is None else believed
        return tuple(self._state.volumes[name].id.strip("{}") for name in names)

    def rename(self, vm: Vm, role: str) -> None:
        """Rename a VM's group; its resources keep their names."""
        self._about_to_change()
        vm.role = role
        self._state.record("role renamed", vm.name, state=role)

    def remove(self, vm: Vm) -> None:
        """Remove a VM's group from the cluster; the VM stays with Hyper-V as it is, and runs on."""
        self._about_to_change()
        vm.facts.clustered = False
        vm.moving_to = ""
        self._state.record("role removed", vm.name)

    def add(self, vm: Vm, role: str, owner: str) -> None:
        """Make a VM that Hyper-V knows on a host a role of the cluster."""
        self._about_to_change()
        vm.facts.clustered = True
        vm.role, vm.owner = role, owner
        vm.machine_name, vm.configuration_name = f"{MACHINE} {role}", f"{CONFIGURATION} {role}"
        guest = vm.guests.get(owner)
        vm.configuration = "Online" if guest is not None else "Offline"
        vm.machine = "Online" if guest is not None and guest.is_live else "Offline"
        if vm in self._state.unclustered:
            self._state.unclustered.remove(vm)
            self._state.vms[next(key for key in (role, vm.id) if key not in self._state.vms)] = vm
        self._state.record("role added", vm.name, owner, role)

    def namesake(self, name: str, host: str, state: str, *, number: int = 2, volume: str = "") -> Vm:
        """Add a VM that only Hyper-V on one host knows: a restored copy, a template, what an import left behind.

        Its disk is its own; unless a volume is named, it lies on the host's own drive.
        """
        vm = Vm(name, volume, host, "Offline", "Offline", id=f"{number:08x}-1111-4111-8111-000000000000")
        vm.facts.clustered = False
        vm.guests[host] = Guest(state, self._state.now if state == "Running" else None)
        if state == "Running":
            vm.guests[host].started = self._state.now
        self._state.unclustered.append(vm)
        self._state.record("a VM beside the cluster", name, host, state)
        return vm

    def _about_to_change(self) -> None:
        """Have every node that is not in the cluster keep what it knows now."""
        for name, host in self._state.hosts.items():
            if host.database is None and (host.joining or not self._membership.is_member(name)):
                host.database = self.entries()
