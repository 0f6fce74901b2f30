"""The commands of this EC-VM: ECX's own, ping, ip; found without PATH, run with a limit, never through a shell."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ecx_hyperv.errors import LocalError

# ECX may call a script without PATH.
_ALSO_HERE = ("/usr/sbin", "/opt/nec/clusterpro/bin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended; `code` is None if it was killed because it took too long."""

    code: int | None
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Return what it printed, whatever its encoding."""
        return self.stdout.decode("utf-8", "replace")


class Runner(Protocol):
    """Runs a command of this EC-VM."""

    def __call__(self, command: Sequence[str], seconds: float) -> Completed:
        """Run a command for at most that many seconds; raises LocalError if there is no such command."""


def run(command: Sequence[str], seconds: float) -> Completed:
    """Run a command for at most that many seconds; raises LocalError if there is no such command."""
    path = find(command[0])
    environment = {**os.environ, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/root")}
    try:
        done = subprocess.run(
            [path, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(0.1, seconds),
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return Completed(None, late.stdout or b"", late.stderr or b"")
    except (OSError, ValueError) as error:
        # ValueError: an argument that holds a NUL, or what this locale cannot encode.
        raise LocalError(f"{path} cannot be run", seen=str(error), remedy="see its permissions") from None
    return Completed(done.returncode, done.stdout, done.stderr)


def find(name: str) -> str:
    """Return the path of a command, from PATH or where ECX and the system keep theirs; raises LocalError."""
    # An empty entry would mean the folder that the script runs in.
    places = os.pathsep.join([*filter(None, os.environ.get("PATH", "").split(os.pathsep)), *_ALSO_HERE])
    found = shutil.which(name, path=places)
    if found is None:
        raise LocalError(
            f"the command {name} is not there",
            seen=f"not on PATH, nor in {', '.join(_ALSO_HERE)}",
            remedy="install ECX (clpstat, clpcl, clplogcmd), iputils (ping) and iproute (ip) on this EC-VM",
        )
    return found


def ping(run: Runner, address: str, seconds: int) -> bool:
    """Tell whether an address answers a single ping within that many seconds."""
    return run(["ping", "-n", "-c", "1", "-W", str(seconds), address], seconds + 2).code == 0
