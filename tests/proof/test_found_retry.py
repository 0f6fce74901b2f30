"""What was refused, not sent, or answered only once: the cases that were found on the built program, and their kinds.

Each test is named by its number in the list of what was found, says what is right, and is judged by the world.
"""

from functools import partial

import pytest

from ecx_hyperv.config import Timing
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.ecx.kept_ids import KeptId
from ecx_hyperv.errors import Unreachable
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.lab.model.things import Guest, HostRefusal, Sshd
from tests.proof.found import ONE, TWO, Found, find
from tests.virtual.hosts import Proceed

_TIMING = Timing()
# A host is lost so long after the beginning: before, in and after the look that is the only one it answers.
_MOMENTS = (0.5, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)


def starves(found: Found) -> None:
    """Have the storage of the VM on the peer host go."""
    guest = found.vm().guests[TWO]
    guest.state, guest.starved = "PausedCritical", found.world.now


# D26: a host that answers once, and then no more.


@pytest.mark.parametrize("seconds", _MOMENTS)
def test_d26_a_start_takes_a_vm_from_a_host_that_answered_once(seconds: float) -> None:
    """A start takes a VM over once its host is lost, however often that host had answered before."""
    found = find(host=TWO)
    found.volume.owner = ONE
    found.world.at(seconds, partial(found.world.power_off_host, TWO))
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())
    assert outcome.seconds < 2 * _TIMING.patience


@pytest.mark.parametrize("seconds", _MOMENTS)
def test_d26_a_stop_ends_well_on_a_host_that_answered_once(seconds: float) -> None:
    """A stop goes through the cluster once the own host says nothing, however often that host had answered before."""
    found = find()
    found.world.at(seconds, partial(setattr, found.world.hosts[ONE], "sshd", Sshd.SILENT))
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, {}) == (outcome.exit, found.vm().guests)


@pytest.mark.parametrize("seconds", _MOMENTS)
def test_d26_a_stop_ends_well_where_hyper_v_answered_once(seconds: float) -> None:
    """A stop goes through the cluster once Get-VM hangs, however often it had answered before."""
    found = find()
    found.world.at(seconds, partial(found.world.hosts[ONE].hangs.add, "Get-VM"))
    outcome = found.stop()

    found.fine()
    assert (Exit.DONE, {}) == (outcome.exit, found.vm().guests)


# D27: a refusal that is over.


def test_d27_a_portal_that_is_refused_on_the_peer_ends_no_start() -> None:
    """A start waits `critical` for a guest without storage, though its host cannot reconnect, and then takes it."""
    found = find(host=TWO, state="PausedCritical")
    found.volume.owner = ONE
    starves(found)
    found.world.hosts[TWO].refusals.append(HostRefusal("Update-IscsiTargetPortal", code=21))
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())
    assert outcome.seconds >= _TIMING.critical


def test_d27_a_refusal_that_was_made_good_ends_no_start() -> None:
    """A start whose reconnection was refused once, and then carried out, waits for a migration however long."""
    found = find(host=TWO, live=2 * _TIMING.patience)
    found.volume.owner = ONE
    found.world.hosts[ONE].session = ""
    found.world.storage.changed()
    found.world.hosts[ONE].refusals.append(HostRefusal("Update-IscsiTargetPortal", code=21, times=1))
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())


def test_d27_a_live_migration_that_was_refused_says_nothing_of_a_guest_without_storage() -> None:
    """A start waits `critical` for a guest that lost its storage after its live migration was refused."""
    found = find(host=TWO)
    found.volume.owner = ONE
    found.world.hosts[ONE].refusals.append(HostRefusal("Move-ClusterVirtualMachineRole", code=5944, times=1))
    found.world.at(5, partial(starves, found))
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())
    assert outcome.seconds >= _TIMING.critical


# D28: what was never sent.


@pytest.mark.parametrize("times", [1, 3, 4])
def test_d28_a_power_on_that_was_never_sent_uses_up_no_attempt(times: int) -> None:
    """A start powers a VM on although the session for that could not be opened three times or more."""
    found = find(state="Off")
    left = iter(range(times))

    def disturb(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        starts = any(call.cmdlet == "Start-VM" for call in ask.request.calls)
        return Unreachable(ONE, "no session can be opened") if starts and next(left, None) is not None else proceed(ask)

    found.sim.hosts.disturb = disturb
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())
    assert "was started 3 times" not in found.words


# D29: what nobody can do.


def test_d29_a_migration_that_nobody_can_cancel_keeps_no_guest_from_being_asked() -> None:
    """A stop asks its guest once a migration has lasted, though no database tells which role is to be cancelled."""
    found = find(live=9000)
    found.world.cluster.move(found.vm(), TWO, live=True)
    found.sim.context.kept_ids.save(KeptId(name="web", id=found.vm().id))
    for host in found.world.hosts.values():
        host.no_database = True
        host.hangs.add("Get-ClusterResource")
    outcome = found.stop()

    found.fine()
    assert "web: shut down" in found.words
    assert outcome.seconds < _TIMING.unregister
    assert found.state() in ("", "Off")


def test_d29_a_migration_without_a_cluster_service_keeps_no_guest_from_being_asked() -> None:
    """A stop asks a guest whose migration has lasted, though its target is gone and no cluster service answers."""
    found = find(host=TWO, live=9000)
    found.world.cluster.move(found.vm(), ONE, live=True)
    found.sim.context.kept_ids.save(KeptId(name="web", id=found.vm().id))
    found.world.hosts[ONE].sshd = Sshd.STOPPED
    found.world.hosts[TWO].hangs.add("Get-ClusterResource")
    found.stop()

    assert "web: shut down" in found.words
    assert found.state(host=TWO) in ("", "Off")


# D30: a request that nobody was handed.


def test_d30_a_request_that_was_never_sent_holds_no_stop_up() -> None:
    """A stop whose request to the guest was never sent goes through the cluster once Hyper-V is away for `patience`."""
    found = find()

    def disturb(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        if not any(call.cmdlet == "Agent-ShutdownGuest" for call in ask.request.calls):
            return proceed(ask)
        found.world.hosts[ONE].hangs.add("Get-VM")
        return Unreachable(ONE, "no session can be opened")

    found.sim.hosts.disturb = disturb
    outcome = found.stop()

    found.fine()
    assert Exit.DONE is outcome.exit
    assert outcome.seconds < 2 * _TIMING.patience


# D31: a step that begins well and is refused then.


def test_d31_a_power_on_that_fails_while_it_starts_is_refused_all_the_same() -> None:
    """A start whose VM is Starting for seconds at each attempt, and refused then, ends with 8 after `patience`."""
    found = find(state="Off")
    found.world.hosts[ONE].refusals.append(HostRefusal("Start-VM", code=32))

    def show(state: str) -> None:
        found.vm().guests[ONE] = Guest(state, None)

    def disturb(_side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        outcome = proceed(ask)
        if any(call.cmdlet == "Start-VM" for call in ask.request.calls):
            show("Starting")
            found.world.at(4, partial(show, "Off"))
            found.sim.hosts.takes(4.5)
        return outcome

    found.sim.hosts.disturb = disturb
    outcome = found.start()

    found.fine()
    assert Exit.REFUSED is outcome.exit
    assert _TIMING.patience <= outcome.seconds < 2 * _TIMING.patience


# D32: a look that tells nothing.


def test_d32_looks_that_tell_nothing_keep_no_start_from_ending() -> None:
    """A start of a VM that runs here ends well, though the cluster tells nothing and not every look shows the guest."""
    found = find(host=TWO)
    found.volume.owner = ONE
    for host in found.world.hosts.values():
        found.world.at(3, partial(host.hangs.add, "Get-ClusterResource"))
    outcome = found.start()

    found.fine()
    assert (Exit.DONE, "Running") == (outcome.exit, found.state())
