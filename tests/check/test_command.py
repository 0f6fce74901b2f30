"""ecx-hyperv check as a person runs it: table, JSON, exit codes, names, the other EC-VM, the report."""

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecx_hyperv.check.catalogue import CATALOGUE
from ecx_hyperv.lab.model.things import Sshd, vm_id
from tests.e2e.support import ONE, TWO, Scenario, running_lab


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a lab whose group runs on ec1."""
    with running_lab(tmp_path_factory.mktemp("lab"), "vm1", "web 1") as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.start_group()
        yield scenario


@pytest.fixture
def lab(shared: Scenario) -> Iterator[Scenario]:
    """Return that lab, with its hosts as they were afterwards."""
    yield shared
    shared.do(lambda world: setattr(world.facts, "resiliency", 9999))
    for host in (ONE, TWO):
        sshd(shared, host, Sshd.UP)


def sshd(lab: Scenario, host: str, state: Sshd) -> None:
    """Have a host's SSH server behave otherwise, at once."""
    lab.do(lambda world: setattr(world.hosts[host], "sshd", state))
    lab.lab._tend_endpoints()


def check(lab: Scenario, *words: str, node: str = "ec1") -> subprocess.CompletedProcess[str]:
    """Run the command on an EC-VM."""
    done = lab.run(node, "ecx-hyperv", "check", *words)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("node", ["ec1", "ec2"])
def test_a_right_lab_is_all_ok(lab: Scenario, node: str) -> None:
    """On a lab that is set up as it should be everything is ok on both EC-VMs, and the exit code 0."""
    done = check(lab, "--idle", "0.3", "--json", node=node)
    said = json.loads(done.stdout)
    assert {"ok"} == {one["outcome"] for one in said["findings"]}, done.stdout
    assert set(CATALOGUE) - {"peer"} == {one["name"] for one in said["findings"]}
    assert (0, 0, node) == (done.returncode, said["exit"], said["node"])


def test_the_other_ec_vm(lab: Scenario) -> None:
    """With --peer the other EC-VM is asked of itself and of its way to the hosts."""
    done = check(lab, "--peer", "key-file", "peer", "reachable", "--json")
    places = {(one["name"], one["place"]) for one in json.loads(done.stdout)["findings"]}
    first = ONE.upper()
    assert {("key-file", "ec1"), ("key-file", "ec2"), ("peer", "ec2")} <= places
    assert {("reachable", first), ("reachable", f"{first} (from ec2)")} <= places
    assert 0 == done.returncode


def test_the_other_ec_vm_does_not_answer(lab: Scenario) -> None:
    """Another EC-VM that cannot be asked cannot be told, and the rest is."""
    ssh = lab.lab.folder.bin / "ssh"
    kept = ssh.read_text(encoding="utf-8")
    ssh.write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2; exit 255\n", encoding="utf-8")
    try:
        done = check(lab, "--peer", "key-file", "peer")
    finally:
        ssh.write_text(kept, encoding="utf-8")
    assert 7 == done.returncode
    assert "Permission denied" in done.stdout
    assert "on ec2: ecx-hyperv check" in done.stderr


def test_the_other_ec_vm_works_by_another_configuration(lab: Scenario) -> None:
    """A configuration that is not the same on both EC-VMs is told, since a failover would change how it works."""
    path = lab.lab.folder.node("ec2") / "config.toml"
    kept = path.read_text(encoding="utf-8")
    path.write_text(kept.replace("settle = 4", "settle = 5"), encoding="utf-8")
    try:
        done = check(lab, "--peer", "peer", "key-file")
    finally:
        path.write_text(kept, encoding="utf-8")
    assert 1 == done.returncode
    assert "another config.toml" in done.stdout


def test_one_check_by_name(lab: Scenario) -> None:
    """A check that is named is made alone; what is wrong ends with 1, and the last line says what to do."""
    lab.do(lambda world: setattr(world.facts, "resiliency", 240))
    done = check(lab, "resiliency")
    assert 1 == done.returncode
    assert "quarantine" not in done.stdout
    assert "(Get-Cluster).ResiliencyDefaultPeriod = 9999" in done.stdout
    assert "do: on WS2019-HOST-1: (Get-Cluster).ResiliencyDefaultPeriod = 9999" in done.stderr.splitlines()[-1]
    assert 0 == check(lab, "quarantine").returncode


def test_an_unknown_check(lab: Scenario) -> None:
    """A check that does not exist is a usage error that says how to see those that do."""
    done = check(lab, "resilience")
    assert 2 == done.returncode
    assert "ecx-hyperv check --list" in done.stderr


def test_the_list(lab: Scenario) -> None:
    """Every check is listed with what it means."""
    done = check(lab, "--list")
    assert 0 == done.returncode
    assert not [name for name in CATALOGUE if f"  {name} " not in done.stdout]


def test_a_host_that_is_away(lab: Scenario) -> None:
    """A host that does not answer is wrong once; what it alone could tell stands on one line for one reason."""
    sshd(lab, TWO, Sshd.STOPPED)
    done = check(lab, "--idle", "0.3")
    lines = [line for line in done.stdout.splitlines() if "127.77.1.2" in line and "cannot tell" in line]
    assert 1 == done.returncode
    assert 1 == len(lines), done.stdout
    assert "the host cannot be connected to: see reachable" in done.stdout


def test_both_hosts_away(lab: Scenario) -> None:
    """Without any host this EC-VM and ECX's settings are checked all the same, and nothing is a traceback."""
    for host in (ONE, TWO):
        sshd(lab, host, Sshd.STOPPED)
    done = check(lab, "--json", "--idle", "0.3")
    said = {(one["name"], one["place"]): one["outcome"] for one in json.loads(done.stdout)["findings"]}
    assert "ok" == said["key-file", "ec1"]
    assert "ok" == said["ecx-retry", "genw-vm1"]
    assert "cannot tell" == said["vm-failover", "vm1"]
    assert 1 == done.returncode


def test_a_configuration_that_does_not_load(lab: Scenario, tmp_path: Path) -> None:
    """Without a configuration nothing can be checked, and every mistake is an error of it."""
    broken = tmp_path / "config.toml"
    broken.write_text("[cluster]\n", encoding="utf-8")
    assert 3 == check(lab, "--config", str(broken)).returncode


def test_the_report(lab: Scenario, tmp_path: Path) -> None:
    """The report has configuration, checks, versions and the ends of the logs, for its owner alone, and no secret."""
    log = lab.lab.folder.node("ec1") / "log" / "exec-vm1.log"
    with log.open("a", encoding="utf-8") as file:
        file.write("password = hunter2 and more\n")
        file.write((lab.lab.folder.node("ec1") / "id_ed25519").read_text(encoding="utf-8"))
    path = tmp_path / "report.txt"
    done = check(lab, "resiliency", "key-file", "--report", str(path))
    text = path.read_text(encoding="utf-8")
    assert 0 == done.returncode
    for part in (
        "== versions",
        "== checks",
        "== configuration",
        "== last runs: exec-vm1.log",
        "paramiko",
        "resiliency",
    ):
        assert part in text
    assert "hunter2" not in text
    assert "PRIVATE KEY" not in text
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_report_asks_this_ec_vm_once(lab: Scenario, tmp_path: Path) -> None:
    """What the checks have asked this EC-VM is not asked again for the report: rpm and its like take seconds."""
    calls, command = tmp_path / "calls", lab.lab.folder.bin / "rpm"
    kept = command.read_text(encoding="utf-8")
    counting = f'#!/bin/sh\necho "$@" >>"{calls}"\necho 5.2.0-1\n'
    command.write_text(counting, encoding="utf-8")
    try:
        check(lab, "ecx-installed", "--report", str(tmp_path / "report.txt"))
    finally:
        command.write_text(kept, encoding="utf-8")
    assert 1 == len(calls.read_text(encoding="utf-8").splitlines())
    assert "ECX 5.2.0-1" in (tmp_path / "report.txt").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written(lab: Scenario) -> None:
    """A report that cannot be written is an error that names the file."""
    done = check(lab, "key-file", "--report", "/nowhere/report.txt")
    assert 7 == done.returncode
    assert "/nowhere/report.txt" in done.stderr


def test_a_stopped_group(tmp_path: Path) -> None:
    """While the group is stopped, what shows only while it runs is not called wrong: one warning names it."""
    with running_lab(tmp_path) as scenario:
        scenario.lab.ecx.monitoring = False
        done = check(scenario, "--json", "--idle", "0.3")
        found = json.loads(done.stdout)["findings"]
        assert ["group"] == [one["name"] for one in found if one["outcome"] != "ok"], done.stdout
        assert 0 == done.returncode
        assert "vm-stop-action" in next(one["seen"] for one in found if one["name"] == "group")


def test_nothing_is_changed(lab: Scenario) -> None:
    """A check only looks: no cmdlet that changes something is called on any host."""
    lab.lab.audits.clear()
    check(lab, "--idle", "0.3")
    assert {()} == {tuple(audit.changes) for audit in lab.lab.audits.values()}
    lab.check()


@pytest.mark.parametrize(
    ("check_name", "fact", "value"),
    [
        ("vm-restart-action", "restart_action", "2"),
        ("vm-check-heartbeat", "check_heartbeat", "1"),
        ("vm-offline-action", "offline_action", "0"),
    ],
)
def test_d23_what_wsfc_would_do_is_told_and_its_remedy_sets_it(
    lab: Scenario, check_name: str, fact: str, value: str
) -> None:
    """What WSFC would do by itself is wrong, and the line that is printed sets it right."""
    folder = ("--folder", str(lab.lab.folder.path))
    assert 0 == lab.run("ec1", "ecx-hyperv", "lab", "set", *folder, "web 1", fact, value).returncode
    done = check(lab, check_name, "--json")
    (found,) = [one for one in json.loads(done.stdout)["findings"] if one["outcome"] != "ok"]
    assert (1, "web 1") == (done.returncode, found["place"])
    host, line = found["remedy"]["on"], found["remedy"]["run"]
    assert "Virtual Machine web 1" in line
    assert 0 == lab.run("ec1", "ecx-hyperv", "lab", "powershell", *folder, host.casefold(), line).returncode
    assert 0 == check(lab, check_name).returncode


def test_d15_a_group_of_two_vms_ends_with_3(lab: Scenario) -> None:
    """Which VM is meant is a matter of the configuration: check ends as a start of that VM does, and names both."""
    lab.do(lambda world: setattr(world.vms["web 1"], "role", "vm1"))
    try:
        done = check(lab, "vm-identity", "vm-clustered")
    finally:
        lab.do(lambda world: setattr(world.vms["web 1"], "role", "web 1"))
    assert 3 == done.returncode
    assert all(f'id = "{vm_id(name)}"' in done.stdout.replace("\n", " ") for name in ("vm1", "web 1"))
    assert "1 of 4 checks wrong; the first: vm-identity of vm1" in done.stderr.splitlines()[-1]
    assert 0 == check(lab, "vm-identity").returncode


def test_the_lab_from_the_shell(lab: Scenario) -> None:
    """A fact of the lab is set, and a remedy run on a host, from the shell."""
    folder = ("--folder", str(lab.lab.folder.path))
    assert 0 == lab.run("ec1", "ecx-hyperv", "lab", "set", *folder, "cluster", "resiliency", "240").returncode
    assert 1 == check(lab, "resiliency").returncode
    line = "(Get-Cluster).ResiliencyDefaultPeriod = 9999"
    assert 0 == lab.run("ec1", "ecx-hyperv", "lab", "powershell", *folder, "host1", line).returncode
    assert 0 == check(lab, "resiliency").returncode
    assert 1 == lab.run("ec1", "ecx-hyperv", "lab", "set", *folder, "cluster", "nothing", "1").returncode
    unknown = lab.run("ec1", "ecx-hyperv", "lab", "powershell", *folder, "host1", "Remove-VM -Name vm1")
    assert 1 == unknown.returncode
