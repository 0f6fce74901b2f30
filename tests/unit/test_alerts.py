"""Alerts to ECX: one line, of a length that it takes, and never a reason for a run to fail."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.ecx.alerts import EcxAlerts, Level
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.errors import LocalError
from ecx_hyperv.log import LogFormat, open_log
from tests.unit.always import always
from tests.unit.clock import FakeClock
from tests.unit.runner import FakeRunner, printed

SENT = printed("")


class Alerting:
    """Alerts with everything around them."""

    def __init__(self, runner: FakeRunner, seconds: float = 90) -> None:
        self.clock = FakeClock()
        self.logged = io.StringIO()
        log = open_log(self.clock, "ab12", form=LogFormat.TEXT, verbose=False, stream=self.logged)
        self.alert = EcxAlerts(runner, log, Deadline.after(self.clock, seconds))


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


@pytest.mark.parametrize(("left", "limit"), [(90, 10), (4, 4), (0, 3)])
def test_an_alert_takes_no_longer_than_there_is_time(left: float, limit: float) -> None:
    """An alert must be given ten seconds at most, and three even when the run is out of time."""
    runner = FakeRunner(SENT)
    Alerting(runner, left).alert(Level.INFO, "x")
    assert [limit] == [seconds for _, seconds in runner.calls]


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
