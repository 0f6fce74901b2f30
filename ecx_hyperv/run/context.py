"""All that a run is handed, and how it tells people what it does."""

from dataclasses import dataclass, field
from typing import Protocol, Self

from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Clock
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.steps import Act, Done, Fail, Look, Step, Wait
from ecx_hyperv.ecx.alerts import Alert, Level
from ecx_hyperv.ecx.commands import Runner
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.kept_ids import KeptIds
from ecx_hyperv.ecx.locks import Locks
from ecx_hyperv.ecx.maintenance import Flags, Kind
from ecx_hyperv.errors import LocalError
from ecx_hyperv.host.link import Hosts
from ecx_hyperv.log import Log


class Progress(Protocol):
    """Shows a person at a terminal what is going on, for the length of a with block."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""

    def show(self, vm: str, text: str) -> None:
        """Show what is being done for a VM, in place of what was shown before."""


class NoProgress:
    """Nobody is watching."""

    def __enter__(self) -> Self:
        """Begin nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """End nothing."""

    def show(self, vm: str, text: str) -> None:
        """Show nothing."""


@dataclass(slots=True)
class HomesSeen:
    """What the looks of a run have shown of whether the hosts are those that the configuration names.

    `own` is whether each host showed the EC-VM that is to run on it, `told` what a person should know, once each.
    """

    own: dict[Side, bool] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def are_proven(self) -> bool:
        """Tell whether the local host is the one that the file names; the peer host may not answer."""
        return self.own.get(Side.LOCAL, False) and self.own.get(Side.PEER, True) and not self.told


@dataclass(frozen=True, slots=True)
class RunContext:
    """All that a run is handed; `dry` observes and decides, but changes nothing. `homes` is what it learns of hosts."""

    config: Config
    pair: Pair
    hosts: Hosts
    clock: Clock
    log: Log
    alert: Alert
    locks: Locks
    maintenance: Flags
    kept_ids: KeptIds
    run: Runner
    progress: Progress = field(default_factory=NoProgress)
    dry: bool = False
    homes: HomesSeen = field(default_factory=HomesSeen)
    # What was told already in this run, of what every look would tell again.
    told: set[str] = field(default_factory=set)

    def in_maintenance(self, kind: Kind, name: str) -> bool:
        """Tell whether a VM or the peer is in maintenance; flags that cannot be read hold nobody back, and are told."""
        try:
            return self.maintenance.find(kind, name, self.clock.wall()) is not None
        except LocalError as error:
            if error.what not in self.told:
                self.told.add(error.what)
                self.log.warning("maintenance flags cannot be read", because=str(error))
            return False


class StepReporter:
    """Logs each step that differs from the one before, and alerts a person where one should know."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._reported: dict[str, str] = {}

    def report(self, name: str, step: Step) -> None:
        """Report a step, once."""
        text = in_words(step)
        self._context.progress.show(name, text)
        if self._reported.get(name) == text:
            return
        self._reported[name] = text
        match step:
            case Act(do=do):
                self._context.log.info(text, vm=name)
                if do.value.notable:
                    self._context.alert(Level.WARN, f"{name}: {text}")
            case Done(alarm=True) | Wait(alarm=True):
                self._context.log.error(text, vm=name)
                self._context.alert(Level.ERR, text)
            case Done(warn=True):
                self._context.log.warning(text, vm=name)
                self._context.alert(Level.WARN, text)
            case Fail():
                self._context.log.error(step.what, vm=name, seen=step.seen, do=step.remedy, exit=int(step.exit))
                self._context.alert(Level.ERR, f"{step.what}; do: {step.remedy}")
            case _:
                self._context.log.info(text, vm=name)


def in_words(step: Step) -> str:
    """Put a step in words, as a log and a dry run show it."""
    match step:
        case Act(why=why):
            return f"{step.words}: {why}"
        case Wait(why):
            return f"waiting: {why}"
        case Look(why):
            return f"looking at both hosts: {why}"
        case Done(how):
            return how
        case Fail(what=what):
            return what
