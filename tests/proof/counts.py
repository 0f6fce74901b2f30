"""What the checks counted, gathered over all processes of a test run and printed at its end."""

from collections import Counter
from collections.abc import Callable, Iterable
from zlib import crc32

Record = Callable[[str, object], None]
_PREFIX = "count: "


class Tally:
    """The counts of one test, handed to the report of the whole run."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def add(self, check: str, **counts: int) -> None:
        """Hand over counts of one check."""
        for what, number in counts.items():
            self._record(f"{_PREFIX}{check}: {what}", number)

    def distinct(self, check: str, what: str, members: Iterable[object]) -> None:
        """Hand over things of which each counts once, in whatever tests it occurs."""
        self._record(f"{_PREFIX}{check}: {what}", [crc32(repr(member).encode()) for member in members])


def gather(properties: Iterable[tuple[str, object]]) -> Counter[str]:
    """Add up what tests have handed over, by check and what was counted."""
    counted: Counter[str] = Counter()
    members: dict[str, set[object]] = {}
    for name, value in properties:
        key = name.removeprefix(_PREFIX)
        if key == name:
            continue
        if isinstance(value, list):
            members.setdefault(key, set()).update(value)
        elif isinstance(value, int):
            counted[key] += value
    return counted + Counter({key: len(one) for key, one in members.items()})


def in_lines(counted: Counter[str]) -> list[str]:
    """Say what was counted, a line a check."""
    checks: dict[str, list[str]] = {}
    for name, number in counted.items():
        check, what = name.split(": ")
        checks.setdefault(check, []).append(f"{_short(number)} {what.replace('_', ' ')}")
    return [f"{check}: {', '.join(whats)}" for check, whats in sorted(checks.items())]


def _short(number: int) -> str:
    return f"{number:,}" if number < 10**12 else f"{number:.1e}"
