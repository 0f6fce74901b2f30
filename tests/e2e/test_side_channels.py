"""What a run tells may reach nobody: the commands work all the same, over a real sshd, and end with the VM's code."""

import fcntl
import os
import pty
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from ecx_hyperv.lab.linux.files import Folder
from tests.e2e.openssh import SSHD, behind_real_sshds
from tests.e2e.support import LIMIT_S, ONE, Scenario

pytestmark = pytest.mark.skipif(SSHD is None, reason="no sshd on this machine: install openssh-server")

# A command that stdout and stderr are handed to, and how it is called for that.
_Place = tuple[int, tuple[str, ...]]


@contextmanager
def closed() -> Iterator[_Place]:
    """Neither stdout nor stderr is open."""
    yield subprocess.DEVNULL, ("sh", "-c", 'exec "$@" >&- 2>&-', "sh")


@contextmanager
def full() -> Iterator[_Place]:
    """Both go to a disk that is full."""
    with open("/dev/full", "wb", buffering=0) as place:
        yield place.fileno(), ()


@contextmanager
def without_reader() -> Iterator[_Place]:
    """Both go to a pipe whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer, ()
    os.close(writer)


@contextmanager
def blocked() -> Iterator[_Place]:
    """Both go to a pipe that is full and that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, bytes(4096))
    yield writer, ()
    os.close(reader)
    os.close(writer)


@contextmanager
def stopped_terminal() -> Iterator[_Place]:
    """Both go to a terminal on which somebody pressed Ctrl-S."""
    screen, terminal = pty.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    yield terminal, ()
    termios.tcflow(terminal, termios.TCOON)
    os.close(terminal)
    os.close(screen)


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab whose hosts are reached through real sshds, the target served by ec1."""
    with behind_real_sshds(tmp_path) as running:
        running.do(lambda world: world.storage.serve("ec1", on=True))
        yield running


def _run(scenario: Scenario, place: _Place, *command: str) -> int:
    """Run a command on ec1 with its outputs in a place, and return its exit code."""
    return _run_in(scenario.lab.folder, place, *command)


def _run_in(folder: Folder, place: _Place, *command: str) -> int:
    output, prefix = place
    running = subprocess.Popen(
        [*prefix, *command],
        env=folder.environment("ec1"),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )
    try:
        return running.wait(LIMIT_S)
    finally:
        running.kill()
        running.wait(10)


@pytest.mark.parametrize("place", [closed, full, without_reader, blocked, stopped_terminal])
def test_d01_a_stop_stops_whoever_hears_of_it(
    scenario: Scenario, place: Callable[[], AbstractContextManager[_Place]]
) -> None:
    """A start, a monitor and a stop do their work and end with 0, whatever stdout and stderr are."""
    with place() as outputs:
        assert 0 == _run(scenario, outputs, "vm-start", "-v", "vm1"), scenario.story()
        assert ONE == scenario.running_on("vm1")
        assert 0 == _run(scenario, outputs, "genw-vm", "-v", "vm1"), scenario.story()
        began = time.monotonic()
        assert 0 == _run(scenario, outputs, "vm-unregister", "-v", "--yes", "vm1"), scenario.story()
        assert time.monotonic() - began < LIMIT_S / 3
    assert ["Starting", "Running", "Off"] == scenario.guest_states("vm1")
    assert scenario.do(lambda world: not world.vms["vm1"].guests and world.vms["vm1"].configuration == "Offline")


@pytest.mark.parametrize("place", [closed, full, without_reader, blocked, stopped_terminal])
def test_d01_a_monitor_that_tells_nobody_still_fails_a_vm(
    scenario: Scenario, place: Callable[[], AbstractContextManager[_Place]]
) -> None:
    """A VM that is off by itself is failed by the exit code, whatever stdout and stderr are."""
    assert 0 == scenario.run("ec1", "vm-start", "vm1").returncode
    scenario.do(lambda world: world.guests.crash(world.vms["vm1"], ONE))
    with place() as outputs:
        assert 1 == _run(scenario, outputs, "genw-vm", "vm1"), scenario.story()


@pytest.mark.parametrize("place", [closed, full, without_reader, blocked, stopped_terminal])
def test_d01_a_command_line_without_sense_ends_with_its_code(
    tmp_path: Path, place: Callable[[], AbstractContextManager[_Place]]
) -> None:
    """A mistake in the command line, and a call for help, keep their exit codes whoever hears of them."""
    folder = Folder(tmp_path)
    with place() as outputs:
        for command in ("vm-start", "vm-unregister", "genw-vm", "genw-remote-node"):
            assert 2 == _run_in(folder, outputs, command, "--no-such-option")
            assert 0 == _run_in(folder, outputs, command, "--help")


def _break(folder: Path) -> None:
    """Have a folder that nobody can write to: a file is in its place, which root cannot overcome either."""
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.away"))
    folder.write_text("", encoding="ascii")


def _alerts(scenario: Scenario) -> list[str]:
    return [event.who for event in scenario.events("alert")]


@pytest.mark.parametrize("broken", [("state",), ("run",), ("state", "run")], ids=" and ".join)
def test_d18_folders_that_cannot_be_written_hold_nothing_back(scenario: Scenario, broken: tuple[str, ...]) -> None:
    """A start, the monitors and a stop do their work where a folder cannot be written, and a person is told."""
    for name in broken:
        _break(scenario.lab.folder.node("ec1") / name)
    for command in (("vm-start", "vm1"), ("genw-vm", "vm1"), ("genw-remote-node",), ("vm-unregister", "--yes", "vm1")):
        done = scenario.run("ec1", *command)
        assert 0 == done.returncode, done.stderr
    assert ["Starting", "Running", "Off"] == scenario.guest_states("vm1")
    told = "is not remembered" if len(broken) > 1 else "cannot be written"
    assert (broken != ("run",)) == any(told in text for text in _alerts(scenario)), scenario.story()


def test_d18_a_vm_without_storage_fails_although_the_state_folder_is_full(scenario: Scenario) -> None:
    """How long a VM has been critical is remembered in the run folder, so the VM fails in the end; told once."""
    assert 0 == scenario.run("ec1", "vm-start", "vm1").returncode
    _break(scenario.lab.folder.node("ec1") / "state")
    scenario.do(lambda world: world.guests.become(world.vms["vm1"], ONE, "PausedCritical"))
    limit = time.monotonic() + LIMIT_S
    while scenario.run("ec1", "genw-vm", "vm1").returncode == 0:
        assert time.monotonic() < limit, scenario.story()
    assert 1 == len([text for text in _alerts(scenario) if "cannot be written" in text])


def test_d22_a_clplogcmd_that_hangs_delays_no_step(scenario: Scenario) -> None:
    """A monitor and a stop take no longer than the budget of all alerts where clplogcmd hangs, and keep their code."""
    assert 0 == scenario.run("ec1", "vm-start", "vm1").returncode
    standin = scenario.lab.folder.bin / "clplogcmd"
    standin.unlink()
    standin.write_text("#!/bin/sh\nexec sleep 300\n", encoding="ascii")
    standin.chmod(0o755)
    scenario.do(lambda world: world.guests.become(world.vms["vm1"], ONE, "Paused"))
    began = time.monotonic()
    assert 1 == scenario.run("ec1", "genw-vm", "vm1").returncode
    assert time.monotonic() - began < 25
    began = time.monotonic()
    stopped = scenario.run("ec1", "vm-unregister", "--yes", "vm1")
    assert 0 == stopped.returncode, stopped.stderr
    assert time.monotonic() - began < 25
    assert "alert not sent" in stopped.stderr


@pytest.mark.parametrize(
    "command", [("genw-vm", "vm1"), ("genw-remote-node",), ("vm-start", "vm1"), ("vm-unregister", "--yes", "vm1")]
)
def test_a_command_that_cannot_look_alerts(scenario: Scenario, command: tuple[str, ...]) -> None:
    """A command that ends before it could look at anything tells a person why; a monitor does so once an hour."""
    for _ in range(2):
        # Without a name for this EC-VM its addresses are asked for, and the lab's `ip` knows none then.
        done = scenario.run("ec1", *command, ECX_HYPERV_NODE="")
        assert (0 if command[0] == "genw-vm" else 7) == done.returncode, done.stderr
    alerts = _alerts(scenario)
    assert (1 if command[0].startswith("genw") else 2) == len(alerts), alerts
    assert all("this machine's addresses cannot be read" in alert for alert in alerts)


def test_a_configuration_that_others_may_write_is_told_and_used(scenario: Scenario) -> None:
    """A config.toml that others may write is told by each command, and once an hour by an alert; it is used."""
    config = scenario.lab.folder.node("ec1") / "config.toml"
    config.chmod(0o666)
    sentence = f"{config} can be written by others (mode 666)"
    for command in (("vm-start", "vm1"), ("genw-vm", "vm1"), ("genw-vm", "vm1"), ("vm-unregister", "--yes", "vm1")):
        done = scenario.run("ec1", *command)
        assert 0 == done.returncode, done.stderr
        assert f"warning [{done.stderr.split('[')[1][:4]}] {sentence}" in done.stderr
    assert 1 == len([text for text in _alerts(scenario) if sentence in text])
    checked = scenario.run("ec1", "ecx-hyperv", "config", "check")
    assert 0 == checked.returncode
    assert f"note: {sentence}" in checked.stdout


@pytest.mark.parametrize("command", [("vm-start", "vm1"), ("vm-unregister", "--yes", "vm1")])
def test_the_last_line_says_what_is_wrong(scenario: Scenario, command: tuple[str, ...]) -> None:
    """Where an alert cannot be sent either, the last line of a command that fails must still say why it failed."""
    (scenario.lab.folder.bin / "clplogcmd").unlink()
    done = scenario.run("ec1", *command, ECX_HYPERV_NODE="")
    *_, before, last = done.stderr.splitlines()
    assert "alert not sent" in before
    assert "this machine's addresses cannot be read" in last
    assert last.endswith("exit: 7)")
