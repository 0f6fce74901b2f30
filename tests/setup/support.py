"""Configurations for the set-up's tests: the sample one, and one whose names are as bad as the file allows."""

from pathlib import Path

import msgspec

from ecx_hyperv.config import ClusterSettings, Config, Node, ProtectedVm
from ecx_hyperv.config_file import load

CONFIG = load(Path(__file__).parents[2] / "config" / "config.toml")
NASTY = "仮想 '1' \u2018a\u2019 $(Stop-Computer) %PATH% ; & | \"q\" #{} @() <x>"


def nasty() -> Config:
    """Return a configuration in which whatever may be a name is one that means something elsewhere."""
    nodes = tuple(
        Node(name=f"{node.name} {NASTY}", address=node.address, vm=NASTY, host=f"{node.host}{NASTY}")
        for node in CONFIG.node
    )
    cluster = ClusterSettings(csv=NASTY, iscsi_target=CONFIG.cluster.iscsi_target)
    return msgspec.structs.replace(
        CONFIG, cluster=cluster, node=nodes, vm=(ProtectedVm(name=NASTY), ProtectedVm(name="受付", csv=NASTY))
    )
