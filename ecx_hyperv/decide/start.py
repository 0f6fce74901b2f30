"""What vm-start does next: a VM is to be Running on the local host.

Kept: a start never saves, stops or turns off a running guest, and never starts a guest that another host may run. The
worst that a start may do to a guest is to leave the guest where it runs, and to say so.

The rows of the table are the functions below, tried from the top; the first that has something to say decides. Their
order is part of the decision. Which VM is meant stands above all: a namesake that runs here is not the VM (F7). "It
runs here" stands above every trouble, since a start must not fail over a VM that runs where it should. What cannot
succeed (refused, moved away by somebody else) stands above what would be tried. Storage and owner stand above power: a
VM is powered on last, once everything before it is as it must be.

Each step is decided from a new observation. The forerunner acted on a state that was read before minutes of waiting
(defect 24), took the kind of a migration from CLP_EVENT (23), repeated Start-VM without limit (16, 19), and compared
host names with case, so that Start-VM ran on the wrong host (25).
"""

from collections.abc import Callable

from ecx_hyperv.decide.attempts import StartAttempts, adopt, stuck, used_up, within
from ecx_hyperv.decide.facts import Contact, Observation, Place, Refusal, Side
from ecx_hyperv.decide.fetch import on_the_peer, proof_for_start
from ecx_hyperv.decide.hopeless import left_again, not_identified, not_in_cluster
from ecx_hyperv.decide.hopeless import refused as _refused
from ecx_hyperv.decide.off import contradiction, is_down, is_lost_by_local
from ecx_hyperv.decide.states import GroupKind, NodeKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Act, Do, Done, Fail, Look, Retry, Step, Timer, Wait
from ecx_hyperv.exits import Exit


def decide(seen: Observation, tried: StartAttempts) -> Step:
    """Return the next step of a start."""
    for row in _ROWS:
        step = row(seen, tried)
        if step is not None:
            return step
    return _power(seen, tried)


def timers(
    seen: Observation, over: frozenset[Timer], *, cleared: bool, refused: Refusal = Refusal.NOTHING
) -> frozenset[Timer]:
    """Return the timers that run while this is seen; any other starts anew.

    `over` holds those that are over already, since a proof may rest on one of them; `refused` is why the last step was
    not carried out.
    """
    at_peer = seen.owner is Place.PEER
    running = {
        Timer.AT_HOME: seen.on_local.kind is VmKind.RUNNING,
        Timer.PEER_CRITICAL: at_peer and seen.on_peer.kind is VmKind.CRITICAL,
        Timer.PEER_TRANSITIONAL: at_peer and seen.on_peer.kind in (VmKind.TRANSITIONAL, VmKind.STALLED),
        Timer.OWNER_SILENT: is_lost_by_local(seen),
        Timer.OWNER_UNREADABLE: at_peer and seen.on_peer.kind is VmKind.UNREADABLE and seen.peer is not Contact.UNASKED,
        Timer.MACHINE_OFFLINE: seen.machine is ResourceKind.OFFLINE and not cleared,
        Timer.REFUSED: refused is not Refusal.NOTHING,
        Timer.ODD: VmKind.ODD in (seen.on_local.kind, seen.on_peer.kind),
        Timer.CONTRADICTION: _contradicted_by(seen) is not None,
        Timer.OFF_TWICE: proof_for_start(seen, over, cleared=cleared) is not None,
    }
    return frozenset(timer for timer, runs in running.items() if runs)


def is_home(seen: Observation, *, moved: bool) -> bool:
    """Tell whether the VM is on the local host; `moved` if this run moved it: its quick migration may be taken back."""
    if seen.observer is not Side.LOCAL or seen.owner is not Place.LOCAL:
        return False
    return not seen.is_migrating or (seen.on_local.is_live and not moved)


def out_of_time(vm: str, seen: Observation | None, why: str) -> Fail:
    """Say how a start ends that reached its deadline: what it waited for, and what the VM looked like."""
    return Fail(
        Exit.OUT_OF_TIME,
        f"{vm} was not started in time",
        why if seen is None else f"{why}; {_picture(seen)}",
        f"repair what it waited for, then run again: vm-start {vm!r}",
    )


def _picture(seen: Observation) -> str:
    """Say in a few words how the VM looks: its group, and its state on each host that was looked at."""
    owner = {Place.LOCAL: seen.names.local, Place.PEER: seen.names.peer, Place.ELSEWHERE: "another node"}.get(
        seen.owner
    )
    group = f"its group is {seen.group.value}{' and queued' if seen.queued else ''}, owned by {owner or 'nobody'}"
    sides = [side for side in Side if seen.contact(side) is not Contact.UNASKED]
    states = [f"{seen.on(side).word or seen.on(side).kind.value} on {seen.names.of(side)}" for side in sides]
    return f"{group}; the VM is {' and '.join(states)}"


def _in_maintenance(seen: Observation, _tried: StartAttempts) -> Step | None:
    if not seen.maintenance:
        return None
    return Done(f"{seen.names.vm} is in maintenance and was left as it is", warn=True)


def _at_home(seen: Observation, tried: StartAttempts) -> Step | None:
    if seen.on_local.kind is not VmKind.RUNNING:
        return None
    running = f"{seen.names.vm} is running on {seen.names.local}"
    missing = _missing(seen)
    if not missing:
        return Done(running)
    if Timer.AT_HOME in tried.over:
        return Done(f"{running}, but {'; '.join(missing)}", warn=True)
    if seen.observer is not Side.LOCAL:
        return Look(missing[0]) if seen.peer is Contact.UNASKED else Wait(missing[0])
    for row in (_busy, _iscsi, _csv_offline, _csv_elsewhere, adopt):
        step = row(seen, tried)
        if step is not None:
            return step
    return Wait("; ".join(missing))


def _missing(seen: Observation) -> list[str]:
    if seen.observer is not Side.LOCAL:
        return [f"the cluster service on {seen.names.local} does not answer"]
    facts = {
        # A question that merely failed is no missing thing.
        f"{seen.names.local} has no iSCSI connection to {seen.names.target}": seen.iscsi_told and not seen.iscsi,
        f"{seen.names.csv} is {seen.csv.value}": seen.csv is not ResourceKind.ONLINE,
        f"{seen.names.csv} is not owned by {seen.names.local}": seen.csv_owner is not Place.LOCAL,
        "its cluster group is failed": seen.group is GroupKind.FAILED,
        "it is being migrated": seen.is_migrating,
    }
    return [text for text, is_so in facts.items() if is_so]


def _no_cluster_service(seen: Observation, _tried: StartAttempts) -> Step | None:
    local = seen.names.local
    if seen.local_node is NodeKind.QUARANTINED:
        return Fail(
            Exit.REFUSED,
            f"{local} is quarantined by the cluster",
            "its cluster service is kept out after repeated failures",
            f"run on {local}: Start-ClusterNode -ClearQuarantine",
        )
    if seen.observer is Side.LOCAL:
        return None
    if seen.observer is None and seen.peer is Contact.UNASKED:
        return Look(f"the cluster service on {local} does not answer")
    return Wait(f"the cluster service on {local} does not answer")


def _local_node_not_up(seen: Observation, _tried: StartAttempts) -> Step | None:
    local = seen.names.local
    match seen.local_node:
        case NodeKind.UP:
            return None
        case NodeKind.PAUSED:
            return Wait(f"node {local} is paused (drained for maintenance); run there: Resume-ClusterNode", alarm=True)
        case NodeKind.ISOLATED:
            # What an isolated node believes of the other side may be out of date.
            return Wait(f"node {local} is isolated from the cluster")
    return Wait(f"node {local} is {seen.local_node.value}")


def _busy(seen: Observation, _tried: StartAttempts) -> Step | None:
    if not seen.is_migrating:
        return None
    vm, owner = seen.names.vm, seen.owner_side
    if owner is not None and seen.is_migrating_live:
        # Until a live migration is over the host that the guest comes from owns the group.
        return Wait(f"live migration of {vm} from {seen.names.of(owner)} to {seen.names.of(owner.other)}")
    return Wait(f"the group of {vm} is being moved or is changing state")


def _iscsi(seen: Observation, tried: StartAttempts) -> Step | None:
    if seen.iscsi or not seen.iscsi_told:
        return None
    why = f"{seen.names.local} has no iSCSI connection to {seen.names.target}"
    return Act(Do.RECONNECT_ISCSI, Side.LOCAL, why) if tried.portal is Retry.READY else Wait(why)


def _csv_offline(seen: Observation, tried: StartAttempts) -> Step | None:
    why = f"{seen.names.csv} is {seen.csv.value}"
    match seen.csv:
        case ResourceKind.ONLINE | ResourceKind.ABSENT:
            return None
        case ResourceKind.PENDING | ResourceKind.UNKNOWN:
            return Wait(why)
    # A node that cannot reach the disk cannot bring it online: after a try there, take it over first.
    if tried.csv_start_sent and seen.csv_owner is not Place.LOCAL:
        return Act(Do.MOVE_CSV, Side.LOCAL, f"{why} on another node")
    return Act(Do.START_CSV, Side.LOCAL, why)


def _csv_elsewhere(seen: Observation, _tried: StartAttempts) -> Step | None:
    if seen.csv_owner is Place.LOCAL or seen.csv is ResourceKind.ABSENT:
        return None
    return Act(Do.MOVE_CSV, Side.LOCAL, f"{seen.names.csv} is not owned by {seen.names.local}")


def _owner_unknown(seen: Observation, _tried: StartAttempts) -> Step | None:
    if seen.owner is not Place.NOWHERE:
        return None
    return Wait(f"the cluster names no owner of {seen.names.vm}")


def _alive_on_both(seen: Observation, _tried: StartAttempts) -> Step | None:
    if seen.peer is Contact.UNASKED and seen.peer_node not in (NodeKind.UP, NodeKind.PAUSED):
        # Of a node that is no full member the cluster does not know what still runs there.
        return Look(f"node {seen.names.peer} is {seen.peer_node.value}")
    if not seen.on_peer.is_live:
        return None
    return Wait(f"{seen.names.vm} is {seen.on_peer.word} on {seen.names.peer}, although {seen.names.local} owns it")


def _contradicted_by(seen: Observation) -> str | None:
    """Return the contradiction that holds a start back; a VM shown down here needs only Get-VM's word to be started.

    While the volume is not here nothing was tried yet: a role that arrives Failed has its time once the volume is.
    """
    is_here = seen.csv is ResourceKind.ONLINE and seen.csv_owner is Place.LOCAL
    if seen.owner is Place.LOCAL and (seen.on_local.is_shown_down or not is_here):
        return None
    return contradiction(seen)


def _contradicted(seen: Observation, tried: StartAttempts) -> Step | None:
    words = _contradicted_by(seen)
    if words is None:
        return None
    if Timer.CONTRADICTION in tried.over:
        owner = seen.names.of(seen.owner_side or Side.LOCAL)
        return Fail(
            Exit.NOT_AS_ASKED,
            f"{seen.names.vm} was not started: Hyper-V on {owner} and the cluster contradict each other",
            f"{words}, for longer than [timing] settle",
            f"look for {seen.names.vm} in Hyper-V Manager on {owner}; see whether it was renamed or registered again",
        )
    if seen.configuration in (ResourceKind.OFFLINE, ResourceKind.FAILED) and seen.owner is Place.LOCAL:
        # To bring a configuration Online harms no guest; what stops or clears one would save it.
        return None
    return Wait(words)


def _failed_group(seen: Observation, tried: StartAttempts) -> Step | None:
    # What is cleared is a Failed VM resource. With another it is the configuration that failed, which the next row
    # starts; and to stop one that is Online could save a guest that WSFC has just restarted.
    if seen.group is not GroupKind.FAILED or seen.machine is not ResourceKind.FAILED or not is_down(seen, Side.LOCAL):
        return None
    step = within(tried.clears, Do.CLEAR_FAILED, f"the group of {seen.names.vm} is failed")
    return step or Fail(
        Exit.NOT_AS_ASKED,
        f"the cluster group of {seen.names.vm} stays failed",
        "it was cleared 3 times and failed again",
        f"see the FailoverClustering event log of {seen.names.local} for the reason",
    )


def _configuration(seen: Observation, _tried: StartAttempts) -> Step | None:
    why = f"the configuration resource of {seen.names.vm} is {seen.configuration.value}"
    match seen.configuration:
        case ResourceKind.ONLINE:
            return None
        case ResourceKind.OFFLINE | ResourceKind.FAILED:
            return Act(Do.START_CONFIGURATION, Side.LOCAL, why)
    return Wait(why)


def _power(seen: Observation, tried: StartAttempts) -> Step:
    local = seen.names.local
    where = f"it is {seen.on_local.word} on {local}"
    match seen.on_local.kind:
        case VmKind.DOWN:
            return within(tried.starts, Do.START_VM, where) or used_up(seen, "started", Side.LOCAL)
        case VmKind.PAUSED:
            return within(tried.starts, Do.RESUME_VM, where) or used_up(seen, "resumed", Side.LOCAL)
        case VmKind.ODD if Timer.ODD in tried.over:
            return stuck(seen, Side.LOCAL)
        case VmKind.CRITICAL | VmKind.STALLED | VmKind.STRANDED:
            return Wait(f"{where}: its storage is away")
        case VmKind.UNREADABLE | VmKind.ABSENT:
            return Wait(f"Hyper-V on {local} does not say how {seen.names.vm} is")
    return Wait(where)


_ROWS: tuple[Callable[[Observation, StartAttempts], Step | None], ...] = (
    _in_maintenance,
    not_identified,
    _at_home,
    _refused,
    left_again,
    _no_cluster_service,
    _local_node_not_up,
    not_in_cluster,
    _busy,
    _iscsi,
    _csv_offline,
    _csv_elsewhere,
    _owner_unknown,
    _contradicted,
    on_the_peer,
    _alive_on_both,
    _failed_group,
    _configuration,
)
