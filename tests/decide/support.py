"""A usual situation, from which each test changes what it is about."""

from dataclasses import replace
from typing import Any

from ecx_hyperv.decide.attempts import StartAttempts
from ecx_hyperv.decide.facts import Contact, Names, Observation, Place, Side, VmOnHost
from ecx_hyperv.decide.states import Doing, GroupKind, NodeKind, ResourceKind, VmKind, vm_kind
from ecx_hyperv.decide.steps import Act, Do, Fail, Step, Timer
from ecx_hyperv.decide.stops import StopAttempts
from ecx_hyperv.exits import Exit

NAMES = Names(vm="web1", csv="Cluster Disk 1", local="HOST-1", peer="HOST-2", target="192.168.139.201")

RUNNING = VmOnHost(VmKind.RUNNING, "Running", healthy=True)
OFF = VmOnHost(VmKind.DOWN, "Off")
ABSENT = VmOnHost(VmKind.ABSENT)
UNREADABLE = VmOnHost(VmKind.UNREADABLE)
ONLINE, OFFLINE, FAILED = ResourceKind.ONLINE, ResourceKind.OFFLINE, ResourceKind.FAILED
PENDING, UNKNOWN = ResourceKind.PENDING, ResourceKind.UNKNOWN
EVERY_TIMER = frozenset(Timer)


def vm(state: str, doing: Doing = Doing.NOTHING, *, healthy: bool = False) -> VmOnHost:
    """Return a VM in a state."""
    return VmOnHost(vm_kind(state), state, doing, healthy)


def at_home(**changes: Any) -> Observation:
    """Return a VM that is registered on the local host, and off."""
    usual = Observation(names=NAMES, on_local=OFF, group=GroupKind.OFFLINE, machine=OFFLINE)
    return replace(usual, **changes)


def at_peer(**changes: Any) -> Observation:
    """Return a VM that runs on the peer host, which answers."""
    usual = Observation(names=NAMES, owner=Place.PEER, peer=Contact.ANSWERS, on_local=ABSENT, on_peer=RUNNING)
    return replace(usual, **changes)


def off_at_peer(**changes: Any) -> Observation:
    """Return a VM that is registered on the peer host, and off there, as both sources say."""
    return at_peer(**{"on_peer": OFF, "machine": OFFLINE, "group": GroupKind.OFFLINE, **changes})


def lost(**changes: Any) -> Observation:
    """Return a VM whose owner, the peer, is silent and isolated; its resources stay as they were."""
    usual = {"peer": Contact.SILENT, "peer_node": NodeKind.ISOLATED, "on_peer": UNREADABLE}
    return at_peer(**{**usual, **changes})


def here(**changes: Any) -> Observation:
    """Return a VM that runs on the local host, both hosts answering."""
    usual = {"on_local": RUNNING, "on_peer": ABSENT, "peer": Contact.ANSWERS, "group": GroupKind.ONLINE}
    return at_home(**{**usual, "machine": ONLINE, **changes})


def off_here(**changes: Any) -> Observation:
    """Return a VM that is off on the local host, registered there, both hosts answering."""
    return here(**{"on_local": OFF, "machine": OFFLINE, "group": GroupKind.OFFLINE, **changes})


def start_tried(*over: Timer, **what: Any) -> StartAttempts:
    """Return what a start has tried."""
    return StartAttempts(over=frozenset(over), **what)


def stop_tried(*over: Timer, **what: Any) -> StopAttempts:
    """Return what a stop has tried."""
    return StopAttempts(over=frozenset(over), **what)


def do_of(step: Step) -> Do | None:
    """Return what a step does."""
    return step.do if isinstance(step, Act) else None


def act_of(step: Step) -> tuple[Do, Side] | None:
    """Return what a step does, and on which host."""
    return (step.do, step.side) if isinstance(step, Act) else None


def exit_of(step: Step) -> Exit | None:
    """Return how a step fails."""
    return step.exit if isinstance(step, Fail) else None
