"""genw-vm's verdicts."""

from typing import Any

import pytest

from ecx_hyperv.decide.facts import Contact, Identity, Observation, Place
from ecx_hyperv.decide.monitor import Health, Span, Watched, judge, spans
from ecx_hyperv.decide.states import VM_STATES, Doing, GroupKind, ResourceKind, VmKind
from tests.decide.support import ABSENT, RUNNING, UNREADABLE, at_home, vm

HEALTHY, FAILED, UNKNOWN = Health.HEALTHY, Health.FAILED, Health.UNKNOWN


def health(seen: Observation, *over: Span, **what: Any) -> Health:
    """Return one look's verdict."""
    return judge(Watched(seen=seen, over=frozenset(over), **what)).health


@pytest.mark.defect(45, 49)
@pytest.mark.parametrize("state", [None, *sorted(VM_STATES)])
@pytest.mark.parametrize("what", [{"maintenance": True}, {"locked": True}])
def test_maintenance_and_our_own_runs_are_healthy(state: str | None, what: dict[str, bool]) -> None:
    """A VM in maintenance, or in a start or stop of ours, is healthy whatever it looks like."""
    seen = at_home(on_local=ABSENT if state is None else vm(state), maintenance=what.get("maintenance", False))

    assert HEALTHY is health(seen, locked=what.get("locked", False))


@pytest.mark.defect(3)
@pytest.mark.parametrize("over", list(Span))
def test_a_silent_host_is_no_evidence(over: Span) -> None:
    """Trouble in reaching the host is never evidence against its VM."""
    assert UNKNOWN is health(at_home(local=Contact.SILENT, on_local=UNREADABLE), over)


def test_running_is_healthy() -> None:
    """A VM that runs on the local host is healthy, whatever the cluster says."""
    assert HEALTHY is health(at_home(on_local=RUNNING, owner=Place.PEER, observer=None, group=GroupKind.FAILED))


@pytest.mark.parametrize(
    ("lost", "over", "expected"),
    [(False, (Span.HEARTBEAT_LOST,), HEALTHY), (True, (), HEALTHY), (True, (Span.HEARTBEAT_LOST,), FAILED)],
)
def test_a_lost_heartbeat(lost: bool, over: tuple[Span, ...], expected: Health) -> None:
    """A heartbeat that is lost for `settle` fails a VM, where it is asked for."""
    assert expected is health(at_home(on_local=RUNNING), *over, heartbeat_lost=lost)


@pytest.mark.defect(44)
@pytest.mark.parametrize("state", ["Paused", "Saving", "Off", "PausedCritical"])
def test_a_checkpoint_backup_or_merge_is_healthy(state: str) -> None:
    """A VM that a checkpoint, backup or merge holds is healthy for as long as that takes."""
    assert HEALTHY is health(at_home(on_local=vm(state, Doing.HELD)), *Span)


@pytest.mark.parametrize(
    "seen",
    [
        at_home(on_local=vm("Starting")),
        at_home(on_local=vm("Off", Doing.MIGRATING)),
        at_home(on_local=ABSENT, owner=Place.PEER, group=GroupKind.PENDING),
        at_home(on_local=ABSENT, queued=True),
        at_home(on_local=ABSENT, configuration=ResourceKind.PENDING),
    ],
)
def test_a_transition_is_healthy_for_a_while(seen: Observation) -> None:
    """A transition or migration is healthy up to `settle`, and afterwards not evidence, unless the VM is down."""
    assert HEALTHY is health(seen)
    assert (FAILED if seen.on_local.kind is VmKind.DOWN else UNKNOWN) is health(seen, Span.IN_TRANSITION)


def test_a_vm_that_wsfc_moved_has_failed_here() -> None:
    """A VM whose group the peer host owns has failed here, and the message says that WSFC moved it."""
    verdict = judge(Watched(seen=at_home(on_local=ABSENT, owner=Place.PEER)))

    assert FAILED is verdict.health
    assert "WSFC moved it to HOST-2" in verdict.why


@pytest.mark.parametrize("state", ["Off", "Saved", "FastSaved", "Hibernated", "Paused"])
def test_down_or_paused_has_failed(state: str) -> None:
    """A VM that is down or paused has failed."""
    assert FAILED is health(at_home(on_local=vm(state)))


@pytest.mark.defect(46)
@pytest.mark.parametrize(("over", "expected"), [((), HEALTHY), ((Span.CRITICAL,), FAILED)])
def test_critical_is_given_time(over: tuple[Span, ...], expected: Health) -> None:
    """A VM whose storage is away is given `settle` to get it back."""
    assert expected is health(at_home(on_local=vm("PausedCritical")), *over)


@pytest.mark.parametrize(
    "seen", [at_home(on_local=vm("Other")), at_home(on_local=vm("NeverSeen")), at_home(on_local=UNREADABLE)]
)
def test_a_word_that_nobody_knows_is_no_evidence(seen: Observation) -> None:
    """A state that nobody knows, or that Hyper-V does not tell, is no evidence."""
    assert UNKNOWN is health(seen, *Span)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"configuration": ResourceKind.OFFLINE}, FAILED),
        ({"configuration": ResourceKind.FAILED}, UNKNOWN),
        ({"configuration": ResourceKind.ONLINE}, UNKNOWN),
        ({"configuration": ResourceKind.UNKNOWN}, UNKNOWN),
        ({"configuration": ResourceKind.ABSENT}, UNKNOWN),
        ({"configuration": ResourceKind.OFFLINE, "group": GroupKind.ABSENT, "owner": Place.NOWHERE}, UNKNOWN),
        ({"observer": None, "configuration": ResourceKind.OFFLINE}, UNKNOWN),
    ],
)
def test_a_vm_that_is_not_registered(changes: dict[str, Any], expected: Health) -> None:
    """A VM that Hyper-V does not know has failed only if the cluster says that it is not registered."""
    assert expected is health(at_home(on_local=ABSENT, **changes), *Span)


@pytest.mark.parametrize("state", ["Off", "Saved", "OffCritical"])
def test_a_contradiction_cannot_be_told_until_it_has_lasted(state: str) -> None:
    """Shown down while the cluster says Online: cannot tell; failed once it has lasted and Get-VM still shows it."""
    seen = at_home(on_local=vm(state), machine=ResourceKind.ONLINE)

    assert UNKNOWN is health(seen, *set(Span) - {Span.CONTRADICTED})
    assert FAILED is health(seen, Span.CONTRADICTED)
    assert Span.CONTRADICTED in spans(Watched(seen=seen))
    assert Span.CONTRADICTED not in spans(Watched(seen=at_home(on_local=vm(state))))


def test_absent_in_contradiction_is_never_failed() -> None:
    """A VM that Get-VM does not show at all while the cluster calls it Online is no evidence, however long."""
    for configuration in (ResourceKind.ONLINE, ResourceKind.FAILED):
        assert UNKNOWN is health(at_home(on_local=ABSENT, configuration=configuration), *Span)


@pytest.mark.parametrize("state", ["Running", "Off", "Paused", "Starting"])
@pytest.mark.parametrize("identity", [Identity.AMBIGUOUS, Identity.UNREAD])
def test_whatever_bears_the_name_is_no_evidence(identity: Identity, state: str) -> None:
    """While it cannot be told which VM is meant, no VM of that name makes it healthy or failed (F7)."""
    verdict = judge(Watched(seen=at_home(identity=identity, lacks="two VMs", on_local=vm(state)), over=frozenset(Span)))

    assert UNKNOWN is verdict.health
    assert ("two VMs" in verdict.why) is True


@pytest.mark.parametrize(("on_local", "expected"), [(RUNNING, HEALTHY), (vm("Off"), UNKNOWN), (ABSENT, UNKNOWN)])
def test_a_vm_in_no_role(on_local: Any, expected: Health) -> None:
    """A known VM in no role is healthy while it runs here, and else cannot be told: its role is gone, not its host."""
    seen = at_home(identity=Identity.NO_ROLE, lacks="", on_local=on_local, owner=Place.NOWHERE)

    assert expected is health(seen, *Span)


@pytest.mark.parametrize(
    ("state", "over", "expected"),
    [
        ("PausedCritical", (), HEALTHY),
        ("PausedCritical", tuple(Span), FAILED),
        ("Paused", (), FAILED),
        ("Other", (), UNKNOWN),
    ],
)
def test_a_vm_that_lives_here_has_not_been_moved(state: str, over: tuple[Span, ...], expected: Health) -> None:
    """A VM that this host shows live was not moved away, whoever is called its owner."""
    verdict = judge(Watched(seen=at_home(on_local=vm(state), owner=Place.PEER), over=frozenset(over)))

    assert expected is verdict.health
    assert "moved" not in verdict.why


@pytest.mark.parametrize(
    ("watched", "expected"),
    [
        (Watched(seen=at_home(on_local=vm("Starting"))), {Span.IN_TRANSITION}),
        (Watched(seen=at_home(on_local=vm("OffCritical"))), {Span.CRITICAL}),
        (Watched(seen=at_home(on_local=RUNNING), heartbeat_lost=True), {Span.HEARTBEAT_LOST}),
        (Watched(seen=at_home(on_local=RUNNING, group=GroupKind.PENDING)), set()),
        (Watched(seen=at_home(local=Contact.SILENT, on_local=UNREADABLE)), set()),
    ],
)
def test_spans(watched: Watched, expected: set[Span]) -> None:
    """A look belongs to the spans that it shows, and a silent host's to none."""
    assert expected == spans(watched)
