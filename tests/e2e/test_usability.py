"""What an operator stumbled over, by its number in the field study: each is shown here as it is now."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.timings import FAST
from ecx_hyperv.lab.model.world import World
from tests.e2e.support import ONE, TWO, Scenario, running_lab
from tests.e2e.terminals import run_on
from tests.unit.screens import Terminal


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a lab whose group runs on ec1, and whose mirror disk takes long to be copied."""
    timings = replace(FAST, mirror_recovery=60)
    with running_lab(tmp_path_factory.mktemp("lab"), timings=timings) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.start_group()
        yield scenario


def have(lab: Scenario, state: Sshd, *hosts: str) -> None:
    """Have SSH servers of hosts be otherwise, at once."""

    def set_all(world: World) -> None:
        for host in hosts:
            world.hosts[host].sshd = state

    lab.do(set_all)
    lab.lab._tend_endpoints()


@pytest.mark.parametrize("state", [Sshd.REFUSING, Sshd.STOPPED])
def test_a5_a_host_that_refuses_is_told_apart_from_one_that_is_silent(lab: Scenario, state: Sshd) -> None:
    """Where no host lets one in a status must end with 5, where none takes a connection with 4, and say which it is."""
    have(lab, state, ONE, TWO)
    try:
        table = lab.run("ec1", "ecx-hyperv", "status")
        short = lab.run("ec1", "ecx-hyperv", "status", "--short")
        data = json.loads(lab.run("ec1", "ecx-hyperv", "status", "--json").stdout)
    finally:
        have(lab, Sshd.UP, ONE, TWO)
    code, words = (5, "refuses the login") if state is Sshd.REFUSING else (4, "cannot be connected to")
    assert [code, code] == [table.returncode, short.returncode]
    assert words in table.stdout
    assert "does not answer" not in table.stdout
    assert short.stdout.startswith("CANNOT TELL  ")
    assert 1 == len(short.stdout.splitlines())
    reach = "login refused" if state is Sshd.REFUSING else "no connection"
    assert [reach, reach] == [host["reach"] for host in data["hosts"]]


def test_a5_a_host_without_a_pinned_key_is_told_as_that(lab: Scenario) -> None:
    """Without pinned keys a status must end with 5, say so of each host, and name the command that pins them."""
    known = lab.lab.folder.node("ec1") / "known_hosts"
    kept = known.with_suffix(".kept")
    shutil.move(known, kept)
    try:
        done = lab.run("ec1", "ecx-hyperv", "status")
    finally:
        shutil.move(kept, known)
    assert 5 == done.returncode
    assert 2 == done.stdout.count("host key not pinned\n")
    assert "ecx-hyperv trust" in done.stdout
    assert "does not answer" not in done.stdout + done.stderr


def test_a6_a_status_tells_whether_all_is_well(lab: Scenario) -> None:
    """A status of a pair that is well must begin with OK and end with 0; else, with --exit-code, with 1."""
    well = lab.run("ec1", "ecx-hyperv", "status", "--exit-code")
    assert (0, "OK  vm1 runs on ") == (well.returncode, well.stdout[:16])
    lab.do(lambda world: world.guests.become(world.vms["vm1"], ONE, "PausedCritical"))
    bad = lab.run("ec1", "ecx-hyperv", "status", "--exit-code")
    plain = lab.run("ec1", "ecx-hyperv", "status")
    lab.do(lambda world: world.guests.become(world.vms["vm1"], ONE, "Running"))
    assert (1, 0) == (bad.returncode, plain.returncode)
    assert bad.stdout.startswith(f"CRITICAL  vm1 has no storage on {ONE} (Paused, no storage)")


def test_a7_the_last_good_copy_keeps_the_operators_tools(lab: Scenario) -> None:
    """With a broken config.toml every tool must go on with the copy, and status must say so in its table and JSON."""
    assert 0 == lab.run("ec1", "vm-start", "vm1").returncode
    path = lab.lab.folder.node("ec1") / "config.toml"
    good = path.read_text(encoding="utf-8")
    path.write_text(good + "\nnonsense\n", encoding="utf-8")
    try:
        status = lab.run("ec1", "ecx-hyperv", "status", "--exit-code")
        data = json.loads(lab.run("ec1", "ecx-hyperv", "status", "--json").stdout)
        listed = lab.run("ec1", "ecx-hyperv", "maintenance", "list")
        pinned = lab.run("ec1", "ecx-hyperv", "trust", "--dry-run")
    finally:
        path.write_text(good, encoding="utf-8")
    assert [1, 0, 0] == [status.returncode, listed.returncode, pinned.returncode]
    assert status.stdout.startswith("WARNING  the last good copy of the configuration is used")
    assert "config.last.toml, the last good copy: " in status.stdout
    assert data["configuration"]["is_last_good_copy"]
    assert "config.toml:" in data["configuration"]["trouble"]


def test_a10_trust_says_what_it_did_and_did_not_pin(lab: Scenario) -> None:
    """A no must be told and end with 1; with a host away nothing may be called pinned for both."""
    known = lab.lab.folder.node("ec1") / "known_hosts"
    good = known.read_text(encoding="ascii")
    known.write_text("", encoding="ascii")
    try:
        terminal = Terminal(120, 60)
        code = run_on(
            terminal, lab, "ecx-hyperv", "trust", typed=b"n\r", until=lambda one: "hosts' keys?" in "".join(one.rows())
        )
        assert (1, "") == (code, known.read_text(encoding="ascii"))
        assert "nothing was pinned" in [row for row in terminal.rows() if row][-1]
        known.write_text(good, encoding="ascii")
        have(lab, Sshd.STOPPED, TWO)
        away = lab.run("ec1", "ecx-hyperv", "trust")
    finally:
        known.write_text(good, encoding="ascii")
        have(lab, Sshd.UP, ONE, TWO)
    assert 4 == away.returncode
    assert "all pinned already" not in away.stdout
    assert "what the other host shows is pinned already" in away.stdout


def test_a2_an_ec_vm_is_no_protected_vm(lab: Scenario, tmp_path: Path) -> None:
    """A configuration that names an EC-VM as a protected VM must not be called good."""
    config = (lab.lab.folder.node("ec1") / "config.toml").read_text(encoding="utf-8")
    name = next(line for line in config.splitlines() if line.startswith("vm = "))
    path = tmp_path / "config.toml"
    path.write_text(f"{config}\n[[vm]]\nname{name.removeprefix('vm')}\n", encoding="utf-8")
    done = lab.run("ec1", "ecx-hyperv", "config", "check", "--config", str(path))
    assert 3 == done.returncode
    assert "good:" not in done.stdout


def test_b3_a_mistake_in_the_configuration_is_told_once(lab: Scenario, tmp_path: Path) -> None:
    """What is told as a mistake on stdout must not be told again on stderr."""
    path = tmp_path / "config.toml"
    path.write_text("nonsense\n", encoding="utf-8")
    done = lab.run("ec1", "ecx-hyperv", "config", "check", "--config", str(path))
    assert 3 == done.returncode
    mistake = done.stdout.splitlines()[0]
    assert mistake not in done.stderr
    assert f"{path}: 1 mistake" in done.stderr


def test_a1_a_mirror_that_is_being_copied_is_seen(lab: Scenario) -> None:
    """While the mirror disk is copied a status must warn, with the percentage, and forbid a failover (last test)."""
    lab.do(lambda world: world.power_off_host(TWO))
    lab.wait(lambda _: lab.lab.ecx.servers["ec2"].service != "Online", "ec2 away")
    lab.do(lambda world: world.power_on_host(TWO))
    lab.wait(lambda _: lab.lab.ecx.servers["ec2"].service == "Online", "ec2 online")
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        done = lab.run("ec1", "ecx-hyperv", "status", "--exit-code")
        if "being copied" in done.stdout.splitlines()[0]:
            break
    assert 1 == done.returncode
    assert done.stdout.startswith("WARNING  vm1 runs, but cannot fail over: "), done.stdout
    assert "the mirror disk md1 is being copied (" in done.stdout
    assert " %" in done.stdout
    assert "do not move or fail over now" in done.stdout
    data = json.loads(lab.run("ec1", "ecx-hyperv", "status", "--json").stdout)
    assert "WARNING" == data["verdict"]["severity"]
    assert data["mirrors"][0]["percent"] is not None


def test_a_status_of_20_vms_takes_hardly_longer_than_one_of_one(tmp_path: Path) -> None:
    """With 20 VMs a status must take less than 1.3 times what it takes with one VM."""
    with running_lab(tmp_path, *(f"vm{number:02}" for number in range(1, 21))) as lab:
        lab.lab.ecx.monitoring = False
        lab.do(lambda world: world.storage.serve("ec1", on=True))

        def took(*command: str) -> float:
            began = time.monotonic()
            assert 0 == lab.run("ec1", *command).returncode
            return time.monotonic() - began

        took("ecx-hyperv", "status")
        one = all_of_them = float("inf")
        # The quickest of each is what the program takes; the rest is what else this machine has to do.
        for number in range(15):
            one = min(one, took("ecx-hyperv", "status", "vm01"))
            all_of_them = min(all_of_them, took("ecx-hyperv", "status"))
            if number >= 2 and all_of_them < 1.3 * one:
                break
    assert all_of_them < 1.3 * one, (one, all_of_them)
