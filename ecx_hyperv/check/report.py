"""The report for a support case: what is configured, what the checks found, what was logged last; no secret in it."""

import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ecx_hyperv import atomic
from ecx_hyperv.check.outcome import Finding, Outcome
from ecx_hyperv.errors import LocalError

_LIBRARIES = ("ecx-hyperv", "paramiko", "cryptography", "click", "msgspec", "structlog", "tenacity", "rich")
_LOG_LINES = 150
_LOG_BYTES = 256 * 1024
_REMOVED = "<removed>"
# A key, whole or cut off; a word that gives what follows away; anything long and random.
_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_PUBLIC = re.compile(r"\b(ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-\S+) [A-Za-z0-9+/=]{40,}")
_NAMED = re.compile(
    r"(?i)\b((?:[a-z0-9]+[_-])*(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|credential|chap)\w*)"
    r"(\"?\s*[=:]\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;]+)"
)
_LONG = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")


@dataclass(frozen=True, slots=True)
class Heading:
    """Where and when a report is written: node, time in ISO 8601, versions of the Linux, of ECX and of libraries."""

    node: str
    written: str
    os_name: str
    ecx: str
    libraries: tuple[str, ...]


def redact(text: str) -> str:
    """Return a text without keys, passwords and whatever else may give access."""
    text = _PRIVATE.sub(_REMOVED, text)
    text = _PUBLIC.sub(rf"\1 {_REMOVED}", text)
    text = _NAMED.sub(lambda found: f"{found[1]}{found[2]}{_REMOVED}", text)
    return _LONG.sub(_REMOVED, text)


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


def compose(heading: Heading, findings: Sequence[Finding], config: Path, logs: Path) -> str:
    """Return the whole report; `config` is the configuration's file, `logs` the folder of ECX's logs."""
    parts = [
        f"ecx-hyperv report of {heading.node}, {heading.written}\n",
        _section("versions", _versions(heading)),
        _section("checks", _findings(findings)),
        _section(f"configuration: {config}", [_text(config)]),
        *(_section(f"last runs: {file.name}", _tail(file)) for file in _logs(logs)),
    ]
    return redact("\n".join(parts))


def _section(title: str, lines: Iterator[str] | list[str]) -> str:
    return "\n".join([f"== {title}", *lines, ""])


def _versions(heading: Heading) -> Iterator[str]:
    yield f"python {platform.python_version()} on {heading.os_name}, kernel {platform.release()}"
    yield f"ECX {heading.ecx}"
    yield from heading.libraries


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for one in findings:
        yield f"{one.outcome.value:12}{one.name:22}{one.place}: {one.seen}"
        if one.outcome is not Outcome.OK:
            yield f"{'':12}expected: {one.expected or '-'}; do: {one.remedy or '-'}"


def _logs(folder: Path) -> list[Path]:
    """Return the logs that the program's resources and monitors write."""
    return sorted(file for kind in ("exec-*.log", "genw-*.log") for file in folder.glob(kind) if file.is_file())


def _tail(file: Path) -> list[str]:
    try:
        with file.open("rb") as content:
            content.seek(max(0, file.stat().st_size - _LOG_BYTES))
            return content.read().decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    except OSError as error:
        return [f"cannot be read: {error.strerror}"]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"cannot be read: {error.strerror}"
