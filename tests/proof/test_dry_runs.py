"""A dry run in each named world, and the real run in a copy of it: the same exit code and the same last words."""

from dataclasses import replace

import pytest

from tests.proof.facts import build
from tests.proof.test_peer_pairs import PEER_FACTS, make
from tests.proof.worlds import WORLDS
from tests.virtual.invariants import ProgramKind
from tests.virtual.programs import run_program

# What happens only once a step is tried: nothing that can be seen beforehand tells it.
UNSEEN = {
    "vm-start: it boots and dies",
    "vm-start: there is no memory for it",
    "vm-start: it runs on the peer, there is no memory here",
    "vm-start: its failed resource cannot be cleared",
    "vm-unregister: its failed resource cannot be cleared",
    "vm-unregister: the local host is cut off",
}
# What is on its way: the dry run says that what follows depends on what is seen then.
ON_ITS_WAY = {
    "vm-start: it is in a state that nobody knows",
    "vm-start: it is being saved",
    "vm-start: it is being saved on the peer",
    "vm-start: its migration waits its turn",
    "vm-start: Hyper-V here has just restarted",
    "vm-start: Hyper-V on the peer is away, its resource has failed",
    "vm-unregister: it is being saved",
    "vm-unregister: it is in a state that nobody knows",
    "vm-unregister: Hyper-V here has just restarted",
    "vm-unregister: Hyper-V here is away, its resource has failed",
}
RUNS = WORLDS
PEERS = [(name, value) for name, fact in PEER_FACTS.items() for value in fact]


def test_the_exceptions_are_worlds() -> None:
    """Each exception must be a world that there is, so that none outlives its reason."""
    assert set() == (UNSEEN | ON_ITS_WAY) - set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a9_a_dry_run_ends_as_the_run_does(name: str) -> None:
    """A dry run must change nothing, and end with the code and the last words of the run in the same world (A9)."""
    named = RUNS[name]
    real, dry = build(named.values), build(named.values)
    dry.sim.context = replace(dry.sim.context, dry=True)
    was = run_program(real.sim, named.job, "vm1", factor=real.factor)
    said = run_program(dry.sim, named.job, "vm1", factor=dry.factor)
    assert () == said.changes
    if name in ON_ITS_WAY:
        assert "depends on what is seen then" in said.said
    elif name in UNSEEN:
        assert (was.exit, was.said) != (said.exit, said.said), "it can be foreseen by now: take it from the list"
    else:
        assert (was.exit, was.said) == (said.exit, said.said)


@pytest.mark.parametrize(("name", "value"), PEERS, ids=[f"{name} {value}" for name, value in PEERS])
def test_a9_a_dry_run_of_the_peers_monitor_ends_as_the_run_does(name: str, value: str) -> None:
    """A dry run of genw-remote-node must do nothing, tell nobody, and end with the code of the run (A9)."""
    real, dry = make({name: value}), make({name: value})
    dry.sim.context = replace(dry.sim.context, dry=True)
    for _ in range(3):
        said = run_program(dry.sim, ProgramKind.PEER)
        was = run_program(real.sim, ProgramKind.PEER)
        assert (was.exit, ()) == (said.exit, said.changes)
        for case in (real, dry):
            case.world.advance(30.0)
    assert [] == [*dry.sim.alerts, *(command for command in dry.sim.commands if command[0] == "clpcl")]
