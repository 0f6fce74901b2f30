"""A start of one VM, as a run carries it along: what it has tried, what was refused, and what that lets it decide."""

from ecx_hyperv.config import Timing
from ecx_hyperv.decide import foresee, start
from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import Observation, Refusal, Side
from ecx_hyperv.decide.foresee import Foreseen
from ecx_hyperv.decide.hopeless import reached
from ecx_hyperv.decide.off import clear_proves_nothing
from ecx_hyperv.decide.states import ResourceKind
from ecx_hyperv.decide.steps import Counted, Do, Fail, Retry, Step, Timer
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.actions import ActOutcome
from ecx_hyperv.host.identity import VmIdentity
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.refusals import refusal_of, refusal_seen
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.counters import Counter, Stopwatch
from ecx_hyperv.run.tasks import GAP_S, Moment, Task

# A shortage of memory is met once more after this long.
_MEMORY_PAUSE_S = 30.0
_NEEDS_MEMORY = (Counted.STARTS, Counted.MIGRATIONS)


class StartTask(Task):
    """A VM that is to run on the local host."""

    is_start = True

    def __init__(self, vm: str, timing: Timing) -> None:
        super().__init__(vm, timing)
        pause = timing.interval * 5
        limited = (Counted.STARTS, Counted.CLEARS, Counted.MIGRATIONS)
        self._counters = {counted: Counter(pause) for counted in limited}
        self._counters[Counted.PORTAL] = Counter(pause, allowed=None)
        self._csv_start_sent = False
        self._was_home = False
        self._cleared = False
        # What was refused, by step, in the host's own words; a step whose goal is reached is refused no more.
        self._refused: dict[Do, tuple[Refusal, str]] = {}
        self._short_of_memory = 0
        self._refused_before = Refusal.NOTHING
        self._seen: Observation | None = None
        self._over: frozenset[Timer] = frozenset()
        self._lasting = Stopwatch(
            {
                Timer.AT_HOME: timing.settle,
                Timer.PEER_CRITICAL: timing.critical,
                Timer.PEER_TRANSITIONAL: timing.settle,
                # At least two looks are in it.
                Timer.OWNER_SILENT: max(timing.isolated, timing.interval),
                Timer.OWNER_UNREADABLE: timing.patience,
                Timer.MACHINE_OFFLINE: timing.patience,
                Timer.ODD: timing.settle,
                Timer.CONTRADICTION: timing.settle,
                Timer.OFF_TWICE: timing.interval,
                Timer.REFUSED: timing.patience,
            },
            # A look that tells nothing of a guest that runs here does not put its end off.
            summed=(Timer.AT_HOME,),
            watched=(Timer.OWNER_SILENT, Timer.OWNER_UNREADABLE),
            gap=GAP_S,
        )

    def decide(self, seen: Observation, snapshots: Snapshots, identity: VmIdentity, moment: Moment, /) -> Step:
        """Return the next step."""
        now = moment.now
        self._seen = seen
        if seen.csv is ResourceKind.ONLINE:
            self._csv_start_sent = False
        if seen.machine is ResourceKind.ONLINE or seen.on_local.is_live or seen.on_peer.is_live:
            self._cleared = False
        for do in reached(seen):
            self._refused.pop(do, None)
        kind, words = self._refusal(seen, snapshots.snapshot(Side.LOCAL), identity, now)
        running = start.timers(seen, self._over, cleared=self._cleared, refused=kind)
        self._over = self._lasting.update(running, now)
        tried = StartAttempts(
            starts=self._counters[Counted.STARTS].look(now),
            clears=self._counters[Counted.CLEARS].look(now),
            migrations=self._counters[Counted.MIGRATIONS].look(now),
            portal=self._counters[Counted.PORTAL].look(now),
            csv_start_sent=self._csv_start_sent,
            was_home=self._was_home,
            cleared=self._cleared,
            refused=kind,
            memory_twice=self._short_of_memory > 1,
            words=words,
            over=self._over,
        )
        self._was_home = self._was_home or start.is_home(seen, moved=self._counters[Counted.MIGRATIONS].count > 0)
        return start.decide(seen, tried)

    def foresee(self, seen: Observation, step: Step) -> Foreseen:
        """Return what follows from the next step, if each step succeeds."""
        return foresee.of_start(seen, step)

    def note(self, do: Do, _now: float, error: RemoteError | None, /) -> None:
        """Take note of what a step that was sent means beyond its being counted."""
        if error is None and not do.value.blocks:
            # It was carried out; what blocks tells its outcome later.
            self._refused.pop(do, None)
        if do in (Do.START_CSV, Do.MOVE_CSV):
            self._csv_start_sent = do is Do.START_CSV
        elif do is Do.CLEAR_FAILED and self._seen is not None and clear_proves_nothing(self._seen):
            # An Offline that follows is of our own making, and says nothing about the guest.
            self._cleared = True

    def note_outcome(self, do: Do, now: float, outcome: ActOutcome, /) -> None:
        """Take note of what was refused, and in which words."""
        if outcome.error is None or not outcome.was_made:
            self._refused.pop(do, None)
            return
        kind = refusal_of(outcome.error)
        if kind is Refusal.MEMORY:
            self._note_shortage(now)
        self._refused[do] = (kind, str(outcome.error))

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

    def _note_shortage(self, now: float) -> None:
        self._short_of_memory += 1
        for counted in _NEEDS_MEMORY:
            self._counters[counted].hold(now + _MEMORY_PAUSE_S)

    def _refusal(
        self, seen: Observation, snapshot: HostSnapshot | None, identity: VmIdentity, now: float
    ) -> tuple[Refusal, str]:
        """Return what is refused now: a step, a question, or what the cluster tried for this run."""
        if self._refused:
            return next(reversed(self._refused.values()))
        if snapshot is None:
            return Refusal.NOTHING, ""
        denied = next((one for one in snapshot.errors() if refusal_of(one) is Refusal.DENIED), None)
        if denied is not None:
            return Refusal.DENIED, str(denied)
        # The cluster keeps the reason of the last failure: it counts only once this run has tried, and seen it fail.
        found, words = refusal_seen(identity, self.name, snapshot)
        attempts = [self._counters[counted] for counted in _NEEDS_MEMORY]
        if not any(counter.count for counter in attempts):
            self._refused_before = found
        # A VM that was moved while it was off brings along why it failed on the other host, until it runs again.
        is_old = found is self._refused_before and seen.machine is not ResourceKind.FAILED
        tried = any(counter.count and counter.look(now) is not Retry.RECENT for counter in attempts)
        if is_old or seen.on_local.is_live or not tried or seen.is_migrating:
            return Refusal.NOTHING, ""
        if found is Refusal.MEMORY and not self._short_of_memory:
            self._note_shortage(now)
        return found, words
