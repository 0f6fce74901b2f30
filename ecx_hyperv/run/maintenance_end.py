"""The end of a VM's maintenance, as genw-vm tells it: once beforehand, and once where the VM is not back by then."""

import shlex

from ecx_hyperv.decide.maintenance import Notice, notice
from ecx_hyperv.decide.monitor import Health, Verdict
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.ecx.monitor_state import MonitorStates
from ecx_hyperv.errors import LocalError
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.memory import MonitorMemory

_KIND = "maintenance"


class MaintenanceEnd:
    """Tells of the ends of maintenances, each once; what cannot be remembered is told again."""

    def __init__(self, context: RunContext, states: MonitorStates) -> None:
        self._context = context
        self._memory = MonitorMemory(context, states, _KIND)

    def tell(self, vm: str, verdict: Verdict) -> None:
        """Alert a person if the VM's maintenance is about to end, or has ended without the VM."""
        flag = self._flag(vm)
        if flag is None or flag.until is None:
            return
        left = (flag.until - self._context.clock.wall()).total_seconds()
        length = (flag.until - flag.since).total_seconds()
        health = verdict.health
        found = notice(left, length, off=health is Health.FAILED, healthy=health is Health.HEALTHY)
        key = f"{found.value} {flag.until.isoformat()}"
        state = self._memory.load(vm)
        settled = f"{Notice.SETTLED.value} {flag.until.isoformat()}"
        if found is Notice.NOTHING or state.last_alert in (key, settled):
            return
        if found is Notice.SOON:
            self._context.alert(Level.WARN, _soon(vm, flag, left))
        elif found is Notice.NOT_BACK:
            self._context.alert(Level.ERR, _not_back(vm, flag, verdict.why))
        self._memory.save(vm, state.tell(key, self._context.clock.boottime()))

    def _flag(self, vm: str) -> Flag | None:
        try:
            return self._context.maintenance.kept(Kind.VM, vm)
        except LocalError:
            # That the flags cannot be read is told already.
            return None


def _soon(vm: str, flag: Flag, left: float) -> str:
    minutes = max(1, round(left / 60))
    return (
        f"{vm}: its maintenance ends at {_moment(flag)}, in {minutes} min. From then on ECX acts where it does not run."
        f" {_what_to_do(vm)}"
    )


def _not_back(vm: str, flag: Flag, why: str) -> str:
    return (
        f"{vm}: its maintenance ended at {_moment(flag)}, and it does not run: {why}. ECX acts from now on."
        f" {_what_to_do(vm)}"
    )


def _what_to_do(vm: str) -> str:
    return f"Do: start it, or: ecx-hyperv maintenance on {shlex.quote(vm)} --for 1h"


def _moment(flag: Flag) -> str:
    return "" if flag.until is None else f"{flag.until.astimezone():%H:%M}"
