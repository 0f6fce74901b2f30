"""vm-start's table, row by row."""

from dataclasses import replace
from typing import Any

import pytest

from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import UNSEEN, Contact, Identity, Observation, Place, Refusal, Side
from ecx_hyperv.decide.hopeless import reached
from ecx_hyperv.decide.start import decide, is_home, out_of_time, timers
from ecx_hyperv.decide.states import VM_STATES, Doing, GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.exits import Exit
from tests.decide.support import (
    ABSENT,
    EVERY_TIMER,
    FAILED,
    OFF,
    OFFLINE,
    ONLINE,
    PENDING,
    RUNNING,
    UNKNOWN,
    UNREADABLE,
    act_of,
    at_home,
    at_peer,
    do_of,
    exit_of,
    here,
    lost,
    off_at_peer,
    vm,
)
from tests.decide.support import start_tried as tried

USED_UP, RECENT = Retry.USED_UP, Retry.RECENT
TWICE = Timer.OFF_TWICE
QUICK = (Do.MIGRATE_QUICK, Do.MIGRATE_LOST)


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
    """What is not in order around a VM that runs at home is repaired, one thing at a time."""
    seen = at_home(**{"on_local": RUNNING, "group": GroupKind.ONLINE, "machine": ResourceKind.ONLINE, **changes})

    assert expected == decide(seen, StartAttempts())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"owner": Place.PEER, "on_peer": vm("Running", Doing.MIGRATING)},
            "live migration of web1 from HOST-2 to HOST-1",
        ),
        (
            {"owner": Place.LOCAL, "on_local": vm("Running", Doing.MIGRATING), "iscsi": False},
            "live migration of web1 from HOST-1 to HOST-2",
        ),
        (
            {"group": GroupKind.PENDING},
            "the group of web1 is being moved or is changing state",
        ),
    ],
)
def test_b2_a_live_migration_names_where_from_and_where_to(changes: dict[str, Any], expected: str) -> None:
    """A wait for a live migration must name the two hosts, where the owner tells which is which."""
    seen = at_home(**{"peer": Contact.ANSWERS, "on_local": vm("Off"), **changes})
    step = decide(seen, StartAttempts())
    assert isinstance(step, Wait)
    assert expected == step.why


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


@pytest.mark.parametrize("node", [kind for kind in NodeKind if kind not in (NodeKind.UP, NodeKind.PAUSED)])
@pytest.mark.parametrize("on_local", ["Off", "Paused"])
def test_a_host_that_is_no_full_member_is_looked_at_before_a_start(node: NodeKind, on_local: str) -> None:
    """The cluster does not know what still runs on a host that is out of it: it is asked before a start."""
    seen = at_home(on_local=vm(on_local), peer=Contact.UNASKED, peer_node=node)

    assert isinstance(decide(seen, StartAttempts()), Look)


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


@pytest.mark.parametrize(("attempts", "expected"), [(Retry.READY, Act), (RECENT, Wait), (USED_UP, Fail)])
def test_a_paused_vm_on_the_peer_is_resumed(attempts: Retry, expected: type[Step]) -> None:
    """A VM paused on the peer host is resumed there, a limited number of times."""
    assert expected is type(decide(at_peer(on_peer=vm("Paused")), tried(starts=attempts)))


def test_two_copies_are_never_risked() -> None:
    """A VM that the local node owns but that lives on the peer host is not started here."""
    seen = at_home(peer=Contact.ANSWERS, on_peer=RUNNING)

    assert Wait is type(decide(seen, StartAttempts()))


def test_a_group_that_stays_failed_fails() -> None:
    """A group that fails again after three clears ends the start."""
    seen = at_home(group=GroupKind.FAILED, machine=ResourceKind.FAILED)

    assert Exit.NOT_AS_ASKED is exit_of(decide(seen, tried(clears=USED_UP)))


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


@pytest.mark.parametrize(
    ("identity", "peer", "expected"),
    [
        (Identity.AMBIGUOUS, Contact.ANSWERS, Exit.CONFIG),
        (Identity.NO_ROLE, Contact.ANSWERS, Exit.CONFIG),
        (Identity.NO_ROLE, Contact.SILENT, Exit.CONFIG),
        (Identity.NO_ROLE, Contact.UNASKED, Look),
        (Identity.UNREAD, Contact.ANSWERS, Wait),
        (Identity.UNREAD, Contact.SILENT, Wait),
        (Identity.UNREAD, Contact.UNASKED, Look),
    ],
)
@pytest.mark.parametrize("state", ["Running", "Off", "Paused"])
def test_without_an_id_nothing_is_touched(identity: Identity, peer: Contact, expected: Any, state: str) -> None:
    """A start of a VM of which no id is known touches nothing, though a VM of that name runs here (F7, F14, D15)."""
    seen = at_home(
        identity=identity, lacks="two VMs", peer=peer, on_local=vm(state), iscsi=False, group=GroupKind.FAILED
    )
    step = decide(seen, tried(*EVERY_TIMER))

    assert expected in (type(step), exit_of(step))
    if isinstance(step, Fail):
        assert "two VMs" == step.seen


def test_maintenance_stands_above_identity() -> None:
    """A VM in maintenance is left, whether it can be told which it is or not."""
    assert Done is type(decide(at_home(maintenance=True, identity=Identity.AMBIGUOUS), tried()))


def test_a_question_that_failed_is_no_missing_thing() -> None:
    """Where the local host did not tell of its iSCSI connections, a VM that runs here is done, without a warning."""
    seen = at_home(on_local=RUNNING, machine=ONLINE, group=GroupKind.ONLINE, iscsi=False, iscsi_told=False)

    assert Done("web1 is running on HOST-1") == decide(seen, tried())
    assert Do.START_VM is do_of(decide(at_home(iscsi=False, iscsi_told=False), tried()))


@pytest.mark.parametrize("refusal", [one for one in Refusal if one not in (Refusal.NOTHING, Refusal.MEMORY)])
def test_what_is_refused_has_its_patience(refusal: Refusal) -> None:
    """What is refused is tried again for `patience`, then ends the start with 8, in the host's own words (F8, F19)."""
    words = "0x80070005: denied"

    assert Do.START_VM is do_of(decide(at_home(), tried(*EVERY_TIMER - {Timer.REFUSED}, refused=refusal, words=words)))
    step = decide(at_home(), tried(Timer.REFUSED, refused=refusal, words=words))
    assert isinstance(step, Fail)
    assert (Exit.REFUSED, words) == (step.exit, step.seen)
    assert step.remedy
    assert ("icacls" in step.remedy) is (refusal is Refusal.DISK_DENIED)
    assert ("Administrators" in step.remedy) is (refusal is Refusal.DENIED)


@pytest.mark.parametrize("changes", [{"csv": OFFLINE}, {"csv_owner": Place.PEER}])
def test_what_concerns_the_disk_counts_only_while_the_volume_is_here(changes: dict[str, Any]) -> None:
    """A disk that is refused while the volume is away is no lasting reason; a login that is refused is (D16)."""
    for refusal in (Refusal.DISK_DENIED, Refusal.IN_USE, Refusal.OTHER):
        assert Act is type(decide(at_home(**changes), tried(Timer.REFUSED, refused=refusal)))
    assert Fail is type(decide(at_home(**changes), tried(Timer.REFUSED, refused=Refusal.DENIED)))


def test_refused_without_words_says_why() -> None:
    """Where the host gave no words, the reason itself stands in their place."""
    step = decide(at_home(), tried(Timer.REFUSED, refused=Refusal.IN_USE))

    assert isinstance(step, Fail)
    assert "disk in use" == step.seen


@pytest.mark.parametrize(
    "attempts",
    [tried(refused=Refusal.MEMORY, memory_twice=True), tried(Timer.REFUSED, refused=Refusal.OTHER)],
)
def test_a_refused_migration_says_where_the_guest_runs_on(attempts: StartAttempts) -> None:
    """A migration that is refused for good says that the guest goes on running where it is."""
    step = decide(at_peer(), attempts)

    assert isinstance(step, Fail)
    assert Exit.REFUSED is step.exit
    assert "goes on running on HOST-2" in step.what


def test_lack_of_memory_is_tried_once_more() -> None:
    """Not enough memory fails a start once it was met again, not before, and nobody is said to run elsewhere."""
    assert Do.START_VM is do_of(decide(at_home(), tried(*EVERY_TIMER, refused=Refusal.MEMORY)))
    step = decide(at_home(), tried(refused=Refusal.MEMORY, memory_twice=True))
    assert isinstance(step, Fail)
    assert "goes on running" not in step.what


@pytest.mark.parametrize(
    "seen",
    [
        at_peer(on_peer=OFF),
        at_peer(on_peer=ABSENT),
        at_peer(on_peer=ABSENT, configuration=FAILED, machine=FAILED),
        at_home(on_local=ABSENT),
        at_home(on_local=ABSENT, machine=ONLINE, group=GroupKind.ONLINE),
    ],
)
def test_a_contradiction_is_waited_for_then_named(seen: Observation) -> None:
    """On a contradiction nothing is done; after `settle` a start fails, naming both sources (D2)."""
    assert Wait is type(decide(seen, tried(*EVERY_TIMER - {Timer.CONTRADICTION})))
    step = decide(seen, tried(*EVERY_TIMER))
    assert isinstance(step, Fail)
    assert Exit.NOT_AS_ASKED is step.exit
    assert "Get-VM" in step.seen
    assert "the cluster calls" in step.seen


def test_what_is_shown_down_here_needs_only_get_vms_word() -> None:
    """A VM that Get-VM shows down here is started, whatever the cluster calls its resource."""
    assert Do.START_VM is do_of(decide(at_home(machine=ONLINE, group=GroupKind.ONLINE), tried(*EVERY_TIMER)))


@pytest.mark.parametrize("machine", [ONLINE, PENDING, UNKNOWN, OFFLINE])
def test_only_a_failed_resource_is_cleared(machine: ResourceKind) -> None:
    """In a failed group, a VM resource that is not Failed is not stopped: WSFC may just have restarted the guest."""
    seen = at_home(group=GroupKind.FAILED, machine=machine)

    assert Do.START_VM is do_of(decide(seen, tried(*EVERY_TIMER)))


@pytest.mark.parametrize(
    ("changes", "attempts", "expected"),
    [
        ({}, Retry.READY, Do.CLEAR_FAILED),
        ({}, RECENT, None),
        ({"on_local": ABSENT, "configuration": OFFLINE}, Retry.READY, Do.CLEAR_FAILED),
        ({"on_local": ABSENT, "configuration": FAILED}, Retry.READY, Do.START_CONFIGURATION),
        ({"on_local": vm("Paused")}, Retry.READY, Do.RESUME_VM),
        ({"on_local": UNREADABLE}, Retry.READY, None),
        ({"group": GroupKind.PARTIAL}, Retry.READY, Do.START_VM),
    ],
)
def test_a_failed_group_is_cleared(changes: dict[str, Any], attempts: Retry, expected: Do | None) -> None:
    """A failed VM resource is cleared where the guest is down, and nowhere else."""
    seen = at_home(**{"group": GroupKind.FAILED, "machine": FAILED, **changes})

    assert expected is do_of(decide(seen, tried(clears=attempts)))


@pytest.mark.parametrize("configuration", [OFFLINE, FAILED])
def test_a_role_that_arrives_failed_is_registered(configuration: ResourceKind) -> None:
    """A configuration that is Offline or Failed on this host is started, while a contradiction has its time."""
    for on_local in (ABSENT, OFF):
        seen = at_home(configuration=configuration, on_local=on_local, machine=OFFLINE, group=GroupKind.FAILED)
        assert Do.START_CONFIGURATION is do_of(decide(seen, tried()))


@pytest.mark.parametrize("away", [{"csv": FAILED}, {"csv": PENDING}, {"csv_owner": Place.PEER}])
def test_a_role_that_arrives_failed_has_its_time_once_the_volume_is_here(away: dict[str, Any]) -> None:
    """While the volume is away the time of a Failed configuration does not run, and nothing is said of it."""
    seen = {"configuration": FAILED, "on_local": ABSENT, "group": GroupKind.FAILED}

    assert Timer.CONTRADICTION not in timers(at_home(**seen, **away), frozenset(), cleared=False)
    assert not isinstance(decide(at_home(**seen, **away), tried(Timer.CONTRADICTION)), Fail)
    assert Timer.CONTRADICTION in timers(at_home(**seen), frozenset(), cleared=False)
    assert Fail is type(decide(at_home(**seen), tried(Timer.CONTRADICTION)))


@pytest.mark.parametrize("configuration", [PENDING, UNKNOWN])
def test_a_configuration_on_its_way_is_waited_for(configuration: ResourceKind) -> None:
    """A configuration that is on its way, or in a state that nobody knows, is waited for."""
    assert Wait is type(decide(at_home(configuration=configuration, on_local=ABSENT), tried(*EVERY_TIMER)))


def test_a_host_that_shows_it_live_outweighs_the_owner() -> None:
    """A VM that the peer owns but that lives on this host is not fetched."""
    for state in ("Paused", "Starting", "PausedCritical"):
        assert Wait is type(decide(off_at_peer(on_local=vm(state)), tried(*EVERY_TIMER)))


@pytest.mark.parametrize("node", [NodeKind.DOWN, NodeKind.QUARANTINED, NodeKind.ISOLATED])
@pytest.mark.parametrize("state", ["Running", "Paused", "PausedCritical", "Stopping", "Other"])
def test_a_node_that_is_out_and_whose_host_shows_life_keeps_its_vm(node: NodeKind, state: str) -> None:
    """As long as its host answers and shows the guest live, a node that is out does not lose its VM to a start."""
    step = decide(at_peer(peer_node=node, on_peer=vm(state)), tried(*EVERY_TIMER))

    assert isinstance(step, Wait)
    assert state in step.why


PROVEN = [
    (off_at_peer(), (), Do.MIGRATE_QUICK),
    (off_at_peer(machine=FAILED, group=GroupKind.FAILED), (), Do.MIGRATE_QUICK),
    (off_at_peer(on_peer=ABSENT, configuration=OFFLINE), (), Do.MIGRATE_QUICK),
    (off_at_peer(on_peer=UNREADABLE, peer=Contact.TROUBLED, configuration=OFFLINE), (), Do.MIGRATE_QUICK),
    (off_at_peer(on_peer=UNREADABLE, peer=Contact.TROUBLED), (Timer.MACHINE_OFFLINE,), Do.MIGRATE_QUICK),
    (at_peer(peer_node=NodeKind.ISOLATED, on_peer=OFF), (), Do.MIGRATE_LOST),
    (at_peer(peer_node=NodeKind.DOWN, on_peer=vm("OffCritical")), (), Do.MIGRATE_LOST),
    (lost(peer_node=NodeKind.DOWN), (), Do.MIGRATE_LOST),
    (lost(peer_node=NodeKind.QUARANTINED), (), Do.MIGRATE_LOST),
    (lost(peer_node=NodeKind.DOWN, peer=Contact.TROUBLED), (Timer.OWNER_UNREADABLE,), Do.MIGRATE_LOST),
    (lost(), (Timer.OWNER_SILENT,), Do.MIGRATE_LOST),
]


@pytest.mark.parametrize(("seen", "over", "expected"), PROVEN)
def test_a_quick_migration_takes_a_proof_two_looks_and_fresh_answers(
    seen: Observation, over: tuple[Timer, ...], expected: Do
) -> None:
    """What is off by (a) to (d) or (f) is fetched by quick migration, in two looks that lie together.

    The span of silence that (d) takes is made of many looks.
    """
    assert (expected, Side.LOCAL) == act_of(decide(seen, tried(*over, TWICE)))
    assert (Act if Timer.OWNER_SILENT in over else Wait) is type(decide(seen, tried(*over)))
    assert Wait is type(decide(replace(seen, is_fresh=False), tried(*over, TWICE)))
    if over:
        assert do_of(decide(seen, tried(TWICE))) not in QUICK
    assert Timer.OFF_TWICE in timers(seen, frozenset(over), cleared=False)


@pytest.mark.parametrize(("attempts", "expected"), [(RECENT, Wait), (USED_UP, Exit.NOT_AS_ASKED)])
@pytest.mark.parametrize(("seen", "over", "_do"), PROVEN)
def test_quick_migrations_are_limited(
    seen: Observation, over: tuple[Timer, ...], _do: Do, attempts: Retry, expected: Any
) -> None:
    """A quick migration is tried again after a pause, and after three a start fails."""
    step = decide(seen, tried(*over, TWICE, migrations=attempts))

    assert expected in (type(step), exit_of(step))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (lost(), "isolated and silent"),
        (lost(peer=Contact.TROUBLED), "isolated, but alive"),
        (lost(peer=Contact.ANSWERS), "isolated, but alive"),
        (lost(peer_node=NodeKind.DOWN, peer=Contact.TROUBLED), "the cluster cannot tell"),
        (lost(peer_node=NodeKind.UP, machine=FAILED), "the cluster cannot tell"),
        (lost(peer_node=NodeKind.UP, machine=UNKNOWN), "the cluster cannot tell"),
        (lost(peer_node=NodeKind.JOINING), "the cluster cannot tell"),
        (lost(peer_node=NodeKind.UNKNOWN, machine=OFFLINE), "the cluster cannot tell"),
        (off_at_peer(machine=UNKNOWN), "the cluster does not say the same"),
        (off_at_peer(on_peer=ABSENT, configuration=PENDING), "not registered on HOST-2"),
    ],
)
def test_without_a_proof_a_vm_stays_where_it_is(seen: Observation, words: str) -> None:
    """What nobody proves to be off is waited for, and the message says what is missing."""
    step = decide(seen, tried(TWICE))

    assert isinstance(step, Wait)
    assert words in step.why


@pytest.mark.parametrize("over", [(), (Timer.OWNER_SILENT,), tuple(Timer)])
@pytest.mark.parametrize("contact", [Contact.TROUBLED, Contact.ANSWERS])
def test_an_isolated_host_that_shows_life_keeps_its_vm(over: tuple[Timer, ...], contact: Contact) -> None:
    """An isolated host that refuses, breaks off or makes no sense is alive: its VM is never taken, however long."""
    assert Wait is type(decide(lost(peer=contact), tried(*over)))


@pytest.mark.parametrize("node", [NodeKind.UP, NodeKind.PAUSED])
@pytest.mark.parametrize("contact", [Contact.SILENT, Contact.TROUBLED, Contact.ANSWERS])
def test_an_unreadable_host_whose_node_is_up_gives_a_running_vm_live(node: NodeKind, contact: Contact) -> None:
    """Where the owner's host cannot be read but its node is up and the VM resource Online, the VM is migrated live."""
    assert Do.MIGRATE_LIVE is do_of(decide(lost(peer_node=node, peer=contact), tried(*EVERY_TIMER)))


@pytest.mark.defect(31)
@pytest.mark.parametrize(
    ("over", "what", "expected"),
    [
        ((), {}, (Do.RECONNECT_ISCSI, Side.PEER)),
        ((), {"portal": RECENT}, None),
        ((Timer.PEER_CRITICAL,), {}, (Do.MIGRATE_LOST, Side.LOCAL)),
        ((Timer.PEER_CRITICAL,), {"migrations": RECENT}, None),
    ],
)
@pytest.mark.parametrize("state", ["PausedCritical", "RunningCritical"])
def test_a_critical_vm_on_the_peer(
    state: str, over: tuple[Timer, ...], what: dict[str, Any], expected: tuple[Do, Side] | None
) -> None:
    """A VM that lost its storage on the peer host gets it back there, or after `critical` is moved."""
    assert expected == act_of(decide(at_peer(on_peer=vm(state)), tried(*over, **what)))


def test_a_critical_vm_is_given_up_on_fresh_answers_only() -> None:
    """A guest that may have got its storage back since is not moved, and after three moves a start fails."""
    seen = at_peer(on_peer=vm("PausedCritical"))

    assert Wait is type(decide(replace(seen, is_fresh=False), tried(*EVERY_TIMER)))
    assert Exit.NOT_AS_ASKED is exit_of(decide(seen, tried(*EVERY_TIMER, migrations=USED_UP)))


@pytest.mark.parametrize(
    ("state", "over", "expected"),
    [
        ("Stopping", (), Wait),
        ("Stopping", (Timer.PEER_TRANSITIONAL,), Fail),
        ("SavingCritical", (), Wait),
        ("SavingCritical", (Timer.PEER_TRANSITIONAL,), Fail),
        ("Other", (), Wait),
        ("Other", (Timer.ODD,), Fail),
    ],
)
def test_a_vm_in_transition_on_the_peer(state: str, over: tuple[Timer, ...], expected: type[Step]) -> None:
    """A transition, or a word that nobody knows, is waited for up to `settle`, then named."""
    step = decide(at_peer(on_peer=vm(state)), tried(*over))

    assert expected is type(step)
    assert state in str(step)


@pytest.mark.parametrize(
    ("seen", "over", "cleared", "expected"),
    [
        (at_home(on_local=RUNNING, machine=ONLINE), (), False, {Timer.AT_HOME}),
        (at_home(), (), False, {Timer.MACHINE_OFFLINE, TWICE}),
        (at_home(), (), True, {TWICE}),
        (at_home(on_local=vm("Other"), machine=ONLINE), (), False, {Timer.ODD}),
        (at_peer(on_peer=vm("PausedCritical")), (), False, {Timer.PEER_CRITICAL}),
        (at_peer(on_peer=vm("Saving")), (), False, {Timer.PEER_TRANSITIONAL}),
        (at_peer(on_peer=vm("SavingCritical")), (), False, {Timer.PEER_TRANSITIONAL}),
        (at_peer(on_peer=OFF), (), False, {Timer.CONTRADICTION}),
        (lost(), (), False, {Timer.OWNER_SILENT, Timer.OWNER_UNREADABLE}),
        (lost(), (Timer.OWNER_SILENT,), False, {Timer.OWNER_SILENT, Timer.OWNER_UNREADABLE, TWICE}),
        (lost(peer=Contact.TROUBLED), (), False, {Timer.OWNER_UNREADABLE}),
        (lost(peer=Contact.UNASKED), (), False, set()),
        (at_peer(), (), False, set()),
    ],
)
def test_timers(seen: Observation, over: tuple[Timer, ...], cleared: bool, expected: set[Timer]) -> None:
    """Each timer runs exactly while what it times is seen."""
    assert expected == timers(seen, frozenset(over), cleared=cleared)
    assert expected | {Timer.REFUSED} == timers(seen, frozenset(over), cleared=cleared, refused=Refusal.OTHER)


def test_every_timer_of_a_start_can_run() -> None:
    """No limit that a start decides by is one that never runs."""
    seen = [at_home(on_local=RUNNING), at_home(on_local=vm("Other")), lost(), at_peer(on_peer=OFF), off_at_peer()]
    seen += [at_peer(on_peer=vm("PausedCritical")), at_peer(on_peer=vm("Saving"))]
    ran = {timer for one in seen for timer in timers(one, frozenset(), cleared=False, refused=Refusal.OTHER)}

    assert {
        *(Timer.AT_HOME, Timer.PEER_CRITICAL, Timer.PEER_TRANSITIONAL, Timer.ODD, Timer.CONTRADICTION, Timer.REFUSED),
        *(Timer.OWNER_SILENT, Timer.OWNER_UNREADABLE, Timer.MACHINE_OFFLINE, TWICE),
    } == ran


@pytest.mark.parametrize("state", sorted(VM_STATES))
def test_no_state_makes_a_start_stop_a_guest(state: str) -> None:
    """Whatever the state, on either host, a start never stops, saves or turns off a guest that may execute."""
    harmful = {Do.STOP_MACHINE, Do.SHUT_DOWN, Do.FORCE_SHUT_DOWN, Do.TURN_OFF, Do.STOP_CONFIGURATION}
    for seen in (at_home(on_local=vm(state)), at_peer(on_peer=vm(state))):
        for over in ((), tuple(Timer)):
            step = decide(seen, tried(*over))

            assert do_of(step) not in harmful
            if VM_STATES[state] is VmKind.RUNNING:
                assert do_of(step) not in QUICK


@pytest.mark.parametrize(
    ("seen", "do"),
    [
        (here(), Do.RECONNECT_ISCSI),
        (here(), Do.CLEAR_FAILED),
        (here(), Do.ADOPT),
        (at_peer(), Do.RESUME_VM),
        (at_peer(on_peer=vm("PausedCritical")), Do.MIGRATE_LIVE),
        (off_at_peer(), Do.MIGRATE_LIVE),
        (at_peer(on_peer=UNSEEN, peer_node=NodeKind.ISOLATED), Do.MIGRATE_LIVE),
        (here(), Do.START_CSV),
        (here(), Do.MOVE_CSV),
        (here(), Do.START_CONFIGURATION),
        (here(on_local=vm("Paused")), Do.START_VM),
        (here(), Do.RESUME_VM),
        (here(), Do.MIGRATE_LIVE),
        (here(), Do.MIGRATE_QUICK),
        (here(), Do.MIGRATE_LOST),
    ],
)
def test_a_step_whose_goal_is_reached_was_refused_in_vain(seen: Observation, do: Do) -> None:
    """What refused a step is over once its goal stands, or once nothing calls for the step; and not before."""
    away = at_peer(
        on_peer=vm("Paused"),
        iscsi=False,
        csv=OFFLINE,
        csv_owner=Place.PEER,
        configuration=OFFLINE,
        machine=ResourceKind.FAILED,
    )

    assert do in reached(seen)
    assert frozenset() == reached(away)
