"""Each question that a run asks a host, once: the cmdlet call, and the reader of what came of it.

A call and its reader belong together, or they drift apart: two readers of Get-VM's errors did, and one of them took
a stopped Hyper-V service for a VM that does not exist. `setting_queries.py` holds the questions that only a check asks.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ecx_hyperv.host.rows import (
    GroupRow,
    NodeRow,
    ResourceRow,
    VmIdRow,
    VmRow,
    VolumeRow,
    names_in_quotes,
    vm_key,
)
from ecx_hyperv.host.wire import Call, RemoteError, Result, text, texts

T = TypeVar("T")
# A question that answers with less can stand in for one that may answer with more.
T_co = TypeVar("T_co", covariant=True)

Row = Mapping[str, Any]
Rows = Sequence[Row]

NO_RESULT = RemoteError(message="no result for this call", id="NoResult")
NOT_SHOWN = RemoteError(message="the host does not show it", id="NotShown")
_MOST_OF_A_NUMBER = 2**63
_LONGEST_PATH = 32_767
_NO_REASON = RemoteError(message="failed without a reason")


def as_it_is(error: RemoteError) -> RemoteError:
    """Return the error: to most questions an error is no answer."""
    return error


@dataclass(frozen=True, slots=True)
class Query(Generic[T_co]):
    """A question to a host: its key among others, the call, and the reader of the rows.

    `on_error` reads an error that is an answer (a VM that does not exist); any other stays an error.
    """

    key: str
    call: Call
    parse: Callable[[Rows], T_co | RemoteError]
    on_error: Callable[[RemoteError], T_co | RemoteError] = as_it_is

    def read(self, result: Result | None) -> T_co | RemoteError:
        """Return what a result says; None for a call that the host did not come to."""
        if result is None:
            return NO_RESULT
        return self.parse(result.value) if result.ok else self.on_error(result.error or _NO_REASON)


class Answers:
    """What a host answered to questions, each found again by its key."""

    def __init__(self, queries: Iterable[Query[Any]], results: Iterable[Result]) -> None:
        self._results = {query.key: result for query, result in zip(queries, results, strict=False)}

    def of(self, query: Query[T]) -> T | RemoteError:
        """Return the answer to a question."""
        return query.read(self._results.get(query.key))


def each(make: Callable[[Row], T]) -> Callable[[Rows], tuple[T, ...]]:
    """Return a reader that makes one thing of each row."""
    return lambda rows: tuple(make(row) for row in rows)


def one(make: Callable[[Row], T | RemoteError]) -> Callable[[Rows], T | RemoteError]:
    """Return a reader of the first row; without one the host does not show it."""
    return lambda rows: make(rows[0]) if rows else NOT_SHOWN


def nodes() -> Query[tuple[NodeRow, ...]]:
    """Every node of the cluster."""
    call = Call(cmdlet="Get-ClusterNode", args={}, select=("Name", "State", "StatusInformation"))
    return Query("nodes", call, each(_node))


def groups() -> Query[tuple[GroupRow, ...]]:
    """Every group of the cluster."""
    call = Call(
        cmdlet="Get-ClusterGroup",
        args={},
        select=("Name", "GroupType", "State", "StatusInformation", *_name_of("OwnerNode")),
    )
    return Query("groups", call, each(_group))


def resources() -> Query[tuple[ResourceRow, ...]]:
    """Every resource of the cluster."""
    call = Call(
        cmdlet="Get-ClusterResource",
        args={},
        select=(
            *("Name", "State", "StatusInformation", "LastOperationStatusCode"),
            *_name_of("OwnerGroup"),
            *_name_of("ResourceType"),
        ),
    )
    return Query("resources", call, each(_resource))


def shared_volumes() -> Query[tuple[VolumeRow, ...]]:
    """Every Shared Volume of the cluster."""
    call = Call(
        cmdlet="Get-ClusterSharedVolume", args={}, select=("Name", "Id", "State", *_name_of("OwnerNode"), _FOLDERS)
    )
    return Query("shared volumes", call, each(_volume))


def volumes_of(configuration: str) -> Query[tuple[str, ...]]:
    """The Shared Volumes that a VM's configuration resource depends on."""
    call = Call(
        cmdlet="Get-ClusterParameter",
        args={"Name": "DependsOnSharedVolumes"},
        select=("Name", "Value"),
        from_=Call(cmdlet="Get-ClusterResource", args={"Name": configuration}),
    )
    return Query(f"volumes of {configuration}", call, lambda rows: _words(rows, "Value"))


_FOLDERS = "SharedVolumeInfo.FriendlyVolumeName"
_VM = (
    *("Id", "Name", "State", "OperationalStatus", "PrimaryOperationalStatus", "SecondaryOperationalStatus"),
    *("Heartbeat", "Uptime.TotalSeconds", "IsClustered", "Path", "ConfigurationLocation", "HardDrives.Path"),
)


def vm_ids() -> Query[tuple[VmIdRow, ...]]:
    """The VM of each role, as this host's own copy of the cluster database has it, whoever owns the role."""
    select = ("Resource", "Type", "Group", "VmId", "Volumes", "OfflineAction")
    return Query("ids", Call(cmdlet="Agent-VmIds", args={}, select=select), each(_vm_id))


def vm_id_of(resource: str) -> Query[tuple[VmIdRow, ...]]:
    """The VM of one resource, as the cluster has it; its owner answers, who may be gone."""
    call = Call(
        cmdlet="Get-ClusterParameter",
        args={"Name": "VmId"},
        select=("ClusterObject.Name", "ClusterObject.OwnerGroup.Name", "Value"),
        from_=Call(cmdlet="Get-ClusterResource", args={"Name": resource}),
    )
    return Query(f"id of {resource}", call, each(lambda row: _vm_id_of(row, resource)))


def vm_by_id(key: str) -> Query[VmRow | None]:
    """The VM with that id, as this host knows it; None for one that it does not know."""
    call = Call(cmdlet="Get-VM", args={"Id": key}, select=_VM)
    return Query(f"vm {vm_key(key)}", call, lambda rows: _vm_with(rows, key), none_if_absent_by_id(key))


def vms_named(name: str) -> Query[tuple[VmRow, ...]]:
    """Every VM of that name, as this host knows them: an EC-VM is the one that is not clustered."""
    call = Call(cmdlet="Get-VM", args={"Name": name}, select=_VM)

    def none_of_them(error: RemoteError) -> tuple[VmRow, ...] | RemoteError:
        return () if says_absent(error, name) else error

    return Query(f"named {name}", call, each(lambda row: _vm(row, name)), none_of_them)


def iscsi_connections() -> Query[tuple[str, ...]]:
    """The target address of every iSCSI connection of this host."""
    call = Call(cmdlet="Get-IscsiConnection", args={}, select=("TargetAddress",))
    return Query("iscsi connections", call, each(lambda row: text(row, "TargetAddress")))


def none_if_absent(name: str) -> Callable[[RemoteError], RemoteError | None]:
    """Return what reads an error of a cmdlet that looks for a VM by name: None if it says that there is none."""
    return lambda error: None if says_absent(error, name) else error


def none_if_absent_by_id(key: str) -> Callable[[RemoteError], RemoteError | None]:
    """Return what reads an error of Get-VM -Id: None where it says that there is no VM with that id.

    Without the id in its message, ObjectNotFound is Hyper-V in trouble, and says nothing about the VM.
    """

    def read(error: RemoteError) -> RemoteError | None:
        is_absent = error.category == "ObjectNotFound" and vm_key(key) in (error.message or "").lower()
        return None if is_absent else error

    return read


def says_absent(error: RemoteError, name: str) -> bool:
    """Tell whether an error says for certain that there is no such VM.

    ObjectNotFound does so only where it names the VM, as some versions of the module do: Hyper-V also gives it while
    its management service is stopped or still starting, and guests run on meanwhile; then it names the computer.
    Source: github.com/PlagueHO/LabBuilder/issues/203, github.com/eryph-org/eryph/issues/176.
    """
    if error.kind == "ObjectNotFound":
        return error.category != "PermissionDenied" and names_in_quotes(name, error.message or "")
    return error.kind == "InvalidParameter" and error.category in (None, "", "InvalidArgument", "NotSpecified")


def _node(row: Row) -> NodeRow:
    return NodeRow(text(row, "Name"), text(row, "State"), _flags(row, "StatusInformation"))


def _group(row: Row) -> GroupRow:
    return GroupRow(
        name=text(row, "Name"),
        type=text(row, "GroupType"),
        state=text(row, "State"),
        flags=_flags(row, "StatusInformation"),
        owner=_name(row, "OwnerNode"),
    )


def _resource(row: Row) -> ResourceRow:
    return ResourceRow(
        name=text(row, "Name"),
        group=_name(row, "OwnerGroup"),
        type=_name(row, "ResourceType"),
        state=text(row, "State"),
        flags=_flags(row, "StatusInformation"),
        code=_code(row.get("LastOperationStatusCode")),
    )


def _volume(row: Row) -> VolumeRow:
    owner, paths = _name(row, "OwnerNode"), _paths(row, _FOLDERS)
    return VolumeRow(text(row, "Name"), text(row, "Id"), text(row, "State"), owner, paths)


def _vm_with(rows: Rows, key: str) -> VmRow | RemoteError:
    found = next((one for one in (_vm(row, "") for row in rows) if one.id == vm_key(key)), None)
    # An id that it does not know is an error; a login that may not see the VM may get just nothing.
    return found or RemoteError(message=f"Get-VM neither shows {key} nor says that there is none", id="NoResult")


def _vm_id(row: Row) -> VmIdRow:
    return VmIdRow(
        resource=text(row, "Resource"),
        type=text(row, "Type"),
        group=text(row, "Group"),
        id=vm_key(text(row, "VmId")),
        volumes=_words([row], "Volumes"),
        offline_action=number(row, "OfflineAction"),
    )


def _vm_id_of(row: Row, resource: str) -> VmIdRow:
    name = text(row, "ClusterObject.Name") or resource
    return VmIdRow(name, "", text(row, "ClusterObject.OwnerGroup.Name"), vm_key(text(row, "Value")), ())


def _vm(row: Row, name: str) -> VmRow:
    statuses = ("OperationalStatus", "PrimaryOperationalStatus", "SecondaryOperationalStatus")
    return VmRow(
        name=text(row, "Name") or name,
        state=text(row, "State"),
        operational=frozenset(word for status in statuses for word in texts(row.get(status))),
        heartbeat=text(row, "Heartbeat") or None,
        uptime=_seconds(row.get("Uptime.TotalSeconds")),
        id=vm_key(text(row, "Id")),
        is_clustered=clustered if isinstance(clustered := row.get("IsClustered"), bool) else None,
        files=tuple(one for path in ("Path", "ConfigurationLocation", "HardDrives.Path") for one in _paths(row, path)),
    )


def number(row: Row, key: str) -> int | None:
    """Return a whole number of a row; None for what is none."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # JSON has integers of any length, and Windows none beyond 64 bits.
    return int(value) if abs(value) < _MOST_OF_A_NUMBER else None


def _paths(row: Row, key: str) -> tuple[str, ...]:
    """Return one path or several, whole: a comma in one means nothing."""
    value = row.get(key)
    several = value if isinstance(value, list) else [value]
    return tuple(one[:_LONGEST_PATH] for one in several if isinstance(one, str) and one)


def _seconds(value: object) -> float:
    """Return a number of seconds that can be one: JSON has integers of any length, and a float holds 308 digits."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    try:
        seconds = float(value)
    except OverflowError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _words(rows: Rows, key: str) -> tuple[str, ...]:
    return tuple(word for row in rows for word in texts(row.get(key)))


def _name(row: Row, key: str) -> str:
    return text(row, f"{key}.Name") or text(row, key)


def _name_of(object_property: str) -> tuple[str, str]:
    return f"{object_property}.Name", object_property


def _flags(row: Row, key: str) -> frozenset[str]:
    return frozenset(texts(row.get(key)))


def _code(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**31) <= value < 2**32:
        return 0
    value &= 0xFFFFFFFF
    # The code of a Win32 error, whether it came plain or as an HRESULT.
    return value & 0xFFFF if value >> 16 == 0x8007 else value
