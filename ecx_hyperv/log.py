"""Logging: structlog to stderr, one line an event, as text for people or as JSON."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, TextIO

from ecx_hyperv.deadline import Clock
from ecx_hyperv.plain import as_json, bounded, flat

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    Log = FilteringBoundLogger
else:
    # For annotations alone structlog is not worth importing: --help and --version do without it.
    Log = Any


class LogFormat(Enum):
    """How a line of the log looks."""

    TEXT = "text"
    JSON = "json"


def open_log(clock: Clock, run_id: str, *, form: LogFormat, verbose: bool, stream: TextIO | None = None) -> Log:
    """Return the log of one run; times come from the clock, debug lines only if verbose."""
    with _without("rich"):
        import structlog

    def stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {
            "time": clock.wall().isoformat(timespec="milliseconds"),
            "run": run_id,
            **{key: bounded(value) for key, value in event.items()},
        }

    renderer = structlog.processors.JSONRenderer(as_json) if form is LogFormat.JSON else _as_text
    logger: Log = structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, stamp, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        cache_logger_on_first_use=False,
    )
    return logger


@contextmanager
def _without(package: str) -> Iterator[None]:
    # structlog imports rich wherever it finds it, for tracebacks that are never shown here: 70 ms of every run.
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


def _as_text(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    head = f"{event.pop('time')} {event.pop('level'):7} [{event.pop('run')}]"
    what = event.pop("event")
    vm = event.pop("vm", None)
    told = "; ".join(f"{key}: {flat(value)}" for key, value in event.items() if value not in (None, ""))
    return f"{head} {f'{flat(vm)}: ' if vm else ''}{flat(what)}{f' ({told})' if told else ''}"
