"""What a start has tried so far, and the steps and failures that start and fetch share."""

from dataclasses import dataclass

from ecx_hyperv.decide.facts import Observation, Refusal, Side
from ecx_hyperv.decide.states import GroupKind
from ecx_hyperv.decide.steps import Act, Do, Fail, Retry, Step, Timer, Wait
from ecx_hyperv.exits import Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempts:
    """What this run has done so far, and how long things have lasted.

    `refused` is why the last step was not carried out, `words` the host's own words for it, `memory_twice` whether a
    shortage of memory was met again 30 s later. `cleared` is whether the VM resource is Offline because this run has
    cleared it from Failed, in a look in which the guest was not shown down (off.clear_proves_nothing).
    """

    starts: Retry = Retry.READY
    clears: Retry = Retry.READY
    migrations: Retry = Retry.READY
    portal: Retry = Retry.READY
    csv_start_sent: bool = False
    was_home: bool = False
    cleared: bool = False
    refused: Refusal = Refusal.NOTHING
    memory_twice: bool = False
    words: str = ""
    over: frozenset[Timer] = frozenset()


def adopt(seen: Observation, tried: StartAttempts) -> Step | None:
    """Return how the cluster learns that the guest of a failed group runs; None if it need not, or cannot."""
    # Stopping the resource would clear Failed too, but its offline action saves the guest.
    if seen.group is not GroupKind.FAILED or tried.clears is Retry.USED_UP:
        return None
    if tried.clears is Retry.RECENT:
        return Wait(f"the group of {seen.names.vm} is failed, its guest runs")
    return Act(Do.ADOPT, Side.LOCAL, "its group is failed while its guest runs")


def within(attempts: Retry, do: Do, why: str, side: Side = Side.LOCAL) -> Step | None:
    """Return a step that is counted, or the wait until it may be tried again; None once it is used up."""
    match attempts:
        case Retry.READY:
            return Act(do, side, why)
        case Retry.RECENT:
            return Wait(f"{why}; waiting before the next attempt to {Act(do, side, why).words}")
    return None


def used_up(seen: Observation, participle: str, side: Side) -> Fail:
    """Say that what was done to a guest did not last."""
    host = seen.names.of(side)
    return Fail(
        Exit.NOT_AS_ASKED,
        f"{seen.names.vm} does not stay {participle} on {host}",
        f"it was {participle} 3 times and is {seen.on(side).word} again",
        f"see why in the Hyper-V-Worker event log of {host} and in the guest itself",
    )


def stuck(seen: Observation, side: Side) -> Fail:
    """Say that a guest stays in a state that leads nowhere."""
    host, word = seen.names.of(side), seen.on(side).word
    return Fail(
        Exit.NOT_AS_ASKED,
        f"{seen.names.vm} stays {word} on {host}",
        f"state {word} for longer than [timing] settle",
        f"see why in Hyper-V Manager on {host}, then start it again",
    )
