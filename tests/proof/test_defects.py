"""The forerunner's defects that no other test is about, each played to the program that replaced it.

All in virtual time, on the real loop and decisions. A test's marker names the numbers; `test_citations.py` proves that
none of the 57 is left out.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.monitor import Health
from ecx_hyperv.decide.steps import Done, Fail
from ecx_hyperv.decide.unregister import Factor
from ecx_hyperv.errors import HostError
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.wire import Call, RemoteError, Result
from ecx_hyperv.lab.ecx import Ecx
from ecx_hyperv.lab.programs import run_program
from ecx_hyperv.lab.referee import Job
from ecx_hyperv.lab.rooms import TARGET, Desk, make_config
from ecx_hyperv.lab.virtual import Proceed
from ecx_hyperv.lab.world import Guest, Plane, Sshd, Vm, World
from tests.run.support import ONE, TWO, make_world, only, start, unregister, with_running
from tests.run.test_monitors import health, watch, watch_peer

ERROR = RemoteError(message="何かが失敗しました。", id="OperationFailed", category="NotSpecified")
# A row of a table on a terminal of 80 columns would cut this, and its blanks shift the columns.
LONG = "Cent8.2-1 of the accounting department, second floor, with a name that no table has room for - " + "x" * 90


def events(world: World, what: str) -> list[tuple[str, str]]:
    """Return whom something happened to, and what came of it."""
    return [(event.who, event.state) for event in world.history if event.what == what]


def refusing(wanted: Callable[[Side, Call], bool]) -> Callable[[Side, Ask, Deadline, Proceed], Exchanged]:
    """Have some calls fail on the host, without having done anything."""

    def disturb(side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        answer = proceed(ask)
        if isinstance(answer, HostError):
            return answer
        hello, reply = answer
        pairs = zip(ask.request.calls, reply.results, strict=True)
        results = tuple(Result(ok=False, error=ERROR) if wanted(side, call) else result for call, result in pairs)
        return hello, replace(reply, results=results)

    return disturb


def peer_desk(world: World) -> tuple[Ecx, Desk]:
    """Return ECX on both EC-VMs, and the desk of the first."""
    ecx = Ecx(world, lambda *_: None, ["vm1"])  # type: ignore[arg-type]
    return ecx, Desk(world, "ec1", ecx)


@pytest.mark.defect(4)
def test_a_vm_that_hyperv_does_not_know_is_not_running() -> None:
    """A VM that Get-VM does not find is absent, whatever the error's text: no monitor takes it for a state."""
    world = with_running()
    world.vms["vm1"].guests.clear()
    desk = Desk(world, "ec1")
    assert Health.UNKNOWN is health(desk)

    world.vms["vm1"].configuration = "Failed"
    assert Health.FAILED is health(desk)


@pytest.mark.defect(4, 16)
def test_a_vm_that_cannot_be_registered_ends_the_start() -> None:
    """A VM that Hyper-V never gets to know is registered anew three times, then the start fails, and says why."""
    world = with_running()
    vm = world.vms["vm1"]
    vm.guests.clear()

    def forget() -> None:
        vm.guests.clear()
        world.at(0.1, forget)

    world.at(0.1, forget)
    end = only(start(Desk(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert "cannot be registered" in end.what
    assert 3 == len(events(world, "unregistered"))


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
    ends = unregister(Desk(world, "ec1"), "web1", "Cent8.2-1")

    assert {"web1", "Cent8.2-1"} == {name for name, end in ends.items() if isinstance(end, Done)}
    assert {("Offline", "Offline")} == {(vm.group, vm.configuration) for vm in world.vms.values()}
    assert [] == world.violations


@pytest.mark.defect(7)
def test_a_long_name_with_blanks_is_read_whole() -> None:
    """A name that no table has room for is started, monitored, moved and stopped like any other."""
    twin = f"{LONG[:-1]}y"
    world = make_world(LONG, twin)
    for node in ("ec1", "ec2"):
        end = only(start(Desk(world, node), LONG))
        assert isinstance(end, Done)
    assert Health.HEALTHY is watch(Desk(world, "ec2"), LONG).verdicts[LONG].health
    assert isinstance(only(unregister(Desk(world, "ec2"), LONG)), Done)

    assert {"Offline"} == {vm.configuration for vm in world.vms.values()}
    assert not [event for event in world.history if event.who == twin]


@pytest.mark.defect(8)
def test_what_is_known_of_one_vm_says_nothing_of_the_next() -> None:
    """Beside a VM that is off, at home and answered for, another is still found running, elsewhere, or unreadable."""
    world = with_running("vm1", "vm2")
    world.cluster.move(world.vms["vm2"], TWO, live=True)
    world.advance(10)
    desk = Desk(world, "ec1")
    ends = start(desk, "vm1", "vm2")
    assert [Done, Done] == [type(end) for end in ends.values()]
    assert [("vm2", "live"), ("vm2", "live")] == events(world, "migrated")

    desk.hosts.disturb = refusing(lambda _side, call: call.cmdlet == "Get-VM" and call.args.get("Name") == "vm2")
    verdicts = watch(desk, "vm1", "vm2").verdicts
    assert (Health.HEALTHY, Health.UNKNOWN) == (verdicts["vm1"].health, verdicts["vm2"].health)

    desk.hosts.disturb = None
    world.guests.turn_off(world.vms["vm1"], ONE)
    world.advance(5)
    ends = unregister(desk, "vm1", "vm2")
    assert [Done, Done] == [type(end) for end in ends.values()]
    assert {"Offline"} == {vm.group for vm in world.vms.values()}
    assert [] == world.violations


@pytest.mark.defect(15)
def test_nobody_is_told_to_lower_the_guard() -> None:
    """Nothing that is handed to an administrator asks for empty passwords, or for host keys that nobody compares."""
    root = Path(__file__).parents[2]
    files = [root / "README.md", *(root / "config").iterdir(), *(path for path in (root / "scripts").rglob("*"))]
    texts = {path: path.read_text(encoding="utf-8").casefold() for path in files if path.is_file()}
    forbidden = ("permitemptypasswords yes", "selinux=disabled", "disable firewalld", "stricthostkeychecking no")

    assert [] == [(path.name, word) for path, text in texts.items() for word in forbidden if word in text]


@pytest.mark.defect(15)
def test_a_refused_login_is_no_reason_to_fail_over() -> None:
    """When no domain controller lets anybody in, a start and a monitor say so, and no guest is touched."""
    world = with_running()
    world.hosts[ONE].sshd = Sshd.REFUSING
    desk = Desk(world, "ec1")

    end = only(start(desk, "vm1"))
    assert isinstance(end, Fail)
    assert Exit.LOGIN is end.exit
    assert Exit.DONE is watch(desk).exit
    assert "Running" == world.vms["vm1"].guests[ONE].state


@pytest.mark.defect(16)
@pytest.mark.parametrize("word", ["Starting", "Saving", "PausedCritical", "OffCritical", "Daydreaming", "Reset"])
def test_a_state_that_never_changes_ends_the_start(word: str) -> None:
    """A guest that stays as it is, whatever that is, ends a start before its deadline, naming the state."""
    world = with_running()
    world.vms["vm1"].guests[ONE].state = word
    desk = Desk(world, "ec1")
    outcome = run_program(desk, Job.START, "vm1")

    assert outcome.exit in (Exit.OUT_OF_TIME, Exit.NOT_AS_ASKED)
    assert word in desk.log.getvalue().splitlines()[-1]
    assert outcome.seconds <= desk.room.config.timing.start
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

    assert isinstance(only(start(Desk(world, "ec1"), "vm1")), Done)
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
    end = only(start(Desk(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert f"goes on running on {TWO}" in end.what
    assert [("vm1", "live")] * 3 == events(world, "move begins")
    assert "Running" == world.vms["vm1"].guests[TWO].state


@pytest.mark.defect(21)
def test_a_migration_without_end_ends_with_the_start() -> None:
    """A migration that never ends does not hold a start beyond its deadline."""
    world = with_running(host=TWO, live=1e9)
    outcome = run_program(Desk(world, "ec1"), Job.START, "vm1")

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
    end = only(start(Desk(world, "ec1"), "vm1"))

    assert isinstance(end, Fail)
    assert [False] * 3 == kinds


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
    world.at(240, world.mend_all)
    end = only(start(Desk(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert [("vm1", "live")] == events(world, "migrated")
    assert "Saving" not in [state for _, state in events(world, "guest")]


@pytest.mark.defect(25)
@pytest.mark.parametrize("shout", [True, False])
def test_a_host_may_spell_its_name_otherwise(shout: bool) -> None:
    """Whether a host calls itself as the cluster does or in capitals, a VM at home stays, and one elsewhere comes."""
    world = with_running(shout_names=shout)
    assert isinstance(only(start(Desk(world, "ec1"), "vm1")), Done)
    assert [] == events(world, "move begins")

    assert isinstance(only(start(Desk(world, "ec2"), "vm1")), Done)
    assert [("vm1", "live")] == events(world, "migrated")
    assert "Running" == world.vms["vm1"].guests[TWO].state


@pytest.mark.defect(26)
@pytest.mark.parametrize("cmdlet", ["Get-ClusterGroup", "Get-ClusterNode", "Get-ClusterResource"])
def test_without_an_answer_about_the_owner_nothing_is_started(cmdlet: str) -> None:
    """Where the cluster's groups, nodes or resources cannot be read, no VM is started, moved or stopped for it."""
    world = with_running(host=TWO)
    desk = Desk(world, "ec1")
    desk.hosts.disturb = refusing(lambda _side, call: call.cmdlet == cmdlet)
    outcome = run_program(desk, Job.START, "vm1")

    assert Exit.DONE is not outcome.exit
    assert [] == list(outcome.changes)
    assert "Running" == world.vms["vm1"].guests[TWO].state


@pytest.mark.defect(27)
def test_a_target_whose_address_only_begins_alike_is_another() -> None:
    """A connection to 192.168.139.20 or .2011 is none to .201: the portal is refreshed, and the start waits for it."""
    world = with_running()
    world.guests.turn_off(world.vms["vm1"], ONE)
    world.advance(5)
    desk = Desk(world, "ec1")
    addresses = iter([TARGET[:-1], f"{TARGET}1", TARGET])
    seen = [next(addresses)]

    def disturb(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        answer = proceed(ask)
        if isinstance(answer, HostError):
            return answer
        hello, reply = answer
        pairs = zip(ask.request.calls, reply.results, strict=True)
        shown = Result(ok=True, value=({"TargetAddress": seen[-1]},))
        results = tuple(shown if call.cmdlet == "Get-IscsiConnection" else result for call, result in pairs)
        seen.append(next(addresses, TARGET))
        return hello, replace(reply, results=results)

    desk.hosts.disturb = disturb
    outcome = run_program(desk, Job.START, "vm1")

    assert Exit.DONE is outcome.exit
    assert [f"Update-IscsiTargetPortal {TARGET}", "Start-VM vm1"] == list(outcome.changes)


@pytest.mark.defect(29)
def test_a_volume_that_does_not_exist_is_not_waited_for() -> None:
    """A Shared Volume that the configuration names wrongly fails a start at once."""
    world = make_world()
    config = make_config(world)
    config = replace(config, vm=(replace(config.vm[0], csv="Cluster Disk 9"),))
    desk = Desk(world, "ec1", config=config)
    outcome = run_program(desk, Job.START, "vm1")

    assert Exit.CONFIG is outcome.exit
    assert outcome.seconds < 15
    assert "Cluster Disk 9" in outcome.said


@pytest.mark.defect(29)
def test_a_right_that_is_lacking_is_not_waited_for() -> None:
    """A cmdlet that is refused for lack of rights fails a start at once, and says which rights."""
    world = make_world()
    desk = Desk(world, "ec1")
    denied = RemoteError(message="アクセスが拒否されました。", id="AccessDenied", category="PermissionDenied", code=5)

    def disturb(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        answer = proceed(ask)
        if isinstance(answer, HostError):
            return answer
        hello, reply = answer
        pairs = zip(ask.request.calls, reply.results, strict=True)
        results = tuple(
            result if call.cmdlet.startswith("Get-") else Result(ok=False, error=denied) for call, result in pairs
        )
        return hello, replace(reply, results=results)

    desk.hosts.disturb = disturb
    outcome = run_program(desk, Job.START, "vm1")

    assert Exit.REFUSED is outcome.exit
    assert outcome.seconds < 15
    assert "local Administrators group" in desk.log.getvalue().splitlines()[-1]


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
    end = only(start(Desk(world, "ec1"), "vm1"))

    assert isinstance(end, Done)
    assert "Running" == vm.guests[ONE].state


@pytest.mark.defect(33)
def test_the_step_that_failed_is_the_one_that_is_named() -> None:
    """A Start-VM that is refused is logged as such, in the host's words, and not as a look that failed."""
    world = make_world()
    world.hosts[ONE].memory = 1
    desk = Desk(world, "ec1")
    start(desk, "vm1")
    refused = [line for line in desk.log.getvalue().splitlines() if "refused" in line]

    assert "power on: refused" in refused[0]
    assert "Not enough memory in the system" in refused[0]
    assert not any("Get-VM" in line for line in refused)


@pytest.mark.defect(35)
def test_a_volume_outlives_the_stop_of_one_of_two_resources() -> None:
    """With a resource for each VM on one volume, the first stop leaves it online, and only the last takes it down."""
    world = with_running("vm1", "vm2")
    volume = next(iter(world.volumes.values()))
    assert isinstance(only(unregister(Desk(world, "ec1"), "vm1")), Done)
    assert ("Online", "Running") == (volume.state, world.vms["vm2"].guests[ONE].state)

    assert isinstance(only(unregister(Desk(world, "ec1"), "vm2")), Done)
    assert "Offline" == volume.state
    assert [] == world.violations


@pytest.mark.defect(39)
@pytest.mark.parametrize("machine", ["Failed", "OfflinePending", "OnlinePending", "Offline"])
def test_a_group_that_is_not_offline_does_not_spin(machine: str) -> None:
    """A stop of a guest that is off ends well whatever its group calls itself, in far less than five minutes."""
    world = with_running()
    vm = world.vms["vm1"]
    vm.guests[ONE] = Guest("Off")
    vm.machine = machine
    outcome = run_program(Desk(world, "ec1"), Job.STOP, "vm1")

    assert Exit.DONE is outcome.exit
    assert "Offline" == vm.configuration
    assert outcome.seconds < 200


@pytest.mark.defect(40)
def test_a_move_whose_start_fails_leaves_the_guest_running_and_owned() -> None:
    """Where the start after a group move fails, the stop that follows leaves the guest, and a start back finds it."""
    world = with_running()
    world.hosts[TWO].memory = 1
    booted = world.vms["vm1"].guests[ONE].started
    left = run_program(Desk(world, "ec1"), Job.STOP, "vm1", factor=Factor.GROUPMOVE)
    moved = run_program(Desk(world, "ec2"), Job.START, "vm1")
    stopped = run_program(Desk(world, "ec2"), Job.STOP, "vm1", factor=Factor.GROUPFAILOVER)
    back = run_program(Desk(world, "ec1"), Job.START, "vm1")

    assert [Exit.DONE, Exit.REFUSED, Exit.DONE, Exit.DONE] == [one.exit for one in (left, moved, stopped, back)]
    assert f"goes on running on {ONE}" in moved.said
    assert ("Running", booted) == (world.vms["vm1"].guests[ONE].state, world.vms["vm1"].guests[ONE].started)
    assert [] == world.violations


@pytest.mark.defect(43)
def test_a_host_may_speak_japanese() -> None:
    """On a host that calls its VMs 正常稼働中, a start, a monitor, a refusal and a stop end as on any other."""
    world = make_world(language="ja")
    desk = Desk(world, "ec1")
    assert isinstance(only(start(desk, "vm1")), Done)
    assert Health.HEALTHY is health(desk)
    assert isinstance(only(unregister(desk, "vm1")), Done)

    world.hosts[ONE].memory = 1
    end = only(start(desk, "vm1"))
    assert isinstance(end, Fail)
    assert (Exit.REFUSED, True) == (end.exit, "not enough memory" in end.what)


@pytest.mark.defect(44)
@pytest.mark.parametrize("doing", ["BackingUpVirtualMachine", "CreatingSnapshot", "MergingDisks", "NobodyKnowsWhat"])
def test_a_nightly_backup_is_no_failure(doing: str) -> None:
    """Whatever Hyper-V says it is doing to a VM that runs, the VM is healthy."""
    world = with_running()
    world.vms["vm1"].guests[ONE].doing = doing

    assert Health.HEALTHY is health(Desk(world, "ec1"))


@pytest.mark.defect(45)
@pytest.mark.parametrize("live", [True, False])
def test_a_vm_that_wsfc_is_moving_has_not_failed(live: bool) -> None:
    """While WSFC moves a VM, its monitor is healthy on the host that it leaves."""
    world = with_running(live=30, quick=30)
    world.cluster.move(world.vms["vm1"], TWO, live=live)
    desk = Desk(world, "ec1")
    for _ in range(3):
        world.advance(5)
        assert Health.HEALTHY is health(desk)


@pytest.mark.defect(47)
def test_a_silent_host_and_a_vm_that_is_not_there_are_called_what_they_are() -> None:
    """A host that does not answer is called that, and a VM that is not registered is called that."""
    world = with_running()
    world.hosts[ONE].sshd = Sshd.STOPPED
    silent = watch(Desk(world, "ec1")).verdicts["vm1"].why
    world.hosts[ONE].sshd = Sshd.UP
    vm = world.vms["vm1"]
    vm.guests.clear()
    vm.configuration = vm.machine = "Offline"
    missing = watch(Desk(world, "ec1")).verdicts["vm1"].why

    assert (True, False) == ("does not answer" in silent, "registered" in silent)
    assert (False, True) == ("answer" in missing, "is not registered" in missing)


@pytest.mark.defect(53)
def test_a_host_that_drops_echo_requests_still_powers_its_ec_vm_on() -> None:
    """An EC-VM that is off is powered on without its host ever being sent a ping."""
    world = with_running()
    _, desk = peer_desk(world)
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")

    assert Exit.DONE is watch_peer(desk).exit
    assert ["ec2"] == [event.who for event in world.history if event.what == "EC-VM on"]
    assert [] == [command for command in desk.commands if command[0] == "ping"]


@pytest.mark.defect(53)
def test_a_lost_packet_takes_no_ec_vm_for_dead() -> None:
    """An EC-VM whose ping is lost is not powered on or restarted while its host says that it runs."""
    world = with_running()
    ecx, desk = peer_desk(world)
    ecx.servers["ec2"].service = "Offline"
    world.cut("ec1", "ec2", Plane.MANAGEMENT)
    before = list(world.history)

    for _ in range(10):
        assert Exit.NOT_AS_ASKED is watch_peer(desk).exit
        world.advance(60)
    assert before == world.history


@pytest.mark.defect(56)
def test_in_a_partition_a_peer_that_runs_is_left() -> None:
    """While the EC-VMs do not hear each other but their hosts answer, nothing is done to a peer that runs."""
    world = with_running()
    _, desk = peer_desk(world)
    world.cut("ec1", "ec2")
    before = list(world.history)

    for _ in range(30):
        assert Exit.NOT_AS_ASKED is watch_peer(desk).exit
        world.advance(60)
    assert before == world.history
    assert not [command for command in desk.commands if command[0] == "clpcl"]
