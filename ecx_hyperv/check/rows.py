"""The parts of which a host says many: networks, groups, VMs, sessions, services, volumes."""

from dataclasses import dataclass


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
class GroupSettings:
    """What WSFC would do about a group by itself."""

    name: str
    threshold: int | None
    period: int | None
    failback: int | None


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
class Services:
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
class Service:
    """A service of Windows."""

    name: str
    status: str
    start: str


@dataclass(frozen=True, slots=True)
class ClusterProperties:
    """The cluster's own settings; None for what it did not say."""

    name: str
    resiliency: int | None
    quarantine: int | None


@dataclass(frozen=True, slots=True)
class SharedVolume:
    """A Shared Volume."""

    name: str
    id: str
    state: str
