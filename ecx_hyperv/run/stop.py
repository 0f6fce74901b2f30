"""vm-unregister: bring the VMs down, then their volumes."""

from collections.abc import Sequence
from dataclasses import replace

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.peer import Ecx
from ecx_hyperv.decide.steps import Done
from ecx_hyperv.decide.unregister import Asked, Factor
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.errors import LocalError
from ecx_hyperv.run.context import Room
from ecx_hyperv.run.loop import Loop
from ecx_hyperv.run.tasks import StopTask
from ecx_hyperv.run.volumes import VolumeLoop


def stop(room: Room, vms: Sequence[str], asked: Asked, deadline: Deadline) -> list[StopTask]:
    """Stop VMs as asked, which is not for a move of the group; each task's `end` says how it ended."""
    timing = room.config.timing
    for vm in vms:
        if room.in_maintenance(Kind.VM, vm):
            text = f"{vm} is in maintenance, but stopped all the same: its storage is going"
            room.log.warning(text)
            room.alert(Level.WARN, text)
    if asked.factor is Factor.GROUPFAILOVER and not asked.by_hand:
        asked = replace(asked, ecx_peer_online=_peer_is_online(room, deadline))
    tasks = [StopTask(vm, timing, asked) for vm in vms]
    # Failing here shuts the EC-VM down: hosts that do not answer are given more time than at a start.
    loop = Loop(room, tasks, deadline, patience=max(timing.connect, timing.settle))
    loop.go()
    off = [task.vm for task in tasks if isinstance(task.end, Done) and not task.end.stays]
    if off and not room.dry:
        VolumeLoop(room, loop.looker, loop.sights, off, deadline).go()
    return tasks


def _peer_is_online(room: Room, deadline: Deadline) -> bool:
    try:
        # Whatever ails clpstat, most of the time is the guests'.
        status = clpstat.ask(room.run, deadline.within(min(30.0, deadline.remaining() / 4)))
    except LocalError as error:
        room.log.warning("clpstat", because=str(error))
        return False
    return clpstat.judge(status, room.pair.own.name, room.pair.peer.name) is Ecx.ONLINE
