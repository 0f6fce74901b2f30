"""What a check comes to."""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TypeVar

from msgspec import Struct

from ecx_hyperv.exits import Exit, worst
from ecx_hyperv.plain import flat

_T = TypeVar("_T")


class Outcome(Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    CANNOT_TELL = "cannot tell"


class Where(Enum):
    """Where a remedy is run: in PowerShell on the host, as root on the EC-VM, or nowhere, since it is words."""

    HOST = "host"
    EC_VM = "ec-vm"
    PERSON = "person"


class Remedy(Struct, frozen=True, kw_only=True):
    """What mends it: a line to run, or words for a person; `on` names the machine.

    `said` holds the values in it that came from outside: a host's, the cluster's, another program's file. They are
    quoted, but whoever runs the line should see what they are. `by` is the other EC-VM where that one says all of it.
    """

    run: str
    where: Where = Where.PERSON
    on: str = ""
    said: tuple[str, ...] = ()
    by: str = ""

    def __str__(self) -> str:
        says = f"{self.by} says: " if self.by else ""
        place = f"on {self.on}: " if self.on else ""
        values = f"from outside: {', '.join(self.said)}" if self.said else ""
        if not values:
            return flat(f"{says}{place}{self.run}")
        # A comment to PowerShell and to a shell alike: the line may be pasted whole.
        return flat(f"{says}{place}{self.run}" + (f" ({values})" if self.where is Where.PERSON else f" # {values}"))


class Finding(Struct, frozen=True, kw_only=True):
    """What one check found in one place: a host, a VM, an EC-VM, a resource of ECX, or the cluster."""

    name: str
    place: str
    outcome: Outcome
    seen: str
    expected: str = ""
    remedy: Remedy | None = None
    means: str = ""


class Unavailable(Struct, frozen=True, kw_only=True):
    """A fact that could not be read, and why."""

    why: str
    remedy: Remedy | None = None


def words(text: str, said: Sequence[str] = ()) -> Remedy:
    """Return a remedy that a person must read; `said` are the values in it that came from outside."""
    return Remedy(run=text, said=tuple(said))


def on_host(host: str, line: str, said: Sequence[str] = ()) -> Remedy:
    """Return a line for PowerShell on a host; `said` are the values in it that came from outside."""
    return Remedy(run=line, where=Where.HOST, on=host, said=tuple(said))


def here(line: str, said: Sequence[str] = ()) -> Remedy:
    """Return a line for a root shell on this EC-VM; `said` are the values in it that came from outside."""
    return Remedy(run=line, where=Where.EC_VM, said=tuple(said))


def ok(name: str, place: str, seen: str) -> Finding:
    """All is as it should be."""
    return Finding(name=name, place=place, outcome=Outcome.OK, seen=seen)


def wrong(name: str, place: str, seen: str, expected: str, remedy: Remedy) -> Finding:
    """It is not as it must be."""
    return Finding(name=name, place=place, outcome=Outcome.WRONG, seen=seen, expected=expected, remedy=remedy)


def warning(name: str, place: str, seen: str, expected: str, remedy: Remedy) -> Finding:
    """It works, but a person should know."""
    return Finding(name=name, place=place, outcome=Outcome.WARNING, seen=seen, expected=expected, remedy=remedy)


def cannot_tell(name: str, place: str, unavailable: Unavailable) -> Finding:
    """Nobody knows."""
    return Finding(name=name, place=place, outcome=Outcome.CANNOT_TELL, seen=unavailable.why, remedy=unavailable.remedy)


def judged(name: str, place: str, fact: _T | Unavailable, judge: Callable[[_T], Finding]) -> Finding:
    """Judge a fact, if it was told."""
    return cannot_tell(name, place, fact) if isinstance(fact, Unavailable) else judge(fact)


def is_so(
    name: str, place: str, seen: str, *, so: bool, expected: str, remedy: Remedy, outcome: Outcome = Outcome.WRONG
) -> Finding:
    """It is as expected, or `outcome`."""
    if so:
        return ok(name, place, seen)
    return Finding(name=name, place=place, outcome=outcome, seen=seen, expected=expected, remedy=remedy)


# Which VM is meant is a matter of the configuration: a start of that VM ends with the same code.
_OF_CONFIGURATION = frozenset({"vm-identity"})


def exit_of(findings: Iterable[Finding]) -> Exit:
    """Return the exit code that speaks for all findings: what is wrong before what nobody knows; warnings are DONE."""
    found = list(findings)
    at_fault = [one.name for one in found if one.outcome is Outcome.WRONG]
    if at_fault:
        return Exit.CONFIG if _OF_CONFIGURATION.issuperset(at_fault) else Exit.NOT_AS_ASKED
    return worst(Exit.CANNOT_TELL if one.outcome is Outcome.CANNOT_TELL else Exit.DONE for one in found)
