"""One request, one observation: everything that matters about VMs and the cluster, as one host shows it."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecx_hyperv.host import queries
from ecx_hyperv.host.queries import Answers, Query
from ecx_hyperv.host.rows import GroupRow, NodeRow, ResourceRow, VmIdRow, VmRow, VolumeRow, vm_key
from ecx_hyperv.host.wire import Call, Hello, RemoteError, Result

# The parts of a look, each a request of its own; a guest's is `vm` and its name.
IDS, CLUSTER, VOLUMES, ISCSI = "ids", "cluster", "volumes", "iscsi"


def guest_key(name: str) -> str:
    """Return the key of the part of a look that shows a VM."""
    return f"vm {name}"


@dataclass(frozen=True, slots=True)
class Part:
    """Questions that are asked in one request, and the key that its stamp has."""

    key: str
    queries: tuple[Query[Any], ...]


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a part of a look was asked and answered; monotonic seconds."""

    asked: float
    answered: float


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What to look at.

    `vms` are ids by the names that the VMs have in the configuration, `named` the names under which VMs are looked for,
    `ec_vm` that of the host's EC-VM; `volumes_of` and `ids_of` are names of resources.
    """

    vms: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    cluster: bool = True
    iscsi: bool = True
    volumes_of: tuple[str, ...] = ()
    ids_of: tuple[str, ...] = ()
    ec_vm: str = ""

    def calls(self) -> tuple[Call, ...]:
        """Return the calls that show it."""
        return tuple(query.call for query in self.queries())

    def queries(self) -> Iterator[Query[Any]]:
        """Return the questions that show it, in the order of their calls."""
        for part in self.parts():
            yield from part.queries

    def parts(self) -> Iterator[Part]:
        """Return what is asked in requests of their own, in their order: whatever hangs takes what stands behind it.

        First what a VM is known by, then the guests, which may be shutting down; last what is not in a hurry.
        """
        if self.cluster:
            yield Part(IDS, (queries.vm_ids(),))
        yield from (Part(guest_key(name), (queries.vm_by_id(key),)) for name, key in self.vms.items())
        # A VM that is absent is absent only beside the EC-VM, so both are asked for in one look.
        yield from (Part(f"named {name}", (queries.vms_named(name),)) for name in self._names)
        if self.cluster:
            yield Part(CLUSTER, (queries.nodes(), queries.groups(), queries.resources()))
            volumes = tuple(queries.volumes_of(name) for name in self.volumes_of)
            yield Part(VOLUMES, (queries.shared_volumes(), *volumes))
        yield from (Part(f"id of {name}", (queries.vm_id_of(name),)) for name in self.ids_of)
        if self.iscsi:
            yield Part(ISCSI, (queries.iscsi_connections(),))

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*((self.ec_vm,) if self.ec_vm else ()), *self.named]))


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """What one host shows at one moment; an error stands in place of what it would not tell.

    `vms` are by id, None for one that the host does not know; `named` by casefolded name; `ids` is its database.
    """

    host: str
    nodes: tuple[NodeRow, ...] | RemoteError = ()
    groups: tuple[GroupRow, ...] | RemoteError = ()
    resources: tuple[ResourceRow, ...] | RemoteError = ()
    shared_volumes: tuple[VolumeRow, ...] | RemoteError = ()
    vms: Mapping[str, VmRow | RemoteError | None] = field(default_factory=dict)
    iscsi: tuple[str, ...] | RemoteError = ()
    volumes_of: Mapping[str, tuple[str, ...] | RemoteError] = field(default_factory=dict)
    named: Mapping[str, tuple[VmRow, ...] | RemoteError] = field(default_factory=dict)
    ids: tuple[VmIdRow, ...] | RemoteError = ()
    resource_ids: Mapping[str, tuple[VmIdRow, ...] | RemoteError] = field(default_factory=dict)
    ec_vm: tuple[VmRow, ...] | RemoteError = ()
    stamps: Mapping[str, Stamp] = field(default_factory=dict)

    def vm(self, key: str) -> VmRow | RemoteError | None:
        """Return what the host shows of the VM with that id, whichever question showed it; None if it does not know it.

        A question by name that shows the id shows the VM; one that does not says nothing, since VMs are renamed.
        """
        row = self.vms.get(key, NOT_ASKED)
        if isinstance(row, VmRow) or not isinstance(row, RemoteError):
            return row
        rows = (one for rows in self.named.values() if isinstance(rows, tuple) for one in rows)
        return next((one for one in rows if one.id == key), row)

    def errors(self) -> list[RemoteError]:
        """Return everything that the host would not tell."""
        parts = [self.nodes, self.groups, self.resources, self.shared_volumes, self.iscsi]
        return [
            part for part in [*parts, *self.vms.values(), *self.volumes_of.values()] if isinstance(part, RemoteError)
        ]

    @property
    def cluster_error(self) -> RemoteError | None:
        """Return why the cluster's facts are not there; None if they are. The volumes are a question of their own."""
        parts = (self.nodes, self.groups, self.resources)
        return next((part for part in parts if isinstance(part, RemoteError)), None)


NOT_ASKED = RemoteError(message="it was not asked for", id="NoResult")


def read(hello: Hello, results: Sequence[Result], wanted: SnapshotRequest) -> HostSnapshot:
    """Turn the results of the wanted calls into a snapshot."""
    return snapshot_of(hello, Answers(wanted.queries(), results), wanted, {})


def snapshot_of(hello: Hello, answers: Answers, wanted: SnapshotRequest, stamps: Mapping[str, Stamp]) -> HostSnapshot:
    """Turn the answers to the wanted questions into a snapshot; `stamps` has the key of each part that was answered."""
    asks_cluster, asks_iscsi = wanted.cluster, wanted.iscsi
    return HostSnapshot(
        host=hello.host,
        nodes=answers.of(queries.nodes()) if asks_cluster else (),
        groups=answers.of(queries.groups()) if asks_cluster else (),
        resources=answers.of(queries.resources()) if asks_cluster else (),
        shared_volumes=answers.of(queries.shared_volumes()) if asks_cluster else (),
        vms={vm_key(key): answers.of(queries.vm_by_id(key)) for key in wanted.vms.values()},
        named={name.casefold(): answers.of(queries.vms_named(name)) for name in wanted.named},
        iscsi=answers.of(queries.iscsi_connections()) if asks_iscsi else (),
        volumes_of={name.casefold(): answers.of(queries.volumes_of(name)) for name in wanted.volumes_of},
        ids=answers.of(queries.vm_ids()) if asks_cluster else (),
        resource_ids={name.casefold(): answers.of(queries.vm_id_of(name)) for name in wanted.ids_of},
        ec_vm=answers.of(queries.vms_named(wanted.ec_vm)) if wanted.ec_vm else (),
        stamps=stamps,
    )


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
