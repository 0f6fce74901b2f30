"""The text that clpmdstat prints in the lab, and what clpmdctrl does there.

NEC's manual was not at hand. The rows `Mirror Color`, `Mirror Status: No Construction`, `Lastupdate` and `Break` are as
public scripts read them; the rest is made up. So the lab has several shapes, by the fact mirror_shape of an EC-VM: both
orders of the columns, with and without a header, with rows that nobody knows, and what makes no sense. That a program
copes with all of them proves nothing about the shape that NEC's has.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.mirror import MIRROR

Said = tuple[int, str]


class MirrorShape(Enum):
    """A shape of clpmdstat's answer."""

    HEADER = "header"
    OTHER_ORDER = "other-order"
    OWN_FIRST = "own-first"
    NO_HEADER = "no-header"
    NO_HEADER_OWN_FIRST = "no-header-own-first"
    UNKNOWN_ROWS = "unknown-rows"
    SENSELESS = "senseless"
    FAILS = "fails"


_OWN_FIRST = (MirrorShape.OWN_FIRST, MirrorShape.NO_HEADER_OWN_FIRST)
_NO_HEADER = (MirrorShape.NO_HEADER, MirrorShape.NO_HEADER_OWN_FIRST)
_RULE = "  " + "-" * 60
_BEGAN = datetime(2026, 3, 4, 9, tzinfo=UTC)


def clpmdstat(ecx: SimulatedEcx, node: str, arguments: Sequence[str]) -> Said:
    """Return what clpmdstat says on one server, and its exit code."""
    shape = MirrorShape(ecx.world.ec_vms[node].linux.mirror_shape)
    if ecx.servers[node].service != "Online" or shape is MirrorShape.FAILS:
        return 1, "Command failed.\n"
    if list(arguments) == ["-l"]:
        return 0, f"<{MIRROR}>\n" + "".join(f"  {name}: /dev/cp-diska2\n" for name in ecx.servers)
    if list(arguments[1:]) != [MIRROR] or arguments[0] not in ("-m", "--mirror"):
        return 1, "Invalid mirror disk name.\n"
    if shape is MirrorShape.SENSELESS:
        return 0, "\ufffd\x1b[2J Mirror Color  GREEN\n"
    return 0, "\n".join(_rows(ecx, node, shape)) + "\n"


def clpmdctrl(ecx: SimulatedEcx, node: str, arguments: Sequence[str]) -> Said:
    """Do what clpmdctrl does on one server: force its copy (-f), or copy the good one again (-r)."""
    options, names = [one for one in arguments if one.startswith("-")], [one for one in arguments if one[0] != "-"]
    if names != [MIRROR] or ecx.servers[node].service != "Online":
        return 1, "Command failed.\n"
    match options:
        case ["-f" | "--force"]:
            done = ecx.mirror.force(node)
        case ["-r" | "--recovery"]:
            done = all(one.service == "Online" for one in ecx.servers.values()) and ecx.mirror.copy(by_itself=False)
        case _:
            return 1, "Invalid option.\n"
    return (0, "Command succeeded.\n") if done else (1, "Command failed.\n")


def _rows(ecx: SimulatedEcx, node: str, shape: MirrorShape) -> Iterator[str]:
    names = list(ecx.servers)
    if shape is MirrorShape.OTHER_ORDER or (shape in _OWN_FIRST and names[0] != node):
        names.reverse()
    colors = [ecx.sees_mirror(node, name) for name in names]
    copies = [ecx.mirror.copies[name] for name in names]
    is_copying = MirrorColor.YELLOW in colors
    is_good = colors == [MirrorColor.GREEN] * 2
    yield f" Mirror Status: {'Normal' if is_good else 'Recovering' if is_copying else 'Abnormal'}"
    yield ""
    if shape not in _NO_HEADER:
        yield _cells(f"  {MIRROR}", names)
        yield _RULE
    yield _cells("  Mirror Color", [color.value for color in colors])
    if shape is MirrorShape.UNKNOWN_ROWS:
        yield _cells("  Journal Color", ["PURPLE", "PURPLE"])
        yield "  \u30df\u30e9\u30fc\u306e\u69cb\u6210: \u4e0d\u660e"
    if not is_good and not is_copying:
        yield _cells("  Lastupdate Time", [_date(one.updated) for one in copies])
        yield _cells("  Break Time", [_date(one.broken) for one in copies])
    if is_copying and ecx.mirror.source:
        used = ecx.world.now - ecx.mirror.since
        yield from ("", "  Recovery Status Value", _RULE)
        yield f"  Direction:          {ecx.mirror.source} -> {ecx.mirror.target}"
        yield f"  Percent:            {ecx.mirror.percent}%"
        yield f"  Used Time:          {_span(used)}"
        yield f"  Remain Time:        {_span(ecx.mirror.remaining)}"
        yield "  Iteration Times:    1/1"


def _cells(label: str, cells: Sequence[str]) -> str:
    return f"{label:22}{cells[0]:23}{cells[1]}"


def _date(moment: float | None) -> str:
    return "--" if moment is None else f"{_BEGAN + timedelta(seconds=moment):%Y/%m/%d %H:%M:%S}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
