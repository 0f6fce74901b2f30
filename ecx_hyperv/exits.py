"""How a command can end, as ECX and a shell see it."""

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    NOT_AS_ASKED = 1
    USAGE = 2
    CONFIG = 3
    UNREACHABLE = 4
    LOGIN = 5
    OUT_OF_TIME = 6
    CANNOT_TELL = 7
    REFUSED = 8

    @property
    def means(self) -> str:
        """Return what the code tells, in words."""
        return _MEANS[self]


_MEANS = {
    Exit.DONE: "done, or healthy",
    Exit.NOT_AS_ASKED: "not as asked: the VM failed or does not run; check: something is wrong",
    Exit.USAGE: "usage",
    Exit.CONFIG: "configuration; check: only which VM is meant is wrong",
    Exit.UNREACHABLE: "a host cannot be reached",
    Exit.LOGIN: "login or host key refused",
    Exit.OUT_OF_TIME: "out of time",
    Exit.CANNOT_TELL: "cannot tell",
    Exit.REFUSED: "refused by the cluster or Hyper-V",
}


# A VM that is known to be wrong outweighs one that nobody can see, and both outweigh one that is named wrongly.
_WORST_FIRST = (
    Exit.USAGE,
    Exit.NOT_AS_ASKED,
    Exit.REFUSED,
    Exit.OUT_OF_TIME,
    Exit.CANNOT_TELL,
    Exit.LOGIN,
    Exit.UNREACHABLE,
    Exit.CONFIG,
    Exit.DONE,
)


def worst(exits: Iterable[Exit]) -> Exit:
    """Return the exit code that speaks for several VMs; DONE for none."""
    return min(exits, key=_WORST_FIRST.index, default=Exit.DONE)
