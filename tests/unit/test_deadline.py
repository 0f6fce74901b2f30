"""Time, and the one deadline of a command."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.deadline import Clock, Deadline, SystemClock
from tests.unit.always import always
from tests.unit.clock import FakeClock


def test_a_deadline_counts_down() -> None:
    """A deadline must leave what was given less what has passed."""
    clock = FakeClock()
    deadline = Deadline.after(clock, 90)
    clock.sleep(30)
    assert 60 == deadline.remaining()
    assert not deadline.has_passed


def test_a_deadline_has_passed_at_its_very_end() -> None:
    """The moment of the deadline itself must count as too late, with no time left."""
    clock = FakeClock()
    deadline = Deadline.after(clock, 90)
    clock.sleep(90)
    assert deadline.has_passed
    assert 0 == deadline.remaining()


def test_a_deadline_long_past_leaves_no_negative_time() -> None:
    """What is left must never be less than nothing, since it is handed on as a limit."""
    clock = FakeClock()
    deadline = Deadline.after(clock, 1)
    clock.sleep(500)
    assert 0 == deadline.remaining()


def test_within_is_the_nearer_of_two() -> None:
    """A part of a run must get its own limit, but never more than the run has left."""
    deadline = Deadline.after(FakeClock(), 20)
    assert 5 == deadline.within(5).remaining()
    assert 20 == deadline.within(30).remaining()


@pytest.mark.parametrize(("limit", "own"), [(1500, 1495), (50, 45), (40, 36), (0, 0)])
def test_a_command_ends_its_waits_before_its_limit(limit: float, own: float) -> None:
    """A command must have 5 s left to say how it ended, and never more than a tenth of its limit."""
    assert own == Deadline.of_command(FakeClock(), limit).remaining()


def test_a_sleep_ends_at_the_deadline() -> None:
    """Sleeping must take the time that was asked for, but never go past the deadline."""
    clock = FakeClock()
    deadline = Deadline.after(clock, 5)
    deadline.sleep(3)
    deadline.sleep(3)
    deadline.sleep(3)
    assert [3, 2, 0] == clock.slept


@always
@given(total=st.integers(0, 5000), passed=st.integers(0, 5000), part=st.integers(0, 5000))
def test_no_part_is_later_than_the_whole(total: int, passed: int, part: int) -> None:
    """The limit of a part must never allow more than the deadline it comes from."""
    clock = FakeClock()
    deadline = Deadline.after(clock, total)
    clock.seconds += passed
    assert max(0, total - passed) == deadline.remaining()
    assert deadline.within(part).remaining() <= min(part, deadline.remaining())


def test_the_machines_own_time() -> None:
    """The system's clock must only grow, name one boot, and tell the time of day with its zone."""
    clock: Clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()
    assert 0 < clock.boottime() <= clock.boottime()
    assert clock.boot() == clock.boot() != ""
    assert clock.wall().tzinfo is not None


def test_the_machine_sleeps_as_long_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system must sleep for the time that is asked for, and not at all for less than nothing."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for seconds in (2.5, 0, -1):
        SystemClock().sleep(seconds)
    assert [2.5, 0, 0] == slept
