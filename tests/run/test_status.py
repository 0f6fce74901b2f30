"""A status in virtual time: what it shows of the pair, and for how long a VM has been as it is."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.mirror import MirrorColor, MirrorHealth
from ecx_hyperv.decide.monitor import Span
from ecx_hyperv.decide.overview import ConfigurationStatus, Reach
from ecx_hyperv.decide.verdict import Severity
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.ecx.monitor_state import MonitorState
from ecx_hyperv.errors import HostKeyRefused, LocalError, NoCommonAlgorithm, SessionLost
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.run.status import PairStatus, StatusLook
from tests.run.support import ONE, TWO, make_world, with_running
from tests.virtual.contexts import SimulatedNode

HERE = ConfigurationStatus(path="/etc/ecx-hyperv/config.toml")


def _ecx(world: World) -> SimulatedEcx:
    return SimulatedEcx(world, lambda *_: None, ["vm1"])  # type: ignore[arg-type]


def look(sim: SimulatedNode, *vms: str) -> PairStatus:
    """Look once, as ecx-hyperv status does, on an EC-VM without a clp.conf."""
    looker = StatusLook(sim.context, vms or ("vm1",), HERE, sim.states, Path("/nowhere/clp.conf"))
    return looker.look(Deadline.after(sim.clock, 60))


def test_a_pair_that_is_well() -> None:
    """A VM that runs must be shown with its host, its id and its uptime, and both hosts as the cluster names them."""
    world = with_running()
    status = look(SimulatedNode(world, "ec1"))
    (vm,) = status.vms
    assert (ONE, "Online", "Running") == (vm.owner, vm.group, vm.local.state if vm.local else "")
    assert vm.seconds is not None
    assert 5 < vm.seconds < 60
    assert [(ONE, "Up", Reach.ANSWERS), (TWO, "Up", Reach.ANSWERS)] == [
        (host.name, host.node, host.reach) for host in status.hosts
    ]
    assert vm.id


def test_b13_the_json_has_one_shape() -> None:
    """What is shown of a pair must fit the schema's types, whatever could be told, and hold every key."""
    world = with_running()
    full = look(SimulatedNode(world, "ec1", _ecx(world)))
    world.power_off_host(ONE)
    blind = look(SimulatedNode(world, "ec1"))
    for status in (full, blind):
        plain = msgspec.json.encode(status)
        assert status == msgspec.json.decode(plain, type=PairStatus)
    keys = [set(msgspec.to_builtins(status)) for status in (full, blind)]
    assert keys[0] == keys[1] == set(msgspec.json.schema(PairStatus)["$defs"]["PairStatus"]["properties"])
    assert 3 == full.version


def test_for_is_what_the_monitor_remembers_of_a_vm_that_does_not_run() -> None:
    """How long a VM has been without storage must come from the monitor's memory, and only while that is fresh."""
    world = with_running()
    # The storage is away, or the guest would come back by itself.
    world.storage.serve("ec1", on=False)
    world.advance(20)
    sim = SimulatedNode(world, "ec1")
    assert look(sim).vms[0].seconds is None
    now = sim.clock.boottime()
    seen = MonitorState(boot=sim.clock.boot(), looked=now, since={Span.CRITICAL.value: now - 38})
    sim.states.save("vm", "vm1", seen)
    assert 38 <= (look(sim).vms[0].seconds or 0) < 45
    world.advance(sim.context.config.timing.stale + 60)
    assert look(sim).vms[0].seconds is None
    sim.states.unreadable = True
    assert look(sim).vms[0].seconds is None


def test_what_wsfc_says_of_a_host_that_is_off_is_shown() -> None:
    """A host that is silent must keep its name, and what the other host's cluster says of it be shown."""
    world = with_running()
    world.power_off_host(TWO)
    world.advance(10)
    peer = look(SimulatedNode(world, "ec1")).hosts[1]
    assert (TWO, Reach.SILENT, False) == (peer.name, peer.reach, peer.answers)
    assert peer.node is not None
    assert "Up" != peer.node or peer.node_flags


@pytest.mark.parametrize(("sshd", "reach"), [(Sshd.REFUSING, Reach.LOGIN_REFUSED), (Sshd.STOPPED, Reach.NO_CONNECTION)])
def test_a5_hosts_that_refuse_are_told_apart(sshd: Sshd, reach: Reach) -> None:
    """A host that refuses the login, and one that refuses the connection, must each be shown as what they are."""
    world = with_running()
    world.hosts[ONE].sshd = world.hosts[TWO].sshd = sshd
    status = look(SimulatedNode(world, "ec1"))
    assert [reach, reach] == [host.reach for host in status.hosts]
    assert [None, None] == [host.name for host in status.hosts]
    assert Severity.CANNOT_TELL is status.verdict.severity
    assert all(host.trouble for host in status.hosts)


@pytest.mark.parametrize(
    ("error", "reach"),
    [
        (HostKeyRefused("127.0.0.1", "its host key is not pinned"), Reach.KEY_NOT_PINNED),
        (NoCommonAlgorithm("127.0.0.1", "no cipher in common"), Reach.NO_ALGORITHM),
        (SessionLost("127.0.0.1", "it broke off"), Reach.UNREADABLE),
    ],
)
def test_a5_each_trouble_with_a_host_has_its_word(
    error: Exception, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is not pinned, no common algorithm and an answer without sense must each be told as that."""
    monkeypatch.setattr("ecx_hyperv.run.host_look.HostLook.take", lambda *_: error)
    assert [reach, reach] == [host.reach for host in look(SimulatedNode(with_running(), "ec1")).hosts]


def test_a_host_of_which_nothing_can_be_read_is_unreadable() -> None:
    """A host that answers, whose cluster and Hyper-V tell nothing, must not count as one that was asked."""
    world = with_running()
    for host in world.hosts.values():
        host.vmms = False
        host.service = False
    status = look(SimulatedNode(world, "ec1"))
    assert [Reach.UNREADABLE, Reach.UNREADABLE] == [host.reach for host in status.hosts]


def test_what_cannot_be_read_here_is_told() -> None:
    """A clpstat that fails and flags that cannot be read must be told, and end nothing."""

    class Denied:
        def find(self, *_: object) -> None:
            raise LocalError("denied", remedy="run this as root (sudo)")

        all = find

    sim = SimulatedNode(with_running(), "ec1")
    sim.context = type(sim.context)(
        **{name: getattr(sim.context, name) for name in sim.context.__slots__} | {"maintenance": Denied()}
    )
    status = look(sim)
    assert status.ecx.trouble is not None
    assert "denied" in (status.maintenance_trouble or "")
    assert Severity.CANNOT_TELL is status.verdict.severity


def test_maintenance_is_shown_with_its_end() -> None:
    """A VM in maintenance must be shown as that, with its end, and its name as a shell takes it."""
    sim = SimulatedNode(with_running("web 1"), "ec1")
    now = sim.clock.wall()
    sim.flags.set(Flag(Kind.VM, "web 1", now, now + timedelta(hours=2), "disk"))
    status = look(sim, "web 1")
    until = (now + timedelta(hours=2)).isoformat(timespec="seconds")
    assert (True, until) == (status.vms[0].maintenance, status.vms[0].maintenance_until)
    assert [("vm", "'web 1'", until, "disk")] == [
        (one.kind, one.word, one.until, one.reason) for one in status.maintenance
    ]


def test_a1_both_copies_red_are_asked_about_on_both_ec_vms() -> None:
    """Where both copies are RED the peer EC-VM must be asked too, since the remedy may name a side only then."""
    world = make_world()
    ecx = _ecx(world)
    for copy in ecx.mirror.copies.values():
        copy.color = MirrorColor.RED
    sim = SimulatedNode(world, "ec1", ecx)
    status = look(sim)
    assert MirrorHealth.BOTH_RED is status.mirrors[0].health
    assert [command for command in sim.commands if command[0] == "ssh"]
    assert Severity.CRITICAL is status.verdict.severity


def test_a_look_changes_nothing_and_asks_each_host_once() -> None:
    """A status must send only what looks, once to each host, and a second look must use the same sessions."""
    sim = SimulatedNode(with_running(), "ec1")
    looker = StatusLook(sim.context, ("vm1",), HERE, sim.states, Path("/nowhere/clp.conf"))
    first = looker.look(Deadline.after(sim.clock, 60))
    sent = len(sim.hosts.sent)
    second = looker.look(Deadline.after(sim.clock, 60))
    assert sent <= 4
    assert len(sim.hosts.sent) - sent == 2
    assert first.hosts == second.hosts
