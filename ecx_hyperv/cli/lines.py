"""Lines for a terminal: tables and texts that break between words only; wide characters fill two cells.

A name of a host, a VM or a monitor is never broken: it is copied into commands. A word that is wider than the screen
stands on a line of its own, and the terminal does with it what it does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from ecx_hyperv.plain import flat

_GAP = 2
# rich reads its table of widths with the first wide character: now, since an upgrade may replace the files later.
cell_len("業")


@dataclass(frozen=True, slots=True)
class Cell:
    """A text from anywhere, and its style in rich's words; `apart` where two blanks stand before it."""

    text: str
    style: str = ""
    apart: bool = False

    def line(self) -> Text:
        """Return it as plain text, on one line: names may hold what a terminal or rich would take for commands."""
        return Text(flat(self.text), style=self.style)


def table(heading: Sequence[str], rows: Sequence[Sequence[Cell]], width: int) -> list[Text] | None:
    """Return a table whose columns are as wide as their widest cell; None if it is wider than the screen."""
    cells = [[Cell(text, "bold").line() for text in heading], *([cell.line() for cell in row] for row in rows)]
    widths = [max(column.cell_len for column in columns) for columns in zip(*cells, strict=True)]
    lines = [_joined(row, widths) for row in cells]
    for line in lines:
        line.rstrip()
    return lines if max(line.cell_len for line in lines) <= width else None


def row_of(cells: Sequence[Cell], widths: Sequence[int]) -> Text:
    """Return cells in columns that wide, each with the gap behind it."""
    return _joined([cell.line() for cell in cells], widths)


def hanging(head: Sequence[Cell], words: Iterable[Cell], width: int, indent: int) -> list[Text]:
    """Return a line that begins with `head` in its own column, `indent` cells wide, and what follows, wrapped there."""
    begin = Text()
    for cell in head:
        begin.append_text(cell.line())
    begin.append(" " * max(indent - begin.cell_len, 1 if begin.cell_len else 0))
    return wrapped(begin, words, width, indent)


def wrapped(begin: Text, cells: Iterable[Cell], width: int, indent: int) -> list[Text]:
    """Put words behind a beginning, on as many lines as they need; the further ones are indented."""
    lines: list[Text] = []
    # A text has one style as a whole: what is added to it must not take over that of the beginning.
    line, has_word = Text().append_text(begin), False
    for cell in cells:
        words = [word for word in cell.line().split(" ") if word.cell_len]
        for number, word in enumerate(words):
            gap = " " * (2 if cell.apart and number == 0 else 1) if has_word else ""
            if has_word and line.cell_len + len(gap) + word.cell_len > width:
                lines.append(line)
                line, gap = Text(" " * indent), ""
            line.append(gap).append_text(word)
            has_word = True
    for one in (*lines, line):
        one.rstrip()
    return [*lines, line]


def _joined(row: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, width in zip(row, widths, strict=True):
        line.append_text(cell)
        line.append(" " * (width - cell.cell_len + _GAP))
    return line
