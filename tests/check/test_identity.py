"""Which VM a [[vm]] means, as `check` tells it: roles of another name, namesakes, ids that do not fit."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from ecx_hyperv.check import linux_facts
from ecx_hyperv.check.linux_facts import System
from ecx_hyperv.check.outcome import Finding, Outcome, exit_of
from ecx_hyperv.check.run import CheckRun
from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.errors import LocalError
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.model.things import Guest, Vm
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from tests.check.support import QUICK
from tests.virtual.contexts import make_config
from tests.virtual.hosts import VirtualClock, VirtualHosts

CSV = "Cluster Disk 1"
NOWHERE = "99999999-9999-4999-8999-999999999999"
Findings = dict[str, Finding]


@dataclass(slots=True)
class Seen:
    """A world whose VM web runs on the first host, what is configured and kept of the VM, and its check."""

    world: World
    hosts: tuple[str, ...] = ()
    kept: str = ""
    more: dict[str, str] = field(default_factory=dict)

    @property
    def web(self) -> Vm:
        """Return the VM that is meant."""
        return self.world.vms["web"]

    def check(self) -> Findings:
        """Return what a check finds of the VM, by the checks' names."""
        world, clock = self.world, SystemClock()
        config = msgspec.structs.replace(make_config(world), vm=(ProtectedVm(name="web", **self.more),))
        deadline = Deadline.after(clock, 30)
        system = System(_nothing_there, Path("/nowhere"), deadline)
        check_run = CheckRun(
            config=config,
            pair=Pair(*config.node),
            hosts=VirtualHosts(world, "ec1", config.cluster.iscsi_target, VirtualClock(world)),
            system=system,
            flags=list,
            probe=lambda _side: pytest.fail("nothing is to be tried"),
            wall=clock.wall,
            deadline=deadline,
            kept_id=lambda _name: self.kept,
        )
        found = check_run.go(QUICK, linux_facts.read(system, config, Path("config.toml")))
        return {one.name: one for one in found if one.place == "web"}

    def add(self, role: str, *, host: int = 1, number: int = 2) -> Vm:
        """Add another VM of the name to a role."""
        other = self.world.roles.namesake("web", self.hosts[host], "Off", number=number, volume=CSV)
        self.world.roles.add(other, role, self.hosts[host])
        return other


def _nothing_there(command: Sequence[str], seconds: float) -> Completed:
    raise LocalError(f"the command {command[0]} is not there", seen=f"{seconds}")


@pytest.fixture
def seen() -> Seen:
    """Return a world in which all is right with the VM, whose id a run has kept."""
    world = World(Timings(), ["web"])
    first, second = world.hosts
    world.storage.serve("ec1", on=True)
    for host in (first, second):
        world.storage.reconnect(host)
    vm = world.vms["web"]
    vm.configuration = vm.machine = "Online"
    vm.guests[first] = Guest("Running", 0.0)
    return Seen(world, (first, second), vm.id)


def amiss(found: Findings) -> dict[str, Outcome]:
    """Return what is not ok."""
    return {name: one.outcome for name, one in found.items() if one.outcome is not Outcome.OK}


def lines(finding: Finding) -> list[str]:
    """Return the lines for config.toml that a remedy holds."""
    return re.findall(r'(?:id|role) = "[^"]*"', str(finding.remedy))


def test_a_right_vm_is_told_with_its_id(seen: Seen) -> None:
    """Where the name leads to one VM whose id is kept, check says which id that is."""
    found = seen.check()
    assert {} == amiss(found)
    assert seen.web.id in found["vm-identity"].seen


@pytest.mark.parametrize("role", ["SCVMM web Resources", "Web", "web 1", 'a "b" \\ c'])
def test_f13_a_role_of_another_name_is_found_by_the_id(seen: Seen, role: str) -> None:
    """A VM in a role that is not named like it has a role: no check advises to add one, and the role is judged."""
    seen.web.role, seen.web.machine_name, seen.web.configuration_name = role, f"SCVMM {role}", f"SCVMM {role} conf"
    found = seen.check()
    assert {} == amiss(found)
    assert role in found["vm-clustered"].seen

    facts = seen.web.facts
    facts.threshold, facts.failback, facts.restart_action, facts.offline_action = 1, 1, 2, OfflineAction.TURN_OFF
    found = seen.check()
    assert {"vm-failover", "vm-failback", "vm-restart-action", "vm-offline-action"} == set(amiss(found))
    assert f"Get-ClusterGroup -Name '{role}'" in str(found["vm-failover"].remedy)
    assert f"Get-ClusterGroup -Name '{role}'" in str(found["vm-failback"].remedy)
    assert f"Get-ClusterResource -Name 'SCVMM {role}'" in str(found["vm-restart-action"].remedy)
    assert f"Get-ClusterResource -Name 'SCVMM {role}'" in str(found["vm-offline-action"].remedy)


@pytest.mark.parametrize("more", [{}, {"role": "web"}, {"id": NOWHERE}, {"role": "typo"}], ids=str)
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("state", ["Running", "Off", ""])
def test_f13_nobody_is_advised_to_add_a_second_role(
    seen: Seen, more: dict[str, str], *, kept: bool, state: str
) -> None:
    """Whatever the configuration says, and wherever the VM is, a VM that has a role gets no second one."""
    seen.web.role, seen.more = "SCVMM web Resources", more
    seen.kept = seen.kept if kept else ""
    seen.web.guests = {seen.hosts[0]: Guest(state)} if state else {}
    assert "Add-Cluster" not in "".join(str(one.remedy) for one in seen.check().values())


def test_f13_without_a_database_nobody_is_advised_to_add_a_role(seen: Seen) -> None:
    """Where no database can be read, a VM that Get-VM calls clustered has a role, however that is called."""
    seen.web.role = "SCVMM web Resources"
    for host in seen.world.hosts.values():
        host.no_database = True
    found = seen.check()
    assert Outcome.CANNOT_TELL is found["vm-identity"].outcome
    assert Outcome.CANNOT_TELL is found["vm-clustered"].outcome
    assert not [one for one in found.values() if one.outcome is Outcome.WRONG]


def test_f13_a_vm_that_get_vm_calls_clustered_gets_no_role(seen: Seen) -> None:
    """A database of a node that is Up and that does not hold a VM which Get-VM calls clustered proves nothing."""
    for host in seen.world.hosts.values():
        host.database = ()
    found = seen.check()
    assert Outcome.CANNOT_TELL is found["vm-clustered"].outcome
    assert "Add-Cluster" not in "".join(str(one.remedy) for one in found.values())


def test_f13_a_vm_without_a_role_is_told_where_it_is(seen: Seen) -> None:
    """A VM that is in no role gets the line that adds one, on the host that has the VM."""
    seen.web.facts.clustered = False
    seen.web.guests = {seen.hosts[1]: seen.web.guests.pop(seen.hosts[0])}
    found = seen.check()
    assert Outcome.WRONG is found["vm-clustered"].outcome
    remedy = found["vm-clustered"].remedy
    assert remedy is not None
    assert (seen.hosts[1], "Add-ClusterVirtualMachineRole -VMName 'web'") == (remedy.on.casefold(), remedy.run)


def test_f13_a_role_that_is_mistyped_is_corrected_by_the_id(seen: Seen) -> None:
    """A configured role that leads nowhere is wrong, with the id of the VM that bears the name as the line to write."""
    seen.web.role, seen.more = "SCVMM web Resources", {"role": "SCVMM web Resource"}
    seen.web.machine_name, seen.web.configuration_name = "SCVMM web", "SCVMM web Configuration"
    found = seen.check()
    assert {"vm-identity": Outcome.WRONG} == amiss(found)
    assert [f'id = "{seen.web.id}"'] == lines(found["vm-identity"])


def test_an_id_that_is_neither_kept_nor_configured_is_warned_of(seen: Seen) -> None:
    """A VM that no run has seen yet is known by its name alone: check prints the line for config.toml."""
    seen.kept = ""
    found = seen.check()
    assert {"vm-identity": Outcome.WARNING} == amiss(found)
    assert [f'id = "{seen.web.id}"'] == lines(found["vm-identity"])

    seen.more = {"id": "{" + seen.web.id.upper() + "}"}
    assert {} == amiss(seen.check())


def test_a_kept_id_of_a_vm_that_is_gone_is_warned_of(seen: Seen) -> None:
    """A VM that was created anew has another id than the kept one: check prints the new one."""
    seen.kept = NOWHERE
    found = seen.check()
    assert {"vm-identity": Outcome.WARNING} == amiss(found)
    assert [f'id = "{seen.web.id}"'] == lines(found["vm-identity"])


def test_a_configured_id_that_is_nowhere_is_wrong(seen: Seen) -> None:
    """A configured id that the cluster has nowhere is wrong, with the id of the role's VM as the line to write."""
    seen.more = {"id": NOWHERE}
    found = seen.check()
    assert {"vm-identity": Outcome.WRONG} == amiss(found)
    assert NOWHERE in found["vm-identity"].seen
    assert [f'id = "{seen.web.id}"'] == lines(found["vm-identity"])


def copy(host: int, state: str, name: str = "web") -> Callable[[Seen], Vm]:
    """Have a copy of the VM that is not clustered lie on a host."""
    return lambda seen: seen.world.roles.namesake(name, seen.hosts[host], state)


@pytest.mark.parametrize("host", [0, 1], ids=["here", "there"])
@pytest.mark.parametrize("state", ["Running", "Off", "OffCritical"])
@pytest.mark.parametrize("more", [{}, {"role": "web"}], ids=str)
def test_f07_d03_a_copy_is_warned_of_and_not_judged(seen: Seen, host: int, state: str, more: dict[str, str]) -> None:
    """A VM of the same name that is not clustered is a warning, and what is judged is the clustered one."""
    other = copy(host, state)(seen)
    other.facts.stop_action, other.facts.heartbeat, seen.more = "Save", False, more
    found = seen.check()
    assert {"vm-identity": Outcome.WARNING} == amiss(found)
    assert other.id in found["vm-identity"].seen
    assert seen.hosts[host] in found["vm-identity"].seen.casefold()
    assert f"Get-VM -Id '{other.id}'" in str(found["vm-identity"].remedy)


def test_f07_a_remedy_beside_a_copy_hits_the_vm_that_is_meant(seen: Seen) -> None:
    """Where another VM of that name is there, a line that sets something names the VM by its id."""
    copy(0, "Off")(seen)
    seen.web.facts.stop_action, seen.web.facts.shutdown = "Save", False
    found = seen.check()
    for name in ("vm-stop-action", "vm-shutdown"):
        remedy = found[name].remedy
        assert remedy is not None
        assert remedy.run.startswith(f"Get-VM -Id '{seen.web.id}' | ")


def test_d02_a_vm_that_was_renamed_in_hyper_v_is_judged_by_its_id(seen: Seen) -> None:
    """The settings of a VM that Hyper-V calls otherwise than the configuration are read, and set, by its id."""
    seen.web.name = "web-old"
    assert {} == amiss(seen.check())
    seen.web.facts.stop_action = "Save"
    found = seen.check()
    assert {"vm-stop-action": Outcome.WRONG} == amiss(found)
    assert seen.web.id in str(found["vm-stop-action"].remedy)


def test_f14_two_candidates_are_wrong_with_both_lines(seen: Seen) -> None:
    """Where name and role lead to two VMs, check ends with 3 and prints the line for either."""
    seen.web.name = "web-old"
    other = seen.add("web 1")
    found = seen.check()
    assert Outcome.WRONG is found["vm-identity"].outcome
    assert [f'id = "{other.id}"', f'id = "{seen.web.id}"'] == lines(found["vm-identity"])
    assert {Outcome.CANNOT_TELL} == {one for name, one in amiss(found).items() if name != "vm-identity"}
    assert Exit.CONFIG is exit_of(found.values())

    for key in (other.id, seen.web.id):
        seen.more = {"id": key}
        assert Outcome.WRONG is not seen.check()["vm-identity"].outcome


def test_d15_a_group_with_two_vms_is_wrong(seen: Seen) -> None:
    """A group with two VMs is wrong, and with the id of one of them configured still warned of."""
    other = seen.add("web", host=0)
    other.name = "web2"
    found = seen.check()
    assert Outcome.WRONG is found["vm-identity"].outcome
    assert {f'id = "{other.id}"', f'id = "{seen.web.id}"'} == set(lines(found["vm-identity"]))
    assert Exit.CONFIG is exit_of(found.values())

    seen.more = {"id": seen.web.id}
    found = seen.check()
    assert Outcome.WARNING is found["vm-identity"].outcome
    assert other.id in found["vm-identity"].seen


@pytest.mark.parametrize("other_role", ["web 1", "another"])
def test_d15_id_and_role_of_two_vms_are_wrong(seen: Seen, other_role: str) -> None:
    """An id and a role that lead to two VMs are wrong, with the line for either, though a run goes by the id."""
    other = seen.add(other_role)
    other.name = "other"
    seen.more = {"id": seen.web.id, "role": other_role}
    found = seen.check()
    assert {"vm-identity": Outcome.WRONG} == amiss(found)
    assert ['role = "web"', f'id = "{other.id}"'] == lines(found["vm-identity"])

    seen.more = {"id": seen.web.id, "role": "nowhere"}
    found = seen.check()
    assert {"vm-identity": Outcome.WRONG} == amiss(found)
    assert ['role = "web"'] == lines(found["vm-identity"])


def test_a_database_of_a_host_that_is_away_proves_nothing(seen: Seen) -> None:
    """A host whose node is not Up has a database of yesterday: nobody can tell by it alone."""
    first, second = (seen.world.hosts[name] for name in seen.hosts)
    first.no_database, second.quarantined = True, True
    assert Outcome.CANNOT_TELL is seen.check()["vm-identity"].outcome


@pytest.mark.parametrize(
    ("check", "attribute", "value", "said"),
    [
        ("vm-restart-action", "restart_action", 1, "1: restart in place"),
        ("vm-restart-action", "restart_action", 2, "2: restart in place, then failover"),
        ("vm-restart-action", "restart_action", 9, "9: not known"),
        ("vm-check-heartbeat", "check_heartbeat", 1, "1: the resource fails where the heartbeat is lost"),
        ("vm-offline-action", "offline_action", OfflineAction.TURN_OFF, "0: turn off"),
    ],
)
@pytest.mark.parametrize("state", ["Running", ""])
def test_d23_what_wsfc_would_do_by_itself_is_wrong(
    seen: Seen, check: str, attribute: str, value: object, said: str, state: str
) -> None:
    """A VM resource that WSFC restarts, fails or turns off by itself is wrong, also while the VM is unregistered."""
    seen.web.guests = {seen.hosts[0]: Guest(state)} if state else {}
    setattr(seen.web.facts, attribute, value)
    found = seen.check()
    assert {check} == {name for name, one in found.items() if one.outcome is Outcome.WRONG}
    assert said == found[check].seen


@pytest.mark.parametrize("action", [OfflineAction.SAVE, OfflineAction.SHUT_DOWN, OfflineAction.FORCED_SHUTDOWN])
def test_d23_a_guest_that_keeps_its_data_is_fine(seen: Seen, action: OfflineAction) -> None:
    """To save a guest is as good as to shut it down: a guest with a passed-through device cannot be saved."""
    seen.web.facts.offline_action = action
    assert {} == amiss(seen.check())
