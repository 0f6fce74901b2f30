"""What Hyper-V's cmdlets that change something do to VMs: found by name or id, one after the other."""

from collections.abc import Mapping
from typing import Any

from ecx_hyperv.lab.model.guests import INVALID_STATE
from ecx_hyperv.lab.model.things import EcVm, Vm
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.messages import Failure


def vms_meant(world: World, host: str, args: Mapping[str, Any]) -> list[Vm | EcVm]:
    """Return every VM on a host that a call by `Id` or `Name` means; a name may mean several. Raises Failure."""
    by_id = "Id" in args
    wanted = str(args["Id" if by_id else "Name"]).casefold().strip("{}")
    ec_vm = world.ec_on(host)
    found: list[Vm | EcVm] = [ec_vm] if wanted == (ec_vm.id if by_id else ec_vm.vm.casefold()) else []
    here = [vm for vm in world.all_vms if host in vm.guests]
    found += [vm for vm in here if wanted == (vm.id if by_id else vm.name.casefold())]
    if not found:
        identifier, category = ("ObjectNotFound",) * 2 if by_id else ("InvalidParameter", "InvalidArgument")
        raise Failure(0, str(args["Id" if by_id else "Name"]), identifier=identifier, category=category)
    return found


def start(world: World, host: str, vm: Vm | EcVm) -> float:
    """Start-VM: returns how long the cmdlet blocks, in seconds; raises Failure."""
    if isinstance(vm, EcVm):
        world.start_ec_vm(vm)
        return 0.0
    code = world.guests.start(vm, host)
    if code in (14, 32):
        vm.code = code
    _raise(code, vm.name, identifier="OutOfMemory" if code == 14 else "OperationFailed")
    return world.timings.guest_boot / 2


def resume(world: World, host: str, vm: Vm | EcVm) -> float:
    """Resume-VM: returns how long the cmdlet blocks, in seconds; raises Failure."""
    if isinstance(vm, EcVm):
        vm.guest.state, vm.booted = "Running", True
        return 0.0
    _raise(world.guests.resume(vm, host), vm.name)
    return world.timings.pause


def turn_off(world: World, host: str, vm: Vm | EcVm) -> None:
    """Stop-VM with TurnOff; raises Failure."""
    if isinstance(vm, EcVm):
        world.violated(f"Stop-VM of the EC-VM {vm.vm}")
        world.stop_ec_vm(vm, "Off")
        return
    code = world.guests.turn_off(vm, host, by_program=True)
    if code == INVALID_STATE:
        raise Failure(0, vm.name, identifier="InvalidState", category="InvalidOperation")
    _raise(code, vm.name)


def stop(world: World, host: str, vm: Vm | EcVm) -> None:
    """Stop-VM without TurnOff: asks the guest, and cuts the power of one that it cannot ask. Raises Failure."""
    if isinstance(vm, EcVm) or world.guests.can_be_asked(vm, host):
        if isinstance(vm, EcVm):
            world.violated(f"Stop-VM of the EC-VM {vm.vm}")
            world.shut_down_ec_vm(vm)
        else:
            _raise(world.guests.shut_down(vm, host), vm.name)
        return
    if vm.guests[host].is_live:
        world.violated(f"Stop-VM cuts the power of {vm.name} on {host}, which cannot be asked to shut down")
    turn_off(world, host, vm)


def ask(world: World, host: str, identifier: str, *, force: bool) -> list[dict[str, Any]]:
    """Agent-ShutdownGuest: returns the rows with the code of InitiateShutdown, none for a guest without the service."""
    wanted = identifier.casefold().strip("{}")
    ec_vm = world.ec_on(host)
    if ec_vm.id == wanted:
        world.violated(f"the EC-VM {ec_vm.vm} is asked to shut down")
        world.shut_down_ec_vm(ec_vm)
        return [{"Code": 0}]
    for vm in world.all_vms:
        if vm.id == wanted:
            code = world.guests.ask(vm, host, force=force)
            return [] if code is None else [{"Code": code}]
    return []


def has_shutdown_service(world: World, host: str, identifier: str) -> bool:
    """Tell whether Hyper-V shows the shutdown service of a VM; that asks the guest nothing."""
    if world.ec_on(host).id == identifier:
        return True
    vm = next((one for one in world.all_vms if one.id == identifier), None)
    return vm is not None and world.guests.has_shutdown_service(vm, host)


def restart(world: World, vm: Vm | EcVm) -> None:
    """Restart-VM, as the peer's monitor resets a hung EC-VM."""
    if isinstance(vm, Vm):
        world.violated(f"Restart-VM of the protected {vm.name}")
        return
    world.stop_ec_vm(vm, "Off")
    world.start_ec_vm(vm)


def _raise(code: int, about: str, *, identifier: str = "") -> None:
    if code:
        raise Failure(code, about, identifier=identifier)
