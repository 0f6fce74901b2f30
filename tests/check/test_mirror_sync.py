"""check mirror-sync: what clpmdstat says comes to a finding, and a side is named only where it is known."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ecx_hyperv.check.linux_facts import System
from ecx_hyperv.check.mirror import judge_mirror_sync, look_at_mirrors
from ecx_hyperv.check.outcome import Finding, Outcome
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.errors import CommandMissing
from tests.unit.clock import FakeClock
from tests.unit.runner import printed
from tests.unit.samples import EC1, EC2

PAIR = Pair(EC1, EC2)
OLD, NEW = "2026/03/04 09:10:02", "2026/03/04 09:12:31"


def found(tmp_path: Path, here: str | None, there: str = "", mirrors: str = "<md1>\n") -> list[Finding]:
    """Return the findings for what both EC-VMs answer; None is an EC-VM without clpmdstat."""

    def run(command: Sequence[str], seconds: float) -> Completed:
        assert seconds <= 15
        if command[0] == "ssh":
            return printed(there) if there else printed("", 255)
        if here is None:
            raise CommandMissing("no clpmdstat")
        return printed(mirrors if command[-1] == "-l" else here)

    system = System(run, tmp_path, Deadline.after(FakeClock(), 90))
    return list(judge_mirror_sync("ec1", look_at_mirrors(system, PAIR)))


def only(findings: list[Finding]) -> Finding:
    """Return the only finding."""
    (finding,) = findings
    return finding


def test_a_cluster_without_a_mirror_disk_is_well(tmp_path: Path) -> None:
    """A shared disk, with or without a clpmdstat, must be no fault."""
    for one in (only(found(tmp_path, None)), only(found(tmp_path, "", mirrors=""))):
        assert (Outcome.OK, "ec1", "this cluster has no mirror disk") == (one.outcome, one.place, one.seen)


def test_a_mirror_that_clp_conf_holds_must_be_told(tmp_path: Path) -> None:
    """Where clp.conf holds a mirror disk, a clpmdstat that is away or lists nothing must be "cannot tell"."""
    conf = tmp_path / "opt/nec/clusterpro/etc/clp.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text('<root><resource><types name="md"/></resource></root>', encoding="utf-8")
    for one in (only(found(tmp_path, None)), only(found(tmp_path, "", mirrors=""))):
        assert (Outcome.CANNOT_TELL, "ec1") == (one.outcome, one.place)
        assert one.remedy is not None


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Mirror Color  GREEN  GREEN\n", Outcome.OK),
        ("Mirror Color  YELLOW  YELLOW\nPercent: 63%\n", Outcome.WARNING),
        ("Mirror Color  GREEN  RED\n", Outcome.WRONG),
        ("Mirror Color  BLUE  BLUE\n", Outcome.WRONG),
        ("Mirror Status: No Construction\n", Outcome.WRONG),
        ("Mirror Color  GREEN\n", Outcome.CANNOT_TELL),
        ("Mirror Color  GRAY  GRAY\n", Outcome.CANNOT_TELL),
    ],
)
def test_how_a_mirror_is(tmp_path: Path, text: str, outcome: Outcome) -> None:
    """Each state must come to its outcome, with a remedy unless it is well."""
    one = only(found(tmp_path, text))
    assert (outcome, "md1") == (one.outcome, one.place)
    assert (one.remedy is None) is (outcome is Outcome.OK)
    assert ("63 %" in one.seen) is ("Percent" in text)


def test_two_bad_copies_are_told_apart_by_both_ec_vms(tmp_path: Path) -> None:
    """Where both are RED the peer must be asked, and the EC-VM be named only if both answers agree."""
    text = "Mirror Color  RED  RED\nLastupdate Time  {}  {}\n"
    one = only(found(tmp_path, text.format(OLD, NEW), text.format(NEW, OLD)))
    assert "on ec2: clpgrp -t; clpmdctrl -f md1; clpgrp -s" in str(one.remedy)
    for there in ("", text.format(OLD, NEW)):
        one = only(found(tmp_path, text.format(OLD, NEW), there))
        assert "on that one only" in str(one.remedy)
        assert f"ec1 answers RED {OLD} and RED {NEW}" in one.seen
        assert bool(there) is ("ec2 answers" in one.seen)


def test_a_mirror_of_a_hostile_name_is_quoted(tmp_path: Path) -> None:
    """A name is another program's word: it must be quoted in a line, and named as one from outside."""
    one = only(found(tmp_path, "Mirror Color  GREEN  RED\n", mirrors="<$(reboot)>\n"))
    assert one.remedy is not None
    assert "clpmdctrl -r '$(reboot)'" in one.remedy.run
    assert ("$(reboot)",) == one.remedy.said
