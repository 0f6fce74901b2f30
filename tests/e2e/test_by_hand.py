"""Commands that a person calls: what only ECX may have done is not done, and what is told is true."""

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
            code, shown = lab.at_terminal("ec1", "genw-vm", "vm1")
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
    assert "ecx-hyperv move ec2" in done.stderr
    assert lab.do(lambda world: world.vms["vm1"].owner) == ONE
    assert 0 == lab.run("ec1", "vm-start", "vm1").returncode
    assert 2 == lab.run("ec2", "vm-start", "--dry-run", "vm1").returncode
    assert 0 == lab.run("ec2", "vm-start", "--dry-run", "--yes", "vm1").returncode


def test_a3_a_start_by_hand_on_the_standby_drags_nothing_along(lab: Scenario) -> None:
    """A person who types vm-start in the wrong window must be told the way, and no guest may move (A3)."""
    code, shown = lab.at_terminal("ec2", "vm-start", "vm1")
    assert 2 == code
    assert "ECX has failover1, and so the storage, on ec1" in shown
    assert "ecx-hyperv move ec2" in shown
    assert lab.running_on("vm1") == ONE


def test_a4_genw_vm_by_hand_on_the_standby_raises_no_alarm(lab: Scenario) -> None:
    """A person who calls genw-vm on the standby must see a verdict, with no alert and nothing remembered (A4)."""
    alerts = len(lab.events("alert"))
    code, shown = lab.at_terminal("ec2", "genw-vm", "vm1")
    assert 1 == code
    heading, row = [line.split() for line in shown.splitlines()[-2:]]
    assert ["VM", "VERDICT", "WHY"] == heading
    assert ["vm1", "failed"] == row[:2]
    assert alerts == len(lab.events("alert"))
    assert not [*(lab.lab.folder.node("ec2") / "state").glob("monitors/*")]


def test_genw_remote_node_at_a_terminal_only_looks(lab: Scenario) -> None:
    """A person who calls genw-remote-node must see what it would do, and nothing may be done to the peer."""
    lab.do(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))
    try:
        code, shown = lab.at_terminal("ec1", "genw-remote-node")
        assert (0, True) == (code, "power on ec2" in shown)
        assert "Off" == lab.do(lambda world: world.ec_vms["ec2"].guest.state)
        assert 0 == lab.at_terminal("ec1", "genw-remote-node", "--yes")[0]
        assert "Running" == lab.do(lambda world: world.ec_vms["ec2"].guest.state)
    finally:
        lab.do(lambda world: world.start_ec_vm(world.ec_vms["ec2"]))
        lab.online("ec1", "ec2")


def test_a_stop_that_ecx_calls_without_a_factor_is_one_of_the_group(lab: Scenario) -> None:
    """A stop with a CLP_* variable and without CLP_FACTOR must stop the VM: failing it would take the node down."""
    assert 2 == lab.run("ec1", "vm-unregister", "vm1").returncode
    assert lab.running_on("vm1") == ONE
    try:
        assert 0 == lab.run("ec1", "vm-unregister", CLP_RESOURCENAME="exec-vm1").returncode
        assert lab.running_on("vm1") == ""
    finally:
        assert 0 == lab.run("ec1", "vm-start", "vm1").returncode


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
    assert f"the run will fail with {real.returncode}: " in done.stdout
    assert real.returncode == done.returncode != 0
