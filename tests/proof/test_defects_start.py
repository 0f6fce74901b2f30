"""The defects of the forerunner's start, played to vm-start.

In virtual time, on the real loop and decisions; `test_citations.py` proves that none of the 57 is left out.
"""

import dataclasses

import pytest
from msgspec.structs import replace

from ecx_hyperv.config import Timing
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.steps import Done, Fail
from ecx_hyperv.errors import HostError
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.wire import Result
from ecx_hyperv.lab.model.things import Guest, HostRefusal, Plane, Vm
from tests.proof.defects import events, refusing
from tests.run.support import ONE, TWO, make_world, only, start, with_running
from tests.virtual.contexts import TARGET, SimulatedNode, make_config
from tests.virtual.hosts import Proceed
from tests.virtual.invariants import ProgramKind
from tests.virtual.programs import run_program


@pytest.mark.defect(4, 16)
def test_a_vm_that_cannot_be_registered_ends_the_start() -> None:
    """A VM that Hyper-V never gets to know ends the start, which names the contradiction, and unregisters nothing."""
    world = with_running()
    vm = world.vms["vm1"]
    vm.guests.clear()

    def forget() -> None:
        vm.guests.clear()
        world.at(0.1, forget)

    world.at(0.1, forget)
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert "contradict each other" in end.what
    assert [] == events(world, "unregistered")


@pytest.mark.defect(16)
@pytest.mark.parametrize("word", ["Starting", "Saving", "PausedCritical", "OffCritical", "Daydreaming", "Reset"])
def test_a_state_that_never_changes_ends_the_start(word: str) -> None:
    """A guest that stays as it is, whatever that is, ends a start before its deadline, naming the state."""
    world = with_running()
    world.vms["vm1"].guests[ONE].state = word
    sim = SimulatedNode(world, "ec1")
    outcome = run_program(sim, ProgramKind.START, "vm1")

    assert outcome.exit in (Exit.OUT_OF_TIME, Exit.NOT_AS_ASKED)
    assert word in sim.log.getvalue().splitlines()[-1]
    assert outcome.seconds <= sim.context.config.timing.start
    assert [] == world.violations


@pytest.mark.defect(16)
@pytest.mark.parametrize("word", ["Paused", "Saved", "Off"])
def test_a_state_that_can_be_left_is_left(word: str) -> None:
    """A guest that is paused, saved or off is brought to Running, not waited for."""
    world = with_running()
    vm = world.vms["vm1"]
    if word == "Paused":
        world.guests.pause(vm, ONE)
    else:
        vm.guests[ONE] = Guest(word)
        vm.machine = "Offline"

    assert isinstance(only(start(SimulatedNode(world, "ec1"), "vm1")), Done)
    assert "Running" == vm.guests[ONE].state


@pytest.mark.defect(21)
def test_a_migration_that_does_not_arrive_is_not_believed() -> None:
    """A migration that began well and failed under way is seen as that, tried three times, and then said."""
    world = with_running(host=TWO)
    begin = world.cluster.move

    def move(vm: object, to: str, *, live: bool) -> int:
        code = begin(world.vms["vm1"], to, live=live)
        world.at(1, lambda: world.cluster.cancel(world.vms["vm1"]))
        return code

    world.cluster.move = move  # type: ignore[method-assign]
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert f"goes on running on {TWO}" in end.what
    assert [("vm1", "live")] * 3 == events(world, "move begins")
    assert "Running" == world.vms["vm1"].guests[TWO].state


@pytest.mark.defect(21)
def test_a_migration_without_end_ends_with_the_start() -> None:
    """A migration that never ends does not hold a start beyond its deadline."""
    world = with_running(host=TWO, live=1e9)
    outcome = run_program(SimulatedNode(world, "ec1"), ProgramKind.START, "vm1")

    assert Exit.OUT_OF_TIME is outcome.exit
    assert ["Move-ClusterVirtualMachineRole vm1"] == list(outcome.changes)
    assert [] == world.violations


@pytest.mark.defect(22)
def test_no_live_migration_from_a_host_that_is_gone() -> None:
    """Where a quick migration from a host without power fails, no live one is tried in its place."""
    world = with_running(host=TWO)
    world.power_off_host(TWO)
    world.advance(30)
    kinds: list[object] = []

    def refused(vm: object, to: str, *, live: bool) -> int:
        kinds.append(live)
        return 5050

    world.cluster.move = refused  # type: ignore[method-assign]
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert {False} == set(kinds)


@pytest.mark.defect(24)
def test_what_was_seen_before_a_wait_is_not_acted_on_after_it() -> None:
    """A VM that was off when the start began, and was started elsewhere while it waited for iSCSI, migrates live."""
    world = with_running(host=TWO)
    vm = world.vms["vm1"]
    world.guests.turn_off(vm, TWO)
    world.advance(5)
    next(iter(world.volumes.values())).owner = TWO
    world.cut(ONE, "ec1", Plane.STORAGE)
    world.cut(ONE, "ec2", Plane.STORAGE)
    world.at(60, lambda: world.guests.start(vm, TWO))
    world.at(240, world.restore_all)
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert [("vm1", "live")] == events(world, "migrated")
    assert "Saving" not in [state for _, state in events(world, "guest")]


@pytest.mark.defect(25)
@pytest.mark.parametrize("shout", [True, False])
def test_a_host_may_spell_its_name_otherwise(shout: bool) -> None:
    """Whether a host calls itself as the cluster does or in capitals, a VM at home stays, and one elsewhere comes."""
    world = with_running(shout_names=shout)
    assert isinstance(only(start(SimulatedNode(world, "ec1"), "vm1")), Done)
    assert [] == events(world, "move begins")

    assert isinstance(only(start(SimulatedNode(world, "ec2"), "vm1")), Done)
    assert [("vm1", "live")] == events(world, "migrated")
    assert "Running" == world.vms["vm1"].guests[TWO].state


@pytest.mark.defect(26)
@pytest.mark.parametrize("cmdlet", ["Get-ClusterGroup", "Get-ClusterNode", "Get-ClusterResource"])
def test_without_an_answer_about_the_owner_nothing_is_started(cmdlet: str) -> None:
    """Where the cluster's groups, nodes or resources cannot be read, no VM is started, moved or stopped for it."""
    world = with_running(host=TWO)
    sim = SimulatedNode(world, "ec1")
    sim.hosts.disturb = refusing(lambda _side, call: call.cmdlet == cmdlet)
    outcome = run_program(sim, ProgramKind.START, "vm1")

    assert Exit.DONE is not outcome.exit
    assert [] == list(outcome.changes)
    assert "Running" == world.vms["vm1"].guests[TWO].state


@pytest.mark.defect(27)
def test_a_target_whose_address_only_begins_alike_is_another() -> None:
    """A connection to 192.168.139.20 or .2011 is none to .201: the portal is refreshed, and the start waits for it."""
    world = with_running()
    world.guests.turn_off(world.vms["vm1"], ONE)
    world.advance(5)
    sim = SimulatedNode(world, "ec1")
    addresses = iter([TARGET[:-1], f"{TARGET}1", TARGET])
    seen = [next(addresses)]

    def disturb(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        answer = proceed(ask)
        if isinstance(answer, HostError):
            return answer
        pairs = zip(ask.request.calls, answer.reply.results, strict=True)
        shown = Result(ok=True, value=({"TargetAddress": seen[-1]},))
        results = tuple(shown if call.cmdlet == "Get-IscsiConnection" else result for call, result in pairs)
        if any(call.cmdlet == "Get-IscsiConnection" for call in ask.request.calls):
            seen.append(next(addresses, TARGET))
        return dataclasses.replace(answer, reply=replace(answer.reply, results=results))

    sim.hosts.disturb = disturb
    outcome = run_program(sim, ProgramKind.START, "vm1")

    assert Exit.DONE is outcome.exit
    assert [f"Update-IscsiTargetPortal {TARGET}", "Start-VM vm1"] == list(outcome.changes)


@pytest.mark.defect(29)
def test_a_volume_that_does_not_exist_is_not_waited_for() -> None:
    """A Shared Volume that the configuration names wrongly fails a start at once."""
    world = make_world()
    config = make_config(world)
    config = replace(config, vm=(replace(config.vm[0], csv="Cluster Disk 9"),))
    sim = SimulatedNode(world, "ec1", config=config)
    outcome = run_program(sim, ProgramKind.START, "vm1")

    assert Exit.CONFIG is outcome.exit
    assert outcome.seconds < 15
    assert "Cluster Disk 9" in outcome.said


@pytest.mark.defect(29)
def test_a_right_that_is_lacking_is_not_waited_for() -> None:
    """A cmdlet that is refused for lack of rights fails a start after `patience`, and says which rights."""
    world = make_world()
    sim = SimulatedNode(world, "ec1")
    world.hosts[ONE].refusals += [
        HostRefusal(cmdlet, code=5, identifier="AccessDenied", category="PermissionDenied")
        for cmdlet in ("Start-ClusterResource", "Move-ClusterSharedVolume", "Start-VM", "Update-IscsiTargetPortal")
    ]
    outcome = run_program(sim, ProgramKind.START, "vm1")

    assert Exit.REFUSED is outcome.exit
    assert outcome.seconds < Timing().patience + 60
    assert "local Administrators group" in sim.log.getvalue().splitlines()[-1]


@pytest.mark.defect(30)
def test_a_registration_that_fails_once_is_tried_again() -> None:
    """A configuration resource that fails to start is started again, and the VM with it."""
    world = make_world()
    vm = world.vms["vm1"]
    begin = world.cluster.start_configuration
    codes = iter([5038, 5038, 5038])

    def fail_first(vm: Vm) -> int:
        code = next(codes, 0)
        if not code:
            return begin(vm)
        vm.configuration = "Failed"
        return code

    world.cluster.start_configuration = fail_first  # type: ignore[method-assign]
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert "Running" == vm.guests[ONE].state


@pytest.mark.defect(33)
def test_the_step_that_failed_is_the_one_that_is_named() -> None:
    """A Start-VM that is refused is logged as such, in the host's words, and not as a look that failed."""
    world = make_world()
    world.hosts[ONE].memory = 1
    sim = SimulatedNode(world, "ec1")
    start(sim, "vm1")
    refused = [line for line in sim.log.getvalue().splitlines() if "refused" in line]

    assert "power on: refused" in refused[0]
    assert "Not enough memory in the system" in refused[0]
    assert not any("Get-VM" in line for line in refused)
