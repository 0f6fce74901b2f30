"""clpmdstat: rows by their labels, a side by its header alone, and nothing but two good copies is good."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.mirror import Mirror, MirrorColor, MirrorHealth, MirrorRow, MirrorSide
from ecx_hyperv.ecx.clpmdstat import ask, ask_names, parse, parse_names
from ecx_hyperv.errors import LocalError
from tests.unit.always import always
from tests.unit.clock import FakeClock
from tests.unit.runner import FakeRunner, printed

SAMPLES = Path(__file__).parents[1] / "samples" / "clpmdstat"
SERVERS = ("ec1", "ec2")
GREEN, YELLOW, RED, GRAY, BLUE = MirrorColor
LATER, EARLIER = "2026/03/04 09:12:31", "2026/03/04 09:10:02"
LATER_S = 1772615551


def sample(name: str) -> Mirror:
    """Return what is read from a sample."""
    return parse((SAMPLES / name).read_text(encoding="utf-8"), "md1", SERVERS)


@pytest.mark.parametrize(
    ("name", "health"),
    [
        ("green.txt", MirrorHealth.GREEN),
        ("green-other-order.txt", MirrorHealth.GREEN),
        ("broken.txt", MirrorHealth.ONE_RED),
        ("broken-other-order.txt", MirrorHealth.ONE_RED),
        ("broken-no-header.txt", MirrorHealth.ONE_RED),
        ("copying.txt", MirrorHealth.COPYING),
        ("both-red.txt", MirrorHealth.BOTH_RED),
        ("not-constructed.txt", MirrorHealth.NOT_CONSTRUCTED),
        ("list.txt", MirrorHealth.CANNOT_TELL),
    ],
)
def test_how_a_mirror_is(name: str, health: MirrorHealth) -> None:
    """Each shape must come to what it says."""
    assert health is sample(name).health


@pytest.mark.parametrize("name", ["broken.txt", "broken-other-order.txt"])
def test_a_header_names_the_sides(name: str) -> None:
    """With a header each server must have its own color and times, in whichever order the columns stand."""
    mirror = sample(name)
    assert MirrorSide(GREEN, "ec1", LATER, EARLIER, LATER_S, LATER_S - 149) == mirror.side("ec1")
    assert MirrorSide(RED, "ec2") == mirror.side("ec2")


def test_without_a_header_no_side_is_named() -> None:
    """Without a header no server may be told to have the good copy."""
    mirror = sample("broken-no-header.txt")
    assert (None, None) == (mirror.side("ec1"), mirror.side("ec2"))
    assert (MirrorSide(GREEN, "", LATER, EARLIER, LATER_S, LATER_S - 149), MirrorSide(RED)) == mirror.sides
    assert mirror.side("") is None


_COLORED = "Mirror Color   GREEN  RED\n"


@pytest.mark.parametrize(
    "above",
    [
        "md1  ec1  ec3\n",
        "md1  ec1\n",
        "md1  ec1  ec1\n",
        "md1  ec1x  ec2\n",
        "copied from ec1 to ec2\n",
        "ec1 -> ec2\n",
        "md1  ec1  ec2\nmd1  ec2  ec1\n",
        "md2  ec1  ec2\n",
        "ec1  ec2  ec1\n",
    ],
)
def test_what_is_no_header_names_no_side(above: str) -> None:
    """A line that does not name both servers and nothing else, or two that differ, must name no side."""
    assert ("", "") == tuple(one.server for one in parse(above + _COLORED, "md1", SERVERS).sides)
    assert ("", "") == tuple(one.server for one in parse(_COLORED + "md1  ec1  ec2\n", "md1", SERVERS).sides)


@pytest.mark.parametrize("blanks", [" ", "  ", "\t"])
def test_times_are_read_with_any_blanks(blanks: str) -> None:
    """Times must be found by their label, as public scripts find them, whatever parts them."""
    text = f"Mirror Color GREEN RED\nLastupdate Time{blanks}{LATER}{blanks}--\nBreak Time{blanks}{EARLIER}\n"
    assert (MirrorSide(GREEN, "", LATER, EARLIER, LATER_S, LATER_S - 149), MirrorSide(RED)) == parse(
        text, "md1", SERVERS
    ).sides


@pytest.mark.parametrize("time", ["2026/13/04 09:12:31", "2026/03/04 09:12", "26/03/04 09:12:31", "--"])
def test_what_is_no_whole_time_is_not_compared(time: str) -> None:
    """A time without seconds or a full date, or one that no calendar has, must not be taken for a moment."""
    text = f"Mirror Color  RED  RED\nLastupdate Time  {time}  {LATER}\n"
    assert (None, LATER_S) == tuple(one.updated_s for one in parse(text, "md1", SERVERS).sides)


def test_a_copy_on_its_way() -> None:
    """A copy's share and the time that it still takes must be read, and no other share be taken for it."""
    mirror = sample("copying.txt")
    assert (42, "01:02:25", 3745) == (mirror.percent, mirror.remaining, mirror.remaining_s)
    assert sample("broken.txt").percent is None
    assert parse("Percent: 400%\n", "md1", SERVERS).percent is None
    assert parse("Percent: 40%\nCopy Percent: 41%\n", "md1", SERVERS).percent is None
    assert "" == parse("Remain Time: --\n", "md1", SERVERS).remaining


def test_what_is_not_known_is_kept() -> None:
    """Rows of any label, and lines without one, must not be lost."""
    mirror = parse("Mirror Color  GREEN  GREEN\nNew Thing  a b  c\nplain words\n", "md1", SERVERS)
    assert MirrorRow("New Thing", ("a b", "c")) in mirror.rows
    assert ("plain words",) == mirror.unknown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GREEN GREEN\n",
        "Mirror Color\n",
        "Mirror Color  GREEN\n",
        "Mirror Color  GREEN  GREEN  GREEN\n",
        "Mirror Color  GREEN  GREENISH\n",
        "Mirror Color  green  green\n",
        "Mirror Color  GREEN  --\n",
        "Mirror Color  GREEN  GREEN\nMirror Color  RED  RED\n",
        "Mirror Color  GREEN  GREEN\nMirror Color  GREEN  GREEN\n",
        "Mirror Status: Abnormal\nMirror Color  GREEN  GREEN\n",
        "Mirror Status:Abnormal\nMirror Color GREEN GREEN\n",
        "Mirror Status: Something\nMirror Color  GREEN  GREEN\n",
        "Mirror Status: Normal\nMirror Status: Abnormal\nMirror Color  GREEN  GREEN\n",
        "Mirror Status: Normal\nMirror Color  RED  RED\n",
        "Mirror Status: No Construction\nMirror Color  GREEN  GREEN\n",
        "The Mirror Color GREEN GREEN\n",
        "Mirror Colors  GREEN  GREEN\n",
        "Mirror Color  GRAY  GRAY\n",
        # What ten thousand spoiled answers held: the label of another row of colors had lost its first letter.
        "irror Color        RED Mirror Status: Normal\n\n  Mirror Color        GREEN       GREEN\n",
        "md2  RED\nMirror Color  GREEN  GREEN\n",
        "Mirror Color  GREEN  GRAY\n",
        "Mirror Color  BLUE  BLUE\n",
        "Mirror Color  GREEN  BLUE\n",
        "Mirror Color  GREEN  YELLOW\n",
        "Mirror Color  GREEN  RED\n",
        "Mirror Color  緑  緑\n",
    ],
)
def test_nothing_but_two_good_copies_is_good(text: str) -> None:
    """An answer that is cut, doubled, contradicts itself or shows anything else must not be GREEN."""
    assert MirrorHealth.GREEN is not parse(text, "md1", SERVERS).health


@pytest.mark.parametrize(
    "row",
    [
        "Mirror Color  GREEN  GREEN",
        "Mirror Color: GREEN  GREEN",
        "\tMirror Color\tGREEN\tGREEN\r",
        "Mirror Color GREEN GREEN",
    ],
)
@pytest.mark.parametrize("status", ["", "Mirror Status: Normal\n", " mirror status :  NORMAL \r\n"])
def test_two_good_copies(row: str, status: str) -> None:
    """Two GREEN columns, with Normal or no word besides, must be GREEN however they are laid out."""
    assert MirrorHealth.GREEN is parse(f"{status}{row}\n", "md1", SERVERS).health


_LINES = [line for path in SAMPLES.glob("*.txt") for line in path.read_text(encoding="utf-8").splitlines()]


@always
@given(lines=st.lists(st.one_of(st.sampled_from(_LINES), st.text(), st.text(" :<>GREN-%0:\t", max_size=40))))
def test_any_text_is_read_without_an_error(lines: list[str]) -> None:
    """Whatever is printed, reading it must raise nothing, and GREEN needs one row of two GREEN columns."""
    text = "\n".join(lines)
    mirror = parse(text, "md1", SERVERS)
    assert mirror.percent is None or 0 <= mirror.percent <= 100
    if mirror.health is MirrorHealth.GREEN:
        colors = [line.split() for line in text.split("\n") if line.split()[:1] == ["Mirror"] and "olor" in line]
        assert [["GREEN", "GREEN"]] == [one[-2:] for one in colors]
    assert all(one.server in ("", *SERVERS) for one in mirror.sides)
    assert all(parse_names(text))


def test_the_names_of_all_mirrors() -> None:
    """Each mirror must be listed once, in the order of the answer."""
    assert ("md1", "md-files") == parse_names((SAMPLES / "list.txt").read_text(encoding="utf-8") * 2)
    runner = FakeRunner(printed("<md1>\n"))
    assert ("md1",) == ask_names(runner, Deadline.after(FakeClock(), 90))
    assert [(["clpmdstat", "-l"], 30)] == runner.calls


def test_a_mirror_is_asked_for() -> None:
    """A mirror must be asked for by its name, in no more time than there is."""
    runner = FakeRunner(printed((SAMPLES / "green.txt").read_text(encoding="utf-8")))
    assert MirrorHealth.GREEN is ask(runner, "md1", SERVERS, Deadline.after(FakeClock(), 7)).health
    assert [(["clpmdstat", "-m", "md1"], 7)] == runner.calls


@pytest.mark.parametrize(("code", "seen"), [(1, "exit code 1, GREEN"), (None, "took too long"), (9, "exit code 9")])
def test_a_clpmdstat_that_fails_is_not_believed(code: int | None, seen: str) -> None:
    """Whatever a clpmdstat that fails has printed must not count."""
    runner = FakeRunner(printed("Mirror Color  GREEN  GREEN", code))
    with pytest.raises(LocalError) as caught:
        ask(runner, "md1", SERVERS, Deadline.after(FakeClock(), 90))
    assert seen.split(",", maxsplit=1)[0] in caught.value.seen
    with pytest.raises(LocalError):
        ask_names(runner, Deadline.after(FakeClock(), 90))
