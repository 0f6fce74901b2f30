"""Time, handed in: a clock that can be replaced, and the one deadline of a command."""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

_MARGIN_S = 5.0


class Clock(Protocol):
    """Where time comes from; seconds."""

    def monotonic(self) -> float:
        """Return seconds that only grow, from an arbitrary start."""

    def boottime(self) -> float:
        """Return seconds since this machine booted, those asleep included."""

    def boot(self) -> str:
        """Name the boot that boottime counts from."""

    def wall(self) -> datetime:
        """Return the time of day, with its zone."""

    def sleep(self, seconds: float) -> None:
        """Let that many seconds pass."""


class SystemClock:
    """This machine's own time."""

    def monotonic(self) -> float:
        """Return seconds that only grow, from an arbitrary start."""
        return time.monotonic()

    def boottime(self) -> float:
        """Return seconds since this machine booted, those asleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot(self) -> str:
        """Name the boot that boottime counts from."""
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def wall(self) -> datetime:
        """Return the time of day, with its zone."""
        return datetime.now().astimezone()

    def sleep(self, seconds: float) -> None:
        """Let that many seconds pass."""
        time.sleep(max(0.0, seconds))


# What a command keeps of its time for saying how it ended.
_MARGIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment at which something must be over; everything that waits is handed one."""

    clock: Clock
    end: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> "Deadline":
        """Return the deadline that many seconds from now."""
        return cls(clock, clock.monotonic() + seconds)

    @classmethod
    def of_command(cls, clock: Clock, seconds: float) -> "Deadline":
        """Return the deadline of a command that may take that many seconds in all: its waits end a little before."""
        return cls.after(clock, seconds - min(_MARGIN_S, seconds / 10))

    def remaining(self) -> float:
        """Return the seconds left; zero once it has passed."""
        return max(0.0, self.end - self.clock.monotonic())

    @property
    def has_passed(self) -> bool:
        """Tell whether no time is left."""
        return self.clock.monotonic() >= self.end

    def within(self, seconds: float) -> "Deadline":
        """Return the nearer of this one and the one that many seconds from now."""
        return Deadline(self.clock, min(self.end, self.clock.monotonic() + seconds))

    def sleep(self, seconds: float) -> None:
        """Sleep, but never past this deadline."""
        self.clock.sleep(min(seconds, self.remaining()))


def in_time(seconds: float) -> str:
    """Put a length of time as short as it can be read: 0:38, 2 h 05 min, 6 d 4 h."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes}:{rest:02}"
