"""The far side of the wire, as a host that runs our agent would be it; behind the lab's SSH server or a real sshd."""

import base64
import binascii
import re
import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from ecx_hyperv.host.session import agent_script
from ecx_hyperv.host.wire import Hello, Reply, Request

_COMMAND = re.compile(
    r"(?P<powershell>[A-Za-z0-9+/=:.\\~-]+) -NoLogo -NoProfile -NonInteractive"
    r" -ExecutionPolicy Bypass -EncodedCommand (?P<bootstrap>[A-Za-z0-9+/=]+)"
)
_NONCE = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_LONGEST_COMMAND = 8191
# cmd.exe's exit code for what it cannot make sense of.
_NOT_UNDERSTOOD = 9009


class Host(Protocol):
    """What answers the requests."""

    def hello(self) -> Hello:
        """Return the agent's first words, once PowerShell has come up."""

    def perform(self, request: Request) -> Reply:
        """Carry out a request."""


class Mischief(msgspec.Struct, frozen=True, kw_only=True):
    """What a host does wrong, for tests: text before its frames, or instead of them, or nothing at all."""

    noise: str = ""
    instead: str = ""
    endless: bool = False
    silent_after: int | None = None
    late_hello: float = 0.0


class Refused(Exception):
    """A command line that is no launch of the agent; carries the exit status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def read_command(command: str) -> tuple[str, bool]:
    """Return the nonce of a launch, and whether its input is gathered first; raises Refused."""
    if len(command) > _LONGEST_COMMAND:
        raise Refused(1, "The command line is too long.")
    match = _COMMAND.fullmatch(command)
    if match is None:
        raise Refused(_NOT_UNDERSTOOD, f"'{command[:40]}' is not recognized as an internal or external command")
    try:
        bootstrap = base64.b64decode(match["bootstrap"], validate=True).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refused(1, f"cannot process the command: {error}") from None
    nonces = _NONCE.findall(bootstrap)
    if len(nonces) != 1:
        raise Refused(1, f"{len(nonces)} nonces in the bootstrap")
    return nonces[0], "$input" in bootstrap


class Agent:
    """One run of the agent: reads lines, writes frames."""

    def __init__(
        self,
        nonce: str,
        host: Host,
        read_line: Callable[[], bytes],
        write: Callable[[bytes], None],
        mischief: Callable[[], Mischief] = Mischief,
    ) -> None:
        self._nonce = nonce.encode("ascii")
        self._host = host
        self._read_line = read_line
        self._write = write
        self._mischief = mischief
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
        if text != agent_script():
            return 1
        hello = self._host.hello()
        if self._mischief().late_hello:
            threading.Event().wait(self._mischief().late_hello)
        self._frame(b"hello", hello)
        while line := self._read_line():
            if not self._serve(line.strip()):
                return 1
        return 0

    def _serve(self, line: bytes) -> bool:
        try:
            number, limit, content = line.split(b" ")
            int(number), int(limit)
            request = msgspec.json.decode(base64.b64decode(content, validate=True), type=Request)
        except (ValueError, binascii.Error, msgspec.DecodeError) as error:
            self._frame(b"fatal", {"message": str(error)})
            return False
        reply = self._host.perform(request)
        mischief = self._mischief()
        if mischief.silent_after is not None and self._answered >= mischief.silent_after:
            return True
        self._answered += 1
        self._frame(number, reply)
        return True

    def _frame(self, kind: bytes, content: object) -> None:
        mischief = self._mischief()
        frame = b"\n" + self._nonce + b" " + kind + b" " + base64.b64encode(msgspec.json.encode(content)) + b"\n"
        if mischief.endless:
            while True:
                self._write(b"x" * 65536)
        if mischief.noise:
            self._write(mischief.noise.encode())
        self._write(mischief.instead.replace("NONCE", self._nonce.decode()).encode() if mischief.instead else frame)
