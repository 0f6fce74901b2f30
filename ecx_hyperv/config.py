"""config.toml: typed, with every mistake named by its file and key, and the last copy that was good."""

import contextlib
import ipaddress
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from ecx_hyperv.errors import ConfigError, Mistake

DEFAULT = Path("/etc/ecx-hyperv/config.toml")

Text = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=1, le=65535)]


class StdinWay(Enum):
    """How the bootstrap on a host reads what is sent to it."""

    HANDLE = "handle"
    INPUT = "input"


class Unknown(Enum):
    """What genw-vm answers ECX when it cannot tell."""

    HEALTHY = "healthy"
    FAILED = "failed"


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class Cluster(Section, frozen=True, kw_only=True):
    """What both hosts share: the Shared Volume, and the iSCSI target's floating address."""

    csv: Text
    iscsi_target: Text


class Ssh(Section, frozen=True, kw_only=True):
    """How the hosts are logged in to."""

    user: Text
    key: Text
    known_hosts: Text = "/etc/ecx-hyperv/known_hosts"
    port: Port = 22
    stdin: StdinWay = StdinWay.HANDLE
    powershell: Text = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"


class Paths(Section, frozen=True, kw_only=True):
    """Where this EC-VM keeps what must last, and its locks."""

    state: Text = "/var/lib/ecx-hyperv"
    run: Text = "/run/ecx-hyperv"


class Timing(Section, frozen=True, kw_only=True):
    """How long things may take, in seconds; each is explained in config/config.toml."""

    interval: Positive = 2
    connect: Positive = 20
    start: Positive = 1500
    unregister: Positive = 1500
    monitor: Positive = 90
    shutdown: Seconds = 300
    shutdown_on_failover: Seconds = 60
    reserve: Seconds = 120
    leftover: Seconds = 60
    settle: Seconds = 120
    critical: Seconds = 600
    isolated: Seconds = 60
    confirm_vm: Seconds = 3
    confirm_peer: Seconds = 10
    unknown_limit: Seconds = 300
    hung_after: Seconds = 300
    stale: Seconds = 180
    cool_down: Seconds = 300


class Monitor(Section, frozen=True, kw_only=True):
    """What the monitors make of doubtful cases."""

    unknown: Unknown = Unknown.HEALTHY
    heartbeat: bool = False


class Node(Section, frozen=True, kw_only=True):
    """One EC-VM and the host that it runs on."""

    name: Text
    address: Text
    vm: Text
    host: Text


class Vm(Section, frozen=True, kw_only=True):
    """One protected VM; `csv` where it is on another volume, `resource` where ECX's resource is not exec-NAME."""

    name: Text
    csv: Text | None = None
    resource: Text | None = None


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    cluster: Cluster
    ssh: Ssh
    paths: Paths = Paths()
    timing: Timing = Timing()
    monitor: Monitor = Monitor()
    node: tuple[Node, ...]
    vm: tuple[Vm, ...] = ()

    def csv_of(self, vm: str) -> str | None:
        """Return the Shared Volume that the file places a VM on; None for a VM that is not in it."""
        found = self.find_vm(vm)
        return None if found is None else found.csv or self.cluster.csv

    def find_vm(self, name: str) -> Vm | None:
        """Return the VM of that name, upper and lower case alike."""
        return next((vm for vm in self.vm if vm.name.casefold() == name.casefold()), None)


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
    with contextlib.suppress(OSError):
        _keep(last, text)
    return Loaded(config, path)


def last_good(path: Path) -> Path:
    """Return where the last good copy of a configuration file stands."""
    return path.with_name(f"{path.stem}.last{path.suffix}")


def parse(text: str, file: str) -> Config:
    """Turn the text of a configuration file into a Config; raises ConfigError with every mistake in it."""
    try:
        table = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Mistake(file, "", "valid TOML", str(error))]) from None
    mistakes: list[Mistake] = []
    config = _convert(table, Config, "", file, mistakes)
    if config is not None:
        mistakes += [Mistake(file, *wrong) for check in _CHECKS for wrong in check(config)]
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
    if last.exists() and last.read_text(encoding="utf-8") == text:
        return
    descriptor, name = tempfile.mkstemp(dir=last.parent, prefix=f".{last.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o640)
        os.replace(name, last)
    except OSError:
        os.unlink(name)
        raise


_S = TypeVar("_S", bound=Section)


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
    if isinstance(kind, type) and issubclass(kind, Section) and isinstance(value, dict):
        return _convert(value, kind, f"{where}.", file, mistakes)
    if kind in (tuple[Node, ...], tuple[Vm, ...]) and isinstance(value, list):
        item = kind.__args__[0]
        return tuple(_value(one, item, f"{where}[{n}]", file, mistakes) for n, one in enumerate(value, 1))
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        expected = str(error).split(" - at ")[0].removeprefix("Expected ").replace("`", "")
        mistakes.append(Mistake(file, where, expected.split(", got")[0], repr(value)))
        return None


_Wrong = Iterable[tuple[str, str, str]]
# Wildcards to -Name, and the character that would let a name break out of a quoted one.
_FORBIDDEN = frozenset("*?[]`")
# What means the same to cmd.exe and to PowerShell as the login shell.
_COMMAND_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=:.\\~-")


def _addresses(config: Config) -> _Wrong:
    places = [("cluster.iscsi_target", config.cluster.iscsi_target)]
    places += [(f"node[{n}].address", node.address) for n, node in enumerate(config.node, 1)]
    for key, address in places:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield key, "an IP address", repr(address)


def _names(config: Config) -> _Wrong:
    places = [("cluster.csv", config.cluster.csv)]
    for n, vm in enumerate(config.vm, 1):
        places += [(f"vm[{n}].name", vm.name), (f"vm[{n}].csv", vm.csv or "-")]
    places += [(f"node[{n}].vm", node.vm) for n, node in enumerate(config.node, 1)]
    for key, name in places:
        odd = any(character in _FORBIDDEN or ord(character) < 32 or ord(character) == 127 for character in name)
        if odd or name != name.strip():
            yield key, "a name without * ? [ ] `, control characters and outer blanks", repr(name)


def _nodes(config: Config) -> _Wrong:
    if len(config.node) != 2:
        yield "node", "exactly two [[node]] tables", str(len(config.node))
    yield from _unique("node", "name", [node.name for node in config.node])
    yield from _unique("node", "address", [node.address for node in config.node])
    yield from _unique("node", "host", [node.host for node in config.node])


def _vms(config: Config) -> _Wrong:
    yield from _unique("vm", "name", [vm.name for vm in config.vm])
    yield from _unique("vm", "resource", [vm.resource or f"exec-{vm.name}" for vm in config.vm])


def _unique(table: str, key: str, values: Sequence[str]) -> _Wrong:
    folded = [value.casefold() for value in values]
    for n, value in enumerate(folded):
        if value in folded[:n]:
            yield f"{table}[{n + 1}].{key}", "a value of its own", f"{values[n]!r} again"


def _paths(config: Config) -> _Wrong:
    places = {
        "ssh.key": config.ssh.key,
        "ssh.known_hosts": config.ssh.known_hosts,
        "paths.state": config.paths.state,
        "paths.run": config.paths.run,
    }
    for key, path in places.items():
        if not path.startswith("/"):
            yield key, "an absolute path (ECX may run without HOME)", repr(path)
    if not _COMMAND_SAFE.issuperset(config.ssh.powershell):
        yield "ssh.powershell", "a path of letters, digits and +/=:.\\~- (write PROGRA~1)", repr(config.ssh.powershell)


def advice(config: Config) -> list[str]:
    """Return what is allowed but probably not meant, one sentence each."""
    timing = config.timing
    # ECX kills a start or stop script after 1800 s, and a monitor's after what its monitor is set to.
    odd = {
        "timing.start leaves less than 60 s of the 1800 s after which ECX kills a start script": timing.start > 1740,
        "timing.unregister leaves less than 60 s of the 1800 s of a stop script": timing.unregister > 1740,
        "timing.reserve is more than half of timing.unregister: guests get no grace": timing.reserve
        > timing.unregister / 2,
        "timing.confirm_vm or confirm_peer leaves no time in timing.monitor": max(
            timing.confirm_vm, timing.confirm_peer
        )
        > timing.monitor / 2,
        "no [[vm]] is named": not config.vm,
    }
    return [text for text, is_so in odd.items() if is_so]


_CHECKS: tuple[Callable[[Config], _Wrong], ...] = (_addresses, _names, _nodes, _vms, _paths)
