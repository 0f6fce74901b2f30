"""Several sessions of a host over one connection: what hangs takes itself and what stands behind it, no more."""

import threading
import time
from collections.abc import Iterator

import pytest

from ecx_hyperv.config import StdinWay
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError, NoAgent, SessionLost, Unreachable
from ecx_hyperv.host import session as session_module
from ecx_hyperv.host import worker
from ecx_hyperv.host.hosts import SshHosts
from ecx_hyperv.host.link import ACTS, LOOKS, Answered, Ask, Exchanged
from ecx_hyperv.host.wire import Call, Reply, Request
from tests.wire.support import PATIENCE_S, UP_MS, Site, answer_echo, at_most, echo, echoed, happens, within
from tests.wire.test_link import over_ssh

both_ways = pytest.mark.parametrize("way", list(StdinWay), ids=lambda way: way.value)
START = Call(cmdlet="Start-VM", args={}, from_=Call(cmdlet="Get-VM", args={"Id": "a"}))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only briefly for what never comes."""
    monkeypatch.setattr(session_module, "_GRACE_S", 0.1)


@pytest.fixture
def hosts(pair: tuple[Site, Site]) -> Iterator[SshHosts]:
    """Return the way to both hosts."""
    one = over_ssh(pair)
    yield one
    one.close()


def hold_one(site: Site, text: str) -> None:
    """Have one request take until the end of the test, and the others none."""

    def answer(request: Request) -> Reply:
        return site.host.hold(request) if request == echo(text) else answer_echo(request)

    site.host.answer = answer


def texts(exchanged: list[Exchanged]) -> list[object]:
    """Return the texts of answers; the kind of the error in place of one that did not come."""
    return [echoed(one.reply) if isinstance(one, Answered) else type(one) for one in exchanged]


def exchange(hosts: SshHosts, *asks: Ask) -> list[Exchanged]:
    """Ask the local host."""
    return hosts.exchange({Side.LOCAL: asks}, within(PATIENCE_S))[Side.LOCAL]


@both_ways
def test_requests_are_sent_ahead_and_answered_in_turn(pair: tuple[Site, Site], way: StdinWay) -> None:
    """Requests that are handed over together must be answered in their order, by one PowerShell."""
    hosts = over_ssh(pair, way)
    assert ["1", "2", "3"] == texts(exchange(hosts, *(Ask(echo(text), PATIENCE_S) for text in "123")))
    assert [echo("1"), echo("2"), echo("3")] == pair[0].host.requests
    assert (1, 1) == (pair[0].logins, len(pair[0].endpoint.launched))


@both_ways
def test_what_hangs_takes_what_stands_behind_it(pair: tuple[Site, Site], way: StdinWay) -> None:
    """A request that hangs must be lost with those behind it, and not those before it."""
    hold_one(pair[0], "hangs")
    hosts = over_ssh(pair, way)
    asks = [Ask(echo("before"), PATIENCE_S), Ask(echo("hangs"), 0.3), Ask(echo("behind"), PATIENCE_S)]
    with at_most(3.0):
        found = exchange(hosts, *asks)
    assert ["before", SessionLost, SessionLost] == texts(found)
    assert all(isinstance(one, HostError) and one.may_have_been_done for one in found[1:])


def test_session_that_hangs_does_not_hold_up_another(pair: tuple[Site, Site], hosts: SshHosts) -> None:
    """While one session hangs another must answer at once, over the same connection."""
    hold_one(pair[0], "hangs")
    pending = hosts.send(Side.LOCAL, [Ask(echo("hangs"), PATIENCE_S, ACTS)], within(PATIENCE_S))
    with at_most(3.0):
        assert ["a"] == texts(exchange(hosts, Ask(echo("a"), PATIENCE_S)))
        assert ["b"] == texts(exchange(hosts, Ask(echo("b"), PATIENCE_S)))
    assert pending[0].outcome() is None
    assert (1, 2) == (pair[0].logins, len(pair[0].endpoint.launched))
    pair[0].host.over.set()
    hosts.wait(pending, within(PATIENCE_S))
    assert isinstance(pending[0].outcome(), Answered)


def test_session_that_hung_is_replaced_in_the_same_login(
    pair: tuple[Site, Site], hosts: SshHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that answered before something hung is known to live: the next session needs no new login."""
    monkeypatch.setattr(worker, "FIRST_PAUSE_S", 0.0)
    hold_one(pair[0], "hangs")
    exchange(hosts, Ask(echo("lives"), PATIENCE_S), Ask(echo("hangs"), 0.2))
    assert happens(lambda: texts(exchange(hosts, Ask(echo("again"), PATIENCE_S))) == ["again"])
    assert (1, 2) == (pair[0].logins, len(pair[0].endpoint.launched))


def test_sending_and_waiting_are_two_things(pair: tuple[Site, Site], hosts: SshHosts) -> None:
    """Handing over must not wait, and waiting must end at its deadline, whatever is still under way."""
    pair[0].host.answer = pair[0].host.hold
    with at_most(1.0):
        pendings = hosts.send(Side.LOCAL, [Ask(echo("x"), PATIENCE_S)], within(PATIENCE_S))
        hosts.wait(pendings, within(0.3))
    assert pendings[0].outcome() is None


def test_act_says_until_when_it_may_be_made(pair: tuple[Site, Site], hosts: SshHosts) -> None:
    """An act must carry the host's time after which this run no longer waits for it; a question must carry none."""
    until = time.monotonic() + 60
    exchange(hosts, Ask(echo("x"), PATIENCE_S), Ask(Request(calls=(START,)), 20, until=until))
    look, act = pair[0].host.requests
    assert look.not_after is None
    assert act.not_after is not None
    # Not later than its own limit, although the run waits for longer.
    assert UP_MS + 15_000 < act.not_after <= UP_MS + 20_000


@both_ways
def test_no_act_goes_to_a_host_whose_time_is_not_known(pair: tuple[Site, Site], way: StdinWay) -> None:
    """An act must carry not_after also where it is the first thing that a host is asked."""
    hosts = over_ssh(pair, way)
    exchange(hosts, Ask(Request(calls=(START,)), 5, ACTS, until=time.monotonic() + 5))
    acts = [one for one in pair[0].host.requests if one.calls]
    assert [True] == [one.not_after is not None for one in acts]


def test_act_is_sent_only_once_the_one_before_is_over(pair: tuple[Site, Site], hosts: SshHosts) -> None:
    """What changes something must never lie in a queue behind what hangs: it might be made when nobody waits."""
    local = pair[0]
    local.host.answer = local.host.hold
    until = time.monotonic() + PATIENCE_S
    asks = [Ask(Request(calls=(START,)), PATIENCE_S, ACTS, until=until) for _ in range(2)]
    first, second = hosts.send(Side.LOCAL, asks, within(PATIENCE_S))
    assert happens(lambda: len(local.host.requests) == 1, PATIENCE_S)
    second.take_back()
    local.host.over.set()
    hosts.wait([first, second], within(PATIENCE_S))
    assert isinstance(first.outcome(), Answered)
    taken_back = second.outcome()
    assert isinstance(taken_back, Unreachable)
    assert not taken_back.may_have_been_done
    assert 1 == len(local.host.requests)


def test_nothing_is_sent_once_the_hosts_are_closed(pair: tuple[Site, Site], hosts: SshHosts) -> None:
    """What waits for its turn when a run ends must never be sent: nothing is done by a run that has ended."""
    local = pair[0]
    local.host.answer = local.host.hold
    until = time.monotonic() + PATIENCE_S
    asks = [Ask(Request(calls=(START,)), PATIENCE_S, ACTS, until=until) for _ in range(2)]
    _, second = hosts.send(Side.LOCAL, asks, within(PATIENCE_S))
    assert happens(lambda: len(local.host.requests) == 1, PATIENCE_S)
    hosts.close()
    local.host.over.set()
    hosts.wait([second], within(PATIENCE_S))
    assert isinstance(second.outcome(), HostError)
    assert 1 == len(local.host.requests)


def test_session_that_nobody_used_for_long_is_opened_anew(
    pair: tuple[Site, Site], hosts: SshHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PowerShell that may have left, as the agent does after two minutes, must not be sent anything."""
    exchange(hosts, Ask(echo("x"), PATIENCE_S))
    monkeypatch.setattr(worker, "_IDLE_S", 0.0)
    assert ["y"] == texts(exchange(hosts, Ask(echo("y"), PATIENCE_S)))
    assert (1, 2) == (pair[0].logins, len(pair[0].endpoint.launched))


def test_agent_that_does_not_come_up_in_one_session_leaves_the_other_alone(
    pair: tuple[Site, Site], hosts: SshHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second session that cannot be opened must not take the first one's connection."""
    exchange(hosts, Ask(echo("x"), PATIENCE_S))
    monkeypatch.setattr("ecx_hyperv.lab.service.sshd._Server.check_channel_request", lambda *_: 4)
    assert [NoAgent] == texts(exchange(hosts, Ask(echo("y"), PATIENCE_S, ACTS)))
    assert ["z"] == texts(exchange(hosts, Ask(echo("z"), PATIENCE_S, LOOKS)))
    assert 1 == pair[0].logins


def test_frozen_run_is_told(pair: tuple[Site, Site], hosts: SshHosts) -> None:
    """A host whose time advanced by far more than this run's must make the run pass for frozen, on that side only."""
    assert not hosts.was_frozen(Side.LOCAL)
    exchange(hosts, Ask(echo("x"), PATIENCE_S))
    assert not hosts.was_frozen(Side.LOCAL)
    pair[0].host.answer = lambda _request: Reply(results=(), up_ms=UP_MS + 45_000)
    exchange(hosts, Ask(echo("x"), PATIENCE_S))
    assert (True, False) == (hosts.was_frozen(Side.LOCAL), hosts.was_frozen(Side.PEER))


def test_both_sessions_are_lost_with_their_connection(pair: tuple[Site, Site], hosts: SshHosts) -> None:
    """A connection that breaks must end every session in it at once."""
    local, begun = pair[0], threading.Semaphore(0)

    def wait(request: Request) -> Reply:
        begun.release()
        return local.host.hold(request)

    local.host.answer = wait
    asks = [Ask(echo("a"), PATIENCE_S), Ask(echo("b"), PATIENCE_S, ACTS)]
    pendings = hosts.send(Side.LOCAL, asks, within(PATIENCE_S))
    assert begun.acquire(timeout=PATIENCE_S)
    assert begun.acquire(timeout=PATIENCE_S)
    local.endpoint.drop_all()
    with at_most(3.0):
        hosts.wait(pendings, within(PATIENCE_S))
    assert [SessionLost, SessionLost] == [type(one.outcome()) for one in pendings]
