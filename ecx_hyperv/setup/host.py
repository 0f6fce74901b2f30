"""The set-up of a host: the PowerShell script of every step that can be scripted, for this configuration."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.config import Config, Node
from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.desired.quoting import check_iqn, check_text
from ecx_hyperv.desired.windows import (
    CHECK_HEARTBEAT,
    EC_VM_DELAY_S,
    OFFLINE_ACTIONS,
    QUARANTINE,
    RESILIENCY_S,
    RESTART_ACTION,
    TARGET,
)
from ecx_hyperv.errors import UsageError
from ecx_hyperv.host.observe import is_same_address
from ecx_hyperv.host.rows import vm_key
from ecx_hyperv.setup.files import Say, Writer
from ecx_hyperv.setup.host_scripts import ScriptOptions, write_each
from ecx_hyperv.setup.powershell import build

# To turn a guest off is no choice: a stop through the cluster would cut its power (D23).
OFFLINE_WORDS = {
    "save": OfflineAction.SAVE,
    "shutdown": OfflineAction.SHUT_DOWN,
    "force-shutdown": OfflineAction.FORCED_SHUTDOWN,
}


class Authentication(Enum):
    """How hosts prove themselves to one another for a live migration without the cluster."""

    CREDSSP = "CredSSP"
    KERBEROS = "Kerberos"


@dataclass(frozen=True, slots=True)
class Switch:
    """An external virtual switch and the network adapter that it is on."""

    name: str
    adapter: str


@dataclass(frozen=True, slots=True)
class NewCluster:
    """A cluster that is still to be created."""

    name: str
    address: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What the configuration file does not tell of the hosts; an empty part is left to a person.

    The networks are given by their own addresses, such as 192.168.137.0. `offline` is what WSFC does to a guest that it
    takes offline, None where each VM stays as it is unless its guest would lose its data.
    """

    target: str = TARGET
    switches: tuple[Switch, ...] = ()
    cluster_networks: tuple[str, ...] = ()
    migration_networks: tuple[str, ...] = ()
    witness: str = ""
    cluster: NewCluster | None = None
    authentication: Authentication = Authentication.CREDSSP
    parallel: int = 2
    offline: OfflineAction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions(ScriptOptions):
    """What setup host is asked for, as it was typed; an empty part is left to a person.

    A switch is NAME=ADAPTER, a network its address with or without its length. A new cluster needs its name, address
    and two nodes. `parallel` is how many live migrations may run at a time. `offline_action` is one of `OFFLINE_WORDS`,
    None to leave each VM whose guest keeps its data as it is.
    """

    target: str | None = None
    switches: tuple[str, ...] = ()
    cluster_networks: tuple[str, ...] = ()
    migration_networks: tuple[str, ...] = ()
    witness: str = ""
    cluster: str = ""
    cluster_address: str = ""
    cluster_nodes: tuple[str, ...] = ()
    authentication: Authentication = Authentication.CREDSSP
    parallel: int = 2
    offline_action: str | None = None

    def plan(self) -> HostPlan:
        """Read what was typed; raises UsageError."""
        return HostPlan(
            target=self.target or TARGET,
            switches=tuple(parse_switch(one) for one in self.switches),
            cluster_networks=tuple(parse_network(one) for one in self.cluster_networks),
            migration_networks=tuple(parse_network(one) for one in self.migration_networks),
            witness=self.witness,
            cluster=parse_cluster(self.cluster, self.cluster_address, self.cluster_nodes),
            authentication=self.authentication,
            parallel=self.parallel,
            offline=None if self.offline_action is None else parse_offline_action(self.offline_action),
        )


def write_scripts(config: Config, options: HostOptions, say: Say) -> None:
    """Write or print the script of each host's steps; raises UsageError, LocalError."""
    plan = options.plan()
    _check_plan(config, plan)
    writer = Writer(say, options.dry_run)
    write_each(config, options, "host", lambda node: host_script(config, node, plan), writer, say)


def _check_plan(config: Config, plan: HostPlan) -> None:
    """Raise UsageError for what contradicts itself or the configuration: a script would stop in the middle of it."""
    for values, what in (
        ([one.name for one in plan.switches], "two switches of one name"),
        ([one.adapter for one in plan.switches], "two switches on one adapter"),
    ):
        if len({value.casefold() for value in values}) < len(values):
            raise UsageError(f"--switch: {what}", seen=", ".join(values), remedy="give each its own")
    volumes = {csv.casefold() for csv in (config.cluster.csv, *(vm.csv for vm in config.vm if vm.csv))}
    if plan.witness.casefold() in volumes:
        raise UsageError(
            "--witness is a Shared Volume of the VMs",
            seen=plan.witness,
            remedy="name a disk that the EC-VMs do not serve: it must outlast them",
        )
    if plan.cluster is not None:
        _check_cluster(config, plan.cluster)


def _check_cluster(config: Config, cluster: NewCluster) -> None:
    names = [name.casefold().split(".")[0] for name in cluster.nodes]
    if len(set(names)) < len(names):
        raise UsageError(
            "--cluster-node names one host twice", seen=", ".join(cluster.nodes), remedy="give the names of both hosts"
        )
    address = ipaddress.ip_address(cluster.address)
    nodes = [place for node in config.node for place in (node.address, node.host)]
    taken = [one for one in (config.cluster.iscsi_target, *nodes) if is_same_address(one, cluster.address)]
    if taken or address.is_unspecified or address.is_multicast:
        why = "the configuration has given it to another machine" if taken else "it is the address of no machine"
        raise UsageError(f"--cluster-address {cluster.address}: {why}", remedy="give a free address")


def parse_switch(text: str) -> Switch:
    """Read NAME=ADAPTER; raises UsageError."""
    name, equals, adapter = text.partition("=")
    if not (name.strip() and equals and adapter.strip()):
        raise UsageError(
            f"--switch {text!r} is not NAME=ADAPTER", remedy='write it like --switch "iSCSI_switch=Ethernet 3"'
        )
    return Switch(check_text(name.strip(), "--switch"), check_text(adapter.strip(), "--switch"))


def parse_network(text: str) -> str:
    """Read a network, as an address or with its length, into the address that WSFC shows; raises UsageError."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=True).network_address)
    except ValueError:
        raise UsageError(
            f"{text!r} is no network",
            remedy="write its address, like 192.168.137.0, as Get-ClusterNetwork shows it under Address",
        ) from None


def parse_offline_action(text: str) -> OfflineAction:
    """Read what WSFC is to do to a guest that it takes offline; raises UsageError."""
    found = OFFLINE_WORDS.get(text)
    if found is None:
        raise UsageError(f"--offline-action {text!r} is not known", remedy=f"write one of {', '.join(OFFLINE_WORDS)}")
    return found


def parse_cluster(name: str, address: str, nodes: Sequence[str]) -> NewCluster | None:
    """Put a new cluster together; None where nothing is said of one; raises UsageError for a half of one."""
    if not (name or address or nodes):
        return None
    if not (name and address and len(nodes) == 2):
        raise UsageError(
            "a new cluster needs a name, an address and both hosts",
            seen=f"--cluster {name!r}, --cluster-address {address!r}, {len(nodes)} of --cluster-node",
            remedy="give all of them, or none if the cluster is there",
        )
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise UsageError(f"--cluster-address {address!r} is no IP address", remedy="give a free address") from None
    return NewCluster(name, address, tuple(nodes))


def host_script(config: Config, node: Node, plan: HostPlan) -> str:
    """Return the script for a node's host; raises UsageError for a value that cannot be in one."""
    cluster = plan.cluster
    return build(
        "host.ps1",
        f"ecx-hyperv setup host: {node.host}, the host of {node.name}",
        {
            "EcVm": node.vm,
            "EcVmDelay": EC_VM_DELAY_S,
            "VMs": [vm.name for vm in config.vm],
            "Roles": [vm.role or vm.name for vm in config.vm],
            "Ids": [vm_key(vm.id or "") for vm in config.vm],
            "Csv": config.cluster.csv,
            "Portal": config.cluster.iscsi_target,
            "Target": check_iqn(plan.target),
            "Switches": [{"Name": one.name, "Adapter": one.adapter} for one in plan.switches],
            "ClusterNetworks": plan.cluster_networks,
            "MigrationNetworks": plan.migration_networks,
            "Witness": plan.witness,
            "ClusterName": cluster.name if cluster else "",
            "ClusterAddress": cluster.address if cluster else "",
            "ClusterNodes": cluster.nodes if cluster else (),
            "Authentication": plan.authentication.value,
            "Parallel": plan.parallel,
            "Resiliency": RESILIENCY_S,
            "Quarantine": QUARANTINE,
            "RestartAction": RESTART_ACTION,
            "CheckHeartbeat": CHECK_HEARTBEAT,
            "OfflineActions": [plan.offline.value] if plan.offline else OFFLINE_ACTIONS,
        },
        switches=("FormatDisk",),
    )
