"""Both hosts over SSH, side by side: a connection each, that all its sessions share.

It is made when first needed, and again, after a growing pause, when lost. Each session has a thread of its own, so
that a host that takes its time keeps nobody from the other, nor a session that hangs from another one. Who asks waits
for the connection only so long; then the question is taken back, before it was sent, and the link goes on connecting.
"""

import threading
from collections.abc import Callable, Mapping, Sequence

from ecx_hyperv.deadline import Clock, Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError, Silent, Unreachable
from ecx_hyperv.host import heap, worker
from ecx_hyperv.host.clock import HostClock
from ecx_hyperv.host.link import CONNECTING, Ask, Exchanged, Pending
from ecx_hyperv.host.worker import HostConnection, Login, OpenedSession, Question, SessionWorker
from ecx_hyperv.log import Log

# A host that is silent is called again so often, and for so long its silence counts without another call.
_SILENT_PAUSE_S = 5.0
_SILENCE_S = 12.0
# What is told later than this after the deadline is told to nobody.
_LATEST_S = 10.0


Connect = Callable[[Side, Deadline, Callable[[], None]], HostConnection]
"""Logs in to a host, having called back once the host shows that it lives; raises HostError."""


class HostLink:
    """The way to one host, through all its lives."""

    def __init__(
        self, side: Side, host: str, connect: Connect, changed: threading.Condition, clock: Clock, log: Log
    ) -> None:
        self._side = side
        self.host = host
        self._connect = connect
        self._changed = changed
        self._clock = clock
        self._log = log
        self._workers: dict[str, SessionWorker] = {}
        self.host_clock = HostClock()
        self._connecting = threading.Lock()
        self._counting = threading.Lock()
        self._login: Login | None = None
        self.failure: HostError | None = None
        self.is_closed = False
        self._failed_at = 0.0
        self._pause = worker.FIRST_PAUSE_S
        self._not_before = 0.0

    def send(self, asks: Sequence[Ask], deadline: Deadline) -> list[Question]:
        """Hand requests over, each to its session."""
        questions = [Question(ask, deadline, self._worker(ask.session), self._changed) for ask in asks]
        for name in dict.fromkeys(ask.session for ask in asks):
            self._worker(name).ask([one for one in questions if one.ask.session == name])
        return questions

    def open_session(self, deadline: Deadline) -> OpenedSession:
        """Connect, unless that is done, and start an agent; raises HostError."""
        login = self._connected(deadline)
        with self._counting:
            login.sessions += 1
        try:
            session = login.connection.open_session(deadline, self.host_clock)
        except BaseException:
            self._release(login, keep=login.sessions > 1)
            raise
        return OpenedSession(session, login, self._clock.monotonic())

    def close_session(self, opened: OpenedSession, *, alive: bool) -> None:
        """End a session; unless the login is known to be alive, no other session is opened in it."""
        opened.session.close()
        self._release(opened.login, keep=alive)

    def note_answer(self) -> None:
        """Take note that all is well: the next pause is a short one."""
        self._pause = worker.FIRST_PAUSE_S

    def known_trouble(self) -> HostError:
        """Return what the last call gave, while another is under way; old silence says nothing about now."""
        failure = self.failure
        is_old = self._clock.monotonic() - self._failed_at > _SILENCE_S
        if failure is None or (isinstance(failure, Silent) and is_old):
            return Unreachable(self.host, CONNECTING)
        return failure

    def close(self) -> None:
        """End every session at once; what was not sent until now never is."""
        self.is_closed = True
        for one in self._workers.values():
            one.close()
        login, self._login = self._login, None
        if login is not None:
            login.connection.close()

    def _worker(self, name: str) -> SessionWorker:
        if name not in self._workers:
            self._workers[name] = SessionWorker(self.host, name, self, self.host_clock, self._clock, self._log)
        return self._workers[name]

    def _connected(self, deadline: Deadline) -> Login:
        with self._connecting:
            if self._login is not None and self._login.connection.is_active:
                return self._login
            if self.failure is not None and self._clock.monotonic() < self._not_before:
                raise self.failure
            try:
                self._login = Login(self._connect(self._side, deadline, self._note_life))
            except HostError as error:
                self._fail(error)
                raise
            self.failure = None
            return self._login

    def _note_life(self) -> None:
        if isinstance(self.failure, Silent):
            self.failure = Unreachable(self.host, CONNECTING)

    def _fail(self, error: HostError) -> None:
        self.failure = error
        self._failed_at = self._clock.monotonic()
        self._not_before = self._failed_at + self._pause
        longest = _SILENT_PAUSE_S if isinstance(error, Silent) else worker.LONGEST_PAUSE_S
        self._pause = min(self._pause * 2, longest)

    def _release(self, login: Login, *, keep: bool) -> None:
        with self._counting:
            login.sessions -= 1
            if not keep and self._login is login:
                self._login = None
                self._pause = min(self._pause * 2, worker.LONGEST_PAUSE_S)
            is_last = login.sessions == 0 and self._login is not login
        if is_last:
            login.connection.close()


class SshHosts:
    """The hosts over SSH."""

    def __init__(self, connect: Connect, addresses: Mapping[Side, str], clock: Clock, log: Log) -> None:
        self._links: dict[Side, HostLink] = {}
        self._connect = connect
        self._addresses = addresses
        self._clock = clock
        self._log = log
        self._changed = threading.Condition()
        heap.keep_small()

    def send(self, side: Side, asks: Sequence[Ask], deadline: Deadline) -> Sequence[Pending]:
        """Hand requests over, in order, each in its session, without waiting for anything."""
        return self._link(side).send(asks, deadline)

    def wait(self, pendings: Sequence[Pending], until: Deadline) -> None:
        """Wait until all are over, or that deadline has passed."""
        questions = [one for one in pendings if isinstance(one, Question)]
        with self._changed:
            while True:
                open_ones = [(one.left(), one) for one in questions if one.outcome() is None]
                for left, one in open_ones:
                    if left <= 0:
                        one.give_up()
                left = min([until.remaining(), *(left for left, one in open_ones if one.outcome() is None)])
                if left <= 0 or all(one.outcome() is not None for one in questions):
                    return
                self._changed.wait(left)

    def was_frozen(self, side: Side) -> bool:
        """Tell whether that host's time advanced by far more than this run's own can explain."""
        return side in self._links and self._links[side].host_clock.was_frozen

    def exchange(self, asks: Mapping[Side, Sequence[Ask]], deadline: Deadline) -> dict[Side, list[Exchanged]]:
        """Ask one host or both side by side, wait, and return what came of each request."""
        sent = {side: self._link(side).send(of_side, deadline) for side, of_side in asks.items()}
        everything = [one for questions in sent.values() for one in questions]
        self.wait(everything, Deadline(deadline.clock, deadline.end + _LATEST_S))
        for one in everything:
            one.give_up()
        return {
            side: [outcome for one in questions if (outcome := one.outcome()) is not None]
            for side, questions in sent.items()
        }

    def close(self) -> None:
        """End every session at once."""
        for link in self._links.values():
            link.close()

    def _link(self, side: Side) -> HostLink:
        if side not in self._links:
            self._links[side] = HostLink(
                side, self._addresses[side], self._connect, self._changed, self._clock, self._log
            )
        return self._links[side]
