"""One session of a host, through all its lives: a thread that sends what is asked, and starts anew what was lost.

Only requests are sent ahead that change nothing, behind at most one that does: what was sent may be carried out even
if its turn comes when nobody waits any more, so an act stays here until all before it in its session is over.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from msgspec.structs import replace

from ecx_hyperv.deadline import Clock, Deadline
from ecx_hyperv.errors import HostError, NoAgent, SessionLost, Unreachable
from ecx_hyperv.host.clock import HostClock
from ecx_hyperv.host.link import Answered, Ask, Exchanged
from ecx_hyperv.host.session import Session
from ecx_hyperv.host.wire import EDITION, Request
from ecx_hyperv.log import Log

# How long a question waits for a connection that is being made, and for one that has been for a while.
_PATIENCE_S = 20.0
_SHORT_PATIENCE_S = 0.5
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
# A session gives an answer up to two seconds more than its request had.
_LATE_S = 4.0
# The agent leaves after two minutes in which nobody asked.
_IDLE_S = 90.0
_PING_S = 15.0


class _Stage(Enum):
    WAITING = "waiting for its turn"
    SENT = "sent"
    OVER = "over"


class Question:
    """A request on its way through a session's thread; it is taken back if the session is not open in time."""

    def __init__(self, ask: Ask, deadline: Deadline, worker: "SessionWorker", changed: threading.Condition) -> None:
        self.ask = ask
        self.deadline = deadline
        self.asked = deadline.clock.monotonic()
        self._worker = worker
        self._changed = changed
        self._stage = _Stage.WAITING
        self._outcome: Exchanged | None = None
        self._handed_over = time.monotonic()
        self._patience = _SHORT_PATIENCE_S if worker.is_known_bad else _PATIENCE_S
        self._last_moment = float("inf")

    def outcome(self) -> Exchanged | None:
        """Return what came of it; None while it is under way."""
        return self._outcome

    def take_back(self) -> None:
        """Have it never sent, if it was not yet."""
        with self._changed:
            if self._stage is _Stage.WAITING:
                self._finish(self._worker.why_not_sent())

    def begin(self) -> bool:
        """Mark it as sent; False if it was taken back before."""
        with self._changed:
            if self._stage is not _Stage.WAITING:
                return False
            self._stage = _Stage.SENT
            self.due_within(self.deadline.remaining() + _LATE_S)
            return True

    def due_within(self, seconds: float) -> None:
        """Say how long its answer is waited for at most, whatever hangs."""
        with self._changed:
            self._last_moment = time.monotonic() + seconds
            self._changed.notify_all()

    def finish(self, outcome: Exchanged) -> None:
        """Take its outcome, unless it has one."""
        with self._changed:
            if self._stage is not _Stage.OVER:
                self._finish(outcome)

    def left(self) -> float:
        """Return how many seconds it may still be waited for."""
        if self._stage is _Stage.SENT:
            return self._last_moment - time.monotonic()
        since = self._worker.connecting_since
        if since is None:
            return self.deadline.remaining()
        patience = max(self._handed_over, since) + self._patience - time.monotonic()
        return min(patience, self.deadline.remaining())

    def give_up(self) -> None:
        """Wait no longer for it: nobody knows what became of it, if it was sent."""
        self.take_back()
        self.finish(SessionLost(self._worker.host, "no answer in time"))

    def _finish(self, outcome: Exchanged) -> None:
        self._outcome, self._stage = outcome, _Stage.OVER
        self._changed.notify_all()


class HostConnection(Protocol):
    """A login to a host, in which sessions are opened."""

    @property
    def is_active(self) -> bool:
        """Tell whether it is not known to be broken."""

    def open_session(self, deadline: Deadline, clock: HostClock) -> Session:
        """Start an agent; raises NoAgent."""

    def close(self) -> None:
        """End the login, and every session in it, at once."""


@dataclass(slots=True)
class Login:
    """A login that several sessions share: how many there are, and when the host was last heard in one of them."""

    connection: HostConnection
    sessions: int = 0
    heard_at: float = float("-inf")


@dataclass(slots=True)
class OpenedSession:
    """A session in a login, and when it was last used."""

    session: Session
    login: Login
    used_at: float


class Gate(Protocol):
    """What a session's thread needs of the logins to its host."""

    failure: HostError | None
    is_closed: bool

    def open_session(self, deadline: Deadline) -> OpenedSession:
        """Log in, unless that is done, and start an agent; raises HostError."""

    def close_session(self, opened: OpenedSession, *, alive: bool) -> None:
        """End a session; unless the login is known to be alive, no other session is opened in it."""

    def note_answer(self) -> None:
        """Take note that all is well."""

    def known_trouble(self) -> HostError:
        """Return the trouble with a host that is being connected to."""


class SessionWorker:
    """One named session of a host."""

    def __init__(self, host: str, name: str, gate: Gate, host_clock: HostClock, clock: Clock, log: Log) -> None:
        self.host = host
        self._name = name
        self._gate = gate
        self._host_clock = host_clock
        self._clock = clock
        self._log = log
        self._opened: OpenedSession | None = None
        self._batches: queue.SimpleQueue[Sequence[Question]] = queue.SimpleQueue()
        self._failure: HostError | None = None
        self._pause = FIRST_PAUSE_S
        self._not_before = 0.0
        self._sent_at = 0.0
        self._is_slow = False
        self._is_told = False
        # Since when it has had no session, by the machine's own clock; None while it has one.
        self.connecting_since: float | None = time.monotonic()
        threading.Thread(target=self._work, name=f"{name}-{host}", daemon=True).start()

    @property
    def is_known_bad(self) -> bool:
        """Tell whether a question need not be kept waiting for long."""
        return self._is_slow or self._failure is not None or self._gate.failure is not None

    def ask(self, questions: Sequence[Question]) -> None:
        """Take questions, to be sent in this order."""
        self._batches.put(questions)

    def why_not_sent(self) -> HostError:
        """Return why a question that is taken back was not sent."""
        if self.connecting_since is None:
            return Unreachable(self.host, "it was not asked: what was asked before is not answered yet")
        self._is_slow = True
        return self._failure if self._failure is not None else self._gate.known_trouble()

    def close(self) -> None:
        """End the session at once."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self._gate.close_session(opened, alive=True)

    def _work(self) -> None:
        while True:
            waiting = deque(self._batches.get())
            while waiting:
                group = [waiting.popleft()]
                while waiting and waiting[0].ask.until is None:
                    group.append(waiting.popleft())
                self._carry_out(group)

    def _carry_out(self, group: Sequence[Question]) -> None:
        """Send what nobody has taken back, and give each its outcome."""
        try:
            opened = self._connected(group[0].deadline)
        except HostError as error:
            _finish(group, error)
            return
        except Exception as error:  # noqa: BLE001 - or the one who asks would wait for nothing
            self._fail(NoAgent(self.host, "the connection failed in an unexpected way", seen=self._seen(error)))
            _finish(group, self._failure or self._gate.known_trouble())
            return
        sent: deque[Question] = deque()
        self._sent_at = self._clock.monotonic()
        try:
            self._exchange(opened, group, sent)
            self._pause, self._is_slow = FIRST_PAUSE_S, False
            self._gate.note_answer()
        except HostError as error:
            self._lose(error, sent)
        except Exception as error:  # noqa: BLE001 - as above
            what = "the connection failed in an unexpected way"
            self._lose(SessionLost(self.host, what, seen=self._seen(error)), sent)
        finally:
            opened.used_at = self._clock.monotonic()
            _finish(group, Unreachable(self.host, "it was not asked: its session was lost before"))

    def _exchange(self, opened: OpenedSession, group: Sequence[Question], sent: deque[Question]) -> None:
        self._learn_time(opened, group)
        sent.extend(question for question in group if question.begin())
        if not sent:
            return
        deadline = sent[0].deadline
        self._sent_at = self._clock.monotonic()
        requests = [(self._limited(question.ask), question.ask.seconds) for question in sent]
        opened.session.send(requests, deadline)
        seconds = 0.0
        for question in sent:
            seconds += question.ask.seconds + _LATE_S
            question.due_within(seconds)
        while sent:
            answered = opened.session.receive(deadline.within(sent[0].ask.seconds))
            self._tell_edition(answered)
            opened.login.heard_at = max(opened.login.heard_at, answered.answered)
            sent.popleft().finish(answered)

    def _learn_time(self, opened: OpenedSession, group: Sequence[Question]) -> None:
        """Hear the host's time, without which nothing is done there."""
        if self._host_clock.is_known or not any(question.ask.until is not None for question in group):
            return
        deadline = group[0].deadline.within(_PING_S)
        opened.session.send([(Request(), _PING_S)], deadline)
        opened.session.receive(deadline)
        opened.login.heard_at = self._clock.monotonic()
        if not self._host_clock.is_known:
            raise NoAgent(self.host, "its agent does not tell its time, so nothing is done there")

    def _limited(self, ask: Ask) -> Request:
        if ask.until is None:
            return ask.request
        # Once it has had its time, its outcome is unknown, and the next look may lead to another act.
        until = min(ask.until, self._clock.monotonic() + ask.seconds)
        return replace(ask.request, not_after=self._host_clock.not_after(until))

    def _connected(self, deadline: Deadline) -> OpenedSession:
        if self._gate.is_closed:
            raise Unreachable(self.host, "nothing more is asked")
        opened, now = self._opened, self._clock.monotonic()
        if opened is not None and now - opened.used_at < _IDLE_S:
            return opened
        self.connecting_since = time.monotonic()
        if opened is not None:
            self._opened = None
            self._gate.close_session(opened, alive=True)
        if self._failure is not None and now < self._not_before:
            raise self._failure
        try:
            self._opened = self._gate.open_session(deadline)
        except NoAgent as error:
            self._fail(error)
            raise
        except HostError:
            # From now on what keeps this session from being opened is the trouble with the host itself.
            self._failure = None
            raise
        self._failure, self.connecting_since = None, None
        took = round(self._clock.monotonic() - now, 2)
        self._log.debug("session open", host=self.host, session=self._name, seconds=took)
        return self._opened

    def _lose(self, error: HostError, sent: Sequence[Question]) -> None:
        self._log.debug("session lost", host=self.host, session=self._name, because=str(error))
        opened, self._opened = self._opened, None
        self.connecting_since = time.monotonic()
        if opened is not None:
            self._gate.close_session(opened, alive=opened.login.heard_at > self._sent_at)
        behind: HostError = error
        if error.may_have_been_done:
            behind = SessionLost(self.host, "what stood before it in its session was not answered", seen=error.what)
            error_since = Unreachable(
                self.host, "its session was lost, and it is not called again yet", seen=error.what
            )
            self._fail(error_since)
        else:
            self._fail(error)
        for number, question in enumerate(sent):
            question.finish(behind if number else error)

    def _fail(self, error: HostError) -> None:
        # What is asked until it is called again is never sent.
        self._failure = error
        self._not_before = self._clock.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_S)

    def _seen(self, error: Exception) -> str:
        # Whatever a library throws here must reach the one who asks, as trouble with this host.
        self._log.debug("unexpected", host=self.host, error=repr(error))
        return repr(error)

    def _tell_edition(self, answered: Answered) -> None:
        if answered.hello.agent != EDITION and not self._is_told:
            self._is_told = True
            self._log.warning("another edition of the wire", host=self.host, agent=answered.hello.agent, ours=EDITION)


def _finish(questions: Sequence[Question], error: HostError) -> None:
    for question in questions:
        question.finish(error)
