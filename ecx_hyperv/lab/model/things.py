"""What the lab's world is made of: hosts, EC-VMs, guests, protected VMs, Shared Volumes, networks. Data, no rules."""

from dataclasses import dataclass, field
from enum import Enum

from ecx_hyperv.decide.states import VmKind, vm_kind
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

    @property
    def is_live(self) -> bool:
        """Tell whether the guest executes, or could go on to."""
        return vm_kind(self.state) not in (VmKind.DOWN, VmKind.STRANDED)


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
    memory: int = 64
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
    booted: bool = True
    hung: bool = False
    serving: bool = False
    generation: int = 0
    facts: VmSetup = field(default_factory=of_ec_vm)
    linux: LinuxSetup = field(default_factory=LinuxSetup)


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
    """A protected VM: its group and its two resources; `guests` by host, where Hyper-V knows it."""

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
    move: int = 0
    saved: bool = False
    # A guest that ignores a request to shut down, one that dies right after it was started.
    deaf: bool = False
    doomed: bool = False
    facts: VmSetup = field(default_factory=VmSetup)

    @property
    def group(self) -> str:
        """Return the state of the VM's group."""
        states = (self.machine, self.configuration)
        if self.moving_to or any(state.endswith("Pending") for state in states):
            return "Pending"
        if "Failed" in states:
            return "Failed"
        return "Online" if self.machine == "Online" else "Offline"
