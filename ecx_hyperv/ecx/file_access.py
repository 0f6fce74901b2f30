"""Who else may change a file: another user could say which VM is stopped, and which host is trusted."""

import os
import stat
from pathlib import Path

_MINE = (0, os.geteuid())


def other_writers(path: Path) -> list[str]:
    """Return how others than root and this user may change or replace a file, a sentence each; none if nobody may."""
    try:
        real = path.resolve(strict=True)
        found = [(real, real.stat()), (real.parent, real.parent.stat())]
    except (OSError, RuntimeError):
        # What is not there, or not to be seen, others tell.
        return []
    told = []
    for place, status in found:
        told += [] if status.st_uid in _MINE else [f"{place} belongs to user {status.st_uid}"]
        # In a sticky folder a file is safe from all but its owner.
        is_shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
        told += [f"{place} can be written by others (mode {stat.S_IMODE(status.st_mode):o})"] if is_shared else []
    return told
