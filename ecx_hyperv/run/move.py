"""A move of the failover group: ordered from ECX, and watched to its end; nothing is done to a host or VM here.

The order is given in a thread: the clpgrp of ECX may return only once the move is over. It runs apart from the
terminal, so that Ctrl-C, which ends the watching, does not reach it.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Observation, Side
from ecx_hyperv.decide.move import MoveFacts
from ecx_hyperv.decide.move_watch import MoveEnd, MoveMoment, OrderState, judge
from ecx_hyperv.decide.states import Doing, VmKind
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.commands import Runner
from ecx_hyperv.errors import LocalError
from ecx_hyperv.exits import Exit
from ecx_hyperv.host import setting_queries
from ecx_hyperv.host.identity import MACHINE
from ecx_hyperv.host.link import Answered, Ask
from ecx_hyperv.host.lookups import find_resource
from ecx_hyperv.host.queries import Answers
from ecx_hyperv.host.rows import VmRow
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.host.wire import Request
from ecx_hyperv.run.acts import Plan
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.look import HostPair
from ecx_hyperv.run.move_look import observe

_CLPSTAT_S = 10.0
# How far a migration is adorns a line that is shown without it as well. It is told in such steps.
_PROGRESS_S = 5.0
_PERCENT_STEP = 10
# Two clocks, and the time that an answer takes: a guest that was not restarted has at least this much less uptime.
_SLACK_INTERVALS = 10


@dataclass(slots=True)
class MoveOrder:
    """The command that orders the move, as far as it is."""

    state: OrderState = OrderState.RUNNING
    said: str = ""

    def give(self, run: Runner, command: Sequence[str], seconds: float) -> None:
        """Give the order without waiting for its end."""
        threading.Thread(target=self._run, args=(run, command, seconds), daemon=True, name="clpgrp").start()

    def _run(self, run: Runner, command: Sequence[str], seconds: float) -> None:
        try:
            done = run(command, seconds)
        except LocalError as error:
            self.said, self.state = str(error), OrderState.FAILED
            return
        said = f"{done.text}\n{done.stderr.decode('utf-8', 'replace')}".split()
        self.said = " ".join([*said, "" if done.code == 0 else f"(exit {done.code})"]).strip()
        self.state = OrderState.DONE if done.code == 0 else OrderState.FAILED


@dataclass(slots=True)
class _VmTrack:
    """What was seen of a VM while its group moved: when its uptime was first and last told, and what it was."""

    first: tuple[float, float] | None = None
    last: tuple[float, float] | None = None

    def note(self, now: float, uptime: float) -> None:
        if self.first is None:
            self.first = (now, uptime)
        self.last = (now, uptime)

    def was_stopped(self, slack: float) -> bool:
        """Tell whether the guest was started anew since it was first seen."""
        if self.first is None or self.last is None:
            return False
        return self.last[1] < self.first[1] + (self.last[0] - self.first[0]) - slack


@dataclass(slots=True)
class MovePicture:
    """What the last look of a watch showed, for a person: how many VMs are there, and what the others do."""

    status: str = ""
    current: str = ""
    there: int = 0
    count: int = 0
    others: dict[str, str] = field(default_factory=dict)

    def in_words(self, facts: MoveFacts) -> str:
        """Say where group and VMs are."""
        where = f" on {self.current}" if self.current else ""
        parts = [f"{facts.group} {self.status or 'not told'}{where}"]
        if self.count:
            parts.append(f"{self.there} of {self.count} VMs on {facts.target_host.name}")
        return "; ".join([*parts, *(f"{vm} {what}" for vm, what in self.others.items())])


class Mover:
    """One move; `picture` is what was seen last."""

    def __init__(self, context: RunContext, facts: MoveFacts, deadline: Deadline) -> None:
        self._context = context
        self._facts = facts
        self._deadline = deadline
        self._clock = context.clock
        self._names = [vm.name for vm in facts.vms]
        self._host_pair = HostPair(context, self._names, paced=True)
        self._target = Side.LOCAL if facts.target == context.pair.local.name else Side.PEER
        self._source = self._target.other
        self._tracks = {name: _VmTrack() for name in self._names}
        self.picture = MovePicture()
        self._since = self._began = self._clock.monotonic()
        self._has_left = False
        # Before that nothing goes on by itself.
        self.is_ordered = False
        # The VMs of which nobody can say that they ran on: their uptime was not told before the order.
        self.untold: tuple[str, ...] = ()

    @property
    def elapsed(self) -> float:
        """Return for how many seconds the move has been under way."""
        return self._clock.monotonic() - self._began

    def go(self, run: Runner, command: Sequence[str], show: Callable[[float, str], None]) -> MoveEnd:
        """Order the move, watch it to its end, and say how it ended; `show` is told what changes."""
        self._look()
        self.untold = tuple(name for name, track in self._tracks.items() if track.first is None)
        order = MoveOrder()
        self._since = self._began = self._clock.monotonic()
        self.is_ordered = True
        order.give(run, command, self._deadline.remaining() + _CLPSTAT_S)
        shown = ""
        while True:
            missing = self._look()
            words = self.picture.in_words(self._facts)
            if words != shown:
                show(self.elapsed, words)
                shown = words
            end = judge(self._facts, self._moment(order, missing), self._context.config.timing.settle)
            if end is not None:
                return self._with_vms(end)
            self._clock.sleep(self._context.config.timing.interval)

    def _moment(self, order: MoveOrder, missing: Sequence[str]) -> MoveMoment:
        return MoveMoment(
            status=self.picture.status,
            current=self.picture.current,
            order=order.state,
            said=order.said,
            lasted_s=self._clock.monotonic() - self._since,
            has_left=self._has_left,
            missing=missing,
            is_late=self._deadline.has_passed,
        )

    def _look(self) -> list[str]:
        """Look at group and VMs, and return the VMs that do not run on the target's host."""
        before = (self.picture.status, self.picture.current)
        status, current = self._group()
        if (status, current) != before:
            self._since = self._clock.monotonic()
        at_source = status == "Online" and current.casefold() == self._facts.source.casefold()
        self._has_left = self._has_left or (bool(status) and not at_source)
        snapshots = self._host_pair.act_and_observe(tuple(Side), Plan(), self._deadline.within(_CLPSTAT_S))
        seen = {name: observe(self._context, self._host_pair, name, snapshots) for name in self._names}
        for name in self._names:
            self._note(name, snapshots)
        missing = [name for name, one in seen.items() if one.on(self._target).kind is not VmKind.RUNNING]
        told = {name: seen[name] for name in missing if not self._waits(seen[name])}
        percent = self._percent([name for name, one in told.items() if one.is_migrating_live], snapshots)
        others = {name: self._in_words(one, percent.get(name, 0)) for name, one in told.items()}
        self.picture = MovePicture(status, current, len(seen) - len(missing), len(seen), others)
        return missing

    def _percent(self, names: Sequence[str], snapshots: Snapshots) -> dict[str, int]:
        """Ask the host that the VMs leave how far each migration is; what is not told is left out.

        The node answers that owns the resource. A start, which has no time to lose, does not ask.
        """
        snapshot, of_pair = snapshots.snapshot(self._source), self._host_pair.identities
        found = (
            {} if snapshot is None else {one: find_resource(snapshot, of_pair.of(one), one, MACHINE) for one in names}
        )
        queries = {name: setting_queries.migration_progress(row.name) for name, row in found.items() if row is not None}
        if not queries:
            return {}
        ask = Ask(Request(calls=tuple(one.call for one in queries.values()), stop_on_error=False), _PROGRESS_S)
        came = self._context.hosts.exchange({self._source: [ask]}, self._deadline.within(_PROGRESS_S))
        for answer in came[self._source]:
            if isinstance(answer, Answered):
                answers = Answers(list(queries.values()), answer.reply.results)
                shares = {name: answers.of(query) for name, query in queries.items()}
                return {name: share for name, share in shares.items() if isinstance(share, int)}
        return {}

    def _waits(self, seen: Observation) -> bool:
        """Tell whether a VM runs on the source's host and nothing happens to it yet."""
        return seen.on(self._source).kind is VmKind.RUNNING and seen.on(self._source).doing is Doing.NOTHING

    def _group(self) -> tuple[str, str]:
        try:
            said = clpstat.ask(self._context.run, Deadline.after(self._clock, _CLPSTAT_S))
        except LocalError as error:
            self._context.log.debug("clpstat", because=str(error))
            return "", ""
        group = said.find_group(self._facts.group)
        return ("", "") if group is None else (group.status, group.current)

    def _note(self, name: str, snapshots: Snapshots) -> None:
        key = self._host_pair.identities.of(name).id
        for side in Side:
            snapshot = snapshots.snapshot(side)
            row = None if snapshot is None else snapshot.vm(key)
            if isinstance(row, VmRow) and row.state == "Running":
                self._tracks[name].note(self._clock.monotonic(), row.uptime)

    def _in_words(self, seen: Observation, percent: int) -> str:
        live = [side for side in Side if seen.on(side).is_live]
        if not live:
            shown = {seen.on(side).word or seen.on(side).kind.value for side in Side}
            return " or ".join(sorted(shown))
        where = " and ".join(f"{seen.on(side).word} on {seen.names.of(side)}" for side in live)
        moving = any(seen.on(side).doing is Doing.MIGRATING for side in live)
        # A property that is never filled stays 0, and one of the last migration may still be 100.
        step = percent // _PERCENT_STEP * _PERCENT_STEP
        share = f", {step} %" if 0 < step < 100 else ""
        return f"{where}, in live migration{share}" if moving else where

    def _with_vms(self, end: MoveEnd) -> MoveEnd:
        """Tell of VMs that were started anew: the move is over, but not as it was planned."""
        slack = self._context.config.timing.interval * _SLACK_INTERVALS
        stopped = [name for name, track in self._tracks.items() if track.was_stopped(slack)]
        if end.exit is not Exit.DONE or not stopped:
            return end
        return MoveEnd(
            Exit.NOT_AS_ASKED,
            f"{end.what}, but {', '.join(stopped)} was stopped on the way and started again",
            "its uptime began anew",
            "see the log of its resource on both EC-VMs",
        )
