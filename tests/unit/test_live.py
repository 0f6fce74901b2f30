"""One console for progress and log: nothing is overprinted, nothing is lost, and nothing waits for a terminal."""

import io
import re
import sys
import threading
import time

import pytest
from rich.cells import cell_len
from rich.text import Text

from ecx_hyperv.cli.live import LiveBar, LiveProgress, Panel
from ecx_hyperv.cli.progress import LineBar, LineProgress, any_terminal, can_be_drawn_on
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.log import LogFormat, open_log
from ecx_hyperv.output import Delivery, QueuedStream, StreamWriter
from tests.unit.clock import FakeClock
from tests.unit.screens import Pty, Terminal, squeezed

VMS = ("vm1", "業務サーバ01", "Web Server")
LONG = "waiting: the group of {} is being moved or is changing state on ws2019-host-2, whose storage is away"


def attach(monkeypatch: pytest.MonkeyPatch) -> Pty:
    """Have stdout and stderr be one terminal of 80 columns, behind the program's own queues."""
    found = Pty(Terminal(80))
    for name in ("stdout", "stderr"):
        stream = QueuedStream(StreamWriter(found.slave, Delivery.BEST_EFFORT), found.slave, "utf-8")
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("rich.console._STD_STREAMS", (found.slave,))
    return found


def finish(console: Pty) -> Terminal:
    """Return the terminal once all that was said has arrived."""
    for stream in (sys.stderr, sys.stdout):
        assert isinstance(stream, QueuedStream)
        stream.flush()
        assert stream.writer.drain(10)
    console.close()
    return console.terminal


def test_u17_no_line_of_the_log_is_overprinted_or_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """While three VMs with wide names are worked on, each line that any thread logs must stay on the screen whole."""
    console = attach(monkeypatch)
    clock = SystemClock()
    log = open_log(clock, "test", form=LogFormat.TEXT, verbose=True)
    progress = LiveProgress(clock, Deadline.after(clock, 1500))

    def work(vm: str) -> None:
        for number in range(40):
            progress.show(vm, LONG.format(vm) + f" {number}")
            log.info(f"line {number} of those that tell what became of the VM on its way to the other host", vm=vm)
            if number % 10 == 0:
                time.sleep(0.2)

    with progress:
        threads = [threading.Thread(target=work, args=[vm]) for vm in VMS]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        time.sleep(0.7)
    terminal = finish(console)
    text = terminal.text()
    expected = [f"{vm}: line {number} of those that tell" for vm in VMS for number in range(40)]
    assert [] == [line for line in expected if text.count(squeezed(line)) != 1]
    # Of the panel nothing is left, and it never filled a row with what belongs to another one.
    assert "gives up in" not in " ".join(terminal.rows())
    assert [] == [row for row in terminal.rows() if "waiting" in row]


def test_b2_each_wait_shows_its_seconds_and_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each VM the panel must show what is done, for how long, and when it is given up, in one row each."""
    console = attach(monkeypatch)
    clock = FakeClock()
    progress = LiveProgress(clock, Deadline.after(clock, 1500))
    with progress:
        for vm in VMS:
            progress.show(vm, LONG.format(vm))
        clock.sleep(21)
        progress.show("vm1", LONG.format("vm1"))
        time.sleep(0.8)
        rows = [row for row in console.terminal.rows() if "gives up in" in row]
    finish(console)
    assert 3 == len(rows)
    assert all(row.endswith("0:21; gives up in 24:39") for row in rows)
    assert rows[0].startswith("vm1  waiting: the group of vm1 is being moved")


def test_b2_a_bar_shows_how_far_a_check_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar of a check must show how much is done and what may still pass, and leave what is printed above it."""
    console = attach(monkeypatch)
    clock = FakeClock()
    bar = LiveBar("check", clock, Deadline.after(clock, 120))
    with bar:
        bar.reach(45, 60)
        print("wrong: csv (cluster): Failed")  # noqa: T201
        clock.sleep(8)
        time.sleep(0.8)
        rows = console.terminal.rows()
    terminal = finish(console)
    assert [
        row for row in rows if row.startswith("check  ━━━━━━━━━━━━━━━") and "45 of 60  0:08; gives up in 1:52" in row
    ]
    assert ["wrong: csv (cluster): Failed"] == [row for row in terminal.rows() if row]


def test_a_panel_that_is_higher_than_the_screen_leaves_room_for_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more VMs than rows the panel must show as many as there is room for, and count the rest."""
    console = attach(monkeypatch)
    clock = FakeClock()
    progress = LiveProgress(clock, Deadline.after(clock, 60))
    with progress:
        for number in range(40):
            progress.show(f"vm{number}", "waiting")
        time.sleep(0.8)
        rows = console.terminal.rows()
    finish(console)
    assert any(row == "and 21 more" for row in rows)


def test_rule_9_a_terminal_that_takes_nothing_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that is stopped must not delay what shows progress or logs, and must be given no more to draw."""
    attach(monkeypatch)
    stopped = threading.Event()
    monkeypatch.setattr(StreamWriter, "_write", lambda _self, _data: stopped.wait(20))
    clock = SystemClock()
    log = open_log(clock, "test", form=LogFormat.TEXT, verbose=False)
    progress = LiveProgress(clock, Deadline.after(clock, 60))
    began = time.monotonic()
    with progress:
        for number in range(200):
            progress.show("vm1", f"step {number}")
            log.info(f"step {number}", vm="vm1")
        time.sleep(1.2)
    assert time.monotonic() - began < 5
    stopped.set()


def test_a_guard_that_ends_the_process_leaves_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor must never be hidden: a process that is ended at its limit could not show it again."""
    console = attach(monkeypatch)
    with Panel(lambda _width: []):
        time.sleep(0.1)
    assert b"\x1b[?25l" not in finish(console).raw


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "━"), ("iso-8859-1", "#"), ("euc_jp", "━")])
def test_a_terminal_shows_what_its_encoding_has(encoding: str, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar and names must be drawn in signs that the terminal's encoding has, each line no wider than the screen."""
    console = attach(monkeypatch)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, name), "_encoding", encoding)
    clock = FakeClock()
    bar = LiveBar("業務サーバ01", clock, Deadline.after(clock, 120))
    with bar:
        bar.reach(60, 60)
        time.sleep(0.8)
    raw = finish(console).raw.decode(encoding)
    frames = [frame for frame in re.split(r"[\r\n]|\x1b\[[0-9]*[A-Z]", raw) if frame]
    assert frames
    assert all(cell_len(frame) <= 79 for frame in frames)
    assert all(mark * 3 in frame or frame.endswith("gives up in 2:00") for frame in frames)
    assert any(mark * 3 in frame for frame in frames)


def test_what_draws_badly_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panel whose lines cannot be made must not end the work."""
    console = attach(monkeypatch)

    def fail(_width: int) -> list[Text]:
        raise ValueError

    with Panel(fail):
        print("done", file=sys.stderr)  # noqa: T201
    assert "done" in finish(console).text()


@pytest.mark.parametrize(("term", "expected"), [("xterm", True), ("dumb", False), ("", False)])
def test_a_terminal_that_cannot_move_its_cursor_is_not_drawn_on(
    term: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TERM=dumb must get lines, as a pipe does."""
    attach(monkeypatch)
    monkeypatch.setenv("TERM", term)
    assert expected is can_be_drawn_on(sys.stderr) is any_terminal()
    assert not can_be_drawn_on(io.StringIO())


def logged(clock: FakeClock, stream: io.StringIO) -> LineProgress:
    """Return progress that goes to a log."""
    log = open_log(clock, "test", form=LogFormat.TEXT, verbose=False, stream=stream)
    return LineProgress(clock, Deadline.after(clock, 1500), log)


def test_b2_without_a_terminal_a_wait_is_told_each_30_seconds() -> None:
    """A wait that lasts must be logged every 30 s with its seconds and its deadline."""
    clock, stream = FakeClock(), io.StringIO()
    with logged(clock, stream) as progress:
        for _ in range(65):
            progress.show("vm1", "waiting: vm1 is starting")
            clock.sleep(1)
        progress.show("vm1", "waiting: vm1 is booting")
    lines = stream.getvalue().splitlines()
    assert 2 == len(lines)
    assert lines[0].endswith("vm1: for 0:30 now: waiting: vm1 is starting; gives up in 24:30")
    assert lines[1].endswith("vm1: for 1:00 now: waiting: vm1 is starting; gives up in 24:00")


def test_b2_without_a_terminal_a_check_is_told_at_each_tenth() -> None:
    """How far a check has come must be logged once for each tenth of it."""
    clock, stream = FakeClock(), io.StringIO()
    bar = LineBar("check", clock, open_log(clock, "test", form=LogFormat.TEXT, verbose=False, stream=stream))
    with bar:
        for done in range(61):
            bar.reach(done, 60)
        clock.sleep(12)
        bar.reach(60, 60)
    lines = stream.getvalue().splitlines()
    assert 10 == len(lines)
    assert lines[0].endswith("check: 6 of 60 done after 0:00")
