"""A mirror disk by the answers of both EC-VMs: never GREEN by mistake, and no side named that is not known."""

from dataclasses import replace
from itertools import product

import pytest

from ecx_hyperv.decide.mirror import (
    Mirror,
    MirrorAnswer,
    MirrorColor,
    MirrorFacts,
    MirrorHealth,
    MirrorSide,
    PairMirrors,
    combine,
)
from ecx_hyperv.decide.mirror_judgement import MirrorVerdict, judge_mirror, judge_mirrors

GREEN, YELLOW, RED, GRAY, BLUE = MirrorColor
EARLIER, LATER = "2026/03/04 09:10:02", "2026/03/04 09:12:31"
EC1, EC2 = "ec1", "ec2"


_SECONDS = {EARLIER: 1002, LATER: 1151}


def side(color: MirrorColor, server: str = "", last: str = "", broke: str = "") -> MirrorSide:
    """Return one column."""
    return MirrorSide(color, server, last, broke, _SECONDS.get(last), _SECONDS.get(broke))


def said(node: str, *sides: MirrorSide, status: str = "") -> MirrorAnswer:
    """Return what an EC-VM said of md1."""
    return MirrorAnswer(node, Mirror("md1", status, sides))


def named(facts: MirrorFacts) -> dict[str, str]:
    """Return each side's last update by its server's name."""
    return {one.server: one.last_update or one.color.value for one in facts.sides}


OLD, NEW = side(RED, last=EARLIER), side(RED, last=LATER)


def of(server: str, one: MirrorSide) -> MirrorSide:
    """Return a column with a header above it."""
    return replace(one, server=server)


@pytest.mark.parametrize(
    ("colors", "health", "verdict"),
    [
        ((GREEN, GREEN), MirrorHealth.GREEN, MirrorVerdict.WELL),
        ((YELLOW, YELLOW), MirrorHealth.COPYING, MirrorVerdict.WARNING),
        ((GREEN, YELLOW), MirrorHealth.COPYING, MirrorVerdict.WARNING),
        ((RED, YELLOW), MirrorHealth.COPYING, MirrorVerdict.WARNING),
        ((GREEN, RED), MirrorHealth.ONE_RED, MirrorVerdict.WRONG),
        ((RED, RED), MirrorHealth.BOTH_RED, MirrorVerdict.WRONG),
        ((RED, GRAY), MirrorHealth.BOTH_RED, MirrorVerdict.WRONG),
        ((GREEN, GRAY), MirrorHealth.ONE_UNKNOWN, MirrorVerdict.WARNING),
        ((GRAY, GRAY), MirrorHealth.BOTH_UNKNOWN, MirrorVerdict.CANNOT_TELL),
        ((GRAY, YELLOW), MirrorHealth.CANNOT_TELL, MirrorVerdict.CANNOT_TELL),
        *(((BLUE, color), MirrorHealth.BOTH_ACTIVE, MirrorVerdict.WRONG) for color in MirrorColor),
    ],
)
def test_each_pair_of_colors(
    colors: tuple[MirrorColor, MirrorColor], health: MirrorHealth, verdict: MirrorVerdict
) -> None:
    """Each pair of colors, in both orders, must come to one health and one verdict, with a remedy unless it is well."""
    for order in (colors, colors[::-1]):
        facts = combine("md1", "md1", said(EC1, *map(side, order)))
        judged = judge_mirror(facts)
        assert (health, verdict) == (facts.health, judged.verdict)
        assert bool(judged.remedy) is (verdict is not MirrorVerdict.WELL)
        assert "md1" in judged.text


def test_nothing_but_two_green_columns_is_green() -> None:
    """Whatever both EC-VMs say, GREEN must need GREEN on both sides in each answer that was given."""
    words = ("", "Normal", "Abnormal", "No Construction")
    answers = [(first, second, word) for first, second in product(MirrorColor, repeat=2) for word in words]
    for here, there in product(answers, repeat=2):
        facts = combine(
            "md1",
            "md1",
            said(EC1, side(here[0]), side(here[1]), status=here[2]),
            said(EC2, side(there[0]), side(there[1]), status=there[2]),
        )
        good = all(one[:2] == (GREEN, GREEN) and one[2] in ("", "Normal") for one in (here, there))
        assert good is (facts.health is MirrorHealth.GREEN)


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        # The answer's own header.
        (said(EC1, of(EC1, OLD), of(EC2, NEW)), None, {EC1: EARLIER, EC2: LATER}),
        (said(EC1, of(EC2, NEW), of(EC1, OLD)), None, {EC1: EARLIER, EC2: LATER}),
        # A header in one of two answers, or the same in both.
        (said(EC1, of(EC2, NEW), of(EC1, OLD)), said(EC2, NEW, OLD), {EC1: EARLIER, EC2: LATER}),
        (said(EC1, NEW, OLD), said(EC2, of(EC2, NEW), of(EC1, OLD)), {EC1: EARLIER, EC2: LATER}),
        (said(EC1, of(EC1, OLD), of(EC2, NEW)), said(EC2, of(EC2, NEW), of(EC1, OLD)), {EC1: EARLIER, EC2: LATER}),
        # Each answer with its own server first.
        (said(EC1, OLD, NEW), said(EC2, NEW, OLD), {EC1: EARLIER, EC2: LATER}),
        # A copy in use goes on being written between the two answers.
        (
            said(EC1, side(GREEN, last=EARLIER), side(RED)),
            said(EC2, side(RED), side(GREEN, last=LATER)),
            {EC1: EARLIER, EC2: "RED"},
        ),
        # No header and one answer; the same order in both answers; times that do not fit; a peer that says nothing.
        (said(EC1, OLD, NEW), None, None),
        (said(EC1, OLD, NEW), said(EC2, OLD, NEW), None),
        (said(EC1, OLD, NEW), said(EC2, NEW, side(RED)), None),
        (said(EC1, OLD, NEW), said(EC2), None),
        (said(EC1, OLD, NEW), MirrorAnswer(EC2, why="no ssh"), None),
    ],
)
def test_a_side_is_named_only_where_it_is_known(
    here: MirrorAnswer, there: MirrorAnswer | None, expected: dict[str, str] | None
) -> None:
    """A server must have a side only by a header, or where both EC-VMs agree with their own server first."""
    facts = combine("md1", "md1", here, there)
    assert (expected is None) is not all(one.server for one in facts.sides)
    if expected is not None:
        assert expected == named(facts)
        assert [EC1, EC2] == [one.server for one in facts.sides]
    judged = judge_mirror(facts)
    if facts.health is MirrorHealth.BOTH_RED:
        assert ("on ec2: clpgrp -t; clpmdctrl -f md1; clpgrp -s (" in judged.remedy) is (expected is not None)
        assert (EC2 if expected else "") == judged.node
        assert expected is not None or (EC1 not in judged.remedy and EC2 not in judged.remedy)


@pytest.mark.parametrize(
    ("here", "there", "why"),
    [
        (MirrorAnswer(EC1, why="clpmdstat failed"), said(EC2, side(GREEN), side(GREEN)), "clpmdstat failed"),
        (MirrorAnswer(EC1, why="clpmdstat failed"), None, "clpmdstat failed"),
        (said(EC1), None, "makes no sense"),
        (said(EC1, side(GREEN), side(GREEN)), said(EC2), "do not say the same"),
        (said(EC1, side(GREEN), side(GREEN)), said(EC2, side(YELLOW), side(YELLOW)), "do not say the same"),
        # Both say that their own copy is the good one.
        (
            said(EC1, side(GREEN, EC1), side(RED, EC2)),
            said(EC2, side(GREEN, EC2), side(RED, EC1)),
            "do not name the same sides",
        ),
        # The same health, by other colors.
        (said(EC1, side(YELLOW), side(GREEN)), said(EC2, side(YELLOW), side(YELLOW)), "do not say the same"),
    ],
)
def test_answers_that_differ_are_cannot_tell(here: MirrorAnswer, there: MirrorAnswer | None, why: str) -> None:
    """A local answer without sense, and two answers that differ, must be "cannot tell", with both kept."""
    facts = combine("md1", "md1", here, there)
    judged = judge_mirror(facts)
    assert (MirrorHealth.CANNOT_TELL, MirrorVerdict.CANNOT_TELL) == (facts.health, judged.verdict)
    assert why in judged.text
    assert "clpmdctrl" not in judged.remedy
    assert (here,) if there is None else (here, there) == facts.answers


def test_a_peer_that_says_nothing_takes_nothing_away() -> None:
    """Where the peer EC-VM cannot be asked, the local answer must stand by itself."""
    here = said(EC1, side(GREEN), side(GREEN))
    assert MirrorHealth.GREEN is combine("md1", "md1", here, MirrorAnswer(EC2, why="no ssh")).health


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("", LATER, "find out which EC-VM has the later Lastupdate"),
        ("yesterday", LATER, "find out which EC-VM has the later Lastupdate"),
        (LATER, LATER, f"both copies were written last at {LATER}: choose the EC-VM"),
    ],
)
def test_without_two_times_that_differ_no_copy_is_the_newer_one(first: str, second: str, told: str) -> None:
    """Where the later of two times cannot be told, no side must be named, even with a header."""
    judged = judge_mirror(combine("md1", "md1", said(EC1, side(RED, EC1, first), side(RED, EC2, second))))
    assert "" == judged.node
    assert judged.remedy.startswith(told)


def test_a_copy_that_is_not_seen_may_be_the_newer_one() -> None:
    """While one side is GRAY no copy must be forced: the other EC-VM has to come up first."""
    judged = judge_mirror(combine("md1", "md1", said(EC1, side(RED, EC1, LATER), side(GRAY, EC2))))
    assert "" == judged.node
    assert judged.remedy.startswith("start the EC-VM and the ECX of the side that is GRAY first")


def test_what_a_failover_would_lose_is_said() -> None:
    """Between break and last update of the good copy lies what the old copy lacks; its span must be told."""
    lost = "a failover now would lose what was written in 149 s"
    facts = combine("md1", "md1", said(EC1, side(GREEN, EC1, LATER, EARLIER), side(RED, EC2)))
    assert judge_mirror(facts).text.endswith(f"(ec1 GREEN, ec2 RED); {lost}")
    for last, broke in (("", EARLIER), (LATER, ""), (LATER, LATER), (EARLIER, LATER)):
        facts = combine("md1", "md1", said(EC1, side(GREEN, "", last, broke), side(RED)))
        assert judge_mirror(facts).text.endswith("(GREEN and RED)")


@pytest.mark.parametrize(
    ("percent", "remaining", "shown"),
    [
        (63, "00:04:10", " (63 %, 00:04:10 left)"),
        (63, "", " (63 %)"),
        (None, "00:04:10", " (00:04:10 left)"),
        (None, "", ""),
    ],
)
def test_how_far_a_copy_is(percent: int | None, remaining: str, shown: str) -> None:
    """What clpmdstat says of a copy's progress must be told, and nothing that it does not say."""
    mirror = Mirror("md1", sides=(side(YELLOW), side(YELLOW)), percent=percent, remaining=remaining)
    assert f"is being copied{shown}" in judge_mirror(combine("md1", "md1", MirrorAnswer(EC1, mirror))).text


def test_a_mirror_that_was_never_made() -> None:
    """Without a construction there must be no side, and a person must make the first copy."""
    judged = judge_mirror(combine("md1", "md1", said(EC1, status="No Construction")))
    assert (MirrorVerdict.WRONG, "the mirror disk md1 was never constructed") == (judged.verdict, judged.text)


def test_a_name_from_outside_is_quoted() -> None:
    """A mirror's name is another program's word, and must not end a command line that somebody copies."""
    colors = (RED, GREEN)
    for sides in ((side(RED), side(RED)), tuple(map(side, colors)), (side(YELLOW), side(YELLOW))):
        facts = combine("md;reboot", "'md;reboot'", said(EC1, *sides))
        assert "'md;reboot'" in judge_mirror(facts).remedy


def test_all_mirrors_of_the_pair() -> None:
    """GREEN as a whole must mean that each mirror is known to be GREEN, and none at all is not a fault."""
    good = combine("md1", "md1", said(EC1, side(GREEN), side(GREEN)))
    bad = combine("md2", "md2", said(EC1, side(YELLOW), side(YELLOW)))
    assert PairMirrors().are_green
    assert () == judge_mirrors(PairMirrors())
    assert PairMirrors((good,)).are_green
    assert not PairMirrors((good, bad)).are_green
    assert not PairMirrors((good,), why="clpmdstat failed").are_green
    assert [MirrorVerdict.WELL, MirrorVerdict.WARNING] == [
        one.verdict for one in judge_mirrors(PairMirrors((good, bad)))
    ]
    unlisted = judge_mirrors(PairMirrors(why="clpmdstat failed", remedy="see whether ECX runs"))
    assert [(MirrorVerdict.CANNOT_TELL, "see whether ECX runs")] == [(one.verdict, one.remedy) for one in unlisted]
    assert ["run clpmdstat -l"] == [one.remedy for one in judge_mirrors(PairMirrors(why="failed"))]


def test_no_sentence_is_longer_than_an_alert() -> None:
    """The longest sentence and its remedy must fit the 500 characters of an alert: its end says what destroys data."""
    without_header = combine("md-files", "md-files", said("ec-node-1", NEW, OLD), said("ec-node-2", NEW, OLD))
    judged = judge_mirror(without_header)
    assert MirrorHealth.BOTH_RED is judged.health
    assert len(f"ecx-hyperv: {judged.text}; do: {judged.remedy}") <= 500
