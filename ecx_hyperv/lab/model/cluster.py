"""The lab's WSFC: nodes that are lost and return, and migrations; its groups and resources are in `resources`."""

from collections.abc import Callable

from ecx_hyperv.lab.model.guests import Guests
from ecx_hyperv.lab.model.membership import Membership
from ecx_hyperv.lab.model.resources import Resources
from ecx_hyperv.lab.model.state import WorldState
from ecx_hyperv.lab.model.storage import Storage
from ecx_hyperv.lab.model.things import Guest, Host, Vm


class Cluster(Resources):
    """The cluster; methods that a cmdlet calls return the Win32 code of why not, or 0."""

    def __init__(self, state: WorldState, membership: Membership, storage: Storage, guests: Guests) -> None:
        super().__init__(state, membership, storage, guests)
        # Who is noticed to be lost, by whom it is seen.
        self._noticed_lost: set[str] = set()

    # Membership.

    def node(self, viewer: str, name: str) -> tuple[str, str]:
        """Return a node's state and flags, as another member sees it."""
        node = self._state.hosts[name]
        if node.quarantined:
            return "Down", "Quarantined"
        if viewer == name or (self._membership.talk(viewer, name) and self.is_member(name)):
            state = "Joining" if node.joining else "Paused" if node.paused else "Up"
            return state, "Normal"
        if node.left_cleanly:
            return "Down", "Normal"
        return ("Down", "Isolated") if name in self._noticed_lost else ("Up", "Normal")

    def lost(self, host: Host, *, cleanly: bool) -> None:
        """Have a node gone; noticed after a while, unless it took its leave."""
        host.left_cleanly = cleanly
        if cleanly:
            self._noticed_lost.discard(host.name)
            self._orphan(host)
            return
        self._state.at(self._state.timings.notice, self._notice(host))

    def returned(self, host: Host) -> None:
        """Have a node's cluster service start again, and join."""
        host.service, host.joining = True, True

        def joined() -> None:
            if host.on and not self._membership.has_quorum(host.name):
                host.service = host.joining = False
            elif host.on:
                host.joining = host.left_cleanly = False
                host.database = None
                self._noticed_lost.discard(host.name)
                self._state.record("node up", host.name)
                self._reclaim(host)
                self._storage.changed()

        self._state.at(self._state.timings.join, joined)

    def network_changed(self) -> None:
        """See who has lost whom, and who has lost quorum."""
        one, two = self._state.hosts.values()
        if self._membership.talk(one.name, two.name):
            for host in (one, two):
                if host.on and not host.service and not host.left_cleanly:
                    self.returned(host)
                self._noticed_lost.discard(host.name)
            return
        self._membership.arbitrate()
        for host in (one, two):
            if host.on and host.service and not self._membership.has_quorum(host.name):
                self._state.at(self._state.timings.notice, self._lose_quorum(host))
            if not self._membership.has_quorum(host.name):
                self._state.at(self._state.timings.notice, self._notice(host))

    def _lose_quorum(self, host: Host) -> Callable[[], None]:
        def lose() -> None:
            if not host.on or not host.service or self._membership.has_quorum(host.name):
                return
            host.service = False
            self._state.record("quorum lost", host.name)
            self._state.at(self._state.timings.quorum_stop, lambda: self._turn_off_all(host))

        return lose

    def _turn_off_all(self, host: Host) -> None:
        if host.service:
            return
        for vm in self._clustered():
            self._guests.lose(vm, host.name)

    def _notice(self, host: Host) -> Callable[[], None]:
        def notice() -> None:
            other = self._state.other(host.name)
            if self._membership.talk(host.name, other.name) and host.service:
                return
            if host.name not in self._noticed_lost:
                self._noticed_lost.add(host.name)
                self._state.record("node isolated", host.name)
                for volume in self._state.volumes.values():
                    if volume.owner == host.name:
                        volume.failures = self._state.timings.csv_failures

        return notice

    def _orphan(self, host: Host) -> None:
        """What a node owned that left in good order goes to the other one, as it is."""
        other = self._state.other(host.name)
        if not self.is_member(other.name):
            return
        for vm in self._clustered():
            if vm.owner == host.name:
                vm.owner, vm.machine, vm.configuration = other.name, "Offline", "Offline"
        for volume in self._state.volumes.values():
            if volume.owner == host.name:
                volume.owner = other.name

    def _reclaim(self, host: Host) -> None:
        """A node that returns finds the VMs that are still its own registered, and off; others' it drops."""
        for vm in self._clustered():
            if vm.owner != host.name:
                self._guests.lose(vm, host.name)
            if vm.owner == host.name and host.name not in vm.guests and vm.configuration == "Online":
                vm.guests[host.name] = Guest("Saved" if vm.saved else "Off")
                vm.machine = "Offline"

    # Migrations.

    def drain(self, host: Host) -> None:
        """Live-migrate what runs on a node that is about to leave; save what cannot go."""
        other = self._state.other(host.name)
        for vm in self._clustered():
            if vm.owner != host.name:
                continue
            if self.is_member(other.name) and not self.move(vm, other.name, live=True):
                continue
            guest = vm.guests.get(host.name)
            if guest is not None and guest.is_live:
                self._guests.save(vm, host.name, lambda: None)

    def move(self, vm: Vm, to: str, *, live: bool) -> int:
        """Migrate a VM's group."""
        if vm.moving_to:
            return 5944
        if vm.owner == to:
            return 0
        if not self.is_member(to) or self._state.hosts[to].paused:
            return 5070 if self._state.hosts[to].paused else 5050
        guest = vm.guests.get(vm.owner)
        running = guest is not None and guest.state in ("Running", "PausedCritical")
        if live and (vm.machine != "Online" or not running or not self._membership.talk(vm.owner, to)):
            return 5023
        if live and self._state.hosts[to].memory < vm.memory:
            return 5957
        vm.moving_to, vm.moving_live = to, live
        vm.move += 1
        self._state.record("move begins", vm.name, to, "live" if live else "quick")
        self._queue_or_begin(vm)
        return 0

    def cancel(self, vm: Vm) -> int:
        """Cancel a migration, or one that is queued."""
        if not vm.moving_to:
            if "Queued" in vm.flags:
                vm.flags.discard("Queued")
                return 0
            return 5023
        if not self._state.timings.cancel:
            self._end_move(vm, "cancelled")
            return 0
        # Whatever was to come next of the migration no longer does.
        vm.move += 1
        move = vm.move
        self._state.at(self._state.timings.cancel, lambda: self._end_move(vm, "cancelled") if vm.move == move else None)
        return 0

    def progress(self, vm: Vm) -> int:
        """Return how far the last live migration of a VM came, in percent; 0 where the property is never filled."""
        if not vm.facts.fills_progress:
            return 0
        under_way = vm.moving_to and vm.moving_live and "Queued" not in vm.flags
        if not under_way:
            # The property keeps its value until the next migration.
            return 100 if vm.moving_since else 0
        return min(99, int((self._state.now - vm.moving_since) / self._state.timings.live * 100))

    def _queue_or_begin(self, vm: Vm) -> None:
        under_way = [one for one in self._state.vms.values() if one.moving_to and "Queued" not in one.flags]
        if len(under_way) > self._state.timings.parallel:
            vm.flags.add("Queued")
            return
        vm.flags.discard("Queued")
        move = vm.move

        def step(action: Callable[[], None]) -> Callable[[], None]:
            return lambda: action() if vm.move == move and vm.moving_to else None

        if vm.moving_live:
            vm.guests[vm.owner].doing, vm.moving_since = "MigratingVirtualMachine", self._state.now
            self._state.at(self._state.timings.live, step(lambda: self._arrive_live(vm)))
            return
        guest = vm.guests.get(vm.owner)
        if guest is not None and guest.is_live and self.is_member(vm.owner):
            self._guests.save(vm, vm.owner, step(lambda: self._quick_later(vm, step)))
        else:
            self._quick_later(vm, step)

    def _quick_later(self, vm: Vm, step: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
        self._state.at(self._state.timings.quick, step(lambda: self._arrive_quick(vm)))

    def _arrive_live(self, vm: Vm) -> None:
        source, target = vm.owner, vm.moving_to
        guest = vm.guests.get(source)
        fine = guest is not None and guest.state == "Running" and self._storage.carries(target, vm)
        if guest is None or not fine or not self._membership.talk(source, target):
            self._end_move(vm, "failed")
            return
        del vm.guests[source]
        vm.guests[target] = guest
        vm.owner = target
        self._state.record("migrated", vm.name, target, "live")
        self._end_move(vm, "done")

    def _arrive_quick(self, vm: Vm) -> None:
        source, target = vm.owner, vm.moving_to
        wanted = vm.machine in ("Online", "OfflinePending")
        left = vm.guests.get(source)
        # A guest that nobody could reach stays where it is; whether it may start here, its disk decides.
        if left is None or not left.is_live:
            vm.guests.pop(source, None)
        vm.owner = target
        self._state.record("migrated", vm.name, target, "quick")
        self._end_move(vm, "done")
        if vm.configuration != "Online":
            return
        if not self._storage.carries(target, vm):
            vm.configuration, vm.machine = "Failed", "Offline"
            return
        vm.guests[target] = Guest("Saved" if vm.saved else "Off")
        vm.machine = "Failed" if vm.arrives_failed else "Offline"
        if vm.arrives_failed:
            return
        if wanted:
            self._started(vm, self._guests.start(vm, target))

    def _end_move(self, vm: Vm, how: str) -> None:
        self._state.record("move ends", vm.name, vm.owner, how)
        vm.moving_to = ""
        vm.move += 1
        vm.flags.discard("Queued")
        for guest in vm.guests.values():
            guest.doing = ""
        if vm.owner in vm.guests:
            self.guest_changed(vm, vm.owner)
        for other in self._state.vms.values():
            if "Queued" in other.flags:
                other.flags.discard("Queued")
                self._queue_or_begin(other)
