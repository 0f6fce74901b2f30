"""config.toml on the disk: read, with every mistake named by file, line and key, and the last copy that was good.

Kept: no node goes down for a file. A stop that ends with 3 has ECX shut the EC-VM down (D12: one digit of an address
was mistyped, and the last good copy had been overwritten by then). So a file that cannot be used at all gives way to
the last copy that could, and a file becomes that copy only once a run has proven it.
"""

import contextlib
import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from ecx_hyperv import atomic
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
    ValueRule,
)
from ecx_hyperv.errors import ConfigError, EcxHypervError, Mistake, UsageError
from ecx_hyperv.toml_lines import line_of, lines_of

DEFAULT = Path("/etc/ecx-hyperv/config.toml")

# TABLE.KEY of an earlier version, and what the key is called now: after an upgrade the same file must go on to load, or
# nothing would start a VM.
RENAMED: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, its text, where it came from, and the error for which it is only the last good copy."""

    config: Config
    path: Path
    fallback: EcxHypervError | None = None
    text: str = ""


def load(path: Path) -> Config:
    """Read a configuration file; raises ConfigError with every mistake in it."""
    return read(path).config


def read(path: Path) -> Loaded:
    """Read a configuration file and keep its text; raises ConfigError with every mistake in it."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        remedy = f"copy the sample config.toml to {path} and edit it, or name another file with --config"
        raise ConfigError([Mistake(str(path), "", "a configuration file", "nothing there")], remedy=remedy) from None
    except PermissionError as error:
        remedy = "run this as root (sudo)"
        raise ConfigError([Mistake(str(path), "", "a file that may be read", str(error))], remedy=remedy) from None
    except OSError as error:
        raise ConfigError([Mistake(str(path), "", "a readable UTF-8 file", str(error))]) from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        seen = f"byte {content[error.start]:#04x}, as in Shift_JIS or UTF-16; save the file as UTF-8"
        raise ConfigError([Mistake(str(path), "", "a readable UTF-8 file", seen, line)]) from None
    # The ends of lines of any system.
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return Loaded(parse(plain, str(path)), path, text=text)


def load_or_last(path: Path, accept: Callable[[Config], object] = lambda _: None) -> Loaded:
    """Read a configuration file or, if it cannot be used at all, the last copy of it that could be.

    `accept` raises ConfigError or UsageError for a configuration that means nothing on this EC-VM. Raises the error of
    the file itself if neither can be used.
    """
    try:
        return _accepted(read(path), accept)
    except (ConfigError, UsageError) as error:
        try:
            found = _accepted(read(last_good(path)), accept)
        except EcxHypervError:
            raise error from None
        return replace(found, fallback=error)


def _accepted(loaded: Loaded, accept: Callable[[Config], object]) -> Loaded:
    accept(loaded.config)
    return loaded


def keep(loaded: Loaded) -> None:
    """Keep a file that was proven as the last good copy; where that cannot be written nothing is kept."""
    if loaded.fallback is not None:
        return
    content, last = loaded.text.encode(), last_good(loaded.path)
    # A folder that cannot be written must not keep a VM from being started.
    with contextlib.suppress(OSError):
        if not (last.is_file() and last.read_bytes() == content):
            atomic.replace(last, content, 0o640)


def last_good(path: Path) -> Path:
    """Return where the last good copy of a configuration file stands."""
    return path.with_name(f"{path.stem}.last{path.suffix}")


def parse(text: str, file: str, renamed: Mapping[str, str] = RENAMED) -> Config:
    """Turn the text of a configuration file into a Config; raises ConfigError with every mistake in it.

    A key by an earlier version's name counts as the key that it is now called; both at once are a mistake.
    """
    try:
        table = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError; or a number, or a nesting, beyond what Python reads.
        raise ConfigError([_no_toml(text, file, str(error))]) from None
    mistakes = [Mistake(file, *wrong) for wrong in _rename(table, renamed)]
    config = _convert(table, Config, "", file, mistakes)
    mistakes += [Mistake(file, *wrong) for wrong in _doubles(table)]
    if mistakes or config is None:
        lines = lines_of(text)
        raise ConfigError([replace(one, line=line_of(lines, one.key)) for one in mistakes])
    return config


# What a word processor makes of quotes, and Japanese input of blanks and signs: nobody sees the difference.
_LOOKALIKES = re.compile("[\u2018\u2019\u201c\u201d\u300c\u300d\uff02\uff1d\u3000\u00a0]")
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


def _no_toml(text: str, file: str, said: str) -> Mistake:
    place = _PLACE.search(said)
    if place is None:
        return Mistake(file, "", "valid TOML", said)
    lines = text.splitlines() or [""]
    number = min(int(place[1]), len(lines)) if place[1] else len(lines)
    line = lines[number - 1]
    # A text that is not closed is noticed only at the end of its line.
    sign = _LOOKALIKES.search(line.partition("#")[0])
    hint = f"; {line[sign.start()]!r} is no sign of TOML: write straight quotes and plain blanks" if sign else ""
    if "Illegal character '\\n'" in said:
        hint = hint or "; a quote is not closed"
    return Mistake(file, "", "valid TOML", f"{_shown(line.strip())} ({said[: place.start()]}{hint})", number)


_S = TypeVar("_S", bound=ConfigSection)


def _convert(table: Mapping[str, Any], kind: type[_S], where: str, file: str, mistakes: list[Mistake]) -> _S | None:
    """Convert key by key, since msgspec itself would stop at the first mistake."""
    before = len(mistakes)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    unknown = [key for key in table if key not in fields]
    mistakes += [
        Mistake(file, where + key, f"one of {', '.join(fields)}", "an unknown key", nearest=_nearest(key, fields))
        for key in unknown
    ]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(table[name], field.type, where + name, file, mistakes)
        elif field.required:
            mistakes.append(Mistake(file, where + name, "a value", "a missing key"))
    return kind(**values) if len(mistakes) == before else None


def _value(value: Any, kind: Any, where: str, file: str, mistakes: list[Mistake]) -> Any:
    if isinstance(kind, type) and issubclass(kind, ConfigSection) and isinstance(value, dict):
        return _convert(value, kind, f"{where}.", file, mistakes)
    if kind in (tuple[Node, ...], tuple[ProtectedVm, ...]) and isinstance(value, list):
        item = kind.__args__[0]
        return tuple(_value(one, item, f"{where}[{n}]", file, mistakes) for n, one in enumerate(value, 1))
    try:
        converted = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        mistakes.append(Mistake(file, where, _expected(kind, error), _shown(value)))
        return None
    if isinstance(converted, str):
        broken = [rule for rule in _rules(kind) if not rule.holds(converted)]
        mistakes += [Mistake(file, where, rule.expected, repr(converted)) for rule in broken]
    return converted


def _rules(kind: Any) -> list[ValueRule]:
    parts = (kind, *get_args(kind))
    return [extra for part in parts for extra in getattr(part, "__metadata__", ()) if isinstance(extra, ValueRule)]


# Every key of the file by its own name, with the table that it belongs to.
_TABLES: Mapping[str, type[ConfigSection]] = {
    "[cluster]": ClusterSettings,
    "[ssh]": Ssh,
    "[paths]": Paths,
    "[timing]": Timing,
    "[monitor]": MonitorSettings,
    "[[node]]": Node,
    "[[vm]]": ProtectedVm,
}


def _nearest(key: str, here: Iterable[str]) -> str:
    """Return the key that may have been meant: one of the same table, else one of another, with its table's name."""
    found = difflib.get_close_matches(key.casefold(), list(here), 1, 0.7)
    if found:
        return found[0]
    elsewhere = {
        field.name: name for name, kind in reversed([*_TABLES.items()]) for field in msgspec.structs.fields(kind)
    }
    found = difflib.get_close_matches(key.casefold(), list(elsewhere), 1, 0.8)
    return f"{found[0]} in {elsewhere[found[0]]}" if found else ""


_WORDS = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number of seconds",
    bool: "true or false",
}


def _expected(kind: Any, error: msgspec.ValidationError) -> str:
    """Say in an operator's words what a value must be."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(repr(member.value) for member in kind)
    parts = get_args(kind) or (kind,)
    base = next((one for one in (*parts, *(get_args(parts[0]) or ())) if one in _WORDS), None)
    if base is None:
        is_list = kind in (tuple[Node, ...], tuple[ProtectedVm, ...])
        table = getattr(kind, "__name__", "")
        name = next((name for name, one in _TABLES.items() if one.__name__ == table), "a table")
        return "a list of tables, each under [[...]]" if is_list else f"a table: {name}"
    metas = [extra for one in (kind, *parts) for extra in getattr(one, "__metadata__", ())]
    bounds = next((extra for extra in metas if isinstance(extra, msgspec.Meta)), msgspec.Meta())
    words = _WORDS[base]
    if base is str and "length" in str(error):
        words = "a text that is not empty"
    if bounds.gt is not None:
        words += f" above {bounds.gt:g}, at most {bounds.le:g}"
    if bounds.ge is not None:
        words += f" from {bounds.ge:g} to {bounds.le:g}"
    return words


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return "something too long to show"
    return text if len(text) <= 200 else f"{text[:200]}..."


_Wrong = Iterable[tuple[str, str, str]]


def _doubles(table: Mapping[str, Any]) -> _Wrong:
    """Find what must be there once in its kind, in whatever can be read of the file."""
    nodes, vms = _tables(table, "node"), _tables(table, "vm")
    if "node" in table and len(nodes) != 2:
        yield "node", "exactly two [[node]] tables", str(len(nodes))
    for key in ("name", "address", "host"):
        yield from _unique("node", key, [one.get(key) for one in nodes])
    yield from _unique("vm", "name", [one.get("name") for one in vms])
    yield from _unique("vm", "resource", [one.get("resource", f"exec-{one.get('name', id(one))}") for one in vms])


def _rename(table: Mapping[str, Any], renamed: Mapping[str, str]) -> _Wrong:
    for path, new in renamed.items():
        where, _, old = path.partition(".")
        found = table.get(where)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, dict) and old in one:
                value = one.pop(old)
                if new in one:
                    yield path, f"{new} alone, which is its new name", f"{old} and {new}"
                one.setdefault(new, value)


def _tables(table: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = table.get(key)
    return [one if isinstance(one, dict) else {} for one in found] if isinstance(found, list) else []


def _unique(table: str, key: str, values: Sequence[Any]) -> _Wrong:
    folded = [value.casefold() if isinstance(value, str) else None for value in values]
    for n, value in enumerate(folded):
        if value is not None and value in folded[:n]:
            yield f"{table}[{n + 1}].{key}", "a value of its own", f"{values[n]!r} again"
