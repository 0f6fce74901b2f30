"""A stop of one VM, and of a Shared Volume, as a run carries it along: what it has tried, and what follows."""

from dataclasses import replace

from ecx_hyperv.config import Timing
from ecx_hyperv.decide import foresee, unregister, volume
from ecx_hyperv.decide.facts import Observation
from ecx_hyperv.decide.foresee import Foreseen
from ecx_hyperv.decide.off import clear_proves_nothing
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.states import ResourceKind
from ecx_hyperv.decide.steps import Counted, Do, Done, Fail, Step, Timer
from ecx_hyperv.decide.stops import Factor, StopAttempts, StopRequest
from ecx_hyperv.decide.volume import VolumeObservation
from ecx_hyperv.host.actions import SHUTDOWNS, ActOutcome
from ecx_hyperv.host.identity import VmIdentity
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.counters import Counter, Stopwatch
from ecx_hyperv.run.tasks import GAP_S, Moment, Task

# Get-VM may repeat what it read up to 5 s before: two looks that rest on it alone lie this far apart.
GET_VM_AGE_S = 6.0


def _grace(timing: Timing, factor: Factor) -> float:
    return timing.shutdown_on_failover if factor is Factor.GROUPFAILOVER else timing.shutdown


def _spans(timing: Timing, factor: Factor) -> Stopwatch[Timer]:
    """Return how long what a stop waits for is to last."""
    grace = _grace(timing, factor)
    return Stopwatch(
        {
            Timer.BUSY: timing.settle,
            Timer.CANCELLED: timing.settle,
            Timer.CONTRADICTION: timing.settle,
            Timer.GRACE: grace,
            Timer.HALF_GRACE: grace / 2,
            Timer.TWICE_THE_GRACE: grace * 2,
            Timer.STARVED: grace / 2,
            Timer.RESUME_REFUSED: grace / 2,
            Timer.LEFT_RUNNING: grace,
            Timer.OWNER_SILENT: timing.isolated,
            Timer.OWNER_UNREADABLE: timing.patience,
            Timer.PEER_AWAY: timing.patience,
            Timer.OFF_TWICE: timing.interval,
            Timer.STOPPED_TWICE: timing.interval,
            Timer.BLIND_OFF: timing.settle,
            Timer.TURN_OFF_TWICE: GET_VM_AGE_S,
            Timer.OFF: timing.leftover,
        },
        summed=(Timer.STARVED,),
        watched=(Timer.OWNER_SILENT, Timer.OWNER_UNREADABLE, Timer.PEER_AWAY),
        gap=GAP_S,
    )


class StopTask(Task):
    """A VM that is to be off and unregistered."""

    is_start = False

    def __init__(self, vm: str, timing: Timing, asked: StopRequest) -> None:
        super().__init__(vm, timing)
        pause = timing.interval * 5
        self._asked = asked
        self._asked_once = False
        self._answer = ShutdownAnswer.UNASKED
        self._cancelled = False
        self._cleared = False
        self._machine_stopped = False
        self._counters = {
            # A guest that could not be asked at first is asked again within its grace, however short that is.
            Counted.SHUTDOWNS: Counter(min(pause, _grace(timing, asked.factor) / 3), allowed=None),
            Counted.STARTS: Counter(pause, allowed=None),
            Counted.PORTAL: Counter(pause, allowed=None),
            Counted.TURN_OFFS: Counter(pause, allowed=None),
            Counted.CLEARS: Counter(pause),
            Counted.MACHINE_STOPS: Counter(pause, allowed=None),
            Counted.REGISTRATIONS: Counter(timing.interval * 2, allowed=None),
        }
        self._seen: Observation | None = None
        self._tried = StopAttempts()
        # The last look in which the cluster said anything, or a guest was seen live: a look that tells nothing takes
        # nothing away from what this run had shown before.
        self._told: tuple[Observation | None, StopAttempts] = None, self._tried
        self._lasting = _spans(timing, asked.factor)

    def decide(self, seen: Observation, _snapshots: Snapshots, _identity: VmIdentity, moment: Moment, /) -> Step:
        """Return the next step."""
        now = moment.now
        self._seen = seen
        if seen.machine is ResourceKind.ONLINE or seen.is_live:
            self._cleared = False
        tried = StopAttempts(
            asked_once=self._asked_once,
            answer=self._answer,
            shutdown=self._counters[Counted.SHUTDOWNS].look(now),
            turn_off=self._counters[Counted.TURN_OFFS].look(now),
            resume=self._counters[Counted.STARTS].look(now),
            portal=self._counters[Counted.PORTAL].look(now),
            cancelled=self._cancelled,
            cleared=self._cleared,
            machine_stopped=self._machine_stopped,
            clears=self._counters[Counted.CLEARS].look(now),
            machine_stop=self._counters[Counted.MACHINE_STOPS].look(now),
            unregister=self._counters[Counted.REGISTRATIONS].look(now),
            unregistering=self._counters[Counted.REGISTRATIONS].count > 0,
            hurry=moment.remaining <= self.timing.reserve,
            over=self._tried.over,
        )
        over = self._lasting.update(unregister.timers(seen, self._asked, tried), now)
        self._tried = replace(tried, over=over)
        if seen.observer is not None or seen.is_live:
            self._told = seen, self._tried
        return unregister.decide(seen, self._asked, self._tried)

    def foresee(self, seen: Observation, step: Step) -> Foreseen:
        """Return what follows from the next step, if each step succeeds."""
        return foresee.of_stop(seen, step, self._asked)

    def note(self, do: Do, _now: float, _error: RemoteError | None, /) -> None:
        """Take note of what a step that was sent means beyond its being counted."""
        match do:
            case Do.SHUT_DOWN | Do.FORCE_SHUT_DOWN:
                # The grace runs from the first answer to a request, whatever that answer is.
                self._asked_once = True
            case Do.CANCEL_MOVE:
                self._cancelled = True
            case Do.CLEAR_FAILED:
                seen = self._seen
                is_failed = seen is not None and seen.machine is ResourceKind.FAILED
                self._cleared = seen is not None and is_failed and clear_proves_nothing(seen)
            case Do.STOP_MACHINE:
                self._machine_stopped = True

    def note_outcome(self, do: Do, _now: float, outcome: ActOutcome, /) -> None:
        """Take note of what a guest answered."""
        if do not in SHUTDOWNS:
            return
        if outcome.shutdown is not None:
            self._answer = outcome.shutdown
        elif self._answer is ShutdownAnswer.UNASKED:
            # Nobody was handed it: the guest is not in its grace, and knows of nothing.
            self._asked_once = False

    def cannot(self, do: Do) -> None:
        """Take note of a step that nobody can carry out: a migration that cannot be cancelled is not waited for."""
        super().cannot(do)
        self._cancelled = self._cancelled or do is Do.CANCEL_MOVE

    def for_another(self, name: str) -> "StopTask":
        """Return the same stop of another VM."""
        return StopTask(name, self.timing, self._asked)

    def without_contact(self, trouble: Fail) -> Fail | Done:
        """Say how the stop ends once no host answers: done where this run had unregistered a guest that was off."""
        # A look before the unregistering counts as it did then: its configuration was not on its way by this run.
        return unregister.without_contact(*self._told, trouble)

    def out_of_time(self) -> Fail | Done:
        """Say how the stop ends that has reached the deadline."""
        end = unregister.out_of_time(self._seen, self._tried, self.why)
        return self.without_contact(end) if isinstance(end, Fail) else end


class VolumeTask:
    """A Shared Volume that a stop may take offline."""

    def __init__(self, csv: str, timing: Timing) -> None:
        self.name = csv
        self.end: Done | None = None
        self._stops = Counter(timing.interval * 5, allowed=None)
        self._was_stopped = False
        self._lasting = Stopwatch({Timer.OFF: timing.leftover, Timer.OFF_TWICE: timing.interval})

    def next(self, seen: VolumeObservation, now: float) -> Step:
        """Decide."""
        running = [Timer.OFF, Timer.OFF_TWICE] if volume.is_unused(seen) else [Timer.OFF]
        over = self._lasting.update(running, now)
        step = volume.decide(seen, self._stops.look(now), over, was_stopped=self._was_stopped)
        if isinstance(step, Done):
            self.end = step
        return step

    def issued(self, _do: Do, now: float, error: RemoteError | None) -> None:
        """Take note of a stop that was sent."""
        self._stops.add(now)
        self._was_stopped = self._was_stopped or error is None

    def answered(self, _do: Do, _now: float, _outcome: ActOutcome) -> None:
        """Nothing that is done to a volume blocks."""
