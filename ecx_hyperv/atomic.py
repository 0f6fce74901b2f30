"""Files that are replaced whole or not at all, so that no reader and no power cut ever sees a part of one."""

import errno
import os
import tempfile
from pathlib import Path


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Have a file of an existing folder hold exactly this; raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    # Ctrl-C, too, must leave nothing behind; it goes on to whoever it is meant for.
    except BaseException:
        os.unlink(name)
        raise


def check_folder(path: Path) -> None:
    """Say beforehand, as far as that can be seen, why no file can be made in a folder; raises OSError."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    if not path.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder, and those above it that are missing, each of that mode whatever the umask is; raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent, mode)
    try:
        path.mkdir(mode)
    except FileExistsError:
        # Another run was quicker; else it is no folder.
        if not path.is_dir():
            raise
    else:
        path.chmod(mode)
