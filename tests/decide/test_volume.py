"""When a stop takes a Shared Volume offline, and when it leaves it."""

from typing import Any

import pytest

from ecx_hyperv.decide.facts import Contact, Side
from ecx_hyperv.decide.states import ResourceKind
from ecx_hyperv.decide.steps import Act, Do, Done, Look, Retry, Step, Timer, Wait
from ecx_hyperv.decide.volume import Users, VolumeObservation, decide, is_unused

NOTHING: frozenset[Timer] = frozenset()
TWICE = frozenset({Timer.OFF_TWICE})


def seen(**changes: Any) -> VolumeObservation:
    """Return an online volume that nobody uses any more."""
    usual = {
        "csv": "Cluster Disk 1",
        "state": ResourceKind.ONLINE,
        "users": Users.NONE,
        "because": "",
        "local": Contact.ANSWERS,
        "peer": Contact.ANSWERS,
    }
    return VolumeObservation(**{**usual, **changes})


def test_an_unused_volume_is_taken_offline() -> None:
    """A volume that no other VM may be on is taken offline in a second look, where the cluster service answers."""
    assert Act(Do.STOP_CSV, Side.LOCAL, "no other VM is on Cluster Disk 1") == decide(seen(), Retry.READY, TWICE)
    assert Do.STOP_CSV is getattr(decide(seen(observer=Side.PEER), Retry.USED_UP, TWICE), "do", None)
    assert Wait is type(decide(seen(), Retry.READY, NOTHING))


@pytest.mark.defect(35)
@pytest.mark.parametrize(
    "changes",
    [
        {"users": Users.SOME, "because": "web2 is on it"},
        {"users": Users.DOUBT, "because": "web2 may be on it"},
        {"local": Contact.SILENT},
        {"peer": Contact.SILENT},
        {"local": Contact.TROUBLED},
        {"peer": Contact.TROUBLED},
        {"peer": Contact.UNASKED},
        {"state": ResourceKind.UNKNOWN},
    ],
)
def test_a_doubt_leaves_the_volume(changes: dict[str, Any]) -> None:
    """A volume in use, a doubt, or a silent host leaves the volume as it is, and says why."""
    step = decide(seen(**changes), Retry.READY, TWICE)
    assert not is_unused(seen(**changes))

    assert isinstance(step, Done)
    assert "left" in step.how
    assert not step.warn


@pytest.mark.parametrize("state", [ResourceKind.OFFLINE, ResourceKind.FAILED, ResourceKind.ABSENT])
def test_a_volume_that_is_not_online_is_done(state: ResourceKind) -> None:
    """A volume that is not online needs nothing."""
    assert isinstance(decide(seen(state=state), Retry.READY, NOTHING), Done)


@pytest.mark.parametrize(
    ("changes", "stop", "expected"),
    [
        ({"state": ResourceKind.PENDING}, Retry.READY, Wait),
        ({}, Retry.RECENT, Wait),
        ({"users": Users.UNASKED}, Retry.READY, Look),
    ],
)
def test_what_is_not_known_yet_is_waited_for(changes: dict[str, Any], stop: Retry, expected: type[Step]) -> None:
    """A volume on its way down is waited for, and VMs whose volume is not known are looked at first."""
    assert expected is type(decide(seen(**changes), stop, TWICE))


def test_a_volume_that_will_not_go_fails_no_stop() -> None:
    """A volume that does not go offline for `leftover` is left, at WARN."""
    step = decide(seen(), Retry.RECENT, frozenset({Timer.OFF}))

    assert isinstance(step, Done)
    assert step.warn


@pytest.mark.parametrize("state", list(ResourceKind))
def test_only_an_online_volume_is_unused(state: ResourceKind) -> None:
    """The two looks count only while the volume is online: one that changes between them starts anew."""
    assert is_unused(seen(state=state)) is (state is ResourceKind.ONLINE)


def test_what_somebody_brings_online_again_is_left() -> None:
    """A volume that this run has taken offline, and that is online again, is in use by somebody else."""
    assert Wait is type(decide(seen(), Retry.RECENT, TWICE, was_stopped=True))
    assert isinstance(decide(seen(), Retry.READY, TWICE, was_stopped=True), Done)
    assert Act is type(decide(seen(), Retry.READY, TWICE))
