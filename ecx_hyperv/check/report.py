"""The report for a support case: what is configured, what the checks found, what was logged last; no secret in it."""

import json
import platform
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import structs

from ecx_hyperv import atomic
from ecx_hyperv.check.outcome import Finding, Outcome
from ecx_hyperv.check.redaction import LONGEST_LINE, REMOVED, redact, redact_line
from ecx_hyperv.config import (
    ClusterSettings,
    Config,
    ConfigSection,
    MonitorSettings,
    Node,
    Paths,
    ProtectedVm,
    Ssh,
    Timing,
)
from ecx_hyperv.errors import LocalError
from ecx_hyperv.plain import flat

_LIBRARIES = ("ecx-hyperv", "paramiko", "cryptography", "click", "msgspec", "structlog", "tenacity", "rich")
_LOG_LINES = 150
_LOG_BYTES = 256 * 1024
_CONFIG_BYTES = 256 * 1024
_LONGEST_VALUE = 300
# How a line of this program's log begins, as text; as JSON it has these keys.
_OWN_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.:+Z-]{0,20} [a-z]{4,9} {1,5}\[[0-9a-f]{4,8}\] ")
_OWN_KEYS = frozenset({"time", "run", "level", "event"})
_HEAD = re.compile(r"\s{0,20}\[{1,2}([a-z]{1,20})\]{1,2}")
_KEY = re.compile(r"\s{0,20}([A-Za-z0-9_-]{1,40})\s{0,20}=")


@dataclass(frozen=True, slots=True)
class Heading:
    """Where and when a report is written: node, time in ISO 8601, versions of the Linux, of ECX and of libraries."""

    node: str
    written: str
    os_name: str
    ecx: str
    libraries: tuple[str, ...]


def write(path: Path, text: str) -> None:
    """Write a report for its owner's eyes only, whole or not at all; raises LocalError."""
    try:
        atomic.replace(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise LocalError(
            f"the report {path} cannot be written", seen=error.strerror or str(error), remedy="name another file"
        ) from None


def library_versions() -> tuple[str, ...]:
    """Return a line with the version of the program and of each library; reads the program's files."""
    return tuple(_version(name) for name in _LIBRARIES)


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name}: not known"


def compose(heading: Heading, findings: Sequence[Finding], config: Config, path: Path, logs: Path) -> str:
    """Return the whole report; `path` is the configuration's file, `logs` the folder of ECX's logs."""
    parts = [
        _section(f"ecx-hyperv report of {heading.node}, {heading.written}", []),
        _section("versions", _versions(heading)),
        _section("checks", _findings(findings)),
        _section(f"configuration: {path}", _configuration(path)),
        *(_section(f"last runs: {file.name}", _tail(file)) for file in _logs(logs, config)),
    ]
    return "\n".join(parts)


def _section(title: str, lines: Iterable[str]) -> str:
    # Each section by itself: what one of them holds, a key that never ends say, takes nothing of the others.
    return "\n".join([f"== {redact_line(title)}", redact("\n".join(map(flat, lines))), ""])


def _versions(heading: Heading) -> Iterator[str]:
    yield f"python {platform.python_version()} on {heading.os_name}, kernel {platform.release()}"
    yield f"ECX {heading.ecx}"
    yield from heading.libraries


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for one in findings:
        yield f"{one.outcome.value:12}{one.name:22}{one.place}: {one.seen}"
        if one.outcome is not Outcome.OK:
            yield f"{'':12}expected: {one.expected or '-'}; do: {one.remedy or '-'}"


def _logs(folder: Path, config: Config) -> list[Path]:
    """Return the logs that this program's own resources and monitors write; other people's stand beside them."""
    names = [*(name for vm in config.vm for name in (vm.resource_name, vm.monitor_name)), "genw-remote-node"]
    files = [folder / f"{name}.log" for name in names if "/" not in name]
    return sorted(file for file in files if file.is_file() and not file.is_symlink())


def _tail(file: Path) -> Iterator[str]:
    try:
        with file.open("rb") as content:
            content.seek(max(0, file.stat().st_size - _LOG_BYTES))
            lines = content.read(_LOG_BYTES).decode("utf-8", "replace").split("\n")
    except OSError as error:
        yield f"cannot be read: {error.strerror}"
        return
    own = [line for line in lines if _is_own(line)]
    yield from own[-_LOG_LINES:]
    others = sum(1 for line in lines if line.strip()) - len(own)
    if others:
        yield f"({others} lines that are none of this program's log are left out)"


def _is_own(line: str) -> bool:
    if _OWN_LINE.match(line):
        return True
    if not line.startswith("{") or len(line) > LONGEST_LINE:
        return False
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and _OWN_KEYS.issubset(said)


def _configuration(path: Path) -> Iterator[str]:
    """Show the keys that this program has, with their values; of any other key that there is one, and no comment."""
    try:
        with path.open("rb") as content:
            text = content.read(_CONFIG_BYTES).decode("utf-8", "replace")
    except OSError as error:
        yield f"cannot be read: {error.strerror}"
        return
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        yield f"it is no TOML: {error}; its tables and keys, without values:"
        yield from _names_alone(text)
        return
    for name, value in tables.items():
        known = _known_keys(name)
        several = value if isinstance(value, list) else [value]
        if known is None or not all(isinstance(one, dict) for one in several):
            yield f"{_key_shown(name)} {REMOVED}"
            continue
        for table in several:
            yield f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
            yield from (_setting(key, one, known) for key, one in table.items())


def _known_keys(table: str) -> frozenset[str] | None:
    """Return the keys that a table may have; None for a table that this program does not have."""
    kinds: dict[str, type[ConfigSection]] = {
        "cluster": ClusterSettings,
        "ssh": Ssh,
        "paths": Paths,
        "timing": Timing,
        "monitor": MonitorSettings,
        "node": Node,
        "vm": ProtectedVm,
    }
    return frozenset(field.encode_name for field in structs.fields(kinds[table])) if table in kinds else None


def _setting(key: str, value: object, known: frozenset[str]) -> str:
    if key not in known or not isinstance(value, str | int | float | bool):
        return f"{_key_shown(key)} = {REMOVED}"
    return f"{key} = {flat(json.dumps(value, ensure_ascii=False), _LONGEST_VALUE)}"


def _key_shown(key: str) -> str:
    # A mistyped key is what a support case may be about; what is no key may be a value that got there.
    return key if _KEY.fullmatch(f"{key}=") else "a key"


def _names_alone(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        head, key = _HEAD.match(line), _KEY.match(line)
        if head is not None and _known_keys(head[1]) is not None:
            yield f"[{head[1]}]"
        elif key is not None:
            yield f"{key[1]} = {REMOVED}"
