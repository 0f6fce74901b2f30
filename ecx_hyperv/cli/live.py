"""One console for what is going on and for what is said: lines that stay at the end of the screen, and the log above.

While the panel is shown, all that the program writes to a terminal goes through it, stdout and stderr alike: it takes
its lines away, writes, and puts them back, in one piece. So nothing is overprinted and nothing is lost (U17).

Kept: progress never decides, delays or ends the work (rule 3.9). It is drawn by a thread of its own, through the
bounded writer of the streams, and not at all while a terminal does not take what it was given before.
"""

import io
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from ecx_hyperv.cli.lines import Cell
from ecx_hyperv.cli.progress import can_be_drawn_on
from ecx_hyperv.deadline import Clock, Deadline, in_time
from ecx_hyperv.output import QueuedStream

_TICK_S = 0.5
# The cells of a bar.
_BAR = 20
_MARGIN = 3
# What is left of a screen for the log, in lines.
_FOR_LOG = 4


class Panel:
    """Lines at the end of the screen, for the length of a with block; `lines` makes them for a number of columns."""

    def __init__(self, lines: Callable[[int], Sequence[Text]]) -> None:
        self._lines = lines
        self._before = (sys.stdout, sys.stderr)
        self.stream = next(stream for stream in (sys.stderr, sys.stdout) if can_be_drawn_on(stream))
        self._console = _Console(file=self.stream, highlight=False, emoji=False, markup=False)
        self._live = Live(
            get_renderable=lambda: self,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._is_over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True, name="progress")

    def __enter__(self) -> Self:
        out, err = (_Above(one, self._console) if one.isatty() else one for one in self._before)
        # Before there is a panel, and until there is none: other threads write too.
        sys.stdout, sys.stderr = out, err
        with suppress(Exception):
            self._live.start()
            self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        above = (sys.stdout, sys.stderr)
        with suppress(Exception):
            self._live.stop()
        sys.stdout, sys.stderr = self._before
        for one in above:
            one.flush()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        # A line that fills the last column would have some terminals begin another one, and so would the ^C behind it.
        width, most = options.size.width - _MARGIN, max(1, options.size.height - _FOR_LOG)
        lines: list[Text] = []
        # What cannot be shown is no reason to end the work.
        with suppress(Exception):
            lines = list(self._lines(width))
        if len(lines) > most:
            lines[most - 1 :] = [Text(f"and {len(lines) - most + 1} more")]
        yield Text("\n").join(self.cut(line.plain, width) for line in lines)

    def encodable(self, text: str) -> str:
        """Return a text as the terminal shows it: with escapes in place of what its encoding lacks."""
        encoding = self.stream.encoding or "ascii"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def cut(self, text: str, width: int) -> Text:
        """Return a text as the terminal shows it, in so many cells at most."""
        line = Cell(self.encodable(text)).line()
        has_ellipsis = self.encodable("…") == "…"
        line.truncate(max(1, width), overflow="ellipsis" if has_ellipsis else "crop")
        return line

    def _tick(self) -> None:
        while not self._is_over.wait(_TICK_S):
            # A terminal that is stopped (Ctrl-S) is given nothing more to draw.
            if not isinstance(self.stream, QueuedStream) or self.stream.writer.drain(0):
                with suppress(Exception):
                    self._live.refresh()


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002, FBT002
        """Leave the cursor as it is: a guard that ends the process could not show it again."""
        return False


class _Above(io.TextIOBase):
    """stdout or stderr while a panel is shown: whole lines go above it."""

    def __init__(self, stream: TextIO, console: Console) -> None:
        super().__init__()
        self._stream = stream
        self._console = console
        self._begun = ""
        self._lock = threading.Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return how texts are encoded."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """Return what becomes of a character that the encoding lacks."""
        return self._stream.errors

    def write(self, text: str, /) -> int:
        """Write whole lines above the panel, and keep the beginning of one for later."""
        if not isinstance(text, str):
            # click tries what a stream takes.
            raise TypeError(f"a text is written here, not {type(text).__name__}")
        with self._lock:
            whole, _, self._begun = (self._begun + text).rpartition("\n")
            is_whole = "\n" in text
        if is_whole:
            self._print(whole)
        return len(text)

    def flush(self) -> None:
        """Write the beginning of a line, as a line of its own: a panel can only stand below one."""
        with self._lock:
            begun, self._begun = self._begun, ""
        if begun:
            self._print(begun)

    def _print(self, text: str) -> None:
        # No longer than the console's lock: the streams below it wait for nobody.
        try:
            self._console.print(Text(text), soft_wrap=True)
        except Exception:  # noqa: BLE001
            # A panel that cannot be drawn must not take a line of the log with it.
            self._stream.write(f"{text}\n")

    def writable(self) -> bool:
        """Tell that texts can be written."""
        return True

    def isatty(self) -> bool:
        """Tell that it is a terminal."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._stream.fileno()


class _OnPanel(ABC):
    """What a panel shows for the length of a with block, with the time since something and the time that is left."""

    def __init__(self, clock: Clock, deadline: Deadline) -> None:
        self._clock = clock
        self._deadline = deadline
        self._panel = Panel(self._lines)

    def __enter__(self) -> Self:
        self._panel.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._panel.__exit__()

    @abstractmethod
    def _lines(self, width: int) -> list[Text]:
        """Return the lines for a number of columns."""

    def _line(self, text: str, tail: str, since: float, width: int) -> Text:
        """Return a line in which the times stay, whatever else must be cut."""
        lasts = in_time(self._clock.monotonic() - since)
        times = f"{tail}  {lasts}; gives up in {in_time(self._deadline.remaining())}"
        return self._panel.cut(text, width - len(times)) + Text(times)


class LiveProgress(_OnPanel):
    """What is being done for each VM: for how long, and how long it may still take."""

    def __init__(self, clock: Clock, deadline: Deadline) -> None:
        super().__init__(clock, deadline)
        self._shown: dict[str, tuple[str, float]] = {}

    def show(self, vm: str, text: str) -> None:
        """Show what is being done for a VM, in place of what was shown before."""
        if self._shown.get(vm, ("", 0.0))[0] != text:
            self._shown[vm] = (text, self._clock.monotonic())

    def _lines(self, width: int) -> list[Text]:
        return [self._line(f"{vm}  {text}", "", since, width) for vm, (text, since) in list(self._shown.items())]


class LiveBar(_OnPanel):
    """How far a whole has come, as a bar; and for how long it may still take."""

    def __init__(self, what: str, clock: Clock, deadline: Deadline) -> None:
        super().__init__(clock, deadline)
        self._what = what
        self._began = clock.monotonic()
        self._done, self._total = 0, 1

    def reach(self, done: int, total: int) -> None:
        """Show how much is done."""
        self._done, self._total = done, max(1, total)

    def _lines(self, width: int) -> list[Text]:
        filled = self._done * _BAR // self._total
        mark = "━" if self._panel.encodable("━") == "━" else "#"
        bar = mark * filled + " " * (_BAR - filled)
        return [self._line(f"{self._what}  {bar}", f"  {self._done} of {self._total}", self._began, width)]
