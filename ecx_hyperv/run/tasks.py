"""A start or stop of one VM, as a run carries it along: what it has tried, and what that lets it decide next.

Kept: nothing is tried for ever, and nothing is concluded from how a cmdlet ended. A step is counted when it was sent,
also when its answer was lost: it may have been carried out, and a step that changes a guest must not be sent a fourth
time because three answers were lost. What was refused, or not carried out at all, is taken back: "started 3 times" is
said of cmdlets that ran (D19). What became of a step, the next observation tells.

A span ("critical for 600 s") runs only while each look shows the same; one look that does not starts it anew. The
counters and spans live as long as the run. Nothing of them is kept between runs: a run that is repeated begins from
what it sees, so a run that was killed at any instant is finished by running it again.

A refusal counts as lasting only in this run. The cluster keeps the reason of the last failure of a resource, also of
one from before the run or on another host, and that reason must not end a start that has tried nothing yet. The
forerunner repeated lasting errors 50 times (defect 29) and passing ones not at all (30), and started a dying guest
without limit (16, 19).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from ecx_hyperv.config import Timing
from ecx_hyperv.decide.facts import Observation, Side
from ecx_hyperv.decide.foresee import Foreseen
from ecx_hyperv.decide.states import VmKind
from ecx_hyperv.decide.steps import Act, Counted, Do, Done, Fail, Step, Wait
from ecx_hyperv.host.actions import ActOutcome
from ecx_hyperv.host.identity import VmIdentity
from ecx_hyperv.host.observe import guest_key
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.counters import Counter

# A span in which somebody must have looked is begun anew by two looks that lie further apart than this.
GAP_S = 15.0
# An answer that still shows what was before an act says nothing for this long: Get-VM may repeat what it read before.
_STALE_S = 6.0
# What is never decided from such an answer.
_HARMS = frozenset(
    {
        *(Do.MIGRATE_QUICK, Do.MIGRATE_LOST, Do.STOP_CONFIGURATION, Do.CLEAR_FAILED, Do.STOP_MACHINE),
        Do.TURN_OFF,
    }
)
# They make nothing old that was seen of the VM: a failover that has to fetch the volume would wait for two more looks.
_OF_THE_VOLUME = frozenset({Do.START_CSV, Do.MOVE_CSV})


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
        # What a dry run has foreseen.
        self.foreseen: Foreseen | None = None
        self.why = "nothing was seen yet"
        self._last: dict[Do, float] = {}
        self._counters: dict[Counted, Counter] = {}
        self._now_shown: tuple[object, ...] = ()
        self._shown_before: tuple[object, ...] = ()
        # When each host was first, and last, asked about the guest with success.
        self._guest_asked: dict[Side, tuple[float, float]] = {}

    @property
    def last_act(self) -> float:
        """Return when this run last did something to the VM or its move; a volume that comes online changes neither."""
        return max((when for do, when in self._last.items() if do not in _OF_THE_VOLUME), default=float("-inf"))

    def next(self, seen: Observation, snapshots: Snapshots, identity: VmIdentity, moment: Moment) -> Step:
        """Decide; what is decided from an answer that may be older than the last act is waited for, if it harms."""
        self._now_shown = _shown(seen)
        step = self.decide(seen, snapshots, identity, moment)
        is_stale = moment.now - self.last_act < _STALE_S and self._now_shown == self._shown_before
        self._note_looks(snapshots)
        if isinstance(step, Act) and step.do in _HARMS and is_stale:
            step = Wait(f"{step.why}; what is shown may be from before the last step")
        elif isinstance(step, Act) and step.do in _HARMS and self._has_looked_once(seen):
            step = Wait(f"{step.why}; a second answer of its host must show the same")
        if isinstance(step, Done | Fail):
            self.end = step
        else:
            self.why = step.why
        return step

    def _note_looks(self, snapshots: Snapshots) -> None:
        for side in Side:
            snapshot = snapshots.snapshot(side)
            keys = (guest_key(self.name), f"named {self.name}")
            stamps = [] if snapshot is None else [snapshot.stamps[key] for key in keys if key in snapshot.stamps]
            for stamp in stamps:
                first, last = self._guest_asked.get(side, (stamp.asked, stamp.asked))
                self._guest_asked[side] = (first, max(last, stamp.asked))

    def _has_looked_once(self, seen: Observation) -> bool:
        """Tell whether the owner's host was asked about the guest only once: a late answer counts in two looks.

        What rests on no answer of that host needs no second one, which may never come.
        """
        owner = seen.owner_side
        if owner is None or owner not in self._guest_asked or seen.on(owner).kind is VmKind.UNREADABLE:
            return False
        first, last = self._guest_asked[owner]
        return last - first < self.timing.interval

    def is_held_back(self, step: Act, now: float) -> bool:
        """Tell whether the step was issued less than an interval ago."""
        return now - self._last.get(step.do, float("-inf")) < self.timing.interval

    def issued(self, do: Do, now: float, error: RemoteError | None) -> None:
        """Take note of a step that was sent, and of its error; its outcome may be unknown, or not known yet."""
        self._last[do] = now
        self._shown_before = self._now_shown
        counter = self._counter(do)
        if counter is not None:
            counter.add(now)
        self.note(do, now, error)
        if error is not None and error.id != "NoAnswer":
            self.answered(do, now, ActOutcome(error))

    def answered(self, do: Do, now: float, outcome: ActOutcome) -> None:
        """Take note of what became of a step that was issued; what was not carried out uses up no attempt."""
        counter = self._counter(do)
        if counter is not None and outcome.error is not None and outcome.error.id != "NoAnswer":
            counter.take_back()
        elif counter is not None and not outcome.was_made:
            # It was never sent: it stood behind a step that takes long, and may be sent at once.
            counter.undo()
        self.note_outcome(do, now, outcome)

    def _counter(self, do: Do) -> Counter | None:
        return None if do.value.counted is None else self._counters.get(do.value.counted)

    @abstractmethod
    def decide(self, seen: Observation, snapshots: Snapshots, identity: VmIdentity, moment: Moment, /) -> Step:
        """Return the next step."""

    @abstractmethod
    def foresee(self, seen: Observation, step: Step) -> Foreseen:
        """Return what follows from the next step, if each step succeeds."""

    @abstractmethod
    def note(self, do: Do, now: float, error: RemoteError | None, /) -> None:
        """Take note of what a step that was sent means beyond its being counted."""

    @abstractmethod
    def note_outcome(self, do: Do, now: float, outcome: ActOutcome, /) -> None:
        """Take note of what an outcome means beyond its being counted."""

    def cannot(self, do: Do) -> None:
        """Take note of a step that nobody can carry out: the cluster's name of what it is done to is not known."""
        self.why = f"nobody can {do.words}: no database tells the role of {self.name}"

    def for_another(self, name: str) -> "Task":
        """Return the same task for another VM; only a stop brings down each VM that may be meant."""
        raise NotImplementedError(name)

    def without_contact(self, trouble: Fail) -> Fail | Done:
        """Say how the task ends once no host has answered for [timing] patience."""
        return trouble

    @abstractmethod
    def out_of_time(self) -> Fail | Done:
        """Say how the task ends that has reached the deadline."""


def _shown(seen: Observation) -> tuple[object, ...]:
    """Return what an act may change: where the VM is, and how it is there."""
    return (seen.on_local, seen.on_peer, seen.machine, seen.configuration, seen.group, seen.owner, seen.queued)
