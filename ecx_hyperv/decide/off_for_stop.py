"""Whether a guest is off, as a fact, for a stop: what off.py shows, and what only a stop may believe.

A stop must not fail for a cluster that tells nothing: ECX would shut the node down. So a stop believes both hosts
together where the cluster cannot be asked, or where a configuration that failed or is on its way keeps the cluster from
saying that the VM is off (e), once that has lasted [timing] settle.
"""

from ecx_hyperv.decide.facts import Observation, Place
from ecx_hyperv.decide.off import Proof, contradiction, shown_off
from ecx_hyperv.decide.states import ResourceKind
from ecx_hyperv.decide.steps import Timer
from ecx_hyperv.decide.stops import StopAttempts

_STOPPED = (ResourceKind.OFFLINE, ResourceKind.FAILED)


def proof_for_stop(seen: Observation, tried: StopAttempts) -> Proof | None:
    """Return what shows in this look that the guest is off, (e) and a contradiction that was settled included."""
    proof = shown_off(seen, tried.over, cleared=tried.cleared)
    if proof is not None or seen.is_live:
        return proof
    if is_blind_off(seen) and Timer.BLIND_OFF in tried.over:
        if seen.observer is None:
            return Proof("no cluster service answers, and neither host shows it live")
        if seen.machine in _STOPPED and not tried.cleared:
            return Proof(f"neither host shows it live, and its configuration stays {seen.configuration.value}")
    if seen.observer is None:
        return None
    owner = seen.owner_side
    if owner is None:
        both_offline = seen.machine is seen.configuration is ResourceKind.OFFLINE
        if seen.owner is Place.ELSEWHERE and both_offline and tried.machine_stopped and not tried.cleared:
            return Proof("a third node owns it, and the cluster has taken both its resources offline")
        return None
    if not seen.on(owner).is_shown_down or contradiction(seen) is None or not tried.machine_stopped:
        return None
    if Timer.CONTRADICTION in tried.over or tried.hurry:
        return Proof(f"{seen.names.of(owner)} shows it {seen.on(owner).word}, whatever its resource says")
    return None


def is_proven(seen: Observation, tried: StopAttempts) -> bool:
    """Tell whether a later look has shown the same."""
    twice = Timer.OFF_TWICE in tried.over or Timer.BLIND_OFF in tried.over
    return twice and proof_for_stop(seen, tried) is not None


def is_off_at_the_end(seen: Observation, tried: StopAttempts) -> bool:
    """Tell whether the guest is certainly off at the deadline.

    A run unregisters what two looks have shown off. What the last look shows behind that, a configuration on its way
    or offline, is of this run's making, so that look need not be the second one of its kind.
    """
    if seen.is_live or is_proven(seen, tried):
        return not seen.is_live
    if not tried.unregistering or seen.queued:
        return False
    proof = shown_off(seen, tried.over, cleared=tried.cleared, unregistering=True)
    return proof is not None and not proof.lost


def is_blind_off(seen: Observation) -> bool:
    """Tell whether (e) holds in this look, but for the VM resource: the cluster cannot be asked, or has a resource
    that is on its way, or a configuration that failed; both hosts answer, neither shows it live."""
    if not seen.on_local.is_not_live or not seen.on_peer.is_not_live:
        return False
    if seen.observer is None:
        return True
    unsettled = (
        seen.configuration in (ResourceKind.FAILED, ResourceKind.PENDING, ResourceKind.UNKNOWN)
        or seen.machine is ResourceKind.PENDING
    )
    return seen.owner_side is not None and unsettled


def is_stuck(seen: Observation, tried: StopAttempts) -> bool:
    """Tell whether the cluster goes on bringing up a VM that no host has shown for `settle`."""
    lasts = is_blind_off(seen) and seen.observer is not None and Timer.BLIND_OFF in tried.over
    return lasts and seen.machine in (ResourceKind.ONLINE, ResourceKind.PENDING)
