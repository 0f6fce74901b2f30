"""The commands, a real sshd, the untouched bootstraps and agent, and a real PowerShell, whose stand-ins ask the lab."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ecx_hyperv.lab.engine.modules import Engine
from ecx_hyperv.lab.model.timings import ENGINE, ENGINE_TIMING
from tests.e2e.openssh import SSHD, behind_real_sshds
from tests.e2e.support import ENGINE_LIMIT_S, ONE, TWO, Scenario, running_lab


@pytest.fixture(params=["handle", "input"])
def scenario(request: pytest.FixtureRequest, tmp_path: Path, standins: Engine) -> Iterator[Scenario]:
    """Return a lab whose hosts are a real PowerShell behind real sshds, in each way of stdin."""
    if SSHD is None:
        pytest.skip("no sshd on this machine: install openssh-server")
    # With "input" each look starts a PowerShell of its own on each host: few looks, at what is soon over.
    timing = ENGINE_TIMING if request.param == "handle" else {**ENGINE_TIMING, "interval": 10}
    timings = replace(ENGINE, guest_boot=1, guest_shutdown=1, live=1)
    given = {"timings": timings, "timing": timing, "stdin": request.param, "engine": standins}
    with behind_real_sshds(tmp_path, **given) as running:
        yield running


def done(scenario: Scenario, node: str, *command: str) -> str:
    """Run a command that must end with 0, and return what it answers."""
    run = scenario.run(node, *command)
    assert 0 == run.returncode, f"{run.stderr}\n{scenario.story()}"
    return run.stdout


def test_each_command_of_ecx_does_its_work_in_the_engine(scenario: Scenario) -> None:
    """Start, monitor and stop must do in a real PowerShell what they do in the lab's own."""
    scenario.do(lambda world: world.storage.serve("ec1", on=True))
    assert f"vm1 is running on {ONE}\n" == done(scenario, "ec1", "vm-start", "vm1")
    assert f"vm1 is running on {ONE}\n" == done(scenario, "ec1", "genw-vm", "vm1")

    done(scenario, "ec1", "vm-unregister", "--yes", "vm1")
    assert ["Starting", "Running", "Off"] == scenario.guest_states("vm1")
    assert "" == scenario.running_on("vm1")


def test_a_vm_moves_while_it_runs_in_the_engine(scenario: Scenario) -> None:
    """A start on the other EC-VM must migrate the running VM live through a real PowerShell, without a new boot."""
    scenario.do(lambda world: world.storage.serve("ec1", on=True))
    done(scenario, "ec1", "vm-start", "vm1")
    booted = scenario.booted("vm1")
    assert f"vm1 is running on {TWO}\n" == done(scenario, "ec2", "vm-start", "vm1")
    assert booted == scenario.booted("vm1")


def test_peer_that_is_off_is_powered_on_in_the_engine(scenario: Scenario) -> None:
    """genw-remote-node must power the other EC-VM on through a real PowerShell, and must do so once."""
    scenario.do(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))
    scenario.wait(lambda _: scenario.lab.ecx.sees("ec1", "ec2") == "Offline", "ECX is offline on ec2")
    run = scenario.run("ec1", "genw-remote-node")
    assert "EC-VM2" in run.stdout + run.stderr
    assert ["ec2"] == [event.who for event in scenario.events("EC-VM on")], f"{run.stderr}\n{scenario.story()}"


def story(scenario: Scenario) -> list[object]:
    """Play README's first story, and return what became of the VM at the end of each scene."""
    # The monitors start a PowerShell every few seconds; they are tried by themselves above.
    scenario.lab.ecx.monitoring = False
    ends: list[object] = []
    scenario.start_group("ec1")
    ends.append(scenario.running_on("vm1"))
    scenario.move_group("ec2")
    ends.append((scenario.running_on("vm1"), scenario.guest_states("vm1")))
    scenario.do(lambda world: world.power_off_host(TWO))
    scenario.settled("ec1")
    scenario.wait(lambda _: scenario.running_on("vm1") == ONE, "the VM runs on host 1")
    ends.append((scenario.running_on("vm1"), scenario.guest_states("vm1")))
    scenario.check()
    return ends


def test_first_story_ends_as_with_the_labs_own_agent(tmp_path: Path, standins: Engine) -> None:
    """Start, planned move and failover must end alike with the real agent and with the lab's own."""
    with running_lab(tmp_path / "own") as own:
        expected = story(own)
    with running_lab(tmp_path / "engine", timings=ENGINE, timing=ENGINE_TIMING, engine=standins) as real:
        assert expected == story(real)


def test_lab_starts_with_a_powershell(tmp_path: Path, pwsh: str) -> None:
    """A lab that is started with --powershell must show its hosts by way of it, and run a person's line in it."""

    def tried(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ecx-hyperv", "lab", *arguments[:1], "--folder", str(tmp_path / "lab"), *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=ENGINE_LIMIT_S, check=False)

    def lab(*arguments: str) -> str:
        run = tried(*arguments)
        assert 0 == run.returncode, run.stdout + run.stderr
        return run.stdout

    assert "a lab runs in" in lab("start", "--powershell", pwsh)
    try:
        lab("group", "start", "ec1")
        limit = time.monotonic() + ENGINE_LIMIT_S
        while "Online" != json.loads(lab("show"))["ecx"]["ec1"]["group"]:
            assert time.monotonic() < limit, lab("history")
            time.sleep(0.5)
        # A status waits for its hosts as long as a person does, which on a busy machine is too short for a PowerShell.
        while "Running" not in (status := tried("run", "ec1", "ecx-hyperv", "status")).stdout:
            assert time.monotonic() < limit, status.stdout + status.stderr
        shown = lab("powershell", "host1", "(Get-VM -Name vm1).State; $PSVersionTable.PSEdition")
        assert ["Running", "Core"] == shown.split()
    finally:
        lab("stop")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("--powershell", "/nowhere/pwsh"), "names no program"), (("--fast", "--powershell", "sh"), "leaves no time")],
)
def test_lab_that_cannot_have_its_powershell_says_so(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """A path that leads nowhere, and a pace that leaves no time, must be refused before anything is started."""
    command = ["ecx-hyperv", "lab", "start", "--folder", str(tmp_path / "lab"), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (2, True) == (run.returncode, says in run.stderr), run.stderr
    assert not (tmp_path / "lab").exists()
