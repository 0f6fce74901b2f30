"""The world itself, which judges the programs: what it shows of VMs, what Hyper-V and WSFC do in it, what it notes."""

from collections.abc import Callable

import pytest

from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.lab.model.guests import ASKED, IN_PROGRESS, LOCKED, NOT_READY
from ecx_hyperv.lab.model.things import HostRefusal, ShutdownService
from ecx_hyperv.lab.windows import acts
from ecx_hyperv.lab.windows.messages import Failure, render
from ecx_hyperv.lab.windows.rows import NoClusterDatabase, Rows
from tests.proof.found import ONE, TWO, Found, find, second_volume


def rows(found: Found, host: str = ONE) -> Rows:
    """Return what one PowerShell on a host shows."""
    return Rows(found.world, host, "192.168.139.201")


def failure(act: Callable[[], object]) -> Failure:
    """Return the failure that something ends with."""
    with pytest.raises(Failure) as raised:
        act()
    return raised.value


# Who is who.


def test_get_vm_by_name_gives_every_vm_of_that_name_and_by_id_one() -> None:
    """Get-VM -Name shows the VM and its namesake, Get-VM -Id the VM alone."""
    found = find()
    copy = found.world.roles.namesake("WEB", ONE, "OffCritical")
    by_name, by_id = rows(found).get_vm({"Name": "web"}), rows(found).get_vm({"Id": f"{{{found.vm().id.upper()}}}"})

    assert [(copy.id, False), (found.vm().id, True)] == [(row["Id"], row["IsClustered"]) for row in by_name]
    assert [found.vm().id] == [row["Id"] for row in by_id]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_an_id_that_is_absent_is_named_in_the_error_and_an_absent_service_names_none(language: str) -> None:
    """ObjectNotFound holds the id where Hyper-V does not know the VM, and no id where its service is away."""
    found = find()
    missing = render(failure(lambda: rows(found, TWO).get_vm({"Id": found.vm().id})), "Get-VM", language)
    away = render(Failure(0, TWO, identifier="ServiceAway", category="ObjectNotFound"), "Get-VM", language)

    assert ["ObjectNotFound"] * 2 == [missing.kind, away.kind]
    assert (True, False) == tuple(found.vm().id in str(one.message) for one in (missing, away))


def test_names_of_hyper_v_of_roles_and_of_resources_are_three() -> None:
    """A VM that is renamed keeps its role, a role that is renamed keeps its resources."""
    found = find()
    vm = found.vm()
    vm.name = "web-old"
    found.world.roles.rename(vm, "Production")

    assert "Production" in [row["Name"] for row in rows(found).groups()]
    assert {"Virtual Machine web", "Virtual Machine Configuration web"} <= {
        str(row["Name"]) for row in rows(found).resources()
    }
    assert {("Production", vm.id)} == {(row["Group"], row["VmId"]) for row in rows(found).vm_ids()}
    assert ["web-old"] == [row["Name"] for row in rows(found).get_vm({"Id": vm.id})]


def test_two_vms_in_a_group_are_moved_together() -> None:
    """A group of two VMs is one row, and both VMs have its name."""
    found = find("web", "db")
    found.vm("db").role = "web"

    assert 1 == [row["Name"] for row in rows(found).groups()].count("web")
    assert ["web", "db"] == [vm.name for vm in found.world.in_group("WEB")]


def test_a_role_that_is_removed_leaves_its_vm_running() -> None:
    """The VM of a removed role runs on, unclustered, in no group and with no resources."""
    found = find()
    found.world.roles.remove(found.vm())

    assert ("Running", False) == (found.state(), rows(found).get_vm({"Name": "web"})[0]["IsClustered"])
    assert [] == rows(found).vm_ids()
    assert ["Cluster Group"] == [row["Name"] for row in rows(found).groups()]


def test_a_host_that_was_away_has_an_old_database_until_it_has_joined() -> None:
    """A node that returns shows the roles as they were, until it has joined; without the service there are none."""
    found = find()
    host = found.world.hosts[TWO]
    host.service = False
    found.world.cluster.lost(host, cleanly=False)
    with pytest.raises(NoClusterDatabase):
        rows(found, TWO).vm_ids()

    found.world.roles.rename(found.vm(), "Production")
    found.world.cluster.returned(host)
    old, here = rows(found, TWO).vm_ids(), rows(found).vm_ids()
    found.world.advance(found.world.timings.join + 1)

    assert ({"web"}, {"Production"}) == ({row["Group"] for row in old}, {row["Group"] for row in here})
    assert {"Production"} == {row["Group"] for row in rows(found, TWO).vm_ids()}


def test_private_properties_come_from_the_owner_or_not_at_all() -> None:
    """VmId is shown by the owner of the resource: with the owner gone the cluster cannot tell, the database can."""
    found = find(host=TWO)
    resource = rows(found).get_resource({"Name": "Virtual Machine web"})[0]
    value = next(row for row in rows(found).parameters(resource) if row["Name"] == "VmId")
    assert f"{{{found.vm().id.upper()}}}" == value["Value"]

    found.world.power_off_host(TWO)
    found.world.advance(30)
    assert 1722 == failure(lambda: rows(found).parameters(resource)).code
    assert {found.vm().id} == {row["VmId"] for row in rows(found).vm_ids()}


def test_one_unknown_resource_loses_all_rows() -> None:
    """Get-ClusterResource with a name that is not there gives nothing, for the names that are there either."""
    found = find()
    names = ["Virtual Machine web", "Virtual Machine nobody"]

    assert 5007 == failure(lambda: rows(found).get_resource({"Name": names})).code


# What Hyper-V does.


def test_hyper_v_that_restarts_answers_nobody_then_knows_the_ec_vm_then_all() -> None:
    """A Hyper-V service that restarts is away, then knows its EC-VM only, then its VMs, all of which ran on."""
    found = find()
    found.world.restart_hyper_v(ONE)
    assert not found.world.hosts[ONE].vmms
    seen = []
    for _ in range(15):
        found.world.advance(1)
        seen.append([row["Name"] for row in rows(found).vms()] if found.world.hosts[ONE].vmms else None)

    assert [None, [], ["EC-VM1"], ["EC-VM1", "web"]] == [one for n, one in enumerate(seen) if one not in seen[:n]]
    assert "Running" == found.state()


def test_one_powershell_repeats_what_it_read_and_a_fresh_state_does_not() -> None:
    """Get-VM may show a state up to 5 s old within one PowerShell; another one, and Msvm_ComputerSystem, do not."""
    found = find(vm_cache=5.0)
    first, args = rows(found), {"Id": found.vm().id}
    assert "Running" == first.get_vm(args)[0]["State"]
    found.world.guests.become(found.vm(), ONE, "Off")
    found.world.advance(4.9)

    assert ("Running", "Off") == (first.get_vm(args)[0]["State"], rows(found).get_vm(args)[0]["State"])
    assert "Off" == first.fresh_state(found.vm().id)
    found.world.advance(0.2)
    assert "Off" == first.get_vm(args)[0]["State"]


def test_a_guest_that_is_asked_stays_running_until_it_is_off() -> None:
    """A guest that shuts down shows Running, and says in progress when it is asked again."""
    found = find(guest_shutdown=30)
    vm, guests = found.vm(), found.world.guests
    assert [ASKED, IN_PROGRESS] == [guests.ask(vm, ONE), guests.ask(vm, ONE)]
    found.world.advance(29)
    assert "Running" == found.state()
    found.world.advance(2)
    assert "Off" == found.state()


def test_a_guest_says_why_it_cannot_be_asked() -> None:
    """A guest that boots is not ready, one that somebody works on is locked, one without the service has no row."""
    found = find(services=60)
    vm, guests = found.vm(), found.world.guests
    vm.service = ShutdownService.LOCKED
    codes = [guests.ask(vm, ONE), guests.ask(vm, ONE, force=True)]
    guests.reboot(vm, ONE)
    assert "Stopping" == found.state()
    found.world.advance(2)
    booting = guests.ask(vm, ONE)
    vm.service = ShutdownService.MISSING

    assert [LOCKED, ASKED, NOT_READY, None] == [*codes, booting, guests.ask(vm, ONE)]


@pytest.mark.parametrize("state", ["Saving", "Stopping", "Starting", "Resuming"])
def test_what_is_on_its_way_cannot_be_turned_off(state: str) -> None:
    """TurnOff of a VM in transition is InvalidState, and changes nothing."""
    found = find()
    found.vm().guests[ONE].state = state
    refused = failure(lambda: acts.turn_off(found.world, ONE, found.vm()))
    found.world.advance(60)

    assert ("InvalidState", state) == (refused.identifier, found.state())


def test_a_saved_guest_that_is_turned_off_loses_its_memory_and_that_is_noted() -> None:
    """TurnOff of a saved VM discards its memory: the world notes it where a program did it."""
    found = find(state="Saved")
    acts.turn_off(found.world, ONE, found.vm())
    found.world.advance(10)

    assert ("Off", False) == (found.state(), found.vm().saved)
    assert "memory" in found.world.violations[0]


def test_stop_vm_cuts_the_power_of_a_guest_that_it_cannot_ask_and_that_is_noted() -> None:
    """Stop-VM without TurnOff, as a job, cuts the power of a guest whose service does not answer (P1)."""
    found = find()
    found.vm().service = ShutdownService.NOT_READY
    acts.stop(found.world, ONE, found.vm())
    found.world.advance(10)

    assert "Off" == found.state()
    assert "cuts the power" in found.world.violations[0]


# What WSFC does.


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (OfflineAction.SAVE, "Saved"),
        (OfflineAction.TURN_OFF, "Off"),
        (OfflineAction.SHUT_DOWN, "Off"),
        (OfflineAction.FORCED_SHUTDOWN, "Off"),
    ],
)
def test_a_resource_that_is_stopped_does_to_its_guest_what_its_offline_action_says(
    action: OfflineAction, state: str
) -> None:
    """Stop-ClusterResource saves, turns off or shuts down, by OfflineAction."""
    found = find()
    found.vm().offline_action = action
    found.world.cluster.stop_machine(found.vm())
    found.world.advance(120)

    assert (state, "Offline") == (found.state(), found.vm().machine)


def test_wsfc_restarts_a_guest_that_dies_where_it_is_told_to() -> None:
    """A guest that dies fails its resource, and comes back by itself if RestartAction says so."""
    found = find("web", "db")
    found.vm("web").restarts = True
    for vm in found.world.vms.values():
        found.world.cluster.crash(vm)
    found.world.advance(60)

    assert [("Running", "Online"), ("Off", "Failed")] == [
        (found.state(name), found.vm(name).machine) for name in ("web", "db")
    ]
    assert [2, 0] == [
        row["RestartAction"] for row in rows(found).resources() if row["ResourceType"]["Name"].endswith("e")
    ]


def test_a_clear_with_hyper_v_dead_says_nothing_about_the_guest() -> None:
    """With Hyper-V's service dead a failed resource becomes Offline by its clear, and the guest runs on (D13)."""
    found = find()
    found.world.hosts[ONE].vmms = False
    found.vm().machine = "Failed"
    found.world.cluster.stop_machine(found.vm())

    assert ("Offline", "Running") == (found.vm().machine, found.state())


def test_a_role_may_stay_failed_and_may_arrive_failed() -> None:
    """A clear need not take, and a role that arrives may be Failed there."""
    found = find(state="Off")
    vm = found.vm()
    vm.machine, vm.stays_failed = "Failed", True
    found.world.cluster.stop_machine(vm)
    assert "Failed" == vm.machine

    vm.machine, vm.arrives_failed = "Offline", True
    found.world.cluster.move(vm, TWO, live=False)
    found.world.advance(60)
    assert ("Failed", TWO) == (vm.group, vm.owner)


# Hosts, EC-VMs, volumes.


def test_a_refusal_ends_after_its_times_or_at_its_moment() -> None:
    """A host refuses a cmdlet so many times, or until a moment, and no other cmdlet."""
    found = find()
    host = found.world.hosts[ONE]
    host.refusals = [
        HostRefusal("Start-VM", code=32, times=2),
        HostRefusal("Get-VM", code=5, until=found.world.now + 10),
    ]

    assert [32, 32, None] == [_code(found.world.refused(ONE, "Start-VM")) for _ in range(3)]
    assert [5, None] == [_code(found.world.refused(ONE, "Get-VM")), _code(found.world.refused(ONE, "Stop-VM"))]
    found.world.advance(10)
    assert found.world.refused(ONE, "Get-VM") is None


def _code(refusal: HostRefusal | None) -> int | None:
    return None if refusal is None else refusal.code


def test_an_ec_vm_that_stands_still_lacks_that_time() -> None:
    """The clocks of an EC-VM that stood still lack that time; it serves nothing and answers nobody meanwhile."""
    found = find()
    clock, ec_vm = found.sim.clock, found.world.ec_vms["ec1"]
    before, world_before = clock.monotonic(), found.world.now
    found.world.at(5, lambda: found.world.freeze_ec_vm(ec_vm, 600))
    clock.sleep(4)
    assert found.world.ping_answers("ec2", "ec1")
    found.world.advance(10)
    assert not found.world.ping_answers("ec2", "ec1")
    clock.sleep(10)

    assert pytest.approx(15) == clock.monotonic() - before
    assert pytest.approx(615) == found.world.now - world_before
    assert ec_vm.is_alive


def test_a_volume_that_goes_offline_under_any_vm_is_noted() -> None:
    """The world notes a volume that goes offline under a running VM, clustered or not, on one volume or two."""
    found = find("web", "db")
    second = second_volume(found.world)
    found.vm("web").more_volumes = (second.name,)
    found.world.roles.remove(found.vm("db"))
    found.world.storage.stop(second)
    found.world.storage.stop(found.volume)

    assert ["web", "web", "db"] == [one.split(" while ")[1].split()[0] for one in found.world.violations]


def test_a_vm_on_two_volumes_needs_both() -> None:
    """A guest with files on two volumes suffers when either is away, and shows the files of both."""
    found = find()
    second = second_volume(found.world)
    found.vm().more_volumes = (second.name,)
    shown = rows(found).get_vm({"Name": "web"})[0]
    assert [True, True] == [
        f"Volume{n}" in path for n, path in enumerate((one["Path"] for one in shown["HardDrives"]), 1)
    ]

    second.state = "Failed"
    found.world.storage.changed()
    found.world.advance(60)
    assert "PausedCritical" == found.state()


def test_a_private_copy_suffers_from_no_volume() -> None:
    """A restored copy on the host's own drive does not care what becomes of the Shared Volumes, or of WSFC."""
    found = find()
    copy = found.world.roles.namesake("web", ONE, "Running")
    found.world.storage.serve("ec1", on=False)
    found.world.hosts[ONE].service = False
    found.world.advance(120)

    assert "Running" == copy.guests[ONE].state


def test_what_only_hyper_v_knows_is_off_after_a_power_cut() -> None:
    """A VM in no role is still registered, and off, when its host comes back."""
    found = find()
    copy = found.world.roles.namesake("web", ONE, "Running")
    found.world.power_off_host(ONE)
    found.world.power_on_host(ONE)
    found.world.advance(300)

    assert "Off" == copy.guests[ONE].state
