"""Time and patience: the cases that were found on the built program, and more of their kinds.

Each test is named by its number in the list of what was found, says what is right, and is judged by the world.
"""

from functools import partial
from itertools import pairwise

import pytest
from msgspec.structs import replace

from ecx_hyperv.config import Timing
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.model.things import HostRefusal, ShutdownService, Sshd
from tests.proof.cases import TIMING
from tests.proof.facts import build
from tests.proof.faults import Killed
from tests.proof.found import ONE, TWO, Found, configured, find, put, unregistered
from tests.virtual.contexts import make_config
from tests.virtual.invariants import ProgramKind
from tests.virtual.programs import ProgramOutcome, run_program

_GRACE_S, _INTERVAL_S = Timing().shutdown, Timing().interval


def refuse(found: Found, cmdlet: str, **how: object) -> None:
    """Have this host refuse a cmdlet."""
    found.world.hosts[ONE].refusals.append(HostRefusal(cmdlet, **how))  # type: ignore[arg-type]


def was_asked(found: Found, name: str = "web") -> bool:
    """Tell whether a guest went down because it was asked."""
    states = [one[2] for one in found.happened("guest", name)]
    return "Off" in states and "Saving" not in states


def longest_pause(outcome: ProgramOutcome) -> float:
    """Return the longest time between two looks at the guests of this host, in seconds."""
    return max((later - earlier for earlier, later in pairwise(outcome.looks[ONE])), default=0.0)


# D5, D6: the grace.


def test_d05_a_guest_that_was_migrating_has_its_full_grace() -> None:
    """A stop that cancels a migration longer than settle asks the guest then, and gives it its full grace."""
    found = find(live=900, cancel=20, guest_shutdown=100)
    found.world.cluster.move(found.vm(), TWO, live=True)
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))


def test_d05_a_guest_whose_migration_is_queued_has_its_full_grace() -> None:
    """A stop of a guest whose migration waits its turn asks the guest, and gives it its full grace."""
    found = find("web", "db", live=900, cancel=20, guest_shutdown=100)
    found.world.cluster.move(found.vm("db"), TWO, live=True)
    found.world.cluster.move(found.vm("web"), TWO, live=True)
    outcome = found.stop("web")

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))


def test_d06_a_stop_that_is_run_again_gives_the_guest_its_grace() -> None:
    """A stop that is killed and run again lets a guest shut down that takes longer than settle."""
    for calls in (2, 3, 5, 8, 20):
        found = find(guest_shutdown=_GRACE_S - 60)
        _kill_at(found, calls)
        with pytest.raises(Killed):
            found.stop()
        found.sim.hosts.disturb = None
        again = find_again(found)
        outcome = again.stop()

        again.fine()
        assert (Exit.DONE, True) == (outcome.exit, was_asked(again))


def find_again(found: Found) -> Found:
    """Return the same world as a new run on ec1 finds it."""
    configured(found, make_config(found.world))
    return found


def _kill_at(found: Found, call: int) -> None:
    counted = iter(range(10**6))

    def disturb(_side: object, ask: object, _deadline: object, proceed: object) -> object:
        if next(counted) == call:
            raise Killed
        return proceed(ask)  # type: ignore[operator]

    found.sim.hosts.disturb = disturb  # type: ignore[assignment]


def test_d06_a_guest_that_reboots_is_asked_once_it_is_up_again() -> None:
    """A stop of a guest that is in the middle of a reboot waits for its end, and then asks it."""
    found = find(reboot=200, services=20)
    found.world.guests.reboot(found.vm(), ONE)
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))


def test_d06_a_guest_that_boots_is_asked_again() -> None:
    """A stop asks a guest again whose integration services are away, as it boots, and does not cut its power."""
    found = find(state="Off", services=90)
    found.world.guests.start(found.vm(), ONE)
    found.world.advance(25)
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))
    assert outcome.seconds < _GRACE_S


def test_d06_a_guest_that_reboots_instead_is_asked_again() -> None:
    """A stop asks a guest again that rebooted after it was asked."""
    found = find(guest_shutdown=60, services=20)
    found.world.at(20, partial(found.world.guests.reboot, found.vm(), ONE))
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))
    assert outcome.seconds < _GRACE_S


@pytest.mark.parametrize("service", [ShutdownService.MISSING, ShutdownService.NOT_READY])
def test_d06_a_guest_that_cannot_be_asked_has_its_grace(service: ShutdownService) -> None:
    """A stop of a guest that has no integration services, or that never answers, cuts its power after its grace."""
    found = find()
    found.vm().service = service
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert outcome.seconds >= _GRACE_S


def test_d06_a_locked_guest_is_forced_from_half_its_grace_on() -> None:
    """A stop asks a guest that says locked with Force, from half the grace on, and cuts no power."""
    found = find()
    found.vm().service = ShutdownService.LOCKED
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))
    assert _GRACE_S / 2 <= outcome.seconds < _GRACE_S


def test_d06_a_shutdown_in_progress_runs_on_past_the_grace() -> None:
    """A stop of a guest that says in progress, as it installs updates, waits for it up to the reserve."""
    found = find(guest_shutdown=3 * _GRACE_S)
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert outcome.seconds > 3 * _GRACE_S


def test_d06_a_guest_that_never_ends_its_shutdown_is_turned_off_before_the_deadline() -> None:
    """A stop of a guest that says in progress for ever ends in time, with 0."""
    found = find()
    found.vm().service = ShutdownService.STUCK
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit


def test_d06_a_guest_that_is_being_saved_for_ever_ends_a_stop_in_time_with_its_state() -> None:
    """A stop of a guest that is being saved for ever ends with 6, and names the state."""
    found = find()
    put(found.vm(), ONE, "Running")
    found.vm().guests[ONE].state = "Saving"
    outcome = found.stop()

    assert Exit.OUT_OF_TIME is outcome.exit
    assert "Saving" in outcome.said
    assert [] == [one for one in outcome.changes if one.startswith("Stop-VM")]


# D7, D19: what hangs takes itself.


_OF_THE_CLUSTER = ("Get-ClusterSharedVolume", "Get-ClusterNode", "Get-ClusterGroup", "Get-ClusterResource")


@pytest.mark.parametrize("cmdlet", _OF_THE_CLUSTER)
@pytest.mark.parametrize("hosts", [(ONE,), (ONE, TWO)], ids=["here", "on both"])
def test_d07_a_stop_asks_the_guest_whatever_hangs(cmdlet: str, hosts: tuple[str, ...]) -> None:
    """A stop asks its guest to shut down, and looks at it, while a cmdlet that shows other things hangs."""
    found = find()
    for host in hosts:
        found.world.hosts[host].hangs.add(cmdlet)
    outcome = found.stop()

    assert was_asked(found)
    assert not found.vm().guests or "Off" == found.state()
    assert longest_pause(outcome) <= 3 * _INTERVAL_S + 2


@pytest.mark.parametrize("cmdlet", [*_OF_THE_CLUSTER, "Get-IscsiConnection"])
def test_d07_a_start_of_what_runs_here_ends_well_whatever_hangs(cmdlet: str) -> None:
    """A start of a VM that runs here is done although a cmdlet that shows other things hangs."""
    found = find()
    found.world.hosts[ONE].hangs.add(cmdlet)
    outcome = found.start()

    found.fine()
    assert Exit.DONE is outcome.exit


@pytest.mark.parametrize("cmdlet", ["Get-VM", "Get-ClusterResource"])
def test_d07_what_hangs_on_the_peer_does_not_slow_the_stop_of_what_runs_here(cmdlet: str) -> None:
    """A stop looks at its guest here every few seconds, although a cmdlet of the peer host never ends."""
    found = find(guest_shutdown=120)
    found.world.hosts[TWO].hangs.add(cmdlet)
    outcome = found.stop()

    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))
    assert longest_pause(outcome) <= 3 * _INTERVAL_S + 2


def test_d07_a_monitor_sees_a_guest_that_is_off_while_another_cmdlet_hangs() -> None:
    """A monitor tells that its VM runs although Get-ClusterSharedVolume hangs."""
    found = find()
    found.world.hosts[ONE].hangs.add("Get-ClusterSharedVolume")
    outcome = found.monitor()

    assert Exit.DONE is outcome.exit
    assert "running" in outcome.said.casefold()
    assert not found.sim.alerts


def test_d19_a_hanging_start_of_one_vm_does_not_fail_the_next() -> None:
    """A start of two VMs, of which the first one's Start-VM never ends, starts the second."""
    found = find("web", "db", state="Off")
    ids = (found.vm("web").id, "web")
    found.sim.hosts.hangs = lambda _host, call: call.cmdlet == "Start-VM" and _about(call) in ids
    outcome = found.start("web", "db")

    assert "Running" == found.state("db")
    assert "db was started 3 times" not in found.words
    assert Exit.DONE is not outcome.exit


def test_d19_a_hanging_power_cut_of_one_vm_does_not_hold_the_next() -> None:
    """A stop of two deaf guests, of which the first one's TurnOff never ends, cuts the second one's power."""
    found = find("web", "db")
    found.vm("web").deaf = found.vm("db").deaf = True
    ids = (found.vm("web").id, "web")
    found.sim.hosts.hangs = lambda _host, call: call.cmdlet == "Stop-VM" and _about(call) in ids
    found.stop("web", "db")

    assert {} == found.vm("db").guests


def _about(call: object) -> str:
    """Return the id or name that a call is about, itself or through what is piped into it."""
    args = {**getattr(getattr(call, "from_", None), "args", {}), **getattr(call, "args", {})}
    return str(args.get("Id", args.get("Name", "")))


# D8: the first trouble of a stop.


@pytest.mark.parametrize("seconds", [2.0, 30.0, 100.0])
def test_d08_a_stop_waits_while_both_hosts_let_nobody_in(seconds: float) -> None:
    """A stop goes on where both hosts let nobody in for a while, as without a domain controller."""
    found = find()
    for host in found.world.hosts.values():
        host.sshd = Sshd.REFUSING
        found.world.at(seconds, partial(setattr, host, "sshd", Sshd.UP))
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))


@pytest.mark.parametrize("seconds", [1.5, 20.0, 100.0])
def test_d08_a_host_that_is_away_for_a_moment_does_not_get_its_guest_saved(seconds: float) -> None:
    """A stop asks the guest, and does not have the cluster save it, where the own host's sshd is away for a while."""
    found = find()
    host = found.world.hosts[ONE]
    host.sshd = Sshd.STOPPED
    found.world.at(seconds, partial(setattr, host, "sshd", Sshd.UP))
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))


def test_d08_a_hyper_v_that_is_away_for_a_moment_does_not_get_its_guest_saved() -> None:
    """A stop waits for a Hyper-V service that restarts, and then asks the guest."""
    found = find(vmms_away=60, vmms_load=20)
    found.world.restart_hyper_v(ONE)
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True) == (outcome.exit, was_asked(found))


# D14, D11: silence that nobody watched, a heartbeat that never was.


def test_d14_silence_counts_only_where_somebody_listened() -> None:
    """A start counts a host as silent only from attempts that follow one another: a slow look starts the span anew."""
    found = find(host=TWO, quorum_stop=1e6)
    found.volume.owner = ONE
    found.world.cut(ONE, TWO)
    found.world.cut(TWO, "witness")
    found.world.advance(30)
    peer, here = found.world.hosts[TWO], found.world.hosts[ONE]
    peer.sshd = Sshd.SILENT
    began = found.world.now
    # Seen silent for 15 s; then nothing is seen for as long as a cmdlet of this host hangs, and the peer answers.
    found.world.at(15, partial(here.hangs.add, "Get-ClusterGroup"))
    found.world.at(20, partial(setattr, peer, "sshd", Sshd.UP))
    found.world.at(55, partial(setattr, peer, "sshd", Sshd.SILENT))
    found.world.at(58, partial(here.hangs.discard, "Get-ClusterGroup"))
    found.start()

    moves = [one[0] - began for one in found.happened("move begins")]
    assert all(moment >= 55 + Timing().isolated for moment in moves), moves


def test_d11_an_ec_vm_that_is_only_cut_off_is_not_reset() -> None:
    """The peer's monitor resets no EC-VM that is cut off and whose heartbeat was never seen well in its boot."""
    found = find()
    found.world.cut("ec1", "ec2")
    found.ecx.servers["ec2"].service = "Offline"
    found.world.ec_vms["ec2"].guest.heartbeat = "NoContact"
    for _ in range(30):
        found.run(ProgramKind.PEER)
        found.world.advance(60)

    found.fine()


@pytest.mark.parametrize("heartbeat", ["Error", "Disabled", "Paused"])
def test_d11_a_heartbeat_that_cannot_be_told_resets_nothing(heartbeat: str) -> None:
    """The peer's monitor resets no EC-VM that is cut off and whose heartbeat is in error, disabled or paused."""
    found = find()
    found.world.cut("ec1", "ec2")
    found.ecx.servers["ec2"].service = "Offline"
    found.world.ec_vms["ec2"].guest.heartbeat = heartbeat
    for _ in range(30):
        found.run(ProgramKind.PEER)
        found.world.advance(60)

    found.fine()


def test_d11_an_ec_vm_that_hangs_is_reset_all_the_same() -> None:
    """The peer's monitor resets an EC-VM that hangs: its contact was lost, which says that there was one."""
    found = find()
    found.world.hang_ec_vm(found.world.ec_vms["ec2"])
    found.ecx.servers["ec2"].service = "Offline"
    changes: list[str] = []
    for _ in range(15):
        changes += found.run(ProgramKind.PEER).changes
        found.world.advance(60)

    found.fine()
    assert "Restart-VM EC-VM2" in changes


# D16, F8, F19: patience of a start.


@pytest.mark.parametrize("seconds", [30.0, 60.0, 150.0])
@pytest.mark.parametrize("trouble", [Sshd.STOPPED, Sshd.SILENT, Sshd.REFUSING], ids=lambda one: one.value)
def test_d16_a_start_waits_for_a_host_that_still_boots(trouble: Sshd, seconds: float) -> None:
    """A start goes on where its host does not answer, refuses or lets nobody in yet, for `patience`."""
    found = find(state="Off")
    host = found.world.hosts[ONE]
    host.sshd = trouble
    found.world.at(seconds, partial(setattr, host, "sshd", Sshd.UP))
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


@pytest.mark.parametrize("code", [32, 5], ids=["in use", "denied"])
@pytest.mark.parametrize("times", [1, 4])
def test_d16_a_start_that_is_refused_for_a_while_is_tried_again(code: int, times: int) -> None:
    """A start goes on where Start-VM is refused a few times: disk in use, access denied."""
    found = find(state="Off")
    refuse(found, "Start-VM", code=code, times=times, category="PermissionDenied" if code == 5 else "NotSpecified")
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


def test_d16_a_start_that_lacks_memory_once_is_tried_again() -> None:
    """A start goes on where there was not enough memory once."""
    found = find(state="Off")
    refuse(found, "Start-VM", code=14, times=1, identifier="OutOfMemory")
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


@pytest.mark.parametrize("code", [5944, 5023])
def test_d16_a_migration_that_is_busy_for_a_while_is_tried_again(code: int) -> None:
    """A start goes on where its migration is refused because the group, or the cluster, is busy."""
    found = find(host=TWO)
    refuse(found, "Move-ClusterVirtualMachineRole", code=code, until=found.world.now + 90)
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


def test_d16_a_look_that_is_denied_once_ends_nothing() -> None:
    """A start goes on where a look was denied while services were starting."""
    found = find(state="Off")
    refuse(found, "Get-ClusterGroup", code=5, times=3, identifier="AccessDenied", category="PermissionDenied")
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


def test_d16_a_configuration_that_waits_for_its_disk_is_tried_again() -> None:
    """A start of a VM that is not registered goes on where the configuration cannot come online at first."""
    found = find(state="Off")
    unregistered(found)
    refuse(found, "Start-ClusterResource", code=5038, times=2)
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


def test_f08_a_start_that_is_refused_says_so_in_hyper_vs_words() -> None:
    """A start whose Start-VM is always refused ends with 8 and Hyper-V's words, not with "started 3 times"."""
    found = find(state="Off")
    refuse(found, "Start-VM", code=1359, about="web")
    outcome = found.start()

    assert Exit.REFUSED is outcome.exit
    assert "was started 3 times" not in found.words
    assert "0x8007054F" in outcome.said + found.words.splitlines()[-1]


def test_f19_access_denied_about_a_disk_file_names_the_grant() -> None:
    """A start that Hyper-V refuses for a disk file that the VM may not open is told to grant the VM its disk."""
    found = find(state="Off")
    refuse(
        found,
        "Start-VM",
        code=5,
        about=r"C:\ClusterStorage\Volume1\web\web.vhdx",
        category="PermissionDenied",
    )
    outcome = found.start()

    assert Exit.REFUSED is outcome.exit
    assert "icacls" in found.words
    assert "administrator" not in found.words.casefold()


# D17: the deadline of a stop.


def test_d17_at_the_deadline_a_guest_that_is_off_is_done() -> None:
    """A stop that reaches its deadline with its guest off, and something else unfinished, is done, with a warning."""
    timing = replace(Timing(), unregister=240, reserve=20, shutdown=200, leftover=600, settle=100)
    found = find(guest_shutdown=150, resource=500, timing=timing)
    outcome = found.stop()

    assert (Exit.DONE, True) == (outcome.exit, outcome.warned)
    assert "Off" == found.state()


def test_d17_at_the_deadline_a_guest_that_runs_is_no_success() -> None:
    """A stop that reaches its deadline with a guest that cannot be turned off never says 0."""
    found = find()
    found.world.hosts[ONE].refusals.append(HostRefusal("Stop-VM", code=1359))
    found.world.hosts[ONE].hangs.add("Agent-ShutdownGuest")
    outcome = found.stop()

    assert Exit.DONE is not outcome.exit
    assert [] == [one for one in found.world.violations if "ends with 0" in one]


# An EC-VM that stands still in the middle of a run.


@pytest.mark.parametrize("moment", [2.0, 10.0, 100.0])
def test_a_stop_that_stood_still_does_nothing_any_more(moment: float) -> None:
    """A stop whose EC-VM stood still, while the VM was started elsewhere, does nothing to the VM."""
    found = find()
    vm, world = found.vm(), found.world
    vm.deaf = True

    def elsewhere() -> None:
        world.guests.turn_off(vm, ONE)
        world.at(30, lambda: world.cluster.move(vm, TWO, live=False))
        world.at(60, lambda: world.cluster.start_machine(vm))

    world.at(moment, lambda: world.freeze_ec_vm(world.ec_vms["ec1"], 3600))
    world.at(moment + 1, lambda: world.storage.serve("ec2", on=True))
    world.at(moment + 60, elsewhere)
    outcome = found.stop()

    found.fine()
    assert Exit.OUT_OF_TIME is outcome.exit
    assert "Running" == found.state(host=TWO)


@pytest.mark.parametrize("after", [0.2, 2.5, 4.5, 5.5])
def test_a_stop_that_stood_still_leaves_the_volume_that_has_moved(after: float) -> None:
    """A stop whose EC-VM stood still once its VM was off leaves the volume, which the other host has by then."""
    found = find()
    world, ec_vm = found.world, found.world.ec_vms["ec1"]

    def once_off() -> None:
        if "unregistered" not in [event.what for event in world.history]:
            world.at(0.1, once_off)
            return
        world.at(after, lambda: world.freeze_ec_vm(ec_vm, 600))
        world.at(after + 1, lambda: world.storage.serve("ec2", on=True))
        world.at(after + 60, lambda: world.storage.move(world.volumes["Cluster Disk 1"], TWO))

    once_off()
    outcome = found.stop()

    found.fine()
    assert ec_vm.stood_still(world.now)
    assert outcome.exit in (Exit.DONE, Exit.OUT_OF_TIME)
    volume = [(event.what, event.state) for event in world.history if event.who == "Cluster Disk 1"]
    assert ("volume moved", "Online") == volume[-1]


def test_a_start_that_stood_still_does_not_run_a_second_copy() -> None:
    """A start whose EC-VM stood still, while the VM was started elsewhere, runs no second copy."""
    found = find(state="Off")
    vm, world = found.vm(), found.world
    world.at(1.5, lambda: world.freeze_ec_vm(world.ec_vms["ec1"], 600))
    world.at(2, lambda: world.storage.serve("ec2", on=True))
    world.at(60, lambda: world.cluster.move(vm, TWO, live=False))
    world.at(90, lambda: world.cluster.start_machine(vm))
    world.at(130, lambda: running.append(found.state(host=TWO)))
    running: list[str] = []
    found.start()

    assert ["Running"] == running
    assert [] == [one for one in world.violations if "runs on" in one]


@pytest.mark.proven("E26")
@pytest.mark.parametrize("moment", [2.0, 5.0, 9.0])
def test_e26_a_monitor_that_stood_still_does_nothing_to_the_other_ec_vm(moment: float) -> None:
    """A look from before the EC-VM stood still counts no more: that run leaves the other EC-VM, the next one acts."""
    found = find()
    world = found.world
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    found.ecx.servers["ec2"].service = "Offline"
    world.at(moment, lambda: world.freeze_ec_vm(world.ec_vms["ec1"], 600))
    outcome = found.run(ProgramKind.PEER)

    found.fine()
    assert (Exit.NOT_AS_ASKED, []) == (outcome.exit, found.happened("EC-VM on", "ec2"))
    assert "stood still" in outcome.said
    assert Exit.DONE is found.run(ProgramKind.PEER).exit
    assert 1 == len(found.happened("EC-VM on", "ec2"))


# E14: how long a failover takes.


@pytest.mark.proven("E14")
@pytest.mark.parametrize("lost", ["lost power", "isolated"])
def test_e14_a_failover_takes_no_longer_than_before(lost: str) -> None:
    """A VM whose host is gone is fetched no later, but for one interval, than the first edition fetched it (27.7 s)."""
    case = build({"owner": "peer", "volume's owner": "peer", "peer host": lost})
    began = case.world.now
    outcome = run_program(case.sim, ProgramKind.START, "vm1")

    assert Exit.DONE is outcome.exit
    moves = [one.at - began for one in case.world.history if one.what == "move begins"]
    assert 1 == len(moves)
    assert moves[0] < 27.7 + TIMING.interval
