"""A start by hand (U14): who calls is told by what ECX hands over, and where the group is by clpstat."""

from pathlib import Path

import pytest

from ecx_hyperv.config import Config, ProtectedVm
from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.ecx.clpstat import Clpstat, ClpstatGroup, ClpstatRow, active_elsewhere
from ecx_hyperv.ecx.environment import factor_of, is_by_hand, read_call
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from tests.virtual.contexts import make_config


def config_of(*vms: ProtectedVm) -> Config:
    """Return a configuration with these VMs."""
    made = make_config(World(Timings()))
    return Config(cluster=made.cluster, ssh=made.ssh, node=made.node, vm=vms)


@pytest.mark.parametrize(
    ("environ", "folder", "by_hand"),
    [
        ({}, "/root", True),
        ({"CLP_EVENT": ""}, "/root", True),
        ({"CLP_EVENT": "START"}, "/root", False),
        ({"CLP_FACTOR": "GROUPSTART"}, "/root", False),
        ({}, "/opt/nec/clusterpro/scripts/failover1/exec-vm1", False),
        ({}, "/opt/nec/clusterpro/scripts/monitor.s/genw-vm1", False),
        ({}, "/opt/nec/clusterpro/scripts/failover1/exec-oracle", True),
    ],
)
def test_u14_who_calls(environ: dict[str, str], folder: str, *, by_hand: bool) -> None:
    """A CLP_* variable, or the folder of one of the VMs' resources, must count as ECX."""
    assert by_hand is is_by_hand(config_of(ProtectedVm(name="vm1")), read_call(environ, Path(folder)))


@pytest.mark.parametrize(
    ("environ", "folder", "factor"),
    [
        ({}, "/root", Factor.NONE),
        ({"CLP_EVENT": "START"}, "/root", Factor.GROUPSTOP),
        ({}, "/opt/nec/clusterpro/scripts/failover1/exec-vm1", Factor.GROUPSTOP),
        ({"CLP_FACTOR": "GROUPMOVE"}, "/root", Factor.GROUPMOVE),
        ({"CLP_FACTOR": "NEW"}, "/root", Factor.OTHER),
    ],
)
def test_why_a_stop_is_called(environ: dict[str, str], folder: str, factor: Factor) -> None:
    """ECX that shows itself and gives no factor must count as GROUPSTOP; a person has no factor."""
    assert factor is factor_of(config_of(ProtectedVm(name="vm1")), read_call(environ, Path(folder)))


def group(name: str, current: str, *resources: str, status: str = "Online") -> ClpstatGroup:
    """Return a group as clpstat shows it."""
    return ClpstatGroup(name, status, current, resources=tuple(ClpstatRow(one, status) for one in resources))


@pytest.mark.parametrize(
    ("groups", "elsewhere"),
    [
        ([group("failover1", "ec2", "exec-vm1")], "failover1"),
        ([group("failover1", "EC2")], "failover1"),
        ([group("failover1", "ec1", "exec-vm1")], ""),
        ([group("failover1", "", "exec-vm1", status="Offline")], ""),
        ([group("other", "ec2", "exec-oracle"), group("failover1", "ec1", "exec-vm1")], ""),
        ([group("other", "ec1", "exec-oracle"), group("failover1", "ec2", "exec-vm1")], "failover1"),
        ([group("other", "ec2"), group("failover1", "ec1")], ""),
        ([], ""),
    ],
)
def test_u14_where_the_group_is(groups: list[ClpstatGroup], elsewhere: str) -> None:
    """Only the group of the VM's own resource must count, and each group where no resources are shown."""
    assert elsewhere == active_elsewhere(Clpstat((), tuple(groups)), {"exec-vm1"}, "ec1", "ec2")
