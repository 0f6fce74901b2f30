"""A share of the cases of a proof that is too large for every change: the same cases each time.

Another share where one is asked for by its number, as each night does; all of them where that is asked for.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
# Set it to have every case run, which takes hours.
ALL = "ECX_HYPERV_WHOLE_PROOF"
# The number of a share; any whole number will do.
OTHER = "ECX_HYPERV_SHARE"


def number() -> int:
    """Return the number of the share that is asked for."""
    return int(os.environ.get(OTHER, "0"))


@dataclass(frozen=True, slots=True)
class Share:
    """One case in so many; where it begins depends on a name, so that the shares of two names differ."""

    one_in: int

    def of(self, cases: Iterable[T], name: str) -> Iterator[T]:
        """Return the share of some cases."""
        if ALL in os.environ:
            return iter(cases)
        begin = zlib.crc32(name.encode()) + number()
        return islice(cases, begin % self.one_in, None, self.one_in)
