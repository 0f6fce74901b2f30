"""The lab's groups and resources of WSFC: what follows a guest's state, and what brings a guest up or down."""

from collections.abc import Callable

from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.lab.model.guests import Guests
from ecx_hyperv.lab.model.membership import Membership
from ecx_hyperv.lab.model.state import WorldState
from ecx_hyperv.lab.model.storage import Storage
from ecx_hyperv.lab.model.things import Guest, Vm


class Resources:
    """The two resources of each VM; methods that a cmdlet calls return the Win32 code of why not, or 0."""

    def __init__(self, state: WorldState, membership: Membership, storage: Storage, guests: Guests) -> None:
        self._state = state
        self._membership = membership
        self._storage = storage
        self._guests = guests

    def is_member(self, host: str) -> bool:
        """Tell whether a host's cluster service runs and has quorum."""
        return self._membership.is_member(host)

    def _clustered(self) -> list[Vm]:
        return [vm for vm in self._state.vms.values() if vm.is_clustered]

    def crash(self, vm: Vm) -> None:
        """Have a guest die on its owner; its resource fails, and WSFC may bring it back by itself."""
        guest = vm.guests.get(vm.owner)
        if guest is None or not guest.is_live:
            return
        self._guests.crash(vm, vm.owner)
        vm.machine = "Failed"
        if vm.restarts:
            self._state.at(self._state.timings.restart_by_itself, lambda: self.restart_by_itself(vm))

    def restart_by_itself(self, vm: Vm) -> None:
        """Have WSFC bring a VM's resource online by itself, where its owner is."""
        if vm.is_clustered and vm.machine in ("Failed", "Offline") and self.is_member(vm.owner):
            self._state.record("WSFC starts", vm.name, vm.owner)
            self.start_machine(vm)

    def guest_changed(self, vm: Vm, host: str) -> None:
        """Have the VM's resource follow its guest."""
        if vm.owner != host or vm.moving_to or not vm.is_clustered:
            return
        state = vm.guests[host].state
        if state in ("Running", "Paused", "PausedCritical"):
            vm.machine, vm.code = "Online", 0
            vm.machine_flags.clear()
        elif state in ("Off", "Saved", "OffCritical") and vm.machine != "Failed":
            vm.machine = "Offline"

    def start_configuration(self, vm: Vm) -> int:
        """Register a VM on its owner."""
        if vm.configuration == "Online":
            return 0
        if not self._storage.carries(vm.owner, vm):
            vm.configuration = "Failed"
            return 5038

        def online() -> None:
            if vm.configuration == "OnlinePending":
                vm.configuration = "Online"
                vm.guests.setdefault(vm.owner, Guest("Saved" if vm.saved else "Off"))
                self._state.record("registered", vm.name, vm.owner)

        vm.configuration = "OnlinePending"
        self._state.at(self._state.timings.resource, online)
        return 0

    def stop_configuration(self, vm: Vm) -> int:
        """Unregister a VM, its guest saved first if it runs."""
        if vm.configuration == "Offline":
            return 0

        def offline() -> None:
            if vm.configuration == "OfflinePending":
                vm.configuration, vm.machine = "Offline", "Offline"
                vm.guests.pop(vm.owner, None)
                self._state.record("unregistered", vm.name, vm.owner)

        vm.configuration = "OfflinePending"
        self._stop_guest(vm, lambda: self._state.at(self._state.timings.resource, offline))
        return 0

    def start_machine(self, vm: Vm) -> int:
        """Bring the VM's resource online: start its guest, or adopt the one that runs."""
        guest = vm.guests.get(vm.owner)
        if guest is None:
            return 5004
        if guest.is_live:
            vm.machine = "Online"
            self._state.record("adopted", vm.name, vm.owner)
            return 0
        return self._started(vm, self._guests.start(vm, vm.owner))

    def stop_machine(self, vm: Vm) -> int:
        """Take the VM's resource offline: clear a failed one, and do to a running guest what OfflineAction says."""
        if vm.stays_failed and vm.machine == "Failed":
            return 0
        vm.machine_flags.clear()
        vm.code = 0
        self._stop_guest(vm, lambda: setattr(vm, "machine", "Offline"))
        return 0

    def _stop_guest(self, vm: Vm, then: Callable[[], None]) -> None:
        guest = vm.guests.get(vm.owner)
        if guest is not None and guest.is_live and not self._state.hosts[vm.owner].vmms:
            # Nobody can do anything to the guest; clearing a failed resource makes it Offline, an Online one fails.
            vm.machine = "Offline" if vm.machine == "Failed" else "Failed"
            vm.configuration = "Failed" if vm.configuration == "OfflinePending" else vm.configuration
            return
        if guest is not None and guest.is_live:
            vm.machine = "OfflinePending"
            self._take_down(vm, vm.owner, then)
        else:
            then()

    def _take_down(self, vm: Vm, host: str, then: Callable[[], None]) -> None:
        """Bring a guest down as its resource's OfflineAction says, and go on once it is."""
        if vm.offline_action is OfflineAction.SAVE:
            self._guests.save(vm, host, then)
            return
        if vm.offline_action is OfflineAction.TURN_OFF:
            self._guests.turn_off(vm, host)
        else:
            self._guests.ask(vm, host, force=vm.offline_action is OfflineAction.FORCED_SHUTDOWN)

        def wait() -> None:
            guest = vm.guests.get(host)
            if guest is None or not guest.is_live:
                then()
            elif vm.machine == "OfflinePending":
                # One whose storage was away is asked once it runs again.
                if vm.offline_action is not OfflineAction.TURN_OFF:
                    self._guests.ask(vm, host, force=vm.offline_action is OfflineAction.FORCED_SHUTDOWN)
                self._state.at(self._state.timings.resource, wait)
            elif vm.configuration == "OfflinePending":
                # Somebody has brought the VM online meanwhile: it needs its configuration.
                vm.configuration = "Online"

        self._state.at(self._state.timings.resource, wait)

    def _started(self, vm: Vm, code: int) -> int:
        if code:
            vm.machine, vm.code = "Failed", code
            if code == 14:
                vm.machine_flags.add("InsufficientMemory")
        elif vm.machine != "Online":
            # WSFC calls a resource pending from the moment on that the resource is brought online.
            vm.machine = "OnlinePending"
        return code
