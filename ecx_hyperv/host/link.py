"""The door to both hosts: what is asked of them, what came of it, and how it is waited for. No I/O here.

A host is asked in sessions: requests of one session are carried out in turn, those of different sessions side by side.
What hangs takes itself and what stands behind it in its session, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError
from ecx_hyperv.host.wire import Hello, Reply, Request

# What a question is told that waited for a connection in vain, while the connection is still being made.
CONNECTING = "it is still being connected to"
# The sessions of a host: of what only looks, and of the acts that return only once they are done.
LOOKS = "looks"
ACTS = "acts"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to one host.

    `seconds` is how long it may take there, once its turn has come; `session` is which of the host's sessions it goes
    in; `until` is the monotonic moment when the run stops waiting, given for what changes something.
    """

    request: Request
    seconds: float
    session: str = LOOKS
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, the words that its agent began with, and when it was asked and answered; monotonic seconds."""

    hello: Hello
    reply: Reply
    asked: float
    answered: float


Exchanged = Answered | HostError


class Pending(Protocol):
    """A request on its way; `asked` is when it was handed over."""

    asked: float

    def outcome(self) -> Exchanged | None:
        """Return what came of it; None while it is under way."""

    def take_back(self) -> None:
        """Have it never sent, if it was not yet; its outcome then is the trouble with the host."""


class Hosts(Protocol):
    """The only door to the two hosts."""

    def send(self, side: Side, asks: Sequence[Ask], deadline: Deadline) -> Sequence[Pending]:
        """Hand requests over, in order, each in its session, without waiting for anything."""

    def wait(self, pendings: Sequence[Pending], until: Deadline) -> None:
        """Wait until all are over, or that deadline has passed."""

    def was_frozen(self, side: Side) -> bool:
        """Tell whether that host's time advanced by far more than this run's own can explain."""

    def exchange(self, asks: Mapping[Side, Sequence[Ask]], deadline: Deadline) -> dict[Side, list[Exchanged]]:
        """Ask one host or both side by side, wait, and return what came of each request."""
