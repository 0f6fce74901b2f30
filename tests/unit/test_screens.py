"""The screens of a status, held against files that were reviewed: tests/samples/screens.

ECX_HYPERV_UPDATE_SCREENS=1 writes them anew. Read each before it is committed.
"""

import os
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ecx_hyperv.cli.screen import screen
from ecx_hyperv.decide.mirror import MirrorHealth
from ecx_hyperv.decide.overview import ConfigurationStatus, PairFacts, Reach, VolumeStatus
from tests.decide.pair import RUNNING, ecx, flag, group, host, items, judged, mirror, off, pair, shown, vm

SCREENS = Path(__file__).parents[1] / "samples" / "screens"
JAPANESE = "業務サーバ01"
WIDTHS = (100, 80, 60)

COPYING = mirror(
    MirrorHealth.COPYING,
    "GREEN",
    "YELLOW",
    text="the mirror disk md1 is being copied (63 %, 00:04:00 left)",
    remedy="wait until the copy is complete (clpmdstat -m md1); move no group and stop no EC-VM before",
    percent=63,
    remaining="00:04:00",
)
BOTH_RED = mirror(
    MirrorHealth.BOTH_RED,
    "RED",
    "RED",
    text="no copy of the mirror disk md1 is known to be good (ec1 RED, ec2 RED); the group cannot start",
    remedy="find out which EC-VM has the later Lastupdate (Cluster WebUI, clpmdstat -m md1 on both EC-VMs), and run "
    "clpmdctrl -f md1 on that one only; on the other one it destroys the newer data",
)
SILENT = host(
    "peer", reach=Reach.SILENT, node="Isolated", iscsi=None, trouble="port 22 does not answer (nothing for 5 s)"
)
STORIES: dict[str, PairFacts] = {
    "well": pair(),
    "copying": pair(
        mirrors=[COPYING],
        hosts=[host(), SILENT],
        vms=[vm(), vm("web1", local=shown("PausedCritical"), seconds=38.0)],
        ecx=ecx(monitors=items(("genw-vm1", "Normal"), ("mdw1", "Caution"))),
    ),
    "names": pair(
        hosts=[host(name="WS2019-HOST-01"), host("peer", name="WS2019-HOST-02")],
        vms=[
            vm(JAPANESE, owner="WS2019-HOST-01", seconds=5.0),
            vm("Web Server", owner="WS2019-HOST-02", local=None, peer=RUNNING, seconds=12_345.0),
            vm(
                "経理システム 第2号機",
                owner="WS2019-HOST-01",
                local=shown("Running", "MigratingVirtualMachine"),
                seconds=99.0,
            ),
        ],
        maintenance=[replace(flag(JAPANESE), reason="月次の保守")],
        ecx=ecx(groups=[group("Online", "ec1", ("exec-業務", "Online Pending"), ("fip1", "Error"))]),
    ),
    "crashed": pair(
        mirrors=[BOTH_RED],
        vms=[off(), off("web1", owner="HOST-2")],
        volumes=[VolumeStatus(name="Cluster Disk 1", state="Failed", owner="HOST-1")],
        ecx=ecx(groups=[group("Offline", None, ("md1", "Offline"), ("exec-vm1", "Offline"))]),
    ),
    "refused": pair(
        hosts=[
            host(reach=Reach.KEY_NOT_PINNED, name=None, node=None, iscsi=None, trouble="its host key is not pinned"),
            host("peer", reach=Reach.LOGIN_REFUSED, name=None, node=None, iscsi=None, trouble="the key is refused"),
        ],
        vms=[off(group=None, owner=None, local_told=False, peer_told=False, csv="Cluster Disk 1")],
        volumes=[VolumeStatus(name="Cluster Disk 1")],
        mirrors=[
            mirror(
                MirrorHealth.CANNOT_TELL,
                name=None,
                text="nobody can tell which mirror disks there are: exit code 1",
                remedy="run clpmdstat -l by hand; see whether ECX runs on this EC-VM",
            )
        ],
        ecx=ecx(servers=[], groups=[], monitors=[], trouble="clpstat does not say how the cluster is (exit code 1)"),
        maintenance_trouble="/var/lib/ecx-hyperv cannot be read or written",
        configuration=ConfigurationStatus(
            path="/etc/ecx-hyperv/config.last.toml",
            is_last_good_copy=True,
            trouble="/etc/ecx-hyperv/config.toml:31: expected =, not a line end",
            remedy="correct /etc/ecx-hyperv/config.toml, then: ecx-hyperv config check",
        ),
    ),
    "many": pair(
        vms=[vm(f"vm{number:02}") for number in range(1, 21)],
        ecx=ecx(monitors=items(*((f"genw-vm{number:02}", "Normal") for number in range(1, 21)), ("mdw1", "Error"))),
        mirrors=[],
        maintenance=[flag("ec2", "peer", None)],
    ),
}


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show moments in one zone, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("story", STORIES)
def test_a_screen_is_the_one_that_was_reviewed(story: str, width: int) -> None:
    """The screen of each story must be the reviewed one, at 100, 80 and 60 columns."""
    text = "".join(f"{line.plain}\n" for line in screen(judged(STORIES[story]), width))
    path = SCREENS / f"{story}-{width}.txt"
    if os.environ.get("ECX_HYPERV_UPDATE_SCREENS"):
        SCREENS.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("width", [*WIDTHS, 40, 20])
@pytest.mark.parametrize("story", STORIES)
def test_b5_no_word_is_broken_and_no_line_is_too_wide(story: str, width: int) -> None:
    """A line must fit the screen in cells unless it is one word in its column, and each word must be whole."""
    whole = {word for line in screen(judged(STORIES[story]), 400) for word in line.plain.split()}
    # What only a block says, where a table has a heading.
    whole |= {"VM", "on", "for", "contact", "HOST", "ECX"}
    for line in screen(judged(STORIES[story]), width):
        assert set() == {word for word in line.plain.split() if word not in whole}, line.plain
        assert line.cell_len <= width or len(line.plain.split()) <= 3, line.plain


def test_a_vm_is_a_block_of_lines_below_100_columns() -> None:
    """Below 100 columns each VM must have a block of its own, and no table of VMs be drawn."""
    assert any(line.plain.startswith("VM  ") for line in screen(judged(pair()), 100))
    narrow = [line.plain for line in screen(judged(pair()), 99)]
    assert "VM vm1" in narrow
    assert "  on HOST-1  Running  for 6 d 4 h" in narrow


def test_color_tells_how_bad_it_is() -> None:
    """A terminal must show the verdict and what is wrong in colors, and nothing in colors where none are wanted."""
    lines = screen(judged(STORIES["copying"]), 100)
    colored, plain = StringIO(), StringIO()
    for file, no_color in ((colored, False), (plain, True)):
        console = Console(file=file, force_terminal=True, width=100, color_system="standard", no_color=no_color)
        for line in lines:
            console.print(line, soft_wrap=True)
    assert "\x1b[1;31mCRITICAL  \x1b[0mweb1" in colored.getvalue()
    assert "\x1b[1;33mYELLOW\x1b[0m" in colored.getvalue()
    assert "\x1b[3" not in plain.getvalue()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"local": shown("Paused")}, "bold red"),
        ({"local": shown("Starting")}, "yellow"),
        ({"peer": RUNNING}, "bold red"),
        ({"local": None, "group": None}, "magenta"),
        ({"local": shown("Running", heartbeat="LostCommunication")}, "yellow"),
    ],
)
def test_the_state_of_a_vm_has_the_color_of_its_weight(changes: dict[str, Any], expected: str) -> None:
    """A state that must be seen at once must be in the color of its weight."""
    lines = screen(judged(pair(vms=[vm(**changes)])), 100)
    row = next(line for line in lines if line.plain.startswith("vm1 "))
    assert expected in {str(span.style) for span in row.spans}


def test_the_readme_shows_a_screen_that_is_true() -> None:
    """The screen in the README must be one that was reviewed."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    lines = (SCREENS / "copying-80.txt").read_text(encoding="utf-8").splitlines()
    assert "".join(f"    {line}\n" for line in lines) in readme
