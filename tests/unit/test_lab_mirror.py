"""The lab's mirror disk as a thing: what breaks it, copies it, and what is lost."""

from msgspec.structs import replace

from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.lab.model.mirror import SimulatedMirror
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World

GREEN, YELLOW, RED, GRAY, BLUE = MirrorColor


class Pair:
    """A mirror between ec1 and ec2, and who is up and has it in use."""

    def __init__(self, *active: str, both_red: bool = True, mirror_auto: bool = True) -> None:
        self.world = World(replace(Timings(), both_red=both_red, mirror_auto=mirror_auto))
        self.active, self.up = set(active), {"ec1", "ec2"}
        self.mirror = SimulatedMirror(
            self.world, is_active=lambda name: name in self.active, is_up=lambda name: name in self.up
        )

    def loses(self, *nodes: str, after: float = 0.0) -> None:
        """Have EC-VMs lost one after the other."""
        for node in nodes:
            was_active = node in self.active
            self.up.discard(node)
            self.active.discard(node)
            self.mirror.lost(node, was_active=was_active)
            self.passes(after)

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.world.advance(seconds)
        self.mirror.write()
        self.mirror.go_on()

    @property
    def colors(self) -> list[MirrorColor]:
        """Return both colors as one sees them who sees both."""
        return [self.mirror.color(name, by="ec1", is_linked=True) for name in self.mirror.copies]


def test_one_that_is_lost_misses_what_is_written() -> None:
    """The copy of an EC-VM that is lost must be RED, and the other one's later than its break."""
    pair = Pair("ec1")
    pair.passes(5)
    pair.loses("ec2")
    pair.passes(3)
    good, old = pair.mirror.copies.values()
    assert [GREEN, RED] == pair.colors
    assert (5, 8, 5) == (old.updated, good.updated, good.broken)
    assert [GREEN, GRAY] == [pair.mirror.color(name, by="ec1", is_linked=False) for name in ("ec1", "ec2")]


def test_a_copy_takes_its_time() -> None:
    """A copy must show YELLOW and its percentage, and end GREEN; one that breaks off must leave its target RED."""
    pair = Pair("ec1")
    pair.mirror.spoil(GREEN, RED)
    assert pair.mirror.copy(by_itself=True)
    assert not pair.mirror.copy(by_itself=True)
    pair.passes(0.5)
    assert [YELLOW, YELLOW] == pair.colors
    assert (25, 1.5) == (pair.mirror.percent, pair.mirror.remaining)
    pair.loses("ec2")
    assert [GREEN, RED] == pair.colors
    pair.up.add("ec2")
    assert pair.mirror.copy(by_itself=True)
    pair.passes(2)
    assert [GREEN, GREEN] == pair.colors


def test_the_source_of_a_copy_stays_the_good_one() -> None:
    """Where the source of a copy is lost, the half-made copy must not be taken for a good one."""
    pair = Pair("ec1")
    pair.mirror.spoil(GREEN, RED)
    pair.mirror.copy(by_itself=True)
    pair.loses("ec1")
    assert [GREEN, RED] == pair.colors


def test_ecx_may_be_told_not_to_copy_by_itself() -> None:
    """With mirror_auto off only a person begins a copy."""
    pair = Pair(mirror_auto=False)
    pair.mirror.spoil(GREEN, RED)
    assert not pair.mirror.copy(by_itself=True)
    assert pair.mirror.copy(by_itself=False)
    assert not Pair().mirror.copy(by_itself=False)


def test_both_lost_at_once_leaves_no_good_copy() -> None:
    """Both must be RED only if the disk was in use, and the second was lost before it noticed the first one's loss."""
    for active, after, both_red, expected in (
        (("ec1",), 0.5, True, [RED, RED]),
        (("ec2",), 0.5, True, [RED, RED]),
        (("ec1",), 10.0, True, [RED, GREEN]),
        ((), 0.5, True, [RED, GREEN]),
        (("ec1",), 0.5, False, [RED, GREEN]),
    ):
        pair = Pair(*active, both_red=both_red)
        pair.loses("ec1", "ec2", after=after)
        assert expected == pair.colors
        newer = max(pair.mirror.copies, key=lambda name: pair.mirror.copies[name].updated)
        assert expected != [RED, RED] or (newer,) == active


def test_one_that_leaves_in_good_order_is_known_to_be_away() -> None:
    """An EC-VM whose ECX was stopped first must not leave two bad copies, however soon the other one is lost."""
    pair = Pair("ec1")
    pair.up.discard("ec2")
    pair.mirror.lost("ec2", was_active=False, is_told=True)
    pair.loses("ec1")
    assert [GREEN, RED] == pair.colors


def test_one_that_is_lost_twice_was_known_to_be_old() -> None:
    """Where the first loss was noticed, the second EC-VM's copy must stay the good one, however soon it is lost."""
    pair = Pair("ec1")
    pair.loses("ec2", after=0.5)
    pair.up.add("ec2")
    pair.loses("ec2", "ec1", after=0.1)
    assert [GREEN, RED] == pair.colors


def test_a_copy_is_forced_only_where_none_is_in_use() -> None:
    """To force a copy must make it the good one, and record what the other one held besides."""
    pair = Pair()
    pair.mirror.copies["ec1"].updated = 7
    pair.mirror.spoil(RED)
    assert pair.mirror.force("ec2")
    assert [RED, GREEN] == pair.colors
    assert [("written data lost", "7.00 s")] == [(event.what, event.state) for event in pair.world.history]
    assert not pair.mirror.force("ec2")
    pair.active.add("ec2")
    assert not pair.mirror.force("ec1")


def test_two_that_use_it_at_once_differ() -> None:
    """While both use their copies both must be BLUE; once one gives up, its copy must be the old one."""
    pair = Pair("ec1", "ec2")
    pair.mirror.part("ec2")
    pair.passes(1)
    assert [BLUE, BLUE] == pair.colors
    assert [GREEN, GRAY] == [pair.mirror.color(name, by="ec1", is_linked=False) for name in ("ec1", "ec2")]
    pair.active.discard("ec1")
    pair.passes(1)
    assert [RED, GREEN] == pair.colors


def test_what_is_only_shown_ends_with_the_next_word() -> None:
    """GRAY, YELLOW and BLUE must be shown in place of the truth, until the mirror is spoiled again."""
    pair = Pair()
    pair.mirror.spoil_or_show(GREEN, GRAY)
    assert [GREEN, GRAY] == pair.colors
    pair.mirror.spoil_or_show(BLUE)
    assert [BLUE, BLUE] == pair.colors
    pair.mirror.spoil_or_show(GREEN)
    assert [GREEN, GREEN] == pair.colors
