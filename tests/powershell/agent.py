"""The agent in a real PowerShell, over pipes: the bootstraps and the script as they are installed."""

import base64
import json
import os
import secrets
import select
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

# A PowerShell starts in a second; on a machine that is busy with much else it may take a minute.
_PATIENCE_S = 120.0


def script(name: str) -> str:
    """Return a script of the hosts' as it is installed."""
    return files("ecx_hyperv.host").joinpath(name).read_text(encoding="ascii")


def line(number: int, request: Mapping[str, Any], deadline_ms: int = 120000) -> bytes:
    """Build the line of a request."""
    return f"{number} {deadline_ms} ".encode() + base64.b64encode(json.dumps(request).encode()) + b"\n"


def call(cmdlet: str, select: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Build a call; `from_` is what feeds it."""
    feeds = {"from": more.pop("from_")} if "from_" in more else {}
    chosen = {"select": list(select)} if select else {}
    return {"cmdlet": cmdlet, "args": more.pop("args", {}), **chosen, **feeds, **more}


class Ended(Exception):
    """The agent has ended; says how, and what it left on stderr."""


class Agent:
    """One PowerShell with the agent, launched as the wire says but for -NoProfile, which would keep stand-ins out."""

    def __init__(
        self,
        pwsh: str,
        environment: Mapping[str, str],
        way: str = "handle",
        first: str = "",
        edit: Callable[[str], str] = str,
    ) -> None:
        self.nonce = secrets.token_hex(16)
        bootstrap = script(f"bootstrap_{way}.ps1").replace("NONCE", self.nonce)
        encoded = base64.b64encode(bootstrap.encode("utf-16-le")).decode()
        switches = ["-NoLogo", "-NonInteractive", "-ExecutionPolicy", "Bypass"]
        self.process = subprocess.Popen(
            [pwsh, *switches, "-EncodedCommand", encoded],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            bufsize=0,
        )
        self.noise: list[bytes] = []
        self._number = 0
        self._rest = b""
        self.send(base64.b64encode((first + edit(script("agent.ps1"))).encode()) + b"\n")

    def send(self, data: bytes) -> None:
        """Write bytes to its input."""
        assert self.process.stdin is not None
        left = memoryview(data)
        while left:
            left = left[self.process.stdin.write(left) or 0 :]

    def end_input(self) -> None:
        """Close its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def frame(self, patience: float = _PATIENCE_S) -> tuple[str, dict[str, Any]]:
        """Return the next frame: its kind or ID, and what it holds; raises Ended, TimeoutError."""
        end = time.monotonic() + patience
        while True:
            text, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                words = text.split(b" ")
                if words[0] == self.nonce.encode() and len(words) == 3:
                    return words[1].decode(), json.loads(base64.b64decode(words[2], validate=True))
                self.noise += [text] if text.strip() else []
                continue
            self._rest += self._read(end)

    def _read(self, end: float) -> bytes:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise TimeoutError("the agent says nothing")
        data = os.read(self.process.stdout.fileno(), 1 << 20)
        if not data:
            raise Ended(f"the agent has ended: {self.process.wait()}, {self.stderr()}")
        return data

    def ask(self, *calls: Mapping[str, Any], deadline_ms: int = 120000, **more: Any) -> dict[str, Any]:
        """Send a request and return its reply."""
        self._number += 1
        self.send(line(self._number, {"calls": list(calls), **more}, deadline_ms))
        kind, reply = self.frame()
        assert str(self._number) == kind
        return reply

    def result(self, one: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Return what came of one call."""
        (result,) = self.ask(one, **more)["results"]
        assert isinstance(result, dict)
        return result

    def rows(self, one: Mapping[str, Any], **more: Any) -> list[dict[str, Any]]:
        """Return the objects of a call that must succeed."""
        result = self.result(one, **more)
        assert result["ok"], result
        rows: list[dict[str, Any]] = result["value"]
        return rows

    def act(self, one: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Return what came of a call that changes something, with a minute left for it."""
        now: int = self.ask()["up_ms"]
        return self.result(one, not_after=now + 60000, **more)

    def stderr(self) -> str:
        """Return what it has said on stderr, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode("utf-8", "replace")

    def kill(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
