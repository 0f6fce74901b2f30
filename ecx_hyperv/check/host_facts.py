"""What a host says of itself: one request's worth of read-only cmdlets, as typed facts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ecx_hyperv.check.outcome import Unavailable, words
from ecx_hyperv.check.rows import (
    ClusterProperties,
    GroupSettings,
    IscsiSession,
    Network,
    Service,
    Services,
    SharedVolume,
    VmSettings,
)
from ecx_hyperv.host import cmdlets, setting_calls
from ecx_hyperv.host.wire import Call, Hello, RemoteError, Reply, Request, Result, text, texts

_T = TypeVar("_T")

_HEARTBEAT = "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47"
_SHUTDOWN = "9F8233AC-BE49-4C79-8EE3-E7E1985B2077"
_ACCESS_DENIED = 5
MODULES = ("FailoverClusters", "Hyper-V", "iSCSI")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Everything that one host said; an Unavailable stands in place of what it would not say.

    `vms` and `services_of` are by casefolded name, None for a VM that this host does not know; `denied` names the
    cmdlets that the login may not run, `missing` the modules that are not there.
    """

    hello: Hello
    nodes: tuple[tuple[str, str, frozenset[str]], ...] | Unavailable
    cluster: ClusterProperties | Unavailable
    groups: tuple[GroupSettings, ...] | Unavailable
    configurations: Mapping[str, str] | Unavailable
    volumes: tuple[SharedVolume, ...] | Unavailable
    volume_access: tuple[tuple[str, str, str], ...] | Unavailable
    networks: tuple[Network, ...] | Unavailable
    barred: tuple[str, ...] | Unavailable
    quorum: tuple[str, str] | Unavailable
    migration: tuple[bool, int] | Unavailable
    portals: tuple[str, ...] | Unavailable
    connections: tuple[str, ...] | Unavailable
    sessions: tuple[IscsiSession, ...] | Unavailable
    services: tuple[Service, ...] | Unavailable
    sshd_config: tuple[str, ...] | Unavailable
    keys_sddl: str | Unavailable
    vms: Mapping[str, VmSettings | Unavailable | None]
    services_of: Mapping[str, Services | Unavailable | None]
    volumes_of: Mapping[str, tuple[str, ...] | Unavailable]
    modules: Mapping[str, float]
    denied: tuple[str, ...]
    missing: tuple[str, ...]


def calls_for(vms: Sequence[str], clustered: Sequence[str]) -> dict[str, Call]:
    """Return the calls, each with the key of what it shows; `vms` with the EC-VM's, `clustered` without."""
    found = {
        "nodes": cmdlets.get_nodes(),
        "cluster": setting_calls.get_cluster(),
        "groups": setting_calls.get_failover_settings(),
        "configurations": cmdlets.get_resources(),
        "volumes": cmdlets.get_shared_volumes(),
        "volume_access": setting_calls.get_volume_states(),
        "networks": setting_calls.get_networks(),
        "barred": setting_calls.get_barred_networks(),
        "quorum": setting_calls.get_quorum(),
        "migration": setting_calls.get_vm_host(),
        "portals": setting_calls.get_iscsi_portals(),
        "connections": cmdlets.get_iscsi_connections(),
        "sessions": setting_calls.get_iscsi_sessions(),
        "services": setting_calls.get_services(),
        "sshd_config": setting_calls.get_sshd_config(),
        "keys_sddl": setting_calls.get_keys_acl(),
    }
    for name in vms:
        found[f"vm {name}"] = setting_calls.get_vm_settings(name)
        found[f"services {name}"] = setting_calls.get_integration_services(name)
    for name in clustered:
        found[f"volumes {name}"] = cmdlets.get_volumes_of(f"Virtual Machine Configuration {name}")
    return found


def request_of(calls: Mapping[str, Call]) -> Request:
    """Return the one request that makes all calls, whatever fails of them."""
    return Request(calls=tuple(calls.values()), stop_on_error=False)


def read(calls: Mapping[str, Call], hello: Hello, reply: Reply) -> HostFacts:
    """Turn what a host answered into facts."""
    results = dict(zip(calls, reply.results, strict=False))
    read = _Reader(calls, results)
    return HostFacts(
        hello=hello,
        nodes=read.rows("nodes", lambda row: (text(row, "Name"), text(row, "State"), _flags(row))),
        cluster=read.one("cluster", _cluster),
        groups=read.rows("groups", _group),
        configurations=read.all("configurations", _configurations),
        volumes=read.rows("volumes", lambda row: SharedVolume(text(row, "Name"), text(row, "Id"), text(row, "State"))),
        volume_access=read.rows(
            "volume_access", lambda row: (text(row, "Name"), text(row, "Node"), text(row, "StateInfo"))
        ),
        networks=read.rows("networks", _network),
        barred=read.all("barred", _barred),
        quorum=read.one("quorum", lambda row: (text(row, "QuorumResource.Name"), text(row, "QuorumResource.State"))),
        migration=read.one("migration", _migration),
        portals=read.rows("portals", lambda row: text(row, "TargetPortalAddress")),
        connections=read.rows("connections", lambda row: text(row, "TargetAddress")),
        sessions=read.rows("sessions", _session),
        services=read.rows(
            "services", lambda row: Service(text(row, "Name"), text(row, "Status"), text(row, "StartType"))
        ),
        sshd_config=read.all("sshd_config", _lines),
        keys_sddl=read.one("keys_sddl", lambda row: text(row, "Sddl") or NOT_SHOWN),
        vms={key: read.maybe(f"vm {key}", _vm) for key in read.names("vm ")},
        services_of={key: read.maybe(f"services {key}", _services) for key in read.names("services ")},
        volumes_of={key: read.all(f"volumes {key}", _volumes) for key in read.names("volumes ")},
        modules=reply.modules,
        denied=tuple(dict.fromkeys(read.failing(_is_denied))),
        missing=read.missing(),
    )


NOT_SHOWN = Unavailable(why="the host does not show it")


class _Reader:
    """Reads results by their keys, in lower case for those that name a VM."""

    def __init__(self, calls: Mapping[str, Call], results: Mapping[str, Result]) -> None:
        self._calls = {key.casefold(): call for key, call in calls.items()}
        self._results = {key.casefold(): result for key, result in results.items()}

    def names(self, beginning: str) -> list[str]:
        return [key.removeprefix(beginning) for key in self._calls if key.startswith(beginning)]

    def all(self, key: str, make: Callable[[Sequence[Mapping[str, Any]]], _T | Unavailable]) -> _T | Unavailable:
        result = self._results.get(key.casefold())
        if result is None:
            return Unavailable(why="the host did not come to this")
        return make(result.value) if result.ok else unavailable(self._calls[key.casefold()], result.error)

    def rows(self, key: str, make: Callable[[Mapping[str, Any]], _T]) -> tuple[_T, ...] | Unavailable:
        return self.all(key, lambda rows: tuple(make(row) for row in rows))

    def one(self, key: str, make: Callable[[Mapping[str, Any]], _T | Unavailable]) -> _T | Unavailable:
        return self.all(key, lambda rows: make(rows[0]) if rows else NOT_SHOWN)

    def maybe(self, key: str, make: Callable[[Sequence[Mapping[str, Any]]], _T]) -> _T | Unavailable | None:
        result = self._results.get(key)
        if result is not None and not result.ok and _is_unknown(result.error):
            return None
        return self.all(key, lambda rows: make(rows) if rows else NOT_SHOWN)

    def failing(self, holds: Callable[[RemoteError], bool]) -> list[str]:
        return [
            self._calls[key].cmdlet
            for key, result in self._results.items()
            if not result.ok and result.error is not None and holds(result.error)
        ]

    def missing(self) -> tuple[str, ...]:
        lost = self.failing(lambda error: error.kind == "Modules_ModuleNotFound")
        family = {"Get-ClusterNode": MODULES[0], "Get-VMHost": MODULES[1], "Get-IscsiConnection": MODULES[2]}
        return tuple(module for cmdlet, module in family.items() if cmdlet in lost)


def unavailable(call: Call, error: RemoteError | None) -> Unavailable:
    """Say why a call did not show what it should."""
    if error is None:
        return Unavailable(why=f"{call.cmdlet} failed without a reason")
    if error.id == "BadRequest":
        return Unavailable(
            why=f"the agent on the host does not know {call.cmdlet}", remedy=words("use one agent: this one")
        )
    if _is_denied(error):
        return Unavailable(why=f"this login may not run {call.cmdlet}", remedy=words("see the check wire-cmdlets"))
    return Unavailable(why=f"{call.cmdlet}: {error}")


def _is_denied(error: RemoteError) -> bool:
    return error.code == _ACCESS_DENIED or error.category in ("PermissionDenied", "SecurityError")


def _is_unknown(error: RemoteError | None) -> bool:
    return error is not None and (
        error.kind in ("InvalidParameter", "ObjectNotFound") or error.category == "ObjectNotFound"
    )


def _cluster(row: Mapping[str, Any]) -> ClusterProperties:
    return ClusterProperties(
        text(row, "Name"), _number(row, "ResiliencyDefaultPeriod"), _number(row, "QuarantineThreshold")
    )


def _group(row: Mapping[str, Any]) -> GroupSettings:
    numbers = (_number(row, key) for key in ("FailoverThreshold", "FailoverPeriod", "AutoFailbackType"))
    return GroupSettings(text(row, "Name"), *numbers)


def _configurations(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """Return the state of each VM's configuration resource, by its group."""
    return {
        (text(row, "OwnerGroup.Name") or text(row, "OwnerGroup")).casefold(): text(row, "State")
        for row in rows
        if (text(row, "ResourceType.Name") or text(row, "ResourceType")) == "Virtual Machine Configuration"
    }


def _network(row: Mapping[str, Any]) -> Network:
    return Network(*(text(row, key) for key in ("Name", "Id", "Role", "State", "Address", "AddressMask")))


def _barred(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    values = [word for row in rows for text in texts(row.get("Value")) for word in text.split(";")]
    return tuple(word.strip().strip("{}").casefold() for word in values if word.strip())


def _migration(row: Mapping[str, Any]) -> tuple[bool, int] | Unavailable:
    enabled, most = row.get("VirtualMachineMigrationEnabled"), _number(row, "MaximumVirtualMachineMigrations")
    return NOT_SHOWN if not isinstance(enabled, bool) or most is None else (enabled, most)


def _session(row: Mapping[str, Any]) -> IscsiSession:
    connected, persistent = row.get("IsConnected"), row.get("IsPersistent")
    return IscsiSession(
        text(row, "TargetNodeAddress"),
        text(row, "InitiatorNodeAddress"),
        connected if isinstance(connected, bool) else None,
        persistent if isinstance(persistent, bool) else None,
    )


def _lines(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...] | Unavailable:
    lines = [row.get("PSObject.BaseObject") for row in rows]
    return tuple(map(str, lines)) if all(isinstance(line, str) for line in lines) else NOT_SHOWN


def _vm(rows: Sequence[Mapping[str, Any]]) -> VmSettings:
    row = rows[0]
    return VmSettings(
        is_clustered=clustered if isinstance(clustered := row.get("IsClustered"), bool) else None,
        start_action=text(row, "AutomaticStartAction"),
        start_delay=_number(row, "AutomaticStartDelay"),
        stop_action=text(row, "AutomaticStopAction"),
        critical_action=text(row, "AutomaticCriticalErrorAction"),
        critical_minutes=_number(row, "AutomaticCriticalErrorActionTimeout"),
        memory=_number(row, "MemoryStartup"),
        disks=_paths(row.get("HardDrives.Path")),
    )


def _services(rows: Sequence[Mapping[str, Any]]) -> Services:
    enabled = {text(row, "Id").upper()[-36:]: row.get("Enabled") is True for row in rows}
    return Services(enabled.get(_HEARTBEAT), enabled.get(_SHUTDOWN))


def _volumes(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(word.strip("{}").casefold() for row in rows for word in texts(row.get("Value")))


def _paths(value: object) -> tuple[str, ...] | None:
    # A path may hold a comma; one that is alone comes as itself.
    if isinstance(value, list):
        return tuple(str(one) for one in value)
    return (value,) if isinstance(value, str) else None


def _flags(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(texts(row.get("StatusInformation"))) - {"Normal", "0"}


def _number(row: Mapping[str, Any], key: str) -> int | None:
    value = row.get(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
