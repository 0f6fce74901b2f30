"""From a step to the cmdlet that performs it, and the host that it is performed on."""

from collections.abc import Callable
from dataclasses import dataclass

from ecx_hyperv.decide.facts import Observation, Side
from ecx_hyperv.decide.steps import Act, Do
from ecx_hyperv.host import cmdlets
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.situation import CONFIGURATION, MACHINE, find_resource
from ecx_hyperv.host.wire import Call


@dataclass(frozen=True, slots=True)
class Action:
    """A step's cmdlet call on a host."""

    do: Do
    side: Side
    call: Call


def action_for(step: Act, seen: Observation, snapshot: HostSnapshot | None) -> Action:
    """Return the cmdlet for a step; `snapshot` is the observer's, for the names of the VM's resources."""
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


def _stop_vm(seen: Observation, _snapshot: HostSnapshot | None) -> Call:
    return cmdlets.stop_vm(seen.names.vm)


def _turn_off(seen: Observation, _snapshot: HostSnapshot | None) -> Call:
    return cmdlets.turn_off_vm(seen.names.vm)


def _resume(seen: Observation, _snapshot: HostSnapshot | None) -> Call:
    return cmdlets.resume_vm(seen.names.vm)


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
    Do.START_VM: lambda seen, _: cmdlets.start_vm(seen.names.vm),
    Do.RESUME_VM: _resume,
    Do.STOP_VM: _stop_vm,
    Do.TURN_OFF: _turn_off,
}
