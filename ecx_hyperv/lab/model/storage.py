"""The lab's storage: which target each host is connected to, the Shared Volumes on it, and what guests make of it."""

from typing import TYPE_CHECKING

from ecx_hyperv.lab.model.world import Host, Plane, Volume

if TYPE_CHECKING:
    from ecx_hyperv.lab.model.world import World


class Storage:
    """iSCSI sessions and Shared Volumes."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def has_io(self, host: str, csv: str) -> bool:
        """Tell whether a guest on that host can read and write on a volume."""
        volume = self._world.volumes.get(csv)
        there = self._world.hosts[host]
        if volume is None or not there.on or volume.state != "Online" or not there.session:
            return False
        # Behind the owner's reservation: a node that the cluster has shut out does not get at its disk.
        owner = self._world.hosts[volume.owner]
        fenced = owner.session == there.session and owner.name != host and not self._world.cluster.is_member(host)
        return not fenced

    def changed(self) -> None:
        """See what a change of power, network or targets does to sessions, volumes and guests."""
        for host in self._world.hosts.values():
            if host.session and not self._can_serve(host, host.session):
                self._world.record("iSCSI lost", host.name)
                host.session = ""
            if host.on and not host.session and not host.reconnecting:
                self._reconnect_later(host)
        for volume in self._world.volumes.values():
            self._watch(volume)
        self._world.guests.storage_changed()

    def reconnect(self, host: str) -> None:
        """Connect a host to a target now, if one answers."""
        there = self._world.hosts[host]
        if there.session or not there.on:
            return
        # Whoever has the floating address answers; where both believe to, the nearer one does.
        near = self._world.ec_on(host).name
        for ec_vm in sorted(self._world.ec_vms, key=lambda name: name != near):
            if self._can_serve(there, ec_vm):
                there.session = ec_vm
                self._world.record("iSCSI connected", host, ec_vm)
                self.changed()
                return

    def serve(self, ec_vm: str, *, on: bool) -> None:
        """Start or stop an EC-VM's target."""
        self._world.ec_vms[ec_vm].serving = on
        self._world.record("target", ec_vm, state="on" if on else "off")
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
        if not self._world.hosts[host].session:
            return 5963
        volume.generation += 1
        generation = volume.generation
        volume.moving_to = host

        def moved() -> None:
            if volume.generation == generation:
                volume.owner, volume.moving_to = host, ""
                if volume.state == "Failed":
                    volume.state = "Online"
                self._world.record("volume moved", volume.name, host, volume.state)
                self.changed()

        self._world.at(self._world.timings.csv_move, moved)
        return 0

    def start(self, volume: Volume) -> int:
        """Bring a volume online; returns the Win32 code of why not, or 0."""
        if volume.state == "Online":
            return 0
        if volume.failures > 0:
            volume.failures -= 1
            return 5038
        owner = self._world.hosts[volume.owner]
        if not owner.on or not owner.session:
            return 5038
        self._becomes(volume, "OnlinePending", "Online")
        return 0

    def stop(self, volume: Volume) -> int:
        """Take a volume offline."""
        if volume.state == "Offline":
            return 0
        for vm in self._world.vms.values():
            for host, guest in vm.guests.items():
                if vm.csv == volume.name and guest.is_live and self._world.hosts[host].on:
                    self._world.violated(f"{volume.name} goes offline while {vm.name} is {guest.state} on {host}")
        self._becomes(volume, "OfflinePending", "Offline")
        return 0

    def _becomes(self, volume: Volume, pending: str, state: str) -> None:
        volume.generation += 1
        generation = volume.generation
        volume.state, volume.moving_to = pending, ""

        def become() -> None:
            if volume.generation == generation:
                volume.state = state
                self._world.record("volume", volume.name, volume.owner, state)
                self.changed()

        self._world.at(self._world.timings.resource, become)

    def _can_serve(self, host: Host, ec_vm: str) -> bool:
        there = self._world.ec_vms[ec_vm]
        alive = there.serving and there.booted and not there.hung and there.guest.state == "Running"
        return host.on and alive and self._world.reaches(host.name, ec_vm, Plane.STORAGE)

    def _reconnect_later(self, host: Host) -> None:
        host.reconnecting = True

        def retry() -> None:
            host.reconnecting = False
            self.reconnect(host.name)
            if host.on and not host.session and not host.reconnecting:
                self._reconnect_later(host)

        self._world.at(self._world.timings.iscsi_reconnect, retry)

    def _watch(self, volume: Volume) -> None:
        """A volume whose owner has no path to its disk fails after a while."""
        if self._world.hosts[volume.owner].session or volume.state != "Online":
            volume.pathless = None
            return
        if volume.pathless is not None:
            return
        since = volume.pathless = self._world.now

        def fail() -> None:
            if volume.pathless == since and volume.state == "Online":
                volume.state = "Failed"
                self._world.record("volume", volume.name, volume.owner, "Failed")
                self.changed()

        self._world.at(self._world.timings.csv_failed_after, fail)
