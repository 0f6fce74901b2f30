"""What a run will do from here, step by step, if each of its steps succeeds and nobody else does anything.

The steps are those of the real decisions: each is decided from what the step before it makes of the observation. So a
dry run cannot say anything that the run itself would not decide. What takes two looks is taken as seen twice. A wait is
foreseen to its end only where nothing is on its way: what then lasts leads to the step, or to the failure, that the
decisions have for it. Where something is on its way (a migration, a guest that starts) nobody can say what follows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ecx_hyperv.decide import start, unregister
from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import Contact, Observation, Place, Side, VmOnHost
from ecx_hyperv.decide.states import Doing, GroupKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Step, Timer, Wait
from ecx_hyperv.decide.stops import StopAttempts, StopRequest

_TWICE = frozenset({Timer.OFF_TWICE, Timer.STOPPED_TWICE})
_RUNNING = VmOnHost(VmKind.RUNNING, "Running", healthy=True)
_OFF = VmOnHost(VmKind.DOWN, "Off")
_ABSENT = VmOnHost(VmKind.ABSENT)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The steps to come, the last one an end where the end can be told."""

    steps: tuple[Step, ...]

    @property
    def end(self) -> Done | Fail | None:
        """Return how the run ends; None where that depends on what is seen on the way."""
        last = self.steps[-1]
        return last if isinstance(last, Done | Fail) else None


def of_start(seen: Observation, first: Step) -> Foreseen:
    """Foresee a start from its next step."""

    def decide(now: Observation, *, lasts: bool, did: frozenset[Do]) -> Step:
        cleared = Do.CLEAR_FAILED in did and not now.on_local.is_shown_down
        over = _settled(lambda known: start.timers(now, known, cleared=cleared), lasts=lasts)
        return start.decide(now, StartAttempts(cleared=cleared, over=over))

    return _follow(seen, first, decide, lambda now, why: start.out_of_time(now.names.vm, now, why))


def of_stop(seen: Observation, first: Step, asked: StopRequest) -> Foreseen:
    """Foresee a stop from its next step."""

    def tried_by(now: Observation, *, lasts: bool, did: frozenset[Do]) -> StopAttempts:
        tried = StopAttempts(
            asked_once=Do.SHUT_DOWN in did,
            cancelled=Do.CANCEL_MOVE in did,
            machine_stopped=Do.STOP_MACHINE in did,
        )
        # A cancelled migration settles, and a guest that is off is given its time to be unregistered.
        first = frozenset({Timer.CANCELLED} if Do.CANCEL_MOVE in did else {})
        over = _settled(
            lambda known: unregister.timers(now, asked, replace(tried, over=known | first)) - {Timer.OFF}, lasts=lasts
        )
        return replace(tried, over=over | first)

    def decide(now: Observation, *, lasts: bool, did: frozenset[Do]) -> Step:
        return unregister.decide(now, asked, tried_by(now, lasts=lasts, did=did))

    def late(now: Observation, why: str) -> Done | Fail:
        return unregister.out_of_time(now, tried_by(now, lasts=True, did=frozenset()), why)

    return _follow(seen, first, decide, late)


def after(seen: Observation, step: Act) -> Observation:
    """Return what is to be seen once a step has succeeded."""
    return _AFTER[step.do](seen, step.side)


def _follow(
    seen: Observation,
    first: Step,
    decide: Callable[..., Step],
    late: Callable[[Observation, str], Done | Fail],
) -> Foreseen:
    steps, did = [first], frozenset[Do]()
    while True:
        # Each kind of step is taken once at most, so this ends.
        step = steps[-1]
        match step:
            case Act(do=do):
                if do in did:
                    # It would not have led on: nobody can say what follows.
                    return Foreseen(tuple(steps))
                did |= {do}
                seen = replace(after(seen, step), is_fresh=True)
                steps.append(decide(seen, lasts=False, did=did))
            case Wait(why=why) if not _is_on_its_way(seen):
                lasting = decide(seen, lasts=True, did=did)
                steps.append(late(seen, why) if isinstance(lasting, Wait | Look) else lasting)
            case _:
                return Foreseen(tuple(steps))


def _settled(timers: Callable[[frozenset[Timer]], frozenset[Timer]], *, lasts: bool) -> frozenset[Timer]:
    """Return the timers that are over once what is seen has lasted; else those that a second look ends."""
    over: frozenset[Timer] = frozenset()
    # A proof may rest on a timer that must be over first.
    while lasts and not (running := timers(over)) <= over:
        over |= running
    return over if lasts else timers(over) & _TWICE


def _is_on_its_way(seen: Observation) -> bool:
    pending = ResourceKind.PENDING in (seen.machine, seen.configuration, seen.csv)
    # Hyper-V that has just restarted knows nothing for some seconds.
    loading = any(seen.contact(side) is Contact.ANSWERS and seen.on(side).kind is VmKind.UNREADABLE for side in Side)
    return seen.is_migrating or pending or loading or any(seen.on(side).is_in_transition for side in Side)


def _with(seen: Observation, side: Side, guest: VmOnHost) -> Observation:
    return replace(seen, on_local=guest) if side is Side.LOCAL else replace(seen, on_peer=guest)


def _online(seen: Observation) -> Observation:
    online = ResourceKind.ONLINE
    return replace(seen, group=GroupKind.ONLINE, machine=online, configuration=online)


def _offline(seen: Observation) -> Observation:
    return replace(seen, group=GroupKind.OFFLINE, machine=ResourceKind.OFFLINE)


def _reconnected(seen: Observation, side: Side) -> Observation:
    back = replace(seen, iscsi=seen.iscsi or side is Side.LOCAL)
    return _with(back, side, _RUNNING) if seen.on(side).kind is VmKind.CRITICAL else back


def _migrated(seen: Observation, _side: Side) -> Observation:
    return replace(_online(seen), owner=Place.LOCAL, on_local=_RUNNING, on_peer=_ABSENT)


def _moved_off(seen: Observation, _side: Side) -> Observation:
    there = _OFF if seen.configuration is ResourceKind.ONLINE else _ABSENT
    return replace(_offline(seen), owner=Place.LOCAL, on_local=there, on_peer=_ABSENT)


def _stays(seen: Observation, _side: Side) -> Observation:
    here, there = (replace(seen.on(side), doing=Doing.NOTHING) for side in Side)
    return replace(seen, group=GroupKind.ONLINE, queued=False, on_local=here, on_peer=there)


def _stopped_by_cluster(seen: Observation, _side: Side) -> Observation:
    owner = seen.owner_side
    return _offline(seen) if owner is None else _with(_offline(seen), owner, _OFF)


def _down(seen: Observation, side: Side) -> Observation:
    return _with(_offline(seen), side, _OFF)


def _up(seen: Observation, side: Side) -> Observation:
    return _with(_online(seen), side, _RUNNING)


_AFTER: Mapping[Do, Callable[[Observation, Side], Observation]] = {
    Do.RECONNECT_ISCSI: _reconnected,
    Do.START_CSV: lambda seen, _: replace(seen, csv=ResourceKind.ONLINE),
    Do.MOVE_CSV: lambda seen, _: replace(seen, csv=ResourceKind.ONLINE, csv_owner=Place.LOCAL),
    Do.STOP_CSV: lambda seen, _: replace(seen, csv=ResourceKind.OFFLINE),
    Do.MIGRATE_LIVE: _migrated,
    Do.MIGRATE_QUICK: _moved_off,
    Do.MIGRATE_LOST: _moved_off,
    Do.CANCEL_MOVE: _stays,
    Do.START_CONFIGURATION: lambda seen, _: replace(
        seen, configuration=ResourceKind.ONLINE, group=GroupKind.OFFLINE, on_local=_OFF
    ),
    Do.STOP_CONFIGURATION: lambda seen, _: replace(
        _offline(seen), configuration=ResourceKind.OFFLINE, on_local=_ABSENT, on_peer=_ABSENT
    ),
    Do.CLEAR_FAILED: lambda seen, _: _offline(seen),
    Do.ADOPT: lambda seen, _: _online(seen),
    Do.STOP_MACHINE: _stopped_by_cluster,
    Do.START_VM: _up,
    Do.RESUME_VM: _up,
    Do.SHUT_DOWN: _down,
    Do.FORCE_SHUT_DOWN: _down,
    Do.TURN_OFF: _down,
}
