"""The table of states."""

import json
from importlib.resources import files
from typing import Any

import pytest

from ecx_hyperv.decide.facts import UNSEEN, Contact, Place, Side, VmOnHost
from ecx_hyperv.decide.states import (
    GROUP_STATES,
    NODE_STATES,
    RESOURCE_STATES,
    VM_STATES,
    Doing,
    GroupKind,
    NodeKind,
    OfflineAction,
    ResourceKind,
    VmKind,
    doing,
    group_kind,
    heartbeat_is_lost,
    heartbeat_is_ok,
    heartbeat_is_silent,
    is_healthy,
    is_queued,
    node_kind,
    offline_action,
    resource_kind,
    vm_kind,
)
from ecx_hyperv.decide.steps import Act, Do
from tests.decide.support import NAMES, at_peer

ENUMS: dict[str, Any] = json.loads(files("ecx_hyperv.host").joinpath("cmdlets.json").read_text(encoding="utf-8"))[
    "enums"
]


@pytest.mark.defect(18)
@pytest.mark.parametrize(
    ("enum", "table"),
    [
        ("Microsoft.HyperV.PowerShell.VMState", VM_STATES),
        ("Microsoft.FailoverClusters.PowerShell.ClusterGroupState", GROUP_STATES),
        ("Microsoft.FailoverClusters.PowerShell.ClusterResourceState", RESOURCE_STATES),
        ("Microsoft.FailoverClusters.PowerShell.ClusterNodeState", NODE_STATES),
    ],
)
def test_every_state_that_windows_has_is_known(enum: str, table: dict[str, Any]) -> None:
    """Every state that Windows documents is in the table by its name."""
    assert set(ENUMS[enum]["values"]) <= set(table)


@pytest.mark.defect(17, 18)
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Running", VmKind.RUNNING),
        ("Runnin", VmKind.ODD),
        ("running", VmKind.ODD),
        ("", VmKind.ODD),
        ("2", VmKind.ODD),
        ("Failed", VmKind.ODD),
        ("SomethingNewCritical", VmKind.STALLED),
    ],
)
def test_unknown_vm_states(word: str, expected: VmKind) -> None:
    """A word that nobody has seen is odd, and one that says critical is on its way with its storage away."""
    assert expected is vm_kind(word)


def test_other_unknown_states() -> None:
    """Words that nobody has seen for a group, resource or node are unknown."""
    assert GroupKind.UNKNOWN is group_kind("Daydreaming")
    assert ResourceKind.UNKNOWN is resource_kind("Daydreaming")
    assert NodeKind.UNKNOWN is node_kind("Daydreaming", ())


@pytest.mark.parametrize("state", ["Up", "Down", "Paused"])
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("Isolated",), NodeKind.ISOLATED),
        (("Quarantined",), NodeKind.QUARANTINED),
        (("Isolated", "Quarantined"), NodeKind.QUARANTINED),
        (("DrainInProgress",), None),
        (("Normal",), None),
        (("1",), NodeKind.ISOLATED),
        (("65",), NodeKind.ISOLATED),
        (("66",), NodeKind.QUARANTINED),
        (("64",), None),
        (("0",), None),
        (("-2147483648",), None),
        (("\u0661",), None),
    ],
)
def test_flags_outweigh_a_nodes_state(state: str, flags: tuple[str, ...], expected: NodeKind | None) -> None:
    """A node's isolation or quarantine counts more than its state, also where all flags come as one number."""
    assert (expected or NODE_STATES[state]) is node_kind(state, flags)


@pytest.mark.defect(44)
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("Queued",), True),
        (("Locked", "Queued"), True),
        (("4",), True),
        (("65541",), True),
        (("3",), False),
        (("0",), False),
        ((), False),
    ],
)
def test_a_group_that_waits_for_its_turn(flags: tuple[str, ...], expected: bool) -> None:
    """A group is queued if a flag says so, also where all flags come as one number."""
    assert expected is is_queued(flags)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["Ok"], Doing.NOTHING),
        (["InService", "MigratingVirtualMachine"], Doing.MIGRATING),
        (["InService", "BackingUpVirtualMachine"], Doing.HELD),
        (["Ok", "MergingDisks"], Doing.HELD),
        (["Ok", "CreatingSnapshot"], Doing.HELD),
        ([], Doing.NOTHING),
    ],
)
def test_what_is_being_done_to_a_vm(words: list[str], expected: Doing) -> None:
    """The operational status names a migration, or what else holds the VM."""
    assert expected is doing(words)


@pytest.mark.parametrize(
    ("state", "words", "heartbeat", "expected"),
    [
        ("Running", ["Ok"], "OkApplicationsHealthy", True),
        ("Running", ["Ok"], None, True),
        ("Running", ["Ok"], "NoContact", True),
        ("Running", ["Ok"], "LostCommunication", False),
        ("Running", ["CriticalIoError"], "OkApplicationsHealthy", False),
        ("Off", ["Ok"], None, False),
    ],
)
def test_healthy(state: str, words: list[str], heartbeat: str | None, expected: bool) -> None:
    """A guest is healthy if it runs, no status is critical and its heartbeat is not lost."""
    assert expected is is_healthy(vm_kind(state), words, heartbeat)


def test_heartbeats() -> None:
    """A heartbeat is OK, lost, silent, or says nothing."""
    assert heartbeat_is_ok("OkApplicationsUnknown")
    assert not heartbeat_is_ok("Error")
    assert heartbeat_is_lost("LostCommunication")
    assert not heartbeat_is_lost("NoContact")
    assert heartbeat_is_silent("NoContact")
    assert not heartbeat_is_silent(None)


def test_both_sides_are_told_apart() -> None:
    """What is asked of one side is answered for that side."""
    seen = at_peer(peer=Contact.SILENT, peer_node=NodeKind.ISOLATED)

    assert ("HOST-1", "HOST-2") == (NAMES.of(Side.LOCAL), NAMES.of(Side.PEER))
    assert (seen.on_local, seen.on_peer) == (seen.on(Side.LOCAL), seen.on(Side.PEER))
    assert (Contact.ANSWERS, Contact.SILENT) == (seen.contact(Side.LOCAL), seen.contact(Side.PEER))
    assert (NodeKind.UP, NodeKind.ISOLATED) == (seen.node(Side.LOCAL), seen.node(Side.PEER))
    assert Place.PEER is seen.owner


@pytest.mark.parametrize(
    ("state", "live", "shown_down", "critical", "in_transition"),
    [
        ("Running", True, False, False, False),
        ("Paused", True, False, False, False),
        ("Off", False, True, False, False),
        ("FastSaved", False, True, False, False),
        ("OffCritical", False, True, True, False),
        ("PausedCritical", True, False, True, False),
        ("SavingCritical", True, False, True, True),
        ("Saving", True, False, False, True),
        ("Other", True, False, False, True),
    ],
)
def test_what_a_state_means(state: str, live: bool, shown_down: bool, critical: bool, in_transition: bool) -> None:
    """Each state is live or down, critical or not, in transition or not; what is shown down is not live."""
    seen = VmOnHost(vm_kind(state), state)

    assert (live, shown_down, critical, in_transition) == (
        seen.is_live,
        seen.is_shown_down,
        seen.is_critical,
        seen.is_in_transition,
    )
    assert seen.is_not_live is shown_down


def test_absent_and_unreadable_are_no_states() -> None:
    """A VM that a host does not know is not live, and not shown down; one that nobody can read is neither."""
    absent, unseen = VmOnHost(VmKind.ABSENT), UNSEEN

    assert (False, False, True) == (absent.is_live, absent.is_shown_down, absent.is_not_live)
    assert (False, False, False) == (unseen.is_live, unseen.is_shown_down, unseen.is_not_live)


def test_only_the_states_that_hyperv_allows_can_be_cut() -> None:
    """No state on its way is both live and out of transition (TurnOff would discard what is being saved, D24)."""
    cut = {state for state in VM_STATES if VmOnHost(vm_kind(state)).is_live} - {
        state for state in VM_STATES if VmOnHost(vm_kind(state)).is_in_transition
    }

    assert {"Running", "Paused", "RunningCritical", "PausedCritical"} == cut


def test_what_a_step_is_called() -> None:
    """A step on the peer host says so where it is done to what that host has."""
    assert "turn off on the peer host" == Act(Do.TURN_OFF, Side.PEER, "why").words
    assert "turn off" == Act(Do.TURN_OFF, Side.LOCAL, "why").words
    assert "unregister" == Act(Do.STOP_CONFIGURATION, Side.PEER, "why").words


def test_what_blocks_is_what_a_host_does_to_a_vm() -> None:
    """The cmdlets that return only once they are done are those to a VM itself; each that may fail is counted."""
    blocks = {Do.START_VM, Do.RESUME_VM, Do.SHUT_DOWN, Do.FORCE_SHUT_DOWN, Do.TURN_OFF}

    assert blocks == {do for do in Do if do.value.blocks}
    assert all(do.value.counted is not None and do.value.on_host for do in blocks)


@pytest.mark.parametrize(
    ("value", "action"),
    [
        (0, OfflineAction.TURN_OFF),
        (1, OfflineAction.SAVE),
        (2, OfflineAction.SHUT_DOWN),
        (3, OfflineAction.FORCED_SHUTDOWN),
        (4, None),
        (None, None),
    ],
)
def test_offline_action_by_its_number(value: int | None, action: OfflineAction | None) -> None:
    """A number of WSFC's must mean its action, and one that nobody knows must mean none."""
    assert action is offline_action(value)
