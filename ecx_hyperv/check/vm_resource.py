"""What WSFC does with a VM resource by itself: it is to recover nothing, and to cut nobody's power (D23)."""

from collections.abc import Callable, Iterator

from ecx_hyperv.check.context import CheckContext
from ecx_hyperv.check.host_facts import MachineSettings
from ecx_hyperv.check.outcome import Finding, Unavailable, cannot_tell, is_so, on_host
from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.states import OfflineAction, offline_action
from ecx_hyperv.desired.quoting import literal
from ecx_hyperv.desired.windows import CHECK_HEARTBEAT, OFFLINE_ACTION, OFFLINE_ACTIONS, RESTART_ACTION

OF_RESOURCE = ("vm-restart-action", "vm-check-heartbeat", "vm-offline-action")
_RESTARTS = {0: "no restart", 1: "restart in place", 2: "restart in place, then failover"}
_HEARTBEATS = {0: "the heartbeat is not asked", 1: "the resource fails where the heartbeat is lost"}
_ACTIONS = {
    OfflineAction.TURN_OFF: "turn off",
    OfflineAction.SAVE: "save",
    OfflineAction.SHUT_DOWN: "shut down",
    OfflineAction.FORCED_SHUTDOWN: "forced shutdown",
}


def judge_resource(context: CheckContext, vm: ProtectedVm) -> Iterator[Finding]:
    """Judge the VM resource of a VM, by the first host that shows each of its settings."""
    asked = context.identity(vm).asked()
    resource, said = literal(asked.machine_name), [asked.machine] if asked.machine else []
    of_parameter = f"Get-ClusterResource -Name {resource} | Set-ClusterParameter"

    host, restart = _first(context, vm, lambda one: one.restart)
    yield (
        cannot_tell("vm-restart-action", vm.name, restart)
        if isinstance(restart, Unavailable)
        else is_so(
            "vm-restart-action",
            vm.name,
            _shown(restart, _RESTARTS.get(restart)),
            so=restart == RESTART_ACTION,
            expected=_shown(RESTART_ACTION, _RESTARTS[RESTART_ACTION]),
            remedy=on_host(host, f"(Get-ClusterResource -Name {resource}).RestartAction = {RESTART_ACTION}", said),
        )
    )
    host, heartbeat = _first(context, vm, lambda one: one.heartbeat)
    yield (
        cannot_tell("vm-check-heartbeat", vm.name, heartbeat)
        if isinstance(heartbeat, Unavailable)
        else is_so(
            "vm-check-heartbeat",
            vm.name,
            _shown(heartbeat, _HEARTBEATS.get(heartbeat)),
            so=heartbeat == CHECK_HEARTBEAT,
            expected=_shown(CHECK_HEARTBEAT, _HEARTBEATS[CHECK_HEARTBEAT]),
            remedy=on_host(host, f"{of_parameter} -Name CheckHeartbeat -Value {CHECK_HEARTBEAT}", said),
        )
    )
    host, offline = _first(context, vm, lambda one: one.offline)
    yield (
        cannot_tell("vm-offline-action", vm.name, offline)
        if isinstance(offline, Unavailable)
        else is_so(
            "vm-offline-action",
            vm.name,
            _action(offline),
            so=offline in OFFLINE_ACTIONS,
            expected=f"one of {', '.join(_action(one) for one in OFFLINE_ACTIONS)}",
            remedy=on_host(host, f"{of_parameter} -Name OfflineAction -Value {OFFLINE_ACTION}", said),
        )
    )


def _first(
    context: CheckContext, vm: ProtectedVm, of: Callable[[MachineSettings], int | Unavailable]
) -> tuple[str, int | Unavailable]:
    """Return a setting, and the host that shows it; else why the first host does not."""
    said = [
        (context.place(side), of(facts.machines[vm.name.casefold()]))
        for side, facts in context.told().items()
        if vm.name.casefold() in facts.machines
    ]
    nobody = ("", Unavailable(why="no host was asked for the VM's resource"))
    return next((one for one in said if isinstance(one[1], int)), said[0] if said else nobody)


def _action(number: int) -> str:
    action = offline_action(number)
    return _shown(number, None if action is None else _ACTIONS[action])


def _shown(number: int, means: str | None) -> str:
    return f"{number}: {means or 'not known'}"
