"""The stories that are told in `stories/`: what the solution is for, what was tested by hand, and each partition."""

from collections.abc import Callable
from functools import partial

from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.lab.model.ecx import GROUP
from ecx_hyperv.lab.model.world import World
from tests.proof.simulation import Stage

ONE, TWO = "ws2019-host-1", "ws2019-host-2"
Scene = Callable[[Stage], None]
SCENES: dict[str, tuple[str, Scene]] = {}


def scene(title: str) -> Callable[[Scene], Scene]:
    """Have a function tell the story that is called like it."""

    def enter(tell: Scene) -> Scene:
        SCENES[getattr(tell, "__name__", "").replace("_", "-")] = (title, tell)
        return tell

    return enter


def perform(name: str) -> str:
    """Play a story, and return its text."""
    title, tell = SCENES[name]
    stage = Stage()
    tell(stage)
    text = stage.text(title)
    stage.close()
    assert [] == stage.world.violations, text
    return text


def act(stage: Stage, text: str, change: Callable[[World], object]) -> None:
    """Say what is done to the world, and do it."""
    stage.say(text)
    change(stage.world)


def move(stage: Stage, node: str) -> None:
    """Move the group, and wait for it."""
    stage.say(f"clpgrp -m {GROUP} -h {node}")
    assert stage.ecx.move_group(node) == 0
    stage.settled(node)


def stop(stage: Stage) -> None:
    """Stop the group, and wait for it."""
    stage.say(f"clpgrp -t {GROUP}")
    assert stage.ecx.stop_group() == 0
    stage.until(lambda: stage.ecx.is_idle and not any(one.is_active for one in stage.ecx.servers.values()))


# What the solution does every day.


@scene("The group is moved from ec1 to ec2 and back: live migration, the VM never stops")
def move_there_and_back(stage: Stage) -> None:
    """Move the group there and back."""
    stage.start_group("ec1")
    stage.passes(60)
    move(stage, "ec2")
    stage.passes(120)
    move(stage, "ec1")
    stage.passes(120)


@scene("The group is stopped on ec1 and started there again")
def stop_and_start(stage: Stage) -> None:
    """Stop and start in one place."""
    stage.start_group("ec1")
    stage.passes(60)
    stop(stage)
    stage.passes(60)
    stage.start_group("ec1")


@scene("The group is stopped on ec1 and started on ec2: the VM, which is off, moves by quick migration")
def stop_and_start_elsewhere(stage: Stage) -> None:
    """Stop here, start there."""
    stage.start_group("ec1")
    stage.passes(60)
    stop(stage)
    stage.passes(60)
    stage.start_group("ec2")


@scene("The VM is changed in maintenance: shut down, changed, started again, nobody fails over")
def maintenance_of_the_vm(stage: Stage) -> None:
    """Change a VM's property."""
    stage.start_group("ec1")
    stage.passes(60)
    stage.maintain(Kind.VM, "vm1", "ec1", "ec2")
    act(stage, "an operator shuts vm1 down", lambda world: world.guests.shut_down(world.vms["vm1"], ONE))
    stage.passes(300)
    act(stage, "an operator starts vm1", lambda world: world.guests.start(world.vms["vm1"], ONE))
    stage.passes(60)
    stage.maintain_no_more(Kind.VM, "vm1", "ec1", "ec2")
    stage.passes(180)


@scene("ECX on ec2 is stopped, and started again by ec1")
def ecx_stopped_on_the_standby(stage: Stage) -> None:
    """Stop ECX on the standby."""
    stage.start_group("ec1")
    stage.passes(60)
    stage.say("clpcl -t -h ec2")
    stage.ecx.stop_service("ec2")
    stage.passes(10)
    stage.online("ec2")
    stage.passes(180)


@scene("ECX on ec2 is stopped for maintenance, and left so")
def maintenance_of_the_standby(stage: Stage) -> None:
    """Stop ECX on the standby, meaning it."""
    stage.start_group("ec1")
    stage.maintain(Kind.PEER, "ec2", "ec1")
    stage.say("clpcl -t -h ec2")
    stage.ecx.stop_service("ec2")
    stage.passes(600)
    stage.maintain_no_more(Kind.PEER, "ec2", "ec1")
    stage.online("ec2")


# What was tested by hand.


def _host_loses_power(stage: Stage, active: str, host: str, standby: str) -> None:
    stage.start_group(active)
    stage.passes(60)
    act(stage, f"{host} loses power", lambda world: world.power_off_host(host))
    stage.settled(standby)
    stage.passes(300)
    act(stage, f"{host} is powered on", lambda world: world.power_on_host(host))
    stage.online("ec1", "ec2")
    stage.passes(180)


SCENES["host-1-loses-power"] = (
    "Host 1 loses power while the VM runs there, and comes back",
    partial(_host_loses_power, active="ec1", host=ONE, standby="ec2"),
)
SCENES["host-2-loses-power"] = (
    "Host 2 loses power while the VM runs there, and comes back",
    partial(_host_loses_power, active="ec2", host=TWO, standby="ec1"),
)


@scene("Both hosts lose power, and come back")
def both_hosts_lose_power(stage: Stage) -> None:
    """Lose both."""
    stage.start_group("ec1")
    stage.passes(60)
    stage.say("both hosts lose power")
    for host in (ONE, TWO):
        stage.world.power_off_host(host)
    stage.passes(600)
    stage.say("both hosts are powered on")
    for host in (ONE, TWO):
        stage.world.power_on_host(host)
    stage.until(lambda: any(one.group == "Online" for one in stage.ecx.servers.values()))
    stage.online("ec1", "ec2")
    stage.passes(180)


@scene("Host 1 is shut down in good order while the VM runs there, and powered on again")
def host_1_is_shut_down(stage: Stage) -> None:
    """Shut a host down, as for Windows Update."""
    stage.start_group("ec1")
    stage.passes(60)
    act(stage, "host 1 is shut down", lambda world: world.shut_down_host(ONE))
    stage.settled("ec2")
    stage.passes(300)
    act(stage, "host 1 is powered on", lambda world: world.power_on_host(ONE))
    stage.online("ec1", "ec2")
    stage.passes(180)


def _ec_vm_is_shut_down(stage: Stage, active: str, standby: str) -> None:
    stage.start_group(active)
    stage.passes(60)
    act(stage, f"{active} is shut down", lambda world: world.shut_down_ec_vm(world.ec_vms[active]))
    stage.settled(standby)
    stage.online("ec1", "ec2")
    stage.passes(180)


SCENES["ec-vm-1-is-shut-down"] = (
    "EC-VM 1 is shut down while the group is there: ec2 takes over, and powers it on again",
    partial(_ec_vm_is_shut_down, active="ec1", standby="ec2"),
)
SCENES["ec-vm-2-is-shut-down"] = (
    "EC-VM 2 is shut down while the group is there: ec1 takes over, and powers it on again",
    partial(_ec_vm_is_shut_down, active="ec2", standby="ec1"),
)


@scene("EC-VM 2 goes off while the group is on ec1, and is powered on again")
def standby_goes_off(stage: Stage) -> None:
    """Lose the standby EC-VM."""
    stage.start_group("ec1")
    stage.passes(60)
    act(stage, "EC-VM 2 is turned off", lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))
    stage.online("ec1", "ec2")
    stage.passes(180)


@scene("EC-VM 2 hangs while the group is on ec1, and is restarted")
def standby_hangs(stage: Stage) -> None:
    """Have the standby EC-VM hang."""
    stage.start_group("ec1")
    stage.passes(60)
    act(stage, "the kernel of EC-VM 2 hangs", lambda world: world.hang_ec_vm(world.ec_vms["ec2"]))
    stage.online("ec1", "ec2")
    stage.passes(180)


@scene("WSFC has quarantined host 1: the start says how to release it, and ECX tries host 2")
def quarantined(stage: Stage) -> None:
    """Start on a quarantined host."""
    stage.passes(10)
    act(stage, "WSFC quarantines host 1", lambda world: setattr(world.hosts[ONE], "quarantined", True))
    stage.say(f"clpgrp -s {GROUP} -h ec1")
    stage.ecx.start_group("ec1")
    stage.settled("ec2")
    stage.passes(60)
    act(
        stage,
        "Start-ClusterNode -ClearQuarantine on host 1",
        lambda world: setattr(world.hosts[ONE], "quarantined", False),
    )
    move(stage, "ec1")


@scene("WSFC's balancer moves the VM: ECX sees it gone, and the group follows it without a stop")
def wsfc_moves_the_vm(stage: Stage) -> None:
    """Have the balancer move the VM."""
    stage.start_group("ec1")
    stage.passes(120)
    act(stage, "WSFC moves vm1 to host 2", lambda world: world.cluster.move(world.vms["vm1"], TWO, live=True))
    stage.settled("ec2")
    stage.passes(180)


@scene("Host 1 has too little memory for the VM: the start says so, and ECX tries host 2")
def short_of_memory(stage: Stage) -> None:
    """Start without memory."""
    stage.world.hosts[ONE].memory = 1
    stage.say("host 1 is short of memory")
    stage.say(f"clpgrp -s {GROUP} -h ec1")
    stage.ecx.start_group("ec1")
    stage.settled("ec2")
    stage.passes(120)


@scene(
    "The group is moved to ec2, whose host has too little memory: the guest goes on running, and the group comes back"
)
def move_to_a_host_without_memory(stage: Stage) -> None:
    """Move without memory."""
    stage.start_group("ec1")
    stage.passes(60)
    act(stage, "host 2 is short of memory", lambda world: setattr(world.hosts[TWO], "memory", 1))
    stage.say(f"clpgrp -m {GROUP} -h ec2")
    stage.ecx.move_group("ec2")
    stage.passes(5)
    stage.settled("ec1")
    stage.passes(180)
