"""Configurations that the tests start from."""

from ecx_hyperv.config import ClusterSettings, Config, Node, ProtectedVm, Ssh

MINIMAL = """\
[cluster]
csv = "Cluster Disk 1"
iscsi_target = "192.168.139.201"
[ssh]
user = "Administrator@example.local"
key = "/root/.ssh/id_rsa"
[[node]]
name = "ec1"
address = "192.168.137.20"
vm = "EC-VM1"
host = "192.168.137.196"
[[node]]
name = "ec2"
address = "192.168.137.200"
vm = "EC-VM2"
host = "192.168.137.197"
"""

EC1 = Node(name="ec1", address="192.168.137.20", vm="EC-VM1", host="192.168.137.196")
EC2 = Node(name="ec2", address="192.168.137.200", vm="EC-VM2", host="192.168.137.197")


def config_of(*vms: ProtectedVm, nodes: tuple[Node, ...] = (EC1, EC2)) -> Config:
    """Return a configuration with those VMs."""
    return Config(
        cluster=ClusterSettings(csv="Cluster Disk 1", iscsi_target="192.168.139.201"),
        ssh=Ssh(user="Administrator@example.local", key="/root/.ssh/id_rsa"),
        node=nodes,
        vm=vms,
    )


def replaced(old: str, new: str) -> str:
    """Return the minimal file with one of its lines, or part of one, written otherwise."""
    assert old in MINIMAL
    return MINIMAL.replace(old, new, 1)
