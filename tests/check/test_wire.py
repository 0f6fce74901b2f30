"""The wire's own assumptions, tried on the lab's hosts over real SSH: what holds, and what a host does wrong."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest

from ecx_hyperv.check.catalogue import Area, names_of
from ecx_hyperv.check.host_facts import HostFacts
from ecx_hyperv.check.outcome import Finding, Outcome
from ecx_hyperv.check.probes import ProbeResult
from ecx_hyperv.check.wire import judge_wire
from ecx_hyperv.config import Config, StdinWay
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.windows.agent import InjectedFaults
from tests.check.support import SetUp, set_up
from tests.e2e.support import TWO

WIRE = frozenset(names_of(Area.WIRE))
SECOND = TWO.upper()


@dataclass(frozen=True, slots=True)
class Row:
    """What a host does wrong, the check that turns, and how long stdin is left idle to see it."""

    check: str
    faults: InjectedFaults
    idle: float = 0.2


ROWS = [
    Row("wire-idle", InjectedFaults(deaf_after=2.0), idle=3.0),
    Row("wire-end", InjectedFaults(lingers=True)),
    Row("wire-deadman", InjectedFaults(no_deadman=True)),
    Row("wire-names", InjectedFaults(garbles=True)),
    Row("wire-reply", InjectedFaults(longest=300_000)),
    Row("wire-refusal", InjectedFaults(obeys=True)),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUp]:
    """Return a lab for all rows."""
    with pytest.MonkeyPatch.context() as monkeypatch, set_up(tmp_path_factory.mktemp("lab"), monkeypatch) as lab:
        yield lab


@pytest.fixture
def lab(shared: SetUp) -> Iterator[SetUp]:
    """Return a lab whose hosts behave."""
    yield shared
    shared.scenario.lab.faults.clear()
    shared.restore()


def of_second(findings: list[Finding]) -> dict[str, Finding]:
    """Return what was found on the second host, by check."""
    return {one.name: one for one in findings if one.place in (SECOND, "127.77.1.2")}


def with_way(config: Config, way: StdinWay) -> Config:
    """Return a configuration that feeds PowerShell in a way."""
    return msgspec.structs.replace(config, ssh=msgspec.structs.replace(config.ssh, stdin=way))


def test_hosts_that_behave(lab: SetUp) -> None:
    """Where a host does what the wire takes for granted every check says so, and how long its parts take."""
    findings = lab.check(WIRE)
    assert {Outcome.OK} == {one.outcome for one in findings}
    assert set(WIRE) == set(of_second(findings))
    assert "FailoverClusters" in of_second(findings)["wire-times"].seen


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.check)
def test_hosts_that_do_not(lab: SetUp, row: Row) -> None:
    """What a host does wrong turns the check that is about it, and no other; the other host's stay ok."""
    lab.scenario.lab.faults[TWO] = row.faults
    findings = lab.check(WIRE, idle_s=row.idle)

    turned = {one.name for one in findings if one.outcome is not Outcome.OK}
    assert {row.check} == turned
    found = of_second(findings)[row.check]
    assert Outcome.WRONG is found.outcome
    assert found.remedy is not None
    assert "--report" in found.remedy.run


@pytest.mark.parametrize("only", list(StdinWay))
@pytest.mark.parametrize("configured", list(StdinWay))
def test_which_way_in_to_set(lab: SetUp, only: StdinWay, configured: StdinWay) -> None:
    """Where one way in works only, the check says which to set; the rest is tried by that one."""
    lab.scenario.lab.faults[TWO] = InjectedFaults(only_way=only.value)
    check_run = lab.check_run(with_way(lab.config, configured), request_s=2.0)
    tried = check_run.probe(Side.PEER).run(check_run.deadline.within(20))
    assert ("" == tried.handle, "" == tried.input) == (only is StdinWay.HANDLE, only is StdinWay.INPUT)
    assert ("", "", "") == (tried.names, tried.reply, tried.refusal)


def test_the_way_that_works_is_named(lab: SetUp) -> None:
    """A host on which the way that is set does not work is wrong, and the remedy names the other."""
    tried = ProbeResult(handle="no hello", input="", names="", reply="", refusal="", hello_s=1.0)
    found = {one.name: one for one in judge_wire("H", tried, None, StdinWay.HANDLE)}
    assert Outcome.WRONG is found["wire-stdin"].outcome
    assert 'stdin = "input"' in str(found["wire-stdin"].remedy)
    assert {Outcome.CANNOT_TELL} == {found[name].outcome for name in ("wire-idle", "wire-end", "wire-deadman")}
    found = {one.name: one for one in judge_wire("H", tried, None, StdinWay.INPUT)}
    assert Outcome.OK is found["wire-stdin"].outcome


@pytest.mark.parametrize(("hello", "outcome"), [(1.0, Outcome.OK), (40.0, Outcome.WARNING)])
def test_a_slow_host(lab: SetUp, hello: float, outcome: Outcome) -> None:
    """A host on which PowerShell and the modules take much of a monitor's time is warned of."""
    facts = lab.check_run()._ask()[Side.PEER]
    assert isinstance(facts, HostFacts)
    found = {one.name: one for one in judge_wire("H", ProbeResult(hello_s=hello), facts, StdinWay.HANDLE)}
    assert outcome is found["wire-times"].outcome


def test_a_host_that_is_away(lab: SetUp) -> None:
    """What cannot be tried on a host that is away cannot be told, for one reason, and the other host is tried."""
    lab.do(lambda world: setattr(world.hosts[TWO], "sshd", Sshd.STOPPED))
    findings = lab.check(WIRE)
    gone = of_second(findings)
    assert {Outcome.CANNOT_TELL} == {one.outcome for one in gone.values()}
    assert 1 == len({one.seen for one in gone.values()})
    assert {Outcome.OK} == {one.outcome for one in findings if one.place not in (SECOND, "127.77.1.2")}
