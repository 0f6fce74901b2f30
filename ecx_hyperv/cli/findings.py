"""The findings of a check as a table, and what to do about them."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from ecx_hyperv.check.outcome import Finding, Outcome
from ecx_hyperv.cli.lines import Cell, row_of, wrapped
from ecx_hyperv.plain import flat

# For a pager or a file nothing is folded.
_ENDLESS = 1_000_000
# Where less than this would be left for what was seen, that stands below its check.
_NARROWEST, _INDENT = 40, 4
_HEADING = ("check", "where", "outcome", "seen")
_STYLES = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.WRONG: "bold red", Outcome.CANNOT_TELL: "magenta"}


def problems_in(findings: Sequence[Finding]) -> list[str]:
    """Return a line for each finding that is not ok."""
    bad = [one for one in findings if one.outcome is not Outcome.OK]
    return [flat(f"{one.outcome.value}: {names} ({one.place}): {one.seen}") for names, one in _together(bad)]


def show_findings(findings: Sequence[Finding], *, problems: bool = False) -> None:
    """Print findings on stdout: a line each, then what to do, then how many of each outcome.

    With `problems` what is ok is only counted.
    """
    console = Console(highlight=False, emoji=False)
    shown = [one for one in findings if one.outcome is not Outcome.OK] if problems else findings
    for line in _lines(_together(shown), console.width if console.is_terminal else _ENDLESS) if shown else ():
        console.print(line, soft_wrap=True)
    for one in shown:
        if one.outcome is not Outcome.OK and one.remedy is not None:
            console.print()
            console.print(_plain(f"{one.name} ({one.place}): {one.means}"))
            if one.expected:
                console.print(_plain(f"  wanted: {one.expected}"), soft_wrap=True)
            console.print(_plain(f"  do: {one.remedy}"), soft_wrap=True)
    counts = Counter(one.outcome for one in findings)
    if shown:
        console.print()
    console.print(_plain(", ".join(f"{counts[one]} {one.value}" for one in Outcome if counts[one])))


def _plain(text: str) -> Text:
    return Text(flat(text))


def _lines(rows: Sequence[tuple[str, Finding]], width: int) -> list[Text]:
    """Lay out a line for each finding: what was seen in a column of its own, or below where there is no room for it."""
    heading = [Cell(text, "bold") for text in _HEADING]
    heads = [[Cell(names), Cell(one.place), Cell(one.outcome.value, _STYLES[one.outcome])] for names, one in rows]
    widths = [max(cell.line().cell_len for cell in column) for column in zip(heading, *heads, strict=False)]
    begins = [row_of(head, widths) for head in (heading[:-1], *heads)]
    indent = max(begin.cell_len for begin in begins)
    seen = [heading[-1], *(Cell(one.seen) for _, one in rows)]
    if width - indent >= _NARROWEST:
        return [
            line for begin, cell in zip(begins, seen, strict=True) for line in wrapped(begin, [cell], width, indent)
        ]
    return [line for begin, cell in zip(begins[1:], seen[1:], strict=True) for line in _below(begin, cell, width)]


def _below(begin: Text, cell: Cell, width: int) -> list[Text]:
    begin.rstrip()
    return [begin, *wrapped(Text(" " * _INDENT), [cell], width, _INDENT)]


def _together(findings: Sequence[Finding]) -> list[tuple[str, Finding]]:
    """Put what nobody can tell for one and the same reason on one line."""
    lines: dict[tuple[str, str], list[Finding]] = {}
    for number, one in enumerate(findings):
        same = one.outcome is Outcome.CANNOT_TELL and one.remedy is None
        lines.setdefault((one.place, one.seen) if same else (str(number), ""), []).append(one)
    return [(ones[0].name if len(ones) == 1 else f"{len(ones)} checks", ones[0]) for ones in lines.values()]
