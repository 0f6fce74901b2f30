"""The lab's Hyper-V: what becomes of guests that are started, stopped, saved, turned off, or lose their storage."""

from collections.abc import Callable

from ecx_hyperv.decide.states import VmKind, vm_kind
from ecx_hyperv.lab.model.state import WorldState
from ecx_hyperv.lab.model.storage import Storage
from ecx_hyperv.lab.model.things import Guest, ShutdownService, Vm

_CRITICAL = {
    "Running": "PausedCritical",
    "Starting": "PausedCritical",
    "Resuming": "PausedCritical",
    "Paused": "PausedCritical",
    "Off": "OffCritical",
    "Saved": "SavedCritical",
}
_HEALED = {"Starting": "Running", "Resuming": "Running"}

# What InitiateShutdown of Msvm_ShutdownComponent returns.
ASKED = 0
INVALID_STATE = 32775
NOT_READY = 32780
LOCKED = 32781
IN_PROGRESS = 32782


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
        guest.paused = self._state.now if state == "Paused" else None
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
        if guest.state.endswith("Critical") or not self._storage.carries(host, vm):
            return 21
        if self._is_locked(vm, host):
            return 32
        if self._state.hosts[host].memory < vm.memory:
            return 14
        self._boots(guest)
        self.become(vm, host, "Starting")

        def running() -> None:
            self.become(vm, host, "Running")
            if vm.doomed:
                self._later(vm, host, self._state.timings.guest_boot, lambda: self.become(vm, host, "Off"))

        if not vm.stuck:
            self._later(vm, host, self._state.timings.guest_boot, running)
        return 0

    def reboot(self, vm: Vm, host: str) -> int:
        """Have a guest reboot by itself: Hyper-V shows Stopping for a while, and whatever it was asked is forgotten."""
        guest = vm.guests.get(host)
        if guest is None or guest.state != "Running":
            return 5023

        def rebooted() -> None:
            self._boots(guest)
            self.become(vm, host, "Running")

        self._later(vm, host, self._state.timings.reboot, rebooted)
        self.become(vm, host, "Stopping")
        return 0

    def crash(self, vm: Vm, host: str) -> None:
        """Have a guest's worker process die: it is Off at once."""
        guest = vm.guests.get(host)
        if guest is not None and guest.is_live:
            self._bump(guest)
            self.become(vm, host, "Off")

    def _boots(self, guest: Guest) -> None:
        guest.started = self._state.now
        guest.asked, guest.going_down = None, False

    def resume(self, vm: Vm, host: str) -> int:
        """Resume a paused guest."""
        guest = vm.guests.get(host)
        if guest is None or guest.state != "Paused":
            return 5023
        self._later(vm, host, self._state.timings.pause, lambda: self._runs_on(vm, host, guest))
        self.become(vm, host, "Resuming")
        return 0

    def _runs_on(self, vm: Vm, host: str, guest: Guest) -> None:
        """Have a guest that was paused go on with what it did, its shutdown included."""
        self.become(vm, host, "Running")
        if guest.going_down and vm.service is not ShutdownService.STUCK:
            self._later(vm, host, self._state.timings.guest_shutdown, lambda: self.become(vm, host, "Off"))

    def pause(self, vm: Vm, host: str) -> int:
        """Pause a running guest, as an operator does."""
        guest = vm.guests.get(host)
        if guest is None or guest.state != "Running":
            return 5023
        self._bump(guest)
        self.become(vm, host, "Paused")
        return 0

    def shut_down(self, vm: Vm, host: str) -> int:
        """Have somebody shut a guest down from inside, or through its integration service."""
        guest = vm.guests.get(host)
        if guest is None:
            return 5007
        if guest.state != "Running":
            return 0 if not guest.is_live else 5023
        self.ask(vm, host)
        return 0

    def ask(self, vm: Vm, host: str, *, force: bool = False) -> int | None:
        """Ask a guest through its integration service to shut down; its state stays Running until it is off.

        Returns the code of InitiateShutdown; None for a guest that has no such service, or that does not run.
        """
        guest = vm.guests.get(host)
        if guest is None or not guest.is_live:
            return None
        guest.asked = self._state.now if guest.asked is None else guest.asked
        if not self.has_shutdown_service(vm, host):
            return None
        if guest.state != "Running":
            return INVALID_STATE
        if guest.going_down:
            return IN_PROGRESS
        if vm.service is ShutdownService.NOT_READY or self._is_booting(guest):
            return NOT_READY
        if vm.service is ShutdownService.LOCKED and not force:
            return LOCKED
        if vm.deaf:
            return ASKED
        guest.going_down = True
        if vm.service is not ShutdownService.STUCK:
            self._later(vm, host, self._state.timings.guest_shutdown, lambda: self.become(vm, host, "Off"))
        return ASKED

    def has_shutdown_service(self, vm: Vm, host: str) -> bool:
        """Tell whether a guest has the service at all: it runs or may go on, with an operating system that has it."""
        guest = vm.guests.get(host)
        return guest is not None and guest.is_live and vm.service is not ShutdownService.MISSING

    def can_be_asked(self, vm: Vm, host: str) -> bool:
        """Tell whether Stop-VM would ask the guest; it cuts the power of one that it cannot ask, at once."""
        guest = vm.guests.get(host)
        is_there = vm.service in (ShutdownService.READY, ShutdownService.LOCKED, ShutdownService.STUCK)
        return guest is not None and is_there and not self._is_booting(guest)

    def _is_booting(self, guest: Guest) -> bool:
        return guest.started is not None and self._state.now - guest.started < self._state.timings.services

    def turn_off(self, vm: Vm, host: str, *, by_program: bool = False) -> int:
        """Cut a guest's power; of a saved one that discards the memory.

        Hyper-V takes it for what runs, is paused or saved, and refuses it with INVALID_STATE for what is on its way.
        """
        guest = vm.guests.get(host)
        if guest is None:
            return 5007
        if guest.state.removesuffix("Critical") in ("Saved", "FastSaved"):
            if by_program:
                self._state.violated(f"the saved memory of {vm.name} is discarded on {host}")
            vm.saved = False
        elif not guest.is_live:
            return 0
        elif vm_kind(guest.state.removesuffix("Critical")) is VmKind.TRANSITIONAL:
            return INVALID_STATE
        self._bump(guest)
        off = "Off" if self._storage.carries(host, vm) else "OffCritical"
        self._later(vm, host, self._state.timings.turn_off, lambda: self.become(vm, host, off))
        return 0

    def save(self, vm: Vm, host: str, then: Callable[[], None]) -> None:
        """Save a guest, and go on."""

        def saved() -> None:
            self.become(vm, host, "Saved")
            vm.saved = True
            then()

        if vm.stuck:
            self._bump(vm.guests[host])
        else:
            self._later(vm, host, self._state.timings.save, saved)
        self.become(vm, host, "Saving")

    def lose(self, vm: Vm, host: str) -> None:
        """Have a guest gone with its host."""
        guest = vm.guests.pop(host, None)
        if guest is None:
            return
        self._bump(guest)
        if guest.is_live:
            self._state.record("guest", vm.name, host, "gone")
        if not vm.is_clustered:
            # What only Hyper-V knows stays where it is, and off.
            vm.guests[host] = Guest("Off")

    def storage_changed(self) -> None:
        """Have guests notice, after a while, that their storage went or came back."""
        timings = self._state.timings
        for vm in self._state.all_vms:
            for host, guest in vm.guests.items():
                if self._storage.carries(host, vm):
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
            if not here or not self._storage.carries(host, vm):
                return
            if guest.healed == "Running":
                self._runs_on(vm, host, guest)
            else:
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
        is_frozen = guest.state.endswith("Critical") and not self._storage.carries(host, vm)
        return self._state.hosts[host].on and not is_frozen
