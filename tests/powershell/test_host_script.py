"""The script that sets a host up: what it does, that it does so once, and that a mistyped value changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.setup.host import HostPlan, Switch, host_script
from tests.powershell.scripts import CONFIG, NODE, By, Host
from tests.powershell.setup_world import NETWORKS, TARGET, before_setup, state
from tests.powershell.world import HOSTS, VM_A, Fails, Resource, Vm, World

ISCSI, MANAGEMENT, MIRROR = NETWORKS
PLAN = HostPlan(
    switches=(Switch("VM_switch", "Ethernet 4"),),
    cluster_networks=(MANAGEMENT, MIRROR),
    migration_networks=(MIRROR,),
    witness="Cluster Disk 2",
)
CSV = "Cluster Disk 1"
COPY = "cccccccc-1111-4111-8111-cccccccccccc"
BOTH = "ClusterAndClient"


def script(plan: HostPlan = PLAN) -> str:
    """Return the script of the first host."""
    return host_script(CONFIG, NODE, plan)


@pytest.fixture
def world(whole_world: tuple[World, Path]) -> World:
    """Return a world before the set-up."""
    whole_world[0].reset(before_setup())
    return whole_world[0]


@pytest.fixture
def host(scripts_of_host: Callable[[Path], Host], tmp_path: Path, world: World) -> Host:
    """Return the first host."""
    return scripts_of_host(tmp_path)


def roles(world: World) -> dict[str, str]:
    """Return each network's role by its address."""
    return {one["Address"]: one["Role"] for one in world.networks}


@pytest.mark.proven("P8")
def test_host_is_set_up_once(host: Host, world: World) -> None:
    """A first run must tell what is to do, the second do it without a question, the third find nothing left."""
    before = state(world)
    told = host.run(script(), by=By.FILE)
    assert before == state(world)
    assert len(told.of("to do")) > 10
    assert ([], [], "") == (told.of("done"), told.of("FAILED"), told.stderr)

    done = host.run(script(), "-Apply", "-FormatDisk", by=By.FILE)
    assert (0, []) == (done.code, done.of("FAILED") + done.of("NOT YET"))
    # To connect makes the connection come back as well.
    back = f"iSCSI target {TARGET} is connected again after a restart"
    # A role that is added has an OfflineAction that saves the guest.
    saves = "VM A keeps its data when WSFC takes it offline (OfflineAction 1, 2, 3)"
    assert {one.split(" (not to be seen")[0] for one in told.of("to do")} == {*done.of("done"), back, saves}
    after = state(world)
    assert {ISCSI: "None", MANAGEMENT: BOTH, MIRROR: BOTH} == roles(world)
    assert ([CSV], "Cluster Disk 2") == (world.settings["volumes"], world.settings["quorum"])
    assert world.hosts[HOSTS[0]].settings["disk"]["formatted"]
    resource = world.resource("Virtual Machine A")
    assert {"RestartAction": 0} == world.settings[f"resource {resource.id}"]
    assert {"VmId": VM_A, "CheckHeartbeat": 0, "OfflineAction": 1} == resource.parameters

    again = host.run(script(), "-Apply", "-FormatDisk", by=By.FILE)
    assert (0, [], after) == (again.code, again.of("done"), state(world))
    assert set(done.of("done")) <= set(again.of("ok"))


@pytest.mark.proven("P8")
@pytest.mark.parametrize("impact", ["Medium", "Low"])
def test_prompt_that_asks_much_is_asked_nothing(host: Host, impact: str) -> None:
    """A prompt at which each change is to be confirmed must not keep the script from one: -Apply confirms."""
    done = host.run(script(), "-Apply", "-FormatDisk", asks=impact)
    assert (0, [], "") == (done.code, done.of("FAILED") + done.of("NOT YET"), done.stderr)
    assert len(done.of("done")) > 10


@pytest.mark.proven("P5")
@pytest.mark.parametrize("networks", [("198.51.100.9",), (MANAGEMENT, "198.51.100.9")], ids=["alone", "beside"])
def test_mistyped_network_changes_no_network(host: Host, world: World, networks: tuple[str, ...]) -> None:
    """An address that is no network of the cluster must leave every network's role as it is, and be told."""
    done = host.run(script(HostPlan(cluster_networks=networks)), "-Apply")
    assert 1 == done.code
    assert [True] == ["198.51.100.9" in line for line in done.of("FAILED") if line.startswith("cluster networks")]
    assert dict.fromkeys(NETWORKS, BOTH) == roles(world)
    assert [] == [one for one in world.sets if one[1] == "Role"]


@pytest.mark.proven("P5")
@pytest.mark.parametrize("networks", [("10.0.0.0",), (MIRROR, "10.0.0.0")], ids=["alone", "beside"])
def test_mistyped_network_leaves_the_migration_alone(host: Host, world: World, networks: tuple[str, ...]) -> None:
    """An address that is no network of the cluster must leave the networks of the live migration as they are."""
    done = host.run(script(HostPlan(migration_networks=networks)), "-Apply")
    assert 1 == done.code
    assert [True] == ["10.0.0.0" in line for line in done.of("FAILED") if line.startswith("live migration networks")]
    assert [] == [one for one in world.made("Set-ClusterParameter") if one["Name"] == "MigrationExcludeNetworks"]


@pytest.mark.proven("P5")
def test_networks_that_the_cluster_keeps_come_first(host: Host, world: World) -> None:
    """Roles must be given before others are taken, or the cluster refuses to be left without a network."""
    for one, role in zip(world.networks, (BOTH, "None", "None"), strict=True):
        one["Role"] = role
    done = host.run(script(), "-Apply", "-FormatDisk")
    assert (0, []) == (done.code, done.of("FAILED"))
    assert [BOTH, BOTH, "None"] == [value for _, name, value in world.sets if name == "Role"]


@pytest.mark.proven("P12")
@pytest.mark.parametrize("by", [By.FILE, By.PROMPT], ids=["by -File", "from a prompt"])
def test_step_that_fails_tells_why(host: Host, world: World, by: By) -> None:
    """The reason must stand in the step's own line, however the script was run; CDXML cmdlets do not see its rule."""
    world.faults["New-IscsiTargetPortal"] = Fails("Connection Failed.", "HRESULT 0xefff0003")
    done = host.run(script(), "-Apply", by=by)
    assert 1 == done.code
    assert [f"iSCSI portal {CONFIG.cluster.iscsi_target}: Connection Failed."] == [
        one for one in done.of("FAILED") if "portal" in one
    ]
    assert [] == [one for one in done.of("NOT YET") if "portal" in one]


@pytest.mark.proven("P13")
@pytest.mark.parametrize(
    ("cmdlet", "step"),
    [
        ("Set-ClusterQuorum", "disk witness Cluster Disk 2"),
        ("Add-ClusterVirtualMachineRole", "VM A"),
        ("Set-VMHost", "live migration: 2 at a time"),
    ],
)
def test_step_that_fails_is_one_line(host: Host, world: World, cmdlet: str, step: str) -> None:
    """The cluster's messages hold line ends; what failed must be told in one line all the same."""
    world.faults[cmdlet] = Fails("An error occurred.\r\n    The resource is not available\r\n", "X", code=5006)
    done = host.run(script(), "-Apply", "-FormatDisk")
    told = [one for one in done.of("FAILED") if "An error occurred. The resource is not available" in one]
    assert told, done.lines
    assert [] == [one for one in done.lines if one.strip().startswith("The resource")]


@pytest.mark.parametrize(
    "cmdlet",
    [
        *("Set-VMHost", "New-IscsiTargetPortal", "Connect-IscsiTarget", "Add-ClusterSharedVolume"),
        *("Add-ClusterVirtualMachineRole", "Set-VM", "Set-ClusterParameter"),
    ],
)
def test_host_that_was_left_half_done_is_finished(host: Host, world: World, cmdlet: str) -> None:
    """A cmdlet that is refused in the middle must be told, and a second run must come to what an undisturbed one does.

    What depends on the refused step may fail with it; nothing may be left that the second run does not set right.
    """
    world.faults[cmdlet] = Fails("Access is denied.", "X", "PermissionDenied", code=5)
    first = host.run(script(), "-Apply", "-FormatDisk")
    assert (1, True) == (first.code, any("Access is denied." in one for one in first.of("FAILED")))
    world.faults.clear()
    second = host.run(script(), "-Apply", "-FormatDisk")
    assert (0, []) == (second.code, second.of("FAILED") + second.of("NOT YET"))
    assert [] == host.run(script()).of("to do")


def test_missing_feature_ends_the_script(host: Host, world: World) -> None:
    """A host without the features must be told so, and nothing else may be done before its restart."""
    world.hosts[HOSTS[0]].settings["features"]["Hyper-V"] = "Available"
    done = host.run(script(), "-Apply")
    assert 1 == done.code
    assert {"Get-WindowsFeature", "Install-WindowsFeature"} == {name for _, name, _ in world.calls}


def test_disk_with_data_is_never_formatted(host: Host, world: World) -> None:
    """A disk that holds something must become the Shared Volume as it is, also with -FormatDisk."""
    world.hosts[HOSTS[0]].settings["disk"]["PartitionStyle"] = "GPT"
    host.run(script(), "-Apply", "-FormatDisk")
    assert [CSV] == world.settings["volumes"]
    assert [] == world.made("Initialize-Disk") + world.made("Format-Volume")


def test_empty_disk_is_not_formatted_unasked(host: Host, world: World) -> None:
    """Without -FormatDisk an empty disk must be left alone, and what to run must be said."""
    done = host.run(script(), "-Apply")
    assert ["run this with -Apply -FormatDisk"] == [one.split(": ")[-1].split(", ")[-1] for one in done.of("FAILED")]
    assert [] == world.made("Initialize-Disk") + world.made("Format-Volume")


def in_role(world: World, role: str, **private: int) -> Resource:
    """Have the VM be in a role, whose VM resource is not called like it; its id is written as WSFC writes it."""
    world.groups[role] = HOSTS[0]
    parameters = {"VmId": "{" + VM_A.upper() + "}", "CheckHeartbeat": 0, "OfflineAction": 1, **private}
    resource = Resource("v9", f"SCVMM {role}", "Virtual Machine", role, parameters=parameters)
    world.resources.append(resource)
    world.settings[f"resource {resource.id}"] = {"RestartAction": 2}
    world.settings[f"group {role}"] = {"FailoverThreshold": 2, "FailoverPeriod": 6, "AutoFailbackType": 1}
    return resource


def private_of(resource: Resource) -> tuple[int, int]:
    """Return CheckHeartbeat and OfflineAction."""
    assert resource.parameters is not None
    return resource.parameters["CheckHeartbeat"], resource.parameters["OfflineAction"]


@pytest.mark.parametrize("role", ["SCVMM A Resources", "a"])
def test_f13_role_of_another_name_is_set_and_no_second_one_added(host: Host, world: World, role: str) -> None:
    """A VM in a role that is not named like it must get no second role, and its own role must be set."""
    resource = in_role(world, role, OfflineAction=0, CheckHeartbeat=1)
    done = host.run(script(), "-Apply", "-FormatDisk")
    assert (0, []) == (done.code, done.of("FAILED"))
    assert [] == world.made("Add-ClusterVirtualMachineRole")
    assert {0} == set(world.settings[f"group {role}"].values())
    assert {"RestartAction": 0} == world.settings["resource v9"]
    assert (0, 1) == private_of(resource)


@pytest.mark.parametrize("action", [2, 3])
def test_d23_guest_that_keeps_its_data_stays_as_it_is(host: Host, world: World, action: int) -> None:
    """An OfflineAction that shuts the guest down is somebody's choice: it must stay, unless another is asked for."""
    resource = in_role(world, "A", OfflineAction=action)
    assert 0 == host.run(script(), "-Apply", "-FormatDisk").code
    assert (0, action) == private_of(resource)

    plan = replace(PLAN, offline=OfflineAction.SAVE)
    assert 0 == host.run(script(plan), "-Apply", "-FormatDisk").code
    assert (0, 1) == private_of(resource)


def test_d23_mistyped_id_changes_nothing_of_a_vm(host: Host, world: World) -> None:
    """An id that no VM of the cluster has must leave the VM and its role as they are, and be told."""
    resource = in_role(world, "A", OfflineAction=0, CheckHeartbeat=1)
    nowhere = "99999999-9999-4999-8999-999999999999"
    config = msgspec.structs.replace(CONFIG, vm=(ProtectedVm(name="A", id=nowhere),))
    done = host.run(host_script(config, NODE, HostPlan()), "-Apply")
    assert 1 == done.code
    assert [f"VM A: the cluster has no VM with the id {nowhere}"] == [
        line for line in done.of("FAILED") if line.startswith("VM A")
    ]
    assert {"FailoverThreshold": 2, "FailoverPeriod": 6, "AutoFailbackType": 1} == world.settings["group A"]
    assert {"RestartAction": 2} == world.settings["resource v9"]
    assert (1, 0) == private_of(resource)
    assert "Save" == world.vm(VM_A).more["AutomaticStopAction"]


def test_d15_of_two_vms_that_may_be_meant_neither_is_changed(host: Host, world: World) -> None:
    """Where two VMs of the cluster may be meant, neither must be changed, and the way out is told."""
    world.hosts[HOSTS[0]].vms = [one for one in world.hosts[HOSTS[0]].vms if one.name != "A"]
    first, second = in_role(world, "A", OfflineAction=0), in_role(world, "A", OfflineAction=0)
    second.id, second.name = "v10", "SCVMM A 2"
    world.settings["resource v10"] = {"RestartAction": 2}
    done = host.run(script(), "-Apply", "-FormatDisk")
    assert (1, ["VM A: 2 VMs of the cluster may be meant: write id in its [[vm]]"]) == (done.code, done.of("FAILED"))
    assert [(0, 0), (0, 0)] == [private_of(first), private_of(second)]
    assert [{"RestartAction": 2}] * 2 == [world.settings[f"resource {key}"] for key in ("v9", "v10")]


@pytest.mark.parametrize("more", [{}, {"id": "{" + VM_A.upper() + "}"}, {"role": "A"}], ids=str)
def test_f07_copy_of_a_vm_is_not_set(host: Host, world: World, more: dict[str, str]) -> None:
    """A VM here that only bears the name of the clustered one, which is on the other host, must stay as it is."""
    here, there = (world.hosts[name] for name in HOSTS)
    there.vms.append(world.vm(VM_A))
    here.vms = [one for one in here.vms if one.id != VM_A]
    copied = Vm(COPY, "A", "Off", more={"AutomaticStartAction": "Start", "AutomaticStopAction": "Save"})
    here.vms.append(copied)
    resource = in_role(world, "A", OfflineAction=0)
    config = msgspec.structs.replace(CONFIG, vm=(ProtectedVm(name="A", **more),))
    done = host.run(host_script(config, NODE, PLAN), "-Apply", "-FormatDisk")
    assert (0, []) == (done.code, done.of("FAILED"))
    assert {"AutomaticStartAction": "Start", "AutomaticStopAction": "Save"} == copied.more
    assert [] == world.made("Add-ClusterVirtualMachineRole")
    assert (0, 1) == private_of(resource)


def test_f07_of_two_vms_of_a_name_the_clustered_one_is_set(host: Host, world: World) -> None:
    """Where a copy lies beside the clustered VM, the clustered one must be set, and the copy must stay as it is."""
    copied = Vm(COPY, "A", "Off", more={"AutomaticStartAction": "Start", "AutomaticStopAction": "Save"})
    world.hosts[HOSTS[0]].vms.insert(0, copied)
    in_role(world, "SCVMM A Resources")
    done = host.run(script(), "-Apply", "-FormatDisk")
    assert (0, []) == (done.code, done.of("FAILED"))
    assert {"AutomaticStartAction": "Start", "AutomaticStopAction": "Save"} == copied.more
    assert "Nothing" == world.vm(VM_A).more["AutomaticStartAction"]
    assert "ShutDown" == world.vm(VM_A).more["AutomaticStopAction"]


@pytest.mark.proven("P16")
@pytest.mark.parametrize("switches", [("-Apply",), ("-Apply", "-FormatDisk")], ids=" ".join)
def test_p16_a_disk_that_only_looks_empty_is_not_formatted(host: Host, world: World, switches: tuple[str, ...]) -> None:
    """An offline disk that shows as RAW must be looked at again once it is online: what it holds then stays."""
    world.hosts[HOSTS[0]].settings["disk"]["holds"] = "GPT"
    host.run(script(), *switches)
    assert [CSV] == world.settings["volumes"]
    assert [] == world.made("Initialize-Disk") + world.made("Format-Volume")


@pytest.mark.proven("P16")
def test_p16_a_disk_that_must_stay_empty_is_written_to_by_nobody(host: Host, world: World) -> None:
    """A look for what an empty disk holds must neither format it nor take its write protection away."""
    host.run(script(), "-Apply")
    assert world.hosts[HOSTS[0]].settings["disk"]["IsReadOnly"]
    assert [] == world.settings["volumes"]


@pytest.mark.proven("P10")
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 3), (8, 8)])
def test_p10_the_clusters_own_number_of_migrations_is_set(host: Host, world: World, before: int, after: int) -> None:
    """Where the cluster has a number of its own, which overrides that of the host, it must be raised as well."""
    world.settings["Cluster"]["MaximumParallelMigrations"] = before
    plan = replace(PLAN, parallel=3)
    done = host.run(script(plan), "-Apply", "-FormatDisk")
    assert (0, []) == (done.code, done.of("FAILED"))
    assert after == world.settings["Cluster"]["MaximumParallelMigrations"]
    assert 3 == world.hosts[HOSTS[0]].settings["vmhost"]["MaximumVirtualMachineMigrations"]


@pytest.mark.proven("P10")
def test_p10_an_older_cluster_has_no_such_number(host: Host, world: World) -> None:
    """A cluster of an older Windows, which has no such property, must be left alone and nothing be told of it."""
    done = host.run(script(), "-Apply", "-FormatDisk")
    assert (0, []) == (done.code, done.of("FAILED"))
    assert [] == [one for one in done.lines if "by the cluster" in one]
    assert "MaximumParallelMigrations" not in world.settings["Cluster"]
