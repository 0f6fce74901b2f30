"""How a stop brings a live guest down: it asks, it waits for the grace, and only then it cuts the power.

Kept: a guest loses neither its power nor its memory without having had its grace. TurnOff is decided in two looks that
lie 6 s apart, since Get-VM may repeat what it read up to 5 s before; the cmdlet itself carries the states in which it
may be made, against a fresh read. A VM that is starting, stopping, resuming or being saved is waited for: Hyper-V
refuses a TurnOff then, and a saved VM would lose its memory (D24). A guest that was cut off from its storage gets half
of its grace to find the storage again, in all, however often it comes and goes.

The grace runs from the first request that was answered, whatever the answer, or given up: a request that hung in a
session asked nobody. A guest that boots is asked again every five intervals (D6: a guest that booted when it was asked
was never asked again). While it answers that it is shutting down the grace runs on, to the reserve, or in a failover to
twice the grace: Windows that installs updates keeps State Running.
"""

from ecx_hyperv.decide.facts import Observation, Side
from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.states import VmKind
from ecx_hyperv.decide.steps import Act, Do, Retry, Step, Timer, Wait
from ecx_hyperv.decide.stops import Factor, StopAttempts, StopRequest

# TurnOff is allowed from these only (Microsoft's Hyper-V module; a Critical form counts as the state beneath it).
_CAN_BE_CUT = (VmKind.RUNNING, VmKind.PAUSED, VmKind.CRITICAL)


def live_side(seen: Observation) -> Side | None:
    """Return the host that shows the VM live, the owner's first; None if neither does."""
    first = seen.owner_side or Side.LOCAL
    return next((side for side in (first, first.other) if seen.on(side).is_live), None)


def bring_down(seen: Observation, asked: StopRequest, tried: StopAttempts, side: Side) -> Step:
    """Return the next step for a guest that a host shows live."""
    where = f"it is {seen.on(side).word} on {seen.names.of(side)}"
    moving = _let_it_settle(seen, tried, where)
    if moving is not None:
        return moving
    if seen.on(side).is_in_transition:
        return Wait(f"{where}, and on its way to another state")
    if calls_for_power_cut(seen, asked, tried):
        return _turn_off(tried, side, where)
    match seen.on(side).kind:
        case VmKind.PAUSED:
            return _try(tried.resume, Do.RESUME_VM, side, f"{where}: only a running guest can be asked")
        case VmKind.CRITICAL:
            return _try(tried.portal, Do.RECONNECT_ISCSI, side, f"{where}: its storage is away")
    if tried.shutdown is Retry.READY:
        locked = tried.answer is ShutdownAnswer.LOCKED and Timer.HALF_GRACE in tried.over
        return Act(Do.FORCE_SHUT_DOWN if locked else Do.SHUT_DOWN, side, where)
    return Wait(f"{where}; {tried.answer.value}")


def calls_for_power_cut(seen: Observation, asked: StopRequest, tried: StopAttempts) -> bool:
    """Tell whether this look calls for TurnOff; it is sent when a later look does so too."""
    side = live_side(seen)
    if side is None or seen.on(side).kind not in _CAN_BE_CUT or is_moving(seen, tried):
        return False
    if tried.hurry:
        return True
    match seen.on(side).kind:
        case VmKind.PAUSED:
            return Timer.RESUME_REFUSED in tried.over
        case VmKind.CRITICAL:
            return Timer.STARVED in tried.over
    if Timer.GRACE not in tried.over:
        return False
    if tried.answer is not ShutdownAnswer.IN_PROGRESS:
        return True
    return asked.factor is Factor.GROUPFAILOVER and Timer.TWICE_THE_GRACE in tried.over


def is_moving(seen: Observation, tried: StopAttempts) -> bool:
    """Tell whether a migration is waited for; a guest that was asked makes its group Pending by itself."""
    if not seen.is_migrating or tried.asked_once or tried.hurry:
        return False
    if tried.cancelled:
        return Timer.CANCELLED not in tried.over
    # Without a cluster service nobody can cancel it: the guest is asked, and Hyper-V refuses what cannot be.
    return seen.observer is not None or Timer.BUSY not in tried.over


def _let_it_settle(seen: Observation, tried: StopAttempts, where: str) -> Step | None:
    if not seen.is_migrating or tried.asked_once:
        return None
    is_late = tried.hurry or Timer.BUSY in tried.over
    if not tried.cancelled and is_late and seen.observer is not None:
        return Act(Do.CANCEL_MOVE, seen.observer, f"{where}, and being moved for longer than settle")
    if is_moving(seen, tried):
        return Wait(f"{where}, and its migration {'was cancelled' if tried.cancelled else 'is under way'}")
    return None


def _try(retry: Retry, do: Do, side: Side, why: str) -> Step:
    return Act(do, side, why) if retry is Retry.READY else Wait(why)


def _turn_off(tried: StopAttempts, side: Side, where: str) -> Step:
    why = f"{where}; {tried.answer.value}"
    if Timer.TURN_OFF_TWICE not in tried.over:
        return Wait(f"{why}; its power is cut if a second look shows the same")
    if tried.turn_off is not Retry.READY:
        return Wait(f"{why}; it has just been turned off")
    return Act(Do.TURN_OFF, side, why)
