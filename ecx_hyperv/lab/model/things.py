"""What the lab's world is made of: hosts, EC-VMs, guests, protected VMs, Shared Volumes, networks. Data, no rules."""

import uuid
from dataclasses import dataclass, field
from enum import Enum

from ecx_hyperv.decide.states import OfflineAction, VmKind, vm_kind
from ecx_hyperv.lab.model.facts import HostSetup, LinuxSetup, VmSetup, of_ec_vm


class Plane(Enum):
    """A network: for logins and heartbeats, for the mirror (and heartbeats), for iSCSI."""

    MANAGEMENT = "management"
    MIRROR = "mirror"
    STORAGE = "storage"


class Sshd(Enum):
    """How a host's SSH server behaves, as long as the host is on."""

    UP = "up"
    STOPPED = "stopped"
    SILENT = "silent"
    REFUSING = "refusing"


class ShutdownService(Enum):
    """How a guest's integration service for shutting down takes a request, once the guest has booted."""

    READY = "ready"
    # The operating system has no integration services, or has them turned off.
    MISSING = "missing"
    # It answers that it is not ready, for as long as this is set.
    NOT_READY = "not ready"
    # Somebody works on the guest's desktop: only a forced shutdown is taken.
    LOCKED = "locked"
    # It takes the request, says that the shutdown is in progress, and never gets to the end.
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: what, to whom, and what came of it."""

    at: float
    what: str
    who: str
    where: str = ""
    state: str = ""


@dataclass(slots=True)
class Guest:
    """A VM as a host's Hyper-V knows it; `started` is when it last booted, by the world's clock."""

    state: str = "Off"
    started: float | None = None
    # What is under way bears a number; a later one makes the earlier one moot.
    job: int = 0
    doing: str = ""
    heartbeat: str = "OkApplicationsHealthy"
    # Since when it has had no storage, and what it is to be once that is back.
    starved: float | None = None
    healed: str = ""
    # When the host asked it for the first time in this boot to shut down, whatever it answered; whether it is at it.
    asked: float | None = None
    going_down: bool = False
    # Since when it has been paused.
    paused: float | None = None

    @property
    def is_live(self) -> bool:
        """Tell whether the guest executes, or could go on to."""
        return vm_kind(self.state) not in (VmKind.DOWN, VmKind.STRANDED)


@dataclass(frozen=True, slots=True)
class ClusterEntry:
    """What the cluster database says of one resource of a VM: names, the VM's id, ids of volumes, OfflineAction."""

    resource: str
    type: str
    group: str
    id: str
    volumes: tuple[str, ...]
    offline_action: int | None = None


@dataclass(slots=True)
class HostRefusal:
    """A cmdlet that a host refuses, so many times or until a moment, with a Win32 code, an id, a category."""

    cmdlet: str
    about: str = ""
    code: int = 0
    identifier: str = ""
    category: str = "NotSpecified"
    times: int | None = None
    until: float | None = None


@dataclass(slots=True)
class Host:
    """A Hyper-V host; `name` is its node's."""

    name: str
    on: bool = True
    sshd: Sshd = Sshd.UP
    # The cluster service runs; it has left the cluster in good order; an operator paused or the cluster shut it out.
    service: bool = True
    left_cleanly: bool = False
    paused: bool = False
    quarantined: bool = False
    joining: bool = False
    # Hyper-V's management service runs; without it guests run on, but nobody can ask about them.
    vmms: bool = True
    # Until when a management service that has just started knows no protected VM, and not even the EC-VM.
    blind_until: float = 0.0
    ec_vm_blind_until: float = 0.0
    memory: int = 64
    # Since when it has been on; what its clock since boot counts from.
    booted_at: float = 0.0
    # The cluster's database as this node last had it, while it cannot have the present one; whether it has none at all.
    database: tuple["ClusterEntry", ...] | None = None
    no_database: bool = False
    # The cmdlets that never end on this host; what it refuses for a while.
    hangs: set[str] = field(default_factory=set)
    refusals: list["HostRefusal"] = field(default_factory=list)
    # To which EC-VM's target it is connected, and whether it is trying to be.
    session: str = ""
    reconnecting: bool = False
    facts: HostSetup = field(default_factory=HostSetup)


@dataclass(slots=True)
class EcVm:
    """An EC-VM: a guest of its host that is not clustered; `name` is the ECX node's."""

    name: str
    vm: str
    host: str
    guest: Guest = field(default_factory=lambda: Guest("Running", 0.0))
    id: str = ""
    booted: bool = True
    hung: bool = False
    serving: bool = False
    # Whether it stands still, as one that is saved and restored; since when, until when, and for how long before that.
    frozen: bool = False
    frozen_since: float = 0.0
    frozen_until: float = 0.0
    frozen_before: float = 0.0
    generation: int = 0
    facts: VmSetup = field(default_factory=of_ec_vm)
    linux: LinuxSetup = field(default_factory=LinuxSetup)

    def __post_init__(self) -> None:
        self.id = self.id or vm_id(self.vm)

    @property
    def is_alive(self) -> bool:
        """Tell whether its operating system runs and answers."""
        return self.booted and not self.hung and not self.frozen and self.guest.state == "Running"

    def stood_still(self, now: float) -> float:
        """Return for how many seconds it has stood still so far: its own clocks lack them."""
        return self.frozen_before + max(0.0, min(now, self.frozen_until) - self.frozen_since)


@dataclass(slots=True)
class Volume:
    """A Shared Volume."""

    name: str
    id: str
    owner: str
    state: str = "Online"
    failures: int = 0
    generation: int = 0
    # To which host it is being moved.
    moving_to: str = ""
    # Since when its owner has had no path to the disk.
    pathless: float | None = None


@dataclass(slots=True)
class Vm:
    """A VM that holds data: its group and its two resources, if it is clustered; `guests` by host, where Hyper-V
    knows it.

    `id` is Hyper-V's, and `name` what Hyper-V calls the VM now; `role` is the name of its group, which people may
    rename too, as they may its resources. Its files stay in the folder that was called like it at first.
    """

    name: str
    csv: str
    owner: str
    configuration: str = "Online"
    machine: str = "Online"
    flags: set[str] = field(default_factory=set)
    machine_flags: set[str] = field(default_factory=set)
    code: int = 0
    memory: int = 4
    guests: dict[str, Guest] = field(default_factory=dict)
    # Where a migration goes, and how; the number tells it from one that was cancelled.
    moving_to: str = ""
    moving_live: bool = False
    moving_since: float = 0.0
    move: int = 0
    saved: bool = False
    # A guest that ignores a request to shut down, one that dies right after it was started.
    deaf: bool = False
    doomed: bool = False
    service: ShutdownService = ShutdownService.READY
    # Its boots, resumes and saves never end.
    stuck: bool = False
    id: str = ""
    role: str = ""
    machine_name: str = ""
    configuration_name: str = ""
    folder: str = ""
    # Volumes beside `csv` that it has files on; what the cluster believes all of them to be, if that is not the truth.
    more_volumes: tuple[str, ...] = ()
    believed_volumes: tuple[str, ...] | None = None
    # What WSFC does with it beside its settings: whether a failed resource stays so however it is cleared, and
    # whether it fails when its group arrives.
    stays_failed: bool = False
    arrives_failed: bool = False
    facts: VmSetup = field(default_factory=VmSetup)

    def __post_init__(self) -> None:
        self.id = self.id or vm_id(self.name)
        self.role = self.role or self.name
        self.machine_name = self.machine_name or f"Virtual Machine {self.role}"
        self.configuration_name = self.configuration_name or f"Virtual Machine Configuration {self.role}"
        self.folder = self.folder or self.name

    @property
    def volumes(self) -> tuple[str, ...]:
        """Return the volumes that the VM has files on."""
        return (self.csv, *self.more_volumes)

    @property
    def is_clustered(self) -> bool:
        """Tell whether the VM is in a role of the cluster."""
        return self.facts.clustered

    @property
    def restarts(self) -> bool:
        """Tell whether WSFC brings a failed VM resource back by itself."""
        return self.facts.restart_action != 0

    @restarts.setter
    def restarts(self, restarts: bool) -> None:
        """Have WSFC bring a failed VM resource back by itself, or not."""
        self.facts.restart_action = 2 if restarts else 0

    @property
    def offline_action(self) -> OfflineAction:
        """Return what WSFC does to the guest when it takes the VM resource offline."""
        return self.facts.offline_action

    @offline_action.setter
    def offline_action(self, action: OfflineAction) -> None:
        """Have WSFC do something to the guest when it takes the VM resource offline."""
        self.facts.offline_action = action

    @property
    def group(self) -> str:
        """Return the state of the VM's group."""
        states = (self.machine, self.configuration)
        if self.moving_to or any(state.endswith("Pending") for state in states):
            return "Pending"
        if "Failed" in states:
            return "Failed"
        return "Online" if self.machine == "Online" else "Offline"


def vm_id(name: str) -> str:
    """Return the id that the lab gives the first VM of a name, in lower case and without braces."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"vm {name}"))
