"""What every state of every kind means: the only place where a state's name is read.

Hyper-V and WSFC speak in enum members. Their numbers differ between Windows builds (the *Critical
states of a VM were renumbered when Hibernated was added), so a state always travels as its name, and
each name is sorted here, once, into the few kinds that decisions are made of:

VM          A VM is RUNNING, or on its way somewhere (TRANSITIONAL), or PAUSED, or DOWN, or CRITICAL:
            its storage is gone. PausedCritical comes back by itself when the storage does, and
            OffCritical then becomes Off, so CRITICAL is something to wait for, not to repair. STRANDED is
            critical too, but of a guest that was down already, so that nothing of it runs. STALLED is critical
            and on its way somewhere: TurnOff would be refused, or discard what is being saved. "Failed" is no
            VM state, it is a group's. Other, and any word that is not in the table, is ODD: nobody knows
            what it means, so nobody acts on it.
VM, again   What Hyper-V says about a VM besides its state: that it is migrating, that a checkpoint, backup or
            merge holds it, that its health is bad. Never its Status text, which is in the host's language.
resource    ONLINE, OFFLINE, FAILED, or on its way (PENDING). A Shared Volume is a resource too. A paused
            guest's resource is Online: Online is no proof that a guest runs.
group       as its resources; PARTIAL while only some are online.
node        UP, DOWN, PAUSED (drained by an operator), JOINING. Two flags outweigh the state: ISOLATED, a node
            that nobody hears but that may well be running its VMs, and QUARANTINED, one that the cluster has
            thrown out for a while. "Down" on an isolated node says nothing about its VMs.

ABSENT and UNREADABLE are no states but answers: Get-VM does not know the VM on that host (normal while its
configuration resource is Offline), or Get-VM itself failed.
"""

from collections.abc import Iterable, Mapping
from enum import Enum


class VmKind(Enum):
    """What a VM's state means."""

    RUNNING = "running"
    TRANSITIONAL = "transitional"
    PAUSED = "paused"
    DOWN = "down"
    CRITICAL = "critical"
    STRANDED = "down, its storage away"
    STALLED = "in transition, its storage away"
    ODD = "odd"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


class ResourceKind(Enum):
    """What a resource's, or a Shared Volume's, state means."""

    ONLINE = "online"
    OFFLINE = "offline"
    FAILED = "failed"
    PENDING = "pending"
    UNKNOWN = "unknown"
    ABSENT = "absent"


class GroupKind(Enum):
    """What a group's state means."""

    ONLINE = "online"
    OFFLINE = "offline"
    FAILED = "failed"
    PARTIAL = "partial"
    PENDING = "pending"
    UNKNOWN = "unknown"
    ABSENT = "absent"


class NodeKind(Enum):
    """What a node's state and flags mean."""

    UP = "up"
    DOWN = "down"
    PAUSED = "paused"
    JOINING = "joining"
    ISOLATED = "isolated"
    QUARANTINED = "quarantined"
    UNKNOWN = "unknown"


class Doing(Enum):
    """What is being done to a VM, whatever its state."""

    NOTHING = "nothing"
    MIGRATING = "migrating"
    HELD = "held by a checkpoint, backup or merge"


VM_STATES: dict[str, VmKind] = {
    "Running": VmKind.RUNNING,
    "Off": VmKind.DOWN,
    "Saved": VmKind.DOWN,
    "FastSaved": VmKind.DOWN,
    "Hibernated": VmKind.DOWN,
    "Paused": VmKind.PAUSED,
    "Starting": VmKind.TRANSITIONAL,
    "Stopping": VmKind.TRANSITIONAL,
    "Saving": VmKind.TRANSITIONAL,
    "Pausing": VmKind.TRANSITIONAL,
    "Resuming": VmKind.TRANSITIONAL,
    "Reset": VmKind.TRANSITIONAL,
    "FastSaving": VmKind.TRANSITIONAL,
    "ForceShutdown": VmKind.TRANSITIONAL,
    "ForceReboot": VmKind.TRANSITIONAL,
    "ComponentServicing": VmKind.TRANSITIONAL,
    "RunningCritical": VmKind.CRITICAL,
    "OffCritical": VmKind.STRANDED,
    "StoppingCritical": VmKind.STALLED,
    "SavedCritical": VmKind.STRANDED,
    "PausedCritical": VmKind.CRITICAL,
    "StartingCritical": VmKind.STALLED,
    "ResetCritical": VmKind.STALLED,
    "SavingCritical": VmKind.STALLED,
    "PausingCritical": VmKind.STALLED,
    "ResumingCritical": VmKind.STALLED,
    "FastSavedCritical": VmKind.STRANDED,
    "FastSavingCritical": VmKind.STALLED,
    "Other": VmKind.ODD,
}

RESOURCE_STATES: dict[str, ResourceKind] = {
    "Online": ResourceKind.ONLINE,
    "Offline": ResourceKind.OFFLINE,
    "Failed": ResourceKind.FAILED,
    "Pending": ResourceKind.PENDING,
    "OnlinePending": ResourceKind.PENDING,
    "OfflinePending": ResourceKind.PENDING,
    "Initializing": ResourceKind.PENDING,
    "Inherited": ResourceKind.UNKNOWN,
    "Unknown": ResourceKind.UNKNOWN,
}

GROUP_STATES: dict[str, GroupKind] = {
    "Online": GroupKind.ONLINE,
    "Offline": GroupKind.OFFLINE,
    "Failed": GroupKind.FAILED,
    "PartialOnline": GroupKind.PARTIAL,
    "Pending": GroupKind.PENDING,
    "Unknown": GroupKind.UNKNOWN,
}

NODE_STATES: dict[str, NodeKind] = {
    "Up": NodeKind.UP,
    "Down": NodeKind.DOWN,
    "Paused": NodeKind.PAUSED,
    "Joining": NodeKind.JOINING,
    "Isolated": NodeKind.ISOLATED,
    "Quarantined": NodeKind.QUARANTINED,
    "Unknown": NodeKind.UNKNOWN,
}

# Unlike the numbers of states, these bits are the cluster's own and stay.
_NODE_FLAGS = {1: "Isolated", 2: "Quarantined"}
_GROUP_FLAGS = {4: "Queued"}

# Of these a VM's OperationalStatus names at most one, beside Ok and its like.
_MIGRATING = frozenset({"MigratingVirtualMachine", "MigratingPlannedVm", "CheckingCompatibility"})
_HELD = frozenset(
    {
        "ApplyingSnapshot",
        "CreatingSnapshot",
        "DeletingSnapshot",
        "MergingDisks",
        "ExportingVirtualMachine",
        "BackingUpVirtualMachine",
        "ModifyingUpVirtualMachine",
        "StorageMigrationPhaseOne",
        "StorageMigrationPhaseTwo",
    }
)
_BAD_STATUS = frozenset(
    {
        "CriticalIoError",
        "ApplicationCriticalState",
        "SupportingEntityInError",
        "CommunicationFailed",
        "CommunicationTimedOut",
    }
)
_HEARTBEAT_LOST = frozenset({"LostCommunication"})
# What a guest that hangs looks like, and one whose heartbeat service never answered.
_HEARTBEAT_SILENT = frozenset({"LostCommunication", "NoContact"})
_HEARTBEAT_OK = frozenset({"OkApplicationsUnknown", "OkApplicationsHealthy", "OkApplicationsCritical"})


def vm_kind(state: str) -> VmKind:
    """Sort a VM's state; ODD for a word that nobody has seen, STALLED for any that says that its storage is away."""
    known = VM_STATES.get(state)
    if known is None:
        return VmKind.STALLED if state.endswith("Critical") else VmKind.ODD
    return known


class OfflineAction(Enum):
    """What WSFC does to a running guest when it takes the guest's VM resource offline; the values are WSFC's own."""

    TURN_OFF = 0
    SAVE = 1
    SHUT_DOWN = 2
    FORCED_SHUTDOWN = 3


def offline_action(value: int | None) -> OfflineAction | None:
    """Return what a number of WSFC's means; None for none, and for one that nobody knows."""
    return next((one for one in OfflineAction if one.value == value), None)


def resource_kind(state: str) -> ResourceKind:
    """Sort the state of a resource or of a Shared Volume."""
    return RESOURCE_STATES.get(state, ResourceKind.UNKNOWN)


def group_kind(state: str) -> GroupKind:
    """Sort a group's state."""
    return GROUP_STATES.get(state, GroupKind.UNKNOWN)


def is_queued(flags: Iterable[str]) -> bool:
    """Tell whether a group's flags say that it waits for its turn to move."""
    return "Queued" in _by_name(flags, _GROUP_FLAGS)


def _by_name(flags: Iterable[str], names: Mapping[int, str]) -> frozenset[str]:
    """Return flags as names; with a bit that the host has no name for, all of them come as one number."""
    words = frozenset(flags)
    bits = [int(word) for word in words if word.isascii() and word.isdigit()]
    return words | {name for bit, name in names.items() if any(number & bit for number in bits)}


def node_kind(state: str, flags: Iterable[str]) -> NodeKind:
    """Sort a node's state; a quarantine or an isolation outweighs it."""
    flagged = _by_name(flags, _NODE_FLAGS)
    if "Quarantined" in flagged:
        return NodeKind.QUARANTINED
    if "Isolated" in flagged:
        return NodeKind.ISOLATED
    return NODE_STATES.get(state, NodeKind.UNKNOWN)


def doing(operational: Iterable[str]) -> Doing:
    """Say what a VM's operational status names as under way."""
    words = frozenset(operational)
    if words & _MIGRATING:
        return Doing.MIGRATING
    return Doing.HELD if words & _HELD else Doing.NOTHING


def is_healthy(kind: VmKind, operational: Iterable[str], heartbeat: str | None) -> bool:
    """Tell whether a guest is well enough to be left alone: running, no bad status, heartbeat not lost."""
    bad = _BAD_STATUS.intersection(operational)
    return kind is VmKind.RUNNING and not bad and heartbeat not in _HEARTBEAT_LOST


def heartbeat_is_ok(heartbeat: str | None) -> bool:
    """Tell whether the guest's integration services answer."""
    return heartbeat in _HEARTBEAT_OK


def heartbeat_is_lost(heartbeat: str | None) -> bool:
    """Tell whether integration services that had answered have stopped."""
    return heartbeat in _HEARTBEAT_LOST


def heartbeat_is_silent(heartbeat: str | None) -> bool:
    """Tell whether a guest looks hung: no answer now, whether or not there ever was one."""
    return heartbeat in _HEARTBEAT_SILENT
