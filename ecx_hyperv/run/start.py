"""vm-start: bring the VMs up on the local host."""

from collections.abc import Sequence

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.loop import Loop, leave_ec_vm
from ecx_hyperv.run.start_task import StartTask


def start(context: RunContext, vms: Sequence[str], deadline: Deadline) -> list[StartTask]:
    """Start VMs on the local host; each task's `end` says how it ended."""
    timing = context.config.timing
    tasks = [StartTask(vm, timing) for vm in vms]
    ours = [task for task in tasks if not leave_ec_vm(context, task)]
    if ours:
        Loop(context, ours, deadline).go()
    return tasks
