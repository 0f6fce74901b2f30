"""The log: one line an event, whatever it holds, as text or as JSON."""

import io
import json
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.log import Log, LogFormat, open_log
from tests.unit.always import always
from tests.unit.clock import FakeClock


class _Word(Enum):
    ONE = "one"


class Logged:
    """A log whose lines can be read."""

    def __init__(self, form: LogFormat = LogFormat.TEXT, *, verbose: bool = False) -> None:
        self.stream = io.StringIO()
        self.log: Log = open_log(FakeClock(), "ab12", form=form, verbose=verbose, stream=self.stream)

    @property
    def text(self) -> str:
        """What was logged."""
        return self.stream.getvalue()


def test_an_event_is_one_readable_line() -> None:
    """A line of text must hold the time with its zone, the level, the run, the VM, the event and what is told of it."""
    logged = Logged()
    logged.log.warning("waits", vm="web1", because="it starts", left=30)
    assert "2024-01-02T00:16:40.000+00:00 warning [ab12] web1: waits (because: it starts; left: 30)\n" == logged.text


def test_an_event_without_more_is_just_told() -> None:
    """Where there is no VM and nothing is told of an event, there must be no empty brackets."""
    logged = Logged()
    logged.log.info("started")
    assert "2024-01-02T00:16:40.000+00:00 info    [ab12] started\n" == logged.text


def test_what_is_empty_is_left_out() -> None:
    """A value that says nothing must not be told, but a zero or a False says something."""
    logged = Logged()
    logged.log.error("ended", seen="", do=None, exit=0, dry=False)
    assert logged.text.endswith("] ended (exit: 0; dry: False)\n")


@pytest.mark.parametrize("form", list(LogFormat))
def test_debug_lines_are_for_the_verbose(form: LogFormat) -> None:
    """Debug lines must be written only if they were asked for, and all others in any case."""
    quiet, verbose = Logged(form), Logged(form, verbose=True)
    for logged in (quiet, verbose):
        logged.log.debug("looks")
        logged.log.info("starts")
    assert ["starts"] == [word for word in ("looks", "starts") if word in quiet.text]
    assert ["looks", "starts"] == [word for word in ("looks", "starts") if word in verbose.text]


@always
@given(event=st.text(), seen=st.text())
def test_an_event_stays_on_one_line_of_text(event: str, seen: str) -> None:
    """Whatever a host has said, an event must be one line and hold nothing that moves a terminal."""
    logged = Logged()
    logged.log.info(event, seen=seen)
    assert logged.text.endswith("\n")
    assert logged.text[:-1].isprintable()


def test_what_would_break_a_line_is_a_blank() -> None:
    """Each character that a line can't hold must be told as a blank, the rest unchanged."""
    logged = Logged()
    logged.log.info("a\nb", seen="c\x1b[1m\u3000d")
    assert logged.text.endswith("] a b (seen: c [1m d)\n")


@pytest.mark.parametrize("vm", ["web\n1", "web\x1b[2J1", "web\u20281", "web\x9b1"])
def test_a_vms_name_stays_on_the_line_of_its_event(vm: str) -> None:
    """A VM's name, which may come from a command line, must no more break a line than what is told of it."""
    logged = Logged()
    logged.log.info("waits", vm=vm)
    assert logged.text.endswith(": waits\n")
    assert logged.text[:-1].isprintable()


def test_japanese_is_told_as_it_is() -> None:
    """Names and messages in any script must stay readable in both forms."""
    for form in LogFormat:
        logged = Logged(form)
        logged.log.info("待機中", vm="業務サーバー")
        assert "待機中" in logged.text
        assert "業務サーバー" in logged.text


@always
@given(event=st.text(), vm=st.text(), seen=st.text())
def test_an_event_is_one_line_of_valid_json(event: str, vm: str, seen: str) -> None:
    """Whatever it holds, an event must be one JSON object on one line with every value unchanged."""
    logged = Logged(LogFormat.JSON)
    logged.log.info(event, vm=vm, seen=seen)
    assert logged.text.endswith("\n")
    assert "\n" not in logged.text[:-1]
    expected = {
        "time": "2024-01-02T00:16:40.000+00:00",
        "run": "ab12",
        "level": "info",
        "event": event,
        "vm": vm,
        "seen": seen,
    }
    assert expected == json.loads(logged.text)


@pytest.mark.parametrize("value", [Path("/etc"), _Word.ONE, b"\xff", frozenset({1}), ValueError("x"), None, 1.5, [1]])
@pytest.mark.parametrize("form", list(LogFormat))
def test_any_kind_of_value_can_be_told(form: LogFormat, value: object) -> None:
    """A value of whatever type must be written in some way, and never be an error."""
    logged = Logged(form)
    logged.log.info("looks", value=value)
    assert 1 == logged.text.count("\n")
    if form is LogFormat.JSON:
        assert "value" in json.loads(logged.text)


@pytest.mark.parametrize("form", list(LogFormat))
def test_a_traceback_is_told(form: LogFormat) -> None:
    """Where a traceback is logged, the error and its place must be in it, still on one line."""
    logged = Logged(form, verbose=True)
    try:
        int("no number")
    except ValueError:
        logged.log.debug("traceback", exc_info=True)
    assert "invalid literal for int()" in logged.text
    assert "test_log.py" in logged.text
    assert 1 == logged.text.count("\n")


def test_b3_an_error_is_put_to_a_person_in_three_lines() -> None:
    """For a person an error must be what is wrong, what was seen and what to do, without a stamp."""
    logged = Logged(LogFormat.PERSON)
    logged.log.error("vm1 was not started: the volume is Failed", vm="vm1", seen="Failed for 64 s", do="see it", exit=1)
    expected = "Error: vm1 was not started: the volume is Failed\nSeen:  Failed for 64 s\nDo:    see it\n"
    assert expected == logged.text


def test_b3_what_is_no_error_is_put_to_a_person_with_the_time_of_day() -> None:
    """For a person a warning must say that it is one, and a step must have the time of day and no more of a stamp."""
    logged = Logged(LogFormat.PERSON)
    logged.log.warning("flags cannot be read", because="it is denied", do="run this as root (sudo)")
    logged.log.info("register: it is not registered", vm="web1")
    expected = [
        "Warning: flags cannot be read (because: it is denied)",
        "Do:      run this as root (sudo)",
        "00:16:40  web1: register: it is not registered",
    ]
    assert expected == logged.text.splitlines()


@pytest.mark.parametrize("form", [LogFormat.TEXT, LogFormat.PERSON])
@pytest.mark.parametrize(
    ("event", "told", "expected"),
    [
        ("vm1 is running", {"vm": "vm1"}, "vm1 is running"),
        ("VM1: waiting", {"vm": "vm1"}, "VM1: waiting"),
        ("vm10 is in the way", {"vm": "vm1"}, "vm1: vm10 is in the way"),
        ("it failed", {"because": "because: it was denied"}, "it failed (because: it was denied)"),
    ],
)
def test_b3_nothing_is_said_twice(form: LogFormat, event: str, told: dict[str, str], expected: str) -> None:
    """A name that the event begins with, and a label that a value brings itself, must not be put in front again."""
    logged = Logged(form)
    logged.log.info(event, **told)
    assert logged.text.endswith(f" {expected}\n")


@always
@given(event=st.text(), vm=st.text(), seen=st.text(), do=st.text())
def test_u04_what_is_put_to_a_person_controls_no_terminal(event: str, vm: str, seen: str, do: str) -> None:
    """Whatever a host has said, an error must be three lines at most, and hold nothing that moves a terminal."""
    logged = Logged(LogFormat.PERSON)
    logged.log.error(event, vm=vm, seen=seen, do=do)
    lines = logged.text.split("\n")
    assert len(lines) <= 4
    assert all(line.isprintable() for line in lines)


def test_the_log_follows_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A log without a stream of its own must be written to what stderr is at that moment."""
    log = open_log(FakeClock(), "ab12", form=LogFormat.TEXT, verbose=False)
    log.info("one")
    above = io.StringIO()
    monkeypatch.setattr("sys.stderr", above)
    log.info("two")
    assert (True, True) == ("] one" in capsys.readouterr().err, "] two" in above.getvalue())


def test_two_runs_can_be_told_apart() -> None:
    """Logs that go to one stream must each keep their own run."""
    stream = io.StringIO()
    for run in ("aaaa", "bbbb"):
        open_log(FakeClock(), run, form=LogFormat.JSON, verbose=False, stream=stream).info("starts")
    assert ["aaaa", "bbbb"] == [json.loads(line)["run"] for line in stream.getvalue().splitlines()]


def test_u04_a_line_of_json_holds_nothing_that_controls_a_terminal() -> None:
    """A log in JSON must hold what was said unchanged, bounded, and not a character that a terminal would obey."""
    logged = Logged(LogFormat.JSON)
    evil = "\x1b[2J\x9b2J\u202e\u2066\x7f\ud800 x"
    logged.log.warning(evil, vm=evil, seen="y" * 100_000)
    line = logged.text.removesuffix("\n")
    assert line.isprintable()
    assert len(line) < 10_000
    assert evil == json.loads(line)["event"] == json.loads(line)["vm"]
