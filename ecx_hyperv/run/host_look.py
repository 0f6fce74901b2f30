"""The looks at one host: what is asked in which session, within which limits, and what is made of the answers.

A look is several requests, sent ahead in one session: ids and guests first, then the cluster, volumes and iSCSI. What
hangs takes itself and what stands behind it. Once a look had to go on without an answer, ids and guests have a session
of their own, which nothing else can hold up; a question that missed its limit is asked alone from then on, in a session
of its own, until it has answered once. What was not answered yet is not asked again: its answer counts when it comes,
unless something was done meanwhile. Only a guest that stands behind a question that hangs is asked about again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError, SessionLost
from ecx_hyperv.host.link import CONNECTING, LOOKS, Answered, Ask, Hosts, Pending
from ecx_hyperv.host.observe import IDS, HostSnapshot, Part, SnapshotRequest, Stamp, snapshot_of
from ecx_hyperv.host.queries import Answers, Query
from ecx_hyperv.host.wire import Request, Result

# What a question may take at first, a module's loading included.
_FIRST_S = 15.0
# No limit is shorter than this, however short the interval.
_LEAST_S = 3.0
_REST = "rest"
# For how long a host may be logged in to, and its PowerShell come up, before it counts as one that does not answer.
_FIRST_CONTACT_S = 30.0


@dataclass(slots=True, eq=False)
class _Asked:
    """A part of a look that was asked."""

    part: Part
    session: str
    pending: Pending


class HostLook:
    """The looks at one host, one after the other."""

    def __init__(self, side: Side, host: str, hosts: Hosts, interval: float) -> None:
        self._side = side
        self._host = host
        self._hosts = hosts
        self._interval = interval
        self._slowest: dict[str, float] = {}
        self._alone: set[str] = set()
        # What was asked and has not answered, in the order in which it was asked.
        self._asked: list[_Asked] = []
        self._is_split = False
        # The sessions that have answered: another may still be loading its modules.
        self._warm: set[str] = set()
        self._blocked: set[str] = set()
        # Whether it has answered anything, or failed; when it was first asked.
        self._is_heard = False
        self._first_asked: float | None = None
        # When the guests were last asked about with success, and how long that took in a fresh session.
        self.guests_seen: float | None = None
        self.opening = 0.0

    @property
    def session(self) -> str:
        """Return the session that the next look begins in: one that nothing holds up."""
        names = (LOOKS, *(f"{LOOKS} {number}" for number in range(2, len(self._blocked) + 3)))
        return next(name for name in names if name not in self._blocked)

    def send(self, wanted: SnapshotRequest, front: Sequence[Ask], deadline: Deadline) -> list[Pending]:
        """Send a look, behind what stands in front of it, and return what that is: the caller sees to it."""
        under_way = {one.part.key for one in self._asked}
        parts = [part for part in wanted.parts() if part.key not in under_way]
        parts.sort(key=lambda part: part.key in self._alone)
        sessions = [self._session_of(part) for part in parts]
        asks = [
            Ask(Request(calls=tuple(one.call for one in part.queries), stop_on_error=False), self._limit(part), session)
            for part, session in zip(parts, sessions, strict=True)
        ]
        pendings = self._hosts.send(self._side, [*front, *asks], deadline) if front or asks else []
        self._asked += [
            _Asked(part, session, pending)
            for part, session, pending in zip(parts, sessions, pendings[len(front) :], strict=True)
        ]
        if self._first_asked is None and self._asked:
            self._first_asked = self._asked[0].pending.asked
        return list(pendings[: len(front)])

    def is_new(self, now: float) -> bool:
        """Tell whether it is still being asked for the first time: what it does not show yet means nothing."""
        return not self._is_heard and now - (self._first_asked or now) < _FIRST_CONTACT_S

    @property
    def pendings(self) -> list[Pending]:
        """Return what has not been taken yet."""
        return [one.pending for one in self._asked]

    def see_guests(self) -> None:
        """Take note of guests that have been seen, while the rest is still waited for."""
        for one in self._asked:
            outcome = one.pending.outcome()
            if isinstance(outcome, Answered) and _is_guest(one.part):
                self.guests_seen = max(self.guests_seen or outcome.asked, outcome.asked)
                if one.session not in self._warm:
                    self.opening = max(self.opening, outcome.answered - one.pending.asked)
                    self._warm.add(one.session)

    def take(self, wanted: SnapshotRequest, fresh: float) -> HostSnapshot | HostError:
        """Return what the host has shown, or the trouble that kept it from showing anything.

        An answer to what was asked before `fresh`, when something was done, says nothing about now.
        """
        self.see_guests()
        answered: dict[str, Answered] = {}
        trouble: HostError | None = None
        open_ones: list[_Asked] = []
        failed: set[str] = set()
        for one in self._asked:
            if one.pending.outcome() is None:
                one.pending.take_back()
            outcome = one.pending.outcome()
            if outcome is None:
                open_ones.append(one)
            elif isinstance(outcome, HostError):
                trouble = trouble or outcome
                self._fail(one, outcome, is_first=one.session not in failed)
                failed.add(one.session)
            else:
                self._note(one, outcome)
                if outcome.asked >= fresh:
                    answered[one.part.key] = outcome
        self._asked = self._kept(open_ones)
        # A session that was lost says nothing about the host: the next one shows what it is like.
        is_over = trouble is not None and not isinstance(trouble, SessionLost) and CONNECTING not in trouble.what
        self._is_heard = self._is_heard or bool(answered) or is_over
        if answered:
            return _snapshot(wanted, answered)
        return trouble or SessionLost(self._host, "it has not answered in time")

    def _note(self, one: _Asked, outcome: Answered) -> None:
        self._alone.discard(one.part.key)
        self._warm.add(one.session)
        self._slowest[one.part.key] = max(self._slowest.get(one.part.key, 0.0), outcome.reply.ms / 1000)

    def _fail(self, one: _Asked, error: HostError, *, is_first: bool) -> None:
        """Take note of a session that is lost: what it was asked first may be what hangs."""
        self._warm.discard(one.session)
        self._blocked.discard(one.session)
        if is_first and isinstance(error, SessionLost):
            self._alone.add(one.part.key)

    def _kept(self, open_ones: Sequence[_Asked]) -> list[_Asked]:
        """Return what is still waited for; a guest behind a question that hangs is asked about again instead."""
        if open_ones:
            self._is_split = True
        kept: list[_Asked] = []
        first: dict[str, _Asked] = {}
        for one in open_ones:
            head = first.setdefault(one.session, one)
            is_held_up = head is not one and one.session in self._warm
            if one.session in self._warm and one.session.startswith(LOOKS):
                self._blocked.add(one.session)
            if not (is_held_up and (_is_guest(one.part) or one.part.key == IDS)):
                kept.append(one)
        self._blocked &= set(first)
        return kept

    def _session_of(self, part: Part) -> str:
        if part.key in self._alone:
            return f"alone {part.key}"
        is_urgent = _is_guest(part) or part.key == IDS
        return self.session if is_urgent or not self._is_split else _REST

    def _limit(self, part: Part) -> float:
        slowest = self._slowest.get(part.key)
        if slowest is None:
            return _FIRST_S
        return max(3 * self._interval, 2 * slowest, _LEAST_S)


def _is_guest(part: Part) -> bool:
    return part.key.startswith(("vm ", "named "))


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
