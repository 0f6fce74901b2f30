"""config.toml on the disk: read, with every mistake named by its file and key, and the last copy that was good."""

import contextlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from ecx_hyperv import atomic
from ecx_hyperv.config import Config, ConfigSection, Node, ProtectedVm, ValueRule
from ecx_hyperv.errors import ConfigError, Mistake

DEFAULT = Path("/etc/ecx-hyperv/config.toml")

# TABLE.KEY of an earlier version, and what the key is called now: after an upgrade the same file must go on to load, or
# nothing would start a VM.
RENAMED: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, where it came from, and the error for which it is only the last good copy."""

    config: Config
    path: Path
    fallback: ConfigError | None = None


def load(path: Path) -> Config:
    """Read a configuration file; raises ConfigError with every mistake in it."""
    config, _ = _read(path)
    return config


def load_or_last(path: Path) -> Loaded:
    """Read a configuration file or, if it can't be used, the last copy of it that could; keeps such a copy.

    Raises ConfigError if neither can be used.
    """
    last = last_good(path)
    try:
        config, text = _read(path)
    except ConfigError as error:
        try:
            return Loaded(load(last), last, fallback=error)
        except ConfigError:
            raise error from None
    # A directory that cannot be written must not keep a VM from being started.
    with contextlib.suppress(OSError, UnicodeDecodeError):
        _keep(last, text)
    return Loaded(config, path)


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
        raise ConfigError([Mistake(file, "", "valid TOML", str(error))]) from None
    mistakes = [Mistake(file, *wrong) for wrong in _rename(table, renamed)]
    config = _convert(table, Config, "", file, mistakes)
    mistakes += [Mistake(file, *wrong) for wrong in _doubles(table)]
    if mistakes or config is None:
        raise ConfigError(mistakes)
    return config


def _read(path: Path) -> tuple[Config, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = f"copy the sample config.toml to {path} and edit it, or name another file with --config"
        raise ConfigError([Mistake(str(path), "", "a configuration file", "nothing there")], remedy=remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Mistake(str(path), "", "a readable UTF-8 file", str(error))]) from None
    return parse(text, str(path)), text


def _keep(last: Path, text: str) -> None:
    if last.exists() and last.read_bytes() == text.encode():
        return
    atomic.replace(last, text.encode(), 0o640)


_S = TypeVar("_S", bound=ConfigSection)


def _convert(table: Mapping[str, Any], kind: type[_S], where: str, file: str, mistakes: list[Mistake]) -> _S | None:
    """Convert key by key, since msgspec itself would stop at the first mistake."""
    before = len(mistakes)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    unknown = [key for key in table if key not in fields]
    mistakes += [Mistake(file, where + key, f"one of {', '.join(fields)}", "an unknown key") for key in unknown]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(table[name], field.type, where + name, file, mistakes)
        elif field.required:
            mistakes.append(Mistake(file, where + name, "a value", "missing"))
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


def _expected(kind: Any, error: msgspec.ValidationError) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(repr(member.value) for member in kind)
    text = str(error).split(" - at ")[0].removeprefix("Expected ").replace("`", "")
    return text.split(", got")[0].replace("object", "a table").replace("array", "a list of tables")


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
