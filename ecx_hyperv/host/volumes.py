"""Who may be on a Shared Volume, from what the hosts show.

Three sources, and each only adds: what the configuration says, what the cluster says that a VM's configuration depends
on, and where Get-VM of every configured VM on both hosts says that its files are (D4, F15: a VM whose role was removed
ran on the volume, a VM had disks on two). A VM that nobody listed is not absent. A doubt leaves the volume online.
"""

from collections.abc import Iterable, Mapping

from ecx_hyperv.config import Config
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.states import ResourceKind, VmKind, resource_kind, vm_kind
from ecx_hyperv.decide.volume import Users, VolumeObservation
from ecx_hyperv.host.identity import CONFIGURATION, VmIdentity
from ecx_hyperv.host.lookups import find_volume
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.rows import ResourceRow, VmRow, volume_key
from ecx_hyperv.host.snapshots import Snapshots, contact_of
from ecx_hyperv.host.wire import RemoteError

_OFF = (VmKind.DOWN, VmKind.STRANDED)
_CSV_ROOT = "c:\\clusterstorage\\"


def observe_volume(
    config: Config,
    csv: str,
    snapshots: Snapshots,
    identities: Mapping[str, VmIdentity],
    ours: Iterable[str],
    busy: Iterable[str],
) -> VolumeObservation:
    """Put together what is decided about a Shared Volume; `ours` are off, `busy` are being started here."""
    observer = snapshots.observer
    snapshot = None if observer is None else snapshots.snapshot(observer)
    ours = [*ours]
    if snapshot is None:
        users, because = Users.DOUBT, "no cluster service answers"
    else:
        view = _View(config, csv, snapshots, snapshot, identities)
        users, because = view.users(ours)
    started = [vm for vm in busy if (config.csv_of(vm) or csv).casefold() == csv.casefold()]
    if started and users is not Users.SOME:
        users, because = Users.DOUBT, f"{started[0]} is being started"
    row = None if snapshot is None else find_volume(snapshot, csv)
    told = snapshot is not None and not isinstance(snapshot.shared_volumes, RemoteError)
    state = ResourceKind.ABSENT if row is None else resource_kind(row.state)
    return VolumeObservation(
        csv=csv,
        state=state if told else ResourceKind.UNKNOWN,
        users=users,
        because=because,
        local=contact_of(snapshots.local),
        peer=contact_of(snapshots.peer),
        observer=observer or Side.LOCAL,
    )


def volumes_of(config: Config, vms: Iterable[str], known: Snapshots, identities: Mapping[str, VmIdentity]) -> list[str]:
    """Return the Shared Volumes of VMs, each once: the configured ones, and those that the cluster names (F15)."""
    vms = [*vms]
    rows = [
        row for snapshot in known.all() if isinstance(snapshot.shared_volumes, tuple) for row in snapshot.shared_volumes
    ]
    by_key = {key: row.name for row in rows for key in (volume_key(row.id), volume_key(row.name))}
    told = [one for vm in vms if vm.casefold() in identities for one in identities[vm.casefold()].volumes]
    names = [*config.volumes_of(vms), *(by_key[volume_key(one)] for one in told if volume_key(one) in by_key)]
    return list({name.casefold(): name for name in reversed(names)}.values())[::-1]


def to_place(snapshot: HostSnapshot) -> list[str]:
    """Return the configuration resources that may hold files open, for the question on which volumes they depend."""
    return [row.name for row in _configurations(snapshot) if resource_kind(row.state) is not ResourceKind.OFFLINE]


class _View:
    """One volume as it looks at one moment."""

    def __init__(
        self,
        config: Config,
        csv: str,
        snapshots: Snapshots,
        cluster: HostSnapshot,
        identities: Mapping[str, VmIdentity],
    ) -> None:
        self._config = config
        self._csv = csv
        self._snapshots = snapshots
        self._cluster = cluster
        self._identities = identities

    def users(self, ours: Iterable[str]) -> tuple[Users, str]:
        """Say who may be on the volume; a VM of this run that was off may have been started elsewhere meanwhile."""
        off = {name.casefold() for name in ours}
        for vm in self._config.vm:
            found = self._configured(vm.name, is_ours=vm.name.casefold() in off)
            if found is not None:
                return found
        return self._strangers(off)

    def _configured(self, name: str, *, is_ours: bool) -> tuple[Users, str] | None:
        """Judge a configured VM; None if it is not on the volume, or is off: of ours that is known once it is told."""
        identity = self._identities.get(name.casefold())
        key = "" if identity is None else identity.id
        rows = [snapshot.vm(key) for snapshot in self._snapshots.all()] if key else []
        live = [row for row in rows if isinstance(row, VmRow) and vm_kind(row.state) not in _OFF]
        is_here = self._may_be_here(name, identity, [row for row in rows if isinstance(row, VmRow)])
        if is_here and live:
            return Users.SOME, f"{name} is on it ({live[0].state})"
        registered = self._is_registered(identity)
        if not is_here or registered is False or (is_ours and registered is None):
            return None
        return Users.DOUBT, f"{name} may be on it"

    def _may_be_here(self, name: str, identity: VmIdentity | None, rows: Iterable[VmRow]) -> bool:
        if (self._config.csv_of(name) or "").casefold() == self._csv.casefold():
            return True
        volume = find_volume(self._cluster, self._csv)
        keys = {volume_key(self._csv), *(() if volume is None else (volume_key(volume.id),))}
        if identity is not None and keys & {volume_key(one) for one in identity.volumes}:
            return True
        paths = () if volume is None else volume.paths
        files = [file.casefold() for row in rows for file in row.files]
        if not paths:
            # Which folder is the volume's was not told: any file on any Shared Volume may be on it.
            return any(file.startswith(_CSV_ROOT) for file in files)
        return any(file.startswith(f"{path.casefold()}\\") for file in files for path in paths)

    def _is_registered(self, identity: VmIdentity | None) -> bool | None:
        """Tell whether a VM's configuration may hold its files open; None if nobody knows."""
        if identity is None or not identity.configuration:
            return None
        rows = _resources(self._cluster)
        row = next((one for one in rows if one.name.casefold() == identity.configuration.casefold()), None)
        return None if row is None else resource_kind(row.state) is not ResourceKind.OFFLINE

    def _strangers(self, off: set[str]) -> tuple[Users, str]:
        """Judge the roles that no [[vm]] names: each counts unless the cluster places it elsewhere."""
        configured = off | {vm.name.casefold() for vm in self._config.vm}
        known = {one.configuration.casefold() for one in self._identities.values() if one.configuration}
        # Without an id the name is all there is; with one, a role of that name may be another VM's (F14).
        nameless = {name for name in configured if not self._has_configuration(name)}
        verdict, because = Users.NONE, ""
        for row in _configurations(self._cluster):
            is_known = row.name.casefold() in known or row.group.casefold() in nameless
            if is_known or resource_kind(row.state) is ResourceKind.OFFLINE:
                continue
            depends = self._cluster.volumes_of.get(row.name.casefold())
            if depends is None:
                verdict, because = Users.UNASKED, row.name
            elif not self._is_elsewhere(depends):
                return Users.DOUBT, f"{row.group or row.name} may be on it"
        roles = {one.role.casefold() for one in self._identities.values() if one.configuration}
        stray = self._without_configuration(roles | nameless)
        return (
            (Users.DOUBT, f"{stray} has no configuration resource, and may be on it") if stray else (verdict, because)
        )

    def _has_configuration(self, name: str) -> bool:
        identity = self._identities.get(name)
        return identity is not None and bool(identity.configuration)

    def _without_configuration(self, known: set[str]) -> str | None:
        """Return another VM's group of which no resource can be told to be its configuration; it may be renamed."""
        told = {row.group.casefold() for row in _configurations(self._cluster)} | known
        groups = () if isinstance(self._cluster.groups, RemoteError) else self._cluster.groups
        return next(
            (one.name for one in groups if one.type == "VirtualMachine" and one.name.casefold() not in told), None
        )

    def _is_elsewhere(self, depends: tuple[str, ...] | RemoteError) -> bool:
        """Tell whether every volume that a VM depends on is a known one, and another than this."""
        volumes = self._cluster.shared_volumes
        if isinstance(depends, RemoteError) or isinstance(volumes, RemoteError) or not depends:
            return False
        known = {key: row for row in volumes for key in (volume_key(row.id), volume_key(row.name))}
        found = [known.get(volume_key(volume)) for volume in depends]
        return all(row is not None and row.name.casefold() != self._csv.casefold() for row in found)


def _resources(snapshot: HostSnapshot) -> tuple[ResourceRow, ...]:
    return () if isinstance(snapshot.resources, RemoteError) else snapshot.resources


def _configurations(snapshot: HostSnapshot) -> list[ResourceRow]:
    rows = _resources(snapshot)
    return [row for row in rows if row.type == CONFIGURATION or row.name.startswith(f"{CONFIGURATION} ")]
