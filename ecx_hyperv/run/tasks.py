"""A start or stop of one VM, as a run carries it along: what it has tried, and what that lets it decide next."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from ecx_hyperv.config import Timing
from ecx_hyperv.decide import start, unregister, volume
from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import Observation, Refusal, Side
from ecx_hyperv.decide.states import ResourceKind
from ecx_hyperv.decide.steps import Act, Counted, Do, Done, Fail, Retry, Step, Timer
from ecx_hyperv.decide.volume import VolumeObservation
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.actions import ActOutcome
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.situation import Snapshots, refusal_of, refusal_seen
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.counters import Counter, Stopwatch


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is decided; seconds of the clock, and seconds left."""

    now: float
    remaining: float


class Task(ABC):
    """One VM's way through a run."""

    # A start decides from the local host, whatever the peer; a stop from whichever host answers.
    is_start: ClassVar[bool]

    def __init__(self, vm: str, timing: Timing) -> None:
        self.name = vm
        self.timing = timing
        self.end: Done | Fail | None = None
        self.why = "nothing was seen yet"
        self._last: dict[Do, float] = {}
        self._counters: dict[Counted, Counter] = {}

    def next(self, seen: Observation, snapshots: Snapshots, moment: Moment) -> Step:
        """Decide; a step that has just been tried is not tried again before the interval is over."""
        step = self.decide(seen, snapshots, moment)
        if isinstance(step, Done | Fail):
            self.end = step
        else:
            self.why = step.why
        return step

    def is_held_back(self, step: Act, now: float) -> bool:
        """Tell whether the step was issued less than an interval ago."""
        return now - self._last.get(step.do, float("-inf")) < self.timing.interval

    def issued(self, do: Do, now: float, error: RemoteError | None) -> None:
        """Take note of a step that was sent, and of its error; its outcome may be unknown."""
        self._last[do] = now
        counter = None if do.value.counted is None else self._counters.get(do.value.counted)
        if counter is not None:
            counter.add(now)
        self.note(do, now, error)

    def answered(self, do: Do, now: float, outcome: ActOutcome) -> None:
        """Take note of what became of a step that was issued before its outcome was known."""
        counter = None if do.value.counted is None else self._counters.get(do.value.counted)
        if counter is not None and not outcome.was_made:
            counter.take_back()
        self.note_outcome(do, now, outcome)

    @abstractmethod
    def note_outcome(self, do: Do, now: float, outcome: ActOutcome, /) -> None:
        """Take note of what an outcome means beyond its being counted."""

    @abstractmethod
    def decide(self, seen: Observation, snapshots: Snapshots, moment: Moment, /) -> Step:
        """Return the next step."""

    @abstractmethod
    def note(self, do: Do, now: float, error: RemoteError | None, /) -> None:
        """Take note of what a step that was sent means beyond its being counted."""

    @abstractmethod
    def out_of_time(self) -> Fail:
        """Say how the task ends that has reached the deadline."""


class StartTask(Task):
    """A VM that is to run on the local host."""

    is_start = True

    def __init__(self, vm: str, timing: Timing) -> None:
        super().__init__(vm, timing)
        pause = timing.interval * 5
        limited = (Counted.STARTS, Counted.CLEARS, Counted.REGISTRATIONS, Counted.MIGRATIONS)
        self._counters = {counted: Counter(pause) for counted in limited}
        self._counters[Counted.PORTAL] = Counter(pause, allowed=None)
        self._csv_start_sent = False
        self._was_home = False
        self._refused = Refusal.NOTHING
        self._seen: Observation | None = None
        self._refused_before = Refusal.NOTHING
        self._lasting = Stopwatch(
            {
                Timer.AT_HOME: timing.settle,
                Timer.PEER_CRITICAL: timing.critical,
                Timer.PEER_TRANSITIONAL: timing.settle,
                Timer.PEER_SILENT: timing.isolated,
                Timer.ODD: timing.settle,
            }
        )

    def decide(self, seen: Observation, snapshots: Snapshots, moment: Moment, /) -> Step:
        """Return the next step."""
        now = moment.now
        self._seen = seen
        if seen.csv is ResourceKind.ONLINE:
            self._csv_start_sent = False
        tried = StartAttempts(
            starts=self._counters[Counted.STARTS].look(now),
            clears=self._counters[Counted.CLEARS].look(now),
            registrations=self._counters[Counted.REGISTRATIONS].look(now),
            migrations=self._counters[Counted.MIGRATIONS].look(now),
            portal=self._counters[Counted.PORTAL].look(now),
            csv_start_sent=self._csv_start_sent,
            was_home=self._was_home,
            refused=self._refusal(seen, snapshots.snapshot(Side.LOCAL), now),
            over=self._lasting.update(start.timers(seen), now),
        )
        self._was_home = self._was_home or start.is_home(seen, moved=self._counters[Counted.MIGRATIONS].count > 0)
        return start.decide(seen, tried)

    def note(self, do: Do, _now: float, error: RemoteError | None, /) -> None:
        """Take note of what a step that was sent means beyond its being counted."""
        if do in (Do.START_CSV, Do.MOVE_CSV):
            self._csv_start_sent = do is Do.START_CSV
        self._refused = Refusal.NOTHING if error is None else refusal_of(error)

    def note_outcome(self, _do: Do, _now: float, outcome: ActOutcome, /) -> None:
        """Take note of what an outcome means beyond its being counted."""
        is_refused = outcome.error is not None and outcome.was_made
        self._refused = refusal_of(outcome.error) if is_refused and outcome.error is not None else Refusal.NOTHING

    def out_of_time(self) -> Fail:
        """Say how the start ends that has reached the deadline."""
        return start.out_of_time(self.name, self._seen, self.why)

    def give_way(self) -> Fail:
        """Say how the start ends that finds a stop of the same VM beginning."""
        return Fail(
            Exit.NOT_AS_ASKED,
            f"{self.name} is not started",
            "a stop of it began while it was being started",
            "none, if the stop was meant; else start it again once the stop has ended",
        )

    def _refusal(self, seen: Observation, snapshot: HostSnapshot | None, now: float) -> Refusal:
        if self._refused is not Refusal.NOTHING or snapshot is None:
            return self._refused
        if any(refusal_of(error) is Refusal.DENIED for error in snapshot.errors()):
            return Refusal.DENIED
        # The cluster keeps the reason of the last failure: it counts only once this run has tried, and seen it fail.
        found = refusal_seen(self.name, snapshot)
        attempts = (self._counters[Counted.STARTS], self._counters[Counted.MIGRATIONS])
        if not any(counter.count for counter in attempts):
            self._refused_before = found
        # A VM that was moved while it was off brings along why it failed on the other host, until it runs again.
        is_old = found is self._refused_before and seen.machine is not ResourceKind.FAILED
        if is_old or seen.on_local.is_live:
            return Refusal.NOTHING
        tried = any(counter.count and counter.look(now) is not Retry.RECENT for counter in attempts)
        return found if tried and not seen.is_migrating else Refusal.NOTHING


class StopTask(Task):
    """A VM that is to be off and unregistered."""

    is_start = False

    def __init__(self, vm: str, timing: Timing, asked: unregister.StopRequest) -> None:
        super().__init__(vm, timing)
        pause = timing.interval * 5
        self._asked = asked
        self._stopping = False
        self._cancelled = False
        self._counters = {
            Counted.TURN_OFFS: Counter(pause, allowed=None),
            Counted.CLEARS: Counter(pause),
            Counted.MACHINE_STOPS: Counter(pause, allowed=None),
            Counted.REGISTRATIONS: Counter(timing.interval * 2, allowed=None),
        }
        self._seen: Observation | None = None
        self._over: frozenset[Timer] = frozenset()
        on_failover = asked.factor is unregister.Factor.GROUPFAILOVER
        self._lasting = Stopwatch(
            {
                Timer.BUSY: timing.settle,
                Timer.GRACE: timing.shutdown_on_failover if on_failover else timing.shutdown,
                Timer.OWNER_SILENT: timing.isolated,
                Timer.OFF: timing.leftover,
            }
        )

    def decide(self, seen: Observation, _snapshots: Snapshots, moment: Moment, /) -> Step:
        """Return the next step."""
        now = moment.now
        self._seen = seen
        tried = unregister.StopAttempts(
            stopping=self._stopping,
            stop=self._counters[Counted.SHUTDOWNS].look(now) if self._stopping else Retry.READY,
            turn_off=self._counters[Counted.TURN_OFFS].look(now),
            cancelled=self._cancelled,
            clears=self._counters[Counted.CLEARS].look(now),
            machine_stop=self._counters[Counted.MACHINE_STOPS].look(now),
            unregister=self._counters[Counted.REGISTRATIONS].look(now),
            hurry=moment.remaining <= self.timing.reserve,
            over=self._over,
        )
        self._over = self._lasting.update(unregister.timers(seen, tried), now)
        return unregister.decide(seen, self._asked, replace(tried, over=self._over))

    def note(self, do: Do, now: float, error: RemoteError | None, /) -> None:
        """Take note of what a step that was sent means beyond its being counted."""
        if do is Do.STOP_VM:
            self._stopping = True
            self._ask_again_after(float("inf") if error is None else self.timing.interval * 5, now)
        elif do is Do.CANCEL_MOVE:
            self._cancelled = True

    def note_outcome(self, do: Do, now: float, outcome: ActOutcome, /) -> None:
        """Take note of what an outcome means beyond its being counted."""
        if do is Do.STOP_VM:
            # A guest that took the request is not asked again; one that refused it is.
            was_asked = outcome.shutdown is not None and outcome.shutdown.was_asked
            self._ask_again_after(float("inf") if was_asked else self.timing.interval * 5, now)

    def _ask_again_after(self, pause: float, now: float) -> None:
        self._counters[Counted.SHUTDOWNS] = Counter(pause, allowed=None)
        self._counters[Counted.SHUTDOWNS].add(now)

    def out_of_time(self) -> Fail:
        """Say how the stop ends that has reached the deadline."""
        return unregister.out_of_time(self._seen, self.why)


class VolumeTask:
    """A Shared Volume that a stop may take offline."""

    def __init__(self, csv: str, timing: Timing) -> None:
        self.name = csv
        self.end: Done | None = None
        self._stops = Counter(timing.interval * 5, allowed=None)
        self._lasting = Stopwatch({Timer.OFF: timing.leftover})

    def next(self, seen: VolumeObservation, now: float) -> Step:
        """Decide."""
        step = volume.decide(seen, self._stops.look(now), self._lasting.update([Timer.OFF], now))
        if isinstance(step, Done):
            self.end = step
        return step

    def issued(self, _do: Do, now: float, _error: RemoteError | None) -> None:
        """Take note of a stop that was sent."""
        self._stops.add(now)

    def answered(self, _do: Do, _now: float, _outcome: ActOutcome) -> None:
        """Nothing that is done to a volume blocks."""
