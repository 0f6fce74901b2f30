"""The state of the lab's world: what there is, its clock, the history of all that happened. No I/O.

The parts (membership, storage, guests, cluster) read and change this state; World puts the parts together. Each part
knows the state and the parts before itself only; what concerns a later part it hands to a callback.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from ecx_hyperv.lab.model.facts import ClusterSetup
from ecx_hyperv.lab.model.things import EcVm, Event, Host, HostRefusal, Plane, Sshd, Vm, Volume
from ecx_hyperv.lab.model.timings import Timings


class WorldState:
    """Everything there is; `advance` lets time pass. Times are in seconds, from the world's beginning."""

    def __init__(self, timings: Timings, vms: Sequence[str] = ("vm1",), csv: str = "Cluster Disk 1") -> None:
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
        # The VMs that the cluster was given, by their names at that time; those that only Hyper-V knows.
        self.vms = {name: Vm(name, csv, one, "Offline", "Offline") for name in vms}
        self.unclustered: list[Vm] = []

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

    @property
    def all_vms(self) -> list[Vm]:
        """Return every VM but the EC-VMs, whether the cluster knows it or not."""
        return [*self.vms.values(), *self.unclustered]

    def in_group(self, role: str) -> list[Vm]:
        """Return the clustered VMs of a group; group names are compared without case."""
        wanted = role.casefold()
        return [vm for vm in self.vms.values() if vm.is_clustered and vm.role.casefold() == wanted]

    def up_ms(self, host: str) -> int:
        """Return a host's clock since its boot, in ms."""
        return round((self.now - self.hosts[host].booted_at) * 1000)

    def refused(self, host: str, cmdlet: str) -> HostRefusal | None:
        """Return the refusal that a cmdlet meets on a host now, and count it."""
        found = self.refuses(host, cmdlet)
        if found is not None and found.times is not None:
            found.times -= 1
        return found

    def refuses(self, host: str, cmdlet: str) -> HostRefusal | None:
        """Return the refusal that a cmdlet would meet on a host now."""
        there = self.hosts[host]
        there.refusals = [
            one for one in there.refusals if one.times != 0 and (one.until is None or self.now < one.until)
        ]
        return next((one for one in there.refusals if one.cmdlet == cmdlet), None)

    def reaches(self, one: str, other: str, plane: Plane) -> bool:
        """Tell whether two machines reach each other on a network."""
        return one == other or (frozenset({one, other}), plane) not in self.cuts

    def ssh_answers(self, ec_vm: str, host: str) -> Sshd:
        """Say how a host's SSH server looks from an EC-VM."""
        there = self.hosts[host]
        if not there.on or not self.reaches(ec_vm, host, Plane.MANAGEMENT):
            return Sshd.SILENT
        return there.sshd

    def ping_answers(self, ec_vm: str, other: str) -> bool:
        """Tell whether an EC-VM answers another's ping."""
        return self.ec_vms[other].is_alive and self.reaches(ec_vm, other, Plane.MANAGEMENT)

    def facts_of(self, where: str) -> Any:
        """Return the facts of the cluster, a host, a VM, an EC-VM as its host has it (EC-VM1), or its Linux (ec1).

        Raises KeyError for what is not there.
        """
        if where == "cluster":
            return self.facts
        hosts = {**self.hosts, **{f"host{n}": host for n, host in enumerate(self.hosts.values(), 1)}}
        if where in hosts:
            return hosts[where].facts
        if where in self.vms:
            return self.vms[where].facts
        as_guests = {ec_vm.vm: ec_vm.facts for ec_vm in self.ec_vms.values()}
        return as_guests[where] if where in as_guests else self.ec_vms[where].linux
