"""genw-remote-node and the mirror disks, in virtual time: what is told, how often, and that it changes no verdict."""

import re
from collections.abc import Sequence

import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.decide.peer import PeerEnd
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.errors import CommandMissing
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.linux.clpmdstat import MirrorShape
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.run.peer import PeerWatcher
from tests.run.support import TWO, with_running
from tests.virtual.contexts import SimulatedNode

GREEN, YELLOW, RED, GRAY, BLUE = MirrorColor
BAD_SHAPES = [MirrorShape.SENSELESS, MirrorShape.FAILS]


class _Answers:
    """Commands of an EC-VM of which clpmdstat is another: `seconds` holds how long each was allowed to take."""

    def __init__(self, sim: SimulatedNode, answer: Completed | CommandMissing | None = None) -> None:
        self._run, self._sim, self._answer = sim._run, sim, answer
        self.seconds: list[float] = []

    def __call__(self, command: Sequence[str], seconds: float) -> Completed:
        """Run a command."""
        if command[0] not in ("clpmdstat", "ssh") or self._answer is None:
            return self._run(command, seconds)
        self.seconds.append(seconds)
        if isinstance(self._answer, CommandMissing):
            raise self._answer
        if self._answer.code is None:
            self._sim.clock.sleep(seconds)
        return self._answer


def peer_world(shape: MirrorShape = MirrorShape.HEADER) -> tuple[World, SimulatedEcx, SimulatedNode]:
    """Return a world with ECX on both EC-VMs, whose clpmdstat answers in a shape, and the node of the first."""
    world = with_running(mirror_recovery=100, heartbeat=10)
    ecx = SimulatedEcx(world, lambda *_: None, ["vm1"])  # type: ignore[arg-type]
    for ec_vm in world.ec_vms.values():
        ec_vm.linux.mirror_shape = shape.value
    return world, ecx, SimulatedNode(world, "ec1", ecx)


def watch(sim: SimulatedNode, run: _Answers | None = None) -> PeerEnd:
    """Run genw-remote-node once."""
    if run is not None:
        object.__setattr__(sim.context, "run", run)
    deadline = Deadline.after(sim.clock, sim.context.config.timing.monitor - 5)
    return PeerWatcher(sim.context, sim.states, deadline).go()


def told(sim: SimulatedNode, words: str) -> list[Level]:
    """Return the levels of the alerts that hold some words."""
    return [level for level, text in sim.alerts if words in text]


@pytest.mark.parametrize("shape", [one for one in MirrorShape if one not in BAD_SHAPES])
def test_all_is_well_only_once_the_mirror_is_copied(shape: MirrorShape) -> None:
    """While the mirror is copied the end of an alert must wait; then it must be told once, in each shape."""
    world, ecx, sim = peer_world(shape)
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    watch(sim)
    assert [Level.WARN] == told(sim, "power on ec2")
    world.advance(60)
    ecx.mirror.copy(by_itself=False)
    world.advance(63)
    assert Exit.DONE is watch(sim).exit
    (copied,) = [text for _, text in sim.alerts if "is being copied" in text]
    assert re.search(r"the mirror disk md1 is being copied \(6\d %, 00:00:3\d left\); do: wait", copied), copied
    assert [] == told(sim, "well again")

    world.advance(40)
    ecx.mirror.go_on()
    for _ in range(3):
        watch(sim)
    assert [Level.WARN] == told(sim, "ec2: all is well again")


def test_a_copy_is_told_once_an_hour() -> None:
    """A copy that lasts must be told with its percentage, once an hour and no more."""
    world, ecx, sim = peer_world()
    ecx.mirror.spoil_or_show(YELLOW)
    for _ in range(125):
        assert Exit.DONE is watch(sim).exit
        world.advance(60)
    assert [Level.WARN] * 3 == told(sim, "is being copied")


def test_two_bad_copies_are_an_error_with_the_remedy() -> None:
    """RED on both must be an ERR alert that names the EC-VM with the later update, by the answer's header."""
    world, ecx, sim = peer_world()
    ecx.mirror.copies["ec2"].updated = world.now
    ecx.mirror.spoil_or_show(RED)
    for _ in range(3):
        assert Exit.DONE is watch(sim).exit
    assert [Level.ERR] == told(sim, "on ec2: clpgrp -t; clpmdctrl -f md1; clpgrp -s")


@pytest.mark.parametrize(
    ("shape", "is_named"), [(MirrorShape.NO_HEADER, False), (MirrorShape.NO_HEADER_OWN_FIRST, True)]
)
def test_without_a_header_the_peer_is_asked(shape: MirrorShape, is_named: bool) -> None:
    """Without a header a side must be named only where the peer's answer agrees, each with its own server first."""
    world, ecx, sim = peer_world(shape)
    other = SimulatedNode(world, "ec2", ecx)
    run = sim._run

    def with_ssh(command: Sequence[str], seconds: float) -> Completed:
        return other._run(command[-1].split()[2:], seconds) if command[0] == "ssh" else run(command, seconds)

    object.__setattr__(sim.context, "run", with_ssh)
    ecx.mirror.copies["ec2"].updated = world.now
    ecx.mirror.spoil_or_show(RED)
    watch(sim)
    assert [Level.ERR] == told(sim, "no copy of the mirror disk md1")
    assert is_named is bool(told(sim, "on ec2: clpgrp -t; clpmdctrl -f md1"))
    assert is_named is not bool(told(sim, "ec1 answers RED"))


def test_urgent_news_need_no_peer_that_is_online() -> None:
    """Two bad or two active copies must be told while ECX on the peer is offline, a copy that is not seen must not."""
    for colors, levels in (((RED, GRAY), [Level.ERR]), ((BLUE,), [Level.ERR]), ((GREEN, GRAY), [])):
        world, ecx, sim = peer_world()
        world.power_off_host(TWO)
        ecx.mirror.spoil_or_show(*colors)
        assert Exit.UNREACHABLE is watch(sim).exit
        assert levels == told(sim, "mirror disk md1")


@pytest.mark.parametrize("shape", BAD_SHAPES)
def test_a_mirror_that_cannot_be_told_is_never_green(shape: MirrorShape) -> None:
    """Without a sensible clpmdstat an alert must stay open, be told so, and end once clpmdstat tells again."""
    world, ecx, sim = peer_world(shape)
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    watch(sim)
    world.advance(60)
    for _ in range(3):
        assert Exit.DONE is watch(sim).exit
    assert [Level.WARN] == told(sim, "nobody can tell")
    assert [] == told(sim, "well again")

    world.ec_vms["ec1"].linux.mirror_shape = MirrorShape.HEADER.value
    watch(sim)
    assert [Level.WARN] == told(sim, "one copy of the mirror disk md1 is old (ec1 GREEN, ec2 RED)")
    ecx.mirror.spoil(GREEN)
    watch(sim)
    assert [Level.WARN] == told(sim, "well again")


def test_a_clpmdstat_that_fails_alone_alerts_nobody() -> None:
    """Where nothing waits for the mirror, a clpmdstat that fails must be logged and no more."""
    _, _, sim = peer_world(MirrorShape.FAILS)
    watch(sim)
    assert [] == sim.alerts
    assert "clpmdstat does not say" in sim.log.getvalue()


def test_without_clpmdstat_there_is_no_mirror() -> None:
    """A shared disk configuration must end an alert as soon as ECX is Online there."""
    world, _, sim = peer_world()
    run = _Answers(sim, CommandMissing("the command clpmdstat is not there"))
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    watch(sim, run)
    world.advance(60)
    watch(sim, run)
    assert [Level.WARN] == told(sim, "well again")


def test_a_clpmdstat_that_hangs_changes_no_verdict() -> None:
    """Rule 9: a clpmdstat that hangs must cost a few seconds after the verdict, and nothing else."""
    for hangs in (False, True):
        world, ecx, sim = peer_world()
        run = _Answers(sim, Completed(None, b"", b"") if hangs else None)
        ends = [watch(sim, run)]
        ecx.servers["ec2"].service = "Offline"
        began = sim.clock.monotonic()
        ends.append(watch(sim, run))
        world.power_off_host(TWO)
        ends.append(watch(sim, run))
        assert [Exit.DONE, Exit.DONE, Exit.DONE] == [end.exit for end in ends], ends
        assert all(seconds <= 5 for seconds in run.seconds)
        assert sim.clock.monotonic() - began < 60
        assert ["clpcl"] == [command[0] for command in sim.commands if command[0] == "clpcl"]


def test_a_run_without_time_asks_no_mirror() -> None:
    """A run that has used its time up must not ask clpmdstat, and must not take the mirror for GREEN."""
    world, _, sim = peer_world()
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    watch(sim)
    world.advance(60)
    sim.commands.clear()
    end = PeerWatcher(sim.context, sim.states, Deadline.after(sim.clock, 0.2)).go()
    assert Exit.DONE is end.exit
    assert "clpmdstat" not in [command[0] for command in sim.commands]
    assert [] == told(sim, "well again")


def test_what_cannot_be_remembered_is_told_only_where_it_is_urgent() -> None:
    """Without a memory a copy must not be told in every run; two bad copies must be."""
    _, ecx, sim = peer_world()
    sim.states.unwritable = True
    ecx.mirror.spoil_or_show(YELLOW)
    watch(sim)
    assert [] == told(sim, "mirror disk")
    ecx.mirror.spoil_or_show(RED)
    watch(sim)
    assert [Level.ERR] == told(sim, "mirror disk")


def test_a_dry_run_tells_nobody() -> None:
    """A dry run must not look at the mirror, and tell nobody."""
    world, ecx, _ = peer_world()
    sim = SimulatedNode(world, "ec1", ecx, dry=True)
    ecx.mirror.spoil_or_show(RED)
    watch(sim)
    assert [] == sim.alerts
