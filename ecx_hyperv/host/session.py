"""A session: one PowerShell with the agent on a host; requests are sent ahead, and answered in turn.

A session that missed a deadline or broke a frame is never used again: what it was asked last may have been carried
out, may still be, and its late answer would be taken for the next one's.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ecx_hyperv.config import StdinWay
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import NoAgent, SessionLost
from ecx_hyperv.host.agent import Agent
from ecx_hyperv.host.clock import HostClock
from ecx_hyperv.host.link import Answered
from ecx_hyperv.host.ssh import Connection
from ecx_hyperv.host.wire import Answer, Hello, Request, encode_request

# How long after a request's own limit its answer may still be on the way.
_GRACE_S = 2.0


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
        self._agent.expect(count)

    def receive(self, deadline: Deadline) -> Answered:
        """Wait for the next answer; raises SessionLost."""
        self._received += 1
        frame = self._agent.next_frame(Deadline(deadline.clock, deadline.end + _GRACE_S))
        if not isinstance(frame, Answer) or frame.id != self._received:
            raise SessionLost(self._agent.host, f"it answers something else than request {self._received}")
        sent, arrived = self._sent.popleft(), self._agent.arrived_at
        self._clock.heard(frame.reply.up_ms, sent, arrived)
        return Answered(self._hello, frame.reply, sent, arrived)


def _milliseconds(seconds: float, deadline: Deadline) -> int:
    return max(1, int(min(seconds, deadline.remaining()) * 1000))
