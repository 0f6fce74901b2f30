"""The defects that all four of the forerunner's scripts had, played to the program that replaced them.

In virtual time, on the real loop and decisions; `test_citations.py` proves that none of the 57 is left out.
"""

from pathlib import Path

import pytest

from ecx_hyperv.decide.monitor import Health
from ecx_hyperv.decide.steps import Done, Fail
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.model.things import Sshd
from tests.proof.defects import LONG, events, refusing
from tests.run.support import ONE, TWO, make_world, only, start, unregister, with_running
from tests.run.test_monitors import health, watch
from tests.virtual.contexts import SimulatedNode


@pytest.mark.defect(4)
def test_a_vm_that_hyperv_does_not_know_is_not_running() -> None:
    """A VM that Get-VM does not find is absent, whatever the error's text: no monitor takes it for a state."""
    world = with_running()
    world.vms["vm1"].guests.clear()
    sim = SimulatedNode(world, "ec1")
    assert Health.UNKNOWN is health(sim)

    # Hyper-V and the cluster contradict each other as long as neither shows the VM down.
    world.vms["vm1"].configuration = "Failed"
    assert Health.UNKNOWN is health(sim)
    world.vms["vm1"].configuration = world.vms["vm1"].machine = "Offline"
    assert Health.FAILED is health(sim)


@pytest.mark.defect(6)
def test_a_vm_whose_name_ends_like_another_is_its_own() -> None:
    """A stop of web1 ends only when web1 is off, whatever myweb1, web10 and a name like its pattern are."""
    world = with_running("myweb1", "web10", "web1", "Cent8x2-1", "Cent8.2-1")
    for name in ("myweb1", "web10", "Cent8x2-1"):
        world.guests.turn_off(world.vms[name], ONE)
    world.advance(5)
    for name in ("myweb1", "web10", "Cent8x2-1"):
        world.cluster.stop_configuration(world.vms[name])
    world.advance(5)
    ends = unregister(SimulatedNode(world, "ec1"), "web1", "Cent8.2-1")

    assert {"web1", "Cent8.2-1"} == {name for name, end in ends.items() if isinstance(end, Done)}
    assert {("Offline", "Offline")} == {(vm.group, vm.configuration) for vm in world.vms.values()}
    assert [] == world.violations


@pytest.mark.defect(7)
def test_a_long_name_with_blanks_is_read_whole() -> None:
    """A name that no table has room for is started, monitored, moved and stopped like any other."""
    twin = f"{LONG[:-1]}y"
    world = make_world(LONG, twin)
    for node in ("ec1", "ec2"):
        end = only(start(SimulatedNode(world, node), LONG))
        assert isinstance(end, Done)
    assert Health.HEALTHY is watch(SimulatedNode(world, "ec2"), LONG).verdicts[LONG].health
    assert isinstance(only(unregister(SimulatedNode(world, "ec2"), LONG)), Done)

    assert {"Offline"} == {vm.configuration for vm in world.vms.values()}
    assert not [event for event in world.history if event.who == twin]


@pytest.mark.defect(8)
def test_what_is_known_of_one_vm_says_nothing_of_the_next() -> None:
    """Beside a VM that is off, at home and answered for, another is still found running, elsewhere, or unreadable."""
    world = with_running("vm1", "vm2")
    world.cluster.move(world.vms["vm2"], TWO, live=True)
    world.advance(10)
    sim = SimulatedNode(world, "ec1")
    ends = start(sim, "vm1", "vm2")
    assert [Done, Done] == [type(end) for end in ends.values()]
    assert [("vm2", "live"), ("vm2", "live")] == events(world, "migrated")

    about = ("vm2", world.vms["vm2"].id)
    sim.hosts.disturb = refusing(
        lambda _side, call: call.cmdlet == "Get-VM" and call.args.get("Id", call.args.get("Name")) in about
    )
    verdicts = watch(sim, "vm1", "vm2").verdicts
    assert (Health.HEALTHY, Health.UNKNOWN) == (verdicts["vm1"].health, verdicts["vm2"].health)

    sim.hosts.disturb = None
    world.guests.turn_off(world.vms["vm1"], ONE)
    world.advance(5)
    ends = unregister(sim, "vm1", "vm2")
    assert [Done, Done] == [type(end) for end in ends.values()]
    assert {"Offline"} == {vm.group for vm in world.vms.values()}
    assert [] == world.violations


@pytest.mark.defect(15)
def test_nobody_is_told_to_lower_the_guard() -> None:
    """Nothing that is handed to an administrator asks for empty passwords, or for host keys that nobody compares."""
    root = Path(__file__).parents[2]
    files = [root / "README.md", *(root / "config").iterdir(), *(path for path in (root / "scripts").rglob("*"))]
    texts = {path: path.read_text(encoding="utf-8").casefold() for path in files if path.is_file()}
    invariants = ("permitemptypasswords yes", "selinux=disabled", "disable firewalld", "stricthostkeychecking no")

    assert [] == [(path.name, word) for path, text in texts.items() for word in invariants if word in text]


@pytest.mark.defect(15)
def test_a_refused_login_is_no_reason_to_fail_over() -> None:
    """When no domain controller lets anybody in, a start and a monitor say so, and no guest is touched."""
    world = with_running()
    world.hosts[ONE].sshd = Sshd.REFUSING
    sim = SimulatedNode(world, "ec1")

    end = only(start(sim, "vm1"))
    assert isinstance(end, Fail)
    assert Exit.LOGIN is end.exit
    assert Exit.DONE is watch(sim).exit
    assert "Running" == world.vms["vm1"].guests[ONE].state
