"""The objects that the lab's Get- cmdlets show, with the properties of the real ones."""

from typing import TYPE_CHECKING, Any

from ecx_hyperv.lab.world import EcVm, Guest

if TYPE_CHECKING:
    from ecx_hyperv.lab.world import World

# What Hyper-V's Status says in the host's language; nobody should read it.
_STATUS = {"en": "Operating normally", "ja": "正常稼働中"}


class Rows:
    """What one host shows of the world."""

    def __init__(self, world: "World", host: str, target: str) -> None:
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
        }
        vms = [
            {
                "Name": vm.name,
                "GroupType": "VirtualMachine",
                "State": vm.group,
                "StatusInformation": ", ".join(sorted(vm.flags)) or "0",
                "OwnerNode": _node(vm.owner),
            }
            for vm in self._world.vms.values()
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

    def parameters(self, resource: dict[str, Any]) -> list[dict[str, Any]]:
        """The private properties of a resource."""
        name = str(resource["Name"]).removeprefix("Virtual Machine Configuration ")
        vm = self._world.vms.get(name)
        if vm is None or not str(resource["Name"]).startswith("Virtual Machine Configuration "):
            return []
        volume = self._world.volumes[vm.csv]
        return [{"Name": "DependsOnSharedVolumes", "Value": [volume.id.strip("{}")]}]

    def vms(self) -> list[dict[str, Any]]:
        """What Hyper-V on this host knows: its EC-VM, and the VMs that are registered here."""
        ec_vm: EcVm = self._world.ec_on(self._host)
        found = [self._vm(ec_vm.vm, ec_vm.guest, clustered=False)]
        for vm in self._world.vms.values():
            guest = vm.guests.get(self._host)
            if guest is not None:
                found.append(self._vm(vm.name, guest, clustered=True))
        return found

    def connections(self) -> list[dict[str, Any]]:
        """The iSCSI connections of this host."""
        if not self._world.hosts[self._host].session:
            return []
        return [{"TargetAddress": self._target, "TargetPortNumber": 3260, "InitiatorAddress": "192.168.139.196"}]

    def cluster(self) -> list[dict[str, Any]]:
        """The cluster itself."""
        return [{"Name": "ws2019-lm-cluster", "ResiliencyDefaultPeriod": 9999, "QuarantineThreshold": 9999}]

    def _vm(self, name: str, guest: Guest, *, clustered: bool) -> dict[str, Any]:
        uptime = 0.0 if guest.started is None else self._world.now - guest.started
        primary = "CriticalIoError" if guest.state.endswith("Critical") else "Ok"
        return {
            "Name": name,
            "State": guest.state,
            "Status": _STATUS[self._world.settings.language],
            "OperationalStatus": [primary, guest.doing] if guest.doing else [primary],
            "PrimaryOperationalStatus": primary,
            "SecondaryOperationalStatus": guest.doing or None,
            "Heartbeat": guest.heartbeat if guest.state == "Running" else None,
            "Uptime": {"TotalSeconds": round(uptime, 3)},
            "IsClustered": clustered,
        }


def _node(name: str) -> dict[str, Any]:
    return {"Name": name}
