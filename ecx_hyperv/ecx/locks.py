"""Locks: one start or stop a VM at a time on this EC-VM, and a stop that need not wait for a start to give up.

Each is a flock, so a process that is killed holds nothing. A stop first takes the VM's `stop` lock, which a start
looks at before each step, and then the VM's own.
"""

import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ecx_hyperv.ecx.files import slug
from ecx_hyperv.errors import LocalError


class Lock(Protocol):
    """A lock that is asked for again and again rather than waited for."""

    def acquire(self) -> bool:
        """Try to hold it; True once it is held. Raises LocalError if there can be no lock."""

    def release(self) -> None:
        """Let it go, or what was got of it."""

    def holder(self) -> str:
        """Name who holds it, as far as that is known."""


class Locks(Protocol):
    """The locks of this EC-VM."""

    def start(self, vm: str) -> Lock:
        """Return the lock under which a VM is started."""

    def stop(self, vm: str) -> Lock:
        """Return the lock under which a VM is stopped; a start that is under way gives way to it."""

    def peer(self, node: str) -> Lock:
        """Return the lock under which the peer EC-VM is acted on."""

    def is_busy(self, vm: str) -> bool:
        """Tell whether a start or stop of the VM is under way; raises LocalError."""

    def is_stopping(self, vm: str) -> bool:
        """Tell whether a stop of the VM is under way, or waits to be; raises LocalError."""


class FileLock:
    """Several lock files, taken in their order and held together."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._held: list[int] = []

    def acquire(self) -> bool:
        """Try to hold it; True once it is held. Raises LocalError if there can be no lock."""
        for path in self._paths[len(self._held) :]:
            descriptor = _open(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._held.append(descriptor)
            # Only holder() reads it, so a full disk must not matter.
            with contextlib.suppress(OSError):
                os.truncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
        return True

    def release(self) -> None:
        """Let it go, or what was got of it."""
        while self._held:
            os.close(self._held.pop())

    def holder(self) -> str:
        """Name who holds it, as far as that is known."""
        path = self._paths[min(len(self._held), len(self._paths) - 1)]
        try:
            return f"process {path.read_text(encoding='ascii').strip() or 'unknown'}"
        except (OSError, UnicodeDecodeError):
            return "an unknown process"


class FileLocks:
    """Locks as files below [paths] run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, vm: str) -> FileLock:
        """Return the lock under which a VM is started."""
        return FileLock([self._path("vm", vm)])

    def stop(self, vm: str) -> FileLock:
        """Return the lock under which a VM is stopped; a start that is under way gives way to it."""
        return FileLock([self._path("stop", vm), self._path("vm", vm)])

    def peer(self, node: str) -> FileLock:
        """Return the lock under which the peer EC-VM is acted on."""
        return FileLock([self._path("peer", node)])

    def is_busy(self, vm: str) -> bool:
        """Tell whether a start or stop of the VM is under way; raises LocalError."""
        return _is_held(self._path("vm", vm)) or self.is_stopping(vm)

    def is_stopping(self, vm: str) -> bool:
        """Tell whether a stop of the VM is under way, or waits to be; raises LocalError."""
        return _is_held(self._path("stop", vm))

    def _path(self, kind: str, name: str) -> Path:
        return self._folder / f"{kind}-{slug(name)}.lock"


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalError(
            f"the lock {path} cannot be opened",
            seen=error.strerror or str(error),
            remedy="see the permissions of [paths] run; run as root",
        ) from None
