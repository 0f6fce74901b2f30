"""The wire, without any I/O: what the two sides of a session say, byte for byte.

A frame is a line that begins with the session's nonce. Everything else that a host prints (banners, warnings, what
native programs say) is noise: it is kept for diagnostics, in bounded measure, and never read as data.
"""

import base64
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from ecx_hyperv.plain import MOST_SHOWN, flat, flat_name

# The edition of the wire that this program speaks, as line 1 asks for it and a hello answers.
EDITION = 2
LONGEST = 8 * 1024 * 1024
LONGEST_REQUEST = 1024 * 1024
_KEPT_NOISE = 16 * 1024
# An empty list takes 2 bytes of JSON and 60 of memory. The largest clusters' answers hold some ten thousand things.
_MOST_THINGS = 250_000
# Windows' longest path; no name, state or address is as long.
_LONGEST_TEXT = 32_767
# A whole number that a float holds too, and what fits into a Win32 code or an HRESULT, with a sign or without.
_Count = Annotated[int, Meta(ge=0, le=2**53)]
_LEAST_CODE, _MOST_CODE = -(2**31), 2**32 - 1

Argument = str | int | float | bool | list[str]


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """One cmdlet, its arguments, the call whose objects are piped in, and the properties wanted of what comes out.

    `only` keeps the objects that have one of these values in each property, for a call that feeds or guards another;
    `guard` is a call that must succeed, and leave an object, before this one is made.
    """

    cmdlet: str
    args: Mapping[str, Argument]
    select: tuple[str, ...] = ()
    from_: "Call | None" = None
    only: Mapping[str, tuple[str, ...]] = {}
    guard: "Call | None" = None


class Request(Struct, frozen=True, kw_only=True):
    """Calls that are made in turn; with `stop_on_error` none after the first that fails. No calls is a ping.

    `not_after`, in ms of the host's `up_ms`: later than that no call is made that changes something.
    """

    calls: tuple[Call, ...] = ()
    stop_on_error: bool = True
    not_after: int | None = None


class RemoteError(Struct, frozen=True, kw_only=True):
    """How a cmdlet failed; told apart by code, id and category, since the message is in the host's language."""

    message: str | None = None
    id: str | None = None
    category: str | None = None
    exception: str | None = None
    code: int | None = None

    def __post_init__(self) -> None:
        """Keep no more of a message than is ever shown, and no code that is none: the words count all the same."""
        if self.code is not None and not _LEAST_CODE <= self.code <= _MOST_CODE:
            force_setattr(self, "code", None)
        for field in ("message", "id", "category", "exception"):
            said = getattr(self, field)
            if said is not None and len(said) > MOST_SHOWN:
                force_setattr(self, field, said[:MOST_SHOWN])

    def __str__(self) -> str:
        """Return what a person needs: the host's own words, and what tells the error apart."""
        words = " ".join(flat(self.message or "").split())
        return f"{words} [{flat_name(self.id or self.category or 'no id')}, code {self.code}]"

    @property
    def kind(self) -> str:
        """Return the identifier of the error, without the cmdlet that raised it."""
        return (self.id or "").split(",")[0]


class Result(Struct, frozen=True, kw_only=True):
    """What came of one call."""

    ok: bool
    value: tuple[Mapping[str, Any], ...] = ()
    error: RemoteError | None = None


class Reply(Struct, frozen=True, kw_only=True):
    """What came of a request: a result for each call that was made; times in ms."""

    results: tuple[Result, ...]
    ms: float = 0
    up_ms: _Count | None = None
    modules: Mapping[str, float] = {}


class Hello(Struct, frozen=True, kw_only=True):
    """The agent's first words; `up_ms` counts from the host's boot, `free_memory` in bytes.

    `digest` is of the agent that runs, `sent` of the one in line 1 where another runs, `scope` of what that one may do.
    """

    agent: _Count
    host: str
    ps: str | None = None
    os: str | None = None
    pid: _Count | None = None
    language: str | None = None
    utc: str | None = None
    up_ms: _Count | None = None
    free_memory: float | None = None
    digest: str | None = None
    sent: str | None = None
    installed: bool | None = None
    scope: str | None = None

    def __post_init__(self) -> None:
        """Have each word flat and no longer than a name: they stand in log lines, and a name of 6 MB did so, too."""
        for field in ("host", "ps", "os", "language", "utc", "digest", "sent", "scope"):
            said = getattr(self, field)
            if said is not None:
                force_setattr(self, field, flat_name(said))


class Fatal(Struct, frozen=True):
    """The agent's last words: it could not read a line."""

    message: str | None = None


class WireError(Exception):
    """What a host sent is not the wire's language; the session cannot be used any more."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """A hello frame."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply frame, and the request that it answers."""

    id: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class GoodBye:
    """A fatal frame."""

    message: str


Frame = Greeting | Answer | GoodBye


def encode_request(number: int, deadline_ms: int, request: Request) -> bytes:
    """Build the line of a request; raises WireError for one that is too long."""
    fields = msgspec.structs.asdict(request)
    if request.not_after is None:
        del fields["not_after"]
    try:
        content = msgspec.json.encode(fields)
    except UnicodeEncodeError as error:
        raise WireError(f"a request with a name that is no text: {error}") from None
    line = f"{number} {deadline_ms} ".encode("ascii") + base64.b64encode(content) + b"\n"
    if len(line) > LONGEST_REQUEST:
        raise WireError(f"a request of {len(line)} bytes is longer than {LONGEST_REQUEST}")
    return line


class Frames:
    """Cuts what a host sends into frames and noise; fed with bytes, asked for frames."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce.encode("ascii")
        self._line = bytearray()
        self._unframed = 0
        self._answered = 0
        self._noise: deque[bytes] = deque()
        self._noise_kept = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take what has arrived and return the frames that it completes; raises WireError."""
        frames: list[Frame] = []
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._take(line)
            frame = self._finish()
            if frame is not None:
                frames.append(frame)
        self._take(rest)
        return frames

    def start_anew(self) -> None:
        """Count the answers' bytes from here on: what was asked at once has been answered."""
        self._answered = 0

    @property
    def noise(self) -> str:
        """Return the end of what was sent beside the frames."""
        begun = bytes(self._line[-_KEPT_NOISE:])
        is_frame = self._line.startswith(self._nonce) or self._nonce.startswith(begun)
        return b"\n".join((*self._noise, b"" if is_frame else begun)).decode("utf-8", "replace").strip()

    def _finish(self) -> Frame | None:
        line = bytes(self._line).rstrip(b"\r")
        self._line.clear()
        if line.startswith(self._nonce):
            self._unframed = 0
            self._answered += len(line)
            if self._answered > LONGEST + len(self._nonce):
                raise WireError(f"answers of more than {LONGEST} bytes to what was asked at once")
            return _decode(line[len(self._nonce) :])
        self._keep(line)
        return None

    def _take(self, part: bytes) -> None:
        self._line += part
        self._unframed += len(part)
        if self._unframed > LONGEST + len(self._nonce):
            raise WireError(f"more than {LONGEST} bytes without an answer")

    def _keep(self, line: bytes) -> None:
        if not line.strip():
            return
        self._noise.append(line[-_KEPT_NOISE:])
        self._noise_kept += len(self._noise[-1])
        while self._noise_kept > _KEPT_NOISE and len(self._noise) > 1:
            self._noise_kept -= len(self._noise.popleft())


_T = TypeVar("_T", bound=Struct)
# Made while one thread imports this module: msgspec builds what it knows of a Struct at first use, and the threads of
# two hosts that use one for the first time at once end the process by a signal (found.md, E24).
_HELLO = msgspec.json.Decoder(Hello)
_FATAL = msgspec.json.Decoder(Fatal)
_REPLY = msgspec.json.Decoder(Reply)


def _decode(rest: bytes) -> Frame:
    words = rest.split()
    if len(words) != 2 or not rest.startswith(b" "):
        raise WireError(f"a broken frame of {len(words)} words")
    kind, content = words
    # A copy of a long answer less, while it is unpacked.
    del rest, words
    if kind == b"hello":
        return Greeting(_unpack(content, _HELLO))
    if kind == b"fatal":
        return GoodBye(_unpack(content, _FATAL).message or "no reason given")
    if not kind.isdigit() or len(kind) > 18:
        raise WireError(f"a broken frame: neither an ID nor a kind: {kind[:40]!r}")
    return Answer(int(kind), _unpack(content, _REPLY))


def _unpack(content: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    kind = decoder.type.__name__.lower()
    try:
        data = base64.b64decode(content, validate=True)
        things = data.count(b",") + data.count(b"[") + data.count(b"{")
        if things > _MOST_THINGS:
            raise WireError(f"a {kind} frame of {things} things")
        return decoder.decode(data)
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"a broken {kind} frame: {error}") from None


_CHANGING = ("Start-", "Stop-", "Move-", "Resume-", "Restart-", "Update-", "Agent-ShutdownGuest")


def changes(call: Call) -> bool:
    """Tell whether a call changes something on a host, so that it is made only up to a moment."""
    return call.cmdlet.startswith(_CHANGING)


def encode_script(nonce: str, script: str) -> bytes:
    """Build the first line: the agent itself, headed by the nonce and the edition that is asked for.

    The bootstrap carries the nonce as well: either side may be the older one.
    """
    text = f"# ecx-hyperv nonce={nonce} agent={EDITION}\n{script}"
    return base64.b64encode(text.encode("utf-8")) + b"\n"


def encode_command(powershell: str, bootstrap: str) -> str:
    """Build the command line that starts the bootstrap; it means the same to every login shell of the host."""
    switches = "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand"
    return f"{powershell} {switches} {base64.b64encode(bootstrap.encode('utf-16-le')).decode('ascii')}"


def text(row: Mapping[str, Any], key: str) -> str:
    """Return what a row holds under a key as a word; empty, if it holds none or several."""
    value = row.get(key)
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    return "" if value is None or isinstance(value, list) else str(value)[:_LONGEST_TEXT]


def texts(value: object) -> list[str]:
    """Return a value that should be one or several words as words; a flags enum comes as `A, B`, or as a number."""
    if isinstance(value, str):
        return [word.strip() for word in value[:_LONGEST_TEXT].split(",")]
    if isinstance(value, list):
        return [word for one in value for word in texts(one)]
    return [str(value)] if isinstance(value, int) and not isinstance(value, bool) else []
