"""What a host shows, as typed facts: a class for each kind of object that a question brings."""

import re
import uuid
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A cluster node."""

    name: str
    state: str
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A cluster group."""

    name: str
    type: str
    state: str
    flags: frozenset[str]
    owner: str


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A cluster resource; `code` is the Win32 code of its last operation, 0 if that went well."""

    name: str
    group: str
    type: str
    state: str
    flags: frozenset[str]
    code: int


@dataclass(frozen=True, slots=True)
class VolumeRow:
    """A Shared Volume; `paths` are the folders under which its files are, as far as the cluster tells them."""

    name: str
    id: str
    state: str
    owner: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumeAccess:
    """How one node gets at one Shared Volume."""

    volume: str
    node: str
    state: str


@dataclass(frozen=True, slots=True)
class VmRow:
    """A VM as one host knows it; uptime in seconds; `files` is where its files are: its folders, then its disks."""

    name: str
    state: str
    operational: frozenset[str]
    heartbeat: str | None
    uptime: float
    id: str = ""
    is_clustered: bool | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VmIdRow:
    """A resource of a VM's role, and the VM that it stands for; `volumes` are ids of the Shared Volumes under it.

    `offline_action` is WSFC's number of what it does to the guest when it takes the resource offline, None where the
    database does not hold it: it holds what somebody has set.
    """

    resource: str
    type: str
    group: str
    id: str
    volumes: tuple[str, ...]
    offline_action: int | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """A network of the cluster."""

    name: str
    id: str
    role: str
    state: str
    address: str
    mask: str


@dataclass(frozen=True, slots=True)
class Quorum:
    """The cluster's witness; without a name there is none."""

    witness: str
    state: str


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """What WSFC would do about a group by itself."""

    name: str
    threshold: int | None
    period: int | None
    failback: int | None


@dataclass(frozen=True, slots=True)
class MigrationSettings:
    """Whether a host takes part in live migrations, and in how many at a time."""

    enabled: bool
    most: int


@dataclass(frozen=True, slots=True)
class VmSettings:
    """How a VM is set up; memory in bytes, delay in seconds, critical in minutes; None for what was not shown."""

    is_clustered: bool | None
    start_action: str
    start_delay: int | None
    stop_action: str
    critical_action: str
    critical_minutes: int | None
    memory: int | None
    disks: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class IntegrationServices:
    """Whether a VM's integration services are enabled; None for one that was not shown."""

    heartbeat: bool | None
    shutdown: bool | None


@dataclass(frozen=True, slots=True)
class IscsiSession:
    """An iSCSI session."""

    target: str
    initiator: str
    is_connected: bool | None
    is_persistent: bool | None


@dataclass(frozen=True, slots=True)
class WindowsService:
    """A service of Windows."""

    name: str
    status: str
    start: str


@dataclass(frozen=True, slots=True)
class ClusterProperties:
    """The cluster's own settings; None for what it did not say.

    `parallel` is how many live migrations may run at a time, which overrides what the hosts say; older clusters have no
    such number.
    """

    name: str
    resiliency: int | None
    quarantine: int | None
    parallel: int | None = None


def volume_key(identifier: str) -> str:
    """Return an identifier of a Shared Volume as it can be compared: in one case, without the braces of a GUID."""
    return identifier.casefold().strip("{} ")


@lru_cache(maxsize=1024)
def vm_key(identifier: str) -> str:
    """Return the id of a VM as it can be compared: in lower case, without braces; empty for what is no GUID."""
    try:
        return str(uuid.UUID(identifier.strip()))
    except ValueError:
        return ""


def names_in_quotes(name: str, message: str) -> bool:
    """Tell whether a message holds a name in quotes, of whatever language."""
    return re.search(rf"[\"'“„«「]{re.escape(name)}[\"'”“»」]", message, re.IGNORECASE) is not None
