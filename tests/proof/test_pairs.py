"""Each program's real loop from every pair of facts, set to every pair of their values, the rest usual."""

from collections.abc import Callable, Iterator
from itertools import combinations, product

import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.link import Ask, Exchanged
from tests.proof.counts import Record, Tally
from tests.proof.facts import FACTS, Case, build, fingerprint, state_of
from tests.proof.more_facts import FACTS_OF_EDITION_2, values_of
from tests.proof.shares import Share
from tests.virtual.hosts import Proceed
from tests.virtual.invariants import ProgramKind
from tests.virtual.programs import ProgramOutcome, run_program

# Why a stop is asked for is asked of no other program; a guest that dies whenever it has started is never at its goal.
OLDER, NEWER = Share(16), Share(32)
_ONLY_STOP = {"factor"}
_RESTLESS = {"guest": "doomed", "WSFC": "restarts the guest"}
# What passes by itself: what a monitor says of it at first, it need not say again.
# A run that waits for what hangs is long enough for a span to end.
_PASSING = ("hangs", "refused", "Hyper-V here", "Hyper-V on the peer", "the guest's own", "WSFC")


def worlds(first: str, second: str) -> Iterator[dict[str, str]]:
    """Return every pair of values of two facts."""
    ones, others = values_of(first, FACTS[first], second), values_of(second, FACTS[second], first)
    for one, other in product(ones, others):
        yield {first: one, second: other}


def is_settled(job: ProgramKind, case: Case, outcome: ProgramOutcome) -> bool:
    """Tell whether a run has nothing left to do: it is done, with nothing that a person should see to."""
    restless = any(case.values.get(fact) == value for fact, value in _RESTLESS.items())
    restless = restless or (job is ProgramKind.WATCH and any(fact in _PASSING for fact in case.values))
    return outcome.exit is Exit.DONE and not outcome.warned and not restless


def _noting(case: Case, states: set[object]) -> Callable[[Side, Ask, Deadline, Proceed], Exchanged]:
    """Return what notes the state of the world at each request, and lets it go on."""

    def note(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        states.add(state_of(case.world))
        return proceed(ask)

    return note


@pytest.mark.parametrize(
    ("job", "first", "second"),
    [
        pytest.param(job, first, second, id=f"{job.value}: {first} and {second}")
        for job in (ProgramKind.START, ProgramKind.STOP, ProgramKind.WATCH)
        for first, second in combinations(FACTS, 2)
        if job is ProgramKind.STOP or not _ONLY_STOP & {first, second}
    ],
)
def test_pair(job: ProgramKind, first: str, second: str, record_property: Record) -> None:
    """A run ends in its goal or a typed failure in time, breaks no rule on the way, and twice is the same as once."""
    runs = changes = requests = 0
    states: set[object] = set()
    wrong: list[str] = []
    newer = first in FACTS_OF_EDITION_2 or second in FACTS_OF_EDITION_2
    both = worlds(first, second)
    for values in (NEWER if newer else OLDER).of(both, f"{first} {second}"):
        case = build(values)
        case.sim.hosts.disturb = _noting(case, states)
        outcome = run_program(case.sim, job, "vm1", factor=case.factor)
        runs += 1
        changes += len(outcome.changes)
        once = fingerprint(case.world)
        if is_settled(job, case, outcome):
            again = run_program(case.sim, job, "vm1", factor=case.factor)
            runs += 1
            if again.exit is not Exit.DONE or fingerprint(case.world) != once:
                wrong.append(f"{values}: twice is not once: {outcome}, then {again}")
        requests += len(case.sim.hosts.requests)
        wrong += [f"{values}: {rule}" for rule in case.world.violations]
    assert [] == wrong
    tally = Tally(record_property)
    tally.add("pairs", runs=runs, requests=requests, changes=changes)
    tally.distinct("pairs", "states", states)
