"""Progress where no terminal shows it: in the log, now and then; and which of both it is to be."""

import os
import stat
import sys
from contextlib import suppress
from typing import Self, TextIO

from ecx_hyperv.deadline import Clock, Deadline, in_time
from ecx_hyperv.log import Log

# How often a wait that lasts is told again.
_AGAIN_S = 30.0
# At so many parts of the whole a line is logged.
_STEPS = 10


def can_be_drawn_on(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal on which lines can be drawn again."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def any_terminal() -> bool:
    """Tell whether something can be drawn beside what is said; not beside a pager, which draws by itself."""
    return can_be_drawn_on(sys.stdout) or (can_be_drawn_on(sys.stderr) and not _is_pipe(sys.stdout))


def _is_pipe(stream: TextIO) -> bool:
    with suppress(OSError, ValueError):
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    return False


class LineProgress:
    """The same where no terminal shows it: a wait that lasts is logged again, every 30 s."""

    def __init__(self, clock: Clock, deadline: Deadline, log: Log) -> None:
        self._clock = clock
        self._deadline = deadline
        self._log = log
        self._shown: dict[str, tuple[str, float, float]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End nothing."""

    def show(self, vm: str, text: str) -> None:
        """Log what is being done for a VM if that has not changed for a while."""
        now = self._clock.monotonic()
        said, since, told = self._shown.get(vm, ("", now, now))
        if said != text:
            self._shown[vm] = (text, now, now)
        elif now - told >= _AGAIN_S:
            self._shown[vm] = (text, since, now)
            left = in_time(self._deadline.remaining())
            self._log.info(f"for {in_time(now - since)} now: {text}; gives up in {left}", vm=vm)


class LineBar:
    """How far a whole has come, as a line in the log at each tenth of it."""

    def __init__(self, what: str, clock: Clock, log: Log) -> None:
        self._what = what
        self._clock = clock
        self._log = log
        self._began = clock.monotonic()
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End nothing."""

    def reach(self, done: int, total: int) -> None:
        """Log how much is done, if that is a tenth more than what was logged last."""
        tenth = done * _STEPS // max(1, total)
        if tenth > self._told:
            self._told = tenth
            self._log.info(
                f"{self._what}: {done} of {total} done after {in_time(self._clock.monotonic() - self._began)}"
            )
