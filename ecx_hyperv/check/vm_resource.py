"""What WSFC does with a VM resource by itself: it is to recover nothing, and to cut nobody's power (D23)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ecx_hyperv.check.context import CheckContext
from ecx_hyperv.check.host_facts import MachineSettings
from ecx_hyperv.check.outcome import Finding, Unavailable, cannot_tell, is_so, on_host
from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.states import OfflineAction, offline_action
from ecx_hyperv.desired.quoting import literal
from ecx_hyperv.desired.windows import CHECK_HEARTBEAT, OFFLINE_ACTION, OFFLINE_ACTIONS, RESTART_ACTION

_RESTARTS = {0: "no restart", 1: "restart in place", 2: "restart in place, then failover"}
_HEARTBEATS = {0: "the heartbeat is not asked", 1: "the resource fails where the heartbeat is lost"}
_ACTIONS = {
    OfflineAction.TURN_OFF: "turn off",
    OfflineAction.SAVE: "save",
    OfflineAction.SHUT_DOWN: "shut down",
    OfflineAction.FORCED_SHUTDOWN: "forced shutdown",
}


def _action(number: int) -> str | None:
    action = offline_action(number)
    return None if action is None else _ACTIONS[action]


@dataclass(frozen=True, slots=True)
class _Setting:
    """A setting of a VM resource: its check, where to read it, what its numbers mean, which are right, its remedy."""

    check: str
    of: Callable[[MachineSettings], int | Unavailable]
    means: Callable[[int], str | None]
    right: Sequence[int]
    line: str

    def shown(self, number: int) -> str:
        """Return a number with what it means."""
        return f"{number}: {self.means(number) or 'not known'}"

    @property
    def expected(self) -> str:
        """Return what is right, in words."""
        right = ", ".join(map(self.shown, self.right))
        return right if len(self.right) == 1 else f"one of {right}"


_PARAMETER = "Get-ClusterResource -Name {} | Set-ClusterParameter"
_SETTINGS = (
    _Setting(
        "vm-restart-action",
        lambda one: one.restart,
        _RESTARTS.get,
        (RESTART_ACTION,),
        f"(Get-ClusterResource -Name {{}}).RestartAction = {RESTART_ACTION}",
    ),
    _Setting(
        "vm-check-heartbeat",
        lambda one: one.heartbeat,
        _HEARTBEATS.get,
        (CHECK_HEARTBEAT,),
        f"{_PARAMETER} -Name CheckHeartbeat -Value {CHECK_HEARTBEAT}",
    ),
    _Setting(
        "vm-offline-action",
        lambda one: one.offline,
        _action,
        OFFLINE_ACTIONS,
        f"{_PARAMETER} -Name OfflineAction -Value {OFFLINE_ACTION}",
    ),
)
OF_RESOURCE = tuple(one.check for one in _SETTINGS)


def judge_resource(context: CheckContext, vm: ProtectedVm) -> Iterator[Finding]:
    """Judge the VM resource of a VM, by the first host that shows each of its settings."""
    asked = context.identity(vm).asked()
    resource, said = literal(asked.machine_name), [asked.machine] if asked.machine else []
    for one in _SETTINGS:
        host, number = _first(context, vm, one.of)
        if isinstance(number, Unavailable):
            yield cannot_tell(one.check, vm.name, number)
            continue
        yield is_so(
            one.check,
            vm.name,
            one.shown(number),
            so=number in one.right,
            expected=one.expected,
            remedy=on_host(host, one.line.format(resource), said),
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
