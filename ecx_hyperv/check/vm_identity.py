"""Which VM each [[vm]] means, by what both hosts say, and whether the configuration says so rightly.

The ids come first, in a request of their own: another VM may bear the same name, and a role need not be called like its
VM (F13), so everything else that a check asks about a VM is asked by its id and by the names of its resources.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecx_hyperv.check.host_facts import AskedVm, unavailable
from ecx_hyperv.check.outcome import Finding, Outcome, Unavailable, cannot_tell, ok, words
from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.facts import Identity
from ecx_hyperv.decide.states import NodeKind, node_kind
from ecx_hyperv.desired.quoting import literal
from ecx_hyperv.host import queries
from ecx_hyperv.host.identity import CONFIGURATION, MACHINE, Database, VmIdentity, identify
from ecx_hyperv.host.observe import is_same_host
from ecx_hyperv.host.queries import Answers, Query
from ecx_hyperv.host.rows import VmIdRow, VmRow, vm_key
from ecx_hyperv.host.wire import Hello, RemoteError, Reply, Request

_CHECK = "vm-identity"


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """What one host says of which VM is which: its database, and the VMs that Get-VM shows, by casefolded name."""

    host: str
    database: Database | Unavailable
    named: Mapping[str, tuple[VmRow, ...]]
    modules: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class IdentityRequest:
    """What a check asks a host first; `vms` are the names of the protected VMs."""

    vms: tuple[str, ...]

    def queries(self) -> Iterator[Query[Any]]:
        """Return the questions, in the order of their calls."""
        yield queries.nodes()
        yield queries.vm_ids()
        yield from (queries.vms_named(name) for name in self.vms)

    def request(self) -> Request:
        """Return the one request that makes all calls, whatever fails of them."""
        return Request(calls=tuple(query.call for query in self.queries()), stop_on_error=False)

    def read(self, hello: Hello, reply: Reply) -> IdentityFacts:
        """Turn what a host answered into facts."""
        answers = Answers(self.queries(), reply.results)
        nodes, ids = answers.of(queries.nodes()), answers.of(queries.vm_ids())
        known = () if isinstance(nodes, RemoteError) else nodes
        node = next((one for one in known if is_same_host(one.name, hello.host)), None)
        is_up = node is not None and node_kind(node.state, node.flags) in (NodeKind.UP, NodeKind.PAUSED)
        named = {name.casefold(): answers.of(queries.vms_named(name)) for name in self.vms}
        return IdentityFacts(
            host=hello.host,
            database=unavailable(queries.vm_ids().call, ids)
            if isinstance(ids, RemoteError)
            else Database(ids, is_current=is_up),
            named={name: rows for name, rows in named.items() if isinstance(rows, tuple)},
            modules=reply.modules,
        )


@dataclass(frozen=True, slots=True)
class IdentifiedVm:
    """Which VM a [[vm]] means.

    `rows` are those of the databases that count, `shown` the VMs that Get-VM shows under the configured name, each with
    its host; `reason` is why no database counts, None where one does.
    """

    vm: ProtectedVm
    kept: str
    found: VmIdentity
    rows: tuple[VmIdRow, ...]
    shown: tuple[tuple[str, VmRow], ...]
    reason: Unavailable | None

    @property
    def role(self) -> str:
        """Return the name of the VM's group, as far as it is known."""
        elsewhere = self.clustered_elsewhere
        return (self.role_of(elsewhere[0]) if elsewhere else self.found.role) or self.vm.role or self.vm.name

    @property
    def needs_id(self) -> bool:
        """Tell whether Get-VM under the configured name shows another VM, or not this one: a line must say the id."""
        shown = {row.id for _, row in self.shown}
        return bool(self.found.id) and shown != {self.found.id}

    def asked(self) -> AskedVm:
        """Return how the VM is asked about."""
        elsewhere = self.clustered_elsewhere
        key = elsewhere[0] if elsewhere else self.found.id
        machine, configuration = (
            next((row.resource for row in self.rows if row.type == kind and vm_key(row.id) == key), "")
            for kind in (MACHINE, CONFIGURATION)
        )
        return AskedVm(self.vm.name, key, self.found.machine or machine, self.found.configuration or configuration)

    def role_of(self, key: str) -> str:
        """Return the name of the group that an id is in; empty for none."""
        return next((row.group for row in self.rows if row.type == MACHINE and vm_key(row.id) == key), "")

    def in_role(self, role: str) -> list[str]:
        """Return the ids of the VMs of a group."""
        wanted = role.casefold()
        ids = [vm_key(row.id) for row in self.rows if row.type == MACHINE and row.group.casefold() == wanted]
        return list(dict.fromkeys(one for one in ids if one))

    @property
    def clustered_elsewhere(self) -> list[str]:
        """Return the ids of the VMs of that name which are in a role, though the configuration does not lead there."""
        found = [row.id for _, row in self.shown if self.role_of(row.id)]
        return list(dict.fromkeys(found)) if self.found.identity is Identity.NO_ROLE else []


def identify_vm(vm: ProtectedVm, kept: str, facts: Sequence[IdentityFacts]) -> IdentifiedVm:
    """Say which VM a [[vm]] means, from what the hosts that answered say; `kept` is the id that a run has kept."""
    databases = [one.database for one in facts if isinstance(one.database, Database)]
    shown = tuple((one.host, row) for one in facts for row in one.named.get(vm.name.casefold(), ()))
    found = identify(vm, kept, databases, [row for _, row in shown], blind=not databases)
    current = [one for one in databases if one.is_current]
    return IdentifiedVm(
        vm=vm,
        kept=vm_key(kept),
        found=found,
        rows=tuple(row for one in current for row in one.rows),
        shown=shown,
        reason=None if current else _why_none(facts),
    )


def _why_none(facts: Iterable[IdentityFacts]) -> Unavailable:
    refused = [one.database for one in facts if isinstance(one.database, Unavailable)]
    return next(iter(refused), Unavailable(why="no cluster database of a node that is Up was read"))


def judge_identity(one: IdentifiedVm, *, is_seen: bool = True) -> Finding:
    """Say whether the configuration leads to one VM, and to the right one.

    `is_seen` is whether runs on this EC-VM must have seen the VM, and so have kept its id: those of a standby have not.
    """
    name, found = one.vm.name, one.found
    if one.reason is not None:
        return cannot_tell(_CHECK, name, one.reason)
    if found.identity is Identity.AMBIGUOUS:
        return _finding(one, Outcome.WRONG, [f"{found.lacks}"], _choices(one, found.candidates))
    if found.identity is not Identity.KNOWN:
        elsewhere = one.clustered_elsewhere
        if elsewhere:
            return _finding(one, Outcome.WRONG, [found.lacks], _choices(one, elsewhere))
        return cannot_tell(_CHECK, name, Unavailable(why=f"{found.lacks}: see vm-clustered"))
    return _mismatch(one) or _doubts(one, is_seen=is_seen)


def _doubts(one: IdentifiedVm, *, is_seen: bool) -> Finding:
    """Say which VM is meant, and what a person should know although a run knows it too."""
    name, found = one.vm.name, one.found
    seen, remedies = [_named(one, found.id)], list[str]()
    if one.vm.id is None and one.kept != found.id:
        seen.append("no run on this EC-VM has kept this id yet, and the configuration does not hold it")
        if is_seen or one.kept:
            remedies.append(_line(one, f'id = "{found.id}"'))
    others = [key for key in one.in_role(found.role) if key != found.id]
    if others:
        seen.append(f"role {found.role} holds another VM too: {', '.join(others)}")
        remedies.append("in Failover Cluster Manager give each VM a role of its own: a move of the role takes both")
    for host, row in _namesakes(one):
        seen.append(f"another VM of that name on {host}: {_named(one, row.id)}, {row.state}")
        rename = f"Get-VM -Id {literal(row.id)} | Set-VM -NewVMName {literal(f'{name} (copy)')}"
        remedies.append(f"rename or remove the other VM; on {host}: {rename}")
    if not remedies:
        return ok(_CHECK, name, "; ".join(seen))
    return _finding(one, Outcome.WARNING, seen, remedies)


def _mismatch(one: IdentifiedVm) -> Finding | None:
    """Return what is wrong where id and role of the configuration do not lead to one VM; None where they do."""
    vm, found = one.vm, one.found
    configured = vm_key(vm.id or "")
    if configured and configured != found.id:
        seen = [f"id {configured} is nowhere in the cluster; {_named(one, found.id)} is used"]
        return _finding(one, Outcome.WRONG, seen, [_line(one, f'id = "{found.id}"')])
    if not configured or vm.role is None or configured in one.in_role(vm.role):
        return None
    others = one.in_role(vm.role)
    leads = f"leads to {', '.join(others)}" if others else "leads to no VM"
    remedies = [_line(one, f"role = {_toml(found.role)}")]
    remedies += [_line(one, f'id = "{key}"') for key in others]
    seen = [f"id {configured} is in role {found.role or 'none'}, and role {vm.role} {leads}"]
    return _finding(one, Outcome.WRONG, seen, [" or ".join(remedies)])


def _choices(one: IdentifiedVm, keys: Sequence[str]) -> list[str]:
    """Return the lines of which one is to be written, what Hyper-V calls by the configured name first."""
    named = [row.id for _, row in one.shown]
    lines = [f'id = "{key}" for {_named(one, key)}' for key in sorted(keys, key=lambda key: (key not in named, key))]
    return [_line(one, " or ".join(lines))]


def _namesakes(one: IdentifiedVm) -> Iterator[tuple[str, VmRow]]:
    """Return the VMs that a host shows under the configured name and that are not the one that is meant."""
    yield from ((host, row) for host, row in one.shown if row.id and row.id != one.found.id)


def _named(one: IdentifiedVm, key: str) -> str:
    role = one.role_of(key)
    place = f"in role {role}" if role else "in no role"
    hosts = list(dict.fromkeys(host for host, row in one.shown if row.id == key))
    return f"{key}, {place}{f', on {hosts[0]}' if hosts else ''}"


def _line(one: IdentifiedVm, line: str) -> str:
    return f"in config.toml, in the [[vm]] of {one.vm.name}, write {line}"


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _finding(one: IdentifiedVm, outcome: Outcome, seen: Sequence[str], remedies: Sequence[str]) -> Finding:
    return Finding(
        name=_CHECK,
        place=one.vm.name,
        outcome=outcome,
        seen="; ".join(seen),
        expected="one VM, by an id that is kept or configured; no other of its name",
        remedy=words("; ".join(remedies)),
    )
