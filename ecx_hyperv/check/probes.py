"""What the program takes for granted of PowerShell behind sshd, tried on a host without touching anything there."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ecx_hyperv.config import StdinWay
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import HostError, SessionLost
from ecx_hyperv.host.agent import HELLO_S, Agent
from ecx_hyperv.host.ssh import Connection
from ecx_hyperv.host.wire import Answer, Call, Reply, Request, encode_request

JAPANESE = "仮想マシン①髙橋"
REPLY_BYTES = 1024 * 1024
_PIECE = "0123456789abcdef" * 64
_REQUEST_S = 20.0
_END_S = 10.0
# The deadman waits 5 s on top of a request's limit, and looks five times a second.
_SLEEP_LIMIT_S, _SLEEP_S, _DEADMAN_S = 1.0, 60.0, 12.0

_REFUSED = (
    Call(cmdlet="Remove-VM", args={"Name": "ecx-hyperv check"}),
    Call(cmdlet="Get-VM", args={"Name": "ecx-hyperv check", "ComputerName": "localhost"}),
)


@dataclass(slots=True)
class ProbeResult:
    """What came of the trials on one host; a text says why not, empty is yes, None is not tried."""

    handle: str | None = None
    input: str | None = None
    hello_s: float | None = None
    names: str | None = None
    reply: str | None = None
    refusal: str | None = None
    idle: str | None = None
    idle_s: float = 0.0
    end: str | None = None
    deadman: str | None = None
    trouble: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WireProbe:
    """How one host is tried: its connections, its PowerShell, how long its stdin is left idle."""

    connect: Callable[[Deadline], Connection]
    powershell: str
    idle_s: float
    hello_s: float = HELLO_S
    deadman_s: float = _DEADMAN_S
    end_s: float = _END_S
    request_s: float = _REQUEST_S

    def run(self, deadline: Deadline) -> ProbeResult:
        """Try everything; raises nothing that a host may cause."""
        tried = ProbeResult(idle_s=self.idle_s)
        try:
            connection = self.connect(deadline)
        except HostError as error:
            tried.trouble.append(error.details)
            return tried
        try:
            self._on(connection, tried, deadline)
        except HostError as error:
            tried.trouble.append(error.details)
        finally:
            connection.close()
        return tried

    def _on(self, connection: Connection, tried: ProbeResult, deadline: Deadline) -> None:
        agent = self._by_handle(connection, tried, deadline)
        deadman = threading.Thread(target=self._deadman, args=(connection, tried, deadline), daemon=True)
        if agent is not None:
            deadman.start()
        self._by_input(connection, tried, deadline, answers_too=agent is None)
        if agent is not None:
            held = _Held(agent, self.request_s)
            _echo_and_refuse(lambda request: held.ask(request, deadline), tried)
            self._idle(held, tried, deadline)
            deadman.join(self.deadman_s + self.request_s)

    def _start(self, connection: Connection, way: StdinWay, deadline: Deadline) -> Agent:
        return Agent(connection, self.powershell, way, deadline)

    def _by_handle(self, connection: Connection, tried: ProbeResult, deadline: Deadline) -> Agent | None:
        began = deadline.clock.monotonic()
        try:
            agent = self._start(connection, StdinWay.HANDLE, deadline)
            agent.send(agent.first_line, deadline)
            agent.hello(deadline.within(self.hello_s))
        except HostError as error:
            tried.handle = str(error)
            return None
        tried.handle, tried.hello_s = "", deadline.clock.monotonic() - began
        return agent

    def _by_input(self, connection: Connection, tried: ProbeResult, deadline: Deadline, *, answers_too: bool) -> None:
        def ask(request: Request) -> Reply:
            began = deadline.clock.monotonic()
            limit = deadline.within(self.request_s)
            agent = self._start(connection, StdinWay.INPUT, limit)
            agent.expect(1)
            agent.send(agent.first_line + _line(1, request, limit), limit)
            agent.end_input()
            agent.hello(limit)
            tried.hello_s = tried.hello_s or deadline.clock.monotonic() - began
            return _reply(agent, 1, limit)

        try:
            ask(Request())
        except HostError as error:
            tried.input = str(error)
            return
        tried.input = ""
        if answers_too:
            _echo_and_refuse(ask, tried)

    def _idle(self, held: "_Held", tried: ProbeResult, deadline: Deadline) -> None:
        """Leave stdin open and idle, ask again, and then end it."""
        deadline.sleep(self.idle_s)
        try:
            held.ask(Request(), deadline)
            tried.idle = ""
        except HostError as error:
            tried.idle = str(error)
        held.agent.end_input()
        tried.end = (
            "" if held.agent.ended_within(deadline.within(self.end_s)) else f"it is still there {self.end_s:g} s later"
        )

    def _deadman(self, connection: Connection, tried: ProbeResult, deadline: Deadline) -> None:
        """Have a second PowerShell sleep past its limit; it must be gone soon after."""
        sleep = Request(calls=(Call(cmdlet="Agent-Sleep", args={"Milliseconds": int(_SLEEP_S * 1000)}),))
        try:
            agent = self._start(connection, StdinWay.HANDLE, deadline)
            agent.send(agent.first_line, deadline)
            agent.hello(deadline)
            agent.expect(1)
            agent.send(encode_request(1, int(_SLEEP_LIMIT_S * 1000), sleep), deadline)
            gone = agent.ended_within(deadline.within(self.deadman_s))
        except HostError as error:
            tried.trouble.append(error.details)
            return
        tried.deadman = "" if gone else f"it still slept after {self.deadman_s:g} s; {_SLEEP_LIMIT_S:g} s was its limit"


class _Held:
    """A PowerShell whose stdin is held open, asked one thing after the other."""

    def __init__(self, agent: Agent, seconds: float) -> None:
        self.agent = agent
        self._seconds = seconds
        self._asked = 0

    def ask(self, request: Request, deadline: Deadline) -> Reply:
        self._asked += 1
        limit = deadline.within(self._seconds)
        self.agent.expect(1)
        self.agent.send(_line(self._asked, request, limit), limit)
        return _reply(self.agent, self._asked, limit)


def _echo_and_refuse(ask: Callable[[Request], Reply], tried: ProbeResult) -> None:
    try:
        tried.names = _echoed(ask(_echo(JAPANESE, 1)), JAPANESE)
        refused = ask(Request(calls=_REFUSED, stop_on_error=False)).results
        done = [
            call.cmdlet for call, one in zip(_REFUSED, refused, strict=False) if one.ok or not _is_refusal(one.error)
        ]
        tried.refusal = f"not refused: {', '.join(done)}" if done else ""
        times = REPLY_BYTES // len(_PIECE)
        tried.reply = _echoed(ask(_echo(_PIECE, times)), _PIECE * times)
    except HostError as error:
        for part in ("names", "refusal", "reply"):
            if getattr(tried, part) is None:
                setattr(tried, part, str(error))
                return


def _is_refusal(error: object) -> bool:
    return getattr(error, "id", None) == "BadRequest"


def _echo(text: str, times: int) -> Request:
    return Request(calls=(Call(cmdlet="Agent-Echo", args={"Text": text, "Repeat": times}, select=("Text",)),))


def _echoed(reply: Reply, wanted: str) -> str:
    got = [str(row.get("Text")) for result in reply.results for row in result.value]
    if got == [wanted]:
        return ""
    return f"{len(got[0])} characters came back of {len(wanted)}: {got[0][:20]!r}" if got else "nothing came back"


def _line(number: int, request: Request, limit: Deadline) -> bytes:
    return encode_request(number, max(1, int(limit.remaining() * 1000)), request)


def _reply(agent: Agent, number: int, limit: Deadline) -> Reply:
    frame = agent.next_frame(limit)
    if not isinstance(frame, Answer) or frame.id != number:
        raise SessionLost(agent.host, f"it answers something else than request {number}")
    return frame.reply
