"""The tree that the RPM is tested in, and the lab in it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

TREE = Path(sys.argv[1]).resolve()
PYTHON = sys.argv[2]
LAB = "/srv/lab"
LIMIT_S = 60
# A build takes half a minute of processor time, which a machine that others use spreads over several.
BUILD_LIMIT_S = 600


class Failed(Exception):
    """Something is not as it must be."""


def ok(text: str) -> None:
    """Tell what has been shown."""
    print(f"ok: {text}", flush=True)


def run(*command: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the tree, with this environment and no other."""
    return _run(command, stdin, environment, LIMIT_S)


def run_build(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that builds in the tree, with this environment and no other."""
    return _run(command, "", environment, BUILD_LIMIT_S)


def _run(
    command: Sequence[str], stdin: str, environment: Mapping[str, str], limit_s: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/sbin/chroot", str(TREE), *command],
        input=stdin,
        env=environment,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


def must(expected: int, done: subprocess.CompletedProcess[str], says: str = "") -> str:
    """Return what a command printed; fail unless it ended so, and said that."""
    text = done.stdout + done.stderr
    if done.returncode != expected or says not in text:
        raise Failed(f"{done.args[2:]}: {done.returncode}, expected {expected} and {says!r}:\n{text[-3000:]}")
    return text


def rpm(*arguments: str, expected: int = 0, says: str = "") -> str:
    """Run the tree's rpm."""
    path = "/usr/bin:/usr/sbin:/bin:/sbin"
    return must(expected, run("/usr/bin/rpm", "--force-debian", *arguments, PATH=path), says)


def lab(*arguments: str) -> str:
    """Drive the lab, which runs from the RPM too."""
    return must(0, run("/usr/bin/ecx-hyperv", "lab", *arguments, "--folder", LAB))


def world() -> dict[str, Any]:
    """Return the lab's world."""
    shown: dict[str, Any] = json.loads(lab("show"))
    return shown


def wait(until: Callable[[dict[str, Any]], bool], what: str) -> None:
    """Wait until something is so in the lab."""
    limit = time.monotonic() + LIMIT_S
    while not until(world()):
        if time.monotonic() > limit:
            raise Failed(f"not so within {LIMIT_S} s: {what}\n{lab('history')}")
        time.sleep(0.2)
