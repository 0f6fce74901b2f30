"""The loop: observe, decide, act, until every VM of the run is done, has failed, or time is up.

A step's cmdlet travels in the same exchange as the next observation. Nothing is concluded from how a cmdlet ended, a
lost reply included, but how often it may be tried again: what became of it, the next observation tells.

Hosts that cannot be asked are given [timing] patience, since most of what keeps them from answering heals by itself
(D8: a stop gave up after a login that was refused for 2 s). An EC-VM that was frozen in the middle of a run, saved or
paused, does no more in that run: another run may have begun elsewhere meanwhile.
"""

from collections.abc import Callable, Sequence

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Identity, Observation, Place, Side
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Step, Wait
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.errors import HostError, HostKeyRefused, NoCommonAlgorithm
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.identity import for_a_stop
from ecx_hyperv.host.situation import observe_vm
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.run.acts import Plan
from ecx_hyperv.run.context import RunContext, StepReporter
from ecx_hyperv.run.look import HostPair
from ecx_hyperv.run.tasks import Moment, Task
from ecx_hyperv.run.vm_locks import VmLocks

# A dry run looks so often before it says what it waits for: a step that takes two looks is no wait.
_DRY_LOOKS = 3


class Loop:
    """One run over several VMs; each task's `end` says how it ended, `snapshots` what was seen last."""

    def __init__(self, context: RunContext, tasks: Sequence[Task], deadline: Deadline) -> None:
        self._context = context
        self.tasks = [*tasks]
        self._deadline = deadline
        self._starts = all(task.is_start for task in tasks)
        self._vm_locks = VmLocks(context, tasks)
        self._reporter = StepReporter(context)
        self._answered_at = context.clock.monotonic()
        self._has_answered = False
        self._looks = 0
        # The VMs whose live migration was handed over, whether or not an answer came.
        self._migrating: set[str] = set()
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
                # The last look is let go before the next one comes: a host may answer with megabytes.
                self.snapshots = Snapshots(None, None)
                self.snapshots = self.host_pair.act_and_observe(self.sides, plan, self._deadline)
                self._looks += 1
                plan = Plan()
                if self._was_frozen():
                    self._end_all(lambda _: _FROZEN)
                elif self._deadline.has_passed:
                    self._end_late()
                elif not self._turn(plan) and self._open:
                    self.host_pair.rest(self._context.config.timing.interval, self._deadline)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._what_goes_on()) from None
        finally:
            self.host_pair.acts.abandon()
            self._vm_locks.release_all()

    def _what_goes_on(self) -> str:
        """Say what Ctrl-C does not end, where the VMs will be, and what ECX will make of it; empty if nothing."""
        moving = [task.name for task in self._open if task.name in self._migrating]
        if not moving:
            return ""
        host, peer = self.host_pair.names.local, self._context.pair.peer.name
        return (
            f"the live migration of {', '.join(moving)} goes on by itself, and ends on {host}. Where the group is on"
            f" this EC-VM, ECX finds it well there; where the group is on {peer}, genw-vm calls it failed there, and"
            " ECX moves the group here. ecx-hyperv status shows how far it is; run this again to watch it"
        )

    def _end_late(self) -> None:
        trouble = self._no_contact()
        if trouble is not None and not self._has_answered:
            self._end_all(lambda _: _failed_by(trouble))
        else:
            self._end_all(lambda task: task.out_of_time())

    @property
    def _open(self) -> list[Task]:
        return [task for task in self.tasks if task.end is None]

    def _was_frozen(self) -> bool:
        return any(self._context.hosts.was_frozen(side) for side in self.sides)

    def _turn(self, plan: Plan) -> bool:
        """Decide for every open task, and tell whether to look again at once."""
        if self.host_pair.new_ones(self.sides):
            return False
        trouble = self._no_contact()
        if trouble is None:
            self._answered_at = self._context.clock.monotonic()
            return self._decide_all(plan)
        if self._is_hopeless(trouble):
            self._end_all(lambda task: task.without_contact(_failed_by(trouble)))
        for task in self._open:
            task.why = str(trouble)
            self._reporter.report(task.name, Wait(str(trouble)))
        return False

    def _decide_all(self, plan: Plan) -> bool:
        look_again = False
        for task in self._open:
            look_again = self._decide(task, plan) or look_again
        return bool(plan) or look_again

    def _decide(self, task: Task, plan: Plan) -> bool:
        """Decide for one task, and tell whether to look again at once."""
        seen = self._observe(task)
        moment = self._moment()
        identity = self.host_pair.identities.of(task.name)
        step = self._vm_locks.refusal(task, moment.remaining) or task.next(seen, self.snapshots, identity, moment)
        is_first = self._looks < _DRY_LOOKS
        if self._context.dry and isinstance(step, Wait) and is_first:
            return False
        if not self._context.dry or isinstance(step, Done | Fail):
            # What a dry run finds is a plan, which is shown as one: nothing of it was done.
            self._reporter.report(task.name, step)
        if seen.owner is Place.PEER and not isinstance(step, Done | Fail):
            self._ask_peer_too()
        if isinstance(step, Done | Fail):
            self._finish(task, step)
        elif isinstance(step, Look):
            self._ask_peer_too()
            return self.snapshots.peer is None
        elif self._context.dry:
            return self._foresee(task, seen, step)
        elif isinstance(step, Act) and not self._is_held_back(task, step):
            plan.add(task, step, seen, identity)
            if step.do is Do.MIGRATE_LIVE:
                self._migrating.add(task.name)
        # What was learnt only now, an id above all, is asked for at once.
        return self.host_pair.has_news and isinstance(step, Wait)

    def _foresee(self, task: Task, seen: Observation, step: Step) -> bool:
        """End a task of a dry run with what the run would come to; as done where that cannot be told.

        Tell whether to look again at once: a run that would look at the peer host on its way has that looked at now.
        """
        foreseen = task.foresee(seen, step)
        asks_peer = seen.owner is Place.PEER or isinstance(foreseen.steps[-1], Look)
        if asks_peer and self.snapshots.peer is None:
            self._ask_peer_too()
            return True
        task.foreseen, end = foreseen, foreseen.end
        if isinstance(end, Fail):
            # Told as the run itself will tell it; what would be done is no news yet.
            self._reporter.report(task.name, end)
        self._finish(task, end or Done(f"what follows for {task.name} depends on what is seen then"))
        return False

    def _observe(self, task: Task) -> Observation:
        identities = self.host_pair.identities
        if not task.is_start and identities.of(task.name).identity is Identity.AMBIGUOUS:
            self._split(task)
        return observe_vm(
            self._context.config,
            self.host_pair.names,
            task.name,
            self.snapshots,
            identities.of(task.name),
            maintenance=self._context.in_maintenance(Kind.VM, task.name),
            since=task.last_act,
        )

    def _split(self, task: Task) -> None:
        """Have a stop bring down every VM that may be meant: it never fails for an ambiguity."""
        found = self.host_pair.identities.of(task.name)
        first, *others = for_a_stop(found)
        self._context.log.error(found.lacks, vm=task.name, stopped=", ".join((first, *others)))
        self.host_pair.identities.pin(task.name, first)
        for key in others:
            more = task.for_another(f"{task.name} ({key})")
            self.host_pair.identities.fix(more.name, task.name, key)
            self.tasks.append(more)

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
        """Tell whether no host will answer: neither a key nor what an sshd takes becomes another by waiting."""
        hopeless = HostKeyRefused | NoCommonAlgorithm
        if self._starts and not self._has_answered and isinstance(trouble, hopeless):
            return True
        return self._context.clock.monotonic() - self._answered_at >= self._context.config.timing.patience

    def _end_all(self, end_of: Callable[[Task], Fail | Done]) -> None:
        for task in self._open:
            end = end_of(task)
            self._reporter.report(task.name, end)
            self._finish(task, end)


def leave_ec_vm(context: RunContext, task: Task) -> bool:
    """End the task of a [[vm]] that is an EC-VM, which no step is for, and tell whether it is one (D20)."""
    node = context.config.find_ec_vm(task.name)
    if node is not None:
        task.end = Done(f"{task.name} is the EC-VM of {node.name}: it is left as it is", stays=True)
        context.log.warning(task.end.how, vm=task.name)
    return node is not None


_FROZEN = Fail(
    Exit.OUT_OF_TIME,
    "this run does no more: the EC-VM stood still for 30 s or longer",
    "the host's clock ran on while this EC-VM's stood still: it was saved, paused or moved, or its host stalled",
    "run it again, once it is certain on which EC-VM the group is active",
)


def _failed_by(trouble: HostError) -> Fail:
    return Fail(trouble.exit, trouble.summary, trouble.seen, trouble.remedy)
