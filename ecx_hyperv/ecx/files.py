"""Small files that must be whole or not there: read, written and named so that any VM's name will do."""

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from ecx_hyperv import atomic
from ecx_hyperv.errors import LocalError

_T = TypeVar("_T", bound=Struct)


def slug(name: str) -> str:
    """Return a file name for a VM or node: any Unicode, any length, upper and lower case alike."""
    readable = "".join(character for character in name.casefold() if character.isascii() and character.isalnum())
    return f"{readable[:24]}-{hashlib.sha256(name.casefold().encode()).hexdigest()[:16]}"


def read(path: Path, kind: type[_T]) -> _T | None:
    """Read a JSON file; None if it is not there or no longer makes sense; raises LocalError if it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    except OSError as error:
        raise _broken(path, error) from None


def write(path: Path, content: Struct) -> None:
    """Write a JSON file, whole or not at all; raises LocalError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic.replace(path, msgspec.json.encode(content))
    except OSError as error:
        raise _broken(path, error) from None


def remove(path: Path) -> bool:
    """Remove a file, and say whether it was there; raises LocalError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _broken(path, error) from None
    return True


def _broken(path: Path, error: OSError) -> LocalError:
    return LocalError(
        f"{path} cannot be read or written",
        seen=error.strerror or str(error),
        remedy="see the permissions of [paths] state and run, and the space left; run as root",
    )
