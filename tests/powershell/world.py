"""Two Windows hosts of one cluster, as far as the stand-ins show them; what the tests look at and change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

HOSTS = ("HOST-1", "HOST-2")
ENABLED = {"Running": 2, "Off": 3, "Saved": 6, "Paused": 9, "FastSaved": 32779, "Stopping": 32774, "Saving": 32773}
VM_A = "11111111-aaaa-4aaa-8aaa-111111111111"
VM_B = "22222222-bbbb-4bbb-8bbb-222222222222"


class Fails(Exception):
    """How a cmdlet fails: Hyper-V's or the cluster's words, and what tells the error apart."""

    def __init__(
        self,
        words: str,
        kind: str,
        category: str = "NotSpecified",
        code: int | None = None,
        *,
        terminating: bool = False,
    ) -> None:
        super().__init__(words)
        self.kind = kind
        self.category = category
        self.code = code
        self.terminating = terminating


class Asks(Exception):
    """A cmdlet asks whether to go on."""


@dataclass
class Vm:
    """One VM on one host."""

    id: str
    name: str
    # What Get-VM says, and what the system says beneath it where that is something else.
    state: str = "Running"
    enabled: int | None = None
    # What the guest's shutdown service answers; None: it has none.
    shutdown: int | None = 0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def enabled_state(self) -> int:
        """Return EnabledState of Msvm_ComputerSystem."""
        return self.enabled if self.enabled is not None else ENABLED.get(self.state.removesuffix("Critical"), 10)


@dataclass
class Host:
    """One host: its VMs, services, files of settings; whether the cluster's database is there."""

    vms: list[Vm] = field(default_factory=list)
    has_database: bool = True
    services: dict[str, dict[str, str]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Resource:
    """One resource of the cluster."""

    id: str
    name: str
    type: str
    group: str
    state: str = "Online"
    parameters: dict[str, Any] | None = field(default_factory=dict)


@dataclass
class World:
    """What both hosts share, and what was asked of them."""

    hosts: dict[str, Host] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)
    networks: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    # In turn: who asked, which cmdlet, with what.
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    faults: dict[str, Fails] = field(default_factory=dict)
    # What happens before a cmdlet answers, and after it has.
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    shows: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    sets: list[tuple[str, str, Any]] = field(default_factory=list)

    def made(self, cmdlet: str) -> list[dict[str, Any]]:
        """Return the arguments of each call of a cmdlet that was made."""
        return [arguments for _, name, arguments in self.calls if name == cmdlet]

    def vm(self, id_: str, host: str = HOSTS[0]) -> Vm:
        """Return a VM of a host."""
        return next(one for one in self.hosts[host].vms if one.id == id_.casefold())

    def resource(self, name: str) -> Resource:
        """Return a resource of the cluster."""
        return next(one for one in self.resources if one.name == name)

    def reset(self, to: "World | None" = None) -> None:
        """Become another world, which is not used afterwards; two hosts that run well where none is given."""
        fresh = to or two_hosts()
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(fresh, name))


def two_hosts() -> World:
    """Build two hosts that run well: VM A runs on the first, VM B on the second."""
    services = {"MSiSCSI": {"Status": "Running", "StartType": "Automatic"}}
    world = World(
        hosts={
            HOSTS[0]: Host(vms=[Vm(VM_A, "A")], services=dict(services)),
            HOSTS[1]: Host(vms=[Vm(VM_B, "B")], services=dict(services)),
        },
        groups={"A": HOSTS[0], "B": HOSTS[1], "Cluster Group": HOSTS[0]},
        nodes=dict.fromkeys(HOSTS, "Up"),
    )
    for name, vm, number in (("A", VM_A, "1"), ("B", VM_B, "2")):
        config = f"Virtual Machine Configuration {name}"
        volumes = [f"vol-{name}", "vol-shared"]
        private = {"VmID": vm, "DependsOnSharedVolumes": volumes}
        world.resources += [
            Resource(f"c{number}", config, "Virtual Machine Configuration", name, parameters=private),
            Resource(f"v{number}", f"Virtual Machine {name}", "Virtual Machine", name, parameters={"VmID": vm}),
        ]
    world.resources.append(Resource("n1", "Cluster Name", "Network Name", "Cluster Group"))
    return world
