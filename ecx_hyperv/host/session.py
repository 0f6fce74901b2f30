"""A session: one PowerShell with the agent on a host, asked one request at a time.

A session that missed a deadline or broke a frame is never used again: what it was asked last may have been carried
out, may still be, and its late answer would be taken for the next one's.
"""

import codecs
import queue
import secrets
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Protocol

import paramiko

from ecx_hyperv.config import StdinWay
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import NoAgent, SessionLost
from ecx_hyperv.host.ssh import Connection
from ecx_hyperv.host.wire import (
    Answer,
    Frame,
    Frames,
    GoodBye,
    Greeting,
    Hello,
    Reply,
    Request,
    WireError,
    encode_command,
    encode_request,
    encode_script,
)

# The very first PowerShell of an account builds its caches.
HELLO_S = 30.0
# How long after a request's own limit its answer may still be on the way.
_GRACE_S = 2.0
_KEPT_STDERR = 16 * 1024
_LAST_WORDS_S = 0.5
_POLL_S = 0.05


def _read(script: str) -> str:
    return files(__package__).joinpath(script).read_text(encoding="ascii")


# All at once, before any host is reached: an upgrade may replace the files while a run is under way.
codecs.lookup("utf-16-le")
_AGENT = _read("agent.ps1")
_BOOTSTRAPS = {way: _read(f"bootstrap_{way.value}.ps1") for way in StdinWay}


class Session(Protocol):
    """A way to ask one host."""

    def ask(self, request: Request, deadline: Deadline) -> tuple[Hello, Reply]:
        """Carry out a request; raises NoAgent before it was sent, SessionLost once it may have been carried out."""

    def close(self) -> None:
        """End the session at once."""


def open_session(connection: Connection, powershell: str, way: StdinWay, deadline: Deadline) -> Session:
    """Start the agent on a host that is connected to; raises NoAgent."""
    if way is StdinWay.INPUT:
        return _InputSession(connection, powershell)
    try:
        return _HandleSession(connection, powershell, deadline)
    except BaseException:
        connection.close()
        raise


class Agent:
    """One powershell.exe: its channel, and the threads that drain it."""

    def __init__(self, connection: Connection, powershell: str, way: StdinWay, deadline: Deadline) -> None:
        nonce = secrets.token_hex(16)
        self.host = connection.target.address
        self.connection = connection
        self._frames = Frames(nonce)
        self._inbox: queue.SimpleQueue[Frame | WireError | None] = queue.SimpleQueue()
        self._stderr: deque[bytes] = deque(maxlen=16)
        script = _BOOTSTRAPS[way].replace("NONCE", nonce)
        self._channel = connection.launch(encode_command(powershell, script), deadline)
        self._stderr_drain = self._start(self._drain_stderr)
        self._start(self._drain_stdout)

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send everything; raises SessionLost."""
        try:
            self.connection.send(self._channel, data, deadline)
        except SessionLost as lost:
            self._await_last_words()
            raise SessionLost(self.host, lost.what, seen=f"{lost.seen}; {self.said()}") from None

    def end_input(self) -> None:
        """Close this side: whoever reads there finds the end."""
        # Whoever waits for the answer is told what became of the connection.
        with suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.shutdown_write()

    def next_frame(self, deadline: Deadline) -> Frame:
        """Return the next frame; raises SessionLost."""
        try:
            frame = self._inbox.get(timeout=max(0.05, deadline.remaining()))
        except queue.Empty:
            raise SessionLost(self.host, "no answer in time", seen=self.said()) from None
        if isinstance(frame, WireError):
            raise SessionLost(self.host, "its answer makes no sense", seen=f"{frame}; {self.said()}")
        if frame is None:
            raise SessionLost(self.host, "the session ended before the answer", seen=self.said())
        if isinstance(frame, GoodBye):
            raise SessionLost(self.host, "the agent gave up", seen=frame.message)
        return frame

    def hello(self, deadline: Deadline) -> Hello:
        """Wait for the agent's first words; raises NoAgent."""
        try:
            frame = self.next_frame(deadline.within(HELLO_S))
        except SessionLost as lost:
            raise NoAgent(
                self.host,
                "PowerShell or the agent does not come up",
                seen=f"{lost.what}: {lost.seen}",
                remedy="log in there by ssh and run powershell; see its language mode and any AppLocker or WDAC policy",
            ) from None
        if not isinstance(frame, Greeting):
            raise NoAgent(self.host, "the agent answers before it has said hello")
        return frame.hello

    def ended_within(self, deadline: Deadline) -> bool:
        """Wait for the PowerShell to end, and tell whether it has by then."""
        while not self._channel.exit_status_ready():
            if deadline.has_passed:
                return False
            deadline.sleep(_POLL_S)
        return True

    def said(self) -> str:
        """Return what the host said beside its frames, and how its PowerShell ended if it did."""
        # It is -1 until the host has told it, also on a channel that is closed.
        ended = f"exit status {self._channel.exit_status}" if self._channel.exit_status != -1 else ""
        stderr = b"".join(self._stderr)[-_KEPT_STDERR:].decode("utf-8", "replace")
        parts = (ended, self._frames.noise[-400:], " ".join(stderr.split())[-400:])
        return "; ".join(part for part in parts if part) or "nothing else said"

    def _start(self, drain: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=drain, name=f"{drain.__name__}-{self.host}", daemon=True)
        thread.start()
        return thread

    def _await_last_words(self) -> None:
        """Wait a moment for what a PowerShell that ends still says: its exit status comes after its output's end."""
        self._channel.status_event.wait(_LAST_WORDS_S)
        self._stderr_drain.join(_LAST_WORDS_S)

    def _drain_stdout(self) -> None:
        try:
            while data := self._channel.recv(65536):
                for frame in self._frames.feed(data):
                    self._inbox.put(frame)
            self._await_last_words()
            self._inbox.put(None)
        except WireError as error:
            self._inbox.put(error)
            # An output that never ends would otherwise fill the pipe for as long as the connection lives.
            self.connection.close()
        except (OSError, EOFError, paramiko.SSHException):
            self._inbox.put(None)

    def _drain_stderr(self) -> None:
        try:
            while data := self._channel.recv_stderr(4096):
                self._stderr.append(data)
        except (OSError, EOFError, paramiko.SSHException):
            return


class _HandleSession:
    """One PowerShell for the whole session, its stdin held open."""

    def __init__(self, connection: Connection, powershell: str, deadline: Deadline) -> None:
        self._agent = Agent(connection, powershell, StdinWay.HANDLE, deadline)
        self._asked = 0
        try:
            self._agent.send(encode_script(agent_script()), deadline)
        except SessionLost as lost:
            raise NoAgent(self._agent.host, lost.what, seen=self._agent.said()) from None
        self._hello = self._agent.hello(deadline)

    def ask(self, request: Request, deadline: Deadline) -> tuple[Hello, Reply]:
        """Carry out a request; raises SessionLost."""
        self._asked += 1
        self._agent.send(encode_request(self._asked, _milliseconds(deadline), request), deadline)
        return self._hello, _answer(self._agent, self._asked, deadline)

    def close(self) -> None:
        """End the session at once: the agent leaves when its stdin ends."""
        self._agent.connection.close()


class _InputSession:
    """One PowerShell for each request, which gathers all of its input first."""

    def __init__(self, connection: Connection, powershell: str) -> None:
        self._connection = connection
        self._powershell = powershell

    def ask(self, request: Request, deadline: Deadline) -> tuple[Hello, Reply]:
        """Carry out a request; raises NoAgent, SessionLost."""
        agent = Agent(self._connection, self._powershell, StdinWay.INPUT, deadline)
        agent.send(encode_script(agent_script()) + encode_request(1, _milliseconds(deadline), request), deadline)
        agent.end_input()
        try:
            hello = agent.hello(deadline)
        except NoAgent as silent:
            # It has the request, and may still come round to it.
            raise SessionLost(agent.host, silent.what, seen=silent.seen) from None
        return hello, _answer(agent, 1, deadline)

    def close(self) -> None:
        """End the session at once."""
        self._connection.close()


def agent_script() -> str:
    """Return the agent, as it runs on a host."""
    return _AGENT


def _milliseconds(deadline: Deadline) -> int:
    return max(1, int(deadline.remaining() * 1000))


def _answer(agent: Agent, number: int, deadline: Deadline) -> Reply:
    frame = agent.next_frame(Deadline(deadline.clock, deadline.end + _GRACE_S))
    if not isinstance(frame, Answer) or frame.id != number:
        raise SessionLost(agent.host, f"it answers something else than request {number}")
    return frame.reply
