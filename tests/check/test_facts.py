"""What hosts and this EC-VM say, however odd, becomes facts or a reason, and never an exception."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.check import host_facts, linux_facts, target
from ecx_hyperv.check.catalogue import CATALOGUE, Area
from ecx_hyperv.check.context import CheckContext
from ecx_hyperv.check.host_facts import FactsRequest
from ecx_hyperv.check.linux_facts import System
from ecx_hyperv.check.logins import silent
from ecx_hyperv.check.outcome import Finding, Outcome, Unavailable
from ecx_hyperv.check.redaction import redact
from ecx_hyperv.check.run import CheckRun
from ecx_hyperv.config import Config, Node, ProtectedVm
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.errors import HostError, LocalError, LoginRefused, NoAgent, NoCommonAlgorithm, SessionLost
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.wire import Hello, RemoteError, Reply, Result
from ecx_hyperv.lab.model.things import Guest
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.allowed import ALLOWED
from tests.check.support import QUICK
from tests.unit.always import always
from tests.virtual.contexts import make_config
from tests.virtual.hosts import VirtualClock, VirtualHosts

# The cmdlets of the wire's page; a stand-in that is written from it knows no others.
ON_THE_PAGE = frozenset(
    {
        *("Get-Cluster", "Get-ClusterNode", "Get-ClusterGroup", "Get-ClusterResource", "Get-ClusterParameter"),
        *("Get-ClusterSharedVolume", "Get-VM", "Get-IscsiConnection"),
    }
)
WANTED = FactsRequest(("EC-VM1", "vm1"), ("vm1",))
CALLS = WANTED.request().calls
ROW_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=4), max_size=2)
RESULTS = st.builds(
    Result,
    ok=st.just(True),
    value=st.lists(
        st.dictionaries(
            st.sampled_from(sorted({path for call in CALLS for path in call.select})), ROW_VALUES, max_size=6
        ),
        max_size=3,
    ).map(tuple),
) | st.builds(
    Result,
    ok=st.just(False),
    error=st.none()
    | st.builds(
        RemoteError,
        message=st.text(max_size=5),
        id=st.sampled_from(["BadRequest", "ObjectNotFound,X", "Modules_ModuleNotFound,X", ""]),
        category=st.sampled_from(["PermissionDenied", "ObjectNotFound", ""]),
        code=st.sampled_from([None, 5, 1753]),
    ),
)


class OnlyThePage(VirtualHosts):
    """Hosts behind stand-ins that know what the wire's page names, and refuse all else."""

    def exchange(self, asks: Any, deadline: Deadline) -> dict[Side, list[Exchanged]]:
        """Refuse what is not on the page, whatever comes of the rest."""
        found = super().exchange(asks, deadline)
        return {
            side: [self._refused(ask, answer) for ask, answer in zip(asks[side], answers, strict=True)]
            for side, answers in found.items()
        }

    def _refused(self, ask: Ask, answer: Exchanged) -> Exchanged:
        if isinstance(answer, HostError):
            return answer
        refused = Result(ok=False, error=RemoteError(message="not allowed", id="BadRequest"))
        # What stands in no example of the page may be null.
        kept = {"Name", "State", "OwnerNode", "OwnerNode.Name", "StatusInformation", "Id", "TargetAddress"}
        told = [
            msgspec.structs.replace(
                one, value=tuple({k: row[k] if k in kept else None for k in row} for row in one.value)
            )
            for one in answer.reply.results
        ]
        results = [
            one if {call.cmdlet, call.from_.cmdlet if call.from_ else call.cmdlet} <= ON_THE_PAGE else refused
            for call, one in zip(ask.request.calls, told, strict=True)
        ]
        return replace(answer, reply=Reply(results=tuple(results)))


def nothing_there(command: Sequence[str], seconds: float) -> Completed:
    """Run on a machine that has none of the commands."""
    raise LocalError(f"the command {command[0]} is not there", seen=f"{seconds}")


def check(hosts: VirtualHosts, config: Config, root: Path) -> list[Finding]:
    """Return what a check of virtual hosts finds from a machine that has nothing."""
    clock = SystemClock()
    deadline = Deadline.after(clock, 30)
    system = System(nothing_there, root, deadline)
    check_run = CheckRun(
        config=config,
        pair=Pair(*config.node),
        hosts=hosts,
        system=system,
        flags=list,
        probe=lambda _side: pytest.fail("nothing is to be tried"),
        wall=clock.wall,
        deadline=deadline,
    )
    return check_run.go(QUICK, linux_facts.read(system, config, Path("config.toml")))


def virtual(kind: type[VirtualHosts]) -> tuple[VirtualHosts, Config]:
    """Return hosts without SSH, on one of which the VM runs, and a configuration that fits."""
    world = World(Timings(), ["vm1"])
    first, second = world.hosts
    world.storage.serve("ec1", on=True)
    for host in (first, second):
        world.storage.reconnect(host)
    vm = world.vms["vm1"]
    vm.configuration = vm.machine = "Online"
    vm.guests[first] = Guest("Running", 0.0)
    return kind(world, "ec1", "192.168.139.201", VirtualClock(world)), make_config(world)


def test_a_stand_in_that_knows_only_the_page(tmp_path: Path) -> None:
    """What an older agent refuses cannot be told, with that as the reason; it is never called wrong."""
    hosts, config = virtual(OnlyThePage)
    findings = check(hosts, config, tmp_path)
    refused = [one for one in findings if "the agent on the host does not know" in one.seen]
    assert {Outcome.CANNOT_TELL} == {one.outcome for one in refused}
    names = {one.name for one in refused}
    assert {"cluster-networks", "quorum", "migration-enabled", "iscsi-portal", "services", "authorized-keys"} <= names
    of_hosts = [one for one in findings if CATALOGUE[one.name].area not in (Area.EC_VM, Area.ECX)]
    assert [] == [one for one in of_hosts if one.outcome not in (Outcome.OK, Outcome.CANNOT_TELL)]
    assert {"reachable", "node", "csv", "vm-clustered"} <= {one.name for one in of_hosts if one.outcome is Outcome.OK}


def test_the_page_is_part_of_the_list() -> None:
    """What the wire's page names is what the agent still knows."""
    assert set(ALLOWED) >= ON_THE_PAGE


def test_a_machine_that_has_nothing(tmp_path: Path) -> None:
    """On a machine without ECX, targetcli and all the rest every check says something, and none is a traceback."""
    hosts, config = virtual(VirtualHosts)
    findings = check(hosts, config, tmp_path)
    by_name = {one.name: one for one in findings}
    assert Outcome.CANNOT_TELL is by_name["ecx-installed"].outcome
    assert Outcome.WRONG is by_name["ecx-conf"].outcome
    assert Outcome.WRONG is by_name["target-backstore"].outcome
    assert Outcome.CANNOT_TELL is by_name["group"].outcome


@always
@given(results=st.lists(RESULTS, min_size=len(CALLS), max_size=len(CALLS)), some=st.integers(0, len(CALLS)))
def test_whatever_a_host_answers(results: list[Result], some: int) -> None:
    """Any answer, whole or cut off, becomes facts that can be judged."""
    facts = host_facts.read(WANTED, Hello(agent=1, host="H1"), Reply(results=tuple(results[:some])))
    clock = SystemClock()
    config = Config(
        cluster=make_config(World(Timings())).cluster,
        ssh=make_config(World(Timings())).ssh,
        node=(
            Node(name="ec1", address="10.0.0.1", vm="EC-VM1", host="h1"),
            Node(name="ec2", address="10.0.0.2", vm="EC-VM1", host="h2"),
        ),
        vm=(ProtectedVm(name="vm1"),),
    )
    pair = Pair(*config.node)
    context = CheckContext(config, pair, {Side.LOCAL: facts, Side.PEER: SessionLost("h2", "gone")}, None)
    system = System(nothing_there, Path("/nowhere"), Deadline.after(clock, 5))
    judge = CheckRun(config, pair, None, system, list, pytest.fail, clock.wall, Deadline.after(clock, 5))  # type: ignore[arg-type]
    moment = clock.wall()
    found = list(judge._of_hosts(context, (moment, moment), {}))
    assert {one.place for one in found} >= {"H1", "h2"}
    assert all(one.seen or one.outcome is Outcome.OK for one in found)


@always
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_targetcli_saved(content: bytes) -> None:
    """Any bytes are a target's settings or a reason why they are none."""
    assert isinstance(target.parse(content, "saveconfig.json"), target.Saved | Unavailable)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("password = hunter2", "password = "),
        ('chap_secret: "x y z"', "chap_secret: "),
        ("API-KEY=abc", "API-KEY="),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", ""),
        ("ssh-ed25519 " + "A" * 68 + " root@ec1", "ssh-ed25519 "),
        ("x" * 70, ""),
    ],
)
def test_what_is_taken_out_of_a_report(text: str, kept: str) -> None:
    """What gives access is taken out, and only that."""
    assert f"{kept}<removed>" in redact(text)


@pytest.mark.parametrize("text", ['key = "/root/.ssh/id_rsa"', "vm1 is running on host1", "exit 5: login refused"])
def test_what_stays_in_a_report(text: str) -> None:
    """What tells something and gives no access stays."""
    assert text == redact(text)


def test_a_powershell_that_does_not_come_up() -> None:
    """Where the agent does not come up, all before it is ok, and all beyond for one reason unknown."""
    found = list(silent("H1", NoAgent("H1", "PowerShell or the agent does not come up"), tried=False))
    outcomes = {one.name: one.outcome for one in found}
    assert [Outcome.OK] * 3 == [outcomes[name] for name in ("reachable", "host-key", "login")]
    assert Outcome.WRONG is outcomes["powershell"]
    assert {Outcome.CANNOT_TELL} == {one for name, one in outcomes.items() if name in ("node", "memory", "wire-idle")}


def test_a_host_that_was_not_called() -> None:
    """Where something here is missing, nobody knows whether the host would have answered."""
    error = LoginRefused("H1", "the private key cannot be used", tried=False)
    outcomes = {one.name: one.outcome for one in silent("H1", error, tried=False)}
    assert [Outcome.CANNOT_TELL] * 2 == [outcomes[name] for name in ("reachable", "host-key")]
    assert Outcome.WRONG is outcomes["login"]


def test_f02_a_host_with_no_common_algorithm() -> None:
    """Where both sides cannot agree on how a key is checked, the port is ok, the key is not, and trust is no remedy."""
    error = NoCommonAlgorithm("H1", "no cipher in common", seen="this and that", remedy="allow one")
    found = {one.name: one for one in silent("H1", error, tried=False)}
    assert [Outcome.OK, Outcome.WRONG] == [found[name].outcome for name in ("reachable", "host-key")]
    assert "no cipher in common: this and that" == found["host-key"].seen
    remedy = found["host-key"].remedy
    assert remedy is not None
    assert "allow one" == remedy.run
