"""The facts of a world, and every value that each can have: what the pairs are made of.

A case is the usual world, in which vm1 runs on host 1 and is looked at from ec1, with some facts set otherwise.
Facts are set in the order of the table below, whatever the order in which a case names them.
"""

import dataclasses
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from ecx_hyperv.config import Timing
from ecx_hyperv.decide.states import VM_STATES, VmKind, vm_kind
from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.jobs import ScriptJob
from ecx_hyperv.lab.model.things import Guest, Plane, Sshd, Volume
from ecx_hyperv.lab.model.world import World
from tests.proof.cases import ONE, TIMING, TIMINGS, TWO, Case, Setter, fingerprint, state_of
from tests.proof.more_facts import FACTS_OF_EDITION_2
from tests.virtual.contexts import SimulatedNode, make_config

__all__ = ["FACTS", "ONE", "TIMING", "TWO", "Case", "Setter", "build", "fingerprint", "state_of"]


def build(values: Mapping[str, str], timing: Timing = TIMING) -> Case:
    """Return the case in which these facts have these values, and the others their usual ones."""
    timings = replace(TIMINGS, language="ja") if values.get("language") == "ja" else TIMINGS
    world = World(timings, ["vm1", "vm2"])
    world.storage.serve("ec1", on=True)
    world.advance(6)
    vm = world.vms["vm1"]
    vm.configuration, vm.machine = "Online", "Online"
    vm.guests[ONE] = Guest("Running", 0.0)
    ecx = SimulatedEcx(world, _no_script, [])
    case = Case(world, ecx, SimulatedNode(world, "ec1", ecx, config=make_config(world, timing)), values=dict(values))
    for name, fact in FACTS.items():
        if name in values:
            fact[values[name]](case)
    world.advance(4)
    case.cut_out = frozenset(host.name for host in world.hosts.values() if host.on and not host.service)
    return case


def _no_script(node: str, folder: str, script: str, variables: Mapping[str, str]) -> ScriptJob:
    raise AssertionError(f"no script is run here: {node} {folder} {script} {variables}")


def _usual(_case: Case) -> None:
    """Leave it as it is."""


def _owned_by_peer(case: Case) -> None:
    case.vm.owner = TWO
    case.vm.guests = {TWO: case.vm.guests.pop(ONE)}


def _state(word: str) -> Setter:
    def set_state(case: Case) -> None:
        guest = case.guest
        assert guest is not None
        guest.state = word
        guest.healed = "Running" if word == "PausedCritical" else ""
        kind = vm_kind(word)
        if kind is VmKind.DOWN:
            guest.started = None
        if word.endswith("Critical"):
            guest.starved = case.world.now
        case.vm.machine = "Offline" if kind is VmKind.DOWN or word in ("OffCritical", "SavedCritical") else "Online"

    return set_state


def _absent(case: Case) -> None:
    case.vm.guests.clear()
    case.vm.machine = "Offline"


def _configuration(state: str) -> Setter:
    def set_configuration(case: Case) -> None:
        case.vm.configuration = state
        if state != "Online":
            _absent(case)

    return set_configuration


def _machine(state: str) -> Setter:
    return lambda case: setattr(case.vm, "machine", state)


def _moving(case: Case) -> None:
    case.world.cluster.move(case.vm, case.world.other(case.vm.owner).name, live=True)


def _moving_quick(case: Case) -> None:
    case.world.cluster.move(case.vm, case.world.other(case.vm.owner).name, live=False)


def _queued(case: Case) -> None:
    case.vm.flags.add("Queued")


def _csv(state: str) -> Setter:
    return lambda case: setattr(case.volume, "state", state)


def _csv_gone(case: Case) -> None:
    # The VM depends on a volume that the configuration names wrongly.
    config = case.sim.context.config
    vms = tuple(replace(vm, csv="No Such Disk") for vm in config.vm)
    case.sim.context = dataclasses.replace(case.sim.context, config=replace(config, vm=vms))


def _csv_owned_by_peer(case: Case) -> None:
    case.volume.owner = TWO


def _session_lost(case: Case) -> None:
    case.world.hosts[ONE].session = ""
    case.world.storage.changed()


def _target_off(case: Case) -> None:
    case.world.storage.serve("ec1", on=False)


def _local_paused(case: Case) -> None:
    case.world.hosts[ONE].paused = True


def _local_quarantined(case: Case) -> None:
    case.world.hosts[ONE].quarantined = True


def _service_stopped(host: str) -> Setter:
    def stop(case: Case) -> None:
        case.world.hosts[host].service = False
        case.world.hosts[host].left_cleanly = True

    return stop


def _local_without_quorum(case: Case) -> None:
    case.world.cut(ONE, TWO)
    case.world.cut(ONE, "witness")


def _peer(act: Callable[[World], object]) -> Setter:
    def set_peer(case: Case) -> None:
        act(case.world)

    return set_peer


def _peer_boots(case: Case) -> None:
    case.world.power_off_host(TWO)
    case.world.power_on_host(TWO)


def _sshd(host: str, state: Sshd) -> Setter:
    return lambda case: setattr(case.world.hosts[host], "sshd", state)


def _local_sshd_restarts(case: Case) -> None:
    case.world.hosts[ONE].sshd = Sshd.STOPPED
    case.world.at(12, lambda: setattr(case.world.hosts[ONE], "sshd", Sshd.UP))


def _short_of_memory(case: Case) -> None:
    case.world.hosts[ONE].memory = 1


def _deaf(case: Case) -> None:
    case.vm.deaf = True


def _doomed(case: Case) -> None:
    case.vm.doomed = True


def _maintained(case: Case) -> None:
    case.sim.flags.set(Flag(kind=Kind.VM, name="vm1", since=case.sim.clock.wall()))


def _other_runs(case: Case) -> None:
    other = case.world.vms["vm2"]
    other.configuration, other.machine = "Online", "Online"
    other.guests[ONE] = Guest("Running", 0.0)


def _other_elsewhere(case: Case) -> None:
    volume = Volume("Cluster Disk 2", "{00000000-0000-4000-8000-000000000002}", ONE)
    case.world.volumes[volume.name] = volume
    case.world.vms["vm2"].csv = volume.name
    _other_runs(case)
    _stranger(case)


def _stranger(case: Case) -> None:
    _other_runs(case)
    config = case.sim.context.config
    known = tuple(vm for vm in config.vm if vm.name == "vm1")
    case.sim.context = dataclasses.replace(case.sim.context, config=replace(config, vm=known))


def _ecx_peer(status: str) -> Setter:
    return lambda case: setattr(case.ecx.servers["ec2"], "service", status)


def _clpstat_fails(case: Case) -> None:
    case.sim.break_clpstat()


def _factor(factor: Factor) -> Setter:
    return lambda case: setattr(case, "factor", factor)


FACTS: dict[str, dict[str, Setter]] = {
    "owner": {"local": _usual, "peer": _owned_by_peer},
    "state": {**{word: _state(word) for word in [*VM_STATES, "Daydreaming"]}, "absent": _absent},
    "configuration": {
        "Online": _usual,
        **{state: _configuration(state) for state in ("Offline", "Failed", "OnlinePending", "OfflinePending")},
    },
    "machine": {
        "as the guest": _usual,
        **{state: _machine(state) for state in ("Failed", "Offline", "Online", "OnlinePending")},
    },
    "moving": {"no": _usual, "live": _moving, "quick": _moving_quick, "queued": _queued},
    "volume": {
        "Online": _usual,
        **{state: _csv(state) for state in ("Offline", "Failed", "OnlinePending")},
        "not in the cluster": _csv_gone,
    },
    "volume's owner": {"local": _usual, "peer": _csv_owned_by_peer},
    "iSCSI": {"connected": _usual, "lost": _session_lost, "target off": _target_off},
    "local node": {
        "up": _usual,
        "paused": _local_paused,
        "quarantined": _local_quarantined,
        "service stopped": _service_stopped(ONE),
        "without quorum": _local_without_quorum,
    },
    "peer host": {
        "on": _usual,
        "lost power": _peer(lambda world: world.power_off_host(TWO)),
        "shut down": _peer(lambda world: world.shut_down_host(TWO)),
        "boots": _peer_boots,
        "paused": _peer(lambda world: setattr(world.hosts[TWO], "paused", True)),
        "quarantined": _peer(lambda world: setattr(world.hosts[TWO], "quarantined", True)),
        "service stopped": _service_stopped(TWO),
        "sshd stopped": _sshd(TWO, Sshd.STOPPED),
        "login refused": _sshd(TWO, Sshd.REFUSING),
        "not reached": _peer(lambda world: world.cut("ec1", TWO, Plane.MANAGEMENT)),
        "isolated": _peer(lambda world: world.isolate(TWO)),
    },
    "local sshd": {
        "up": _usual,
        "restarts": _local_sshd_restarts,
        "stopped": _sshd(ONE, Sshd.STOPPED),
        "login refused": _sshd(ONE, Sshd.REFUSING),
    },
    "memory": {"enough": _usual, "short": _short_of_memory},
    "guest": {"usual": _usual, "deaf": _deaf, "doomed": _doomed},
    "maintenance": {"no": _usual, "yes": _maintained},
    "other VM": {"none": _usual, "runs": _other_runs, "elsewhere": _other_elsewhere, "stranger": _stranger},
    "language": {"en": _usual, "ja": _usual},
    "ECX on the peer": {
        "Online": _usual,
        "Offline": _ecx_peer("Offline"),
        "Online Pending": _ecx_peer("Online Pending"),
        "unknown": _clpstat_fails,
    },
    "factor": {factor.value: _factor(factor) for factor in Factor if factor is not Factor.NONE},
}
# The facts that the second edition adds, after the others: what they do, they do to the world as it is by then.
FACTS |= FACTS_OF_EDITION_2
