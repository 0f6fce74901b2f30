"""Whether a stop may take a Shared Volume offline: only when every VM that may be on it is off.

Kept: no volume goes offline under a VM. A guest whose volume goes loses what it has not written, and WSFC or Hyper-V
may act on the guest by themselves. A volume that stays online costs nothing: the next stop or start puts it in order.
So each doubt leaves the volume as it is: a host that does not answer, a VM whose place nobody names, a cluster that
cannot be asked. And leaving the volume never fails a stop.

The forerunner took the volume offline inside its loop over the VMs, so that the volume of VM 2 went with VM 1 (defect
35). Here the volumes come after all VMs of the run, and the VMs of other runs and of other roles count too.
"""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.facts import Contact, Side
from ecx_hyperv.decide.states import ResourceKind
from ecx_hyperv.decide.steps import Act, Do, Done, Look, Retry, Step, Timer, Wait


class Users(Enum):
    """Whether other clustered VMs may be on the volume; UNASKED until the cluster was asked what each depends on."""

    NONE = "none"
    SOME = "some"
    DOUBT = "doubt"
    UNASKED = "unasked"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeObservation:
    """One Shared Volume at one moment; `because` names the users or the doubt, and
    `observer` is the host whose cluster service told of it."""

    csv: str
    state: ResourceKind
    users: Users
    because: str
    local: Contact
    peer: Contact
    observer: Side = Side.LOCAL


def is_unused(seen: VolumeObservation) -> bool:
    """Tell whether this look shows the volume online, both hosts answering, and nobody on it; twice, and it may go."""
    answered = seen.local is Contact.ANSWERS and seen.peer is Contact.ANSWERS
    return answered and seen.state is ResourceKind.ONLINE and seen.users is Users.NONE


def decide(seen: VolumeObservation, stop: Retry, over: frozenset[Timer], *, was_stopped: bool = False) -> Step:
    """Return the next step for a volume whose VMs of this run are all off and unregistered.

    `was_stopped` is whether the cluster has taken the volume offline for this run: Online after that, somebody else has
    brought the volume online to use it.
    """
    unasked = next((one for one in (seen.local, seen.peer) if one is not Contact.ANSWERS), None)
    if unasked is not None:
        return Done(f"{seen.csv} is left online: a host {unasked.in_words}, and may use it")
    match seen.state:
        case ResourceKind.OFFLINE | ResourceKind.FAILED | ResourceKind.ABSENT:
            return Done(f"{seen.csv} is {seen.state.value}")
        case ResourceKind.UNKNOWN:
            return Done(f"{seen.csv} is left as it is: its state is not known")
    if Timer.OFF in over:
        return Done(f"{seen.csv} could not be taken offline: it is {seen.state.value}", warn=True)
    if seen.state is ResourceKind.PENDING or stop is Retry.RECENT:
        return Wait(f"{seen.csv} is being taken offline")
    if was_stopped:
        return Done(f"{seen.csv} is left online: it was taken offline, and somebody has brought it online again")
    match seen.users:
        case Users.UNASKED:
            return Look(f"which VMs are on {seen.csv} is not known yet")
        case Users.NONE if Timer.OFF_TWICE not in over:
            return Wait(f"no other VM is on {seen.csv}; a second look must show the same")
        case Users.NONE:
            return Act(Do.STOP_CSV, seen.observer, f"no other VM is on {seen.csv}")
    return Done(f"{seen.csv} is left online: {seen.because}")
