"""The locks of a run's VMs: no two runs work on one VM at the same time, and a stop goes before a start."""

from collections.abc import Sequence

from ecx_hyperv.decide.steps import Step, Wait
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.locks import Lock
from ecx_hyperv.errors import LocalError
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.start_task import StartTask
from ecx_hyperv.run.tasks import Task


class VmLocks:
    """The locks of a run's VMs, each asked for until it is held."""

    def __init__(self, context: RunContext, tasks: Sequence[Task]) -> None:
        self._context = context
        self._locks: dict[str, Lock] = {
            task.name: (context.locks.start if task.is_start else context.locks.stop)(task.name) for task in tasks
        }
        self._held: set[str] = set()

    def refusal(self, task: Task, remaining: float) -> Step | None:
        """Return why a task may not go on now; None if it may.

        A stop goes on without its lock once the holder has outlived its limit, or only the reserve and the guest's
        grace are left: whoever holds the lock may hang, and a stop that fails takes the node down.
        """
        if self._context.dry or task.name not in self._locks:
            return None
        try:
            if task.name not in self._held:
                if not self._locks[task.name].acquire():
                    return self._without(task, remaining)
                self._held.add(task.name)
            if isinstance(task, StartTask) and self._context.locks.is_stopping(task.name):
                return task.give_way()
        except LocalError as error:
            # Better to start or stop a VM without a lock than not at all.
            if task.name not in self._held:
                self._context.log.warning("no lock", vm=task.name, because=str(error))
                self._held.add(task.name)
        return None

    def release(self, task: Task) -> None:
        """Let go of a task's lock, once it has ended."""
        if task.name in self._locks:
            self._locks[task.name].release()

    def release_all(self) -> None:
        """Let go of every lock."""
        for lock in self._locks.values():
            lock.release()

    def _without(self, task: Task, remaining: float) -> Step | None:
        holder = self._locks[task.name].holder()
        timing = self._context.config.timing
        is_overdue = self._locks[task.name].is_overdue()
        if task.is_start or (remaining > timing.reserve + timing.shutdown and not is_overdue):
            return Wait(f"another run works on {task.name}: {holder}{' past its limit' if is_overdue else ''}")
        self._context.log.warning("going on without the lock", vm=task.name, held_by=holder)
        if is_overdue:
            text = f"{task.name}: stopped without the lock: {holder} holds the lock past its limit"
            self._context.alert(Level.WARN, f"{text}; do: kill it")
        self._held.add(task.name)
        return None
