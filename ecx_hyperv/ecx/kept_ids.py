"""The ids of the VMs, as an earlier run has seen them: they count while nothing else says which VM is meant."""

from typing import Protocol

from msgspec import Struct
from msgspec.json import Decoder

from ecx_hyperv.ecx.files import slug
from ecx_hyperv.ecx.state_folder import StateFolder


class KeptId(Struct, frozen=True, kw_only=True):
    """The id that Get-VM showed under a configured name, which name that was, and what the cluster called its parts."""

    name: str
    id: str
    role: str = ""
    machine: str = ""
    configuration: str = ""


_KEPT_ID = Decoder(KeptId)


class KeptIds(Protocol):
    """Where an EC-VM keeps the ids of its VMs."""

    def load(self, name: str) -> KeptId | None:
        """Return what was kept for a name; raises LocalError if it cannot be read."""

    def save(self, kept: KeptId) -> None:
        """Keep an id; raises LocalError."""


class FileKeptIds:
    """The ids in the state folder of this EC-VM."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder

    def load(self, name: str) -> KeptId | None:
        """Return what was kept for a name; raises LocalError if it cannot be read."""
        kept = self._folder.read(_file_of(name), _KEPT_ID)
        return next((one for one in kept if one.name.casefold() == name.casefold()), None)

    def load_id(self, name: str) -> str:
        """Return the id that was kept for a name, empty if there is none; raises LocalError if it cannot be read."""
        kept = self.load(name)
        return "" if kept is None else kept.id

    def save(self, kept: KeptId) -> None:
        """Keep an id; raises LocalError."""
        self._folder.write(_file_of(kept.name), kept)


def _file_of(name: str) -> str:
    return f"ids/{slug(name)}.json"
