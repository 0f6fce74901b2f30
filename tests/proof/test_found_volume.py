"""The volume: who may be on it is what the configuration, the cluster and the VMs' files say, all of them together."""

import pytest
from msgspec.structs import replace

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.exits import Exit
from tests.proof.found import TWO, Found, configured, find, put, second_volume
from tests.proof.machine import play
from tests.virtual.contexts import make_config


def test_d04_a_vm_whose_role_was_removed_keeps_its_volume() -> None:
    """A stop of db leaves the volume online on which web runs, whose role was removed."""
    found = find("web", "db")
    found.world.roles.remove(found.vm("web"))
    outcome = found.stop("db")

    found.fine()
    assert (Exit.DONE, "Online", "Running") == (outcome.exit, found.volume.state, found.state("web"))


def test_d04_a_stop_of_a_vm_in_no_role_does_not_cut_its_power() -> None:
    """A stop of a VM whose role was removed leaves its volume online while it runs, and ends with 0."""
    found = find()
    found.world.roles.remove(found.vm())
    found.vm().deaf = True
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, "Online", "Running") == (outcome.exit, found.volume.state, found.state())


@pytest.mark.parametrize("state", ["Running", "Paused", "Stopping"])
def test_d04_a_vm_in_no_role_on_the_peer_keeps_the_volume(state: str) -> None:
    """A stop leaves the volume online of which a VM in no role makes use on the other host."""
    found = find("web", "db")
    found.world.roles.remove(found.vm("web"))
    put(found.vm("web"), TWO, state)
    outcome = found.stop("db")

    found.fine()
    assert (Exit.DONE, "Online") == (outcome.exit, found.volume.state)


def two_volumes() -> Found:
    """Return a world in which web has files on both volumes, of which csv names the first; db is on the second."""
    found = find("web", "db")
    second = second_volume(found.world)
    found.vm("web").more_volumes = (second.name,)
    found.vm("db").csv = second.name
    configured(found, make_config(found.world))
    return found


def test_f15_a_volume_stays_online_under_a_vm_with_files_on_two() -> None:
    """A stop of db leaves the second volume online, on which web has a disk too."""
    found = two_volumes()
    outcome = found.stop("db")

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state("web"))
    assert "Online" == found.world.volumes["Cluster Disk 2"].state


def test_f15_what_the_cluster_believes_adds_to_what_the_files_say() -> None:
    """A stop of db leaves the second volume online although DependsOnSharedVolumes of web names the first alone."""
    found = two_volumes()
    found.vm("web").believed_volumes = ("Cluster Disk 1",)
    outcome = found.stop("db")

    found.fine()
    assert (Exit.DONE, "Online") == (outcome.exit, found.world.volumes["Cluster Disk 2"].state)


def test_f15_a_volume_that_the_cluster_says_is_used_stays_online() -> None:
    """A stop leaves a volume online of which the cluster says that a running VM depends on it."""
    found = find("web", "db")
    second = second_volume(found.world)
    found.vm("db").csv = second.name
    found.vm("web").believed_volumes = ("Cluster Disk 1", second.name)
    configured(found, make_config(found.world))
    outcome = found.stop("db")

    assert (Exit.DONE, "Online") == (outcome.exit, second.state)


def test_f15_a_stop_takes_both_volumes_of_its_vm_offline() -> None:
    """A stop of the only VM, whose files are on two volumes, leaves neither online."""
    found = find("web")
    second = second_volume(found.world)
    found.vm().more_volumes = (second.name,)
    configured(found, make_config(found.world))
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert ["Offline", "Offline"] == [one.state for one in found.world.volumes.values()]


def test_f15_a_vm_that_nobody_configured_keeps_its_second_volume() -> None:
    """A stop leaves a volume online on which a VM that is not configured has its second disk."""
    found = find("web", "stranger")
    second = second_volume(found.world)
    found.vm("stranger").csv = second.name
    found.vm("stranger").more_volumes = ("Cluster Disk 1",)
    config = make_config(found.world)
    configured(found, replace(config, vm=(ProtectedVm(name="web", csv="Cluster Disk 1"),)))
    outcome = found.stop("web")

    found.fine()
    assert (Exit.DONE, "Online", "Running") == (outcome.exit, found.volume.state, found.state("stranger"))


def test_a_volume_stays_online_under_a_vm_that_the_other_ec_vm_started_meanwhile() -> None:
    """A stop that found its VM off leaves the volume alone once the other EC-VM has fetched the VM to start it."""
    play(
        1,
        "ec2",
        ("ws2019-host-2 is cut off", 0.0),
        ("ec2 is shut down", 90.0),
        ("ws2019-host-2 and witness are cut apart: iSCSI", 15.0),
        ("ws2019-host-2 and witness are cut apart: mirror", 15.0),
    )
