"""What a person sees of a status: whatever a host calls things, it stays a table."""

import pytest

from ecx_hyperv.cli.show import show_status
from ecx_hyperv.run.status import EcxStatus, HostStatus, OnHost, PairStatus, ServerStatus, VmStatus, VolumeStatus

EVIL = "\x1b[31mred\x1b]0;title\x07\nFAKE LINE\r\x9b2J [bold]x[/bold]"


def test_nothing_that_a_host_says_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences, line breaks and markup in what hosts and ECX say must come out as plain text on one line."""
    on_host = OnHost(state=EVIL, operational=[EVIL], heartbeat=EVIL, uptime=1)
    hosts = [
        HostStatus(side=side, address="a", answers=True, name=EVIL, node=EVIL, node_flags=[EVIL], trouble=EVIL)
        for side in ("local", "peer")
    ]
    vm = VmStatus(name=EVIL, owner=EVIL, group=EVIL, group_flags=[EVIL], csv=EVIL, local=on_host, peer=on_host)
    ecx = EcxStatus(servers=[ServerStatus(name=EVIL, status=EVIL, is_local=True)], groups={EVIL: EVIL})
    show_status(
        PairStatus(
            node="ec1",
            hosts=hosts,
            vms=[vm],
            volumes=[VolumeStatus(name=EVIL, state=EVIL, owner=EVIL)],
            ecx=ecx,
            maintenance=[],
        )
    )
    seen = capsys.readouterr().out
    assert [] == [character for character in seen if not character.isprintable() and character != "\n"]
    assert [] == [line for line in seen.splitlines() if line.startswith("FAKE")]
    assert "[bold]" in seen
