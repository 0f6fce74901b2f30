"""A usual situation, from which each test changes what it is about."""

from dataclasses import replace
from typing import Any

from ecx_hyperv.decide.facts import Contact, Names, Place, Seen, VmSeen
from ecx_hyperv.decide.states import Doing, GroupKind, ResourceKind, VmKind, vm_kind

NAMES = Names(vm="web1", csv="Cluster Disk 1", own="HOST-1", peer="HOST-2", target="192.168.139.201")

RUNNING = VmSeen(VmKind.RUNNING, "Running", healthy=True)
OFF = VmSeen(VmKind.DOWN, "Off")
ABSENT = VmSeen(VmKind.ABSENT)
UNREADABLE = VmSeen(VmKind.UNREADABLE)


def vm(state: str, doing: Doing = Doing.NOTHING, *, healthy: bool = False) -> VmSeen:
    """Return a VM in a state."""
    return VmSeen(vm_kind(state), state, doing, healthy)


def at_home(**changes: Any) -> Seen:
    """Return a VM that is registered on the own host, and off."""
    usual = Seen(names=NAMES, on_own=OFF, group=GroupKind.OFFLINE, machine=ResourceKind.OFFLINE)
    return replace(usual, **changes)


def at_peer(**changes: Any) -> Seen:
    """Return a VM that runs on the peer host, which answers."""
    usual = Seen(names=NAMES, owner=Place.PEER, peer=Contact.ANSWERS, on_own=ABSENT, on_peer=RUNNING)
    return replace(usual, **changes)
