"""vm-unregister: bring the VMs down, then their volumes."""

from collections.abc import Sequence
from dataclasses import replace

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.peer import PeerEcx
from ecx_hyperv.decide.steps import Done
from ecx_hyperv.decide.stops import Factor, StopRequest
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.errors import LocalError
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.loop import Loop, leave_ec_vm
from ecx_hyperv.run.stop_task import StopTask
from ecx_hyperv.run.volumes import VolumeLoop


def stop(context: RunContext, vms: Sequence[str], asked: StopRequest, deadline: Deadline) -> list[StopTask]:
    """Stop VMs as asked, which is not for a move of the group; each task's `end` says how it ended."""
    timing = context.config.timing
    for vm in vms:
        if context.in_maintenance(Kind.VM, vm):
            stopped = "will be stopped" if context.dry else "stopped"
            text = f"{vm} is in maintenance, but {stopped} all the same: its storage is going"
            context.log.warning(text)
            context.alert(Level.WARN, text)
    if asked.factor is Factor.GROUPFAILOVER and not asked.by_hand:
        asked = replace(asked, ecx_peer_online=_peer_is_online(context, deadline))
    all_tasks = [StopTask(vm, timing, asked) for vm in vms]
    left = [task for task in all_tasks if leave_ec_vm(context, task)]
    ours = [task for task in all_tasks if task not in left]
    if not ours:
        return left
    vms = [task.name for task in ours]
    loop = Loop(context, ours, deadline)
    loop.go()
    tasks = [task for task in loop.tasks if isinstance(task, StopTask)]
    # Where several VMs were meant by one name, its volume may go only once all of them are off.
    stays = any(not isinstance(task.end, Done) or task.end.stays for task in tasks if task.name not in vms)
    off = [vm for vm, task in zip(vms, tasks, strict=False) if isinstance(task.end, Done) and not task.end.stays]
    if off and not stays and not context.dry:
        VolumeLoop(context, loop.host_pair, loop.snapshots, off, deadline).go()
    return [*tasks, *left]


def _peer_is_online(context: RunContext, deadline: Deadline) -> bool:
    try:
        # Whatever ails clpstat, most of the time is the guests'.
        status = clpstat.ask(context.run, deadline.within(min(30.0, deadline.remaining() / 4)))
    except LocalError as error:
        context.log.warning("clpstat", because=str(error))
        return False
    return clpstat.judge(status, context.pair.local.name, context.pair.peer.name) is PeerEcx.ONLINE
