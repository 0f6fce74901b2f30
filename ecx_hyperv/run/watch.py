"""genw-vm: look, look again where something seems wrong, and answer ECX.

Kept: one sample never fails a VM. A failure takes two looks in one run, [timing] confirm_vm apart; if the second look
shows anything else, the second look counts. An sshd that restarts is asked again for [timing] connect: a restart is no
news about the VM.

A span that is longer than a run (critical, in transition, heartbeat lost) is remembered in a file from run to run. It
counts only within one boot of the EC-VM and only while two looks are no more than [timing] stale apart: a span over
which nobody looked is no span. Seconds since boot are used, since a clock that is set would lengthen or cut a span.

What a monitor cannot tell is told to a person instead: at once, louder after [timing] unknown_limit, then each hour.
It is not told to ECX as a failure, unless [monitor] unknown asks for that: a blind monitor that fails a VM brings
about a stop that is just as blind. The forerunner failed VMs on any trouble with ssh (defect 3), during a start or
move by itself (45), and called a failed login "not found" (47).
"""

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
from ecx_hyperv.ecx.monitor_state import MonitorState, MonitorStates
from ecx_hyperv.errors import HostError, HostKeyRefused, LocalError, LoginRefused, NoCommonAlgorithm
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.rows import VmRow
from ecx_hyperv.host.situation import observe_vm
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.look import HostPair
from ecx_hyperv.run.maintenance_end import MaintenanceEnd
from ecx_hyperv.run.memory import MonitorMemory
from ecx_hyperv.run.stop_task import GET_VM_AGE_S

_KIND = "vm"
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

    def __init__(self, context: RunContext, vms: Sequence[str], states: MonitorStates, deadline: Deadline) -> None:
        self._context = context
        self._left = {vm: node for vm in vms if (node := context.config.find_ec_vm(vm)) is not None}
        self._vms = vms = [vm for vm in vms if vm not in self._left]
        self._memory = MonitorMemory(context, states, _KIND)
        self._maintenance_end = MaintenanceEnd(context, states)
        self._deadline = deadline
        self._host_pair = HostPair(context, vms)

    def go(self) -> Watch:
        """Look, confirm what has failed by a second look, remember, alert, and answer."""
        left = {
            vm: Verdict(Health.HEALTHY, f"{vm} is the EC-VM of {node.name}: it is not watched as a protected VM")
            for vm, node in self._left.items()
        }
        if not self._vms:
            return Watch(left, Exit.DONE)
        states = {vm: self._memory.load(vm) for vm in self._vms}
        verdicts = self._judge(states)
        if any(verdict.health is Health.FAILED for verdict in verdicts.values()):
            # Within one PowerShell Get-VM may repeat what it read up to 5 s before.
            self._deadline.sleep(max(self._context.config.timing.confirm_vm, GET_VM_AGE_S))
            again = self._judge(states)
            verdicts = {vm: _confirmed(verdicts[vm], again[vm]) for vm in self._vms}
        for vm, verdict in verdicts.items():
            self._memory.save(vm, self._tell(vm, verdict, states[vm]))
            self._maintenance_end.tell(vm, verdict)
        self._memory.tell()
        return Watch(left | verdicts, self._exit(verdicts.values()))

    def _judge(self, states: dict[str, MonitorState]) -> dict[str, Verdict]:
        snapshots = self._look()
        return {vm: self._judge_one(vm, snapshots, states) for vm in self._vms}

    def _look(self) -> Snapshots:
        """Look at the local host, again while it does not answer but may: a restart of its sshd is no news."""
        patience = self._deadline.within(self._context.config.timing.connect)
        while True:
            snapshots = self._host_pair.observe([Side.LOCAL], self._deadline)
            can_heal = isinstance(snapshots.local, HostError) and not isinstance(
                snapshots.local, HostKeyRefused | LoginRefused | NoCommonAlgorithm
            )
            if not can_heal or patience.has_passed:
                return snapshots
            patience.sleep(1)

    def _judge_one(self, vm: str, snapshots: Snapshots, states: dict[str, MonitorState]) -> Verdict:
        timing, now = self._context.config.timing, self._context.clock.boottime()
        seen = observe_vm(
            self._context.config,
            self._host_pair.names,
            vm,
            snapshots,
            self._host_pair.identities.of(vm),
            maintenance=self._context.in_maintenance(Kind.VM, vm),
        )
        state, lost = self._heartbeat(vm, snapshots, states[vm])
        watched = Watched(seen=seen, locked=self._is_locked(vm), heartbeat_lost=lost)
        spans: list[Enum] = [*monitor.spans(watched)]
        state = state.look([*spans, *_still_blind(state)], now, timing.stale)
        twice = {monitor.Span.CONTRADICTED: 2 * timing.settle}
        over = frozenset(span for span in monitor.Span if state.lasted(span, now) >= twice.get(span, timing.settle))
        verdict = monitor.judge(
            Watched(
                seen=seen, locked=watched.locked, heartbeat_lost=lost, over=over & frozenset(monitor.spans(watched))
            )
        )
        blind = [_Blind.UNKNOWN] if verdict.health is Health.UNKNOWN else []
        states[vm] = state.look([*spans, *blind], now, timing.stale)
        if isinstance(snapshots.local, HostError):
            return Verdict(verdict.health, str(snapshots.local) if verdict.health is Health.UNKNOWN else verdict.why)
        return verdict

    def _heartbeat(self, vm: str, snapshots: Snapshots, state: MonitorState) -> tuple[MonitorState, bool]:
        snapshot = snapshots.snapshot(Side.LOCAL)
        row = None if snapshot is None else snapshot.vm(self._host_pair.identities.of(vm).id)
        if not isinstance(row, VmRow):
            return state, False
        if heartbeat_is_ok(row.heartbeat):
            state = state.heartbeat(was_ok=True)
        lost = state.heartbeat_was_ok and heartbeat_is_lost(row.heartbeat) and row.uptime > _HEARTBEAT_AFTER_S
        return state, lost and self._context.config.monitor.heartbeat

    def _is_locked(self, vm: str) -> bool:
        try:
            return self._context.locks.is_busy(vm)
        except LocalError as error:
            self._context.log.warning("locks cannot be read", because=str(error))
            return False

    def _tell(self, vm: str, verdict: Verdict, state: MonitorState) -> MonitorState:
        now = self._context.clock.boottime()
        log = self._context.log
        match verdict.health:
            case Health.HEALTHY:
                log.debug(verdict.why, vm=vm)
                if not state.last_alert:
                    return state
                # Not yet that all is well: it may be critical still, or being started.
                news = "no longer failed" if state.last_alert == _FAILED else "can tell again"
                log.info(f"{news}: {verdict.why}", vm=vm)
                self._context.alert(Level.WARN, f"{vm}: {news}: {verdict.why}")
                return state.tell("", now)
            case Health.FAILED:
                log.error(f"failed: {verdict.why}", vm=vm)
                return self._alert(state, _FAILED, Level.ERR, f"{vm} has failed: {verdict.why}", now)
        blind_for = state.lasted(_Blind.UNKNOWN, now)
        log.warning(f"cannot tell: {verdict.why}", vm=vm, seconds=round(blind_for))
        if blind_for >= self._context.config.timing.unknown_limit:
            return self._alert(state, "blind for long", Level.ERR, f"{vm}: cannot tell for long: {verdict.why}", now)
        return self._alert(state, "blind", Level.WARN, f"{vm}: cannot tell: {verdict.why}", now)

    def _alert(self, state: MonitorState, kind: str, level: Level, text: str, now: float) -> MonitorState:
        if not state.is_news(kind, now):
            return state
        self._context.alert(level, text)
        return state.tell(kind, now)

    def _exit(self, verdicts: Iterable[Verdict]) -> Exit:
        bad = {Health.FAILED}
        if self._context.config.monitor.unknown is Unknown.FAILED:
            bad.add(Health.UNKNOWN)
        return Exit.NOT_AS_ASKED if any(verdict.health in bad for verdict in verdicts) else Exit.DONE


def _still_blind(state: MonitorState) -> list[Enum]:
    return [_Blind.UNKNOWN] if _Blind.UNKNOWN.value in state.since else []


def _confirmed(first: Verdict, second: Verdict) -> Verdict:
    """A failure takes two looks; else the second one counts."""
    if second.health is not Health.FAILED or first.health is Health.FAILED:
        return second
    return Verdict(Health.HEALTHY, f"seen once only: {second.why}")
