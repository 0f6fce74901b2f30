"""How often and how recently something was tried in a run, and how long something has lasted."""

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import Generic, TypeVar

from ecx_hyperv.decide.steps import Retry

ALLOWED = 3
# The pause before another attempt trebles, but not beyond this.
_LONGEST_PAUSE_S = 60.0

_K = TypeVar("_K", bound=Enum)


class Counter:
    """Counts attempts; where they are limited the pause before the next one trebles each time.

    An attempt that was not carried out is taken back: it uses up nothing, but the pauses go on growing.
    """

    def __init__(self, pause: float, allowed: int | None = ALLOWED) -> None:
        self._pause = pause
        self._allowed = allowed
        self._last = float("-inf")
        self._tries = 0
        self._not_before = float("-inf")
        self.count = 0

    def add(self, now: float) -> None:
        """Count an attempt."""
        self.count += 1
        self._tries += 1
        self._last = now

    def take_back(self) -> None:
        """Count the last attempt no more: it was not carried out."""
        self.count = max(0, self.count - 1)

    def undo(self) -> None:
        """Count the last attempt as if it had never been begun: it was not sent."""
        self.count, self._tries, self._last = max(0, self.count - 1), max(0, self._tries - 1), float("-inf")

    def hold(self, until: float) -> None:
        """Allow no other attempt before a moment."""
        self._not_before = max(self._not_before, until)

    def look(self, now: float) -> Retry:
        """Say whether another may be made."""
        pause = self._pause if self._allowed is None else min(self._pause * 3 ** (self._tries - 1), self._longest)
        if now < self._not_before or (self._tries and now - self._last < pause):
            return Retry.RECENT
        used_up = self._allowed is not None and self.count >= self._allowed
        return Retry.USED_UP if used_up else Retry.READY

    @property
    def _longest(self) -> float:
        return max(_LONGEST_PAUSE_S, self._pause)


class Stopwatch(Generic[_K]):
    """Says which of several things have lasted past their limits, each without a break.

    Those in `summed` add up over their breaks. Those in `watched` are spans in which somebody must have looked: two
    looks that lie further apart than `gap` seconds start them anew, since nobody knows what was in between.
    """

    def __init__(
        self,
        limits: Mapping[_K, Callable[[], float] | float],
        *,
        summed: Collection[_K] = (),
        watched: Collection[_K] = (),
        gap: float = float("inf"),
    ) -> None:
        self._limits = limits
        self._summed = frozenset(summed)
        self._watched = frozenset(watched)
        self._gap = gap
        self._since: dict[_K, float] = {}
        self._sums: dict[_K, float] = {}
        self._looked = float("-inf")

    def update(self, running: Iterable[_K], now: float) -> frozenset[_K]:
        """Take what is so now, and return what has been so for its limit."""
        since_last = now - self._looked
        self._looked = now
        stale = self._watched if since_last > self._gap else frozenset()
        before, running = self._since, frozenset(running)
        for key in self._summed & running & before.keys():
            self._sums[key] = self._sums.get(key, 0.0) + since_last
        self._since = {key: before[key] if key in before and key not in stale else now for key in running}
        return frozenset(key for key in running if self._lasted(key, now) >= self._limit(key))

    def restart(self, key: _K) -> None:
        """Have a span begin anew at the next look that shows it."""
        self._since.pop(key, None)

    def _lasted(self, key: _K, now: float) -> float:
        return self._sums.get(key, 0.0) if key in self._summed else now - self._since[key]

    def _limit(self, key: _K) -> float:
        limit = self._limits[key]
        return limit() if callable(limit) else limit
