"""Why Hyper-V or the cluster did not do what was asked; told by codes, ids and categories, never by words."""

import re

from ecx_hyperv.decide.facts import Refusal
from ecx_hyperv.host.identity import MACHINE, VmIdentity
from ecx_hyperv.host.lookups import find_group, find_resource
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.wire import RemoteError

# E_OUTOFMEMORY, not enough memory (8), system resources (1450), commit (1455); the cluster's vetoes for lack of them.
_MEMORY_CODES = frozenset({8, 14, 1450, 1455, 5956, 5957})
_DENIED_CODES = frozenset({5})
_DENIED_CATEGORIES = frozenset({"PermissionDenied", "SecurityError"})
_IN_USE_CODES = frozenset({32})
_STARVED = frozenset({"InsufficientMemory", "InsufficientCpu", "InsufficientResources", "PhysicalResourcesLacking"})
# 0x80070005 about a disk file: the VM lacks the right to its disk, not the login the right to start it (F19).
_DISK_FILE = re.compile(r"\.(a?vhdx?|vhds|iso)\b", re.IGNORECASE)


def refusal_of(error: RemoteError) -> Refusal:
    """Say why a cmdlet was refused."""
    if error.code in _MEMORY_CODES or error.kind == "OutOfMemory":
        return Refusal.MEMORY
    if error.code in _DENIED_CODES or error.category in _DENIED_CATEGORIES or error.kind == "AccessDenied":
        return Refusal.DISK_DENIED if _DISK_FILE.search(error.message or "") else Refusal.DENIED
    return Refusal.IN_USE if error.code in _IN_USE_CODES else Refusal.OTHER


def refusal_seen(identity: VmIdentity, vm: str, snapshot: HostSnapshot) -> tuple[Refusal, str]:
    """Say why the cluster's last operation on a VM failed, and in which of its words; NOTHING if that is not shown."""
    group = find_group(snapshot, identity.role or vm)
    machine = find_resource(snapshot, identity, vm, MACHINE)
    flags = (group.flags if group else frozenset()) | (machine.flags if machine else frozenset())
    starved = flags & _STARVED
    code = 0 if machine is None else machine.code
    if starved or code in _MEMORY_CODES:
        return Refusal.MEMORY, f"the cluster shows {', '.join(sorted(starved)) or f'error {code}'}"
    if code in _IN_USE_CODES:
        return Refusal.IN_USE, f"the cluster shows error {code} (0x8007{code:04x})"
    return Refusal.NOTHING, ""
