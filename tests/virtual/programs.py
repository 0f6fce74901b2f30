"""The four programs as functions on a simulated node, judged by the invariants, as the lab's virtual time runs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.steps import Done, Fail
from ecx_hyperv.decide.stops import Factor, StopRequest
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.errors import EcxHypervError
from ecx_hyperv.exits import Exit, worst
from ecx_hyperv.run.peer import PeerWatcher
from ecx_hyperv.run.start import start
from ecx_hyperv.run.stop import stop
from ecx_hyperv.run.watch import Watcher
from tests.virtual.contexts import SimulatedNode
from tests.virtual.invariants import IN_FORCE, InvariantChecker, ProgramKind, Rule

_End = tuple[Exit, str, bool, bool]


@dataclass(frozen=True, slots=True)
class ProgramOutcome:
    """How a run ended: its exit code, what it said last, whether at WARN, and whether it left the guest running."""

    exit: Exit
    said: str
    warned: bool
    stays: bool
    seconds: float
    changes: tuple[str, ...]
    # When the guests of each host were looked at.
    looks: Mapping[str, Sequence[float]] = field(default_factory=dict)


def run_program(
    sim: SimulatedNode,
    job: ProgramKind,
    *vms: str,
    factor: Factor = Factor.GROUPSTOP,
    rules: frozenset[Rule] = IN_FORCE,
) -> ProgramOutcome:
    """Run a program to its end, and have the invariants judge it."""
    began, began_here = sim.world.now, sim.clock.monotonic()
    names = vms or tuple(sim.world.vms)
    timing = sim.context.config.timing
    checker = InvariantChecker(
        sim.world,
        job,
        sim.node,
        _maintained(sim),
        names=names,
        meant=sim.meant,
        rules=rules,
        ends_at=began + _limit(sim, job),
        reserve=timing.reserve,
        grace=timing.shutdown_on_failover if factor is Factor.GROUPFAILOVER else timing.shutdown,
        interval=timing.interval,
    )
    sim.hosts.watch = checker.watch
    sim.hosts.begin_run()
    checker.begins()
    code, said, warned, stays = _PROGRAMS[job](sim, names, factor)
    # By the EC-VM's own clock, which lacks the time for which it stood still.
    seconds = sim.clock.monotonic() - began_here
    checker.ended(int(code), names, stays=stays)
    if seconds > _limit(sim, job):
        sim.world.violated(f"{job.value} on {sim.node}: {seconds:.0f} s, past its deadline")
    return ProgramOutcome(code, said, warned, stays, seconds, tuple(checker.changes), checker.looked_at_guests)


def _start(sim: SimulatedNode, vms: tuple[str, ...], _factor: Factor) -> _End:
    tasks = start(sim.context, vms, Deadline.of_command(sim.clock, sim.context.config.timing.start))
    return _ends([task.end for task in tasks])


def _stop(sim: SimulatedNode, vms: tuple[str, ...], factor: Factor) -> _End:
    if factor is Factor.GROUPMOVE:
        return Exit.DONE, "left as it is", False, True
    deadline = Deadline.of_command(sim.clock, sim.context.config.timing.unregister)
    tasks = stop(sim.context, vms, StopRequest(factor=factor), deadline)
    return _ends([task.end for task in tasks])


def _watch(sim: SimulatedNode, vms: tuple[str, ...], _factor: Factor) -> _End:
    deadline = Deadline.of_command(sim.clock, sim.context.config.timing.monitor)
    watch = Watcher(sim.context, vms, sim.states, deadline).go()
    return watch.exit, "; ".join(verdict.why for verdict in watch.verdicts.values()), False, False


def _peer(sim: SimulatedNode, _vms: tuple[str, ...], _factor: Factor) -> _End:
    deadline = Deadline.of_command(sim.clock, sim.context.config.timing.monitor)
    try:
        end = PeerWatcher(sim.context, sim.states, deadline).go()
    except EcxHypervError as error:
        return error.exit, str(error), False, False
    return end.exit, end.why, False, False


_PROGRAMS = {ProgramKind.START: _start, ProgramKind.STOP: _stop, ProgramKind.WATCH: _watch, ProgramKind.PEER: _peer}


def _ends(ends: list[Done | Fail | None]) -> _End:
    fails = [end for end in ends if isinstance(end, Fail)]
    said = "; ".join(end.what if isinstance(end, Fail) else end.how for end in ends if end is not None)
    done = [end for end in ends if isinstance(end, Done)]
    return worst(end.exit for end in fails), said, any(end.warn for end in done), any(end.stays for end in done)


def _limit(sim: SimulatedNode, job: ProgramKind) -> float:
    timing = sim.context.config.timing
    limits = {ProgramKind.START: timing.start, ProgramKind.STOP: timing.unregister}
    return limits.get(job, timing.monitor)


def _maintained(sim: SimulatedNode) -> frozenset[str]:
    now = sim.clock.wall()
    return frozenset(flag.name for flag in sim.flags.all(now) if flag.kind in (Kind.VM, Kind.PEER))
