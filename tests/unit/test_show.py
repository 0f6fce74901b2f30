"""What a person sees of a status: whatever a host calls things, it stays lines of plain text."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ecx_hyperv.cli.show import show_short, show_status, watch_status
from ecx_hyperv.decide.mirror import MirrorHealth
from ecx_hyperv.decide.overview import ServerStatus, VolumeStatus
from ecx_hyperv.run.status import PairStatus
from tests.decide.pair import ecx, flag, group, host, items, judged, mirror, pair, shown, vm

EVIL = "\x1b[31mred\x1b]0;title\x07\nFAKE LINE\r\x9b2J [bold]x[/bold]"


def evil() -> PairStatus:
    """Return a status in which everything from outside means harm."""
    return judged(
        pair(
            hosts=[
                host(side, name=EVIL, node=EVIL, node_flags=[EVIL], trouble=EVIL, remedy=EVIL)
                for side in ("local", "peer")
            ],
            vms=[vm(EVIL, owner=EVIL, group=EVIL, group_flags=[EVIL], local=shown(EVIL, EVIL, heartbeat=EVIL))],
            volumes=[VolumeStatus(name=EVIL, state=EVIL, owner=EVIL)],
            mirrors=[mirror(MirrorHealth.CANNOT_TELL, "RED", "RED", name=EVIL, text=EVIL, remedy=EVIL)],
            ecx=ecx(
                servers=[ServerStatus(name=EVIL, status=EVIL, is_local=True)],
                groups=[replace(group(EVIL, EVIL, (EVIL, EVIL)), name=EVIL)],
                monitors=items((EVIL, EVIL)),
            ),
            maintenance=[replace(flag(EVIL), reason=EVIL)],
        )
    )


@pytest.mark.parametrize("columns", ["", "60"])
@pytest.mark.parametrize("show", [show_status, show_short])
def test_nothing_that_a_host_says_controls_the_terminal(
    show: Callable[[PairStatus], None],
    columns: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Escape sequences, line breaks and markup in what hosts and ECX say must come out as plain text on one line."""
    monkeypatch.setenv("COLUMNS", columns)
    show(evil())
    seen = capsys.readouterr().out
    assert [] == [character for character in seen if not character.isprintable() and character != "\n"]
    assert [] == [line for line in seen.splitlines() if line.startswith("FAKE")]
    assert "[bold]" in seen


def test_the_short_form_is_the_verdict_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """--short must print the verdict with its reasons and nothing else."""
    show_short(judged(pair(hosts=[host(), host("peer", node="Down")])))
    assert "WARNING  vm1 runs, but cannot fail over: HOST-2 is Down in WSFC\n" == capsys.readouterr().out


def test_a_watch_that_is_no_terminal_shows_one_status_below_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing can be drawn again each look must be printed whole, until somebody ends it."""
    looks = iter([judged(pair()), judged(pair(vms=[]))])

    def pause() -> None:
        if "all that was asked" in capsys.readouterr().out:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch_status(lambda: next(looks), show_status, pause)
    assert [] == list(looks)
