"""One powershell.exe on a host with the agent in it: its channel, the threads that drain it, and what it owes.

What a host sends is taken as far as it was asked for: its first words once, an answer to each request, and together no
more than one answer may hold. Anything beyond that ends the connection, whoever it is that talks there.
"""

import codecs
import queue
import secrets
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files

from ecx_hyperv.config import StdinWay
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import NoAgent, SessionLost
from ecx_hyperv.host.ssh import BROKEN, Connection
from ecx_hyperv.host.wire import (
    Frame,
    Frames,
    GoodBye,
    Greeting,
    Hello,
    WireError,
    encode_command,
    encode_script,
)

# The very first PowerShell of an account builds its caches.
HELLO_S = 30.0
_KEPT_STDERR = 16 * 1024
_LAST_WORDS_S = 0.5
_POLL_S = 0.05


def _read(script: str) -> str:
    return files(__package__).joinpath(script).read_text(encoding="ascii")


# All at once, before any host is reached: an upgrade may replace the files while a run is under way.
codecs.lookup("utf-16-le")
_AGENT = _read("agent.ps1")
_BOOTSTRAPS = {way: _read(f"bootstrap_{way.value}.ps1") for way in StdinWay}


def agent_script() -> str:
    """Return the agent, as it runs on a host."""
    return _AGENT


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
        # The answers that are owed, and what of them is not counted off yet; the first words are one.
        self._owed, self._said_hello = 0, False
        self._owing = threading.Lock()
        self._stderr: deque[bytes] = deque(maxlen=16)
        self.first_line = encode_script(nonce, _AGENT)
        script = _BOOTSTRAPS[way].replace("NONCE", nonce)
        self._channel = connection.launch(encode_command(powershell, script), deadline)
        self._stderr_drain = self._start(self._drain_stderr)
        self._start(self._drain_stdout)

    def expect(self, answers: int) -> None:
        """Take so many more answers: as many as requests are sent now. What nobody asked for ends the connection."""
        with self._owing:
            if not self._owed:
                self._frames.start_anew()
            self._owed += answers

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
        with suppress(*BROKEN):
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
        with suppress(*BROKEN):
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
                    self._count_off(frame)
                    self._put(frame)
            self._await_last_words()
            self._put(None)
        except WireError as error:
            # Anew: its traceback would hold all that was sent for as long as anybody remembers the error.
            self._put(WireError(str(error)))
            # An output that never ends would otherwise fill the pipe for as long as the connection lives.
            self.connection.close()
        except BROKEN:
            self._put(None)

    def _count_off(self, frame: Frame) -> None:
        """Raise WireError for what nobody asked for: it would pile up, and might be taken for a later answer."""
        if isinstance(frame, GoodBye):
            return
        with self._owing:
            if not self._said_hello:
                # The first one is waited for whatever it is: one that is no hello is told as such.
                self._said_hello = True
            elif self._owed:
                self._owed -= 1
            else:
                raise WireError("it says what nobody asked for")

    def _put(self, frame: Frame | WireError | None) -> None:
        self._inbox.put((frame, self._clock.monotonic()))

    def _drain_stderr(self) -> None:
        try:
            while data := self._channel.recv_stderr(4096):
                self._stderr.append(data)
        except BROKEN:
            return
