"""genw-remote-node, run again and again as ECX does, from every pair of facts about the peer."""

from collections.abc import Callable, Mapping
from itertools import combinations, product

import pytest
from msgspec.structs import replace

from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.ecx.monitor_state import MonitorState
from ecx_hyperv.lab.linux.clpmdstat import MirrorShape
from ecx_hyperv.lab.model.things import Plane
from ecx_hyperv.lab.model.world import World
from tests.proof.counts import Record, Tally
from tests.proof.facts import FACTS, TIMING, Case, Setter, build
from tests.virtual.invariants import ProgramKind
from tests.virtual.programs import run_program

_LOOKS = 14
_GAP_S = 30.0
_TIMING = replace(TIMING, hung_after=100, cool_down=90)


def _world(act: Callable[[World], object]) -> Setter:
    def set_world(case: Case) -> None:
        act(case.world)

    return set_world


def _ec2(state: str) -> Setter:
    return _world(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], state))


def _boots(world: World) -> None:
    world.stop_ec_vm(world.ec_vms["ec2"], "Off")
    world.start_ec_vm(world.ec_vms["ec2"])


def _service(status: str) -> Setter:
    return lambda case: setattr(case.ecx.servers["ec2"], "service", status)


def _acted(*ago: float) -> Setter:
    def remember(case: Case) -> None:
        now = case.sim.clock.boottime()
        actions = tuple(now - seconds for seconds in ago)
        case.sim.states.save("peer", "ec2", MonitorState(boot=case.sim.clock.boot(), looked=now, actions=actions))

    return remember


def _maintained(case: Case) -> None:
    case.sim.flags.set(Flag(kind=Kind.PEER, name="ec2", since=case.sim.clock.wall()))


def _mirror(*colors: MirrorColor) -> Setter:
    return lambda case: case.ecx.mirror.spoil_or_show(*colors)


def _shape(shape: MirrorShape) -> Setter:
    return _world(lambda world: setattr(world.ec_vms["ec1"].linux, "mirror_shape", shape.value))


def _usual(_case: Case) -> None:
    """Leave it as it is."""


PEER_FACTS: Mapping[str, Mapping[str, Setter]] = {
    "EC-VM": {
        "runs": _usual,
        "off": _ec2("Off"),
        "saved": _ec2("Saved"),
        "paused": _ec2("Paused"),
        "boots": _world(_boots),
        "hangs": _world(lambda world: world.hang_ec_vm(world.ec_vms["ec2"])),
        "has another name": _world(lambda world: setattr(world.ec_vms["ec2"], "vm", "Another")),
    },
    "ECX": {
        "Online": _usual,
        "Offline": _service("Offline"),
        "Online Pending": _service("Online Pending"),
        "clpstat fails": lambda case: case.sim.break_clpstat(),
    },
    "peer host": FACTS["peer host"],
    "between the EC-VMs": {
        "linked": _usual,
        "cut": _world(lambda world: world.cut("ec1", "ec2")),
        "management cut": _world(lambda world: world.cut("ec1", "ec2", Plane.MANAGEMENT)),
        "mirror cut": _world(lambda world: world.cut("ec1", "ec2", Plane.MIRROR)),
    },
    "maintenance": {"no": _usual, "yes": _maintained},
    "past": {"quiet": _usual, "just acted": _acted(5), "acted three times": _acted(3000, 2000, 1000)},
    "language": {"en": _usual, "ja": _usual},
    "mirror": {
        "in sync": _usual,
        "copied": _mirror(MirrorColor.YELLOW),
        "one old": _mirror(MirrorColor.GREEN, MirrorColor.RED),
        "both old": _mirror(MirrorColor.RED),
        "one unseen": _mirror(MirrorColor.GREEN, MirrorColor.GRAY),
        "both used": _mirror(MirrorColor.BLUE),
        "senseless": _shape(MirrorShape.SENSELESS),
        "clpmdstat fails": _shape(MirrorShape.FAILS),
        "clpmdstat hangs": lambda case: setattr(case.sim, "clpmdstat_hangs", True),
    },
}
# With one of these the peer cannot be brought up, or must not be; with all others it must be up in the end.
_HOPELESS = {
    ("EC-VM", "has another name"),
    ("ECX", "Online Pending"),
    ("ECX", "clpstat fails"),
    ("between the EC-VMs", "cut"),
    ("maintenance", "yes"),
    ("past", "acted three times"),
    *(("peer host", value) for value in ("lost power", "shut down", "sshd stopped", "login refused")),
    *(("peer host", value) for value in ("not reached", "isolated")),
}
# Without a ping nobody knows whether its ECX could be started: a person must look.
_HOPELESS_TOGETHER = (
    {("ECX", "Offline"), ("between the EC-VMs", "management cut")},
    {("EC-VM", "paused"), ("between the EC-VMs", "management cut")},
)
_PAIRS = list(combinations(PEER_FACTS, 2))


def make(values: Mapping[str, str]) -> Case:
    """Return a case in which these facts about the peer are so."""
    case = build({"language": values["language"]} if "language" in values else {}, _TIMING)
    for name, fact in PEER_FACTS.items():
        if name in values:
            fact[values[name]](case)
    return case


@pytest.mark.parametrize(("first", "second"), _PAIRS, ids=[f"{one} and {other}" for one, other in _PAIRS])
def test_pair(first: str, second: str, record_property: Record) -> None:
    """The peer comes up where it can, is left alone where it must be, and is never acted on more than three times."""
    runs = actions = 0
    wrong: list[str] = []
    for one, other in product(PEER_FACTS[first], PEER_FACTS[second]):
        values = {first: one, second: other}
        case = make(values)
        changes: list[str] = []
        for _ in range(_LOOKS):
            changes += run_program(case.sim, ProgramKind.PEER).changes
            case.world.advance(_GAP_S)
            runs += 1
        acts = [*changes, *(command for command in case.sim.commands if command[0] == "clpcl")]
        actions += len(acts)
        before = len(case.sim.states.load("peer", "ec2").actions) - len(acts)
        if len(acts) + max(0, before) > 3:
            wrong.append(f"{values}: {acts}")
        facts = set(values.items())
        hopeless = _HOPELESS & facts or facts in _HOPELESS_TOGETHER
        if not hopeless and case.ecx.sees("ec1", "ec2") != "Online":
            wrong.append(f"{values}: the peer stays {case.ecx.sees('ec1', 'ec2')}: {acts}")
        wrong += [f"{values}: {rule}" for rule in case.world.violations]
    assert [] == wrong
    Tally(record_property).add("pairs of the peer", runs=runs, actions=actions)


_OTHERS = [(name, value) for name, fact in PEER_FACTS.items() if name != "mirror" for value in fact]


@pytest.mark.parametrize(("name", "value"), _OTHERS, ids=[f"{name} {value}" for name, value in _OTHERS])
def test_the_mirror_has_no_say(name: str, value: str, record_property: Record) -> None:
    """Rule 9: however the mirror is, each run must end with the same code, and do the same to the peer."""
    came: dict[str, list[object]] = {}
    for mirror in PEER_FACTS["mirror"]:
        case = make({name: value, "mirror": mirror})
        came[mirror] = []
        for _ in range(_LOOKS):
            began = case.world.now
            outcome = run_program(case.sim, ProgramKind.PEER)
            # A clpmdstat that hangs may cost its bounded time, and nothing else: looks stay where they were.
            case.world.advance(max(0.0, _GAP_S - (case.world.now - began)))
            came[mirror].append((outcome.exit, outcome.changes))
        came[mirror].append([command for command in case.sim.commands if command[0] == "clpcl"])
        told = [text for _, text in case.sim.alerts if "well again" in text]
        assert mirror == "in sync" or not told, (mirror, told)
        assert len(told) <= 1
    assert dict.fromkeys(came, came["in sync"]) == came
    Tally(record_property).add("pairs of the peer", runs=_LOOKS * len(came))
