"""How a command's process ends: with the code of its work, whatever can be told of it, and within its limit."""

import os
import threading
from contextlib import suppress
from typing import NoReturn

from ecx_hyperv.deadline import Clock
from ecx_hyperv.ecx.alerts import EcxAlerts, Level
from ecx_hyperv.errors import sentence
from ecx_hyperv.log import Log
from ecx_hyperv.output import Delivery, Output

# What all alerts that are left at the end of a run may take together: little where the limit is near.
_ALERTS_S = 10.0
_LEAST_ALERTS_S = 3.0
# What is kept before the limit for the output.
_OUTPUT_S = 2.0
# What the guard grants for saying that it ends the process.
_LAST_WORDS_S = 0.5


class Ending:
    """The one way out of a command; `code` is known once the work is over."""

    def __init__(self, delivery: Delivery, output: Output, clock: Clock, log: Log, alerts: EcxAlerts) -> None:
        self._delivery = delivery
        self._output = output
        self._clock = clock
        self._log = log
        self.alerts = alerts
        self._limit: float | None = None
        self.code: int | None = None

    def guard(self, seconds: float, code: int, what: str) -> None:
        """End the process at its limit whatever hangs; the last resort, after every wait's own limit."""
        self._limit = self._clock.monotonic() + seconds
        timer = threading.Timer(seconds, self._end_late, (seconds, code, what))
        timer.daemon = True
        timer.start()

    def send_alerts(self) -> None:
        """Wait for the alerts, within their budget: what became of them stands before the last line of a command."""
        self.alerts.close(self._left_for_alerts())

    def leave(self, code: int) -> NoReturn:
        """End the process at once, whatever its threads do, once what there is to tell had its time to be told."""
        self.code = code
        try:
            self.send_alerts()
            self._output.finish()
        finally:
            # Ctrl-C while somebody reads: the work is over, and its code is known.
            os._exit(code)

    def _left_for_alerts(self) -> float:
        if self._limit is None:
            return _ALERTS_S
        return max(_LEAST_ALERTS_S, min(_ALERTS_S, self._limit - self._clock.monotonic() - _OUTPUT_S))

    def _end_late(self, seconds: float, code: int, what: str) -> None:
        if self.code is not None:
            # The work is over: what became of it is the code. A person may read on for as long as it takes.
            if self._delivery is Delivery.BEST_EFFORT:
                os._exit(self.code)
            return
        # The log may be held by a thread that waits for a reader: the guard waits for nobody.
        teller = threading.Thread(target=self._tell_late, args=(seconds, code, what), daemon=True)
        with suppress(RuntimeError):
            teller.start()
            teller.join(_LAST_WORDS_S)
        os._exit(code)

    def _tell_late(self, seconds: float, code: int, what: str) -> None:
        seen, do = f"not over after {seconds:g} s", "run it again; see what hangs with -v"
        if self._delivery is Delivery.BEST_EFFORT:
            self.alerts.send_and_leave(Level.ERR, sentence(what, seen, do))
        self._log.error(what, seen=seen, do=do, exit=code)
        self._output.finish()
