"""The hosts' side of a lab in a real PowerShell: one process for each launch, whose stand-ins ask the lab's world."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO

import paramiko

from ecx_hyperv.lab.engine import launch
from ecx_hyperv.lab.engine.desk import Desk
from ecx_hyperv.lab.engine.doors import WorldDoor
from ecx_hyperv.lab.engine.modules import Engine, build, environment
from ecx_hyperv.lab.linux.files import TARGET
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.service.control import ControlAnswer

_LINE_S = 60.0
_ENDS_S = 5.0
_LOOK_S = 0.2


def make_engine(pwsh: str, folder: Path) -> Engine:
    """Build the stand-ins for a PowerShell in a lab's folder; raises LocalError."""
    modules, home = folder / "standins", folder / "home"
    for one in (modules, home):
        one.mkdir(parents=True, exist_ok=True)
    return Engine(pwsh, build(pwsh, modules), home)


class EngineHosts:
    """Launches the hosts' PowerShells of one lab."""

    def __init__(self, folder: Path, engine: Engine, world_now: Callable[[], AbstractContextManager[World]]) -> None:
        self.folder = folder
        self._engine = engine
        self._world_now = world_now
        self._running: set[subprocess.Popen[bytes]] = set()
        folder.mkdir(parents=True, exist_ok=True)
        self._door = WorldDoor(folder / "door", self._open_desk)
        launch.prepare(folder, engine, folder / "door")
        self._door.start()

    def close(self) -> None:
        """Kill what runs, and answer no stand-in any more."""
        for process in list(self._running):
            process.kill()
        self._door.stop()

    def _open_desk(self, host: str) -> Desk:
        with self._world_now() as world:
            return Desk(world, host, TARGET, sleep=time.sleep, enter=self._world_now)

    def write(self, host: str) -> None:
        """Write the files that a host's PowerShell finds, as they are now."""
        with self._world_now() as world:
            launch.write_host(self.folder, host, world, self._engine.modules)

    def run(self, host: str, channel: paramiko.Channel, command: str) -> int:
        """Run what an exec request asks for, until it ends; returns its exit status. Raises LaunchRefused."""
        self.write(host)
        program, told = launch.read(self.folder, host, command)
        # In a small process that only takes the host's name: what the launcher of a real sshd imports takes longer.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", launch.AS_HOST, host.upper(), *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=told,
            bufsize=0,
        )
        self._running.add(process)
        try:
            return _pump(process, channel)
        finally:
            process.kill()
            process.wait(_ENDS_S)
            self._running.discard(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                with suppress(OSError):
                    if stream is not None:
                        stream.close()

    def run_line(self, host: str, line: str) -> ControlAnswer:
        """Run a line that a person types on a host."""
        self.write(host)
        told = environment(self._engine, self.folder / "door", host)
        # Keys and settings are files of the host's.
        told["ECX_DRIVE_C"] = str(self.folder / f"{host}.C")
        command = [self._engine.pwsh, "-NoLogo", "-NonInteractive", "-Command", line]
        done = subprocess.run(
            command, env=told, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LINE_S, check=False
        )
        failed = done.returncode != 0 or bool(done.stderr)
        return ControlAnswer(code=1 if failed else 0, text=done.stdout + done.stderr)


def _pump(process: subprocess.Popen[bytes], channel: paramiko.Channel) -> int:
    """Carry bytes between a channel and a process until the process has ended and has said everything."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise ValueError("the process has no pipes")
    outs = [
        threading.Thread(target=_carry, args=(stdout, channel.sendall), daemon=True),
        threading.Thread(target=_carry, args=(stderr, channel.sendall_stderr), daemon=True),
    ]
    threading.Thread(target=_feed, args=(channel, stdin, process), daemon=True).start()
    for one in outs:
        one.start()
    for one in outs:
        one.join()
    status = process.wait()
    # One that was killed has a negative status, which no channel carries.
    return status if status >= 0 else 1


def _carry(stream: IO[bytes], send: Callable[[bytes], object]) -> None:
    with suppress(OSError, EOFError, ValueError, paramiko.SSHException):
        while data := stream.read(65536):
            send(data)


def _feed(channel: paramiko.Channel, stdin: IO[bytes], process: subprocess.Popen[bytes]) -> None:
    """Hand on what a client sends; its end is the end of stdin.

    Windows' sshd leaves a PowerShell alone whose client has gone. Here it is killed: each that is still coming up on a
    busy machine would hold up the next.
    """
    with suppress(OSError, EOFError, ValueError, paramiko.SSHException):
        while data := channel.recv(65536):
            stdin.write(data)
    with suppress(OSError):
        stdin.close()
    while process.poll() is None:
        if channel.closed or not channel.get_transport().is_active():
            process.kill()
            return
        time.sleep(_LOOK_S)
