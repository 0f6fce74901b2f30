"""Hosts that mean harm, before and after the login: every command ends within its limit, and takes little memory.

Both hosts do the same, so that nothing good comes from the other one. What a command prints must be plain whatever
they say, and no command may call what they do an error in the program.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.timings import FAST_TIMING
from tests.e2e.hostile import AFTER, BEFORE, launcher, listening
from tests.e2e.support import Scenario, running_lab

_HASTY = {**FAST_TIMING, "start": 5, "unregister": 5, "monitor": 5, "connect": 2, "reserve": 2, "patience": 2}
# How long a run may go on past its limit, on a machine that others use as well.
_GRACE_S = 10.0
# Less than the 200 MB that are asked for: what a host's answers took is given back.
_MOST_KB = 160 * 1024
# Commands, and the seconds in which each ends. They run side by side, on VMs of their own.
COMMANDS = {
    ("vm-start", "--yes", "vm2"): 5.0,
    ("vm-unregister", "--yes", "vm1"): 5.0,
    ("genw-vm", "vm1"): 5.0,
    ("ecx-hyperv", "status", "--json"): 60.0,
}
# These take longer, and go the same ways: a few hosts are enough.
MORE = {
    ("ecx-hyperv", "check", "--idle", "0.1"): 121.0,
    ("ecx-hyperv", "status"): 60.0,
    ("ecx-hyperv", "trust", "--dry-run"): 120.0,
}


@dataclass(frozen=True)
class Ended:
    """How a command ended, what it printed, the seconds that it took, and the most memory that it had, in KB."""

    code: int
    printed: str
    seconds: float
    memory: int


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a lab whose target ec1 serves, and whose monitors nobody runs."""
    with running_lab(tmp_path_factory.mktemp("lab"), "vm1", "vm2", timing=_HASTY) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.do(lambda world: world.storage.serve("ec1", on=True))
        yield scenario


# A process keeps the most memory that it had before its exec, and so that of these tests: one that is small starts it.
_MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:], check=False).returncode
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write(f"{code} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}")
"""


def run(lab: Scenario, command: tuple[str, ...], limit: float) -> Ended:
    """Run a command on ec1, and measure it; one that does not end is killed."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.NamedTemporaryFile("r", encoding="ascii") as measured:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _MEASURE, measured.name, *command],
            env=lab.lab.folder.environment("ec1"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(limit + _GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        printed = output.read().decode("utf-8", "surrogateescape")
        code, memory = (*map(int, measured.read().split()), -signal.SIGKILL, 0)[:2]
    return Ended(code, printed, time.monotonic() - began, memory)


def judge(ended: Ended, limit: float) -> None:
    """Hold a command's end against what must hold whatever a host does."""
    assert ended.code in list(Exit), ended
    assert ended.seconds < limit + _GRACE_S, ended
    assert 0 < ended.memory < _MOST_KB, f"{ended.memory} KB"
    assert [] == [one for one in ended.printed if not one.isprintable() and one != "\n"], ended.printed[-2000:]
    assert not [line for line in ended.printed.splitlines() if line.startswith("FAKE")]
    assert "Traceback" not in ended.printed
    assert "error in the program" not in ended.printed, ended.printed[-2000:]
    assert "unexpected way" not in ended.printed, ended.printed[-2000:]


def become(lab: Scenario, state: Sshd) -> None:
    """Have the SSH server of each host do so, at once."""
    lab.on_each_host(lambda world, host: setattr(world.hosts[host], "sshd", state))
    lab.lab._tend_endpoints()


def run_all(lab: Scenario, commands: Mapping[tuple[str, ...], float]) -> dict[str, Ended]:
    """Run commands side by side, hold the end of each against what must hold, and return the ends by name."""
    with ThreadPoolExecutor(len(commands)) as pool:
        ends = dict(zip(commands, pool.map(lambda one: run(lab, *one), commands.items()), strict=True))
    for command, ended in ends.items():
        judge(ended, commands[command])
    return {command[0]: ended for command, ended in ends.items()}


def before_login(lab: Scenario, how: str, commands: Mapping[tuple[str, ...], float]) -> dict[str, Ended]:
    """Run commands while both hosts do that to whoever connects."""
    become(lab, Sshd.STOPPED)
    try:
        with ExitStack() as stack:
            for (node, _), endpoint in lab.lab.endpoints.items():
                if node == "ec1":
                    stack.enter_context(listening(endpoint._address, BEFORE[how]))
            return run_all(lab, commands)
    finally:
        become(lab, Sshd.UP)


def after_login(lab: Scenario, how: str, commands: Mapping[tuple[str, ...], float]) -> dict[str, Ended]:
    """Run commands while the PowerShell of both hosts does that."""
    with pytest.MonkeyPatch.context() as patch:
        for endpoint in lab.lab.endpoints.values():
            patch.setattr(endpoint, "launch", launcher(AFTER[how]))
        try:
            return run_all(lab, commands)
        finally:
            for endpoint in lab.lab.endpoints.values():
                endpoint.drop_all()


@pytest.mark.parametrize("how", BEFORE)
def test_u09_a_server_before_the_login(lab: Scenario, how: str) -> None:
    """Whatever a server sends before anybody has logged in, a command must end in time, in words, and stay small."""
    ends = before_login(lab, how, COMMANDS)
    assert {"genw-vm"} == {name for name, ended in ends.items() if ended.code == Exit.DONE}


@pytest.mark.parametrize("how", AFTER)
def test_u07_a_powershell_after_the_login(lab: Scenario, how: str) -> None:
    """Whatever a host's PowerShell says, a command must end in time, in words, and stay small."""
    ends = after_login(lab, how, COMMANDS)
    assert Exit.DONE != ends["vm-start"].code


@pytest.mark.parametrize("how", ["a packet of 4 GB", "first lines that never end"])
def test_u09_a_check_of_a_hostile_server(lab: Scenario, how: str) -> None:
    """A check, and trust, which talks to hosts that nobody knows yet, must end as well."""
    before_login(lab, how, MORE)


@pytest.mark.parametrize("how", ["evil names", "errors that never end"])
def test_u07_a_check_of_a_hostile_powershell(lab: Scenario, how: str) -> None:
    """A check of hosts whose PowerShell means harm must end, and its table must be plain."""
    after_login(lab, how, MORE)
