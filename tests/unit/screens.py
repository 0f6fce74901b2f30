"""A terminal whose screen a test can read: a pty, drawn by a terminal emulator."""

import fcntl
import os
import pty
import struct
import termios
import threading

import pyte


class Terminal:
    """A terminal of so many columns and lines; it remembers what has scrolled off its top."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        self.columns, self.lines = columns, lines
        self.raw = b""
        self._screen = pyte.HistoryScreen(columns, lines, history=5000, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        """Take what a program has written."""
        self.raw += data
        self._stream.feed(data)

    def rows(self) -> list[str]:
        """Return all rows, the oldest first; behind a wide character pyte keeps an empty cell."""
        above = ["".join(row[column].data for column in range(self.columns)) for row in self._screen.history.top]
        return [row.rstrip() for row in [*above, *self._screen.display]]

    def text(self) -> str:
        """Return all that is to be read without its blanks: a line that the terminal has folded is whole again."""
        return squeezed("".join(self.rows()))


class Pty:
    """A pty whose slave a test writes to, and whose master a thread reads."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", terminal.lines, terminal.columns, 0, 0))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Wait until all is read."""
        os.close(self.slave)
        self._reader.join(10)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            self.terminal.feed(data)


def squeezed(text: str) -> str:
    """Return a text without its blanks."""
    return "".join(text.split())
