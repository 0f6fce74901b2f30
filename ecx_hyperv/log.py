"""Logging: structlog to stderr, one line an event, as text for people or as JSON."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, TextIO, cast

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
    # For somebody at a terminal: what is wrong, what was seen and what to do on lines of their own.
    PERSON = "person"


class _Stderr:
    """stderr as it is at the moment: what is shown at the end of a terminal stands between the log and the screen."""

    def write(self, text: str) -> int:
        """Write a text."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Have it arrive."""
        sys.stderr.flush()


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

    texts = {LogFormat.TEXT: _as_text, LogFormat.PERSON: _for_a_person}
    renderer = texts.get(form) or structlog.processors.JSONRenderer(as_json)
    logger: Log = structlog.wrap_logger(
        structlog.PrintLogger(stream or cast(TextIO, _Stderr())),
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
    return f"{head} {_what(event)}{_told(event)}"


def _for_a_person(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Say what went wrong without a stamp, for somebody who sees it happen; anything else with the time of day."""
    when, level = str(event.pop("time")), event.pop("level")
    del event["run"]
    word = {"error": "Error:", "critical": "Error:", "warning": "Warning:"}.get(level)
    if word is None:
        return f"{when[11:19]}  {_what(event)}{_told(event)}"
    event.pop("exit", None)
    seen, do = event.pop("seen", None), event.pop("do", None)
    lines = [f"{word} {_what(event)}{_told(event)}"]
    indent = max(len(word), len("Seen:")) + 1
    lines += [
        f"{label:{indent}}{_without_label(label, said)}" for label, said in (("Seen:", seen), ("Do:", do)) if said
    ]
    return "\n".join(lines)


def _what(event: MutableMapping[str, Any]) -> str:
    """Return the event behind the VM that it is about, which it may name itself."""
    what, vm = flat(event.pop("event")), flat(event.pop("vm", None) or "")
    is_named = what.casefold().startswith(vm.casefold()) and not what[len(vm) : len(vm) + 1].isalnum()
    return what if not vm or is_named else f"{vm}: {what}"


def _told(event: MutableMapping[str, Any]) -> str:
    labelled = ((key, value) for key, value in event.items() if value not in (None, ""))
    told = "; ".join(f"{key}: {_without_label(f'{key}:', value)}" for key, value in labelled)
    return f" ({told})" if told else ""


def _without_label(label: str, value: object) -> str:
    """Return a value without a label that it brings itself: what another program said is put in words already."""
    said = flat(value)
    return said[len(label) :].lstrip() if said.casefold().startswith(label.casefold()) else said
