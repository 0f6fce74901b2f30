"""EnabledState of Msvm_ComputerSystem: a VM's state as Hyper-V has it now; Get-VM may show an older one."""

_NUMBERS = {
    "Running": 2,
    "Off": 3,
    "Saved": 6,
    "Paused": 9,
    "Starting": 10,
    "Saving": 32773,
    "Stopping": 32774,
    "Pausing": 32776,
    "Resuming": 32777,
    "FastSaved": 32779,
    "FastSaving": 32780,
}
# A state whose number nobody documents; the agent takes it for none that it knows.
_UNDOCUMENTED = 1
# Those that the agent knows; any other is a state on its way to another.
_KNOWN = frozenset({"Running", "Off", "Saved", "Paused", "FastSaved"})


def number_of(state: str) -> int:
    """Return the number of a state; a Critical form has that of the state beneath it."""
    return _NUMBERS.get(state.removesuffix("Critical"), _UNDOCUMENTED)


def as_agent_reads(state: str, shown: str) -> str:
    """Return what the agent takes a VM's present state for, beside what Get-VM shows of it."""
    beneath = state.removesuffix("Critical")
    if beneath in _KNOWN:
        return beneath
    return shown if shown == "Hibernated" else f"EnabledState {number_of(state)}"
