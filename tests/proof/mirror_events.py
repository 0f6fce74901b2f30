"""What can happen to the mirror disk in a random story, and what an administrator does about two bad copies."""

from functools import partial

from ecx_hyperv.lab.linux.clpmdstat import MirrorShape
from tests.proof.simulation import Simulation

NODES = ("ec1", "ec2")
_SHAPES = (MirrorShape.HEADER, MirrorShape.NO_HEADER, MirrorShape.SENSELESS, MirrorShape.FAILS)


def _answers(node: str, shape: MirrorShape, simulation: Simulation) -> None:
    simulation.world.ec_vms[node].linux.mirror_shape = shape.value


def _breaks(node: str, simulation: Simulation) -> None:
    mirror = simulation.ecx.mirror
    if all(map(mirror.is_whole, mirror.copies)) and not simulation.ecx.servers[node].is_active:
        mirror.part(next(one for one in NODES if one != node))


MIRROR_EVENTS = {
    **{
        f"clpmdstat on {node} answers: {shape.value}": partial(_answers, node, shape)
        for node in NODES
        for shape in _SHAPES
    },
    **{f"the mirror's copy on {node} gets old": partial(_breaks, node) for node in NODES},
}


def recover_mirror(simulation: Simulation) -> None:
    """Have clpmdstat answer again, and force the newer of two bad copies, as the alert says."""
    mirror = simulation.ecx.mirror
    for node in NODES:
        _answers(node, MirrorShape.HEADER, simulation)
    if any(map(mirror.is_whole, mirror.copies)):
        return
    simulation.touched()
    simulation.ecx.stop_group()
    simulation.until(lambda: simulation.ecx.is_idle)
    newer = max(mirror.copies, key=lambda name: mirror.copies[name].updated)
    simulation.say(f"on {newer}: clpgrp -t; clpmdctrl -f md1")
    assert mirror.force(newer)
