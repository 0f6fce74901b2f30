"""Every named world again, once for each remote call of its clean run and each fault that can strike there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.ecx.kept_ids import KeptId
from ecx_hyperv.errors import HostError
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.wire import changes
from ecx_hyperv.lab.model.things import Sshd
from tests.proof import faults
from tests.proof.counts import Record, Tally
from tests.proof.facts import Case, build
from tests.proof.faults import ERRORS, OF_THE_CALL, OF_THE_WAY, SINCE_EDITION_2, Fault, Killed, Spot
from tests.proof.shares import Share
from tests.proof.worlds import WORLDS, Named
from tests.virtual.hosts import Proceed
from tests.virtual.invariants import ProgramKind
from tests.virtual.programs import ProgramOutcome, run_program

SHARE = Share(128)
# What a person or WSFC does between a look and the step, or the end, that it leads to, that step cannot know.
_BLIND_S = 5.0
# A way that fails so shortly before the end leaves no time: a request that hangs takes most of it.
_LAST_S = 20.0
_BY_OTHERS = frozenset(
    {
        *(faults.moved_by_wsfc, faults.stopped_by_operator, faults.turned_off_by_operator),
        *(faults.paused_by_operator, faults.started_by_operator, faults.saved_by_operator, faults.started_by_wsfc),
        *(faults.guest_reboots, faults.guest_dies),
    }
)
_WORLD_CHANGES = frozenset(
    {
        *OF_THE_CALL[OF_THE_CALL.index(faults.power_lost) : OF_THE_CALL.index(faults.killed_before)],
        *SINCE_EDITION_2,
    }
)
# Behind the first request of a look these differ in nothing from a session that is lost there.
_OF_EACH = frozenset({faults.hangs, faults.reset})
_OF_LEADS = frozenset({faults.garbage, faults.cut_short, faults.noise})


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault, the call at which it strikes, and whether it stays until the run ends."""

    name: str
    fault: Fault
    at: int
    stays: bool = False


@dataclass(slots=True)
class Clean:
    """The run in which nothing goes wrong: how it ended, and the calls at which something else could happen.

    What prunes: a call that asks the same host the same as an earlier one, and is answered the same but for the
    guests' uptimes, is a poll. A fault there does what it does at the earlier one, only later.
    """

    outcome: ProgramOutcome
    calls: dict[int, Ask] = field(default_factory=dict)
    # Those that are the first of what was sent together: what befalls the way to a host befalls all of it.
    leads: set[int] = field(default_factory=set)
    # How a second run ends, later; at once, as in a world that goes on by itself.
    again: frozenset[Exit] = frozenset()


def record(named: Named) -> Clean:
    """Run the clean run."""
    case = build(named.values)
    calls: dict[int, Ask] = {}
    leads: dict[int, int] = {}
    known: set[tuple[Side, bytes]] = set()
    counted = iter(range(10**6))

    def disturb(side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        number = next(counted)
        leads.setdefault(len(case.sim.hosts.sent), number)
        answer = proceed(ask)
        situation = (side, msgspec.json.encode([ask.request, _facts(answer)]))
        if situation not in known:
            known.add(situation)
            calls[number] = ask
        return answer

    case.sim.hosts.disturb = disturb
    outcome = run_program(case.sim, named.job, "vm1", factor=case.factor)
    assert [] == case.world.violations
    case.sim.hosts.disturb = None
    again = [outcome.exit]
    for _ in range(2):
        again.append(run_program(case.sim, named.job, "vm1", factor=case.factor).exit)
        faults.mend(case)
    return Clean(outcome, calls, set(leads.values()), frozenset(again))


def _facts(answer: Exchanged) -> object:
    if isinstance(answer, HostError):
        return str(answer)
    rows = [[{**row, "Uptime.TotalSeconds": 0} for row in result.value] for result in answer.reply.results]
    return [rows, [str(result.error) for result in answer.reply.results]]


def strikes(clean: Clean) -> Iterator[Strike]:
    """Return every fault at every call."""
    for number, ask in clean.calls.items():
        for fault in OF_THE_WAY:
            if number in clean.leads or fault in _OF_EACH:
                yield Strike(fault.__name__, fault, number)
                yield Strike(f"{fault.__name__} from then on", fault, number, stays=True)
        for fault in (*OF_THE_CALL, *SINCE_EDITION_2):
            if number in clean.leads or fault not in _OF_LEADS:
                yield Strike(fault.__name__, fault, number)
        for index, call in enumerate(ask.request.calls):
            # Of what only looks, an error that nobody knows is any but a denial: nothing else is told apart there.
            looks = not changes(call)
            for name, error in ERRORS.items():
                if looks and name not in ("denied", "unknown"):
                    continue
                yield Strike(f"{call.cmdlet} fails: {name}", faults.failing(index, error), number)


def strike(case: Case, what: Strike, struck: list[float]) -> Callable[[Side, Ask, Deadline, Proceed], Exchanged]:
    """Return what disturbs a run with one fault, and enters when the fault struck first."""
    counted = iter(range(10**6))

    def disturb(side: Side, ask: Ask, deadline: Deadline, proceed: Proceed) -> Exchanged:
        number = next(counted)
        if number != what.at and not (what.stays and number > what.at):
            return proceed(ask)
        struck[:] = struck or [case.world.now]
        return what.fault(Spot(case, side, ask, deadline, proceed))

    return disturb


def _is_excused(rule: str, what: Strike, struck: list[float], case: Case) -> bool:
    """Tell whether the run could not know: of the judgements of its steps and its end, no other is ever excused."""
    at, _, text = rule.partition(": ")
    since = float(at) - struck[0] if struck else -1.0
    if f" on {case.sim.node}: " in text:
        return what.fault in _BY_OTHERS and 0 <= since <= _BLIND_S
    if " takes its node down with " not in text or what.fault not in OF_THE_WAY:
        return False
    # A run that is told nothing from then on knows that the guest is off only where it had begun to unregister it.
    knew = "unregistered" in [event.what for event in case.world.history]
    return 0 <= since <= _LAST_S or (what.stays and not knew)


@dataclass(slots=True)
class Story:
    """A run that a fault struck, and the one after it."""

    case: Case
    first: ProgramOutcome | None
    then: ProgramOutcome


def play(named: Named, what: Strike) -> Story:
    """Run with a fault, mend what it broke, and run again; a run that was killed is run again at once."""
    case = build(named.values)
    if what.fault in (faults.renamed_by_operator, faults.role_renamed_by_operator):
        # Where no run has ever seen the VM, and neither it nor its role bears the name, nothing leads to it.
        case.sim.kept_ids.save(KeptId(name="vm1", id=case.vm.id))
    struck: list[float] = []
    case.sim.hosts.disturb = strike(case, what, struck)
    try:
        first = run_program(case.sim, named.job, "vm1", factor=case.factor)
    except Killed:
        first = None
    case.sim.hosts.disturb = None
    violations = case.world.violations
    violations[:] = [rule for rule in violations if not _is_excused(rule, what, struck, case)]
    for side in Side:
        case.sim.hosts.hang_up(side)
    if first is not None or what.fault is faults.power_lost:
        faults.mend(case)
    return Story(case, first, run_program(case.sim, named.job, "vm1", factor=case.factor))


def _only_a_person_can_end(case: Case) -> bool:
    """Tell whether the guest cannot answer the shutdown that is all the cluster does, on a host that lets nobody in."""
    vm, host = case.vm, case.world.hosts[case.vm.owner]
    guest = vm.guests.get(vm.owner)
    asks = vm.offline_action in (OfflineAction.SHUT_DOWN, OfflineAction.FORCED_SHUTDOWN)
    return asks and host.sshd is not Sshd.UP and guest is not None and guest.is_live and guest.state != "Running"


def wrong_in(story: Story, named: Named, what: Strike, clean: Clean) -> list[str]:
    """Return what must not be: a broken rule, or a goal that is not reached once the fault is gone."""
    wrong = list(story.case.world.violations)
    is_done = story.then.exit is Exit.DONE or (
        story.then.exit is Exit.CANNOT_TELL and _only_a_person_can_end(story.case)
    )
    if clean.outcome.exit is Exit.DONE and named.job is not ProgramKind.WATCH and not is_done:
        wrong.append(f"the goal is not reached afterwards: {story.then}")
    if named.job is ProgramKind.WATCH and story.then.exit not in clean.again and what.fault not in _WORLD_CHANGES:
        wrong.append(f"the monitor says otherwise afterwards: {story.then}")
    return wrong


@pytest.mark.parametrize("name", WORLDS)
def test_fault(name: str, record_property: Record) -> None:
    """Whatever goes wrong at a call, no rule is broken, and once it is over another run reaches the goal."""
    named = WORLDS[name]
    clean = record(named)
    wrong: list[str] = []
    kinds: set[str] = set()
    runs = 1
    for what in SHARE.of(strikes(clean), name):
        story = play(named, what)
        runs += 2
        kinds.add(what.name)
        wrong += [f"{what.name} at call {what.at}: {rule}" for rule in wrong_in(story, named, what, clean)]
    assert [] == wrong
    Tally(record_property).add("faults", worlds=1, calls=len(clean.calls), runs=runs)
