"""Every remedy that `check` prints for a host, run as printed in the engine on a spoiled host, repairs what it says."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ecx_hyperv.check.catalogue import CATALOGUE, Area
from ecx_hyperv.check.outcome import Finding, Outcome, Where
from ecx_hyperv.lab.engine.modules import Engine, environment
from ecx_hyperv.lab.service.engine_hosts import EngineHosts
from tests.check.support import SetUp, bad, set_up, unknown
from tests.check.test_remedies import spoil_hosts, spoil_vm
from tests.check.test_wrong import ROWS, Row
from tests.e2e.support import ONE, TWO
from tests.powershell.prompt import Prompt

# What is set up on the hosts; what the other areas print is for an EC-VM.
OF_HOSTS = (Area.CLUSTER, Area.EC_GUEST, Area.HOST, Area.LOGIN, Area.VM)
ON_HOSTS = [row for row in ROWS if row.mends and CATALOGUE[row.check].area in OF_HOSTS and row.check != "host-key"]


@pytest.fixture(scope="module")
def shared(standins: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SetUp, dict[str, Prompt]]]:
    """Return a lab, and a prompt on each host whose stand-ins ask the lab's world."""
    with ExitStack() as stack:
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        lab = stack.enter_context(set_up(tmp_path_factory.mktemp("lab"), monkeypatch))
        folder = tmp_path_factory.mktemp("e")
        hosts = EngineHosts(folder, standins, lab.scenario.lab.world_now)
        stack.callback(hosts.close)
        told = {host: environment(standins, folder / "door", host) for host in (ONE, TWO)}
        prompts = {host: Prompt(standins.pwsh, told[host], "prompt.ps1") for host in told}
        for prompt in prompts.values():
            stack.callback(prompt.close)
        yield lab, prompts


@pytest.fixture
def lab(shared: tuple[SetUp, dict[str, Prompt]]) -> Iterator[SetUp]:
    """Return a lab that is set up as it should be."""
    yield shared[0]
    shared[0].restore()


@pytest.fixture
def prompts(shared: tuple[SetUp, dict[str, Prompt]]) -> dict[str, Prompt]:
    """Return the prompts of the hosts."""
    return shared[1]


def run_as_printed(lab: SetUp, prompts: dict[str, Prompt], finding: Finding) -> None:
    """Type a remedy for a host there, as it is printed."""
    assert finding.remedy is not None
    assert finding.remedy.where is Where.HOST, finding.remedy
    host = ONE if finding.remedy.on.casefold() == ONE else TWO
    assert "" == prompts[host].type(finding.remedy.run), finding.remedy.run
    lab.do(lambda world: None)


@pytest.mark.parametrize("row", ON_HOSTS, ids=str)
def test_remedy_repairs_what_it_says(lab: SetUp, prompts: dict[str, Prompt], row: Row) -> None:
    """One thing is made wrong on a host: its remedy must repair it without an error, and break nothing else."""
    row.spoil(lab)
    found = next(one for one in lab.check() if (one.name, one.place) == (row.check, row.place))
    run_as_printed(lab, prompts, found)
    after = lab.check()
    assert (set(), set()) == (bad(after), unknown(after))


def test_remedies_for_everything_at_once(lab: SetUp, prompts: dict[str, Prompt]) -> None:
    """Where nearly everything is wrong, the remedies must repair all of it, in the order in which they are printed."""
    spoil_vm(lab, "vm1")
    spoil_hosts(lab)
    wrong = [one for one in lab.check() if one.outcome in (Outcome.WRONG, Outcome.WARNING)]
    assert len(wrong) >= 25
    for finding in wrong:
        run_as_printed(lab, prompts, finding)
    after = lab.check()
    assert (set(), set()) == (bad(after), unknown(after))


def test_remedy_run_again_changes_nothing(lab: SetUp, prompts: dict[str, Prompt]) -> None:
    """A remedy that is run twice must do no harm: what it repaired stays repaired."""
    spoil_vm(lab, "vm1")
    wrong = [one for one in lab.check() if one.outcome in (Outcome.WRONG, Outcome.WARNING)]
    for finding in [*wrong, *wrong]:
        run_as_printed(lab, prompts, finding)
    assert set() == bad(lab.check())
