"""clpstat's whole page: everything that it says is kept, in both widths, and what is not known is not lost."""

from pathlib import Path

import pytest

from ecx_hyperv.decide.peer import PeerEcx
from ecx_hyperv.ecx.clpstat import Clpstat, ClpstatGroup, ClpstatRow, ClpstatServer, judge, parse

SAMPLES = Path(__file__).parents[1] / "samples" / "clpstat"
_KERNEL = "Kernel Mode LAN Heartbeat"


def sample(name: str) -> Clpstat:
    """Return what is read from a sample."""
    return parse((SAMPLES / name).read_text(encoding="utf-8"))


def test_f01_the_page_with_comments() -> None:
    """The page that blinded genw-remote-node must be read whole: states, comments, resources and monitors."""
    heartbeats = (ClpstatRow("lankhb1", "Normal", _KERNEL),)
    expected = Clpstat(
        servers=(
            ClpstatServer("ec1", "Online", is_local=True, comment="Main machine", heartbeats=heartbeats),
            ClpstatServer("ec2", "Offline", is_local=False, comment="Spare machine", heartbeats=heartbeats),
        ),
        groups=(
            ClpstatGroup(
                "failover1",
                "Online",
                "ec1",
                comment="Guests of the shop",
                resources=(ClpstatRow("exec1", "Online", "starts web1"),),
            ),
        ),
        monitors=(ClpstatRow("genw1", "Normal", "looks at web1"),),
        cluster="pair",
    )
    assert expected == sample("comments.txt")
    assert PeerEcx.OFFLINE is judge(expected, "ec1", "ec2")


@pytest.mark.parametrize("name", ["plain.txt", "long.txt"])
def test_both_widths_say_the_same(name: str) -> None:
    """States must be found by whole names in either width, be the row cut or not."""
    page = sample(name)
    assert () == page.unknown
    local, peer = page.find("ec-vm-of-the-first-site"), page.find("ec-vm-of-the-other-site")
    assert (True, False) == (local and local.is_local, peer and peer.is_local)
    assert local
    assert local.may_be_cut is (name == "plain.txt")
    first, second = page.servers
    assert [("lankhb1", "Normal"), ("lankhb2", "Error"), ("witnesshb1", "Normal"), ("httpnp1", "Normal")] == [
        (one.name, one.status) for one in first.heartbeats
    ]
    assert ("Caution", "予備機 : 2F") == (second.status, second.comment)
    group = page.find_group("failover1")
    assert group is not None
    assert ("Online Pending", "ec-vm-of-the-first-site") == (group.status, group.current)
    assert ["fip1", "md1", "exec-iscsi", "exec-web1"] == [one.name for one in group.resources]
    assert "Online Pending" == group.resources[-1].status
    states = {name: page.find_monitor(name) for name in ("genw-remote-node", "genw-web1", "mdw1", "userw")}
    assert ["Caution", "Error", "Suspend", "Normal"] == [one.status for one in states.values() if one]


def test_a_stopped_cluster_with_a_comment() -> None:
    """A stopped cluster must mean nothing, with comments as without."""
    page = sample("stopped.txt")
    assert PeerEcx.SENSELESS is judge(page, "ec1", "ec2")
    assert [("failover1", "Offline", "")] == [(one.name, one.status, one.current) for one in page.groups]


def test_what_is_not_known_is_kept() -> None:
    """A section and a line of a release to come must be kept, and change nothing about the rest."""
    page = sample("unknown-rows.txt")
    assert ["a line of a release to come", "bmc1           : Normal"] == [one.strip() for one in page.unknown]
    assert PeerEcx.ONLINE is judge(page, "ec1", "ec2")
    assert "Online" == page.groups[0].status
