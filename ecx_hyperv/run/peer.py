"""genw-remote-node: look at the peer twice, and do the one thing that both looks call for."""

import math
from dataclasses import dataclass, replace
from enum import Enum

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import UNSEEN, Contact, Side, VmSeen
from ecx_hyperv.decide.peer import Act, Ask, Ecx, End, PeerSeen, Ping, Remedy, Step, decide, looks_hung
from ecx_hyperv.decide.states import VmKind, heartbeat_is_silent, vm_kind
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.commands import ping
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.ecx.monitor_state import Memories, Memory
from ecx_hyperv.errors import HostError, LocalError
from ecx_hyperv.exits import Exit
from ecx_hyperv.host import cmdlets
from ecx_hyperv.host.link import Ask as HostAsk
from ecx_hyperv.host.link import Exchanged
from ecx_hyperv.host.observe import VmRow, Wanted, read
from ecx_hyperv.host.situation import contact_of
from ecx_hyperv.host.wire import Call, Request
from ecx_hyperv.run.context import Room
from ecx_hyperv.run.look import LOOK_S

MOST_ACTIONS = 3
_MEMORY = "peer"
_PING_S = 2


class _Span(Enum):
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class _Glance:
    """One look: what it showed, what it calls for, and the trouble with the peer's host if there was some."""

    seen: PeerSeen
    step: Step
    trouble: HostError | None


class PeerWatcher:
    """One run of genw-remote-node."""

    def __init__(self, room: Room, memories: Memories, deadline: Deadline) -> None:
        self._room = room
        self._memories = memories
        self._deadline = deadline
        self._peer = room.pair.peer

    def go(self) -> End:
        """Look, look again if something is to be done, do it, and say how it ended."""
        lock = self._room.locks.peer(self._peer.name)
        if not self._room.dry and not lock.acquire():
            return End(Exit.DONE, f"another run looks after {self._peer.name}: {lock.holder()}")
        try:
            return self._tell(self._go())
        finally:
            lock.release()

    def _go(self) -> End:
        memory = self._memories.load(_MEMORY, self._peer.name)
        first, memory = self._glance(memory)
        if not isinstance(first.step, Act):
            return self._remember(memory, _end(first))
        self._deadline.sleep(self._room.config.timing.confirm_peer)
        second, memory = self._glance(memory)
        if not isinstance(second.step, Act):
            return self._remember(memory, _end(second))
        if second.step.remedy is not first.step.remedy:
            return self._remember(
                memory, End(Exit.NOT_AS_ASKED, f"two looks differ: {second.step.why}", "wait", pending=True)
            )
        if self._room.dry:
            return End(Exit.DONE, f"next: {second.step.remedy.value} {self._peer.name}: {second.step.why}")
        # Remembered before it is done, so that a run that is killed in between does not do it twice.
        now = self._room.clock.boottime()
        self._save(memory.acted(now))
        return self._act(second.step)

    def _glance(self, memory: Memory) -> tuple[_Glance, Memory]:
        timing, now = self._room.config.timing, self._room.clock.boottime()
        seen = PeerSeen(
            node=self._peer.name,
            vm=self._peer.vm,
            host=self._peer.host,
            maintenance=self._room.in_maintenance(Kind.PEER, self._peer.name),
            ecx=self._ecx(),
            cooling=any(now - action < timing.cool_down for action in memory.actions),
            used_up=len(memory.actions) >= MOST_ACTIONS,
        )
        trouble, uptime = None, 0.0
        if isinstance(decide(seen), Ask):
            seen, trouble, uptime = self._ask_host(seen)
        memory = memory.look([_Span.HUNG] if looks_hung(seen) else [], now, timing.stale)
        # One that booted since, of itself or by an operator, is not hung yet, whatever it was before.
        just_booted = 0 < uptime < timing.hung_after
        hung = looks_hung(seen) and memory.lasted(_Span.HUNG, now) >= timing.hung_after and not just_booted
        seen = replace(seen, hung=hung)
        return _Glance(seen, decide(seen), trouble), memory

    def _ecx(self) -> Ecx:
        try:
            status = clpstat.ask(self._room.run, self._deadline)
        except LocalError as error:
            self._room.log.warning("clpstat", because=str(error))
            return Ecx.SENSELESS
        return clpstat.judge(status, self._room.pair.own.name, self._peer.name)

    def _ask_host(self, seen: PeerSeen) -> tuple[PeerSeen, HostError | None, float]:
        wanted = Wanted(vms=(self._peer.vm,), cluster=False, iscsi=False)
        answer = self._exchange(*wanted.calls())
        if isinstance(answer, HostError):
            return replace(seen, contact=contact_of(answer)), answer, 0.0
        hello, reply = answer
        row = read(hello, reply.results, wanted).vms[self._peer.vm.casefold()]
        if row is None:
            on_host = VmSeen(VmKind.ABSENT)
        else:
            on_host = VmSeen(vm_kind(row.state), row.state) if isinstance(row, VmRow) else UNSEEN
        return (
            replace(
                seen,
                contact=Contact.ANSWERS,
                on_host=on_host,
                heartbeat_silent=isinstance(row, VmRow) and heartbeat_is_silent(row.heartbeat),
                ping=self._ping() if on_host.kind is VmKind.RUNNING else Ping.UNASKED,
            ),
            None,
            row.uptime if isinstance(row, VmRow) else 0.0,
        )

    def _ping(self) -> Ping:
        try:
            answers = ping(self._room.run, self._peer.address, _PING_S)
        except LocalError as error:
            self._room.log.warning("ping", because=str(error))
            # Without ping nobody knows whether it answers: neither a start of ECX nor a restart rests on that.
            return Ping.UNASKED
        return Ping.ANSWERS if answers else Ping.SILENT

    def _act(self, step: Act) -> End:
        text = f"{step.remedy.value} {self._peer.name}: {step.why}"
        self._room.log.warning(text)
        self._room.alert(Level.WARN, text)
        if step.remedy is Remedy.START_ECX:
            return self._start_ecx(text)
        answer = self._exchange(_CALLS[step.remedy](self._peer.vm))
        if isinstance(answer, HostError):
            return End(answer.exit, f"{text}: {answer.what}", answer.remedy)
        result = answer[1].results[0] if answer[1].results else None
        if result is None or not result.ok:
            error = "no result" if result is None else str(result.error)
            return End(Exit.REFUSED, f"{text}: refused: {error}", f"see Hyper-V Manager on {self._peer.host}")
        return End(Exit.DONE, text, pending=True)

    def _start_ecx(self, text: str) -> End:
        seconds = math.ceil(self._deadline.remaining())
        done = self._room.run(["clpcl", "-s", "-h", self._peer.name], seconds)
        if done.code == 0:
            return End(Exit.DONE, text, pending=True)
        said = " ".join((done.text or done.stderr.decode("utf-8", "replace")).split()) or "nothing said"
        return End(
            Exit.REFUSED,
            f"{text}: clpcl ended with {done.code}: {said}",
            f"run clpcl -s on {self._peer.name} itself, and see its alert log",
        )

    def _exchange(self, *calls: Call) -> Exchanged:
        ask = HostAsk(Request(calls=calls, stop_on_error=False), LOOK_S)
        return self._room.hosts.exchange({Side.PEER: ask}, self._deadline)[Side.PEER]

    def _remember(self, memory: Memory, end: End) -> End:
        self._save(memory)
        return end

    def _save(self, memory: Memory) -> None:
        if not self._room.dry:
            self._memories.save(_MEMORY, self._peer.name, memory)

    def _tell(self, end: End) -> End:
        """Log how it ended, and alert a person: to each new trouble at once, to a lasting one every hour."""
        if self._room.dry:
            return end
        memory, now = self._memories.load(_MEMORY, self._peer.name), self._room.clock.boottime()
        trouble = "" if end.exit is Exit.DONE else f"{int(end.exit)} {end.why}"
        if trouble:
            self._room.log.error(end.why, do=end.remedy, exit=int(end.exit))
        if trouble and memory.is_news(trouble, now):
            # What may be over at the next look, a boot above all, wakes nobody up before it has lasted an hour.
            level = Level.WARN if end.pending and memory.told != trouble else Level.ERR
            self._room.alert(level, f"{end.why}; do: {end.remedy}")
            self._save(memory.tell(trouble, now))
        elif not trouble and memory.told and not end.pending:
            self._room.log.info(end.why)
            self._room.alert(Level.WARN, f"{self._peer.name}: all is well again: {end.why}")
            self._save(memory.tell("", now))
        return end


def _end(glance: _Glance) -> End:
    if not isinstance(glance.step, End):
        return End(Exit.CANNOT_TELL, "nothing can be decided")
    if glance.trouble is None:
        return glance.step
    remedy = glance.trouble.remedy or glance.step.remedy
    return End(glance.trouble.exit, f"{glance.step.why} ({glance.trouble.what})", remedy)


_CALLS = {
    Remedy.POWER_ON: cmdlets.start_vm,
    Remedy.RESUME: cmdlets.resume_vm,
    Remedy.RESTART: cmdlets.restart_vm,
}
