"""What the monitors remember: within one boot, and only while their looks belong together."""

from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.ecx.monitor_state import FileMonitorStates, MonitorState
from ecx_hyperv.ecx.state_folder import StateFolder
from ecx_hyperv.errors import LocalError
from tests.unit.always import always
from tests.unit.clock import FakeClock

STALE = 180.0


class Span(Enum):
    """What a monitor may have seen for a while."""

    CRITICAL = "critical"
    BLIND = "blind"


def test_nothing_is_remembered_at_first(tmp_path: Path) -> None:
    """A monitor's first run must start from nothing, at this moment of this boot."""
    clock = FakeClock(500)
    assert MonitorState(boot="boot-1", looked=500) == FileMonitorStates(
        StateFolder(tmp_path, tmp_path / "run"), clock
    ).load("vm", "web1")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Within one boot every part of a state must come back, in any script."""
    clock = FakeClock(5000)
    state = MonitorState(
        boot="boot-1",
        looked=4990,
        since={"critical": 4000},
        actions=(4100, 4900),
        heartbeat_was_ok=True,
        last_alert="業務サーバー: 応答なし",
        last_alert_at=4950,
    )
    FileMonitorStates(StateFolder(tmp_path, tmp_path / "run"), clock).save("vm", "業務サーバー", state)
    assert state == FileMonitorStates(StateFolder(tmp_path, tmp_path / "run"), clock).load("vm", "業務サーバー")


def test_another_boot_forgets_everything(tmp_path: Path) -> None:
    """Seconds since another boot mean nothing, so nothing of it must count."""
    clock = FakeClock(5000)
    state = MonitorState(
        boot="boot-1", looked=4990, since={"critical": 4000}, actions=(4900,), last_alert="x", last_alert_at=4900
    )
    FileMonitorStates(StateFolder(tmp_path, tmp_path / "run"), clock).save("vm", "web1", state)
    later = FakeClock(5010, boot="boot-2")
    assert MonitorState(boot="boot-2", looked=5010) == FileMonitorStates(
        StateFolder(tmp_path, tmp_path / "run"), later
    ).load("vm", "web1")


def test_a_stamp_in_the_future_counts_as_now(tmp_path: Path) -> None:
    """A damaged state must never make something look longer ago, or an action stay for ever."""
    clock = FakeClock(100)
    state = MonitorState(
        boot="boot-1", looked=9e9, since={"critical": 9e9}, actions=(9e9,), last_alert="x", last_alert_at=9e9
    )
    states = FileMonitorStates(StateFolder(tmp_path, tmp_path / "run"), clock)
    states.save("vm", "web1", state)
    expected = MonitorState(
        boot="boot-1", looked=100, since={"critical": 100}, actions=(100,), last_alert="x", last_alert_at=100
    )
    assert expected == states.load("vm", "web1")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"boot":1}', b"\x00" * 50, b'{"boot":"\xff"}', b'{"looked":1e999}'],
    ids=["empty", "half", "type", "zeros", "bytes", "number"],
)
def test_a_damaged_memory_is_none(tmp_path: Path, content: bytes) -> None:
    """A state that can't be understood must count as none rather than end the monitor."""
    states = FileMonitorStates(StateFolder(tmp_path, tmp_path / "run"), FakeClock(500))
    states.save("vm", "web1", MonitorState(boot="boot-1", looked=400))
    [path] = (tmp_path / "monitors").iterdir()
    path.write_bytes(content)
    assert MonitorState(boot="boot-1", looked=500) == states.load("vm", "web1")


def test_memories_are_apart(tmp_path: Path) -> None:
    """Each monitor and each name must have its own state, a name in another case the same one."""
    states = FileMonitorStates(StateFolder(tmp_path, tmp_path / "run"), FakeClock(500))
    states.save("vm", "web1", MonitorState(boot="boot-1", last_alert="vm web1"))
    states.save("vm", "web2", MonitorState(boot="boot-1", last_alert="vm web2"))
    states.save("peer", "web1", MonitorState(boot="boot-1", last_alert="peer web1"))
    assert "vm web1" == states.load("vm", "WEB1").last_alert
    assert "vm web2" == states.load("vm", "web2").last_alert
    assert "peer web1" == states.load("peer", "web1").last_alert
    assert "" == states.load("peer", "web2").last_alert


def test_a_memory_that_cannot_be_kept_is_an_error_of_ours(tmp_path: Path) -> None:
    """A folder that can't be used must be an error of this machine, for reading and for writing."""
    (tmp_path / "state").write_text("", encoding="ascii")
    states = FileMonitorStates(StateFolder(tmp_path / "state", tmp_path / "state"), FakeClock())
    for attempt in (lambda: states.load("vm", "web1"), lambda: states.save("vm", "web1", MonitorState())):
        with pytest.raises(LocalError):
            attempt()


def test_a_span_lasts_from_its_first_look() -> None:
    """A span seen look after look must have lasted since the first of them."""
    state = MonitorState(looked=1000)
    for now in (1000, 1060, 1120):
        state = state.look([Span.CRITICAL], now, STALE)
    assert 120 == state.lasted(Span.CRITICAL, 1120)
    assert 125 == state.lasted(Span.CRITICAL, 1125)
    assert 0 == state.lasted(Span.BLIND, 1125)


def test_a_span_that_was_interrupted_starts_anew() -> None:
    """One look without it must end a span, so that what comes and goes never adds up."""
    state = MonitorState(looked=1000)
    for now, seen in ((1000, [Span.CRITICAL]), (1060, []), (1120, [Span.CRITICAL]), (1180, [Span.CRITICAL])):
        state = state.look(seen, now, STALE)
    assert 60 == state.lasted(Span.CRITICAL, 1180)


@pytest.mark.parametrize(("gap", "expected"), [(180, 180), (180.5, 0), (86400, 0)])
def test_looks_too_far_apart_do_not_belong_together(gap: float, expected: float) -> None:
    """Nobody knows what was in a gap longer than `stale`, so a span must start anew after it."""
    state = MonitorState(looked=1000).look([Span.CRITICAL], 1000, STALE).look([Span.CRITICAL], 1000 + gap, STALE)
    assert expected == state.lasted(Span.CRITICAL, 1000 + gap)


def test_spans_run_beside_each_other() -> None:
    """Each span must have its own beginning and end."""
    state = MonitorState(looked=1000)
    for now, seen in ((1000, [Span.CRITICAL]), (1060, [Span.CRITICAL, Span.BLIND]), (1120, [Span.BLIND])):
        state = state.look(seen, now, STALE)
    assert 0 == state.lasted(Span.CRITICAL, 1120)
    assert 60 == state.lasted(Span.BLIND, 1120)


@always
@given(looks=st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=30))
def test_a_span_never_lasts_longer_than_it_was_watched(looks: list[tuple[int, bool]]) -> None:
    """After any looks, a span must have lasted exactly since the first of those without a break or a long gap."""
    state, now, began = MonitorState(looked=1000.0), 1000, None
    for gap, is_on in looks:
        now += gap
        if not is_on:
            began = None
        elif began is None or gap > STALE:
            began = now
        state = state.look([Span.CRITICAL] if is_on else [], now, STALE)
        assert (0 if began is None else now - began) == state.lasted(Span.CRITICAL, now)


def test_actions_of_the_last_hour_are_kept(tmp_path: Path) -> None:
    """Only what was done within the hour must count against the allowed number."""
    clock = FakeClock(10_000)
    state = MonitorState(boot="boot-1").acted(6399).acted(6400).acted(6401).acted(9999)
    states = FileMonitorStates(StateFolder(tmp_path, tmp_path / "run"), clock)
    states.save("peer", "ec2", state)
    assert (6401, 9999) == states.load("peer", "ec2").actions


def test_the_same_news_is_told_again_after_an_hour() -> None:
    """What a person was told must not be told again for an hour, anything else at once."""
    state = MonitorState().tell("web1 can't be seen", 1000)
    assert not state.is_news("web1 can't be seen", 4599)
    assert state.is_news("web1 can't be seen", 4600)
    assert state.is_news("web1 has failed", 1000)


def test_what_was_well_in_between_is_news_again() -> None:
    """Once all was well again, the same trouble must be told at once."""
    state = MonitorState().tell("web1 can't be seen", 1000).tell("", 1060)
    assert state.is_news("web1 can't be seen", 1120)


def test_the_heartbeat_is_remembered() -> None:
    """That the heartbeat was OK once must be remembered until it is to be forgotten, and nothing else change."""
    state = MonitorState(boot="boot-1", looked=5)
    assert MonitorState(boot="boot-1", looked=5, heartbeat_was_ok=True) == state.heartbeat(was_ok=True)
    assert state == state.heartbeat(was_ok=True).heartbeat(was_ok=False)
