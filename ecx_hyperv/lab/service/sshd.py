"""The lab's SSH servers: real ones, by paramiko, one for each host and EC-VM that may log in to it."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import paramiko

from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.windows.agent import InjectedFaults, LaunchRefused, SimulatedAgent, SimulatedHost, read_command

_BACKLOG = 16
_GRANTED_S = 0.01


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in, with which key."""

    user: str
    key: paramiko.PKey


class SshEndpoint:
    """One address that a host answers at, in whatever way its sshd does just now."""

    def __init__(
        self,
        address: tuple[str, int],
        host_key: paramiko.PKey,
        account: Account,
        open_host: Callable[[], SimulatedHost],
        faults: Callable[[], InjectedFaults],
        on_login: Callable[[], None],
        grace: float = 5.0,
        on_round_trip: Callable[[], None] = lambda: None,
        run: Callable[[paramiko.Channel, str], int] | None = None,
    ) -> None:
        # What runs an exec request in place of the simulated agent: a real PowerShell.
        self._run_real = run
        self._grace = grace
        self._on_round_trip = on_round_trip
        self._address = address
        self._host_key = host_key
        self._account = account
        self._open_host = open_host
        self._faults = faults
        self._on_login = on_login
        self._listener: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._transports: set[paramiko.Transport] = set()
        self._lock = threading.Lock()
        self.state = Sshd.STOPPED

    def become(self, state: Sshd) -> None:
        """Answer, be filtered, refuse connections, or refuse logins, from now on."""
        if state is self.state:
            return
        self._close_listener()
        self.state = state
        if state in (Sshd.STOPPED, Sshd.SILENT):
            self.drop_all()
        if state is Sshd.SILENT:
            self._black_hole()
        elif state is not Sshd.STOPPED:
            self._listen()

    def close(self) -> None:
        """Answer nobody any more."""
        self._close_listener()
        self.drop_all()

    def drop_all(self) -> None:
        """Break every connection."""
        with self._lock:
            transports, self._transports = self._transports, set()
        for transport in transports:
            with suppress(OSError):
                transport.sock.close()

    def _listen(self) -> None:
        listener = _bound(self._address)
        listener.listen(_BACKLOG)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True, name="lab-accept").start()

    def _black_hole(self) -> None:
        """Drop what knocks, as a host without power does: the kernel ignores what a full backlog has no room for."""
        self._listener = _bound(self._address)
        self._listener.listen(0)
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)  # noqa: FBT003 - the socket's own signature
            with suppress(BlockingIOError):
                filler.connect(self._address)
            self._fillers.append(filler)

    def _close_listener(self) -> None:
        for one in (self._listener, *self._fillers):
            if one is not None:
                # A thread in accept() keeps a closed listener alive; this wakes it.
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._listener, self._fillers = None, []

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._welcome, args=(connection,), daemon=True, name="lab-login").start()

    def _welcome(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(self._host_key)
        with self._lock:
            self._transports.add(transport)
        with suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_Server(self, self._account))

    def logged_in(self) -> None:
        """Take note of a login."""
        self._on_login()

    def launch(self, channel: paramiko.Channel, command: str) -> None:
        """Run what an exec request asks for."""
        # The request is granted only after this returns; a command that ends at once must not be faster.
        run = threading.Timer(_GRANTED_S, self._run, args=(channel, command))
        run.daemon = True
        run.start()

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        status = 1
        with suppress(OSError, EOFError, paramiko.SSHException):
            try:
                if self._run_real is not None:
                    status = self._run_real(channel, command)
                else:
                    status = self._simulate(channel, command)
            except LaunchRefused as refused:
                channel.sendall_stderr(f"{refused}\r\n".encode())
                status = refused.status
            channel.send_exit_status(status)
            channel.close()

    def _simulate(self, channel: paramiko.Channel, command: str) -> int:
        """Be the agent that an exec request asks for; raises LaunchRefused."""
        nonce, gathers = read_command(command)
        stdin = _Lines(channel, self._on_round_trip)

        def kill() -> None:
            with suppress(OSError, EOFError, paramiko.SSHException):
                channel.send_exit_status(1)
                channel.close()

        agent = SimulatedAgent(
            nonce,
            self._open_host(),
            stdin.readline,
            channel.sendall,
            self._faults,
            way="input" if gathers else "handle",
            kill=kill,
            grace=self._grace,
        )
        return agent.run()


class _Lines:
    """The lines that a client sends; each that had to be waited for, but the agent itself, is a round trip."""

    def __init__(self, channel: paramiko.Channel, on_round_trip: Callable[[], None]) -> None:
        self._channel = channel
        self._on_round_trip = on_round_trip
        self._buffer = bytearray()
        self._is_first = True

    def readline(self) -> bytes:
        """Return the next line; without its end what is left, once the client sends no more."""
        was_waited_for = False
        while b"\n" not in self._buffer:
            data = self._channel.recv(65536)
            was_waited_for = True
            if not data:
                break
            self._buffer += data
        end = self._buffer.find(b"\n") + 1 or len(self._buffer)
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        if line and was_waited_for and not self._is_first:
            self._on_round_trip()
        self._is_first = False
        return line


class _Server(paramiko.ServerInterface):
    """What a connection may do: log in with the key, and start one command a channel."""

    def __init__(self, endpoint: SshEndpoint, account: Account) -> None:
        self._endpoint = endpoint
        self._account = account

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        fits = username == self._account.user and key == self._account.key
        if not fits or self._endpoint.state is Sshd.REFUSING:
            return paramiko.common.AUTH_FAILED
        self._endpoint.logged_in()
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del chanid
        if kind == "session":
            return paramiko.common.OPEN_SUCCEEDED
        return paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._endpoint.launch(channel, command.decode("utf-8", "replace"))
        return True


def _bound(address: tuple[str, int]) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    return bound
