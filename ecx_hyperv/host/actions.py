"""From a step to the cmdlet that performs it, and the host that it is performed on."""

from collections.abc import Callable
from dataclasses import dataclass

from ecx_hyperv.decide.facts import Observation, Side
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.steps import Act, Do
from ecx_hyperv.host import cmdlets
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.situation import CONFIGURATION, MACHINE, find_resource
from ecx_hyperv.host.wire import Call, RemoteError, Result


@dataclass(frozen=True, slots=True)
class Action:
    """A step's cmdlet call on a host."""

    do: Do
    side: Side
    call: Call


# What the agent itself left undone: nothing that Hyper-V or the cluster refused, and no attempt.
_LEFT_UNDONE = frozenset({"NotAsAsked", "TooLate"})


# What InitiateShutdown of Msvm_ShutdownComponent returns.
_ANSWERS = {
    0: ShutdownAnswer.ASKED,
    4096: ShutdownAnswer.ASKED,
    32780: ShutdownAnswer.NOT_READY,
    32781: ShutdownAnswer.LOCKED,
    32782: ShutdownAnswer.IN_PROGRESS,
}


@dataclass(frozen=True, slots=True)
class ActOutcome:
    """What became of an act: its error, whether it may have been made at all, and a guest's answer where it has one."""

    error: RemoteError | None
    was_made: bool = True
    shutdown: ShutdownAnswer | None = None


def outcome_of(do: Do, result: Result) -> ActOutcome:
    """Read the result of an act."""
    error = None if result.ok else result.error or RemoteError(message="failed without a reason")
    was_made = error is None or error.kind not in _LEFT_UNDONE
    return ActOutcome(error, was_made, shutdown_answer(result) if do is Do.STOP_VM and was_made else None)


def shutdown_answer(result: Result) -> ShutdownAnswer:
    """Return what the guest's service answered to `shutdown_guest`; without a row it has none."""
    if not result.ok:
        return ShutdownAnswer.REFUSED
    if not result.value:
        return ShutdownAnswer.NO_SERVICE
    code = result.value[0].get("Code")
    # A code that is no number means nothing; True is 1 in Python.
    return _ANSWERS.get(code, ShutdownAnswer.REFUSED) if type(code) is int else ShutdownAnswer.REFUSED


def action_for(step: Act, seen: Observation, snapshot: HostSnapshot | None, key: str) -> Action | None:
    """Return the cmdlet for a step; `snapshot` is the observer's, for the names of the VM's resources.

    `key` is the VM's id, empty where no look has told it: then None for what would be done to the VM itself.
    """
    if step.do in _BY_ID:
        return Action(step.do, step.side, _BY_ID[step.do](key)) if key else None
    return Action(step.do, step.side, _CALLS[step.do](seen, snapshot))


def _machine(seen: Observation, snapshot: HostSnapshot | None) -> str:
    return _resource(seen.names.vm, MACHINE, snapshot)


def _configuration(seen: Observation, snapshot: HostSnapshot | None) -> str:
    return _resource(seen.names.vm, CONFIGURATION, snapshot)


def _resource(vm: str, kind: str, snapshot: HostSnapshot | None) -> str:
    row = None if snapshot is None else find_resource(snapshot, vm, kind)
    return f"{kind} {vm}" if row is None else row.name


def _reconnect(seen: Observation, _snapshot: HostSnapshot | None) -> Call:
    return cmdlets.update_iscsi_portal(seen.names.target)


def _stop_machine(seen: Observation, snapshot: HostSnapshot | None) -> Call:
    return cmdlets.stop_resource(_machine(seen, snapshot))


_CALLS: dict[Do, Callable[[Observation, HostSnapshot | None], Call]] = {
    Do.RECONNECT_ISCSI: _reconnect,
    Do.START_CSV: lambda seen, _: cmdlets.start_resource(seen.names.csv),
    Do.MOVE_CSV: lambda seen, _: cmdlets.move_shared_volume(seen.names.csv, seen.names.local),
    Do.STOP_CSV: lambda seen, _: cmdlets.stop_resource(seen.names.csv),
    Do.MIGRATE_LIVE: lambda seen, _: cmdlets.move_vm(seen.names.vm, seen.names.local, live=True),
    Do.MIGRATE_QUICK: lambda seen, _: cmdlets.move_vm(seen.names.vm, seen.names.local, live=False),
    Do.CANCEL_MOVE: lambda seen, _: cmdlets.cancel_move(seen.names.vm),
    Do.START_CONFIGURATION: lambda seen, snapshot: cmdlets.start_resource(_configuration(seen, snapshot)),
    Do.STOP_CONFIGURATION: lambda seen, snapshot: cmdlets.stop_resource(_configuration(seen, snapshot)),
    Do.CLEAR_FAILED: _stop_machine,
    Do.ADOPT: lambda seen, snapshot: cmdlets.start_resource(_machine(seen, snapshot)),
    Do.STOP_MACHINE: _stop_machine,
}
# What is done to a VM itself is done to the one with its id.
_BY_ID: dict[Do, Callable[[str], Call]] = {
    Do.START_VM: cmdlets.start_vm,
    Do.RESUME_VM: cmdlets.resume_vm,
    Do.STOP_VM: cmdlets.shutdown_guest,
    Do.TURN_OFF: cmdlets.turn_off_vm,
}
