"""Rows in columns, for a person: as wide as each column's widest cell, also where a cell is Japanese."""

from collections.abc import Sequence

from rich.cells import cell_len

from ecx_hyperv.plain import flat

_GAP = "  "


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line for each row; the last column is not filled up, and nothing is cut or folded."""
    cells = [[flat(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [max((cell_len(row[at]) for row in cells if at < len(row)), default=0) for at in range(count)]
    lines = []
    for row in cells:
        filled = [f"{cell}{' ' * (width - cell_len(cell))}" for cell, width in zip(row, widths, strict=False)]
        lines.append(_GAP.join(filled).rstrip())
    return lines
