"""The four programs as functions on a desk, refereed, as the lab's virtual time runs them."""

from dataclasses import dataclass

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.steps import Done, Fail
from ecx_hyperv.decide.unregister import Asked, Factor
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.errors import EcxHypervError
from ecx_hyperv.exits import Exit, worst
from ecx_hyperv.run.loop import Loop
from ecx_hyperv.run.peer import PeerWatcher
from ecx_hyperv.run.stop import stop
from ecx_hyperv.run.tasks import StartTask
from ecx_hyperv.run.watch import Watcher
from tests.virtual.contexts import Desk
from tests.virtual.invariants import Job, Referee

# As the commands themselves keep some seconds to say how they ended.
_MARGIN_S = 5.0

_End = tuple[Exit, str, bool, bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its exit code, what it said last, whether at WARN, and whether it left the guest running."""

    exit: Exit
    said: str
    warned: bool
    stays: bool
    seconds: float
    changes: tuple[str, ...]


def run_program(desk: Desk, job: Job, *vms: str, factor: Factor = Factor.GROUPSTOP) -> Outcome:
    """Run a program to its end, and have the referee judge it."""
    referee = Referee(desk.world, job, desk.node, _maintained(desk))
    desk.hosts.watch = referee.watch
    began = desk.world.now
    names = vms or tuple(desk.world.vms)
    code, said, warned, stays = _PROGRAMS[job](desk, names, factor)
    seconds = desk.world.now - began
    referee.ended(int(code), names, stays=stays)
    if seconds > _limit(desk, job):
        desk.world.violated(f"{job.value} on {desk.node}: {seconds:.0f} s, past its deadline")
    return Outcome(code, said, warned, stays, seconds, tuple(referee.changes))


def _start(desk: Desk, vms: tuple[str, ...], _factor: Factor) -> _End:
    timing = desk.room.config.timing
    tasks = [StartTask(vm, timing) for vm in vms]
    Loop(desk.room, tasks, _deadline(desk, timing.start), patience=timing.connect).go()
    return _ends([task.end for task in tasks])


def _stop(desk: Desk, vms: tuple[str, ...], factor: Factor) -> _End:
    if factor is Factor.GROUPMOVE:
        return Exit.DONE, "left as it is", False, True
    asked = Asked(factor=factor)
    tasks = stop(desk.room, vms, asked, _deadline(desk, desk.room.config.timing.unregister))
    return _ends([task.end for task in tasks])


def _watch(desk: Desk, vms: tuple[str, ...], _factor: Factor) -> _End:
    watch = Watcher(desk.room, vms, desk.memories, _deadline(desk, desk.room.config.timing.monitor)).go()
    return watch.exit, "; ".join(verdict.why for verdict in watch.verdicts.values()), False, False


def _peer(desk: Desk, _vms: tuple[str, ...], _factor: Factor) -> _End:
    try:
        end = PeerWatcher(desk.room, desk.memories, _deadline(desk, desk.room.config.timing.monitor)).go()
    except EcxHypervError as error:
        return error.exit, str(error), False, False
    return end.exit, end.why, False, False


_PROGRAMS = {Job.START: _start, Job.STOP: _stop, Job.WATCH: _watch, Job.PEER: _peer}


def _ends(ends: list[Done | Fail | None]) -> _End:
    fails = [end for end in ends if isinstance(end, Fail)]
    said = "; ".join(end.what if isinstance(end, Fail) else end.how for end in ends if end is not None)
    done = [end for end in ends if isinstance(end, Done)]
    return worst(end.exit for end in fails), said, any(end.warn for end in done), any(end.stays for end in done)


def _deadline(desk: Desk, seconds: float) -> Deadline:
    return Deadline.after(desk.clock, seconds - min(_MARGIN_S, seconds / 10))


def _limit(desk: Desk, job: Job) -> float:
    timing = desk.room.config.timing
    limits = {Job.START: timing.start, Job.STOP: timing.unregister}
    return limits.get(job, timing.monitor)


def _maintained(desk: Desk) -> frozenset[str]:
    now = desk.clock.wall()
    return frozenset(flag.name for flag in desk.flags.all(now) if flag.kind in (Kind.VM, Kind.PEER))
