"""What a run does to the hosts: planned by the tasks, sent once for all who want it, its outcome noted when it comes.

What returns at once goes in front of the next look, in its session. What returns only once it is done goes in a
session of its own, one request a VM, and is not waited for: a cmdlet that hangs keeps no look from being made, and
uses up nobody else's attempts. A VM whose act hung is acted on in a session of its own from then on; what waits behind
such an act is taken back, unsent, and goes in a fresh one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Observation, Side
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.steps import Act, Do
from ecx_hyperv.errors import HostError
from ecx_hyperv.host.actions import SHUTDOWNS, Action, ActOutcome, action_for, outcome_of
from ecx_hyperv.host.identity import VmIdentity
from ecx_hyperv.host.link import ACTS, Ask, Exchanged, Pending
from ecx_hyperv.host.wire import RemoteError, Request, Result
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.tasks import Task

# What is noted of a step whose answer did not come: it may have been carried out, or not.
_UNKNOWN = RemoteError(message="its answer did not come", id="NoAnswer")
# What a cmdlet may take that is told not to wait.
FRONT_S = 15.0
# An act that has taken so many intervals hangs, as far as those behind it are concerned.
_STALLED_INTERVALS = 2
# So many fresh sessions at most: each is a PowerShell, and a channel of those that sshd grants (MaxSessions).
_MOST_STALLED = 3


class ActionTarget(Protocol):
    """What an action is performed for: a VM's task, or a volume's; `name` is the VM's, or the volume's."""

    name: str

    def issued(self, do: Do, now: float, error: RemoteError | None) -> None:
        """Take note of a step that was sent, and of its error, or that its outcome is unknown."""

    def answered(self, do: Do, now: float, outcome: ActOutcome) -> None:
        """Take note of what became of a step that was issued before its outcome was known."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An action, and who wants it: several VMs need their common volume brought online but once."""

    action: Action
    targets: list[ActionTarget]


class Plan:
    """What a look is to perform before it observes."""

    def __init__(self) -> None:
        self._planned: dict[tuple[Side, str], Planned] = {}

    def __bool__(self) -> bool:
        return bool(self._planned)

    def add(self, task: Task, step: Act, seen: Observation, identity: VmIdentity) -> None:
        """Add a step's action, once for all the tasks that want it; nothing is done to a VM whose id is not known."""
        action = action_for(step, seen, identity)
        if action is None:
            task.cannot(step.do)
        else:
            self.put(task, action)

    def put(self, target: ActionTarget, action: Action) -> None:
        """Add an action, once for all who want it."""
        planned = self._planned.setdefault((action.side, repr(action.call)), Planned(action, []))
        planned.targets.append(target)

    def on(self, side: Side, *, blocks: bool) -> list[Planned]:
        """Return what is planned on a host: what returns only once it is done, or the rest."""
        return [
            planned
            for planned in self._planned.values()
            if planned.action.side is side and planned.action.do.value.blocks is blocks
        ]


@dataclass(slots=True, eq=False)
class _UnderWay:
    """An act that was sent and is not over."""

    side: Side
    planned: Planned
    session: str
    pending: Pending


class Acts:
    """The acts of a run, and what became of them."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._under_way: list[_UnderWay] = []
        # The VMs whose act hung, by host, and how many sessions of a host one of them has stalled.
        self._hung: set[tuple[Side, str]] = set()
        self._stalled: dict[Side, int] = {}
        # When a session of a host last had an act sent or answered.
        self._moved: dict[tuple[Side, str], float] = {}
        # When anything was last done: what was asked before says nothing about now.
        self.last = float("-inf")

    @property
    def pendings(self) -> list[Pending]:
        """Return the acts that are not over."""
        return [one.pending for one in self._under_way]

    def front(self, side: Side, plan: Plan, session: str, deadline: Deadline) -> list[Ask]:
        """Return the request that stands in front of a look, if anything is planned that returns at once."""
        planned = plan.on(side, blocks=False)
        if not planned:
            return []
        self.last = self._context.clock.monotonic()
        calls = tuple(one.action.call for one in planned)
        request = Request(calls=calls, stop_on_error=False)
        return [Ask(request, FRONT_S, session, until=deadline.end)]

    def note_front(self, planned: Sequence[Planned], outcome: Exchanged | None) -> None:
        """Take note of what became of the request in front of a look; None if it did not answer in time."""
        if outcome is None or isinstance(outcome, HostError):
            what = "it did not answer in time" if outcome is None else outcome.what
            for one in planned if outcome is None or outcome.may_have_been_done else ():
                self._issued(one, _UNKNOWN, f"outcome unknown: {what}")
            return
        results: list[Result | None] = [*outcome.reply.results]
        results += [None] * (len(planned) - len(results))
        for one, result in zip(planned, results, strict=False):
            if result is None:
                self._issued(one, _UNKNOWN, "outcome unknown: no result of it")
                continue
            came = outcome_of(one.action.do, result)
            if came.was_made:
                self._issued(one, came.error, "" if came.error is None else f"refused: {came.error}")
            else:
                self._told(one, f"not done: {came.error}")

    def send(self, side: Side, plan: Plan, deadline: Deadline) -> None:
        """Send what returns only once it is done, without waiting for it."""
        now = self._context.clock.monotonic()
        planned = plan.on(side, blocks=True)
        if not planned:
            return
        self.last = now
        asks = [self._ask(side, one, deadline) for one in planned]
        for one, ask, pending in zip(planned, asks, self._context.hosts.send(side, asks, deadline), strict=True):
            self._under_way.append(_UnderWay(side, one, ask.session, pending))
            self._moved.setdefault((side, ask.session), now)
            for target in one.targets:
                target.issued(one.action.do, now, None)

    def is_under_way(self, name: str, do: Do) -> bool:
        """Tell whether that is being done for a VM just now."""
        return any(
            one.planned.action.do is do and name in [target.name for target in one.planned.targets]
            for one in self._under_way
        )

    def abandon(self) -> None:
        """Have nothing more be sent: the run is over."""
        for one in self._under_way:
            one.pending.take_back()

    def collect(self) -> None:
        """Take note of every outcome that has come."""
        now = self._context.clock.monotonic()
        for one in [*self._under_way]:
            if one.pending.outcome() is not None:
                self._moved[one.side, one.session] = now
        self._unblock(now)
        over = [one for one in self._under_way if one.pending.outcome() is not None]
        self._under_way = [one for one in self._under_way if one not in over]
        for one in over:
            self._note(one)
        for key in {*self._moved} - {(one.side, one.session) for one in self._under_way}:
            del self._moved[key]

    def _unblock(self, now: float) -> None:
        """Take back what was not sent since a session stalls, and let the next ones go in a fresh one."""
        limit = self._context.config.timing.interval * _STALLED_INTERVALS
        for side, session in [key for key, moved in self._moved.items() if now - moved > limit]:
            waiting = [one for one in self._under_way if (one.side, one.session) == (side, session)]
            stalled = self._stalled.get(side, 0)
            is_last = session == self._session(side) and stalled >= _MOST_STALLED
            if not waiting or is_last:
                continue
            self._hung |= {(side, target.name) for target in waiting[0].planned.targets}
            if session == self._session(side):
                self._stalled[side] = stalled + 1
            for one in waiting[1:]:
                one.pending.take_back()

    def _session(self, side: Side) -> str:
        stalled = self._stalled.get(side, 0)
        return f"{ACTS} {stalled + 1}" if stalled else ACTS

    def _ask(self, side: Side, planned: Planned, deadline: Deadline) -> Ask:
        name = planned.targets[0].name
        session = f"{ACTS} of {name}" if (side, name) in self._hung else self._session(side)
        request = Request(calls=(planned.action.call,))
        return Ask(request, self._context.config.timing.settle, session, until=deadline.end)

    def _note(self, one: _UnderWay) -> None:
        outcome, do = one.pending.outcome(), one.planned.action.do
        trouble = ""
        if isinstance(outcome, HostError) or outcome is None:
            made = outcome is None or outcome.may_have_been_done
            came = ActOutcome(_UNKNOWN, made, ShutdownAnswer.UNKNOWN if made and do in SHUTDOWNS else None)
            trouble = f"{'outcome unknown' if made else 'not done'}: {'' if outcome is None else outcome.what}"
            if made:
                self._hung |= {(one.side, target.name) for target in one.planned.targets}
        elif not outcome.reply.results:
            came = ActOutcome(_UNKNOWN, shutdown=ShutdownAnswer.UNKNOWN if do in SHUTDOWNS else None)
            trouble = "outcome unknown: no result of it"
        else:
            came = outcome_of(do, outcome.reply.results[0])
            if came.error is not None:
                trouble = f"{'refused' if came.was_made else 'not done'}: {came.error}"
            elif came.shutdown is not None and not came.shutdown.was_asked:
                trouble = f"refused: {came.shutdown.value}"
        now = self._context.clock.monotonic()
        for target in one.planned.targets:
            target.answered(do, now, came)
        if trouble:
            self._told(one.planned, trouble)

    def _issued(self, planned: Planned, error: RemoteError | None, trouble: str) -> None:
        now = self._context.clock.monotonic()
        for target in planned.targets:
            target.issued(planned.action.do, now, error)
        if trouble:
            self._told(planned, trouble)

    def _told(self, planned: Planned, trouble: str) -> None:
        for target in planned.targets:
            self._context.log.warning(f"{planned.action.do.words}: {trouble}", vm=target.name)
