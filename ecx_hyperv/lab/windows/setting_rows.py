"""The objects that the lab's Get- cmdlets show of how hosts and cluster are set up."""

from collections.abc import Callable, Mapping
from typing import Any

from ecx_hyperv.desired.windows import TARGET
from ecx_hyperv.host.setting_queries import HEARTBEAT_SERVICE, SHUTDOWN_SERVICE
from ecx_hyperv.lab.model.facts import VmSetup, initiator
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.rows import network_id

# What Hyper-V calls the two, in the host's language; nobody should read it.
_SERVICES = {"en": ("Heartbeat", "Shutdown"), "ja": ("ハートビート", "シャットダウン")}
_CONFIG = r"C:\ProgramData\ssh\sshd_config"
_KEYS = r"C:\ProgramData\ssh\administrators_authorized_keys"

Rows = list[dict[str, Any]]


class SettingRows:
    """What one host shows of its settings, and the cluster's."""

    def __init__(self, world: World, host: str, target: str) -> None:
        self._world = world
        self._host = host
        self._target = target

    def host(self, _args: Mapping[str, Any]) -> Rows:
        """Hyper-V's settings."""
        facts = self._world.hosts[self._host].facts
        return [
            {
                "Name": self._host.upper(),
                "VirtualMachineMigrationEnabled": facts.migration,
                "MaximumVirtualMachineMigrations": facts.parallel,
                "MemoryCapacity": 64 * 2**30,
            }
        ]

    def services_of_vm(self, args: Mapping[str, Any]) -> Rows:
        """The integration services of a VM; raises LookupError for one that is not here."""
        ec_vm = self._world.ec_on(self._host)
        here = [(ec_vm.vm, ec_vm.id, ec_vm.facts)]
        here += [(vm.name, vm.id, vm.facts) for vm in self._world.all_vms if self._host in vm.guests]
        ids = {str(one["Id"]) for one in args.get("VM", ())}
        name = str(args.get("VMName", "")).casefold()
        meant = [(key, facts) for called, key, facts in here if key in ids or called.casefold() == name]
        if not meant:
            raise LookupError(args.get("VMName", "VM"))
        return [row for key, facts in meant for row in self._services(key, facts)]

    def _services(self, identifier: str, facts: VmSetup) -> Rows:
        heartbeat, shutdown = _SERVICES[self._world.timings.language]
        rows = ((heartbeat, HEARTBEAT_SERVICE, facts.heartbeat), (shutdown, SHUTDOWN_SERVICE, facts.shutdown))
        return [{"Name": name, "Id": rf"Microsoft:{identifier.upper()}\{id_}", "Enabled": on} for name, id_, on in rows]

    def sessions(self, _args: Mapping[str, Any]) -> Rows:
        """The iSCSI sessions."""
        host = self._world.hosts[self._host]
        if not host.session:
            return []
        return [
            {
                "TargetNodeAddress": TARGET,
                "InitiatorNodeAddress": host.facts.initiator or initiator(self._host),
                "IsConnected": True,
                "IsPersistent": host.facts.persistent,
                # By which other cmdlets take a session from the pipeline.
                "SessionIdentifier": f"ffffe00{1 + [*self._world.hosts].index(self._host)}c0a8b010-4000013700000002",
            }
        ]

    def portals(self, _args: Mapping[str, Any]) -> Rows:
        """The portals that are asked for targets."""
        shown = self._world.hosts[self._host].facts.portal
        return [{"TargetPortalAddress": self._target, "TargetPortalPortNumber": 3260}] if shown else []

    def quorum(self, _args: Mapping[str, Any]) -> Rows:
        """The cluster's witness."""
        facts = self._world.facts
        disk = {"Name": facts.witness, "State": facts.witness_state, "ResourceType": {"Name": "Physical Disk"}}
        return [{"QuorumType": "Majority", "QuorumResource": disk if facts.witness else None}]

    def networks(self, args: Mapping[str, Any]) -> Rows:
        """The cluster's networks; the iSCSI one is the target's."""
        facts = self._world.facts
        network = self._target.rsplit(".", 1)[0]
        down = facts.networks_down.split(";")
        return [
            {
                "Name": name,
                "Id": network_id(name),
                "Role": role,
                "State": "Down" if name in down else "Up",
                "Address": f"{network}.0" if name == "iSCSI_network" else f"192.168.{number}.0",
                "AddressMask": "255.255.255.0",
            }
            for number, (name, role) in enumerate(facts.roles.items(), 137)
            if "Name" not in args or name.casefold() == str(args["Name"]).casefold()
        ]

    def resource_type(self, args: Mapping[str, Any]) -> Rows:
        """A resource type."""
        return [{"Name": args["Name"], "DllName": "vmclusres.dll"}]

    def volume_states(self, _args: Mapping[str, Any]) -> Rows:
        """How each node gets at each Shared Volume."""
        access = self._world.facts.csv_access
        return [
            {"Name": volume.name, "Node": node, "StateInfo": access}
            for volume in self._world.volumes.values()
            for node in self._world.hosts
        ]

    def services(self, args: Mapping[str, Any]) -> Rows:
        """The services of the host."""
        facts = self._world.hosts[self._host].facts
        starts = {"sshd": facts.sshd_start, "MSiSCSI": facts.iscsi_start}
        return [
            {"Name": name, "Status": "Running" if start != "Disabled" else "Stopped", "StartType": start}
            for name, start in starts.items()
            if name in args["Name"]
        ]

    def content(self, args: Mapping[str, Any]) -> Rows:
        """The lines of a file; raises LookupError for one that is not there."""
        facts = self._world.hosts[self._host].facts
        if args["LiteralPath"] != _CONFIG:
            raise LookupError(args["LiteralPath"])
        return [{"PSObject": {"BaseObject": line}} for line in facts.sshd_config.splitlines()]

    def acl(self, args: Mapping[str, Any]) -> Rows:
        """Who may do what to a file; raises LookupError for one that is not there."""
        facts = self._world.hosts[self._host].facts
        if args["LiteralPath"] != _KEYS or not facts.keys_sddl:
            raise LookupError(args["LiteralPath"])
        return [{"Sddl": facts.keys_sddl}]


SHOWN: Mapping[str, Callable[[SettingRows, Mapping[str, Any]], Rows]] = {
    "Get-VMHost": SettingRows.host,
    "Get-VMIntegrationService": SettingRows.services_of_vm,
    "Get-IscsiSession": SettingRows.sessions,
    "Get-IscsiTargetPortal": SettingRows.portals,
    "Get-ClusterQuorum": SettingRows.quorum,
    "Get-ClusterNetwork": SettingRows.networks,
    "Get-ClusterResourceType": SettingRows.resource_type,
    "Get-ClusterSharedVolumeState": SettingRows.volume_states,
    "Get-Service": SettingRows.services,
    "Get-Content": SettingRows.content,
    "Get-Acl": SettingRows.acl,
}
