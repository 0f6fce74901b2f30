"""How often and how recently something was tried in a run, and how long something has lasted."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Generic, TypeVar

from ecx_hyperv.decide.steps import Retry

ALLOWED = 3

_K = TypeVar("_K", bound=Enum)


class Counter:
    """Counts attempts; the pause before the next one trebles each time."""

    def __init__(self, pause: float, allowed: int | None = ALLOWED) -> None:
        self._pause = pause
        self._allowed = allowed
        self._last = float("-inf")
        self.count = 0

    def add(self, now: float) -> None:
        """Count an attempt."""
        self.count += 1
        self._last = now

    def take_back(self) -> None:
        """Count the last attempt no more: it was not made."""
        self.count = max(0, self.count - 1)

    def look(self, now: float) -> Retry:
        """Say whether another may be made."""
        limited = self._allowed is not None
        pause = self._pause * 3 ** (self.count - 1) if limited else self._pause
        if self.count and now - self._last < pause:
            return Retry.RECENT
        used_up = self._allowed is not None and self.count >= self._allowed
        return Retry.USED_UP if used_up else Retry.READY


class Stopwatch(Generic[_K]):
    """Says which of several things have lasted past their limits, each without a break."""

    def __init__(self, limits: Mapping[_K, Callable[[], float] | float]) -> None:
        self._limits = limits
        self._since: dict[_K, float] = {}

    def update(self, running: Iterable[_K], now: float) -> frozenset[_K]:
        """Take what is so now, and return what has been so for its limit."""
        self._since = {key: self._since.get(key, now) for key in running}
        return frozenset(key for key, since in self._since.items() if now - since >= self._limit(key))

    def _limit(self, key: _K) -> float:
        limit = self._limits[key]
        return limit() if callable(limit) else limit
