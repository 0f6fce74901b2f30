"""Alerts to ECX: one line, of a length that it takes, and never a reason for a run to fail."""

import io
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.ecx.alerts import EcxAlerts, Level
from ecx_hyperv.ecx.commands import Completed, Runner
from ecx_hyperv.errors import LocalError
from ecx_hyperv.log import LogFormat, open_log
from tests.unit.always import always
from tests.unit.clock import FakeClock
from tests.unit.runner import FakeRunner, printed

SENT = printed("")


class Alerting:
    """Alerts with everything around them."""

    def __init__(self, runner: Runner) -> None:
        self.logged = io.StringIO()
        log = open_log(FakeClock(), "ab12", form=LogFormat.TEXT, verbose=False, stream=self.logged)
        self.alerts = EcxAlerts(runner, log)

    def alert(self, level: Level, text: str, seconds: float = 10) -> None:
        """Alert, and wait until the alert is sent."""
        self.alerts(level, text)
        self.alerts.close(seconds)


@pytest.mark.parametrize(("level", "word"), [(Level.INFO, "INFO"), (Level.WARN, "WARN"), (Level.ERR, "ERR")])
def test_an_alert_goes_to_ecx_in_its_own_words(level: Level, word: str) -> None:
    """An alert must be a single argument of clplogcmd, with the level as ECX spells it, and not be logged."""
    runner = FakeRunner(SENT)
    alerting = Alerting(runner)
    alerting.alert(level, "web1 can't be seen; $(id)")
    assert [["clplogcmd", "-m", "ecx-hyperv: web1 can't be seen; $(id)", "-l", word]] == [c for c, _ in runner.calls]
    assert "" == alerting.logged.getvalue()


def test_an_alert_is_one_line() -> None:
    """Line breaks and runs of blanks must become single blanks."""
    runner = FakeRunner(SENT)
    Alerting(runner).alert(Level.WARN, " web1:\r\n\tno  answer\n")
    assert "ecx-hyperv: web1: no answer" == runner.calls[0][0][2]


@always
@given(text=st.text())
def test_an_alert_holds_nothing_that_a_line_cannot(text: str) -> None:
    """Whatever a host has said, an alert must be a printable line, since a NUL could not even be handed over."""
    runner = FakeRunner(SENT)
    Alerting(runner).alert(Level.ERR, text)
    line = runner.calls[0][0][2]
    assert line.startswith("ecx-hyperv:")
    assert line.isprintable()


@pytest.mark.parametrize("character", ["x", "日"])
def test_a_long_alert_is_cut(character: str) -> None:
    """What is longer than ECX shows must be cut at 500 characters, its beginning kept."""
    runner = FakeRunner(SENT)
    Alerting(runner).alert(Level.ERR, character * 2000)
    assert f"ecx-hyperv: {character * 488}" == runner.calls[0][0][2]


@pytest.mark.parametrize(("left", "least", "most"), [(90, 7.9, 8), (4, 3, 4), (0, 0, 0)])
def test_an_alert_takes_no_longer_than_there_is_time(left: float, least: float, most: float) -> None:
    """An alert must be given eight seconds at most, and no more than is left; with nothing left it is logged."""
    runner = FakeRunner(SENT)
    alerting = Alerting(runner)
    alerting.alerts._end = time.monotonic() + left
    alerting.alerts(Level.INFO, "x")
    time.sleep(0.1)
    alerting.alerts.close(0)
    assert ([] if not left else [True]) == [least <= seconds <= most for _, seconds in runner.calls]
    assert (not left) == ("alert not sent" in alerting.logged.getvalue())


class _Hanging:
    """A clplogcmd that takes as long as it is allowed to, in a short while."""

    def __init__(self) -> None:
        self.calls: list[Sequence[str]] = []
        self.is_asked = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, command: Sequence[str], seconds: float) -> Completed:
        """Hang."""
        self.calls.append(command)
        self.is_asked.set()
        self.go_on.wait(min(seconds, 5))
        return printed("", None)


def test_d22_a_clplogcmd_that_hangs_delays_no_step() -> None:
    """Alerts must cost the work no time, and all that are left at the end share one budget; each one is logged."""
    hanging = _Hanging()
    alerting = Alerting(hanging)
    began = time.monotonic()
    for number in range(20):
        alerting.alerts(Level.WARN, f"step {number}.")
    assert time.monotonic() - began < 0.5
    assert hanging.is_asked.wait(10)
    began = time.monotonic()
    alerting.alerts.close(1.5)
    assert time.monotonic() - began < 3
    assert 1 == len(hanging.calls)
    assert [f"step {number}." for number in range(1, 20)] == [
        line.partition("alert: ")[2].partition(";")[0] for line in alerting.logged.getvalue().splitlines()
    ]
    hanging.go_on.set()


def test_d22_alerts_without_end_are_counted() -> None:
    """What ECX does not take must not fill the memory: beyond a bound it is counted, and the count is logged."""
    hanging = _Hanging()
    alerting = Alerting(hanging)
    for number in range(500):
        alerting.alerts(Level.WARN, f"step {number}")
    alerting.alerts.close(0)
    hanging.go_on.set()
    logged = alerting.logged.getvalue().splitlines()
    assert 99 <= len(logged) - 1 <= 101
    assert "alerts not sent (count: " in logged[-1]


def test_d22_alerts_keep_their_order() -> None:
    """Alerts must arrive in the order in which they were raised."""
    runner = FakeRunner(SENT)
    alerting = Alerting(runner)
    for number in range(50):
        alerting.alerts(Level.WARN, f"{number}")
    alerting.alerts.close(10)
    assert [f"ecx-hyperv: {number}" for number in range(50)] == [command[2] for command, _ in runner.calls]


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (LocalError("the command clplogcmd is not there", seen="x", remedy="y"), "the command clplogcmd is not there"),
        (printed("Error", 1), "clplogcmd: 1"),
        (printed("", None), "clplogcmd"),
        (printed("", -9), "clplogcmd: -9"),
    ],
    ids=["missing", "fails", "late", "killed"],
)
@pytest.mark.parametrize("level", list(Level))
def test_an_alert_that_fails_is_logged_and_forgotten(
    answer: Completed | LocalError, because: str, level: Level
) -> None:
    """An alert that can't be sent must raise nothing, and be logged with its level, its text and the reason."""
    alerting = Alerting(FakeRunner(answer))
    alerting.alert(level, "web1 has failed")
    logged = alerting.logged.getvalue()
    assert 1 == logged.count("\n")
    for part in ("alert not sent", "web1 has failed", because, level.value):
        assert part in logged


def test_an_alert_that_failed_does_not_hold_back_the_next() -> None:
    """One alert's failure must not keep the next from being sent."""
    runner = FakeRunner(LocalError("x"), SENT)
    alerting = Alerting(runner)
    alerting.alert(Level.WARN, "one")
    alerting.alert(Level.WARN, "two")
    assert ["ecx-hyperv: one", "ecx-hyperv: two"] == [command[2] for command, _ in runner.calls]
