"""What a start has tried, and the steps that are counted: nothing is tried for ever."""

from dataclasses import dataclass

from ecx_hyperv.decide.facts import Refusal, Seen, Side
from ecx_hyperv.decide.states import GroupKind
from ecx_hyperv.decide.steps import Act, Attempts, Do, Fail, Step, Timer, Wait
from ecx_hyperv.exits import Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What this run has done so far, and how long things have lasted."""

    starts: Attempts = Attempts.READY
    clears: Attempts = Attempts.READY
    registrations: Attempts = Attempts.READY
    migrations: Attempts = Attempts.READY
    portal: Attempts = Attempts.READY
    csv_start_failed: bool = False
    was_home: bool = False
    refused: Refusal = Refusal.NOTHING
    over: frozenset[Timer] = frozenset()


def adopt(seen: Seen, tried: Tried) -> Step | None:
    """Return how the cluster learns that the guest of a failed group runs; None if it need not, or cannot."""
    # Stopping the resource would clear Failed too, but its offline action saves the guest.
    if seen.group is not GroupKind.FAILED or tried.clears is Attempts.USED_UP:
        return None
    if tried.clears is Attempts.RECENT:
        return Wait(f"the group of {seen.names.vm} is failed, its guest runs")
    return Act(Do.ADOPT, "its group is failed while its guest runs")


def within(attempts: Attempts, do: Do, why: str) -> Step | None:
    """Return a step that is counted, or the wait until it may be tried again; None once it is used up."""
    match attempts:
        case Attempts.READY:
            return Act(do, why)
        case Attempts.RECENT:
            return Wait(f"{why}; waiting before the next attempt to {do.value}")
    return None


def used_up(seen: Seen, participle: str, host: str) -> Fail:
    """Say that what was done to a guest did not last."""
    return Fail(
        Exit.NOT_AS_ASKED,
        f"{seen.names.vm} does not stay {participle} on {host}",
        f"it was {participle} 3 times and is {seen.on(Side.PEER if host == seen.names.peer else Side.OWN).word} again",
        f"see why in the Hyper-V-Worker event log of {host} and in the guest itself",
    )


def stuck(seen: Seen, host: str, word: str) -> Fail:
    """Say that a guest stays in a state that leads nowhere."""
    return Fail(
        Exit.NOT_AS_ASKED,
        f"{seen.names.vm} stays {word} on {host}",
        f"state {word} for longer than [timing] settle",
        f"see why in Hyper-V Manager on {host}, then start it again",
    )
