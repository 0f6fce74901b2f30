"""What can happen to the whole lab in a random story: power, networks, WSFC, storage, operators, administrators."""

from collections.abc import Callable
from functools import partial

from ecx_hyperv.lab.model.things import EcVm, Guest, HostRefusal, Plane, ShutdownService, Sshd, Vm
from ecx_hyperv.lab.model.world import World
from tests.proof.mirror_events import MIRROR_EVENTS, recover_mirror
from tests.proof.simulation import Simulation

Event = Callable[[Simulation], object]
ONE, TWO = "ws2019-host-1", "ws2019-host-2"
NODES = ("ec1", "ec2")
_MACHINES = (ONE, TWO, *NODES, "witness")
_PATHS = {"all": tuple(Plane), "management": (Plane.MANAGEMENT,), "mirror": (Plane.MIRROR,), "iSCSI": (Plane.STORAGE,)}


def _vm(simulation: Simulation) -> Vm:
    return next(iter(simulation.world.vms.values()))


def _guest(simulation: Simulation) -> Guest | None:
    return _vm(simulation).guests.get(_vm(simulation).owner)


def _power_off(host: str, simulation: Simulation) -> None:
    simulation.world.power_off_host(host)


def _power_on(host: str, simulation: Simulation) -> None:
    simulation.world.power_on_host(host)


def _shut_down(host: str, simulation: Simulation) -> None:
    simulation.world.shut_down_host(host)


def _sshd(host: str, state: Sshd, simulation: Simulation) -> None:
    simulation.world.hosts[host].sshd = state


def _service_crashes(host: str, simulation: Simulation) -> None:
    there = simulation.world.hosts[host]
    if there.on and there.service:
        there.service = False
        simulation.world.cluster.lost(there, cleanly=False)


def _service_starts(host: str, simulation: Simulation) -> None:
    there = simulation.world.hosts[host]
    if there.on and not there.service:
        simulation.world.cluster.returned(there)


def _paused(host: str, paused: bool, simulation: Simulation) -> None:
    simulation.world.hosts[host].paused = paused


def _memory(host: str, much: bool, simulation: Simulation) -> None:
    simulation.world.hosts[host].memory = 64 if much else 1


def _ec_vm(node: str, act: Callable[[World, EcVm], object], simulation: Simulation) -> None:
    act(simulation.world, simulation.world.ec_vms[node])


def _hang(world: World, ec_vm: EcVm) -> None:
    if ec_vm.booted and not ec_vm.hung and ec_vm.guest.state == "Running":
        world.hang_ec_vm(ec_vm)


def _switch_on(world: World, ec_vm: EcVm) -> None:
    if ec_vm.guest.state in ("Paused", "Saved"):
        world.stop_ec_vm(ec_vm, "Off")
    world.start_ec_vm(ec_vm)


def _cut(one: str, other: str, planes: tuple[Plane, ...], simulation: Simulation) -> None:
    simulation.world.cut(one, other, *planes)


def _isolated(machine: str, simulation: Simulation) -> None:
    simulation.world.isolate(machine)


def _session_drops(host: str, simulation: Simulation) -> None:
    simulation.world.hosts[host].session = ""
    simulation.world.storage.changed()


def _volume_fails(simulation: Simulation) -> None:
    for volume in simulation.world.volumes.values():
        volume.state = "Failed"
    simulation.world.storage.changed()


def _to_the_vm(act: Callable[[World, Vm, str], object], simulation: Simulation) -> None:
    vm = _vm(simulation)
    act(simulation.world, vm, vm.owner)


def _moved_by_wsfc(world: World, vm: Vm, owner: str) -> None:
    world.cluster.move(vm, world.other(owner).name, live=True)


def _deaf(deaf: bool, simulation: Simulation) -> None:
    _vm(simulation).deaf = deaf


def _killed(node: str, simulation: Simulation) -> None:
    simulation.kill_one(node)


def _on_each_host(host: str) -> dict[str, Event]:
    return {
        f"{host} loses power": partial(_power_off, host),
        f"{host} is powered on": partial(_power_on, host),
        f"{host} is shut down": partial(_shut_down, host),
        f"{host}'s sshd stops": partial(_sshd, host, Sshd.STOPPED),
        f"{host}'s sshd says nothing": partial(_sshd, host, Sshd.SILENT),
        f"{host} lets nobody in": partial(_sshd, host, Sshd.REFUSING),
        f"{host}'s sshd is well": partial(_sshd, host, Sshd.UP),
        f"{host}'s cluster service crashes": partial(_service_crashes, host),
        f"{host}'s cluster service starts": partial(_service_starts, host),
        f"{host}'s node is paused": partial(_paused, host, True),
        f"{host}'s node is resumed": partial(_paused, host, False),
        f"{host} is short of memory": partial(_memory, host, False),
        f"{host} has memory again": partial(_memory, host, True),
        f"{host} loses its iSCSI session": partial(_session_drops, host),
        f"{host} is cut off": partial(_isolated, host),
    }


def _on_each_node(node: str) -> dict[str, Event]:
    return {
        f"{node} is turned off": partial(_ec_vm, node, lambda world, ec_vm: world.stop_ec_vm(ec_vm, "Off")),
        f"{node} is paused": partial(_ec_vm, node, lambda world, ec_vm: world.stop_ec_vm(ec_vm, "Paused")),
        f"{node} is shut down": partial(_ec_vm, node, lambda world, ec_vm: world.shut_down_ec_vm(ec_vm)),
        f"{node} is switched on": partial(_ec_vm, node, _switch_on),
        f"{node} hangs": partial(_ec_vm, node, _hang),
        f"{node} is cut off": partial(_isolated, node),
        f"a program on {node} is killed": partial(_killed, node),
        f"nothing can be remembered on {node}": lambda simulation: simulation.forgetful.add(node),
        f"all is remembered on {node}": lambda simulation: simulation.forgetful.discard(node),
        f"clpgrp -s on {node}": lambda simulation: simulation.ecx.start_group(node),
        f"clpgrp -m to {node}": lambda simulation: simulation.ecx.move_group(node),
        f"clpcl -s on {node}": lambda simulation: simulation.ecx.start_service(node),
        f"clpcl -t on {node}": lambda simulation: simulation.ecx.stop_service(node),
    }


EVENTS: dict[str, Event] = {
    "nothing": lambda _simulation: None,
    "clpgrp -t": lambda simulation: simulation.ecx.stop_group(),
    "the networks are mended": lambda simulation: simulation.world.restore_all(),
    "the volume fails": _volume_fails,
    "WSFC moves the VM": partial(_to_the_vm, _moved_by_wsfc),
    "an operator shuts the VM down": partial(_to_the_vm, lambda world, vm, host: world.guests.shut_down(vm, host)),
    "an operator turns the VM off": partial(_to_the_vm, lambda world, vm, host: world.guests.turn_off(vm, host)),
    "an operator pauses the VM": partial(_to_the_vm, lambda world, vm, host: world.guests.pause(vm, host)),
    "an operator resumes the VM": partial(_to_the_vm, lambda world, vm, host: world.guests.resume(vm, host)),
    "an operator starts the VM": partial(_to_the_vm, lambda world, vm, host: world.guests.start(vm, host)),
    "an operator cancels the move": lambda simulation: simulation.world.cluster.cancel(_vm(simulation)),
    "the guest ignores requests": partial(_deaf, True),
    "the guest listens": partial(_deaf, False),
    **{name: event for host in (ONE, TWO) for name, event in _on_each_host(host).items()},
    **{name: event for node in NODES for name, event in _on_each_node(node).items()},
    **{
        f"{one} and {other} are cut apart: {path}": partial(_cut, one, other, planes)
        for index, one in enumerate(_MACHINES)
        for other in _MACHINES[index + 1 :]
        for path, planes in _PATHS.items()
    },
}


def _hyper_v_restarts(host: str, simulation: Simulation) -> None:
    there = simulation.world.hosts[host]
    if there.on and there.vmms:
        simulation.world.restart_hyper_v(host)


def _refused(host: str, cmdlet: str, code: int, simulation: Simulation) -> None:
    world = simulation.world
    world.hosts[host].refusals.append(HostRefusal(cmdlet, code=code, until=world.now + 60))


def _hangs(host: str, cmdlet: str, simulation: Simulation) -> None:
    hangs = simulation.world.hosts[host].hangs
    hangs.add(cmdlet)
    simulation.world.at(90, partial(hangs.discard, cmdlet))


def _stands_still(node: str, seconds: float, simulation: Simulation) -> None:
    simulation.world.freeze_ec_vm(simulation.world.ec_vms[node], seconds)


def _copy_appears(host: str, state: str, simulation: Simulation) -> None:
    vm = _vm(simulation)
    world = simulation.world
    if not any(host in copy.guests for copy in world.unclustered):
        world.roles.namesake(vm.name, host, state, number=len(world.unclustered) + 2)


def _copies_are_gone(simulation: Simulation) -> None:
    simulation.world.unclustered.clear()


def _renamed(name: str, simulation: Simulation) -> None:
    _vm(simulation).name = name


def _role_renamed(name: str, simulation: Simulation) -> None:
    simulation.world.roles.rename(_vm(simulation), name)


def _service(service: ShutdownService, simulation: Simulation) -> None:
    _vm(simulation).service = service


def _guest_dies(simulation: Simulation) -> None:
    vm = _vm(simulation)
    guest = _guest(simulation)
    if guest is not None and guest.state == "Running":
        vm.restarts = True
        simulation.world.cluster.crash(vm)


def _saved(world: World, vm: Vm, owner: str) -> None:
    guest = vm.guests.get(owner)
    if guest is not None and guest.state == "Running" and not guest.going_down:
        world.guests.save(vm, owner, lambda: None)


def _since_edition_2() -> dict[str, Event]:
    events: dict[str, Event] = {
        "the guest reboots": partial(_to_the_vm, lambda world, vm, host: world.guests.reboot(vm, host)),
        "the guest dies, and WSFC restarts it": _guest_dies,
        "an operator saves the VM": partial(_to_the_vm, _saved),
        "WSFC brings the VM up by itself": partial(
            _to_the_vm, lambda world, vm, _: world.cluster.restart_by_itself(vm)
        ),
        "the VM is renamed in Hyper-V": partial(_renamed, "vm1-renamed"),
        "the VM has its name again": partial(_renamed, "vm1"),
        "the role is renamed": partial(_role_renamed, "SCVMM vm1 Resources"),
        "the role has its name again": partial(_role_renamed, "vm1"),
        "the copies are gone": _copies_are_gone,
        **{
            f"the guest's integration services: {service.value}": partial(_service, service)
            for service in ShutdownService
        },
    }
    for host in (ONE, TWO):
        events[f"Hyper-V on {host} restarts"] = partial(_hyper_v_restarts, host)
        for state in ("Running", "Off"):
            events[f"a copy of the VM is on {host}: {state}"] = partial(_copy_appears, host, state)
        for cmdlet, code in (("Start-VM", 32), ("Move-ClusterVirtualMachineRole", 5944)):
            events[f"{cmdlet} is refused on {host} for a minute: {code}"] = partial(_refused, host, cmdlet, code)
        for cmdlet in ("Get-VM", "Get-ClusterSharedVolume", "Get-ClusterGroup"):
            events[f"{cmdlet} hangs on {host} for a while"] = partial(_hangs, host, cmdlet)
    for node in NODES:
        for seconds in (20.0, 300.0):
            events[f"{node} stands still for {seconds:.0f} s"] = partial(_stands_still, node, seconds)
    return events


OF_EDITION_2 = _since_edition_2()
EVENTS |= OF_EDITION_2 | MIRROR_EVENTS


def recover(simulation: Simulation) -> None:
    """Do what an administrator does: mend all that is broken, switch on all that is off, and start the group."""
    for step in (_mend_hosts, _mend_hosts, _mend_nodes, _mend_nodes):
        simulation.touched()
        step(simulation)
        simulation.passes(200)
    simulation.until(lambda: simulation.ecx.is_idle)
    # A guest that is stuck in its shutdown holds the shutdown of its EC-VM up for as long as a stop may take.
    _mend_nodes(simulation)
    simulation.passes(200)
    simulation.until(lambda: simulation.ecx.is_idle)
    recover_mirror(simulation)
    if [server.group for server in simulation.ecx.servers.values() if server.is_active] != ["Online"]:
        simulation.touched()
        simulation.ecx.stop_group()
        simulation.until(lambda: simulation.ecx.is_idle)
        simulation.ecx.start_group("ec1" if simulation.ecx.mirror.is_whole("ec1") else "ec2")
    simulation.until(lambda: _is_well(simulation))


def _mend_hosts(simulation: Simulation) -> None:
    simulation.forgetful.clear()
    simulation.world.restore_all()
    for host in simulation.world.hosts.values():
        host.sshd, host.paused, host.quarantined, host.memory = Sshd.UP, False, False, 64
        host.refusals.clear()
        host.hangs.clear()
        simulation.world.power_on_host(host.name)
        _service_starts(host.name, simulation)
    _copies_are_gone(simulation)
    for name, vm in simulation.world.vms.items():
        vm.deaf, vm.restarts, vm.service, vm.name = False, False, ShutdownService.READY, name
        if vm.role != name:
            simulation.world.roles.rename(vm, name)


def _mend_nodes(simulation: Simulation) -> None:
    for node, ec_vm in simulation.world.ec_vms.items():
        if ec_vm.hung:
            simulation.world.stop_ec_vm(ec_vm, "Off")
        _switch_on(simulation.world, ec_vm)
        simulation.ecx.start_service(node)


def _is_well(simulation: Simulation) -> bool:
    """Tell whether the group is online on one node, and every VM runs on its host and nowhere else."""
    online = [server.name for server in simulation.ecx.servers.values() if server.is_active]
    if len(online) != 1 or simulation.ecx.servers[online[0]].group != "Online":
        return False
    host = simulation.world.ec_vms[online[0]].host
    return all(
        list(vm.guests) == [host] and vm.guests[host].state == "Running" and vm.owner == host
        for vm in simulation.world.vms.values()
    )
