"""A session with a host over real SSH: what it carries, and how it ends when anything is wrong."""

import threading
from collections.abc import Callable

import paramiko
import pytest

from ecx_hyperv.config import StdinWay
from ecx_hyperv.errors import HostError, NoAgent, SessionLost
from ecx_hyperv.host import session as module
from ecx_hyperv.host import ssh, wire
from ecx_hyperv.host.session import agent_script
from ecx_hyperv.host.wire import Reply, Request, encode_script
from ecx_hyperv.lab.agent import Mischief, read_command
from tests.wire.support import (
    HELLO,
    JAPANESE,
    PATIENCE_S,
    Site,
    at_most,
    client_connections,
    echo,
    echoed,
    framed,
    happens,
    within,
)

both_ways = pytest.mark.parametrize("way", list(StdinWay), ids=lambda way: way.value)
MIB = 1024 * 1024
CLIXML = b'#< CLIXML\r\n<Objs Version="1.1.0.1"><S S="Error">Cannot create type._x000D_</S></Objs>'


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only briefly for what never comes."""
    monkeypatch.setattr(module, "_GRACE_S", 0.1)


def loss(site: Site, way: StdinWay = StdinWay.HANDLE, request: Request | None = None, seconds: float = 0.3) -> str:
    """Return what is seen in the loss that a request ends with."""
    session = site.session(way)
    with pytest.raises(SessionLost) as caught:
        session.ask(request or echo("x"), within(seconds))
    return f"{caught.value.what}; {caught.value.seen}"


def no_agent(site: Site, way: StdinWay = StdinWay.HANDLE) -> HostError:
    """Return the error of a host on which the agent does not come up."""
    with pytest.raises(HostError) as caught:
        site.session(way).ask(echo("x"), within(PATIENCE_S))
    # Whether the agent has its request already depends on the way in.
    assert caught.type is (NoAgent if way is StdinWay.HANDLE else SessionLost)
    return caught.value


@both_ways
def test_answer_comes_with_the_hello(site: Site, way: StdinWay) -> None:
    """A request must be answered, and the answer come with the words that the agent began with."""
    hello, reply = site.session(way).ask(echo("a"), within(PATIENCE_S))
    assert HELLO == hello
    assert "a" == echoed(reply)
    assert [echo("a")] == site.host.requests


@both_ways
def test_many_requests_need_one_login(site: Site, way: StdinWay) -> None:
    """Requests must follow each other over one connection: one PowerShell by the handle, one for each else."""
    session = site.session(way)
    answers = [echoed(session.ask(echo(str(number)), within(PATIENCE_S))[1]) for number in range(5)]
    assert ["0", "1", "2", "3", "4"] == answers
    assert 1 == site.logins
    assert (1 if way is StdinWay.HANDLE else 5) == len(site.door.launched)


@both_ways
@pytest.mark.parametrize("size", [MIB, 4 * MIB])
def test_long_answer_arrives_whole(site: Site, way: StdinWay, size: int) -> None:
    """An answer of megabytes must arrive whole."""
    _, reply = site.session(way).ask(echo("0123456789abcdef", size // 16), within(PATIENCE_S))
    assert "0123456789abcdef" * (size // 16) == echoed(reply)


@both_ways
def test_long_request_arrives_whole(site: Site, way: StdinWay) -> None:
    """A request of just under 1 MiB must arrive whole."""
    text = "x" * (700 * 1024)
    _, reply = site.session(way).ask(echo(text), within(PATIENCE_S))
    assert text == echoed(reply)


@both_ways
@pytest.mark.parametrize("name", [JAPANESE, "'\"$(x) `n %PATH% ; & | > <", "a\nb\r\nc", "\U0001f5a5\u3000\u00a5"])
def test_name_comes_back_unharmed(site: Site, way: StdinWay, name: str) -> None:
    """A name must come back as it went, whatever shells and code pages lie between."""
    assert name == echoed(site.session(way).ask(echo(name), within(PATIENCE_S))[1])


@both_ways
def test_agent_is_told_how_long_it_may_take(site: Site, way: StdinWay) -> None:
    """What is sent must be the agent and then a line that says, in ms, what is left of the request's time."""
    lines: list[bytes] = []
    over = threading.Event()

    def listen(channel: paramiko.Channel, command: str) -> None:
        stdin = channel.makefile("rb")
        lines.append(stdin.readline())
        nonce, _ = read_command(command)
        channel.sendall(framed("hello", HELLO, nonce))
        lines.append(stdin.readline())
        channel.sendall(framed("1", Reply(results=()), nonce))
        over.wait(PATIENCE_S)

    site.door.scene = listen
    site.session(way).ask(Request(), within(2.0))
    over.set()
    number, limit, _ = lines[1].split(b" ")
    assert encode_script(agent_script()) == lines[0]
    assert b"1" == number
    assert 0 < int(limit) <= 2000


@both_ways
def test_noise_before_the_hello_does_no_harm(site: Site, way: StdinWay) -> None:
    """A host that greets with banners and warnings must be understood all the same."""
    site.mischief = Mischief(noise="Microsoft Windows [Version 10.0]\r\n\r\nWARNING: no module\r\n#< CLIXML\r\n")
    assert "a" == echoed(site.session(way).ask(echo("a"), within(PATIENCE_S))[1])


@both_ways
def test_stderr_that_is_never_read_does_not_stall(site: Site, way: StdinWay) -> None:
    """Megabytes on stderr, which shares the channel's window, must not keep the answer from coming."""

    def rant(channel: paramiko.Channel, command: str) -> None:
        for _ in range(64):
            channel.sendall_stderr(b"e" * 65536)
        site.door.run_agent(channel, command)

    site.door.scene = rant
    assert "a" == echoed(site.session(way).ask(echo("a"), within(PATIENCE_S))[1])


@both_ways
def test_late_hello_is_waited_for(site: Site, way: StdinWay) -> None:
    """The first PowerShell of an account, which is slow, must be waited for."""
    site.mischief = Mischief(late_hello=0.2)
    assert "a" == echoed(site.session(way).ask(echo("a"), within(PATIENCE_S))[1])


@both_ways
def test_hello_that_is_too_late(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A host that does not say hello in time must be given up after the limit of a hello."""
    monkeypatch.setattr(module, "HELLO_S", 0.2)
    site.host.may_say_hello.clear()
    with at_most(2.0):
        error = no_agent(site, way)
    assert "PowerShell or the agent does not come up" in error.what
    assert "no answer in time" in error.seen


@both_ways
def test_powershell_that_ends_at_once(site: Site, way: StdinWay) -> None:
    """A PowerShell that ends without a hello must be reported with its exit status and what it said on stderr."""

    def fail(channel: paramiko.Channel, _command: str) -> None:
        channel.sendall_stderr(CLIXML)
        channel.send_exit_status(1)
        channel.close()

    site.door.scene = fail
    error = no_agent(site, way)
    assert "exit status 1" in error.seen
    assert "Cannot create type." in error.seen


@both_ways
def test_exit_status_that_comes_after_the_end_of_output(site: Site, way: StdinWay) -> None:
    """The exit status and stderr must be reported although the output ended first, as it does with a real sshd."""

    def fail(channel: paramiko.Channel, _command: str) -> None:
        channel.shutdown_write()
        threading.Event().wait(0.05)
        channel.send_exit_status(23)
        channel.close()

    site.door.scene = fail
    assert "exit status 23" in no_agent(site, way).seen


@both_ways
def test_command_that_is_not_understood(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A PowerShell that is not where it should be must be reported in the words of the host's shell."""
    monkeypatch.setattr(module, "encode_command", lambda powershell, _bootstrap: f"{powershell} -Version")
    site.door.scene = site.door.run_agent
    error = no_agent(site, way)
    assert "exit status 9009" in error.seen
    assert "is not recognized" in error.seen


@both_ways
def test_exec_that_is_not_accepted(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A host that lets in but starts no command must be told from one on which PowerShell fails."""
    monkeypatch.setattr("ecx_hyperv.lab.sshd._Server.check_channel_exec_request", lambda *_: False)
    with pytest.raises(NoAgent, match="no command can be started"):
        site.session(way).ask(echo("x"), within(PATIENCE_S))


@both_ways
def test_exec_that_is_not_answered(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A host that never says whether it starts a command must be given up after the limit of a launch."""
    monkeypatch.setattr(ssh, "LAUNCH_S", 0.2)
    site.door.may_launch.clear()
    with at_most(2.0), pytest.raises(NoAgent, match="no command can be started") as caught:
        site.session(way).ask(echo("x"), within(PATIENCE_S))
    assert "no answer in time" == caught.value.seen


@both_ways
def test_no_channel_is_given(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A host that gives no channel, as when too many sessions are open, must be told from one without PowerShell."""
    monkeypatch.setattr("ecx_hyperv.lab.sshd._Server.check_channel_request", lambda *_: 4)
    with pytest.raises(NoAgent, match="no command can be started"):
        site.session(way).ask(echo("x"), within(PATIENCE_S))


@pytest.mark.parametrize("trouble", ["no exec", "no hello", "no PowerShell"])
def test_session_that_cannot_be_opened_leaves_no_connection_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """A connection over which no agent came up must be closed, since nobody else can: they would pile up."""
    monkeypatch.setattr(module, "HELLO_S", 0.2)
    if trouble == "no exec":
        monkeypatch.setattr("ecx_hyperv.lab.sshd._Server.check_channel_exec_request", lambda *_: False)
    elif trouble == "no hello":
        site.host.may_say_hello.clear()
    else:
        site.door.scene = lambda channel, _command: channel.close()
    with pytest.raises(NoAgent):
        site.session()
    assert happens(lambda: client_connections() == 0, 1.0)


@both_ways
@pytest.mark.parametrize(
    ("instead", "seen"),
    [
        ("\nNONCE hello !!!\n", "a broken hello frame"),
        ("\nNONCE what e30=\n", "neither an ID nor a kind"),
        ("\nNONCE 1 eyJyZXN1bHRzIjpbXX0=\n", "before it has said hello"),
        ("\nNONCE fatal eyJtZXNzYWdlIjoibm8gbGluZSJ9\n", "no line"),
    ],
    ids=["broken", "of no kind", "an answer", "fatal"],
)
def test_first_frame_that_is_no_hello(site: Site, way: StdinWay, instead: str, seen: str) -> None:
    """An agent that begins with anything but its hello must be given up at once."""
    site.mischief = Mischief(instead=instead)
    with at_most(2.0):
        error = no_agent(site, way)
    assert seen in str(error)


def go_wrong(site: Site, mischief: Mischief) -> Callable[[Request], Reply]:
    """Return an answer that goes wrong on its way, after a hello that did not."""

    def answer(_request: Request) -> Reply:
        site.mischief = mischief
        return Reply(results=())

    return answer


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
    site.host.answer = go_wrong(site, Mischief(instead=instead))
    assert seen in loss(site, way, seconds=1.0)


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


@both_ways
def test_endless_output_ends_the_session(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """An output that never ends must end the session and its connection long before the deadline."""
    monkeypatch.setattr(wire, "LONGEST", MIB)
    site.host.answer = go_wrong(site, Mischief(endless=True))
    with at_most(2.5):
        assert "its answer makes no sense" in loss(site, way, seconds=PATIENCE_S)
    assert happens(lambda: site.door.connections() == 0, 1.0)


@both_ways
def test_connection_that_breaks_ends_the_session_at_once(site: Site, way: StdinWay) -> None:
    """A connection that breaks in a request must end the session at once, and nothing be made up about PowerShell."""

    def break_off(request: Request) -> Reply:
        site.door.drop_all()
        return site.host.hold(request)

    site.host.answer = break_off
    with at_most(2.0):
        seen = loss(site, way, seconds=PATIENCE_S)
    assert "ended before the answer" in seen
    assert "exit status" not in seen


def test_connection_that_broke_before_is_noticed_at_once(site: Site) -> None:
    """A request over a connection that has broken meanwhile must fail at once."""
    session = site.session()
    site.door.drop_all()
    with at_most(2.0), pytest.raises(SessionLost):
        session.ask(echo("x"), within(PATIENCE_S))


def test_host_that_takes_no_more_input_holds_nobody(site: Site) -> None:
    """Sending to a host that does not read must end at the deadline, as a session that is lost."""
    site.door.scene = lambda _channel, _command: None
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
        session.ask(echo("first"), within(0.1))
    site.host.over.set()
    with pytest.raises(SessionLost):
        session.ask(echo("second"), within(0.3))


@both_ways
def test_closing_ends_connection_and_powershell(site: Site, way: StdinWay) -> None:
    """A session that is closed must leave no connection and no PowerShell behind."""
    session = site.session(way)
    session.ask(echo("x"), within(PATIENCE_S))
    session.close()
    assert happens(lambda: client_connections() == 0, 1.0)
    assert happens(lambda: all(channel.closed for channel in site.door.launched), 1.0)
