"""The objects that the lab's Get- cmdlets show, with the properties of the real ones."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ecx_hyperv.lab.model.facts import VmSetup
from ecx_hyperv.lab.model.roles import CONFIGURATION, MACHINE
from ecx_hyperv.lab.model.things import EcVm, Guest, Vm
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.messages import Failure

# What Hyper-V's Status says in the host's language; nobody should read it.
_STATUS = {"en": "Operating normally", "ja": "正常稼働中"}
# The groups' states, the one that outweighs the others first.
_GROUP_STATES = ("Pending", "Failed", "Online", "Offline")
# Where a host keeps the VMs that are on no Shared Volume.
_LOCAL_FOLDER = r"D:\Restored"


class NoClusterDatabase(Exception):
    """A host without the cluster's database; the agent itself says so."""


class Rows:
    """What one host shows of the world to one PowerShell, which may repeat what it read of a VM before."""

    def __init__(self, world: World, host: str, target: str) -> None:
        self._world = world
        self._host = host
        self._target = target
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def nodes(self) -> list[dict[str, Any]]:
        """The cluster's nodes."""
        rows = []
        for name in self._world.hosts:
            state, flags = self._world.cluster.node(self._host, name)
            rows.append({"Name": name, "NodeName": name, "State": state, "StatusInformation": flags})
        return rows

    def groups(self) -> list[dict[str, Any]]:
        """The cluster's groups: its own, and one for each role."""
        core = {
            "Name": "Cluster Group",
            "GroupType": "Cluster",
            "State": "Online",
            "StatusInformation": "0",
            "OwnerNode": _node(next(iter(self._world.hosts))),
            "FailoverThreshold": 4294967295,
            "FailoverPeriod": 6,
            "AutoFailbackType": 0,
        }
        roles: dict[str, list[Vm]] = {}
        for vm in self._clustered():
            roles.setdefault(vm.role.casefold(), []).append(vm)
        return [core, *(_group(vms) for vms in roles.values())]

    def resources(self) -> list[dict[str, Any]]:
        """The cluster's resources: its address, and two for each VM."""
        rows: list[dict[str, Any]] = [
            {
                "Name": "Cluster IP Address",
                "State": "Online",
                "StatusInformation": "0",
                "LastOperationStatusCode": 0,
                "OwnerGroup": {"Name": "Cluster Group"},
                "ResourceType": {"Name": "IP Address"},
            }
        ]
        for vm in self._clustered():
            for kind, name, state, flags, code in (
                (MACHINE, vm.machine_name, vm.machine, vm.machine_flags, vm.code),
                (CONFIGURATION, vm.configuration_name, vm.configuration, set(), 0),
            ):
                rows.append(
                    {
                        "Name": name,
                        "State": state,
                        "StatusInformation": ", ".join(sorted(flags)) or "0",
                        "LastOperationStatusCode": code,
                        "RestartAction": vm.facts.restart_action,
                        "OwnerGroup": {"Name": vm.role},
                        "OwnerNode": _node(vm.owner),
                        "ResourceType": {"Name": kind},
                    }
                )
        return rows

    def get_resource(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What Get-ClusterResource gives: all, or those of some names; one name that is unknown loses all of them."""
        rows = self.resources()
        if "Name" not in args:
            return rows
        wanted = args["Name"] if isinstance(args["Name"], list) else [args["Name"]]
        by_name = {str(row["Name"]).casefold(): row for row in rows}
        unknown = [str(name) for name in wanted if str(name).casefold() not in by_name]
        if unknown:
            raise Failure(5007, unknown[0])
        return [by_name[str(name).casefold()] for name in wanted]

    def volumes(self) -> list[dict[str, Any]]:
        """The Shared Volumes."""
        return [
            {
                "Name": one.name,
                "Id": one.id,
                "State": one.state,
                "OwnerNode": _node(one.owner),
                "SharedVolumeInfo": [{"FriendlyVolumeName": self._folder_of(one.name)}],
            }
            for one in self._world.volumes.values()
        ]

    def parameters(self, resource: dict[str, Any]) -> list[dict[str, Any]]:
        """The private properties of a resource, or of the resource type of VMs; raises Failure."""
        if resource.get("DllName"):
            barred = [network_id(name) for name in self._world.facts.no_migration.split(";") if name]
            return [{"Name": "MigrationExcludeNetworks", "Value": ";".join(barred)}]
        found = self.find_resource(str(resource["Name"]))
        if found is None:
            return []
        vm, kind = found
        self._ask_owner(vm)
        values: dict[str, Any] = {"VmId": f"{{{vm.id.upper()}}}"}
        if kind == CONFIGURATION:
            values["DependsOnSharedVolumes"] = list(self._world.roles.volumes_of(vm))
        else:
            values |= {"OfflineAction": vm.offline_action.value, "CheckHeartbeat": vm.facts.check_heartbeat}
            values["MigrationProgress"] = self._world.cluster.progress(vm)
        what = {"Name": resource["Name"], "OwnerGroup": {"Name": vm.role}}
        return [{"Name": name, "Value": value, "ClusterObject": what} for name, value in values.items()]

    def _ask_owner(self, vm: Vm) -> None:
        """Raise unless the node that owns a VM's resources answers, since private properties come from there."""
        if vm.owner == self._host:
            return
        state, flags = self._world.cluster.node(self._host, vm.owner)
        if state not in ("Up", "Paused") or flags != "Normal" or not self._world.cluster.is_member(vm.owner):
            raise Failure(1722, vm.owner)

    def vm_ids(self) -> list[dict[str, Any]]:
        """What the cluster database on this host says of the VMs' resources; raises NoClusterDatabase."""
        entries = self._world.roles.database(self._host)
        if entries is None:
            raise NoClusterDatabase
        return [
            {
                "Resource": one.resource,
                "Type": one.type,
                "Group": one.group,
                "VmId": one.id,
                "Volumes": [*one.volumes],
                "OfflineAction": one.offline_action,
            }
            for one in entries
        ]

    def find_resource(self, name: str) -> tuple[Vm, str] | None:
        """Return the VM whose resource is called so, and the resource's type."""
        for vm in self._clustered():
            for kind, called in ((MACHINE, vm.machine_name), (CONFIGURATION, vm.configuration_name)):
                if called.casefold() == name.casefold():
                    return vm, kind
        return None

    def _clustered(self) -> list[Vm]:
        return [vm for vm in self._world.vms.values() if vm.is_clustered]

    def get_vm(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What Get-VM gives: all, every VM of a name, or the one of an id; raises Failure for what it does not know."""
        rows = self.vms()
        for key, identifier, category in (
            ("Id", "ObjectNotFound", "ObjectNotFound"),
            ("Name", "InvalidParameter", "InvalidArgument"),
        ):
            if key not in args:
                continue
            wanted = args[key] if isinstance(args[key], list) else [args[key]]
            values = {canonical(one) if key == "Id" else str(one).casefold() for one in wanted}
            found = [row for row in rows if str(row[key]).casefold() in values]
            if not found:
                about = canonical(args[key]) if key == "Id" else str(args[key])
                raise Failure(0, about, identifier=identifier, category=category)
            return found
        return rows

    def vms(self) -> list[dict[str, Any]]:
        """What Hyper-V on this host knows: its EC-VM, and the VMs that are registered here, clustered or not."""
        return [self._row(vm) for vm in self._known()]

    def _known(self) -> Iterator[Vm | EcVm]:
        """What Hyper-V's service knows; one that has just started has not read everything yet."""
        host, now = self._world.hosts[self._host], self._world.now
        if now >= host.blind_until:
            # In no order that anybody may rely on: a namesake may come first.
            yield from (vm for vm in self._world.unclustered if self._host in vm.guests)
        if now >= host.ec_vm_blind_until:
            yield self._world.ec_on(self._host)
        if now >= host.blind_until:
            yield from (vm for vm in self._world.vms.values() if self._host in vm.guests)

    def fresh_state(self, identifier: str) -> str | None:
        """Return a VM's state as Msvm_ComputerSystem has it, never an old one; None for a VM that is not known here."""
        wanted = identifier.casefold().strip("{}")
        known = next((one for one in self._known() if one.id == wanted), None)
        if known is None:
            return None
        return known.guest.state if isinstance(known, EcVm) else known.guests[self._host].state

    def _row(self, vm: Vm | EcVm) -> dict[str, Any]:
        """Show a VM as Get-VM does: what this PowerShell read a moment ago may be shown again."""
        at, row = self._kept.get(vm.id, (0.0, {}))
        if not row or self._world.now - at >= self._world.timings.vm_cache:
            row = self._ec_vm(vm) if isinstance(vm, EcVm) else self._vm(vm)
            self._kept[vm.id] = (self._world.now, row)
        return row

    def _ec_vm(self, ec_vm: EcVm) -> dict[str, Any]:
        disk = ec_vm.facts.disk.format(name=ec_vm.vm)
        return self._show(ec_vm.vm, ec_vm.id, ec_vm.guest, ec_vm.facts) | _files(4, [disk])

    def _vm(self, vm: Vm) -> dict[str, Any]:
        if vm.csv:
            disk = vm.facts.disk.format(name=vm.folder)
            disk = disk.replace(r"C:\ClusterStorage\Volume1", self._folder_of(vm.csv), 1)
        else:
            disk = rf"{_LOCAL_FOLDER}\{vm.folder}\{vm.folder}.vhdx"
        more = [rf"{self._folder_of(name)}\{vm.folder}\{vm.folder}.vhdx" for name in vm.more_volumes]
        return self._show(vm.name, vm.id, vm.guests[self._host], vm.facts) | _files(vm.memory, [disk, *more])

    def _folder_of(self, volume: str) -> str:
        """Return where a Shared Volume is mounted."""
        return rf"C:\ClusterStorage\Volume{[*self._world.volumes].index(volume) + 1}"

    def connections(self) -> list[dict[str, Any]]:
        """The iSCSI connections of this host."""
        if not self._world.hosts[self._host].session:
            return []
        return [{"TargetAddress": self._target, "TargetPortNumber": 3260, "InitiatorAddress": "192.168.139.196"}]

    def cluster(self) -> list[dict[str, Any]]:
        """The cluster itself."""
        facts = self._world.facts
        return [
            {
                "Name": "ws2019-lm-cluster",
                "ResiliencyDefaultPeriod": facts.resiliency,
                "QuarantineThreshold": facts.quarantine,
                "MaximumParallelMigrations": facts.parallel,
            }
        ]

    def _show(self, name: str, identifier: str, guest: Guest, facts: VmSetup) -> dict[str, Any]:
        uptime = 0.0 if guest.started is None else self._world.now - guest.started
        primary = "CriticalIoError" if guest.state.endswith("Critical") else "Ok"
        return {
            "Id": identifier,
            "Name": name,
            "State": guest.state,
            "Status": _STATUS[self._world.timings.language],
            "OperationalStatus": [primary, guest.doing] if guest.doing else [primary],
            "PrimaryOperationalStatus": primary,
            "SecondaryOperationalStatus": guest.doing or None,
            "Heartbeat": guest.heartbeat if guest.state == "Running" else None,
            "Uptime": {"TotalSeconds": round(uptime, 3)},
            "IsClustered": facts.clustered,
            "AutomaticStartAction": facts.start_action,
            "AutomaticStartDelay": facts.start_delay,
            "AutomaticStopAction": facts.stop_action,
            "AutomaticCriticalErrorAction": facts.critical_action,
            "AutomaticCriticalErrorActionTimeout": facts.critical_minutes,
        }


def _group(vms: list[Vm]) -> dict[str, Any]:
    """Show the group of one VM, or of several."""
    first = vms[0]
    states = {vm.group for vm in vms}
    flags = sorted({flag for vm in vms for flag in vm.flags})
    return {
        "Name": first.role,
        "GroupType": "VirtualMachine",
        "State": next(state for state in _GROUP_STATES if state in states),
        "StatusInformation": ", ".join(flags) or "0",
        "OwnerNode": _node(first.owner),
        "FailoverThreshold": first.facts.threshold,
        "FailoverPeriod": first.facts.period,
        "AutoFailbackType": first.facts.failback,
    }


def _files(gigabytes: int, disks: list[str]) -> dict[str, Any]:
    folder = disks[0].rpartition("\\")[0] if disks else _LOCAL_FOLDER
    return {
        "MemoryStartup": gigabytes * 2**30,
        "Path": folder,
        "ConfigurationLocation": folder,
        "HardDrives": [{"Path": disk} for disk in disks],
    }


def canonical(identifier: object) -> str:
    """Return a VM's id as .NET writes a GUID, which is what a cmdlet makes of it."""
    return str(identifier).casefold().strip("{}")


def network_id(name: str) -> str:
    """Return the GUID that the lab gives a cluster network."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def _node(name: str) -> dict[str, Any]:
    return {"Name": name}
