"""An EC-VM is never touched as a protected VM, and hosts that are swapped fail nothing: runs in virtual time (D20)."""

from typing import Any

import msgspec
import pytest

from ecx_hyperv.config import Config, ProtectedVm
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.monitor import Health
from ecx_hyperv.decide.steps import Done
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.kept_ids import KeptId
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.run.watch import Watch, Watcher
from tests.run.support import ONE, TWO, make_world, start, unregister, with_running
from tests.virtual.contexts import SimulatedNode, make_config


def _with(world: World, *vms: ProtectedVm) -> Config:
    config = make_config(world)
    return msgspec.structs.replace(config, vm=(*config.vm, *vms))


def _watch(sim: SimulatedNode, *vms: str) -> Watch:
    deadline = Deadline.after(sim.clock, sim.context.config.timing.monitor - 5)
    return Watcher(sim.context, vms, sim.states, deadline).go()


def _is_untouched(world: World) -> bool:
    return all(one.guest.state == "Running" for one in world.ec_vms.values()) and not [
        event for event in world.history if event.what in ("EC-VM shuts down", "EC-VM off")
    ]


@pytest.mark.parametrize("name", ["EC-VM1", "ec-vm2"])
def test_d20_an_ec_vm_by_its_name_is_done_without_a_look(name: str) -> None:
    """A stop and a start of an EC-VM must be done at once, and a monitor not fail; no host is even asked."""
    world = make_world()
    sim = SimulatedNode(world, "ec1", config=_with(world, ProtectedVm(name=name)))

    assert isinstance(unregister(sim, name)[name], Done)
    assert isinstance(start(sim, name)[name], Done)
    watch = _watch(sim, name)

    assert (Exit.DONE, Health.HEALTHY) == (watch.exit, watch.verdicts[name].health)
    assert [] == sim.hosts.sent
    assert _is_untouched(world)


def test_d20_the_other_vms_of_the_run_go_on() -> None:
    """Beside an EC-VM, a protected VM must be stopped and started as ever."""
    world = with_running()
    sim = SimulatedNode(world, "ec1", config=_with(world, ProtectedVm(name="EC-VM1")))

    ends = unregister(sim, "EC-VM1", "vm1")
    assert {"EC-VM1", "vm1"} == set(ends)
    assert all(isinstance(end, Done) for end in ends.values())
    assert not [guest for guest in world.vms["vm1"].guests.values() if guest.is_live]
    ends = start(sim, "vm1", "EC-VM1")
    assert all(isinstance(end, Done) for end in ends.values())
    assert "Running" == world.vms["vm1"].guests[ONE].state
    assert {"vm1", "EC-VM1"} == set(_watch(sim, "vm1", "EC-VM1").verdicts)
    assert _is_untouched(world)


@pytest.mark.parametrize("node", ["ec1", "ec2"])
@pytest.mark.parametrize("how", ["configured", "kept"])
def test_d20_an_id_that_leads_to_an_ec_vm_is_no_vm(node: str, how: str) -> None:
    """An id that is an EC-VM's, configured or kept, must lead to no step on it, whichever EC-VM it is."""
    world = with_running()
    key = world.ec_vms[node].id
    more: dict[str, Any] = {"id": key} if how == "configured" else {}
    sim = SimulatedNode(world, "ec1", config=_with(world, ProtectedVm(name="other", **more)))
    if how == "kept":
        sim.kept_ids.save(KeptId(name="other", id=key))

    unregister(sim, "other")
    start(sim, "other")
    _watch(sim, "other")

    assert _is_untouched(world)


def _swapped(world: World) -> SimulatedNode:
    """Return a node whose file has each node with the other one's host."""
    sim = SimulatedNode(world, "ec1")
    nodes = {one.name: one for one in sim.context.config.node}
    one, other = nodes["ec1"], nodes["ec2"]
    pair = Pair(msgspec.structs.replace(one, vm=other.vm), msgspec.structs.replace(other, vm=one.vm))
    object.__setattr__(sim.context, "pair", pair)
    return sim


def test_d20_swapped_hosts_fail_neither_start_nor_stop() -> None:
    """Where no host shows the EC-VM that is to be its own, an absent VM must still count as absent, and all go on."""
    world = make_world()
    sim = _swapped(world)

    assert isinstance(start(sim, "vm1")["vm1"], Done)
    assert "Running" == world.vms["vm1"].guests[ONE].state
    assert ["swapped"] == [text.rsplit(" ", 1)[1] for text in sim.context.homes.told[:1]]
    assert not sim.context.homes.are_proven
    assert Health.HEALTHY is _watch(sim, "vm1").verdicts["vm1"].health
    assert isinstance(unregister(sim, "vm1")["vm1"], Done)
    assert not [guest for guest in world.vms["vm1"].guests.values() if guest.is_live]
    assert _is_untouched(world)


@pytest.mark.parametrize("host", [ONE, TWO])
def test_d12_a_file_is_proven_by_the_local_ec_vm(host: str) -> None:
    """A run must prove a file where its own host shows its EC-VM, also where the peer host is off; else never."""
    world = with_running()
    world.hosts[host].sshd = Sshd.STOPPED
    sim = SimulatedNode(world, "ec1")
    _watch(sim, "vm1")

    assert (host == TWO) is sim.context.homes.are_proven
