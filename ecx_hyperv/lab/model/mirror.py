"""The lab's mirror disk: a copy on each EC-VM, which of them is good, how far a copy of one to the other is.

Made after what public texts say of NEC's: GREEN in sync, YELLOW being copied, RED not usable, GRAY not seen, BLUE in
use on both. A mirror breaks when one EC-VM is lost; what is written then, the lost one lacks. If the other one is lost
too before it has noticed that, nobody knows which copy is the newer one: both are RED until a person forces one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.lab.model.state import WorldState

MIRROR = "md1"
# By how much the copy that was in use is the newer one, where both EC-VMs were lost at the same time.
_ON_ITS_WAY_S = 1.0


@dataclass(slots=True)
class MirrorCopy:
    """One EC-VM's copy; times are the world's: when it was last written, when the other copy was lost to it."""

    color: MirrorColor = MirrorColor.GREEN
    updated: float = 0.0
    broken: float | None = None


class SimulatedMirror:
    """Both copies. `is_active` tells whether an EC-VM has the mirror disk in use, `is_up` whether it is alive."""

    def __init__(self, world: WorldState, *, is_active: Callable[[str], bool], is_up: Callable[[str], bool]) -> None:
        self._world = world
        self._is_active = is_active
        self._is_up = is_up
        self.copies = {name: MirrorCopy() for name in world.ec_vms}
        # Where a copy is made from, to which EC-VM, since when.
        self.source = self.target = ""
        self.since = 0.0
        # When an EC-VM was lost whose loss the other one may not have noticed yet, and who had the disk in use then.
        self._unnoticed: float | None = None
        self._writer = ""
        # Whether both copies were in use at once: they differ, until one of them is given up.
        self._diverged = False
        # What clpmdstat shows in place of the truth, by EC-VM.
        self.shown: dict[str, MirrorColor] = {}

    # What is.

    def is_whole(self, node: str) -> bool:
        """Tell whether an EC-VM's copy is a good one."""
        return self.copies[node].color is MirrorColor.GREEN

    @property
    def percent(self) -> int:
        """Return how much is copied."""
        took = self._world.timings.mirror_recovery
        return 100 if took <= 0 else max(0, min(99, int(100 * (self._world.now - self.since) / took)))

    @property
    def remaining(self) -> float:
        """Return how long the copy still takes."""
        return max(0.0, self.since + self._world.timings.mirror_recovery - self._world.now)

    def color(self, node: str, *, by: str, is_linked: bool) -> MirrorColor:
        """Return the color of an EC-VM's copy as another EC-VM, or itself, shows it, linked to the other one or not."""
        if node in self.shown:
            return self.shown[node]
        if node != by and not is_linked:
            return MirrorColor.GRAY
        if is_linked and all(map(self._is_active, self.copies)):
            return MirrorColor.BLUE
        # Public samples show both sides in this color for as long as one is copied to the other.
        return MirrorColor.YELLOW if self.source else self.copies[node].color

    # What befalls it.

    def write(self) -> None:
        """Have the EC-VM that has the disk in use write to it, and so to the other copy, if that is in sync."""
        for node in filter(self._is_active, self.copies):
            self.copies[node].updated = self._world.now
            other = self._other(node)
            if self.copies[other].color is self.copies[node].color is MirrorColor.GREEN and self._is_up(other):
                self.copies[other].updated = self._world.now

    def part(self, node: str) -> None:
        """Have an EC-VM go on without the other one, whose copy is old from now on, unless that is in use too."""
        other = self._other(node)
        if self._is_active(other):
            self._diverged = True
        elif self.is_whole(node) and self.is_whole(other):
            self._break(node, other)

    def lost(self, node: str, *, was_active: bool, is_told: bool = False) -> None:
        """Have an EC-VM gone: the other one goes on, if its copy is good; `is_told` if it knows of that at once."""
        self.stop_copy()
        other, now = self._other(node), self._world.now
        if self._is_up(other):
            self._unnoticed = None
            if self.is_whole(node) and self.is_whole(other):
                self._break(other, node)
                self._writer = node if was_active else other
                self._unnoticed = now if not is_told and (was_active or self._is_active(other)) else None
            return
        noticed_after = self._world.timings.heartbeat
        if self._world.timings.both_red and self._unnoticed is not None and now - self._unnoticed <= noticed_after:
            self.spoil(MirrorColor.RED)
            # What was on its way to the other one is on the disk of the one that wrote it.
            self.copies[self._writer].updated += _ON_ITS_WAY_S
            self._world.record("mirror: no copy is known to be good", MIRROR)
        self._unnoticed = None

    def _break(self, good: str, old: str) -> None:
        self.copies[good].broken = self._world.now
        self.copies[old].color = MirrorColor.RED
        self._world.record("mirror breaks", MIRROR, old)

    def copy(self, *, by_itself: bool) -> bool:
        """Begin to copy the good side to the old one; tell whether there is one of each."""
        good = [node for node in self.copies if self.is_whole(node)]
        if self.source or len(good) != 1 or (by_itself and not self._world.timings.mirror_auto):
            return False
        self.source, self.target, self.since = good[0], self._other(good[0]), self._world.now
        self._world.record("mirror is copied", MIRROR, self.target)
        return True

    def go_on(self) -> None:
        """End a copy whose time has come, and give up one of two copies that were both in use."""
        active = [node for node in self.copies if self._is_active(node)]
        if self._diverged and len(active) == 1:
            self._diverged = False
            if all(map(self.is_whole, self.copies)):
                self._break(active[0], self._other(active[0]))
        if self.source and self._world.now >= self.since + self._world.timings.mirror_recovery:
            target = self.target
            self.stop_copy()
            self.spoil(MirrorColor.GREEN)
            self._world.record("mirrored", target)

    def stop_copy(self) -> None:
        """Have a copy break off: its target stays as it was before."""
        self.source = self.target = ""

    def force(self, node: str) -> bool:
        """Clpmdctrl -f: make an EC-VM's copy the good one, however old it is; tell whether that could be done."""
        mine, other = self.copies[node], self.copies[self._other(node)]
        if mine.color is MirrorColor.GREEN or self.source or any(map(self._is_active, self.copies)):
            return False
        lost = other.updated - mine.updated
        if lost > 0:
            self._world.record("written data lost", MIRROR, node, f"{lost:.2f} s")
        mine.color, mine.broken, other.color = MirrorColor.GREEN, None, MirrorColor.RED
        return True

    def spoil(self, *colors: MirrorColor) -> None:
        """Have both copies of a color, or one of each, in the order of the EC-VMs."""
        self.stop_copy()
        for copy, color in zip(self.copies.values(), colors * 2, strict=False):
            copy.color = color
            copy.broken = None if color is MirrorColor.GREEN else copy.broken

    def spoil_or_show(self, *colors: MirrorColor) -> None:
        """Have both copies of a color, or one of each; GRAY, YELLOW and BLUE are shown only, until the next time."""
        held = (MirrorColor.GREEN, MirrorColor.RED)
        self.shown = {name: one for name, one in zip(self.copies, colors * 2, strict=False) if one not in held}
        self.spoil(*(one if one in held else MirrorColor.GREEN for one in colors))

    def _other(self, node: str) -> str:
        return next(one for one in self.copies if one != node)
