"""Finding a VM's group, its resources and a volume in what a host shows."""

from ecx_hyperv.host.identity import CONFIGURATION, MACHINE, VmIdentity
from ecx_hyperv.host.observe import HostSnapshot, is_same_address
from ecx_hyperv.host.rows import GroupRow, ResourceRow, VolumeRow
from ecx_hyperv.host.wire import RemoteError


def has_session(snapshot: HostSnapshot, target: str) -> bool:
    """Tell whether a host has an iSCSI connection to exactly that address."""
    return not isinstance(snapshot.iscsi, RemoteError) and any(is_same_address(one, target) for one in snapshot.iscsi)


def find_group(snapshot: HostSnapshot, role: str) -> GroupRow | None:
    """Return the group of that name; names of groups are unique in a cluster."""
    rows = () if isinstance(snapshot.groups, RemoteError) else snapshot.groups
    return next((row for row in rows if row.name.casefold() == role.casefold()), None)


def find_resource(snapshot: HostSnapshot, identity: VmIdentity, vm: str, kind: str) -> ResourceRow | None:
    """Return a VM's resource of a kind: the one that the database names for its id, else by its group and type.

    A group may hold two VMs, so group and type alone count only while no database has named the resource.
    """
    rows = () if isinstance(snapshot.resources, RemoteError) else snapshot.resources
    named = {MACHINE: identity.machine, CONFIGURATION: identity.configuration}[kind]
    if named:
        return next((row for row in rows if row.name.casefold() == named.casefold()), None)
    role = (identity.role or vm).casefold()
    found = [row for row in rows if row.group.casefold() == role and row.type == kind]
    if len(found) == 1:
        return found[0]
    usual = f"{kind} {vm}".casefold()
    return next((row for row in rows if row.name.casefold() == usual), None)


def find_volume(snapshot: HostSnapshot, csv: str) -> VolumeRow | None:
    """Return a Shared Volume."""
    rows = () if isinstance(snapshot.shared_volumes, RemoteError) else snapshot.shared_volumes
    return next((row for row in rows if row.name.casefold() == csv.casefold()), None)
