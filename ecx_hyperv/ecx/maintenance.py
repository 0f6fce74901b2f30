"""Maintenance: flags that keep starts and monitors off a VM, or off the peer EC-VM, until a moment or for ever."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Protocol

from msgspec import Meta, Struct
from msgspec.json import Decoder

from ecx_hyperv.ecx import files

Moment = Annotated[datetime, Meta(tz=True)]


class Kind(Enum):
    """What a flag is for."""

    VM = "vm"
    PEER = "peer"


class Flag(Struct, frozen=True):
    """One flag; `until` is None for one that does not end by itself, `by` is who set it, and on which EC-VM."""

    kind: Kind
    name: str
    since: Moment
    until: Moment | None = None
    reason: str = ""
    by: str = ""

    def holds(self, now: datetime) -> bool:
        """Tell whether the flag still holds."""
        return self.until is None or now < self.until


_FLAG = Decoder(Flag)


class Flags(Protocol):
    """The maintenance flags of an EC-VM, as a run reads them."""

    def find(self, kind: Kind, name: str, now: datetime) -> Flag | None:
        """Return the flag that holds for a VM or EC-VM; raises LocalError if it cannot be read."""

    def kept(self, kind: Kind, name: str) -> Flag | None:
        """Return the flag of a VM or EC-VM, also one that has ended; raises LocalError if it cannot be read."""

    def all(self, now: datetime) -> list[Flag]:
        """Return every flag that holds."""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """The flags below [paths] state of this EC-VM."""

    state: Path

    def find(self, kind: Kind, name: str, now: datetime) -> Flag | None:
        """Return the flag that holds for a VM or EC-VM; raises LocalError if it cannot be read."""
        flag = self.kept(kind, name)
        return flag if flag is not None and flag.holds(now) else None

    def kept(self, kind: Kind, name: str) -> Flag | None:
        """Return the flag of a VM or EC-VM, also one that has ended; raises LocalError if it cannot be read."""
        return files.read(self._path(kind, name), _FLAG)

    def set(self, flag: Flag) -> None:
        """Set a flag; raises LocalError."""
        files.write(self._path(flag.kind, flag.name), flag)

    def check(self, kind: Kind, name: str) -> None:
        """Say beforehand why a flag cannot be set, as far as that can be seen; raises LocalError."""
        files.check(self._path(kind, name))

    def clear(self, kind: Kind, name: str) -> bool:
        """Remove a flag, and say whether there was one; raises LocalError."""
        return files.remove(self._path(kind, name))

    def all(self, now: datetime) -> list[Flag]:
        """Return every flag that holds, by name."""
        found = [files.read(path, _FLAG) for path in sorted(self._folder.glob("*.json"))]
        return [flag for flag in found if flag is not None and flag.holds(now)]

    @property
    def _folder(self) -> Path:
        return self.state / "maintenance"

    def _path(self, kind: Kind, name: str) -> Path:
        return self._folder / f"{kind.value}-{files.slug(name)}.json"
