"""The lab's model of the world: no I/O, its own clock, a history of all that happened.

Two hosts under WSFC, an EC-VM on each, networks that can be cut between any two, the iSCSI targets that the EC-VMs
serve, one Shared Volume or more, the protected VMs. The parts (storage, guests, cluster) each keep their own rules.
"""

from collections.abc import Callable, Sequence

from ecx_hyperv.lab.model.cluster import Cluster
from ecx_hyperv.lab.model.guests import Guests
from ecx_hyperv.lab.model.membership import Membership
from ecx_hyperv.lab.model.roles import Roles
from ecx_hyperv.lab.model.state import WorldState
from ecx_hyperv.lab.model.storage import Storage
from ecx_hyperv.lab.model.things import EcVm, Guest, Plane, Sshd, Vm
from ecx_hyperv.lab.model.timings import Timings


class World(WorldState):
    """The state, the parts that change it, and what can befall it: networks that are cut, power that is lost."""

    def __init__(self, timings: Timings, vms: Sequence[str] = ("vm1",), csv: str = "Cluster Disk 1") -> None:
        super().__init__(timings, vms, csv)
        membership = Membership(self)
        self.storage = Storage(self, membership, on_change=self._storage_changed)
        self.guests = Guests(self, self.storage, on_change=self._guest_changed)
        self.cluster = Cluster(self, membership, self.storage, self.guests)
        self.roles = Roles(self, membership)
        self.on_boot: list[Callable[[EcVm], None]] = []
        self.on_down: list[Callable[[EcVm], None]] = []
        self.on_shutdown: list[Callable[[EcVm], None]] = []

    def _storage_changed(self) -> None:
        self.guests.storage_changed()

    def _guest_changed(self, vm: Vm, host: str) -> None:
        self.cluster.guest_changed(vm, host)

    # The networks.

    def cut(self, one: str, other: str, *planes: Plane) -> None:
        """Cut the networks between two machines; all of them, if none is named."""
        self.cuts |= {(frozenset({one, other}), plane) for plane in planes or Plane}
        self.record("cut", one, other)
        self._network_changed()

    def restore(self, one: str, other: str) -> None:
        """Restore the networks between two machines."""
        self.cuts -= {(frozenset({one, other}), plane) for plane in Plane}
        self.record("restored", one, other)
        self._network_changed()

    def isolate(self, machine: str) -> None:
        """Cut all networks of a host, which keeps its own EC-VM, or of an EC-VM, which loses its host too."""
        kept = {machine, self.ec_on(machine).name} if machine in self.hosts else {machine}
        others = {*self.hosts, *self.ec_vms, "witness"} - kept
        self.cuts |= {(frozenset({inner, outer}), plane) for inner in kept for outer in others for plane in Plane}
        self.record("isolated", machine)
        self._network_changed()

    def restore_all(self) -> None:
        """Restore every network."""
        self.cuts.clear()
        self.record("restored", "all")
        self._network_changed()

    def _network_changed(self) -> None:
        self.cluster.network_changed()
        self.storage.changed()

    # Power.

    def power_off_host(self, name: str) -> None:
        """Cut a host's power: all that ran on it is gone."""
        host = self.hosts[name]
        if not host.on:
            return
        host.on, host.session = False, ""
        self.record("power off", name)
        for vm in self.all_vms:
            self.guests.lose(vm, name)
        self.stop_ec_vm(self.ec_on(name), "Off")
        self.cluster.lost(host, cleanly=False)
        self.storage.changed()

    def shut_down_host(self, name: str) -> None:
        """Shut a host down in good order: it drains its VMs and shuts its EC-VM down."""
        host = self.hosts[name]
        if not host.on:
            return
        self.record("shut down", name)
        self.cluster.drain(host)
        self.shut_down_ec_vm(self.ec_on(name))

        def finish() -> None:
            clustered = [vm for vm in self.vms.values() if vm.is_clustered]
            if any(guest.is_live for vm in clustered for where, guest in vm.guests.items() if where == name):
                self.at(self.timings.host_shutdown, finish)
                return
            for vm in self.all_vms:
                self.guests.lose(vm, name)
            self.stop_ec_vm(self.ec_on(name), "Off")
            host.on, host.session = False, ""
            self.cluster.lost(host, cleanly=True)
            self.storage.changed()

        self.at(self.timings.host_shutdown, finish)

    def power_on_host(self, name: str) -> None:
        """Power a host on; it boots, joins the cluster, and starts its EC-VM."""
        host = self.hosts[name]
        if host.on:
            return
        self.record("power on", name)

        def booted() -> None:
            host.on, host.sshd, host.booted_at = True, Sshd.UP, self.now
            self.cluster.returned(host)
            self.start_ec_vm(self.ec_on(name))
            self.storage.changed()

        self.at(self.timings.host_boot, booted)

    def restart_hyper_v(self, name: str) -> None:
        """Restart Hyper-V's management service on a host: guests run on, but it knows none of them for a while.

        First it answers nobody, then it knows the EC-VM only, then all its VMs again.
        """
        host, timings = self.hosts[name], self.timings
        host.vmms = False
        host.ec_vm_blind_until = self.now + timings.vmms_away + timings.vmms_load / 2
        host.blind_until = self.now + timings.vmms_away + timings.vmms_load
        self.record("Hyper-V restarts", name)
        self.at(timings.vmms_away, lambda: setattr(host, "vmms", True))

    def freeze_ec_vm(self, ec_vm: EcVm, seconds: float) -> None:
        """Have an EC-VM stand still, as one that is saved and restored: its programs and its clocks lack that time."""
        if ec_vm.frozen or not ec_vm.is_alive:
            return
        self.record("EC-VM stands still", ec_vm.name)
        ec_vm.frozen_before = ec_vm.stood_still(self.now)
        ec_vm.frozen, ec_vm.frozen_since, ec_vm.frozen_until = True, self.now, self.now + seconds
        self.storage.changed()

        def goes_on() -> None:
            ec_vm.frozen = False
            self.record("EC-VM goes on", ec_vm.name)
            self.storage.changed()

        self.at(seconds, goes_on)

    def start_ec_vm(self, ec_vm: EcVm) -> None:
        """Power an EC-VM on; it boots."""
        if ec_vm.guest.is_live or not self.hosts[ec_vm.host].on:
            return
        ec_vm.generation += 1
        generation = ec_vm.generation
        ec_vm.guest = Guest("Running", self.now, heartbeat="NoContact")
        ec_vm.booted = ec_vm.hung = False
        self.record("EC-VM on", ec_vm.name)

        def booted() -> None:
            if ec_vm.generation == generation and ec_vm.guest.state == "Running":
                ec_vm.booted = True
                ec_vm.guest.heartbeat = "OkApplicationsHealthy"
                self.record("EC-VM booted", ec_vm.name)
                for call in self.on_boot:
                    call(ec_vm)

        self.at(self.timings.ec_boot, booted)

    def stop_ec_vm(self, ec_vm: EcVm, state: str) -> None:
        """Have an EC-VM gone at once: powered off, or saved or paused by an operator."""
        if ec_vm.guest.state == state:
            return
        was_up = ec_vm.guest.is_live
        ec_vm.generation += 1
        ec_vm.guest = Guest(state)
        ec_vm.booted = ec_vm.hung = ec_vm.serving = False
        self.record("EC-VM off", ec_vm.name, state=state)
        for call in self.on_down if was_up else ():
            call(ec_vm)
        self.storage.changed()

    def shut_down_ec_vm(self, ec_vm: EcVm) -> None:
        """Shut an EC-VM's OS down; ECX on it sees to its group first, if anyone listens."""
        if ec_vm.guest.state != "Running":
            return
        self.record("EC-VM shuts down", ec_vm.name)
        for call in self.on_shutdown:
            call(ec_vm)
        if not self.on_shutdown:
            self.stop_ec_vm(ec_vm, "Off")

    def hang_ec_vm(self, ec_vm: EcVm) -> None:
        """Have an EC-VM's kernel hang: it answers nobody, its host included."""
        ec_vm.hung, ec_vm.serving = True, False
        ec_vm.guest.heartbeat = "LostCommunication"
        self.record("EC-VM hangs", ec_vm.name)
        for call in self.on_down:
            call(ec_vm)
        self.storage.changed()
