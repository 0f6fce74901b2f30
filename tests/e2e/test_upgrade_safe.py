"""A run that is under way needs nothing more of the program's files: an upgrade may replace them."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.timings import FAST_TIMING
from ecx_hyperv.lab.windows.agent import InjectedFaults
from tests.e2e.support import LIMIT_S, ONE, TWO, Scenario, running_lab

_WITNESS = Path(__file__).with_name("witness.py")
_ENTRIES = {entry.name: entry.value for entry in entry_points(group="console_scripts")}


class Witness:
    """Runs commands on a lab, and keeps what each loaded after it had reached for a host."""

    def __init__(self, scenario: Scenario, record: Path) -> None:
        self.scenario = scenario
        self._record = record

    def run(self, node: str, *command: str, stderr: int = subprocess.STDOUT, **variables: str) -> int:
        """Run a command, fail unless it reached for a host and loaded nothing from then on; return its exit code."""
        self._record.unlink(missing_ok=True)
        program = [sys.executable, "-I", str(_WITNESS), str(self._record), _ENTRIES[command[0]]]
        done = subprocess.run(
            [*program, *command],
            env={**self.scenario.lab.folder.environment(node), "TERM": "xterm", **variables},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert {"reached a host"} == set(self._record.read_text(encoding="utf-8").splitlines()), done.stdout
        return done.returncode


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """Return a witness on a lab whose target ec1 serves, with the VM stopped, and no monitors of its own."""
    with running_lab(tmp_path / "lab", timing={**FAST_TIMING, "start": 6, "monitor": 20}) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.do(lambda world: world.storage.serve("ec1", on=True))
        scenario.on_each_host(lambda world, host: world.storage.reconnect(host))
        yield Witness(scenario, tmp_path / "record")
        scenario.check()


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_main_job(witness: Witness, form: str) -> None:
    """Start, monitor, migration, dry run, status and stop load nothing once they have reached for a host."""
    log = ("-v", "--log-format", form)
    assert 0 == witness.run("ec1", "vm-start", *log, "vm1")
    assert 0 == witness.run("ec1", "genw-vm", *log, "vm1")
    assert 0 == witness.run("ec1", "vm-unregister", *log, "--dry-run", "--yes", "vm1")
    assert 0 == witness.run("ec2", "vm-start", *log, "vm1")
    assert TWO == witness.scenario.running_on("vm1")
    assert 1 == witness.run("ec1", "genw-vm", *log, "vm1")
    assert 0 == witness.run("ec2", "ecx-hyperv", "status", *log)
    assert 0 == witness.run("ec2", "ecx-hyperv", "status", "--json", *log)
    assert 0 == witness.run("ec2", "vm-unregister", *log, "vm1", CLP_FACTOR="GROUPSTOP")


def test_a_start_by_hand(witness: Witness) -> None:
    """The live line on a terminal loads nothing once the start has reached for a host."""
    terminal, end = pty.openpty()

    assert 0 == witness.run("ec1", "vm-start", "vm1", stderr=end)
    os.close(end)
    assert "vm1" in os.read(terminal, 1 << 16).decode()
    os.close(terminal)


def test_a_planned_move(witness: Witness) -> None:
    """A move, and the table that a person is shown of genw-vm, load nothing once they have reached for a host."""
    witness.scenario.start_group()
    witness.scenario.online("ec1", "ec2")

    assert 0 == witness.run("ec1", "ecx-hyperv", "move", "ec2", "--dry-run")
    assert 0 == witness.run("ec1", "ecx-hyperv", "move", "ec2", "--yes")
    assert 0 == witness.run("ec2", "genw-vm", "--look", "vm1")


def test_the_other_ec_vm(witness: Witness) -> None:
    """The monitor that powers the other EC-VM on loads nothing once it has reached for a host."""
    lab = witness.scenario.lab
    witness.scenario.do(lambda world: world.shut_down_ec_vm(world.ec_vms["ec2"]))
    witness.scenario.wait(lambda _: lab.ecx.servers["ec2"].service == "Offline", "ECX offline on ec2")

    assert 0 == witness.run("ec1", "genw-remote-node", "-v")
    witness.scenario.online("ec1", "ec2")


@pytest.mark.proven("U24")
@pytest.mark.parametrize("form", [(), ("--json",), ("-v", "--log-format", "json")], ids=" ".join)
def test_u24_a_check(witness: Witness, tmp_path: Path, form: tuple[str, ...]) -> None:
    """A check has its findings' table, its report and the scripts for ECX loaded before it reaches for a host."""
    assert 0 == witness.run("ec1", "vm-start", "vm1")
    report = tmp_path / "report"

    assert 0 == witness.run("ec1", "ecx-hyperv", "check", "--idle", "0.3", "--report", str(report), *form)
    assert "paramiko " in report.read_text(encoding="utf-8")


@pytest.mark.proven("U24")
def test_u24_a_check_of_the_other_ec_vm_too(witness: Witness) -> None:
    """What the other EC-VM answers is read, and what is wrong is told, by what was loaded before."""
    witness.scenario.do(lambda world: world.power_off_host(TWO))

    assert 0 != witness.run("ec1", "ecx-hyperv", "check", "--idle", "0.3", "--peer")


@pytest.mark.proven("U24")
def test_u24_pinning(witness: Witness, tmp_path: Path) -> None:
    """What pins the hosts' keys has everything loaded before it reaches for a host."""
    assert 0 == witness.run("ec1", "ecx-hyperv", "trust", "--yes")
    assert 0 == witness.run("ec1", "ecx-hyperv", "setup", "ssh", "--yes", "--output", str(tmp_path / "scripts"))


def _change_keys(known: Path) -> None:
    entries = [line.split(" ", 1) for line in known.read_text(encoding="ascii").splitlines()]
    keys = [key for _, key in entries]
    swapped = [f"{host} {key}\n" for (host, _), key in zip(entries, reversed(keys), strict=True)]
    known.write_text("".join(swapped), encoding="ascii")


_TROUBLES: dict[str, Callable[[Scenario], object]] = {
    "host off": lambda scenario: scenario.do(lambda world: world.power_off_host(ONE)),
    "login refused": lambda scenario: scenario.do(lambda world: setattr(world.hosts[ONE], "sshd", Sshd.REFUSING)),
    "sshd stopped": lambda scenario: scenario.do(lambda world: setattr(world.hosts[ONE], "sshd", Sshd.STOPPED)),
    "key changed": lambda scenario: _change_keys(scenario.lab.folder.node("ec1") / "known_hosts"),
    "nonsense": lambda scenario: scenario.lab.faults.update({ONE: InjectedFaults(instead="nonsense\r\n")}),
    "silence": lambda scenario: scenario.lab.faults.update({ONE: InjectedFaults(silent_after=1)}),
}


@pytest.mark.parametrize("trouble", _TROUBLES)
def test_runs_that_fail(witness: Witness, trouble: str) -> None:
    """A run that meets trouble has what it needs to say so loaded before it reaches for a host."""
    _TROUBLES[trouble](witness.scenario)

    assert 0 != witness.run("ec1", "vm-start", "-v", "vm1")
    assert 0 == witness.run("ec1", "genw-vm", "-v", "vm1")
