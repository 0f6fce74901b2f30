"""The commands as a person or ECX runs them: what they print, how they end, what they leave alone."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.run.status import PairStatus
from tests.e2e.support import ONE, TWO, Scenario, running_lab

COMMANDS = ("vm-start", "vm-unregister", "genw-vm", "genw-remote-node", "ecx-hyperv")


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab whose target ec1 serves, with the VM stopped, and no monitors of its own."""
    with running_lab(tmp_path) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.do(lambda world: world.storage.serve("ec1", on=True))
        scenario.on_each_host(lambda world, host: world.storage.reconnect(host))
        yield scenario
        scenario.check()


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line that a command printed for a person."""
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr.splitlines()[-1]


def test_a_stopped_vm_is_started_and_the_answer_says_where(ready: Scenario) -> None:
    """vm-start prints where the VM runs, on stdout, and ends with 0; done twice it changes nothing more."""
    first = ready.run("ec1", "vm-start", "vm1")
    ready.lab.audits.clear()
    second = ready.run("ec1", "vm-start", "vm1")

    assert (0, "vm1 is running on ws2019-host-1\n") == (first.returncode, first.stdout)
    assert (0, "vm1 is running on ws2019-host-1\n") == (second.returncode, second.stdout)
    audit = ready.lab.audit("ec1", ONE)
    assert (1, 1, 1, []) == (audit.logins, audit.powershells, audit.round_trips, audit.changes)
    assert 0 == ready.lab.audit("ec1", TWO).logins


def test_a_state_with_control_characters_stays_one_line_of_plain_text(ready: Scenario) -> None:
    """Whatever a host calls a state, it neither controls the terminal nor adds a line to an answer or a log."""
    ready.run("ec1", "vm-start", "vm1")
    ready.do(lambda world: setattr(world.vms["vm1"].guests[ONE], "state", "\x1b[31mOdd\nvm1 is running\x07"))
    watched = ready.run("ec1", "genw-vm", "vm1")
    planned = ready.run("ec1", "vm-start", "--dry-run", "vm1")
    shown = ready.run("ec1", "ecx-hyperv", "status")

    assert [0, 0, 0] == [done.returncode for done in (watched, planned, shown)]
    # A heading, the wait, and how it ends.
    assert [1, 3] == [len(done.stdout.splitlines()) for done in (watched, planned)]
    for done in (watched, planned, shown):
        assert not {"\x1b", "\x07"} & {*done.stdout, *done.stderr}
        assert [] == [line for line in done.stdout.splitlines() if line.startswith("vm1 is running")]
    ready.do(lambda world: setattr(world.vms["vm1"].guests[ONE], "state", "Running"))


@pytest.mark.defect(11)
def test_a_live_migration_takes_one_connection_a_host_and_few_requests(ready: Scenario) -> None:
    """A live migration takes one connection and PowerShell a host, at most 4 round trips to each beside its polls."""
    ready.run("ec1", "vm-start", "vm1")
    ready.lab.audits.clear()
    moved = ready.run("ec2", "vm-start", "vm1")

    assert 0 == moved.returncode
    for host in (ONE, TWO):
        audit = ready.lab.audit("ec2", host)
        assert (1, 1) == (audit.logins, audit.powershells)
        assert audit.round_trips - audit.polls(0.08) <= 4


@pytest.mark.defect(23)
def test_the_event_never_overrides_what_is_seen(ready: Scenario) -> None:
    """Whatever CLP_EVENT says, or if it says nothing, a running guest on the peer host is migrated live."""
    ready.run("ec1", "vm-start", "vm1")
    for node, variables in (("ec2", {}), ("ec1", {"CLP_EVENT": "FAILOVER"}), ("ec2", {"CLP_EVENT": "RECOVER"})):
        assert 0 == ready.run(node, "vm-start", "vm1", **variables).returncode

    assert ["live"] * 3 == [event.state for event in ready.events("migrated")]
    assert ["Starting", "Running"] == ready.guest_states("vm1")


@pytest.mark.defect(41)
def test_a_stop_by_hand_needs_to_be_meant(ready: Scenario) -> None:
    """Without CLP_FACTOR a stop does nothing and ends with 2, unless --yes is given."""
    ready.run("ec1", "vm-start", "vm1")
    not_meant = ready.run("ec1", "vm-unregister", "vm1")
    assert 2 == not_meant.returncode
    assert "vm-unregister --yes" in last_line(not_meant)
    assert ONE == ready.running_on("vm1")

    meant = ready.run("ec1", "vm-unregister", "--yes", "vm1")
    again = ready.run("ec1", "vm-unregister", "--yes", "vm1")
    assert (0, 0) == (meant.returncode, again.returncode)
    assert "" == ready.running_on("vm1")


def test_the_vm_is_named_by_ecx(ready: Scenario) -> None:
    """Without arguments CLP_RESOURCENAME names the VM; a resource that none is configured for is an error."""
    assert 0 == ready.run("ec1", "vm-start", CLP_RESOURCENAME="exec-vm1", CLP_EVENT="START").returncode
    unknown = ready.run("ec1", "vm-start", CLP_RESOURCENAME="exec-vm10", CLP_EVENT="START")

    assert 2 == unknown.returncode
    assert "vm1" in last_line(unknown)


def test_a_host_that_is_off(ready: Scenario) -> None:
    """With its host off every command ends with its own exit code within its connect budget, saying what to do."""
    ready.do(lambda world: world.power_off_host(ONE))
    time_limit = 15.0
    expected: dict[tuple[str, ...], int] = {
        ("vm-start", "vm1"): 4,
        ("genw-vm", "vm1"): 0,
        ("ecx-hyperv", "status"): 0,
    }
    started = time.monotonic()
    for command, done in ready.run_all("ec1", *expected).items():
        assert expected[command] == done.returncode, (command, done.stderr)
        assert "Traceback" not in done.stderr
        if done.returncode:
            assert "do: see that the host is on" in last_line(done)
    assert time.monotonic() - started < time_limit


def test_a_stop_while_a_host_is_off(ready: Scenario) -> None:
    """A VM that is lost with the peer host is off; the local host is never lost, since the EC-VM itself runs on it."""
    ready.do(lambda world: world.power_off_host(ONE))
    stop = ("vm-unregister", "--yes", "vm1")
    assert {"ec1": 7, "ec2": 0} == {node: ready.run_all(node, stop)[stop].returncode for node in ("ec1", "ec2")}


def test_both_hosts_off(ready: Scenario) -> None:
    """With both hosts off every command that must know ends with 4, and the monitor, which must not guess, with 0."""
    ready.on_each_host(World.power_off_host)
    expected: dict[tuple[str, ...], int] = {
        ("vm-start", "vm1"): 4,
        ("genw-vm", "vm1"): 0,
        ("ecx-hyperv", "status", "--json"): 4,
        ("ecx-hyperv", "trust", "--yes"): 4,
        ("vm-unregister", "--yes", "vm1"): 4,
    }
    for command, done in ready.run_all("ec1", *expected).items():
        assert expected[command] == done.returncode, (command, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.defect(12)
@pytest.mark.parametrize(("state", "code"), [(Sshd.REFUSING, 5), (Sshd.STOPPED, 4)])
def test_a_host_that_refuses(ready: Scenario, state: Sshd, code: int) -> None:
    """A login that is refused ends with 5, a stopped sshd with 4, and neither is evidence to the monitor."""
    ready.do(lambda world: setattr(world.hosts[ONE], "sshd", state))
    started = ready.run("ec1", "vm-start", "vm1")
    watched = ready.run("ec1", "genw-vm", "vm1")

    assert (code, 0) == (started.returncode, watched.returncode)
    assert "cannot tell" in watched.stdout
    assert any(event.state == "WARN" for event in ready.events("alert"))


@pytest.mark.defect(12)
def test_a_changed_host_key(ready: Scenario) -> None:
    """A host key that is not the pinned one ends with 5 and says what to run; trust pins it for a named host."""
    known = ready.lab.folder.node("ec1") / "known_hosts"
    good = known.read_text(encoding="ascii")
    lines = [line.split(" ") for line in good.splitlines()]
    keys = [line[2] for line in lines]
    known.write_text("".join(f"{line[0]} {line[1]} {keys[1 - n]}\n" for n, line in enumerate(lines)), encoding="ascii")
    refused = ready.run("ec1", "vm-start", "vm1")
    assert 5 == refused.returncode
    assert "ecx-hyperv trust" in last_line(refused)

    shown = ready.run("ec1", "ecx-hyperv", "trust", "--dry-run")
    assert "CHANGED since it was pinned" in shown.stdout
    before = known.read_bytes()
    unnamed = ready.run("ec1", "ecx-hyperv", "trust", "--yes")
    assert (5, before) == (unnamed.returncode, known.read_bytes())
    hosts = [line[0].removeprefix("[").partition("]")[0] for line in lines]
    assert all(f"ecx-hyperv trust --replace {host}" in unnamed.stderr for host in hosts)
    named = [word for host in hosts for word in ("--replace", host)]
    trusted = ready.run("ec1", "ecx-hyperv", "trust", "--yes", *named)
    assert (0, good) == (trusted.returncode, known.read_text(encoding="ascii"))
    assert 0 == ready.run("ec1", "vm-start", "vm1").returncode


def test_trust_wants_an_answer(ready: Scenario) -> None:
    """Trust pins nothing without a yes."""
    known = ready.lab.folder.node("ec1") / "known_hosts"
    known.unlink()
    asked = ready.run("ec1", "ecx-hyperv", "trust")

    assert 2 == asked.returncode
    assert not known.exists()


def test_a_dry_run_changes_nothing(ready: Scenario) -> None:
    """A dry run looks, prints what the run will do and how it will end, and changes nothing."""
    start = ready.run("ec1", "vm-start", "--dry-run", "vm1")
    assert 0 == start.returncode
    assert [
        "vm1: the run will, as far as what is seen now allows:",
        "  1. register: the configuration resource of vm1 is offline",
        "  2. power on: it is Off on ws2019-host-1",
        "vm1 is running on ws2019-host-1",
    ] == start.stdout.splitlines()
    ready.run("ec1", "vm-start", "vm1")
    ready.lab.audits.clear()

    stop = ready.run("ec1", "vm-unregister", "--dry-run", "--yes", "vm1")
    assert 0 == stop.returncode
    assert [
        "vm1: the run will, as far as what is seen now allows:",
        "  1. shut down: it is Running on ws2019-host-1",
        "  2. unregister: vm1 is off",
        "  3. take the Shared Volume Cluster Disk 1 offline, if no other VM is on it",
        "vm1 is off and unregistered",
    ] == stop.stdout.splitlines()
    assert 2 == ready.run("ec1", "vm-unregister", "--dry-run", "vm1").returncode
    move = ready.run("ec2", "vm-start", "--dry-run", "vm1")
    assert 0 == move.returncode
    peer = ready.run("ec1", "genw-remote-node", "--dry-run")
    assert 0 == peer.returncode
    assert [] == [change for audit in ready.lab.audits.values() for change in audit.changes]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version(ready: Scenario, command: str) -> None:
    """Every command explains itself with an example, and tells its version."""
    shown, version = ready.run("ec1", command, "--help"), ready.run("ec1", command, "--version")

    assert 0 == shown.returncode == version.returncode
    assert "Example: " in shown.stdout
    assert version.stdout.startswith(f"{command} ")


@pytest.mark.parametrize(
    "command",
    [
        ("ecx-hyperv", *words)
        for words in (
            ("status",),
            ("maintenance",),
            ("maintenance", "on"),
            ("maintenance", "off"),
            ("maintenance", "list"),
            ("trust",),
            ("config",),
            ("config", "check"),
            ("lab",),
            ("lab", "start"),
            ("lab", "run"),
        )
    ],
)
def test_help_of_the_subcommands(ready: Scenario, command: tuple[str, ...]) -> None:
    """Every subcommand explains itself with an example."""
    assert "Example: " in ready.run("ec1", *command, "--help").stdout


@pytest.mark.defect(13)
def test_a_typo_in_the_configuration(ready: Scenario) -> None:
    """A mistake is named by file and key, every one of them, and changes nothing."""
    config = ready.lab.folder.node("ec1") / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("interval =", "intervall ="), encoding="utf-8")
    with config.open("a", encoding="utf-8") as file:
        file.write('[[vm]]\nname = "web*"\n')
    checked = ready.run("ec1", "ecx-hyperv", "config", "check")
    started = ready.run("ec1", "vm-start", "vm1")

    assert (3, 3) == (checked.returncode, started.returncode)
    text = config.read_text(encoding="utf-8")
    line = text[: text.index("intervall")].count("\n") + 1
    assert f"{config}:{line}: timing.intervall: expected one of interval" in checked.stdout
    assert "the nearest key is interval" in checked.stdout
    assert str(config) in last_line(started)


def test_the_last_good_configuration_is_used(ready: Scenario) -> None:
    """A configuration that no longer loads takes no node down: the last good copy is used, with an ERR alert."""
    assert 0 == ready.run("ec1", "vm-start", "vm1").returncode
    (ready.lab.folder.node("ec1") / "config.toml").write_text("[cluster\n", encoding="utf-8")

    for command in (("genw-vm", "vm1"), ("vm-start", "vm1"), ("vm-unregister", "--yes", "vm1")):
        done = ready.run("ec1", *command)
        assert 0 == done.returncode, done.stderr
    assert any(event.state == "ERR" and "last good copy" in event.who for event in ready.events("alert"))


def test_a_group_move_needs_nothing(ready: Scenario) -> None:
    """On a move of the group a stop is done whatever is wrong here, the configuration included."""
    (ready.lab.folder.node("ec1") / "config.toml").write_text("[cluster\n", encoding="utf-8")

    assert 0 == ready.run("ec1", "vm-unregister", CLP_FACTOR="GROUPMOVE", CLP_RESOURCENAME="exec-vm1").returncode


def test_a_monitor_without_a_configuration_cannot_tell(ready: Scenario) -> None:
    """A monitor whose configuration cannot be read answers 0, and alerts."""
    (ready.lab.folder.node("ec1") / "config.toml").unlink()
    done = ready.run("ec1", "genw-vm", "vm1")

    assert 0 == done.returncode
    assert any("genw-vm cannot tell" in event.who for event in ready.events("alert"))


def test_status_shows_the_same_facts_twice(ready: Scenario) -> None:
    """Status shows tables for people and the same facts as JSON, of which no key goes missing."""
    ready.run("ec1", "vm-start", "vm1")
    table = ready.run("ec1", "ecx-hyperv", "status", "vm1")
    data = json.loads(ready.run("ec1", "ecx-hyperv", "status", "vm1", "--json").stdout)

    assert 0 == table.returncode
    assert "Running" in table.stdout
    assert set(data) == {one.name for one in fields(PairStatus)}
    assert ["local", "peer"] == [host["side"] for host in data["hosts"]]
    assert ("ws2019-host-1", "Running", None) == (
        data["vms"][0]["owner"],
        data["vms"][0]["local"]["state"],
        data["vms"][0]["peer"],
    )
    ready.do(lambda world: world.power_off_host(TWO))
    silent = json.loads(ready.run("ec1", "ecx-hyperv", "status", "vm1", "--json").stdout)
    assert set(data["hosts"][1]) == set(silent["hosts"][1])
    assert "does not answer" in silent["hosts"][1]["trouble"]
    assert silent["hosts"][1]["address"] not in silent["hosts"][1]["trouble"]


@pytest.mark.defect(49)
def test_maintenance(ready: Scenario) -> None:
    """A VM in maintenance is left by starts and monitors, shown by status, and stopped all the same by a stop."""
    assert 0 == ready.run("ec1", "ecx-hyperv", "maintenance", "on", "VM1", "--for", "2h", "--reason", "disk").returncode
    assert "vm1 (VM): maintenance until" in ready.run("ec1", "ecx-hyperv", "maintenance", "list").stdout
    started = ready.run("ec1", "vm-start", "vm1")
    assert (0, "") == (started.returncode, ready.running_on("vm1"))
    assert 0 == ready.run("ec1", "genw-vm", "vm1").returncode
    assert json.loads(ready.run("ec1", "ecx-hyperv", "status", "--json").stdout)["vms"][0]["maintenance"]
    assert 0 == ready.run("ec1", "vm-unregister", "--yes", "vm1").returncode

    assert 0 == ready.run("ec1", "ecx-hyperv", "maintenance", "off", "vm1").returncode
    assert 0 == ready.run("ec1", "vm-start", "vm1").returncode
    assert ONE == ready.running_on("vm1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("on", "nobody"),
        ("on", "vm1", "--for", "soon"),
        ("on", "vm1", "--for", "2h", "--until", "2030-01-01T00:00"),
        ("on", "vm1", "--until", "2020-01-01T00:00"),
    ],
)
def test_maintenance_refuses_what_makes_no_sense(ready: Scenario, arguments: tuple[str, ...]) -> None:
    """A maintenance of nobody, for no length of time, or over already, is a usage error."""
    assert 2 == ready.run("ec1", "ecx-hyperv", "maintenance", *arguments).returncode


def test_json_logs(ready: Scenario) -> None:
    """With --log-format json every line of the log is JSON, and the last carries the exit code."""
    ready.do(lambda world: setattr(world.hosts[ONE], "quarantined", True))
    done = ready.run("ec1", "vm-start", "--log-format", "json", "vm1")
    lines = [json.loads(line) for line in done.stderr.splitlines()]

    assert done.returncode == lines[-1]["exit"] == 8
    assert 1 == len({line["run"] for line in lines})


def test_ctrl_c_and_again(ready: Scenario) -> None:
    """A start that is interrupted says so without a traceback, and run again it goes on."""
    ready.run("ec1", "vm-start", "vm1")
    moving = subprocess.Popen(
        ["vm-start", "vm1"],
        env=ready.lab.folder.environment("ec2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ready.wait(lambda world: bool(world.vms["vm1"].moving_to), "the migration begins")
    moving.send_signal(signal.SIGINT)
    _, stderr = moving.communicate(timeout=20)

    assert 130 == moving.returncode
    assert "interrupted" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
    assert 0 == ready.run("ec2", "vm-start", "vm1").returncode
    assert TWO == ready.running_on("vm1")
    assert ["Starting", "Running"] == ready.guest_states("vm1")


def test_killed_and_again(ready: Scenario) -> None:
    """A start that is killed leaves no lock behind, and run again it goes on."""
    starting = subprocess.Popen(
        ["vm-start", "vm1"],
        env=ready.lab.folder.environment("ec1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ready.wait(lambda world: world.vms["vm1"].configuration != "Offline", "the start has begun")
    starting.kill()
    starting.wait(10)

    assert 0 == ready.run("ec1", "vm-start", "vm1").returncode
    assert ["Starting", "Running"] == ready.guest_states("vm1")


def test_two_starts_at_once_are_one(ready: Scenario) -> None:
    """Two starts of one VM at the same time both end well, and the VM is started once."""
    starts = [
        subprocess.Popen(
            ["vm-start", "vm1"],
            env=ready.lab.folder.environment("ec1"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]

    assert [0, 0] == [start.wait(30) for start in starts]
    assert ["Starting", "Running"] == ready.guest_states("vm1")


def test_a_stop_does_not_wait_for_a_start(ready: Scenario) -> None:
    """A start under way gives way to a stop of the same VM."""
    ready.do(lambda world: world.storage.serve("ec1", on=False))
    starting = subprocess.Popen(
        ["vm-start", "vm1"],
        env=ready.lab.folder.environment("ec1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    locks = ready.lab.folder.node("ec1") / "run"
    ready.wait(lambda _: any(locks.glob("vm-*.lock")), "the start holds its lock")
    stopped = ready.run("ec1", "vm-unregister", "--yes", "vm1")
    _, stderr = starting.communicate(timeout=20)

    assert (0, 1) == (stopped.returncode, starting.returncode)
    assert "a stop of it began" in stderr.splitlines()[-1]


def test_a_bare_environment(ready: Scenario) -> None:
    """Without PATH, HOME or a locale, as ECX may call, a command still works."""
    environment = ready.lab.folder.environment("ec1")
    command = next(
        Path(folder) / "vm-start" for folder in environment["PATH"].split(":") if (Path(folder) / "vm-start").exists()
    )
    bare = {key: value for key, value in environment.items() if key.startswith("ECX_HYPERV")}
    done = subprocess.run([command, "vm1"], env=bare, capture_output=True, text=True, timeout=30, check=False)

    assert (0, "vm1 is running on ws2019-host-1\n") == (done.returncode, done.stdout)


def test_gathered_input(tmp_path: Path) -> None:
    """The other way in, one PowerShell a look or act with gathered input, does the same work."""
    with running_lab(tmp_path, stdin="input") as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.do(lambda world: world.storage.serve("ec1", on=True))
        started = scenario.run("ec1", "vm-start", "vm1")
        audit = scenario.lab.audit("ec1", ONE)

        assert 0 == started.returncode, started.stderr
        assert 1 == audit.logins
        assert audit.powershells < len(audit.asked)
        # All that a PowerShell is asked has come with the agent itself.
        assert audit.round_trips <= audit.powershells
