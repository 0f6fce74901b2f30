"""The world without SSH, in virtual time: a clock and the door to the hosts, as a run is handed them.

Nothing sleeps and nothing waits here: time passes by moving the world on, so that thousands of runs fit in a second.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import LoginRefused, SessionLost, Silent, Unreachable
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.wire import Call
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.powershell import PowerShell

_EPOCH = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_TCP_TIMEOUT_S = 5.0
# A session waits for an answer as long as its request has, and two seconds more.
_GRACE_S = 2.0
_LOOK_AT_IT = "see that the host is on, the network to it, its firewall and its sshd service"


class VirtualClock:
    """The world's time; `pass_time` may be replaced by one who lets others go on meanwhile."""

    def __init__(self, world: World, ec_vm: str | None = None) -> None:
        self._world = world
        self._ec_vm = None if ec_vm is None else world.ec_vms[ec_vm]
        self.pass_time: Callable[[float], None] = world.advance

    def monotonic(self) -> float:
        """Return seconds that only grow; an EC-VM that stood still lacks that time."""
        still = 0.0 if self._ec_vm is None else self._ec_vm.stood_still(self._world.now)
        return self._world.now - still

    def boottime(self) -> float:
        """Return seconds since boot."""
        return self.monotonic()

    def boot(self) -> str:
        """Name the boot that boottime counts from."""
        return "virtual"

    def wall(self) -> datetime:
        """Return the time of day."""
        return _EPOCH + timedelta(seconds=self._world.now)

    def sleep(self, seconds: float) -> None:
        """Let time pass, as the EC-VM's own clock counts it."""
        end = self.monotonic() + max(0.0, seconds)
        self.pass_time(max(0.0, seconds))
        while self._ec_vm is not None and end - self.monotonic() > 1e-6:
            self.pass_time(max(end - self.monotonic(), self._ec_vm.frozen_until - self._world.now))


Proceed = Callable[[Ask], Exchanged]


class VirtualHosts:
    """The two hosts as one EC-VM reaches them.

    `watch` sees each cmdlet call before it is made; `disturb` may answer in place of a host, or before or after it.
    """

    def __init__(self, world: World, ec_vm: str, target: str, clock: VirtualClock) -> None:
        local = world.ec_vms[ec_vm].host
        self._world = world
        self._ec_vm = ec_vm
        self._target = target
        self._clock = clock
        self._host = {Side.LOCAL: local, Side.PEER: world.other(local).name}
        self._sessions: dict[Side, PowerShell] = {}
        self.requests: list[tuple[Side, Ask]] = []
        self.watch: Callable[[str, Call], None] = lambda _host, _call: None
        self.disturb: Callable[[Side, Ask, Deadline, Proceed], Exchanged] | None = None
        # Which calls never end on a host, beside the cmdlets that the world says never do.
        self.hangs: Callable[[str, Call], bool] = lambda _host, _call: False

    def exchange(self, asks: Mapping[Side, Ask], deadline: Deadline) -> dict[Side, Exchanged]:
        """Ask one host after the other, each taking its time."""
        return {side: self._disturbed(side, ask, deadline) for side, ask in asks.items()}

    def name(self, side: Side) -> str:
        """Return the name of the host on that side."""
        return self._host[side]

    def hang_up(self, side: Side) -> None:
        """Lose the session to a host, and the PowerShell with it."""
        self._sessions.pop(side, None)

    def _disturbed(self, side: Side, ask: Ask, deadline: Deadline) -> Exchanged:
        self.requests.append((side, ask))
        if self.disturb is None:
            return self._one(side, ask, deadline)
        return self.disturb(side, ask, deadline, lambda one: self._one(side, one, deadline))

    def _watched(self, host: str, call: Call) -> None:
        # A session outlives the run that opened it, and so its checker.
        self.watch(host, call)

    def _one(self, side: Side, ask: Ask, deadline: Deadline) -> Exchanged:
        host = self._host[side]
        state = self._world.ssh_answers(self._ec_vm, host)
        if state is not Sshd.UP:
            self.hang_up(side)
            return self._refuse(host, state, deadline)
        session = self._sessions.get(side)
        if session is None:
            session = PowerShell(
                self._world,
                host,
                self._target,
                sleep=self._clock.sleep,
                watch=self._watched,
            )
            self._sessions[side] = session
            self._clock.sleep(self._world.timings.powershell)
        if self._hangs(host, ask):
            self.hang_up(side)
            self._clock.sleep(min(ask.seconds, deadline.remaining()) + _GRACE_S)
            return SessionLost(host, "no answer in time")
        reply = session.perform(ask.request)
        if self._world.ssh_answers(self._ec_vm, host) is not Sshd.UP:
            self.hang_up(side)
            return SessionLost(host, "the session ended before the answer")
        return session.hello(), reply

    def _hangs(self, host: str, ask: Ask) -> bool:
        """Tell whether a cmdlet of a request never ends there."""
        calls = [one for call in ask.request.calls for one in (call, call.from_) if one is not None]
        return any(one.cmdlet in self._world.hosts[host].hangs or self.hangs(host, one) for one in calls)

    def _refuse(self, host: str, state: Sshd, deadline: Deadline) -> Exchanged:
        if state is Sshd.SILENT:
            self._clock.sleep(min(_TCP_TIMEOUT_S, deadline.remaining()))
            return Silent(host, "port 22 does not answer", seen="nothing for 5 s", remedy=_LOOK_AT_IT)
        if state is Sshd.STOPPED:
            return Unreachable(host, "port 22 does not answer", seen="connection refused", remedy=_LOOK_AT_IT)
        return LoginRefused(host, "it does not let us in", remedy="see that our key is among its authorized keys")
