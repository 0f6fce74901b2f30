"""Where an EC-VM keeps what must be remembered: [paths] state, and [paths] run while the state folder does not take it.

A monitor that cannot remember how long a VM has been critical would call it healthy for ever (D18). What is in the run
folder lasts until the next boot, and is the newer one: it goes once the state folder takes it again.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.json import Decoder

from ecx_hyperv.ecx import files
from ecx_hyperv.errors import LocalError

_T = TypeVar("_T", bound=Struct)


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The two folders; `tell` is handed a sentence when the run folder takes over."""

    state: Path
    run: Path
    tell: Callable[[str], None] = lambda _text: None

    def read(self, name: str, decoder: Decoder[_T]) -> list[_T]:
        """Return what is kept under a name, the newer first; raises LocalError if neither folder can be read."""
        found: list[_T] = []
        troubles: list[LocalError] = []
        for path in (self._fallback(name), self.state / name):
            try:
                one = files.read(path, decoder)
            except LocalError as error:
                troubles.append(error)
            else:
                found += [] if one is None else [one]
        if len(troubles) > 1:
            raise troubles[-1]
        return found

    def write(self, name: str, content: Struct) -> None:
        """Keep something under a name; raises LocalError if neither folder takes it."""
        fallback = self._fallback(name)
        try:
            files.write(self.state / name, content)
        except LocalError as error:
            self._write_fallback(fallback, content, error)
            self.tell(
                f"{self.state} cannot be written ({error.seen}): what must be remembered is kept in {self.run},"
                " until the next boot"
            )
            return
        with suppress(LocalError):
            files.remove(fallback)

    def _write_fallback(self, fallback: Path, content: Struct, first: LocalError) -> None:
        try:
            files.write(fallback, content)
        except LocalError as error:
            raise LocalError(
                f"neither {self.state} nor {self.run} can be written",
                seen=f"{first.seen}; {error.seen}",
                remedy=error.remedy,
            ) from None

    def _fallback(self, name: str) -> Path:
        return self.run / "state" / name
