"""ecx-hyperv move on the lab: there and back, refused, asked, failed, interrupted; the real commands over real SSH."""

import os
import pty
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.timings import FAST
from tests.e2e.support import ONE, TWO, Scenario, run_at_terminal, running_lab

SLOW_MOVE = FAST.__class__(**{**{name: getattr(FAST, name) for name in FAST.__struct_fields__}, "live": 3.0})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a lab whose group runs on ec1; each test leaves it so."""
    with running_lab(tmp_path_factory.mktemp("lab")) as scenario:
        scenario.start_group()
        scenario.online("ec1", "ec2")
        yield scenario


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab of its own in which a live migration takes three seconds."""
    with running_lab(tmp_path, timings=SLOW_MOVE) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.start_group()
        scenario.online("ec1", "ec2")
        yield scenario


@pytest.mark.parametrize("count", [1, 5])
def test_there_and_back_without_stopping_a_vm(tmp_path: Path, count: int) -> None:
    """A move there and back must take all VMs along, and the world must see none of them stop."""
    vms = [f"vm{number}" for number in range(1, count + 1)]
    with running_lab(tmp_path, *vms) as scenario:
        scenario.start_group()
        scenario.online("ec1", "ec2")
        booted = {vm: scenario.booted(vm) for vm in vms}
        for run_on, to, host in (("ec1", "ec2", TWO), ("ec1", "ec1", ONE)):
            done = scenario.run(run_on, "ecx-hyperv", "move", to, "--yes")
            assert 0 == done.returncode, done.stderr + scenario.story()
            assert done.stdout.splitlines()[-1].startswith("done in 0:")
            assert done.stdout.endswith("; no VM stopped\n")
            assert [host] * count == [scenario.running_on(vm) for vm in vms]
            assert "Online" == scenario.lab.ecx.servers[to].group
            scenario.online("ec1", "ec2")
        assert booted == {vm: scenario.booted(vm) for vm in vms}
        assert not {"Off", "Saved"} & {state for vm in vms for state in scenario.guest_states(vm)}
        scenario.check()


def test_a_dry_run_shows_the_plan_and_does_nothing(lab: Scenario) -> None:
    """A dry run must show where things are, and what will be done at what cost, and order nothing."""
    done = lab.run("ec1", "ecx-hyperv", "move", "ec2", "--dry-run")
    assert 0 == done.returncode
    assert "failover1 is Online on ec1; it is to be moved to ec2." in done.stdout
    assert "clpgrp -m failover1 -a ec2" in done.stdout
    assert "4.0 GB of memory to copy" in done.stdout
    assert "no VM will be stopped" in done.stdout
    assert lab.running_on("vm1") == ONE


def test_a_group_that_is_there_already_needs_no_move(lab: Scenario) -> None:
    """A move to where the group is must be done at once, and unknown names be refused."""
    done = lab.run("ec2", "ecx-hyperv", "move", "ec1", "--yes")
    assert (0, True) == (done.returncode, "Online on ec1 already" in done.stdout)
    assert 2 == lab.run("ec1", "ecx-hyperv", "move", "ec3", "--yes").returncode
    assert 2 == lab.run("ec1", "ecx-hyperv", "move", "ec2", "--group", "nosuch", "--yes").returncode
    assert 2 == lab.run("ec1", "ecx-hyperv", "move", "ec2", "--wait", "soon", "--yes").returncode


def test_a_person_is_asked(lab: Scenario) -> None:
    """A person at a terminal must see the plan and be asked; a no, or no answer, must move nothing."""
    code, shown = lab.at_terminal("ec1", "ecx-hyperv", "move", "ec2", answer="n")
    assert 1 == code
    assert shown.index("no VM will be stopped") < shown.index("Move failover1 to ec2 now?")
    assert "nothing was moved" in shown
    assert 2 == lab.run("ec1", "ecx-hyperv", "move", "ec2").returncode
    assert lab.running_on("vm1") == ONE


def test_what_changes_while_a_person_thinks_counts(lab: Scenario) -> None:
    """What is seen after the answer must decide: a mirror disk that broke meanwhile keeps the group where it is."""
    environment = {**lab.lab.folder.environment("ec1"), "TERM": "dumb", "COLUMNS": "400"}
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("ecx-hyperv", ["ecx-hyperv", "move", "ec2"], environment)  # noqa: S606
    shown = b""
    while b"now?" not in shown:
        shown += os.read(terminal, 65536)
    _red(lab)
    os.write(terminal, b"y\n")
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:
        pass
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    _not_red(lab)
    assert 1 == os.waitstatus_to_exitcode(status), shown
    assert b"failover1 was not moved: one copy of the mirror disk md1 is old" in shown
    assert "Online" == lab.lab.ecx.servers["ec1"].group


def _red(lab: Scenario) -> None:
    lab.lab.ecx.mirror.shown = {"ec2": MirrorColor.RED}


def _not_red(lab: Scenario) -> None:
    lab.lab.ecx.mirror.shown = {}


def _host(number: int, attribute: str, bad: object, good: object) -> tuple[Callable[[Scenario], None], ...]:
    def setter(value: object) -> Callable[[Scenario], None]:
        def act(lab: Scenario) -> None:
            lab.do(lambda world: setattr([*world.hosts.values()][number], attribute, value))
            lab.lab._tend_endpoints()

        return act

    return setter(bad), setter(good)


def _fact(attribute: str, bad: object, good: object) -> tuple[Callable[[Scenario], None], ...]:
    def setter(value: object) -> Callable[[Scenario], None]:
        return lambda lab: lab.do(lambda world: setattr(world.facts, attribute, value))

    return setter(bad), setter(good)


def _maintenance(word: str) -> Callable[[Scenario], None]:
    def act(lab: Scenario) -> None:
        lab.run("ec1", "ecx-hyperv", "maintenance", word, "vm1")

    return act


def _pause(lab: Scenario) -> None:
    lab.do(lambda world: setattr(world.vms["vm1"].guests[ONE], "state", "Paused"))


def _run_again(lab: Scenario) -> None:
    lab.do(lambda world: setattr(world.vms["vm1"].guests[ONE], "state", "Running"))


def _ecx_off(lab: Scenario) -> None:
    with lab.lab.world_now():
        assert 0 == lab.lab.ecx.stop_service("ec2")
    lab.wait(lambda _: lab.lab.ecx.servers["ec2"].service == "Offline", "ECX on ec2 stopped")


def _ecx_on(lab: Scenario) -> None:
    with lab.lab.world_now():
        lab.lab.ecx.start_service("ec2")
    lab.online("ec1", "ec2")


_NETWORKS = (
    "Management_network;Mirror_network;iSCSI_network;VM_network",
    "Management_network;Mirror_network;iSCSI_network",
)


@pytest.mark.parametrize(
    ("spoil", "mend", "code", "said"),
    [
        pytest.param(_red, _not_red, 1, "mirror disks", id="mirror"),
        pytest.param(*_host(1, "memory", 3, 64), 1, "3.0 GB free, 4.0 GB needed", id="memory"),
        pytest.param(*_fact("no_migration", *_NETWORKS), 1, "no network for live migration is up", id="network"),
        pytest.param(_maintenance("on"), _maintenance("off"), 1, "vm1 is in maintenance", id="maintenance"),
        pytest.param(_ecx_off, _ecx_on, 1, "ECX on ec2 is not Online", id="ecx"),
        pytest.param(*_host(1, "sshd", Sshd.STOPPED, Sshd.UP), 4, "cannot be asked", id="host"),
        pytest.param(*_host(1, "sshd", Sshd.REFUSING, Sshd.UP), 5, "cannot be asked", id="login"),
        pytest.param(*_host(1, "paused", True, False), 1, "is not Up", id="node"),
        pytest.param(_pause, _run_again, 1, "it is Paused on", id="vm"),
    ],
)
def test_what_speaks_against_a_move_keeps_it_from_being_done(
    lab: Scenario, spoil: Callable[[Scenario], None], mend: Callable[[Scenario], None], code: int, said: str
) -> None:
    """Each check must refuse by itself, with --yes too, with the same code and words in a dry run."""
    lab.stop_watching()
    spoil(lab)
    try:
        real = lab.run("ec1", "ecx-hyperv", "move", "ec2", "--yes")
        dry = lab.run("ec1", "ecx-hyperv", "move", "ec2", "--dry-run")
    finally:
        mend(lab)
        lab.lab.ecx.monitoring = True
    assert (code, code) == (real.returncode, dry.returncode), real.stdout + real.stderr
    assert said in real.stdout
    assert "failover1 was not moved: " in real.stderr.splitlines()[-1]
    assert real.stderr.splitlines()[-1].split("error", 1)[1][8:] == dry.stderr.splitlines()[-1].split("error", 1)[1][8:]
    assert "against it (" in real.stdout
    assert "Online" == lab.lab.ecx.servers["ec1"].group


def test_a_group_in_the_middle_of_a_failover_is_refused(slow: Scenario) -> None:
    """A group that is on its way already must be left to ECX."""
    with slow.lab.world_now():
        assert 0 == slow.lab.ecx.move_group("ec2")
    time.sleep(1)
    done = slow.run("ec1", "ecx-hyperv", "move", "ec1", "--yes")
    assert 1 == done.returncode
    assert "Pending" in done.stdout
    assert "wait until clpstat shows it Online" in done.stdout
    slow.settled("ec2")


def test_a_group_that_is_off_is_refused(slow: Scenario) -> None:
    """A group that is active nowhere must be started, and the command for that be named."""
    slow.stop_group()
    done = slow.run("ec1", "ecx-hyperv", "move", "ec2", "--yes")
    assert (1, True) == (done.returncode, "clpgrp -s failover1 -a ec2" in done.stdout)


def replace_clpgrp(lab: Scenario, *lines: str) -> None:
    """Have clpgrp do something else."""
    command = lab.lab.folder.bin / "clpgrp"
    command.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")


def test_ecx_refuses(slow: Scenario) -> None:
    """An order that ECX does not take must end with 8, in ECX's own words."""
    replace_clpgrp(slow, 'echo "Command failed. The server is busy." ', "exit 1")
    done = slow.run("ec1", "ecx-hyperv", "move", "ec2", "--yes")
    assert 8 == done.returncode
    assert "The server is busy. (exit 1)" in done.stderr.splitlines()[-1]
    assert slow.running_on("vm1") == ONE


def test_a_clpgrp_that_returns_only_once_the_move_is_over(slow: Scenario) -> None:
    """A clpgrp that blocks must hold up neither the watching nor the end."""
    stand_in = (slow.lab.folder.bin / "clpgrp").read_text(encoding="utf-8").splitlines()[-1].removeprefix("exec ")
    replace_clpgrp(slow, stand_in, "sleep 30")
    done = slow.run("ec1", "ecx-hyperv", "move", "ec2", "--yes")
    assert 0 == done.returncode, done.stderr
    assert "vm1 Running on ws2019-host-1, in live migration" in done.stdout


def shares(shown: str) -> list[int]:
    """Return what was said of how far the live migration was, in percent."""
    return [int(share) for share in re.findall(r"in live migration, (\d+) %", shown)]


def test_how_far_a_live_migration_is(slow: Scenario) -> None:
    """Percent must be shown in steps of 10 where WSFC fills the property, and nothing be made of it where it does not.

    The 100 of the migration before is no share of this one.
    """
    there = slow.run("ec1", "ecx-hyperv", "move", "ec2", "--yes")
    slow.online("ec1", "ec2")
    back = slow.run("ec1", "ecx-hyperv", "move", "ec1", "--yes")
    for done in (there, back):
        told = shares(done.stdout)
        assert len(told) > 1, done.stdout
        assert sorted(set(told)) == told
        assert {share % 10 for share in told} == {0}
        assert max(told) < 100
    slow.online("ec1", "ec2")
    slow.do(lambda world: setattr(world.vms["vm1"].facts, "fills_progress", False))
    unfilled = slow.run("ec1", "ecx-hyperv", "move", "ec2", "--yes")
    assert 0 == unfilled.returncode
    assert "in live migration" in unfilled.stdout
    assert not shares(unfilled.stdout)


def test_a_move_that_is_late_goes_on(slow: Scenario) -> None:
    """A move that is not over within --wait must end with 6, and be told to go on."""
    late = slow.run("ec1", "ecx-hyperv", "move", "ec2", "--yes", "--wait", "2s")
    assert 6 == late.returncode
    assert "is not over yet, and goes on by itself" in late.stderr.splitlines()[-1]
    slow.settled("ec2")
    assert slow.running_on("vm1") == TWO


def test_the_target_dies_in_the_middle(slow: Scenario) -> None:
    """A target that dies while the group comes must be told as a failed move, with the VM where ECX runs it."""

    def kill() -> None:
        slow.wait(lambda _: slow.lab.ecx.servers["ec2"].group == "Online Pending", "the group comes")
        slow.do(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))

    killer = threading.Thread(target=kill)
    killer.start()
    done = slow.run("ec1", "ecx-hyperv", "move", "ec2", "--yes")
    killer.join()
    assert 1 == done.returncode, done.stdout + done.stderr
    assert "failover1 is back on ec1: the move to ec2 failed" in done.stderr
    slow.settled("ec1")
    assert slow.running_on("vm1") in (ONE, TWO)
    slow.check()


def press_ctrl_c(lab: Scenario, node: str, when: Callable[[], None], *command: str) -> tuple[int, str]:
    """Run a command at a terminal, press Ctrl-C at a moment, and return how it ended and what was shown."""
    environment = {**lab.lab.folder.environment(node), "TERM": "dumb", "COLUMNS": "600"}
    code, shown = run_at_terminal(environment, *command, ctrl_c=when)
    return code, " ".join(shown.split())


def test_b12_ctrl_c_in_a_start_tells_of_the_live_migration(slow: Scenario) -> None:
    """A person who ends a start in a live migration must be told where the VM will be, and what ECX makes of it."""

    def migrating() -> None:
        slow.wait(lambda world: bool(world.vms["vm1"].moving_to), "the live migration is under way")

    code, text = press_ctrl_c(slow, "ec2", migrating, "vm-start", "--yes", "vm1")
    assert 130 == code, text
    assert "the live migration of vm1 goes on by itself, and ends on" in text
    assert "where the group is on ec1, genw-vm calls it failed there" in text
    slow.wait(lambda world: world.vms["vm1"].owner == TWO, "the VM is on the other host")


def test_b12_ctrl_c_ends_the_watching_and_not_the_move(slow: Scenario) -> None:
    """A person who presses Ctrl-C must be told that the move goes on, where the VMs will be, and what ECX does."""

    def comes() -> None:
        slow.wait(lambda _: slow.lab.ecx.servers["ec2"].group == "Online Pending", "the group comes")

    code, text = press_ctrl_c(slow, "ec1", comes, "ecx-hyperv", "move", "ec2", "--yes")
    assert 130 == code, text
    assert "the move goes on without this command" in text
    assert "The VMs will be on WS2019-HOST-2, and failover1 on ec2" in text
    assert "ECX takes failover1 back to ec1" in text
    slow.settled("ec2")
    assert slow.running_on("vm1") == TWO
