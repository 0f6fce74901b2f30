"""What else happens at night, among the stories."""

from functools import partial

from msgspec.structs import replace

from ecx_hyperv.lab.model.servers import GROUP, ISCSI
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.world import World
from tests.proof.scenarios import ONE, TWO, act, move, scenario, stop
from tests.proof.simulation import Simulation
from tests.virtual.invariants import ProgramKind


@scenario("The guest shuts itself down: the monitor fails the group over, and it runs on host 2")
def the_guest_goes_off(simulation: Simulation) -> None:
    """Lose the guest."""
    simulation.start_group("ec1")
    simulation.passes(120)
    act(
        simulation,
        "somebody turns vm1 off in Hyper-V Manager",
        lambda world: world.guests.turn_off(world.vms["vm1"], ONE),
    )
    simulation.settled("ec2")
    simulation.passes(120)


@scenario("Both hosts lose power at once, neither copy of the mirror is known to be good: a person follows the alert")
def both_copies_are_red(simulation: Simulation) -> None:
    """Lose both, see what genw-remote-node says, and do it."""
    simulation.world.timings = replace(simulation.world.timings, both_red=True)
    simulation.start_group("ec1")
    simulation.passes(60)
    for host in (TWO, ONE):
        act(simulation, f"{host} loses power", partial(World.power_off_host, name=host))
    simulation.passes(60)
    for host in (TWO, ONE):
        act(simulation, f"{host} has power again", partial(World.power_on_host, name=host))
    simulation.until(lambda: any(one.group == "Online Failure" for one in simulation.ecx.servers.values()))
    simulation.passes(60)
    simulation.say("genw-remote-node, by hand on ec1: ECX runs it only where the mirror disk is active")
    simulation.run("ec1", ProgramKind.PEER)
    simulation.say("on ec1: clpgrp -t; clpmdctrl -f md1; clpgrp -s")
    simulation.ecx.stop_group()
    simulation.until(lambda: simulation.ecx.is_idle)
    assert simulation.ecx.mirror.force("ec1")
    simulation.start_group("ec1")
    simulation.passes(300)


@scenario("The guest dies soon after each boot: its monitor has ECX fail the group over, and over again")
def the_guest_dies_again_and_again(simulation: Simulation) -> None:
    """Start what does not stay up."""
    simulation.world.vms["vm1"].doomed = True
    simulation.say("vm1 will not stay up")
    simulation.say(f"clpgrp -s {GROUP} -h ec1")
    simulation.ecx.start_group("ec1")
    simulation.passes(400)


@scenario("Another resource of the group fails on ec1: the guest, which is well, goes to host 2 without a stop")
def another_resource_fails(simulation: Simulation) -> None:
    """Fail over for a reason that is not the guest's."""
    simulation.start_group("ec1")
    simulation.passes(60)
    simulation.say("a resource fails on ec1, and ECX fails the group over")
    one, two = simulation.ecx.servers["ec1"], simulation.ecx.servers["ec2"]
    one.operations.append(lambda: simulation.ecx._leave(one, two, "GROUPFAILOVER", "FAILOVER"))
    simulation.passes(5)
    simulation.settled("ec2")
    simulation.passes(120)


@scenario("The guest ignores the request to shut down, and is turned off after its grace")
def a_deaf_guest(simulation: Simulation) -> None:
    """Stop a deaf guest."""
    simulation.start_group("ec1")
    simulation.world.vms["vm1"].deaf = True
    simulation.passes(60)
    stop(simulation)


@scenario("sshd on host 1 restarts for two minutes, as Windows Update has it: nobody fails over")
def sshd_restarts(simulation: Simulation) -> None:
    """Blind a monitor for a while."""
    simulation.start_group("ec1")
    simulation.passes(120)
    act(simulation, "sshd on host 1 stops", lambda world: setattr(world.hosts[ONE], "sshd", Sshd.STOPPED))
    simulation.passes(120)
    act(simulation, "sshd on host 1 runs again", lambda world: setattr(world.hosts[ONE], "sshd", Sshd.UP))
    simulation.passes(120)


@scenario(
    "Host 1 lets nobody log in for an hour, for want of a domain controller: told, and told louder, nobody fails over"
)
def logins_are_refused(simulation: Simulation) -> None:
    """Blind a monitor for long."""
    simulation.start_group("ec1")
    simulation.passes(120)
    act(simulation, "host 1 refuses every login", lambda world: setattr(world.hosts[ONE], "sshd", Sshd.REFUSING))
    simulation.passes(3600)
    act(simulation, "host 1 lets us in again", lambda world: setattr(world.hosts[ONE], "sshd", Sshd.UP))
    simulation.passes(120)


@scenario("The stop of the target hangs in the kernel: ECX shuts EC-VM 1 down, and ec2 takes over")
def the_target_hangs(simulation: Simulation) -> None:
    """Have the stop of the iSCSI target hang."""
    simulation.start_group("ec1")
    simulation.passes(60)
    simulation.hangs.add(("ec1", f"{ISCSI}/stop.sh"))
    simulation.say("the stop of the iSCSI target on ec1 will hang")
    simulation.say(f"clpgrp -m {GROUP} -h ec2")
    simulation.ecx.move_group("ec2")
    simulation.settled("ec2")
    simulation.hangs.clear()
    simulation.online("ec1", "ec2")
    simulation.passes(120)


@scenario(
    "The guest is critical on host 1, whose iSCSI is gone, when the group moves: reconnected there, then migrated live"
)
def critical_on_the_other_host(simulation: Simulation) -> None:
    """Move a guest that has just lost its storage."""
    simulation.start_group("ec1")
    simulation.passes(60)
    act(
        simulation, "host 1 does not reconnect by itself", lambda world: setattr(world.hosts[ONE], "reconnecting", True)
    )
    move(simulation, "ec2")
    simulation.passes(120)


@scenario("A start and a stop by hand, each done twice: the second time there is nothing to do")
def by_hand(simulation: Simulation) -> None:
    """Run the programs by hand."""
    simulation.ecx.monitoring = False
    simulation.world.storage.serve("ec1", on=True)
    simulation.run("ec1", ProgramKind.START, "vm1")
    simulation.run("ec1", ProgramKind.START, "vm1")
    simulation.run("ec1", ProgramKind.STOP, "vm1")
    simulation.run("ec1", ProgramKind.STOP, "vm1")
