"""The lab's model of the world: no I/O, its own clock, a history of all that happened.

Two hosts under WSFC, an EC-VM on each, networks that can be cut between any two, the iSCSI targets that the EC-VMs
serve, one Shared Volume or more, the protected VMs. The parts (network, storage, guests, cluster) each keep their own
rules and are called by the others when something changed that concerns them.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ecx_hyperv.decide.states import VmKind, vm_kind
from ecx_hyperv.lab.model.facts import ClusterSetup, HostSetup, LinuxSetup, VmSetup, of_ec_vm
from ecx_hyperv.lab.model.timings import Timings


class Plane(Enum):
    """A network: for logins and heartbeats, for the mirror (and heartbeats), for iSCSI."""

    MANAGEMENT = "management"
    MIRROR = "mirror"
    STORAGE = "storage"


class Sshd(Enum):
    """How a host's SSH server behaves, as long as the host is on."""

    UP = "up"
    STOPPED = "stopped"
    SILENT = "silent"
    REFUSING = "refusing"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: what, to whom, and what came of it."""

    at: float
    what: str
    who: str
    where: str = ""
    state: str = ""


@dataclass(slots=True)
class Guest:
    """A VM as a host's Hyper-V knows it; `started` is when it last booted, by the world's clock."""

    state: str = "Off"
    started: float | None = None
    # What is under way bears a number; a later one makes the earlier one moot.
    job: int = 0
    doing: str = ""
    heartbeat: str = "OkApplicationsHealthy"
    # Since when it has had no storage, and what it is to be once that is back.
    starved: float | None = None
    healed: str = ""

    @property
    def is_live(self) -> bool:
        """Tell whether the guest executes, or could go on to."""
        return vm_kind(self.state) not in (VmKind.DOWN, VmKind.STRANDED)


@dataclass(slots=True)
class Host:
    """A Hyper-V host; `name` is its node's."""

    name: str
    on: bool = True
    sshd: Sshd = Sshd.UP
    # The cluster service runs; it has left the cluster in good order; an operator paused or the cluster shut it out.
    service: bool = True
    left_cleanly: bool = False
    paused: bool = False
    quarantined: bool = False
    joining: bool = False
    # Hyper-V's management service runs; without it guests run on, but nobody can ask about them.
    vmms: bool = True
    memory: int = 64
    # To which EC-VM's target it is connected, and whether it is trying to be.
    session: str = ""
    reconnecting: bool = False
    facts: HostSetup = field(default_factory=HostSetup)


@dataclass(slots=True)
class EcVm:
    """An EC-VM: a guest of its host that is not clustered; `name` is the ECX node's."""

    name: str
    vm: str
    host: str
    guest: Guest = field(default_factory=lambda: Guest("Running", 0.0))
    booted: bool = True
    hung: bool = False
    serving: bool = False
    generation: int = 0
    facts: VmSetup = field(default_factory=of_ec_vm)
    linux: LinuxSetup = field(default_factory=LinuxSetup)


@dataclass(slots=True)
class Volume:
    """A Shared Volume."""

    name: str
    id: str
    owner: str
    state: str = "Online"
    failures: int = 0
    generation: int = 0
    # To which host it is being moved.
    moving_to: str = ""
    # Since when its owner has had no path to the disk.
    pathless: float | None = None


@dataclass(slots=True)
class Vm:
    """A protected VM: its group and its two resources; `guests` by host, where Hyper-V knows it."""

    name: str
    csv: str
    owner: str
    configuration: str = "Online"
    machine: str = "Online"
    flags: set[str] = field(default_factory=set)
    machine_flags: set[str] = field(default_factory=set)
    code: int = 0
    memory: int = 4
    guests: dict[str, Guest] = field(default_factory=dict)
    # Where a migration goes, and how; the number tells it from one that was cancelled.
    moving_to: str = ""
    moving_live: bool = False
    move: int = 0
    saved: bool = False
    # A guest that ignores a request to shut down, one that dies right after it was started.
    deaf: bool = False
    doomed: bool = False
    facts: VmSetup = field(default_factory=VmSetup)

    @property
    def group(self) -> str:
        """Return the state of the VM's group."""
        states = (self.machine, self.configuration)
        if self.moving_to or any(state.endswith("Pending") for state in states):
            return "Pending"
        if "Failed" in states:
            return "Failed"
        return "Online" if self.machine == "Online" else "Offline"


class World:
    """Everything there is; `advance` lets time pass."""

    def __init__(self, timings: Timings, vms: Sequence[str] = ("vm1",), csv: str = "Cluster Disk 1") -> None:
        from ecx_hyperv.lab.model.cluster import Cluster
        from ecx_hyperv.lab.model.guests import Guests
        from ecx_hyperv.lab.model.storage import Storage

        self.timings = timings
        self.facts = ClusterSetup()
        self.now = 0.0
        self.history: list[Event] = []
        self.violations: list[str] = []
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._queued = 0
        self.cuts: set[tuple[frozenset[str], Plane]] = set()
        self.hosts = {name: Host(name) for name in ("ws2019-host-1", "ws2019-host-2")}
        one, two = self.hosts
        self.ec_vms = {"ec1": EcVm("ec1", "EC-VM1", one), "ec2": EcVm("ec2", "EC-VM2", two)}
        self.volumes = {csv: Volume(csv, f"{{{len(csv):08x}-0000-4000-8000-000000000001}}", one)}
        self.vms = {name: Vm(name, csv, one, "Offline", "Offline") for name in vms}
        self.storage = Storage(self)
        self.guests = Guests(self)
        self.cluster = Cluster(self)
        self.on_boot: list[Callable[[EcVm], None]] = []
        self.on_down: list[Callable[[EcVm], None]] = []
        self.on_shutdown: list[Callable[[EcVm], None]] = []

    def at(self, delay: float, action: Callable[[], object]) -> None:
        """Have something happen after a while."""
        self._queued += 1
        heapq.heappush(self._queue, (self.now + delay, self._queued, action))

    def advance(self, seconds: float) -> None:
        """Let time pass, and all that is due in it happen."""
        self.advance_to(self.now + seconds)

    def advance_to(self, moment: float) -> None:
        """Let time pass up to a moment; nothing, if that has been."""
        while self._queue and self._queue[0][0] <= moment:
            due, _, action = heapq.heappop(self._queue)
            self.now = max(self.now, due)
            action()
        self.now = max(self.now, moment)

    @property
    def next_due(self) -> float | None:
        """Return when something is next due to happen."""
        return self._queue[0][0] if self._queue else None

    def record(self, what: str, who: str, where: str = "", state: str = "") -> None:
        """Enter something in the history."""
        self.history.append(Event(self.now, what, who, where, state))

    def violated(self, rule: str) -> None:
        """Enter a breach of what must hold."""
        self.violations.append(f"{self.now:.3f}: {rule}")
        self.record("violation", rule)

    def other(self, host: str) -> Host:
        """Return the other host."""
        return next(one for one in self.hosts.values() if one.name != host)

    def ec_on(self, host: str) -> EcVm:
        """Return the EC-VM of a host."""
        return next(one for one in self.ec_vms.values() if one.host == host)

    # The networks.

    def reaches(self, one: str, other: str, plane: Plane) -> bool:
        """Tell whether two machines reach each other on a network."""
        return one == other or (frozenset({one, other}), plane) not in self.cuts

    def cut(self, one: str, other: str, *planes: Plane) -> None:
        """Cut the networks between two machines; all of them, if none is named."""
        self.cuts |= {(frozenset({one, other}), plane) for plane in planes or Plane}
        self.record("cut", one, other)
        self._network_changed()

    def mend(self, one: str, other: str) -> None:
        """Mend the networks between two machines."""
        self.cuts -= {(frozenset({one, other}), plane) for plane in Plane}
        self.record("mended", one, other)
        self._network_changed()

    def isolate(self, machine: str) -> None:
        """Cut all networks of a host, which keeps its own EC-VM, or of an EC-VM, which loses its host too."""
        kept = {machine, self.ec_on(machine).name} if machine in self.hosts else {machine}
        others = {*self.hosts, *self.ec_vms, "witness"} - kept
        self.cuts |= {(frozenset({inner, outer}), plane) for inner in kept for outer in others for plane in Plane}
        self.record("isolated", machine)
        self._network_changed()

    def mend_all(self) -> None:
        """Mend every network."""
        self.cuts.clear()
        self.record("mended", "all")
        self._network_changed()

    def _network_changed(self) -> None:
        self.cluster.network_changed()
        self.storage.changed()

    # Power.

    def ssh_answers(self, ec_vm: str, host: str) -> Sshd:
        """Say how a host's SSH server looks from an EC-VM."""
        there = self.hosts[host]
        if not there.on or not self.reaches(ec_vm, host, Plane.MANAGEMENT):
            return Sshd.SILENT
        return there.sshd

    def ping_answers(self, ec_vm: str, other: str) -> bool:
        """Tell whether an EC-VM answers another's ping."""
        there = self.ec_vms[other]
        alive = there.booted and not there.hung and there.guest.state == "Running"
        return alive and self.reaches(ec_vm, other, Plane.MANAGEMENT)

    def power_off_host(self, name: str) -> None:
        """Cut a host's power: all that ran on it is gone."""
        host = self.hosts[name]
        if not host.on:
            return
        host.on, host.session = False, ""
        self.record("power off", name)
        for vm in self.vms.values():
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
            if any(guest.is_live for vm in self.vms.values() for where, guest in vm.guests.items() if where == name):
                self.at(self.timings.host_shutdown, finish)
                return
            for vm in self.vms.values():
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
            host.on, host.sshd = True, Sshd.UP
            self.cluster.returned(host)
            self.start_ec_vm(self.ec_on(name))
            self.storage.changed()

        self.at(self.timings.host_boot, booted)

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
