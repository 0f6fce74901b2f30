"""What is said on stdout and stderr: whole lines in their order, whatever becomes of the descriptor behind them."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.output import Delivery, QueuedStream, StreamWriter
from tests.unit.always import always


class Piped:
    """A stream whose other end a test reads, or does not."""

    def __init__(self, delivery: Delivery) -> None:
        self.reader, self._writer = os.pipe()
        self.stream = QueuedStream(StreamWriter(self._writer, delivery), self._writer, "utf-8")

    def read(self) -> bytes:
        """Return all that was said, once nobody says any more."""
        parts: list[bytes] = []

        def collect() -> None:
            while part := os.read(self.reader, 65536):
                parts.append(part)

        thread = threading.Thread(target=collect)
        thread.start()
        self.stream.flush()
        self.stream.writer.drain(20)
        os.close(self._writer)
        thread.join(20)
        return b"".join(parts)


@pytest.fixture(params=list(Delivery))
def piped(request: pytest.FixtureRequest) -> Iterator[Piped]:
    """Return a stream of each kind."""
    made = Piped(request.param)
    yield made
    os.close(made.reader)


@always
@given(texts=st.lists(st.text()))
def test_all_that_is_said_arrives(texts: list[str]) -> None:
    """Whatever is said must arrive in its order, what the encoding lacks as an escape."""
    piped = Piped(Delivery.BEST_EFFORT)
    for text in texts:
        assert len(text) == piped.stream.write(text)
    assert "".join(texts).encode("utf-8", "backslashreplace") == piped.read()
    os.close(piped.reader)


def test_lines_of_several_threads_stay_whole(piped: Piped) -> None:
    """Lines that several threads say at the same time must arrive whole, those of each thread in their order."""

    def talk(name: str) -> None:
        for number in range(200):
            piped.stream.write(f"{name} {number} {'x' * 200}\n")

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [line.split() for line in piped.read().decode().splitlines()]
    assert {3} == {len(words) for words in said}
    for name in "abcd":
        assert [str(number) for number in range(200)] == [number for who, number, _ in said if who == name]


def test_a_pipe_that_takes_nothing_just_now_is_waited_for(piped: Piped) -> None:
    """A pipe that somebody made non-blocking must be written to all the same, once its reader has caught up."""
    os.set_blocking(piped.stream.fileno(), False)
    piped.stream.write("x" * 500_000 + "\n")
    time.sleep(0.2)
    assert b"x" * 500_000 + b"\n" == piped.read()


def test_d09_what_nobody_reads_takes_bounded_memory() -> None:
    """Of what nobody reads no more than a bounded share must be kept; the rest must be counted."""
    piped = Piped(Delivery.BEST_EFFORT)
    for _ in range(5000):
        piped.stream.write("x" * 999 + "\n")
    lost = piped.stream.writer.lost
    assert 3800 < lost < 4000
    assert 5000 - lost == piped.read().count(b"\n")
    os.close(piped.reader)


def test_d01_a_disk_that_has_room_again_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a full disk does not take must be counted, and what is said once it has room again be written."""
    piped = Piped(Delivery.COMPLETE)
    real, is_full = os.write, True

    def write(descriptor: int, data: bytes) -> int:
        if is_full and descriptor == piped.stream.fileno():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        piped.stream.write("lost\nlost too\n")
        assert piped.stream.writer.drain(10)
        is_full = False
        piped.stream.write("written\n")
        assert piped.stream.writer.drain(10)
    assert (2, "No space left on device") == (piped.stream.writer.lost, piped.stream.writer.why)
    assert piped.stream.writer.has_reader
    assert b"written\n" == piped.read()
    os.close(piped.reader)


def test_d01_without_threads_nothing_is_said_and_nothing_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that gives no thread must not keep the work from being done."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    piped = Piped(Delivery.COMPLETE)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    piped.stream.write("lost\n")
    piped.stream.flush()
    assert piped.stream.writer.drain(0)
    assert 1 == piped.stream.writer.lost
    assert not piped.stream.writer.has_reader


def test_it_is_a_stream_like_any_other() -> None:
    """Libraries ask a stream for its kind, and try bytes on it; both must be answered."""
    piped = Piped(Delivery.COMPLETE)
    assert piped.stream.writable()
    assert not piped.stream.isatty()
    assert ("utf-8", "backslashreplace") == (piped.stream.encoding, piped.stream.errors)
    with pytest.raises(TypeError):
        piped.stream.write(b"x")  # type: ignore[arg-type]
    assert b"" == piped.read()
    os.close(piped.reader)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("command", ["vm-start", "vm-unregister", "genw-vm", "genw-remote-node", "ecx-hyperv"])
def test_a_shell_gets_its_script_of_completions(command: str, shell: str) -> None:
    """The script that completes a command's words must be written, which click does in bytes."""
    variable = f"_{command.replace('-', '_').upper()}_COMPLETE"
    done = subprocess.run(
        [str(Path(sys.executable).parent / command)],
        env={**os.environ, variable: f"{shell}_source"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert variable in done.stdout
