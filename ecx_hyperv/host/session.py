"""A session: one PowerShell with the agent on a host; requests are sent ahead, and answered in turn.

A session that missed a deadline or broke a frame is never used again: what it was asked last may have been carried
out, may still be, and its late answer would be taken for the next one's.
"""

import codecs
import queue
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol

import paramiko

from ecx_hyperv.config import StdinWay
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import NoAgent, SessionLost
from ecx_hyperv.host.clock import HostClock
from ecx_hyperv.host.link import Answered
from ecx_hyperv.host.ssh import Connection
from ecx_hyperv.host.wire import (
    Answer,
    Frame,
    Frames,
    GoodBye,
    Greeting,
    Hello,
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

    def send(self, requests: Sequence[tuple[Request, float]], deadline: Deadline) -> None:
        """Send requests, each with the seconds that it may take once its turn has come.

        Raises NoAgent if none can have arrived, SessionLost once one may have been carried out.
        """

    def receive(self, deadline: Deadline) -> Answered:
        """Wait for the answer to the oldest request without one; raises SessionLost."""

    def close(self) -> None:
        """End the session at once, without waiting for anybody."""


def open_session(
    connection: Connection, powershell: str, way: StdinWay, deadline: Deadline, clock: HostClock | None = None
) -> Session:
    """Start the agent on a host that is connected to; what it says of its time goes to `clock`. Raises NoAgent."""
    clock = clock or HostClock()
    if way is StdinWay.INPUT:
        return _InputSession(connection, powershell, clock)
    return _HandleSession(connection, powershell, deadline, clock)


@dataclass(frozen=True, slots=True)
class AgentLogin:
    """A login to a host, and how agents are started in it."""

    connection: Connection
    powershell: str
    way: StdinWay

    @property
    def is_active(self) -> bool:
        """Tell whether it is not known to be broken."""
        return self.connection.is_active

    def open_session(self, deadline: Deadline, clock: HostClock) -> Session:
        """Start an agent; raises NoAgent."""
        return open_session(self.connection, self.powershell, self.way, deadline, clock)

    def close(self) -> None:
        """End the login, and every session in it, at once."""
        self.connection.close()


class Agent:
    """One powershell.exe: its channel, and the threads that drain it."""

    def __init__(self, connection: Connection, powershell: str, way: StdinWay, deadline: Deadline) -> None:
        nonce = secrets.token_hex(16)
        self._clock = deadline.clock
        self.arrived_at = self.launched_at = deadline.clock.monotonic()
        self.host = connection.target.address
        self.connection = connection
        self._frames = Frames(nonce)
        self._inbox: queue.SimpleQueue[tuple[Frame | WireError | None, float]] = queue.SimpleQueue()
        self._stderr: deque[bytes] = deque(maxlen=16)
        self.first_line = encode_script(nonce, _AGENT)
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
        """Return the next frame, which came at `arrived_at`; raises SessionLost."""
        try:
            frame, self.arrived_at = self._inbox.get(timeout=max(0.05, deadline.remaining()))
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
                seen=f"{lost.what.split(': ', 1)[-1]}: {lost.seen}",
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

    def close(self) -> None:
        """End it at once: the agent leaves when its stdin ends."""
        # What a channel sends when it is closed may have to wait for the connection.
        threading.Thread(target=self._close, name="channel-close", daemon=True).start()

    def _close(self) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

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
                    self._put(frame)
            self._await_last_words()
            self._put(None)
        except WireError as error:
            self._put(error)
            # An output that never ends would otherwise fill the pipe for as long as the connection lives.
            self.connection.close()
        except (OSError, EOFError, paramiko.SSHException):
            self._put(None)

    def _put(self, frame: Frame | WireError | None) -> None:
        self._inbox.put((frame, self._clock.monotonic()))

    def _drain_stderr(self) -> None:
        try:
            while data := self._channel.recv_stderr(4096):
                self._stderr.append(data)
        except (OSError, EOFError, paramiko.SSHException):
            return


class _HandleSession:
    """One PowerShell for the whole session, its stdin held open."""

    def __init__(self, connection: Connection, powershell: str, deadline: Deadline, clock: HostClock) -> None:
        self._agent = Agent(connection, powershell, StdinWay.HANDLE, deadline)
        self._answers = _Answers(self._agent, clock)
        self._asked = 0
        try:
            self._agent.send(self._agent.first_line, deadline)
            self._answers.hello(deadline)
        except SessionLost as lost:
            self._agent.close()
            raise NoAgent(self._agent.host, lost.what, seen=self._agent.said()) from None
        except NoAgent:
            self._agent.close()
            raise

    def send(self, requests: Sequence[tuple[Request, float]], deadline: Deadline) -> None:
        """Send requests; raises SessionLost."""
        lines = []
        for request, seconds in requests:
            self._asked += 1
            lines.append(encode_request(self._asked, _milliseconds(seconds, deadline), request))
        self._answers.expect(len(lines), deadline.clock.monotonic())
        self._agent.send(b"".join(lines), deadline)

    def receive(self, deadline: Deadline) -> Answered:
        """Wait for the next answer; raises SessionLost."""
        return self._answers.receive(deadline)

    def close(self) -> None:
        """End the session at once."""
        self._agent.close()


class _InputSession:
    """One PowerShell for all that is sent together, which gathers all of its input first."""

    def __init__(self, connection: Connection, powershell: str, clock: HostClock) -> None:
        self._connection = connection
        self._powershell = powershell
        self._clock = clock
        self._agent: Agent | None = None
        self._answers: _Answers | None = None

    def send(self, requests: Sequence[tuple[Request, float]], deadline: Deadline) -> None:
        """Start a PowerShell and send requests; raises NoAgent, SessionLost."""
        self.close()
        self._agent = agent = Agent(self._connection, self._powershell, StdinWay.INPUT, deadline)
        self._answers = _Answers(agent, self._clock)
        lines = [
            encode_request(number, _milliseconds(seconds, deadline), request)
            for number, (request, seconds) in enumerate(requests, 1)
        ]
        self._answers.expect(len(lines), deadline.clock.monotonic())
        agent.send(agent.first_line + b"".join(lines), deadline)
        agent.end_input()
        try:
            self._answers.hello(deadline)
        except NoAgent as silent:
            # It has the requests, and may still come round to them.
            raise SessionLost(agent.host, silent.what, seen=silent.seen) from None

    def receive(self, deadline: Deadline) -> Answered:
        """Wait for the next answer; raises SessionLost."""
        if self._answers is None:
            raise SessionLost(self._connection.target.address, "nothing was asked")
        return self._answers.receive(deadline)

    def close(self) -> None:
        """End the session at once."""
        if self._agent is not None:
            self._agent.close()


class _Answers:
    """The answers of one PowerShell, matched to its requests, which it answers in turn."""

    def __init__(self, agent: Agent, clock: HostClock) -> None:
        self._agent = agent
        self._clock = clock
        self._hello = Hello(agent=0, host="")
        self._sent: deque[float] = deque()
        self._received = 0

    def hello(self, deadline: Deadline) -> None:
        """Wait for the agent's first words; raises NoAgent."""
        self._hello = self._agent.hello(deadline)
        self._clock.heard(self._hello.up_ms, self._agent.launched_at, self._agent.arrived_at)

    def expect(self, count: int, sent: float) -> None:
        """Take note of requests that are sent now."""
        self._sent.extend([sent] * count)

    def receive(self, deadline: Deadline) -> Answered:
        """Wait for the next answer; raises SessionLost."""
        self._received += 1
        frame = self._agent.next_frame(Deadline(deadline.clock, deadline.end + _GRACE_S))
        if not isinstance(frame, Answer) or frame.id != self._received:
            raise SessionLost(self._agent.host, f"it answers something else than request {self._received}")
        sent, arrived = self._sent.popleft(), self._agent.arrived_at
        self._clock.heard(frame.reply.up_ms, sent, arrived)
        return Answered(self._hello, frame.reply, sent, arrived)


def agent_script() -> str:
    """Return the agent, as it runs on a host."""
    return _AGENT


def _milliseconds(seconds: float, deadline: Deadline) -> int:
    return max(1, int(min(seconds, deadline.remaining()) * 1000))
