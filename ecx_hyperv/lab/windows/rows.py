"""The objects that the lab's Get- cmdlets show, with the properties of the real ones."""

import uuid
from typing import Any

from ecx_hyperv.lab.model.facts import VmSetup
from ecx_hyperv.lab.model.things import EcVm, Guest, Vm
from ecx_hyperv.lab.model.world import World

# What Hyper-V's Status says in the host's language; nobody should read it.
_STATUS = {"en": "Operating normally", "ja": "正常稼働中"}


def vm_id(name: str) -> str:
    """Return the GUID that the lab gives a VM."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.vm"))


class Rows:
    """What one host shows of the world."""

    def __init__(self, world: World, host: str, target: str) -> None:
        self._world = world
        self._host = host
        self._target = target

    def nodes(self) -> list[dict[str, Any]]:
        """The cluster's nodes."""
        rows = []
        for name in self._world.hosts:
            state, flags = self._world.cluster.node(self._host, name)
            rows.append({"Name": name, "NodeName": name, "State": state, "StatusInformation": flags})
        return rows

    def groups(self) -> list[dict[str, Any]]:
        """The cluster's groups: its own, and one for each VM."""
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
        vms = [
            {
                "Name": vm.name,
                "GroupType": "VirtualMachine",
                "State": vm.group,
                "StatusInformation": ", ".join(sorted(vm.flags)) or "0",
                "OwnerNode": _node(vm.owner),
                "FailoverThreshold": vm.facts.threshold,
                "FailoverPeriod": vm.facts.period,
                "AutoFailbackType": vm.facts.failback,
            }
            for vm in self._world.vms.values()
            if vm.facts.clustered
        ]
        return [core, *vms]

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
        for vm in self._world.vms.values():
            for kind, state, flags, code in (
                ("Virtual Machine", vm.machine, vm.machine_flags, vm.code),
                ("Virtual Machine Configuration", vm.configuration, set(), 0),
            ):
                rows.append(
                    {
                        "Name": f"{kind} {vm.name}",
                        "State": state,
                        "StatusInformation": ", ".join(sorted(flags)) or "0",
                        "LastOperationStatusCode": code,
                        "OwnerGroup": {"Name": vm.name},
                        "OwnerNode": _node(vm.owner),
                        "ResourceType": {"Name": kind},
                    }
                )
        return rows

    def volumes(self) -> list[dict[str, Any]]:
        """The Shared Volumes."""
        return [
            {"Name": one.name, "Id": one.id, "State": one.state, "OwnerNode": _node(one.owner)}
            for one in self._world.volumes.values()
        ]

    def vm_ids(self) -> list[dict[str, Any]]:
        """The VMs of the cluster's roles, as this host's copy of the cluster database has them."""
        return [row for vm in self._world.vms.values() if vm.facts.clustered for row in self._ids_of(vm)]

    def _ids_of(self, vm: Vm) -> list[dict[str, Any]]:
        volume = self._world.volumes[vm.facts.volume or vm.csv].id.strip("{}")
        return [
            {
                "Resource": f"{kind} {vm.name}",
                "Type": kind,
                "Group": vm.name,
                "VmId": vm_id(vm.name),
                "Volumes": volumes,
            }
            for kind, volumes in (("Virtual Machine", None), ("Virtual Machine Configuration", [volume]))
        ]

    def parameters(self, resource: dict[str, Any]) -> list[dict[str, Any]]:
        """The private properties of a resource, or of the resource type of VMs."""
        if resource.get("DllName"):
            barred = [network_id(name) for name in self._world.facts.no_migration.split(";") if name]
            return [{"Name": "MigrationExcludeNetworks", "Value": ";".join(barred)}]
        name = str(resource["Name"])
        rows = [row for vm in self._world.vms.values() for row in self._ids_of(vm)]
        row = next((one for one in rows if one["Resource"] == name), None)
        if row is None:
            return []
        about = {"Name": name, "OwnerGroup": {"Name": row["Group"]}}
        values = {"VmId": row["VmId"], "DependsOnSharedVolumes": row["Volumes"]}
        return [{"ClusterObject": about, "Name": key, "Value": value} for key, value in values.items() if value]

    def vms(self) -> list[dict[str, Any]]:
        """What Hyper-V on this host knows: its EC-VM, and the VMs that are registered here."""
        ec_vm: EcVm = self._world.ec_on(self._host)
        found = [self._vm(ec_vm.vm, ec_vm.guest, ec_vm.facts, 4)]
        for vm in self._world.vms.values():
            guest = vm.guests.get(self._host)
            if guest is not None:
                found.append(self._vm(vm.name, guest, vm.facts, vm.memory))
        return found

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
            }
        ]

    def _vm(self, name: str, guest: Guest, facts: VmSetup, gigabytes: int) -> dict[str, Any]:
        uptime = 0.0 if guest.started is None else self._world.now - guest.started
        primary = "CriticalIoError" if guest.state.endswith("Critical") else "Ok"
        return {
            "Id": vm_id(name),
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
            "MemoryStartup": gigabytes * 2**30,
            "HardDrives": {"Path": [facts.disk.format(name=name)]},
        }


def network_id(name: str) -> str:
    """Return the GUID that the lab gives a cluster network."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def _node(name: str) -> dict[str, Any]:
    return {"Name": name}
