"""What the tests of the found cases are made of: one VM or more, as large as life, and every rule in force."""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from ecx_hyperv.config import Config, Timing
from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.jobs import ScriptJob
from ecx_hyperv.lab.model.things import Guest, Vm, Volume
from ecx_hyperv.lab.model.world import World
from tests.proof.simulation import TIMINGS
from tests.virtual.contexts import SimulatedNode, make_config
from tests.virtual.invariants import ProgramKind, Rule
from tests.virtual.programs import ProgramOutcome, run_program

ONE, TWO = "ws2019-host-1", "ws2019-host-2"
# The modules are loaded by the first look; here that only blurs what happens when.
_QUICK = replace(TIMINGS, failover_clusters=0.2, hyper_v=0.2, iscsi=0.1, powershell=0.5)
EVERY_RULE = frozenset(Rule)


@dataclass(slots=True)
class Found:
    """A world, and the programs on ec1 in it."""

    world: World
    sim: SimulatedNode
    ecx: SimulatedEcx
    outcomes: list[ProgramOutcome] = field(default_factory=list)

    def vm(self, name: str = "web") -> Vm:
        """Return the VM that had a name from the beginning."""
        return self.world.vms[name]

    def state(self, name: str = "web", host: str = ONE) -> str:
        """Return a VM's state on a host; empty where Hyper-V there does not know it."""
        guest = self.vm(name).guests.get(host)
        return "" if guest is None else guest.state

    def run(self, job: ProgramKind, *names: str, factor: Factor = Factor.GROUPSTOP) -> ProgramOutcome:
        """Run a program, every rule in force."""
        outcome = run_program(self.sim, job, *(names or ("web",)), factor=factor, rules=EVERY_RULE)
        self.outcomes.append(outcome)
        return outcome

    def start(self, *names: str) -> ProgramOutcome:
        """Run vm-start."""
        return self.run(ProgramKind.START, *names)

    def stop(self, *names: str, factor: Factor = Factor.GROUPSTOP) -> ProgramOutcome:
        """Run vm-unregister."""
        return self.run(ProgramKind.STOP, *names, factor=factor)

    def monitor(self, *names: str, runs: int = 1) -> ProgramOutcome:
        """Run genw-vm, once a minute."""
        for _ in range(runs - 1):
            self.run(ProgramKind.WATCH, *names)
            self.world.advance(60)
        return self.run(ProgramKind.WATCH, *names)

    def means(self, name: str, *vms: Vm) -> None:
        """Say which VMs a configured name may lead to; none, if nothing may be touched."""
        self.sim.meant[name] = frozenset(vm.id for vm in vms)

    def happened(self, what: str, who: str = "web") -> list[tuple[float, str, str]]:
        """Return when, where and how something happened to a VM."""
        return [(one.at, one.where, one.state) for one in self.world.history if one.what == what and one.who == who]

    @property
    def words(self) -> str:
        """Return all that was said: the log, and the alerts."""
        return "\n".join([self.sim.log.getvalue(), *(text for _, text in self.sim.alerts)])

    @property
    def alert_levels(self) -> list[Level]:
        """Return the levels of what was alerted."""
        return [level for level, _ in self.sim.alerts]

    @property
    def volume(self) -> Volume:
        """Return the first Shared Volume."""
        return next(iter(self.world.volumes.values()))

    def fine(self) -> None:
        """Fail on any rule that was broken."""
        assert not self.world.violations, "\n".join(self.world.violations)


def find(*names: str, host: str = ONE, state: str = "Running", timing: Timing | None = None, **timings: float) -> Found:
    """Return a world in which these VMs (web) are on a host, in a state, their volume there."""
    world = World(replace(_QUICK, **timings), names or ("web",))
    world.storage.serve("ec1", on=True)
    world.advance(60)
    world.volumes["Cluster Disk 1"].owner = host
    for vm in world.vms.values():
        vm.owner, vm.configuration = host, "Online"
        put(vm, host, state)
    world.advance(60)
    ecx = SimulatedEcx(world, _no_script, [])
    ecx.servers["ec2"].service = "Online"
    return Found(world, SimulatedNode(world, "ec1", ecx, config=make_config(world, timing)), ecx)


def put(vm: Vm, host: str, state: str) -> None:
    """Have a VM be in a state on a host, and nowhere else."""
    running = state in ("Running", "Paused", "Stopping", "PausedCritical")
    vm.guests = {host: Guest(state, 0.0 if running else None)}
    vm.saved = state == "Saved"
    vm.machine = "Online" if running else "Offline"
    if state == "Paused":
        vm.guests[host].paused = 0.0


def unregistered(found: Found, name: str = "web") -> None:
    """Have a VM be known to no host, its configuration Offline."""
    vm = found.vm(name)
    vm.guests.clear()
    vm.configuration = vm.machine = "Offline"


def second_volume(world: World, owner: str = ONE) -> Volume:
    """Add a second Shared Volume."""
    volume = Volume("Cluster Disk 2", "{00000000-0000-4000-8000-000000000002}", owner)
    world.volumes[volume.name] = volume
    return volume


def configured(found: Found, config: Config) -> None:
    """Have the programs run with another configuration."""
    found.sim = SimulatedNode(found.world, "ec1", found.ecx, config=config)


def each(seconds: float, world: World, act: Callable[[], object], times: int = 1) -> None:
    """Have something happen again and again."""
    for number in range(1, times + 1):
        world.at(seconds * number, act)


def _no_script(node: str, folder: str, script: str, variables: object) -> ScriptJob:
    raise AssertionError(f"no script is run here: {node} {folder} {script} {variables}")
