"""A pair that is well, and what a test changes of it."""

from dataclasses import fields, replace
from typing import Any

from ecx_hyperv.decide.mirror import MirrorHealth
from ecx_hyperv.decide.overview import (
    ConfigurationStatus,
    EcxItem,
    EcxStatus,
    FailoverGroup,
    HostStatus,
    MaintenanceStatus,
    MirrorCopyStatus,
    MirrorStatus,
    OnHost,
    PairFacts,
    Reach,
    ServerStatus,
    VmStatus,
    VolumeStatus,
)
from ecx_hyperv.decide.verdict import judge_pair
from ecx_hyperv.run.status import PairStatus

RUNNING = OnHost(state="Running", operational=["Ok"], heartbeat="OkApplicationsHealthy", uptime=532_800.0)


def host(side: str = "local", **changes: Any) -> HostStatus:
    """Return a host that is well; `local` is HOST-1, the other one HOST-2."""
    number = 1 if side == "local" else 2
    reach = changes.pop("reach", Reach.ANSWERS)
    well = HostStatus(
        side=side,
        address=f"192.168.137.{number}",
        ec_vm=f"ec{number}",
        reach=reach,
        answers=reach is Reach.ANSWERS,
        name=f"HOST-{number}",
        node="Up",
        node_flags=[],
        iscsi=True,
    )
    return replace(well, **changes)


def vm(name: str = "vm1", **changes: Any) -> VmStatus:
    """Return a VM that runs on HOST-1."""
    well = VmStatus(
        name=name,
        id="9fa0e4b7-d01c-51c5-99fd-ca0935ac26c2",
        role=name,
        owner="HOST-1",
        group="Online",
        group_flags=[],
        configuration="Online",
        machine="Online",
        csv="Cluster Disk 1",
        local=RUNNING,
        local_told=True,
        peer_told=True,
        seconds=532_800.0,
    )
    return replace(well, **changes)


def shown(state: str, *operational: str, heartbeat: str | None = None) -> OnHost:
    """Return a VM as a host shows it in a state."""
    return OnHost(state=state, operational=[*operational], heartbeat=heartbeat, uptime=0.0)


def off(name: str = "vm1", **changes: Any) -> VmStatus:
    """Return a VM that no host shows, whose configuration is Offline."""
    return replace(vm(name, local=None, group="Offline", configuration="Offline", seconds=None), **changes)


def mirror(health: MirrorHealth = MirrorHealth.GREEN, *colors: str, **changes: Any) -> MirrorStatus:
    """Return the mirror disk md1, whose copies have these colors, that of ec1 first."""
    copies = [MirrorCopyStatus(color=color, server=f"ec{number}") for number, color in enumerate(colors, 1)]
    well = MirrorStatus(name="md1", health=health, text="the mirror disk md1 is in sync", copies=copies)
    return replace(well, **changes)


def ecx(**changes: Any) -> EcxStatus:
    """Return an ECX that is well, its group active on ec1."""
    well = EcxStatus(
        servers=[
            ServerStatus(name="ec1", status="Online", is_local=True),
            ServerStatus(name="ec2", status="Online", is_local=False),
        ],
        groups=[group()],
        monitors=items(("genw-vm1", "Normal"), ("mdw1", "Normal")),
    )
    return replace(well, **changes)


def group(status: str = "Online", server: str | None = "ec1", *resources: tuple[str, str]) -> FailoverGroup:
    """Return the failover group, with its resources."""
    found = resources or (("md1", "Online"), ("exec-vm1", "Online"))
    return FailoverGroup(name="failover1", status=status, server=server, resources=items(*found))


def items(*named: tuple[str, str]) -> list[EcxItem]:
    """Return resources or monitors by their names and states."""
    return [EcxItem(name=name, status=status) for name, status in named]


def flag(name: str = "vm1", kind: str = "vm", until: str | None = "2026-11-25T12:00:00+00:00") -> MaintenanceStatus:
    """Return a maintenance flag."""
    return MaintenanceStatus(kind=kind, name=name, word=name, since="2026-11-25T10:00:00+00:00", until=until)


def pair(**changes: Any) -> PairFacts:
    """Return a pair that is well, but for what is changed."""
    well = PairFacts(
        time="2026-11-25T10:00:00+00:00",
        node="ec1",
        hosts=[host(), host("peer")],
        vms=[vm()],
        volumes=[VolumeStatus(name="Cluster Disk 1", state="Online", owner="HOST-1")],
        mirrors=[mirror(MirrorHealth.GREEN, "GREEN", "GREEN")],
        ecx=ecx(),
        maintenance=[],
        configuration=ConfigurationStatus(path="/etc/ecx-hyperv/config.toml"),
        settle=60.0,
    )
    return replace(well, **changes)


def judged(facts: PairFacts) -> PairStatus:
    """Return facts with their verdict, as a status shows them."""
    return PairStatus(verdict=judge_pair(facts), **{one.name: getattr(facts, one.name) for one in fields(facts)})
