"""The world without SSH, in virtual time: a clock and the door to the hosts, as a run is handed them.

Nothing sleeps and nothing waits here: time passes by moving the world on, so that thousands of runs fit in a second.
Each session carries out its requests in turn, the sessions side by side. What a request shows is read when its turn
comes, and arrives when its time is over. Whoever lets time pass by the clock lets the sessions go on.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError, LoginRefused, SessionLost, Silent, Unreachable
from ecx_hyperv.host.clock import HostClock
from ecx_hyperv.host.link import CONNECTING, Answered, Ask, Exchanged, Pending
from ecx_hyperv.host.wire import Call, Request
from ecx_hyperv.lab.model.things import Sshd
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.powershell import PowerShell

_EPOCH = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_TCP_TIMEOUT_S = 5.0
# As in a real session: how much later than its limit an answer may come, and when a session is too old to be used.
_GRACE_S = 2.0
_IDLE_S = 90.0
_LATEST_S = 10.0
_SILENCE_S = 12.0
# Moments closer than this are one: adding up seconds is not exact.
_SAME_S = 1e-9
# No run has as many requests to make at one moment.
_MOST_AT_ONCE = 200
_LOOK_AT_IT = "see that the host is on, the network to it, its firewall and its sshd service"


class VirtualClock:
    """The world's time; `pass_time` may be replaced by one who lets others go on meanwhile."""

    def __init__(self, world: World, ec_vm: str | None = None) -> None:
        self._world = world
        self._ec_vm = None if ec_vm is None else world.ec_vms[ec_vm]
        self.pass_time: Callable[[float], None] = world.advance
        self.hosts: VirtualHosts | None = None

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
        """Let time pass, as the EC-VM's own clock counts it, and the sessions go on in it."""
        end = self.monotonic() + max(0.0, seconds)
        self._pass(max(0.0, seconds))
        while self._ec_vm is not None and end - self.monotonic() > 1e-6:
            self._pass(max(end - self.monotonic(), self._ec_vm.frozen_until - self._world.now))

    def _pass(self, seconds: float) -> None:
        end = self._world.now + seconds
        while self.hosts is not None and (due := self.hosts.next_due) is not None and due <= end:
            self.pass_time(max(0.0, due - self._world.now))
            self.hosts.go_on()
        self.pass_time(max(0.0, end - self._world.now))


Proceed = Callable[[Ask], Exchanged]


@dataclass(slots=True, eq=False)
class VirtualPending:
    """A request on its way; `sent` is when its session was given it."""

    ask: Ask
    deadline: Deadline
    asked: float
    # What a request is told that was not sent, just now.
    trouble: Callable[[], HostError]
    sent: float | None = None
    came: Exchanged | None = None

    def outcome(self) -> Exchanged | None:
        """Return what came of it; None while it is under way."""
        return self.came

    def take_back(self) -> None:
        """Have it never sent, if it was not yet."""
        if self.sent is None and self.came is None:
            self.came = self.trouble()


@dataclass(slots=True, eq=False)
class _Session:
    """One session of a host: its PowerShell, what it has to do, what it does just now and until when."""

    side: Side
    shell: PowerShell | None = None
    used: float = 0.0
    waiting: deque[VirtualPending] = field(default_factory=deque)
    current: VirtualPending | None = None
    outcome: Exchanged | None = None
    until: float | None = None
    opening: bool = False


class VirtualHosts:
    """The two hosts as one EC-VM reaches them.

    `watch` sees each cmdlet call before it is made; `disturb` may answer in place of a host, or before or after it;
    `hangs` says which calls never return.
    """

    def __init__(self, world: World, ec_vm: str, target: str, clock: VirtualClock) -> None:
        local = world.ec_vms[ec_vm].host
        self._world = world
        self._ec_vm = ec_vm
        self._target = target
        self._clock = clock
        self._host = {Side.LOCAL: local, Side.PEER: world.other(local).name}
        self._sessions: dict[tuple[Side, str], _Session] = {}
        self._clocks = {side: HostClock() for side in Side}
        # What the last call of a host gave, and when.
        self._failures: dict[Side, tuple[HostError, float]] = {}
        self._took = 0.0
        self._is_going_on = False
        self.requests: list[tuple[Side, Ask]] = []
        # To whom requests were handed over, each time: a round trip.
        self.sent: list[Side] = []
        self._moment, self._at_once = -1.0, 0
        self.watch: Callable[[str, Call], None] = lambda _host, _call: None
        self.disturb: Callable[[Side, Ask, Deadline, Proceed], Exchanged] | None = None
        self.hangs: Callable[[str, Call], bool] = lambda _host, _call: False
        clock.hosts = self

    def send(self, side: Side, asks: Sequence[Ask], deadline: Deadline) -> Sequence[Pending]:
        """Hand requests over, in order, each in its session, without waiting for anything."""
        pendings = [VirtualPending(ask, deadline, self._clock.monotonic(), lambda: self._trouble(side)) for ask in asks]
        self.sent.append(side)
        self._assert_time_passes()
        for one in pendings:
            self.requests.append((side, one.ask))
            self._sessions.setdefault((side, one.ask.session), _Session(side)).waiting.append(one)
        self.go_on()
        return pendings

    def _assert_time_passes(self) -> None:
        """Fail a run that asks again and again without waiting: on a real host it would do so for ever."""
        same = self._world.now - self._moment <= _SAME_S
        self._moment, self._at_once = self._world.now, self._at_once + 1 if same else 0
        assert self._at_once < _MOST_AT_ONCE, f"{self._at_once} requests at one moment, {self._world.now:.3f}"

    def wait(self, pendings: Sequence[Pending], until: Deadline) -> None:
        """Wait until all are over, or that deadline has passed."""
        self.go_on()
        while any(one.outcome() is None for one in pendings) and until.remaining() > _SAME_S:
            due = self.next_due
            left = until.remaining()
            self._clock.sleep(left if due is None else min(left, max(0.0, due - self._world.now)))
            self.go_on()
        if 0.0 < until.remaining() <= _SAME_S:
            # Whoever waits until that very moment, and not a hair less, would ask again for ever: no time passes here.
            self._clock.sleep(_SAME_S)

    def was_frozen(self, side: Side) -> bool:
        """Tell whether that host's time advanced by far more than this run's own can explain."""
        return self._clocks[side].was_frozen

    def exchange(self, asks: Mapping[Side, Sequence[Ask]], deadline: Deadline) -> dict[Side, list[Exchanged]]:
        """Ask one host or both side by side, wait, and return what came of each request."""
        sent = {side: self.send(side, of_side, deadline) for side, of_side in asks.items()}
        everything = [one for pendings in sent.values() for one in pendings]
        self.wait(everything, Deadline(deadline.clock, deadline.end + _LATEST_S))
        return {
            side: [one.outcome() or SessionLost(self._host[side], "no answer in time") for one in pendings]
            for side, pendings in sent.items()
        }

    def name(self, side: Side) -> str:
        """Return the name of the host on that side."""
        return self._host[side]

    def hang_up(self, side: Side) -> None:
        """Lose the sessions to a host, and the PowerShells with them."""
        for session in self._of(side):
            session.shell = None
            if session.current is not None and session.outcome is not None:
                session.outcome = SessionLost(self._host[side], "the session ended before the answer")
                session.until = self._world.now

    def begin_run(self) -> None:
        """Begin a run: what an earlier one has not sent never is, and it knows nothing of the hosts' time."""
        for session in self._sessions.values():
            session.waiting.clear()
            session.current = session.outcome = session.until = None
            session.opening = False
        self._clocks = {side: HostClock() for side in Side}
        self._failures.clear()

    def takes(self, seconds: float) -> None:
        """Have the request that is carried out just now take so much longer."""
        self._took += seconds

    @property
    def next_due(self) -> float | None:
        """Return when a session is next due to go on by itself."""
        if self._is_going_on:
            return None
        return min((one.until for one in self._sessions.values() if one.until is not None), default=None)

    def go_on(self) -> None:
        """Let every session do what is due."""
        if self._is_going_on:
            return
        self._is_going_on = True
        try:
            while sum(self._step(session) for session in list(self._sessions.values())):
                pass
        finally:
            self._is_going_on = False

    def _step(self, session: _Session) -> bool:
        """Do one thing that is due in a session; False if there is none."""
        if session.until is not None and session.until > self._world.now + _SAME_S:
            return False
        if session.outcome is not None:
            self._finish(session)
            return True
        while session.waiting and session.waiting[0].came is not None:
            session.waiting.popleft()
        if not session.waiting:
            session.until = None
            return False
        self._start(session)
        return True

    def _start(self, session: _Session) -> None:
        """Begin with the request whose turn it is; a PowerShell is started first, where there is none."""
        side, now = session.side, self._world.now
        state = self._world.ssh_answers(self._ec_vm, self._host[side])
        is_stale = session.shell is not None and now - session.used > _IDLE_S
        if state is Sshd.UP and (session.shell is None or is_stale) and not session.opening:
            session.opening, session.shell = True, None
            session.until = now + self._world.timings.powershell
            return
        session.opening = False
        pending = session.waiting.popleft()
        here = self._clock.monotonic()
        pending.sent = here if pending.sent is None else pending.sent
        for one in session.waiting:
            if one.ask.until is not None:
                break
            one.sent = here if one.sent is None else one.sent
        session.current, self._took = pending, 0.0
        try:
            session.outcome = self._disturbed(session, pending)
        except BaseException:
            session.current = None
            raise
        if isinstance(session.outcome, HostError) and not session.outcome.may_have_been_done:
            for one in (pending, *session.waiting):
                one.sent = None
        late = min(pending.ask.seconds, pending.deadline.remaining()) + _GRACE_S
        if isinstance(session.outcome, Answered) and self._took > late:
            self._took, session.outcome = late, SessionLost(self._host[side], "no answer in time")
        session.until = self._world.now + self._took

    def _disturbed(self, session: _Session, pending: VirtualPending) -> Exchanged:
        if self.disturb is None:
            return self._one(session, pending, pending.ask)
        return self.disturb(session.side, pending.ask, pending.deadline, lambda ask: self._one(session, pending, ask))

    def _finish(self, session: _Session) -> None:
        """Have the answer arrive, and with an error what becomes of the rest."""
        pending, outcome, host = session.current, session.outcome, self._host[session.side]
        session.current = session.outcome = session.until = None
        session.used = self._world.now
        if pending is None or outcome is None:
            return
        if isinstance(outcome, Answered):
            if self._world.ssh_answers(self._ec_vm, host) is not Sshd.UP:
                outcome = SessionLost(host, "the session ended before the answer")
            else:
                outcome = Answered(outcome.hello, outcome.reply, outcome.asked, self._clock.monotonic())
                self._clocks[session.side].heard(outcome.reply.up_ms, outcome.asked, outcome.answered)
        pending.came = pending.came or outcome
        if isinstance(outcome, HostError):
            self._lose(session, outcome)
        else:
            self._failures.pop(session.side, None)

    def _trouble(self, side: Side) -> HostError:
        """Return what the last call of a host gave; silence of long ago says nothing about now."""
        error, at = self._failures.get(side, (None, 0.0))
        if error is None or (isinstance(error, Silent) and self._world.now - at > _SILENCE_S):
            return Unreachable(self._host[side], CONNECTING)
        return error

    def _lose(self, session: _Session, error: HostError) -> None:
        session.shell = None
        if not error.may_have_been_done:
            self._failures[session.side] = (error, self._world.now)
        behind = unsent = error
        if error.may_have_been_done:
            behind = SessionLost(error.host, "what stood before it in its session was not answered", seen=error.what)
            unsent = Unreachable(error.host, "its session was lost, and it is not called again yet", seen=error.what)
        for one in session.waiting:
            one.came = unsent if one.sent is None else behind

    def _one(self, session: _Session, pending: VirtualPending, ask: Ask) -> Exchanged:
        host = self._host[session.side]
        state = self._world.ssh_answers(self._ec_vm, host)
        if state is not Sshd.UP:
            return self._refuse(host, state, pending.deadline)
        if session.shell is None:
            session.shell = PowerShell(self._world, host, self._target, sleep=self.takes, watch=self._watched)
        shell, hello = session.shell, session.shell.hello()
        host_clock = self._clocks[session.side]
        here = self._clock.monotonic()
        host_clock.heard(hello.up_ms, here, here)
        hanging = next((n for n, call in enumerate(ask.request.calls) if self._hangs(host, call)), None)
        if hanging is not None:
            shell.perform(Request(calls=ask.request.calls[:hanging], stop_on_error=False, not_after=2**62))
            self._took = min(ask.seconds, pending.deadline.remaining()) + _GRACE_S
            return SessionLost(host, "no answer in time")
        request = ask.request
        if ask.until is not None:
            until = min(ask.until, here + ask.seconds)
            request = replace(request, not_after=host_clock.not_after(until))
        reply = shell.perform(request)
        return Answered(hello, reply, pending.sent or here, here)

    def _watched(self, host: str, call: Call) -> None:
        # A session outlives the run that opened it, and so its checker.
        self.watch(host, call)

    def _of(self, side: Side) -> list[_Session]:
        return [session for (one, _), session in self._sessions.items() if one is side]

    def _hangs(self, host: str, call: Call) -> bool:
        """Tell whether a call, or what feeds it, never ends on a host."""
        calls = [one for one in (call, call.from_) if one is not None]
        return any(one.cmdlet in self._world.hosts[host].hangs or self.hangs(host, one) for one in calls)

    def _refuse(self, host: str, state: Sshd, deadline: Deadline) -> HostError:
        if state is Sshd.SILENT:
            self.takes(min(_TCP_TIMEOUT_S, deadline.remaining()))
            return Silent(host, "port 22 does not answer", seen="nothing for 5 s", remedy=_LOOK_AT_IT)
        if state is Sshd.STOPPED:
            return Unreachable(host, "port 22 does not answer", seen="connection refused", remedy=_LOOK_AT_IT)
        return LoginRefused(host, "it does not let us in", remedy="see that our key is among its authorized keys")
