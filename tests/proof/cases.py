"""A case: a world, the node that looks at it, what is asked of it; and what is compared of two worlds."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ecx_hyperv.config import Timing
from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.things import Guest, Vm, Volume
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from tests.virtual.contexts import SimulatedNode

ONE, TWO = "ws2019-host-1", "ws2019-host-2"
# As the defaults relate to each other, but shorter: a run that waits for ever is looked at every two seconds.
TIMING = Timing(
    start=150,
    unregister=150,
    settle=16,
    critical=30,
    isolated=14,
    patience=18,
    shutdown=24,
    shutdown_on_failover=10,
    reserve=24,
    leftover=12,
)
TIMINGS = Timings(
    host_boot=20,
    ec_boot=5,
    quorum_stop=5,
    live=5,
    quick=2,
    powershell=0.3,
    failover_clusters=0,
    hyper_v=0,
    iscsi=0,
    call=0.01,
)


@dataclass(slots=True)
class Case:
    """A world, the node ec1, and what is asked."""

    world: World
    ecx: SimulatedEcx
    sim: SimulatedNode
    factor: Factor = Factor.GROUPSTOP
    values: dict[str, str] = field(default_factory=dict)
    # The nodes whose cluster service is stopped from the beginning.
    cut_out: frozenset[str] = frozenset()

    @property
    def vm(self) -> Vm:
        """Return the VM that the case is about."""
        return self.world.vms["vm1"]

    @property
    def guest(self) -> Guest | None:
        """Return its guest on its owner's host, if it is registered there."""
        return self.vm.guests.get(self.vm.owner)

    @property
    def volume(self) -> Volume:
        """Return the volume that it is on."""
        return next(iter(self.world.volumes.values()))


Setter = Callable[[Case], None]


def fingerprint(world: World) -> tuple[object, ...]:
    """Return all that a run is there to set right: where the VMs are and how they do."""
    return tuple(
        (
            vm.name,
            vm.owner,
            vm.configuration,
            vm.machine,
            *((host, guest.state, guest.started) for host, guest in sorted(vm.guests.items())),
        )
        for vm in world.vms.values()
    )


def state_of(world: World) -> str:
    """Return the state of a world in words, without its clock."""
    hosts = [
        (
            *(host.on, host.sshd, host.service, host.paused, host.quarantined, host.joining, host.memory),
            *(bool(host.session), host.vmms, world.now < host.blind_until, len(host.refusals)),
        )
        for host in world.hosts.values()
    ]
    volumes = [(volume.state, volume.owner, volume.failures) for volume in world.volumes.values()]
    vms = [
        (vm.name, vm.role, vm.is_clustered, vm.owner, vm.configuration, vm.machine, vm.moving_to, sorted(vm.flags))
        for vm in world.vms.values()
    ]
    guests = [
        (vm.id, host, guest.state, guest.doing, guest.asked is None)
        for vm in world.all_vms
        for host, guest in vm.guests.items()
    ]
    cuts = sorted(f"{sorted(pair)} {plane.value}" for pair, plane in world.cuts)
    return repr((hosts, volumes, vms, sorted(guests), cuts))
