"""From a step to the cmdlet that performs it, and the host that it is performed on."""

from collections.abc import Callable
from dataclasses import dataclass

from ecx_hyperv.decide.facts import Observation, Side
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.steps import Act, Do
from ecx_hyperv.host import cmdlets
from ecx_hyperv.host.identity import VmIdentity
from ecx_hyperv.host.wire import Call, RemoteError, Result


@dataclass(frozen=True, slots=True)
class Action:
    """A step's cmdlet call on a host."""

    do: Do
    side: Side
    call: Call


SHUTDOWNS = (Do.SHUT_DOWN, Do.FORCE_SHUT_DOWN)
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
    return ActOutcome(error, was_made, shutdown_answer(result) if do in SHUTDOWNS and was_made else None)


def shutdown_answer(result: Result) -> ShutdownAnswer:
    """Return what the guest's service answered to `shutdown_guest`; without a row it has none."""
    if not result.ok:
        return ShutdownAnswer.REFUSED
    if not result.value:
        return ShutdownAnswer.NO_SERVICE
    code = result.value[0].get("Code")
    # A code that is no number means nothing; True is 1 in Python.
    return _ANSWERS.get(code, ShutdownAnswer.REFUSED) if type(code) is int else ShutdownAnswer.REFUSED


def action_for(step: Act, seen: Observation, identity: VmIdentity) -> Action | None:
    """Return the cmdlet for a step, by the id and the names that the database gives; None while they are not known."""
    if step.do in _BY_ID:
        return Action(step.do, step.side, _BY_ID[step.do](identity.id)) if identity.id else None
    if step.do in _OF_A_LOST_HOST and not identity.role:
        identity = identity.before or identity
    if step.do in _ON_ROLE and not (identity.role and identity.machine and identity.configuration):
        return None
    return Action(step.do, step.side, _CALLS[step.do](seen, identity))


def _reconnect(seen: Observation, _identity: VmIdentity) -> Call:
    return cmdlets.update_iscsi_portal(seen.names.target)


def _stop_machine(_seen: Observation, identity: VmIdentity) -> Call:
    return cmdlets.stop_resource(identity.machine)


def _quick(seen: Observation, identity: VmIdentity, guard: str | None) -> Call:
    return cmdlets.move_vm(identity.role, seen.names.local, live=False, guard=guard)


_CALLS: dict[Do, Callable[[Observation, VmIdentity], Call]] = {
    Do.RECONNECT_ISCSI: _reconnect,
    Do.START_CSV: lambda seen, _: cmdlets.start_resource(seen.names.csv),
    Do.MOVE_CSV: lambda seen, _: cmdlets.move_shared_volume(seen.names.csv, seen.names.local),
    Do.STOP_CSV: lambda seen, _: cmdlets.stop_resource(seen.names.csv),
    Do.MIGRATE_LIVE: lambda seen, identity: cmdlets.move_vm(identity.role, seen.names.local, live=True),
    # What is not made unless the VM resource is down at that moment saves no guest, whatever came in between (D10).
    Do.MIGRATE_QUICK: lambda seen, identity: _quick(seen, identity, identity.machine),
    Do.MIGRATE_LOST: lambda seen, identity: _quick(seen, identity, None),
    Do.CANCEL_MOVE: lambda _, identity: cmdlets.cancel_move(identity.role),
    Do.START_CONFIGURATION: lambda _, identity: cmdlets.start_resource(identity.configuration),
    Do.STOP_CONFIGURATION: lambda _, identity: cmdlets.stop_resource(identity.configuration, identity.machine),
    # To take a resource offline that WSFC has restarted meanwhile would save its guest.
    Do.CLEAR_FAILED: lambda _, identity: cmdlets.stop_resource(identity.machine, identity.machine),
    Do.ADOPT: lambda _, identity: cmdlets.start_resource(identity.machine),
    Do.STOP_MACHINE: _stop_machine,
}
_ON_ROLE = frozenset(
    {
        *(Do.MIGRATE_LIVE, Do.MIGRATE_QUICK, Do.MIGRATE_LOST, Do.CANCEL_MOVE, Do.START_CONFIGURATION),
        *(Do.STOP_CONFIGURATION, Do.CLEAR_FAILED, Do.ADOPT, Do.STOP_MACHINE),
    }
)
# What fetches a VM from a host that is gone, and with it may be whoever could tell the names of its resources. A role
# that was renamed since is not there under its old name; whichever VM it holds, nobody but the lost host ran that VM,
# and only the VM with the kept id is started.
_OF_A_LOST_HOST = frozenset({Do.MIGRATE_QUICK, Do.MIGRATE_LOST, Do.START_CONFIGURATION})
# What is done to a VM itself is done to the one with its id.
_BY_ID: dict[Do, Callable[[str], Call]] = {
    Do.START_VM: cmdlets.start_vm,
    Do.RESUME_VM: cmdlets.resume_vm,
    Do.SHUT_DOWN: cmdlets.shutdown_guest,
    Do.FORCE_SHUT_DOWN: lambda key: cmdlets.shutdown_guest(key, force=True),
    Do.TURN_OFF: cmdlets.turn_off_vm,
}
