"""What the tests of the wire share: frames, key pairs, and a real SSH server with an agent that does as it is told."""

import base64
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from ecx_hyperv.config import Ssh, StdinWay
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.host.clock import HostClock
from ecx_hyperv.host.session import AgentLogin, Session
from ecx_hyperv.host.ssh import Connection, SshTarget, connect
from ecx_hyperv.host.wire import Call, Hello, Reply, Request, Result
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.service.sshd import Account, SshEndpoint
from ecx_hyperv.lab.windows.agent import InjectedFaults

NONCE = "0123456789abcdef" * 2
JAPANESE = "\u4eee\u60f3\u30de\u30b7\u30f3-\u672c\u756a"
UP_MS = 86_400_250
HELLO = Hello(
    agent=2, host="WS2019-HOST-1", ps="5.1.17763.1", language="FullLanguage", up_ms=UP_MS, free_memory=12884901888
)
USER = "Administrator@2016dom.local"
POWERSHELL: str = next(field.default for field in msgspec.structs.fields(Ssh) if field.name == "powershell")
# Long enough for a machine under load; a test that waits this long has failed.
PATIENCE_S = 10.0


def framed(kind: str, content: object, nonce: str = NONCE) -> bytes:
    """Return a frame; bytes stand for themselves, anything else for its JSON."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return f"\n{nonce} {kind} ".encode() + base64.b64encode(body) + b"\n"


def echo(text: str, repeat: int = 1) -> Request:
    """Return a request whose answer is the text, so many times."""
    return Request(calls=(Call(cmdlet="Agent-Echo", args={"Text": text, "Repeat": repeat}, select=("Text",)),))


def echoed(reply: Reply) -> object:
    """Return the text of an answer to such a request."""
    return reply.results[0].value[0]["Text"]


def answered(session: Session, request: Request, deadline: Deadline) -> tuple[Hello, Reply]:
    """Ask one thing, and wait for the answer."""
    session.send([(request, deadline.remaining())], deadline)
    answer = session.receive(deadline)
    return answer.hello, answer.reply


def within(seconds: float) -> Deadline:
    """Return the deadline that many seconds from now."""
    return Deadline.after(SystemClock(), seconds)


def happens(condition: Callable[[], bool], seconds: float = 2.0) -> bool:
    """Tell whether something comes about within that time."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.005)
    return True


def client_connections() -> int:
    """Count the SSH connections that this process has open to hosts."""
    threads = [thread for thread in threading.enumerate() if isinstance(thread, paramiko.Transport)]
    return sum(1 for thread in threads if not thread.server_mode)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail what takes longer than that."""
    before = time.monotonic()
    yield
    assert time.monotonic() - before < seconds


def make_key(path: Path, private: PrivateKeyTypes | None = None) -> paramiko.PKey:
    """Write a private key as ssh-keygen does, and return it."""
    path.write_bytes(
        (private or Ed25519PrivateKey.generate()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    return paramiko.PKey.from_path(path)


def make_ecdsa_key(path: Path) -> paramiko.PKey:
    """Write a private key of another kind than the hosts have, and return it."""
    return make_key(path, generate_private_key(SECP256R1()))


class FakeHost:
    """A host's PowerShell, that says hello when it may, and answers as a test has told it to."""

    def __init__(self) -> None:
        self.may_say_hello = threading.Event()
        self.may_say_hello.set()
        self.over = threading.Event()
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Reply] = answer_echo

    def hello(self) -> Hello:
        """Return the agent's first words, as soon as it may say them."""
        self.may_say_hello.wait(PATIENCE_S)
        return HELLO

    def perform(self, request: Request) -> Reply:
        """Carry out a request."""
        self.requests.append(request)
        return self.answer(request)

    def hold(self, request: Request) -> Reply:
        """Take until the end of the test for an answer."""
        self.over.wait(PATIENCE_S)
        return answer_echo(request)


def answer_echo(request: Request) -> Reply:
    """Answer the agent's own call Agent-Echo, and nothing to any other."""
    rows = [
        ({"Text": str(call.args["Text"]) * int(str(call.args.get("Repeat", 1)))},)
        for call in request.calls
        if call.cmdlet == "Agent-Echo"
    ]
    return Reply(results=tuple(Result(ok=True, value=row) for row in rows), up_ms=UP_MS)


class ScriptedEndpoint(SshEndpoint):
    """A host's SSH server; what an exec request starts may be replaced by a script of the test's own."""

    script: Callable[[paramiko.Channel, str], None] | None = None

    def __init__(self, site: "Site", host_key: paramiko.PKey, key: paramiko.PKey) -> None:
        account = Account(USER, key)
        super().__init__(site.place, host_key, account, lambda: site.host, lambda: site.faults, site.count_login)
        self.may_launch = threading.Event()
        self.may_launch.set()
        self.launched: list[paramiko.Channel] = []

    def launch(self, channel: paramiko.Channel, command: str) -> None:
        """Run the script, if there is one, else the agent."""
        self.launched.append(channel)
        self.may_launch.wait(PATIENCE_S)
        if self.script is None:
            super().launch(channel, command)
        else:
            threading.Thread(target=self._play, args=(self.script, channel, command), daemon=True).start()

    def run_agent(self, channel: paramiko.Channel, command: str) -> None:
        """Run the agent, as if there were no script."""
        super().launch(channel, command)

    @staticmethod
    def _play(script: Callable[[paramiko.Channel, str], None], channel: paramiko.Channel, command: str) -> None:
        # The client sends only once it knows that the command was started; a real sshd says nothing before either.
        happens(channel.recv_ready, PATIENCE_S)
        with suppress(OSError, EOFError, paramiko.SSHException):
            script(channel, command)

    def connections(self) -> int:
        """Count the connections, with a command started in them, that still live."""
        transports = [channel.get_transport() for channel in self.launched]
        return len({transport for transport in transports if transport.is_active()})


class Site:
    """A host as this EC-VM sees it: an address, a pinned key, a key to log in with, and a server behind it all."""

    def __init__(self, folder: Path, number: int = 1, host_key: PrivateKeyTypes | None = None) -> None:
        self.folder = folder
        self.host = FakeHost()
        self.faults = InjectedFaults()
        self.logins = 0
        self.place = free_place(number)
        self.key = folder / f"id-{number}"
        self.known_hosts = folder / f"known_hosts-{number}"
        key = make_key(folder / f"host-{number}", host_key)
        self.pin(key)
        self.endpoint = ScriptedEndpoint(self, key, make_key(self.key))
        self._connections: list[Connection] = []

    def pin(self, *keys: paramiko.PKey) -> None:
        """Make these the host's pinned keys."""
        known = paramiko.HostKeys()
        for key in keys:
            known.add(self.target.entry, key.get_name(), key)
        known.save(str(self.known_hosts))

    def count_login(self) -> None:
        """Take note of a login."""
        self.logins += 1

    @property
    def target(self) -> SshTarget:
        """Return where to log in, and with what."""
        return SshTarget(*self.place, USER, str(self.key), str(self.known_hosts))

    def open(self) -> None:
        """Answer from now on."""
        self.endpoint.become(Sshd.UP)

    def connect(self, seconds: float = PATIENCE_S, on_life: Callable[[], None] = lambda: None) -> Connection:
        """Log in."""
        connection = connect(self.target, within(seconds), on_life)
        self._connections.append(connection)
        return connection

    def session(
        self,
        way: StdinWay = StdinWay.HANDLE,
        deadline: Deadline | None = None,
        on_life: Callable[[], None] = lambda: None,
    ) -> Session:
        """Log in and start the agent."""
        return self.log_in(way, on_life).open_session(deadline or within(PATIENCE_S), HostClock())

    def log_in(self, way: StdinWay = StdinWay.HANDLE, on_life: Callable[[], None] = lambda: None) -> AgentLogin:
        """Log in; agents are started in it."""
        return AgentLogin(self.connect(on_life=on_life), POWERSHELL, way)

    def close(self) -> None:
        """End everything."""
        for event in (self.host.may_say_hello, self.host.over, self.endpoint.may_launch):
            event.set()
        for connection in self._connections:
            connection.close()
        self.endpoint.close()


def go_wrong(site: Site, faults: InjectedFaults) -> Callable[[Request], Reply]:
    """Return an answer that goes wrong on its way, after a hello that did not."""

    def answer(_request: Request) -> Reply:
        site.faults = faults
        return Reply(results=())

    return answer


def free_place(number: int) -> tuple[str, int]:
    """Return an address and a port that nobody listens on; tests that run side by side have addresses of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    address = f"127.77.9.{worker % 25 * 10 + number}"
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
    return address, port


@contextmanager
def listener(place: tuple[str, int], greet: Callable[[socket.socket], None]) -> Iterator[None]:
    """Listen without being an SSH server: hand each connection over, and keep it open until the end."""
    with socket.create_server(place) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                accepted.append(connection)
                with suppress(OSError):
                    greet(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)
            for connection in accepted:
                connection.close()


def send_raw(channel: paramiko.Channel, kind: bytes, *fields: object) -> None:
    """Send a message of SSH on a channel as it stands, whatever the channel's window allows."""
    message = paramiko.Message()
    message.add_byte(kind)
    message.add_int(channel.remote_chanid)
    for field in fields:
        if isinstance(field, bool):
            message.add_boolean(field)
        elif isinstance(field, int):
            message.add_int(field)
        else:
            message.add_string(field)  # type: ignore[arg-type]
    channel.get_transport()._send_message(message)  # type: ignore[attr-defined]
