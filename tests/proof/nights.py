"""What else happens at night, among the stories."""

from ecx_hyperv.lab.model.ecx import GROUP, ISCSI
from ecx_hyperv.lab.model.world import Sshd
from tests.proof.scenarios import ONE, act, move, scene, stop
from tests.proof.simulation import Stage
from tests.virtual.invariants import Job


@scene("The guest shuts itself down: the monitor fails the group over, and it runs on host 2")
def the_guest_goes_off(stage: Stage) -> None:
    """Lose the guest."""
    stage.start_group("ec1")
    stage.passes(120)
    act(stage, "somebody turns vm1 off in Hyper-V Manager", lambda world: world.guests.turn_off(world.vms["vm1"], ONE))
    stage.settled("ec2")
    stage.passes(120)


@scene("The guest dies soon after each boot: its monitor has ECX fail the group over, and over again")
def the_guest_dies_again_and_again(stage: Stage) -> None:
    """Start what does not stay up."""
    stage.world.vms["vm1"].doomed = True
    stage.say("vm1 will not stay up")
    stage.say(f"clpgrp -s {GROUP} -h ec1")
    stage.ecx.start_group("ec1")
    stage.passes(400)


@scene("Another resource of the group fails on ec1: the guest, which is well, goes to host 2 without a stop")
def another_resource_fails(stage: Stage) -> None:
    """Fail over for a reason that is not the guest's."""
    stage.start_group("ec1")
    stage.passes(60)
    stage.say("a resource fails on ec1, and ECX fails the group over")
    one, two = stage.ecx.servers["ec1"], stage.ecx.servers["ec2"]
    one.orders.append(lambda: stage.ecx._leave(one, two, "GROUPFAILOVER", "FAILOVER"))
    stage.passes(5)
    stage.settled("ec2")
    stage.passes(120)


@scene("The guest ignores the request to shut down, and is turned off after its grace")
def a_deaf_guest(stage: Stage) -> None:
    """Stop a deaf guest."""
    stage.start_group("ec1")
    stage.world.vms["vm1"].deaf = True
    stage.passes(60)
    stop(stage)


@scene("sshd on host 1 restarts for two minutes, as Windows Update has it: nobody fails over")
def sshd_restarts(stage: Stage) -> None:
    """Blind a monitor for a while."""
    stage.start_group("ec1")
    stage.passes(120)
    act(stage, "sshd on host 1 stops", lambda world: setattr(world.hosts[ONE], "sshd", Sshd.STOPPED))
    stage.passes(120)
    act(stage, "sshd on host 1 runs again", lambda world: setattr(world.hosts[ONE], "sshd", Sshd.UP))
    stage.passes(120)


@scene(
    "Host 1 lets nobody log in for an hour, for want of a domain controller: told, and told louder, nobody fails over"
)
def logins_are_refused(stage: Stage) -> None:
    """Blind a monitor for long."""
    stage.start_group("ec1")
    stage.passes(120)
    act(stage, "host 1 refuses every login", lambda world: setattr(world.hosts[ONE], "sshd", Sshd.REFUSING))
    stage.passes(3600)
    act(stage, "host 1 lets us in again", lambda world: setattr(world.hosts[ONE], "sshd", Sshd.UP))
    stage.passes(120)


@scene("The stop of the target hangs in the kernel: ECX shuts EC-VM 1 down, and ec2 takes over")
def the_target_hangs(stage: Stage) -> None:
    """Have the stop of the iSCSI target hang."""
    stage.start_group("ec1")
    stage.passes(60)
    stage.hangs.add(("ec1", f"{ISCSI}/stop.sh"))
    stage.say("the stop of the iSCSI target on ec1 will hang")
    stage.say(f"clpgrp -m {GROUP} -h ec2")
    stage.ecx.move_group("ec2")
    stage.settled("ec2")
    stage.hangs.clear()
    stage.online("ec1", "ec2")
    stage.passes(120)


@scene(
    "The guest is critical on host 1, whose iSCSI is gone, when the group moves: reconnected there, then migrated live"
)
def critical_on_the_other_host(stage: Stage) -> None:
    """Move a guest that has just lost its storage."""
    stage.start_group("ec1")
    stage.passes(60)
    act(stage, "host 1 does not reconnect by itself", lambda world: setattr(world.hosts[ONE], "reconnecting", True))
    move(stage, "ec2")
    stage.passes(120)


@scene("A start and a stop by hand, each done twice: the second time there is nothing to do")
def by_hand(stage: Stage) -> None:
    """Run the programs by hand."""
    stage.ecx.monitoring = False
    stage.world.storage.serve("ec1", on=True)
    stage.run("ec1", Job.START, "vm1")
    stage.run("ec1", Job.START, "vm1")
    stage.run("ec1", Job.STOP, "vm1")
    stage.run("ec1", Job.STOP, "vm1")
