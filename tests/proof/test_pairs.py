"""Each program's real loop from every pair of facts, set to every pair of their values, the rest usual."""

from collections.abc import Iterator
from itertools import combinations, product

import pytest

from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.programs import Outcome, run_program
from ecx_hyperv.lab.referee import Job
from tests.proof.counts import Record, Tally
from tests.proof.facts import FACTS, Case, build, fingerprint

pytestmark = pytest.mark.no_cover
_PAIRS = list(combinations(FACTS, 2))
# Why a stop is asked for is asked of no other program; a guest that dies whenever it has started is never at its goal.
_ONLY_STOP = {"factor"}
_RESTLESS = {"guest": "doomed"}


def worlds(first: str, second: str) -> Iterator[dict[str, str]]:
    """Return every pair of values of two facts."""
    for one, other in product(FACTS[first], FACTS[second]):
        yield {first: one, second: other}


def is_settled(case: Case, outcome: Outcome) -> bool:
    """Tell whether a run has nothing left to do: it is done, with nothing that a person should see to."""
    restless = any(case.values.get(fact) == value for fact, value in _RESTLESS.items())
    return outcome.exit is Exit.DONE and not outcome.warned and not restless


@pytest.mark.parametrize("job", [Job.START, Job.STOP, Job.WATCH], ids=lambda job: job.value)
@pytest.mark.parametrize(("first", "second"), _PAIRS, ids=[f"{one} and {other}" for one, other in _PAIRS])
def test_pair(first: str, second: str, job: Job, record_property: Record) -> None:
    """A run ends in its goal or a typed failure in time, breaks no rule on the way, and twice is the same as once."""
    if job is not Job.STOP and _ONLY_STOP & {first, second}:
        return
    runs = changes = requests = 0
    states: set[object] = set()
    wrong: list[str] = []
    for values in worlds(first, second):
        case = build(values)
        outcome = run_program(case.desk, job, "vm1", factor=case.factor)
        runs += 1
        changes += len(outcome.changes)
        once = fingerprint(case.world)
        states.add(once)
        if is_settled(case, outcome):
            again = run_program(case.desk, job, "vm1", factor=case.factor)
            runs += 1
            if again.exit is not Exit.DONE or fingerprint(case.world) != once:
                wrong.append(f"{values}: twice is not once: {outcome}, then {again}")
        requests += len(case.desk.hosts.requests)
        wrong += [f"{values}: {rule}" for rule in case.world.violations]
    assert [] == wrong
    Tally(record_property).add("pairs", runs=runs, requests=requests, changes=changes, ends=len(states))
