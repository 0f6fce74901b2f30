"""Both hosts, side by side: a link each, that connects when first needed and again, after a growing pause, when lost.

A link has a thread of its own, so that a host that takes its time keeps nobody from the other. Who asks waits for the
connection only so long; then the question is taken back, before it was sent, and the link goes on connecting.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ecx_hyperv.deadline import Clock, Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError, SessionLost, Silent, Unreachable
from ecx_hyperv.host.session import Session
from ecx_hyperv.host.wire import Hello, Reply, Request
from ecx_hyperv.log import Log

# What a question is told that waited for a connection in vain, while the connection is still being made.
CONNECTING = "it is still being connected to"
# How long a question waits for a connection that is being made, and for one that has been for a while.
_PATIENCE_S = 20.0
_SHORT_PATIENCE_S = 0.5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
# A host that is silent is called again so often, and for so long its silence counts without another call.
_SILENT_PAUSE_S = 5.0
_SILENCE_S = 12.0
# A session gives an answer up to two seconds more than its request had.
_LATE_S = 4.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to one host, and how long it may take there."""

    request: Request
    seconds: float


Exchanged = tuple[Hello, Reply] | HostError


class Hosts(Protocol):
    """The only door to the two hosts."""

    def exchange(self, asks: Mapping[Side, Ask], deadline: Deadline) -> dict[Side, Exchanged]:
        """Ask one host or both at the same time, and return what came of it from each."""


OpenSession = Callable[[Side, Deadline, Callable[[], None]], Session]
"""Logs in to a host and starts its agent, having called back once the host shows that it lives."""


class _Stage(Enum):
    WAITING = "waiting for a connection"
    SENT = "sent"
    TAKEN_BACK = "taken back"
    OVER = "over"


@dataclass(slots=True)
class _Question:
    """A request on its way through a link's thread."""

    request: Request
    deadline: Deadline
    changed: threading.Condition = field(default_factory=threading.Condition)
    stage: _Stage = _Stage.WAITING
    answer: Exchanged | None = None

    def send(self) -> bool:
        """Mark it as sent; False if it was taken back before."""
        with self.changed:
            if self.stage is _Stage.WAITING:
                self.stage = _Stage.SENT
            self.changed.notify_all()
            return self.stage is _Stage.SENT

    def finish(self, answer: Exchanged) -> None:
        with self.changed:
            self.answer, self.stage = answer, _Stage.OVER
            self.changed.notify_all()

    def wait(self, patience: float) -> Exchanged | None:
        """Return the answer; None if it was taken back, or is later than any answer may be."""
        with self.changed:
            self.changed.wait_for(lambda: self.stage is not _Stage.WAITING, min(patience, self.deadline.remaining()))
            if self.stage is _Stage.WAITING:
                self.stage = _Stage.TAKEN_BACK
                return None
            self.changed.wait_for(lambda: self.stage is _Stage.OVER, self.deadline.remaining() + _LATE_S)
            return self.answer


class _Link:
    """The connection to one host, through all its lives."""

    def __init__(self, side: Side, host: str, open_session: OpenSession, clock: Clock, log: Log) -> None:
        self._side = side
        self.host = host
        self._open_session = open_session
        self._clock = clock
        self._log = log
        self._session: Session | None = None
        self._questions: queue.SimpleQueue[_Question] = queue.SimpleQueue()
        self._failure: HostError | None = None
        self._failed_at = 0.0
        self._pause = _FIRST_PAUSE_S
        self._not_before = 0.0
        self._is_slow = False
        threading.Thread(target=self._work, name=f"link-{host}", daemon=True).start()

    def ask(self, ask: Ask, deadline: Deadline) -> _Question:
        question = _Question(ask.request, deadline.within(ask.seconds))
        self._questions.put(question)
        return question

    def answer(self, question: _Question) -> Exchanged:
        known_bad = self._is_slow or self._failure is not None
        answer = question.wait(_SHORT_PATIENCE_S if known_bad else _PATIENCE_S)
        self._is_slow = answer is None
        if answer is None and question.stage is _Stage.TAKEN_BACK:
            return self._known_trouble()
        return answer or SessionLost(self.host, "no answer in time")

    def _known_trouble(self) -> HostError:
        """Return what the last call gave, while another is under way; old silence says nothing about now."""
        failure = self._failure
        is_old = self._clock.monotonic() - self._failed_at > _SILENCE_S
        if failure is None or (isinstance(failure, Silent) and is_old):
            return Unreachable(self.host, CONNECTING)
        return failure

    def _note_life(self) -> None:
        if isinstance(self._failure, Silent):
            self._failure = Unreachable(self.host, CONNECTING)

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _work(self) -> None:
        while True:
            question = self._questions.get()
            try:
                session = self._connected(question.deadline)
                if question.send():
                    question.finish(session.ask(question.request, question.deadline))
                    self._pause = _FIRST_PAUSE_S
            except HostError as error:
                self._lose(error)
                question.finish(error)
            except Exception as error:  # noqa: BLE001 - or the one who asks would wait for nothing
                # Whatever a library throws here must reach the one who asks, as trouble with this host.
                self._log.debug("unexpected", host=self.host, error=repr(error))
                lost = SessionLost(self.host, "the connection failed in an unexpected way", seen=repr(error))
                self._lose(lost)
                question.finish(lost)

    def _connected(self, deadline: Deadline) -> Session:
        if self._session is not None:
            return self._session
        if self._failure is not None and self._clock.monotonic() < self._not_before:
            raise self._failure
        started = self._clock.monotonic()
        self._session = self._open_session(self._side, deadline, self._note_life)
        self._failure = None
        self._log.debug("session open", host=self.host, seconds=round(self._clock.monotonic() - started, 2))
        return self._session

    def _lose(self, error: HostError) -> None:
        if error is self._failure:
            return
        self._log.debug("session lost", host=self.host, because=error.details)
        self.close()
        # What is asked until it is called again is never sent.
        lost = Unreachable(self.host, "its session was lost, and it is not called again yet", seen=error.what)
        self._failure = lost if error.may_have_been_done else error
        self._failed_at = self._clock.monotonic()
        self._not_before = self._failed_at + self._pause
        self._pause = min(self._pause * 2, _SILENT_PAUSE_S if isinstance(error, Silent) else _LONGEST_PAUSE_S)


class SshHosts:
    """The hosts over SSH."""

    def __init__(
        self,
        open_session: OpenSession,
        addresses: Mapping[Side, str],
        clock: Clock,
        log: Log,
    ) -> None:
        self._links: dict[Side, _Link] = {}
        self._open_session = open_session
        self._addresses = addresses
        self._clock = clock
        self._log = log

    def exchange(self, asks: Mapping[Side, Ask], deadline: Deadline) -> dict[Side, Exchanged]:
        """Ask one host or both at the same time, and return what came of it from each."""
        questions = {side: self._link(side).ask(ask, deadline) for side, ask in asks.items()}
        return {side: self._link(side).answer(question) for side, question in questions.items()}

    def close(self) -> None:
        """End every session at once."""
        for link in self._links.values():
            link.close()

    def _link(self, side: Side) -> _Link:
        if side not in self._links:
            self._links[side] = _Link(side, self._addresses[side], self._open_session, self._clock, self._log)
        return self._links[side]
