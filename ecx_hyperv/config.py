"""What config.toml may say: its tables, keys, values and defaults."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from msgspec import Meta, Struct

# Wildcards to -Name, and the character that would let a name break out of a quoted one.
_FORBIDDEN = frozenset("*?[]`")
# What means the same to cmd.exe and to PowerShell as the login shell.
_COMMAND_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=:.\\~-")


@dataclass(frozen=True, slots=True)
class ValueRule:
    """What a text must be beyond being one."""

    expected: str
    holds: Callable[[str], bool]


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    plain = not any(one in _FORBIDDEN or unicodedata.category(one) == "Cc" for one in text)
    return plain and text == text.strip()


def _is_vm_id(text: str) -> bool:
    return re.fullmatch(r"(\{)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?(1)\})", text, re.IGNORECASE) is not None


Text = Annotated[str, Meta(min_length=1)]
Name = Annotated[Text, ValueRule("a name without * ? [ ] `, control characters and outer blanks", _is_name)]
Address = Annotated[Text, ValueRule("an IP address", is_address)]
# As Get-VM shows the Id of a VM, or as the cluster keeps it.
VmId = Annotated[Text, ValueRule("the id of a VM, a GUID such as 01234567-89ab-cdef-0123-456789abcdef", _is_vm_id)]
Folder = Annotated[Text, ValueRule("an absolute path (ECX may run without HOME)", lambda text: text.startswith("/"))]
Command = Annotated[
    Text, ValueRule("a path of letters, digits and +/=:.\\~- (write PROGRA~1)", _COMMAND_SAFE.issuperset)
]
# A day: TOML has an inf, and no command may last for ever.
Seconds = Annotated[float, Meta(ge=0, le=86400)]
Positive = Annotated[float, Meta(gt=0, le=86400)]
Port = Annotated[int, Meta(ge=1, le=65535)]


class StdinWay(Enum):
    """How the bootstrap on a host reads what is sent to it."""

    HANDLE = "handle"
    INPUT = "input"


class Unknown(Enum):
    """What genw-vm answers ECX when it cannot tell."""

    HEALTHY = "healthy"
    FAILED = "failed"


class ConfigSection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class ClusterSettings(ConfigSection, frozen=True, kw_only=True):
    """What both hosts share: the Shared Volume, and the iSCSI target's floating address."""

    csv: Name
    iscsi_target: Address


class Ssh(ConfigSection, frozen=True, kw_only=True):
    """How the hosts are logged in to."""

    user: Text
    key: Folder
    known_hosts: Folder = "/etc/ecx-hyperv/known_hosts"
    port: Port = 22
    stdin: StdinWay = StdinWay.HANDLE
    powershell: Command = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"


class Paths(ConfigSection, frozen=True, kw_only=True):
    """Where this EC-VM keeps what must last, and its locks."""

    state: Folder = "/var/lib/ecx-hyperv"
    run: Folder = "/run/ecx-hyperv"


class Timing(ConfigSection, frozen=True, kw_only=True):
    """How long things may take, in seconds; each is explained in config/config.toml."""

    interval: Positive = 2
    connect: Positive = 20
    start: Positive = 1500
    unregister: Positive = 1500
    monitor: Positive = 90
    shutdown: Seconds = 300
    shutdown_on_failover: Seconds = 60
    reserve: Seconds = 120
    leftover: Seconds = 60
    settle: Seconds = 120
    critical: Seconds = 600
    isolated: Seconds = 60
    patience: Seconds = 180
    confirm_vm: Seconds = 3
    confirm_peer: Seconds = 10
    unknown_limit: Seconds = 300
    hung_after: Seconds = 300
    stale: Seconds = 180
    cool_down: Seconds = 300


class MonitorSettings(ConfigSection, frozen=True, kw_only=True):
    """What the monitors make of doubtful cases."""

    unknown: Unknown = Unknown.HEALTHY
    heartbeat: bool = False


class Node(ConfigSection, frozen=True, kw_only=True):
    """One EC-VM and the host that it runs on."""

    name: Name
    address: Address
    vm: Name
    host: Text


class ProtectedVm(ConfigSection, frozen=True, kw_only=True):
    """One protected VM; `csv` where it is on another volume, `resource` where ECX's resource is not exec-NAME.

    `role` where the cluster's role has another name than the VM; `id` where neither name tells which VM is meant.
    """

    name: Name
    csv: Name | None = None
    resource: Text | None = None
    role: Name | None = None
    id: VmId | None = None

    @property
    def resource_name(self) -> str:
        """Return the name of the EXEC resource that starts and stops the VM."""
        return self.resource or f"exec-{self.name}"

    @property
    def monitor_name(self) -> str:
        """Return the name of the custom monitor that watches the VM."""
        return f"genw-{self.resource_name.removeprefix('exec-')}"


class Config(ConfigSection, frozen=True, kw_only=True):
    """The whole file."""

    cluster: ClusterSettings
    ssh: Ssh
    paths: Paths = Paths()
    timing: Timing = Timing()
    monitor: MonitorSettings = MonitorSettings()
    node: tuple[Node, ...]
    vm: tuple[ProtectedVm, ...] = ()

    def csv_of(self, vm: str) -> str | None:
        """Return the Shared Volume that the file places a VM on; None for a VM that is not in it."""
        found = self.find_vm(vm)
        return None if found is None else found.csv or self.cluster.csv

    def volumes_of(self, vms: Iterable[str]) -> list[str]:
        """Return the Shared Volumes of VMs, each once, upper and lower case alike."""
        found = [self.csv_of(vm) or self.cluster.csv for vm in vms]
        return list({csv.casefold(): csv for csv in reversed(found)}.values())[::-1]

    def find_vm(self, name: str) -> ProtectedVm | None:
        """Return the VM of that name, upper and lower case alike."""
        return next((vm for vm in self.vm if vm.name.casefold() == name.casefold()), None)

    def find_ec_vm(self, name: str) -> Node | None:
        """Return the node whose EC-VM is called so in Hyper-V: no command touches that VM as a protected one."""
        return next((node for node in self.node if node.vm.casefold() == name.casefold()), None)

    @property
    def ec_vms_among_vms(self) -> tuple[str, ...]:
        """Return one sentence for each [[vm]] that is an EC-VM."""
        found = ((vm.name, self.find_ec_vm(vm.name)) for vm in self.vm)
        return tuple(
            f"[[vm]] {name} is the EC-VM of {node.name}: it is neither started, stopped nor watched"
            for name, node in found
            if node is not None
        )
