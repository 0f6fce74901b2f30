"""How the lab's ECX runs a script: as a process that it can wait for, and kill."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class ScriptJob(Protocol):
    """A script that runs, or has ended."""

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""

    def kill(self) -> None:
        """Kill it and whatever it started, at once."""


class ScriptRunner(Protocol):
    """Starts scripts on an EC-VM."""

    def __call__(self, node: str, folder: str, script: str, variables: Mapping[str, str]) -> ScriptJob:
        """Start a script of a resource's or monitor's folder, with the variables that ECX hands over."""


class ScriptProcess:
    """A script as a process group of its own."""

    def __init__(self, command: Path, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(command)],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Kill it and whatever it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
