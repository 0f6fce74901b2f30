"""Commands that a person calls: what only ECX may have done is not done, and what is told is true."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecx_hyperv.lab.model.things import Sshd
from tests.e2e.support import ONE, Scenario, running_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a lab whose group runs on ec1."""
    with running_lab(tmp_path_factory.mktemp("lab")) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.start_group()
        yield scenario


def at_terminal(lab: Scenario, *command: str) -> tuple[int, str]:
    """Run a command with a terminal that controls it, and return how it ended and what the terminal showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(command[0], list(command), lab.lab.folder.environment("ec1"))  # noqa: S606
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.decode("utf-8", "replace")


def kept(lab: Scenario) -> list[str]:
    """Return what monitors have kept on ec1."""
    folder = lab.lab.folder.node("ec1") / "state" / "monitors"
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*"))]


def silence(lab: Scenario, state: Sshd) -> None:
    """Have the first host's SSH server behave otherwise, at once."""
    lab.do(lambda world: setattr(world.hosts[ONE], "sshd", state))
    lab.lab._tend_endpoints()


@pytest.mark.parametrize("how", ["terminal", "--look"])
def test_u13_a_monitor_that_a_person_calls_only_looks(lab: Scenario, how: str, tmp_path: Path) -> None:
    """genw-vm at a terminal, or with --look, must say what it sees, alert nobody and remember nothing."""
    calls = tmp_path / "alerts"
    command = lab.lab.folder.bin / "clplogcmd"
    was = command.read_text(encoding="utf-8")
    command.write_text(f'#!/bin/sh\necho "$@" >>"{calls}"\n', encoding="utf-8")
    before = kept(lab)
    silence(lab, Sshd.STOPPED)
    try:
        if how == "terminal":
            code, shown = at_terminal(lab, "genw-vm", "vm1")
        else:
            done = lab.run("ec1", "genw-vm", "--look", "vm1")
            code, shown = done.returncode, done.stdout
        assert (0, []) == (code, calls.read_text().splitlines() if calls.exists() else [])
        assert "cannot tell" in shown
        assert before == kept(lab)
        assert 0 == lab.run("ec1", "genw-vm", "vm1").returncode
        assert calls.exists(), "a monitor that ECX calls alerts"
    finally:
        silence(lab, Sshd.UP)
        command.write_text(was, encoding="utf-8")


def test_u14_a_start_by_hand_on_the_standby(lab: Scenario) -> None:
    """vm-start by hand where the group is not must be refused, name the command that moves both, and touch nothing."""
    done = lab.run("ec2", "vm-start", "vm1")
    assert 2 == done.returncode
    assert "clpgrp -m failover1 -a ec2" in done.stderr
    assert lab.do(lambda world: world.vms["vm1"].owner) == ONE
    assert 0 == lab.run("ec1", "vm-start", "vm1").returncode
    assert 0 == lab.run("ec2", "vm-start", "--dry-run", "vm1").returncode


def test_u15_a_host_that_refuses_the_login_is_not_called_silent(lab: Scenario) -> None:
    """A host that answers and lets nobody in must be told as that."""
    silence(lab, Sshd.REFUSING)
    try:
        status = lab.run("ec1", "ecx-hyperv", "status")
        watched = lab.run("ec1", "genw-vm", "vm1")
    finally:
        silence(lab, Sshd.UP)
    assert "refuses the login" in status.stdout
    assert "does not answer" not in status.stdout + watched.stdout


def test_u16_a_dry_run_that_says_fail_does_not_end_with_0(lab: Scenario) -> None:
    """A dry run must end with the code that the run would end with, as far as that can be told."""
    lab.do(lambda world: world.vms.pop("vm1") and None)
    done = lab.run("ec1", "vm-start", "--dry-run", "vm1")
    real = lab.run("ec1", "vm-start", "vm1")
    assert "next: fail" in done.stdout
    assert real.returncode == done.returncode != 0
