"""The looks at one host: what is asked in which session, within which limits, and what is made of the answers.

A look is several requests, sent ahead in one session: what hangs takes itself and what stands behind it in that look,
no more. A question that hung is asked last from then on, in a session of its own, until it has answered once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError, SessionLost
from ecx_hyperv.host.link import LOOKS, Answered, Ask, Hosts, Pending
from ecx_hyperv.host.observe import HostSnapshot, Part, SnapshotRequest, Stamp, snapshot_of
from ecx_hyperv.host.queries import Answers, Query
from ecx_hyperv.host.wire import Request, Result

# What a question may take at first, a module's loading included.
_FIRST_S = 15.0
# No limit is shorter than this, however short the interval.
_LEAST_S = 3.0


@dataclass(slots=True, eq=False)
class _Asked:
    """A part of a look that was asked."""

    part: Part
    session: str
    pending: Pending


class HostLook:
    """The looks at one host, one after the other."""

    def __init__(self, side: Side, hosts: Hosts, interval: float) -> None:
        self._side = side
        self._hosts = hosts
        self._interval = interval
        self._slowest: dict[str, float] = {}
        self._alone: set[str] = set()
        # What hangs in a session that is left to end by itself.
        self._hanging: dict[str, _Asked] = {}
        self._asked: list[_Asked] = []
        self._late: dict[str, Answered] = {}
        # When the guests were last asked about with success.
        self.guests_seen: float | None = None

    @property
    def session(self) -> str:
        """Return the session that the next look goes in: one in which nothing hangs."""
        taken = {one.session for one in self._hanging.values()}
        names = (LOOKS, *(f"{LOOKS} {number}" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    def send(self, wanted: SnapshotRequest, front: Sequence[Ask], deadline: Deadline, fresh: float) -> list[Pending]:
        """Send a look, behind what stands in front of it; a late answer counts if it was asked since `fresh`.

        Returns what stands in front, which the caller sees to.
        """
        self._take_late(fresh)
        parts = [part for part in wanted.parts() if part.key not in self._hanging and part.key not in self._late]
        session = self.session
        parts.sort(key=lambda part: part.key in self._alone)
        sessions = [f"alone {part.key}" if part.key in self._alone else session for part in parts]
        asks = [
            Ask(Request(calls=tuple(one.call for one in part.queries), stop_on_error=False), self._limit(part), name)
            for part, name in zip(parts, sessions, strict=True)
        ]
        pendings = self._hosts.send(self._side, [*front, *asks], deadline)
        self._asked = [
            _Asked(part, name, pending)
            for part, name, pending in zip(parts, sessions, pendings[len(front) :], strict=True)
        ]
        return list(pendings[: len(front)])

    @property
    def pendings(self) -> list[Pending]:
        """Return what the look that was sent last still waits for."""
        return [one.pending for one in self._asked]

    def see_guests(self) -> None:
        """Take note of guests that have been seen, while the rest is still waited for."""
        for one in self._asked:
            outcome = one.pending.outcome()
            if one.part.key.startswith("vm ") and isinstance(outcome, Answered):
                self.guests_seen = max(self.guests_seen or outcome.asked, outcome.asked)

    def take(self, wanted: SnapshotRequest) -> HostSnapshot | HostError:
        """Return what the look has shown until now, or the trouble that kept it from showing anything."""
        self.see_guests()
        answered = dict(self._late)
        self._late.clear()
        trouble: HostError | None = None
        stuck: set[str] = set()
        for one in self._asked:
            outcome = one.pending.outcome()
            if outcome is None:
                one.pending.take_back()
                outcome = one.pending.outcome()
            if isinstance(outcome, Answered):
                answered[one.part.key] = outcome
                self._alone.discard(one.part.key)
                self._slowest[one.part.key] = max(self._slowest.get(one.part.key, 0.0), outcome.reply.ms / 1000)
                continue
            is_first = one.session not in stuck
            stuck.add(one.session)
            if outcome is None and is_first:
                self._hanging[one.part.key] = one
                self._alone.add(one.part.key)
            elif isinstance(outcome, SessionLost) and is_first and answered:
                self._alone.add(one.part.key)
            trouble = trouble or outcome
        self._asked = []
        if not answered:
            return trouble or SessionLost(self._side.value, "no answer in time")
        return _snapshot(wanted, answered)

    def _take_late(self, fresh: float) -> None:
        for key, one in [*self._hanging.items()]:
            outcome = one.pending.outcome()
            if outcome is None:
                continue
            del self._hanging[key]
            if isinstance(outcome, Answered):
                self._alone.discard(key)
                self._slowest[key] = max(self._slowest.get(key, 0.0), outcome.reply.ms / 1000)
                if outcome.asked > fresh:
                    self._late[key] = outcome

    def _limit(self, part: Part) -> float:
        slowest = self._slowest.get(part.key)
        if slowest is None:
            return _FIRST_S
        return max(3 * self._interval, 2 * slowest, _LEAST_S)


def _snapshot(wanted: SnapshotRequest, answered: Mapping[str, Answered]) -> HostSnapshot:
    parts = [part for part in wanted.parts() if part.key in answered]
    queries: list[Query[Any]] = []
    results: list[Result] = []
    for part in parts:
        of_part = answered[part.key].reply.results[: len(part.queries)]
        queries += part.queries[: len(of_part)]
        results += of_part
    stamps = {part.key: Stamp(answered[part.key].asked, answered[part.key].answered) for part in parts}
    hello = next(iter(answered.values())).hello
    return snapshot_of(hello, Answers(queries, results), wanted, stamps)
