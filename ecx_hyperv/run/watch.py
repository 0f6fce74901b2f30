"""genw-vm: look, look again where something seems wrong, and answer ECX."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.config import Unknown
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide import monitor
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.monitor import Health, Verdict, Watched
from ecx_hyperv.decide.states import heartbeat_is_lost, heartbeat_is_ok
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.maintenance import Kind
from ecx_hyperv.ecx.monitor_state import Memories, Memory
from ecx_hyperv.errors import HostError, HostKeyRefused, LocalError, LoginRefused
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.observe import VmRow
from ecx_hyperv.host.situation import Sights, see
from ecx_hyperv.run.context import Room
from ecx_hyperv.run.look import Looker, Plan

_MEMORY = "vm"
_FAILED = "failed"
# A guest that has just booted has no heartbeat yet.
_HEARTBEAT_AFTER_S = 300.0


class _Blind(Enum):
    """The span for which a monitor has not been able to tell."""

    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a monitor run found."""

    verdicts: Mapping[str, Verdict]
    exit: Exit


class Watcher:
    """One run of genw-vm."""

    def __init__(self, room: Room, vms: Sequence[str], memories: Memories, deadline: Deadline) -> None:
        self._room = room
        self._vms = vms
        self._memories = memories
        self._deadline = deadline
        self._looker = Looker(room, vms)

    def go(self) -> Watch:
        """Look, confirm what has failed by a second look, remember, alert, and answer."""
        memories = {vm: self._load(vm) for vm in self._vms}
        verdicts = self._judge(memories)
        if any(verdict.health is Health.FAILED for verdict in verdicts.values()):
            self._deadline.sleep(self._room.config.timing.confirm_vm)
            again = self._judge(memories)
            verdicts = {vm: _confirmed(verdicts[vm], again[vm]) for vm in self._vms}
        for vm, verdict in verdicts.items():
            self._save(vm, self._tell(vm, verdict, memories[vm]))
        return Watch(verdicts, self._exit(verdicts.values()))

    def _judge(self, memories: dict[str, Memory]) -> dict[str, Verdict]:
        sights = self._look()
        return {vm: self._judge_one(vm, sights, memories) for vm in self._vms}

    def _look(self) -> Sights:
        """Look at the own host, again while it does not answer but may: a restart of its sshd is no news."""
        patience = self._deadline.within(self._room.config.timing.connect)
        while True:
            sights = self._looker.look([Side.OWN], Plan(), self._deadline)
            can_heal = isinstance(sights.own, HostError) and not isinstance(sights.own, HostKeyRefused | LoginRefused)
            if not can_heal or patience.has_passed:
                return sights
            patience.sleep(1)

    def _judge_one(self, vm: str, sights: Sights, memories: dict[str, Memory]) -> Verdict:
        timing, now = self._room.config.timing, self._room.clock.boottime()
        seen = see(
            self._room.config,
            self._looker.names,
            vm,
            sights,
            maintenance=self._room.in_maintenance(Kind.VM, vm),
        )
        memory, lost = self._heartbeat(vm, sights, memories[vm])
        watched = Watched(seen=seen, locked=self._is_locked(vm), heartbeat_lost=lost)
        spans: list[Enum] = [*monitor.spans(watched)]
        memory = memory.look([*spans, *_still_blind(memory)], now, timing.stale)
        over = frozenset(span for span in monitor.Span if memory.lasted(span, now) >= timing.settle)
        verdict = monitor.judge(
            Watched(
                seen=seen, locked=watched.locked, heartbeat_lost=lost, over=over & frozenset(monitor.spans(watched))
            )
        )
        blind = [_Blind.UNKNOWN] if verdict.health is Health.UNKNOWN else []
        memories[vm] = memory.look([*spans, *blind], now, timing.stale)
        if isinstance(sights.own, HostError):
            return Verdict(verdict.health, str(sights.own) if verdict.health is Health.UNKNOWN else verdict.why)
        return verdict

    def _heartbeat(self, vm: str, sights: Sights, memory: Memory) -> tuple[Memory, bool]:
        view = sights.view(Side.OWN)
        row = None if view is None else view.vms.get(vm.casefold())
        if not isinstance(row, VmRow):
            return memory, False
        if heartbeat_is_ok(row.heartbeat):
            memory = memory.heartbeat(was_ok=True)
        lost = memory.heartbeat_was_ok and heartbeat_is_lost(row.heartbeat) and row.uptime > _HEARTBEAT_AFTER_S
        return memory, lost and self._room.config.monitor.heartbeat

    def _is_locked(self, vm: str) -> bool:
        try:
            return self._room.locks.is_busy(vm)
        except LocalError as error:
            self._room.log.warning("locks cannot be read", because=str(error))
            return False

    def _tell(self, vm: str, verdict: Verdict, memory: Memory) -> Memory:
        now = self._room.clock.boottime()
        log = self._room.log
        match verdict.health:
            case Health.HEALTHY:
                log.debug(verdict.why, vm=vm)
                if not memory.told:
                    return memory
                # Not yet that all is well: it may be critical still, or being started.
                news = "no longer failed" if memory.told == _FAILED else "can tell again"
                log.info(f"{news}: {verdict.why}", vm=vm)
                self._room.alert(Level.WARN, f"{vm}: {news}: {verdict.why}")
                return memory.tell("", now)
            case Health.FAILED:
                log.error(f"failed: {verdict.why}", vm=vm)
                return self._alert(memory, _FAILED, Level.ERR, f"{vm} has failed: {verdict.why}", now)
        blind_for = memory.lasted(_Blind.UNKNOWN, now)
        log.warning(f"cannot tell: {verdict.why}", vm=vm, seconds=round(blind_for))
        if blind_for >= self._room.config.timing.unknown_limit:
            return self._alert(memory, "blind for long", Level.ERR, f"{vm}: cannot tell for long: {verdict.why}", now)
        return self._alert(memory, "blind", Level.WARN, f"{vm}: cannot tell: {verdict.why}", now)

    def _alert(self, memory: Memory, kind: str, level: Level, text: str, now: float) -> Memory:
        if not memory.is_news(kind, now):
            return memory
        self._room.alert(level, text)
        return memory.tell(kind, now)

    def _exit(self, verdicts: Iterable[Verdict]) -> Exit:
        bad = {Health.FAILED}
        if self._room.config.monitor.unknown is Unknown.FAILED:
            bad.add(Health.UNKNOWN)
        return Exit.NOT_AS_ASKED if any(verdict.health in bad for verdict in verdicts) else Exit.DONE

    def _load(self, vm: str) -> Memory:
        try:
            return self._memories.load(_MEMORY, vm)
        except LocalError as error:
            self._room.log.warning("nothing can be remembered", vm=vm, because=str(error))
            return Memory(looked=self._room.clock.boottime())

    def _save(self, vm: str, memory: Memory) -> None:
        try:
            self._memories.save(_MEMORY, vm, memory)
        except LocalError as error:
            self._room.log.warning("nothing can be remembered", vm=vm, because=str(error))


def _still_blind(memory: Memory) -> list[Enum]:
    return [_Blind.UNKNOWN] if _Blind.UNKNOWN.value in memory.since else []


def _confirmed(first: Verdict, second: Verdict) -> Verdict:
    """A failure takes two looks; else the second one counts."""
    if second.health is not Health.FAILED or first.health is Health.FAILED:
        return second
    return Verdict(Health.HEALTHY, f"seen once only: {second.why}")
