"""The commands of this EC-VM: ECX's own, ping, ip; found without PATH, run with a limit, never through a shell."""

import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ecx_hyperv.errors import CommandMissing, LocalError

# ECX may call a script without PATH.
_ALSO_HERE = ("/usr/sbin", "/opt/nec/clusterpro/bin", "/usr/bin", "/sbin", "/bin")


# The longest answers are firewalld's zones and a check of the other EC-VM: some hundred kilobytes.
MOST_PRINTED = 4 * 1024 * 1024
# A command may start a service that holds its output open (clpcl does): this long is read on once the command is over.
_AFTERWARDS_S = 0.3
_POLL_S = 0.05
_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended; `code` is None if it was killed: because it took too long, or printed too much: `is_cut`."""

    code: int | None
    stdout: bytes
    stderr: bytes
    is_cut: bool = False

    @property
    def why_killed(self) -> str:
        """Return why it was killed, for one that has no code."""
        return "printed without end" if self.is_cut else "took too long"

    @property
    def text(self) -> str:
        """Return what it printed, whatever its encoding."""
        return self.stdout.decode("utf-8", "replace")


class Runner(Protocol):
    """Runs a command of this EC-VM."""

    def __call__(self, command: Sequence[str], seconds: float) -> Completed:
        """Run a command for at most that many seconds; raises LocalError if there is no such command."""


def run_apart(command: Sequence[str], seconds: float) -> Completed:
    """Run a command apart from the terminal: Ctrl-C does not reach it, and it goes on without this process."""
    return run(command, seconds, apart=True)


def run(command: Sequence[str], seconds: float, *, apart: bool = False) -> Completed:
    """Run a command for at most that many seconds; raises LocalError if there is no such command."""
    path = find(command[0])
    environment = {**os.environ, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/root")}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            [path, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            env=environment,
            start_new_session=apart,
        )
    except (OSError, ValueError) as error:
        # ValueError: an argument that holds a NUL, or what this locale cannot encode.
        raise LocalError(f"{path} cannot be run", seen=str(error), remedy="see its permissions") from None
    try:
        return _followed(process, time.monotonic() + max(0.1, seconds))
    finally:
        _left_alone(process)


def _left_alone(process: "subprocess.Popen[bytes]") -> None:
    """End a process, without waiting for one that the kernel holds; what it started, a service say, stays."""
    process.kill()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_AFTERWARDS_S)


def _followed(process: "subprocess.Popen[bytes]", end: float) -> Completed:
    """Read what a process prints until it is over; give it up at that moment, or where it prints too much."""
    printed: dict[int, bytearray] = {}
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ)
                printed[stream.fileno()] = bytearray()
        stdout, stderr = printed.values()
        over = None
        while selector.get_map() or over is None:
            now = time.monotonic()
            over = now if over is None and process.poll() is not None else over
            is_cut = max(len(stdout), len(stderr)) > MOST_PRINTED
            if is_cut or (over is None and now >= end):
                return Completed(None, bytes(stdout[:MOST_PRINTED]), bytes(stderr[:MOST_PRINTED]), is_cut)
            if over is not None and now >= over + _AFTERWARDS_S:
                break
            if not selector.get_map():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, end - now))
                continue
            for key, _ in selector.select(min(_POLL_S, max(0.0, end - now)) if over is None else _POLL_S):
                part = os.read(key.fd, _PIECE)
                printed[key.fd] += part
                if not part:
                    selector.unregister(key.fileobj)
        return Completed(process.returncode, bytes(stdout), bytes(stderr))


def find(name: str) -> str:
    """Return the path of a command, from PATH or where ECX and the system keep theirs; raises LocalError."""
    # An empty entry would mean the folder that the script runs in.
    places = os.pathsep.join([*filter(None, os.environ.get("PATH", "").split(os.pathsep)), *_ALSO_HERE])
    found = shutil.which(name, path=places)
    if found is None:
        raise CommandMissing(
            f"the command {name} is not there",
            seen=f"not on PATH, nor in {', '.join(_ALSO_HERE)}",
            remedy="install ECX (clpstat, clpcl, clplogcmd), iputils (ping) and iproute (ip) on this EC-VM",
        )
    return found


def ping(run: Runner, address: str, seconds: int) -> bool:
    """Tell whether an address answers a single ping within that many seconds."""
    return run(["ping", "-n", "-c", "1", "-W", str(seconds), address], seconds + 2).code == 0
