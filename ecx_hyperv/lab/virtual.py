"""The world without SSH, in virtual time: a clock and the door to the hosts, as a run is handed them.

Nothing sleeps and nothing waits here: time passes by moving the world on, so that thousands of runs fit in a second.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import LoginRefused, Unreachable
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.lab.powershell import PowerShell
from ecx_hyperv.lab.world import Sshd, World

_EPOCH = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_TCP_TIMEOUT_S = 5.0


class VirtualClock:
    """The world's time; `pass_time` may be replaced by one who lets others go on meanwhile."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.pass_time: Callable[[float], None] = world.advance

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return self._world.now

    def boottime(self) -> float:
        """Return seconds since boot."""
        return self._world.now

    def boot(self) -> str:
        """Name the boot that boottime counts from."""
        return "virtual"

    def wall(self) -> datetime:
        """Return the time of day."""
        return _EPOCH + timedelta(seconds=self._world.now)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.pass_time(max(0.0, seconds))


class VirtualHosts:
    """The two hosts as one EC-VM reaches them."""

    def __init__(self, world: World, ec_vm: str, target: str, clock: VirtualClock) -> None:
        own = world.ec_vms[ec_vm].host
        self._world = world
        self._ec_vm = ec_vm
        self._target = target
        self._clock = clock
        self._host = {Side.OWN: own, Side.PEER: world.other(own).name}
        self._sessions: dict[Side, PowerShell] = {}
        self.requests: list[tuple[Side, Ask]] = []

    def exchange(self, asks: Mapping[Side, Ask], deadline: Deadline) -> dict[Side, Exchanged]:
        """Ask one host after the other, each taking its time."""
        del deadline
        return {side: self._one(side, ask) for side, ask in asks.items()}

    def _one(self, side: Side, ask: Ask) -> Exchanged:
        self.requests.append((side, ask))
        host = self._host[side]
        match self._world.ssh_answers(self._ec_vm, host):
            case Sshd.SILENT:
                self._sessions.pop(side, None)
                self._clock.sleep(_TCP_TIMEOUT_S)
                return Unreachable(host, "port 22 does not answer", seen="nothing for 5 s")
            case Sshd.STOPPED:
                self._sessions.pop(side, None)
                return Unreachable(host, "port 22 does not answer", seen="connection refused")
            case Sshd.REFUSING:
                self._sessions.pop(side, None)
                return LoginRefused(host, "it does not let us in")
        session = self._sessions.get(side)
        if session is None:
            session = PowerShell(self._world, host, self._target, sleep=self._clock.sleep)
            self._sessions[side] = session
            self._clock.sleep(self._world.settings.powershell)
        return session.hello(), session.perform(ask.request)
