"""The partitions among the stories: a machine that is cut off, and each pair of machines that lose each other.

The lab has no witness of ECX's own, so that an EC-VM and the witness cannot lose each other; a story plays what comes
of it.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from ecx_hyperv.lab.model.things import Plane
from ecx_hyperv.lab.model.world import World
from tests.proof.scenarios import ONE, SCENARIOS, TWO, act, scenario
from tests.proof.simulation import Simulation


def _after_a_cut(simulation: Simulation, apart: float) -> None:
    simulation.passes(apart)
    act(simulation, "the networks are mended", World.restore_all)
    servers = simulation.ecx.servers
    simulation.passes(60)
    simulation.until(lambda: sum(one.group == "Online" for one in servers.values()) == 1 and simulation.ecx.is_idle)
    simulation.online("ec1", "ec2")
    simulation.passes(180)


def _isolated(simulation: Simulation, active: str, machine: str) -> None:
    simulation.start_group(active)
    simulation.passes(60)
    act(simulation, f"all networks of {machine} are cut", lambda world: world.isolate(machine))
    _after_a_cut(simulation, 600)


for _active, _machine in (("ec1", ONE), ("ec2", TWO), ("ec1", TWO), ("ec1", "ec1"), ("ec2", "ec2"), ("ec1", "ec2")):
    SCENARIOS[f"partition-{_machine}-isolated-group-on-{_active}"] = (
        f"All networks of {_machine} are cut while the group is on {_active}",
        partial(_isolated, active=_active, machine=_machine),
    )


@scenario(
    "EC-VM 2 is cut off and shuts itself down each time it has booted: ec1 starts it three times, then calls a person"
)
def partition_ec2_gives_up_again_and_again(simulation: Simulation) -> None:
    """Isolate the standby, whose ECX gives up without its witness."""
    simulation.start_group("ec1")
    simulation.passes(60)
    world = simulation.world
    act(
        simulation,
        "all networks of ec2 are cut, and its ECX shuts it down for want of a witness",
        lambda _: world.isolate("ec2"),
    )
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    world.on_boot.append(lambda ec_vm: world.at(20, lambda: _gives_up(world, ec_vm.name)))
    simulation.passes(3000)


def _gives_up(world: World, node: str) -> None:
    if any("witness" in pair and node in pair for pair, _ in world.cuts):
        world.stop_ec_vm(world.ec_vms[node], "Off")


def _cut(simulation: Simulation, one: str, other: str, planes: Iterable[Plane]) -> None:
    simulation.start_group("ec1")
    simulation.passes(60)
    names = [plane.value for plane in planes]
    act(
        simulation,
        f"{one} and {other} lose each other ({', '.join(names)})",
        lambda world: world.cut(one, other, *planes),
    )
    _after_a_cut(simulation, 600)


def _pairs() -> Iterator[tuple[str, str, tuple[Plane, ...]]]:
    """Yield each pair of machines, with the networks between them that mean anything, apart and together."""
    beats = (Plane.MANAGEMENT, Plane.MIRROR)
    for one, other in ((ONE, TWO), ("ec1", "ec2")):
        yield from ((one, other, (plane,)) for plane in beats)
        yield one, other, beats
    for ec_vm in ("ec1", "ec2"):
        for host in (ONE, TWO):
            yield ec_vm, host, (Plane.MANAGEMENT,)
            yield ec_vm, host, (Plane.STORAGE,)
            yield ec_vm, host, tuple(Plane)
    for host in (ONE, TWO):
        yield host, "witness", (Plane.MANAGEMENT,)


for _one, _other, _planes in _pairs():
    _names = "-".join(plane.value for plane in _planes)
    SCENARIOS[f"cut-{_one}-{_other}-{_names}"] = (
        f"{_one} and {_other} lose each other ({_names.replace('-', ', ')}) for ten minutes, the group on ec1",
        partial(_cut, one=_one, other=_other, planes=_planes),
    )
