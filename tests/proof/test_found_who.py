"""Who is this VM: the cases that were found on the built program, and more of their kinds.

Each test is named by its number in the list of what was found, says what is right, and is judged by the world.
"""

from dataclasses import replace
from functools import partial

import msgspec
import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.lab.model.things import Guest, Plane, Vm
from tests.proof.found import ONE, TWO, Found, find, put, unregistered
from tests.virtual.hosts import Proceed


def copy_of(found: Found, host: str, state: str, name: str = "web") -> Vm:
    """Add a restored copy of a VM to a host, which is not clustered."""
    return found.world.roles.namesake(name, host, state, number=len(found.world.unclustered) + 2)


# How long ago Hyper-V's management service was restarted when a program first asks it, in seconds.
DELAYS = (0.0, 4.0, 6.0, 9.0, 11.0, 12.0)


# F7: a copy of the same name that is not clustered.


def test_f07_a_copy_on_the_other_host_is_never_touched() -> None:
    """A stop brings our VM down, and leaves the copy that runs on the other host alone."""
    found = find()
    copy = copy_of(found, TWO, "Running")
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert "Running" == copy.guests[TWO].state
    assert "Offline" == found.vm().configuration


def test_f07_a_copy_that_lies_off_here_is_never_started() -> None:
    """A start of a VM that is not registered yet starts ours, not the copy that lies Off on this host."""
    found = find()
    unregistered(found)
    copy = copy_of(found, ONE, "Off")
    outcome = found.start()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert ("Running", "Off") == (found.state(), copy.guests[ONE].state)


def test_f07_a_running_copy_does_not_make_ours_healthy() -> None:
    """A monitor fails our VM, which is Off, although a copy of its name runs beside it."""
    found = find(state="Off")
    copy_of(found, ONE, "Running")

    assert Exit.NOT_AS_ASKED is found.monitor().exit


def test_f07_a_copy_beside_ours_on_the_same_host_is_never_touched() -> None:
    """A stop touches ours alone where a copy is registered on the same host, in whatever state."""
    for state in ("Running", "Paused", "Saved", "Off", "Starting"):
        found = find()
        copy = copy_of(found, ONE, state)
        outcome = found.stop()

        found.fine()
        assert (Exit.DONE, state) == (outcome.exit, copy.guests[ONE].state)
        assert {} == found.vm().guests


def test_f07_copies_on_both_hosts_in_another_case_are_never_touched() -> None:
    """A start that fetches our VM from the peer leaves copies on both hosts alone, written otherwise or not."""
    found = find(host=TWO)
    copies = [copy_of(found, ONE, "Off", "WEB"), copy_of(found, TWO, "Paused", "Web")]
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())
    assert ["Off", "Paused"] == [copies[0].guests[ONE].state, copies[1].guests[TWO].state]


def test_f07_an_ec_vm_of_the_same_name_is_never_touched() -> None:
    """A stop of a VM that is called like the EC-VM of its host brings our VM down, and not the EC-VM."""
    found = find()
    found.world.ec_vms["ec1"].vm = "web"
    outcome = found.stop()

    found.fine()
    assert "Running" == found.world.ec_vms["ec1"].guest.state
    assert Exit.DONE is outcome.exit


# D3: a dead entry of the same name, which Get-VM shows first.


def test_d03_a_dead_entry_does_not_hide_the_running_guest_from_a_stop() -> None:
    """A stop asks the running guest to shut down, although an Off-Critical entry of its name comes first."""
    found = find()
    copy_of(found, ONE, "OffCritical")
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert [] == [one for one in found.happened("guest") if one[2] == "Saving"]
    assert "Offline" == found.volume.state


def test_d03_a_dead_entry_does_not_hide_the_running_guest_from_a_start_or_monitor() -> None:
    """A start and a monitor of a VM that runs here do nothing, whatever entry of its name comes first."""
    for state in ("OffCritical", "Saved", "PausedCritical", "Off"):
        found = find()
        copy_of(found, ONE, state)
        started, watched = found.start(), found.monitor()

        found.fine()
        assert [Exit.DONE, Exit.DONE] == [started.exit, watched.exit]
        assert () == started.changes


# F14, D15: names of people, of Hyper-V and of the cluster.


def renamed() -> tuple[Found, Vm]:
    """Return a world whose web is called web-old now, and a new VM that is called web, of role "web 1"."""
    found = find()
    found.vm().name = "web-old"
    new = copy_of(found, ONE, "Running")
    new.csv = found.volume.name
    found.world.roles.add(new, "web 1", ONE)
    return found, new


def test_f14_a_name_that_leads_to_two_vms_fails_a_start_before_anything_is_touched() -> None:
    """A start fails with 3 and names both, where the role leads to one VM and the name to another."""
    found, new = renamed()
    put(found.vm(), ONE, "Off")
    found.means("web")
    outcome = found.start()

    found.fine()
    assert Exit.CONFIG is outcome.exit
    assert () == outcome.changes
    assert found.vm().id in found.words
    assert new.id in found.words


def test_f14_a_stop_brings_down_what_hyper_v_calls_by_that_name() -> None:
    """A stop never fails for two candidates: it brings down the clustered VM that Hyper-V calls so."""
    found, new = renamed()
    found.means("web", new)
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert "Running" == found.state()
    assert {} == new.guests


def test_f14_a_monitor_cannot_tell_which_of_two_is_meant() -> None:
    """A monitor of a name that leads to two VMs cannot tell, and alerts."""
    found, new = renamed()
    new.guests[ONE].state, new.machine = "Off", "Offline"
    outcome = found.monitor()

    assert Exit.DONE is outcome.exit
    assert found.alert_levels


def test_d15_of_two_vms_in_a_group_a_stop_touches_the_one_that_is_called_so() -> None:
    """A stop of web, which shares its group with db, leaves db's guest and configuration as they are."""
    found = find("db", "web")
    found.vm("db").role = "web"
    found.means("web", found.vm("web"))
    outcome = found.stop("web")

    found.fine()
    assert Exit.DONE is outcome.exit
    assert ("Running", "Online") == (found.state("db"), found.vm("db").configuration)
    assert "Offline" == found.vm("web").configuration


@pytest.mark.proven("E25")
@pytest.mark.parametrize("is_configured", [True, False])
def test_e25_a_stop_that_is_repeated_leaves_the_other_vm_of_the_group(is_configured: bool) -> None:
    """A second stop of web, whose name Hyper-V no longer knows, leaves db, which shares the group, as it is."""
    found = find("db", "web")
    found.vm("db").role = "web"
    found.means("web", found.vm("web"))
    if not is_configured:
        config = found.sim.context.config
        known = tuple(vm for vm in config.vm if vm.name == "web")
        found.sim.context = replace(found.sim.context, config=msgspec.structs.replace(config, vm=known))
    for _ in range(2):
        outcome = found.stop("web")

        found.fine()
        assert Exit.DONE is outcome.exit
        assert ("Running", "Online") == (found.state("db"), found.vm("db").configuration)
    assert () == outcome.changes


def test_d15_a_stop_may_cancel_the_migration_of_the_group_and_leaves_the_other_vm() -> None:
    """A stop of web whose group moves for ever, for db's sake, has the cluster cancel it; db runs on where it is."""
    found = find("db", "web", live=2000.0)
    found.vm("db").role = "web"
    found.world.cluster.move(found.vm("db"), TWO, live=True)
    found.world.advance(2)
    outcome = found.stop("web")

    found.fine()
    assert Exit.DONE is outcome.exit
    assert "Move-ClusterVirtualMachineRole web" == outcome.changes[0]
    assert ("Running", "Online", "") == (found.state("db"), found.vm("db").configuration, found.state("web"))


def test_d15_two_vms_in_a_group_fail_a_start() -> None:
    """A start of a VM that shares its group with another fails with 3, and touches nothing."""
    found = find("db", "web", state="Off")
    found.vm("db").role = "web"
    found.means("web")
    outcome = found.start("web")

    found.fine()
    assert (Exit.CONFIG, ()) == (outcome.exit, outcome.changes)


def test_d15_two_groups_with_swapped_names_are_not_mixed_up() -> None:
    """A stop of web brings down what Hyper-V calls web, although the group called web is db's."""
    found = find("db", "web")
    found.vm("db").role, found.vm("web").role = "web", "db"
    found.means("web", found.vm("web"))
    outcome = found.stop("web")

    found.fine()
    assert Exit.DONE is outcome.exit
    assert ("Running", "Online") == (found.state("db"), found.vm("db").configuration)


def test_f14_the_other_vms_of_a_run_go_on() -> None:
    """A start of two VMs, of which one is ambiguous, starts the other one."""
    found = find("web", "db", state="Off")
    found.vm("web").name = "web-old"
    new = copy_of(found, ONE, "Off")
    new.csv = found.volume.name
    found.world.roles.add(new, "web 1", ONE)
    found.means("web")
    outcome = found.start("web", "db")

    found.fine()
    assert (Exit.CONFIG, "Running") == (outcome.exit, found.state("db"))


# F13: a role that is called otherwise than its VM.


def role(found: Found, name: str) -> None:
    """Give web's role another name, as SCVMM or an administrator does, and its resources too."""
    vm = found.vm()
    found.world.roles.rename(vm, name)
    vm.machine_name, vm.configuration_name = "SCVMM web", "SCVMM web Configuration"


@pytest.mark.parametrize("name", ["SCVMM web Resources", "Production web", "web (1)"])
def test_f13_a_stop_takes_a_renamed_role_and_its_volume_offline(name: str) -> None:
    """A stop of a VM whose role is called otherwise ends with its configuration and its volume Offline."""
    found = find()
    role(found, name)
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert ("Offline", "Offline") == (found.vm().configuration, found.volume.state)


@pytest.mark.parametrize("host", [ONE, TWO])
def test_f13_a_start_finds_a_renamed_role(host: str) -> None:
    """A start of a VM whose role is called otherwise brings it to this host, from wherever it is."""
    found = find(host=host, state="Running" if host == TWO else "Off")
    role(found, "SCVMM web Resources")
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


# D2: Hyper-V does not know the name while the cluster says Online.


def test_d02_a_vm_that_was_renamed_in_hyper_v_is_migrated_live() -> None:
    """A start fetches a running VM by live migration, although Hyper-V calls it otherwise now."""
    found = find(host=TWO)
    found.vm().name = "web-renamed"
    outcome = found.start()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert [(ONE, "live")] == [one[1:] for one in found.happened("migrated", "web-renamed")]


def test_d02_hyper_v_that_has_just_restarted_knows_nothing_yet() -> None:
    """A start never fetches a running guest by quick migration because Hyper-V on the peer restarted a moment ago."""
    for delay in DELAYS:
        found = find(host=TWO)
        found.world.restart_hyper_v(TWO)
        found.world.advance(delay)
        outcome = found.start()

        found.fine()
        assert (Exit.DONE, "Running") == (outcome.exit, found.state())
        assert [(ONE, "live")] == [one[1:] for one in found.happened("migrated")]


def test_d02_a_stop_does_not_take_a_restarted_hyper_v_at_its_word() -> None:
    """A stop that meets a Hyper-V that restarted a moment ago asks the guest, and does not save it."""
    for delay in DELAYS:
        found = find()
        found.world.restart_hyper_v(ONE)
        found.world.advance(delay)
        outcome = found.stop()

        found.fine()
        assert Exit.DONE is outcome.exit
        assert [] == [one for one in found.happened("guest") if one[2] == "Saving"]


def test_d02_a_monitor_does_not_fail_what_hyper_v_does_not_know_yet() -> None:
    """A monitor that meets a Hyper-V that restarted a moment ago raises no false alarm."""
    found = find()
    for delay in (0.0, 3.0, 3.0, 3.0, 3.0, 3.0):
        if not delay:
            found.world.restart_hyper_v(ONE)
        found.world.advance(delay)
        assert Exit.DONE is found.monitor().exit
    found.fine()


# D10, D13: answers of different age, and what the run's own clear made.


@pytest.mark.parametrize("cache", [0.0, 5.0])
def test_d10_what_wsfc_brings_up_meanwhile_is_not_fetched_by_quick_migration(cache: float) -> None:
    """A start that saw the VM off on the peer fetches no guest that WSFC has started there since, whenever that was."""
    for tenth in range(2, 100, 3):
        found = find(host=TWO, state="Off", vm_cache=cache)
        found.volume.owner = ONE
        found.world.at(tenth / 10, partial(found.world.cluster.restart_by_itself, found.vm()))
        outcome = found.start()

        found.fine()
        assert (Exit.DONE, "Running") == (outcome.exit, found.state())


def test_d10_a_quick_migration_needs_two_looks() -> None:
    """A start fetches a VM that is off on the peer only once two looks agree."""
    found = find(host=TWO, state="Off")
    found.volume.owner = ONE
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


def test_d13_a_cleared_resource_does_not_say_that_the_guest_is_off() -> None:
    """A stop that meets a dead Hyper-V service and a failed resource cannot tell, whatever its own clear makes."""
    found = find()
    found.world.hosts[ONE].vmms = False
    found.vm().machine = "Failed"
    outcome = found.stop()

    found.fine()
    assert Exit.CANNOT_TELL is outcome.exit
    assert "Running" == found.state()


def test_d13_a_start_does_not_fetch_what_its_own_clear_made_offline() -> None:
    """A start that meets a dead Hyper-V service and a failed resource on the peer fetches nothing that it cleared."""
    found = find(host=TWO)
    found.world.hosts[TWO].vmms = False
    found.vm().machine = "Failed"
    outcome = found.start()

    found.fine()
    assert Exit.DONE is not outcome.exit
    assert "Running" == found.state(host=TWO)


def test_d13_a_clear_that_does_not_take_ends_a_stop_all_the_same() -> None:
    """A stop of a guest that is off ends well although its failed resource stays failed however often it is cleared."""
    found = find(state="Off")
    found.vm().machine, found.vm().stays_failed = "Failed", True
    outcome = found.stop()

    assert Exit.DONE is outcome.exit


# D23, D24: what WSFC does by itself, and guests that cannot be asked at once.


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (OfflineAction.TURN_OFF, "turns the guest off, as the OfflineAction of its resource says: a power cut"),
        (OfflineAction.SAVE, "saves the guest, as the OfflineAction of its resource says"),
        (OfflineAction.SHUT_DOWN, "shuts the guest down, as the OfflineAction of its resource says"),
    ],
)
def test_d23_a_stop_through_the_cluster_names_its_offline_action(action: OfflineAction, said: str) -> None:
    """A stop that goes through the cluster says what OfflineAction does to the guest, and no other thing."""
    found = find(host=TWO)
    found.vm().offline_action = action
    found.world.cut("ec1", TWO, Plane.MANAGEMENT)
    outcome = found.stop()

    assert Exit.DONE is outcome.exit
    assert said in found.words
    assert "saved, shut down or turned off" not in found.words


def test_d23_a_database_that_holds_no_offline_action_names_no_action() -> None:
    """A stop through the cluster names every action that may be where the database holds no OfflineAction."""
    found = find(host=TWO)
    roles = found.world.roles
    entries = tuple(replace(one, offline_action=None) for one in roles.entries())
    for host in (ONE, TWO):
        found.world.hosts[host].database = entries
    found.world.cut("ec1", TWO, Plane.MANAGEMENT)

    assert Exit.DONE is found.stop().exit
    assert "saved, shut down or turned off" in found.words


@pytest.mark.parametrize("moment", [3.0, 10.0, 30.0])
def test_d23_a_guest_that_wsfc_restarts_by_itself_is_brought_down_all_the_same(moment: float) -> None:
    """A stop brings a guest down that died meanwhile and was restarted by WSFC."""
    found = find()
    vm = found.vm()
    vm.restarts = True
    found.world.at(moment, lambda: found.world.cluster.crash(vm))
    outcome = found.stop()

    assert Exit.DONE is outcome.exit
    assert {} == vm.guests


def test_d24_a_paused_guest_is_resumed_and_asked() -> None:
    """A stop resumes a paused guest and asks it to shut down."""
    found = find(state="Paused")
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit


def test_d24_a_critical_guest_is_given_time_to_come_back() -> None:
    """A stop of a guest whose storage comes back after half a minute asks it to shut down."""
    found = find()
    storage = found.world.storage
    storage.serve("ec1", on=False)
    found.world.advance(40)
    assert "PausedCritical" == found.state()
    found.world.at(30, lambda: storage.serve("ec1", on=True))
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit


def test_d24_a_guest_that_flaps_gets_its_half_of_the_grace() -> None:
    """A stop of a guest whose storage comes and goes cuts its power no earlier than half the grace."""
    found = find()
    storage = found.world.storage
    storage.serve("ec1", on=False)
    found.world.advance(45)
    for number in range(20):
        found.world.at(40 * number + 40, partial(storage.serve, "ec1", on=number % 2 == 0))
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit


def test_d24_a_guest_that_was_saved_meanwhile_keeps_its_memory() -> None:
    """A stop discards no memory of a guest that somebody saved between its look and its power cut."""
    found = find()
    vm = found.vm()
    vm.deaf = True

    def disturb(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        if any(call.cmdlet == "Stop-VM" for call in ask.request.calls) and not vm.saved:
            found.world.guests.become(vm, ONE, "Saved")
            vm.saved = True
        return proceed(ask)

    found.sim.hosts.disturb = disturb
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, True, "Offline") == (outcome.exit, vm.saved, vm.configuration)


# Kept ids and databases.


def test_a_vm_that_was_created_anew_is_the_roles() -> None:
    """A start of a VM that was deleted and created anew starts the new one, whatever id was kept."""
    found = find()
    found.start()
    old = found.vm()
    found.world.roles.remove(old)
    old.guests.clear()
    del found.world.vms["web"]
    new = copy_of(found, TWO, "Off")
    new.csv = found.volume.name
    found.world.roles.add(new, "web", TWO)
    found.means("web", new)
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, new.guests[ONE].state)


def test_ids_that_nobody_can_read_do_not_start_a_second_copy() -> None:
    """A start of a VM whose owner is gone, no database here, starts nothing twice, and ends."""
    found = find(host=TWO)
    found.world.hosts[ONE].no_database = True
    found.world.isolate(TWO)
    found.start()

    assert [] == [one for one in found.world.violations if "runs on" in one]


# E13: what the owner of a resource does not say any more is not said to be absent.


def kept_by_a_start(found: Found) -> None:
    """Have a start have kept what the VM web is called, while it was here; then it went back to the other host."""
    for name in ("web", "db"):
        put(found.vm(name), ONE, "Running")
        found.vm(name).owner = ONE
    assert Exit.DONE is found.start("web").exit
    kept = found.sim.kept_ids.load("web")
    assert kept is not None
    assert (found.vm("web").id, "web") == (kept.id, kept.role)
    for name in ("web", "db"):
        put(found.vm(name), TWO, "Running")
        found.vm(name).owner = TWO
    found.volume.owner = TWO


@pytest.mark.proven("E13")
@pytest.mark.parametrize("lost", ["power", "contact"])
def test_e13_a_failover_of_a_vm_whose_id_nobody_tells_goes_by_the_kept_one(lost: str) -> None:
    """A start takes over a VM whose kept id is known, although no database is read and its owner says nothing more."""
    found = find("web", "db", host=TWO)
    kept_by_a_start(found)
    for host in found.world.hosts.values():
        host.no_database = True
    if lost == "power":
        found.world.power_off_host(TWO)
    else:
        found.world.isolate(TWO)
    outcome = found.start("web")

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state("web"))


@pytest.mark.proven("E13")
def test_e13_a_vm_whose_resource_does_not_answer_is_in_no_role_for_nobody() -> None:
    """A start that knows no id and reads no database waits to its end: it never says that the VM is in no role."""
    found = find("web", "db", host=TWO)
    for host in found.world.hosts.values():
        host.no_database = True
    found.world.power_off_host(TWO)
    outcome = found.start("web")

    assert Exit.CONFIG is not outcome.exit
    assert "in no role" not in found.words
    assert [] == found.world.violations


@pytest.mark.proven("E13")
def test_e13_a_role_that_has_another_name_by_now_is_not_moved_by_its_old_one() -> None:
    """A start moves no role that was given the kept name since, while nobody tells which VM is in it."""
    found = find("web", "db", host=TWO)
    kept_by_a_start(found)
    found.world.roles.rename(found.vm("web"), "web-old")
    found.world.roles.rename(found.vm("db"), "web")
    for host in found.world.hosts.values():
        host.no_database = True
    found.world.power_off_host(TWO)
    found.start("web")

    assert [] == found.world.violations
    assert TWO == found.vm("web").owner == found.vm("db").owner


@pytest.mark.proven("E13")
def test_e13_a_stop_says_of_no_vm_that_it_is_in_no_role_while_its_resource_does_not_answer() -> None:
    """A stop of a VM whose owner says nothing more does not go by the rows of VMs in no role."""
    found = find("web", "db", host=TWO)
    for host in found.world.hosts.values():
        host.no_database = True
    found.world.isolate(TWO)
    found.stop("web")

    assert "in no role" not in found.words
    assert [] == found.world.violations


def test_a_database_from_before_a_hosts_outage_does_not_lead_to_another_vm() -> None:
    """A start on a host that returns with an old database touches nobody but the role's VM."""
    found = find("web", "db", host=TWO)
    found.world.power_off_host(ONE)
    found.world.advance(30)
    found.world.roles.rename(found.vm("web"), "web-old")
    found.world.roles.rename(found.vm("db"), "web")
    found.world.power_on_host(ONE)
    found.world.advance(found.world.timings.host_boot + 1)
    found.world.ec_vms["ec1"].booted = True
    found.world.storage.serve("ec1", on=True)
    found.means("web", found.vm("web"), found.vm("db"))
    found.start("web")

    assert [] == [one for one in found.world.violations if "is done to" in one]


def test_a_monitor_is_not_fooled_by_guests_of_others() -> None:
    """A monitor says healthy of our running VM although a VM of another role has its role's name in its own."""
    found = find("web", "web 1")
    found.vm("web 1").guests[ONE] = Guest("Off")
    found.vm("web 1").machine = "Offline"

    assert Exit.DONE is found.monitor("web").exit
    assert Level.ERR not in found.alert_levels
