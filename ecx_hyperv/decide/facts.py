"""What a decision is made from: one VM, as both hosts and the cluster show it at one moment.

Everything here is small and closed, so that a decision can be tried on every combination there is.
"""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.states import Doing, GroupKind, NodeKind, ResourceKind, VmKind


class Side(Enum):
    """One of the two hosts, as seen from this EC-VM: the one it runs on, or the other."""

    LOCAL = "local"
    PEER = "peer"


class Place(Enum):
    """Where the cluster says that something is: on a host, on a node that is neither, or nowhere."""

    LOCAL = "local"
    PEER = "peer"
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"


class Contact(Enum):
    """Whether a host answered when it was last looked at; SILENT is one from which nothing at all came back.

    TROUBLED is any other that could not be asked: one that refuses a connection or a login, shows another key,
    breaks off or makes no sense is alive, and so may its guests be.
    """

    ANSWERS = "answers"
    TROUBLED = "cannot be asked"
    SILENT = "silent"
    UNASKED = "unasked"


class Refusal(Enum):
    """Why Hyper-V or the cluster will not do what was asked, however often it is asked."""

    NOTHING = "nothing"
    MEMORY = "not enough memory"
    DENIED = "access denied"
    IN_USE = "disk in use"


@dataclass(frozen=True, slots=True)
class VmOnHost:
    """What Get-VM on one host says about the VM; `word` is the state as Hyper-V names it."""

    kind: VmKind
    word: str = ""
    doing: Doing = Doing.NOTHING
    healthy: bool = False

    @property
    def is_live(self) -> bool:
        """Tell whether a guest may be executing, or hold its disk, on that host."""
        return self.kind in _LIVE

    @property
    def is_gone(self) -> bool:
        """Tell whether no guest executes on that host, for certain, and nothing keeps it from being moved."""
        return self.kind in (VmKind.DOWN, VmKind.ABSENT)

    @property
    def is_off(self) -> bool:
        """Tell whether no guest executes on that host, for certain."""
        return self.is_gone or self.kind is VmKind.STRANDED

    @property
    def is_critical(self) -> bool:
        """Tell whether the VM's storage is away."""
        return self.kind in (VmKind.CRITICAL, VmKind.STRANDED)


_LIVE = frozenset({VmKind.RUNNING, VmKind.TRANSITIONAL, VmKind.PAUSED, VmKind.CRITICAL, VmKind.ODD})

UNSEEN = VmOnHost(VmKind.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Names:
    """How the messages call things: the VM, its Shared Volume, the two nodes, the iSCSI target."""

    vm: str
    csv: str
    local: str
    peer: str
    target: str

    def of(self, side: Side) -> str:
        """Name a host by its node."""
        return self.local if side is Side.LOCAL else self.peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One VM at one moment.

    `observer` is the host whose cluster service told the cluster's facts: the local one if it answers, else the
    peer's, else none, and then those facts are blank. `own_node` and `peer_node` are as the observer sees them.
    `machine` and `configuration` are the states of the VM's two resources.
    """

    names: Names
    maintenance: bool = False
    local: Contact = Contact.ANSWERS
    peer: Contact = Contact.UNASKED
    observer: Side | None = Side.LOCAL
    local_node: NodeKind = NodeKind.UP
    peer_node: NodeKind = NodeKind.UP
    owner: Place = Place.LOCAL
    group: GroupKind = GroupKind.ONLINE
    queued: bool = False
    configuration: ResourceKind = ResourceKind.ONLINE
    machine: ResourceKind = ResourceKind.ONLINE
    csv: ResourceKind = ResourceKind.ONLINE
    csv_owner: Place = Place.LOCAL
    iscsi: bool = True
    on_local: VmOnHost = UNSEEN
    on_peer: VmOnHost = UNSEEN

    @property
    def is_migrating(self) -> bool:
        """Tell whether the VM is on its way between the hosts, or about to be, or its group is changing."""
        return (
            self.group is GroupKind.PENDING
            or self.queued
            or self.on_local.doing is Doing.MIGRATING
            or self.on_peer.doing is Doing.MIGRATING
        )

    def on(self, side: Side) -> VmOnHost:
        """Return what Get-VM says on that host."""
        return self.on_local if side is Side.LOCAL else self.on_peer

    def contact(self, side: Side) -> Contact:
        """Return whether that host answers."""
        return self.local if side is Side.LOCAL else self.peer

    def node(self, side: Side) -> NodeKind:
        """Return that host's node state, as the observer sees it."""
        return self.local_node if side is Side.LOCAL else self.peer_node
