"""The monitors' runs, in virtual time."""

from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from ecx_hyperv.config import MonitorSettings, Unknown
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.monitor import Health
from ecx_hyperv.decide.peer import PeerEnd
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.errors import NoCommonAlgorithm
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.run.peer import PeerWatcher
from ecx_hyperv.run.watch import Watch, Watcher
from tests.run.support import ONE, TWO, make_world, with_running
from tests.virtual.contexts import SimulatedNode, make_config


def watch(sim: SimulatedNode, *vms: str) -> Watch:
    """Run genw-vm once."""
    deadline = Deadline.after(sim.clock, sim.context.config.timing.monitor - 5)
    return Watcher(sim.context, vms or ("vm1",), sim.states, deadline).go()


def watch_peer(sim: SimulatedNode) -> PeerEnd:
    """Run genw-remote-node once."""
    deadline = Deadline.after(sim.clock, sim.context.config.timing.monitor - 5)
    return PeerWatcher(sim.context, sim.states, deadline).go()


def health(sim: SimulatedNode) -> Health:
    """Run genw-vm once, and return its verdict on the only VM."""
    return watch(sim).verdicts["vm1"].health


def test_a_running_vm_is_healthy_and_quiet() -> None:
    """A healthy VM takes one look, and no line at INFO or above."""
    sim = SimulatedNode(with_running(), "ec1")

    assert Exit.DONE is watch(sim).exit
    assert 1 == len(sim.hosts.sent)
    assert [] == sim.alerts
    assert all("debug" in line for line in sim.log.getvalue().splitlines())


def test_a_vm_that_is_off_takes_two_looks_to_fail() -> None:
    """A VM that is off fails, by two looks `confirm_vm` apart."""
    world = with_running()
    world.guests.turn_off(world.vms["vm1"], ONE)
    world.advance(5)
    sim = SimulatedNode(world, "ec1")

    assert Exit.NOT_AS_ASKED is watch(sim).exit
    assert 2 == len(sim.hosts.sent)
    assert Level.ERR is sim.alerts[-1][0]


def test_a_vm_that_reboots_between_the_looks_is_healthy() -> None:
    """A VM that is off for less than `confirm_vm` has not failed."""
    world = with_running()
    vm = world.vms["vm1"]
    world.guests.turn_off(vm, ONE)
    world.advance(5)
    world.at(0.5, lambda: world.guests.start(vm, ONE))

    assert Health.HEALTHY is health(SimulatedNode(world, "ec1"))


@pytest.mark.defect(3)
def test_a_blind_monitor_says_so_once_then_louder_then_hourly() -> None:
    """A monitor that cannot tell answers 0, and alerts: WARN at once, ERR later, then hourly, and when it can again."""
    world = with_running()
    sim = SimulatedNode(world, "ec1")
    watch(sim)
    world.hosts[ONE].sshd = Sshd.STOPPED
    for _ in range(70):
        assert Exit.DONE is watch(sim).exit
        world.advance(60)
    levels = [level for level, _ in sim.alerts]
    assert [Level.WARN, Level.ERR, Level.ERR] == levels

    world.hosts[ONE].sshd = Sshd.UP
    watch(sim)
    assert "can tell again: vm1 is running" in sim.alerts[-1][1]


def test_blindness_fails_where_that_is_wanted() -> None:
    """With unknown = "failed" a monitor that cannot tell answers 1."""
    world = with_running()
    world.hosts[ONE].sshd = Sshd.STOPPED
    config = replace(make_config(world), monitor=MonitorSettings(unknown=Unknown.FAILED))

    assert Exit.NOT_AS_ASKED is watch(SimulatedNode(world, "ec1", config=config)).exit


@pytest.mark.defect(46)
@pytest.mark.parametrize(("seconds", "expected"), [(60, Health.HEALTHY), (200, Health.FAILED)])
def test_storage_that_is_away_is_given_time(seconds: float, expected: Health) -> None:
    """A VM whose storage is away fails only after `settle`, seen by looks that are not too far apart."""
    world = with_running()
    sim = SimulatedNode(world, "ec1")
    world.storage.serve("ec1", on=False)
    world.advance(20)
    verdict = health(sim)
    for _ in range(int(seconds // 60)):
        world.advance(60)
        verdict = health(sim)

    assert expected is verdict


def test_looks_that_are_too_far_apart_do_not_add_up() -> None:
    """A span counts only while its looks are no more than `stale` apart."""
    world = with_running()
    sim = SimulatedNode(world, "ec1")
    world.storage.serve("ec1", on=False)
    world.advance(20)
    assert Health.HEALTHY is health(sim)
    world.advance(sim.context.config.timing.stale + 60)

    assert Health.HEALTHY is health(sim)


@pytest.mark.defect(45)
def test_a_start_under_way_is_healthy() -> None:
    """A VM that a start or stop of ours works on is healthy."""
    world = make_world()
    sim = SimulatedNode(world, "ec1")
    assert sim.locks.start("vm1").acquire()

    assert Exit.DONE is watch(sim).exit


def test_a_vm_that_wsfc_moved_has_failed_here() -> None:
    """A VM that WSFC has moved has failed here, and the message names the usual cause."""
    world = with_running(host=TWO)
    watched = watch(SimulatedNode(world, "ec1"))

    assert Exit.NOT_AS_ASKED is watched.exit
    assert "memory or processors short" in watched.verdicts["vm1"].why


def test_a_lost_heartbeat_fails_where_it_is_asked_for() -> None:
    """With heartbeat = true, a heartbeat that was OK and is lost for `settle` fails a VM that has been up for long."""
    world = with_running()
    config = replace(make_config(world), monitor=MonitorSettings(heartbeat=True))
    sim = SimulatedNode(world, "ec1", config=config)
    world.advance(400)
    assert Health.HEALTHY is health(sim)
    world.vms["vm1"].guests[ONE].heartbeat = "LostCommunication"
    verdicts = []
    for _ in range(4):
        verdicts.append(health(sim))
        world.advance(60)

    assert [Health.HEALTHY, Health.HEALTHY, Health.FAILED, Health.FAILED] == verdicts


@pytest.mark.defect(11)
def test_twenty_vms_take_one_request() -> None:
    """Twenty healthy VMs are looked at in one request."""
    names = [f"vm{number}" for number in range(20)]
    sim = SimulatedNode(with_running(*names), "ec1")

    assert Exit.DONE is watch(sim, *names).exit
    assert 1 == len(sim.hosts.sent)


def peer_world() -> tuple[World, SimulatedEcx, SimulatedNode]:
    """Return a world with ECX on both EC-VMs, and the node of the first."""
    world = with_running()
    ecx = SimulatedEcx(world, lambda *_: None, ["vm1"])  # type: ignore[arg-type]
    return world, ecx, SimulatedNode(world, "ec1", ecx)


def test_an_online_peer_needs_nothing() -> None:
    """A peer that is online costs one clpstat, and a look at its heartbeat every five minutes."""
    _, _, sim = peer_world()

    for seconds, asked in ((0, 1), (200, 1), (110, 2)):
        sim.world.advance(seconds)
        assert Exit.DONE is watch_peer(sim).exit
        assert asked == len(sim.hosts.requests)


@pytest.mark.defect(55)
def test_an_ec_vm_that_is_off_is_powered_on_once() -> None:
    """An EC-VM that is off is powered on, and not again within the cool-down."""
    world, ecx, sim = peer_world()
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    ecx.tick()
    first, second = watch_peer(sim), watch_peer(sim)

    assert (Exit.DONE, Exit.DONE) == (first.exit, second.exit)
    assert ["ec2"] == [event.who for event in world.history if event.what == "EC-VM on"]


def test_after_three_actions_in_an_hour_a_person_is_needed() -> None:
    """An EC-VM that does not stay up is started three times in an hour, then a person is alerted."""
    world, _, sim = peer_world()
    ends = []
    for _ in range(30):
        world.stop_ec_vm(world.ec_vms["ec2"], "Off")
        ends.append(watch_peer(sim).exit)
        world.advance(110)

    assert 3 == len([event for event in world.history if event.what == "EC-VM on"])
    assert Exit.NOT_AS_ASKED is ends[-1]
    assert Level.ERR is sim.alerts[-1][0]


def test_the_action_is_remembered_before_it_is_taken() -> None:
    """A run that is killed in the middle of its action has remembered it."""
    world, _, sim = peer_world()
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    world.hosts[TWO].sshd = Sshd.UP
    kept = []
    original = sim.hosts.exchange

    def spy(asks: Mapping[Side, Sequence[Ask]], deadline: Deadline) -> dict[Side, list[Exchanged]]:
        if any(call.cmdlet == "Start-VM" for some in asks.values() for ask in some for call in ask.request.calls):
            kept.append(sim.states.load("peer", "ec2").actions)
        return original(asks, deadline)

    sim.hosts.exchange = spy  # type: ignore[method-assign]
    watch_peer(sim)

    assert [1] == [len(actions) for actions in kept]


def test_a_silent_host_is_told_and_told_again_hourly() -> None:
    """A peer that is offline and whose host is silent ends with 4, alerted once an hour."""
    world, _, sim = peer_world()
    world.power_off_host(TWO)
    for _ in range(65):
        assert Exit.UNREACHABLE is watch_peer(sim).exit
        world.advance(60)

    assert 2 == len(sim.alerts)


@pytest.mark.defect(50, 51)
def test_clpstat_that_fails_does_nothing() -> None:
    """Without clpstat nothing is done, and the exit code says so."""
    world, _, _ = peer_world()
    sim = SimulatedNode(world, "ec1", ecx=None)
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")

    assert Exit.CANNOT_TELL is watch_peer(sim).exit
    assert [] == sim.hosts.requests


@pytest.mark.defect(52)
def test_a_peer_in_maintenance_is_left() -> None:
    """A peer in maintenance is left alone."""
    world, _, sim = peer_world()
    sim.flags.set(Flag(kind=Kind.PEER, name="ec2", since=sim.clock.wall()))
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")

    assert Exit.DONE is watch_peer(sim).exit
    assert [] == sim.hosts.requests


def test_a_second_look_for_one_vm_is_the_first_for_another() -> None:
    """Where one VM's failure is confirmed, another that has just gone down is not failed yet: it was seen once only."""
    world = with_running("vm1", "vm2")
    world.guests.turn_off(world.vms["vm1"], ONE)
    world.advance(5)
    sim = SimulatedNode(world, "ec1")
    world.at(1.5, lambda: world.guests.turn_off(world.vms["vm2"], ONE))
    seen = watch(sim, "vm1", "vm2")

    assert [Health.FAILED, Health.HEALTHY] == [seen.verdicts[vm].health for vm in ("vm1", "vm2")]


@pytest.mark.defect(54)
def test_a_hung_ec_vm_is_restarted_after_a_while() -> None:
    """A hung EC-VM is restarted once it has looked so for `hung_after`."""
    world, _, sim = peer_world()
    world.advance(sim.context.config.timing.hung_after)
    world.hang_ec_vm(world.ec_vms["ec2"])
    ends = []
    for _ in range(8):
        ends.append(watch_peer(sim).exit)
        world.advance(60)

    assert Exit.NOT_AS_ASKED is ends[0]
    assert ["ec2"] == [event.who for event in world.history if event.what == "EC-VM on"]


def test_an_ec_vm_that_was_just_restarted_is_not_restarted_again() -> None:
    """An EC-VM that hung and was restarted by an operator is given the time to boot."""
    world, _, sim = peer_world()
    world.hang_ec_vm(world.ec_vms["ec2"])
    for _ in range(5):
        watch_peer(sim)
        world.advance(60)
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    world.start_ec_vm(world.ec_vms["ec2"])
    watch_peer(sim)

    assert ["ec2"] == [event.who for event in world.history if event.what == "EC-VM on"]


def test_ecx_is_started_on_a_peer_that_answers_ping() -> None:
    """A peer that runs and answers ping has its ECX started."""
    world, ecx, sim = peer_world()
    ecx.servers["ec2"].service = "Offline"
    end = watch_peer(sim)

    assert Exit.DONE is end.exit
    assert ["clpcl", "-s", "-h", "ec2"] in sim.commands
    assert world.ec_vms["ec2"].booted


def test_a_dry_run_does_nothing_for_the_peer() -> None:
    """A dry run says what it would do for the peer, and does not."""
    world, ecx, _ = peer_world()
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    sim = SimulatedNode(world, "ec1", ecx, dry=True)
    end = watch_peer(sim)

    assert (Exit.DONE, True) == (end.exit, end.why.startswith("the run will power on ec2"))
    assert "Off" == world.ec_vms["ec2"].guest.state


def test_f02_a_monitor_does_not_wait_for_what_no_waiting_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitor whose host takes none of our algorithms must say at once that it cannot tell."""
    world = with_running()
    world.hosts[ONE].sshd = Sshd.REFUSING
    sim = SimulatedNode(world, "ec1")
    monkeypatch.setattr(sim.hosts, "_refuse", lambda host, *_: NoCommonAlgorithm(host, "so it is"))
    began = world.now
    assert Health.UNKNOWN is health(sim)
    assert world.now - began <= 1


def test_p14_a_restart_that_does_not_return_is_waited_for() -> None:
    """Restart-VM may block for up to 300 s: that is no host that does not answer, and it is not done again."""
    world, _, sim = peer_world()
    world.advance(sim.context.config.timing.hung_after)
    world.hang_ec_vm(world.ec_vms["ec2"])
    sim.hosts.hangs = lambda _host, call: call.cmdlet == "Restart-VM"
    ends = []
    for _ in range(8):
        ends.append(watch_peer(sim))
        world.advance(60)
    restarts = [end for end in ends if "Restart-VM" in end.why or "restart" in end.why]

    assert [(Exit.NOT_AS_ASKED, True)] == [(end.exit, end.pending) for end in restarts[:1]]
    assert "has not returned" in restarts[0].why
    assert Exit.UNREACHABLE not in {end.exit for end in ends}
    assert [Level.WARN] == [level for level, text in sim.alerts if "has not returned" in text]


@pytest.mark.parametrize("broken", ["unreadable", "unwritable"])
def test_d18_a_monitor_without_memory_judges_and_tells(broken: str) -> None:
    """Where nothing can be remembered anywhere the verdict is the same, and a person is alerted in each run."""
    world = with_running()
    sim = SimulatedNode(world, "ec1")
    setattr(sim.states, broken, True)
    for number in (1, 2):
        assert Exit.DONE is watch(sim).exit
        assert [Level.ERR] * number == [level for level, _ in sim.alerts]
    assert "not remembered" in sim.alerts[-1][1]
    world.guests.turn_off(world.vms["vm1"], ONE)
    world.advance(5)
    assert Exit.NOT_AS_ASKED is watch(sim).exit


@pytest.mark.parametrize("broken", ["unreadable", "unwritable"])
def test_d18_a_healthy_peer_is_healthy_without_memory(broken: str) -> None:
    """Where nothing can be remembered a peer that is online ends with 0, and a person is alerted."""
    _, _, sim = peer_world()
    setattr(sim.states, broken, True)

    assert Exit.DONE is watch_peer(sim).exit
    assert [Level.ERR] == [level for level, _ in sim.alerts]


@pytest.mark.parametrize("broken", ["unreadable", "unwritable"])
def test_d18_a_power_on_that_cannot_be_remembered_is_not_done(broken: str) -> None:
    """A peer EC-VM is not powered on where that cannot be remembered anywhere, and a person is told so."""
    world, _, sim = peer_world()
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    setattr(sim.states, broken, True)
    assert Exit.CANNOT_TELL is watch_peer(sim).exit
    assert "Off" == world.ec_vms["ec2"].guest.state
    assert any("not done, since it cannot be remembered" in text for _, text in sim.alerts)
    setattr(sim.states, broken, False)
    assert Exit.DONE is watch_peer(sim).exit
    assert "Off" != world.ec_vms["ec2"].guest.state


def test_d18_a_restart_that_cannot_be_remembered_is_not_done() -> None:
    """A peer EC-VM that hangs is not restarted where that cannot be remembered anywhere; it is, once it can be."""
    world, _, sim = peer_world()
    world.advance(sim.context.config.timing.hung_after)
    watch_peer(sim)
    world.hang_ec_vm(world.ec_vms["ec2"])
    for _ in range(6):
        sim.states.unwritable = False
        watch_peer(sim)
        world.advance(40)
        sim.states.unwritable = True
    world.advance(60)
    assert Exit.CANNOT_TELL is watch_peer(sim).exit
    assert [] == [event for event in world.history if event.what == "EC-VM on"]
    sim.states.unwritable = False
    assert Exit.DONE is watch_peer(sim).exit
    assert ["ec2"] == [event.who for event in world.history if event.what == "EC-VM on"]


def test_d09_a_lock_past_its_limit_does_not_make_the_monitor_of_the_peer_quiet() -> None:
    """A genw-remote-node that hangs must not make all later ones healthy: they cannot tell, and alert."""
    _, _, sim = peer_world()
    assert sim.locks.peer("ec2").acquire()
    assert Exit.DONE is watch_peer(sim).exit
    assert [] == sim.alerts
    sim.locks.overdue = True
    for _ in range(2):
        assert Exit.CANNOT_TELL is watch_peer(sim).exit
    ((level, text),) = sim.alerts
    assert Level.ERR is level
    assert "past its limit; do: kill it" in text


def test_d09_a_start_past_its_limit_excuses_no_monitor() -> None:
    """A VM that is down while a start of it hangs past its limit has failed."""
    world = with_running()
    world.guests.turn_off(world.vms["vm1"], ONE)
    world.advance(5)
    sim = SimulatedNode(world, "ec1")
    assert sim.locks.start("vm1").acquire()
    assert Health.HEALTHY is health(sim)
    sim.locks.overdue = True
    assert Health.FAILED is health(sim)
