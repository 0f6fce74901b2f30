"""Both hosts side by side: what a link does when a host is slow, silent, lost and back again."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO

import pytest

from ecx_hyperv.config import StdinWay
from ecx_hyperv.deadline import Clock, Deadline, SystemClock
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import (
    HostError,
    HostKeyRefused,
    LoginRefused,
    NoAgent,
    NoCommonAlgorithm,
    SessionLost,
    Silent,
    Unreachable,
)
from ecx_hyperv.host import session as session_module
from ecx_hyperv.host import worker
from ecx_hyperv.host.clock import HostClock
from ecx_hyperv.host.hosts import SshHosts
from ecx_hyperv.host.link import Answered, Ask, Exchanged
from ecx_hyperv.host.session import AgentLogin, Session
from ecx_hyperv.host.wire import Reply, Request
from ecx_hyperv.log import LogFormat, open_log
from tests.wire.support import HELLO, PATIENCE_S, UP_MS, Site, answer_echo, at_most, echo, echoed, happens, within

both_ways = pytest.mark.parametrize("way", list(StdinWay), ids=lambda way: way.value)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only briefly for what never comes."""
    monkeypatch.setattr(session_module, "_GRACE_S", 0.1)
    monkeypatch.setattr(worker, "_LATE_S", 0.3)


@dataclass
class FakeLogin:
    """A login to no host, in which one session is opened."""

    session: Session
    is_active: bool = True

    def open_session(self, _deadline: Deadline, clock: HostClock) -> Session:
        """Return the session; the host's time is heard as it would be."""
        clock.heard(UP_MS, 0.0, 0.0)
        return self.session

    def close(self) -> None:
        """End the login."""
        self.is_active = False


OpenSession = Callable[[Side, Deadline, Callable[[], None]], Session]


def hosts_of(open_session: OpenSession, addresses: Mapping[Side, str], clock: Clock | None = None) -> SshHosts:
    """Return the way to both hosts, a session in each login."""
    clock = clock or SystemClock()
    log = open_log(clock, "test", form=LogFormat.TEXT, verbose=True, stream=StringIO())

    def log_in(side: Side, deadline: Deadline, on_life: Callable[[], None]) -> FakeLogin:
        return FakeLogin(open_session(side, deadline, on_life))

    return SshHosts(log_in, addresses, clock, log)


def over_ssh(pair: tuple[Site, Site], way: StdinWay = StdinWay.HANDLE, clock: Clock | None = None) -> SshHosts:
    """Return the way to two hosts over real SSH."""
    sites = dict(zip(Side, pair, strict=True))
    clock = clock or SystemClock()

    def log_in(side: Side, _deadline: Deadline, on_life: Callable[[], None]) -> AgentLogin:
        return sites[side].log_in(way, on_life)

    addresses = {side: one.place[0] for side, one in sites.items()}
    log = open_log(clock, "test", form=LogFormat.TEXT, verbose=True, stream=StringIO())
    return SshHosts(log_in, addresses, clock, log)


def ask(hosts: SshHosts, text: str = "x", side: Side = Side.LOCAL, seconds: float = PATIENCE_S) -> Exchanged:
    """Ask one host."""
    return hosts.exchange({side: [Ask(echo(text), seconds)]}, within(PATIENCE_S))[side][0]


def answer_of(exchanged: Exchanged) -> object:
    """Return the text of an answer."""
    assert not isinstance(exchanged, HostError), str(exchanged)
    return echoed(exchanged.reply)


def trouble_of(exchanged: Exchanged) -> HostError:
    """Return the error that was answered with."""
    assert isinstance(exchanged, HostError)
    return exchanged


@dataclass
class StoppedClock(SystemClock):
    """A clock that moves only when it is told to."""

    now: float = 1000.0

    def monotonic(self) -> float:
        """Return the time that it was told."""
        return self.now

    def wall(self) -> datetime:
        """Return a time of day."""
        return datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class FakeSession:
    """A session without a host, that answers, or fails as it is told to."""

    error: Exception | None = None
    closed: bool = False
    asked: list[Request] = field(default_factory=list)
    answered: int = 0

    def send(self, requests: Sequence[tuple[Request, float]], _deadline: Deadline) -> None:
        """Take requests."""
        self.asked += [request for request, _ in requests]

    def receive(self, _deadline: Deadline) -> Answered:
        """Carry out the oldest request."""
        if self.error is not None:
            raise self.error
        self.answered += 1
        return Answered(HELLO, answer_echo(self.asked[self.answered - 1]), 0.0, 0.0)

    def close(self) -> None:
        """End the session."""
        self.closed = True


@both_ways
def test_both_hosts_are_asked_side_by_side(pair: tuple[Site, Site], way: StdinWay) -> None:
    """Two hosts must be asked at the same time: here each answers only while the other is being asked."""
    both = threading.Barrier(2, timeout=PATIENCE_S)

    def together(request: Request) -> Reply:
        both.wait()
        return answer_echo(request)

    for one in pair:
        one.host.answer = together
    hosts = over_ssh(pair, way)
    answers = hosts.exchange({side: [Ask(echo(side.value), PATIENCE_S)] for side in Side}, within(PATIENCE_S))
    assert {Side.LOCAL: "local", Side.PEER: "peer"} == {side: answer_of(one) for side, (one,) in answers.items()}


def test_slow_host_keeps_nobody_from_the_other(pair: tuple[Site, Site]) -> None:
    """While one host takes its time, the other must answer at once."""
    local, _ = pair
    local.host.answer = local.host.hold
    hosts = over_ssh(pair)
    waiting = threading.Thread(target=ask, args=(hosts,), daemon=True)
    waiting.start()
    assert happens(lambda: local.host.requests != [])
    with at_most(2.0):
        assert "x" == answer_of(ask(hosts, side=Side.PEER))
    local.host.over.set()
    waiting.join(PATIENCE_S)


def test_host_that_nobody_asks_is_left_alone(pair: tuple[Site, Site]) -> None:
    """No host may be connected to before it is asked, and each only once for all that it is asked."""
    hosts = over_ssh(pair)
    assert ["1", "2", "3"] == [answer_of(ask(hosts, text)) for text in ("1", "2", "3")]
    assert (1, 0) == (pair[0].logins, pair[1].logins)


@both_ways
def test_lost_session_is_replaced_by_a_new_login(pair: tuple[Site, Site], way: StdinWay) -> None:
    """After a session is lost the next request must go over a new login, not before a pause."""
    local, clock = pair[0], StoppedClock()

    def break_off(request: Request) -> Reply:
        local.endpoint.drop_all()
        return local.host.hold(request)

    local.host.answer = break_off
    hosts = over_ssh(pair, way, clock)
    assert SessionLost is type(trouble_of(ask(hosts)))
    local.host.answer = answer_echo
    trouble_of(ask(hosts, "in the pause"))
    assert 1 == local.logins
    clock.now += 1
    assert "back" == answer_of(ask(hosts, "back"))
    assert 2 == local.logins
    assert [echo("x"), echo("back")] == local.host.requests


@both_ways
def test_session_that_missed_a_deadline_is_not_used_again(pair: tuple[Site, Site], way: StdinWay) -> None:
    """After an answer did not come in time its connection must be closed, and no request go over it again."""
    local, clock = pair[0], StoppedClock()
    local.host.answer = local.host.hold
    hosts = over_ssh(pair, way, clock)
    assert trouble_of(ask(hosts, seconds=0.2)).may_have_been_done
    assert happens(lambda: local.endpoint.connections() == 0)
    local.host.answer = answer_echo
    clock.now += 1
    assert "again" == answer_of(ask(hosts, "again"))
    assert 2 == local.logins


def test_question_in_the_pause_is_not_perhaps_carried_out() -> None:
    """A question that was never sent, since the host is not to be called yet, must not count as perhaps carried out."""
    lost = FakeSession(error=SessionLost("h", "broken"))
    hosts = hosts_of(lambda _side, _deadline, _on_life: lost, {Side.LOCAL: "h"}, StoppedClock())
    assert trouble_of(ask(hosts, "first")).may_have_been_done
    assert not trouble_of(ask(hosts, "second")).may_have_been_done
    assert [echo("first")] == lost.asked


def test_question_taken_back_after_a_loss_is_not_perhaps_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question taken back while a lost session is replaced must not count as perhaps carried out."""
    monkeypatch.setattr(worker, "_SHORT_PATIENCE_S", 0.1)
    clock, lost, over = StoppedClock(), FakeSession(error=SessionLost("h", "broken")), threading.Event()
    sessions = [lost]

    def open_slowly(_side: Side, _deadline: Deadline, _on_life: Callable[[], None]) -> Session:
        if not sessions:
            over.wait(PATIENCE_S)
            raise Unreachable("h", "off")
        return sessions.pop()

    hosts = hosts_of(open_slowly, {Side.LOCAL: "h"}, clock)
    assert trouble_of(ask(hosts, "first")).may_have_been_done
    clock.now += 1
    assert not trouble_of(ask(hosts, "second")).may_have_been_done
    over.set()


@pytest.fixture
def slow_hello(pair: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return the local host, which takes its time to say hello, to those who have little."""
    monkeypatch.setattr(worker, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(worker, "_SHORT_PATIENCE_S", 0.1)
    pair[0].host.may_say_hello.clear()
    yield pair[0]
    pair[0].host.may_say_hello.set()


def test_question_that_is_taken_back_is_never_sent(slow_hello: Site, pair: tuple[Site, Site]) -> None:
    """A question whose asker no longer waits must never reach the host, though the connection comes about later."""
    hosts = over_ssh(pair)
    error = trouble_of(ask(hosts, "taken back"))
    assert Unreachable is type(error)
    assert "it is still being connected to" in error.what
    assert not error.may_have_been_done
    slow_hello.host.may_say_hello.set()
    assert happens(lambda: not isinstance(ask(hosts, "later"), HostError))
    assert echo("taken back") not in slow_hello.host.requests
    assert 1 == slow_hello.logins


def test_patience_is_shorter_with_a_host_that_is_known_to_be_slow(
    slow_hello: Site, pair: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that was not connected to in time must be waited for only briefly from then on."""
    hosts = over_ssh(pair)
    trouble_of(ask(hosts))
    monkeypatch.setattr(worker, "_PATIENCE_S", PATIENCE_S)
    with at_most(1.0):
        trouble_of(ask(hosts))
    assert [] == slow_hello.host.requests


def test_pause_grows_and_ends_with_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause before a new login must double up to a bound, and be short again after a request has succeeded."""
    monkeypatch.setattr(worker, "FIRST_PAUSE_S", 1.0)
    monkeypatch.setattr(worker, "LONGEST_PAUSE_S", 3.0)
    clock, good = StoppedClock(), FakeSession()
    tried: list[float] = []

    def open_fifth(_side: Side, _deadline: Deadline, _on_life: Callable[[], None]) -> Session:
        tried.append(clock.now)
        if len(tried) == 5:
            return good
        raise Unreachable("h", "off")

    hosts = hosts_of(open_fifth, {Side.LOCAL: "h"}, clock)
    for clock.now in range(1000, 1010):
        ask(hosts)
    good.error = SessionLost("h", "broken")
    for clock.now in range(1010, 1014):
        ask(hosts)
    assert [1000, 1001, 1003, 1006, 1009, 1011, 1013] == tried
    assert good.closed


def test_silent_host_is_called_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is silent must be called again soon enough to notice when it comes back."""
    monkeypatch.setattr(worker, "FIRST_PAUSE_S", 1.0)
    clock = StoppedClock()
    tried: list[float] = []

    def stay_silent(_side: Side, _deadline: Deadline, _on_life: Callable[[], None]) -> Session:
        tried.append(clock.now)
        raise Silent("h", "nothing")

    hosts = hosts_of(stay_silent, {Side.LOCAL: "h"}, clock)
    for clock.now in range(1000, 1020):
        assert Silent is type(trouble_of(ask(hosts)))
    assert [1000, 1001, 1003, 1007, 1012, 1017] == tried


class Calls:
    """Calls of a host that was silent at first; the second one takes until it is told how to end."""

    def __init__(self) -> None:
        self.lives = threading.Event()
        self.noted = threading.Event()
        self.over = threading.Event()
        self._calls = 0

    def open(self, _side: Side, _deadline: Deadline, on_life: Callable[[], None]) -> Session:
        """Be silent the first time; show life, then fail again, the second."""
        self._calls += 1
        if self._calls > 1:
            self.lives.wait(PATIENCE_S)
            on_life()
            self.noted.set()
            self.over.wait(PATIENCE_S)
        raise Silent("h", "nothing")


def test_connection_that_comes_about_breaks_the_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes the connection is no longer silent, however long the rest of the login takes."""
    monkeypatch.setattr(worker, "_SHORT_PATIENCE_S", 0.1)
    calls, clock = Calls(), StoppedClock()
    hosts = hosts_of(calls.open, {Side.LOCAL: "h"}, clock)
    assert Silent is type(trouble_of(ask(hosts)))
    clock.now += 1
    assert Silent is type(trouble_of(ask(hosts)))
    calls.lives.set()
    assert calls.noted.wait(PATIENCE_S)
    assert Unreachable is type(trouble_of(ask(hosts)))
    calls.over.set()
    assert happens(lambda: type(ask(hosts)) is Silent)


def test_life_of_a_host_in_other_trouble_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to a host that had refused the login must not hide that it did."""
    monkeypatch.setattr(worker, "_SHORT_PATIENCE_S", 0.1)
    clock, over, troubles = StoppedClock(), threading.Event(), [LoginRefused("h", "not let in")]

    def open_next(_side: Side, _deadline: Deadline, on_life: Callable[[], None]) -> Session:
        on_life()
        if not troubles:
            over.wait(PATIENCE_S)
            return FakeSession()
        raise troubles.pop()

    hosts = hosts_of(open_next, {Side.LOCAL: "h"}, clock)
    assert LoginRefused is type(trouble_of(ask(hosts)))
    clock.now += 1
    assert LoginRefused is type(trouble_of(ask(hosts)))
    over.set()
    assert happens(lambda: not isinstance(ask(hosts), HostError))


def test_silence_of_long_ago_says_nothing_about_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that nobody has called for a while must not pass for silent on the strength of its last call."""
    monkeypatch.setattr(worker, "_SHORT_PATIENCE_S", 0.1)
    calls, clock = Calls(), StoppedClock()
    hosts = hosts_of(calls.open, {Side.LOCAL: "h"}, clock)
    assert Silent is type(trouble_of(ask(hosts)))
    clock.now += 60
    assert Unreachable is type(trouble_of(ask(hosts)))
    calls.lives.set()
    calls.over.set()


@pytest.mark.parametrize("kind", [NoAgent, Unreachable, Silent, LoginRefused, HostKeyRefused, NoCommonAlgorithm])
def test_error_stays_what_it_is_for_the_pause(kind: type[HostError]) -> None:
    """In the pause the trouble must still be called what it is, and after it the host be called again."""
    clock = StoppedClock()
    sessions: list[Session | HostError] = [kind("h", "trouble", seen="this"), FakeSession()]

    def open_next(_side: Side, _deadline: Deadline, _on_life: Callable[[], None]) -> Session:
        one = sessions.pop(0)
        if isinstance(one, HostError):
            raise one
        return one

    hosts = hosts_of(open_next, {Side.LOCAL: "h"}, clock)
    for _ in range(3):
        error = trouble_of(ask(hosts))
        assert (kind, "h: trouble", "this") == (type(error), error.summary, error.seen)
    clock.now += 1
    assert "x" == answer_of(ask(hosts))


def test_error_that_nobody_expects_is_trouble_with_the_host() -> None:
    """Whatever a library raises must be answered as a lost session, and the next request go over a new one."""
    clock, odd = StoppedClock(), FakeSession(error=ZeroDivisionError("odd"))
    sessions = [odd, FakeSession()]
    hosts = hosts_of(lambda _side, _deadline, _on_life: sessions.pop(0), {Side.LOCAL: "h"}, clock)
    error = trouble_of(ask(hosts))
    assert (SessionLost, "ZeroDivisionError('odd')") == (type(error), error.seen)
    assert odd.closed
    clock.now += 1
    assert "x" == answer_of(ask(hosts))


def test_answer_that_never_comes_is_not_waited_for_longer_than_it_may_take() -> None:
    """A session that hangs for ever must not hang who asks: a little after the deadline the outcome is unknown."""
    over = threading.Event()

    class Hanging(FakeSession):
        def receive(self, _deadline: Deadline) -> Answered:
            over.wait(PATIENCE_S)
            return super().receive(_deadline)

    hosts = hosts_of(lambda _side, _deadline, _on_life: Hanging(), {Side.LOCAL: "h"})
    with at_most(2.0):
        error = trouble_of(ask(hosts, seconds=0.2))
    over.set()
    assert (SessionLost, "h: no answer in time") == (type(error), error.summary)


def test_closing_ends_every_session(pair: tuple[Site, Site]) -> None:
    """When the hosts are closed no connection to either may stay."""
    hosts = over_ssh(pair)
    hosts.exchange({side: [Ask(echo("x"), PATIENCE_S)] for side in Side}, within(PATIENCE_S))
    hosts.close()
    assert happens(lambda: pair[0].endpoint.connections() + pair[1].endpoint.connections() == 0)
