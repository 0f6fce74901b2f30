"""The loop: observe, decide, act, until every VM of the run is done, has failed, or time is up.

A step's cmdlet travels in the same request as the next observation. Nothing is concluded from how a cmdlet ended, a
lost reply included, but how often it may be tried again: what became of it, the next observation tells.
"""

from collections.abc import Callable, Sequence

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Place, Side
from ecx_hyperv.decide.steps import Act, Done, Fail, Look, Step, Wait
from ecx_hyperv.ecx.locks import Lock
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.errors import HostError, HostKeyRefused, LocalError, LoginRefused
from ecx_hyperv.host.situation import Snapshots, observe_vm
from ecx_hyperv.run.acts import Plan
from ecx_hyperv.run.context import RunContext, StepReporter
from ecx_hyperv.run.look import HostPair
from ecx_hyperv.run.tasks import Moment, StartTask, Task


class Loop:
    """One run over several VMs; each task's `end` says how it ended, `snapshots` what was seen last."""

    def __init__(self, context: RunContext, tasks: Sequence[Task], deadline: Deadline, *, patience: float) -> None:
        self._context = context
        self._tasks = tasks
        self._deadline = deadline
        self._patience = patience
        self._starts = all(task.is_start for task in tasks)
        self._vm_locks = _VmLocks(context, tasks)
        self._reporter = StepReporter(context)
        self._began = context.clock.monotonic()
        self._has_answered = False
        # A start looks at the peer host only where that one matters; a stop must know where the guest is.
        self.sides = [Side.LOCAL] if self._starts else [Side.LOCAL, Side.PEER]
        iscsi = [Side.LOCAL] if self._starts else []
        self.host_pair = HostPair(context, [task.name for task in tasks], iscsi=iscsi, paced=True)
        self.snapshots = Snapshots(None, None)

    def go(self) -> None:
        """Carry every task to its end."""
        plan = Plan()
        try:
            while self._open:
                self.snapshots = self.host_pair.act_and_observe(self.sides, plan, self._deadline)
                plan = Plan()
                if self._deadline.has_passed:
                    self._end_late()
                elif not self._turn(plan) and self._open:
                    self.host_pair.rest(self._context.config.timing.interval, self._deadline)
        finally:
            self.host_pair.acts.abandon()
            self._vm_locks.release_all()

    def _end_late(self) -> None:
        trouble = self._no_contact()
        if trouble is not None and not self._has_answered:
            self._end_all(lambda _: _failed_by(trouble))
        else:
            self._end_all(lambda task: task.out_of_time())

    @property
    def _open(self) -> list[Task]:
        return [task for task in self._tasks if task.end is None]

    def _turn(self, plan: Plan) -> bool:
        """Decide for every open task, and tell whether to look again at once."""
        if self.host_pair.new_ones(self.sides):
            return False
        trouble = self._no_contact()
        if trouble is None:
            return self._decide_all(plan)
        if self._is_hopeless(trouble):
            self._end_all(lambda _: _failed_by(trouble))
        for task in self._open:
            task.why = str(trouble)
            self._reporter.report(task.name, Wait(str(trouble)))
        return False

    def _decide_all(self, plan: Plan) -> bool:
        look_again = False
        for task in self._open:
            seen = observe_vm(
                self._context.config,
                self.host_pair.names,
                task.name,
                self.snapshots,
                maintenance=self._context.in_maintenance(Kind.VM, task.name),
            )
            step = self._vm_locks.refusal(task) or task.next(seen, self.snapshots, self._moment())
            self._reporter.report(task.name, step)
            if seen.owner is Place.PEER and not isinstance(step, Done | Fail):
                self._ask_peer_too()
            if isinstance(step, Done | Fail):
                self._finish(task, step)
            elif isinstance(step, Look):
                look_again = look_again or self.snapshots.peer is None
                self._ask_peer_too()
            elif isinstance(step, Act) and self._context.dry:
                self._finish(task, Done(f"next: {step.words}: {step.why}"))
            elif isinstance(step, Wait) and self._context.dry:
                self._finish(task, Done(f"next: wait: {step.why}"))
            elif isinstance(step, Act) and not self._is_held_back(task, step):
                plan.add(task, step, seen, self.snapshots)
        return bool(plan) or look_again

    def _is_held_back(self, task: Task, step: Act) -> bool:
        """Tell whether the step has just been issued, or is under way."""
        now = self._context.clock.monotonic()
        return task.is_held_back(step, now) or self.host_pair.acts.is_under_way(task.name, step.do)

    def _ask_peer_too(self) -> None:
        if Side.PEER not in self.sides:
            self.sides.append(Side.PEER)

    def _moment(self) -> Moment:
        return Moment(self._context.clock.monotonic(), self._deadline.remaining())

    def _finish(self, task: Task, end: Done | Fail) -> None:
        task.end = end
        self._vm_locks.release(task)

    def _no_contact(self) -> HostError | None:
        """Return the trouble if no host that could decide anything was seen."""
        needed = [self.snapshots.local] if self._starts else [self.snapshots.local, self.snapshots.peer]
        troubles = [answer for answer in needed if isinstance(answer, HostError)]
        if len(troubles) < len(needed):
            self._has_answered = True
            return None
        return troubles[0]

    def _is_hopeless(self, trouble: HostError) -> bool:
        if self._has_answered:
            return False
        waited = self._context.clock.monotonic() - self._began
        return isinstance(trouble, HostKeyRefused | LoginRefused) or waited >= self._patience

    def _end_all(self, end_of: Callable[[Task], Fail]) -> None:
        for task in self._open:
            end = end_of(task)
            self._reporter.report(task.name, end)
            self._finish(task, end)


def _failed_by(trouble: HostError) -> Fail:
    return Fail(trouble.exit, trouble.what, trouble.seen, trouble.remedy)


class _VmLocks:
    """The locks of a run's VMs, each asked for until it is held."""

    def __init__(self, context: RunContext, tasks: Sequence[Task]) -> None:
        self._context = context
        self._locks: dict[str, Lock] = {
            task.name: context.locks.start(task.name) if task.is_start else context.locks.stop(task.name)
            for task in tasks
        }
        self._held: set[str] = set()

    def refusal(self, task: Task) -> Step | None:
        """Return why a task may not go on now; None if it may."""
        if self._context.dry:
            return None
        try:
            if task.name not in self._held:
                if not self._locks[task.name].acquire():
                    return Wait(f"another run works on {task.name}: {self._locks[task.name].holder()}")
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
        self._locks[task.name].release()

    def release_all(self) -> None:
        """Let go of every lock."""
        for lock in self._locks.values():
            lock.release()
