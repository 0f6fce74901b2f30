"""Alerts: what a person should see goes to ECX's alert log by clplogcmd, beside the work and never in its way.

An alert is put in a queue, and a thread hands it to clplogcmd. A clplogcmd that hangs delays no step (D22). At the end
of a run all that is left has one budget of time together; what was not sent by then is counted and logged.
"""

import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from enum import Enum
from typing import Protocol

from ecx_hyperv.ecx.commands import Runner, find
from ecx_hyperv.errors import LocalError
from ecx_hyperv.log import Log
from ecx_hyperv.plain import flat

# The alert log shows a line; what is longer is cut by ECX somewhere.
_LONGEST = 500
# What one alert may take. Less than the budget of an end that is in time: a clplogcmd that hangs does not stay behind.
_EACH_S = 8.0
# What is too short for clplogcmd to start.
_TOO_SHORT_S = 0.5
_MOST_WAITING = 100


class Level(Enum):
    """How urgent an alert is, in ECX's own words."""

    INFO = "INFO"
    WARN = "WARN"
    ERR = "ERR"


class Alert(Protocol):
    """Tells ECX."""

    def __call__(self, level: Level, text: str) -> None:
        """Have one line sent to ECX's alert log, without waiting for it."""


class EcxAlerts:
    """Alerts through clplogcmd, in a thread; a failing one is logged and forgotten."""

    def __init__(self, run: Runner, log: Log) -> None:
        self._run = run
        self._log = log
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Level, str]] = deque()
        self._is_sending = False
        self._has_thread = False
        self._dropped = 0
        # When all must be over, once the run has ended.
        self._end: float | None = None

    def __call__(self, level: Level, text: str) -> None:
        """Have one line sent to ECX's alert log, without waiting for it."""
        with self._changed:
            if len(self._waiting) >= _MOST_WAITING or not self._start():
                self._dropped += 1
                return
            self._waiting.append((level, text))
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Wait until all is sent, for at most so many seconds; log what was not."""
        with self._changed:
            self._end = time.monotonic() + seconds
            self._changed.wait_for(lambda: not self._waiting and not self._is_sending, seconds)
            left = [*self._waiting]
            self._waiting.clear()
        for level, text in left:
            self._log.warning("alert not sent", urgency=level.value, alert=text, because="clplogcmd takes too long")
        if self._dropped:
            self._log.warning("alerts not sent", count=self._dropped, because="clplogcmd takes too long")

    def send_and_leave(self, level: Level, text: str) -> None:
        """Hand one line to clplogcmd without caring what becomes of it: the process is about to end."""
        with suppress(LocalError, OSError, ValueError):
            program, *arguments = _command(level, text)
            subprocess.Popen(
                [find(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _start(self) -> bool:
        if not self._has_thread:
            with suppress(RuntimeError):
                threading.Thread(target=self._send_all, daemon=True, name="alerts").start()
                self._has_thread = True
        return self._has_thread

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._is_sending = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                seconds = _EACH_S if self._end is None else min(_EACH_S, self._end - time.monotonic())
                if seconds < _TOO_SHORT_S:
                    # close() logs what waits.
                    return
                level, text = self._waiting.popleft()
                self._is_sending = True
            self._send(level, text, seconds)

    def _send(self, level: Level, text: str, seconds: float) -> None:
        try:
            done = self._run(_command(level, text), seconds)
        except LocalError as error:
            self._log.warning("alert not sent", urgency=level.value, alert=text, because=error.what)
            return
        if done.code != 0:
            self._log.warning("alert not sent", urgency=level.value, alert=text, because=f"clplogcmd: {done.code}")


def _command(level: Level, text: str) -> list[str]:
    line = " ".join(flat(f"ecx-hyperv: {text}").split())[:_LONGEST]
    return ["clplogcmd", "-m", line, "-l", level.value]
