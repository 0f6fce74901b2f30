"""A clock that stands still until somebody sleeps on it."""

from datetime import UTC, datetime, timedelta

MIDNIGHT = datetime(2024, 1, 2, tzinfo=UTC)


class FakeClock:
    """A machine's time, moved by sleeping or by hand; `slept` holds every sleep that was asked for."""

    def __init__(self, seconds: float = 1000.0, *, boot: str = "boot-1") -> None:
        self.seconds = seconds
        self.boot_id = boot
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return self.seconds

    def boottime(self) -> float:
        """Return seconds since this machine booted."""
        return self.seconds

    def boot(self) -> str:
        """Name the boot that boottime counts from."""
        return self.boot_id

    def wall(self) -> datetime:
        """Return the time of day."""
        return MIDNIGHT + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        """Let that many seconds pass."""
        self.slept.append(seconds)
        self.seconds += max(0.0, seconds)
