"""vm-start's table, row by row."""

from typing import Any

import pytest

from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import Contact, Observation, Place, Refusal, Side
from ecx_hyperv.decide.start import decide, is_home, out_of_time, timers
from ecx_hyperv.decide.states import VM_STATES, Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.exits import Exit
from tests.decide.support import ABSENT, OFF, RUNNING, UNREADABLE, act_of, at_home, at_peer, vm

USED_UP, RECENT = Retry.USED_UP, Retry.RECENT


def tried(*over: Timer, **what: Any) -> StartAttempts:
    """Return what a run has tried."""
    return StartAttempts(over=frozenset(over), **what)


def do_of(step: Step) -> Do | None:
    """Return what a step does."""
    return step.do if isinstance(step, Act) else None


def exit_of(step: Step) -> Exit | None:
    """Return how a step fails."""
    return step.exit if isinstance(step, Fail) else None


def test_maintenance_leaves_the_vm_alone() -> None:
    """A VM in maintenance is not touched, and that is said at WARN."""
    assert Done("web1 is in maintenance and was left as it is", warn=True) == decide(
        at_home(maintenance=True), StartAttempts()
    )


def test_running_at_home_in_order_is_done() -> None:
    """A VM that runs on the local host with its storage in order needs nothing."""
    seen = at_home(on_local=RUNNING, group=GroupKind.ONLINE, machine=ResourceKind.ONLINE)

    assert Done("web1 is running on HOST-1") == decide(seen, StartAttempts())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iscsi": False}, Act(Do.RECONNECT_ISCSI, Side.LOCAL, "HOST-1 has no iSCSI connection to 192.168.139.201")),
        ({"csv": ResourceKind.FAILED}, Act(Do.START_CSV, Side.LOCAL, "Cluster Disk 1 is failed")),
        ({"csv_owner": Place.PEER}, Act(Do.MOVE_CSV, Side.LOCAL, "Cluster Disk 1 is not owned by HOST-1")),
        ({"group": GroupKind.FAILED}, Act(Do.ADOPT, Side.LOCAL, "its group is failed while its guest runs")),
        ({"queued": True}, Wait("the group of web1 is being moved or is changing state")),
        ({"observer": None}, Look("the cluster service on HOST-1 does not answer")),
        ({"observer": None, "peer": Contact.ANSWERS}, Wait("the cluster service on HOST-1 does not answer")),
        ({"csv": ResourceKind.ABSENT}, Wait("Cluster Disk 1 is absent")),
        ({"local_node": NodeKind.QUARANTINED, "csv": ResourceKind.ABSENT}, Wait("Cluster Disk 1 is absent")),
    ],
)
def test_running_at_home_is_put_in_order(changes: dict[str, Any], expected: Step) -> None:
    """What is not in order around a VM that runs at home is mended, one thing at a time."""
    seen = at_home(**{"on_local": RUNNING, "group": GroupKind.ONLINE, "machine": ResourceKind.ONLINE, **changes})

    assert expected == decide(seen, StartAttempts())


def test_running_at_home_never_fails() -> None:
    """After `settle` a start is done, at WARN, whatever is missing around a VM that runs at home."""
    seen = at_home(on_local=RUNNING, observer=None, iscsi=False, csv=ResourceKind.FAILED)
    step = decide(seen, tried(Timer.AT_HOME))

    assert Done("web1 is running on HOST-1, but the cluster service on HOST-1 does not answer", warn=True) == step


@pytest.mark.parametrize(("attempts", "expected"), [(RECENT, Wait), (USED_UP, Wait), (Retry.READY, Act)])
def test_adoption_at_home_is_limited(attempts: Retry, expected: type[Step]) -> None:
    """A failed group around a running guest is adopted a limited number of times, and never fails the start."""
    seen = at_home(on_local=RUNNING, group=GroupKind.FAILED)

    assert expected is type(decide(seen, tried(clears=attempts)))


@pytest.mark.parametrize("refusal", [Refusal.MEMORY, Refusal.DENIED, Refusal.IN_USE])
def test_what_will_not_heal_fails_at_once(refusal: Refusal) -> None:
    """Lack of memory, of rights, or a disk in use ends a start at once, with what to do."""
    step = decide(at_home(), tried(refused=refusal))

    assert Exit.REFUSED is exit_of(step)
    assert isinstance(step, Fail)
    assert step.remedy


def test_lack_of_memory_says_where_the_guest_runs_on() -> None:
    """A migration refused for lack of memory says that the guest goes on running where it is."""
    step = decide(at_peer(), tried(refused=Refusal.MEMORY))

    assert isinstance(step, Fail)
    assert "goes on running on HOST-2" in step.what


def test_a_vm_that_leaves_again_is_somebody_elses() -> None:
    """A VM that was here earlier in the run and has left is not fought over."""
    assert Exit.NOT_AS_ASKED is exit_of(decide(at_peer(), tried(was_home=True)))


def test_a_vm_that_is_still_moving_has_not_left() -> None:
    """While the group is pending nobody says that the VM has left."""
    assert Wait is type(decide(at_peer(group=GroupKind.PENDING), tried(was_home=True)))


def test_quarantine_is_named_with_its_release() -> None:
    """A quarantined local node fails at once, with the cmdlet that releases it."""
    step = decide(at_home(observer=Side.PEER, local_node=NodeKind.QUARANTINED), StartAttempts())

    assert isinstance(step, Fail)
    assert "run on HOST-1: Start-ClusterNode -ClearQuarantine" == step.remedy


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"observer": None}, Look),
        ({"observer": None, "peer": Contact.SILENT}, Wait),
        ({"observer": Side.PEER, "peer": Contact.ANSWERS}, Wait),
    ],
)
def test_without_its_cluster_service_a_start_waits(changes: dict[str, Any], expected: type[Step]) -> None:
    """While the local cluster service does not answer, the peer is asked about the local node, and the start waits."""
    assert expected is type(decide(at_home(**changes), StartAttempts()))


@pytest.mark.parametrize("node", [NodeKind.PAUSED, NodeKind.ISOLATED, NodeKind.DOWN, NodeKind.JOINING])
def test_a_local_node_that_is_not_up_waits(node: NodeKind) -> None:
    """A start waits for a local node that is paused, isolated, down or joining."""
    assert Wait is type(decide(at_home(local_node=node), StartAttempts()))


@pytest.mark.parametrize(
    "changes",
    [
        {"group": GroupKind.ABSENT},
        {"csv": ResourceKind.ABSENT},
        {"configuration": ResourceKind.ABSENT},
        {"machine": ResourceKind.ABSENT},
        {"owner": Place.ELSEWHERE},
    ],
)
def test_what_the_cluster_does_not_know_is_a_configuration_mistake(changes: dict[str, Any]) -> None:
    """A group, volume or resource that the cluster does not have fails as configuration."""
    assert Exit.CONFIG is exit_of(decide(at_home(**changes), StartAttempts()))


@pytest.mark.parametrize(
    "changes",
    [
        {"group": GroupKind.PENDING},
        {"queued": True},
        {"on_local": vm("Off", Doing.MIGRATING)},
        {"on_peer": vm("Running", Doing.MIGRATING)},
    ],
)
def test_a_migration_is_waited_for(changes: dict[str, Any]) -> None:
    """A group that is pending or queued, or a VM that is migrating, is waited for."""
    assert Wait is type(decide(at_home(**changes), StartAttempts()))


@pytest.mark.parametrize(("portal", "expected"), [(Retry.READY, Do.RECONNECT_ISCSI), (RECENT, None)])
def test_iscsi_is_reconnected_now_and_then(portal: Retry, expected: Do | None) -> None:
    """Without a connection to the target the portal is refreshed now and then, not at every look."""
    assert expected is do_of(decide(at_home(iscsi=False), tried(portal=portal)))


@pytest.mark.parametrize(
    ("changes", "what", "expected"),
    [
        ({"csv": ResourceKind.OFFLINE}, {}, Do.START_CSV),
        ({"csv": ResourceKind.FAILED}, {}, Do.START_CSV),
        ({"csv": ResourceKind.PENDING}, {}, None),
        ({"csv": ResourceKind.UNKNOWN}, {}, None),
        ({"csv_owner": Place.PEER}, {}, Do.MOVE_CSV),
        ({"csv_owner": Place.ELSEWHERE}, {}, Do.MOVE_CSV),
        ({"csv": ResourceKind.FAILED, "csv_owner": Place.PEER}, {}, Do.START_CSV),
        ({"csv": ResourceKind.FAILED, "csv_owner": Place.PEER}, {"csv_start_sent": True}, Do.MOVE_CSV),
        ({"csv": ResourceKind.FAILED}, {"csv_start_sent": True}, Do.START_CSV),
    ],
)
def test_the_volume_is_brought_here(changes: dict[str, Any], what: dict[str, Any], expected: Do | None) -> None:
    """The Shared Volume is brought online, and to this host; one that fails to start elsewhere is taken over first."""
    assert expected is do_of(decide(at_home(**changes), tried(**what)))


def test_no_owner_waits() -> None:
    """A group without an owner is waited for."""
    assert Wait("the cluster names no owner of web1") == decide(at_home(owner=Place.NOWHERE), StartAttempts())


def test_the_peer_is_looked_at_before_anything_is_done_to_its_vm() -> None:
    """Nothing is done to a VM that the peer owns before its host was looked at."""
    assert Look is type(decide(at_peer(peer=Contact.UNASKED, on_peer=UNREADABLE), StartAttempts()))


@pytest.mark.parametrize(
    ("on_peer", "expected"),
    [
        *((OFF, Do.MIGRATE_QUICK), (ABSENT, Do.MIGRATE_QUICK), (vm("OffCritical"), Do.MIGRATE_QUICK)),
        *((RUNNING, None), (vm("PausedCritical"), None), (UNREADABLE, None)),
    ],
)
def test_an_isolated_host_that_answers_decides(on_peer: Any, expected: Do | None) -> None:
    """Of an isolated host that answers, only one that does not run the VM lets it go."""
    assert expected is do_of(decide(at_peer(peer_node=NodeKind.ISOLATED, on_peer=on_peer), StartAttempts()))


@pytest.mark.parametrize(
    ("over", "expected"), [((), None), ((Timer.PEER_SILENT,), Do.MIGRATE_QUICK), ((Timer.PEER_CRITICAL,), None)]
)
def test_a_silent_isolated_host_is_given_its_time(over: tuple[Timer, ...], expected: Do | None) -> None:
    """A VM of an isolated and silent host is taken only after `isolated` of silence."""
    seen = at_peer(peer=Contact.SILENT, peer_node=NodeKind.ISOLATED, on_peer=UNREADABLE)

    assert expected is do_of(decide(seen, tried(*over)))


@pytest.mark.parametrize("over", [(), (Timer.PEER_SILENT,), tuple(Timer)])
def test_an_isolated_host_that_shows_life_keeps_its_vm(over: tuple[Timer, ...]) -> None:
    """An isolated host that refuses, breaks off or makes no sense is alive: its VM is never taken, however long."""
    step = decide(at_peer(peer=Contact.TROUBLED, peer_node=NodeKind.ISOLATED, on_peer=UNREADABLE), tried(*over))

    assert Wait("HOST-2 is isolated and cannot be asked, but is alive: it may still run web1") == step


@pytest.mark.parametrize("node", [kind for kind in NodeKind if kind not in (NodeKind.UP, NodeKind.PAUSED)])
@pytest.mark.parametrize("on_local", ["Off", "Paused"])
def test_a_host_that_is_no_full_member_is_looked_at_before_a_start(node: NodeKind, on_local: str) -> None:
    """The cluster does not know what still runs on a host that is out of it: it is asked before a start."""
    seen = at_home(on_local=vm(on_local), peer=Contact.UNASKED, peer_node=node)

    assert isinstance(decide(seen, StartAttempts()), Look)


@pytest.mark.parametrize("node", [NodeKind.DOWN, NodeKind.QUARANTINED])
def test_a_host_that_is_down_loses_its_vm(node: NodeKind) -> None:
    """The VM of a node that the cluster has given up is moved at once."""
    seen = at_peer(peer=Contact.SILENT, peer_node=node, on_peer=UNREADABLE)

    assert Do.MIGRATE_QUICK is do_of(decide(seen, StartAttempts()))


@pytest.mark.parametrize("state", ["Running", "PausedCritical", "Stopping"])
def test_a_down_node_whose_host_still_runs_the_vm_keeps_it(state: str) -> None:
    """As long as its host answers and shows the guest alive, a node that is down does not lose its VM to a start."""
    seen = at_peer(peer_node=NodeKind.DOWN, on_peer=vm(state))

    assert do_of(decide(seen, StartAttempts())) not in (Do.MIGRATE_QUICK, Do.MIGRATE_LIVE, Do.START_VM)


@pytest.mark.parametrize(
    ("node", "machine", "expected"),
    [
        (NodeKind.UP, ResourceKind.ONLINE, Do.MIGRATE_LIVE),
        (NodeKind.PAUSED, ResourceKind.ONLINE, Do.MIGRATE_LIVE),
        (NodeKind.UP, ResourceKind.OFFLINE, Do.MIGRATE_QUICK),
        (NodeKind.UP, ResourceKind.FAILED, None),
        (NodeKind.UP, ResourceKind.UNKNOWN, None),
        (NodeKind.JOINING, ResourceKind.ONLINE, None),
        (NodeKind.UNKNOWN, ResourceKind.OFFLINE, None),
    ],
)
def test_a_silent_host_whose_node_is_up(node: NodeKind, machine: ResourceKind, expected: Do | None) -> None:
    """Where the owner's host is silent but its node up, the VM's resource tells how to move it, or nobody does."""
    seen = at_peer(peer=Contact.SILENT, peer_node=node, machine=machine, on_peer=UNREADABLE)

    assert expected is do_of(decide(seen, StartAttempts()))


def test_a_running_vm_is_migrated_live() -> None:
    """A VM that runs on the peer host is migrated live."""
    assert Act(Do.MIGRATE_LIVE, Side.LOCAL, "it is Running on HOST-2") == decide(at_peer(), StartAttempts())


def test_a_running_vm_of_a_failed_group_is_adopted_first() -> None:
    """A migration needs the resource online, so a failed group adopts its running guest before it."""
    seen = at_peer(group=GroupKind.FAILED)

    assert Do.ADOPT is do_of(decide(seen, StartAttempts()))
    assert Do.MIGRATE_LIVE is do_of(decide(seen, tried(clears=USED_UP)))


@pytest.mark.parametrize(("attempts", "expected"), [(RECENT, Wait), (USED_UP, Fail)])
def test_live_migrations_are_limited(attempts: Retry, expected: type[Step]) -> None:
    """After three live migrations the guest is left running where it is, and the message says so."""
    step = decide(at_peer(), tried(migrations=attempts))

    assert expected is type(step)
    if isinstance(step, Fail):
        assert Exit.NOT_AS_ASKED is step.exit
        assert "goes on running on HOST-2" in step.what


def test_quick_migrations_are_limited() -> None:
    """After three quick migrations a start fails."""
    assert Exit.NOT_AS_ASKED is exit_of(decide(at_peer(on_peer=OFF), tried(migrations=USED_UP)))


@pytest.mark.defect(31)
@pytest.mark.parametrize(
    ("over", "portal", "expected"),
    [
        ((), Retry.READY, (Do.RECONNECT_ISCSI, Side.PEER)),
        ((), RECENT, None),
        ((Timer.PEER_CRITICAL,), Retry.READY, (Do.MIGRATE_QUICK, Side.LOCAL)),
    ],
)
def test_a_critical_vm_on_the_peer(over: tuple[Timer, ...], portal: Retry, expected: tuple[Do, Side] | None) -> None:
    """A VM that lost its storage on the peer host gets it back there, or after `critical` is moved."""
    assert expected == act_of(decide(at_peer(on_peer=vm("PausedCritical")), tried(*over, portal=portal)))


@pytest.mark.parametrize(("attempts", "expected"), [(Retry.READY, Act), (RECENT, Wait), (USED_UP, Fail)])
def test_a_paused_vm_on_the_peer_is_resumed(attempts: Retry, expected: type[Step]) -> None:
    """A VM paused on the peer host is resumed there, a limited number of times."""
    assert expected is type(decide(at_peer(on_peer=vm("Paused")), tried(starts=attempts)))


@pytest.mark.parametrize(
    ("state", "over", "expected"),
    [
        ("Stopping", (), Wait),
        ("Stopping", (Timer.PEER_TRANSITIONAL,), Fail),
        ("Other", (), Wait),
        ("Other", (Timer.ODD,), Fail),
    ],
)
def test_a_vm_in_transition_on_the_peer(state: str, over: tuple[Timer, ...], expected: type[Step]) -> None:
    """A transition, or a word that nobody knows, is waited for up to `settle`, then named."""
    step = decide(at_peer(on_peer=vm(state)), tried(*over))

    assert expected is type(step)
    assert state in str(step)


@pytest.mark.parametrize("on_peer", [OFF, ABSENT, vm("Saved")])
def test_a_vm_that_is_down_on_the_peer_moves_by_quick_migration(on_peer: Any) -> None:
    """A VM that does not run on the peer host is moved by quick migration."""
    assert Do.MIGRATE_QUICK is do_of(decide(at_peer(on_peer=on_peer), StartAttempts()))


def test_two_copies_are_never_risked() -> None:
    """A VM that the local node owns but that lives on the peer host is not started here."""
    seen = at_home(peer=Contact.ANSWERS, on_peer=RUNNING)

    assert Wait is type(decide(seen, StartAttempts()))


@pytest.mark.parametrize(
    ("machine", "attempts", "expected"),
    [
        (ResourceKind.FAILED, Retry.READY, Do.CLEAR_FAILED),
        (ResourceKind.FAILED, RECENT, None),
        (ResourceKind.FAILED, USED_UP, None),
        (ResourceKind.OFFLINE, Retry.READY, Do.START_CONFIGURATION),
    ],
)
def test_a_failed_group_is_cleared(machine: ResourceKind, attempts: Retry, expected: Do | None) -> None:
    """A failed group is cleared by stopping the VM's resource, unless it is the configuration that failed."""
    seen = at_home(group=GroupKind.FAILED, machine=machine, configuration=ResourceKind.FAILED, on_local=ABSENT)

    assert expected is do_of(decide(seen, tried(clears=attempts)))


def test_a_group_that_stays_failed_fails() -> None:
    """A group that fails again after three clears ends the start."""
    seen = at_home(group=GroupKind.FAILED, machine=ResourceKind.FAILED)

    assert Exit.NOT_AS_ASKED is exit_of(decide(seen, tried(clears=USED_UP)))


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (ResourceKind.OFFLINE, Do.START_CONFIGURATION),
        (ResourceKind.FAILED, Do.START_CONFIGURATION),
        (ResourceKind.PENDING, None),
        (ResourceKind.UNKNOWN, None),
    ],
)
def test_the_vm_is_registered(configuration: ResourceKind, expected: Do | None) -> None:
    """A configuration that is not online is started."""
    assert expected is do_of(decide(at_home(configuration=configuration, on_local=ABSENT), StartAttempts()))


@pytest.mark.parametrize(("attempts", "expected"), [(Retry.READY, Act), (RECENT, Wait), (USED_UP, Fail)])
def test_a_vm_that_is_registered_but_not_there(attempts: Retry, expected: type[Step]) -> None:
    """A registered VM that Hyper-V does not know is unregistered and registered again, three times in all."""
    assert expected is type(decide(at_home(on_local=ABSENT), tried(registrations=attempts)))


@pytest.mark.parametrize(
    ("state", "over", "expected"),
    [
        ("Off", (), Do.START_VM),
        ("Saved", (), Do.START_VM),
        ("FastSaved", (), Do.START_VM),
        ("Hibernated", (), Do.START_VM),
        ("Paused", (), Do.RESUME_VM),
        ("Starting", (), None),
        ("OffCritical", (), None),
        ("NeverSeenCritical", (), None),
        ("Other", (), None),
        ("NeverSeen", (), None),
    ],
)
def test_power(state: str, over: tuple[Timer, ...], expected: Do | None) -> None:
    """On the local host a VM that is down is started, one that is paused resumed, any other waited for."""
    assert expected is do_of(decide(at_home(on_local=vm(state)), tried(*over)))


@pytest.mark.defect(19)
@pytest.mark.parametrize("state", ["Off", "Paused"])
@pytest.mark.parametrize(("attempts", "expected"), [(RECENT, Wait), (USED_UP, Fail)])
def test_starts_are_limited(state: str, attempts: Retry, expected: type[Step]) -> None:
    """A VM that does not stay up is started three times, not for ever."""
    assert expected is type(decide(at_home(on_local=vm(state)), tried(starts=attempts)))


def test_an_unknown_word_is_named() -> None:
    """A state that nobody has seen is waited for up to `settle`, then named."""
    step = decide(at_home(on_local=vm("Daydreaming")), tried(Timer.ODD))

    assert isinstance(step, Fail)
    assert "Daydreaming" in step.what


def test_a_vm_that_hyperv_does_not_show_is_waited_for() -> None:
    """Where Get-VM itself fails, nothing is concluded from it."""
    assert Wait is type(decide(at_home(on_local=UNREADABLE), StartAttempts()))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (at_home(on_local=RUNNING), {Timer.AT_HOME}),
        (at_peer(on_peer=vm("PausedCritical")), {Timer.PEER_CRITICAL}),
        (at_peer(on_peer=vm("Saving")), {Timer.PEER_TRANSITIONAL}),
        (at_peer(peer=Contact.SILENT, peer_node=NodeKind.ISOLATED, on_peer=UNREADABLE), {Timer.PEER_SILENT}),
        (at_peer(peer=Contact.SILENT, on_peer=UNREADABLE), set()),
        (at_peer(peer=Contact.TROUBLED, peer_node=NodeKind.ISOLATED, on_peer=UNREADABLE), set()),
        (at_home(on_local=vm("Other")), {Timer.ODD}),
        (at_home(), set()),
    ],
)
def test_timers(seen: Observation, expected: set[Timer]) -> None:
    """Each timer runs exactly while what it times is seen."""
    assert expected == timers(seen)


@pytest.mark.parametrize(
    ("seen", "moved", "expected"),
    [
        (at_home(), True, True),
        (at_home(), False, True),
        (at_peer(), False, False),
        (at_home(group=GroupKind.PENDING), False, False),
        (at_home(group=GroupKind.PENDING, on_local=vm("Starting")), False, True),
        (at_home(group=GroupKind.PENDING, on_local=vm("Starting")), True, False),
        (at_home(observer=Side.PEER), False, False),
    ],
)
def test_is_home(seen: Observation, moved: bool, expected: bool) -> None:
    """A VM is at home once its own cluster service says so and nothing moves; one that executes here, even so,
    unless this run has moved it: a quick migration that fails takes it back."""
    assert expected is is_home(seen, moved=moved)


@pytest.mark.parametrize(
    ("seen", "picture"),
    [
        (None, ""),
        (at_home(), "; its group is offline, owned by HOST-1; the VM is Off on HOST-1"),
        (
            at_peer(group=GroupKind.PENDING, queued=True, on_peer=vm("Saving")),
            "; its group is pending and queued, owned by HOST-2; the VM is absent on HOST-1 and Saving on HOST-2",
        ),
        (
            at_home(owner=Place.NOWHERE, on_local=UNREADABLE),
            "; its group is offline, owned by nobody; the VM is unreadable on HOST-1",
        ),
    ],
)
def test_a_start_that_runs_out_of_time_says_what_it_saw(seen: Observation | None, picture: str) -> None:
    """The last line of a start that ran out of time tells what it waited for, the group's state and the VM's."""
    fail = out_of_time("web1", seen, "it waited")

    assert (Exit.OUT_OF_TIME, f"it waited{picture}") == (fail.exit, fail.seen)


@pytest.mark.parametrize("state", sorted(VM_STATES))
def test_no_state_makes_a_start_stop_a_guest(state: str) -> None:
    """Whatever the state, on either host, a start never stops, saves or turns off a guest that may execute."""
    harmful = {Do.STOP_MACHINE, Do.STOP_VM, Do.TURN_OFF, Do.STOP_CONFIGURATION}
    for seen in (at_home(on_local=vm(state)), at_peer(on_peer=vm(state))):
        step = decide(seen, StartAttempts())

        assert do_of(step) not in harmful
        if VM_STATES[state] is VmKind.RUNNING:
            assert do_of(step) is not Do.MIGRATE_QUICK
