"""A session with a host over real SSH: what it carries, and how it ends when anything is wrong."""

import threading

import paramiko
import pytest

from ecx_hyperv.config import StdinWay
from ecx_hyperv.errors import SessionLost
from ecx_hyperv.host import session as module
from ecx_hyperv.host import wire
from ecx_hyperv.host.agent import agent_script
from ecx_hyperv.host.clock import HostClock
from ecx_hyperv.host.wire import Reply, Request, encode_script
from ecx_hyperv.lab.windows.agent import InjectedFaults, read_command
from tests.wire.support import (
    HELLO,
    JAPANESE,
    PATIENCE_S,
    Site,
    answered,
    at_most,
    client_connections,
    echo,
    echoed,
    framed,
    go_wrong,
    happens,
    within,
)

both_ways = pytest.mark.parametrize("way", list(StdinWay), ids=lambda way: way.value)
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only briefly for what never comes."""
    monkeypatch.setattr(module, "_GRACE_S", 0.1)


def loss(site: Site, way: StdinWay = StdinWay.HANDLE, seconds: float = 0.3) -> str:
    """Return what is seen in the loss that a request ends with."""
    session = site.session(way)
    with pytest.raises(SessionLost) as caught:
        answered(session, echo("x"), within(seconds))
    return f"{caught.value.what}; {caught.value.seen}"


@both_ways
def test_answer_comes_with_the_hello(site: Site, way: StdinWay) -> None:
    """A request must be answered, and the answer come with the words that the agent began with."""
    hello, reply = answered(site.session(way), echo("a"), within(PATIENCE_S))
    assert HELLO == hello
    assert "a" == echoed(reply)
    assert [echo("a")] == site.host.requests


@both_ways
def test_many_requests_need_one_login(site: Site, way: StdinWay) -> None:
    """Requests must follow each other over one connection: one PowerShell by the handle, one for each else."""
    session = site.session(way)
    answers = [echoed(answered(session, echo(str(number)), within(PATIENCE_S))[1]) for number in range(5)]
    assert ["0", "1", "2", "3", "4"] == answers
    assert 1 == site.logins
    assert (1 if way is StdinWay.HANDLE else 5) == len(site.endpoint.launched)


@both_ways
@pytest.mark.parametrize("size", [MIB, 4 * MIB])
def test_long_answer_arrives_whole(site: Site, way: StdinWay, size: int) -> None:
    """An answer of megabytes must arrive whole."""
    _, reply = answered(site.session(way), echo("0123456789abcdef", size // 16), within(PATIENCE_S))
    assert "0123456789abcdef" * (size // 16) == echoed(reply)


@both_ways
def test_long_request_arrives_whole(site: Site, way: StdinWay) -> None:
    """A request of just under 1 MiB must arrive whole."""
    text = "x" * (700 * 1024)
    _, reply = answered(site.session(way), echo(text), within(PATIENCE_S))
    assert text == echoed(reply)


@pytest.mark.defect(9)
@both_ways
@pytest.mark.parametrize("name", [JAPANESE, "'\"$(x) `n %PATH% ; & | > <", "a\nb\r\nc", "\U0001f5a5\u3000\u00a5"])
def test_name_comes_back_unharmed(site: Site, way: StdinWay, name: str) -> None:
    """A name must come back as it went, whatever shells and code pages lie between."""
    assert name == echoed(answered(site.session(way), echo(name), within(PATIENCE_S))[1])


@both_ways
def test_agent_is_told_how_long_it_may_take(site: Site, way: StdinWay) -> None:
    """What is sent must be the agent and then a line that says, in ms, what is left of the request's time."""
    lines: list[bytes] = []
    nonces: list[str] = []
    over = threading.Event()

    def listen(channel: paramiko.Channel, command: str) -> None:
        stdin = channel.makefile("rb")
        lines.append(stdin.readline())
        nonce, _ = read_command(command)
        nonces.append(nonce)
        channel.sendall(framed("hello", HELLO, nonce))
        lines.append(stdin.readline())
        channel.sendall(framed("1", Reply(results=()), nonce))
        over.wait(PATIENCE_S)

    site.endpoint.script = listen
    answered(site.session(way), Request(), within(2.0))
    over.set()
    number, limit, _ = lines[1].split(b" ")
    assert encode_script(nonces[0], agent_script()) == lines[0]
    assert b"1" == number
    assert 0 < int(limit) <= 2000


@pytest.mark.defect(5)
@both_ways
def test_noise_before_the_hello_does_no_harm(site: Site, way: StdinWay) -> None:
    """A host that greets with banners and warnings must be understood all the same."""
    site.faults = InjectedFaults(noise="Microsoft Windows [Version 10.0]\r\n\r\nWARNING: no module\r\n#< CLIXML\r\n")
    assert "a" == echoed(answered(site.session(way), echo("a"), within(PATIENCE_S))[1])


@both_ways
def test_stderr_that_is_never_read_does_not_stall(site: Site, way: StdinWay) -> None:
    """Megabytes on stderr, which shares the channel's window, must not keep the answer from coming."""

    def rant(channel: paramiko.Channel, command: str) -> None:
        for _ in range(64):
            channel.sendall_stderr(b"e" * 65536)
        site.endpoint.run_agent(channel, command)

    site.endpoint.script = rant
    assert "a" == echoed(answered(site.session(way), echo("a"), within(PATIENCE_S))[1])


@both_ways
@pytest.mark.parametrize(
    ("instead", "seen"),
    [
        ("\nNONCE 1 !!!\n", "its answer makes no sense"),
        ("\nNONCE\n", "its answer makes no sense"),
        (
            "\nNONCE 1 eyJyZXN1bHRzIjpbeyJvayI6ZmFsc2UsImVycm9yIjp7Im1lc3NhZ2UiOiKDZSJ9fV19\n",
            "its answer makes no sense",
        ),
        ("\nNONCE 77 eyJyZXN1bHRzIjpbXX0=\n", "something else than request 1"),
        ("\nNONCE hello eyJhZ2VudCI6MSwiaG9zdCI6ImEifQ==\n", "something else than request 1"),
        ("\nNONCE fatal eyJtZXNzYWdlIjoibm8gbGluZSJ9\n", "the agent gave up; no line"),
    ],
    ids=["bad base64", "no words", "no UTF-8", "wrong ID", "a hello", "fatal"],
)
def test_answer_that_is_none(site: Site, way: StdinWay, instead: str, seen: str) -> None:
    """An answer that is not the request's must end the session, and the loss say what was wrong with it."""
    site.host.answer = go_wrong(site, InjectedFaults(instead=instead))
    assert seen in loss(site, way, seconds=1.0)


@pytest.mark.defect(2)
@both_ways
def test_silence_after_the_hello(site: Site, way: StdinWay) -> None:
    """A request that is never answered must end the session within its deadline and the grace for its answer."""
    site.host.answer = site.host.hold
    with at_most(2.0):
        assert "no answer in time" in loss(site, way)


def test_silence_ends_within_three_seconds_of_the_deadline(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the grace that hosts are really given, silence must end a session within 3 s of the request's deadline."""
    monkeypatch.undo()
    site.host.answer = site.host.hold
    with at_most(0.3 + 3):
        assert "no answer in time" in loss(site)


@pytest.mark.defect(2)
@both_ways
def test_endless_output_ends_the_session(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """An output that never ends must end the session and its connection long before the deadline."""
    monkeypatch.setattr(wire, "LONGEST", MIB)
    site.host.answer = go_wrong(site, InjectedFaults(endless=True))
    with at_most(2.5):
        assert "its answer makes no sense" in loss(site, way, seconds=PATIENCE_S)
    assert happens(lambda: site.endpoint.connections() == 0, 1.0)


@both_ways
def test_connection_that_breaks_ends_the_session_at_once(site: Site, way: StdinWay) -> None:
    """A connection that breaks in a request must end the session at once, and nothing be made up about PowerShell."""

    def break_off(request: Request) -> Reply:
        site.endpoint.drop_all()
        return site.host.hold(request)

    site.host.answer = break_off
    with at_most(2.0):
        seen = loss(site, way, seconds=PATIENCE_S)
    assert "ended before the answer" in seen
    assert "exit status" not in seen


def test_connection_that_breaks_as_the_input_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks just when a request has been sent must be a lost session, whatever paramiko raises."""

    def break_off(_channel: paramiko.Channel) -> None:
        site.endpoint.drop_all()
        raise EOFError

    site.host.answer = site.host.hold
    monkeypatch.setattr(paramiko.Channel, "shutdown_write", break_off)
    with at_most(2.0):
        loss(site, StdinWay.INPUT, seconds=PATIENCE_S)


def test_connection_that_broke_before_is_noticed_at_once(site: Site) -> None:
    """A request over a connection that has broken meanwhile must fail at once."""
    session = site.session()
    site.endpoint.drop_all()
    with at_most(2.0), pytest.raises(SessionLost):
        answered(session, echo("x"), within(PATIENCE_S))


def test_host_that_takes_no_more_input_holds_nobody(site: Site) -> None:
    """Sending to a host that does not read must end at the deadline, as a session that is lost."""
    site.endpoint.script = lambda _channel, _command: None
    connection = site.connect()
    channel = connection.launch("powershell", within(PATIENCE_S))
    with at_most(2.0), pytest.raises(SessionLost, match="broke while sending") as caught:
        connection.send(channel, bytes(4 * MIB), within(0.3))
    assert "no answer in time" == caught.value.seen


def test_late_answer_is_not_the_next_ones(site: Site) -> None:
    """An answer that comes too late must never be taken for the answer to a later request."""
    site.host.answer = site.host.hold
    session = site.session()
    with pytest.raises(SessionLost):
        answered(session, echo("first"), within(0.1))
    site.host.over.set()
    with pytest.raises(SessionLost):
        answered(session, echo("second"), within(0.3))


@both_ways
def test_closing_ends_connection_and_powershell(site: Site, way: StdinWay) -> None:
    """A session that is closed must leave no PowerShell behind, and a login that is closed no connection."""
    login = site.log_in(way)
    session = login.open_session(within(PATIENCE_S), HostClock())
    answered(session, echo("x"), within(PATIENCE_S))
    session.close()
    assert happens(lambda: all(channel.closed for channel in site.endpoint.launched), 1.0)
    assert login.is_active
    login.close()
    assert happens(lambda: not login.is_active, 1.0)
    assert happens(lambda: client_connections() == 0, 1.0)
