"""After a stop: the Shared Volumes of the VMs that are off now, each taken offline if nothing else may be on it."""

from collections.abc import Sequence

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.steps import Act, Done, Look
from ecx_hyperv.errors import LocalError
from ecx_hyperv.host import cmdlets
from ecx_hyperv.host.actions import Action
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.host.volumes import observe_volume, to_place, volumes_of
from ecx_hyperv.run.acts import Plan
from ecx_hyperv.run.context import RunContext, StepReporter
from ecx_hyperv.run.look import HostPair
from ecx_hyperv.run.stop_task import VolumeTask


class VolumeLoop:
    """Goes on from what a stop saw last; `off` are the VMs that it found or brought off."""

    def __init__(
        self, context: RunContext, host_pair: HostPair, snapshots: Snapshots, off: Sequence[str], deadline: Deadline
    ) -> None:
        self._context = context
        self._host_pair = host_pair
        self._snapshots = snapshots
        self._off = off
        self._deadline = deadline
        self._reporter = StepReporter(context)
        self._volumes_of: set[str] = set()
        # Every configured VM is asked about, on both hosts: one that nobody listed as a user is not absent.
        host_pair.identities.add([vm.name for vm in context.config.vm])
        names = volumes_of(context.config, off, snapshots, host_pair.identities.known)
        self._tasks = [VolumeTask(csv, context.config.timing) for csv in names]

    def go(self) -> list[Done]:
        """Carry every volume to its end, and say how each ended; a volume never fails a stop."""
        self._look(Plan())
        while True:
            self._leave_what_is_late()
            plan, look_again = self._decide_all()
            if not self._open:
                return [task.end for task in self._tasks if task.end is not None]
            if not plan and not look_again:
                self._deadline.sleep(self._context.config.timing.interval)
            self._look(plan)

    def _look(self, plan: Plan) -> None:
        both, volumes_of = (Side.LOCAL, Side.PEER), tuple(sorted(self._volumes_of))
        self._snapshots = self._host_pair.observe(both, self._deadline, plan=plan, volumes_of=volumes_of)

    @property
    def _open(self) -> list[VolumeTask]:
        return [task for task in self._tasks if task.end is None]

    def _leave_what_is_late(self) -> None:
        """Leave every volume once the time is over, or once the EC-VM stood still: others may use them by now."""
        if any(self._context.hosts.was_frozen(side) for side in Side):
            why = "is left as it is: the EC-VM stood still for 30 s or longer"
        elif self._deadline.has_passed:
            why = "was not taken offline in time"
        else:
            return
        for task in self._open:
            task.end = Done(f"{task.name} {why}", warn=True)
            self._reporter.report(task.name, task.end)

    def _decide_all(self) -> tuple[Plan, bool]:
        plan, look_again = Plan(), False
        for task in self._open:
            seen = observe_volume(
                self._context.config,
                task.name,
                self._snapshots,
                self._host_pair.identities.known,
                self._off,
                self._started_here(),
            )
            step = task.next(seen, self._context.clock.monotonic())
            self._reporter.report(task.name, step)
            if isinstance(step, Look):
                look_again = self._want_volumes() or look_again
            elif isinstance(step, Act):
                plan.put(task, Action(step.do, step.side, cmdlets.stop_resource(task.name)))
        return plan, look_again

    def _want_volumes(self) -> bool:
        observer = self._snapshots.observer
        snapshot = None if observer is None else self._snapshots.snapshot(observer)
        if snapshot is None:
            return False
        wanted = set(to_place(snapshot))
        news = wanted - self._volumes_of
        self._volumes_of |= wanted
        return bool(news)

    def _started_here(self) -> list[str]:
        others = [vm.name for vm in self._context.config.vm if vm.name not in self._off]
        try:
            locks = self._context.locks
            return [vm for vm in others if locks.is_busy(vm) and not locks.is_stopping(vm)]
        except LocalError:
            return []
