"""What a host says of itself: one request's worth of read-only cmdlets, as typed facts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ecx_hyperv.check.outcome import Unavailable, words
from ecx_hyperv.host import queries, setting_queries
from ecx_hyperv.host.identity import CONFIGURATION, MACHINE
from ecx_hyperv.host.queries import Answers, Query
from ecx_hyperv.host.rows import (
    ClusterProperties,
    GroupSettings,
    IntegrationServices,
    IscsiSession,
    MigrationSettings,
    Network,
    NodeRow,
    Quorum,
    ResourceRow,
    VmSettings,
    VolumeAccess,
    VolumeRow,
    WindowsService,
    volume_key,
)
from ecx_hyperv.host.wire import Call, Hello, RemoteError, Reply, Request

_T = TypeVar("_T")

_ACCESS_DENIED = 5
MODULES = ("FailoverClusters", "Hyper-V", "iSCSI")
NOT_SHOWN = Unavailable(why="the host does not show it")


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """What WSFC does with a VM resource by itself, as its own numbers."""

    restart: int | Unavailable
    heartbeat: int | Unavailable
    offline: int | Unavailable


@dataclass(frozen=True, slots=True)
class AskedVm:
    """A protected VM as a check asks about it: its id, empty while it is not known, and the names of its resources."""

    name: str
    id: str = ""
    machine: str = ""
    configuration: str = ""

    @property
    def machine_name(self) -> str:
        """Return the name of its VM resource, the usual one while the cluster does not tell."""
        return self.machine or f"{MACHINE} {self.name}"

    @property
    def configuration_name(self) -> str:
        """Return the name of its configuration resource, the usual one while the cluster does not tell."""
        return self.configuration or f"{CONFIGURATION} {self.name}"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Everything that one host said; an Unavailable stands in place of what it would not say.

    `vms` and `services_of` are by casefolded name, None for a VM that this host does not know, `machines` and
    `volumes_of` likewise; `denied` names the cmdlets that the login may not run, `missing` the modules that are not
    there.
    """

    hello: Hello
    nodes: tuple[NodeRow, ...] | Unavailable
    cluster: ClusterProperties | Unavailable
    groups: tuple[GroupSettings, ...] | Unavailable
    configurations: Mapping[str, str] | Unavailable
    machines: Mapping[str, MachineSettings]
    volumes: tuple[VolumeRow, ...] | Unavailable
    volume_access: tuple[VolumeAccess, ...] | Unavailable
    networks: tuple[Network, ...] | Unavailable
    barred: tuple[str, ...] | Unavailable
    quorum: Quorum | Unavailable
    migration: MigrationSettings | Unavailable
    portals: tuple[str, ...] | Unavailable
    connections: tuple[str, ...] | Unavailable
    sessions: tuple[IscsiSession, ...] | Unavailable
    services: tuple[WindowsService, ...] | Unavailable
    sshd_config: tuple[str, ...] | Unavailable
    keys_sddl: str | Unavailable
    vms: Mapping[str, VmSettings | Unavailable | None]
    services_of: Mapping[str, IntegrationServices | Unavailable | None]
    volumes_of: Mapping[str, tuple[str, ...] | Unavailable]
    modules: Mapping[str, float]
    denied: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactsRequest:
    """What a check asks a host: `vms` are names, the EC-VM's among them, `clustered` those of the protected VMs.

    `known` is what is known of the protected VMs, by casefolded name.
    """

    vms: tuple[str, ...]
    clustered: tuple[str, ...]
    known: Mapping[str, AskedVm] = field(default_factory=dict)

    def asked(self, name: str) -> AskedVm:
        """Return how a VM is asked about."""
        return self.known.get(name.casefold(), AskedVm(name))

    def queries(self) -> Iterator[Query[Any]]:
        """Return the questions, in the order of their calls."""
        yield queries.nodes()
        yield setting_queries.cluster()
        yield setting_queries.failover_settings()
        yield queries.resources()
        yield queries.shared_volumes()
        yield setting_queries.volume_access()
        yield setting_queries.networks()
        yield setting_queries.barred_networks()
        yield setting_queries.quorum()
        yield setting_queries.migration()
        yield setting_queries.iscsi_portals()
        yield queries.iscsi_connections()
        yield setting_queries.iscsi_sessions()
        yield setting_queries.windows_services()
        yield setting_queries.sshd_config()
        yield setting_queries.keys_acl()
        for name in self.vms:
            yield setting_queries.vm_settings(name, self.asked(name).id)
            yield setting_queries.integration_services(name, self.asked(name).id)
        for name in self.clustered:
            yield queries.volumes_of(self.asked(name).configuration_name)
            yield setting_queries.restart_action(self.asked(name).machine_name)
            yield setting_queries.check_heartbeat(self.asked(name).machine_name)
            yield setting_queries.offline_action(self.asked(name).machine_name)

    def request(self) -> Request:
        """Return the one request that makes all calls, whatever fails of them."""
        return Request(calls=tuple(query.call for query in self.queries()), stop_on_error=False)


def read(wanted: FactsRequest, hello: Hello, reply: Reply) -> HostFacts:
    """Turn what a host answered into facts."""
    reader = _Reader(wanted, reply)
    return HostFacts(
        hello=hello,
        nodes=reader.fact(queries.nodes()),
        cluster=reader.fact(setting_queries.cluster()),
        groups=reader.fact(setting_queries.failover_settings()),
        configurations=_configurations(reader.fact(queries.resources())),
        machines={name.casefold(): reader.machine(wanted.asked(name).machine_name) for name in wanted.clustered},
        volumes=reader.fact(queries.shared_volumes()),
        volume_access=reader.fact(setting_queries.volume_access()),
        networks=reader.fact(setting_queries.networks()),
        barred=reader.fact(setting_queries.barred_networks()),
        quorum=reader.fact(setting_queries.quorum()),
        migration=reader.fact(setting_queries.migration()),
        portals=reader.fact(setting_queries.iscsi_portals()),
        connections=reader.fact(queries.iscsi_connections()),
        sessions=reader.fact(setting_queries.iscsi_sessions()),
        services=reader.fact(setting_queries.windows_services()),
        sshd_config=reader.fact(setting_queries.sshd_config()),
        keys_sddl=reader.fact(setting_queries.keys_acl()),
        vms={
            name.casefold(): reader.fact(setting_queries.vm_settings(name, wanted.asked(name).id))
            for name in wanted.vms
        },
        services_of={
            name.casefold(): reader.fact(setting_queries.integration_services(name, wanted.asked(name).id))
            for name in wanted.vms
        },
        volumes_of={
            name.casefold(): _keys(reader.fact(queries.volumes_of(wanted.asked(name).configuration_name)))
            for name in wanted.clustered
        },
        modules=reply.modules,
        denied=reader.denied(),
        missing=reader.missing(),
    )


class _Reader:
    """Reads what a host answered, with a reason in place of what it did not say."""

    def __init__(self, wanted: FactsRequest, reply: Reply) -> None:
        asked = tuple(wanted.queries())
        self._answers = Answers(asked, reply.results)
        self._errors = [
            (query.call.cmdlet, result.error)
            for query, result in zip(asked, reply.results, strict=False)
            if not result.ok and result.error is not None
        ]

    def fact(self, query: Query[_T]) -> _T | Unavailable:
        answer = self._answers.of(query)
        return unavailable(query.call, answer) if isinstance(answer, RemoteError) else answer

    def machine(self, resource: str) -> MachineSettings:
        return MachineSettings(
            restart=self.fact(setting_queries.restart_action(resource)),
            heartbeat=self.fact(setting_queries.check_heartbeat(resource)),
            offline=self.fact(setting_queries.offline_action(resource)),
        )

    def denied(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cmdlet for cmdlet, error in self._errors if _is_denied(error)))

    def missing(self) -> tuple[str, ...]:
        lost = [cmdlet for cmdlet, error in self._errors if error.kind == "Modules_ModuleNotFound"]
        family = {"Get-ClusterNode": MODULES[0], "Get-VMHost": MODULES[1], "Get-IscsiConnection": MODULES[2]}
        return tuple(module for cmdlet, module in family.items() if cmdlet in lost)


def unavailable(call: Call, error: RemoteError) -> Unavailable:
    """Say why a call did not show what it should."""
    if error == queries.NO_RESULT:
        return Unavailable(why="the host did not come to this")
    if error == queries.NOT_SHOWN:
        return NOT_SHOWN
    if error.id == "BadRequest":
        why = f"the agent on the host does not know {call.cmdlet}"
        return Unavailable(why=why, remedy=words("use one agent: this one"))
    if _is_denied(error):
        return Unavailable(why=f"this login may not run {call.cmdlet}", remedy=words("see the check wire-cmdlets"))
    return Unavailable(why=f"{call.cmdlet}: {error}")


def _is_denied(error: RemoteError) -> bool:
    return error.code == _ACCESS_DENIED or error.category in ("PermissionDenied", "SecurityError")


def _configurations(rows: Sequence[ResourceRow] | Unavailable) -> Mapping[str, str] | Unavailable:
    """Return the state of each VM's configuration resource, by its group."""
    if isinstance(rows, Unavailable):
        return rows
    return {row.group.casefold(): row.state for row in rows if row.type == CONFIGURATION}


def _keys(found: tuple[str, ...] | Unavailable) -> tuple[str, ...] | Unavailable:
    return found if isinstance(found, Unavailable) else tuple(volume_key(one) for one in found)
