"""Alerts: what a person should see goes to ECX's alert log by clplogcmd, and never keeps a run from going on."""

from enum import Enum
from typing import Protocol

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.ecx.commands import Runner
from ecx_hyperv.errors import LocalError
from ecx_hyperv.log import Log
from ecx_hyperv.plain import flat

# The alert log shows a line; what is longer is cut by ECX somewhere.
_LONGEST = 500
# What an alert may take, and what it gets even after the deadline: that a run is out of time must still be told.
_MOST_S = 10.0
_LEAST_S = 3.0


class Level(Enum):
    """How urgent an alert is, in ECX's own words."""

    INFO = "INFO"
    WARN = "WARN"
    ERR = "ERR"


class Alert(Protocol):
    """Tells ECX."""

    def __call__(self, level: Level, text: str) -> None:
        """Send one line to ECX's alert log."""


class EcxAlerts:
    """Alerts through clplogcmd; a failing one is logged and forgotten."""

    def __init__(self, run: Runner, log: Log, deadline: Deadline) -> None:
        self._run = run
        self._log = log
        self._deadline = deadline

    def __call__(self, level: Level, text: str) -> None:
        """Send one line to ECX's alert log."""
        line = " ".join(flat(f"ecx-hyperv: {text}").split())[:_LONGEST]
        seconds = min(_MOST_S, max(_LEAST_S, self._deadline.remaining()))
        try:
            done = self._run(["clplogcmd", "-m", line, "-l", level.value], seconds)
        except LocalError as error:
            self._log.warning("alert not sent", urgency=level.value, alert=text, because=error.what)
            return
        if done.code != 0:
            self._log.warning("alert not sent", urgency=level.value, alert=text, because=f"clplogcmd: {done.code}")
