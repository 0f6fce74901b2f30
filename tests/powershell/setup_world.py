"""What the set-up scripts meet and change: hosts, cluster, disks and firewall, as they are before the set-up."""

import copy
from typing import Any

from tests.powershell.world import HOSTS, Host, Vm, World, two_hosts

EC_VM = "eeeeeeee-1111-4111-8111-eeeeeeeeeeee"
TARGET = "iqn.1996-10.com.ecx"
# Management, mirroring, and iSCSI: the last is none of the cluster's business, and comes first.
NETWORKS = ("203.0.113.0", "192.0.2.0", "198.51.100.0")
INSIDE = ("Hyper-V", "Hyper-V-PowerShell", "Failover-Clustering", "RSAT-Clustering-PowerShell")


def before_setup() -> World:
    """Build a cluster of two hosts on which nothing of the set-up was done but the features and the cluster."""
    world = two_hosts()
    for name in HOSTS:
        world.hosts[name].settings = _host()
        world.hosts[name].services = {
            "MSiSCSI": {"Status": "Stopped", "StartType": "Manual"},
            "sshd": {"Status": "Stopped", "StartType": "Manual"},
        }
    host = world.hosts[HOSTS[0]]
    host.vms.append(Vm(EC_VM, "EC-VM1", more={"AutomaticStartAction": "Nothing", "AutomaticStartDelay": 0}))
    # What becomes of a VM with its host can be set while it is off only.
    host.vms[0].state = "Off"
    host.vms[0].more = {"AutomaticStartAction": "StartIfRunning", "AutomaticStopAction": "Save"}
    del world.groups["A"]
    world.resources = [one for one in world.resources if one.group != "A"]
    world.networks = [
        {"Id": f"net-{at}", "Name": f"Cluster Network {at}", "Address": address, "Role": "ClusterAndClient"}
        for at, address in enumerate(NETWORKS)
    ]
    world.settings["Cluster"] = {"Name": "C", "ResiliencyDefaultPeriod": 240, "QuarantineThreshold": 3}
    world.settings["parameters Virtual Machine"] = {"MigrationExcludeNetworks": ""}
    world.settings |= {"quorum": None, "volumes": []}
    return world


def _host() -> dict[str, Any]:
    disk = {"Number": 1, "PartitionStyle": "RAW", "IsOffline": True, "IsReadOnly": True, "formatted": False}
    migration: dict[str, Any] = {"VirtualMachineMigrationEnabled": False, "MaximumVirtualMachineMigrations": 1}
    migration["VirtualMachineMigrationAuthenticationType"] = "Kerberos"
    rule = {"Name": "OpenSSH-Server-In-TCP", "Enabled": "True", "Description": ""}
    return {
        "features": dict.fromkeys(INSIDE, "Installed"),
        "switches": [],
        "vmhost": migration,
        "portals": [],
        "sessions": [],
        "disk": disk,
        "rules": {"OpenSSH-Server-In-TCP": rule},
        "acl": "O:S-1-5-21-1-2-3-500D:AI(A;ID;FA;;;BA)(A;ID;FA;;;SY)(A;ID;0x1200a9;;;AU)",
    }


def state(world: World) -> Any:
    """Return everything that a script may change, to be compared."""
    hosts: dict[str, Host] = world.hosts
    parts = (hosts, world.groups, world.resources, world.networks, world.settings)
    return copy.deepcopy(parts)
