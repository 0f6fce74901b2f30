"""genw-remote-node: look at the peer twice, and do the one thing that both looks call for.

Kept: one sample never acts on the peer. Both looks, [timing] confirm_peer apart, must call for the same remedy. An
action is remembered before it is carried out, so that a run that is killed in between does not act twice; a lock keeps
two runs from acting at once. Cool-down and limit are counted from what is remembered. A run whose EC-VM stood still
does nothing: its first look is long past, and the other EC-VM may have taken over since (E26).

Only a run that may act remembers: a dry run changes neither state nor peer. Where neither the state folder nor the run
folder can be read or written nothing is done to the peer, since a restart that cannot be remembered could be repeated
for ever; a look goes on, and says what it sees.

Who does not answer ping is not gone: host firewalls drop echo, so ping only tells "start ECX" from "wait", and a host
is asked over SSH, never pinged (defect 53). An end of trouble is told once, so that an alert does not stay open: when
ECX is Online there and each mirror disk is GREEN. What may be over at the next look is told as a warning first. The
forerunner ended with 0 whatever happened (50).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import UNSEEN, Contact, Side, VmOnHost
from ecx_hyperv.decide.peer import (
    AskHost,
    PeerAct,
    PeerEcx,
    PeerEnd,
    PeerObservation,
    PeerRemedy,
    PeerStep,
    Ping,
    decide,
    looks_hung,
)
from ecx_hyperv.decide.states import VmKind, heartbeat_is_lost, heartbeat_is_ok, heartbeat_is_silent, vm_kind
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.commands import ping
from ecx_hyperv.ecx.locks import Lock
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.ecx.monitor_state import MonitorState, MonitorStates
from ecx_hyperv.errors import HostError, LocalError, SessionLost
from ecx_hyperv.exits import Exit
from ecx_hyperv.host import cmdlets, queries
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.rows import VmRow
from ecx_hyperv.host.snapshots import contact_of
from ecx_hyperv.host.wire import Call, RemoteError, Request, changes
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.memory import MonitorMemory
from ecx_hyperv.run.mirror_watch import MirrorWatch

MOST_ACTIONS = 3
_KIND = "peer"
_PING_S = 2
# How often a healthy run asks the peer host about the heartbeat of its EC-VM.
_HEARTBEAT_EVERY_S = 300.0
# What a look may take, or a reset, a slow host's module loading included.
_ASK_S = 60.0


class _Span(Enum):
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class _Glance:
    """One look: what it showed, what it calls for, and the trouble with the peer's host if there was some."""

    seen: PeerObservation
    step: PeerStep
    trouble: HostError | None
    # The EC-VM's id on its host, empty where that did not show it.
    key: str = ""


class PeerWatcher:
    """One run of genw-remote-node; `has_mirror` reads whether ECX has a mirror disk configured (None: unknown)."""

    def __init__(
        self,
        context: RunContext,
        states: MonitorStates,
        deadline: Deadline,
        *,
        has_mirror: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self._context = context
        self._mirrors = MirrorWatch(context, deadline, has_mirror=has_mirror)
        self._memory = MonitorMemory(context, states, _KIND)
        self._deadline = deadline
        self._peer = context.pair.peer

    def go(self) -> PeerEnd:
        """Look, look again if something is to be done, do it, and say how it ended."""
        lock = self._context.locks.peer(self._peer.name)
        try:
            return self._excused(lock) or self._tell(self._go())
        finally:
            lock.release()
            self._memory.tell()

    def _excused(self, lock: Lock) -> PeerEnd | None:
        """Return the end of a run that another one makes needless; None if there is no other."""
        try:
            if self._context.dry or lock.acquire():
                return None
        except LocalError as error:
            # ECX runs one monitor at a time; without a lock it is better to look after the peer than not to.
            self._context.log.warning("no lock", because=str(error))
            return None
        if not lock.is_overdue():
            return PeerEnd(Exit.DONE, f"another run looks after {self._peer.name}: {lock.holder()}")
        text = f"nobody looks after {self._peer.name}: {lock.holder()} holds the lock past its limit"
        return self._tell(PeerEnd(Exit.CANNOT_TELL, text, "kill it"))

    def _go(self) -> PeerEnd:
        state = self._memory.load(self._peer.name)
        first, state = self._glance(state)
        if not isinstance(first.step, PeerAct):
            return self._remember(state, _end(first))
        self._deadline.sleep(self._context.config.timing.confirm_peer)
        second, state = self._glance(state)
        if not isinstance(second.step, PeerAct):
            return self._remember(state, _end(second))
        if self._context.hosts.was_frozen(Side.PEER):
            text = f"nothing is done to {self._peer.name}: this EC-VM stood still between two looks"
            return self._remember(state, PeerEnd(Exit.NOT_AS_ASKED, text, "wait", pending=True))
        if second.step.remedy is not first.step.remedy:
            return self._remember(
                state, PeerEnd(Exit.NOT_AS_ASKED, f"two looks differ: {second.step.why}", "wait", pending=True)
            )
        if self._context.dry:
            return PeerEnd(Exit.DONE, f"the run will {second.step.remedy.value} {self._peer.name}: {second.step.why}")
        # Remembered before it is done, so that a run that is killed in between does not do it twice.
        now = self._context.clock.boottime()
        self._save(state.acted(now).tell(_in_words(second.step, self._peer.name), now))
        if self._memory.trouble:
            text = f"not done, since it cannot be remembered: {second.step.remedy.value} {self._peer.name}"
            return PeerEnd(Exit.CANNOT_TELL, f"{text}: {second.step.why}", "repair [paths] state, or do it by hand")
        return self._act(second.step, second.key)

    def _glance(self, state: MonitorState) -> tuple[_Glance, MonitorState]:
        timing, now = self._context.config.timing, self._context.clock.boottime()
        seen = PeerObservation(
            node=self._peer.name,
            vm=self._peer.vm,
            host=self._peer.host,
            maintenance=self._context.in_maintenance(Kind.PEER, self._peer.name),
            ecx=self._ecx(),
            cooling=any(now - action < timing.cool_down for action in state.actions),
            used_up=len(state.actions) >= MOST_ACTIONS,
        )
        trouble, row = None, None
        if isinstance(decide(seen), AskHost):
            seen, trouble, row = self._ask_host(seen, state)
        elif seen.ecx is PeerEcx.ONLINE:
            state = self._note_heartbeat(state, now)
        state = state.look([_Span.HUNG] if looks_hung(seen) else [], now, timing.stale)
        # One that booted since, of itself or by an operator, is not hung yet, whatever it was before.
        just_booted = row is not None and 0 < row.uptime < timing.hung_after
        hung = looks_hung(seen) and state.lasted(_Span.HUNG, now) >= timing.hung_after and not just_booted
        seen = replace(seen, hung=hung)
        return _Glance(seen, decide(seen), trouble, "" if row is None else row.id), state

    def _ecx(self) -> PeerEcx:
        try:
            status = clpstat.ask(self._context.run, self._deadline)
        except LocalError as error:
            self._context.log.warning("clpstat", because=str(error))
            return PeerEcx.SENSELESS
        return clpstat.judge(status, self._context.pair.local.name, self._peer.name)

    def _ask_host(
        self, seen: PeerObservation, state: MonitorState
    ) -> tuple[PeerObservation, HostError | None, VmRow | None]:
        query = queries.vms_named(self._peer.vm)
        answer = self._exchange(query.call)
        if isinstance(answer, HostError):
            return replace(seen, contact=contact_of(answer)), answer, None
        rows = query.read(next(iter(answer.reply.results), None))
        row = _the_ec_vm(rows)
        on_host = UNSEEN if row is None else VmOnHost(vm_kind(row.state), row.state)
        if rows == ():
            on_host = VmOnHost(VmKind.ABSENT)
        silent = row is not None and (
            heartbeat_is_lost(row.heartbeat)
            or (
                heartbeat_is_silent(row.heartbeat) and state.saw_heartbeat(_booted(row, self._context.clock.boottime()))
            )
        )
        ping = self._ping() if on_host.kind is VmKind.RUNNING else Ping.UNASKED
        seen = replace(seen, contact=Contact.ANSWERS, on_host=on_host, heartbeat_silent=silent, ping=ping)
        return seen, None, row

    def _note_heartbeat(self, state: MonitorState, now: float) -> MonitorState:
        """Ask the peer host now and then how its EC-VM is while all is well: only then "no contact" means anything.

        A guest without integration services never has a heartbeat, and would look hung in every partition (D11).
        """
        asked = state.heartbeat_asked
        if self._context.dry or (asked is not None and 0 <= now - asked < _HEARTBEAT_EVERY_S):
            return state
        query = queries.vms_named(self._peer.vm)
        answer = self._exchange(query.call)
        if isinstance(answer, HostError):
            return state
        row = _the_ec_vm(query.read(next(iter(answer.reply.results), None)))
        if row is None or not heartbeat_is_ok(row.heartbeat):
            return state.asked_heartbeat(now)
        return state.asked_heartbeat(now, booted=_booted(row, now))

    def _ping(self) -> Ping:
        try:
            answers = ping(self._context.run, self._peer.address, _PING_S)
        except LocalError as error:
            self._context.log.warning("ping", because=str(error))
            # Without ping nobody knows whether it answers: neither a start of ECX nor a restart rests on that.
            return Ping.UNASKED
        return Ping.ANSWERS if answers else Ping.SILENT

    def _act(self, step: PeerAct, key: str) -> PeerEnd:
        text = _in_words(step, self._peer.name)
        self._context.log.warning(text)
        self._context.alert(Level.WARN, text)
        if step.remedy is PeerRemedy.START_ECX:
            return self._start_ecx(text)
        if not key:
            return PeerEnd(Exit.CANNOT_TELL, f"{text}: its host does not tell its id", "see Hyper-V Manager there")
        answer = self._exchange(_CALLS[step.remedy](key))
        if isinstance(answer, SessionLost) and step.remedy is PeerRemedy.RESTART:
            # It blocks until the guest is up again, for up to 300 s (P14); the host goes on with it by itself.
            return PeerEnd(Exit.NOT_AS_ASKED, f"{text}: it has not returned yet", "wait", pending=True)
        if isinstance(answer, HostError):
            return PeerEnd(answer.exit, f"{text}: {answer.summary}", answer.remedy)
        result = answer.reply.results[0] if answer.reply.results else None
        if result is None or not result.ok:
            error = "no result" if result is None else str(result.error)
            return PeerEnd(Exit.REFUSED, f"{text}: refused: {error}", f"see Hyper-V Manager on {self._peer.host}")
        return PeerEnd(Exit.DONE, text, pending=True)

    def _start_ecx(self, text: str) -> PeerEnd:
        seconds = math.ceil(self._deadline.remaining())
        done = self._context.run(["clpcl", "-s", "-h", self._peer.name], seconds)
        if done.code == 0:
            return PeerEnd(Exit.DONE, text, pending=True)
        said = " ".join((done.text or done.stderr.decode("utf-8", "replace")).split()) or "nothing said"
        return PeerEnd(
            Exit.REFUSED,
            f"{text}: clpcl ended with {done.code}: {said}",
            f"run clpcl -s on {self._peer.name} itself, and see its alert log",
        )

    def _exchange(self, *calls: Call) -> Exchanged:
        until = self._deadline.end if any(changes(call) for call in calls) else None
        ask = Ask(Request(calls=calls, stop_on_error=False), _ASK_S, until=until)
        return self._context.hosts.exchange({Side.PEER: [ask]}, self._deadline)[Side.PEER][0]

    def _remember(self, state: MonitorState, end: PeerEnd) -> PeerEnd:
        self._save(state)
        return end

    def _save(self, state: MonitorState) -> None:
        if not self._context.dry:
            self._memory.save(self._peer.name, state)

    def _tell(self, end: PeerEnd) -> PeerEnd:
        """Log how it ended, and alert a person: to each new trouble at once, to a lasting one every hour."""
        if self._context.dry:
            return end
        state, now = self._memory.load(self._peer.name), self._context.clock.boottime()
        trouble = "" if end.exit is Exit.DONE else f"{int(end.exit)} {end.why}"
        if trouble:
            self._context.log.error(end.why, do=end.remedy, exit=int(end.exit))
        if trouble and state.is_news(trouble, now):
            # What may be over at the next look, a boot above all, wakes nobody up before it has lasted an hour.
            level = Level.WARN if end.pending and state.last_alert != trouble else Level.ERR
            self._context.alert(level, f"{end.why}; do: {end.remedy}")
            state = state.tell(trouble, now)
            self._save(state)
        self._tell_mirrors(state, end)
        return end

    def _tell_mirrors(self, before: MonitorState, end: PeerEnd) -> None:
        """Alert a person to what is wrong with a mirror disk, and once to the end of all that was told."""
        is_remembered = not self._memory.trouble
        state, are_green = self._mirrors.tell(before, is_online=end.online, is_remembered=is_remembered)
        if end.online and are_green and is_remembered and (state.last_alert or state.mirrors_told):
            text = f"{self._peer.name}: all is well again: {end.why}, and no mirror disk is out of sync"
            self._context.log.info(text)
            self._context.alert(Level.WARN, text)
            state = state.ended(self._context.clock.boottime())
        if state is not before:
            self._save(state)


def _end(glance: _Glance) -> PeerEnd:
    if not isinstance(glance.step, PeerEnd):
        return PeerEnd(Exit.CANNOT_TELL, "nothing can be decided")
    if glance.trouble is None:
        return glance.step
    remedy = glance.trouble.remedy or glance.step.remedy
    return PeerEnd(glance.trouble.exit, f"{glance.step.why} ({glance.trouble.what})", remedy)


_CALLS = {
    PeerRemedy.POWER_ON: cmdlets.start_vm,
    PeerRemedy.RESUME: cmdlets.resume_vm,
    PeerRemedy.RESTART: cmdlets.restart_vm,
}


def _the_ec_vm(rows: tuple[VmRow, ...] | RemoteError) -> VmRow | None:
    """Return the EC-VM among the VMs of its name: exactly one that is not clustered, else nobody can tell."""
    own = [] if isinstance(rows, RemoteError) else [row for row in rows if row.is_clustered is not True]
    return own[0] if len(own) == 1 else None


def _booted(row: VmRow, now: float) -> float:
    """Return when a guest booted, in seconds since this EC-VM booted."""
    return now - row.uptime


def _in_words(step: PeerAct, node: str) -> str:
    return f"{step.remedy.value} {node}: {step.why}"
