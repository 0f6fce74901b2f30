"""A host's time against a run's: until when an act may be made, and whether the run was frozen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecx_hyperv.host.clock import FROZEN_S, HostClock

steady = settings(derandomize=True, deadline=None)
seconds = st.floats(min_value=0, max_value=600)


def test_nothing_is_known_before_the_first_words() -> None:
    """Before a host has told its time no act may go there."""
    clock = HostClock()
    assert not clock.is_known
    assert clock.not_after(1000.0) is None
    clock.heard(None, 0.0, 1.0)
    assert not clock.is_known


def test_not_after_counts_from_when_the_newest_frame_arrived() -> None:
    """What is left until the run stops waiting must be counted from when the newest frame arrived."""
    clock = HostClock()
    clock.heard(50_000, 10.0, 11.0)
    clock.heard(52_000, 12.0, 13.0)
    assert 52_000 + 7_000 == clock.not_after(20.0)


def test_older_frame_of_another_session_changes_nothing() -> None:
    """A frame that arrived earlier than the newest one must not take its place."""
    clock = HostClock()
    clock.heard(52_000, 12.0, 13.0)
    clock.heard(50_000, 10.0, 11.0)
    assert 52_000 == clock.not_after(13.0)


@steady
@given(boot=st.floats(min_value=0, max_value=1e6), way=seconds, back=seconds, left=seconds)
def test_act_is_never_made_after_the_run_has_stopped_waiting(boot: float, way: float, back: float, left: float) -> None:
    """However long a frame took, the host's count must reach `not_after` before the run stops waiting."""
    clock, sent = HostClock(), 100.0
    read, received = sent + way, sent + way + back
    clock.heard(int((boot + read) * 1000), sent, received)
    until = received + left
    limit = clock.not_after(until)
    assert limit is not None
    assert limit <= (boot + until) * 1000


@steady
@given(waits=st.lists(st.tuples(seconds, seconds, seconds), min_size=2, max_size=8))
def test_run_that_was_never_frozen_is_not_told_so(waits: list[tuple[float, float, float]]) -> None:
    """Whatever questions and answers take on their way, a run whose clock went on must not pass for frozen."""
    clock, now = HostClock(), 0.0
    for pause, way, back in waits:
        sent = now + pause
        clock.heard(int((sent + way) * 1000), sent, sent + way + back)
        now = sent + way + back
    assert not clock.was_frozen


@pytest.mark.parametrize(("frozen", "told"), [(FROZEN_S - 5, False), (FROZEN_S + 5, True), (3600.0, True)])
def test_freeze_is_told(frozen: float, *, told: bool) -> None:
    """A host's count that advanced by 30 s more than this run's clock must be told, and stay told."""
    clock = HostClock()
    clock.heard(100_000, 10.0, 10.1)
    clock.heard(100_000 + int((5 + frozen) * 1000), 15.0, 15.1)
    clock.heard(100_000 + int((6 + frozen) * 1000), 16.0, 16.1)
    assert told is clock.was_frozen


def test_freezes_add_up() -> None:
    """Several freezes, each too short by itself, must be told once they add up."""
    clock = HostClock()
    for number in range(5):
        clock.heard(number * (1_000 + 10_000), float(number), number + 0.1)
    assert clock.was_frozen


def test_host_that_was_booted_again_is_no_freeze() -> None:
    """A host whose count begins anew must not pass for a freeze of this run, then or later."""
    clock = HostClock()
    clock.heard(90_000_000, 10.0, 10.1)
    clock.heard(5_000, 100.0, 100.1)
    clock.heard(10_000, 105.0, 105.1)
    assert not clock.was_frozen
    assert 10_000 == clock.not_after(105.1)
