"""What a run is handed in the lab's virtual time: the context of one of the two EC-VMs, all of it in memory."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ecx_hyperv.config import ClusterSettings, Config, Node, ProtectedVm, Ssh, Timing
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.kept_ids import KeptId
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.ecx.monitor_state import MonitorState
from ecx_hyperv.errors import LocalError
from ecx_hyperv.lab.linux import clpmdstat, clpstat
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.log import LogFormat, open_log
from ecx_hyperv.run.context import RunContext
from tests.virtual.hosts import VirtualClock, VirtualHosts

TARGET = "192.168.139.201"
_NODES = (
    Node(name="ec1", address="192.168.137.199", vm="EC-VM1", host="192.168.137.196"),
    Node(name="ec2", address="192.168.137.200", vm="EC-VM2", host="192.168.137.197"),
)


def make_config(world: World, timing: Timing | None = None) -> Config:
    """Return a configuration that fits a world."""
    return Config(
        cluster=ClusterSettings(csv=next(iter(world.volumes)), iscsi_target=TARGET),
        ssh=Ssh(user="Administrator", key="/root/.ssh/id_ed25519"),
        timing=timing or Timing(),
        node=_NODES,
        vm=tuple(ProtectedVm(name=name, csv=vm.csv) for name, vm in world.vms.items()),
    )


@dataclass(slots=True)
class MemoryLock:
    """A lock of MemoryLocks."""

    locks: "MemoryLocks"
    names: Sequence[str]
    held: list[str] = field(default_factory=list)

    def acquire(self) -> bool:
        """Try to hold it; True once it is held."""
        for name in self.names[len(self.held) :]:
            if name in self.locks.held:
                return False
            self.locks.held.add(name)
            self.held.append(name)
        return True

    def release(self) -> None:
        """Let it go."""
        while self.held:
            self.locks.held.discard(self.held.pop())

    def holder(self) -> str:
        """Name who holds it."""
        return "another run"

    def is_overdue(self) -> bool:
        """Tell whether who holds it must have ended by now, and has not."""
        return self.locks.overdue


@dataclass(slots=True)
class MemoryLocks:
    """The locks of one EC-VM, without files; `overdue` says that who holds one hangs."""

    held: set[str] = field(default_factory=set)
    overdue: bool = False

    def start(self, vm: str) -> MemoryLock:
        """Return the lock under which a VM is started."""
        return MemoryLock(self, [f"vm {vm}"])

    def stop(self, vm: str) -> MemoryLock:
        """Return the lock under which a VM is stopped."""
        return MemoryLock(self, [f"stop {vm}", f"vm {vm}"])

    def peer(self, node: str) -> MemoryLock:
        """Return the lock under which the peer EC-VM is acted on."""
        return MemoryLock(self, [f"peer {node}"])

    def is_busy(self, vm: str) -> bool:
        """Tell whether a start or stop of the VM is under way, and within its limit."""
        return not self.overdue and (f"vm {vm}" in self.held or self.is_stopping(vm))

    def is_stopping(self, vm: str) -> bool:
        """Tell whether a stop of the VM is under way."""
        return f"stop {vm}" in self.held


@dataclass(slots=True)
class MemoryFlags:
    """The maintenance flags of one EC-VM, without files."""

    flags: dict[tuple[Kind, str], Flag] = field(default_factory=dict)

    def find(self, kind: Kind, name: str, now: datetime) -> Flag | None:
        """Return the flag that holds for a VM or EC-VM."""
        flag = self.kept(kind, name)
        return flag if flag is not None and flag.holds(now) else None

    def kept(self, kind: Kind, name: str) -> Flag | None:
        """Return the flag of a VM or EC-VM, also one that has ended."""
        return self.flags.get((kind, name))

    def set(self, flag: Flag) -> None:
        """Set a flag."""
        self.flags[flag.kind, flag.name] = flag

    def all(self, now: datetime) -> list[Flag]:
        """Return every flag that holds."""
        return [flag for flag in self.flags.values() if flag.holds(now)]


@dataclass(slots=True)
class InMemoryStates:
    """What the monitors of one EC-VM remember, without files; as far as they can."""

    clock: VirtualClock
    kept: dict[tuple[str, str], MonitorState] = field(default_factory=dict)
    # Whether neither the state folder nor the run folder can be read, or written.
    unreadable: bool = False
    unwritable: bool = False

    def load(self, kind: str, name: str) -> MonitorState:
        """Return a monitor's state."""
        if self.unreadable:
            raise LocalError("nothing can be read")
        state = self.kept.get((kind, name), MonitorState())
        return state.recalled(self.clock.boot(), self.clock.boottime())

    def save(self, kind: str, name: str, state: MonitorState) -> None:
        """Keep a monitor's state."""
        if self.unwritable:
            raise LocalError("nothing can be written")
        self.kept[kind, name] = state


@dataclass(slots=True)
class InMemoryKeptIds:
    """The ids that one EC-VM keeps, without files."""

    kept: dict[str, KeptId] = field(default_factory=dict)

    def load(self, name: str) -> KeptId | None:
        """Return what was kept for a name."""
        return self.kept.get(name.casefold())

    def save(self, kept: KeptId) -> None:
        """Keep an id."""
        self.kept[kept.name.casefold()] = kept


class SimulatedNode:
    """One EC-VM in virtual time: its context, its log, what it alerted and remembers."""

    def __init__(
        self,
        world: World,
        node: str,
        ecx: SimulatedEcx | None = None,
        config: Config | None = None,
        *,
        dry: bool = False,
    ) -> None:
        self.world = world
        self.node = node
        self._ecx = ecx
        self.clock = VirtualClock(world, node)
        # The ids that a configured name may lead to, where that is not the VM that had the name from the beginning.
        self.meant: dict[str, frozenset[str]] = {}
        self.hosts = VirtualHosts(world, node, TARGET, self.clock)
        self.locks = MemoryLocks()
        self.flags = MemoryFlags()
        self.kept_ids = InMemoryKeptIds()
        self.states = InMemoryStates(self.clock)
        self.alerts: list[tuple[Level, str]] = []
        self.commands: list[list[str]] = []
        self.log = io.StringIO()
        self.clpmdstat_hangs = False
        local, peer = sorted(_NODES, key=lambda one: one.name != node)
        self.context = RunContext(
            config=config or make_config(world),
            pair=Pair(local, peer),
            hosts=self.hosts,
            clock=self.clock,
            log=open_log(self.clock, node, form=LogFormat.TEXT, verbose=True, stream=self.log),
            alert=lambda level, text: self.alerts.append((level, text)),
            locks=self.locks,
            maintenance=self.flags,
            kept_ids=self.kept_ids,
            run=self._run,
            dry=dry,
        )

    def break_clpstat(self) -> None:
        """Have clpstat fail from now on."""
        self._ecx = None

    def round_trips(self, side: Side) -> int:
        """Return how often requests were sent to a host, however many together."""
        return self.hosts.sent.count(side)

    def _run(self, command: Sequence[str], seconds: float) -> Completed:
        """Run what the lab has of ECX's commands."""
        self.commands.append(list(command))
        if command[0] == "clpmdstat" and self.clpmdstat_hangs:
            self.clock.sleep(seconds)
            return Completed(None, b"", b"")
        match command[0]:
            case "clpstat" if self._ecx is not None:
                return Completed(0, clpstat.render(self._ecx, self.node, long=True).encode(), b"")
            case "clpmdstat" if self._ecx is not None:
                code, text = clpmdstat.clpmdstat(self._ecx, self.node, command[1:])
                return Completed(code, text.encode(), b"")
            case "clpcl" if self._ecx is not None:
                return Completed(self._ecx.start_service(command[-1]), b"", b"")
            case "ping":
                other = next(node for node in _NODES if node.address == command[-1])
                return Completed(0 if self.world.ping_answers(self.node, other.name) else 1, b"", b"")
        raise LocalError(f"the command {command[0]} is not there")
