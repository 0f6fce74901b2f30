"""Everything that can go wrong, as one tree.

    EcxHypervError
    +-- UsageError            the command line, or what ECX handed over, makes no sense
    +-- ConfigError           the configuration: carries every mistake with its file and key
    +-- HostError             trouble in reaching or understanding a host: never evidence about a VM
    |   +-- Unreachable       no connection: off, filtered, sshd stopped or hanging
    |   |   +-- Silent        nothing at all came back: the only sign of a host that has no power
    |   +-- LoginRefused      the key is not accepted, or cannot be read
    |   +-- HostKeyRefused    the host's key is not the pinned one, or none is pinned
    |   +-- NoCommonAlgorithm the host's sshd takes no cipher, MAC, key exchange or host key that we take
    |   +-- NoAgent           connected, but PowerShell or the agent does not come up
    |   +-- SessionLost       broken, late or senseless in the middle: what was asked may have been done
    +-- LocalError            a file or command of this EC-VM does not work
        +-- CommandMissing    a command is not on this EC-VM

Each carries what is wrong, what was seen and what a person should do next; `exit` is how a command ends that it ends.
`what` never names the host: `summary` and str() do, for a line that does not name it itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ecx_hyperv.exits import Exit
from ecx_hyperv.plain import flat


class EcxHypervError(Exception):
    """The root of the tree; never raised itself."""

    exit: ClassVar[Exit] = Exit.CANNOT_TELL

    def __init__(self, what: str, *, seen: str = "", remedy: str = "") -> None:
        # Here once for all: what is seen is often what somebody outside said, a server's own text among others.
        self.what, self.seen, self.remedy = flat(what), flat(seen), flat(remedy)
        super().__init__(self.what)

    @property
    def summary(self) -> str:
        """Return what is wrong, with the host that it is about."""
        return self.what

    @property
    def details(self) -> str:
        """Return the whole sentence without the host, for a line that names the host itself."""
        return sentence(self.what, self.seen, self.remedy)

    def __str__(self) -> str:
        return sentence(self.summary, self.seen, self.remedy)


class UsageError(EcxHypervError):
    """The command line, or what ECX handed over, makes no sense."""

    exit = Exit.USAGE


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a configuration file; `key` is empty where the file as a whole is meant.

    `line` is 0 where no line can be named; `nearest` is the key that may have been meant, empty where none is near.
    """

    file: str
    key: str
    expected: str
    seen: str = ""
    line: int = 0
    nearest: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        seen = f", not {self.seen}" if self.seen else ""
        nearest = f"; the nearest key is {self.nearest}" if self.nearest else ""
        key = f": {self.key}" if self.key else ""
        return " ".join(flat(f"{place}{key}: expected {self.expected}{seen}{nearest}").split())


class ConfigError(EcxHypervError):
    """The configuration cannot be used; carries every mistake that was found."""

    exit = Exit.CONFIG

    def __init__(self, mistakes: Sequence[Mistake], *, remedy: str = "") -> None:
        first, more = mistakes[0], len(mistakes) - 1
        text = str(first) + (f" (and {more} more: ecx-hyperv config check)" if more else "")
        super().__init__(text, remedy=remedy or f"correct {first.file}, then: ecx-hyperv config check")
        self.mistakes = tuple(mistakes)


class LocalError(EcxHypervError):
    """A file or command of this EC-VM does not work."""

    exit = Exit.CANNOT_TELL


class CommandMissing(LocalError):
    """A command is not on this EC-VM."""


class HostError(EcxHypervError):
    """Trouble in reaching or understanding a host; never evidence about a VM."""

    exit = Exit.UNREACHABLE
    # What the host does that it was not asked, for a line that says no more: only one that is silent does not answer.
    in_short: ClassVar[str] = "cannot be asked"
    # Whether what was asked last may have been carried out all the same.
    may_have_been_done: ClassVar[bool] = False

    def __init__(self, host: str, what: str, *, seen: str = "", remedy: str = "", tried: bool = True) -> None:
        super().__init__(what, seen=seen, remedy=remedy)
        self.host = host
        # False where something here was missing, so that the host was not even called.
        self.tried = tried

    @property
    def summary(self) -> str:
        """Return what is wrong, with the host that it is about."""
        return f"{self.host}: {self.what}"


class Unreachable(HostError):
    """No connection to a host."""

    in_short = "cannot be connected to"


class Silent(Unreachable):
    """Nothing at all came back from a host, not even a refusal."""

    in_short = "does not answer"


class LoginRefused(HostError):
    """A host does not accept this EC-VM's key, or the key cannot be read."""

    in_short = "does not let this EC-VM log in"
    exit = Exit.LOGIN


class HostKeyRefused(HostError):
    """A host's key is not the pinned one, or none is pinned."""

    in_short = "has a host key that is not pinned"
    exit = Exit.LOGIN


class NoCommonAlgorithm(HostError):
    """A host's sshd and this program have no SSH algorithm in common; `seen` names what either side takes."""

    in_short = "has no SSH algorithm in common with this EC-VM"
    exit = Exit.LOGIN


class NoAgent(HostError):
    """A host was reached, but PowerShell or the agent on it does not come up."""

    in_short = "starts no agent"


class SessionLost(HostError):
    """A session broke, was late or made no sense; what was asked last may have been carried out."""

    in_short = "broke off"
    may_have_been_done = True


def sentence(what: str, seen: str, remedy: str) -> str:
    """Build the one line that a person reads: what is wrong, what was seen, what to do."""
    parts = (what, f"seen: {seen}" if seen else "", f"do: {remedy}" if remedy else "")
    return "; ".join(" ".join(part.split()) for part in parts if part)
