"""The stories that are told in `stories/`: what the solution is for, what was tested by hand, and each partition."""

from collections.abc import Callable
from functools import partial

from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.lab.model.servers import GROUP
from ecx_hyperv.lab.model.world import World
from tests.proof.simulation import Simulation

ONE, TWO = "ws2019-host-1", "ws2019-host-2"
Scenario = Callable[[Simulation], None]
SCENARIOS: dict[str, tuple[str, Scenario]] = {}


def scenario(title: str) -> Callable[[Scenario], Scenario]:
    """Have a function tell the story that is called like it."""

    def enter(tell: Scenario) -> Scenario:
        SCENARIOS[getattr(tell, "__name__", "").replace("_", "-")] = (title, tell)
        return tell

    return enter


def perform(name: str) -> str:
    """Play a story, and return its text."""
    title, tell = SCENARIOS[name]
    simulation = Simulation()
    tell(simulation)
    text = simulation.text(title)
    simulation.close()
    assert [] == simulation.world.violations, text
    return text


def act(simulation: Simulation, text: str, change: Callable[[World], object]) -> None:
    """Say what is done to the world, and do it."""
    simulation.say(text)
    change(simulation.world)


def move(simulation: Simulation, node: str) -> None:
    """Move the group, and wait for it."""
    simulation.say(f"clpgrp -m {GROUP} -h {node}")
    assert simulation.ecx.move_group(node) == 0
    simulation.settled(node)


def stop(simulation: Simulation) -> None:
    """Stop the group, and wait for it."""
    simulation.say(f"clpgrp -t {GROUP}")
    assert simulation.ecx.stop_group() == 0
    simulation.until(
        lambda: simulation.ecx.is_idle and not any(one.is_active for one in simulation.ecx.servers.values())
    )


# What the solution does every day.


@scenario("The group is moved from ec1 to ec2 and back: live migration, the VM never stops")
def move_there_and_back(simulation: Simulation) -> None:
    """Move the group there and back."""
    simulation.start_group("ec1")
    simulation.passes(60)
    move(simulation, "ec2")
    simulation.passes(120)
    move(simulation, "ec1")
    simulation.passes(120)


@scenario("The group is stopped on ec1 and started there again")
def stop_and_start(simulation: Simulation) -> None:
    """Stop and start in one place."""
    simulation.start_group("ec1")
    simulation.passes(60)
    stop(simulation)
    simulation.passes(60)
    simulation.start_group("ec1")


@scenario("The group is stopped on ec1 and started on ec2: the VM, which is off, moves by quick migration")
def stop_and_start_elsewhere(simulation: Simulation) -> None:
    """Stop here, start there."""
    simulation.start_group("ec1")
    simulation.passes(60)
    stop(simulation)
    simulation.passes(60)
    simulation.start_group("ec2")


@scenario("The VM is changed in maintenance: shut down, changed, started again, nobody fails over")
def maintenance_of_the_vm(simulation: Simulation) -> None:
    """Change a VM's property."""
    simulation.start_group("ec1")
    simulation.passes(60)
    simulation.maintain(Kind.VM, "vm1", "ec1", "ec2")
    act(simulation, "an operator shuts vm1 down", lambda world: world.guests.shut_down(world.vms["vm1"], ONE))
    simulation.passes(300)
    act(simulation, "an operator starts vm1", lambda world: world.guests.start(world.vms["vm1"], ONE))
    simulation.passes(60)
    simulation.maintain_no_more(Kind.VM, "vm1", "ec1", "ec2")
    simulation.passes(180)


@scenario("ECX on ec2 is stopped, and started again by ec1")
def ecx_stopped_on_the_standby(simulation: Simulation) -> None:
    """Stop ECX on the standby."""
    simulation.start_group("ec1")
    simulation.passes(60)
    simulation.say("clpcl -t -h ec2")
    simulation.ecx.stop_service("ec2")
    simulation.passes(10)
    simulation.online("ec2")
    simulation.passes(180)


@scenario("ECX on ec2 is stopped for maintenance, and left so")
def maintenance_of_the_standby(simulation: Simulation) -> None:
    """Stop ECX on the standby, meaning it."""
    simulation.start_group("ec1")
    simulation.maintain(Kind.PEER, "ec2", "ec1")
    simulation.say("clpcl -t -h ec2")
    simulation.ecx.stop_service("ec2")
    simulation.passes(600)
    simulation.maintain_no_more(Kind.PEER, "ec2", "ec1")
    simulation.online("ec2")


# What was tested by hand.


def _host_loses_power(simulation: Simulation, active: str, host: str, standby: str) -> None:
    simulation.start_group(active)
    simulation.passes(60)
    act(simulation, f"{host} loses power", lambda world: world.power_off_host(host))
    simulation.settled(standby)
    simulation.passes(300)
    act(simulation, f"{host} is powered on", lambda world: world.power_on_host(host))
    simulation.online("ec1", "ec2")
    simulation.passes(180)


SCENARIOS["host-1-loses-power"] = (
    "Host 1 loses power while the VM runs there, and comes back",
    partial(_host_loses_power, active="ec1", host=ONE, standby="ec2"),
)
SCENARIOS["host-2-loses-power"] = (
    "Host 2 loses power while the VM runs there, and comes back",
    partial(_host_loses_power, active="ec2", host=TWO, standby="ec1"),
)


@scenario("Both hosts lose power, and come back")
def both_hosts_lose_power(simulation: Simulation) -> None:
    """Lose both."""
    simulation.start_group("ec1")
    simulation.passes(60)
    simulation.say("both hosts lose power")
    for host in (ONE, TWO):
        simulation.world.power_off_host(host)
    simulation.passes(600)
    simulation.say("both hosts are powered on")
    for host in (ONE, TWO):
        simulation.world.power_on_host(host)
    simulation.until(lambda: any(one.group == "Online" for one in simulation.ecx.servers.values()))
    simulation.online("ec1", "ec2")
    simulation.passes(180)


@scenario("Host 1 is shut down in good order while the VM runs there, and powered on again")
def host_1_is_shut_down(simulation: Simulation) -> None:
    """Shut a host down, as for Windows Update."""
    simulation.start_group("ec1")
    simulation.passes(60)
    act(simulation, "host 1 is shut down", lambda world: world.shut_down_host(ONE))
    simulation.settled("ec2")
    simulation.passes(300)
    act(simulation, "host 1 is powered on", lambda world: world.power_on_host(ONE))
    simulation.online("ec1", "ec2")
    simulation.passes(180)


def _ec_vm_is_shut_down(simulation: Simulation, active: str, standby: str) -> None:
    simulation.start_group(active)
    simulation.passes(60)
    act(simulation, f"{active} is shut down", lambda world: world.shut_down_ec_vm(world.ec_vms[active]))
    simulation.settled(standby)
    simulation.online("ec1", "ec2")
    simulation.passes(180)


SCENARIOS["ec-vm-1-is-shut-down"] = (
    "EC-VM 1 is shut down while the group is there: ec2 takes over, and powers it on again",
    partial(_ec_vm_is_shut_down, active="ec1", standby="ec2"),
)
SCENARIOS["ec-vm-2-is-shut-down"] = (
    "EC-VM 2 is shut down while the group is there: ec1 takes over, and powers it on again",
    partial(_ec_vm_is_shut_down, active="ec2", standby="ec1"),
)


@scenario("EC-VM 2 goes off while the group is on ec1, and is powered on again")
def standby_goes_off(simulation: Simulation) -> None:
    """Lose the standby EC-VM."""
    simulation.start_group("ec1")
    simulation.passes(60)
    act(simulation, "EC-VM 2 is turned off", lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))
    simulation.online("ec1", "ec2")
    simulation.passes(180)


@scenario("EC-VM 2 hangs while the group is on ec1, and is restarted")
def standby_hangs(simulation: Simulation) -> None:
    """Have the standby EC-VM hang."""
    simulation.start_group("ec1")
    simulation.passes(60)
    act(simulation, "the kernel of EC-VM 2 hangs", lambda world: world.hang_ec_vm(world.ec_vms["ec2"]))
    simulation.online("ec1", "ec2")
    simulation.passes(180)


@scenario("WSFC has quarantined host 1: the start says how to release it, and ECX tries host 2")
def quarantined(simulation: Simulation) -> None:
    """Start on a quarantined host."""
    simulation.passes(10)
    act(simulation, "WSFC quarantines host 1", lambda world: setattr(world.hosts[ONE], "quarantined", True))
    simulation.say(f"clpgrp -s {GROUP} -h ec1")
    simulation.ecx.start_group("ec1")
    simulation.settled("ec2")
    simulation.passes(60)
    act(
        simulation,
        "Start-ClusterNode -ClearQuarantine on host 1",
        lambda world: setattr(world.hosts[ONE], "quarantined", False),
    )
    move(simulation, "ec1")


@scenario("WSFC's balancer moves the VM: ECX sees it gone, and the group follows it without a stop")
def wsfc_moves_the_vm(simulation: Simulation) -> None:
    """Have the balancer move the VM."""
    simulation.start_group("ec1")
    simulation.passes(120)
    act(simulation, "WSFC moves vm1 to host 2", lambda world: world.cluster.move(world.vms["vm1"], TWO, live=True))
    simulation.settled("ec2")
    simulation.passes(180)


@scenario("Host 1 has too little memory for the VM: the start says so, and ECX tries host 2")
def short_of_memory(simulation: Simulation) -> None:
    """Start without memory."""
    simulation.world.hosts[ONE].memory = 1
    simulation.say("host 1 is short of memory")
    simulation.say(f"clpgrp -s {GROUP} -h ec1")
    simulation.ecx.start_group("ec1")
    simulation.settled("ec2")
    simulation.passes(120)


@scenario(
    "The group is moved to ec2, whose host has too little memory: the guest goes on running, and the group comes back"
)
def move_to_a_host_without_memory(simulation: Simulation) -> None:
    """Move without memory."""
    simulation.start_group("ec1")
    simulation.passes(60)
    act(simulation, "host 2 is short of memory", lambda world: setattr(world.hosts[TWO], "memory", 1))
    simulation.say(f"clpgrp -m {GROUP} -h ec2")
    simulation.ecx.move_group("ec2")
    simulation.passes(5)
    simulation.settled("ec1")
    simulation.passes(180)
