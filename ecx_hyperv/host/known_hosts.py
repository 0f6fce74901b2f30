"""The hosts' pinned keys: the one place that reads, compares and writes [ssh] known_hosts."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ecx_hyperv import atomic
from ecx_hyperv.errors import LocalError
from ecx_hyperv.host.known_hosts_file import KnownHostsFile, PinnedKey, parse

_SSH_PORT = 22


class PinState(Enum):
    """How a key that a host shows stands to those pinned for it."""

    PINNED = "pinned already"
    NEW = "new"
    CHANGED = "CHANGED since it was pinned"
    OTHER_KIND = "CHANGED: other kinds of keys are pinned"
    REVOKED = "REVOKED: never pinned"


@dataclass(frozen=True, slots=True)
class Pins:
    """The keys that are to be pinned for a host, in place of all that are pinned by its name."""

    host: str
    port: int
    keys: tuple[PinnedKey, ...]


class KnownHosts:
    """The keys of a known_hosts file, read as OpenSSH reads it."""

    def __init__(self, path: str, file: KnownHostsFile) -> None:
        self.path = path
        self.file = file

    @classmethod
    def read(cls, path: str) -> "KnownHosts":
        """Read a file, which is as good as empty where it is missing; raises LocalError for one that is no such."""
        try:
            return cls(path, parse(Path(path).read_bytes()))
        except FileNotFoundError:
            return cls(path, parse(b""))
        except (OSError, ValueError) as error:
            raise LocalError(
                f"{path} cannot be read", seen=str(error), remedy=f"move {path} away and run this again"
            ) from None

    def pinned(self, host: str, port: int) -> tuple[PinnedKey, ...]:
        """Return all keys that a host may show, several of a kind among them; none that is revoked for it.

        A host of which nothing is pinned at its port is looked for without the port, as ssh does.
        """
        own = self.file.keys_for(host, port)
        revoked = self.revoked(host, port)
        return tuple(key for key in own or self.file.keys_without_port(host) if key not in revoked)

    def revoked(self, host: str, port: int) -> tuple[PinnedKey, ...]:
        """Return the keys that a host must not show, at whichever port."""
        return (*self.file.revoked_for(host, port), *self.file.revoked_for(host, _SSH_PORT))

    def own(self, host: str, port: int) -> tuple[PinnedKey, ...]:
        """Return what is pinned for a host at its very port, revoked or not: what a new key would stand beside."""
        found = (line.key for line in self.file.about(host, port) if line.marker is None)
        return tuple(dict.fromkeys(key for key in found if key is not None))

    def state_of(self, host: str, port: int, key: PinnedKey) -> PinState:
        """Compare a key that a host shows with those pinned for it.

        Of a host that has pins every other key is a change, whatever its kind: each kind is shown in a connection of
        its own, so that a pinned key in one of them says nothing about who answers in the next.
        """
        if key in self.revoked(host, port):
            return PinState.REVOKED
        if key in self.pinned(host, port):
            return PinState.PINNED
        own = self.own(host, port)
        if not own:
            return PinState.NEW
        return PinState.CHANGED if any(one.kind == key.kind for one in own) else PinState.OTHER_KIND

    def pin(self, pins: Iterable[Pins]) -> "KnownHosts":
        """Write the file anew, whole or not at all, and return it: these hosts' pins, all else byte for byte as it is.

        The file is read again first, since a person may have taken their time. Raises LocalError, ValueError for a host
        without keys.
        """
        now = KnownHosts.read(self.path)
        file = now.file
        for one in pins:
            if set(now.own(one.host, one.port)) != set(self.own(one.host, one.port)):
                raise LocalError(
                    f"{self.path} was not written",
                    seen=f"somebody else changed what it pins for {one.host} in the meantime",
                    remedy="run this again",
                )
            file = file.replaced(one.host, one.port, one.keys)
        self._write(file.to_bytes())
        return KnownHosts(self.path, file)

    def _write(self, content: bytes) -> None:
        # A link stays one: the file may be shared.
        path = Path(os.path.realpath(self.path))
        try:
            atomic.make_folder(path.parent, 0o755)
            atomic.replace(path, content, 0o644)
        except OSError as error:
            raise LocalError(
                f"{self.path} cannot be written; it is as it was",
                seen=error.strerror or str(error),
                remedy="run as root; see that the disk has room",
            ) from None
