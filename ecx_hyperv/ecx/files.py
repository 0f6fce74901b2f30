"""Small files that must be whole or not there: read, written and named so that any VM's name will do.

A folder that hangs, on a disk that answers no more, is waited for once and for a moment: what is remembered in it is no
reason to keep a guest from being stopped (rule 3.9).
"""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from ecx_hyperv import atomic
from ecx_hyperv.errors import LocalError

_T = TypeVar("_T", bound=Struct)
_R = TypeVar("_R")

# Nothing that the program keeps is larger.
_LARGEST = 1 << 20
# What a file may take to be read or written.
_LONGEST_S = 5.0
# The folders that have hung in this run.
_hung: set[Path] = set()


def slug(name: str) -> str:
    """Return a file name for a VM or node: any Unicode, any length, upper and lower case alike."""
    readable = "".join(character for character in name.casefold() if character.isascii() and character.isalnum())
    return f"{readable[:24]}-{hashlib.sha256(name.casefold().encode()).hexdigest()[:16]}"


def read(path: Path, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    """Read a JSON file; None if it is not there or no longer makes sense; raises LocalError if it cannot be read."""
    try:
        return decoder.decode(_in_time(path, lambda: _read(path)))
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    except OSError as error:
        raise _broken(path, error) from None


def write(path: Path, content: Struct) -> None:
    """Write a JSON file, whole or not at all; raises LocalError."""
    try:
        _in_time(path, lambda: _write(path, msgspec.json.encode(content)))
    except OSError as error:
        raise _broken(path, error) from None


def check(path: Path) -> None:
    """Say beforehand why a file cannot be written, as far as that can be seen; raises LocalError."""
    try:
        _in_time(path, lambda: atomic.check_folder(path.parent))
    except OSError as error:
        raise _broken(path, error) from None


def remove(path: Path) -> bool:
    """Remove a file, and say whether it was there; raises LocalError."""
    try:
        _in_time(path, path.unlink)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _broken(path, error) from None
    return True


def open_file(path: Path, flags: int) -> int:
    """Open a file, never a link or a pipe that waits for its other end, and return the descriptor; raises OSError."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(None, "no regular file")


def _read(path: Path) -> bytes:
    with open(open_file(path, os.O_RDONLY), "rb") as file:
        return file.read(_LARGEST)


def _write(path: Path, content: bytes) -> None:
    atomic.make_folder(path.parent)
    atomic.replace(path, content)


def _in_time(path: Path, do: Callable[[], _R]) -> _R:
    """Do something with a file in a thread of its own, which is left behind where it hangs; raises OSError."""
    # The folder that holds the folders of each kind.
    folder = path.parents[min(1, len(path.parents) - 1)]
    if folder in _hung:
        raise OSError(None, f"{folder} does not answer")
    results: list[_R] = []
    errors: list[OSError] = []

    def attempt() -> None:
        try:
            results.append(do())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True, name="file")
    with suppress(RuntimeError):
        thread.start()
        thread.join(_LONGEST_S)
    if errors:
        raise errors[0]
    if not results:
        _hung.add(folder)
        raise OSError(None, f"no answer within {_LONGEST_S:g} s")
    return results[0]


def _broken(path: Path, error: OSError) -> LocalError:
    is_denied = isinstance(error, PermissionError)
    return LocalError(
        f"{path} cannot be read or written",
        seen=error.strerror or str(error),
        remedy="run this as root (sudo)"
        if is_denied
        else "see the permissions of [paths] state and run, and the space left on their disk",
    )
