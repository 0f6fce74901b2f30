"""The lab's Hyper-V: what becomes of guests that are started, stopped, saved, turned off, or lose their storage."""

from collections.abc import Callable

from ecx_hyperv.lab.model.state import WorldState
from ecx_hyperv.lab.model.storage import Storage
from ecx_hyperv.lab.model.things import Guest, Vm

_CRITICAL = {
    "Running": "PausedCritical",
    "Starting": "PausedCritical",
    "Resuming": "PausedCritical",
    "Paused": "PausedCritical",
    "Off": "OffCritical",
    "Saved": "SavedCritical",
}
_HEALED = {"Starting": "Running", "Resuming": "Running"}


class Guests:
    """The protected VMs' guests; each method returns the Win32 code of why it cannot be, or 0.

    `on_change` is called with the VM and the host after a guest's state has changed, for the cluster's resource.
    """

    def __init__(self, state: WorldState, storage: Storage, on_change: Callable[[Vm, str], None]) -> None:
        self._state = state
        self._storage = storage
        self._on_change = on_change

    def become(self, vm: Vm, host: str, state: str) -> None:
        """Have a guest be in a state now; the cluster's resource follows."""
        guest = vm.guests[host]
        if guest.state == state:
            return
        guest.state = state
        if state in ("Off", "Saved"):
            guest.started = None
        self._state.record("guest", vm.name, host, state)
        self._check(vm)
        self._on_change(vm, host)

    def start(self, vm: Vm, host: str) -> int:
        """Power a guest on, or restore it."""
        guest = vm.guests.get(host)
        if guest is None:
            return 5007
        if guest.is_live:
            return 0
        if vm.moving_to:
            return 5023
        if guest.state.endswith("Critical") or not self._storage.has_io(host, vm.csv):
            return 21
        if self._is_locked(vm, host):
            return 32
        if self._state.hosts[host].memory < vm.memory:
            return 14
        guest.started = self._state.now
        self.become(vm, host, "Starting")

        def running() -> None:
            self.become(vm, host, "Running")
            if vm.doomed:
                self._later(vm, host, self._state.timings.guest_boot, lambda: self.become(vm, host, "Off"))

        self._later(vm, host, self._state.timings.guest_boot, running)
        return 0

    def resume(self, vm: Vm, host: str) -> int:
        """Resume a paused guest."""
        guest = vm.guests.get(host)
        if guest is None or guest.state != "Paused":
            return 5023
        self._later(vm, host, self._state.timings.pause, lambda: self.become(vm, host, "Running"))
        self.become(vm, host, "Resuming")
        return 0

    def pause(self, vm: Vm, host: str) -> int:
        """Pause a running guest, as an operator does."""
        guest = vm.guests.get(host)
        if guest is None or guest.state != "Running":
            return 5023
        self._bump(guest)
        self.become(vm, host, "Paused")
        return 0

    def shut_down(self, vm: Vm, host: str) -> int:
        """Ask a guest to shut down."""
        guest = vm.guests.get(host)
        if guest is None:
            return 5007
        if guest.state != "Running":
            return 0 if not guest.is_live else 5023
        if not vm.deaf:
            self._later(vm, host, self._state.timings.guest_shutdown, lambda: self.become(vm, host, "Off"))
        return 0

    def turn_off(self, vm: Vm, host: str) -> int:
        """Cut a guest's power."""
        guest = vm.guests.get(host)
        if guest is None:
            return 5007
        if not guest.is_live:
            return 0
        self._bump(guest)
        off = "Off" if self._storage.has_io(host, vm.csv) else "OffCritical"
        self._later(vm, host, self._state.timings.turn_off, lambda: self.become(vm, host, off))
        return 0

    def save(self, vm: Vm, host: str, then: Callable[[], None]) -> None:
        """Save a guest, and go on."""

        def saved() -> None:
            self.become(vm, host, "Saved")
            vm.saved = True
            then()

        self._later(vm, host, self._state.timings.save, saved)
        self.become(vm, host, "Saving")

    def lose(self, vm: Vm, host: str) -> None:
        """Have a guest gone with its host."""
        guest = vm.guests.pop(host, None)
        if guest is not None:
            self._bump(guest)
            if guest.is_live:
                self._state.record("guest", vm.name, host, "gone")

    def storage_changed(self) -> None:
        """Have guests notice, after a while, that their storage went or came back."""
        timings = self._state.timings
        for vm in self._state.vms.values():
            for host, guest in vm.guests.items():
                if self._storage.has_io(host, vm.csv):
                    guest.starved = None
                    if guest.state.endswith("Critical"):
                        self._state.at(timings.heal, self._heal(vm, host, guest))
                elif guest.starved is None:
                    guest.starved = self._state.now
                    self._state.at(timings.io_patience, self._suffer(vm, host, guest))

    def _suffer(self, vm: Vm, host: str, guest: Guest) -> Callable[[], None]:
        since = self._state.now

        def suffer() -> None:
            if vm.guests.get(host) is guest and guest.starved == since and guest.state in _CRITICAL:
                guest.healed = _HEALED.get(guest.state, guest.state)
                self._bump(guest)
                self.become(vm, host, _CRITICAL[guest.state])

        return suffer

    def _heal(self, vm: Vm, host: str, guest: Guest) -> Callable[[], None]:
        def heal() -> None:
            here = vm.guests.get(host) is guest and guest.state.endswith("Critical")
            if here and self._storage.has_io(host, vm.csv):
                self.become(vm, host, guest.healed or "Off")

        return heal

    def _later(self, vm: Vm, host: str, delay: float, action: Callable[[], None]) -> None:
        guest = vm.guests[host]
        job = self._bump(guest)

        def due() -> None:
            if vm.guests.get(host) is guest and guest.job == job:
                action()

        self._state.at(delay, due)

    def _bump(self, guest: Guest) -> int:
        guest.job += 1
        return guest.job

    def _is_locked(self, vm: Vm, host: str) -> bool:
        """A live guest elsewhere holds the disk, if both hosts' sessions lead to the same one."""
        session = self._state.hosts[host].session
        return any(
            guest.is_live and self._state.hosts[where].session == session
            for where, guest in vm.guests.items()
            if where != host
        )

    def _check(self, vm: Vm) -> None:
        live = [where for where, guest in vm.guests.items() if guest.is_live and self._can_execute(vm, where, guest)]
        if len(live) > 1:
            self._state.violated(f"{vm.name} runs on {' and '.join(live)}")

    def _can_execute(self, vm: Vm, host: str, guest: Guest) -> bool:
        """Tell whether a guest may read or write its disk; one frozen for lack of it may not until it heals."""
        is_frozen = guest.state.endswith("Critical") and not self._storage.has_io(host, vm.csv)
        return self._state.hosts[host].on and not is_frozen
