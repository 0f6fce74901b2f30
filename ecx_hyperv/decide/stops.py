"""What a stop is asked for, and what it has tried so far."""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.shutdown import ShutdownAnswer
from ecx_hyperv.decide.steps import Retry, Timer


class Factor(Enum):
    """Why ECX stops the resource (CLP_FACTOR); OTHER for a word that nobody knows, NONE without one."""

    GROUPMOVE = "GROUPMOVE"
    GROUPSTOP = "GROUPSTOP"
    GROUPFAILOVER = "GROUPFAILOVER"
    CLUSTERSHUTDOWN = "CLUSTERSHUTDOWN"
    SERVERSHUTDOWN = "SERVERSHUTDOWN"
    RESOURCERESTART = "RESOURCERESTART"
    OTHER = "another factor"
    NONE = "no factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """What was asked of the stop; `by_hand` is --yes, `ecx_peer_online` what clpstat says of the peer."""

    factor: Factor
    by_hand: bool = False
    ecx_peer_online: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempts:
    """What this run has done so far.

    `asked_once` once the guest was asked to shut down, `answer` what it said last, `shutdown` whether it is to be asked
    (again). `cleared` is whether the VM resource is Offline because this run has cleared it from Failed,
    in a look in which the guest was not shown down (off.clear_proves_nothing). `machine_stopped` is whether this run
    has asked the cluster to stop the VM resource, taken or not, `unregistering` whether the configuration. `hurry` once
    only the reserve is left before the deadline.
    """

    asked_once: bool = False
    answer: ShutdownAnswer = ShutdownAnswer.UNASKED
    shutdown: Retry = Retry.READY
    turn_off: Retry = Retry.READY
    resume: Retry = Retry.READY
    portal: Retry = Retry.READY
    cancelled: bool = False
    cleared: bool = False
    machine_stopped: bool = False
    clears: Retry = Retry.READY
    machine_stop: Retry = Retry.READY
    unregister: Retry = Retry.READY
    unregistering: bool = False
    hurry: bool = False
    over: frozenset[Timer] = frozenset()
