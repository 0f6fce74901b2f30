"""ECX on one EC-VM of the lab: its service, its resources, its monitors. Data, no rules."""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from ecx_hyperv.lab.model.jobs import ScriptJob

GROUP = "failover1"
ISCSI = "exec-iscsi"
PEER_MONITOR = "genw-remote-node"

Steps = Generator[None, None, None]


@dataclass(slots=True)
class SimulatedMonitor:
    """A custom monitor on one server."""

    name: str
    interval: float
    due: float = 0.0
    started: float = 0.0
    failures: int = 0
    job: ScriptJob | None = None
    status: str = "Offline"


@dataclass(slots=True)
class SimulatedServer:
    """ECX on one EC-VM."""

    name: str
    service: str = "Online"
    group: str = "Offline"
    active_since: float = 0.0
    resources: dict[str, str] = field(default_factory=dict)
    # What is to be started or stopped next, in this order; `steps` is the operation that is under way.
    operations: deque[Callable[[], Steps]] = field(default_factory=deque)
    steps: Steps | None = None
    job: ScriptJob | None = None
    monitors: dict[str, SimulatedMonitor] = field(default_factory=dict)
    # When it last heard of the other server.
    heard: float = 0.0
    failed_start: bool = False

    @property
    def is_active(self) -> bool:
        """Tell whether the group is on this server, or coming or going."""
        return self.group != "Offline"

    @property
    def is_busy(self) -> bool:
        """Tell whether something is being started or stopped here, or about to be."""
        return self.steps is not None or bool(self.operations)
