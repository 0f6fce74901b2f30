"""Timing that holds together: the floor and the ceiling of each value, told by a check, and kept to by a run.

Kept: a file that an earlier release took goes on to load, and no command fails for it. But a run does not carry out
what cannot be meant (D20): a reserve above the whole time of a stop cut the power of each guest at once, and 0 s of
settle cancelled a migration and turned the guest off in the same second. So a run takes the nearest value that holds
together with the others, and tells so. A check demands exactly what a run would take unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from ecx_hyperv.config import Timing

# The least that makes sense, in seconds: below it a host is asked over and over, what heals by itself is given up, or
# one look decides. What is not here may be 0: a grace that is not wanted, an alert at once.
_FLOORS = {
    "interval": 0.5,
    "connect": 5.0,
    "start": 60.0,
    "unregister": 60.0,
    "monitor": 20.0,
    "reserve": 30.0,
    "settle": 30.0,
    "critical": 30.0,
    "isolated": 20.0,
    "patience": 30.0,
    "confirm_peer": 2.0,
    "hung_after": 60.0,
    "stale": 30.0,
    "cool_down": 60.0,
}
# Two looks more than 15 s apart belong to no span, whatever lasts.
_LONGEST_INTERVAL_S = 5.0
# What somebody saw an hour ago proves nothing about the time in between.
_LONGEST_STALE_S = 3600.0


@dataclass(frozen=True, slots=True)
class TimingDoubt:
    """A value of [timing] that does not hold together with the others, and the nearest one that does."""

    key: str
    value: float
    expected: str
    nearest: float

    def __str__(self) -> str:
        return f"[timing] {self.key} {self.value:g} is not {self.expected}: {self.nearest:g} is used"


def bounded(timing: Timing, pace: float = 1.0) -> tuple[Timing, tuple[TimingDoubt, ...]]:
    """Return the timing that a run goes by, and what was changed for it.

    `pace` is how long a second of the world lasts here: below 1 in the lab only, which runs faster.
    """
    doubts: dict[str, TimingDoubt] = {}
    for make in (lambda now: _floors(now, pace), _ceilings):
        for doubt in make(timing):
            # What a floor has raised may be lowered again where another value leaves no more room.
            first = doubts.get(doubt.key, doubt)
            doubts[doubt.key] = TimingDoubt(first.key, first.value, first.expected, doubt.nearest)
            timing = msgspec.structs.replace(timing, **{doubt.key: doubt.nearest})
    return timing, tuple(doubts.values())


def _floors(timing: Timing, pace: float) -> Iterator[TimingDoubt]:
    for key, seconds in _FLOORS.items():
        floor = seconds * pace
        value = getattr(timing, key)
        if value < floor:
            yield TimingDoubt(key, value, f"{floor:g} or more", floor)


def _ceilings(timing: Timing) -> Iterator[TimingDoubt]:
    reserve = min(timing.reserve, timing.unregister / 2)
    # A command ends a little before its limit.
    left = timing.unregister * 0.9 - reserve
    limits = (
        ("interval", _LONGEST_INTERVAL_S, "or less"),
        ("connect", timing.monitor / 2, "or less, half of monitor"),
        ("confirm_vm", timing.monitor / 3, "or less, a third of monitor"),
        ("confirm_peer", timing.monitor / 3, "or less, a third of monitor"),
        ("reserve", timing.unregister / 2, "or less, half of unregister: guests need the rest to shut down"),
        ("shutdown", left, "or less, which is what reserve leaves of unregister"),
        ("shutdown_on_failover", left, "or less, which is what reserve leaves of unregister"),
        ("stale", _LONGEST_STALE_S, "or less"),
    )
    for key, limit, words in limits:
        value = getattr(timing, key)
        if value > limit:
            yield TimingDoubt(key, value, f"{limit:g} {words}", limit)
    # A monitor that takes as long as it may must still find what it saw before.
    least = min(timing.monitor, _LONGEST_STALE_S)
    if timing.stale < least:
        yield TimingDoubt("stale", timing.stale, f"{least:g} or more, as long as monitor", least)
