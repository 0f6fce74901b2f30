"""Lengths of time as a person writes and reads them."""

from datetime import timedelta

from ecx_hyperv.errors import UsageError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_length(text: str, option: str) -> timedelta:
    """Read a length of time like 90s, 30m, 2h or 1d; raises UsageError that names the option."""
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or not number.isascii() or unit not in _UNITS or len(number) > 6:
        raise UsageError(f"{option} {text!r} is no length of time", remedy="write it like 90s, 30m, 2h or 1d")
    return timedelta(**{_UNITS[unit]: int(number)})


def on_a_clock(seconds: float) -> str:
    """Return a length of time as a stopwatch shows it: 0:07, 1:12, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def in_words(seconds: float) -> str:
    """Return a length of time in its two greatest units: 2 h 5 min, 45 s."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")) if count]
    return " ".join(parts[:2]) or "0 s"
