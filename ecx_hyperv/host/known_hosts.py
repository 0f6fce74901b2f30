"""The hosts' pinned keys: the one place that reads, compares and writes [ssh] known_hosts."""

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

import paramiko

from ecx_hyperv.errors import LocalError


class PinState(Enum):
    """How a key that a host shows stands to those pinned for it."""

    PINNED = "pinned already"
    CHANGED = "CHANGED since it was pinned"
    NEW = "new"


class KnownHosts:
    """The keys of a known_hosts file; a host's entry is its address, or [ADDRESS]:PORT where the port is not 22."""

    def __init__(self, path: str, keys: paramiko.HostKeys) -> None:
        self.path = path
        self._keys = keys

    @classmethod
    def read(cls, path: str) -> "KnownHosts":
        """Read a file, which is as good as empty where it is missing; raises LocalError for one that is no such."""
        try:
            return cls(path, paramiko.HostKeys(path))
        except FileNotFoundError:
            return cls(path, paramiko.HostKeys())
        except (OSError, ValueError, paramiko.SSHException) as error:
            raise LocalError(
                f"{path} cannot be read", seen=str(error), remedy=f"move {path} away and run this again"
            ) from None

    def pinned(self, entry: str) -> tuple[paramiko.PKey, ...]:
        """Return the keys pinned for an entry, one for each kind."""
        return tuple((self._keys.lookup(entry) or {}).values())

    def state_of(self, entry: str, key: paramiko.PKey) -> PinState:
        """Compare a key that a host shows with those pinned for its entry."""
        pinned = self.pinned(entry)
        if key in pinned:
            return PinState.PINNED
        is_other = any(one.get_name() == key.get_name() for one in pinned)
        return PinState.CHANGED if is_other else PinState.NEW

    def pin(self, new: Mapping[str, Sequence[paramiko.PKey]]) -> None:
        """Write the file anew, whole or not at all: these entries with these keys, all others as they were read.

        Raises LocalError.
        """
        others = {entry: self.pinned(entry) for entry in self._keys if entry not in new}
        fresh = paramiko.HostKeys()
        for entry, keys in {**others, **new}.items():
            for key in keys:
                fresh.add(entry, key.get_name(), key)
        path = Path(self.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.new")
            fresh.save(str(temporary))
            temporary.chmod(0o644)
            temporary.replace(path)
        except OSError as error:
            raise LocalError(
                f"{path} cannot be written", seen=error.strerror or str(error), remedy="run as root"
            ) from None
