"""What the two copies of a mirror disk come to, and whose column is whose.

Kept: nothing but two GREEN columns, and no word against them, is a mirror that is well. An answer that makes no sense,
and two answers that differ, are "cannot tell". `clpmdctrl -f` on the wrong side destroys the newer data, so a remedy
names a side only where it is known whose column is whose. NEC's manual was not at hand, so that is known in three ways
only: a header of the answer names both our servers; both columns say the same; or the answers of both EC-VMs agree
when each is read with its own server first, as all public scripts read it. The colors are NEC's: GREEN is in sync,
YELLOW is being copied, RED is not usable, GRAY is stopped or not known, BLUE is active on both servers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


class MirrorColor(Enum):
    """The state of one server's copy, in ECX's own words."""

    GREEN = "GREEN"
    YELLOW = "YELLOW"
    RED = "RED"
    GRAY = "GRAY"
    BLUE = "BLUE"


class MirrorHealth(Enum):
    """What both copies come to."""

    GREEN = "both copies are the same"
    COPYING = "one copy is made from the other"
    ONE_RED = "one copy is old"
    BOTH_RED = "neither copy is known to be good"
    BOTH_ACTIVE = "both copies are in use"
    ONE_UNKNOWN = "one copy cannot be seen"
    BOTH_UNKNOWN = "neither copy can be seen"
    NOT_CONSTRUCTED = "the mirror was never made"
    CANNOT_TELL = "cannot tell"


# The one word for a good mirror that a public text shows.
_NORMAL = "normal"
_COLORS: dict[frozenset[MirrorColor], MirrorHealth] = {
    frozenset({MirrorColor.GREEN}): MirrorHealth.GREEN,
    frozenset({MirrorColor.YELLOW}): MirrorHealth.COPYING,
    frozenset({MirrorColor.YELLOW, MirrorColor.GREEN}): MirrorHealth.COPYING,
    frozenset({MirrorColor.YELLOW, MirrorColor.RED}): MirrorHealth.COPYING,
    frozenset({MirrorColor.RED, MirrorColor.GREEN}): MirrorHealth.ONE_RED,
    frozenset({MirrorColor.RED}): MirrorHealth.BOTH_RED,
    # What is left after both nodes crashed, seen while the other one is away.
    frozenset({MirrorColor.RED, MirrorColor.GRAY}): MirrorHealth.BOTH_RED,
    frozenset({MirrorColor.GREEN, MirrorColor.GRAY}): MirrorHealth.ONE_UNKNOWN,
    frozenset({MirrorColor.GRAY}): MirrorHealth.BOTH_UNKNOWN,
    # Whatever the other column says: a copy that both servers use differs from the other one.
    **{frozenset({MirrorColor.BLUE, color}): MirrorHealth.BOTH_ACTIVE for color in MirrorColor},
}


@dataclass(frozen=True, slots=True)
class MirrorSide:
    """One column; `server` is empty where nobody can say whose it is, a time where the answer shows none.

    `updated_s` and `broken_s` are both times in seconds since some moment, so that they can be compared; None where a
    time has no date, no seconds, or is none.
    """

    color: MirrorColor
    server: str = ""
    last_update: str = ""
    break_time: str = ""
    updated_s: int | None = None
    broken_s: int | None = None


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """A labelled row as it stands."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mirror:
    """What one clpmdstat says of one mirror disk.

    `sides` are the two columns in the order of the answer, none if they make no sense. `percent` is 0 to 100,
    `remaining` the time that a copy still takes, in ECX's own form, `remaining_s` in seconds; None and empty where
    they are not shown. `rows` are all labelled rows, `unknown` all other lines, `text` is the answer as it came.
    """

    name: str
    status: str = ""
    sides: tuple[MirrorSide, ...] = ()
    percent: int | None = None
    remaining: str = ""
    remaining_s: int | None = None
    rows: tuple[MirrorRow, ...] = ()
    unknown: tuple[str, ...] = ()
    text: str = ""

    @property
    def health(self) -> MirrorHealth:
        """Say what both copies come to; a word against the colors makes it CANNOT_TELL."""
        said = " ".join(self.status.casefold().split())
        if said == "no construction":
            return MirrorHealth.NOT_CONSTRUCTED
        found = _COLORS.get(frozenset(side.color for side in self.sides), MirrorHealth.CANNOT_TELL)
        if len(self.sides) != 2 or (said and (said == _NORMAL) is not (found is MirrorHealth.GREEN)):
            return MirrorHealth.CANNOT_TELL
        return found

    def side(self, server: str) -> MirrorSide | None:
        """Return the column of a server; None unless the answer's own header names both."""
        return next((one for one in self.sides if server and one.server == server), None)


@dataclass(frozen=True, slots=True)
class MirrorAnswer:
    """What one EC-VM said of a mirror disk: what was read, or why nothing was."""

    node: str
    said: Mirror | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class MirrorFacts:
    """How one mirror disk of the pair is, by the answer of the local EC-VM and, where it was asked, of the peer.

    `sides` are the local server's and the peer's, in this order, where they have names; else the columns as the local
    answer has them, without a name. `answers` are what each EC-VM said; `why` tells why nobody can tell. `word` is the
    name as a shell takes it.
    """

    name: str
    word: str
    health: MirrorHealth
    sides: tuple[MirrorSide, ...] = ()
    percent: int | None = None
    remaining: str = ""
    remaining_s: int | None = None
    answers: tuple[MirrorAnswer, ...] = ()
    why: str = ""

    @property
    def colors(self) -> str:
        """Return the colors for a person: "ec1 GREEN, ec2 RED", without names where nobody can say whose they are."""
        named = [f"{side.server} {side.color.value}" if side.server else side.color.value for side in self.sides]
        return (", " if all(side.server for side in self.sides) else " and ").join(named)


@dataclass(frozen=True, slots=True)
class PairMirrors:
    """All mirror disks of the pair, none for a cluster that has none.

    `why` tells why nobody can say which there are, `remedy` what to do then; `peer_why` why the peer EC-VM, which was
    asked too, said nothing.
    """

    mirrors: tuple[MirrorFacts, ...] = ()
    why: str = ""
    remedy: str = ""
    peer_why: str = ""

    @property
    def are_green(self) -> bool:
        """Tell whether it is known that each mirror disk is GREEN on both sides; so it is where there is none."""
        return not self.why and all(one.health is MirrorHealth.GREEN for one in self.mirrors)


def combine(name: str, word: str, here: MirrorAnswer, there: MirrorAnswer | None = None) -> MirrorFacts:
    """Return how a mirror disk is by what the local EC-VM says and, where it was asked, the peer.

    A peer that says nothing takes nothing away. A local EC-VM that says nothing, and two answers that differ, are
    CANNOT_TELL. `word` is the name as a shell takes it.
    """
    answers = (here,) if there is None else (here, there)
    mine, other = here.said, None if there is None else there.said
    if mine is None:
        return MirrorFacts(name, word, MirrorHealth.CANNOT_TELL, answers=answers, why=here.why)
    sides, why = _sides(mine, other, here.node, "" if there is None else there.node)
    if other is not None and (other.health is not mine.health or _color_words(other) != _color_words(mine)):
        why = "the two EC-VMs do not say the same"
    elif mine.health is MirrorHealth.CANNOT_TELL:
        why = "the answer of clpmdstat makes no sense"
    health = MirrorHealth.CANNOT_TELL if why else mine.health
    return MirrorFacts(name, word, health, sides, mine.percent, mine.remaining, mine.remaining_s, answers, why)


def _color_words(said: Mirror) -> list[str]:
    return sorted(side.color.value for side in said.sides)


def _sides(mine: Mirror, other: Mirror | None, local: str, peer: str) -> tuple[tuple[MirrorSide, ...], str]:
    """Return the sides, with names where it is known whose they are, and what keeps two answers from being true."""
    unnamed = tuple(replace(side, server="") for side in mine.sides)
    if len(unnamed) != 2:
        return (), ""
    named = _by_header(mine, local)
    if other is None or len(other.sides) != 2:
        return named or unnamed, ""
    others = _by_header(other, local)
    if named and others:
        return (named, "") if _are_same(named, others) else (unnamed, "the two EC-VMs do not name the same sides")
    if named or others:
        return named or others, ""
    first, second = (replace(side, server="") for side in other.sides)
    # Each with its own server first.
    if _are_same(unnamed, (second, first)):
        return (replace(unnamed[0], server=local), replace(unnamed[1], server=peer)), ""
    return unnamed, ""


def _by_header(said: Mirror, local: str) -> tuple[MirrorSide, ...]:
    """Return the local server's side and the other one as the answer's header names them; none without a header."""
    return tuple(sorted(said.sides, key=lambda side: side.server != local)) if said.side(local) else ()


def _are_same(some: Sequence[MirrorSide], others: Sequence[MirrorSide]) -> bool:
    """Tell whether two readings give each server the same; the times of a copy in use go on, and tell nothing then."""
    if some[0].color is not some[1].color:
        return [side.color for side in some] == [side.color for side in others]
    return [_content(side) for side in some] == [_content(side) for side in others]


def _content(side: MirrorSide) -> tuple[MirrorColor, str, str]:
    return side.color, side.last_update, side.break_time
