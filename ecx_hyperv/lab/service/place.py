"""Where a lab keeps its files: in a folder that nobody else may write to, since keys and programs are run from it.

A folder of a name that others can guess, in a place where all may write, belongs to whoever makes it first (U11).
"""

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ecx_hyperv.errors import LocalError

_NAME = "ecx-hyperv-lab"


def make_private(path: Path) -> None:
    """Make a folder that is this user's alone, or see that it is; raises LocalError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(0o700)
        path.chmod(0o700)
    except FileExistsError:
        check_private(path)
    except OSError as error:
        raise LocalError(f"{path} cannot be made", seen=error.strerror or str(error), remedy=_OTHER) from None


def check_private(path: Path) -> None:
    """See that a folder is this user's alone; raises LocalError."""
    wrong = _why_not_private(path)
    if wrong:
        raise LocalError(f"{path} is no folder for a lab", seen=wrong, remedy=_OTHER)


def to_start(environ: Mapping[str, str]) -> Path:
    """Return the folder of a lab that is to be started, where nobody named one."""
    found = _own_folders(environ)
    if found:
        return found[0]
    runtime = _runtime(environ)
    return Path(tempfile.mkdtemp(prefix=f"{_NAME}-")) if runtime is None else runtime / _NAME


def started(environ: Mapping[str, str]) -> Path:
    """Return the folder of the lab that was started, where nobody named one; raises LocalError."""
    found = _own_folders(environ)
    if not found:
        raise LocalError("no lab was started by this user", remedy="start one: ecx-hyperv lab start")
    return found[0]


def _own_folders(environ: Mapping[str, str]) -> list[Path]:
    """Return this user's folders of labs, the last one that was used first."""
    runtime = _runtime(environ)
    places = [*Path(tempfile.gettempdir()).glob(f"{_NAME}-*"), *([] if runtime is None else [runtime / _NAME])]
    found = [place for place in places if not _why_not_private(place)]
    return sorted(found, key=lambda place: place.lstat().st_mtime, reverse=True)


def _runtime(environ: Mapping[str, str]) -> Path | None:
    """Return the folder that this user's session has for such things; another's, as sudo may leave it, counts not."""
    given = Path(environ.get("XDG_RUNTIME_DIR") or ".")
    return given if given.is_absolute() and not _why_not_private(given) else None


def _why_not_private(path: Path) -> str:
    """Return why a folder is not this user's alone, empty if it is; a link is never followed."""
    try:
        found = path.lstat()
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}"
    if found.st_mode & 0o077:
        return f"it is open to others (mode {stat.S_IMODE(found.st_mode):o})"
    return ""


_OTHER = "name another --folder, which is made, or one of your own with mode 700"
