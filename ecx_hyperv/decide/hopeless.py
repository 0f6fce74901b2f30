"""The rows of a start that end it, since trying on leads nowhere: which VM is meant, what is refused, who moves it.

Kept: nothing is given up that may heal by itself. A login that is refused, a disk that is not there yet or is in use,
a cluster that is busy: each gets [timing] patience, and what concerns the disk counts only while the volume is Online
and owned here (D16: a start ended after 20 s of 1500 though the host was still booting). The host's own words say why
(F8, F19): "it was started 3 times" is said only of a cmdlet that was carried out.
"""

from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import Contact, Identity, Observation, Place, Refusal
from ecx_hyperv.decide.off import SHUT_OUT
from ecx_hyperv.decide.states import GroupKind, ResourceKind, VmKind
from ecx_hyperv.decide.steps import Do, Fail, Look, Step, Timer, Wait
from ecx_hyperv.exits import Exit

# What stands in the way only while the volume is where it should be: before, it is the volume that is away.
_NEEDS_THE_VOLUME = (Refusal.DISK_DENIED, Refusal.IN_USE, Refusal.OTHER)


def not_identified(seen: Observation, _tried: StartAttempts) -> Step | None:
    """Fail a VM of which no id can be told, and wait until a cluster database was read."""
    match seen.identity:
        case Identity.AMBIGUOUS:
            return Fail(
                Exit.CONFIG,
                f"which VM {seen.names.vm} is cannot be told",
                seen.lacks,
                'write the right one into its [[vm]]: id = "GUID" or role = "NAME"; see ecx-hyperv check vm-identity',
            )
        case Identity.NO_ROLE if seen.peer is Contact.UNASKED:
            # A role of another name is found by the VM's name, on the host that has the VM (F13).
            return Look(seen.lacks)
        case Identity.NO_ROLE:
            return Fail(
                Exit.CONFIG,
                f"{seen.names.vm} is in no role of the cluster",
                seen.lacks,
                "add the role: Add-ClusterVirtualMachineRole, or correct name, role or id of its [[vm]]",
            )
        case Identity.UNREAD:
            if seen.peer is Contact.UNASKED:
                return Look(f"no cluster database says yet which VM {seen.names.vm} is")
            return Wait(f"no cluster database says yet which VM {seen.names.vm} is")
    return None


def reached(seen: Observation) -> frozenset[Do]:
    """Return the steps that a look no longer calls for: what refused them earlier is over, whoever got there since.

    A guest on the peer host that lost its storage, or is lost with its host, is not to be migrated live any more.
    """
    was_lost = seen.on_peer.is_critical or seen.on_peer.is_shown_down or seen.peer_node in SHUT_OUT
    goals = {
        # On the peer host too: the local connection stands by then.
        Do.RECONNECT_ISCSI: seen.iscsi,
        Do.START_CSV: seen.csv is ResourceKind.ONLINE,
        Do.MOVE_CSV: seen.csv_owner is Place.LOCAL,
        Do.START_CONFIGURATION: seen.configuration is ResourceKind.ONLINE,
        # A power-on may still fail while the VM is Starting.
        Do.START_VM: seen.on_local.is_live and not seen.on_local.is_in_transition,
        Do.RESUME_VM: VmKind.RUNNING in (seen.on_local.kind, seen.on_peer.kind),
        Do.CLEAR_FAILED: seen.machine in (ResourceKind.ONLINE, ResourceKind.OFFLINE),
        Do.ADOPT: seen.machine is ResourceKind.ONLINE,
        Do.MIGRATE_LIVE: seen.owner is Place.LOCAL or was_lost,
        **dict.fromkeys((Do.MIGRATE_QUICK, Do.MIGRATE_LOST), seen.owner is Place.LOCAL),
    }
    return frozenset(do for do, stands in goals.items() if stands)


def refused(seen: Observation, tried: StartAttempts) -> Step | None:
    """Give up what is refused for too long: each reason may heal, and lasting ones count with the volume in place."""
    if tried.refused is Refusal.NOTHING:
        return None
    if tried.refused is Refusal.MEMORY:
        return _short_of_memory(seen, tried) if tried.memory_twice else None
    if Timer.REFUSED not in tried.over or seen.on_local.is_in_transition:
        return None
    in_place = seen.csv is ResourceKind.ONLINE and seen.csv_owner is Place.LOCAL
    if tried.refused in _NEEDS_THE_VOLUME and not in_place:
        return None
    vm, local, peer = seen.names.vm, seen.names.local, seen.names.peer
    remedy = {
        Refusal.DENIED: f"make the [ssh] user a member of the local Administrators group on {local}",
        Refusal.DISK_DENIED: f"grant {vm} its disk on {local}: icacls DISK /grant 'NT VIRTUAL MACHINE\\VM-ID':(F)",
        Refusal.IN_USE: f"look on {peer} for {vm}; do not start a second copy",
    }.get(tried.refused, f"see the Hyper-V-VMMS and FailoverClustering event logs of {local}")
    reason = tried.words if tried.words and tried.refused is Refusal.OTHER else tried.refused.value
    what = f"{vm} cannot be started on {local}: {reason}{_stays(seen)}"
    return Fail(Exit.REFUSED, what, tried.words or tried.refused.value, remedy)


def _short_of_memory(seen: Observation, tried: StartAttempts) -> Fail:
    vm, local = seen.names.vm, seen.names.local
    return Fail(
        Exit.REFUSED,
        f"{vm} cannot run on {local}: not enough memory or processors{_stays(seen)}",
        tried.words or "Hyper-V or the cluster refused it for lack of resources",
        f"free memory on {local}: stop or shrink other VMs there, or add memory; then start {vm} again",
    )


def _stays(seen: Observation) -> str:
    return f"; its guest goes on running on {seen.names.peer}" if seen.on_peer.kind is VmKind.RUNNING else ""


def left_again(seen: Observation, tried: StartAttempts) -> Step | None:
    """Fail a VM that somebody else moves."""
    if not (tried.was_home and seen.owner is Place.PEER) or seen.is_migrating:
        return None
    return Fail(
        Exit.NOT_AS_ASKED,
        f"{seen.names.vm} has left {seen.names.local} for {seen.names.peer}",
        "it had been here earlier in this run, and this run did not move it away",
        "someone else moves it: see whether ECX is active on both EC-VMs, or an operator or WSFC's balancer moved it",
    )


def not_in_cluster(seen: Observation, _tried: StartAttempts) -> Step | None:
    """Fail names that the cluster does not have."""
    names = seen.names
    lacking = {
        f"no cluster group {names.vm}": seen.group is GroupKind.ABSENT,
        f"no Shared Volume {names.csv}": seen.csv is ResourceKind.ABSENT,
        f"no virtual machine configuration in the group {names.vm}": seen.configuration is ResourceKind.ABSENT,
        f"no virtual machine in the group {names.vm}": seen.machine is ResourceKind.ABSENT,
        f"a node that is none of the two hosts owns {names.vm}": seen.owner is Place.ELSEWHERE,
    }
    for what, is_so in lacking.items():
        if is_so:
            return Fail(
                Exit.CONFIG,
                f"{what}, says the cluster on {names.local}",
                "the names in the configuration and in the cluster differ",
                "compare [cluster], [[node]] and [[vm]] with Get-ClusterGroup and Get-ClusterSharedVolume",
            )
    return None
