"""One request, one observation: everything that matters about VMs and the cluster, as one host shows it."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ecx_hyperv.host import cmdlets
from ecx_hyperv.host.wire import Call, Hello, RemoteError, Result, text, texts

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What to look at; `volumes_of` names configuration resources."""

    vms: tuple[str, ...] = ()
    cluster: bool = True
    iscsi: bool = True
    volumes_of: tuple[str, ...] = ()

    def calls(self) -> tuple[Call, ...]:
        """Return the calls that show it."""
        return tuple(self._calls())

    def _calls(self) -> Iterator[Call]:
        if self.cluster:
            yield cmdlets.get_nodes()
            yield cmdlets.get_groups()
            yield cmdlets.get_resources()
            yield cmdlets.get_shared_volumes()
        yield from (cmdlets.get_vm(name) for name in self.vms)
        if self.iscsi:
            yield cmdlets.get_iscsi_connections()
        yield from (cmdlets.get_volumes_of(name) for name in self.volumes_of)


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
    """A Shared Volume."""

    name: str
    id: str
    state: str
    owner: str


@dataclass(frozen=True, slots=True)
class VmRow:
    """A VM as one host knows it; uptime in seconds."""

    name: str
    state: str
    operational: frozenset[str]
    heartbeat: str | None
    uptime: float


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """What one host shows at one moment; an error stands in place of what it would not tell, None for a VM that it
    does not know."""

    host: str
    nodes: tuple[NodeRow, ...] | RemoteError = ()
    groups: tuple[GroupRow, ...] | RemoteError = ()
    resources: tuple[ResourceRow, ...] | RemoteError = ()
    shared_volumes: tuple[VolumeRow, ...] | RemoteError = ()
    vms: Mapping[str, VmRow | RemoteError | None] = field(default_factory=dict)
    iscsi: tuple[str, ...] | RemoteError = ()
    volumes_of: Mapping[str, tuple[str, ...] | RemoteError] = field(default_factory=dict)

    def errors(self) -> list[RemoteError]:
        """Return everything that the host would not tell."""
        parts = [self.nodes, self.groups, self.resources, self.shared_volumes, self.iscsi]
        return [
            part for part in [*parts, *self.vms.values(), *self.volumes_of.values()] if isinstance(part, RemoteError)
        ]

    @property
    def cluster_error(self) -> RemoteError | None:
        """Return why the cluster's facts are not there; None if they are."""
        parts = (self.nodes, self.groups, self.resources, self.shared_volumes)
        return next((part for part in parts if isinstance(part, RemoteError)), None)


def read(hello: Hello, results: Sequence[Result], wanted: SnapshotRequest) -> HostSnapshot:
    """Turn the results of the wanted calls into a view."""
    left = iter(results)
    cluster: dict[str, Any] = {}
    if wanted.cluster:
        cluster["nodes"] = _rows(left, _node)
        cluster["groups"] = _rows(left, _group)
        cluster["resources"] = _rows(left, _resource)
        cluster["shared_volumes"] = _rows(left, _volume)
    vms = {name.casefold(): _one_vm(_next(left), name) for name in wanted.vms}
    iscsi = _rows(left, lambda row: text(row, "TargetAddress")) if wanted.iscsi else ()
    volumes = {name.casefold(): _values(_rows(left, lambda row: texts(row.get("Value")))) for name in wanted.volumes_of}
    return HostSnapshot(host=hello.host, vms=vms, iscsi=iscsi, volumes_of=volumes, **cluster)


def is_same_host(one: str, other: str) -> bool:
    """Compare two names of a host as Windows does: without case, without domain, NetBIOS' 15 characters enough."""
    a, b = (name.casefold().split(".")[0] for name in (one, other))
    return bool(a and b) and (a == b or (min(len(a), len(b)) == 15 and a[:15] == b[:15]))


def is_same_address(one: str, other: str) -> bool:
    """Compare two IP addresses exactly, however they are written."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False


def _next(results: Iterator[Result]) -> Result:
    missing = Result(ok=False, error=RemoteError(message="no result for this call", id="NoResult"))
    return next(results, missing)


def _rows(results: Iterator[Result], make: Callable[[Mapping[str, Any]], _T]) -> tuple[_T, ...] | RemoteError:
    result = _next(results)
    if not result.ok:
        return result.error or RemoteError(message="failed without a reason")
    return tuple(make(row) for row in result.value)


def _node(row: Mapping[str, Any]) -> NodeRow:
    return NodeRow(text(row, "Name"), text(row, "State"), _flags(row, "StatusInformation"))


def _group(row: Mapping[str, Any]) -> GroupRow:
    return GroupRow(
        name=text(row, "Name"),
        type=text(row, "GroupType"),
        state=text(row, "State"),
        flags=_flags(row, "StatusInformation"),
        owner=_name(row, "OwnerNode"),
    )


def _resource(row: Mapping[str, Any]) -> ResourceRow:
    return ResourceRow(
        name=text(row, "Name"),
        group=_name(row, "OwnerGroup"),
        type=_name(row, "ResourceType"),
        state=text(row, "State"),
        flags=_flags(row, "StatusInformation"),
        code=_code(row.get("LastOperationStatusCode")),
    )


def _volume(row: Mapping[str, Any]) -> VolumeRow:
    return VolumeRow(text(row, "Name"), text(row, "Id"), text(row, "State"), _name(row, "OwnerNode"))


def _one_vm(result: Result, name: str) -> VmRow | RemoteError | None:
    if not result.ok:
        error = result.error or RemoteError(message="failed without a reason")
        return None if _says_unknown(error, name) else error
    vms = [_vm(row, name) for row in result.value if text(row, "Name").casefold() in (name.casefold(), "")]
    if not vms:
        # A name that it does not know is an error; a login that may not see the VM may get just nothing.
        return RemoteError(message=f"Get-VM neither shows {name} nor says that there is none", id="NoResult")
    # Names are not unique on a host: of two, the one that runs is the one that matters.
    return next((vm for vm in vms if vm.state not in ("Off", "Saved")), vms[0])


def _says_unknown(error: RemoteError, name: str) -> bool:
    """Tell whether an error says for certain that there is no such VM.

    ObjectNotFound does so only where it names the VM, as some versions of the module do: Hyper-V also gives it while
    its management service is stopped or still starting, and guests run on meanwhile; then it names the computer.
    Source: github.com/PlagueHO/LabBuilder/issues/203, github.com/eryph-org/eryph/issues/176.
    """
    if error.kind == "ObjectNotFound":
        quoted = rf"[\"'“„«「]{re.escape(name)}[\"'”“»」]"
        return (
            error.category != "PermissionDenied" and re.search(quoted, error.message or "", re.IGNORECASE) is not None
        )
    return error.kind == "InvalidParameter" and error.category in (None, "", "InvalidArgument", "NotSpecified")


def _vm(row: Mapping[str, Any], name: str) -> VmRow:
    statuses = ("OperationalStatus", "PrimaryOperationalStatus", "SecondaryOperationalStatus")
    uptime = row.get("Uptime.TotalSeconds")
    return VmRow(
        name=text(row, "Name") or name,
        state=text(row, "State"),
        operational=frozenset(word for status in statuses for word in texts(row.get(status))),
        heartbeat=text(row, "Heartbeat") or None,
        uptime=float(uptime) if isinstance(uptime, int | float) else 0.0,
    )


def _values(rows: tuple[list[str], ...] | RemoteError) -> tuple[str, ...] | RemoteError:
    return rows if isinstance(rows, RemoteError) else tuple(word for row in rows for word in row)


def _name(row: Mapping[str, Any], key: str) -> str:
    return text(row, f"{key}.Name") or text(row, key)


def _flags(row: Mapping[str, Any], key: str) -> frozenset[str]:
    return frozenset(texts(row.get(key)))


def _code(value: object) -> int:
    if not isinstance(value, int):
        return 0
    # The code of a Win32 error, whether it came plain or as an HRESULT.
    return value & 0xFFFF if (value & 0xFFFFFFFF) >> 16 == 0x8007 else value
