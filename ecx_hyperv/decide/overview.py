"""What `ecx-hyperv status` knows of the pair: the facts that its verdict is made from, and that `--json` shows.

Every key stands in every answer. What nobody told is null, and `trouble` says why. The names of the classes and fields
are the JSON schema that `status --json-schema` prints.
"""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.mirror import MirrorHealth
from ecx_hyperv.exits import Exit


class Reach(Enum):
    """What became of the attempt to ask a host; each has the exit code of a status for which no host answered."""

    ANSWERS = "answers"
    SILENT = "silent"
    NO_CONNECTION = "no connection"
    LOGIN_REFUSED = "login refused"
    KEY_NOT_PINNED = "host key not pinned"
    NO_ALGORITHM = "no common SSH algorithm"
    UNREADABLE = "unreadable"

    @property
    def exit(self) -> Exit:
        """Return how a status ends that has only hosts like this one."""
        return _EXITS[self]


_EXITS = {
    Reach.ANSWERS: Exit.DONE,
    Reach.SILENT: Exit.UNREACHABLE,
    Reach.NO_CONNECTION: Exit.UNREACHABLE,
    Reach.LOGIN_REFUSED: Exit.LOGIN,
    Reach.KEY_NOT_PINNED: Exit.LOGIN,
    Reach.NO_ALGORITHM: Exit.LOGIN,
    Reach.UNREADABLE: Exit.CANNOT_TELL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """A host. `name` is the cluster's name of it, `node` and `node_flags` what WSFC says of it, also where it is off.

    `answers` is whether `reach` is "answers", `ec_vm` the EC-VM that runs on it, `remedy` what helps where the host
    could not be asked.
    """

    side: str
    address: str
    ec_vm: str
    reach: Reach
    answers: bool
    name: str | None = None
    node: str | None = None
    node_flags: list[str]
    iscsi: bool | None = None
    trouble: str | None = None
    remedy: str | None = None

    @property
    def label(self) -> str:
        """Return its name, or its address where nobody told the name."""
        return self.name or self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class OnHost:
    """A VM as a host's Hyper-V shows it; uptime in seconds."""

    state: str
    operational: list[str]
    heartbeat: str | None
    uptime: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VmStatus:
    """A VM: where the cluster says it is, and how each host shows it (null: not registered there, or not told).

    `local_told` and `peer_told` are whether that host said anything of the VM. `seconds` is for how long the VM has
    been in the state that it is in, where that is known.
    """

    name: str
    id: str | None = None
    role: str | None = None
    owner: str | None = None
    group: str | None = None
    group_flags: list[str]
    configuration: str | None = None
    machine: str | None = None
    csv: str
    local: OnHost | None = None
    peer: OnHost | None = None
    local_told: bool
    peer_told: bool
    seconds: float | None = None
    maintenance: bool = False
    maintenance_until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeStatus:
    """A Shared Volume."""

    name: str
    state: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorCopyStatus:
    """One copy of a mirror disk: ECX's color of it; `server` is null where the answer does not say whose it is."""

    color: str
    server: str | None = None
    last_update: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """A mirror disk, what it means in a sentence, and what to do; `name` is null where nobody can tell which there are.

    While it is copied `percent` says how far, and `remaining` how long more, in ECX's own form.
    """

    name: str | None
    health: MirrorHealth
    text: str
    remedy: str | None = None
    copies: list[MirrorCopyStatus]
    percent: int | None = None
    remaining: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """A server of the ECX cluster."""

    name: str
    status: str
    is_local: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EcxItem:
    """A resource or a monitor of ECX, in ECX's own words."""

    name: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverGroup:
    """A failover group; `server` is where it is active, null while it is active nowhere."""

    name: str
    status: str
    server: str | None = None
    resources: list[EcxItem]


@dataclass(frozen=True, slots=True, kw_only=True)
class EcxStatus:
    """What clpstat says; `trouble` and `remedy` if it does not."""

    servers: list[ServerStatus]
    groups: list[FailoverGroup]
    monitors: list[EcxItem]
    trouble: str | None = None
    remedy: str | None = None

    @property
    def active(self) -> str:
        """Return the name of the server that has a group; empty while none has one."""
        return next((one.server for one in self.groups if one.server), "")

    def server(self, name: str) -> ServerStatus | None:
        """Return a server; None if clpstat does not show it."""
        return next((one for one in self.servers if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceStatus:
    """A VM (`kind` is "vm") or EC-VM ("peer") that is in maintenance; `until` is null where no end is set.

    `word` is the name as a shell takes it.
    """

    kind: str
    name: str
    word: str
    since: str
    until: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationStatus:
    """The configuration that is used; `trouble` is why it is only the last good copy."""

    path: str
    is_last_good_copy: bool = False
    trouble: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFacts:
    """All that a status knows; `node` is the EC-VM that it was asked on. `settle` is [timing] settle, in seconds.

    Each moment is written as ISO 8601 has it, with its zone.
    """

    time: str
    node: str
    hosts: list[HostStatus]
    vms: list[VmStatus]
    volumes: list[VolumeStatus]
    mirrors: list[MirrorStatus]
    ecx: EcxStatus
    maintenance: list[MaintenanceStatus]
    maintenance_trouble: str | None = None
    configuration: ConfigurationStatus
    settle: float
