"""The script that sets a host up: what it does, that it does so once, and that a mistyped value changes nothing."""

from pathlib import Path

import pytest

from ecx_hyperv.setup.host import HostPlan, Switch, host_script
from tests.powershell import engine
from tests.powershell.scripts import CONFIG, NODE, Host
from tests.powershell.setup_world import NETWORKS, TARGET, before_setup, state
from tests.powershell.world import HOSTS, Fails, World

ISCSI, MANAGEMENT, MIRROR = NETWORKS
PLAN = HostPlan(
    switches=(Switch("VM_switch", "Ethernet 4"),),
    cluster_networks=(MANAGEMENT, MIRROR),
    migration_networks=(MIRROR,),
    witness="Cluster Disk 2",
)
CSV = "Cluster Disk 1"
BOTH = "ClusterAndClient"


def script(plan: HostPlan = PLAN) -> str:
    """Return the script of the first host."""
    return host_script(CONFIG, NODE, plan)


@pytest.fixture
def world(whole_world: tuple[World, Path]) -> World:
    """Return a world before the set-up."""
    fresh, world = before_setup(), whole_world[0]
    world.reset()
    for name in world.__dataclass_fields__:
        setattr(world, name, getattr(fresh, name))
    return world


@pytest.fixture
def host(pwsh: str, standins: Path, whole_world: tuple[World, Path], home: Path, tmp_path: Path, world: World) -> Host:
    """Return the first host."""
    return Host(pwsh, engine.environment(standins, whole_world[1], HOSTS[0], home), tmp_path)


def roles(world: World) -> dict[str, str]:
    """Return each network's role by its address."""
    return {one["Address"]: one["Role"] for one in world.networks}


@pytest.mark.proven("P8")
def test_host_is_set_up_once(host: Host, world: World) -> None:
    """A first run must tell what is to do, the second do it without a question, the third find nothing left."""
    before = state(world)
    told = host.run(script())
    assert before == state(world)
    assert len(told.of("to do")) > 10
    assert ([], [], "") == (told.of("done"), told.of("FAILED"), told.stderr)

    done = host.run(script(), "-Apply", "-FormatDisk")
    assert (0, []) == (done.code, done.of("FAILED") + done.of("NOT YET"))
    # To connect makes the connection come back as well.
    back = f"iSCSI target {TARGET} is connected again after a restart"
    assert {one.split(" (not to be seen")[0] for one in told.of("to do")} == {*done.of("done"), back}
    after = state(world)
    assert {ISCSI: "None", MANAGEMENT: BOTH, MIRROR: BOTH} == roles(world)
    assert ([CSV], "Cluster Disk 2") == (world.settings["volumes"], world.settings["quorum"])
    assert world.hosts[HOSTS[0]].settings["disk"]["formatted"]

    again = host.run(script(), "-Apply", "-FormatDisk")
    assert (0, [], after) == (again.code, again.of("done"), state(world))
    assert set(done.of("done")) <= set(again.of("ok"))


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
    assert [] == world.made("Set-ClusterParameter")


@pytest.mark.proven("P5")
def test_networks_that_the_cluster_keeps_come_first(host: Host, world: World) -> None:
    """Roles must be given before others are taken, or the cluster refuses to be left without a network."""
    for one, role in zip(world.networks, (BOTH, "None", "None"), strict=True):
        one["Role"] = role
    done = host.run(script(), "-Apply", "-FormatDisk")
    assert (0, []) == (done.code, done.of("FAILED"))
    assert [BOTH, BOTH, "None"] == [value for _, name, value in world.sets if name == "Role"]


@pytest.mark.proven("P12")
@pytest.mark.parametrize("by_file", [True, False], ids=["by -File", "from a prompt"])
def test_step_that_fails_tells_why(host: Host, world: World, by_file: bool) -> None:
    """The reason must stand in the step's own line, however the script was run; CDXML cmdlets do not see its rule."""
    world.faults["New-IscsiTargetPortal"] = Fails("Connection Failed.", "HRESULT 0xefff0003")
    done = host.run(script(), "-Apply", by_file=by_file)
    assert 1 == done.code
    assert [f"iSCSI portal {CONFIG.cluster.iscsi_target}: Connection Failed."] == [
        one for one in done.of("FAILED") if "portal" in one
    ]
    assert [] == [one for one in done.of("NOT YET") if "portal" in one]


@pytest.mark.proven("P13")
def test_step_that_fails_is_one_line(host: Host, world: World) -> None:
    """The cluster's messages hold line ends; what failed must be told in one line all the same."""
    world.faults["Set-ClusterQuorum"] = Fails(
        "An error occurred.\r\n    The resource is not available\r\n", "X", code=5006
    )
    done = host.run(script(), "-Apply", "-FormatDisk")
    assert ["disk witness Cluster Disk 2: An error occurred. The resource is not available"] == done.of("FAILED")


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
