"""The findings of a check as a table, and what to do about them."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ecx_hyperv.check.outcome import Finding, Outcome
from ecx_hyperv.plain import flat

_WIDE = 200
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
    if not console.is_terminal:
        # For a pager or a file nothing need be folded.
        console = Console(highlight=False, emoji=False, width=_WIDE)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "where", "outcome", "seen"):
        table.add_column(column, overflow="fold", no_wrap=column == "check")
    shown = [one for one in findings if one.outcome is not Outcome.OK] if problems else findings
    for names, one in _together(shown):
        outcome = Text(one.outcome.value, style=_STYLES[one.outcome])
        table.add_row(_plain(names), _plain(one.place), outcome, _plain(one.seen))
    if shown:
        _print_trimmed(console, table)
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


def _print_trimmed(console: Console, table: Table) -> None:
    """Print a table; for a file without the blanks that fill it up to its widest row."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)


def _together(findings: Sequence[Finding]) -> list[tuple[str, Finding]]:
    """Put what nobody can tell for one and the same reason on one line."""
    lines: dict[tuple[str, str], list[Finding]] = {}
    for number, one in enumerate(findings):
        same = one.outcome is Outcome.CANNOT_TELL and one.remedy is None
        lines.setdefault((one.place, one.seen) if same else (str(number), ""), []).append(one)
    return [(ones[0].name if len(ones) == 1 else f"{len(ones)} checks", ones[0]) for ones in lines.values()]
