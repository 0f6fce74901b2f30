"""Runs in virtual time: a world, a node for each EC-VM, and the programs as functions."""

from typing import Any

from msgspec.structs import replace

from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.steps import Done, Fail
from ecx_hyperv.decide.stops import Factor, StopRequest
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.run.start import start as start_vms
from ecx_hyperv.run.stop import stop
from tests.virtual.contexts import SimulatedNode

ONE, TWO = "ws2019-host-1", "ws2019-host-2"


def make_world(*vms: str, **timings: Any) -> World:
    """Return a world whose target ec1 serves, both hosts connected, the VMs unregistered."""
    world = World(replace(Timings(), **timings), vms or ("vm1",))
    world.storage.serve("ec1", on=True)
    world.advance(10)
    return world


def with_running(*vms: str, host: str = ONE, **timings: Any) -> World:
    """Return a world in which the VMs run on a host."""
    world = make_world(*vms, **timings)
    for vm in world.vms.values():
        vm.owner = host
        world.cluster.start_configuration(vm)
    world.advance(1)
    for vm in world.vms.values():
        world.guests.start(vm, host)
    world.advance(10)
    return world


def isolated_but_alive(sshd: Sshd) -> World:
    """Return a world whose host 2 runs vm1, cut off from its cluster but not from the EC-VMs."""
    world = with_running(host=TWO, quorum_stop=1e6)
    world.cut(ONE, TWO)
    world.cut(TWO, "witness")
    world.hosts[TWO].sshd = sshd
    world.advance(5)
    return world


def start(sim: SimulatedNode, *vms: str) -> dict[str, Done | Fail]:
    """Run vm-start, and return how it ended for each VM."""
    tasks = start_vms(sim.context, vms, Deadline.of_command(sim.clock, sim.context.config.timing.start))
    return {task.name: task.end for task in tasks if task.end is not None}


def unregister(
    sim: SimulatedNode, *vms: str, factor: Factor = Factor.GROUPSTOP, by_hand: bool = False
) -> dict[str, Done | Fail]:
    """Run vm-unregister, and return how it ended for each VM."""
    deadline = Deadline.of_command(sim.clock, sim.context.config.timing.unregister)
    tasks = stop(sim.context, vms, StopRequest(factor=factor, by_hand=by_hand), deadline)
    return {task.name: task.end for task in tasks if task.end is not None}


def only(ends: dict[str, Done | Fail]) -> Done | Fail:
    """Return the end of the only VM."""
    (end,) = ends.values()
    return end


def with_timing(sim: SimulatedNode, **timing: float) -> Config:
    """Return a node's configuration with other timing."""
    config = sim.context.config
    return replace(config, timing=replace(config.timing, **timing))
