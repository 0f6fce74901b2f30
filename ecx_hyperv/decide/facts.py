"""What a decision is made from: one VM, as both hosts and the cluster show it at one moment.

Everything here is small and closed, so that a decision can be tried on every combination there is.
"""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.states import Doing, GroupKind, NodeKind, OfflineAction, ResourceKind, VmKind


class Side(Enum):
    """One of the two hosts, as seen from this EC-VM: the one it runs on, or the other."""

    LOCAL = "local"
    PEER = "peer"

    @property
    def other(self) -> "Side":
        """Return the other host."""
        return Side.PEER if self is Side.LOCAL else Side.LOCAL


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

    @property
    def in_words(self) -> str:
        """Return what a host does that is in this contact: one that refuses a login does answer."""
        return "does not answer" if self in (Contact.SILENT, Contact.UNASKED) else self.value


class Identity(Enum):
    """Which VM is meant by the configured name (a VM is known by its id; names are for people).

    KNOWN: one id, in a role of the cluster. UNREAD: no id yet, and no cluster database of a node that is Up was read.
    AMBIGUOUS: two ids may be meant, or the group holds two VMs. NO_ROLE: such a database was read, and has it nowhere.
    """

    KNOWN = "known"
    UNREAD = "not read yet"
    AMBIGUOUS = "ambiguous"
    NO_ROLE = "in no role"


class Refusal(Enum):
    """Why Hyper-V or the cluster did not do what was asked; each may heal, so each has its patience."""

    NOTHING = "nothing"
    MEMORY = "not enough memory"
    DENIED = "access denied"
    DISK_DENIED = "access to the disk denied"
    IN_USE = "disk in use"
    OTHER = "refused"


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
    def is_shown_down(self) -> bool:
        """Tell whether Get-VM shows the VM there, and down; an absent VM is not shown."""
        return self.kind in (VmKind.DOWN, VmKind.STRANDED)

    @property
    def is_not_live(self) -> bool:
        """Tell whether that host answers for the VM, and shows nothing live: down, or absent."""
        return self.is_shown_down or self.kind is VmKind.ABSENT

    @property
    def is_critical(self) -> bool:
        """Tell whether the VM's storage is away."""
        return self.kind in (VmKind.CRITICAL, VmKind.STALLED, VmKind.STRANDED)

    @property
    def is_in_transition(self) -> bool:
        """Tell whether the VM is on its way to another state, which nobody may cut short."""
        return self.kind in (VmKind.TRANSITIONAL, VmKind.STALLED, VmKind.ODD)


_LIVE = frozenset({VmKind.RUNNING, VmKind.TRANSITIONAL, VmKind.PAUSED, VmKind.CRITICAL, VmKind.STALLED, VmKind.ODD})

UNSEEN = VmOnHost(VmKind.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Names:
    """How the messages call things: the VM, its Shared Volume, the two nodes, the iSCSI target.

    `offline_action` is what the cluster does to the guest when it stops the VM resource, None where its database does
    not say. It is told, and decides nothing.
    """

    vm: str
    csv: str
    local: str
    peer: str
    target: str
    offline_action: OfflineAction | None = None

    def of(self, side: Side) -> str:
        """Name a host by its node."""
        return self.local if side is Side.LOCAL else self.peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One VM at one moment.

    `identity` says whether the id is known, and `lacks` what stands in its way, for a person. `names_fit` is whether a
    host that answers shows a VM of that name which is in no role. `is_fresh` is whether the answers were asked after
    this run's last action on the VM, and lie together. A VM is ABSENT on a host only in a look in which Get-VM there
    shows that host's EC-VM: Hyper-V that has just restarted knows nothing for some seconds. `iscsi_told` is whether the
    local host said anything of its iSCSI connections.
    `observer` is the host whose cluster service told the cluster's facts: the local one if it answers, else the
    peer's, else none, and then those facts are blank. `own_node` and `peer_node` are as the observer sees them.
    `machine` and `configuration` are the states of the VM's two resources.
    """

    names: Names
    maintenance: bool = False
    identity: Identity = Identity.KNOWN
    lacks: str = ""
    names_fit: bool = False
    is_fresh: bool = True
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
    iscsi_told: bool = True
    on_local: VmOnHost = UNSEEN
    on_peer: VmOnHost = UNSEEN

    @property
    def is_migrating(self) -> bool:
        """Tell whether the VM is on its way between the hosts, or about to be, or its group is changing."""
        return self.group is GroupKind.PENDING or self.queued or self.is_migrating_live

    @property
    def is_migrating_live(self) -> bool:
        """Tell whether a host shows the VM in a live migration."""
        return self.on_local.doing is Doing.MIGRATING or self.on_peer.doing is Doing.MIGRATING

    def on(self, side: Side) -> VmOnHost:
        """Return what Get-VM says on that host."""
        return self.on_local if side is Side.LOCAL else self.on_peer

    @property
    def owner_side(self) -> Side | None:
        """Return the host that owns the VM's group; None if that is neither of the two."""
        return {Place.LOCAL: Side.LOCAL, Place.PEER: Side.PEER}.get(self.owner)

    @property
    def is_live(self) -> bool:
        """Tell whether either host shows the VM live, which outweighs everything else."""
        return self.on_local.is_live or self.on_peer.is_live

    def contact(self, side: Side) -> Contact:
        """Return whether that host answers."""
        return self.local if side is Side.LOCAL else self.peer

    def node(self, side: Side) -> NodeKind:
        """Return that host's node state, as the observer sees it."""
        return self.local_node if side is Side.LOCAL else self.peer_node
