"""What the program says on stdout and stderr: through a queue and a thread, so that telling never decides the work,
delays it or ends it (rule 3.9).

Each stream has a thread of its own that does nothing but write. Whoever says something puts it in the thread's queue
and goes on. A stream that is closed, full, blocked or without a reader raises nothing; what cannot be written is
counted, and told at the end where it can be.
"""

import io
import os
import select
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from enum import Enum
from typing import Any

# What keeps lines of stdout and stderr in their order, where the reader is quick.
_MOMENT_S = 0.2
# How long the end of a command waits for output that hardly anybody may ever read.
_END_S = 1.0


class Delivery(Enum):
    """What becomes of output that is not read at once."""

    # ECX's commands: the work never waits, what nobody takes is dropped.
    BEST_EFFORT = "best effort"
    # What a person or program asked to see: it waits for its reader, as every command of a shell does.
    COMPLETE = "complete"


# What may wait to be written on one stream, in bytes, before more of it is dropped, or waited for.
_MOST_WAITING = {Delivery.BEST_EFFORT: 1 << 20, Delivery.COMPLETE: 1 << 26}


class StreamWriter:
    """Writes to one descriptor, in a thread of its own; raises nothing, `lost` counts lines that were not written."""

    def __init__(self, descriptor: int, delivery: Delivery) -> None:
        self._descriptor = descriptor
        self._delivery = delivery
        self._most_waiting = _MOST_WAITING[delivery]
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._has_thread = False
        self._is_gone = False
        # The reader took longer than a moment, and has not caught up since.
        self._is_slow = False
        self.lost = 0
        self.why = ""

    @property
    def has_reader(self) -> bool:
        """Tell whether what is written can still arrive somewhere."""
        return not self._is_gone

    def put(self, data: bytes) -> None:
        """Have this written, after what was put before."""
        with self._changed:
            if self._delivery is Delivery.COMPLETE:
                self._changed.wait_for(lambda: self._is_gone or self._has_room(data))
            if self._is_gone or not self._has_room(data):
                self._lose(data, self.why or "nobody reads it")
                return
            self._chunks.append(data)
            self._waiting += len(data)
            if not self._start():
                self._give_up("no thread could be started")
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait a moment until all is written, where somebody asked to see it: stdout and stderr stay in their order."""
        if self._delivery is Delivery.COMPLETE and not self._is_slow:
            self._is_slow = not self.drain(_MOMENT_S)

    def drain(self, seconds: float | None) -> bool:
        """Wait until all is written, for at most so many seconds, and tell whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting == 0, seconds)

    def _has_room(self, data: bytes) -> bool:
        return not self._waiting or self._waiting + len(data) <= self._most_waiting

    def _start(self) -> bool:
        if not self._has_thread:
            with suppress(RuntimeError):
                threading.Thread(target=self._write_all, daemon=True, name=f"output {self._descriptor}").start()
                self._has_thread = True
        return self._has_thread

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._chunks)
                data = self._chunks.popleft()
            try:
                self._write(data)
            except OSError as error:
                with self._changed:
                    self._lose(data, error.strerror or str(error))
                    # A disk that is full may have room again; a reader that is gone does not come back.
                    if isinstance(error, BrokenPipeError):
                        self._give_up(self.why)
            with self._changed:
                self._waiting = max(0, self._waiting - len(data))
                self._is_slow = self._is_slow and self._waiting > 0
                self._changed.notify_all()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Somebody else made the pipe that both use non-blocking.
                select.select([], [self._descriptor], [], 1.0)

    def _give_up(self, why: str) -> None:
        self._is_gone = True
        for data in self._chunks:
            self._lose(data, why)
        self._chunks.clear()
        self._waiting = 0
        self._changed.notify_all()

    def _lose(self, data: bytes, why: str) -> None:
        self.lost += max(1, data.count(b"\n"))
        self.why = why


class QueuedStream(io.TextIOBase):
    """stdout or stderr, as the rest of the program knows it; its lines go through a StreamWriter."""

    def __init__(self, writer: StreamWriter, descriptor: int, encoding: str) -> None:
        super().__init__()
        self.writer = writer
        self._descriptor = descriptor
        self._encoding = encoding
        # The rest of a line whose end was not written yet: lines of both streams may meet on one terminal.
        self._begun = ""
        self._lock = threading.Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return how texts are encoded."""
        return self._encoding

    @property
    def buffer(self) -> "QueuedBytes":
        """Return where bytes are written."""
        return QueuedBytes(self)

    @property
    def errors(self) -> str:  # type: ignore[override]
        """Return what becomes of a character that the encoding lacks: a name must not end the command."""
        return "backslashreplace"

    def write(self, text: str, /) -> int:
        """Have a text written; never waits for it, but where somebody asked to see it."""
        if not isinstance(text, str):
            # click tries what a stream takes.
            raise TypeError(f"a text is written here, not {type(text).__name__}")
        with self._lock:
            whole, end, self._begun = (self._begun + text).rpartition("\n")
            self._put(whole + end)
        return len(text)

    def flush(self) -> None:
        """Have the beginning of a line written too; wait a moment for it, where somebody asked to see it."""
        with self._lock:
            begun, self._begun = self._begun, ""
            self._put(begun)
        self.writer.flush()

    def _put(self, text: str) -> None:
        if text:
            self.writer.put(text.encode(self._encoding, self.errors))

    def writable(self) -> bool:
        """Tell that texts can be written."""
        return True

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        with suppress(OSError):
            return os.isatty(self._descriptor)
        return False

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor


class QueuedBytes(io.RawIOBase):
    """The same stream for whoever writes bytes: click writes the scripts that complete a shell's words so."""

    def __init__(self, stream: QueuedStream) -> None:
        super().__init__()
        self._stream = stream

    def write(self, data: Any, /) -> int:
        """Have bytes written behind all texts."""
        self._stream.flush()
        whole = bytes(data)
        if whole:
            self._stream.writer.put(whole)
        return len(whole)

    def flush(self) -> None:
        """Wait a moment for it, where somebody asked to see it."""
        if not self.closed:
            self._stream.flush()

    def writable(self) -> bool:
        """Tell that bytes can be written."""
        return True


def let_pass() -> None:
    """Wait a moment until what was said on stderr is written: what a person asked to see stands below it."""
    if isinstance(sys.stderr, QueuedStream):
        sys.stderr.writer.drain(_MOMENT_S)


class Output:
    """stdout and stderr of a command."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._streams: list[QueuedStream] = []

    @classmethod
    def take_over(cls, delivery: Delivery) -> "Output":
        """Have all that the program says on stdout and stderr go through queues from now on."""
        _open_what_is_closed()
        output = cls(delivery)
        sys.stdout = output._queued(sys.stdout, 1)
        sys.stderr = output._queued(sys.stderr, 2)
        return output

    def finish(self) -> None:
        """Wait for what is not written yet, and say what could not be."""
        seconds = None if self._delivery is Delivery.COMPLETE else _END_S
        for stream in self._streams:
            stream.flush()
        self._drain(seconds)
        told = self._told()
        if told and self._streams[-1].writer.has_reader:
            self._streams[-1].write(told)
            self._drain(seconds)

    def _drain(self, seconds: float | None) -> None:
        end = None if seconds is None else time.monotonic() + seconds
        for stream in self._streams:
            stream.writer.drain(None if end is None else max(0.0, end - time.monotonic()))

    def _told(self) -> str:
        lines = []
        for name, stream in zip(("stdout", "stderr"), self._streams, strict=False):
            writer = stream.writer
            # Who reads only the beginning, as head does, knows that there is more.
            if writer.lost and (writer.has_reader or self._delivery is Delivery.BEST_EFFORT):
                lines.append(f"{writer.lost} lines of {name} could not be written: {writer.why}\n")
        return "".join(lines)

    def _queued(self, stream: object, descriptor: int) -> QueuedStream:
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[attr-defined]
        encoding = getattr(stream, "encoding", None) or "utf-8"
        queued = QueuedStream(StreamWriter(descriptor, self._delivery), descriptor, encoding)
        self._streams.append(queued)
        return queued


def _open_what_is_closed() -> None:
    """Open the standard descriptors that are closed: else a connection gets that number, and what is said."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
