"""vm-start's loop, in virtual time."""

import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.steps import Act, Do, Done, Fail
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.errors import HostError, HostKeyRefused, NoCommonAlgorithm
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.model.things import Sshd, Vm
from ecx_hyperv.run.loop import Loop
from ecx_hyperv.run.start import start as start_vms
from ecx_hyperv.run.start_task import StartTask
from tests.run.support import ONE, TWO, isolated_but_alive, make_world, only, start, with_running
from tests.virtual.contexts import SimulatedNode


@pytest.mark.defect(34)
def test_one_failing_vm_does_not_keep_the_others() -> None:
    """Of several VMs a failing one fails alone."""
    world = make_world("vm1", "vm2", "vm3")
    world.vms["vm2"].memory = 1000
    ends = start(SimulatedNode(world, "ec1"), "vm1", "vm2", "vm3")

    assert isinstance(ends["vm2"], Fail)
    assert Exit.REFUSED is ends["vm2"].exit
    assert ["Running", "Running"] == [world.vms[vm].guests[ONE].state for vm in ("vm1", "vm3")]


@pytest.mark.defect(16, 19)
def test_a_vm_that_dies_at_once_is_not_started_for_ever() -> None:
    """A VM that boots and dies is started three times, then the start fails."""
    world = make_world()
    world.vms["vm1"].doomed = True
    sim = SimulatedNode(world, "ec1")
    end = only(start(sim, "vm1"))

    assert isinstance(end, Fail)
    assert Exit.NOT_AS_ASKED is end.exit
    starts = [event for event in world.history if event.what == "guest" and event.state == "Starting"]
    assert 1 <= len(starts) <= 3


@pytest.mark.defect(20)
def test_a_live_migration_that_is_refused_leaves_the_guest_running() -> None:
    """A guest that cannot be migrated goes on running where it is."""
    world = with_running(host=TWO)
    world.hosts[ONE].memory = 1
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert f"goes on running on {TWO}" in end.what
    assert "Running" == world.vms["vm1"].guests[TWO].state
    assert [] == world.violations


@pytest.mark.defect(31)
def test_a_critical_guest_is_given_its_storage_back_and_then_migrated() -> None:
    """A guest that lost its storage on the peer host is reconnected there, and migrated live once it is back."""
    world = with_running(host=TWO)
    world.storage.serve("ec1", on=False)
    world.advance(20)
    assert "PausedCritical" == world.vms["vm1"].guests[TWO].state
    world.storage.serve("ec1", on=True)
    moves = []
    begin = world.cluster.move

    def move(vm: Vm, to: str, *, live: bool) -> int:
        moves.append((vm.guests[TWO].state, live))
        return begin(vm, to, live=live)

    world.cluster.move = move  # type: ignore[method-assign]
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert [("Running", True)] == moves


def test_a_local_node_that_stays_paused_ends_at_the_deadline() -> None:
    """A start that waits for a drained node ends at its deadline, and says so."""
    world = make_world()
    world.hosts[ONE].paused = True
    sim = SimulatedNode(world, "ec1")
    began = world.now
    end = only(start(sim, "vm1"))

    assert isinstance(end, Fail)
    assert Exit.OUT_OF_TIME is end.exit
    assert "paused" in end.seen
    assert world.now - began <= sim.context.config.timing.start


@pytest.mark.defect(14)
def test_progress_is_told_once() -> None:
    """However long something takes, the log has one line for each change."""
    world = make_world()
    world.hosts[ONE].paused = True
    sim = SimulatedNode(world, "ec1")
    start(sim, "vm1")

    assert 1 == sum("paused" in line for line in sim.log.getvalue().splitlines() if "waiting" in line)


def test_a_failing_start_is_alerted() -> None:
    """A start that fails is alerted to ECX at ERR, with what to do."""
    world = make_world()
    world.vms["vm1"].memory = 1000
    sim = SimulatedNode(world, "ec1")
    start(sim, "vm1")

    level, text = sim.alerts[-1]
    assert Level.ERR is level
    assert "free memory" in text


def test_a_start_that_goes_well_is_quiet() -> None:
    """A start without trouble alerts nobody."""
    sim = SimulatedNode(make_world(), "ec1")
    start(sim, "vm1")

    assert [] == sim.alerts


def test_the_owner_that_someone_else_moves_is_not_fought_over() -> None:
    """A VM that leaves its host while it is being started there is left to whoever moves it."""
    world = make_world()
    sim = SimulatedNode(world, "ec1")
    vm = world.vms["vm1"]
    world.at(0.5, lambda: world.cluster.move(vm, TWO, live=False))
    end = only(start(sim, "vm1"))

    assert isinstance(end, Fail)
    assert "someone else moves it" in end.remedy


def test_a_failed_group_is_cleared_and_started() -> None:
    """A group that failed earlier is cleared, and its VM started."""
    world = with_running()
    vm = world.vms["vm1"]
    world.guests.turn_off(vm, ONE)
    world.advance(1)
    vm.machine, vm.code = "Failed", 5038
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert "Running" == vm.guests[ONE].state


def test_memory_that_was_short_earlier_is_tried_again() -> None:
    """The cluster's record of an earlier shortage does not fail a start that has not tried."""
    world = with_running()
    vm = world.vms["vm1"]
    world.guests.turn_off(vm, ONE)
    world.advance(1)
    vm.machine, vm.code = "Failed", 14
    vm.machine_flags.add("InsufficientMemory")

    assert isinstance(only(start(SimulatedNode(world, "ec1"), "vm1")), Done)


def test_memory_that_is_short_on_one_host_says_nothing_of_the_other() -> None:
    """A VM that did not fit into one host, and is moved off it, is tried on the other before anything is concluded."""
    world = make_world(resource=12, guest_boot=40)
    world.hosts[ONE].memory = 1
    refused = only(start(SimulatedNode(world, "ec1"), "vm1"))
    assert isinstance(refused, Fail)
    world.storage.serve("ec2", on=True)
    moved = only(start(SimulatedNode(world, "ec2"), "vm1"))

    assert isinstance(moved, Done)
    assert "Running" == world.vms["vm1"].guests[TWO].state


def test_a_running_guest_of_a_failed_group_is_adopted() -> None:
    """A running guest whose group failed is adopted, not saved."""
    world = with_running()
    world.vms["vm1"].machine = "Failed"
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert ["adopted"] == [event.what for event in world.history if event.what in ("adopted", "violation")]
    assert "Saving" not in [event.state for event in world.history]


def test_only_the_local_host_is_asked_where_that_is_enough() -> None:
    """A start of a VM that runs at home asks its local host once, and the peer never."""
    sim = SimulatedNode(with_running(), "ec1")
    start(sim, "vm1")

    assert (1, 0) == (sim.round_trips(Side.LOCAL), sim.round_trips(Side.PEER))


def test_maintenance_holds_a_start_back() -> None:
    """A start leaves a VM in maintenance alone, and says so."""
    world = make_world()
    sim = SimulatedNode(world, "ec1")
    sim.flags.set(Flag(kind=Kind.VM, name="vm1", since=sim.clock.wall()))
    end = only(start(sim, "vm1"))

    assert isinstance(end, Done)
    assert end.warn
    assert {} == world.vms["vm1"].guests


def test_a_dry_run_takes_no_step() -> None:
    """A dry run says what will be done and how that ends, and takes no step."""
    world = make_world()
    sim = SimulatedNode(world, "ec1", dry=True)
    deadline = Deadline.of_command(sim.clock, sim.context.config.timing.start)
    [task] = start_vms(sim.context, ["vm1"], deadline)

    assert isinstance(task.end, Done)
    assert task.foreseen is not None
    steps = [step.do for step in task.foreseen.steps if isinstance(step, Act)]
    assert [Do.START_CONFIGURATION, Do.START_VM] == steps
    assert task.end.how == "vm1 is running on ws2019-host-1"
    assert "Offline" == world.vms["vm1"].configuration


def test_a_dry_run_that_foresees_a_failure_says_so() -> None:
    """A dry run that foresees a failure must end as the run would, and tell it in the same words."""
    world = make_world()
    world.hosts[ONE].paused = True
    sim = SimulatedNode(world, "ec1", dry=True)
    end = only(start(sim, "vm1"))

    assert isinstance(end, Fail)
    assert end.exit is Exit.OUT_OF_TIME
    assert end.what in sim.log.getvalue()


@pytest.mark.parametrize(("sshd", "exit_code"), [(Sshd.STOPPED, Exit.UNREACHABLE), (Sshd.REFUSING, Exit.LOGIN)])
def test_without_its_local_host_a_start_soon_fails(sshd: Sshd, exit_code: Exit) -> None:
    """A start whose local host does not let it in fails within its connect budget."""
    world = make_world()
    world.hosts[ONE].sshd = sshd
    sim = SimulatedNode(world, "ec1")
    began = world.now
    end = only(start(sim, "vm1"))

    assert isinstance(end, Fail)
    assert exit_code is end.exit
    assert world.now - began <= sim.context.config.timing.patience + 10


@pytest.mark.parametrize("kind", [HostKeyRefused, NoCommonAlgorithm])
def test_f02_a_start_does_not_wait_for_what_no_waiting_changes(
    monkeypatch: pytest.MonkeyPatch, kind: type[HostError]
) -> None:
    """A start whose local host shows another key, or takes none of our algorithms, must fail at once."""
    world = make_world()
    world.hosts[ONE].sshd = Sshd.REFUSING
    sim = SimulatedNode(world, "ec1")
    monkeypatch.setattr(sim.hosts, "_refuse", lambda host, *_: kind(host, "so it is"))
    began = world.now
    end = only(start(sim, "vm1"))

    assert isinstance(end, Fail)
    assert Exit.LOGIN is end.exit
    assert world.now - began <= 10


@pytest.mark.parametrize("sshd", [Sshd.STOPPED, Sshd.SILENT])
def test_a_start_that_never_saw_its_own_host_says_so_at_the_deadline(sshd: Sshd) -> None:
    """A start whose deadline comes before its patience ends still ends with the trouble that it had, not with 6."""
    world = make_world()
    world.hosts[ONE].sshd = sshd
    sim = SimulatedNode(world, "ec1")
    task = StartTask("vm1", sim.context.config.timing)
    Loop(sim.context, [task], Deadline.after(sim.clock, 12)).go()

    assert isinstance(task.end, Fail)
    assert Exit.UNREACHABLE is task.end.exit


def test_a_vm_that_leaves_while_it_starts_is_not_fetched_back() -> None:
    """A VM that was starting here and is found running on the peer host was moved by someone else: the start fails."""
    world = with_running()
    vm = world.vms["vm1"]
    vm.guests[ONE].state, vm.machine = "Starting", "OnlinePending"

    def leave() -> None:
        vm.owner, vm.machine = TWO, "Online"
        vm.guests = {TWO: vm.guests.pop(ONE)}
        vm.guests[TWO].state = "Running"

    world.at(5, leave)
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert "has left" in end.what
    assert [] == [event for event in world.history if event.what == "move begins"]


@pytest.mark.defect(3)
def test_an_sshd_that_restarts_is_waited_for() -> None:
    """A host whose sshd restarts for some seconds is no failure."""
    world = make_world()
    world.hosts[ONE].sshd = Sshd.STOPPED
    world.at(8, lambda: setattr(world.hosts[ONE], "sshd", Sshd.UP))

    assert isinstance(only(start(SimulatedNode(world, "ec1"), "vm1")), Done)


@pytest.mark.parametrize("sshd", [Sshd.STOPPED, Sshd.REFUSING])
def test_the_vm_of_an_isolated_host_that_shows_life_is_not_taken(sshd: Sshd) -> None:
    """A host that is isolated, but refuses a connection or a login, is alive: nothing is ever taken from it."""
    world = isolated_but_alive(sshd)
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert Exit.OUT_OF_TIME is end.exit
    assert "alive" in end.seen
    assert ("PausedCritical", TWO) == (world.vms["vm1"].guests[TWO].state, world.vms["vm1"].owner)
    assert [] == world.violations


def test_a_sign_of_life_begins_the_silence_of_an_isolated_host_anew() -> None:
    """Only silence without a break counts: a host that refused a login in the middle is waited for all over again."""
    world = isolated_but_alive(Sshd.UP)
    host = world.hosts[TWO]
    world.cut("ec1", TWO)
    sim = SimulatedNode(world, "ec1")
    isolated, began = sim.context.config.timing.isolated, world.now
    host.sshd = Sshd.REFUSING
    world.at(isolated - 15, lambda: world.restore("ec1", TWO))
    world.at(isolated - 5, lambda: world.cut("ec1", TWO))
    world.at(isolated, lambda: world.power_off_host(TWO))
    end = only(start(sim, "vm1"))

    assert isinstance(end, Done)
    (moved,) = [event for event in world.history if event.what == "migrated"]
    assert moved.at - began >= 2 * isolated - 5


@pytest.mark.parametrize("owner", [ONE, TWO])
def test_a_host_whose_hyper_v_cannot_be_asked_keeps_its_guest(owner: str) -> None:
    """A guest whose host's management service is stopped is neither registered anew nor taken by quick migration."""
    world = with_running(host=owner)
    world.hosts[owner].vmms = False
    start(SimulatedNode(world, "ec1"), "vm1")

    assert [] == world.violations
    assert [] == [event for event in world.history if event.what == "migrated" and event.state == "quick"]
    assert "Running" == world.vms["vm1"].guests[world.vms["vm1"].owner].state


def test_a_volume_that_fails_to_move_right_after_a_node_is_lost_is_tried_again() -> None:
    """The first moves and starts of a volume fail right after a node is lost, and are repeated."""
    world = with_running(host=TWO, csv_failures=4)
    volume = next(iter(world.volumes.values()))
    volume.owner = TWO
    world.power_off_host(TWO)
    world.advance(5)
    end = only(start(SimulatedNode(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert (ONE, "Online") == (volume.owner, volume.state)
