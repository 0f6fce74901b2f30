"""How the lab is set up: what `ecx-hyperv check` reads, right by default, each of it settable to something wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.errors import UsageError

_SSHD_CONFIG = """\
# As on a host that is set up.
PubkeyAuthentication yes
PasswordAuthentication no
PermitEmptyPasswords no
ClientAliveInterval 15
ClientAliveCountMax 3
Subsystem sftp sftp-server.exe
Match Group administrators
       AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys
"""
# What Hyper-V and Linux take for settings that are words.
_CHOICES = {
    "start_action": ("Nothing", "StartIfRunning", "Start"),
    "stop_action": ("TurnOff", "Save", "ShutDown"),
    "critical_action": ("None", "Pause"),
    "firewalld": ("enabled", "disabled"),
    "dnf_makecache": ("enabled", "disabled"),
    "target": ("enabled", "disabled"),
    "selinux": ("Disabled", "Permissive", "Enforcing"),
}
# Owned by Administrators; full control for SYSTEM and Administrators, nothing inherited.
_KEYS_SDDL = "O:BAG:SYD:PAI(A;;FA;;;SY)(A;;FA;;;BA)"


@dataclass(slots=True)
class ClusterSetup:
    """The settings of WSFC; networks by name, those barred from live migration separated by semicolons."""

    resiliency: int = 9999
    quarantine: int = 9999
    parallel: int = 2
    witness: str = "Cluster Disk Quorum"
    witness_state: str = "Online"
    roles: dict[str, str] = field(
        default_factory=lambda: {
            "Management_network": "ClusterAndClient",
            "Mirror_network": "Cluster",
            "iSCSI_network": "None",
            "VM_network": "None",
        }
    )
    networks_down: str = ""
    no_migration: str = "Management_network;Mirror_network;iSCSI_network"
    csv_access: str = "Direct"


@dataclass(slots=True)
class HostSetup:
    """The settings of a host; `denied` and `missing` name cmdlets and modules that do not work there."""

    migration: bool = True
    parallel: int = 2
    persistent: bool = True
    portal: bool = True
    initiator: str = ""
    language_mode: str = "FullLanguage"
    powershell: str = "5.1.17763.1"
    clock_offset: float = 0.0
    sshd_config: str = _SSHD_CONFIG
    keys_sddl: str = _KEYS_SDDL
    sshd_start: str = "Automatic"
    iscsi_start: str = "Automatic"
    denied: str = ""
    missing: str = ""


@dataclass(slots=True)
class VmSetup:
    """The settings of a VM, of its group and of its VM resource; memory in GB is the world's.

    RestartAction and CheckHeartbeat are as on a host that is set up; WSFC's own defaults are 2 and 1.
    """

    threshold: int = 0
    period: int = 0
    failback: int = 0
    start_action: str = "Nothing"
    start_delay: int = 0
    stop_action: str = "ShutDown"
    critical_action: str = "Pause"
    critical_minutes: int = 30
    heartbeat: bool = True
    shutdown: bool = True
    clustered: bool = True
    restart_action: int = 0
    check_heartbeat: int = 0
    fills_progress: bool = True
    offline_action: OfflineAction = OfflineAction.SAVE
    volume: str = ""
    disk: str = r"C:\ClusterStorage\Volume1\{name}\{name}.vhdx"


def of_ec_vm() -> VmSetup:
    """Return the settings of an EC-VM, which starts with its host and is not clustered."""
    return VmSetup(start_action="Start", start_delay=5, clustered=False, disk=r"D:\EC\{name}.vhdx")


@dataclass(slots=True)
class LinuxSetup:
    """The settings of an EC-VM's Linux that commands show; its files stand in its root folder."""

    firewalld: str = "disabled"
    services_open: str = ""
    dnf_makecache: str = "disabled"
    target: str = "disabled"
    selinux: str = "Disabled"
    ecx_version: str = "4.3.0-1"
    addresses: str = ""
    # In which of its shapes clpmdstat answers: lab/linux/clpmdstat.py.
    mirror_shape: str = "header"


def change(facts: Any, name: str, value: str) -> None:
    """Set one of the facts by its name, from text; raises UsageError for what makes no sense."""
    known = {one.name: one.type for one in fields(facts)}
    if name not in known:
        raise UsageError(f"the lab has no such setting there: {name!r}", remedy=f"name one of: {', '.join(known)}")
    choices = _CHOICES.get(name, (value,))
    if value not in choices:
        raise UsageError(f"{name} cannot be {value!r}", remedy=f"give one of: {', '.join(choices)}")
    was = getattr(facts, name)
    try:
        new = msgspec.convert(value, type(was), strict=False) if not isinstance(was, dict) else _pair(was, value)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{name} cannot be {value!r}", seen=str(error), remedy=f"give a value like the one it has: {was!r}"
        ) from None
    setattr(facts, name, new)


def _pair(was: Mapping[str, str], value: str) -> dict[str, str]:
    key, _, new = value.partition("=")
    return {**was, key: new}


def initiator(host: str) -> str:
    """Return the name that a host's iSCSI initiator has."""
    return f"iqn.1991-05.com.microsoft:{host}.2016dom.local"
