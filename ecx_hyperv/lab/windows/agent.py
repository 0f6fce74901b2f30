"""The far side of the wire, as a host that runs our agent would be it; behind the lab's SSH server or a real sshd."""

import base64
import binascii
import re
import threading
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from ecx_hyperv.host.agent import agent_script
from ecx_hyperv.host.wire import Hello, Reply, Request, Result

_COMMAND = re.compile(
    r"(?P<powershell>[A-Za-z0-9+/=:.\\~-]+) -NoLogo -NoProfile -NonInteractive"
    r" -ExecutionPolicy Bypass -EncodedCommand (?P<bootstrap>[A-Za-z0-9+/=]+)"
)
_NONCE = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_HEADER = re.compile(r"# ecx-hyperv nonce=(?P<nonce>[0-9a-f]{32}) agent=2")
_LONGEST_COMMAND = 8191
# cmd.exe's exit code for what it cannot make sense of.
_NOT_UNDERSTOOD = 9009
# How long after a request's limit the agent's deadman waits; how long one stays that does not leave.
_GRACE_S = 5.0
_LINGERS_S = 60.0
_REQUEST = msgspec.json.Decoder(Request)
_REPLY = msgspec.json.Decoder(Reply)


class SimulatedHost(Protocol):
    """What answers the requests."""

    def hello(self) -> Hello:
        """Return the agent's first words, once PowerShell has come up."""

    def perform(self, request: Request) -> Reply:
        """Carry out a request."""


class InjectedFaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a host does wrong, for tests: text before its frames, or instead of them, or nothing at all."""

    noise: str = ""
    instead: str = ""
    endless: bool = False
    silent_after: int | None = None
    late_hello: float = 0.0
    # What the wire takes for granted and nobody could try on Windows: no hello in one of the two ways in; deaf once
    # stdin has been idle for so long; alive past the end of its stdin, or past its deadman; letters beyond ASCII lost;
    # answers cut off that are longer; everything allowed.
    only_way: str = ""
    deaf_after: float | None = None
    lingers: bool = False
    no_deadman: bool = False
    garbles: bool = False
    longest: int | None = None
    obeys: bool = False


class LaunchRefused(Exception):
    """A command line that is no launch of the agent; carries the exit status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def read_command(command: str) -> tuple[str, bool]:
    """Return the nonce of a launch, and whether its input is gathered first; raises Refused."""
    if len(command) > _LONGEST_COMMAND:
        raise LaunchRefused(1, "The command line is too long.")
    match = _COMMAND.fullmatch(command)
    if match is None:
        raise LaunchRefused(_NOT_UNDERSTOOD, f"'{command[:40]}' is not recognized as an internal or external command")
    try:
        bootstrap = base64.b64decode(match["bootstrap"], validate=True).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise LaunchRefused(1, f"cannot process the command: {error}") from None
    nonces = _NONCE.findall(bootstrap)
    if len(nonces) != 1:
        raise LaunchRefused(1, f"{len(nonces)} nonces in the bootstrap")
    return nonces[0], "$input" in bootstrap


class SimulatedAgent:
    """One run of the agent: reads lines, writes frames."""

    def __init__(
        self,
        nonce: str,
        host: SimulatedHost,
        read_line: Callable[[], bytes],
        write: Callable[[bytes], None],
        faults: Callable[[], InjectedFaults] = InjectedFaults,
        *,
        way: str = "handle",
        kill: Callable[[], None] = lambda: None,
        grace: float = _GRACE_S,
    ) -> None:
        self._way = way
        self._kill = kill
        self._grace = grace
        self._nonce = nonce.encode("ascii")
        self._host = host
        self._read_line = read_line
        self._write = write
        self._faults = faults
        self._answered = 0

    def run(self) -> int:
        """Serve until the input ends; returns the exit status."""
        script = self._read_line()
        if not script.endswith(b"\n"):
            return 1
        try:
            text = base64.b64decode(script, validate=False).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return 1
        header, _, agent = text.partition("\n")
        first = _HEADER.fullmatch(header)
        if first is None or first["nonce"] != self._nonce.decode() or agent != agent_script():
            return 1
        if self._faults().only_way not in ("", self._way):
            return self._wait_for_the_end()
        hello = self._host.hello()
        if self._faults().late_hello:
            threading.Event().wait(self._faults().late_hello)
        self._frame(b"hello", hello)
        asked = time.monotonic()
        while line := self._read_line():
            idle, deaf_after = time.monotonic() - asked, self._faults().deaf_after
            if deaf_after is not None and idle > deaf_after:
                return self._wait_for_the_end()
            if not self._serve(line.strip()):
                return 1
            asked = time.monotonic()
        if self._faults().lingers:
            time.sleep(_LINGERS_S)
        return 0

    def _wait_for_the_end(self) -> int:
        while self._read_line():
            pass
        return 1

    def _perform(self, limit: float, request: Request) -> Reply:
        """Carry out a request under a deadman, as the agent on a host does."""
        deadman = threading.Timer(limit / 1000 + self._grace, self._kill)
        deadman.daemon = True
        if not self._faults().no_deadman:
            deadman.start()
        try:
            return self._misbehaved(request, self._host.perform(request))
        finally:
            deadman.cancel()

    def _misbehaved(self, request: Request, reply: Reply) -> Reply:
        faults = self._faults()
        if faults.obeys:
            results = tuple(one if one.ok else Result(ok=True) for one in reply.results)
            return msgspec.structs.replace(reply, results=results)
        if faults.garbles and any(call.cmdlet == "Agent-Echo" for call in request.calls):
            text = msgspec.json.encode(reply).decode().encode("ascii", "replace")
            return _REPLY.decode(text)
        return reply

    def _serve(self, line: bytes) -> bool:
        try:
            number, limit, content = line.split(b" ")
            int(number), int(limit)
            request = _REQUEST.decode(base64.b64decode(content, validate=True))
        except (ValueError, binascii.Error, msgspec.DecodeError) as error:
            self._frame(b"fatal", {"message": str(error)})
            return False
        reply = self._perform(float(limit), request)
        faults = self._faults()
        if faults.longest is not None and len(msgspec.json.encode(reply)) > faults.longest:
            return True
        if faults.silent_after is not None and self._answered >= faults.silent_after:
            return True
        self._answered += 1
        self._frame(number, reply)
        return True

    def _frame(self, kind: bytes, content: object) -> None:
        faults = self._faults()
        frame = b"\n" + self._nonce + b" " + kind + b" " + base64.b64encode(msgspec.json.encode(content)) + b"\n"
        if faults.endless:
            while True:
                self._write(b"x" * 65536)
        if faults.noise:
            self._write(faults.noise.encode())
        self._write(faults.instead.replace("NONCE", self._nonce.decode()).encode() if faults.instead else frame)
