"""What a person types on a host of the lab: the few lines of PowerShell that `ecx-hyperv check` prints as remedies.

No interpreter of PowerShell: each form of line is known by its shape, and a cmdlet or parameter that Microsoft does
not document is refused.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.host.setting_queries import HEARTBEAT_SERVICE
from ecx_hyperv.lab.model.facts import VmSetup
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.allowed import documented
from ecx_hyperv.lab.windows.rows import network_id

_PROPERTY = re.compile(r"\((?P<cmdlet>Get-\w+)(?: -Name (?P<name>'[^']*'))?\)\.(?P<property>\w+) = (?P<value>\d+)")
_COMMAND = re.compile(r"(?P<cmdlet>[A-Z][a-z]+-\w+)(?P<rest>(?: (?:-\w+|'[^']*'|[^\s|;-][^\s|;]*))*)")
_ARGUMENT = re.compile(r"-(?P<name>\w+)(?: (?P<value>'[^']*'|[^\s-][^\s]*))?")
_BY_ID = re.compile(r"Get-VM -Id '(?P<id>[0-9a-f-]{36})' \| (?P<cmdlet>Set-VM|Get-VMIntegrationService)(?P<rest>.*)")
_PARAMETER = re.compile(
    r"Get-ClusterResource -Name (?P<name>'[^']*') \| Set-ClusterParameter -Name (?P<property>\w+) -Value (?P<value>\d+)"
)
_SERVICE = re.compile(
    r"Get-VMIntegrationService -VMName (?P<vm>'[^']*') \| Where-Object Id -like '\*(?P<id>[0-9A-F-]+)'"
    r" \| Enable-VMIntegrationService"
)
_NETWORKS = re.compile(
    r"Get-ClusterResourceType -Name 'Virtual Machine' \| Set-ClusterParameter -Name MigrationExcludeNetworks"
    r" -Value '(?P<value>[^']*)'"
)
_ACL = re.compile(
    r"\$acl = Get-Acl -LiteralPath '[^']+'; \$acl\.SetSecurityDescriptorSddlForm\('(?P<sddl>[^']+)'\);"
    r" Set-Acl -LiteralPath '[^']+' -AclObject \$acl"
)
_ATTRIBUTES = {
    "ResiliencyDefaultPeriod": "resiliency",
    "QuarantineThreshold": "quarantine",
    "MaximumParallelMigrations": "parallel",
    "FailoverThreshold": "threshold",
    "FailoverPeriod": "period",
    "AutoFailbackType": "failback",
    "RestartAction": "restart_action",
}
_ROLES = {"0": "None", "1": "Cluster", "3": "ClusterAndClient"}

Arguments = Mapping[str, str]


class NotUnderstood(Exception):
    """A line that the lab cannot carry out."""


def run(world: World, host: str, line: str) -> None:
    """Carry out a line on a host; raises NotUnderstood."""
    acl = _ACL.fullmatch(line)
    if acl:
        world.hosts[host].facts.keys_sddl = acl["sddl"]
        return
    for part in line.split("; "):
        _run_one(world, host, part)


def _run_one(world: World, host: str, line: str) -> None:
    if found := _BY_ID.fullmatch(line):
        name = {"Set-VM": "Name", "Get-VMIntegrationService": "VMName"}[found["cmdlet"]]
        _run_one(world, host, f"{found['cmdlet']} -{name} '{found['id']}'{found['rest']}")
    elif found := _PROPERTY.fullmatch(line):
        set_property(world, found["cmdlet"], _plain(found["name"] or ""), found["property"], found["value"])
    elif found := _PARAMETER.fullmatch(line):
        of = {"Name": _plain(found["name"])}
        _set_parameter(world, of, {"Name": found["property"], "Value": found["value"]})
    elif found := _SERVICE.fullmatch(line):
        name = "heartbeat" if HEARTBEAT_SERVICE.startswith(found["id"][:8]) else "shutdown"
        setattr(_vm(world, _plain(found["vm"])), name, True)
    elif found := _NETWORKS.fullmatch(line):
        _set_parameter(world, {}, {"Name": "MigrationExcludeNetworks", "Value": found["value"]})
    elif line == "Get-IscsiSession | Where-Object IsPersistent -eq $false | Register-IscsiSession":
        world.hosts[host].facts.persistent = True
    elif found := _COMMAND.fullmatch(line):
        _run_command(world, host, found["cmdlet"], _arguments(found["cmdlet"], found["rest"]))
    else:
        raise NotUnderstood(f"the lab cannot run: {line}")


def run_cmdlet(world: World, host: str, cmdlet: str, given: Arguments, piped: list[dict[str, Any]] | None) -> None:
    """Carry out one cmdlet of a remedy, as its parameters were bound; raises NotUnderstood."""
    match cmdlet, piped:
        case "Set-ClusterParameter", [of]:
            _set_parameter(world, of, given)
        case "Enable-VMIntegrationService", [*services]:
            for one in services:
                _enable_service(world, str(one["Id"]))
        case "Register-IscsiSession", _:
            world.hosts[host].facts.persistent = True
        case "Set-VM", [*vms]:
            for vm in vms:
                _set_vm(world, host, {**given, "Name": str(vm["Id"])})
        case _:
            _run_command(world, host, cmdlet, given)


def set_property(world: World, cmdlet: str, name: str, of: str, value: object) -> None:
    """Set a property of what a cmdlet returns, as WSFC takes it at once; raises NotUnderstood."""
    match cmdlet, of:
        case "Get-ClusterNetwork", "Role":
            world.facts.roles[name] = _ROLES.get(str(value), str(value))
            return
        case "Get-Cluster", "ResiliencyDefaultPeriod" | "QuarantineThreshold" | "MaximumParallelMigrations":
            settings: Any = world.facts
        case "Get-ClusterGroup", "FailoverThreshold" | "FailoverPeriod" | "AutoFailbackType":
            settings = _of_role(world, name)
        case "Get-ClusterResource", "RestartAction":
            settings = _of_resource(world, name)
        case _:
            raise NotUnderstood(f"the lab cannot set {of}")
    setattr(settings, _ATTRIBUTES[of], int(str(value)))


def _set_parameter(world: World, of: Mapping[str, Any], given: Arguments) -> None:
    """Set a private property of a resource, or of the resource type of VMs."""
    value = given["Value"]
    match given["Name"]:
        case "MigrationExcludeNetworks":
            names = [name for name in world.facts.roles if network_id(name) in value.split(";")]
            world.facts.no_migration = ";".join(names)
        case "CheckHeartbeat":
            _of_resource(world, str(of["Name"])).check_heartbeat = int(value)
        case "OfflineAction":
            _of_resource(world, str(of["Name"])).offline_action = OfflineAction(int(value))
        case other:
            raise NotUnderstood(f"the lab cannot set {other}")


def _enable_service(world: World, identifier: str) -> None:
    """Enable an integration service by its Id, which names the VM and the service."""
    vm, _, service = identifier.removeprefix("Microsoft:").casefold().partition("\\")
    name = "heartbeat" if HEARTBEAT_SERVICE.casefold().startswith(service[:8]) else "shutdown"
    setattr(_vm(world, vm), name, True)


def _of_role(world: World, role: str) -> VmSetup:
    vms = world.in_group(role)
    if not vms:
        raise NotUnderstood(f"no role named {role}")
    return vms[0].facts


def _of_resource(world: World, resource: str) -> VmSetup:
    found = next((vm for vm in world.all_vms if vm.is_clustered and vm.machine_name == resource), None)
    if found is None:
        raise NotUnderstood(f"no VM resource named {resource}")
    return found.facts


def _arguments(cmdlet: str, rest: str) -> Arguments:
    known = documented().get(cmdlet)
    if known is None:
        raise NotUnderstood(f"{cmdlet} is not documented")
    given = {found["name"]: _plain(found["value"] or "") for found in _ARGUMENT.finditer(rest)}
    unknown = set(given) - set(known["params"])
    if unknown:
        raise NotUnderstood(f"{cmdlet} has no parameter {', '.join(sorted(unknown))}")
    return given


def _run_command(world: World, host: str, cmdlet: str, given: Arguments) -> None:
    known = _COMMANDS.get(cmdlet)
    if known is None:
        raise NotUnderstood(f"the lab cannot run {cmdlet}")
    known(world, host, given)


def _set_vm(world: World, _host: str, given: Arguments) -> None:
    vm = _vm(world, given["Name"])
    for one in world.all_vms:
        if "NewVMName" in given and given["Name"] in (one.name, one.id):
            one.name = given["NewVMName"]
    for parameter, attribute in (
        ("AutomaticStartAction", "start_action"),
        ("AutomaticStopAction", "stop_action"),
        ("AutomaticCriticalErrorAction", "critical_action"),
    ):
        if parameter in given:
            setattr(vm, attribute, given[parameter])
    if "AutomaticStartDelay" in given:
        vm.start_delay = int(given["AutomaticStartDelay"])
    if "AutomaticCriticalErrorActionTimeout" in given:
        vm.critical_minutes = int(given["AutomaticCriticalErrorActionTimeout"])


def _set_service(world: World, host: str, given: Arguments) -> None:
    attribute = {"sshd": "sshd_start", "MSiSCSI": "iscsi_start"}[given["Name"]]
    setattr(world.hosts[host].facts, attribute, given["StartupType"])


def _enable_migration(world: World, host: str, _given: Arguments) -> None:
    world.hosts[host].facts.migration = True


def _set_vm_host(world: World, host: str, given: Arguments) -> None:
    world.hosts[host].facts.parallel = int(given["MaximumVirtualMachineMigrations"])


def _new_portal(world: World, host: str, _given: Arguments) -> None:
    world.hosts[host].facts.portal = True


def _connect(world: World, host: str, _given: Arguments) -> None:
    world.storage.reconnect(host)


def _resume_node(world: World, _host: str, given: Arguments) -> None:
    world.hosts[given["Name"].casefold()].paused = False


def _start_node(world: World, _host: str, given: Arguments) -> None:
    node = world.hosts[given["Name"].casefold()]
    node.quarantined, node.service, node.left_cleanly = False, True, False


def _start_resource(world: World, _host: str, given: Arguments) -> None:
    if given["Name"] == world.facts.witness:
        world.facts.witness_state = "Online"
    for volume in world.volumes.values():
        if volume.name == given["Name"]:
            volume.state = "Online"


def _set_quorum(world: World, _host: str, given: Arguments) -> None:
    world.facts.witness = given["DiskWitness"]


def _add_role(world: World, _host: str, given: Arguments) -> None:
    world.vms[given["VMName"]].facts.clustered = True


def _nothing(_world: World, _host: str, _given: Arguments) -> None:
    return


def _vm(world: World, name: str) -> VmSetup:
    guests = {key: ec_vm.facts for ec_vm in world.ec_vms.values() for key in (ec_vm.vm, ec_vm.id)}
    guests |= {vm.id: vm.facts for vm in world.all_vms}
    found: Any = world.vms[name].facts if name in world.vms else guests.get(name)
    if found is None:
        raise NotUnderstood(f"no VM named {name}")
    return found  # type: ignore[no-any-return]


def _plain(text: str) -> str:
    return text.strip("'")


_COMMANDS: Mapping[str, Callable[[World, str, Arguments], None]] = {
    "Set-VM": _set_vm,
    "Set-VMHost": _set_vm_host,
    "Enable-VMMigration": _enable_migration,
    "Set-Service": _set_service,
    "Start-Service": _nothing,
    "New-IscsiTargetPortal": _new_portal,
    "Connect-IscsiTarget": _connect,
    "Resume-ClusterNode": _resume_node,
    "Start-ClusterNode": _start_node,
    "Start-ClusterResource": _start_resource,
    "Set-ClusterQuorum": _set_quorum,
    "Add-ClusterVirtualMachineRole": _add_role,
}
