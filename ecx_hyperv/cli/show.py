"""A status on stdout: once, or again and again on the same screen."""

import os
from collections.abc import Callable
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live

from ecx_hyperv.cli.lines import Cell
from ecx_hyperv.cli.screen import screen
from ecx_hyperv.plain import flat
from ecx_hyperv.run.status import PairStatus

_WIDE = 200


def show_status(status: PairStatus) -> None:
    """Print a status on stdout."""
    console = _console()
    for line in screen(status, console.width):
        # The lines are as wide as they are meant to be: rich would break words that the screen is too narrow for.
        console.print(line, soft_wrap=True)


def show_short(status: PairStatus) -> None:
    """Print the verdict on stdout, on one line."""
    verdict = status.verdict
    line = Cell(flat(f"{verdict.severity.value}  {verdict.text}")).line()
    _console().print(line, soft_wrap=True)


def watch_status(look: Callable[[], PairStatus], show: Callable[[PairStatus], None], pause: Callable[[], None]) -> None:
    """Look and show until somebody interrupts it: in place on a terminal that can, else one status below the other."""
    console = _console()
    if show is not show_status or not console.is_terminal or console.is_dumb_terminal:
        while True:
            show(look())
            pause()
    with Live(console=console, auto_refresh=False, screen=True, redirect_stderr=True) as live:
        while True:
            status = look()
            lines = screen(status, console.width)
            for line in lines:
                line.no_wrap, line.overflow = True, "ellipsis"
            when = Cell(f"{datetime.fromisoformat(status.time):%Y-%m-%d %H:%M:%S}   Ctrl-C ends it", "dim").line()
            live.update(Group(*lines, when), refresh=True)
            pause()


def _console() -> Console:
    console = Console(highlight=False, emoji=False)
    # For a pager or a file nothing need be folded, unless somebody says how wide it is to be.
    return (
        console
        if console.is_terminal or os.environ.get("COLUMNS")
        else Console(highlight=False, emoji=False, width=_WIDE)
    )
