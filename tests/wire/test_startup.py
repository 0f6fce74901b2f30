"""How a session comes about over real SSH, or what is said when PowerShell or the agent does not come up."""

import threading
from io import StringIO

import paramiko
import pytest

from ecx_hyperv.config import StdinWay
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError, NoAgent, SessionLost
from ecx_hyperv.host import agent as module
from ecx_hyperv.host import ssh
from ecx_hyperv.host.hosts import SshHosts
from ecx_hyperv.host.link import Ask
from ecx_hyperv.host.ssh import Connection
from ecx_hyperv.lab.windows.agent import InjectedFaults
from ecx_hyperv.log import LogFormat, open_log
from tests.wire.support import PATIENCE_S, Site, answered, at_most, client_connections, echo, echoed, happens, within

both_ways = pytest.mark.parametrize("way", list(StdinWay), ids=lambda way: way.value)
CLIXML = b'#< CLIXML\r\n<Objs Version="1.1.0.1"><S S="Error">Cannot create type._x000D_</S></Objs>'


def no_agent(site: Site, way: StdinWay = StdinWay.HANDLE) -> HostError:
    """Return the error of a host on which the agent does not come up."""
    with pytest.raises(HostError) as caught:
        answered(site.session(way), echo("x"), within(PATIENCE_S))
    # Whether the agent has its request already depends on the way in.
    assert caught.type is (NoAgent if way is StdinWay.HANDLE else SessionLost)
    return caught.value


def fail(channel: paramiko.Channel, _command: str) -> None:
    """End as a PowerShell does whose bootstrap may not run."""
    channel.sendall_stderr(CLIXML)
    channel.send_exit_status(1)
    channel.close()


@both_ways
def test_late_hello_is_waited_for(site: Site, way: StdinWay) -> None:
    """The first PowerShell of an account, which is slow, must be waited for."""
    site.faults = InjectedFaults(late_hello=0.2)
    assert "a" == echoed(answered(site.session(way), echo("a"), within(PATIENCE_S))[1])


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
    site.endpoint.script = fail
    error = no_agent(site, way)
    assert "exit status 1" in error.seen
    assert "Cannot create type." in error.seen


@both_ways
def test_powershell_that_ends_while_it_is_sent_to(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A PowerShell that ends before it was told everything must be reported as fully as one that ends after."""
    send = ssh.Connection.send

    def send_too_late(connection: Connection, channel: paramiko.Channel, data: bytes, deadline: Deadline) -> None:
        send(connection, channel, data[:100], deadline)
        happens(lambda: channel.closed)
        send(connection, channel, data[100:], deadline)

    monkeypatch.setattr(ssh.Connection, "send", send_too_late)
    site.endpoint.script = fail
    error = no_agent(site, way)
    assert "exit status 1" in error.seen
    assert "Cannot create type." in error.seen


@both_ways
def test_exit_status_that_comes_after_the_end_of_output(site: Site, way: StdinWay) -> None:
    """The exit status and stderr must be reported although the output ended first, as it does with a real sshd."""

    def fail_slowly(channel: paramiko.Channel, _command: str) -> None:
        channel.shutdown_write()
        threading.Event().wait(0.05)
        channel.send_exit_status(23)
        channel.close()

    site.endpoint.script = fail_slowly
    assert "exit status 23" in no_agent(site, way).seen


@both_ways
def test_command_that_is_not_understood(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A PowerShell that is not where it should be must be reported in the words of the host's shell."""
    monkeypatch.setattr(module, "encode_command", lambda powershell, _bootstrap: f"{powershell} -Version")
    site.endpoint.script = site.endpoint.run_agent
    error = no_agent(site, way)
    assert "exit status 9009" in error.seen
    assert "is not recognized" in error.seen


@both_ways
def test_exec_that_is_not_accepted(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A host that lets in but starts no command must be told from one on which PowerShell fails."""
    monkeypatch.setattr("ecx_hyperv.lab.service.sshd._Server.check_channel_exec_request", lambda *_: False)
    with pytest.raises(NoAgent, match="no command can be started"):
        answered(site.session(way), echo("x"), within(PATIENCE_S))


@both_ways
def test_exec_that_is_not_answered(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A host that never says whether it starts a command must be given up after the limit of a launch."""
    monkeypatch.setattr(ssh, "LAUNCH_S", 0.2)
    site.endpoint.may_launch.clear()
    with at_most(2.0), pytest.raises(NoAgent, match="no command can be started") as caught:
        answered(site.session(way), echo("x"), within(PATIENCE_S))
    assert "no answer in time" == caught.value.seen


@both_ways
def test_no_channel_is_given(site: Site, monkeypatch: pytest.MonkeyPatch, way: StdinWay) -> None:
    """A host that gives no channel, as when too many sessions are open, must be told from one without PowerShell."""
    monkeypatch.setattr("ecx_hyperv.lab.service.sshd._Server.check_channel_request", lambda *_: 4)
    with pytest.raises(NoAgent, match="no command can be started"):
        answered(site.session(way), echo("x"), within(PATIENCE_S))


@pytest.mark.parametrize("trouble", ["no exec", "no hello", "no PowerShell"])
def test_session_that_cannot_be_opened_leaves_no_connection_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """A connection over which no agent came up must be closed, since nobody else can: they would pile up."""
    clock = SystemClock()
    log = open_log(clock, "test", form=LogFormat.TEXT, verbose=True, stream=StringIO())
    hosts = SshHosts(lambda _side, _deadline, on_life: site.log_in(on_life=on_life), {Side.LOCAL: "h"}, clock, log)
    monkeypatch.setattr(module, "HELLO_S", 0.2)
    if trouble == "no exec":
        monkeypatch.setattr("ecx_hyperv.lab.service.sshd._Server.check_channel_exec_request", lambda *_: False)
    elif trouble == "no hello":
        site.host.may_say_hello.clear()
    else:
        site.endpoint.script = lambda channel, _command: channel.close()
    came = hosts.exchange({Side.LOCAL: [Ask(echo("x"), PATIENCE_S)]}, within(PATIENCE_S))
    assert [NoAgent] == [type(one) for one in came[Side.LOCAL]]
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
    site.faults = InjectedFaults(instead=instead)
    with at_most(2.0):
        error = no_agent(site, way)
    assert seen in str(error)
