"""The ids of the VMs, as an earlier run has seen them: they count while nothing else says which VM is meant."""

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from ecx_hyperv.ecx import files


class KeptId(Struct, frozen=True, kw_only=True):
    """The id that Get-VM showed under a configured name, and which name that was."""

    name: str
    id: str


class KeptIds(Protocol):
    """Where an EC-VM keeps the ids of its VMs."""

    def load(self, name: str) -> str:
        """Return the id that was kept for a name, empty if there is none; raises LocalError if it cannot be read."""

    def save(self, name: str, key: str) -> None:
        """Keep an id; raises LocalError."""


class FileKeptIds:
    """The ids below [paths] state of this EC-VM."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "ids"

    def load(self, name: str) -> str:
        """Return the id that was kept for a name, empty if there is none; raises LocalError if it cannot be read."""
        kept = files.read(self._path(name), KeptId)
        return "" if kept is None or kept.name.casefold() != name.casefold() else kept.id

    def save(self, name: str, key: str) -> None:
        """Keep an id; raises LocalError."""
        files.write(self._path(name), KeptId(name=name, id=key))

    def _path(self, name: str) -> Path:
        return self._folder / f"{files.slug(name)}.json"
