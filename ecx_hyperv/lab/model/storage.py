"""The lab's storage: which target each host is connected to, the Shared Volumes on it, and what guests make of it."""

from collections.abc import Callable

from ecx_hyperv.lab.model.membership import Membership
from ecx_hyperv.lab.model.state import WorldState
from ecx_hyperv.lab.model.things import Host, Plane, Vm, Volume


class Storage:
    """iSCSI sessions and Shared Volumes; `on_change` is called after each change, for the guests on them."""

    def __init__(self, state: WorldState, membership: Membership, on_change: Callable[[], None]) -> None:
        self._state = state
        self._membership = membership
        self._on_change = on_change

    def has_io(self, host: str, csv: str) -> bool:
        """Tell whether a guest on that host can read and write on a volume."""
        volume = self._state.volumes.get(csv)
        there = self._state.hosts[host]
        if volume is None or not there.on or volume.state != "Online" or not there.session:
            return False
        # Behind the owner's reservation: a node that the cluster has shut out does not get at its disk.
        owner = self._state.hosts[volume.owner]
        fenced = owner.session == there.session and owner.name != host and not self._membership.is_member(host)
        return not fenced

    def carries(self, host: str, vm: Vm) -> bool:
        """Tell whether a VM on that host can read and write all its files; without a volume they are the host's own."""
        return all(self.has_io(host, volume) for volume in vm.volumes if volume)

    def changed(self) -> None:
        """See what a change of power, network or targets does to sessions, volumes and guests."""
        for host in self._state.hosts.values():
            if host.session and not self._can_serve(host, host.session):
                self._state.record("iSCSI lost", host.name)
                host.session = ""
            if host.on and not host.session and not host.reconnecting:
                self._reconnect_later(host)
        for volume in self._state.volumes.values():
            self._watch(volume)
        self._on_change()

    def reconnect(self, host: str) -> None:
        """Connect a host to a target now, if one answers."""
        there = self._state.hosts[host]
        if there.session or not there.on:
            return
        # Whoever has the floating address answers; where both believe to, the nearer one does.
        near = self._state.ec_on(host).name
        for ec_vm in sorted(self._state.ec_vms, key=lambda name: name != near):
            if self._can_serve(there, ec_vm):
                there.session = ec_vm
                self._state.record("iSCSI connected", host, ec_vm)
                self.changed()
                return

    def serve(self, ec_vm: str, *, on: bool) -> None:
        """Start or stop an EC-VM's target."""
        self._state.ec_vms[ec_vm].serving = on
        self._state.record("target", ec_vm, state="on" if on else "off")
        self.changed()

    def move(self, volume: Volume, host: str) -> int:
        """Make a host the owner of a volume; returns the Win32 code of why not, or 0."""
        if host in (volume.owner, volume.moving_to):
            return 0
        if volume.state.endswith("Pending"):
            return 5023
        if volume.failures > 0:
            volume.failures -= 1
            return 5050
        if not self._state.hosts[host].session:
            return 5963
        volume.generation += 1
        generation = volume.generation
        volume.moving_to = host

        def moved() -> None:
            if volume.generation == generation:
                volume.owner, volume.moving_to = host, ""
                if volume.state == "Failed":
                    volume.state = "Online"
                self._state.record("volume moved", volume.name, host, volume.state)
                self.changed()

        self._state.at(self._state.timings.csv_move, moved)
        return 0

    def start(self, volume: Volume) -> int:
        """Bring a volume online; returns the Win32 code of why not, or 0."""
        if volume.state == "Online":
            return 0
        if volume.failures > 0:
            volume.failures -= 1
            return 5038
        owner = self._state.hosts[volume.owner]
        if not owner.on or not owner.session:
            return 5038
        self._becomes(volume, "OnlinePending", "Online")
        return 0

    def stop(self, volume: Volume) -> int:
        """Take a volume offline."""
        if volume.state == "Offline":
            return 0
        for vm in self._state.all_vms:
            for host, guest in vm.guests.items():
                if volume.name in vm.volumes and guest.is_live and self._state.hosts[host].on:
                    self._state.violated(f"{volume.name} goes offline while {vm.name} is {guest.state} on {host}")
        self._becomes(volume, "OfflinePending", "Offline")
        return 0

    def _becomes(self, volume: Volume, pending: str, state: str) -> None:
        volume.generation += 1
        generation = volume.generation
        volume.state, volume.moving_to = pending, ""

        def become() -> None:
            if volume.generation == generation:
                volume.state = state
                self._state.record("volume", volume.name, volume.owner, state)
                self.changed()

        self._state.at(self._state.timings.resource, become)

    def _can_serve(self, host: Host, ec_vm: str) -> bool:
        there = self._state.ec_vms[ec_vm]
        return host.on and there.serving and there.is_alive and self._state.reaches(host.name, ec_vm, Plane.STORAGE)

    def _reconnect_later(self, host: Host) -> None:
        host.reconnecting = True

        def retry() -> None:
            host.reconnecting = False
            self.reconnect(host.name)
            if host.on and not host.session and not host.reconnecting:
                self._reconnect_later(host)

        self._state.at(self._state.timings.iscsi_reconnect, retry)

    def _watch(self, volume: Volume) -> None:
        """A volume whose owner has no path to its disk fails after a while."""
        if self._state.hosts[volume.owner].session or volume.state != "Online":
            volume.pathless = None
            return
        if volume.pathless is not None:
            return
        since = volume.pathless = self._state.now

        def fail() -> None:
            if volume.pathless == since and volume.state == "Online":
                volume.state = "Failed"
                self._state.record("volume", volume.name, volume.owner, "Failed")
                self.changed()

        self._state.at(self._state.timings.csv_failed_after, fail)
