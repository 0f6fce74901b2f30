"""Random stories over the whole lab, as a state machine: anything happens, time passes, and every rule holds."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from tests.proof.events import EVENTS, NODES, recover
from tests.proof.simulation import TIMINGS, Simulation

WAITS = (0, 1, 4, 15, 40, 90, 200)
# What is done to the world between a look and the step that it led to, the step cannot know.
_BLIND_S = 15.0
_JUDGED = (" on ec1: ", " on ec2: ")
_NEVER_EXCUSED = "past its deadline"

told: Counter[str] = Counter()


class Story:
    """A story as it goes: what happened, and whether every rule held."""

    def __init__(self, vms: int, node: str) -> None:
        # As the solution has it. Without a witness ECX cannot tell a dead peer from a cut, and says so.
        timings = replace(TIMINGS, witness=True, both_red=True)
        self.simulation = Simulation(*(f"vm{number + 1}" for number in range(vms)), timings=timings)
        self.simulation.start_group(node)
        told["stories"] += 1

    def goes_on(self, event: str, wait: float) -> None:
        """Have something happen, and time pass."""
        self.simulation.say(event)
        EVENTS[event](self.simulation)
        self.simulation.touched()
        self.simulation.passes(wait)
        told["events"] += 1

    def ends(self) -> None:
        """Mend all, and see that the VMs run again where they should."""
        self.simulation.say("an administrator mends all")
        recover(self.simulation)
        self.check()
        self.simulation.close()
        told["programs run"] += self.simulation.runs

    def check(self) -> None:
        """Fail on any rule that was broken and that nothing excuses."""
        told["checks"] += 1
        wrong = [rule for rule in self.simulation.world.violations if not self._is_excused(rule)]
        assert not wrong, "\n".join([*wrong, self.simulation.text("a story")])

    def _is_excused(self, violation: str) -> bool:
        """Only the checker's judgement of a step is ever excused; what became of the VMs never is."""
        at, _, text = violation.partition(": ")
        if not any(by in text for by in _JUDGED) or _NEVER_EXCUSED in text:
            return False
        return any(0 <= float(at) - touched <= _BLIND_S for touched in self.simulation.touches)


class Stories(RuleBasedStateMachine):
    """Every story that the events can make."""

    def __init__(self) -> None:
        super().__init__()
        self.story: Story | None = None

    @initialize(vms=st.sampled_from((1, 2)), node=st.sampled_from(NODES))
    def begins(self, vms: int, node: str) -> None:
        """The group is started."""
        self.story = Story(vms, node)

    @rule(event=st.sampled_from(sorted(EVENTS)), wait=st.sampled_from(WAITS))
    def happens(self, event: str, wait: float) -> None:
        """Something happens."""
        assert self.story is not None
        self.story.goes_on(event, wait)

    @invariant()
    def holds(self) -> None:
        """Every rule holds after every event."""
        if self.story is not None:
            self.story.check()

    def teardown(self) -> None:
        """All is well in the end."""
        if self.story is not None:
            self.story.ends()


def play(vms: int, node: str, *events: tuple[str, float]) -> None:
    """Play one story, as a failure of the state machine names it."""
    story = Story(vms, node)
    for event, wait in events:
        story.goes_on(event, wait)
        story.check()
    story.ends()
