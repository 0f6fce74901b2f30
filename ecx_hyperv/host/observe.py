"""One request, one observation: everything that matters about VMs and the cluster, as one host shows it."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecx_hyperv.host import queries
from ecx_hyperv.host.queries import Answers, Query
from ecx_hyperv.host.rows import GroupRow, NodeRow, ResourceRow, VmRow, VolumeRow
from ecx_hyperv.host.wire import Call, Hello, RemoteError, Result


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What to look at; `volumes_of` names configuration resources."""

    vms: tuple[str, ...] = ()
    cluster: bool = True
    iscsi: bool = True
    volumes_of: tuple[str, ...] = ()

    def calls(self) -> tuple[Call, ...]:
        """Return the calls that show it."""
        return tuple(query.call for query in self.queries())

    def queries(self) -> Iterator[Query[Any]]:
        """Return the questions that show it, in the order of their calls."""
        if self.cluster:
            yield queries.nodes()
            yield queries.groups()
            yield queries.resources()
            yield queries.shared_volumes()
        yield from (queries.vm(name) for name in self.vms)
        if self.iscsi:
            yield queries.iscsi_connections()
        yield from (queries.volumes_of(name) for name in self.volumes_of)


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
    """Turn the results of the wanted calls into a snapshot."""
    answers = Answers(wanted.queries(), results)
    asks_cluster, asks_iscsi = wanted.cluster, wanted.iscsi
    return HostSnapshot(
        host=hello.host,
        nodes=answers.of(queries.nodes()) if asks_cluster else (),
        groups=answers.of(queries.groups()) if asks_cluster else (),
        resources=answers.of(queries.resources()) if asks_cluster else (),
        shared_volumes=answers.of(queries.shared_volumes()) if asks_cluster else (),
        vms={name.casefold(): answers.of(queries.vm(name)) for name in wanted.vms},
        iscsi=answers.of(queries.iscsi_connections()) if asks_iscsi else (),
        volumes_of={name.casefold(): answers.of(queries.volumes_of(name)) for name in wanted.volumes_of},
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
