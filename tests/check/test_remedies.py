"""What a check prints as a remedy for a host is PowerShell that a host takes, whatever the names in it."""

from collections.abc import Iterator

import pytest

from ecx_hyperv.check.catalogue import CATALOGUE
from ecx_hyperv.check.outcome import Finding, Outcome, Where
from ecx_hyperv.desired.quoting import literal
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows import remedies
from ecx_hyperv.lab.windows.allowed import documented
from tests.check.support import SetUp, set_up
from tests.wire.grammar import broken, commands

ODD = "web '1' $x; 仮想"
# PowerShell's own, and one that takes a property by a comparison.
CORE = {"Where-Object"}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Finding]]:
    """Return what is found where nearly everything is wrong."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        set_up(tmp_path_factory.mktemp("lab"), monkeypatch, "vm1", "vm2") as lab,
    ):
        for vm in ("vm1", "vm2"):
            spoil_vm(lab, vm)
        spoil_hosts(lab)
        yield lab.check()


def spoil_vm(lab: SetUp, vm: str) -> None:
    """Make everything wrong about a VM."""
    for name, value in (
        ("threshold", 1),
        ("period", 6),
        ("failback", 1),
        ("start_action", "Start"),
        ("stop_action", "Save"),
        ("critical_action", "None"),
        ("heartbeat", False),
        ("shutdown", False),
    ):
        lab.set(vm, name, value)


def spoil_hosts(lab: SetUp) -> None:
    """Make everything wrong that a host can still tell."""
    for host in ("host1", "host2"):
        for name, value in (
            ("migration", False),
            ("parallel", 0),
            ("persistent", False),
            ("portal", False),
            ("keys_sddl", "O:BAG:SYD:(A;;FA;;;WD)"),
            ("sshd_start", "Manual"),
            ("iscsi_start", "Disabled"),
        ):
            lab.set(host, name, value)
    for name, value in (("resiliency", 1), ("quarantine", 1), ("witness_state", "Failed"), ("no_migration", "")):
        lab.set("cluster", name, value)
    for ec_vm in ("EC-VM1", "EC-VM2"):
        for name, value in (("start_action", "Nothing"), ("start_delay", 0), ("stop_action", "Save")):
            lab.set(ec_vm, name, value)


def test_remedies_for_hosts_are_powershell(findings: list[Finding]) -> None:
    """Each parses, and names only cmdlets and parameters that Microsoft documents."""
    lines = [one.remedy.run for one in findings if one.remedy is not None and one.remedy.where is Where.HOST]
    assert len(lines) >= 25
    for line in lines:
        assert [] == broken(line), line
        for command in commands(line):
            if command.name in CORE or command.operator:
                continue
            known = documented()[command.name]["params"]
            aliases = {alias for one in known.values() for alias in one.get("al", ())}
            assert {one.lstrip("-") for one in command.parameters} <= set(known) | aliases, line


def test_everything_that_is_not_ok_says_what_to_do(findings: list[Finding]) -> None:
    """What is wrong says what was expected, what it means and what to do."""
    bad = [one for one in findings if one.outcome in (Outcome.WRONG, Outcome.WARNING)]
    assert len(bad) >= 30
    assert [] == [one.name for one in bad if not (one.expected and one.means and one.remedy and one.seen)]


@pytest.mark.parametrize("text", [ODD, "plain", "it's", "''"])
def test_a_name_is_one_word(text: str) -> None:
    """A name in quotes is one literal, whatever it holds."""
    line = f"Set-VM -Name {literal(text)} -AutomaticStopAction ShutDown"
    assert [] == broken(line)
    assert ["Set-VM"] == [one.name for one in commands(line)]


@pytest.mark.parametrize("quote", ["'", "\u2018", "\u2019", "\u201a", "\u201b"])
def test_no_quote_in_a_name_ends_it(quote: str) -> None:
    """A name with any of the quotes that PowerShell knows must not run on as a command where a remedy is pasted."""
    assert f"'web{quote}{quote}; Remove-VM x'" == literal(f"web{quote}; Remove-VM x")


@pytest.mark.parametrize(
    "line",
    [
        "Remove-VM -Name 'vm1'",
        "Set-VM -Name 'vm1' -Colour Red",
        "Set-VM -Name 'nobody' -AutomaticStopAction ShutDown",
        "(Get-Cluster).Name = 1",
        "rm -rf /",
    ],
)
def test_the_lab_runs_nothing_else(line: str) -> None:
    """A line that is none of the remedies changes nothing in the lab."""
    with pytest.raises(remedies.NotUnderstood):
        remedies.run(World(Timings()), "ws2019-host-1", line)


def test_the_catalogue_explains_everything() -> None:
    """Each check has a name that fits into the table, and a sentence of its own."""
    assert not [name for name, one in CATALOGUE.items() if len(name) > 20 or not one.means]
    means = [one.means for one in CATALOGUE.values()]
    assert len(means) == len(set(means))
