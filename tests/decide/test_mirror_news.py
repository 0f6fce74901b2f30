"""What genw-remote-node tells of the mirror disks."""

import pytest

from ecx_hyperv.decide.mirror import Mirror, MirrorAnswer, MirrorColor, MirrorSide, PairMirrors, combine
from ecx_hyperv.decide.mirror_news import is_urgent, news_of

GREEN, YELLOW, RED, GRAY, BLUE = MirrorColor


def pair_of(*colors: MirrorColor) -> PairMirrors:
    """Return a pair with one mirror disk of these colors."""
    sides = tuple(map(MirrorSide, colors))
    return PairMirrors((combine("md1", "md1", MirrorAnswer("ec1", Mirror("md1", sides=sides))),))


SENSELESS = pair_of()
UNLISTED = PairMirrors(why="clpmdstat failed")


@pytest.mark.parametrize("is_online", [True, False])
@pytest.mark.parametrize("is_awaited", [True, False])
@pytest.mark.parametrize(
    ("pair", "told_online", "told_awaited", "told_always"),
    [
        (PairMirrors(), False, False, False),
        (pair_of(GREEN, GREEN), False, False, False),
        (pair_of(YELLOW, YELLOW), True, True, False),
        (pair_of(GREEN, RED), True, True, False),
        (pair_of(GREEN, GRAY), False, True, False),
        (pair_of(RED, RED), True, True, True),
        (pair_of(RED, GRAY), True, True, True),
        (pair_of(BLUE, BLUE), True, True, True),
        (pair_of(GRAY, GRAY), False, True, False),
        (SENSELESS, False, True, False),
        (UNLISTED, False, True, False),
    ],
)
def test_what_is_told(
    pair: PairMirrors, told_online: bool, told_awaited: bool, told_always: bool, is_online: bool, is_awaited: bool
) -> None:
    """What needs a person must always be told, what is under way once ECX is Online there, the unknown if awaited."""
    news = news_of(pair, is_online=is_online, is_awaited=is_awaited)
    expected = told_always or (is_online and (told_online or (is_awaited and told_awaited)))
    assert expected is bool(news)
    assert told_always is is_urgent(pair)
    assert all(one.is_urgent is told_always and "; do: " in one.text for one in news)


def test_the_key_changes_with_the_trouble_alone() -> None:
    """A copy's progress must be no news, another trouble of the same mirror must be."""

    def key(*colors: MirrorColor) -> str:
        (one,) = news_of(pair_of(*colors), is_online=True, is_awaited=True)
        return one.key

    assert "md1 COPYING" == key(YELLOW, YELLOW) == key(GREEN, YELLOW)
    assert "md1 BOTH_RED" == key(RED, RED)
    assert ["CANNOT_TELL"] == [one.key for one in news_of(UNLISTED, is_online=True, is_awaited=True)]
