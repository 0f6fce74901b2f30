"""Real processes over real SSH: killed, cut off, frozen, fooled. Every run ends in time, and run again it gets there.

`ECX_HYPERV_FAULT_SEED` and `ECX_HYPERV_FAULT_ROUNDS` ask for other moments, and more of them.
"""

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from ecx_hyperv.lab.linux import files
from ecx_hyperv.lab.model.things import Guest, Sshd
from ecx_hyperv.lab.model.timings import FAST, FAST_TIMING
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.agent import InjectedFaults
from tests.e2e.openssh import SSHD, family, signal_all, start_sshd
from tests.e2e.support import ONE, TWO, Scenario, running_lab
from tests.proof.counts import Record, Tally

SEED = int(os.environ.get("ECX_HYPERV_FAULT_SEED", "20261122"))
ROUNDS = int(os.environ.get("ECX_HYPERV_FAULT_ROUNDS", "2"))
# How long a run may go on past its limit.
_GRACE_S = 5.0
_COUNTED = "faults over real SSH"
_HASTY = {**FAST_TIMING, "start": 6, "unregister": 6, "monitor": 6, "connect": 2, "reserve": 2}
# Long enough for a fault in the middle of each.
_SLOWER = replace(FAST, resource=0.6, guest_boot=0.9, guest_shutdown=0.9, live=1.2)
_STOP = ("vm-unregister", "--yes", "vm1")


def launch(scenario: Scenario, node: str, *command: str) -> subprocess.Popen[str]:
    """Start a command on an EC-VM."""
    return subprocess.Popen(
        command,
        env=scenario.lab.folder.environment(node),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def in_order(scenario: Scenario) -> Scenario:
    """Have a lab whose target ec1 serves, and whose monitors nobody runs."""
    scenario.lab.ecx.monitoring = False
    scenario.do(lambda world: world.storage.serve("ec1", on=True))
    return scenario


def is_off(world: World) -> bool:
    """Tell whether the VM is off and unregistered."""
    vm = world.vms["vm1"]
    return not vm.guests and vm.configuration == "Offline"


# Killed.


@pytest.mark.parametrize("number", range(ROUNDS))
def test_killed_at_any_moment_and_run_again(tmp_path: Path, number: int, record_property: Record) -> None:
    """A start, a migration and a stop that are killed, and killed again, get there when they are run to an end."""
    print(f"seed {SEED}, round {number}")  # noqa: T201 - shown where it fails
    random_ = random.Random(f"{SEED} {number}")  # noqa: S311 - no secret
    tally = Tally(record_property)
    with running_lab(tmp_path, timings=_SLOWER) as scenario:
        in_order(scenario)
        for node, command, goal in (
            ("ec1", ("vm-start", "vm1"), ONE),
            ("ec2", ("vm-start", "vm1"), TWO),
            ("ec1", _STOP, ""),
        ):
            for _ in range(random_.randint(1, 3)):
                running = launch(scenario, node, *command)
                time.sleep(random_.uniform(0.2, 2.0))
                running.kill()
                running.communicate(timeout=_GRACE_S)
                tally.add(_COUNTED, killed=1)
                scenario.check()
            done = scenario.run(node, *command)
            tally.add(_COUNTED, run_to_the_end=1)
            assert 0 == done.returncode, done.stderr + scenario.story()
            assert goal == scenario.running_on("vm1")
        assert scenario.do(is_off)
        assert ["Starting", "Running", "Off"] == scenario.guest_states("vm1")
        scenario.check()


def test_a_monitor_of_the_peer_that_is_killed_acts_once(tmp_path: Path) -> None:
    """A genw-remote-node that is killed at any moment, and run again, powers the EC-VM on once and no more."""
    print(f"seed {SEED}")  # noqa: T201 - shown where it fails
    random_ = random.Random(f"{SEED} peer")  # noqa: S311 - no secret
    with running_lab(tmp_path) as scenario:
        in_order(scenario)
        scenario.do(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))
        for _ in range(2 * ROUNDS):
            running = launch(scenario, "ec1", "genw-remote-node")
            time.sleep(random_.uniform(0.2, 1.4))
            running.kill()
            running.communicate(timeout=_GRACE_S)
        limit = time.monotonic() + FAST_TIMING["cool_down"] + 20
        while scenario.do(lambda world: world.ec_vms["ec2"].guest.state) != "Running":
            assert time.monotonic() < limit, scenario.story()
            scenario.run("ec1", "genw-remote-node")
        assert 1 == len(scenario.events("EC-VM on"))
        scenario.check()


# Hosts that do not behave.


@contextmanager
def deaf_host(scenario: Scenario, greeting: bytes) -> Iterator[None]:
    """Have host 1 accept what ec1 connects, say a greeting or nothing, and never another word."""
    endpoint = scenario.lab.endpoints["ec1", ONE]
    scenario.do(lambda world: setattr(world.hosts[ONE], "sshd", Sshd.STOPPED))
    scenario.wait(lambda _: endpoint.state is Sshd.STOPPED, "the port is free")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((files.address("ec1", 1), scenario.lab.port))
    listener.listen(16)
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            connection.sendall(greeting)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        for one in (listener, *kept):
            one.close()
        scenario.do(lambda world: setattr(world.hosts[ONE], "sshd", Sshd.UP))
        scenario.wait(lambda _: endpoint.state is Sshd.UP, "the host answers again")


@contextmanager
def mischievous_host(scenario: Scenario, faults: InjectedFaults) -> Iterator[None]:
    """Have host 1 do something wrong."""
    scenario.lab.faults[ONE] = faults
    try:
        yield
    finally:
        scenario.lab.faults.clear()


FAULTS = {
    "accepts and says nothing": lambda scenario: deaf_host(scenario, b""),
    "says its banner and no more": lambda scenario: deaf_host(scenario, b"SSH-2.0-OpenSSH_for_Windows_8.1\r\n"),
    "output that never ends": lambda scenario: mischievous_host(scenario, InjectedFaults(endless=True)),
    "silent after its hello": lambda scenario: mischievous_host(scenario, InjectedFaults(silent_after=0)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_that_does_not_behave_holds_nobody(tmp_path: Path, fault: str) -> None:
    """However a host fails to answer, every command ends in time, and does its work once the host answers again."""
    with running_lab(tmp_path, timing=_HASTY) as scenario:
        in_order(scenario)
        assert 0 == scenario.run("ec1", "vm-start", "vm1").returncode
        booted = scenario.booted("vm1")
        with FAULTS[fault](scenario):
            began = time.monotonic()
            done = scenario.run_all("ec1", ("vm-start", "vm1"), ("genw-vm", "vm1"))
            assert time.monotonic() - began < _HASTY["start"] + _GRACE_S
            codes = {command[0]: one.returncode for command, one in done.items()}
            assert 0 == codes["genw-vm"], done
            assert codes["vm-start"] in (4, 6), done
            assert not any("Traceback" in one.stdout + one.stderr for one in done.values())
        assert 0 == scenario.run("ec1", "vm-start", "vm1").returncode
        assert (ONE, booted) == (scenario.running_on("vm1"), scenario.booted("vm1"))

        with FAULTS[fault](scenario):
            began = time.monotonic()
            stopped = scenario.run("ec1", *_STOP)
            assert time.monotonic() - began < _HASTY["unregister"] + _GRACE_S
            assert bool(stopped.returncode) == bool(scenario.running_on("vm1")), stopped.stderr
        assert 0 == scenario.run("ec1", *_STOP).returncode
        assert scenario.do(is_off)
        scenario.check()


# sshd.


@dataclass(slots=True)
class Daemons:
    """The real sshds of a scenario, by host."""

    scenario: Scenario
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, host: str) -> None:
        """Start a host's sshd, again if need be."""
        (self.scenario.lab.folder.path / f"{host}.pid").unlink(missing_ok=True)
        self.running[host] = start_sshd(self.scenario, (ONE, TWO).index(host) + 1, host)

    def stop(self, host: str) -> None:
        """Stop the daemon, which leaves its connections."""
        self.running[host].terminate()
        self.running[host].wait(_GRACE_S)

    def kill(self, host: str) -> None:
        """Kill the daemon and all its connections."""
        signal_all(family(self.running[host].pid), signal.SIGKILL)
        self.running[host].wait(_GRACE_S)

    @contextmanager
    def frozen(self, host: str) -> Iterator[None]:
        """Have the daemon and all its connections stand still for the length of a with block."""
        pids = family(self.running[host].pid)
        signal_all(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(pids, signal.SIGCONT)

    def end(self) -> None:
        """Kill what runs."""
        for host in self.running:
            self.kill(host)


@contextmanager
def real_sshds(folder: Path, **lab: object) -> Iterator[tuple[Scenario, Daemons]]:
    """Run a lab whose hosts are reached through real sshds."""
    with running_lab(folder, **lab) as scenario:  # type: ignore[arg-type]
        daemons = Daemons(in_order(scenario))
        try:
            for host in (ONE, TWO):
                daemons.start(host)
            yield scenario, daemons
            scenario.check()
        finally:
            daemons.end()


def _guests(world: World) -> dict[str, Guest]:
    return world.vms["vm1"].guests


def _state(host: str, wanted: str) -> Callable[[World], bool]:
    return lambda world: host in _guests(world) and _guests(world)[host].state == wanted


def _is(wanted: str) -> Callable[[World], bool]:
    return lambda world: world.vms["vm1"].configuration == wanted


# Which command, what it is in the middle of at each fault, and what is to come of it. A guest's second job, after its
# start, is to shut down.
JOBS: tuple[tuple[str, tuple[str, ...], tuple[Callable[[World], bool], ...], str], ...] = (
    ("ec1", ("vm-start", "vm1"), (_is("OnlinePending"), _state(ONE, "Starting")), ONE),
    ("ec2", ("vm-start", "vm1"), (lambda world: bool(world.vms["vm1"].moving_to),), TWO),
    ("ec2", _STOP, (lambda world: TWO in _guests(world) and _guests(world)[TWO].job > 1, _is("OfflinePending")), ""),
)


@pytest.mark.skipif(SSHD is None, reason="no sshd on this machine: install openssh-server")
@pytest.mark.parametrize("fault", ["stopped", "killed", "frozen"])
def test_an_sshd_that_goes_in_the_middle_of_a_step(tmp_path: Path, fault: str, record_property: Record) -> None:
    """Whatever becomes of sshd in the middle of any step, the run ends in time, and run again it gets there."""
    with real_sshds(tmp_path, timings=_SLOWER) as (scenario, daemons):
        for node, command, moments, goal in JOBS:
            host = ONE if node == "ec1" else TWO
            began = time.monotonic()
            running = launch(scenario, node, *command)
            for moment in moments:
                scenario.wait(moment, f"{command[0]} is in the middle of a step")
                _harm(daemons, host, fault)
                Tally(record_property).add(_COUNTED, faults_of_sshd=1)
            _, stderr = running.communicate(timeout=FAST_TIMING["start"] + _GRACE_S)
            assert time.monotonic() - began < FAST_TIMING["start"] + _GRACE_S
            assert "Traceback" not in stderr
            done = scenario.run(node, *command)
            assert 0 == done.returncode, done.stderr + scenario.story()
            assert goal == scenario.running_on("vm1")
        assert ["Starting", "Running", "Off"] == scenario.guest_states("vm1")


def _harm(daemons: Daemons, host: str, fault: str) -> None:
    match fault:
        case "frozen":
            with daemons.frozen(host):
                time.sleep(0.6)
        case "killed":
            daemons.kill(host)
            time.sleep(0.3)
            daemons.start(host)
        case _:
            daemons.stop(host)
            time.sleep(0.3)
            daemons.start(host)


@pytest.mark.skipif(SSHD is None, reason="no sshd on this machine: install openssh-server")
def test_an_sshd_that_freezes_for_good(tmp_path: Path) -> None:
    """An sshd that freezes in the middle of a start, and stays so, does not hold the start past its limit."""
    with real_sshds(tmp_path, timings=_SLOWER, timing=_HASTY) as (scenario, daemons):
        began = time.monotonic()
        running = launch(scenario, "ec1", "vm-start", "vm1")
        scenario.wait(_is("OnlinePending"), "the VM is being registered")
        with daemons.frozen(ONE):
            _, stderr = running.communicate(timeout=_HASTY["start"] + _GRACE_S)
            assert time.monotonic() - began < _HASTY["start"] + _GRACE_S
            assert running.returncode in (4, 6), stderr
        done = scenario.run("ec1", "vm-start", "vm1")
        assert 0 == done.returncode, done.stderr + scenario.story()
        assert ["Starting", "Running"] == scenario.guest_states("vm1")
