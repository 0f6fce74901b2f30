"""Locks: one start or stop a VM at a time on this EC-VM, and a stop that need not wait for a start to give up.

Each is a flock, so a process that is killed holds nothing. A stop first takes the VM's `stop` lock, which a start
looks at before each step, and then the VM's own. Beside its number a holder writes when it must have ended: one that
hangs beyond that excuses no monitor, and a stop goes on without it (D9).
"""

import contextlib
import fcntl
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ecx_hyperv.atomic import make_folder
from ecx_hyperv.ecx.files import open_file, slug
from ecx_hyperv.errors import LocalError


class Lock(Protocol):
    """A lock that is asked for again and again rather than waited for."""

    def acquire(self) -> bool:
        """Try to hold it; True once it is held. Raises LocalError if there can be no lock."""

    def release(self) -> None:
        """Let it go, or what was got of it."""

    def holder(self) -> str:
        """Name who holds it, as far as that is known."""

    def is_overdue(self) -> bool:
        """Tell whether who holds it must have ended by now, and has not."""


class Locks(Protocol):
    """The locks of this EC-VM."""

    def start(self, vm: str) -> Lock:
        """Return the lock under which a VM is started."""

    def stop(self, vm: str) -> Lock:
        """Return the lock under which a VM is stopped; a start that is under way gives way to it."""

    def peer(self, node: str) -> Lock:
        """Return the lock under which the peer EC-VM is acted on."""

    def is_busy(self, vm: str) -> bool:
        """Tell whether a start or stop of the VM is under way, and within its limit; raises LocalError."""

    def is_stopping(self, vm: str) -> bool:
        """Tell whether a stop of the VM is under way, or waits to be; raises LocalError."""


@dataclass(frozen=True, slots=True)
class HolderTimes:
    """The time by which holders are judged, and when this process must have ended; seconds since boot."""

    now: Callable[[], float] = lambda: 0.0
    until: float = math.inf


class FileLock:
    """Several lock files, taken in their order and held together."""

    def __init__(self, paths: Sequence[Path], times: HolderTimes) -> None:
        self._paths = paths
        self._times = times
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
            # It is a help to those who wait, so a full disk must not matter.
            with contextlib.suppress(OSError):
                os.truncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()} {self._times.until:.1f}".encode())
        return True

    def release(self) -> None:
        """Let it go, or what was got of it."""
        while self._held:
            os.close(self._held.pop())

    def holder(self) -> str:
        """Name who holds it, as far as that is known."""
        words = _words(self._wanted)
        return "an unknown process" if words is None else f"process {words[0] if words else 'unknown'}"

    def is_overdue(self) -> bool:
        """Tell whether who holds it must have ended by now, and has not."""
        return _is_held(self._wanted) and _is_overdue(self._wanted, self._times.now())

    @property
    def _wanted(self) -> Path:
        return self._paths[min(len(self._held), len(self._paths) - 1)]


class FileLocks:
    """Locks as files below [paths] run."""

    def __init__(self, folder: Path, times: HolderTimes | None = None) -> None:
        self._folder = folder
        self._times = times or HolderTimes()

    def start(self, vm: str) -> FileLock:
        """Return the lock under which a VM is started."""
        return FileLock([self._path("vm", vm)], self._times)

    def stop(self, vm: str) -> FileLock:
        """Return the lock under which a VM is stopped; a start that is under way gives way to it."""
        return FileLock([self._path("stop", vm), self._path("vm", vm)], self._times)

    def peer(self, node: str) -> FileLock:
        """Return the lock under which the peer EC-VM is acted on."""
        return FileLock([self._path("peer", node)], self._times)

    def is_busy(self, vm: str) -> bool:
        """Tell whether a start or stop of the VM is under way, and within its limit; raises LocalError."""
        now = self._times.now()
        paths = [self._path(kind, vm) for kind in ("vm", "stop")]
        return any(_is_held(path) and not _is_overdue(path, now) for path in paths)

    def is_stopping(self, vm: str) -> bool:
        """Tell whether a stop of the VM is under way, or waits to be; raises LocalError."""
        return _is_held(self._path("stop", vm))

    def _path(self, kind: str, name: str) -> Path:
        return self._folder / f"{kind}-{slug(name)}.lock"


def _is_held(path: Path) -> bool:
    try:
        descriptor = open_file(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _broken(path, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _words(path: Path) -> list[str] | None:
    """Return what a holder has written, its number and its limit; None if that cannot be read."""
    try:
        with open(open_file(path, os.O_RDONLY), "rb") as file:
            return file.read(200).decode("ascii").split()
    except (OSError, UnicodeDecodeError):
        return None


def _is_overdue(path: Path, now: float) -> bool:
    """Tell whether a holder's limit is over; a holder of an earlier release has written none."""
    words = _words(path)
    if words is None or len(words) != 2:
        return False
    try:
        return now > float(words[1])
    except ValueError:
        return False


def _open(path: Path) -> int:
    try:
        make_folder(path.parent)
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
        # Whatever the umask is.
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise _broken(path, error) from None
    return descriptor


def _broken(path: Path, error: OSError) -> LocalError:
    return LocalError(
        f"the lock {path} cannot be opened",
        seen=error.strerror or str(error),
        remedy="see the permissions of [paths] run; run as root",
    )
