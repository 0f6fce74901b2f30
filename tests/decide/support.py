"""A usual situation, from which each test changes what it is about."""

from dataclasses import replace
from typing import Any

from ecx_hyperv.decide.facts import Contact, Names, Observation, Place, Side, VmOnHost
from ecx_hyperv.decide.states import Doing, GroupKind, ResourceKind, VmKind, vm_kind
from ecx_hyperv.decide.steps import Act, Do, Step

NAMES = Names(vm="web1", csv="Cluster Disk 1", local="HOST-1", peer="HOST-2", target="192.168.139.201")

RUNNING = VmOnHost(VmKind.RUNNING, "Running", healthy=True)
OFF = VmOnHost(VmKind.DOWN, "Off")
ABSENT = VmOnHost(VmKind.ABSENT)
UNREADABLE = VmOnHost(VmKind.UNREADABLE)


def vm(state: str, doing: Doing = Doing.NOTHING, *, healthy: bool = False) -> VmOnHost:
    """Return a VM in a state."""
    return VmOnHost(vm_kind(state), state, doing, healthy)


def at_home(**changes: Any) -> Observation:
    """Return a VM that is registered on the local host, and off."""
    usual = Observation(names=NAMES, on_local=OFF, group=GroupKind.OFFLINE, machine=ResourceKind.OFFLINE)
    return replace(usual, **changes)


def at_peer(**changes: Any) -> Observation:
    """Return a VM that runs on the peer host, which answers."""
    usual = Observation(names=NAMES, owner=Place.PEER, peer=Contact.ANSWERS, on_local=ABSENT, on_peer=RUNNING)
    return replace(usual, **changes)


def act_of(step: Step) -> tuple[Do, Side] | None:
    """Return what a step does, and on which host."""
    return (step.do, step.side) if isinstance(step, Act) else None
