"""vm-start: bring the VMs up on the local host."""

from collections.abc import Sequence

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.loop import Loop
from ecx_hyperv.run.start_task import StartTask


def start(context: RunContext, vms: Sequence[str], deadline: Deadline) -> list[StartTask]:
    """Start VMs on the local host; each task's `end` says how it ended."""
    timing = context.config.timing
    tasks = [StartTask(vm, timing) for vm in vms]
    Loop(context, tasks, deadline).go()
    return tasks
